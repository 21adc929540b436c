# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a host itself, whatever runs there: its clock, GPUs, disks, and what did not answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.units import GIB, gib, human
from ..system.space import scarce
from .types import ENGINES, FAULT, WARNING, Expected, Finding

CLOCK_SECONDS = {WARNING: 5.0, FAULT: 300.0}
"""How far a clock may be from the control node's: certificates and logs go by it."""

FOREIGN_MEMORY = GIB
CONTAINER_ID = re.compile("[0-9a-f]{64}")


def findings(expected: Expected, reading: Mapping[str, Any], clock_ahead: float) -> Iterator[Finding]:
    yield from _silent_parts(reading)
    yield from _clock(reading, clock_ahead)
    yield from _gpus(expected, reading)
    yield from _disks(reading)


def _silent_parts(reading: Mapping[str, Any]) -> Iterator[Finding]:
    for part, problem in reading.get("unanswered", {}).items():
        fix = "look for processes in state D and at `dmesg`" if part.startswith(("disk", "model")) else "try it by hand"
        yield Finding("part.silent", FAULT, f"{part}: {problem}", "an answer", fix)


def _clock(reading: Mapping[str, Any], ahead: float) -> Iterator[Finding]:
    for severity in (FAULT, WARNING):
        if abs(ahead) > CLOCK_SECONDS[severity]:
            way = "ahead of" if ahead > 0 else "behind"
            yield Finding(
                "clock.off",
                severity,
                f"a clock {abs(ahead):.0f} s {way} the control node's",
                f"at most {CLOCK_SECONDS[WARNING]:.0f} s",
                "install and start chrony, or systemd-timesyncd",
            )
            return
    if reading.get("host", {}).get("synchronised") is False:
        yield Finding(
            "clock.unsynchronised",
            WARNING,
            "a clock that nothing keeps right",
            "one that follows time servers",
            "install and start chrony, or systemd-timesyncd",
        )


# GPUs.


SAYS_HOW = ("mismatch", "no_permission")
"""States of the driver whose reason ends with what to do."""


def _gpus(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    gpu = reading.get("gpu")
    if gpu is None:
        return
    state, reason = gpu["state"], gpu["reason"]
    if state == "no_gpu":
        engines = [one for name, one in reading.get("containers", {}).items() if name.startswith(ENGINES)]
        by_cpu = expected.accelerator == "cpu" or (engines and not any(one["gpus"] for one in engines))
        if "gpu" in expected.groups and not by_cpu:
            yield Finding(
                "gpu.none",
                FAULT,
                "no NVIDIA GPU",
                "one, for the host is in the group gpu",
                "look at `lspci -d 10de:`, or set gpuchat_accelerator to cpu",
            )
    elif state != "ok":
        severity = FAULT if "gpu" in expected.groups else WARNING
        found, fix = reason, "look at `nvidia-smi` and `dmesg`"
        if state in SAYS_HOW:
            found, _mark, fix = reason.rpartition("; ")
        yield Finding(f"gpu.{state}", severity, found, "GPUs that answer", fix)
    by_uuid = {one["uuid"]: one for one in gpu["gpus"] if one["uuid"]}
    for uuid, reasons in gpu.get("held_back", {}).items():
        yield Finding(
            "gpu.held_back",
            WARNING,
            f"{_gpu_name(by_uuid.get(uuid))} runs slower than it could ({', '.join(reasons)})",
            "full speed",
            "look at its cooling and power (`nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER`)",
        )
    for one in gpu["gpus"]:
        errors = (one["ecc_errors"] or {}).get("uncorrected") or 0
        if errors:
            yield Finding(
                "gpu.ecc",
                FAULT,
                f"{_gpu_name(one)} with {errors} memory errors that could not be corrected",
                "none",
                "restart the host; if they come back, have the GPU replaced",
            )
    yield from _xids(reading)
    yield from _foreign(expected, reading)


def _gpu_name(gpu: Mapping[str, Any] | None) -> str:
    return f"GPU {gpu['index']} ({gpu['name'] or 'unknown'})" if gpu else "a GPU"


def _xids(reading: Mapping[str, Any]) -> Iterator[Finding]:
    for xid in reading.get("kernel log") or ():
        by = " by a program's mistake" if xid["of_program"] else ""
        kind, whose = ("SXid", "NVSwitch") if xid.get("of_switch") else ("Xid", "GPU")
        times = f" {xid['count']} times" if xid["count"] > 1 else ""
        yield Finding(
            "gpu.xid",
            FAULT if xid["grave"] else WARNING,
            f"{kind} {xid['number']}{times} since the start{by}, {whose} {xid['address']}: {xid['words']}",
            "no errors of NVIDIA's driver",
            str(xid["fix"]),
        )


def _foreign(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    if "gpu" not in expected.groups:
        return
    used: Counter[str] = Counter()
    for who, size in users(reading):
        if not who.startswith("gpuchat-"):
            used[who] += size
    for who, size in used.items():
        if size >= FOREIGN_MEMORY:
            yield Finding(
                "gpu.foreign",
                WARNING,
                f"{gib(size)} of the GPUs' memory held by {who}",
                "all of it for the stack",
                "stop it, or plan without that GPU (gpus in gpuchat_models)",
            )


def users(reading: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield who holds how much of the GPUs' memory: a container, a unit, or a program.

    Without Docker's word, a container's process is left out: nobody knows whose it is.
    """
    docker = reading.get("docker") or {}
    containers = {one["id"]: one["name"] for one in docker.get("containers", ())}
    for gpu in (reading.get("gpu") or {}).get("gpus", ()):
        for process in gpu["processes"] or ():
            by = process.get("by") or ""
            if CONTAINER_ID.fullmatch(by) and not docker.get("answers"):
                continue
            name = containers.get(by) or (by.rpartition(".")[0] if by.endswith(".service") else "")
            yield name or f"{process['name'] or 'a program'} (pid {process['pid']})", process["memory_bytes"] or 0


def _disks(reading: Mapping[str, Any]) -> Iterator[Finding]:
    prune = f"`{'podman' if 'podman' in reading else 'docker'} image prune`"
    disks: dict[int, list[str]] = {}
    found = reading.get("disks") or {}
    for path, disk in found.items():
        disks.setdefault(disk["device"], []).append(path)
    for paths in disks.values():
        disk, where = found[paths[0]], ", ".join(paths)
        few = scarce(disk["free_bytes"], disk["bytes"])
        if few:
            yield Finding(
                "disk.full",
                FAULT if few == "none" else WARNING,
                f"{human(disk['free_bytes'])} of {human(disk['bytes'])} free under {where}",
                "room for images, models and logs",
                f"remove what is not needed ({prune}, old models), or mount a larger file system",
            )
        if disk["inodes"] and disk["free_inodes"] * 50 < disk["inodes"]:
            yield Finding(
                "disk.inodes",
                FAULT if disk["free_inodes"] * 500 < disk["inodes"] else WARNING,
                f"{disk['free_inodes']:,} of {disk['inodes']:,} inodes free under {where}",
                "one for each new file",
                "remove what is not needed; look for folders with many small files",
            )
