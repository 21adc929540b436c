# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model takes on a GPU under vLLM: weights, activations, graphs, and what is left for the KV cache.

It follows what each version does when it starts: vllm/v1/worker/gpu_worker.py (what is measured, and against which
limit), vllm/v1/core/kv_cache_utils.py (how layers share blocks), and vllm/worker/worker.py for the V0 engine.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from ..checkpoint.config import KvLayers, ModelFacts
from ..core.errors import Refusal
from ..core.units import gib
from . import flags
from .facts import memory

Version = tuple[int, ...]

# Bytes of one cached element, by vLLM's names; nvfp4: four bits and an fp8 scale per 16.
CACHE_BYTES = {
    "fp8": 1.0,
    "fp8_e4m3": 1.0,
    "fp8_e5m2": 1.0,
    "fp8_inc": 1.0,
    "fp8_ds_mla": 1.0,
    "int8": 1.0,
    "nvfp4": 0.5625,
    "nvfp4_4over6": 0.5625,
    "float32": 4.0,
}
# Formats that pack each head's vectors by themselves: bits of an element of the key and of the value, and bytes of
# their scales together (TritonAttentionBackend.customize_spec; quantization/turboquant/config.py).
PACKED_CACHES = {
    "int4_per_token_head": (4, 4, 8),
    "int8_per_token_head": (8, 8, 8),
    "fp8_per_token_head": (8, 8, 8),
    "turboquant_k8v4": (8, 4, 4),
    "turboquant_4bit_nc": (4, 4, 6),
    "turboquant_k3v4_nc": (3, 4, 6),
    "turboquant_3bit_nc": (3, 3, 6),
}
# Layers at the start and at the end that TurboQuant leaves at the model's dtype, unless the model is a hybrid.
TURBOQUANT_SPARES = 4


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        memory_bytes: all of its memory, as CUDA reports it.
        memory_used_bytes: what other processes hold.
        has_nvlink: whether it is linked with the others that serve; None: as its kind usually is.
    """

    name: str
    memory_bytes: int
    compute_capability: str = "8.0"
    memory_used_bytes: int = 0
    is_unified: bool = False
    has_nvlink: bool | None = None

    @property
    def is_linked(self) -> bool:
        if self.has_nvlink is not None:
            return self.has_nvlink
        return self.compute_capability in memory.LINKED_CAPABILITIES and "pcie" not in self.name.lower()

    @property
    def capability(self) -> tuple[int, int]:
        major, _dot, minor = self.compute_capability.partition(".")
        return int(major or 0), int(minor or 0)


@dataclass(frozen=True)
class Layout:
    """How many GPUs serve the model, and how it is cut."""

    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1
    expert_parallel: bool = False


@dataclass(frozen=True)
class Settings:
    """vLLM's settings, resolved: nothing is left to a default (see ``resolve``)."""

    version: Version
    gpu_memory_utilization: float
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    dtype: str = "bfloat16"
    kv_cache_dtype: str = "auto"
    enforce_eager: bool = False
    block_size: int = 16
    kv_cache_memory_bytes: int = 0
    quantization: str = ""
    images_per_prompt: int = 1
    speculative_tokens: int = 0
    draft_layers: int = 0
    enable_prefix_caching: bool = True
    has_flashinfer: bool = False
    engine: int = 1


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
    cache_groups: int = 1
    has_states: bool = False


def cdiv(number: int, divisor: int) -> int:
    return -(-number // divisor)


def engine_of(version: Version, capability: tuple[int, int]) -> int:
    """Return which engine a version starts by default: 0 or 1.

    V1 is the default since 0.8.0 on Ampere and later, since 0.10.2 on older ones too; the only one since 0.11.0.
    """
    if version < (0, 8):
        return 0
    return 1 if version >= (0, 10, 2) or capability >= (8, 0) else 0


def _default_engine(version: Version, model: ModelFacts, gpu: Gpu, cache: str, stages: int) -> int:
    """Return the engine that a version starts for a model: V1 fell back to V0 for what it could not do yet."""
    chosen = engine_of(version, gpu.capability)
    if version < (0, 9) and (model.quantization == "gguf" or stages > 1):
        return 0
    if version < (0, 10) and model.has_state:
        return 0
    return chosen if cache == "auto" or _newer_engine_casts(version, model, gpu) else 0


def _newer_engine_casts(version: Version, model: ModelFacts, gpu: Gpu) -> bool:
    """Whether V1 took a cache of another dtype than the model's: at first on Hopper alone.

    Source: ``_is_v1_supported_oracle``, later ``is_kv_cache_dtype_supported`` of vllm/platforms/cuda.py.
    """
    if version >= (0, 11) or (model.is_mla and version >= (0, 10, 2)):
        return True
    major = gpu.capability[0]
    return version >= (0, 8, 2) and (major == 9 or (major == 10 and version >= (0, 10, 1)))


# Tokens, for a model that names no longest context (_get_and_verify_max_len).
UNKNOWN_LENGTH = 2048

# V0's own defaults: requests at once, tokens per step, and up to which length prompts were not cut in pieces; a step of
# pieces was smaller before 0.6.5, and one with images is larger (SchedulerConfig; EngineArgs.create_engine_config).
V0_SEQUENCES, V0_TOKENS, V0_WHOLE_PROMPTS = 256, 2048, 32768
V0_PIECES_SINCE, V0_PIECES_TOKENS, V0_PIECES_LARGER_SINCE = (0, 5, 3), 512, (0, 6, 5)
V0_IMAGE_TOKENS, V0_IMAGE_TOKENS_SINCE = 5120, (0, 6, 4)


@functools.lru_cache(maxsize=256)
def _defaults(version: Version, gpu: Gpu) -> tuple[float, int, int]:
    """Return a version's utilization, requests at once and tokens per step; 0.9 and V0's for versions before 0.8."""
    if version < flags.OLDEST:
        return 0.9, V0_SEQUENCES, V0_TOKENS
    known = flags.defaults_for(".".join(map(str, version)), gpu.memory_bytes, gpu.name)
    return known.gpu_memory_utilization, known.max_num_seqs, known.max_num_batched_tokens


def _v0_tokens(version: Version, model: ModelFacts, length: int) -> int:
    """Return V0's tokens per step: prompts were cut in pieces for long contexts only, others were profiled whole."""
    if model.is_multimodal:
        return max(length, V0_IMAGE_TOKENS if version >= V0_IMAGE_TOKENS_SINCE else V0_TOKENS)
    has_windows = any(item.kind == "sliding" for item in model.kv_layers)
    if version < V0_PIECES_SINCE or length <= V0_WHOLE_PROMPTS or model.is_mla or has_windows:
        return max(length, V0_TOKENS)
    return V0_TOKENS if version >= V0_PIECES_LARGER_SINCE else V0_PIECES_TOKENS


def resolve(
    version: Version,
    model: ModelFacts,
    gpu: Gpu,
    *,
    gpu_memory_utilization: float | None = None,
    max_model_len: int | None = None,
    max_num_seqs: int | None = None,
    max_num_batched_tokens: int | None = None,
    kv_cache_dtype: str | None = None,
    enforce_eager: bool | None = None,
    block_size: int | None = None,
    kv_cache_memory_bytes: int | None = None,
    quantization: str | None = None,
    images_per_prompt: int = 1,
    speculative_tokens: int = 0,
    speculative_method: str = "",
    stages: int = 1,
    enable_prefix_caching: bool | None = None,
    has_flashinfer: bool = False,
    engine: int | None = None,
) -> Settings:
    """Return the settings with the version's own defaults where nothing is given.

    Args:
        stages: of a pipeline that runs without Ray.
    """
    cache = kv_cache_dtype or "auto"
    if cache == "auto" and model.kv_cache_quantization.startswith("fp8"):
        cache = "fp8"
    chosen = _default_engine(version, model, gpu, kv_cache_dtype or "auto", stages) if engine is None else engine
    length = max_model_len or model.longest or model.max_position or UNKNOWN_LENGTH
    utilization, seqs, tokens = _defaults(version, gpu)
    seqs = seqs if max_num_seqs is None else max_num_seqs
    if chosen == 0:
        seqs = V0_SEQUENCES if max_num_seqs is None else seqs
        tokens = _v0_tokens(version, model, length)
    tokens = min(tokens, seqs * length) if max_num_batched_tokens is None else max_num_batched_tokens
    if max_num_seqs is None:
        seqs = min(seqs, tokens)
    return Settings(
        version=version,
        gpu_memory_utilization=utilization if gpu_memory_utilization is None else gpu_memory_utilization,
        max_model_len=length,
        max_num_seqs=seqs,
        max_num_batched_tokens=tokens,
        dtype=model.dtype,
        kv_cache_dtype=cache,
        enforce_eager=bool(enforce_eager),
        block_size=block_size or (64 if model.is_mla and chosen == 1 else 16),
        kv_cache_memory_bytes=kv_cache_memory_bytes or 0,
        quantization=quantization or "",
        images_per_prompt=images_per_prompt,
        speculative_tokens=speculative_tokens,
        draft_layers=model.draft_layers if speculative_tokens and "mtp" in speculative_method else 0,
        enable_prefix_caching=(
            not model.has_state or version >= memory.STATE_PREFIX_CACHING_SINCE
            if enable_prefix_caching is None
            else enable_prefix_caching
        ),
        has_flashinfer=has_flashinfer,
        engine=chosen,
    )


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
LOADED_BITS = {"bitsandbytes": 4.127, "fp8": 8.0, "experts_int8": 8.0, "mxfp8": 8.25}


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
    if quantization in LOADED_BITS and not model.quantization:
        scale = LOADED_BITS[quantization] / 8
    share = parts.kept / attention if attention else 0.0
    mixed = share * width + (1 - share) * scale
    return _Weights(
        parts.embedding * width,
        parts.head * width,
        parts.attention * mixed + parts.absorbed * model.dtype_bytes,
        parts.key_value * mixed,
        parts.dense * scale,
        parts.experts * scale,
        parts.replicated * width,
        parts.vision * width,
        parts.draft * width,
    )


def _mxfp4_padding(model: ModelFacts, gpu: Gpu, shards: int, version: Version) -> float:
    """Return by how much the expert weights of MXFP4 grow where a kernel wants whole tiles.

    Source: vllm/model_executor/layers/quantization/mxfp4.py, create_weights.
    """
    if model.quantization != "mxfp4":
        return 1.0
    capability = gpu.capability
    inner = cdiv(model.moe_intermediate_size, shards)
    if capability[0] == 10:  # FlashInfer's TensorRT-LLM kernels
        padded_inner, padded_hidden = 256 * cdiv(inner, 256), 256 * cdiv(model.hidden_size, 256)
    elif capability[0] == 9 and version >= (0, 10, 2):  # Triton
        padded_inner, padded_hidden = 64 * cdiv(inner, 64), model.hidden_size
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


def stage_weights(model: ModelFacts, gpu: Gpu, layout: Layout, settings: Settings) -> tuple[int, ...]:
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
    )
    # The table of rotary angles: a cosine and a sine for each position.
    angles = model.max_position * model.head_dim * model.dtype_bytes if not model.is_mla else 0
    counts = stage_layers(model.layers, layout.pipeline_parallel_size)
    found = []
    for number, count in enumerate(counts):
        held = per_layers * count / model.layers + angles
        is_first, is_last = number == 0, number == len(counts) - 1
        if is_first:
            held += whole.vision / ranks
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
    if is_last:
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
    if not model.vision.long_video:
        return image
    # vllm/model_executor/models/qwen2_vl.py: pairs of frames, as many as the context holds, 16 frames at most.
    if settings.version < (0, 11):
        return image * max(1, min(8, (settings.max_model_len - image) // image))
    return image * max(1, min(7, settings.max_model_len // image))


def _encoder(model: ModelFacts, layout: Layout, settings: Settings) -> tuple[float, float]:
    """Return the image encoder's peak, and its outputs, which are kept while the layers run."""
    vision = model.vision
    if not vision.layers or not settings.images_per_prompt:
        return 0.0, 0.0
    item = max(1, _item_tokens(model, settings))
    budget = max(settings.max_num_batched_tokens, item)
    items = max(1, min(budget // item, settings.max_num_seqs * settings.images_per_prompt))
    patches = items * item * vision.patches_per_token
    ranks = layout.tensor_parallel_size
    old = settings.version < memory.ENCODER_FP32_ROTARY_BEFORE and vision.long_video
    copies = memory.ENCODER_COPIES_FP32_ROTARY if old else memory.ENCODER_COPIES
    inner = vision.intermediate_size * (3 if vision.is_gated else 2) / ranks
    hidden = vision.hidden_size * (2 + (copies - 2) / ranks)
    peak = patches * max(hidden, hidden * 5 / copies + inner) * model.dtype_bytes
    return peak, float(budget * model.hidden_size * model.dtype_bytes)


def _overhead(gpu: Gpu, layout: Layout, settings: Settings) -> int:
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
        found += context_bytes(gpu) + gpu.memory_used_bytes
    return int(found)


def context_bytes(gpu: Gpu) -> int:
    """Return what CUDA itself takes before anything is loaded."""
    return memory.CONTEXT_BYTES.get(gpu.compute_capability, memory.CONTEXT_BYTES_OTHERS)


def graph_bytes(settings: Settings) -> int:
    """Return what capturing CUDA graphs takes: up to twice ``max_num_seqs`` tokens, 512 at most."""
    if settings.enforce_eager:
        return 0
    share = min(512, settings.max_num_seqs) / 512
    return memory.GRAPH_BYTES + int(memory.GRAPH_BYTES_MORE_FOR_512 * share**2)


# --- The KV cache ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Group:
    """Layers that share one block table."""

    kind: str
    window: int
    block_size: int


@dataclass(frozen=True)
class Cache:
    """How a version lays the KV cache out on one GPU.

    Attributes:
        block_bytes: one block of all groups' tensors.
        groups: each takes blocks of its own for a request.
        token_bytes: growth per token of a long context.
    """

    block_bytes: int
    groups: tuple[_Group, ...]
    token_bytes: int
    min_block: int


def cache_element_bytes(model: ModelFacts, settings: Settings) -> float:
    """Return the bytes of one cached element.

    Raises:
        Refusal: a name that vLLM does not know.
    """
    name = settings.kv_cache_dtype
    if name in ("auto", "bfloat16", "float16"):
        return 2.0 if name != "auto" else float(model.dtype_bytes)
    if name in PACKED_CACHES:
        return sum(PACKED_CACHES[name][:2]) / 16
    if name not in CACHE_BYTES:
        known = ", ".join(("auto", "bfloat16", "float16", *CACHE_BYTES, *PACKED_CACHES))
        raise Refusal(f"kv_cache_dtype is {name!r}; wanted one of {known}")
    return CACHE_BYTES[name]


def token_bytes(layers: KvLayers, model: ModelFacts, layout: Layout, settings: Settings) -> int:
    """Return what one token takes in one layer on one GPU."""
    size = cache_element_bytes(model, settings)
    if layers.kind == "indexer":
        return layers.key_dim
    if layers.kind == "mla":
        width = layers.key_dim
        if any(item.kind == "indexer" for item in model.kv_layers) and size == 1:
            return 656  # fp8_ds_mla: 512 fp8, 4 fp32 scales, 64 bf16
        if settings.engine == 0 and settings.version >= (0, 7, 2):
            width = 128 * cdiv(width, 128)  # V0 aligned rows to 256 bytes
        return int(width * size)
    heads = max(1, layers.kv_heads // layout.tensor_parallel_size)
    if settings.kv_cache_dtype in PACKED_CACHES:
        key_bits, value_bits, scales = PACKED_CACHES[settings.kv_cache_dtype]
        packed = cdiv(layers.key_dim * key_bits, 8) + cdiv(layers.value_dim * value_bits, 8) + scales
        return heads * (packed + packed % 2)
    return int(heads * (layers.key_dim + layers.value_dim) * size)


def _state_bytes(layers: KvLayers, model: ModelFacts, layout: Layout, settings: Settings) -> int:
    conv = layers.conv_width * (layers.conv_tokens + settings.speculative_tokens) * model.dtype_bytes
    return (conv + layers.state_elements * layers.state_bytes) // layout.tensor_parallel_size


def cache_layout(model: ModelFacts, layout: Layout, settings: Settings, layers: int = 0) -> Cache:
    """Return the layout of the cache on a GPU of a stage with so many layers (0: all).

    Source: get_kv_cache_groups and HybridAttentionMambaModelConfig. One kind of layers: one group. Several: groups of
    as many layers as the rarest kind has, padded, all with pages of one size; a state's page is an attention block
    made large enough, and the smaller of two attention pages holds more tokens.
    """
    version = settings.version
    if any(item.kind == "compressed" for item in model.kv_layers):
        return _compressed_layout(model, layers)
    attention = [
        replace(item, count=item.count + settings.draft_layers)
        if settings.draft_layers and item.kind in ("full", "mla")
        else item
        for item in model.kv_layers
        if item.kind != "state"
    ]
    states = [item for item in model.kv_layers if item.kind == "state"]
    per_token = {item: token_bytes(item, model, layout, settings) for item in attention}
    is_split = settings.engine == 1 and version >= memory.HYBRID_GROUPS_SINCE
    kinds = {(item.kind, item.window) for item in attention if item.kind not in ("indexer", "cross")}
    growing = sum(
        per_token[item] * held(item.count, layers, model)
        for item in attention
        if item.kind not in ("sliding", "chunked") or not is_split
    )
    if not states and (len(kinds) <= 1 or not is_split):
        total = sum(per_token[item] * held(item.count, layers, model) for item in attention)
        if settings.kv_cache_dtype.startswith("turboquant"):
            plain = replace(settings, kv_cache_dtype="auto")
            more = max(token_bytes(item, model, layout, plain) - per_token[item] for item in attention)
            total += more * held(min(TURBOQUANT_SPARES, model.layers), layers, model)
        kind, window = next(iter(kinds)) if len(kinds) == 1 else ("full", 0)
        group = _Group(kind, window, settings.block_size)
        return Cache(total * settings.block_size, (group,), total, settings.block_size)
    if states:
        page_token = max(per_token.values(), default=1)
        page = max(_state_bytes(item, model, layout, settings) for item in states)
        step = 16
        if model.is_mla:
            step = 128 if any(item.kind == "indexer" for item in attention) else 64
        if settings.enable_prefix_caching and version < memory.STATES_OF_CONSTANT_NUMBER_SINCE and states[0].chunk:
            step = max(step, states[0].chunk)
        block = max(settings.block_size, step * cdiv(page, step * page_token))
        page = block * page_token
    else:
        page = max(per_token.values()) * settings.block_size
    paged = [item for item in attention if item.kind not in ("cross", "indexer")]
    buckets = [(item, max(1, page // per_token[item])) for item in paged]
    buckets += [(item, settings.max_model_len) for item in states]
    counts = [item.count for item, _block in buckets]
    size, most = min(counts), max(counts)
    tolerance = memory.GROUPS_BY_MOST_LATER if version >= memory.GROUPS_BY_MOST_LATER_SINCE else memory.GROUPS_BY_MOST
    if version >= memory.GROUPS_BY_MOST_SINCE and most < size * tolerance:
        size = most
    groups: list[_Group] = []
    for item, block in buckets:
        groups += [_Group(item.kind, item.window or item.chunk, block)] * cdiv(item.count, size)
    blocks = [group.block_size for group in groups if group.kind != "state"] or [settings.max_model_len]
    return Cache(page * held(size, layers, model), tuple(groups), growing, min(blocks))


# DeepSeek V4: tokens per block, the bytes that each page is a multiple of, and the blocks of its windows: (tokens that
# are kept, tokens per block) of the states that compress 4 and 128 tokens (vllm/models/deepseek_v4/compressor.py).
COMPRESSED_BLOCK, COMPRESSED_ALIGNMENT, COMPRESSED_WINDOW_BLOCK = 256, 576, 64
COMPRESSOR_STATES = {4: (8, 4), 128: (128, 8)}


def _compressed_layout(model: ModelFacts, layers: int) -> Cache:
    """Return the layout of DeepSeek V4: one group for all that grows, others for windows and compressors' states."""
    block, alignment = COMPRESSED_BLOCK, COMPRESSED_ALIGNMENT
    grown = [item for item in model.kv_layers if item.kind == "compressed"]
    pages = {item: alignment * cdiv(cdiv(block, item.window) * item.key_dim, alignment) for item in grown}
    total = sum(pages[item] * held(item.count, layers, model) for item in grown)
    groups = [_Group("full", 0, block)]
    most = max(item.count for item in grown)
    for item in model.kv_layers:
        if item.kind == "sliding":
            groups += [_Group("sliding", item.window, COMPRESSED_WINDOW_BLOCK)] * cdiv(item.count, most + 1)
    for ratio in sorted({item.window for item in grown}):
        window, tokens = COMPRESSOR_STATES.get(ratio, (ratio, 8))
        groups.append(_Group("sliding", window, tokens))
    return Cache(total, tuple(groups), total // block, block)


def held(count: int, layers: int, model: ModelFacts) -> int:
    """Return how many of so many layers a stage of some layers (0: all) holds, at most."""
    return max(1, cdiv(count * (layers or model.layers), model.layers))


def _request_states(cache: Cache, settings: Settings, group: _Group) -> int:
    """Return the states that a request keeps: one, or more where prefixes are cached or tokens guessed."""
    if settings.version >= memory.STATES_OF_CONSTANT_NUMBER_SINCE:
        return (2 if settings.enable_prefix_caching else 1) + settings.speculative_tokens
    if settings.enable_prefix_caching and group.window:  # a Mamba kernel's chunk: it can start again there
        return cdiv(settings.max_model_len, cache.min_block)
    return 1 + settings.speculative_tokens


def request_blocks(cache: Cache, settings: Settings) -> int:
    """Return the blocks that one request of ``max_model_len`` takes."""
    length, batch = settings.max_model_len, settings.max_num_batched_tokens
    if settings.version >= memory.BATCHES_IN_FLIGHT_SINCE:
        batch *= 2
    found = 0
    for group in cache.groups:
        if group.kind == "state":
            found += _request_states(cache, settings, group)
        elif group.kind == "sliding" and settings.engine == 1:
            found += cdiv(min(group.window - 1 + batch, length), group.block_size) + 1
        elif group.kind == "chunked":
            found += cdiv(min(group.window + batch, length), group.block_size)
        else:
            found += cdiv(length, group.block_size)
    return max(1, found)


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


def budget(model: ModelFacts, gpu: Gpu, layout: Layout, settings: Settings) -> Budget:
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
    weights = stage_weights(model, gpu, layout, settings)
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


def _stage_budget(model: ModelFacts, gpu: Gpu, layout: Layout, settings: Settings, stage: _Stage) -> Budget:
    usable = int(gpu.memory_bytes * settings.gpu_memory_utilization)
    activations = _stage_activations(model, layout, settings, is_first=stage.is_first, is_last=stage.is_last)
    overhead = _overhead(gpu, layout, settings)
    graphs = graph_bytes(settings)
    counted = graphs if settings.version >= memory.GRAPHS_COUNTED_SINCE else 0
    rest = settings.kv_cache_memory_bytes or usable - stage.weights - activations - overhead - counted
    cache = cache_layout(model, layout, settings, stage.layers)
    blocks = max(0, rest) // cache.block_bytes if cache.block_bytes else 0
    per_request = request_blocks(cache, settings)
    concurrency = blocks / per_request
    if settings.engine == 1 and settings.version >= memory.TOKENS_BY_CONCURRENCY_SINCE:
        tokens = int(concurrency * settings.max_model_len)
    elif len(cache.groups) > 1:
        tokens = blocks // len(cache.groups) * cache.min_block
    else:
        tokens = blocks * cache.min_block
        if settings.version < memory.HYBRID_GROUPS_SINCE:
            concurrency = tokens / settings.max_model_len
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
        kv_bytes_per_token=cache.token_bytes,
        kv_cache_tokens=tokens,
        max_concurrency=concurrency,
        uncertainty=int(uncertainty),
        fits=True,
        needed_kv=needed,
        outcome="ok",
        reason="",
        block_size=cache.min_block,
        cache_groups=len(cache.groups),
        has_states=model.has_state,
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


def _judge(found: Budget, gpu: Gpu, layout: Layout, settings: Settings, needed: int) -> tuple[str, str]:
    """Return how vLLM's start ends, and why in words."""
    free = gpu.memory_bytes - gpu.memory_used_bytes - context_bytes(gpu)
    if found.weights > free:
        return "oom", f"the weights take {gib(found.weights)} on each {gpu.name}, of which {gib(free)} are free"
    if found.weights + found.activations > free:
        return "oom", (
            f"weights and activations take {gib(found.weights + found.activations)} on each {gpu.name}, "
            f"of which {gib(free)} are free"
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
    return "ok", ""
