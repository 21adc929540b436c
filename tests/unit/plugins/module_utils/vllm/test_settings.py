# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.config import read_model
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.devices import Device
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.settings import engine_of, resolve

from .models import (
    DEEPSEEK_R1,
    H100,
    L40S,
    LLAMA_3B,
    LLAMA_8B,
    QWEN3_NEXT,
    QWEN25_7B,
    QWEN25_VL,
    T4,
)


@pytest.mark.parametrize(
    ("version", "capability", "engine"),
    [
        ((0, 7, 3), (9, 0), 0),
        ((0, 8, 5), (8, 0), 1),
        ((0, 8, 5), (7, 5), 0),
        ((0, 10, 1), (7, 0), 0),
        ((0, 10, 2), (7, 0), 1),
        ((0, 11, 0), (7, 5), 1),
    ],
)
def test_the_engine_follows_from_version_and_gpu(version, capability, engine):
    assert engine_of(version, capability) == engine


@pytest.mark.parametrize(
    ("config", "version", "more", "engine"),
    [
        (QWEN3_NEXT, (0, 9, 2), {}, 0),
        (LLAMA_8B, (0, 8, 5), {"kv_cache_dtype": "fp8"}, 0),
        (LLAMA_8B, (0, 11, 0), {"kv_cache_dtype": "fp8"}, 1),
        ({**LLAMA_3B, "quantization_config": {"quant_method": "gguf", "type": "Q8_0"}}, (0, 8, 5), {}, 0),
        (LLAMA_8B, (0, 10, 2), {"kv_cache_dtype": "fp8"}, 0),
        (DEEPSEEK_R1, (0, 10, 2), {"kv_cache_dtype": "fp8"}, 1),
        (LLAMA_8B, (0, 8, 5), {"stages": 2}, 0),
        (LLAMA_8B, (0, 9, 0), {"stages": 2}, 1),
    ],
)
def test_the_newer_engine_fell_back_for_what_it_could_not_do_yet(config, version, more, engine):
    assert resolve(version, read_model(config), L40S, **more).engine == engine


@pytest.mark.parametrize(
    ("version", "capability", "engine"),
    [((0, 8, 1), "9.0", 0), ((0, 8, 2), "9.0", 1), ((0, 10, 0), "10.0", 0), ((0, 10, 1), "10.0", 1)],
)
def test_the_newer_engine_cast_the_cache_on_new_gpus_first(version, capability, engine):
    gpu = Device("a GPU", 80 * GIB, capability)
    assert resolve(version, read_model(LLAMA_8B), gpu, kv_cache_dtype="fp8").engine == engine


@pytest.mark.parametrize(
    ("version", "config", "length", "tokens"),
    [
        pytest.param((0, 5, 0), LLAMA_8B, 131072, 131072, id="whole prompts, however long"),
        pytest.param((0, 5, 3), LLAMA_8B, 131072, 512, id="in pieces"),
        pytest.param((0, 6, 5), LLAMA_8B, 131072, 2048, id="in larger pieces"),
        pytest.param((0, 7, 3), LLAMA_8B, 32768, 32768, id="short enough to be whole"),
        pytest.param((0, 7, 3), LLAMA_8B, 512, 2048, id="no less than this"),
        pytest.param((0, 7, 3), {**LLAMA_8B, "sliding_window": 4096}, 131072, 131072, id="windows are not cut"),
        pytest.param((0, 7, 3), DEEPSEEK_R1, 65536, 65536, id="nor is latent attention"),
        pytest.param((0, 7, 3), QWEN25_VL, 2048, 5120, id="room for an image"),
        pytest.param((0, 6, 3), QWEN25_VL, 65536, 65536, id="images are not cut"),
    ],
)
def test_the_old_engine_cut_prompts_in_pieces_for_long_contexts_only(version, config, length, tokens):
    assert resolve(version, read_model(config), H100, max_model_len=length).max_num_batched_tokens == tokens


def test_the_length_that_nobody_tells_is_the_one_that_vllm_derives():
    scaled = {**LLAMA_8B, "max_position_embeddings": 16384, "rope_scaling": {"type": "linear", "factor": 4.0}}
    assert resolve((0, 4, 1), read_model(scaled), L40S).max_model_len == 65536
    assert resolve((0, 4, 1), read_model({**LLAMA_8B, "max_position_embeddings": None}), L40S).max_model_len == 2048


@pytest.mark.parametrize(
    ("version", "gpu", "expected"),
    [
        pytest.param((0, 13, 0), H100, (0.9, 1024, 8192), id="large"),
        pytest.param((0, 21, 0), H100, (0.92, 1024, 8192), id="the default share rose"),
        pytest.param((0, 13, 0), L40S, (0.9, 256, 2048), id="small"),
        pytest.param(
            (0, 13, 0), Device("NVIDIA A100 80GB PCIe", 79 * GIB), (0.9, 256, 2048), id="an A100 counts as small"
        ),
        pytest.param((0, 28, 0), Device("NVIDIA B200", 178 * GIB, "10.0"), (0.92, 1024, 16384), id="largest"),
        pytest.param((0, 33, 0), Device("NVIDIA GB10", 119 * GIB, "12.1"), (0.92, 256, 2048), id="much memory"),
        pytest.param((0, 8, 5), T4, (0.9, 256, 32768), id="V0 runs a whole context"),
    ],
)
def test_defaults_follow_from_version_and_gpu(version, gpu, expected):
    wanted = resolve(version, read_model(QWEN25_7B), gpu)
    assert (wanted.gpu_memory_utilization, wanted.max_num_seqs, wanted.max_num_batched_tokens) == expected
