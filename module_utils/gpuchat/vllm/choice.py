# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layout of a model over the GPUs that are there serves a wish best.

The memory of a layout is estimated in ``memory``; here layouts are compared and one is chosen:

1. It must hold the wished users, each with a whole context, in the KV cache at once.
2. It should do so also where the estimate is off by its uncertainty.
3. With users wished, the fewest GPUs win, and among these the smallest engine with replicas of it: replicas share
   nothing, so they wait for nothing. Without, all GPUs are used, by the smallest engine that holds a few conversations.

The weights' precision is never changed but by a wish.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..checkpoint.config import DTYPE_BYTES, ModelFacts
from ..core.errors import Refusal
from ..core.units import GIB
from ..gpu import cards
from . import estimate as vllm_estimate
from . import memory
from .compatibility import multiplied_in
from .conflicts import cuts_prompts
from .devices import Device
from .layout import Candidate, candidates, context_ranks, over_cpus, replicated
from .memory import Budget
from .settings import UNKNOWN_LENGTH, Layout, Settings, resolve
from .situation import Situation, is_text_only, media_limit, media_of
from .wishes import Wishes, number

LENGTHS = tuple(step << power for power in range(9, 21) for step in (2, 3))
"""Lengths of context that are tried where none is wished: powers of two and the steps half-way between them."""

AUTO_TOGETHER = 4
AUTO_CONTEXT, AUTO_FLOOR = 32768, 8192
"""Where no users are wished, at least four conversations are to fit at once. Where no context is wished, conversations
are estimated with 32,768 tokens, or for that with fewer, but for lack of users with no fewer than 8,192; longer ones
are allowed as far as the layout that was chosen for these holds four of them."""

LIMIT_TOGETHER = 2
"""The model's own length is allowed where so many conversations of it fit: few are ever as long."""

REPLICAS_SINCE = (0, 8, 3)
"""First version with ``--data-parallel-size``."""

CPU_BLOCK = 128
"""Tokens in one block of the KV cache on CPUs (``CpuPlatform.check_and_update_config``)."""

LEAN_SEQUENCES, LEAN_TOKENS = 256, 2048
"""What vLLM takes on small GPUs: smaller steps leave more memory to the KV cache (``get_batch_defaults``)."""


LARGEST_STEP = 16384
"""Most requests for which a step is made larger than it is by default (tokens); further ones wait."""


@dataclass(frozen=True)
class Evaluation:
    """A layout, and what it gives.

    Attributes:
        held: conversations that fit at once with a whole context each, in all replicas.
        held_surely: the same where the estimate is off by its uncertainty.
        usual_share: vLLM's own ``gpu_memory_utilization``.
        is_lean: steps are smaller than vLLM's own.
        is_raised: steps are as large as a block of a hybrid model's cache, which some versions want.
    """

    candidate: Candidate
    settings: Settings
    budget: Budget
    context: int
    held: float
    held_surely: float
    situation: Situation
    wishes: Wishes
    usual_share: float = 1.0
    is_lean: bool = False
    is_raised: bool = False

    @functools.cached_property
    def estimate(self) -> vllm_estimate.Estimate | None:
        """How fast it is; None on a CPU, on a GPU that is not in the table, and where the model does not fit."""
        row = cards.lookup(self.candidate.weakest.name)
        if row is None or not self.budget.fits or not self.situation.nodes:
            return None
        candidate, users = self.candidate, self.wishes.users
        machine = vllm_estimate.Machine(
            row.bandwidth,
            row.flops(multiplied_in(self.situation.config, self.wishes.quantization or "auto")),
            candidate.tensor_parallel_size,
            candidate.pipeline_parallel_size,
            candidate.data_parallel_size,
            candidate.is_linked,
        )
        batch = min(self.settings.max_num_seqs, int(self.held) // candidate.data_parallel_size)
        if users is not None:
            batch = min(batch, math.ceil(users / candidate.data_parallel_size))
        work = work_of(self.situation.model, self.budget, candidate)
        return vllm_estimate.estimate(work, machine, batch, self.context)

    def serves(self, users: int) -> bool:
        return self.budget.fits and self.held >= users

    def serves_surely(self, users: int) -> bool:
        return self.serves(users) and self.held_surely >= users


def work_of(model: ModelFacts, budget: Budget, candidate: Candidate) -> vllm_estimate.Work:
    """Return what an engine reads and computes, from the model's weights and the chosen layout."""
    parts = model.parameters
    loaded = float(budget.weights * candidate.engine_size)
    shared_out = max(candidate.replicas_by_node) if candidate.devices else 1
    held = parts.experts / shared_out
    routed = held / max(1, parts.total - parts.experts + held)
    share = model.experts_per_token / model.experts if model.experts else 0.0
    embedded = parts.embedding / max(1, parts.total) if parts.head else 0.0  # looked up, not multiplied
    return vllm_estimate.Work(
        layers=model.layers,
        width=model.hidden_size,
        dense_bytes=loaded * (1 - routed - embedded),
        expert_bytes=loaded * routed,
        expert_share=share,
        active_weights=parts.total - parts.experts * (1 - share) - (parts.embedding if parts.head else 0),
        kv_bytes_per_token=float(budget.kv_bytes_per_token * candidate.engine_size),
        file_bytes=float(model.weights_bytes or loaded),
        expert_layers=model.layers if model.experts else 0,
        latent_layers=model.layers if model.is_mla else 0,
    )


# --- Weighing one layout ---------------------------------------------------------------------------------------------


@dataclass
class Scales:
    """Weighs layouts for one situation and one set of wishes."""

    situation: Situation
    wishes: Wishes
    usual_share: float = 1.0
    estimated: dict[tuple[object, ...], tuple[Settings, Budget, bool]] = field(default_factory=dict)

    def evaluate(self, candidate: Candidate, length: int, context: int) -> Evaluation:
        """Return what a layout gives, with vLLM's own sizes of a step or, where those serve too few, with lean ones.

        Args:
            candidate: the layout.
            length: longest single conversation (tokens).
            context: tokens that each of the conversations holds.
        """
        users = self.wishes.users or 1
        usual = self._evaluate(candidate, length, context, is_lean=False)
        if usual.serves_surely(users) or self.wishes.fix_steps or usual.settings.engine == 0:
            return usual
        lean = self._evaluate(candidate, length, context, is_lean=True)
        return lean if (lean.budget.fits, lean.held) > (usual.budget.fits, usual.held) else usual

    def _evaluate(self, candidate: Candidate, length: int, context: int, *, is_lean: bool) -> Evaluation:
        settings, budget, is_raised = self._budget(candidate, length, is_lean)
        together = budget.max_concurrency
        if context != length:
            together = self._budget(candidate, context, is_lean)[1].max_concurrency
        held = max(0.0, together) * candidate.data_parallel_size if budget.fits else 0.0
        sure = held * max(0.0, 1 - budget.uncertainty / budget.kv_cache) if budget.kv_cache > 0 else 0.0
        if not self.situation.nodes or settings.fixes_cache:
            sure = held  # the cache is as large as it was told to be
        elif not self.situation.model.kv_layers:
            sure = held if budget.kv_cache > budget.uncertainty else 0.0
        return Evaluation(
            candidate,
            settings,
            budget,
            context,
            held,
            sure,
            self.situation,
            self.wishes,
            self.usual_share,
            is_lean,
            is_raised,
        )

    def _budget(self, candidate: Candidate, length: int, is_lean: bool) -> tuple[Settings, Budget, bool]:
        model, replicas = self.situation.model, candidate.data_parallel_size
        # Only the replicas of one node share out the experts: each node's are a server of their own.
        layout = Layout(
            candidate.tensor_parallel_size,
            candidate.pipeline_parallel_size,
            min(candidate.replicas_by_node) if model.experts else 1,
            candidate.expert_parallel,
        )
        each = math.ceil((self.wishes.users or 0) / replicas)
        key = (layout, candidate.weakest, candidate.free_share, length, is_lean, each)
        if key not in self.estimated:
            gpu = candidate.weakest
            settings = self._settings(gpu, candidate, length, each, is_lean=is_lean)
            budget = self._estimate(gpu, layout, settings)
            is_raised = self.wishes.max_num_batched_tokens is None and memory.wants_larger_steps(budget, settings)
            if is_raised:
                settings = replace(settings, max_num_batched_tokens=budget.block_size)
                budget = self._estimate(gpu, layout, settings)
            if self.situation.nodes and self.wishes.max_num_seqs is None and _outruns_states(budget, settings):
                settings = replace(settings, max_num_seqs=_in_steps(budget.sure_blocks))
                budget = self._estimate(gpu, layout, settings)
            self.estimated[key] = settings, budget, is_raised
        return self.estimated[key]

    def _estimate(self, gpu: Device, layout: Layout, settings: Settings) -> Budget:
        known, what = self.situation.known, (gpu, layout, settings)
        if what not in known:
            known[what] = memory.budget(self.situation.model, gpu, layout, settings)
        return known[what]

    def _settings(self, gpu: Device, candidate: Candidate, length: int, each: int, *, is_lean: bool) -> Settings:
        situation, wishes, model = self.situation, self.wishes, self.situation.model
        on_cpu = not situation.nodes
        open_kinds = media_of(model.architecture, wishes.extra_args)
        is_profiled = not wishes.extra_args.get("skip-mm-profiling")
        settings = resolve(
            situation.number,
            model,
            gpu,
            gpu_memory_utilization=wishes.gpu_memory_utilization,
            max_model_len=length,
            max_num_seqs=wishes.max_num_seqs,
            max_num_batched_tokens=wishes.max_num_batched_tokens,
            kv_cache_dtype=wishes.kv_cache_dtype,
            enforce_eager=_is_eager(wishes),
            block_size=number(wishes.extra_args.get("block-size")) or (CPU_BLOCK if on_cpu else None),
            kv_cache_memory_bytes=situation.cpu_kv_cache_bytes
            if on_cpu
            else number(wishes.extra_args.get("kv-cache-memory-bytes")),
            fixed_blocks=number(wishes.extra_args.get("num-gpu-blocks-override")),
            quantization=wishes.quantization,
            images_per_prompt=int(is_profiled and any(kind != "audio" for kind in open_kinds)),
            videos_per_prompt=int(is_profiled and media_limit(wishes.extra_args, "video") != 0),
            speculative_tokens=number((wishes.speculative or {}).get("num_speculative_tokens")) or 0,
            stages=candidate.pipeline_parallel_size if candidate.nodes_per_engine == 1 else 1,
            speculative_method=str((wishes.speculative or {}).get("method") or ""),
            enable_prefix_caching=_switch(wishes.extra_args.get("enable-prefix-caching")),
            is_text_only=is_text_only(situation.number, model.architecture, wishes.extra_args),
            is_encoder_whole=wishes.extra_args.get("mm-encoder-tp-mode") == "data",
            is_pooling=situation.is_pooling,
            lora=_lora(wishes.extra_args),
            context_ranks=context_ranks(wishes),
            has_piecewise_graphs=_graphs(wishes.extra_args) in ("NONE", "PIECEWISE"),
            offload_bytes=_offloaded(wishes.extra_args),
            state_bytes=DTYPE_BYTES.get(str(wishes.extra_args.get("mamba-ssm-cache-dtype")), 0),
        )
        share, seqs, tokens = settings.gpu_memory_utilization, settings.max_num_seqs, settings.max_num_batched_tokens
        if wishes.gpu_memory_utilization is None and not on_cpu:
            self.usual_share = share
            share = min(share, candidate.free_share)
        if is_lean:
            seqs, tokens = min(seqs, LEAN_SEQUENCES), min(tokens, LEAN_TOKENS)
        if wishes.max_num_seqs is None:
            seqs = max(seqs, each)
        is_whole = situation.model.reads_whole or not cuts_prompts(wishes.extra_args)
        if is_whole and wishes.max_num_batched_tokens is None:
            tokens = max(tokens, length)  # a text that is read at once is not cut in pieces
        if wishes.max_num_batched_tokens is None:  # vLLM wants a token for each request in a step
            tokens = max(tokens, seqs if wishes.max_num_seqs else min(seqs, LARGEST_STEP))
        if wishes.max_num_seqs is None:
            seqs = min(seqs, tokens)
        chosen = share, seqs, tokens
        if chosen == (settings.gpu_memory_utilization, settings.max_num_seqs, settings.max_num_batched_tokens):
            return settings
        return replace(settings, gpu_memory_utilization=share, max_num_seqs=seqs, max_num_batched_tokens=tokens)


def _outruns_states(budget: Budget, settings: Settings) -> bool:
    """Whether more requests would run than surely have a block for their Mamba states."""
    return budget.has_states and settings.has_full_graphs and settings.max_num_seqs > budget.sure_blocks


def _in_steps(count: int) -> int:
    """Return a count cut to a size of which vLLM captures a graph: of 8 and more the multiples of 8."""
    return count // 8 * 8 if count >= 8 else max(1, count)


def _switch(said: object) -> bool | None:
    """Return what a switch is set to, None where nobody sets it."""
    return None if said is None else bool(said)


def _lora(args: Mapping[str, object]) -> int:
    """Return the rank that all adapters together may have (LoRAConfig: one of rank 16 by default), 0 without."""
    if not args.get("enable-lora"):
        return 0
    return (number(args.get("max-loras")) or 1) * (number(args.get("max-lora-rank")) or 16)


def _graphs(args: Mapping[str, object]) -> str:
    """Return the CUDA graphs that the compilation's options ask for, by vLLM's names; empty where nothing is said."""
    options = args.get("compilation-config")
    told = options.get("cudagraph_mode") if isinstance(options, Mapping) else None
    return "" if told is None else GRAPHS.get(str(told), str(told).upper())


GRAPHS = {"0": "NONE", "1": "PIECEWISE", "2": "FULL"}
"""Their names by number (CUDAGraphMode of vllm/config/compilation.py)."""


def _offloaded(args: Mapping[str, object]) -> int:
    """Return the bytes of weights that each GPU leaves in the host's memory."""
    try:
        return int(float(str(args.get("cpu-offload-gb") or 0)) * GIB)
    except ValueError:  # the check of arguments says so
        return 0


def _is_eager(wishes: Wishes) -> bool | None:
    """Whether no CUDA graphs are captured, None where vLLM decides."""
    level = number(wishes.extra_args.get("optimization-level"))
    return True if _graphs(wishes.extra_args) == "NONE" or level == 0 else wishes.enforce_eager


CPU = Device("CPU", 1, handle="cpu")


def _all_candidates(situation: Situation, wishes: Wishes) -> list[list[Candidate]]:
    """Return the layouts by engine, each as a list of 1, 2, ... replicas."""
    if not situation.nodes:
        cpu = replace(CPU, memory_bytes=4 * (situation.model.weights_bytes + situation.cpu_kv_cache_bytes) + 64 * GIB)
        if situation.spanned > 1:
            return [[one] for one in over_cpus(situation.shape, cpu, situation.spanned, wishes)]
        return [[Candidate(wishes.tensor_parallel_size or 1, 1, 1, False, ((cpu,),))]]
    shape = situation.shape
    joined = cards.is_switched(situation.nodes[0][0].name)
    most = None if situation.number >= REPLICAS_SINCE else len(situation.nodes)
    wished = wishes.data_parallel_size
    splits = wishes.extra_args.get("enable-expert-parallel") is False
    return [
        [
            one
            for one in replicated(shape, candidate, situation.nodes, joined, wished or most, wished)
            if wished in (None, one.data_parallel_size) and not (one.expert_parallel and splits)
        ]
        for candidate in candidates(shape, situation.nodes, wishes, joined)
        if candidate.nodes_per_engine == situation.spanned or situation.spanned == 1
    ]


# --- Choosing --------------------------------------------------------------------------------------------------------


def _lengths(wishes: Wishes) -> tuple[int, int] | None:
    """Return the longest conversation and what each conversation holds, None where the plan is to find them."""
    length = wishes.max_model_len or wishes.context
    return (length, wishes.context or length) if length else None


def choose(situation: Situation, wishes: Wishes) -> Evaluation | None:
    """Return the best layout for some wishes, None where the model cannot be spread as wished."""
    engines = [engine for engine in _all_candidates(situation, wishes) if engine]
    if not engines:
        return None
    scales = Scales(situation, wishes)
    fixed = _lengths(wishes)
    if fixed:
        return _best(scales, engines, *fixed)
    limit = situation.model.longest or (AUTO_FLOOR if situation.model.is_attention_free else UNKNOWN_LENGTH)
    steps = [length for length in LENGTHS if length < limit] + [limit]
    asked = [length for length in steps if length <= AUTO_CONTEXT] or steps[:1]
    short = [length for length in asked if length <= AUTO_FLOOR] or steps[:1]

    def best(length: int) -> Evaluation:
        return _best(scales, engines, length, length)

    shortest = best(steps[0])
    if not shortest.serves(1):
        return shortest
    found = _longest_that(asked, best, wishes.users or AUTO_TOGETHER)
    if found is None or (wishes.users is None and found.context < short[-1]):
        found = _longest_that(short, best, wishes.users or 1) or found
    if found is None:
        return shortest
    candidate, context = found.candidate, found.context
    longer = [length for length in steps if length > context]
    together = min(AUTO_TOGETHER, int(found.held_surely))
    at_limit = scales.evaluate(candidate, limit, limit)
    if longer and at_limit.serves(LIMIT_TOGETHER) and at_limit.serves_surely(1):
        return scales.evaluate(candidate, limit, context)
    longest_one = _longest_that(longer, lambda length: scales.evaluate(candidate, length, length), together)
    return scales.evaluate(candidate, longest_one.context, context) if longest_one else found


def as_wished(situation: Situation, wishes: Wishes) -> Evaluation:
    """Evaluate the wished sizes as they are, though nothing could run them: their memory can still be estimated."""
    tp, pp, dp = wishes.tensor_parallel_size or 1, wishes.pipeline_parallel_size or 1, wishes.data_parallel_size or 1
    used = tuple(device for node in situation.nodes for device in node)[: tp * pp * dp] or (CPU,)
    shape = situation.shape
    candidate = Candidate(tp, min(pp, shape.layers), dp, False, (used,))
    limit = situation.model.longest or UNKNOWN_LENGTH
    length, context = _lengths(wishes) or (limit, limit)
    return Scales(situation, wishes).evaluate(candidate, length, context)


def _longest_that(steps: list[int], evaluate: Callable[[int], Evaluation], users: int) -> Evaluation | None:
    """Return what is evaluation at the longest of ascending lengths at which so many users are surely held."""
    found, low, high = None, 0, len(steps)
    while low < high:
        middle = (low + high) // 2
        evaluation = evaluate(steps[middle])
        if evaluation.serves_surely(users):
            found, low = evaluation, middle + 1
        else:
            high = middle
    return found


def _best(scales: Scales, engines: list[list[Candidate]], length: int, context: int) -> Evaluation:
    """Return the best of some engines, each given with 1, 2, ... replicas, the smallest first."""
    users = scales.wishes.users
    best: Evaluation | None = None
    for engine in engines:
        if best is not None and _is_enough(best, users) and _none_better(scales, best, engine[0]):
            break
        for evaluation in _growing(scales, engine, length, context):
            if best is None or _merit(evaluation, users) > _merit(best, users):
                best = evaluation
    if best is None:
        raise Refusal("found no layout to evaluate; wanted at least one GPU; give some in gpus")
    return best


def _none_better(scales: Scales, best: Evaluation, engine: Candidate) -> bool:
    """Whether an engine and all larger ones use more GPUs than users need, or cannot use more than all."""
    if scales.wishes.users is not None:
        return engine.gpu_count > best.candidate.gpu_count
    return engine.engine_size > best.candidate.engine_size and best.candidate.gpu_count == scales.situation.gpu_count


def _growing(scales: Scales, engine: list[Candidate], length: int, context: int) -> Iterator[Evaluation]:
    """Evaluate one engine, then replicas of it: as many as users need, or as there are GPUs for.

    Only an engine that holds the model by itself is repeated.
    """
    users = scales.wishes.users
    first = scales.evaluate(engine[0], length, context)
    yield first
    if len(engine) == 1 or not first.budget.fits:
        return
    if users is None:
        yield scales.evaluate(engine[-1], length, context)
        return
    wanted = sorted({math.ceil(users / held) for held in (first.held, first.held_surely) if held > 0})
    if scales.situation.model.experts:  # each replica leaves the others fewer experts to hold
        wanted = [candidate.data_parallel_size for candidate in engine[1:]]
    for count in wanted:
        enough = [candidate for candidate in engine if candidate.data_parallel_size >= count]
        evaluation = scales.evaluate(enough[0] if enough else engine[-1], length, context)
        yield evaluation
        if evaluation.serves_surely(users):
            return


def _is_enough(evaluation: Evaluation, users: int | None) -> bool:
    if users is not None:
        return evaluation.serves_surely(users)
    return (
        evaluation.serves_surely(1)
        and evaluation.held_surely >= AUTO_TOGETHER * evaluation.candidate.data_parallel_size
    )


def _merit(evaluation: Evaluation, users: int | None) -> tuple[float, ...]:
    """Rank a layout: one that surely serves, then the fewest GPUs for known users, all GPUs for unknown ones."""
    budget, candidate = evaluation.budget, evaluation.candidate
    serves, wanted = evaluation.serves(users or 1), users or AUTO_TOGETHER * candidate.data_parallel_size
    return (
        serves,
        evaluation.serves_surely(users or 1),
        min(wanted, evaluation.held_surely) / wanted,
        0.0 if budget.fits else budget.kv_cache / max(1, budget.needed_kv),
        (candidate.gpu_count if users is None else -candidate.gpu_count) if serves else 0,
        -candidate.engine_size,
        _speed(evaluation) if serves and not candidate.is_all_linked else 0.0,
    )


def _speed(evaluation: Evaluation) -> float:
    """Rank layouts that differ in their split alone: how fast one conversation is, and all together."""
    estimate = evaluation.estimate
    return math.sqrt(estimate.decode_alone * estimate.decode_full) if estimate else 0.0
