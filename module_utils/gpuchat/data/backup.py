# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the program that backs the chat up, what its answers mean, and how old a backup may be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import CommandFailed, Refusal
from ..core.units import human

PROGRAM = "/usr/local/lib/gpuchat-backup/gpuchat_backup.py"
CONFIGURATION = "/etc/gpuchat/backup/backup.json"
STATUS = "/var/lib/gpuchat/backup/status.json"
HOUR = 3600.0

GOOD, WARNING, FAULT = "good", "warning", "fault"


@dataclass(frozen=True)
class Covered:
    """What a backup holds of an interface beside its database, and who must not write meanwhile.

    Attributes:
        files: the folder of people's files; empty where they are in a store elsewhere, which is its owner's to back up.
        containers: that stand still while a backup takes the place of what is there, in the order in which they stop.
    """

    files: str
    containers: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        return {"files": self.files, "containers": list(self.containers)}


def covered(interface: str, has_store: bool) -> Covered:
    """Return what a backup holds of an interface, which may have the stack's own object store beside it."""
    if interface == "open_webui":
        return Covered("/var/lib/gpuchat/open-webui", ("gpuchat-open-webui",))
    if has_store:
        return Covered("/var/lib/gpuchat/object-store", ("gpuchat-lobehub", "gpuchat-object-store"))
    return Covered("", ("gpuchat-lobehub",))


@dataclass(frozen=True)
class Finding:
    """What the age of the newest backup says.

    Attributes:
        level: ``good``, ``warning`` or ``fault``.
        kind: ``fresh``, ``none``, ``old``, ``failed`` or ``drill``.
    """

    level: str
    kind: str
    message: str


def command(action: str, snapshot: str, folder: str) -> list[str]:
    """Return the program's command line for an action."""
    words = {"restore": [snapshot], "stack": [snapshot, folder]}.get(action, [])
    return ["/usr/bin/python3", "-I", PROGRAM, CONFIGURATION, action, *words]


def refuse_unwanted(action: str, confirm: str, domain: str) -> None:
    """Refuse to put a backup in the place of what is there unless somebody has said which site that is.

    Raises:
        Refusal: nobody has; nothing was changed.
    """
    if action == "restore" and (not domain or confirm != domain):
        raise Refusal(
            f"found the confirmation {confirm!r}; wanted {domain}, for a backup takes the place of what people have "
            f"said there since; set confirm (-e restore_confirm={domain})"
        )


def outcome(rc: int, stdout: str, stderr: str) -> Mapping[str, Any]:
    """Return what the program's last line says.

    Raises:
        CommandFailed: it has failed, or ended without a word.
    """
    last = (stdout.strip().splitlines() or [""])[-1]
    try:
        told = json.loads(last)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        said = "\n".join(stderr.strip().splitlines()[-8:])
        raise CommandFailed(f"found that {PROGRAM} ended with status {rc} and no result; wanted one; it says:\n{said}")
    if rc != 0 or told.get("failed"):
        raise CommandFailed(str(told.get("msg") or f"found status {rc} of {PROGRAM}; wanted 0"))
    return {key: value for key, value in told.items() if key not in ("failed", "target")}


def words(action: str, told: Mapping[str, Any]) -> str:
    """Say in one sentence what an action has brought."""
    snapshot = str(told.get("snapshot", ""))[:8]
    if action == "stack":
        return f"brought {', '.join(told['brought'])} of snapshot {snapshot}"
    held = f"{told['rows']} rows and {told['files']} files"
    if action == "run":
        return (
            f"made snapshot {snapshot} with {held} in {told['seconds']} s; {human(told['bytes_added'])} were added of "
            f"{human(told['bytes'])}"
        )
    moved = f"; {told['moved']} files changed while it was made" if told.get("moved") else ""
    if action == "drill":
        return f"snapshot {snapshot} is good: {held} came back as they were, in {told['seconds']} s{moved}"
    kept = told.get("kept") or {}
    stays = f"; what was there before is kept as {' and '.join(kept.values())}" if kept else ""
    return f"restored snapshot {snapshot} with {held} in {told['seconds']} s{stays}{moved}"


def age_finding(status: Mapping[str, Any], now: float, max_age_hours: float) -> Finding:
    """Say whether the newest backup is young enough, and whether the last attempt and the last drill went well.

    Args:
        status: what the program has noted; empty where there was no run.
        now: seconds since 1970.
        max_age_hours: how old the newest backup may be.
    """
    success, failure, drill = status.get("success") or {}, status.get("failure") or {}, status.get("drill") or {}
    why = f"; the last attempt failed: {failure.get('message', '')}" if failure else ""
    if not success:
        cure = "" if why else "; run playbooks/backup.yml"
        return Finding(FAULT, "none", f"found no backup; wanted one of the last {max_age_hours:g} hours{why}{cure}")
    age = (now - float(success["time"])) / HOUR
    if age > max_age_hours:
        cure = "" if why else "; look at `systemctl status gpuchat-backup.timer gpuchat-backup.service`"
        return Finding(
            FAULT,
            "old",
            f"found a backup {age:.0f} hours old; wanted one of the last {max_age_hours:g} hours{why}{cure}",
        )
    if failure:
        return Finding(WARNING, "failed", f"found a backup {age:.0f} hours old{why}")
    if drill and not drill.get("good"):
        return Finding(FAULT, "drill", f"found that the last drill failed: {drill.get('message', '')}")
    return Finding(GOOD, "fresh", f"the newest backup is {max(age, 0):.0f} hours old")
