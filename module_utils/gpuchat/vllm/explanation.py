# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan in words: whether it fits, why it is as it is, and what to beware of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core.units import gib
from . import families
from .choice import Evaluation
from .layout import UNIFIED_RESERVE, Candidate
from .memory import context_bytes
from .situation import Situation
from .wishes import Wishes


def conversations(evaluation: Evaluation) -> str:
    """Return how many conversations fit, in words; of a model that cannot chat, how many texts."""
    count, what = int(evaluation.held), "text" if evaluation.situation.does else "whole conversation"
    return f"{count:,} {what}{'' if count == 1 else 's'} of {evaluation.context:,} tokens"


FREE_DRAFTS = ("ngram", "suffix")
"""Ways of speculative decoding that need no weights of their own."""

BORDERLINE = 0.1
"""Share of the needed KV cache that may be missing where it is within the uncertainty too."""


def _is_borderline(wishes: Wishes, evaluation: Evaluation) -> bool:
    """Whether a wished length falls little short, by less than the estimate may be off: vLLM decides, not the plan."""
    budget = evaluation.budget
    missing = min(budget.uncertainty, BORDERLINE * budget.needed_kv)
    is_close = budget.outcome == "kv_too_small" and 0 < budget.needed_kv - budget.kv_cache < missing
    return is_close and wishes.max_model_len is not None and (wishes.users or 1) == 1


def summary(evaluation: Evaluation) -> str:
    if not evaluation.budget.fits:
        return f"may fit, within the uncertainty of {gib(evaluation.budget.uncertainty)}: {evaluation.budget.reason}"
    settings = evaluation.settings
    running = settings.max_num_seqs * evaluation.candidate.data_parallel_size
    if evaluation.situation.does:
        return (
            f"fits: texts of up to {settings.max_model_len:,} tokens, up to {running:,} of them and "
            f"{settings.max_num_batched_tokens:,} tokens in each batch"
        )
    if running < int(evaluation.held):
        return f"fits: the cache holds {conversations(evaluation)}; {running} run at once"
    return f"fits: {conversations(evaluation)} at once"


def shortfall(wishes: Wishes, evaluation: Evaluation) -> str:
    """Return what does not fit, an empty text where all does."""
    if not evaluation.budget.fits and not _is_borderline(wishes, evaluation):
        return f"the model does not fit: {evaluation.budget.reason}"
    if wishes.users and not evaluation.serves(wishes.users) and not _is_borderline(wishes, evaluation):
        return (
            f"users is {wishes.users} and the KV cache holds {conversations(evaluation)} at once; wanted room for all"
        )
    return ""


def reasons(
    situation: Situation,
    wishes: Wishes,
    evaluation: Evaluation,
    family: families.Family,
    rival: Evaluation | None = None,
) -> Iterator[str]:
    """Say why a plan is as it is.

    Args:
        rival: the other split of the same GPUs, where the estimate of their speed decided.
    """
    candidate, budget = evaluation.candidate, evaluation.budget
    yield from _span_reasons(situation, evaluation)
    yield from _layout_reasons(situation, evaluation)
    yield from _split_reason(evaluation, rival)
    yield from _memory_reasons(situation, evaluation)
    if budget.fits and not wishes.max_model_len and not wishes.context and not situation.does:
        yield _context_reason(situation, evaluation)
    if evaluation.is_lean:
        yield (
            f"steps of {evaluation.settings.max_num_batched_tokens} tokens and {evaluation.settings.max_num_seqs} "
            "sequences, smaller than vLLM's own, leave more to the KV cache"
        )
    if evaluation.is_raised:
        yield (
            f"steps of {evaluation.settings.max_num_batched_tokens} tokens, as this version wants no less than a block "
            "of the model's cache"
        )
    if situation.model.quantization and not wishes.quantization:
        yield f"the weights stay as published: {situation.model.quantization}"
    given = wishes.extra_args
    parsers = (
        ("tool calls", family.tool_call_parser, given.get("tool-call-parser", family.tool_call_parser)),
        ("reasoning", family.reasoning_parser, given.get("reasoning-parser", family.reasoning_parser)),
    )
    own = [f"{what} by the parser {name}" for what, name, told in parsers if name and told == name]
    if own:
        yield "the model's family: " + ", ".join(own)
    yield from (
        f"{what} by {f'the parser {told}' if told else 'no parser'}, as given; the family's is {name}"
        for what, name, told in parsers
        if name and told != name
    )
    if candidate.expert_parallel and not wishes.extra_args.get("enable-expert-parallel"):
        yield "expert parallelism: an expert's width cannot be split so often, so whole experts are dealt out"


def _memory_reasons(situation: Situation, evaluation: Evaluation) -> Iterator[str]:
    budget, has_cache = evaluation.budget, bool(situation.model.kv_layers)
    if situation.nodes:
        left = f"{gib(budget.kv_cache)} are left" if budget.kv_cache >= 0 else f"{gib(-budget.kv_cache)} are missing"
        yield (
            f"on each GPU the weights take {gib(budget.weights)}, activations {gib(budget.activations)}, CUDA graphs "
            f"{gib(budget.cuda_graphs)}, libraries {gib(budget.overhead)}; {left}"
            + (" for the KV cache" if has_cache else "")
        )
    elif has_cache:
        yield f"the KV cache gets the {gib(situation.cpu_kv_cache_bytes)} that it was given"
    if has_cache:
        yield (
            f"the KV cache holds {budget.kv_cache_tokens:,} tokens in each engine: {budget.max_concurrency:.2f} x "
            f"{evaluation.settings.max_model_len:,}"
        )
    else:
        yield "the model sees each text at once and caches nothing"


def _context_reason(situation: Situation, evaluation: Evaluation) -> str:
    length, limit = evaluation.settings.max_model_len, situation.model.longest
    sized = f"conversations are estimated with {evaluation.context:,} tokens each"
    if length == limit:
        return f"{sized}; max-model-len {length} is the model's own longest"
    return f"{sized}; max-model-len {length} (the model's: {limit}) is the longest at which a few whole ones surely fit"


def _split_reason(evaluation: Evaluation, rival: Evaluation | None) -> Iterator[str]:
    """Say by how much one split is estimated to be faster than the other."""
    ours, theirs = evaluation.estimate, rival.estimate if rival else None
    if rival is None or ours is None or theirs is None:
        return
    tp, pp = rival.candidate.tensor_parallel_size, rival.candidate.pipeline_parallel_size
    yield (
        f"estimated to give {ours.decode_alone:g} tokens/s alone and {ours.decode_full:g} for all together, against "
        f"{theirs.decode_alone:g} and {theirs.decode_full:g} "
        + (f"in {pp} pipeline stages" if pp > 1 else f"by tensor parallelism over {tp}")
    )


def _between_replicas(situation: Situation, candidate: Candidate) -> str:
    """Say what replicas have to do with each other.

    Source: docs/serving/data_parallel_deployment.md: the expert layers of all ranks synchronize in each forward pass.
    """
    if situation.model.experts and max(candidate.replicas_by_node) > 1:
        return (
            "they share out the experts, so that each step of one waits for the others of its node; separate engines "
            "would share nothing, and each hold all experts"
        )
    return "they share nothing and need not wait for each other"


def _span_reasons(situation: Situation, evaluation: Evaluation) -> Iterator[str]:
    candidate, hosts = evaluation.candidate, situation.spanned
    if hosts == 1:
        return
    each = f"{gib(evaluation.budget.weights)} of its weights on each {'GPU' if situation.nodes else 'host'}"
    yield f"one engine over {hosts} hosts, as span asks, which hold the model together: {each}"
    if not situation.nodes:
        is_tensor = candidate.tensor_parallel_size > 1
        yield f"tensor parallelism over {hosts} hosts" if is_tensor else f"{hosts} pipeline stages, one on each host"


def _why_stages(situation: Situation) -> str:
    return "for which their network is fast enough" if situation.spanned > 1 else "as no node holds the model alone"


def _layout_reasons(situation: Situation, evaluation: Evaluation) -> Iterator[str]:
    candidate, model = evaluation.candidate, situation.model
    tp, pp, dp = candidate.tensor_parallel_size, candidate.pipeline_parallel_size, candidate.data_parallel_size
    if not situation.nodes:
        yield "no GPU: the plan is for the CPU"
        return
    if tp == pp == 1:
        yield "one GPU holds the model, so that none waits for another"
    if tp > 1 and pp == 1 and candidate.nodes_per_engine > 1:
        yield f"tensor parallelism over {tp} GPUs of {candidate.nodes_per_engine} nodes, as wished"
    elif tp > 1:
        by = "joined by NVLink" if candidate.is_linked else "without NVLink between them, so it costs speed"
        yield f"tensor parallelism over {tp} GPUs of one node, {by}"
    if pp > 1 and candidate.nodes_per_engine > 1:
        yield f"{pp} pipeline stages over {candidate.nodes_per_engine} nodes, {_why_stages(situation)}"
    elif pp > 1:
        yield f"{pp} pipeline stages: they need little between GPUs without NVLink, or whose number does not divide"
    if not model.is_mla and tp > model.kv_heads:
        yield f"the model's {model.kv_heads} key heads are copied, {tp // model.kv_heads} times each, over {tp} GPUs"
    if dp > 1:
        yield f"{dp} replicas rather than a wider split: {_between_replicas(situation, candidate)}"
    used = candidate.all_devices
    if len({device.memory_bytes for device in used}) > 1:
        weakest = candidate.weakest
        yield f"the GPUs differ, and the smallest decides: {weakest.name} with {gib(weakest.memory_bytes)}"
    share = evaluation.settings.gpu_memory_utilization
    if any(device.used_bytes for device in used) and share < evaluation.usual_share:
        most = max(device.used_bytes for device in used)
        yield f"gpu-memory-utilization {share:g} leaves what other processes hold on a GPU, {gib(most)}"
    if any(device.is_unified for device in used) and share < evaluation.usual_share:
        yield f"gpu-memory-utilization {share:g} leaves memory to the system, which shares it with the GPU"


def warnings(situation: Situation, wishes: Wishes, evaluation: Evaluation) -> Iterator[str]:
    candidate, users = evaluation.candidate, wishes.users or 1
    if situation.nodes:
        yield from _memory_warnings(wishes, evaluation)
    if wishes.users and wishes.context and wishes.max_model_len and wishes.max_model_len > wishes.context:
        yield (
            f"users are estimated with {wishes.context:,} tokens each; longer conversations take the place of several, "
            "and others then wait"
        )
    running = evaluation.settings.max_num_seqs * candidate.data_parallel_size
    if wishes.max_num_seqs and users > running:
        yield f"max_num_seqs lets {running} requests run at once; the others of {users} users wait"
    is_counted = evaluation.settings.draft_layers > 0
    if wishes.speculative and wishes.speculative.get("method") not in FREE_DRAFTS and not is_counted:
        yield "the draft model's weights and cache are not in the budget"
    if situation.nodes:
        yield from _layout_warnings(situation, candidate)


def _memory_warnings(wishes: Wishes, evaluation: Evaluation) -> Iterator[str]:
    """Say where there is little to spare."""
    candidate, budget, users = evaluation.candidate, evaluation.budget, wishes.users or 1
    if evaluation.serves(users) and not evaluation.serves_surely(users):
        yield (
            f"it fits with less to spare than the estimate's uncertainty of {gib(budget.uncertainty)} on each GPU; if "
            "vLLM refuses to start, wish a smaller context"
        )
    if _is_borderline(wishes, evaluation):
        yield (
            f"by the estimate it falls short by {gib(budget.needed_kv - budget.kv_cache)}, which is within the "
            f"uncertainty of {gib(budget.uncertainty)} on each GPU; if vLLM refuses to start, set max_model_len lower"
        )
    settings = evaluation.settings
    if wishes.max_num_seqs and budget.has_states and settings.has_full_graphs and budget.fits:
        sure = budget.sure_blocks
        if settings.max_num_seqs > sure:
            yield (
                f"max_num_seqs is {settings.max_num_seqs} and about {budget.blocks} blocks hold the Mamba states of "
                f"running requests; if vLLM refuses to start, set max_num_seqs to {max(1, sure)} or fewer"
            )
    if not wishes.gpu_memory_utilization:
        return
    others = max(device.used_bytes / device.memory_bytes for device in candidate.all_devices)
    beside = budget.total - budget.usable
    wanted = context_bytes(candidate.weakest) + (0 if budget.graphs_counted else budget.cuda_graphs)
    if others + wishes.gpu_memory_utilization > 1:
        yield (
            f"gpu_memory_utilization is {wishes.gpu_memory_utilization:g} and other processes hold {others:.0%} of a "
            "GPU's memory; vLLM will refuse to start until they end"
        )
    elif candidate.weakest.is_unified and beside < UNIFIED_RESERVE * budget.total:
        yield (
            f"gpu_memory_utilization {wishes.gpu_memory_utilization:g} leaves {gib(beside)} to the system, which "
            "shares the GPU's memory and has taken more on such machines; if vLLM refuses to start, set it to "
            f"{1 - UNIFIED_RESERVE:g} or less"
        )
    elif beside < wanted:
        yield (
            f"gpu_memory_utilization {wishes.gpu_memory_utilization:g} leaves {gib(beside)} beside vLLM's share, and "
            f"CUDA itself and the graphs take about {gib(wanted)} there; if it runs out of memory, set it lower"
        )


def _layout_warnings(situation: Situation, candidate: Candidate) -> Iterator[str]:
    """Say what stays idle, and what an engine over nodes needs."""
    idle = situation.gpu_count - candidate.gpu_count
    if idle > 0:
        yield f"{idle} GPU{'s stay' if idle > 1 else ' stays'} idle"
    if candidate.nodes_per_engine > 1 and candidate.pipeline_parallel_size == 1:
        yield "tensor parallelism over nodes waits for their network in each layer; pipeline stages wait far less"
    if candidate.nodes_per_engine > 1 and situation.spanned == 1:
        yield "an engine over several nodes needs --node-rank and --master-addr of its own on each node"
    elif candidate.nodes_per_engine == 1 and len(set(candidate.replicas_by_node)) > 1:
        counts = ", ".join(map(str, candidate.replicas_by_node))
        yield f"the nodes run different numbers of engines ({counts}): give each node its own node_args"
    if len(candidate.devices) > 1 and candidate.nodes_per_engine == 1:
        yield "each node runs a server of its own; something in front has to share requests out"


def capped(generation: object) -> Iterator[str]:
    """Say where the model's own settings cut every answer short (``ModelConfig.get_diff_sampling_param``)."""
    longest_answer = generation.get("max_new_tokens") if isinstance(generation, Mapping) else None
    if isinstance(longest_answer, int):
        yield (
            f"the model's generation_config caps each answer at max_new_tokens {longest_answer}; for longer ones give "
            "override-generation-config in args"
        )
