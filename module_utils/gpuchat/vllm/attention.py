# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether vLLM has attention for a model on its GPUs, and keeps its cache in a dtype: it says so only at its start.

Sources: vllm/v1/attention/backends (flash_attn.py and fa_utils.py take FP8 on Hopper and data-centre Blackwell,
flashinfer.py from Ampere on and not for every model, triton_attn.py and mla/triton_mla.py from 8.9 on), vllm/platforms/
cuda.py (their order), vllm/model_executor/layers/attention/attention.py (scales of the checkpoint), all of 0.32; the
threads vllm-project/vllm 26431, 39137, 43914, 45040, 45375 and 47549, and for sparse attention 31936, 38476, 40851 and
43477.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..checkpoint.config import ModelFacts, sharing, text_config
from ..core.errors import Refusal
from .devices import Device

CHECKED_SINCE = (0, 11, 1)
"""The versions from which the backends are tried in their order; older ones are not judged."""

TURING_LEFT_OUT_SINCE = (0, 24)
"""From here on FlashInfer starts with Ampere, so that nothing is left for an FP8 cache on Turing."""

TRITON_CHECKS_SINCE = (0, 23)
COMPRESSED_TOLD_APART_SINCE = (0, 24)
"""From here on compressed-tensors checkpoints without scales for the cache take fp8_e5m2."""

SPARSE_ON = (9, 10)
"""Major compute capabilities for which vLLM has DeepSeek's sparse attention (FLASHMLA_SPARSE and its like)..."""

SPARSE_ON_12_SINCE = (0, 24)
"""...and since when for that of Blackwell's cards."""

ROPELESS_ON_12_SINCE = (0, 31)
"""From here on also where keys have no rotary part (GLM-5.3-Flash); before, vLLM ends with "pe_dim must be 64 for
fp8_ds_mla" (csrc/libtorch_stable/cache_kernels.cu)."""

OF_HEADS = ("nvfp4", "turboquant")
"""Formats of keys and values by heads, as their names begin."""

NVFP4_BY_FLASHINFER_SINCE = (0, 32)
"""From here on FlashInfer keeps an NVFP4 cache outside data-centre Blackwell too."""

FP8_UNITS, AMPERE = (8, 9), (8, 0)
FLASHINFER_HEADS = frozenset({64, 128, 256, 512})
WITH_SINKS = frozenset({"gpt_oss", "mimo_v2", "mimo_v2_flash", "mimo_v2_omni", "laguna"})
"""Model types whose attention has sinks, which FlashInfer does not take on Ampere."""

IMAGES_BOTH_WAYS = frozenset({"bagel", "gemma3", "molmo2", "moondream3", "paligemma"})
"""Model types in whose images each part sees all others, which FlashInfer cannot do."""

UNEVEN_HEADS = frozenset({"gemma4", "gemma4_text", "gemma4_unified"})
"""Model types of heads of two widths, for which vLLM takes Triton where FlashAttention 4 does not run."""


def check_sparse(
    version: tuple[int, ...], gpus: Sequence[Device], model: ModelFacts, args: Mapping[str, object]
) -> None:
    """Refuse a model with DeepSeek's sparse attention on GPUs for which vLLM has none.

    Raises:
        Refusal: with the version that has it, where one does.
    """
    if not any(item.kind in ("indexer", "compressed") for item in model.kv_layers) or args.get("attention-backend"):
        return
    is_ropeless = any(item.kind == "mla" and item.key_dim == model.kv_lora_rank for item in model.kv_layers)
    for gpu in gpus:
        major = gpu.capability[0]
        if not gpu.compute_capability or major in SPARSE_ON:
            continue
        if major == 12 and version >= SPARSE_ON_12_SINCE:
            if is_ropeless and version < ROPELESS_ON_12_SINCE:
                raise Refusal(
                    f"found a model with sparse attention (DSA) whose keys have no rotary part and {gpu.name} (compute "
                    f"capability {gpu.compute_capability}); vLLM has it for 12.0 and 12.1 since 0.31; set vllm_version "
                    "to 0.31.0 or newer, or choose another model, or data-centre GPUs from Hopper on"
                )
            continue
        newer = f"set vllm_version to {'.'.join(map(str, SPARSE_ON_12_SINCE))}.0 or newer, or " if major == 12 else ""
        raise Refusal(
            f"found a model with sparse attention (DSA) and {gpu.name} (compute capability {gpu.compute_capability}); "
            "vLLM has it for Hopper and data-centre Blackwell, and since 0.24 for 12.0 and 12.1, and ends with 'No "
            f"valid attention backend found' here; {newer}choose another model, or such GPUs"
        )


def check_shared(config: Mapping[str, object]) -> None:
    """Refuse a model whose layers share keys and values (Hunyuan-Large's cross-layer attention).

    vLLM's own hunyuan_v1.py took a layer that borrows for one that attends to an encoder, whose get_kv_cache_spec ends
    with NotImplementedError, later AssertionError; Transformers' class, in its place by 0.32 (registry.py), wants keys
    for every layer, and the files bring none. Hunyuan-Large's own name stands in no registry.

    Raises:
        Refusal: with what it is.
    """
    layers = sharing(text_config(config))
    if layers > 1:
        raise Refusal(
            f"found cross-layer attention in config.json (use_cla: of {layers} layers one alone has keys and values), "
            "which no vLLM serves; wanted a model whose layers have their own, such as Hunyuan A13B; set the model's "
            "repo or path in gpuchat_models to one"
        )


def check_cache(
    version: tuple[int, ...],
    gpus: Sequence[Device],
    model: ModelFacts,
    config: Mapping[str, object],
    wished: str | None,
    args: Mapping[str, object],
) -> None:
    """Refuse a dtype of the cache with which vLLM ends.

    Args:
        config: the model's config.json.
        wished: what is wished; None leaves it to the checkpoint.
        args: further arguments of ``vllm serve``.

    Raises:
        Refusal: with what to set instead.
    """
    own = "fp8" if model.kv_cache_quantization.startswith("fp8") else ""
    cache = wished or own
    if not gpus or not cache or version < CHECKED_SINCE or not model.kv_layers:
        return
    if cache == "fp8_e5m2" and _brings_scales(config, version):
        raise Refusal(
            "kv_cache_dtype is fp8_e5m2 and the checkpoint is one in FP8, or brings scales for its cache, with which "
            "vLLM ends ('fp8_e5m2 kv-cache is not supported with fp8 checkpoints'); wanted one that they go with; set "
            "kv_cache_dtype to auto, or to fp8 on GPUs from 8.9 on"
        )
    backend = str(args.get("attention-backend") or "").upper()
    if backend and backend not in FP8_ON:
        return
    is_sparse = any(item.kind in ("indexer", "compressed") for item in model.kv_layers)
    for gpu in gpus:
        if not gpu.compute_capability:
            continue
        if backend:
            _check_backend(backend, cache, gpu)
            continue
        formats = _against_format(cache, version, gpu, model, is_sparse=is_sparse)
        why = next(formats, "") or ("" if is_sparse else next(_against(cache, version, gpu, model, args), ""))
        if not why:
            continue
        shown = gpu.compute_capability
        wide = "bfloat16" if gpu.capability >= AMPERE else "float16"
        found = f"kv_cache_dtype is {cache}" if wished else "the checkpoint's own KV cache is FP8"
        cure = f"set kv_cache_dtype to {wide if own or wished == 'bfloat16' else 'auto'}"
        raise Refusal(f"{found} and {gpu.name} has compute capability {shown}; {why}; wanted a 16-bit cache; {cure}")


FP8_ON: Mapping[str, Callable[[tuple[int, int]], bool]] = {
    "FLASH_ATTN": lambda capability: capability[0] in (9, 10),
    "TRITON_ATTN": lambda capability: capability >= FP8_UNITS,
}
"""Where a backend that is given keeps an FP8 cache (flash_attn_supports_fp8 of fa_utils.py; triton_attn.py)."""


def _check_backend(backend: str, cache: str, gpu: Device) -> None:
    """Refuse a backend of attention that keeps no FP8 cache on a GPU.

    Raises:
        Refusal: with what to set instead.
    """
    if cache.startswith("fp8") and not FP8_ON[backend](gpu.capability):
        raise Refusal(
            f"kv_cache_dtype is {cache}, args holds attention-backend {backend}, and {gpu.name} has compute capability "
            f"{gpu.compute_capability}, where it keeps no FP8 cache; wanted a backend that does; remove "
            "attention-backend from args, or set kv_cache_dtype to auto"
        )


def _brings_scales(config: Mapping[str, object], version: tuple[int, ...]) -> bool:
    inner = config.get("text_config")
    said = config.get("quantization_config")
    said = said or (inner.get("quantization_config") if isinstance(inner, Mapping) else None)
    if not isinstance(said, Mapping):
        return False
    method = str(said.get("quant_method") or ("modelopt" if said.get("quant_algo") else "")).lower()
    if method == "compressed-tensors":
        return bool(said.get("kv_cache_scheme")) or version < COMPRESSED_TOLD_APART_SINCE
    return method == "fp8" or method.startswith("modelopt")


def _against_format(
    cache: str, version: tuple[int, ...], gpu: Device, model: ModelFacts, *, is_sparse: bool
) -> Iterator[str]:
    """Yield what speaks against a format of the cache that few backends keep.

    Source: supported_kv_cache_dtypes and supports_combination of vllm/v1/attention/backends, and
    validate_nvfp4_kv_cache_with_mla of vllm/config/vllm.py.
    """
    is_latent = is_sparse or model.is_mla
    if cache.endswith("_ds_mla") and not is_sparse:
        yield "only sparse attention (DSA) keeps it"
    if cache == "nvfp4_ds_mla" and gpu.capability[0] != 10:
        yield "only data-centre Blackwell keeps it"
    if cache == "fp8_inc":
        yield "it is for Gaudi"
    if cache.endswith("_ds_mla"):
        return
    if is_latent and (cache.startswith(OF_HEADS) or cache.endswith("_per_token_head") or cache == "fp8_e5m2"):
        yield "no latent attention (MLA) keeps it"
    if cache.startswith("turboquant") and model.model_type in WITH_SINKS:
        yield "TurboQuant takes no attention with sinks"
    if not cache.startswith("nvfp4") or gpu.capability[0] == 10:
        return
    if cache != "nvfp4" or version < NVFP4_BY_FLASHINFER_SINCE or gpu.capability[0] not in (8, 9, 12):
        is_early = cache == "nvfp4" and gpu.capability[0] in (8, 9, 12)
        yield "only data-centre Blackwell keeps it" + (" before 0.32" if is_early else "")
    if model.model_type in WITH_SINKS:
        yield "outside data-centre Blackwell it does not go with attention with sinks"
    if any(item.key_dim == 64 for item in model.kv_layers if item.kind in ("full", "sliding", "chunked")):
        yield "outside data-centre Blackwell it does not go with heads of 64"


def _against(
    cache: str, version: tuple[int, ...], gpu: Device, model: ModelFacts, args: Mapping[str, object]
) -> Iterator[str]:
    """Yield what speaks against a dtype on one GPU."""
    capability = gpu.capability
    if cache == "bfloat16" and capability < AMPERE and version >= TRITON_CHECKS_SINCE:
        yield "bfloat16 runs from 8.0 on"
    if not cache.startswith("fp8") or capability >= FP8_UNITS:
        return
    if capability < AMPERE:
        if version >= TURING_LEFT_OUT_SINCE:
            yield "vLLM has no attention for an FP8 cache there since 0.24"
        return
    alone = "below 8.9 only FlashInfer takes an FP8 cache, and it does not serve"
    if cache == "fp8_per_token_head":
        yield "a scale for each token and head is Triton's alone, whose FP8 runs from 8.9 on"
    if model.is_mla:
        yield "for latent attention (MLA) vLLM has an FP8 cache from 8.9 on"
    if model.model_type in WITH_SINKS:
        yield f"{alone} attention with sinks"
    if model.model_type in IMAGES_BOTH_WAYS and not args.get("language-model-only"):
        yield f"{alone} images whose parts see each other"
    if model.model_type in UNEVEN_HEADS:
        yield f"{alone} heads of two widths"
    widths = {item.key_dim for item in model.kv_layers if item.kind in ("full", "sliding", "chunked")}
    if widths - FLASHINFER_HEADS:
        yield f"{alone} heads of {', '.join(map(str, sorted(widths - FLASHINFER_HEADS)))}"
