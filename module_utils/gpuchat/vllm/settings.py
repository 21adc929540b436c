# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vLLM's settings for a model on a GPU, with each version's own defaults where nothing is given."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ..checkpoint.config import ModelFacts
from . import flags, releases
from .devices import Device
from .facts import memory

Version = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """How many GPUs serve the model, and how it is cut."""

    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1
    expert_parallel: bool = False


@dataclass(frozen=True)
class Settings:
    """vLLM's settings, resolved: nothing is left to a default (see ``resolve``).

    Attributes:
        images_per_prompt: 0 where nothing comes to the encoder of images, which is then not profiled.
        videos_per_prompt: 0 where images alone come.
        is_encoder_whole: each GPU of a split holds all of the encoder of images, and reads some of them.
        is_text_only: encoders of images and sound are neither loaded nor profiled.
        lora: rank that all adapters together may have; 0 without.
        is_pooling: vectors or scores are made, and nothing is sampled.
        state_bytes: of one element of a Mamba layer's state; 0 leaves it to the model.
        fixed_blocks: of the cache, whatever memory is left for it; 0 where that decides.
        offload_bytes: of the weights, that each GPU leaves in the host's memory.
        context_ranks: GPUs that share out each conversation's cache among them (decode context parallelism).
    """

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
    fixed_blocks: int = 0
    quantization: str = ""
    images_per_prompt: int = 1
    videos_per_prompt: int = 1
    speculative_tokens: int = 0
    draft_layers: int = 0
    enable_prefix_caching: bool = True
    has_flashinfer: bool = False
    engine: int = 1
    has_piecewise_graphs: bool = False
    lora: int = 0
    is_text_only: bool = False
    is_pooling: bool = False
    state_bytes: int = 0
    offload_bytes: int = 0
    context_ranks: int = 1
    is_encoder_whole: bool = False

    @property
    def fixes_cache(self) -> str:
        """The option by which the cache has a size of its own, an empty text where memory decides."""
        if self.fixed_blocks:
            return "num-gpu-blocks-override"
        return "kv-cache-memory-bytes" if self.kv_cache_memory_bytes else ""

    @property
    def has_full_graphs(self) -> bool:
        """Whether CUDA graphs of the whole model are captured, not only of the parts between attention."""
        return self.engine == 1 and not self.enforce_eager and not self.has_piecewise_graphs


def engine_of(version: Version, capability: tuple[int, int]) -> int:
    """Return which engine a version starts by default: 0 or 1.

    V1 is the default since 0.8.0 on Ampere and later, since 0.10.2 on older ones too; the only one since 0.11.0.
    """
    if version < (0, 8):
        return 0
    return 1 if version >= (0, 10, 2) or capability >= (8, 0) else 0


def _default_engine(version: Version, model: ModelFacts, gpu: Device, cache: str, stages: int) -> int:
    """Return the engine that a version starts for a model: V1 fell back to V0 for what it could not do yet."""
    chosen = engine_of(version, gpu.capability)
    if version < (0, 9) and (model.quantization == "gguf" or stages > 1):
        return 0
    if version < (0, 10) and model.has_state:
        return 0
    return chosen if cache == "auto" or _newer_engine_casts(version, model, gpu) else 0


def _newer_engine_casts(version: Version, model: ModelFacts, gpu: Device) -> bool:
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
def _defaults(version: Version, memory_bytes: int, name: str) -> tuple[float, int, int]:
    """Return a version's utilization, requests at once and tokens per step; 0.9 and V0's for versions before 0.8."""
    if version < releases.OLDEST:
        return 0.9, V0_SEQUENCES, V0_TOKENS
    known = flags.defaults_for(".".join(map(str, version)), memory_bytes, name)
    return known.gpu_memory_utilization, known.max_num_seqs, known.max_num_batched_tokens


def _v0_tokens(version: Version, model: ModelFacts, length: int) -> int:
    """Return V0's tokens per step: prompts were cut in pieces for long contexts only, others were profiled whole."""
    if model.is_multimodal:
        return max(length, V0_IMAGE_TOKENS if version >= V0_IMAGE_TOKENS_SINCE else V0_TOKENS)
    has_windows = any(item.kind == "sliding" for item in model.kv_layers)
    if version < V0_PIECES_SINCE or length <= V0_WHOLE_PROMPTS or model.is_mla or has_windows:
        return max(length, V0_TOKENS)
    return V0_TOKENS if version >= V0_PIECES_LARGER_SINCE else V0_PIECES_TOKENS


def _cache_dtype(version: Version, model: ModelFacts, gpu: Device, wished: str) -> str:
    """Return the cache's type: as wished, as the model was quantized for, or as its attention takes by itself."""
    if wished != "auto":
        return wished
    if model.kv_cache_quantization.startswith("fp8"):
        return "fp8"
    is_sparse = any(item.kind == "indexer" for item in model.kv_layers)
    since, major = memory.FP8_CACHE_BY_ITSELF.get(model.architecture), gpu.capability[0]
    by_model = since is not None and version >= since and major == 10
    return "fp8" if is_sparse and (by_model or major == memory.FP8_SPARSE_CACHE_ALONE) else "auto"


def _at_once(
    version: Version,
    model: ModelFacts,
    gpu: Device,
    engine: int,
    length: int,
    wished_seqs: int | None,
    wished_tokens: int | None,
) -> tuple[int, int]:
    """Return the requests at once and the tokens per step; of what nobody wishes, neither exceeds the other."""
    _utilization, seqs, tokens = _defaults(version, gpu.memory_bytes, gpu.name)
    if engine == 0:
        seqs, tokens = V0_SEQUENCES, _v0_tokens(version, model, length)
    if wished_seqs is not None:
        seqs = wished_seqs
    tokens = min(tokens, seqs * length) if wished_tokens is None else wished_tokens
    return (min(seqs, tokens) if wished_seqs is None else seqs), tokens


def _caches_prefixes(version: Version, model: ModelFacts) -> bool:
    """Whether a version keeps what conversations begin with, where nobody says."""
    return not model.has_state or (version >= memory.STATE_PREFIX_CACHING_SINCE and not model.is_attention_free)


def resolve(
    version: Version,
    model: ModelFacts,
    gpu: Device,
    *,
    gpu_memory_utilization: float | None = None,
    max_model_len: int | None = None,
    max_num_seqs: int | None = None,
    max_num_batched_tokens: int | None = None,
    kv_cache_dtype: str | None = None,
    enforce_eager: bool | None = None,
    block_size: int | None = None,
    kv_cache_memory_bytes: int | None = None,
    fixed_blocks: int | None = None,
    quantization: str | None = None,
    images_per_prompt: int = 1,
    videos_per_prompt: int = 1,
    speculative_tokens: int = 0,
    speculative_method: str = "",
    stages: int = 1,
    enable_prefix_caching: bool | None = None,
    has_flashinfer: bool = False,
    engine: int | None = None,
    has_piecewise_graphs: bool = False,
    lora: int = 0,
    is_text_only: bool = False,
    is_pooling: bool = False,
    state_bytes: int = 0,
    offload_bytes: int = 0,
    context_ranks: int = 1,
    is_encoder_whole: bool = False,
) -> Settings:
    """Return the settings with the version's own defaults where nothing is given.

    Args:
        stages: of a pipeline that runs without Ray.
    """
    wished_cache = kv_cache_dtype or "auto"
    chosen = _default_engine(version, model, gpu, wished_cache, stages) if engine is None else engine
    length = max_model_len or model.longest or model.max_position or UNKNOWN_LENGTH
    seqs, tokens = _at_once(version, model, gpu, chosen, length, max_num_seqs, max_num_batched_tokens)
    if gpu_memory_utilization is None:
        gpu_memory_utilization = _defaults(version, gpu.memory_bytes, gpu.name)[0]
    return Settings(
        version=version,
        gpu_memory_utilization=gpu_memory_utilization,
        max_model_len=length,
        max_num_seqs=seqs,
        max_num_batched_tokens=tokens,
        dtype=model.dtype,
        kv_cache_dtype=_cache_dtype(version, model, gpu, wished_cache),
        enforce_eager=bool(enforce_eager),
        block_size=block_size or (64 if model.is_mla and chosen == 1 else 16),
        kv_cache_memory_bytes=kv_cache_memory_bytes or 0,
        fixed_blocks=fixed_blocks or 0,
        quantization=quantization or "",
        images_per_prompt=images_per_prompt,
        videos_per_prompt=videos_per_prompt,
        speculative_tokens=speculative_tokens,
        draft_layers=model.draft_layers if speculative_tokens and "mtp" in speculative_method else 0,
        enable_prefix_caching=(
            _caches_prefixes(version, model) if enable_prefix_caching is None else enable_prefix_caching
        ),
        has_flashinfer=has_flashinfer,
        engine=chosen,
        has_piecewise_graphs=has_piecewise_graphs,
        lora=lora,
        is_text_only=is_text_only,
        is_pooling=is_pooling,
        state_bytes=state_bytes,
        offload_bytes=offload_bytes,
        context_ranks=context_ranks,
        is_encoder_whole=is_encoder_whole,
    )
