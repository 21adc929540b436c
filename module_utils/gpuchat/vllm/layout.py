# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which ways a model can be spread over the GPUs that are there.

Sources: vLLM's own checks (``ModelConfig.verify_with_parallel_config``, ``VocabParallelEmbedding``,
``validate_fp8_block_shape``); its guide to parallelism, which recommends pipeline stages where GPUs have no NVLink or
their number does not divide the model; NVIDIA's MIG user guide (one process sees one MIG device, and MIG devices have
no peer-to-peer access).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..core.units import GIB
from . import memory
from .devices import Device, Nodes
from .wishes import Wishes, number

VOCABULARY_PADDING = 64
"""vLLM rounds the vocabulary up to a multiple of this before it splits it."""

UNIFIED_RESERVE = 0.2
"""Share that the system needs on a machine whose GPU shares its memory: of a GB10's 119.7 GiB reports find 101 to 102
free, and recipes use 0.5 to 0.8."""


@dataclass(frozen=True)
class Shape:
    """The widths of a model that must divide.

    Attributes:
        key_heads: 0 where all GPUs hold the same latent cache.
        inner_widths: of feed-forward layers without experts, and of the experts that every token wakes.
        plain_widths: the same of those that a quantized model leaves at 16 bits.
        expert_width: of one of the routed experts.
        block: how many neighbouring weights share a scale along the split, 1 where none do.
        has_stages: whether vLLM can cut the model into pipeline stages.
        state_heads, state_groups: of layers that keep a state; groups may also be one, which each GPU then has.
        cut_heads: of encoders of images or sound.
        may_stay_whole: whether each GPU may hold all of them instead (``mm-encoder-tp-mode``).
    """

    heads: int
    key_heads: int
    layers: int
    vocabulary: int
    head_size: int = 1
    inner_widths: tuple[int, ...] = ()
    plain_widths: tuple[int, ...] = ()
    expert_width: int = 0
    experts: int = 0
    block: int = 1
    state_heads: tuple[int, ...] = ()
    state_groups: int = 1
    has_stages: bool = True
    cut_heads: tuple[int, ...] = ()
    may_stay_whole: bool = False


@dataclass(frozen=True)
class Candidate:
    """One way to spread the model.

    Attributes:
        devices: for each node, the GPUs used on it, in the order of the ranks; the others stay idle.
        nodes_per_engine: 1 unless an engine's pipeline spans nodes.
        is_linked: NVLink joins all GPUs of each tensor-parallel group.
    """

    tensor_parallel_size: int
    pipeline_parallel_size: int
    data_parallel_size: int
    expert_parallel: bool
    devices: Nodes
    nodes_per_engine: int = 1
    is_linked: bool = True

    @property
    def engine_size(self) -> int:
        return self.tensor_parallel_size * self.pipeline_parallel_size

    @property
    def gpu_count(self) -> int:
        return self.engine_size * self.data_parallel_size

    @functools.cached_property
    def replicas_by_node(self) -> tuple[int, ...]:
        """How many engines run on each node that is used; each node's make one server."""
        if self.nodes_per_engine > 1:
            return (1,) * len(self.devices)
        return tuple(max(1, len(used) // self.engine_size) for used in self.devices)

    @property
    def is_all_linked(self) -> bool:
        """Whether NVLink joins all GPUs of an engine on one node, so that its split is no question of speed."""
        return self.is_linked and self.pipeline_parallel_size == 1

    @functools.cached_property
    def all_devices(self) -> tuple[Device, ...]:
        return tuple(device for node in self.devices for device in node)

    @functools.cached_property
    def weakest(self) -> Device:
        """The GPU that decides: the one with the least memory that nobody else holds, then with the least at all."""
        return min(self.all_devices, key=lambda one: (one.memory_bytes - one.used_bytes, one.memory_bytes))

    @functools.cached_property
    def free_share(self) -> float:
        """The share of each GPU's memory that others leave to vLLM, in hundredths."""
        return min(map(_free_share, self.all_devices))


@functools.lru_cache(maxsize=256)
def _free_share(device: Device) -> float:
    others = -(-device.used_bytes // GIB) * GIB  # whole GiB, so that a plan does not change with each small process
    taken = max(others + memory.context_bytes(device), UNIFIED_RESERVE * device.memory_bytes * device.is_unified)
    return max(0.01, math.floor((device.memory_bytes - taken) / device.memory_bytes * 100) / 100)


def obstacle(shape: Shape, tp: int) -> str:
    """Return why the model cannot be split over ``tp`` GPUs, or an empty text."""
    vocabulary = -(-shape.vocabulary // VOCABULARY_PADDING) * VOCABULARY_PADDING
    uneven = _uneven_heads(shape, tp)
    if uneven:
        return uneven
    if vocabulary % tp:
        return f"its vocabulary of {shape.vocabulary} does not divide by {tp}"
    for width in (*shape.inner_widths, *shape.plain_widths):
        if width % tp:
            return f"its feed-forward width of {width} does not divide by {tp}"
        if width in shape.inner_widths and tp > 1 and (width // tp) % shape.block:
            return f"its feed-forward width of {width} in {tp} parts is no multiple of {shape.block}"
    if tp > 1 and (shape.heads * shape.head_size // tp) % shape.block and shape.head_size > 1:
        return f"its attention's output in {tp} parts is no multiple of its blocks of {shape.block}"
    return ""


def _uneven_heads(shape: Shape, tp: int) -> str:
    for heads in shape.state_heads:
        if heads % tp:
            return f"its {heads} heads of states do not divide by {tp}"
    if shape.state_groups > 1 and shape.state_groups % tp:  # MambaMixer2 of vllm/model_executor/layers/mamba
        return f"its {shape.state_groups} groups of Mamba heads do not divide by {tp}"
    if shape.heads % tp:
        return f"its {shape.heads} attention heads do not divide by {tp}"
    if shape.key_heads and shape.key_heads % tp and tp % shape.key_heads:
        return f"its {shape.key_heads} key heads neither divide by {tp} nor into it"
    for heads in shape.cut_heads:
        if heads % tp:
            whole = " (mm-encoder-tp-mode: data in args leaves it whole)" if shape.may_stay_whole else ""
            return f"the {heads} heads of its encoder of images or sound do not divide by {tp}{whole}"
    return ""


def needs_expert_parallel(shape: Shape, tp: int) -> bool:
    """Whether the experts cannot be split over ``tp`` GPUs, but dealt out whole."""
    if not shape.experts or tp == 1:
        return False
    return bool(shape.expert_width % tp or (shape.expert_width // tp) % shape.block)


def deals_experts(shape: Shape, tp: int, wishes: Wishes) -> bool:
    """Whether experts are dealt out whole, as is wished or as they cannot be split."""
    is_wished = shape.experts and wishes.extra_args.get("enable-expert-parallel")
    return bool(is_wished) or needs_expert_parallel(shape, tp)


def context_ranks(wishes: Wishes) -> int:
    """Return how many GPUs are to share out each conversation's cache among them."""
    return number(wishes.extra_args.get("decode-context-parallel-size")) or 1


def context_obstacle(shape: Shape, tp: int, wishes: Wishes) -> str:
    """Return why ``tp`` GPUs cannot share out each conversation's cache as is wished, or an empty text.

    Source: verify_with_parallel_config of vllm/config/model.py: what has key heads is shared out among GPUs that would
    hold copies of them.
    """
    ranks = context_ranks(wishes)
    if ranks == 1:
        return ""
    if tp % ranks:
        return f"{tp} GPUs do not divide by it"
    keys = shape.key_heads
    if keys and (tp // keys < ranks or (shape.heads // keys) % ranks):
        return f"{tp} GPUs do not hold {ranks} copies of each of the model's {keys} key heads"
    return ""


def islands(node: Sequence[Device], assumed: bool) -> list[list[Device]]:
    """Return the sets of GPUs of one node that NVLink joins pairwise, the largest first.

    Args:
        node: the GPUs.
        assumed: whether GPUs that nobody has looked at are taken as joined (their model says so).
    """
    left, found = list(node), []
    while left:
        first = left.pop(0)
        island = [first]
        for other in list(left):
            if all(_joined(one, other, assumed) for one in island):
                island.append(other)
                left.remove(other)
        found.append(island)
    return sorted(found, key=len, reverse=True)


def _joined(one: Device, other: Device, assumed: bool) -> bool:
    if one.is_slice or other.is_slice:
        return False
    if one.peers is None or other.peers is None:
        return assumed
    return other.index in one.peers


def in_order(node: Sequence[Device], assumed: bool) -> list[Device]:
    """Return a node's GPUs with the roomiest first, and those that NVLink joins side by side."""
    if all(device.peers is None and device.memory_bytes == node[0].memory_bytes for device in node):
        return list(node)
    rooms = sorted({device.memory_bytes for device in node}, reverse=True)
    alike = [[device for device in node if device.memory_bytes == room] for room in rooms]
    return [device for same in alike for island in islands(same, assumed) for device in island]


def candidates(shape: Shape, nodes: Nodes, wishes: Wishes, assumed_nvlink: bool) -> Iterator[Candidate]:
    """Yield every sensible layout without replicas, the fewest GPUs first.

    Tensor parallelism where NVLink joins the GPUs; where it does not, pipeline stages, tensor parallelism, and both. A
    pipeline spans nodes only where no node alone has enough GPUs, and a tensor-parallel group only where
    that is wished.
    """
    rows = [in_order(node, assumed_nvlink) for node in nodes]
    most = max(len(row) for row in rows)
    if any(device.is_slice for row in rows for device in row):
        most = 1
    for size in range(1, most + 1):
        fitting = [row[:size] for row in rows if len(row) >= size]
        best = max(fitting, key=lambda row: min(device.memory_bytes - device.used_bytes for device in row))
        for tp, pp in _splits(shape, best, wishes, assumed_nvlink, is_whole=size == most):
            linked = tp == 1 or _groups_linked(best, tp, assumed_nvlink)
            yield Candidate(tp, pp, 1, deals_experts(shape, tp, wishes), (tuple(best),), 1, linked)
    for count in range(2, len(rows) + 1):
        largest = sorted(rows, key=len, reverse=True)[:count]
        width = min(len(row) for row in largest)
        wished = wishes.tensor_parallel_size or 0
        if wished > most and not wished % count and wished // count <= width and _allowed(shape, wished, 1, wishes):
            used = tuple(tuple(row[: wished // count]) for row in largest)
            yield Candidate(wished, 1, 1, deals_experts(shape, wished, wishes), used, count, is_linked=False)
            continue
        for tp in range(width, 0, -1):
            pp = count * (width // tp)
            if _allowed(shape, tp, pp, wishes) and (wishes.tensor_parallel_size or not width % tp):
                used = tuple(tuple(row[: tp * (width // tp)]) for row in largest)
                linked = tp == 1 or all(_groups_linked(row, tp, assumed_nvlink) for row in used)
                yield Candidate(tp, pp, 1, deals_experts(shape, tp, wishes), used, count, linked)
                break


def over_cpus(shape: Shape, cpu: Device, hosts: int, wishes: Wishes) -> Iterator[Candidate]:
    """Yield the layout of an engine with a process on each of some hosts without GPU.

    Tensor parallelism, by which each holds its part of every layer; pipeline stages where that does not divide.
    """
    for tp, pp in ((hosts, 1), (1, hosts)):
        if _allowed(shape, tp, pp, wishes):
            yield Candidate(tp, pp, 1, deals_experts(shape, tp, wishes), ((cpu,),) * hosts, hosts, is_linked=False)
            return


def _allowed(shape: Shape, tp: int, pp: int, wishes: Wishes) -> bool:
    return (
        wishes.tensor_parallel_size in (None, tp)
        and wishes.pipeline_parallel_size in (None, pp)
        and not obstacle(shape, tp)
        and not context_obstacle(shape, tp, wishes)
        and pp <= (shape.layers if shape.has_stages else 1)
    )


def _splits(
    shape: Shape, row: Sequence[Device], wishes: Wishes, assumed: bool, *, is_whole: bool
) -> list[tuple[int, int]]:
    """Return (tensor, pipeline) sizes whose product is the number of some GPUs.

    Where NVLink joins them, tensor parallelism, and pipeline stages only to use all GPUs of a node; where it does not,
    all, for the estimate of their speed decides.
    """
    size = len(row)
    splits = [(tp, size // tp) for tp in range(size, 0, -1) if size % tp == 0]
    splits = [(tp, pp) for tp, pp in splits if _allowed(shape, tp, pp, wishes)]
    if not _groups_linked(row, size, assumed):
        return splits[::-1]
    if wishes.pipeline_parallel_size is None and not is_whole:
        splits = [(tp, pp) for tp, pp in splits if pp == 1]
    return splits[:1]


def _groups_linked(row: Sequence[Device], tp: int, assumed: bool) -> bool:
    groups = [row[start : start + tp] for start in range(0, len(row) // tp * tp, tp)]
    return all(_joined(one, other, assumed) for group in groups for one in group for other in group if one is not other)


def replicated(
    shape: Shape, candidate: Candidate, nodes: Nodes, assumed_nvlink: bool, most: int | None, wished: int | None = None
) -> list[Candidate]:
    """Return a layout with 1, 2, ... replicas, as many as there are GPUs for, and at most ``most``.

    The replicas of a node share out the routed experts, evenly where their number divides the experts; vLLM takes a
    ``wished`` number that does not divide them as well (determine_expert_map).
    """
    rows = [in_order(node, assumed_nvlink) for node in nodes]
    if any(device.is_slice for row in rows for device in row) or candidate.nodes_per_engine > 1:
        return [candidate]
    size = candidate.engine_size
    room = sum(len(row) // size for row in rows)
    counts = range(1, min(room, most or room) + 1)
    spread = (_spread(shape, candidate, rows, count) for count in counts)
    return [
        one
        for one in spread
        if not shape.experts
        or one.data_parallel_size == wished
        or not any(shape.experts % few for few in one.replicas_by_node)
    ]


def _spread(shape: Shape, candidate: Candidate, rows: Sequence[Sequence[Device]], count: int) -> Candidate:
    """Deal replicas out to the nodes evenly; vLLM splits experts over all replicas of a node."""
    size = candidate.engine_size
    shares = [0] * len(rows)
    for _number in range(count):
        open_rows = [n for n, row in enumerate(rows) if (shares[n] + 1) * size <= len(row)]
        shares[min(open_rows, key=lambda n: (shares[n], -rows[n][size - 1].memory_bytes))] += 1
    used = tuple(tuple(row[: share * size]) for row, share in zip(rows, shares) if share)
    return Candidate(
        candidate.tensor_parallel_size,
        candidate.pipeline_parallel_size,
        count,
        candidate.expert_parallel
        or needs_expert_parallel(shape, candidate.tensor_parallel_size * -(-count // len(used))),
        used,
        1,
        candidate.is_linked,
    )
