# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a host out of rotation and puts it back, for the command that is run over a fleet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..core import host
from ..core.errors import Refusal, Unhealthy
from ..system import restart_runner, service_runner
from ..system.service import WantedService
from . import drain_runner, engines
from .leave import MARK

DOOR = "gpuchat-door"
ROUTES = f"{os.path.dirname(MARK)}/models.conf"
ANSWER_SECONDS = 5
NOTE = "deploys/drain.py has taken this host out of rotation; with --back it removes this file.\n"


def run(given: Mapping[str, Any]) -> dict[str, object]:
    """Do one step, and return how the host stands after it.

    Args:
        given: ``act``: ``look``, ``close`` (hand no further request to the engines), ``wait`` (until they have answered
            all) or ``open`` (hand requests to them again, when they answer); ``seconds`` for the last two.

    Raises:
        Refusal: the host's door does not look for the mark.
        Unhealthy: an engine does not answer, so that the host stays out of rotation.
    """
    act, seconds = str(given["act"]), float(given.get("seconds") or 0)
    if act == "close":
        _close()
    if act == "open":
        _open(seconds)
    return {**look(), **(_wait(seconds) if act == "wait" else {})}


def look() -> dict[str, object]:
    """Return how the host stands, as ``leave.Standing`` reads it."""
    return {
        "engines": {name: _answers(name) for name in _engines()},
        "since": since(),
        "has_door": service_runner.read(WantedService(DOOR, "systemd", "started")).running,
        "obeys": _obeys(),
        "parts": [name for name in _engines() if _is_part(name)],
    }


def since() -> float | None:
    """Return when the host has left rotation, in seconds since 1970; None where it is in it."""
    try:
        return os.stat(MARK).st_mtime
    except OSError:
        return None


def _engines() -> list[str]:
    return [name for name in restart_runner.names() if engines.CONTAINER.fullmatch(name)]


def _is_part(name: str) -> bool:
    """Whether an engine stands on other hosts too."""
    return os.path.exists(f"{engines.FOLDERS}/{name[len(engines.NAME) + 1 :]}/{engines.RANKS}")


def _obeys() -> bool:
    return MARK.encode() in host.file_bytes(ROUTES)


def _answers(name: str) -> bool:
    """Whether an engine is healthy as its last start waited for it; by its supervisor where that is not recorded."""
    record = host.read_json(service_runner.record_path(name))
    health = record.get("health")
    if isinstance(health, dict) and health.get("url"):
        answer = host.http(str(health["url"]), timeout=ANSWER_SECONDS, direct=True)
        return answer.status == int(health.get("status") or 200)
    return service_runner.read(WantedService(name, str(record.get("supervisor")), "started")).running


def _close() -> None:
    names = _engines()
    if names and not os.path.exists(ROUTES) and all(map(_is_part, names)):
        raise Refusal(
            f"found that {', '.join(names)} is served by another host, with which this one holds it; wanted the host "
            "to which requests come; name that one, whose model stands still while any of its hosts is away"
        )
    if not _obeys():
        raise Refusal("found a door of an earlier release, which cannot be closed so; wanted this one's; run site.yml")
    if since() is None:
        host.write_atomically(MARK, NOTE.encode(), 0o644)


def _wait(seconds: float) -> dict[str, object]:
    """Wait until nobody is connected to an engine, or the time is over."""
    names = _engines()
    waited = drain_runner.wait([{"name": name, "container": name} for name in names], names, seconds, False)
    return {"open": waited["open"], "seconds": waited["seconds"]}


def _open(seconds: float) -> None:
    names = _engines()

    def silent() -> str | None:
        return ", ".join(name for name in names if not _answers(name)) or None

    last = host.wait_for(silent, seconds) if seconds else None
    if last is not None:
        raise Unhealthy(f"found no answer of {last} after {seconds:.0f} s; wanted one; see its log, or set --force")
    host.remove_file(MARK)
