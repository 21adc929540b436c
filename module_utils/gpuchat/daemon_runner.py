# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads, validates and replaces Docker's daemon.json."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping

from . import host
from .daemon import Replace, digest, merged, plan_daemon
from .plan import Plan, Refusal

RECORD = f"{host.STATE_DIRECTORY}/docker-daemon.json"


def bring(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Bring our keys of daemon.json into their state, and return the module's result.

    Raises:
        Refusal: the file is not JSON, or dockerd does not accept the result; the file is left alone.
    """
    path = str(params["path"])
    there = host.file_state(path)
    text = there.content if there else None
    owned: dict[str, object] = host.read_json(RECORD).get("owned") or {}  # type: ignore[assignment]
    settings = {key: value for key, value in params["settings"].items() if value not in (None, [], {})}  # type: ignore[attr-defined]
    plan = plan_daemon(text, settings, owned, path)
    notes: tuple[str, ...] = ()
    for action in plan.actions:
        if isinstance(action, Replace):
            notes = _validate(action.text, check)
            if not check:
                mode, uid, gid = (there.mode, there.uid, there.gid) if there else (0o644, 0, 0)
                if text is not None and host.file_state(f"{path}.before-gpuchat") is None:
                    host.write_atomically(f"{path}.before-gpuchat", text, mode, uid, gid)
                # Old and new keys stand in the record until the file is written: a run may die in between.
                host.write_json(RECORD, {"owned": merged(owned, action.owned, {})[0]})
                host.write_atomically(path, action.text.encode(), mode, uid, gid)
                host.write_json(RECORD, {"owned": action.owned})
            text = action.text.encode()
    result = Plan(plan.differences, plan.actions, plan.reason, notes).result()
    result["digest"] = digest(settings)
    result["untouched"] = not plan.changed and not owned
    return result


def _validate(text: str, check: bool) -> tuple[str, ...]:
    dockerd = host.program("dockerd")
    if dockerd is None:
        if check:
            return ("dockerd is not installed yet, so the new daemon.json was not validated with it",)
        raise Refusal("dockerd is not installed; install Docker before its settings")
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        output = host.run([dockerd, "--validate", "--config-file", file.name])
    if "unknown flag: --validate" in output.text:
        return ("this dockerd is older than 23 and cannot validate its settings",)
    if output.rc != 0:
        raise Refusal(f"dockerd does not accept the new daemon.json, so the old one was left in place:\n{output.text}")
    return ()
