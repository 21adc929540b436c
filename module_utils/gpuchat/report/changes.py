# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has changed, from what was noted of each of its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """What one task has changed on its hosts.

    Attributes:
        names: of what it has changed, such as files.
    """

    task: str
    hosts: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changes:
    """All that a run has changed until its verification.

    Attributes:
        playbook: its file's name.
        results: how many tasks ended well, counted on each host.
    """

    playbook: str
    results: int
    changes: tuple[Change, ...] = ()


def read(lines: Sequence[Mapping[str, Any]]) -> Changes | None:
    """Return what was noted, in the order of the tasks; None where nothing notes anything."""
    if not lines:
        return None
    hosts: dict[str, list[str]] = {}
    names: dict[str, list[str]] = {}
    for line in lines:
        if line.get("task"):
            task = str(line["task"])
            hosts.setdefault(task, []).append(str(line["host"]))
            names.setdefault(task, []).extend(map(str, line.get("names") or ()))
    made = tuple(Change(task, _once(hosts[task]), _once(names[task])) for task in hosts)
    playbook = next((str(line["playbook"]) for line in lines if line.get("playbook")), "")
    return Changes(playbook, sum(not line.get("playbook") for line in lines), made)


def _once(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
