# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's state comes to as metrics: its GPUs, certificates, backups, units, and the survey's findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..engines.engines import ALL, CPU
from ..gpu.figures import Figures, reasons
from ..survey.types import FAULT, WARNING, Finding
from .textfile import COUNTER, Family, Labels, Sample, family, single

OF_GPUS = (
    ("gpuchat_gpu_utilization_ratio", "Share of the time in which the GPU computes", "utilization"),
    ("gpuchat_gpu_memory_used_bytes", "Memory of the GPU that is in use", "memory_used_bytes"),
    ("gpuchat_gpu_memory_total_bytes", "Memory of the GPU", "memory_total_bytes"),
    ("gpuchat_gpu_temperature_celsius", "Temperature of the GPU", "temperature_c"),
    ("gpuchat_gpu_power_watts", "Power that the GPU takes", "power_watts"),
)

DRAINED = "out of rotation since"
"""As the survey's reading calls it."""


def families(
    reading: Mapping[str, Any],
    gpus: Sequence[Figures] | None,
    wanted: Collection[str],
    findings: Iterable[Finding],
    now: float,
) -> tuple[Family, ...]:
    """Return all metrics of a host's state.

    Args:
        reading: the survey's.
        gpus: None where they did not answer in time.
        wanted: the places (indices, UUIDs, ``all``, ``cpu``) that the host's engines are to use.
        findings: the survey's, of this host.
        now: seconds since 1970.
    """
    return (
        *_gpus(gpus),
        _xids(reading),
        single("gpuchat_gpus_wanted", "GPUs that the engines of this host are to use", number_of(wanted)),
        *_certificates(reading),
        *_backup(reading),
        _units(reading),
        _drained(reading),
        _findings(findings),
        single("gpuchat_state_timestamp_seconds", "When this host's state was last read as a whole", now),
    )


def number_of(places: Collection[str]) -> int:
    """Return how many GPUs places are, at least: ``all`` is one or more, and parts of GPUs (MIG) may be all of one."""
    parts = {one for one in places if one.startswith("MIG-")}
    number = len(set(places) - {ALL, CPU} - parts)
    return max(number, 1) if parts or ALL in places else number


def _gpus(gpus: Sequence[Figures] | None) -> Iterable[Family]:
    if gpus is None:
        return
    yield single("gpuchat_gpus_seen", "GPUs that answer", len(gpus))
    info = {(*_of(one), ("uuid", one.uuid), ("name", one.name)): 1.0 for one in gpus}
    yield family("gpuchat_gpu_info", "A GPU that answers", info)
    for name, words, field in OF_GPUS:
        found = {_of(one): getattr(one, field) for one in gpus}
        yield family(name, words, {labels: value for labels, value in found.items() if value is not None})
    held = {
        (*_of(one), ("reason", reason)): float(is_so)
        for one in gpus
        if one.throttling is not None
        for reason, is_so in reasons(one.throttling).items()
    }
    yield family("gpuchat_gpu_throttled", "Whether something is wrong that slows the GPU down", held)
    errors = {_of(one): float(one.ecc_uncorrected) for one in gpus if one.ecc_uncorrected is not None}
    words = "Memory errors since the driver was loaded that could not be corrected"
    yield family("gpuchat_gpu_ecc_uncorrected_total", words, errors, COUNTER)


def _of(gpu: Figures) -> Labels:
    return (("gpu", str(gpu.index)),)


def _xids(reading: Mapping[str, Any]) -> Family:
    """Count the driver's errors of each GPU (by its PCI address); one that has none yet has a series too."""
    log = reading.get("kernel log")
    counted: Counter[str] = Counter()
    if log is not None:
        counted.update({str(gpu.get("pci_address") or ""): 0 for gpu in (reading.get("gpu") or {}).get("gpus", ())})
        for xid in log:
            counted[_address(str(xid["address"]))] += int(xid["count"])
    values: dict[Labels, float] = {
        (("gpu", address),): float(count) for address, count in sorted(counted.items()) if address
    }
    return family("gpuchat_gpu_xid_total", "Errors of NVIDIA's driver (XID) since the host started", values, COUNTER)


def _address(text: str) -> str:
    """Return a PCI address of the kernel's log, which leaves the function out, as the readings have it."""
    return text if "." in text else f"{text}.0"


def _certificates(reading: Mapping[str, Any]) -> Iterable[Family]:
    found = {(("file", str(one["path"])),): one for one in reading.get("certificates") or ()}
    ends: dict[Labels, float] = {labels: float(one["until"]) for labels, one in found.items()}
    lives: dict[Labels, float] = {labels: float(one["until"]) - float(one["from"]) for labels, one in found.items()}
    yield family("gpuchat_certificate_expires_timestamp_seconds", "When a certificate of the stack ends", ends)
    yield family("gpuchat_certificate_lifetime_seconds", "For how long a certificate of the stack was made", lives)


def _backup(reading: Mapping[str, Any]) -> Iterable[Family]:
    """Tell of backups where they are made; one that was never made is from 1970, so that its age is an alert's."""
    status = reading.get("backup")
    if status is None:
        return
    success, drill = status.get("success") or {}, status.get("drill") or {}
    yield single(
        "gpuchat_backup_last_success_timestamp_seconds",
        "When the newest backup was made; 0 where there is none",
        float(success.get("time") or 0),
    )
    if drill:
        words = "When a backup was last brought back on trial"
        yield single("gpuchat_backup_drill_last_timestamp_seconds", words, float(drill.get("time") or 0))
        yield single("gpuchat_backup_drill_ok", "Whether that backup was good", float(bool(drill.get("good"))))


def _units(reading: Mapping[str, Any]) -> Family:
    found = reading.get("services") or {}
    values: dict[Labels, float] = {
        (("unit", str(name)),): float(bool(one["running"])) for name, one in sorted(found.items())
    }
    return family("gpuchat_unit_active", "Whether a unit or container that runs have left here is up", values)


def _drained(reading: Mapping[str, Any]) -> Family:
    drained = float(reading[DRAINED] is not None) if DRAINED in reading else None
    return single("gpuchat_host_drained", "Whether somebody has taken this host out of rotation", drained)


def _findings(findings: Iterable[Finding]) -> Family:
    counted = Counter(one.severity for one in findings)
    samples = tuple(Sample(counted[severity], (("severity", severity),)) for severity in (WARNING, FAULT))
    return Family("gpuchat_survey_findings", "What the survey finds wrong with this host", samples)
