# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures "as logged" are from public start-up logs; benchmarks/data/vllm_startups.json names them by the ids here."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.config import read_model
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.devices import Device
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.memory import (
    budget,
    stage_layers,
    stage_weights,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.settings import Layout, resolve
from hypothesis import given, settings
from hypothesis import strategies as st

from .models import (
    A100_40,
    DEEPSEEK_R1,
    DEEPSEEK_V4,
    FP8,
    GEMMA3_27B,
    GEMMA4_26B,
    GPT_OSS,
    H100,
    L40S,
    LLAMA_3B,
    LLAMA_8B,
    LLAMA_70B,
    MODELS,
    QWEN3_8B,
    QWEN3_MOE,
    QWEN3_NEXT,
    QWEN25_7B,
    QWEN25_32B,
    QWEN25_VL,
    QWEN36_27B,
    QWEN36_35B,
    T4,
    VERSIONS,
    dense,
)


def found(config, gpu, version, *, size=None, tp=1, pp=1, **wishes):
    model = read_model(config, size)
    return budget(model, gpu, Layout(tp, pp), resolve(version, model, gpu, **wishes))


@pytest.mark.parametrize(
    ("config", "gpu", "version", "wishes", "tokens", "concurrency"),
    [
        pytest.param(
            GEMMA3_27B,
            H100,
            (0, 11, 0),
            {"kv_cache_memory_bytes": 89994 * 1310720, "max_model_len": 4096, "max_num_batched_tokens": 8192},
            205696,
            50.05,
            id="c016 Gemma 3: 7 groups of 10 layers",
        ),
        pytest.param(
            QWEN3_NEXT,
            L40S,
            (0, 13, 0),
            {
                "tp": 2,
                "kv_cache_memory_bytes": 2866 * 6586368,
                "max_model_len": 32768,
                "max_num_batched_tokens": 8192,
                "kv_cache_dtype": "fp8",
            },
            767552,
            84.29,
            id="c061 Qwen3 Next: blocks of 1072 tokens, 4 groups",
        ),
        pytest.param(
            QWEN36_35B,
            H100,
            (0, 24, 0),
            {
                "kv_cache_memory_bytes": 300 * 21463040,
                "max_model_len": 131072,
                "kv_cache_dtype": "fp8",
                "enable_prefix_caching": True,
            },
            569878,
            4.35,
            id="c022 Qwen3.6 35B: two states per request with prefix caching",
        ),
        pytest.param(
            QWEN36_27B,
            H100,
            (0, 21, 0),
            {
                "tp": 2,
                "kv_cache_memory_bytes": 426 * 27852800,
                "max_model_len": 262144,
                "kv_cache_dtype": "fp8_e5m2",
                "enable_prefix_caching": True,
                "speculative_tokens": 3,
                "speculative_method": "mtp",
            },
            623873,
            2.38,
            id="c024 Qwen3.6 27B: a layer more and three states more for speculation",
        ),
        pytest.param(
            GEMMA4_26B,
            H100,
            (0, 21, 0),
            {"kv_cache_memory_bytes": 2987 * 655360, "max_model_len": 42000, "max_num_batched_tokens": 4096},
            42993,
            1.02,
            id="c059 Gemma 4: pages of 16 and of 32 tokens",
        ),
        pytest.param(
            QWEN3_MOE,
            L40S,
            (0, 10, 2),
            {"tp": 2, "kv_cache_memory_bytes": 35376 * 786432, "max_model_len": 32768},
            566016,
            17.27,
            id="c012 Qwen3 30B: one group",
        ),
    ],
)
def test_blocks_become_the_tokens_that_vllm_logged(config, gpu, version, wishes, tokens, concurrency):
    got = found(config, gpu, version, **wishes)
    assert (got.kv_cache_tokens, round(got.max_concurrency, 2)) == (tokens, concurrency)


@pytest.mark.parametrize(
    ("config", "gpu", "version", "wishes", "available", "tokens"),
    [
        pytest.param(
            QWEN25_32B,
            Device("NVIDIA L40S", int(44.42 * GIB), "8.9"),
            (0, 7, 3),
            {"tp": 2, "gpu_memory_utilization": 0.9, "max_model_len": 10000},
            7.71,
            63152,
            id="c003 V0, two GPUs",
        ),
        pytest.param(
            {**QWEN3_MOE, **FP8},
            L40S,
            (0, 10, 2),
            {"tp": 2, "gpu_memory_utilization": 0.95, "max_model_len": 32768, "size": 31170895872},
            25.91,
            566016,
            id="c012 mixture of experts at fp8",
        ),
        pytest.param(QWEN3_8B, A100_40, (0, 9, 2), {}, 18.69, 136080, id="c014 all by default"),
        pytest.param(
            LLAMA_8B, A100_40, (0, 15, 1), {"max_num_batched_tokens": 8192}, 19.28, 157936, id="c021 a larger batch"
        ),
        pytest.param(
            LLAMA_8B,
            Device("NVIDIA H100 80GB HBM3", int(79.19 * GIB), "9.0"),
            (0, 19, 0),
            {"gpu_memory_utilization": 0.95, "max_model_len": 8192},
            58.11,
            476000,
            id="a sampler that filters in place",
        ),
        pytest.param(
            LLAMA_3B,
            T4,
            (0, 8, 2),
            {"gpu_memory_utilization": 0.89386, "max_model_len": 2048, "max_num_seqs": 192, "engine": 0},
            6.22,
            58192,
            id="c042 V0 on Turing",
        ),
        pytest.param(
            QWEN25_7B,
            Device("Tesla V100-SXM2-32GB", int(31.74 * GIB), "7.0"),
            (0, 7, 3),
            {"max_model_len": 2048},
            12.8,
            239744,
            id="c048 V0 on Volta",
        ),
    ],
)
def test_what_is_left_for_the_cache_is_what_vllm_logged(config, gpu, version, wishes, available, tokens):
    got = found(config, gpu, version, **wishes)
    assert got.kv_cache / GIB == pytest.approx(available, rel=0.015)
    assert got.kv_cache_tokens == pytest.approx(tokens, rel=0.015)
    assert got.fits


@pytest.mark.parametrize(
    ("config", "gpu", "version", "wishes", "outcome", "words"),
    [
        pytest.param(
            QWEN25_32B,
            H100,
            (0, 13, 0),
            {},
            "kv_too_small",
            "one request of max_model_len 32768 needs 8.0 GiB of KV cache, and 4.5 GiB are left",
            id="c049 a context too long",
        ),
        pytest.param(
            GPT_OSS,
            H100,
            (0, 10, 1),
            {"size": 65248815744},
            "kv_too_small",
            "nothing is left for the KV cache: weights, activations and the rest exceed 79.1 GiB x "
            "gpu_memory_utilization 0.9 by 2.1 GiB",
            id="c004 nothing left",
        ),
        pytest.param(
            LLAMA_70B,
            A100_40,
            (0, 13, 0),
            {"tp": 2},
            "oom",
            "the weights take 65.7 GiB on each NVIDIA A100-SXM4-40GB, of which 38.9 GiB are free",
            id="weights too large",
        ),
        pytest.param(
            LLAMA_8B,
            replace(A100_40, used_bytes=8 * GIB),
            (0, 13, 0),
            {"max_model_len": 8192},
            "refused",
            "gpu_memory_utilization 0.9 asks for 35.5 GiB, and 30.9 GiB of NVIDIA A100-SXM4-40GB are free; "
            "set it to 0.78 or less",
            id="others on the GPU",
        ),
        pytest.param(
            QWEN36_35B,
            L40S,
            (0, 24, 0),
            {"kv_cache_dtype": "fp8", "enable_prefix_caching": True, "max_model_len": 8192, "size": 23000000000},
            "refused",
            "blocks of this model's cache have 2096 tokens with prefix caching, more than max_num_batched_tokens 2048; "
            "set it to 2096 or more",
            id="blocks larger than a batch",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_words(config, gpu, version, wishes, outcome, words):
    got = found(config, gpu, version, **wishes)
    assert (got.fits, got.outcome, got.reason) == (False, outcome, words)


def test_the_largest_video_decides_what_an_image_encoder_takes():
    """c041: with 0.3 of 80 GB, 3 billion parameters and a context of 128,000 tokens nothing was left."""
    gpu = Device("NVIDIA A100-SXM4-80GB", int(79.25 * GIB), "8.0")
    long = found(QWEN25_VL, gpu, (0, 8, 5), gpu_memory_utilization=0.3)
    short = found(QWEN25_VL, gpu, (0, 8, 5), gpu_memory_utilization=0.3, max_model_len=32768)
    none = found(QWEN25_VL, gpu, (0, 8, 5), gpu_memory_utilization=0.3, max_model_len=32768, images_per_prompt=0)
    assert (long.outcome, short.outcome, none.outcome) == ("kv_too_small", "ok", "ok")
    assert long.activations > short.activations > none.activations


def test_compressed_attention_holds_a_million_tokens():
    """c057: 20.43 requests of a million tokens on eight B200."""
    gpu = Device("NVIDIA B200", int(178.35 * GIB), "10.0")
    got = found(DEEPSEEK_V4, gpu, (0, 25, 0), size=166898661074, tp=8, kv_cache_dtype="fp8")
    assert got.max_concurrency == pytest.approx(20.43, rel=0.03)
    assert got.kv_bytes_per_token < 4096


@pytest.mark.parametrize(
    ("version", "more", "bytes_per_logit"),
    [
        pytest.param((0, 9, 2), {}, 38.2, id="sorted"),
        pytest.param((0, 9, 2), {"has_flashinfer": True}, 15, id="FlashInfer in the image"),
        pytest.param((0, 12, 0), {"has_flashinfer": True}, 38.2, id="FlashInfer not asked for"),
        pytest.param((0, 17, 0), {}, 15, id="in place"),
        pytest.param((0, 25, 0), {}, 6, id="the second runner"),
        pytest.param((0, 30, 0), {}, 2, id="the second runner without a copy"),
        pytest.param((0, 33, 0), {}, 15, id="the second runner with all filters"),
    ],
)
def test_the_sampler_is_profiled_as_the_version_does(version, more, bytes_per_logit):
    got = found(QWEN3_8B, H100, version, max_num_batched_tokens=1024, max_num_seqs=1024, **more).activations
    assert got == pytest.approx(1024 * 151936 * bytes_per_logit + 1024 * 4096 * 2, rel=0.001)


def test_mxfp4_takes_more_than_its_files_where_the_kernel_wants_whole_tiles():
    model = read_model(GPT_OSS, 65248815744)
    wanted = resolve((0, 10, 1), model, H100)
    loaded = stage_weights(model, H100, Layout(), wanted)[0]
    assert loaded / GIB == pytest.approx(65.97, rel=0.005)  # as logged, by Marlin
    native = stage_weights(model, H100, Layout(), replace(wanted, version=(0, 14, 1)))[0]
    assert native / GIB == pytest.approx(64.38, rel=0.005)  # as logged, by Triton


def test_gpt_oss_leaves_on_one_h100_what_vllm_logged():
    left = found(
        GPT_OSS,
        H100,
        (0, 11, 0),
        size=65248815744,
        gpu_memory_utilization=0.95,
        max_num_batched_tokens=1024,
        max_model_len=131072,
    ).kv_cache
    assert left / GIB == pytest.approx(1.71, abs=0.3)  # issue 27508


@pytest.mark.parametrize(
    ("config", "version", "lora", "gib"),
    [
        pytest.param(QWEN3_8B, (0, 33, 0), 0, 0, id="no adapters"),
        pytest.param(QWEN3_8B, (0, 33, 0), 8 * 64, 2.6, id="eight of rank 64"),
        pytest.param(QWEN3_MOE, (0, 11, 0), 16, 0.025, id="experts had none"),
        pytest.param(QWEN3_MOE, (0, 33, 0), 16, 1.6, id="experts have theirs"),
    ],
)
def test_room_for_adapters_is_taken_beside_the_weights(config, version, lora, gib):
    bare, with_room = (found(config, H100, version, lora=rank).weights for rank in (0, lora))
    assert (with_room - bare) / GIB == pytest.approx(gib, rel=0.1, abs=0.01)


def test_a_tied_output_embedding_in_the_files_is_not_loaded_twice():
    small = dense(1024, 3072, 16, 8, 28, 151936, head_dim=128, tie_word_embeddings=True)
    model = read_model(small, 1503264768)
    assert stage_weights(model, L40S, Layout(), resolve((0, 13, 0), model, L40S))[0] / GIB == pytest.approx(
        1.12, rel=0.01
    )


def test_the_layers_of_multi_token_prediction_are_left_out():
    model = read_model(DEEPSEEK_R1, 688586727753)
    with_draft = resolve((0, 13, 0), model, H100, speculative_tokens=1, speculative_method="mtp")
    plain = resolve((0, 13, 0), model, H100)
    without = stage_weights(model, H100, Layout(16), plain)[0]
    assert 0.4 * GIB < stage_weights(model, H100, Layout(16), with_draft)[0] - without < 1.5 * GIB
    assert without < 688586727753 / 16 + 2 * GIB


def test_latent_attention_gains_nothing_from_more_ranks():
    one, eight = (found(DEEPSEEK_R1, H100, (0, 13, 0), tp=ranks).kv_bytes_per_token for ranks in (1, 8))
    assert one == eight


@pytest.mark.parametrize(
    ("layers", "stages", "expected"),
    [(32, 2, (16, 16)), (61, 2, (31, 30)), (92, 8, (11, 11, 11, 12, 12, 12, 12, 11)), (5, 5, (1, 1, 1, 1, 1))],
)
def test_stages_share_the_layers_as_vllm_does(layers, stages, expected):
    assert stage_layers(layers, stages) == expected


@pytest.mark.parametrize(
    ("version", "needed"),
    [((0, 13, 0), False), ((0, 15, 1), True), ((0, 17, 0), False)],
)
def test_some_versions_held_the_need_of_all_stages_against_one(version, needed):
    """c005 and c006: refused, although each stage would have had room for its share."""
    got = found(LLAMA_8B, Device("NVIDIA L4", int(22.05 * GIB), "8.9"), version, pp=2, max_model_len=100000)
    assert (got.outcome == "kv_too_small") == needed
    assert ("of all stages" in got.reason) == needed


def test_the_parts_add_up_to_what_vllm_may_take():
    for version in ((0, 13, 0), (0, 21, 0)):
        got = found(LLAMA_8B, H100, version)
        graphs = got.cuda_graphs if got.graphs_counted else 0
        assert got.weights + got.activations + got.overhead + graphs + got.kv_cache == got.usable
        assert got.graphs_counted == (version >= (0, 20))


def test_a_given_size_of_the_cache_is_taken_as_it_is():
    assert found(LLAMA_8B, H100, (0, 13, 0), kv_cache_memory_bytes=7 * GIB).kv_cache == 7 * GIB


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"tp": 0}, "tensor_parallel_size is 0; wanted 1 or more"),
        ({"pp": 33}, "pipeline_parallel_size is 33, but the model has 32 layers; set it to that at most"),
        ({"gpu_memory_utilization": 1.2}, "gpu_memory_utilization is 1.2; wanted above 0 and at most 1"),
        ({"max_num_seqs": -1}, "max_num_seqs is -1; wanted 1 or more"),
        ({"kv_cache_dtype": "int3"}, "kv_cache_dtype is 'int3'; wanted one of auto, bfloat16, float16, fp8"),
    ],
)
def test_wrong_sizes_are_refused(wishes, message):
    with pytest.raises(Refusal) as caught:
        found(LLAMA_8B, H100, (0, 13, 0), **wishes)
    assert message in str(caught.value)


@settings(deadline=None)
@given(st.sampled_from(MODELS), VERSIONS, st.integers(8, 300), st.integers(1, 60), st.sampled_from([1024, 8192, 65536]))
def test_more_memory_never_holds_less(model, version, gib, more, length):
    wishes = {"max_model_len": length, "max_num_seqs": 256, "max_num_batched_tokens": 2048}
    small, large = (
        budget(model, gpu, Layout(), resolve(version, model, gpu, **wishes))
        for gpu in (Device("x", gib * GIB, "9.0"), Device("x", (gib + more) * GIB, "9.0"))
    )
    assert large.kv_cache >= small.kv_cache
    assert large.kv_cache_tokens >= small.kv_cache_tokens
    assert large.fits >= small.fits


@settings(deadline=None)
@given(st.sampled_from(MODELS), VERSIONS, st.sampled_from([1, 2, 4, 8]), st.booleans())
def test_more_ranks_never_load_more_each(model, version, ranks, is_split_by_expert):
    gpu = Device("x", 80 * GIB, "9.0")
    wanted = resolve(version, model, gpu)
    fewer, more = (
        stage_weights(model, gpu, Layout(number, expert_parallel=is_split_by_expert), wanted)[0]
        for number in (ranks, 2 * ranks)
    )
    assert more <= fewer


@settings(deadline=None)
@given(st.sampled_from(MODELS), VERSIONS, st.integers(512, 100000), st.integers(1, 100000), st.booleans())
def test_a_longer_context_never_raises_concurrency(model, version, length, more, is_cached):
    gpu = Device("x", 800 * GIB, "9.0")
    short, long = (
        budget(
            model,
            gpu,
            Layout(),
            resolve(
                version, model, gpu, max_model_len=wanted, max_num_batched_tokens=2048, enable_prefix_caching=is_cached
            ),
        )
        for wanted in (length, length + more)
    )
    assert long.max_concurrency <= short.max_concurrency
    assert long.needed_kv >= short.needed_kv
