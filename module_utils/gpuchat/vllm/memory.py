# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model takes on a GPU under vLLM: weights, activations, graphs, and what is left for the KV cache.

It follows what each version does when it starts: vllm/v1/worker/gpu_worker.py (what is measured, and against which
limit), and vllm/worker/worker.py for the V0 engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..checkpoint.config import ModelFacts
from ..core.errors import Refusal
from ..core.units import gib
from .devices import Device
from .facts import memory
from .kv_cache import cache_layout, cdiv, request_blocks
from .settings import Layout, Settings, Version


@dataclass(frozen=True)
class Budget:
    """Where the memory of the fullest GPU goes, in bytes.

    Attributes:
        usable: what vLLM may take (total times utilization).
        graphs_counted: whether ``cuda_graphs`` is a part of ``usable`` in this version, or comes on top.
        kv_cache: what is left for the KV cache; below 0 where the rest does not fit.
        kv_bytes_per_token: of one GPU, for one more token of a long context.
        kv_cache_tokens: of one engine, as vLLM logs it.
        max_concurrency: requests of ``max_model_len`` that fit at once, as vLLM logs it.
        needed_kv: of one request of ``max_model_len``.
        uncertainty: how far ``kv_cache`` may be off (90 of 100 logged starts were within it).
        outcome: ``ok``, ``kv_too_small``, ``oom``, or ``refused`` (by a check before anything is loaded).
        reason: what does not fit, in words; empty where it does.
        blocks: of the cache's pool; a Mamba layer's state takes one for each running request.
    """

    total: int
    usable: int
    weights: int
    activations: int
    cuda_graphs: int
    graphs_counted: bool
    overhead: int
    kv_cache: int
    kv_bytes_per_token: int
    kv_cache_tokens: int
    max_concurrency: float
    uncertainty: int
    fits: bool
    needed_kv: int
    outcome: str
    reason: str
    block_size: int = 16
    has_states: bool = False
    blocks: int = 0
    block_bytes: int = 1

    @property
    def sure_blocks(self) -> int:
        """The blocks for states that there surely are: a start that fails costs more than requests that wait a moment.

        Of the logged figures in benchmarks/data/vllm_refusals.json with known files none fell below 0.78 of the
        estimate. For more requests than its largest graph has, vLLM captures none, and some versions refuse them.
        """
        surely = max(0, self.kv_cache - self.uncertainty) // self.block_bytes
        return min(surely, int(memory.STATE_BLOCKS_SURE * self.blocks), memory.LARGEST_GRAPH)


@dataclass(frozen=True)
class _Weights:
    """Bytes of the whole model as loaded, by how they shard."""

    embedding: float
    head: float
    attention: float
    key_value: float
    dense: float
    experts: float
    replicated: float
    vision: float
    draft: float


# Methods that vLLM applies while it loads 16-bit files: bits per weight of what they convert.
LOADED_BITS = {
    "bitsandbytes": 4.127,
    "experts_int8": 8.0,
    "mxfp8": 8.25,
    "nvfp4_per_token": 4.5,
    **dict.fromkeys(("fp8", "fp8_per_tensor", "fp8_per_block", "fp8_per_channel", "int8_per_channel_weight_only"), 8.0),
}

# Of these only what is routed.
OF_EXPERTS = frozenset({"experts_int8"})


def _whole_weights(model: ModelFacts, quantization: str) -> _Weights:
    """Return the loaded bytes of each part, from the files' size where it is known."""
    parts = model.parameters
    width = float(model.dtype_bytes)
    attention = parts.attention + parts.key_value
    bulk = attention + parts.dense + parts.experts - parts.kept
    plain = (parts.embedding + parts.head + parts.vision + parts.replicated + parts.kept) * width
    scale = model.quantized_bits / 8 if model.quantization else width
    if model.quantization == "gguf":
        plain *= scale / width
        width = scale
    if model.weights_bytes:
        expected = plain + bulk * scale
        # Files may also hold a tied output embedding, or layers that only speculative decoding loads.
        extras = [0.0, parts.draft * scale, parts.draft * width]
        if model.tie_word_embeddings:
            extras.append(parts.embedding * width)
        extra = min(extras, key=lambda item: abs(expected + item - model.weights_bytes))
        loaded = max(0.0, model.weights_bytes - extra)
        if model.quantization and loaded > plain:
            scale = (loaded - plain) / bulk
        else:
            scale *= loaded / expected
            width *= loaded / expected
    routed = scale
    if quantization in LOADED_BITS and not model.quantization:
        routed = LOADED_BITS[quantization] / 8
        scale = scale if quantization in OF_EXPERTS else routed
    share = parts.kept / attention if attention else 0.0
    mixed = share * width + (1 - share) * scale
    return _Weights(
        parts.embedding * width,
        parts.head * width,
        parts.attention * mixed + parts.absorbed * model.dtype_bytes,
        parts.key_value * mixed,
        parts.dense * scale,
        parts.experts * routed,
        parts.replicated * width,
        parts.vision * width,
        parts.draft * width,
    )


def _mxfp4_padding(model: ModelFacts, gpu: Device, shards: int, version: Version) -> float:
    """Return by how much the expert weights of MXFP4 grow where a kernel wants whole tiles.

    Source: create_weights of vllm/model_executor/layers/quantization/mxfp4.py, later
    mxfp4_round_up_hidden_size_and_intermediate_size of fused_moe/oracle/mxfp4.py; Triton's layout as measured.
    """
    if model.quantization != "mxfp4":
        return 1.0
    capability = gpu.capability
    inner = cdiv(model.moe_intermediate_size, shards)
    if capability[0] == 10:  # FlashInfer's TensorRT-LLM kernels
        padded_inner, padded_hidden = 256 * cdiv(inner, 256), 256 * cdiv(model.hidden_size, 256)
    elif capability[0] == 9 and version >= memory.MXFP4_TRITON_SINCE:
        return 64 * cdiv(inner, 64) / inner * memory.MXFP4_TRITON_LAYOUT
    else:  # Marlin
        padded_inner, padded_hidden = 128 * cdiv(inner, 128), 256 * cdiv(model.hidden_size, 256)
    return padded_inner * padded_hidden / (inner * model.hidden_size)


def stage_layers(layers: int, stages: int) -> tuple[int, ...]:
    """Return how many layers each pipeline stage holds (vllm/distributed/utils.py, get_pp_indices)."""
    share, more = divmod(layers, stages)
    counts = [share] * stages
    for number in range(2, more + 2):
        counts[-number] += 1
    return tuple(counts)


def _lora_bytes(model: ModelFacts, layout: Layout, settings: Settings) -> float:
    """Return what room for adapters takes: beside each matrix two thin ones of every adapter's rank.

    Source: create_lora_weights of vllm/lora/layers: what a matrix splits over the ranks is split in one of the two;
    experts have theirs since 0.11.2 (lora/layers/fused_moe.py).
    """
    if not settings.lora:
        return 0.0
    ranks, hidden = layout.tensor_parallel_size, model.hidden_size
    width = 0.0
    for item in model.kv_layers:
        if item.kind in ("full", "sliding", "chunked", "mla"):
            query = model.heads * model.head_dim / ranks
            keys = max(1.0, item.kv_heads / ranks) * (item.key_dim + item.value_dim)
            width += item.count * (4 * hidden + 2 * query + keys)
        elif item.kind == "state":
            width += item.count * (2 * hidden + 3 * item.conv_width / ranks)
    matrices = 3 if model.is_gated else 2
    if model.experts:
        each = matrices * (hidden + model.moe_intermediate_size / (1 if layout.expert_parallel else ranks))
        held = model.experts / (ranks * layout.data_parallel_size if layout.expert_parallel else 1)
        width += model.layers * held * each * (settings.version >= memory.LORA_OF_EXPERTS_SINCE)
    else:
        width += model.layers * matrices * (hidden + model.intermediate_size / ranks)
    return width * settings.lora * model.dtype_bytes


def stage_weights(model: ModelFacts, gpu: Device, layout: Layout, settings: Settings) -> tuple[int, ...]:
    """Return the bytes that a GPU of each pipeline stage loads."""
    whole = _whole_weights(model, settings.quantization)
    ranks = layout.tensor_parallel_size
    expert_ranks = ranks * layout.data_parallel_size
    per_layers = (
        whole.attention / ranks
        + whole.key_value / min(ranks, max(1, model.kv_heads))
        + whole.dense / ranks
        + whole.experts
        / expert_ranks
        * _mxfp4_padding(model, gpu, 1 if layout.expert_parallel else expert_ranks, settings.version)
        + whole.replicated
        + _lora_bytes(model, layout, settings)
    )
    # The table of rotary angles: a cosine and a sine for each position.
    angles = model.max_position * model.head_dim * model.dtype_bytes if not model.is_mla else 0
    counts = stage_layers(model.layers, layout.pipeline_parallel_size)
    found = []
    for number, count in enumerate(counts):
        held = per_layers * count / model.layers + angles
        is_first, is_last = number == 0, number == len(counts) - 1
        if is_first:
            held += 0 if settings.is_text_only else whole.vision / (1 if settings.is_encoder_whole else ranks)
        if is_first or (is_last and not whole.head):
            held += whole.embedding / ranks
        if is_last:
            held += whole.head / ranks + (whole.draft / ranks if settings.draft_layers else 0.0)
        found.append(int(held))
    return tuple(found)


def _stage_activations(model: ModelFacts, layout: Layout, settings: Settings, *, is_first: bool, is_last: bool) -> int:
    """Return the peak of PyTorch's allocations while vLLM profiles itself.

    It runs the image encoder over what one batch may hold, then ``max_num_batched_tokens`` tokens through the layers,
    then the sampler over ``max_num_seqs`` requests.
    """
    tokens = settings.max_num_batched_tokens
    hidden = tokens * model.hidden_size * model.dtype_bytes
    forward = memory.HIDDEN_COPIES * hidden + _widest_part(model, layout, settings)
    sampler = 0.0
    if is_last and not settings.is_pooling:
        per_logit = _sampler_bytes(model, settings)
        rows = min(settings.max_num_seqs, tokens)
        if settings.engine == 0 and model.is_multimodal:
            rows = max(1, min(rows, tokens // max(1, _item_tokens(model, settings))))
        sampler = hidden + rows * model.vocab_size * per_logit
    encoder, outputs = _encoder(model, layout, settings) if is_first else (0.0, 0.0)
    return int(max(encoder, outputs + max(forward, sampler)))


def _sampler_bytes(model: ModelFacts, settings: Settings) -> float:
    """Return the bytes per logit at the sampler's peak."""
    version = settings.version
    if _is_second_runner(model, version):
        return max((since, size) for since, size in memory.SAMPLER_BYTES_SECOND_RUNNER if since <= version)[1]
    if version >= memory.SAMPLER_IN_PLACE_SINCE:
        return memory.SAMPLER_BYTES_IN_PLACE
    is_flashinfer = settings.has_flashinfer and version < memory.FLASHINFER_IF_INSTALLED_BEFORE
    return memory.SAMPLER_BYTES_IN_PLACE if is_flashinfer and settings.engine == 1 else memory.SAMPLER_BYTES_SORTED


def _is_second_runner(model: ModelFacts, version: Version) -> bool:
    """Whether a model runs on the second model runner by default."""
    if version >= memory.SECOND_RUNNER_FOR_ALL_SINCE:
        return True
    rules = [rule for rule in memory.SECOND_RUNNER if rule[0] <= version]
    if not rules:
        return False
    _since, architectures, quantized, dense = max(rules, key=lambda rule: rule[0])
    if model.architecture in architectures:
        return quantized or not model.quantization
    return dense and not model.experts and not model.has_state


def _widest_part(model: ModelFacts, layout: Layout, settings: Settings) -> int:
    """Return the bytes of the widest part of a layer: attention, feed-forward, or the experts' workspaces."""
    tokens, width, ranks = settings.max_num_batched_tokens, model.dtype_bytes, layout.tensor_parallel_size
    heads = 2 * model.heads + 2 * max(ranks, model.kv_heads)
    attention = tokens * model.head_dim * width * heads // ranks
    if model.kv_lora_rank:
        attention = tokens * width * model.heads * 4 * 192 // ranks
    matrices = 3 if model.is_gated else 2
    dense = tokens * model.intermediate_size * matrices * width // ranks
    if model.experts:
        # Rows of the routed tokens: gate and up, their product, and the output before it is summed.
        shards = 1 if layout.expert_parallel else ranks * layout.data_parallel_size
        inner = cdiv(model.moe_intermediate_size, shards)
        rows = min(tokens, 32768) * model.experts_per_token
        routed = rows * (max(2 * inner, model.hidden_size) + inner) * width
        dense = routed + tokens * model.hidden_size * width
    states = [item.conv_width for item in model.kv_layers if item.kind == "state"]
    linear = memory.STATE_COPIES * tokens * max(states, default=0) * width // ranks
    if (settings.quantization or model.quantization) == "bitsandbytes":
        # The widest matrix, unpacked.
        dense += 2 * model.intermediate_size * model.hidden_size * width // ranks
    return max(attention, dense, linear)


def _item_tokens(model: ModelFacts, settings: Settings) -> int:
    """Return the tokens of the largest image or video that vLLM profiles with."""
    image = model.vision.max_image_tokens
    if not model.vision.long_video or not settings.videos_per_prompt:
        return image
    # vllm/model_executor/models/qwen2_vl.py: pairs of frames, as many as the context holds, 16 frames at most.
    if settings.version < (0, 11):
        return image * max(1, min(8, (settings.max_model_len - image) // image))
    return image * max(1, min(7, settings.max_model_len // image))


def _encoder(model: ModelFacts, layout: Layout, settings: Settings) -> tuple[float, float]:
    """Return the image encoder's peak, and its outputs, which are kept while the layers run."""
    vision = model.vision
    if not vision.layers or not settings.images_per_prompt or settings.is_text_only:
        return 0.0, 0.0
    item = max(1, _item_tokens(model, settings))
    budget = max(settings.max_num_batched_tokens, item)
    items = max(1, min(budget // item, settings.max_num_seqs * settings.images_per_prompt))
    ranks = layout.tensor_parallel_size
    if settings.is_encoder_whole:
        items, ranks = cdiv(items, ranks), 1
    patches = items * item * vision.patches_per_token
    old = settings.version < memory.ENCODER_FP32_ROTARY_BEFORE and vision.long_video
    copies = memory.ENCODER_COPIES_FP32_ROTARY if old else memory.ENCODER_COPIES
    inner = vision.intermediate_size * (3 if vision.is_gated else 2) / ranks
    hidden = vision.hidden_size * (2 + (copies - 2) / ranks)
    peak = patches * max(hidden, hidden * 5 / copies + inner) * model.dtype_bytes
    return peak, float(budget * model.hidden_size * model.dtype_bytes)


def _overhead(gpu: Device, layout: Layout, settings: Settings) -> int:
    """Return what is neither weights nor activations, as far as the version counts it."""
    version, ranks = settings.version, layout.tensor_parallel_size
    found = memory.WORKSPACE_BYTES_LATER if version >= memory.WORKSPACE_LATER_SINCE else memory.WORKSPACE_BYTES
    if ranks > 1:
        is_later = version >= memory.COLLECTIVES_LATER_SINCE
        if gpu.is_linked:
            once, each = memory.COLLECTIVES_BYTES_NVLINK_LATER if is_later else memory.COLLECTIVES_BYTES_NVLINK
        else:
            once, each = memory.COLLECTIVES_BYTES_PCIE_LATER if is_later else memory.COLLECTIVES_BYTES_PCIE
        found += once + each * min(ranks, memory.COLLECTIVES_RANKS_COUNTED)
    if settings.engine == 1 and version < memory.CONTEXT_COUNTED_BEFORE:
        found += context_bytes(gpu) + gpu.used_bytes
    return int(found)


def context_bytes(gpu: Device) -> int:
    """Return what CUDA itself takes before anything is loaded."""
    return memory.CONTEXT_BYTES.get(gpu.likely_capability, memory.CONTEXT_BYTES_OTHERS)


def graph_bytes(settings: Settings) -> int:
    """Return what capturing CUDA graphs takes: up to twice ``max_num_seqs`` tokens, 512 at most."""
    if settings.enforce_eager:
        return 0
    share = min(512, settings.max_num_seqs) / 512
    return memory.GRAPH_BYTES + int(memory.GRAPH_BYTES_MORE_FOR_512 * share**2)


# --- The budget ------------------------------------------------------------------------------------------------------


def _check(layout: Layout, settings: Settings) -> None:
    for name, value in (
        ("tensor_parallel_size", layout.tensor_parallel_size),
        ("pipeline_parallel_size", layout.pipeline_parallel_size),
        ("data_parallel_size", layout.data_parallel_size),
        ("max_model_len", settings.max_model_len),
        ("max_num_seqs", settings.max_num_seqs),
        ("max_num_batched_tokens", settings.max_num_batched_tokens),
        ("block_size", settings.block_size),
    ):
        if value < 1:
            raise Refusal(f"{name} is {value}; wanted 1 or more")
    if not 0 < settings.gpu_memory_utilization <= 1:
        raise Refusal(f"gpu_memory_utilization is {settings.gpu_memory_utilization}; wanted above 0 and at most 1")


def budget(model: ModelFacts, gpu: Device, layout: Layout, settings: Settings) -> Budget:
    """Return where the memory of the fullest GPU goes.

    Raises:
        Refusal: sizes below 1, a utilization outside 0 to 1, more stages than layers, an unknown cache dtype.
    """
    _check(layout, settings)
    if layout.pipeline_parallel_size > model.layers:
        raise Refusal(
            f"pipeline_parallel_size is {layout.pipeline_parallel_size}, but the model has {model.layers} layers; "
            "set it to that at most"
        )
    weights = [max(0, size - settings.offload_bytes) for size in stage_weights(model, gpu, layout, settings)]
    counts = stage_layers(model.layers, layout.pipeline_parallel_size)
    unlike = dict.fromkeys(
        _Stage(weights[number], count, number == 0, number == len(counts) - 1) for number, count in enumerate(counts)
    )
    stages = [_stage_budget(model, gpu, layout, settings, stage) for stage in unlike]
    return min(stages, key=lambda stage: (stage.fits, stage.kv_cache_tokens, stage.kv_cache))


@dataclass(frozen=True)
class _Stage:
    weights: int
    layers: int
    is_first: bool
    is_last: bool


def _stage_budget(model: ModelFacts, gpu: Device, layout: Layout, settings: Settings, stage: _Stage) -> Budget:
    usable = int(gpu.memory_bytes * settings.gpu_memory_utilization)
    activations = _stage_activations(model, layout, settings, is_first=stage.is_first, is_last=stage.is_last)
    overhead = _overhead(gpu, layout, settings)
    graphs = graph_bytes(settings)
    counted = graphs if settings.version >= memory.GRAPHS_COUNTED_SINCE else 0
    cache = cache_layout(model, layout, settings, stage.layers)
    told = settings.fixed_blocks * cache.block_bytes or settings.kv_cache_memory_bytes
    rest = told or usable - stage.weights - activations - overhead - counted
    blocks = max(0, rest) // cache.block_bytes if cache.block_bytes else 0
    per_request = request_blocks(cache, settings)
    concurrency = blocks / per_request
    if settings.engine == 1 and settings.version >= memory.TOKENS_BY_CONCURRENCY_SINCE:
        tokens = int(concurrency * settings.max_model_len)
    elif len(cache.groups) > 1:
        tokens = blocks // len(cache.groups) * cache.min_block
    else:
        tokens = blocks * cache.min_block * settings.context_ranks
        if settings.version < memory.HYBRID_GROUPS_SINCE:
            concurrency = tokens / settings.max_model_len
    if not model.kv_layers:  # nothing is cached, so a batch is the limit
        concurrency = float(settings.max_num_seqs)
    needed = per_request * cache.block_bytes
    uncertainty = (
        memory.UNCERTAIN_BYTES
        + memory.UNCERTAIN_SHARE_OF_WEIGHTS * stage.weights
        + memory.UNCERTAIN_SHARE_OF_ACTIVATIONS * activations
        + memory.UNCERTAIN_SHARE_OF_REST * (overhead + counted)
    )
    found = Budget(
        total=gpu.memory_bytes,
        usable=usable,
        weights=stage.weights,
        activations=activations,
        cuda_graphs=graphs,
        graphs_counted=bool(counted),
        overhead=overhead,
        kv_cache=rest,
        kv_bytes_per_token=cdiv(cache.token_bytes, settings.context_ranks),
        kv_cache_tokens=tokens,
        max_concurrency=concurrency,
        uncertainty=int(uncertainty),
        fits=True,
        needed_kv=needed,
        outcome="ok",
        reason="",
        block_size=cache.min_block,
        has_states=model.has_state,
        blocks=_state_blocks(blocks, model, settings),
        block_bytes=max(1, cache.block_bytes),
    )
    outcome, reason = _judge(found, gpu, layout, settings, _checked_need(model, layout, settings, needed))
    return found if outcome == "ok" else replace(found, fits=False, outcome=outcome, reason=reason)


def _checked_need(model: ModelFacts, layout: Layout, settings: Settings, needed: int) -> int:
    """Return what the version's own check holds against one stage: some took the need of the whole model."""
    stages = layout.pipeline_parallel_size
    if stages == 1:
        return needed
    if settings.engine == 0:
        return needed * stages
    if memory.WHOLE_MODEL_PER_STAGE_SINCE <= settings.version < memory.WHOLE_MODEL_PER_STAGE_BEFORE:
        whole = cache_layout(model, layout, settings)
        return request_blocks(whole, settings) * whole.block_bytes
    return needed


def wants_larger_steps(found: Budget, settings: Settings) -> bool:
    """Whether a version refuses steps of fewer tokens than one block of a hybrid model's cache."""
    is_checked = memory.BLOCK_WITHIN_BATCH_SINCE <= settings.version < memory.BLOCK_WITHIN_BATCH_BEFORE
    is_hybrid = found.has_states and settings.enable_prefix_caching
    return is_checked and is_hybrid and found.block_size > settings.max_num_batched_tokens


def _state_blocks(blocks: int, model: ModelFacts, settings: Settings) -> int:
    """Return the blocks against which a version holds the running requests of a model with states."""
    is_profiled = memory.STATE_BLOCKS_PROFILED_SINCE <= settings.version < memory.STATE_BLOCKS_PROFILED_BEFORE
    return min(blocks, memory.LARGEST_GRAPH) if model.has_state and is_profiled else blocks


def lacks_state_blocks(found: Budget, settings: Settings) -> bool:
    """Whether a version refuses to capture CUDA graphs of more requests than there are blocks for their states.

    Source: ``resolve_cudagraph_mode_and_sizes`` of vllm/config/compilation.py, of graphs of the whole model alone.
    """
    is_checked = settings.version >= memory.STATE_BLOCKS_CHECKED_SINCE and settings.has_full_graphs
    return is_checked and found.has_states and settings.max_num_seqs > found.blocks


def _judge(found: Budget, gpu: Device, layout: Layout, settings: Settings, needed: int) -> tuple[str, str]:
    """Return how vLLM's start ends, and why in words."""
    free = gpu.memory_bytes - gpu.used_bytes - context_bytes(gpu)
    if found.weights > free:
        return "oom", f"the weights take {gib(found.weights)} on each {gpu.name}, of which {gib(free)} are free"
    if found.weights + found.activations > free:
        return "oom", (
            f"weights and activations take {gib(found.weights + found.activations)} on each {gpu.name}, "
            f"of which {gib(free)} are free"
        )
    told = found.kv_cache if settings.fixes_cache else 0
    taken = found.weights + found.activations + found.overhead + told
    if told and taken > free:
        return "oom", (
            f"weights, activations, libraries and a KV cache of {gib(told)}, as {settings.fixes_cache} says, take "
            f"{gib(taken)} on each {gpu.name}, of which {gib(free)} are free"
        )
    if found.usable > free and settings.engine == 1 and settings.version >= memory.CONTEXT_COUNTED_BEFORE:
        return "refused", (
            f"gpu_memory_utilization {settings.gpu_memory_utilization:g} asks for {gib(found.usable)}, and {gib(free)} "
            f"of {gpu.name} are free; set it to {max(0, int(100 * free / gpu.memory_bytes)) / 100:g} or less"
        )
    if wants_larger_steps(found, settings):
        return "refused", (
            f"blocks of this model's cache have {found.block_size} tokens with prefix caching, more than "
            f"max_num_batched_tokens {settings.max_num_batched_tokens}; set it to {found.block_size} or more"
        )
    if found.kv_cache <= 0:
        return "kv_too_small", (
            f"nothing is left for the KV cache: weights, activations and the rest exceed {gib(gpu.memory_bytes)} x "
            f"gpu_memory_utilization {settings.gpu_memory_utilization:g} by {gib(-found.kv_cache)}"
        )
    if needed > found.kv_cache:
        where = " (of all stages, as this version counts)" if layout.pipeline_parallel_size > 1 else ""
        return "kv_too_small", (
            f"one request of max_model_len {settings.max_model_len} needs {gib(needed)} of KV cache{where}, and "
            f"{gib(found.kv_cache)} are left"
        )
    if lacks_state_blocks(found, settings):
        return "refused", (
            f"max_num_seqs is {settings.max_num_seqs} and the cache has about {found.blocks} blocks, of which each "
            f"running request's Mamba state takes one; set max_num_seqs to {max(1, found.sure_blocks)} or fewer"
        )
    return "ok", ""
