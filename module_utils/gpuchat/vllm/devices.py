# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs that are there, read from a task's options and told once for all that plan with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..core.errors import Refusal
from ..core.units import GIB, MIB
from ..gpu import cards
from ..gpu.accelerator import no_mig_devices
from .facts.memory import LINKED_CAPABILITIES
from .options import AUTO, amount, whole

OWN = "vllm"
"""Is in the names of vLLM's processes, ``VLLM::EngineCore`` and ``VLLM::Worker_TP0`` among them."""

NOMINAL = 1.12
"""How far above CUDA's own figure a GPU's nominal memory may lie: 24 GiB are sold as such, 23.5 are usable. The driver
reports the nominal one in whole MiB."""

OTHERS = re.compile(r"\b(AMD|Radeon|Instinct|MI[23][0-9]{2}X?|Intel|Arc|Gaudi|Apple|Ascend|TPU)\b", re.IGNORECASE)
"""Words in the names of accelerators that NVIDIA has not made."""

UNIT, TIMES = r"(?!GB|GiB|G\b)", "*\u00d7"
COUNTED = (
    re.compile(rf"(?P<count>[0-9]{{1,3}})(\s*[xX{TIMES}]\s*|\s+{UNIT}(?=[A-Za-z]))(?P<card>\S.*)"),
    re.compile(rf"(?P<card>.*?[^\s(])\s*\(?((?<![A-Za-z])[xX]|(?<=[A-Z])x|[{TIMES}])\s*(?P<count>[0-9]{{1,3}})\)?"),
)
"""Names that say how many cards there are, as people write ``2x RTX 3090`` or ``RTX 3090 x2``; no driver does."""

MOST_OF_A_HOST = 256
"""GPUs of one kind; no host has as many, and a plan of many more would not end."""

LIKELY_CAPABILITY = "8.0"
"""What the memory is estimated for where nobody knows the compute capability."""


@dataclass(frozen=True)
class Device:
    """One GPU, or one slice of a GPU.

    Attributes:
        memory_bytes: as CUDA reports it.
        compute_capability: as text, such as 8.9; empty where nobody knows it.
        used_bytes: what other processes hold.
        index: as the driver counts them on its host.
        peers: indices of the GPUs on the same host that it reaches over NVLink; None where nobody has looked.
        is_slice: one of several MIG devices of a GPU.
        is_unified: its memory is the host's.
        handle: by what a container is given it: the index, or a slice's UUID.
    """

    name: str
    memory_bytes: int
    compute_capability: str = ""
    used_bytes: int = 0
    index: int = 0
    peers: frozenset[int] | None = None
    is_slice: bool = False
    is_unified: bool = False
    handle: str = ""

    @property
    def likely_capability(self) -> str:
        return self.compute_capability or LIKELY_CAPABILITY

    @property
    def capability(self) -> tuple[int, int]:
        """The likely compute capability, to compare."""
        major, _dot, minor = self.likely_capability.partition(".")
        return int(major or 0), int(minor or 0)

    @property
    def is_linked(self) -> bool:
        """Whether NVLink joins it with others: seen, or as its kind usually is where nobody has looked."""
        if self.peers is not None:
            return bool(self.peers)
        return self.likely_capability in LINKED_CAPABILITIES and "pcie" not in self.name.lower()


Nodes = tuple[tuple[Device, ...], ...]


def read_gpus(value: object) -> Nodes:
    """Read the GPUs: a list for one node, a list of lists for several; none mean the CPU.

    Raises:
        Refusal: an entry that is no GPU, or one whose memory nobody knows.
    """
    if not isinstance(value, (list, tuple)):
        raise Refusal(f"gpus is {value!r}; wanted a list of GPUs, or a list of such lists; set gpus to one")
    nested = [isinstance(one, (list, tuple)) for one in value]
    if any(nested) and not all(nested):
        raise Refusal(
            "gpus holds GPUs and lists of GPUs; wanted one list for one node, or one list for each node; set gpus to "
            "either"
        )
    nodes = value if any(nested) else [value]
    read = tuple(tuple(device for one in node for device in _devices(one)) for node in nodes)
    if any(nested) and not all(read):
        raise Refusal("gpus holds an empty list; wanted at least one GPU on each node; take the node without GPU away")
    return tuple(_numbered(node) for node in read if node)


def _devices(one: object) -> list[Device]:
    if not isinstance(one, Mapping) or not isinstance(one.get("name"), str) or not one["name"]:
        raise Refusal(
            f"gpus holds {one!r}; wanted a mapping such as {{name: NVIDIA L40S, memory_bytes: 47697362944}}; set gpus "
            "to a list of these"
        )
    if one.get("fault"):
        raise Refusal(f"the GPU {one['name']!r} has a fault: {one['fault']}; wanted sound ones; take it out of gpus")
    slices = [piece for piece in one.get("mig_devices") or [] if isinstance(piece, Mapping)]
    if slices:
        return [_device({**one, **_told(piece), "nvlink_peers": []}, is_slice=True) for piece in slices]
    if one.get("mig_mode") == "enabled":
        raise Refusal(no_mig_devices(amount("gpus[].index", one.get("index") or 0)) + ", or leave it out of gpus")
    counted = next(filter(None, (form.fullmatch(one["name"].strip()) for form in COUNTED)), None)
    if counted:
        raise Refusal(
            f"the GPU {one['name']!r} has a count in its name; wanted the name of one card, and how many there are "
            f"beside it; set gpus to such as [{{name: {counted['card']}, count: {counted['count']}}}]"
        )
    count = whole("gpus[].count", one["count"]) if "count" in one else 1
    if count > MOST_OF_A_HOST:
        raise Refusal(f"gpus[].count is {count}; wanted up to {MOST_OF_A_HOST} of one host; set gpus[].count to those")
    return [_device(one, is_slice=" MIG " in f" {one['name']} ")] * count


def _told(facts: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in facts.items() if value is not None}


def _device(one: Mapping[str, object], is_slice: bool) -> Device:
    name = str(one["name"])
    known = cards.lookup(name)
    if known is None and OTHERS.search(name):
        raise Refusal(
            f"the GPU {name!r} is another maker's, which gpuchat does not serve yet; wanted NVIDIA GPUs, or none for "
            "the CPU; take it out of gpus"
        )
    memory, given = _memory(name, one.get("memory_bytes"), known, is_slice)
    free, peers = one.get("memory_free_bytes"), one.get("nvlink_peers")
    return Device(
        index=amount("gpus[].index", one["index"]) if one.get("index") is not None else -1,
        name=name,
        memory_bytes=memory,
        compute_capability=_capability(name, one.get("compute_capability"))
        or (known.compute_capability if known else ""),
        used_bytes=max(0, given - amount("gpus[].memory_free_bytes", free) - _own(one)) if free is not None else 0,
        peers=frozenset(map(_peer, peers)) if isinstance(peers, (list, tuple)) else None,
        is_slice=is_slice,
        is_unified=bool(one.get("memory_is_shared")) or bool(known and known.is_unified),
        handle=str(one.get("uuid") or "") if is_slice else "",
    )


def _memory(name: str, given: object, known: cards.GpuModel | None, is_slice: bool) -> tuple[int, int]:
    """Return a GPU's memory as CUDA will report it, and as it was given; a slice's is reported as it is."""
    if given is None and known is None:
        raise Refusal(
            f"the GPU {name!r} is not in the table and its memory_bytes is not given; wanted its memory in bytes; add "
            "memory_bytes to it under gpus"
        )
    memory = whole("gpus[].memory_bytes", given) if given is not None or known is None else known.memory_bytes
    if memory < GIB:
        raise Refusal(
            f"the GPU {name!r} has memory_bytes {memory}, less than 1 GiB; wanted bytes; give its memory in bytes"
        )
    is_nominal = memory % MIB == 0 and not is_slice
    if known is not None and is_nominal and known.memory_bytes < memory <= known.memory_bytes * NOMINAL:
        return known.memory_bytes, memory
    return memory, memory


def _own(one: Mapping[str, object]) -> int:
    """Return what a running vLLM holds, which is to make room for the planned one."""
    processes = one.get("processes")
    found = [process for process in processes if isinstance(process, Mapping)] if isinstance(processes, list) else []
    own = [process.get("memory_bytes") or 0 for process in found if OWN in str(process.get("name")).lower()]
    return sum(amount("gpus[].processes[].memory_bytes", size) for size in own)


def _peer(peer: object) -> int:
    return amount("gpus[].nvlink_peers[]", peer.get("index") if isinstance(peer, Mapping) else peer)


def _capability(name: str, value: object) -> str:
    if value in AUTO:
        return ""
    parts = [str(part) for part in value] if isinstance(value, (list, tuple)) else str(value).split(".")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise Refusal(
            f"the GPU {name!r} has compute_capability {value!r}; wanted a text such as '8.9'; fix it under gpus"
        )
    return ".".join(parts)


def _numbered(node: Sequence[Device]) -> tuple[Device, ...]:
    given = [device.index for device in node]
    whole_ones = [device.index for device in node if not device.is_slice]  # slices share the number of their GPU
    if min(given) < 0 or len(set(whole_ones)) < len(whole_ones):
        node = [replace(device, index=number) for number, device in enumerate(node)]
    return tuple(replace(device, handle=device.handle or str(device.index)) for device in node)
