# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How vLLM lays the KV cache out: what a token takes, how layers share blocks, how many blocks a request takes.

It follows vllm/v1/core/kv_cache_utils.py of each version.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..checkpoint.config import KvLayers, ModelFacts
from ..core.errors import Refusal
from .facts import memory
from .settings import Layout, Settings

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
    "nvfp4_ds_mla": 0.5,
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


def cdiv(number: int, divisor: int) -> int:
    return -(-number // divisor)


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
        if settings.kv_cache_dtype == "nvfp4_ds_mla":
            return 352
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
    size = settings.state_bytes or layers.state_bytes
    return (conv + layers.state_elements * size) // layout.tensor_parallel_size


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
            found += cdiv(cdiv(length, settings.context_ranks), group.block_size)
    return max(1, found)
