# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For which models and caches vLLM has attention on a GPU."""

from __future__ import annotations

import contextlib

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.config import read_model
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.attention import (
    check_cache,
    check_shared,
    check_sparse,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.devices import Device
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.plan import plan_vllm

from .models import DEEPSEEK_R1, FP8, GPT_OSS, LLAMA_8B, dense

NAMES = {"7.5": "Tesla T4", "8.0": "NVIDIA A100-SXM4-80GB", "8.6": "NVIDIA GeForce RTX 3090", "8.9": "NVIDIA L40S"}
GEMMA3 = {**LLAMA_8B, "model_type": "gemma3", "head_dim": 256}
GEMMA4 = {**LLAMA_8B, "model_type": "gemma4", "head_dim": 256, "global_head_dim": 512}
DSA = {**DEEPSEEK_R1, "index_topk": 2048, "index_n_heads": 64, "index_head_dim": 128}
PHI2 = dense(2560, 10240, 32, 32, 32, 51200, model_type="phi")
OWN_FP8 = {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}
W4A16 = {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 4, "type": "int"}}}}


def ask(config, capability, cache=None, version=(0, 32), **args):
    gpu = Device(NAMES.get(capability, "NVIDIA H100 80GB HBM3"), 24 * GIB, capability)
    check_cache(version, [gpu], read_model(config), config, cache, args)


@pytest.mark.parametrize(
    ("config", "capability", "cache", "version", "word"),
    [
        (LLAMA_8B, "7.5", "fp8", (0, 24), "no attention for an FP8 cache there since 0.24.*set kv_cache_dtype to auto"),
        (LLAMA_8B, "7.5", "fp8_e5m2", (0, 32), "kv_cache_dtype is fp8_e5m2 and Tesla T4 has compute capability 7.5"),
        (LLAMA_8B, "7.5", "bfloat16", (0, 32), "bfloat16 runs from 8.0 on.*set kv_cache_dtype to float16"),
        (
            {**LLAMA_8B, **OWN_FP8},
            "7.5",
            None,
            (0, 32),
            "the checkpoint's own KV cache is FP8.*kv_cache_dtype to float16",
        ),
        (DEEPSEEK_R1, "8.0", "fp8", (0, 20), "for latent attention"),
        (GPT_OSS, "8.6", "fp8", (0, 32), "attention with sinks"),
        (GEMMA3, "8.6", "fp8", (0, 32), "images whose parts see each other"),
        (GEMMA4, "8.6", "fp8", (0, 32), "heads of two widths"),
        (PHI2, "8.0", "fp8_e4m3", (0, 32), "heads of 80"),
        (LLAMA_8B, "8.6", "fp8_per_token_head", (0, 32), "a scale for each token and head is Triton's alone"),
        (DEEPSEEK_R1, "9.0", "nvfp4", (0, 32), "no latent attention .MLA. keeps it"),
        (DEEPSEEK_R1, "9.0", "int8_per_token_head", (0, 32), "no latent attention"),
        (DEEPSEEK_R1, "10.0", "turboquant_k8v4", (0, 32), "no latent attention"),
        ({**DEEPSEEK_R1, "quantization_config": None}, "9.0", "fp8_e5m2", (0, 32), "no latent attention"),
        (DEEPSEEK_R1, "9.0", "fp8_ds_mla", (0, 32), "only sparse attention .DSA. keeps it"),
        (LLAMA_8B, "9.0", "fp8_ds_mla", (0, 32), "only sparse attention"),
        (DSA, "9.0", "nvfp4", (0, 32), "no latent attention"),
        (DSA, "9.0", "nvfp4_ds_mla", (0, 32), "only data-centre Blackwell keeps it; wanted"),
        (LLAMA_8B, "9.0", "nvfp4", (0, 31), "only data-centre Blackwell keeps it before 0.32"),
        (LLAMA_8B, "9.0", "nvfp4_4over6", (0, 33), "only data-centre Blackwell keeps it; wanted"),
        (LLAMA_8B, "11.0", "nvfp4", (0, 33), "only data-centre Blackwell keeps it; wanted"),
        (GPT_OSS, "9.0", "nvfp4", (0, 33), "with attention with sinks"),
        (GPT_OSS, "9.0", "turboquant_k8v4", (0, 33), "TurboQuant takes no attention with sinks"),
        ({**LLAMA_8B, "head_dim": 64}, "12.0", "nvfp4", (0, 33), "heads of 64"),
        (LLAMA_8B, "9.0", "fp8_inc", (0, 33), "it is for Gaudi"),
        ({**DEEPSEEK_R1, **OWN_FP8}, "8.0", None, (0, 32), "the checkpoint's own.*set kv_cache_dtype to bfloat16"),
        ({**LLAMA_8B, **FP8}, "9.0", "fp8_e5m2", (0, 32), "not supported with fp8 checkpoints"),
        ({**LLAMA_8B, **OWN_FP8}, "9.0", "fp8_e5m2", (0, 32), "not supported with fp8 checkpoints"),
        ({**LLAMA_8B, "quantization_config": W4A16}, "8.6", "fp8_e5m2", (0, 22), "not supported with fp8 checkpoints"),
        (
            {**LLAMA_8B, "quantization_config": {**W4A16, "kv_cache_scheme": {"num_bits": 8}}},
            "9.0",
            "fp8_e5m2",
            (0, 32),
            "not supported with fp8 checkpoints",
        ),
    ],
)
def test_a_cache_that_no_attention_of_vllm_keeps_on_a_gpu_is_refused_with_the_cure(
    config, capability, cache, version, word
):
    with pytest.raises(Refusal, match=word):
        ask(config, capability, cache, version)


@pytest.mark.parametrize(
    ("config", "capability", "cache", "version"),
    [
        (LLAMA_8B, "7.5", "fp8", (0, 23)),
        (LLAMA_8B, "7.5", "float16", (0, 32)),
        (LLAMA_8B, "7.5", None, (0, 32)),
        (LLAMA_8B, "8.0", "fp8", (0, 32)),
        (LLAMA_8B, "8.6", "fp8_e5m2", (0, 32)),
        (LLAMA_8B, "8.6", "int8_per_token_head", (0, 32)),
        (LLAMA_8B, "8.9", "nvfp4", (0, 32)),
        (LLAMA_8B, "10.0", "nvfp4", (0, 28)),
        (GPT_OSS, "10.0", "nvfp4", (0, 33)),
        (LLAMA_8B, "9.0", "turboquant_k8v4", (0, 33)),
        (DSA, "9.0", "fp8_ds_mla", (0, 33)),
        (DSA, "10.0", "nvfp4_ds_mla", (0, 33)),
        ({**LLAMA_8B, "quantization_config": W4A16}, "8.6", "fp8_e5m2", (0, 24)),
        ({**LLAMA_8B, "quantization_config": {"quant_method": "awq"}}, "8.6", "fp8_e5m2", (0, 20)),
        ({**LLAMA_8B, **OWN_FP8}, "8.6", None, (0, 32)),
        (DEEPSEEK_R1, "9.0", "fp8", (0, 32)),
        (GPT_OSS, "8.9", "fp8", (0, 32)),
        (GEMMA3, "9.0", "fp8", (0, 32)),
        (GPT_OSS, "8.0", None, (0, 32)),
        (LLAMA_8B, "", "fp8", (0, 32)),
    ],
)
def test_a_cache_that_a_gpu_keeps_is_not_refused(config, capability, cache, version):
    ask(config, capability, cache, version)


def test_text_alone_and_a_backend_that_is_asked_for_are_left_to_their_owner():
    ask(GEMMA3, "8.6", "fp8", **{"language-model-only": True})
    ask(GPT_OSS, "8.6", "fp8", **{"attention-backend": "FLASHINFER"})


@pytest.mark.parametrize(
    ("backend", "capability", "is_refused"),
    [
        ("FLASH_ATTN", "8.0", True),
        ("flash_attn", "8.9", True),
        ("FLASH_ATTN", "9.0", False),
        ("TRITON_ATTN", "8.6", True),
        ("TRITON_ATTN", "8.9", False),
        ("FLASHINFER", "8.0", False),
    ],
)
def test_a_backend_that_is_asked_for_is_refused_where_it_keeps_no_fp8_cache(backend, capability, is_refused):
    args = {"attention-backend": backend}
    said = pytest.raises(Refusal, match="where it keeps no FP8 cache") if is_refused else contextlib.nullcontext()
    with said:
        ask(LLAMA_8B, capability, "fp8", **args)


def test_the_plan_says_so_before_anything_is_fetched():
    params = {
        "model_config": {**GPT_OSS, "architectures": ["GptOssForCausalLM"]},
        "weights_bytes": 13_800_000_000,
        "gpus": [{"name": "NVIDIA A100-SXM4-80GB"}],
        "vllm_version": "0.32.0",
        "kv_cache_dtype": "fp8",
    }
    with pytest.raises(Refusal, match="attention with sinks"):
        plan_vllm(params)
    assert not plan_vllm({**params, "on_unfit": "report"}).fits
    assert plan_vllm({**params, "kv_cache_dtype": "auto"}).fits


DSA = {**DEEPSEEK_R1, "index_topk": 2048, "index_head_dim": 128}
DSV4 = {**LLAMA_8B, "model_type": "deepseek_v4", "compress_ratios": [0, 4] * 16}


@pytest.mark.parametrize("config", [DSA, DSV4], ids=["V3.2 and GLM-5", "V4"])
@pytest.mark.parametrize(
    ("capability", "version", "word"),
    [
        ("8.0", (0, 32), "No valid attention backend found' here; choose another model"),
        ("8.9", (0, 32), "Hopper and data-centre Blackwell"),
        ("11.0", (0, 32), "Hopper and data-centre Blackwell"),
        ("12.0", (0, 23), "set vllm_version to 0.24.0 or newer"),
        ("12.0", (0, 24), ""),
        ("9.0", (0, 20), ""),
        ("10.3", (0, 20), ""),
        ("", (0, 32), ""),
    ],
)
def test_sparse_attention_is_refused_where_vllm_has_none(config, capability, version, word):
    gpus, model = [Device("NVIDIA X", 80 * GIB, capability)], read_model(config)
    if not word:
        check_sparse(version, gpus, model, {})
        return
    with pytest.raises(Refusal, match=word):
        check_sparse(version, gpus, model, {})
    check_sparse(version, gpus, model, {"attention-backend": "CUSTOM"})
    check_sparse(version, gpus, read_model(DEEPSEEK_R1), {})


@pytest.mark.parametrize(
    ("capability", "version", "word"),
    [
        ("12.0", (0, 30), r"whose keys have no rotary part.*set vllm_version to 0\.31\.0 or newer, or choose another"),
        ("12.1", (0, 30), r"found a model with sparse attention \(DSA\).*compute capability 12\.1"),
        ("12.0", (0, 31), ""),
        ("9.0", (0, 30), ""),
        ("10.0", (0, 30), ""),
    ],
)
def test_sparse_attention_without_a_rotary_part_runs_on_blackwells_cards_since_0_31(capability, version, word):
    gpus, model = [Device("NVIDIA X", 80 * GIB, capability)], read_model({**DSA, "qk_rope_head_dim": 0})
    with pytest.raises(Refusal, match=word) if word else contextlib.nullcontext():
        check_sparse(version, gpus, model, {})


def test_no_number_of_gpus_is_offered_for_a_model_that_none_of_them_runs():
    params = {
        "model_config": {**DSA, "architectures": ["DeepseekV32ForCausalLM"]},
        "weights_bytes": 689_000_000_000,
        "gpus": [{"name": "NVIDIA A100-SXM4-80GB", "count": 8}],
        "vllm_version": "0.32.0",
        "on_unfit": "report",
    }
    found = plan_vllm(params)
    assert "sparse attention" in found.reason
    assert not found.alternatives


CLA = {"architectures": ["HunYuanForCausalLM"], "model_type": "hunyuan", "use_cla": True, "cla_share_factor": 2}


def test_layers_that_share_keys_and_values_are_refused_for_no_vllm_serves_them():
    with pytest.raises(Refusal, match="of 2 layers one alone has keys.*no vLLM serves.*set the model's repo or path"):
        check_shared({**LLAMA_8B, **CLA})
    params = {"model_config": {**LLAMA_8B, **CLA}, "gpus": [{"name": "NVIDIA H100 80GB HBM3"}]}
    found = plan_vllm({**params, "vllm_version": "0.32.0", "on_unfit": "report"})
    assert (found.fits, found.alternatives) == (False, ())
    assert found.evaluation.budget.kv_bytes_per_token == 16 * 2 * 8 * 128 * 2


@pytest.mark.parametrize("told", [{"use_cla": False}, {"cla_share_factor": 1}, {"use_cla": None}])
def test_a_model_that_only_could_share_them_is_not_refused(told):
    check_shared({**LLAMA_8B, **CLA, **told})
    check_shared(LLAMA_8B)
