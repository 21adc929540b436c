# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a GPU's name says: memory, bandwidth, arithmetic, compute capability."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace

from ..core.units import GIB
from .facts import cards


@dataclass(frozen=True)
class GpuModel:
    """One row of the table.

    Attributes:
        memory_bytes: of one GPU, as CUDA reports it.
        bandwidth: bytes per second of its memory.
        flops_16bit, flops_fp8, flops_fp4: dense operations per second; 0 where the hardware has no such units.
        has_nvlink: cards of the kind can be linked (a bridge may still be missing).
        is_unified: memory shared with the CPU.
        source: where bandwidth and arithmetic were read.
    """

    name: str
    memory_bytes: int
    bandwidth: float
    flops_16bit: float
    flops_fp8: float
    flops_fp4: float
    compute_capability: str
    has_nvlink: bool
    is_unified: bool
    source: str

    def flops(self, quantization: str) -> float:
        """Return the operations per second at the weights' precision, at 16 bits where it has no units for that."""
        if "fp4" in quantization:
            return self.flops_fp4 or self.flops_16bit
        return (self.flops_fp8 if "fp8" in quantization else 0) or self.flops_16bit


def plain(name: str) -> str:
    """Return a name as the table's patterns expect it: lower case, one space between words, also in rtx3090."""
    words = re.sub(r"[-_/()\[\],]", " ", name.lower().replace("geforce", ""))
    return " ".join(re.sub(r"\b([rg]tx)(?=[a\d])", r"\1 ", words).split())


NAMED = re.compile(r"\b(\d{1,3})(?: ?gb?|[abcq])\b")
"""How a name says its memory (GB), for variants that the table does not have, and shares of a card that a hypervisor
lends (vGPU: A40-24Q)."""

LIKE_THE_TABLE = 0.2


def _named(card: str, usual: float) -> float:
    """Return the memory (GiB) of a card: the table's, or what its name says where that is far from it.

    A GH200 is called after the memory of its CPU.
    """
    said = NAMED.search(card)
    if said is None or "gh200" in card or abs(int(said.group(1)) - usual) <= LIKE_THE_TABLE * usual:
        return usual
    return 0.98 * int(said.group(1))


@functools.cache
def lookup(name: str) -> GpuModel | None:
    """Return the row for a GPU's name as nvidia-smi prints it, or None for an unknown one.

    A MIG slice has its own memory, and its share of the card's bandwidth and arithmetic.
    """
    words = plain(name)
    card = words.partition(" mig ")[0]
    found = next((row for row in cards.GPUS if re.search(row[0], card)), None)
    if found is None:
        return None
    model = GpuModel(
        name=name,
        memory_bytes=int(_named(card, found[1]) * GIB),
        bandwidth=found[2] * 1e9,
        flops_16bit=found[3] * 1e12,
        flops_fp8=found[4] * 1e12,
        flops_fp4=found[5] * 1e12,
        compute_capability=found[6],
        has_nvlink=found[7],
        is_unified=found[8],
        source=found[9],
    )
    slice_of = re.search(cards.MIG_PATTERN, words)
    if slice_of is None:
        return model
    share = int(slice_of.group(1)) / cards.MIG_SLICES
    memory = min(int(int(slice_of.group(2)) * cards.MIG_USABLE * GIB), model.memory_bytes)
    return replace(
        model,
        memory_bytes=memory,
        bandwidth=model.bandwidth * min(1.0, memory / model.memory_bytes),
        flops_16bit=model.flops_16bit * share,
        flops_fp8=model.flops_fp8 * share,
        flops_fp4=model.flops_fp4 * share,
        has_nvlink=False,
    )


SWITCHED = re.compile(r"\b(v100|a100|a800|h100|h800|h200|h20|b100|b200|b300|gb200|gb300)\b")

BRIDGED = re.compile(r"\b(pcie|nvl)\b")


@functools.cache
def is_switched(name: str) -> bool:
    """Whether GPUs are taken as joined by NVLink where nobody has looked: server boards are, cards are not."""
    words = plain(name)
    row = lookup(name)
    return bool(row and row.has_nvlink and SWITCHED.search(words) and not BRIDGED.search(words))
