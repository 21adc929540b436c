# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one change of the wishes or of the hardware would give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from . import compatibility, releases
from .choice import LEAN_SEQUENCES, LEAN_TOKENS, Evaluation, choose
from .explanation import conversations
from .layout import obstacle
from .situation import Situation
from .wishes import DISTRIBUTED, Wishes

FULLEST = 0.95
"""Highest share of a GPU's memory that is offered."""

FP8_CACHE_SINCE = (8, 9)
"""Compute capability from which an fp8 KV cache is offered: the first with fp8 arithmetic."""

NOTABLY = 1.1
"""How much more a larger share or fewer requests must give to be offered where the plan fits."""

FEWEST = 16
"""No fewer requests at once are offered."""

SHORTEST = 2048
"""No shorter conversations are offered."""

VARIANTS = (("an FP8 variant", "fp8", 8.0), ("a 4-bit variant", "awq", 4.16))
"""Published variants that may exist: in words, vLLM's name, and bits per weight."""

COUNTS = (1, 2, 3, 4, 6, 8, 16)
"""Numbers of GPUs that servers have."""


@dataclass(frozen=True)
class Alternative:
    """One change, by the names of the options, and what it would give."""

    change: Mapping[str, object]
    gives: str


def describe(change: Mapping[str, object]) -> str:
    """Return a change in words."""
    return ", ".join(f"{name}: {value}" for name, value in change.items())


def alternatives(situation: Situation, wishes: Wishes, chosen: Evaluation) -> list[Alternative]:
    """Return what else would do: for a plan that falls short what would fit, for one that fits what would give more."""
    return list({describe(one.change): one for one in _alternatives(situation, wishes, chosen)}.values())


def _alternatives(situation: Situation, wishes: Wishes, chosen: Evaluation) -> Iterator[Alternative]:
    if chosen.serves(wishes.users or 1):
        if situation.nodes and not chosen.serves_surely(wishes.users or 1):
            yield from _other_settings(situation, wishes, chosen)
            yield from _other_models(situation, wishes, chosen)
        yield from _more(situation, wishes, chosen)
        return
    if chosen.held >= 1:
        yield Alternative({"users": int(chosen.held)}, _gives(chosen))
    yield from _shorter(situation, wishes, chosen)
    if situation.nodes:
        yield from _other_settings(situation, wishes, chosen)
        yield from _other_models(situation, wishes, chosen)
        yield from _more_gpus(situation, wishes, chosen)


def _gives(found: Evaluation) -> str:
    return conversations(found)


def _instead(
    change: Mapping[str, object], situation: Situation, wishes: Wishes, chosen: Evaluation
) -> Iterator[Alternative]:
    """Yield a change where it serves the wish, or where without it not even one conversation fits."""
    found = choose(situation, wishes)
    if found is None or not found.serves(1):
        return
    if found.serves(wishes.users or 1):
        yield Alternative(change, _gives(found))
    elif chosen.held < 1:
        yield Alternative({**change, "users": int(found.held)}, _gives(found))


def _can_cache_fp8(situation: Situation, wishes: Wishes) -> bool:
    return wishes.kv_cache_dtype is None and all(
        device.compute_capability and device.capability >= FP8_CACHE_SINCE for device in situation.devices
    )


def _other_settings(situation: Situation, wishes: Wishes, chosen: Evaluation) -> Iterator[Alternative]:
    if _can_cache_fp8(situation, wishes):
        yield from _instead({"kv_cache_dtype": "fp8"}, situation, replace(wishes, kv_cache_dtype="fp8"), chosen)
    usual = chosen.settings
    if wishes.max_num_seqs is None and wishes.max_num_batched_tokens is None and wishes.fix_steps:
        seqs, tokens = min(usual.max_num_seqs, LEAN_SEQUENCES), min(usual.max_num_batched_tokens, LEAN_TOKENS)
        smaller = replace(wishes, max_num_seqs=seqs, max_num_batched_tokens=tokens)
        yield from _instead({"max_num_seqs": seqs, "max_num_batched_tokens": tokens}, situation, smaller, chosen)
    if (wishes.gpu_memory_utilization or 0) < FULLEST and not _is_shared(situation):
        fuller = replace(wishes, gpu_memory_utilization=FULLEST)
        yield from _instead({"gpu_memory_utilization": FULLEST}, situation, fuller, chosen)
    if situation.model.is_mla and situation.model.experts and not _is_split_wished(wishes):
        there = len(situation.nodes[0])
        apart = replace(wishes, tensor_parallel_size=1, pipeline_parallel_size=1, data_parallel_size=there)
        yield from _instead({"tensor_parallel_size": 1, "data_parallel_size": there}, situation, apart, chosen)
    if _is_split_wished(wishes):
        change = {name: "auto" for name in DISTRIBUTED if getattr(wishes, name)}
        yield from _instead(change, situation, _undistributed(wishes), chosen)


def _is_split_wished(wishes: Wishes) -> bool:
    return any(getattr(wishes, name) for name in DISTRIBUTED)


def _is_shared(situation: Situation) -> bool:
    return any(device.used_bytes or device.is_unified for device in situation.devices)


def _undistributed(wishes: Wishes) -> Wishes:
    return replace(wishes, tensor_parallel_size=None, pipeline_parallel_size=None, data_parallel_size=None)


def _shorter(situation: Situation, wishes: Wishes, chosen: Evaluation) -> Iterator[Alternative]:
    """Yield the longest conversations that would fit."""
    if not wishes.context and not wishes.max_model_len:
        return
    name = "context" if wishes.context and (chosen.budget.fits or not wishes.max_model_len) else "max_model_len"
    free = replace(wishes, context=None, max_model_len=None)
    found = choose(situation, free)
    if found is None or not found.serves(wishes.users or 1) or found.context < SHORTEST:
        found = choose(situation, replace(free, users=None)) if chosen.held < 1 else None
    if found is None or not found.serves(1):
        return
    change: dict[str, object] = {name: found.context}
    if not found.serves(wishes.users or 1):
        change["users"] = int(found.held)
    yield Alternative(change, _gives(found))


def _other_models(situation: Situation, wishes: Wishes, chosen: Evaluation) -> Iterator[Alternative]:
    model = situation.model
    if model.quantization or wishes.quantization or model.dtype == "float32":
        return
    for words, method, bits in VARIANTS:
        if not _runs(situation, method):
            continue
        smaller = replace(model, quantization=method, quantized_bits=bits, weights_bytes=0, weights_estimated=True)
        yield from _instead({"model": words}, replace(situation, model=smaller, known={}), wishes, chosen)


def _runs(situation: Situation, method: str) -> bool:
    """Whether all GPUs run weights of a method in this version."""
    if situation.number < releases.OLDEST:
        return False
    low = compatibility.lowest_capability(situation.version, compatibility.Precision(method, method))
    return all(compatibility.capability_of(device) >= low for device in situation.devices)


def _more_gpus(situation: Situation, wishes: Wishes, chosen: Evaluation) -> Iterator[Alternative]:
    node = situation.nodes[0]
    if len(situation.nodes) > 1 or any(device.is_slice or device.is_unified for device in node):
        return
    budget = chosen.budget
    least = max(len(node), budget.weights * chosen.candidate.engine_size // max(1, budget.usable))
    for count in (count for count in COUNTS if count > least):
        peers = None if node[0].peers is None else frozenset(range(count)) if node[0].peers else frozenset()
        more = tuple(
            replace(node[0], index=number, handle=str(number), used_bytes=0, peers=peers) for number in range(count)
        )
        found = choose(replace(situation, nodes=(more,)), _undistributed(wishes))
        if found and found.serves(wishes.users or 1):
            yield Alternative({"gpus": f"{count} x {node[0].name}"}, _gives(found))
            return


def _more(situation: Situation, wishes: Wishes, chosen: Evaluation) -> Iterator[Alternative]:
    """Yield what gives more than a plan that fits."""
    if not situation.nodes:
        return
    if _can_cache_fp8(situation, wishes) and not situation.model.kv_cache_quantization:
        found = _same(situation, replace(wishes, kv_cache_dtype="fp8"), chosen)
        if found and found.held > chosen.held:
            yield Alternative({"kv_cache_dtype": "fp8"}, _gives(found))
    yield from _fuller(situation, wishes, chosen)
    yield from _split_instead(situation, wishes, chosen)
    there = situation.gpu_count
    candidate = chosen.candidate
    if wishes.users and wishes.data_parallel_size is None and there >= candidate.gpu_count + candidate.engine_size:
        more = replace(wishes, data_parallel_size=there // candidate.engine_size)
        found = _same(situation, more, chosen)
        if found:
            yield Alternative({"data_parallel_size": found.candidate.data_parallel_size}, _gives(found))


def _fuller(situation: Situation, wishes: Wishes, chosen: Evaluation) -> Iterator[Alternative]:
    """Yield a larger share of the memory, and fewer requests at once, where they give notably more."""
    usual = chosen.settings
    fixed = wishes.gpu_memory_utilization is not None
    if not fixed and usual.gpu_memory_utilization < FULLEST and not _is_shared(situation):
        found = _same(situation, replace(wishes, gpu_memory_utilization=FULLEST), chosen)
        if found and found.held >= NOTABLY * chosen.held:
            yield Alternative({"gpu_memory_utilization": FULLEST}, _gives(found))
    each = max(FEWEST, int(chosen.held) // chosen.candidate.data_parallel_size)
    if wishes.max_num_seqs is None and each < usual.max_num_seqs // 2:
        found = _same(situation, replace(wishes, max_num_seqs=each), chosen)
        if found and found.held >= NOTABLY * chosen.held:
            yield Alternative({"max_num_seqs": each}, _gives(found))


def rival(situation: Situation, wishes: Wishes, chosen: Evaluation) -> Evaluation | None:
    """Return the other split of one node's GPUs without NVLink: tensor parallelism for stages, stages for it.

    Where their number does not divide the model, as many of them as do.
    """
    candidate, size = chosen.candidate, chosen.candidate.engine_size
    if size == 1 or candidate.nodes_per_engine > 1 or candidate.is_all_linked or _is_split_wished(wishes):
        return None
    if candidate.pipeline_parallel_size == 1:
        return _same(situation, replace(wishes, tensor_parallel_size=1, pipeline_parallel_size=size), chosen)
    fitting = [fewer for fewer in range(size, 1, -1) if not obstacle(situation.shape, fewer)]
    for fewer in fitting[:1]:
        split = replace(wishes, tensor_parallel_size=fewer, pipeline_parallel_size=1)
        found = _same(situation, split, chosen) or choose(situation, split)
        return found if found is not None and found.serves(wishes.users or 1) else None
    return None


def _split_instead(situation: Situation, wishes: Wishes, chosen: Evaluation) -> Iterator[Alternative]:
    """Yield tensor parallelism where pipeline stages were chosen within one node."""
    found = rival(situation, wishes, chosen) if chosen.candidate.pipeline_parallel_size > 1 else None
    if found and found.estimate and chosen.estimate:
        size = found.candidate.tensor_parallel_size
        yield Alternative(
            {"tensor_parallel_size": size, "pipeline_parallel_size": 1},
            f"{_gives(found)}; about {found.estimate.decode_alone:g} tokens/s alone and {found.estimate.decode_full:g} "
            f"for all together, instead of {chosen.estimate.decode_alone:g} and {chosen.estimate.decode_full:g}",
        )


def _same(situation: Situation, wishes: Wishes, chosen: Evaluation) -> Evaluation | None:
    """Try a change with the engine and the lengths of the chosen plan."""
    found = choose(
        situation,
        replace(
            wishes,
            tensor_parallel_size=wishes.tensor_parallel_size or chosen.candidate.tensor_parallel_size,
            pipeline_parallel_size=wishes.pipeline_parallel_size or chosen.candidate.pipeline_parallel_size,
            max_model_len=chosen.settings.max_model_len,
            context=chosen.context,
        ),
    )
    return found if found is not None and found.serves(wishes.users or 1) else None
