# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's GPUs do at a moment: load, memory, temperature, power, and what holds them back.

Sources: NVML's API reference, nvidia-smi(1) (``--help-query-gpu``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.units import MIB

REASONS = {
    0x08: "hardware_slowdown",
    0x20: "software_thermal",
    0x40: "hardware_thermal",
    0x80: "power_brake",
}
"""By the bits of NVML's clocks event reasons; the others say idle, a limit that was set, or the usual power cap."""

SMI_FIELDS = (
    "index",
    "uuid",
    "name",
    "utilization.gpu",
    "memory.used",
    "memory.total",
    "temperature.gpu",
    "power.draw",
    "ecc.errors.uncorrected.volatile.total",
    "clocks_event_reasons.active",
    "clocks_throttle_reasons.active",
)
"""The last two are one field, whose name drivers before 535 do not know, and some later one may have dropped."""


@dataclass(frozen=True)
class Figures:
    """A GPU's figures; what cannot be known is None.

    Attributes:
        utilization: the share of the time in which something computed, 0 to 1.
        ecc_uncorrected: memory errors since the driver was loaded that could not be corrected.
        throttling: NVML's bits.
    """

    index: int
    uuid: str = ""
    name: str = ""
    utilization: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    temperature_c: int | None = None
    power_watts: float | None = None
    ecc_uncorrected: int | None = None
    throttling: int | None = None


def reasons(bits: int) -> dict[str, bool]:
    """Return what may hold a GPU back, and whether it does."""
    return {name: bool(bits & bit) for bit, name in REASONS.items()}


def of_smi(text: str, fields: Sequence[str]) -> tuple[Figures, ...]:
    """Read ``nvidia-smi --query-gpu`` (CSV, no header, no units); what is none of its rows is left out."""
    lines = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    rows = [dict(zip(fields, cells)) for cells in lines if len(cells) == len(fields)]
    return tuple(_of_row(row) for row in rows if row["index"].isdecimal())


def _of_row(row: Mapping[str, str]) -> Figures:
    percent, used, total = (_number(row.get(name)) for name in ("utilization.gpu", "memory.used", "memory.total"))
    temperature, ecc = (_number(row.get(name)) for name in ("temperature.gpu", "ecc.errors.uncorrected.volatile.total"))
    bits = row.get("clocks_event_reasons.active") or row.get("clocks_throttle_reasons.active") or ""
    return Figures(
        index=int(row["index"]),
        uuid=row.get("uuid", ""),
        name=row.get("name", ""),
        utilization=None if percent is None else percent / 100,
        memory_used_bytes=None if used is None else int(used * MIB),
        memory_total_bytes=None if total is None else int(total * MIB),
        temperature_c=None if temperature is None else int(temperature),
        power_watts=_number(row.get("power.draw")),
        ecc_uncorrected=None if ecc is None else int(ecc),
        throttling=int(bits, 16) if bits.startswith("0x") else None,
    )


def _number(cell: str | None) -> float | None:
    try:
        return float(cell or "")
    except ValueError:  # [N/A], [Not Supported], [GPU is lost]
        return None
