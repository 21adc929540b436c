# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings with which vLLM ends before it loads anything."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.plan import plan_vllm

from .models import DEEPSEEK_R1, FP8, GPT_OSS, LLAMA_8B, QWEN3_MOE

A100, T4 = "NVIDIA A100-SXM4-80GB", "Tesla T4"
AWQ = {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}
GEMMA3 = {**LLAMA_8B, "model_type": "gemma3_text", "head_dim": 128}


def plan(config=LLAMA_8B, gpu=A100, size=16_000_000_000, count=1, **wishes):
    return plan_vllm(
        {
            "model_config": config,
            "weights_bytes": size,
            "gpus": [{"name": gpu, "count": count}],
            "vllm_version": "0.32.0",
            **wishes,
        }
    )


@pytest.mark.parametrize(
    ("config", "gpu", "wishes", "word"),
    [
        (GEMMA3, A100, {"dtype": "float16"}, "'gemma3_text' does not support float16.*set dtype to auto"),
        (GEMMA3, A100, {"dtype": "half"}, "'gemma3_text' does not support float16"),
        ({**GEMMA3, **AWQ}, T4, {}, "found awq weights and dtype float32, as the GPU has no bfloat16.*16-bit weights"),
        ({**LLAMA_8B, **AWQ}, A100, {"dtype": "float32"}, "no kernels for that.*set dtype to auto"),
        ({**LLAMA_8B, **FP8}, A100, {"dtype": "float"}, "no kernels for that"),
        (GPT_OSS, A100, {"dtype": "float16"}, "mxfp4 weights and dtype float16; vLLM serves them in bfloat16 alone"),
        (
            LLAMA_8B,
            A100,
            {"extra_args": {"kv-transfer-config": {"kv_connector": "NixlConnector"}}},
            "kv_role None, with which vLLM ends.*give it kv_role: kv_both",
        ),
        (
            LLAMA_8B,
            A100,
            {"max_num_seqs": 512, "max_num_batched_tokens": 256},
            "max_num_batched_tokens is 256 and max_num_seqs is 512.*to 512 or more",
        ),
        (
            LLAMA_8B,
            A100,
            {"max_model_len": 8192, "max_num_batched_tokens": 2048, "extra_args": {"enable-chunked-prefill": False}},
            "less than max_model_len 8192.*set max_num_batched_tokens to 8192",
        ),
        (
            LLAMA_8B,
            A100,
            {"kv_cache_dtype": "float16", "vllm_version": "0.33.0"},
            "kv_cache_dtype is float16 and the model runs in bfloat16.*set kv_cache_dtype to auto",
        ),
        (
            LLAMA_8B,
            A100,
            {"extra_args": {"max-num-active-seqs": 512}},
            "max-num-active-seqs 512 and max-num-seqs is 256.*give args max-num-active-seqs: 256",
        ),
        (
            LLAMA_8B,
            A100,
            {"context": 8192, "extra_args": {"long-prefill-token-threshold": 9000}},
            "long-prefill-token-threshold 9000 and max-model-len is 8192",
        ),
        (
            LLAMA_8B,
            A100,
            {
                "speculative": {
                    "method": "ngram",
                    "num_speculative_tokens": 3,
                    "prompt_lookup_min": 4,
                    "prompt_lookup_max": 2,
                }
            },
            "prompt_lookup_min 4 and prompt_lookup_max 2.*give it prompt_lookup_min: 2",
        ),
        (LLAMA_8B, A100, {"speculative": {"num_speculative_tokens": 3}}, "neither method nor model"),
        (
            LLAMA_8B,
            A100,
            {"speculative": {"model": "/model/d", "num_speculative_tokens": 3, "draft_tensor_parallel_size": 2}},
            "draft_tensor_parallel_size 2 and the model runs on 1 GPUs; wanted 1 or as many; remove it",
        ),
        (LLAMA_8B, A100, {"speculative": {"method": "ngram"}}, "no num_speculative_tokens"),
        (LLAMA_8B, A100, {"speculative": {"method": "eagle3", "num_speculative_tokens": 3}}, "eagle3 and no model"),
        (LLAMA_8B, A100, {"speculative": {"method": "mtp", "num_speculative_tokens": 1}}, "no layers that guess"),
        (
            {**LLAMA_8B, "model_type": "qwen3_next"},
            A100,
            {"speculative": {"method": "mtp", "num_speculative_tokens": 0}},
            "num_speculative_tokens 0; wanted a whole number from 1",
        ),
        (LLAMA_8B, A100, {"speculative": {"method": "n-gram", "num_speculative_tokens": 3}}, "did you mean ngram"),
        (LLAMA_8B, A100, {"speculative": {"method": "lookahead"}}, "'lookahead', which no vLLM knows; wanted one of"),
        *(
            (LLAMA_8B, A100, {"speculative": {"method": "ngram", "num_speculative_tokens": 3, part: 1}}, word)
            for part, word in (
                (
                    "num_speculativ_tokens",
                    "'num_speculativ_tokens', which vLLM 0.32.0 does not know.*did you mean num_spe",
                ),
                ("prompt-lookup-max", "did you mean prompt_lookup_max?"),
                ("speculative_token_tree", r"0.20.2 was the last version with it\); wanted a name that it knows"),
                ("fly_window_size", r"\(it came with 0.33.0\)"),
                ("colour", "wanted a name that it knows; take it out of speculative-config"),
            )
        ),
        (LLAMA_8B, A100, {"extra_args": {"limit-mm-per-prompt": {"image": -1}}}, "-1 for image.*whole number from 0"),
        (LLAMA_8B, A100, {"extra_args": {"enable-expert-parallel": True}}, "the model has no experts.*remove it"),
        (QWEN3_MOE, A100, {"extra_args": {"enable-eplb": True}}, "give args enable-expert-parallel: true"),
        (DEEPSEEK_R1, A100, {"extra_args": {"prefill-context-parallel-size": 2}}, "GPUs beside those of the plan"),
        (
            LLAMA_8B,
            A100,
            {"extra_args": {"enable-lora": True, "max-loras": 4, "max-cpu-loras": 1}},
            "max-cpu-loras 1 and max-loras 4.*max-cpu-loras: 4",
        ),
        (LLAMA_8B, A100, {"extra_args": {"block-size": 8}}, "block-size 8; wanted a multiple of 16"),
        (LLAMA_8B, A100, {"extra_args": {"enable-auto-tool-choice": True}}, "and no tool-call-parser"),
        (LLAMA_8B, A100, {"extra_args": {"runner": "pooling"}}, "holds runner pooling.*planned to chat; wanted one of"),
        (
            LLAMA_8B,
            A100,
            {"extra_args": {"convert": "embed"}},
            "holds convert embed.*set the model's task in gpuchat_mo",
        ),
        (LLAMA_8B, A100, {"task": "embed", "extra_args": {"runner": "generate"}}, "runner generate.*planned for embed"),
    ],
)
def test_a_conflict_is_refused_with_the_cure(config, gpu, wishes, word):
    with pytest.raises(Refusal, match=word):
        plan(config, gpu, **wishes)


@pytest.mark.parametrize(
    ("config", "gpu", "wishes"),
    [
        (GEMMA3, A100, {"dtype": "bfloat16"}),
        (LLAMA_8B, A100, {"dtype": "float16"}),
        ({**LLAMA_8B, "quantization_config": {"quant_method": "torchao"}}, A100, {"dtype": "float32"}),
        (LLAMA_8B, A100, {"max_num_seqs": 256, "max_num_batched_tokens": 256}),
        (LLAMA_8B, A100, {"speculative": {"method": "ngram", "num_speculative_tokens": 3}}),
        ({**LLAMA_8B, "model_type": "qwen3_next"}, A100, {"speculative": {"method": "mtp"}}),
        ({**LLAMA_8B, "model_type": "qwen3_next"}, A100, {"speculative": {"method": "qwen3_next_mtp"}}),
        (
            LLAMA_8B,
            A100,
            {"speculative": {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4}},
        ),
        (QWEN3_MOE, A100, {"extra_args": {"enable-expert-parallel": True, "enable-eplb": True}}),
        (LLAMA_8B, A100, {"extra_args": {"no-enable-expert-parallel": True}}),
        (LLAMA_8B, A100, {"extra_args": {"block-size": 32}}),
        (LLAMA_8B, A100, {"extra_args": {"runner": "generate", "convert": "none"}}),
        (LLAMA_8B, A100, {"task": "embed", "extra_args": {"runner": "pooling", "convert": "embed"}}),
        (LLAMA_8B, A100, {"extra_args": {"enable-auto-tool-choice": True, "tool-call-parser": "hermes"}}),
    ],
)
def test_what_goes_together_is_planned(config, gpu, wishes):
    assert plan(config, gpu, **wishes).fits


ADAPTED = {"enable-lora": True}


@pytest.mark.parametrize(
    ("args", "what"),
    [
        ({"tokenizer": "Qwen/Qwen3-0.6B"}, "tokenizer Qwen/Qwen3-0.6B"),
        ({"tokenizer": "/model/tokenizer"}, ""),
        ({"tokenizer": "/model"}, ""),
        ({"chat-template": "/srv/templates/ours.jinja"}, "chat-template /srv/templates/ours.jinja"),
        ({"chat-template": "/vllm-workspace/examples/tool_chat_template_hermes.jinja"}, ""),
        ({"chat-template": "{{ messages }}"}, ""),
        ({**ADAPTED, "lora-modules": ["sql=/srv/loras/sql"]}, "an adapter at /srv/loras/sql"),
        ({**ADAPTED, "lora-modules": "sql=acme/sql-lora"}, "an adapter at acme/sql-lora"),
        ({**ADAPTED, "lora-modules": [{"name": "sql", "path": "/srv/sql"}]}, "an adapter at /srv/sql"),
        ({**ADAPTED, "lora-modules": ["sql=/model/loras/sql"]}, ""),
        (
            {"speculative-config": {"method": "eagle3", "model": "acme/eagle", "num_speculative_tokens": 3}},
            "acme/eagle as the model of speculative-config",
        ),
        ({"speculative-config": {"method": "ngram", "num_speculative_tokens": 3}}, ""),
    ],
)
def test_what_an_engine_would_not_find_is_told(args, what):
    found = [one for one in plan(extra_args=args).warnings if "an engine has no network" in one]
    assert [one.partition(", and an engine")[0] for one in found] == [f"args holds {what}"] * bool(what)


def test_a_model_that_float16_is_too_narrow_for_is_planned_in_float32_on_old_gpus():
    found = plan(GEMMA3, T4, count=4)
    assert found.args["dtype"] == "float32"
    assert found.evaluation.budget.weights > 7.4 * 2**30
    assert not any("variant" in str(one.change) for one in plan(GEMMA3, T4, on_unfit="report").alternatives)


@pytest.mark.parametrize("wishes", [{"max_num_seqs": 4096}, {"users": 4096, "context": 64}])
def test_a_step_has_room_for_all_requests(wishes):
    args = plan(gpu="NVIDIA L40S", **wishes).args
    assert args["max-num-batched-tokens"] >= args["max-num-seqs"] == 4096


def test_a_prompt_that_is_not_cut_fits_into_a_step():
    args = {"enable-chunked-prefill": False}
    found = plan(max_model_len=65536, extra_args=args)
    assert found.args["max-num-batched-tokens"] == 65536
    usual = plan(max_model_len=65536).evaluation.budget
    assert found.evaluation.budget.activations > 2 * usual.activations


def test_a_parser_without_its_switch_is_warned_of():
    found = plan(extra_args={"tool-call-parser": "hermes"})
    assert any("give args enable-auto-tool-choice: true" in one for one in found.warnings)
