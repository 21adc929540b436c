# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a host, from its reading and from what the inventory and the last run say that it should be."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import machine, parts
from .types import (
    FAULT,
    SERVICES,
    SEVERITIES,
    UNREACHABLE,
    WARNING,
    Answer,
    Expected,
    Finding,
    Surveyed,
    is_bare,
    worst,
)


def status(hosts: Iterable[Surveyed]) -> int:
    """Return the survey's exit status."""
    return SEVERITIES.index(worst(one.state for one in hosts))


def in_order(hosts: Iterable[Surveyed]) -> tuple[Surveyed, ...]:
    """Return hosts with the worst first, otherwise as the inventory has them."""
    return tuple(sorted(hosts, key=lambda one: -SEVERITIES.index(one.state)))


def examine(expected: Expected, answer: Answer, now: datetime.datetime) -> Surveyed:
    """Return a host with all that is wrong with it.

    Args:
        now: the present time on the control node.
    """
    found = _unheard(answer) if answer.stage != "done" else list(_of_reading(expected, answer, now))
    found.sort(key=lambda one: -SEVERITIES.index(one.severity))
    return Surveyed(expected.name, expected.groups, answer, tuple(found))


def _unheard(answer: Answer) -> list[Finding]:
    kinds = {"connect": ("host.unreachable", UNREACHABLE), "python": ("host.python", FAULT)}
    kind, severity = kinds.get(answer.stage, ("host.silent", FAULT))
    return [Finding(kind, severity, answer.problem, "", "")]


def _of_reading(expected: Expected, answer: Answer, now: datetime.datetime) -> Iterator[Finding]:
    yield from machine.findings(expected, answer.reading, answer.clock_ahead)
    if not is_bare(answer.reading):
        yield from parts.findings(expected, answer.reading, now)
    elif expected.services:
        groups = ", ".join(group for group in SERVICES if group in expected.groups)
        found = "nothing of the stack here yet"
        yield Finding("host.bare", WARNING, found, f"its part as one of {groups}", expected.again)


def usual_fingerprints(readings: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return the digests that most hosts remember, for a control node that cannot read the stack's secrets."""
    counted: dict[str, Counter[str]] = {}
    for reading in readings:
        for name, digest in (reading.get("stack") or {}).items():
            counted.setdefault(name, Counter())[digest] += 1
    return {name: (counts.most_common(1)[0][0],) for name, counts in counted.items()}
