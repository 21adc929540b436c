# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey as people read it in a terminal, and as programs read it."""

from __future__ import annotations

import datetime
import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..core.names import plain
from ..core.units import GIB, human
from .findings import in_order, status
from .parts import days_left
from .types import SEVERITIES, Surveyed, is_bare

NARROWEST = 60
GAP = 2
LONGEST_NAME = 24

COLUMNS = ("host", "state", "runs", "gpus", "model", "disk", "certificate", "release", "driver", "kernel", "clock")
LEAST_NEEDED = ("clock", "kernel", "driver", "release", "certificate", "disk", "model", "gpus")
"""In the order in which they are left out where the terminal is narrow."""

HEADS = {"certificate": "CERT"}


@dataclass(frozen=True)
class Survey:
    """All hosts of one survey.

    Attributes:
        notes: what could not be compared, and why.
        at: when it was made, by the control node's clock.
        seconds: how long it took.
    """

    hosts: tuple[Surveyed, ...]
    at: datetime.datetime
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def status(self) -> int:
        return status(self.hosts)

    @property
    def summary(self) -> str:
        """How many hosts are how, in words."""
        counted = Counter(one.state for one in self.hosts)
        parts = [f"{counted[state]} {state}" for state in reversed(SEVERITIES) if counted[state]]
        plural = "s" * (len(self.hosts) != 1)
        return f"{len(self.hosts)} host{plural} in {self.seconds:.1f} s: {', '.join(parts) or 'none'}"


def cells(host: Surveyed, now: datetime.datetime) -> dict[str, str]:
    """Return a host's row, by column; what is not known is empty."""
    found = {"host": host.name, "state": host.state}
    reading = host.answer.reading
    if host.answer.stage != "done":
        return found
    system, gpu = reading.get("host") or {}, reading.get("gpu") or {}
    found.update(
        runs=_runs(reading),
        gpus=_gpus(gpu),
        model=_model(reading),
        disk=_disk(reading),
        certificate=_certificate(reading, now),
        release=str(system.get("release", "")),
        driver=str(gpu.get("driver_version") or ""),
        kernel=str(system.get("kernel", "")),
        clock=f"{host.answer.clock_ahead:+.1f} s",
    )
    return found


def _runs(reading: Mapping[str, Any]) -> str:
    services = reading.get("services") or {}
    if is_bare(reading):
        return "nothing yet"
    return f"{sum(bool(one['running']) for one in services.values())}/{len(services)}"


def _gpus(gpu: Mapping[str, Any]) -> str:
    gpus = gpu.get("gpus") or ()
    if not gpus:
        return "-"
    # The memory is told beside it: H100, not NVIDIA H100 80GB HBM3.
    names = Counter(re.sub(r"^NVIDIA | \d+GB.*$", "", str(one["name"] or "GPU")) for one in gpus)
    named = ", ".join(f"{count}x {name}" for name, count in names.items())
    total, free = (sum(one[key] or 0 for one in gpus) for key in ("memory_bytes", "memory_free_bytes"))
    return f"{named} {(total - free) / GIB:.0f}/{total / GIB:.0f}G" if total else named


def _model(reading: Mapping[str, Any]) -> str:
    served = [name for one in (reading.get("engines") or {}).values() for name in one["models"][:1]]
    commits = [str(one["commit"])[:8] for one in (reading.get("models") or {}).values() if one.get("commit")]
    if len(served) > 1:
        return ", ".join(served)
    return "@".join([*served, *commits[:1]])


def _disk(reading: Mapping[str, Any]) -> str:
    """Return what is free of the fullest file system."""
    disks = [one for one in (reading.get("disks") or {}).values() if one["bytes"]]
    fullest = min(disks, key=lambda one: float(one["free_bytes"]) / float(one["bytes"]), default=None)
    return f"{human(fullest['free_bytes'])} free" if fullest else ""


def _certificate(reading: Mapping[str, Any], now: datetime.datetime) -> str:
    return f"{min(days_left(one, now) for one in reading['certificates']):.0f} d" if reading.get("certificates") else ""


def table(survey: Survey, width: int) -> str:
    """Return the whole survey for a terminal of so many columns."""
    width = max(width, NARROWEST)
    hosts = in_order(survey.hosts)
    lines = [*_rows([cells(host, survey.at) for host in hosts], width)]
    for host in hosts:
        if host.findings:
            lines += ["", f"{plain(host.name)} ({host.state})"]
            lines += [line for one in host.findings for line in _wrapped(f"{one.severity:<12}", plain(one.text), width)]
    for note in survey.notes:
        lines += ["", *_wrapped("note        ", note, width)]
    return "\n".join([*lines, "", survey.summary])


def _rows(rows: Sequence[Mapping[str, str]], width: int) -> Iterator[str]:
    shown = [name for name in COLUMNS if any(row.get(name) for row in rows)]
    widths = {name: max([len(_head(name)), *(len(row.get(name, "")) for row in rows)]) for name in shown}
    widths["host"] = min(widths.get("host", 0), LONGEST_NAME)
    for name in LEAST_NEEDED:
        if sum(widths[one] + GAP for one in shown) - GAP > width and name in shown:
            shown.remove(name)
    for row in [{name: _head(name) for name in shown}, *rows]:
        texts = (_cut(plain(row.get(name, "")), widths[name]).ljust(widths[name] + GAP) for name in shown)
        yield "".join(texts).rstrip()


def _head(name: str) -> str:
    return HEADS.get(name, name.upper())


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _wrapped(head: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=f"  {head}", subsequent_indent=" " * (len(head) + 2), break_on_hyphens=False
    )


def as_json(survey: Survey) -> str:
    """Return the whole survey for programs: the same keys in the same order each time."""
    hosts = [
        {
            "name": host.name,
            "groups": list(host.groups),
            "state": host.state,
            "reached": host.answer.stage != "connect",
            "problem": host.answer.problem,
            "seconds": round(host.answer.seconds, 3),
            "clock_ahead": round(host.answer.clock_ahead, 3),
            "findings": [asdict(one) for one in host.findings],
            "reading": dict(host.answer.reading),
        }
        for host in survey.hosts
    ]
    whole = {
        "at": survey.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round(survey.seconds, 3),
        "status": survey.status,
        "notes": list(survey.notes),
        "hosts": hosts,
    }
    return json.dumps(whole, indent=2, sort_keys=True) + "\n"
