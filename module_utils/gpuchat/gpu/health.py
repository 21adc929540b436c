# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a GPU suffers from while it still computes: errors that the driver logs, and clocks that it holds back.

Sources: NVIDIA's "Xid Errors" (GPU deployment documentation) and nverror.h of its open driver, nvidia-smi(1), NVML's
nvmlClocksEventReason* values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

THROTTLING_FIELDS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
"""Names of one field, the newer first: a driver before 535 knows the second only."""

HELD_BACK = {
    0x08: "hardware slowdown",
    0x20: "too hot, by the driver",
    0x40: "too hot, by the hardware",
    0x80: "power brake from outside",
}
"""Bits that say that something is wrong; the others say idle, a limit that somebody set, or the usual power cap."""

OF_PROGRAMS = frozenset({13, 31, 32, 43, 45, 68, 69, 137})
"""Numbers that a program's own mistake brings about."""

LEFT_THE_BUS = frozenset({79, 167})
OF_MEMORY = frozenset({48, 58, 63, 64, 92, 94, 95, 140, 156, 157, 160, 161, 168, 171, 172, 175})
OF_LINKS = frozenset({74, 121, 136, *range(144, 151), 155, 166, 170, 173})
OF_ITS_PROCESSORS = frozenset({46, 61, 62, 109, 110, 119, 120, 143, 154, 158, 169})
"""Numbers of a GPU that hangs, or whose own processors do not answer."""

OF_SWITCHES = range(10_000, 100_000)
"""Numbers of NVSwitches' errors (SXid), which say by a word whether they are fatal (NVIDIA's fabric manager guide)."""

FIXES = (
    (
        OF_SWITCHES,
        "look at the log of nvidia-fabricmanager and `nvidia-smi nvlink --status`; after a fatal one restart the host",
    ),
    (LEFT_THE_BUS, "power the host off and on; where it comes back, look at the card's seat, power and temperature"),
    (
        OF_MEMORY,
        (
            "restart the host, so that the GPU replaces the cells; look at `nvidia-smi -q -d ECC,ROW_REMAPPER`; where "
            "it comes back, replace the GPU"
        ),
    ),
    (OF_LINKS, "look at `nvidia-smi nvlink --status`; power the host off and on, and look at bridges and seats"),
    (OF_ITS_PROCESSORS, "restart the host; where it comes back, set nvidia_driver_branch to another one"),
    (OF_PROGRAMS, "read the engine's log of that time; where it comes back, set vllm_version to another one"),
)
"""What to do, by numbers."""

GRAVE = frozenset(
    {46, 48, 61, 62, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 143, 149, 154, 157, 158, 167, 169, 171, 172, 173}
)
"""Numbers after which the GPU, or its link, is not to be trusted before a reset."""


@dataclass(frozen=True)
class Xid:
    """An error of a GPU or an NVSwitch that NVIDIA's driver wrote into the kernel's log: its number, and how often."""

    address: str
    number: int
    words: str
    count: int = 1

    @property
    def is_grave(self) -> bool:
        return self.number in GRAVE or (self.is_of_switch and self.words.startswith("Fatal"))

    @property
    def is_of_switch(self) -> bool:
        return self.number in OF_SWITCHES

    @property
    def is_of_program(self) -> bool:
        return self.number in OF_PROGRAMS

    @property
    def fix(self) -> str:
        unknown = "look the number up in NVIDIA's list of Xid errors; restart the host if GPUs misbehave"
        return next((fix for numbers, fix in FIXES if self.number in numbers), unknown)


LINE = r"(?:NVRM: X|nvidia-nvswitch\d+: SX)id \(PCI:([0-9a-fA-F:.]+)[^)]*\): (\d{1,9}),? *(.*)"


def xids(log: str) -> tuple[Xid, ...]:
    """Return the driver's errors in a kernel log, those of one GPU and number as one with its last words."""
    found: dict[tuple[str, int], Xid] = {}
    for address, number, words in re.findall(LINE, log):
        key = (address.lower(), int(number))
        before = found.get(key)
        found[key] = Xid(*key, words.strip()[:160], before.count + 1 if before else 1)
    return tuple(found.values())


def throttling(text: str) -> Mapping[str, tuple[str, ...]]:
    """Return why GPUs (by UUID) run slower than they could, from nvidia-smi's ``uuid`` and one of the fields above."""
    found = {}
    for uuid, mask in re.findall(r"^(GPU-[0-9a-f-]+), *(0x[0-9a-fA-F]+) *$", text, re.MULTILINE):
        reasons = tuple(words for bit, words in HELD_BACK.items() if int(mask, 16) & bit)
        if reasons:
            found[uuid] = reasons
    return found
