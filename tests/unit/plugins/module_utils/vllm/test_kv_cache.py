# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.config import read_model
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.kv_cache import cache_layout
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.memory import stage_layers
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.settings import Layout, resolve
from hypothesis import given, settings
from hypothesis import strategies as st

from .models import (
    DEEPSEEK_R1,
    GEMMA3_27B,
    GPT_OSS,
    H100,
    LLAMA_8B,
    MODELS,
    QWEN3_8B,
    QWEN25_7B,
    QWEN36_27B,
    VERSIONS,
)


def growth(config, version, tp=1, **wishes):
    """Return the bytes of one more token of a long context."""
    model = read_model(config)
    return cache_layout(model, Layout(tp), resolve(version, model, H100, **wishes)).token_bytes


@pytest.mark.parametrize(
    ("config", "tp", "more", "expected"),
    [
        pytest.param(LLAMA_8B, 1, {}, 131072, id="Llama 3.1 8B"),
        pytest.param(LLAMA_8B, 4, {}, 32768, id="Llama 3.1 8B over 4"),
        pytest.param(LLAMA_8B, 1, {"kv_cache_dtype": "fp8"}, 65536, id="Llama 3.1 8B at fp8"),
        pytest.param(QWEN3_8B, 1, {}, 147456, id="Qwen3 8B"),
        pytest.param(QWEN25_7B, 8, {}, 14336, id="fewer key heads than ranks"),
        pytest.param(DEEPSEEK_R1, 8, {}, 70272, id="latent attention is on each rank"),
        pytest.param(GPT_OSS, 1, {}, 36864, id="gpt-oss 120b, whole attention alone"),
        pytest.param(GEMMA3_27B, 1, {}, 81920, id="Gemma 3 27B, whole attention alone"),
        pytest.param(QWEN36_27B, 2, {"kv_cache_dtype": "fp8_e5m2"}, 16384, id="Qwen3.6 27B over 2 at fp8"),
    ],
)
def test_a_token_takes_what_the_heads_and_the_layers_say(config, tp, more, expected):
    assert growth(config, (0, 21, 0), tp=tp, **more) == expected


@pytest.mark.parametrize(
    ("dtype", "per_head"),
    [
        pytest.param("int8_per_token_head", 128 + 128 + 8, id="a scale for each vector"),
        pytest.param("int4_per_token_head", 64 + 64 + 8, id="four bits"),
        pytest.param("turboquant_k8v4", 128 + 64 + 4, id="eight and four"),
        pytest.param("turboquant_4bit_nc", 64 + 2 + 64 + 4, id="four and four"),
        pytest.param("turboquant_3bit_nc", 48 + 2 + 48 + 4, id="three and three"),
    ],
)
def test_packed_caches_take_their_bits_and_their_scales(dtype, per_head):
    got = growth(LLAMA_8B, (0, 29, 0), kv_cache_dtype=dtype)
    spared = 4 * 8 * (512 - per_head) if dtype.startswith("turboquant") else 0
    assert got == 32 * 8 * per_head + spared


def test_before_windows_were_freed_they_counted_in_full():
    assert growth(GPT_OSS, (0, 8, 5)) == 2 * 36864


@settings(deadline=None)
@given(st.sampled_from(MODELS), VERSIONS, st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 3, 5]))
def test_every_layout_keeps_whole_blocks(model, version, ranks, stages):
    wanted = resolve(version, model, H100)
    for count in stage_layers(model.layers, stages):
        cache = cache_layout(model, Layout(ranks, stages), wanted, count)
        assert cache.block_bytes > 0
        assert cache.groups
