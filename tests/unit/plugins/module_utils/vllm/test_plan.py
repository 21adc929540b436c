# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import json
import pathlib
import re

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.config import longest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.task import unserved
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.facts.architectures import ARCHITECTURES
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.plan import plan_vllm
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from .models import DEEPSEEK_R1, FP8, GPT_OSS, LLAMA_8B, QWEN3_MOE, QWEN25_VL, QWEN36_27B, QWEN36_35B, dense

DATA = pathlib.Path(__file__).parents[5] / "benchmarks" / "data"
LLAMA = {"architectures": ["LlamaForCausalLM"], **LLAMA_8B}
LLAMA_70B = {
    **LLAMA,
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
}
MIXED = {
    **LLAMA,
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 768,
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
}
HYBRID = {
    **LLAMA,
    "architectures": ["NemotronHForCausalLM"],
    "model_type": "nemotron_h",
    "hybrid_override_pattern": "M-M*" * 8,
    "num_key_value_heads": 1,
    "mamba_num_heads": 256,
    "mamba_head_dim": 64,
    "ssm_state_size": 128,
    "mamba_ssm_cache_dtype": "float32",
    "n_groups": 8,
}
SIZES = {
    "8B": (LLAMA, 16_060_522_496),
    "70B": (LLAMA_70B, 141_107_412_992),
    "69 GB": (LLAMA_70B, 69_000_000_000),
    "MoE": (MIXED, 31_500_000_000),
}
A100, L40S, RTX4090 = "NVIDIA A100-SXM4-80GB", "NVIDIA L40S", "NVIDIA GeForce RTX 4090"


def plan(gpus, model="8B", **wishes):
    config, weights = SIZES[model]
    given = [gpus] if isinstance(gpus, dict) else gpus
    return plan_vllm(
        {"model_config": config, "weights_bytes": weights, "gpus": given, "vllm_version": "0.32.0", **wishes}
    )


def several(count, name=A100, **more):
    return [{"name": name, "count": count, **more}]


def sizes(found):
    layout = found.evaluation.candidate
    return layout.tensor_parallel_size, layout.pipeline_parallel_size, layout.data_parallel_size


@pytest.mark.parametrize(
    ("gpus", "model", "wishes", "expected"),
    [
        pytest.param(several(1), "8B", {}, (1, 1, 1), id="one GPU"),
        pytest.param(several(8), "8B", {}, (1, 1, 8), id="nobody said how many users: replicas on all GPUs"),
        pytest.param(several(8), "8B", {"users": 1, "context": 4096}, (1, 1, 1), id="one user needs one GPU"),
        pytest.param(several(4, L40S), "8B", {"users": 9, "context": 32768}, (1, 1, 2), id="replicas for more users"),
        pytest.param(several(4), "70B", {}, (4, 1, 1), id="NVLink: tensor parallelism"),
        pytest.param(several(3), "70B", {}, (1, 3, 1), id="a number that does not divide: a pipeline"),
        pytest.param(several(8), "70B", {}, (4, 1, 2), id="replicas of the smallest engine with room"),
        pytest.param(several(8, L40S), "70B", {}, (8, 1, 1), id="no NVLink: the estimate decides"),
        pytest.param(several(8, L40S, nvlink_peers=[]), "70B", {}, (8, 1, 1), id="looked at, and no NVLink"),
        pytest.param(several(7, L40S), "70B", {}, (1, 7, 1), id="no NVLink, and a number that does not divide"),
        pytest.param(several(2, RTX4090), "8B", {}, (2, 1, 1), id="two cards where one holds too few"),
        pytest.param([several(8), several(8)], "8B", {}, (1, 1, 16), id="replicas on two nodes"),
        pytest.param([several(1), several(1)], "70B", {"context": 8192}, (1, 2, 1), id="a pipeline over two nodes"),
        pytest.param([several(2, L40S), several(2, L40S)], "70B", {"context": 2048}, (2, 2, 1), id="both, over nodes"),
        pytest.param(several(4), "8B", {"tensor_parallel_size": 2}, (2, 1, 2), id="a fixed split, then replicas"),
        pytest.param(several(4), "8B", {"data_parallel_size": 2}, (2, 1, 2), id="fixed replicas on all GPUs"),
        pytest.param(several(4), "8B", {"pipeline_parallel_size": 2}, (1, 2, 2), id="a fixed pipeline"),
    ],
)
def test_a_layout_is_chosen(gpus, model, wishes, expected):
    found = plan(gpus, model, **wishes)
    assert (found.fits, sizes(found)) == (True, expected)


def test_the_estimate_decides_about_a_split_without_nvlink_and_the_reasons_say_by_how_much():
    found = plan(several(8, L40S), "70B")
    (said,) = (reason for reason in found.reasons if "against" in reason)
    alone, full, other_alone, other_full = map(float, re.findall(r"[\d.]+(?= |$)", said.replace("8 pipeline", ""))[:4])
    assert alone > other_alone
    assert alone * full > other_alone * other_full
    assert said.endswith("in 8 pipeline stages")


def test_seven_cards_are_offered_tensor_parallelism_over_four():
    offers = plan(several(7, L40S), "70B").alternatives
    assert {"tensor_parallel_size": 4, "pipeline_parallel_size": 1} in [one.change for one in offers]


def test_gpus_that_nvlink_joins_in_pairs_are_used_in_pairs():
    pairs = [(0, 2), (1, 3), (2, 0), (3, 1)]
    cards = [{"name": "NVIDIA RTX A6000", "index": one, "nvlink_peers": [{"index": peer}]} for one, peer in pairs]
    found = plan(cards, tensor_parallel_size=2)
    assert [device.index for device in found.evaluation.candidate.all_devices] == [0, 2, 1, 3]
    assert found.evaluation.candidate.is_linked
    assert found.env == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "0,2,1,3"}
    assert found.as_dict()["devices"] == [["0", "1", "2", "3"]]


def test_one_node_is_a_list_of_gpus_and_several_are_a_list_of_lists():
    one, listed = plan(several(2)), plan([several(2)])
    assert one.as_dict() == listed.as_dict()


@pytest.mark.parametrize(
    ("nodes", "shared", "each"),
    [
        pytest.param([2, 4], None, [2, 4], id="each node runs engines on all of its GPUs"),
        pytest.param([1, 4], None, [None, 4], id="one engine is no replica"),
        pytest.param([4, 4], 4, [4, 4], id="equal nodes have one set of arguments"),
    ],
)
def test_each_node_gets_arguments_for_its_own_gpus(nodes, shared, each):
    found = plan([several(count, L40S) for count in nodes])
    assert found.evaluation.candidate.gpu_count == sum(nodes)
    assert found.args.get("data-parallel-size") == shared
    assert [args.get("data-parallel-size") for args in found.node_args] == each
    assert all(found.args.items() <= args.items() for args in found.node_args)
    assert any("node_args" in warning for warning in found.warnings) == (len(set(nodes)) > 1)


def test_only_replicas_of_one_node_share_out_the_experts():
    one, two = plan(several(2, L40S), "MoE"), plan([several(2, L40S), several(2, L40S)], "MoE")
    assert two.evaluation.candidate.data_parallel_size == 2 * one.evaluation.candidate.data_parallel_size
    assert two.evaluation.budget.weights == one.evaluation.budget.weights


def test_replicas_of_a_mixture_of_experts_wait_for_each_other():
    assert any("each step of one waits" in reason for reason in plan(several(8), "MoE", data_parallel_size=4).reasons)
    assert any("need not wait" in reason for reason in plan(several(8), "8B").reasons)


def test_a_parser_that_somebody_sets_for_an_unknown_model_is_named():
    bare = plan(several(1)).warnings
    assert any(text.endswith("no tool or reasoning parser is set") for text in bare)
    parser = {"enable-auto-tool-choice": True, "tool-call-parser": "hermes"}
    told = plan(several(1), extra_args=parser).warnings
    assert any(text.endswith("tool-call-parser hermes as given, no reasoning parser is set") for text in told)


QWEN3 = {**LLAMA, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}


@pytest.mark.parametrize(
    ("args", "tools", "reasons"),
    [
        ({}, "hermes", ["the model's family: tool calls by the parser hermes, reasoning by the parser qwen3"]),
        (
            {"tool-call-parser": "qwen3_coder"},
            "qwen3_coder",
            [
                "the model's family: reasoning by the parser qwen3",
                "tool calls by the parser qwen3_coder, as given; the family's is hermes",
            ],
        ),
        (
            {"reasoning-parser": None},
            "hermes",
            [
                "the model's family: tool calls by the parser hermes",
                "reasoning by no parser, as given; the family's is qwen3",
            ],
        ),
        ({"tool-call-parser": None}, None, ["the model's family: reasoning by the parser qwen3"]),
        ({"no-enable-auto-tool-choice": True}, None, ["the model's family: reasoning by the parser qwen3"]),
        ({"enable-auto-tool-choice": None}, None, ["the model's family: reasoning by the parser qwen3"]),
    ],
)
def test_the_reasons_speak_of_the_parsers_that_are_set(args, tools, reasons):
    params = {"model_config": QWEN3, "gpus": several(1), "vllm_version": "0.33.0", "repo": "Qwen/Qwen3-8B"}
    found = plan_vllm({**params, "extra_args": args})
    assert found.args.get("tool-call-parser") == tools
    assert ("enable-auto-tool-choice" in found.args) is (tools is not None)
    assert [one for one in found.reasons if "parser" in one] == reasons
    assert not any("tool-call-parser and no" in one for one in found.warnings)


def test_the_chat_template_in_the_tokenizers_configuration_decides_about_parsers():
    config = {**LLAMA, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}
    params = {"model_config": config, "gpus": several(1), "vllm_version": "0.33.0", "repo": "someone/qwen3-tuned"}
    assert plan_vllm(params).args["reasoning-parser"] == "qwen3"
    told = plan_vllm({**params, "tokenizer_config": {"chat_template": "{% if tools %}{% endif %}"}})
    assert (told.args.get("reasoning-parser"), told.args["tool-call-parser"]) == (None, "hermes")


def test_a_model_without_a_chat_template_is_told_before_a_byte_is_fetched():
    files = ["config.json", "tokenizer_config.json", "model.safetensors"]
    base = {"model_config": LLAMA, "gpus": several(1), "vllm_version": "0.33.0", "repo": "meta-llama/Llama-3.1-8B"}
    asked = {**base, "files": files, "tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast"}}
    told = plan_vllm(asked)
    assert any("has no chat template" in text for text in told.warnings)
    assert not {"tool-call-parser", "chat-template"}.intersection(told.args)
    for more in (
        {"extra_args": {"chat-template": "/x.jinja"}},
        {"data": {"chat_template.jinja": "{{ messages }}"}},
        {"files": [*files, "chat_template.jinja"]},
        {"task": "embed"},
    ):
        assert not any("has no chat template" in text for text in plan_vllm({**asked, **more}).warnings)


def test_a_model_without_a_tokenizer_is_told_before_a_byte_is_fetched():
    asked = {"model_config": LLAMA, "gpus": several(1), "vllm_version": "0.33.0"}
    asked["files"] = ["config.json", "model.safetensors"]
    assert any("brings no tokenizer" in text for text in plan_vllm(asked).warnings)
    for more in (
        {"extra_args": {"tokenizer": "/model/x"}},
        {"extra_args": {"skip-tokenizer-init": True}},
        {"files": [*asked["files"], "tokenizer.json"]},
        {"files": []},
    ):
        assert not any("brings no tokenizer" in text for text in plan_vllm({**asked, **more}).warnings)


def test_adapters_are_in_the_budget():
    room = {"enable-lora": True, "max-loras": 8, "max-lora-rank": 64}
    bare, with_room = (plan(several(1, L40S), extra_args=args).evaluation.budget for args in ({}, room))
    assert bare.kv_cache - with_room.kv_cache > 2 * GIB


@pytest.mark.parametrize(
    ("args", "quoted"),
    [
        ({"enable-lora": True, "max-loras": 8, "max-lora-rank": 512}, "max-lora-rank"),
        ({"enable-lora": True, "max-loras": 8, "max-lora-rank": 256}, "max-loras"),
        ({"kv-cache-memory-bytes": 4 * GIB}, "kv-cache-memory-bytes"),
    ],
)
def test_a_number_in_quotes_counts_in_the_budget_as_one_without(args, quoted):
    bare, in_quotes = (
        plan(several(1, L40S), extra_args=one).evaluation.budget.kv_cache
        for one in (args, {**args, quoted: str(args[quoted])})
    )
    assert bare == in_quotes


NGRAM = {"method": "ngram", "num_speculative_tokens": 3}


@pytest.mark.parametrize(
    ("args", "plain"),
    [
        ({"device-memory-utilization": 0.8}, {"gpu-memory-utilization": 0.8}),
        ({"disable-prefix-caching": True}, {"enable-prefix-caching": False}),
        ({"no_enable_chunked_prefill": True}, {"enable-chunked-prefill": False}),
        ({"disable-chunked-prefill": True}, {"enable-chunked-prefill": False}),
        ({"no-enforce-eager": False}, {"enforce-eager": True}),
        ({"no-enable-lora": False}, {"enable-lora": True}),
        ({"speculative-config": json.dumps(NGRAM)}, {"speculative-config": NGRAM}),
        ({f"speculative_config.{name}": value for name, value in NGRAM.items()}, {"speculative-config": NGRAM}),
        ({"compilation_config.cudagraph_mode": "NONE"}, {"compilation-config": {"cudagraph_mode": "NONE"}}),
        ({"compilation-config": {"cudagraph_mode": 0}}, {"compilation-config": {"cudagraph_mode": 0}}),
        (
            {"compilation-config.custom_ops+": "none,+rms_norm", "compilation-config.pass_config.fuse_norm": "true"},
            {"compilation-config": {"custom_ops": ["none", "+rms_norm"], "pass_config": {"fuse_norm": True}}},
        ),
        ({"enforce-eager": True, "no-enforce-eager": True}, {"enforce-eager": False}),
        ({"no-enable-prefix-caching": None}, {"enable-prefix-caching": None}),
        (
            {"enable-lora": True, "lora-modules": [{"name": "law", "path": "/law"}]},
            {"enable-lora": True, "lora-modules": ['{"name": "law", "path": "/law"}']},
        ),
    ],
)
def test_an_argument_counts_by_whichever_of_its_names_and_forms_it_is_given(args, plain):
    found, expected = (plan(several(2, L40S), vllm_version="0.33.0", extra_args=given) for given in (args, plain))
    assert (found.args, found.evaluation.budget) == (expected.args, expected.evaluation.budget)
    assert found.evaluation.settings == expected.evaluation.settings


def test_a_number_with_a_suffix_counts_as_vllm_reads_it():
    by_suffix, plain = (
        plan(several(1, L40S), extra_args={"kv-cache-memory-bytes": size}).evaluation.budget.kv_cache
        for size in ("4G", 4 * GIB)
    )
    assert by_suffix == plain


@pytest.mark.parametrize(
    ("method", "asked", "files", "words"),
    [
        ("gptq", "awq", [], "quantization is awq and the checkpoint's is gptq"),
        ("awq", "fp8", [], "quantization is fp8 and the checkpoint's is awq"),
        (
            "compressed-tensors",
            "gptq_marlin",
            [],
            "quantization is gptq_marlin and the checkpoint's is compressed-tensors",
        ),
        ("", "awq", ["config.json", "model.safetensors"], "quantization is awq and the checkpoint is not quantized"),
        ("", "gptq_marlin", ["config.json", "model.safetensors"], "and the checkpoint is not quantized"),
        ("", "gptq", ["config.json", "quantize_config.json", "model.safetensors"], ""),
        ("", "awq", [], ""),
        ("", "fp8", ["config.json", "model.safetensors"], ""),
        ("awq", "awq_marlin", [], ""),
        ("gptq", "gptq_marlin", [], ""),
        ("fp8", "fp8", [], ""),
    ],
)
def test_a_quantization_that_the_checkpoint_has_not_is_refused(method, asked, files, words):
    config = {**LLAMA, **({"quantization_config": {"quant_method": method, "bits": 4}} if method else {})}
    params = {"model_config": config, "gpus": several(1), "vllm_version": "0.32.0", "files": files}
    found = plan_vllm({**params, "quantization": asked, "on_unfit": "report"})
    assert (words in found.reason) if words else found.fits


@pytest.mark.parametrize(
    ("method", "version", "is_refused"),
    [
        ("fbgemm_fp8", "0.33.0", True),
        ("fbgemm_fp8", "0.12.0", False),
        ("experts_int8", "0.18.0", True),
        ("experts_int8", "0.33.0", False),
    ],
)
def test_a_method_that_is_to_go_is_taken_with_a_switch_alone(method, version, is_refused):
    config = {**LLAMA, "quantization_config": {"quant_method": method}}
    params = {"model_config": config, "weights_bytes": 9_000_000_000, "gpus": several(1), "vllm_version": version}
    if is_refused:
        with pytest.raises(Refusal, match=f"found {method} as the quantization.*allow-deprecated-quantization: true"):
            plan_vllm(params)
        params["extra_args"] = {"allow-deprecated-quantization": True}
    assert plan_vllm(params).fits


def test_what_the_inner_config_of_a_multimodal_model_says_of_its_quantization_counts():
    inner = {"text_config": {**LLAMA, "quantization_config": {"quant_method": "awq", "bits": 4}}}
    params = {"model_config": {**LLAMA, **inner}, "gpus": several(1), "vllm_version": "0.32.0", "on_unfit": "report"}
    asked = {**params, "files": ["config.json", "model.safetensors"]}
    assert plan_vllm({**asked, "quantization": "awq"}).fits
    assert "the checkpoint's is awq" in plan_vllm({**asked, "quantization": "gptq"}).reason


@pytest.mark.parametrize(
    ("args", "plain"),
    [
        ({"max-model-len": "8k"}, {"max-model-len": 8000}),
        ({"max-model-len": "8K"}, {"max-model-len": 8192}),
        ({"max-model-len": "25.6k"}, {"max-model-len": 25600}),
        ({"max-num-batched-tokens": "4K"}, {"max-num-batched-tokens": 4096}),
        ({"max-model-len": -1}, {}),
        ({"max-model-len": "-1"}, {}),
    ],
)
def test_lengths_are_taken_as_vllm_takes_them(args, plain):
    assert plan(several(1, L40S), extra_args=args).args == plan(several(1, L40S), extra_args=plain).args


def test_adapters_without_the_switch_that_loads_them_are_refused():
    asked = {"extra_args": {"lora-modules": ["a=/adapters/a"]}, "on_unfit": "report"}
    refused = plan(several(1), **asked)
    assert "args holds lora-modules and not enable-lora" in refused.reason
    assert plan(several(1), extra_args={**asked["extra_args"], "enable-lora": True}).fits


def test_an_adapter_alone_is_named_with_the_model_that_it_was_made_of():
    config = {"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen3-8B"}
    with pytest.raises(Refusal, match="is an adapter .LoRA. of Qwen/Qwen3-8B; wanted the whole model"):
        plan_vllm({"model_config": config, "gpus": several(1), "vllm_version": "0.33.0", "repo": "me/my-adapter"})


@pytest.mark.parametrize(
    ("config", "tokenizer", "words"),
    [
        ({"auto_map": {"AutoConfig": "configuration_nemotron_h.NemotronHConfig"}}, {}, "configuration_nemotron_h.py"),
        ({"auto_map": {"AutoConfig": "me/repo--configuration_x.XConfig"}}, {}, "(configuration_x.py)"),
        ({}, {"auto_map": {"AutoTokenizer": ["tokenization_kimi.TikTokenTokenizer", None]}}, "(tokenization_kimi.py)"),
        ({"model_type": "kimi_k25", "auto_map": {"AutoConfig": "a.B"}}, {}, "by a class of its own"),
    ],
)
def test_code_that_a_model_brings_is_named_and_stays_off(config, tokenizer, words):
    params = {"model_config": {**LLAMA, **config}, "tokenizer_config": tokenizer}
    asked = {**params, "gpus": several(1), "vllm_version": "0.33.0"}
    (said,) = (text for text in plan_vllm(asked).warnings if "trust-remote-code" in text)
    assert words in said
    assert "trust-remote-code" not in plan_vllm(asked).args
    trusted = plan_vllm({**asked, "extra_args": {"trust-remote-code": True}})
    assert not any("trust-remote-code" in text for text in trusted.warnings)


@pytest.mark.parametrize(
    ("files", "version", "words"),
    [
        (["*.gguf"], "0.33.0", "the weights are GGUF files; vLLM 0.33.0 does not read these (0.23.0 was the last"),
        (["model-Q4_K_M.gguf"], "0.33.0", "GGUF"),
        (["model-Q4_K_M.gguf"], "0.23.0", ""),
        (["onnx/model.onnx"], "0.33.0", "the weights are ONNX files"),
        (["model.safetensors"], "0.33.0", ""),
        ([], "0.33.0", ""),
    ],
)
def test_the_files_tell_weights_that_vllm_does_not_read(files, version, words):
    asked = {"model_config": LLAMA, "weights_bytes": 5_000_000_000, "gpus": several(1), "files": files}
    found = plan_vllm({**asked, "vllm_version": version, "on_unfit": "report"})
    assert (found.fits, words in found.reason) == (not words, True)


NEMOTRON_SUPER = {
    **HYBRID,
    "hidden_size": 4096,
    "num_hidden_layers": 88,
    "hybrid_override_pattern": "ME" * 40 + "M*" * 4,
    "intermediate_size": 2688,
    "moe_intermediate_size": 2688,
    "n_routed_experts": 512,
    "num_experts_per_tok": 22,
    "moe_shared_expert_intermediate_size": 5376,
    "mamba_num_heads": 128,
    "num_key_value_heads": 2,
}


def test_weights_of_a_size_that_nothing_tells_are_not_guessed():
    asked = {
        "gpus": several(8),
        "vllm_version": "0.33.0",
        "on_unfit": "report",
        "repo": "nvidia/Nemotron-3-Super-120B-A12B",
    }
    wild = plan_vllm({**asked, "model_config": NEMOTRON_SUPER})
    assert "cannot be estimated" in wild.reason
    assert "set weights_bytes to it" in wild.reason
    assert not plan_vllm({**asked, "model_config": NEMOTRON_SUPER, "weights_bytes": 128_000_000_000}).obstacles
    narrow = plan_vllm({**asked, "model_config": {**NEMOTRON_SUPER, "moe_latent_size": 1024}})
    assert narrow.evaluation.situation.model.parameters.total / 1e9 == pytest.approx(120, rel=0.05)
    assert not narrow.obstacles


def test_the_memory_of_a_slice_is_what_is_reported():
    described = {"name": "NVIDIA H100 80GB HBM3 MIG 3g.40gb", "memory_bytes": 40192 * 2**20}
    assert plan(described).evaluation.budget.total == 40192 * 2**20


GPT_OSS_20B = {
    **GPT_OSS,
    "architectures": ["GptOssForCausalLM"],
    "num_hidden_layers": 24,
    "num_local_experts": 32,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
}


def gpt_oss(name, **wishes):
    asked = {"model_config": GPT_OSS_20B, "weights_bytes": 13_761_264_768, "gpus": several(1, name)}
    return plan_vllm({**asked, "vllm_version": "0.33.0", "on_unfit": "report", **wishes})


def test_what_no_memory_helps_against_gets_no_offer_of_more():
    found = gpt_oss("Tesla T4")
    assert "from 8.0 on" in found.reason
    assert (found.alternatives, "what would fit" in found.reason) == ((), False)


def test_the_models_own_length_is_allowed_where_two_conversations_of_it_fit():
    found = gpt_oss(RTX4090)
    assert found.args["max-model-len"] == 131072
    assert found.evaluation.budget.max_concurrency >= 2


def test_the_summary_tells_what_fits_and_what_runs_at_once():
    found = plan(several(1), context=2048, max_num_seqs=8)
    assert found.users > 8
    assert found.reason == f"fits: the cache holds {found.users:,} whole conversations of 2,048 tokens; 8 run at once"


def test_a_plan_that_fits_is_told_what_would_hold_more():
    changes = [list(one.change) for one in gpt_oss(RTX4090).alternatives]
    assert ["gpu_memory_utilization"] in changes
    assert ["max_num_seqs"] in changes


def test_variants_of_eight_and_of_four_bits_are_offered():
    offers = [one.change.get("model") for one in plan(several(1), "70B", on_unfit="report").alternatives]
    assert {"an FP8 variant", "a 4-bit variant"} <= set(offers)


@pytest.mark.parametrize(
    ("architecture", "version", "gpu"),
    [
        ("GlmMoeDsaForCausalLM", "0.33.0", "NVIDIA B200"),
        ("GlmMoeDsaForCausalLM", "0.24.0", "NVIDIA RTX PRO 6000 Blackwell Server Edition"),
        ("DeepseekV32ForCausalLM", "0.32.0", "NVIDIA RTX PRO 6000 Blackwell Server Edition"),
    ],
)
def test_blackwell_keeps_the_sparse_cache_of_some_in_fp8_by_itself(architecture, version, gpu):
    config = {**DEEPSEEK_R1, "architectures": [architecture], "model_type": "glm_moe_dsa"}
    config = {**config, "index_topk": 2048, "index_head_dim": 128, "index_n_heads": 32}
    asked = {"model_config": config, "weights_bytes": 400_000_000_000, "vllm_version": version}
    there, before = (
        plan_vllm({**asked, "gpus": several(8, name), "tensor_parallel_size": 8}).evaluation.budget.kv_bytes_per_token
        for name in (gpu, "NVIDIA H200")
    )
    assert there < 0.65 * before


MINILM = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_attention_heads": 12,
    "num_hidden_layers": 6,
    "max_position_embeddings": 512,
    "vocab_size": 30522,
    "torch_dtype": "float32",
}


def vectors_of(config, **more):
    params = {"model_config": config, "weights_bytes": 90_868_376, "gpus": several(1), "vllm_version": "0.32.0"}
    return plan_vllm({**params, "task": "embed", "found": ("embed", "makes vectors of texts"), **more})


@pytest.mark.parametrize(
    ("config", "data", "length"),
    [
        pytest.param({}, {}, 512, id="nothing said"),
        pytest.param({}, {"sentence_bert_config.json": {"max_seq_length": 256}}, 256, id="shorter than its positions"),
        pytest.param({}, {"sentence_bert_config.json": {"do_lower_case": False}}, 512, id="a file without a length"),
        pytest.param({}, {"sentence_bert_config.json": [256]}, 512, id="a file of something else"),
        pytest.param({}, {"sub/sentence_bert_config.json": {"max_seq_length": 256}}, 512, id="of something else"),
        pytest.param(
            {"architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta", "max_position_embeddings": 514},
            {"sentence_xlm-roberta_config.json": {"max_seq_length": 514}},
            512,
            id="longer than RoBERTa's positions",
        ),
        pytest.param(
            {"architectures": ["NomicBertModel"], "model_type": "nomic_bert", "max_position_embeddings": 2048},
            {"sentence_bert_config.json": {"max_seq_length": 8192}},
            8192,
            id="longer than it was trained with",
        ),
    ],
)
def test_a_text_for_vectors_is_as_long_as_its_sentence_transformer_says(config, data, length):
    found = vectors_of({**MINILM, **config}, data=data)
    assert found.args["max-model-len"] == length
    with pytest.raises(Refusal, match=f"max_model_len is {length + 1} and the model's own longest is {length}"):
        vectors_of({**MINILM, **config}, data=data, max_model_len=length + 1)


@pytest.mark.parametrize(
    "config",
    [
        {**LLAMA, "architectures": ["LlamaBidirectionalModel"]},
        {**LLAMA, "is_causal": False},
        {**LLAMA, "architectures": ["Gemma3TextModel"], "use_bidirectional_attention": True},
    ],
)
def test_a_decoder_whose_words_see_those_after_them_caches_nothing_and_reads_a_text_at_once(config):
    found = vectors_of(config, weights_bytes=16_000_000_000)
    assert not found.situation.model.kv_layers
    assert found.args["max-num-batched-tokens"] == found.args["max-model-len"] == 131072
    assert found.evaluation.budget.activations > 10 * GIB


@pytest.mark.parametrize(
    ("architecture", "words", "renamed"),
    [
        ("MPNetModel", "vLLM has no code of its own for MPNetModel", None),
        ("BertModel", "", None),
        ("Qwen3Model", "", None),
        ("NewModel", "", {"architectures": ["GteNewModel"], "matryoshka_dimensions": [384]}),
    ],
)
def test_a_model_for_vectors_without_code_of_vllms_is_told(architecture, words, renamed):
    found = vectors_of({**MINILM, "architectures": [architecture]}, asked_dimensions=384)
    assert any(words in warning for warning in found.warnings) if words else not found.warnings
    overrides = json.loads(str(found.args["hf-overrides"]))
    assert overrides == (renamed or {"matryoshka_dimensions": [384]})


def test_a_quantization_that_stands_in_a_file_of_its_own_counts():
    said = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}
    params = {"model_config": LLAMA, "weights_bytes": 6_000_000_000, "vllm_version": "0.32.0", "gpus": several(1, H100)}
    found = plan_vllm({**params, "data": {"hf_quant_config.json": said}})
    assert found.evaluation.settings.kv_cache_dtype == "fp8"
    assert any("runs NVFP4 weights by Marlin" in warning for warning in found.warnings)
    assert plan_vllm(params).evaluation.settings.kv_cache_dtype == "auto"


def test_a_model_of_text_alone_leaves_out_its_encoders():
    config = {**QWEN25_VL, "architectures": ["Qwen2_5_VLForConditionalGeneration"]}
    asked = {"model_config": config, "weights_bytes": 7_509_245_952, "gpus": several(1, RTX4090)}
    whole, text = (
        plan_vllm({**asked, "vllm_version": "0.33.0", "extra_args": args}).evaluation.budget
        for args in ({}, {"language-model-only": True})
    )
    assert text.weights < whole.weights - GIB
    assert text.activations < whole.activations


@pytest.mark.parametrize(
    ("architecture", "repo"),
    [
        ("Qwen3ForCausalLM", "Qwen/Qwen3-Embedding-8B"),
        ("XLMRobertaForSequenceClassification", "BAAI/bge-reranker-v2-m3"),
        ("BertModel", "BAAI/bge-large-en"),
        ("XLMRobertaModel", "BAAI/bge-m3"),
    ],
)
def test_the_plan_of_a_model_that_cannot_chat_speaks_of_texts_and_batches(architecture, repo):
    config = {**LLAMA, "architectures": [architecture], "max_position_embeddings": 8192}
    asked = {"model_config": config, "weights_bytes": 2_000_000_000, "gpus": several(1, RTX4090), "repo": repo}
    found = plan_vllm({**asked, "vllm_version": "0.33.0"})
    assert re.fullmatch(
        r"fits: texts of up to 8,192 tokens, up to [\d,]+ of them and [\d,]+ tokens in each batch", found.reason
    )
    assert not {"tool-call-parser", "reasoning-parser"} & set(found.args)
    assert not any("conversation" in text for text in (*found.reasons, *(one.gives for one in found.alternatives)))


def test_unequal_gpus_are_judged_by_the_smallest():
    mixed = plan([*several(1), *several(1, L40S)], tensor_parallel_size=2)
    small = plan(several(2, L40S), tensor_parallel_size=2)
    assert mixed.evaluation.budget.total == small.evaluation.budget.total
    assert any("the smallest decides: NVIDIA L40S" in reason for reason in mixed.reasons)


T4, H100 = "Tesla T4", "NVIDIA H100 80GB HBM3"


@pytest.mark.parametrize(
    ("gpus", "model", "wishes", "used", "is_told"),
    [
        pytest.param([*several(1, T4), *several(1)], LLAMA, {}, [1], True, id="an idle one does not decide the dtype"),
        pytest.param([*several(1, T4), *several(2, H100)], GPT_OSS, {}, [1, 2], True, id="one cannot run the weights"),
        pytest.param([*several(1), *several(2, RTX4090)], LLAMA, {}, [0], True, id="an engine of all holds fewer"),
        pytest.param([several(1), several(2, RTX4090)], LLAMA, {}, [0], True, id="an engine over hosts holds fewer"),
        pytest.param([*several(1), *several(1, L40S)], LLAMA, {}, [0, 1], False, id="a replica on each"),
        pytest.param(
            [*several(1), *several(1, L40S)], LLAMA, {"tensor_parallel_size": 2}, [0, 1], False, id="wished for"
        ),
        pytest.param(
            [*several(1), *several(1, H100)], LLAMA_70B, {"context": 2048}, [0, 1], False, id="only all hold it"
        ),
    ],
)
def test_gpus_that_only_hold_up_others_are_left_out(gpus, model, wishes, used, is_told):
    params = {"model_config": model, "gpus": gpus, "vllm_version": "0.32.0", **wishes}
    found = plan_vllm(params)
    assert (found.fits, [device.index for device in found.evaluation.candidate.all_devices]) == (True, used)
    assert any("alone: with" in one for one in found.warnings) is is_told
    assert len(found.as_dict()["gpus"]) == sum(map(len, found.situation.nodes)) > len(used) - (not is_told)
    assert found.args.get("dtype") is None


def test_of_several_kinds_the_one_that_holds_the_most_tokens_is_taken():
    found = plan([several(1, "Tesla V100-SXM2-32GB"), several(2, T4), several(1, RTX4090)])
    assert {device.name for device in found.evaluation.candidate.all_devices} == {T4}


def test_the_roomier_of_unequal_gpus_is_used_first():
    found = plan([*several(1, L40S), *several(1)], users=1, context=4096)
    assert [device.index for device in found.evaluation.candidate.all_devices] == [1]
    assert [gpu["engine"] for gpu in found.as_dict()["gpus"]] == [None, 0]
    assert (found.as_dict()["devices"], found.env) == ([["1"]], {})


def test_a_mig_slice_is_a_gpu_of_its_own_and_works_alone():
    slices = [{"uuid": "MIG-a", "memory_bytes": 40 * GIB}, {"uuid": "MIG-b", "memory_bytes": 40 * GIB}]
    found = plan({"name": A100, "mig_devices": slices})
    assert sizes(found) == (1, 1, 1)
    assert [(gpu["gpu"], gpu["engine"]) for gpu in found.as_dict()["gpus"]] == [("MIG-a", 0), ("MIG-b", None)]


def test_a_machine_with_unified_memory_keeps_some_for_its_system():
    share = plan({"name": "NVIDIA GB10"}).args["gpu-memory-utilization"]
    assert share * 119.7 < 101 - 5  # GiB that reports find free
    assert any("leaves memory to the system" in reason for reason in plan({"name": "NVIDIA GB10"}).reasons)


@pytest.mark.parametrize(("share", "is_told"), [(0.95, True), (0.75, False)])
def test_a_share_that_leaves_the_system_too_little_of_its_own_memory_is_warned_of(share, is_told):
    found = plan([{"name": "NVIDIA GB10"}], gpu_memory_utilization=share)
    assert any("to the system, which shares the GPU's memory" in one for one in found.warnings) is is_told


def test_what_others_hold_on_a_gpu_is_left_to_them():
    busy = plan({"name": L40S, "memory_bytes": 48 * GIB, "memory_free_bytes": 30 * GIB})
    assert busy.args["gpu-memory-utilization"] <= 30 / 44.4
    assert busy.fits


def test_the_processes_of_vllm_itself_are_not_others():
    own = {"name": "VLLM::EngineCore", "pid": 1, "memory_bytes": 40 * GIB}
    running = plan({"name": L40S, "memory_bytes": 48 * GIB, "memory_free_bytes": 8 * GIB, "processes": [own]})
    assert running.as_dict() == plan({"name": L40S, "memory_bytes": 48 * GIB, "memory_free_bytes": 48 * GIB}).as_dict()


def test_key_heads_are_copied_where_there_are_more_gpus():
    found = plan(several(16), "70B", tensor_parallel_size=16)
    assert any("8 key heads are copied, 2 times each, over 16 GPUs" in reason for reason in found.reasons)


def test_experts_that_cannot_be_split_are_dealt_out_whole():
    found = plan(several(4), "MoE", tensor_parallel_size=4)
    assert found.args["enable-expert-parallel"] is True
    assert plan(several(2), "MoE", tensor_parallel_size=2).args.get("enable-expert-parallel") is None


def on_eight(config, weights, **more):
    return plan_vllm(
        {
            "model_config": config,
            "weights_bytes": weights,
            "gpus": several(8, "NVIDIA H200"),
            "vllm_version": "0.33.0",
            **more,
        }
    )


@pytest.mark.parametrize(("count", "is_dealt"), [(3, False), (5, True)])
def test_replicas_of_a_wished_number_share_out_experts_unevenly(count, is_dealt):
    config = {name: value for name, value in MIXED.items() if name != "quantization_config"}
    found = on_eight(config, 61_000_000_000, data_parallel_size=count, tensor_parallel_size=1)
    assert (found.fits, sizes(found)) == (True, (1, 1, count))
    assert found.evaluation.candidate.expert_parallel is is_dealt


@pytest.mark.parametrize("wish", [True, False])
def test_experts_are_dealt_out_or_split_as_is_wished(wish):
    found = on_eight(MIXED, 31_500_000_000, extra_args={"enable-expert-parallel": wish})
    assert (found.fits, found.evaluation.candidate.expert_parallel) == (True, wish)
    assert found.args.get("enable-expert-parallel", False) is wish


def test_experts_that_cannot_be_split_are_not_split_as_is_wished():
    with pytest.raises(Refusal, match="width of 768 cannot be split.*or remove enable-expert-parallel"):
        on_eight(MIXED, 31_500_000_000, tensor_parallel_size=4, extra_args={"no-enable-expert-parallel": True})


def test_gpus_that_share_out_each_conversations_cache_hold_more_of_them():
    usual = on_eight(DEEPSEEK_R1, 689_000_000_000)
    found = on_eight(DEEPSEEK_R1, 689_000_000_000, extra_args={"decode-context-parallel-size": 8})
    assert (sizes(usual), sizes(found)) == ((8, 1, 1), (8, 1, 1))
    assert 7.5 <= found.users / usual.users <= 8.5
    assert found.evaluation.budget.kv_bytes_per_token == usual.evaluation.budget.kv_bytes_per_token // 8


@pytest.mark.parametrize(
    ("config", "ranks", "tp", "words"),
    [
        (DEEPSEEK_R1, 8, 4, "4 GPUs do not divide by it; wanted tensor_parallel_size 8"),
        (DEEPSEEK_R1, 3, None, "8 GPUs do not divide by it; remove decode-context-parallel-size"),
        (
            QWEN3_MOE,
            2,
            4,
            "4 GPUs do not hold 2 copies of each of the model's 4 key heads; wanted tensor_parallel_size 8",
        ),
    ],
)
def test_a_cache_is_shared_out_among_gpus_that_hold_copies_of_it(config, ranks, tp, words):
    with pytest.raises(Refusal, match=words):
        on_eight(config, None, tensor_parallel_size=tp, extra_args={"decode-context-parallel-size": ranks})


def test_a_layout_is_chosen_in_which_the_cache_can_be_shared_out():
    found = on_eight(QWEN3_MOE, None, extra_args={"decode-context-parallel-size": 2})
    assert (found.fits, sizes(found)) == (True, (8, 1, 1))


def test_the_precision_is_never_changed_but_by_a_wish():
    assert "quantization" not in plan(several(1)).args
    assert plan(several(1, "NVIDIA H100 80GB HBM3"), quantization="fp8").args["quantization"] == "fp8"


def test_the_context_is_what_is_asked_for_and_the_rest_is_kv_cache():
    found = plan(several(1), context=8192)
    assert found.args["max-model-len"] == 8192
    assert found.users > plan(several(1), context=16384).users > 1


def test_longer_conversations_may_be_allowed_than_are_estimated_with():
    found = plan(several(1, L40S), users=20, context=4096, max_model_len=65536)
    assert (found.fits, found.args["max-model-len"], found.evaluation.context) == (True, 65536, 4096)
    assert found.users >= 20
    assert any("longer conversations take the place of several" in warning for warning in found.warnings)


def test_without_a_wish_for_context_long_ones_are_allowed_as_far_as_they_fit():
    small, large = plan({"name": RTX4090}), plan({"name": A100})
    assert small.evaluation.context < large.evaluation.context == 32768
    assert small.args["max-model-len"] == small.evaluation.context
    assert large.args["max-model-len"] > large.evaluation.context


def test_a_plan_that_falls_short_says_what_would_do():
    found = plan(several(1, L40S), users=50, context=32768)
    assert not found.fits
    assert re.match(r"users is 50 and the KV cache holds \d whole conversations of 32,768 tokens at once", found.reason)
    changes = [tuple(one.change) for one in found.alternatives]
    assert ("users",) in changes
    assert ("context",) in changes
    assert ("gpus",) in changes


def apply(wishes, change):
    return {**wishes, **{name: value for name, value in change.items() if name not in ("gpus", "model")}}


@pytest.mark.parametrize(
    ("gpus", "model", "wishes"),
    [
        (several(1, L40S), "8B", {"users": 9, "context": 32768}),
        (several(1, RTX4090), "8B", {"users": 10, "context": 65536}),
        (several(2, A100), "70B", {"users": 50, "context": 32768}),
        (several(4, L40S), "70B", {"context": 131072}),
        (several(4, L40S), "70B", {"max_model_len": 8192, "data_parallel_size": 2}),
        (several(1, L40S), "8B", {"users": 15, "context": 16384, "max_model_len": 32768}),
    ],
)
def test_each_alternative_keeps_its_word(gpus, model, wishes):
    found = plan(gpus, model, **wishes)
    assert not found.fits
    tried = [one for one in found.alternatives if not set(one.change) & {"gpus", "model"}]
    assert tried
    for one in tried:
        then = plan(gpus, model, **apply(wishes, one.change))
        assert then.fits, one
        assert f"{then.users:,} whole" in one.gives


def test_more_gpus_that_are_offered_are_enough():
    found = plan(several(2), "70B", users=50, context=32768)
    (offered,) = [one.change["gpus"] for one in found.alternatives if "gpus" in one.change]
    count, _x, name = str(offered).partition(" x ")
    assert plan(several(int(count), name), "70B", users=50, context=32768).fits


def test_a_smaller_variant_is_offered_and_never_taken():
    found = plan(several(2), "70B", users=4, context=32768)
    assert any("variant" in str(one.change.get("model")) for one in found.alternatives)
    assert "quantization" not in found.args


def test_on_a_host_without_gpu_the_given_space_is_the_cache():
    # 32 layers x 8 key heads x 128 x 2 x 2 bytes a token, blocks of 128 tokens.
    found = plan([], cpu_kv_cache_bytes=4 * GIB, max_model_len=16384)
    assert found.env == {"VLLM_CPU_KVCACHE_SPACE": "4"}
    assert found.evaluation.budget.kv_bytes_per_token == 131072
    assert found.evaluation.budget.kv_cache_tokens == 4 * GIB // 131072
    assert "gpu-memory-utilization" not in found.args


def test_extra_arguments_that_a_wish_stands_for_count_as_that_wish():
    there, here = plan(several(1), extra_args={"max-num-seqs": 8}), plan(several(1), max_num_seqs=8)
    assert there.as_dict() == here.as_dict()


def test_other_extra_arguments_are_merged_last_and_null_takes_one_away():
    found = plan(several(1), extra_args={"enable_prefix_caching": True, "tool-call-parser": "pythonic"})
    assert (found.args["enable-prefix-caching"], found.args["tool-call-parser"]) == (True, "pythonic")
    assert "gpu-memory-utilization" not in plan(several(1), extra_args={"gpu-memory-utilization": None}).args


def test_fewer_requests_at_once_than_users_are_reported():
    found = plan(several(1), users=10, context=4096, max_num_seqs=4)
    assert found.fits
    assert "max_num_seqs lets 4 requests run at once; the others of 10 users wait" in found.warnings


def test_more_users_than_vllm_runs_at_once_by_default_raise_the_limit():
    assert plan(several(1), users=2000, context=128).args["max-num-seqs"] == 2000


def test_the_roomier_node_is_used_first():
    found = plan([several(1, L40S), several(1)], users=1, context=4096)
    assert [gpu["engine"] for gpu in found.as_dict()["gpus"]] == [None, 0]


def test_an_old_gpu_gets_float16_where_the_model_says_bfloat16():
    assert plan({"name": "Tesla T4"}, context=2048).args["dtype"] == "float16"
    assert "dtype" not in plan(several(1)).args


def test_a_model_in_float32_is_loaded_at_half_its_size():
    whole = {**LLAMA, "torch_dtype": "float32"}
    found = plan_vllm(
        {"model_config": whole, "weights_bytes": 32_121_044_992, "gpus": several(1), "vllm_version": "0.32.0"}
    )
    same = plan(several(1)).evaluation
    assert found.evaluation.budget.weights == pytest.approx(same.budget.weights, rel=0.001)
    assert found.evaluation.budget.kv_bytes_per_token == same.budget.kv_bytes_per_token


def test_an_answers_length_that_the_model_caps_is_reported():
    found = plan(several(1), generation_config={"max_new_tokens": 2048})
    assert any("max_new_tokens 2048" in warning for warning in found.warnings)


def test_an_engine_over_nodes_is_started_as_its_version_wants_it():
    nodes = [several(1), several(1)]
    assert plan(nodes, "70B", context=8192).args["nnodes"] == 2
    old = plan(nodes, "70B", context=8192, vllm_version="0.10.2")
    assert (old.args["distributed-executor-backend"], "nnodes" in old.args) == ("ray", False)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"max_position_embeddings": 4096}, 4096),
        ({"text_config": {"max_position_embeddings": 8192}}, 8192),
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}}, 16384),
        (
            {
                "max_position_embeddings": 32768,
                "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
            },
            131072,
        ),
        ({"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 131072),
        (
            {
                "model_type": "gemma3",
                "max_position_embeddings": 131072,
                "rope_scaling": {"type": "linear", "factor": 8},
            },
            131072,
        ),
        ({"seq_length": 2048, "model_max_length": 1024}, 1024),
        ({"max_position_embeddings": 8192, "model_max_length": 131072}, 131072),
        ({}, 0),
    ],
)
def test_the_longest_context_is_derived_as_vllm_does(config, expected):
    assert longest(config) == expected


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
SHORT = {**LLAMA, "max_position_embeddings": 40960}


@pytest.mark.parametrize(
    ("version", "config", "args", "expected"),
    [
        pytest.param("0.27.0", {**SHORT, "rope_scaling": YARN}, {}, 131072, id="the factor counts"),
        pytest.param(
            "0.33.0", {**SHORT, "rope_scaling": YARN}, {}, 40960, id="since 0.30 the length is taken as scaled"
        ),
        pytest.param("0.27.0", SHORT, {"hf-overrides": {"rope_parameters": YARN}}, 131072, id="an override"),
        pytest.param("0.9.2", SHORT, {"hf-overrides.rope_scaling": YARN}, 131072, id="an override by its older name"),
        pytest.param("0.9.2", SHORT, {"hf-overrides": {"rope_parameters": YARN}}, 40960, id="a name that it ignores"),
        pytest.param("0.9.2", SHORT, {"rope-scaling": json.dumps(YARN)}, 131072, id="an argument of old versions"),
        pytest.param(
            "0.33.0", SHORT, {"hf_overrides.max_position_embeddings": 65536}, 65536, id="an override of the length"
        ),
        pytest.param(
            "0.33.0",
            {**SHORT, "rope_scaling": {"rope_type": "linear", "factor": 2.0}},
            {"hf-overrides": {"rope_parameters": {"rope_type": "default"}}},
            40960,
            id="an override comes in the place of what config.json calls otherwise",
        ),
    ],
)
def test_the_longest_context_is_that_of_the_version_and_the_overrides(version, config, args, expected):
    params = {"model_config": config, "weights_bytes": 16_060_522_496, "gpus": several(1), "vllm_version": version}
    assert plan_vllm({**params, "extra_args": args}).args["max-model-len"] == expected


def test_a_scaling_without_the_length_is_refused_where_the_version_wants_both():
    args = {"hf-overrides": {"rope_parameters": YARN}, "max-model-len": 131072}
    params = {"model_config": SHORT, "gpus": several(1), "extra_args": args}
    assert plan_vllm({**params, "vllm_version": "0.29.0"}).fits
    with pytest.raises(Refusal, match="longest is 40960.*as hf-overrides in args, with max_position_embeddings"):
        plan_vllm({**params, "vllm_version": "0.30.0"})


# --- What cannot run -------------------------------------------------------------------------------------------------

UNFIT = [
    pytest.param(
        {"gpus": several(3, L40S), "tensor_parallel_size": 3},
        "tensor_parallel_size is 3, and its 32 attention heads do not divide by 3",
        id="a split",
    ),
    pytest.param({"tensor_parallel_size": 8}, "tensor_parallel_size 8 takes 8 GPUs and gpus holds 1", id="GPUs"),
    pytest.param({"extra_args": {"swap-spce": 4}}, "found swap-spce in args; vLLM 0.32.0 does not", id="a flag"),
    pytest.param({"max_model_len": 262144}, "max_model_len is 262144 and the model's own longest", id="a length"),
    pytest.param(
        {"gpus": several(1, "NVIDIA GeForce RTX 5090"), "vllm_version": "0.8.5"},
        "the image of vLLM 0.8.5 holds code for",
        id="a GPU newer than the image",
    ),
    pytest.param(
        {"gpus": several(1, RTX4090), "driver_version": "535.183.01"}, "update the driver to 580", id="a driver"
    ),
    pytest.param(
        {"gpus": several(2, f"{A100} MIG 3g.40gb"), "tensor_parallel_size": 2}, "MIG slices cannot work", id="slices"
    ),
]


@pytest.mark.parametrize(("wishes", "words"), UNFIT)
def test_what_cannot_run_is_refused(wishes, words):
    with pytest.raises(Refusal, match=re.escape(words)):
        plan(**{"gpus": several(1), **wishes})


@pytest.mark.parametrize(("wishes", "words"), UNFIT)
def test_a_report_says_what_cannot_run_and_estimates_the_budget_all_the_same(wishes, words):
    found = plan(**{"gpus": several(1), "on_unfit": "report", **wishes})
    assert not found.fits
    assert words in found.reason
    assert any(words in one for one in found.obstacles)
    assert found.evaluation.budget.weights > 0
    assert found.as_dict()["kv_cache_tokens"] > 0


def test_a_report_may_be_of_a_version_that_is_not_served():
    with pytest.raises(Refusal, match=re.escape("versions from 0.8.0 on are served")):
        plan(several(1), vllm_version="0.6.3")
    found = plan(several(1), vllm_version="0.6.3", on_unfit="report", max_model_len=8192)
    assert (found.fits, found.evaluation.settings.engine) == (True, 0)
    assert found.warnings[0].startswith("vLLM 0.6.3 is older than 0.8.0, the oldest that is served")


def test_of_a_build_from_source_the_releases_image_proves_nothing():
    found = plan(several(1, "NVIDIA GeForce RTX 5090"), vllm_version="0.8.5.dev169+gce17db808", max_model_len=8192)
    assert found.fits
    assert found.warnings[0].startswith("a build from source may differ, but of the release: found NVIDIA GeForce")


# --- Settings that are given -------------------------------------------------------------------


def test_steps_are_not_made_smaller_for_one_who_tells_layout_and_length():
    described = {"tensor_parallel_size": 1, "max_model_len": 20480}
    found = plan(several(1, "NVIDIA H100 80GB HBM3"), "69 GB", **described)
    assert found.evaluation.settings.max_num_batched_tokens == 8192
    assert not found.fits
    offered = {"max_num_seqs": 256, "max_num_batched_tokens": 2048}
    assert offered in [one.change for one in found.alternatives]
    then = plan(several(1, "NVIDIA H100 80GB HBM3"), "69 GB", **described, **offered)
    assert (then.fits, then.args["max-num-batched-tokens"]) == (True, 2048)
    served = plan(several(1, "NVIDIA H100 80GB HBM3"), "69 GB", users=1, context=20480)
    assert (served.fits, served.evaluation.is_lean, served.args["max-num-batched-tokens"]) == (True, True, 2048)


def borderline(length, **wishes):
    return plan(several(1, L40S), tensor_parallel_size=1, max_model_len=length, **wishes)


def test_what_falls_short_by_less_than_the_uncertainty_is_left_to_vllm():
    room = borderline(8192).evaluation.budget.kv_cache_tokens
    large = room - room % 128
    model = {**LLAMA, "max_position_embeddings": 10**6}
    params = {
        "model_config": model,
        "weights_bytes": 16_060_522_496,
        "gpus": several(1, L40S),
        "vllm_version": "0.32.0",
        "tensor_parallel_size": 1,
    }
    sure, close, far = (plan_vllm({**params, "max_model_len": n}) for n in (large, large + 512, large * 2))
    assert [one.fits for one in (sure, close, far)] == [True, True, False]
    assert close.reason.startswith("may fit, within the uncertainty of")
    assert any("by the estimate it falls short by" in warning for warning in close.warnings)
    assert not plan_vllm({**params, "max_model_len": large + 512, "users": 2}).fits


def test_a_model_whose_prompts_see_all_of_themselves_reads_each_in_one_step():
    hrm = dense(
        1536,
        4096,
        12,
        12,
        16,
        65536,
        model_type="hrm_text",
        architectures=["HrmTextForCausalLM"],
        head_dim=128,
        max_position_embeddings=4096,
    )
    found = plan_vllm({"model_config": hrm, "gpus": several(1, RTX4090), "vllm_version": "0.32.0"})
    assert found.args["max-model-len"] == found.args["max-num-batched-tokens"] == 4096


def test_a_hybrid_models_steps_are_as_large_as_its_blocks_where_its_version_wants_that():
    params = {"model_config": HYBRID, "weights_bytes": 10_000_000_000, "gpus": several(1), "max_model_len": 8192}
    switched = {**params, "vllm_version": "0.20.0", "extra_args": {"enable-prefix-caching": True}}
    found = plan_vllm(switched)
    assert found.fits
    assert found.args["max-num-batched-tokens"] == found.evaluation.budget.block_size > 2048
    fixed = plan_vllm({**switched, "max_num_batched_tokens": 2048})
    assert not fixed.fits
    assert "more than max_num_batched_tokens 2048; set it to" in fixed.reason


QWEN38_27B = {
    "architectures": ["Qwen3_5ForConditionalGeneration"],
    "model_type": "qwen3_5",
    **{name: value for name, value in QWEN36_27B.items() if name != "model_type"},
    **FP8,
}
QWEN35_122B = {
    **QWEN38_27B,
    "architectures": ["Qwen3_5MoeForConditionalGeneration"],
    "model_type": "qwen3_5_moe",
    "hidden_size": 3072,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 12,
    "linear_num_value_heads": 64,
    "moe_intermediate_size": 1024,
    "num_experts": 256,
    "num_experts_per_tok": 8,
}
NEMOTRON_3 = {**HYBRID, "architectures": ["NemotronHForCausalLM"]}
STATEFUL = (
    pytest.param(QWEN38_27B, 30_866_663_264, several(1, L40S), id="Qwen3.8-27B-FP8 on one L40S"),
    pytest.param(QWEN38_27B, 30_866_663_264, several(1, "NVIDIA A100-SXM4-40GB"), id="on one A100 of 40 GB"),
    pytest.param(QWEN38_27B, 30_866_663_264, several(2, RTX4090), id="on two RTX 4090"),
    pytest.param(QWEN38_27B, 55_600_000_000, several(1, "NVIDIA H100 80GB HBM3"), id="Qwen3.5-27B on one H100"),
    pytest.param(QWEN35_122B, 125_000_000_000, several(2, "NVIDIA H100 80GB HBM3"), id="Qwen3.5-122B on two H100"),
    pytest.param(NEMOTRON_3, 60_000_000_000, several(1), id="Nemotron 3"),
)


@pytest.mark.parametrize("version", ["0.18.0", "0.22.1", "0.28.0", "0.33.0"])
@pytest.mark.parametrize(("config", "weights", "gpus"), STATEFUL)
def test_no_more_requests_run_than_surely_have_a_block_for_their_mamba_states(config, weights, gpus, version):
    found = plan_vllm({"model_config": config, "weights_bytes": weights, "gpus": gpus, "vllm_version": version})
    budget = found.evaluation.budget
    assert found.fits
    assert 1 <= found.args["max-num-seqs"] <= (budget.kv_cache - budget.uncertainty) // budget.block_bytes


def stateful(**wishes):
    params = {"model_config": QWEN38_27B, "weights_bytes": 30_866_663_264, "gpus": several(1, L40S)}
    return plan_vllm({**params, "vllm_version": "0.28.0", "on_unfit": "report", **wishes})


def test_more_requests_than_blocks_for_their_states_are_refused_where_the_version_does():
    refused = stateful(max_num_seqs=512)
    assert not refused.fits
    assert "max_num_seqs is 512 and the cache has about" in refused.reason
    assert "set max_num_seqs to" in refused.reason
    assert stateful(max_num_seqs=64).fits
    assert stateful(max_num_seqs=512, enforce_eager=True).fits
    assert stateful(max_num_seqs=512, extra_args={"compilation-config": {"cudagraph_mode": "PIECEWISE"}}).fits
    assert stateful(max_num_seqs=512, vllm_version="0.18.0").fits


def test_one_kind_of_cache_is_refused_to_a_model_of_two():
    args = {"disable-hybrid-kv-cache-manager": True}
    assert "for which vLLM has no one kind of cache" in stateful(extra_args=args).reason
    assert plan(several(1), extra_args=args).fits


def test_a_wish_that_may_outrun_the_states_is_warned_of():
    cap = stateful().args["max-num-seqs"]
    assert any("max_num_seqs" in text and "Mamba" in text for text in stateful(max_num_seqs=cap + 16).warnings)
    assert not any("Mamba" in text for text in stateful(max_num_seqs=cap).warnings)


def test_the_models_own_draft_layers_are_in_the_budget_and_others_are_warned_of():
    words = "the draft model's weights and cache are not in the budget"
    config = {**LLAMA, "num_nextn_predict_layers": 1}
    params = {"model_config": config, "gpus": several(1), "vllm_version": "0.32.0", "context": 8192}
    own, foreign = (
        plan_vllm({**params, "speculative": {"method": method, "num_speculative_tokens": 1, **more}})
        for method, more in (("mtp", {}), ("eagle3", {"model": "someone/drafter"}))
    )
    assert (words in own.warnings, words in foreign.warnings) == (False, True)
    assert own.evaluation.budget.kv_bytes_per_token > foreign.evaluation.budget.kv_bytes_per_token


def test_links_that_were_looked_at_count_for_the_memory_of_collectives():
    joined = [{"name": L40S, "index": n, "nvlink_peers": [1 - n]} for n in range(2)]
    apart = [{"name": L40S, "index": n, "nvlink_peers": []} for n in range(2)]
    with_links, without = (plan(cards, tensor_parallel_size=2).evaluation.budget.overhead for cards in (joined, apart))
    assert with_links > without


def test_tensor_parallelism_over_nodes_is_taken_only_where_it_is_wished():
    found = plan([several(8), several(8)], "70B", tensor_parallel_size=16)
    assert (found.fits, sizes(found), found.args["nnodes"]) == (True, (16, 1, 1), 2)
    assert any("waits for their network in each layer" in warning for warning in found.warnings)


def test_a_variant_that_the_gpu_cannot_run_is_not_offered():
    found = plan({"name": "Tesla T4"}, context=4096, vllm_version="0.8.5")
    offered = [one.change["model"] for one in found.alternatives if "model" in one.change]
    assert offered == ["a 4-bit variant"]


def test_a_share_that_leaves_no_room_for_cuda_is_warned_of():
    words = "CUDA itself and the graphs take about"
    warned = [any(words in one for one in borderline(8192, gpu_memory_utilization=n).warnings) for n in (0.9, 0.995)]
    assert warned == [False, True]


# --- What always holds -----------------------------------------------------------------------------------------------

memories = st.integers(min_value=16, max_value=200)
models = st.sampled_from(["70B", "8B", "MoE"])
wished = st.fixed_dictionaries(
    {},
    optional={
        "users": st.integers(min_value=2, max_value=60),
        "context": st.sampled_from([2048, 8192, 32768]),
        "max_num_seqs": st.sampled_from([8, 64]),
        "enforce_eager": st.booleans(),
    },
)


def with_memory(count, gib):
    return [{"name": "a GPU", "memory_bytes": gib * GIB, "compute_capability": "9.0"}] * count


@settings(max_examples=60)
@given(models, st.integers(1, 4), memories, st.integers(0, 60), wished)
def test_more_memory_never_fits_less(model, count, gib, more, wishes):
    assume(plan(with_memory(count, gib), model, **wishes).fits)
    assert plan(with_memory(count, gib + more), model, **wishes).fits


@settings(max_examples=60)
@given(models, st.integers(1, 4), memories, wished)
def test_a_plan_that_fits_still_fits_with_one_user_fewer(model, count, gib, wishes):
    assume("users" in wishes and plan(with_memory(count, gib), model, **wishes).fits)
    assert plan(with_memory(count, gib), model, **{**wishes, "users": wishes["users"] - 1}).fits


@settings(max_examples=40)
@given(models, st.integers(1, 3), memories, wished)
def test_one_more_gpu_never_serves_fewer(model, count, gib, wishes):
    assume(plan(with_memory(count, gib), model, **wishes).fits)
    assert plan(with_memory(count + 1, gib), model, **wishes).fits


@settings(max_examples=40)
@given(models, st.integers(1, 4), memories, wished)
def test_the_arguments_survive_yaml(model, count, gib, wishes):
    args = plan(with_memory(count, gib), model, **wishes).args
    assert yaml.safe_load(yaml.safe_dump(args)) == args


@settings(max_examples=40)
@given(models, st.integers(1, 4), memories, wished)
def test_the_same_facts_give_the_same_plan_as_plain_data(model, count, gib, wishes):
    first, second = (plan(with_memory(count, gib), model, **wishes).as_dict() for _time in range(2))
    assert first == second
    assert json.loads(json.dumps(first)) == first


@settings(max_examples=40)
@given(models, st.integers(1, 4), memories, wished)
def test_a_plan_that_fits_leaves_no_memory_twice_given(model, count, gib, wishes):
    found = plan(with_memory(count, gib), model, **wishes)
    assume(found.fits)
    budget = found.evaluation.budget
    assert budget.weights + budget.activations + budget.kv_cache <= budget.usable <= budget.total
    assert found.users >= wishes.get("users", 1)


@given(st.dictionaries(st.sampled_from(["users", "context", "dtype", "gpus", "extra_args"]), st.text() | st.integers()))
def test_nonsense_ends_in_a_plan_or_a_refusal_of_ours(wishes):
    with contextlib.suppress(Refusal):
        plan(wishes.pop("gpus", several(1)), **wishes)


H100 = "NVIDIA H100 80GB HBM3"
MINIMAX_M25 = dense(
    3072, 1536, 48, 8, 62, 200064, model_type="minimax_m2", head_dim=128, num_local_experts=256, num_experts_per_tok=8
)
GLM_47 = dense(
    5120,
    12288,
    96,
    8,
    92,
    151552,
    model_type="glm4_moe",
    head_dim=128,
    moe_intermediate_size=1536,
    n_routed_experts=160,
    n_shared_experts=1,
    num_experts_per_tok=8,
    first_k_dense_replace=3,
    quantization_config={
        "quant_method": "compressed-tensors",
        "config_groups": {
            "group_0": {
                "weights": {"num_bits": 8, "type": "float", "strategy": "channel"},
                "input_activations": {"num_bits": 8, "type": "float", "dynamic": True, "strategy": "token"},
            }
        },
    },
)


@pytest.mark.parametrize(
    ("config", "weights", "gpus", "users", "measured"),
    [
        pytest.param(
            QWEN36_35B, 37_500_000_000, (1, "NVIDIA H100 80GB HBM3"), 1, 172, id="fitted: Qwen3.5-35B-A3B-FP8"
        ),
        pytest.param(QWEN36_35B, 37_500_000_000, (1, L40S), 1, 100, id="held out: the same on an L40S"),
        pytest.param(DEEPSEEK_R1, 688_586_727_753, (8, "NVIDIA H200"), 10, 196, id="fitted: DeepSeek-R1, ten at once"),
        pytest.param(MINIMAX_M25, 230_000_000_000, (4, H100), 4, 289, id="held out: MiniMax-M2.5 on four H100"),
        pytest.param(MINIMAX_M25, 230_000_000_000, (8, H100), 4, 427, id="held out: MiniMax-M2.5 on eight H100"),
        pytest.param(GLM_47, 358_000_000_000, (8, H100), 4, 199, id="held out: GLM-4.7, four at once"),
        pytest.param(GLM_47, 358_000_000_000, (8, H100), 16, 595, id="held out: GLM-4.7, sixteen at once"),
        pytest.param(GLM_47, 358_000_000_000, (8, H100), 64, 1752, id="held out: GLM-4.7, sixty-four at once"),
    ],
)
def test_the_speed_of_large_mixtures_of_experts_is_within_half_of_what_was_measured(
    config, weights, gpus, users, measured
):
    asked = {"model_config": {**FP8, **config}, "weights_bytes": weights, "gpus": several(*gpus), "users": users}
    layout = {"tensor_parallel_size": gpus[0], "pipeline_parallel_size": 1, "data_parallel_size": 1}
    found = plan_vllm({**asked, **layout, "context": 2048, "vllm_version": "0.22.1"}).evaluation.estimate
    speed = found.decode_full if users > 1 else found.decode_alone
    assert measured / 1.5 <= speed <= measured * 1.5


IN_FP8 = {"num_bits": 8, "type": "float"}


@pytest.mark.parametrize(
    ("quantization", "is_faster"),
    [
        pytest.param({"quant_method": "modelopt", "quant_algo": "FP8"}, True, id="by NVIDIA's tool"),
        pytest.param(
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": IN_FP8, "input_activations": IN_FP8}},
            },
            True,
            id="by llm-compressor",
        ),
        pytest.param(
            {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": IN_FP8}}},
            False,
            id="of which the weights alone are",
        ),
    ],
)
def test_what_is_multiplied_in_fp8_reads_prompts_as_fast_whoever_made_it(quantization, is_faster):
    asked = {"weights_bytes": 9_000_000_000, "gpus": [{"name": H100}], "vllm_version": "0.32.0"}
    rates = [
        plan_vllm({**asked, "model_config": {**LLAMA, "quantization_config": said}}).evaluation.estimate.prefill
        for said in ({"quant_method": "fp8"}, quantization)
    ]
    assert (rates[0] == pytest.approx(rates[1], rel=0.01)) is is_faster


def test_a_small_mixture_alone_is_as_fast_as_was_measured_without_fp8():
    asked = {"model_config": QWEN3_MOE, "weights_bytes": 61_000_000_000, "gpus": several(1), "users": 1}
    found = plan_vllm({**asked, "context": 1024, "vllm_version": "0.9.2"}).evaluation.estimate
    assert 103 / 1.5 <= found.decode_alone <= 103 * 1.5


def test_deepseek_is_between_its_first_kernels_and_todays():
    asked = {"model_config": DEEPSEEK_R1, "weights_bytes": 688_586_727_753, "gpus": several(8, "NVIDIA H200")}
    layout = {"tensor_parallel_size": 8, "users": 16, "context": 1024, "vllm_version": "0.11.2"}
    assert 684 / 2 <= plan_vllm({**asked, **layout}).evaluation.estimate.decode_full <= 684


def test_the_time_to_the_first_token_grows_with_the_prompt():
    short, long = (plan(several(1), context=size).as_dict()["estimate"] for size in (4096, 32768))
    assert 0 < 4 * short["first_token_seconds"] < long["first_token_seconds"]


OWNED = (
    ("NVIDIA GeForce RTX 3090", 1),
    ("NVIDIA GeForce RTX 4090", 2),
    ("NVIDIA GeForce RTX 5090", 1),
    ("NVIDIA L4", 4),
    ("NVIDIA L40S", 2),
    ("NVIDIA A10G", 4),
    ("NVIDIA A100-SXM4-80GB", 8),
    ("NVIDIA H100 80GB HBM3", 2),
    ("NVIDIA H200", 8),
    ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 1),
    ("NVIDIA GB10", 1),
    ("Tesla T4", 2),
)
RECORDED = json.loads((DATA / "model_configs.json").read_text(encoding="utf-8"))
PLANS = [
    (name, gpu, count, version)
    for number, name in enumerate(RECORDED)
    for gpu, count in (OWNED[number % len(OWNED)], OWNED[(number + 5) % len(OWNED)])
    for version in (("0.18.0", "0.33.0") if number % 2 else ("0.22.1", "0.29.0"))
]


def test_there_are_two_hundred_plans_of_what_people_own():
    assert len(PLANS) >= 200


@pytest.mark.parametrize(("name", "gpu", "count", "version"), PLANS)
def test_no_plan_runs_more_requests_than_it_has_blocks_or_sets_a_parser_that_its_template_lacks(
    name, gpu, count, version
):
    recorded = RECORDED[name]
    asked = {
        "model_config": recorded["config"],
        "weights_bytes": recorded["weights_bytes"],
        "repo": name,
        "gpus": several(count, gpu),
        "vllm_version": version,
        "on_unfit": "report",
    }
    found = plan_vllm(asked)
    budget = found.evaluation.budget
    if found.fits and budget.has_states:
        assert found.args["max-num-seqs"] <= max(1, budget.blocks)
    plain = plan_vllm(
        {**asked, "tokenizer_config": {"chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"}}
    )
    speaks_jinja = "tokenizer-mode" not in plain.args
    assert not (speaks_jinja and "reasoning-parser" in plain.args)
    assert not (speaks_jinja and "tool-call-parser" in plain.args and "chat-template" not in plain.args)


FALCON_MAMBA = {
    "architectures": ["FalconMambaForCausalLM"],
    "model_type": "falcon_mamba",
    "hidden_size": 4096,
    "intermediate_size": 8192,
    "num_hidden_layers": 64,
    "state_size": 16,
    "conv_kernel": 4,
    "vocab_size": 65024,
    "torch_dtype": "bfloat16",
}


@pytest.mark.parametrize("count", [1, 2])
def test_a_model_without_attention_is_planned_by_its_states(count):
    found = plan_vllm(
        {
            "model_config": FALCON_MAMBA,
            "weights_bytes": 14_545_000_000,
            "gpus": several(count, L40S),
            "vllm_version": "0.32.0",
            "tensor_parallel_size": count,
        }
    )
    budget = found.evaluation.budget
    state = (64 * (8192 * 3 + 8192 * 16) * 2) // count
    assert found.fits
    assert not found.evaluation.settings.enable_prefix_caching
    assert budget.max_concurrency == pytest.approx(budget.kv_cache / state, rel=0.01)


def test_a_model_that_says_no_longest_context_gets_the_length_that_vllm_assumes():
    config = {name: value for name, value in LLAMA.items() if name != "max_position_embeddings"}
    params = {"model_config": config, "weights_bytes": 16_000_000_000, "gpus": several(1), "vllm_version": "0.32.0"}
    assert plan_vllm(params).args["max-model-len"] == 2048


def test_the_dtype_of_states_that_is_given_counts():
    params = {"model_config": HYBRID, "weights_bytes": 10_000_000_000, "gpus": several(1), "vllm_version": "0.32.0"}
    wide = plan_vllm({**params, "extra_args": {"mamba-ssm-cache-dtype": "float32"}}).evaluation.budget
    narrow = plan_vllm({**params, "extra_args": {"mamba_ssm_cache_dtype": "float16"}}).evaluation.budget
    assert wide.block_bytes > 1.9 * narrow.block_bytes


def test_a_mamba_models_groups_are_not_cut_through():
    config = {**HYBRID, "n_groups": 2, "num_key_value_heads": 4}
    params = {"model_config": config, "weights_bytes": 67_000_000_000, "vllm_version": "0.32.0"}
    found = plan_vllm({**params, "gpus": several(4, RTX4090)})
    assert sizes(found) == (2, 2, 1)
    with pytest.raises(Refusal, match="its 2 groups of Mamba heads do not divide by 4"):
        plan_vllm({**params, "gpus": several(4), "tensor_parallel_size": 4})


GLM_VISION = {
    "architectures": ["Glm4vMoeForConditionalGeneration"],
    "model_type": "glm4v_moe",
    "text_config": {
        **MIXED,
        "model_type": "glm4v_moe_text",
        "num_attention_heads": 96,
        "num_key_value_heads": 8,
        "vocab_size": 151552,
        "quantization_config": {},
    },
    "vision_config": {"depth": 24, "hidden_size": 1536, "num_heads": 12, "patch_size": 14},
}


@pytest.mark.parametrize(
    ("config", "args", "words"),
    [
        pytest.param(GLM_VISION, {}, "the 12 heads of its encoder.* do not divide by 8 .mm-encoder-tp-mode", id="GLM"),
        pytest.param(GLM_VISION, {"mm-encoder-tp-mode": "data"}, "", id="it is whole on each GPU"),
        pytest.param(GLM_VISION, {"language-model-only": True}, "", id="it is not loaded"),
        pytest.param(GLM_VISION, {"limit-mm-per-prompt": {"image": 0, "video": 0}}, "", id="nothing comes to it"),
        pytest.param(
            {**GLM_VISION, "architectures": ["SmolVLMForConditionalGeneration"]},
            {"mm-encoder-tp-mode": "data"},
            "the 12 heads of its encoder of images or sound do not divide by 8;",
            id="one that is always split",
        ),
        pytest.param(
            {**GLM_VISION, "architectures": ["InternVLChatModel"]}, {}, "", id="one that stays whole by itself"
        ),
        pytest.param(
            {
                **LLAMA,
                "architectures": ["VoxtralForConditionalGeneration"],
                "audio_config": {"num_attention_heads": 20, "hidden_size": 1280},
            },
            {},
            "the 20 heads of its encoder of images or sound do not divide by 8;",
            id="an encoder of sound",
        ),
    ],
)
def test_the_heads_of_an_encoder_are_not_cut_through(config, args, words):
    wishes = {"tensor_parallel_size": 8, "extra_args": args}
    if words:
        with pytest.raises(Refusal, match=words):
            on_eight(config, 61_000_000_000, **wishes)
    else:
        assert sizes(on_eight(config, 61_000_000_000, **wishes)) == (8, 1, 1)


def by_groups(**weights):
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": weights}}}


@pytest.mark.parametrize(
    ("quantization", "words"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "width of 29568 in 2 parts is no multiple of 128"),
        (by_groups(num_bits=4, type="int", group_size=128), "width of 29568 in 2 parts is no multiple of 128"),
        (by_groups(num_bits=8, type="float", block_structure=[128, 128]), "in 2 parts is no multiple of 128"),
        (by_groups(num_bits=4, type="int", group_size=32), ""),
        (by_groups(num_bits=8, type="float", strategy="channel", group_size=None), ""),
        ({"quant_method": "fp8", "weight_block_size": [None, "x"]}, ""),
    ],
)
def test_no_split_cuts_through_weights_that_share_a_scale_whoever_quantized_them(quantization, words):
    config = {**LLAMA_70B, "intermediate_size": 29568, "quantization_config": quantization}
    if words:
        with pytest.raises(Refusal, match=words):
            on_eight(config, 41_000_000_000, tensor_parallel_size=2)
    else:
        assert on_eight(config, 41_000_000_000, tensor_parallel_size=2).fits


BLOCKS = {"quant_method": "fp8", "weight_block_size": [128, 128]}
WITH_SHARED = {**MIXED, "shared_expert_intermediate_size": 512, "moe_intermediate_size": 1024}


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        pytest.param([], "feed-forward width of 512 in 8 parts is no multiple of 128", id="in blocks"),
        pytest.param(["model.layers.0.mlp.shared_expert_gate"], "feed-forward width of 512", id="but for its gate"),
        pytest.param(["re:.*mlp.shared_expert[.].*"], "", id="left at 16 bits"),
    ],
)
def test_experts_that_every_token_wakes_are_not_cut_through_their_blocks(kept, words):
    config = {**WITH_SHARED, "quantization_config": {**BLOCKS, "modules_to_not_convert": kept}}
    if words:
        with pytest.raises(Refusal, match=words):
            on_eight(config, 41_000_000_000, tensor_parallel_size=8)
    else:
        assert sizes(on_eight(config, 41_000_000_000, tensor_parallel_size=8)) == (8, 1, 1)


STAGELESS = {**LLAMA_70B, "architectures": ["Gemma3nForCausalLM"]}


def test_no_pipeline_is_planned_for_a_model_that_vllm_does_not_cut_into_stages():
    params = {"weights_bytes": 141_000_000_000, "gpus": several(3), "vllm_version": "0.32.0", "on_unfit": "report"}
    assert sizes(plan_vllm({**params, "model_config": {**STAGELESS, "architectures": ["LlamaForCausalLM"]}}))[1] > 1
    found = plan_vllm({**params, "model_config": STAGELESS})
    assert sizes(found)[1] == 1
    with pytest.raises(Refusal, match="does not cut Gemma3nForCausalLM into pipeline stages.*tensor_parallel_size to"):
        plan_vllm({**params, "model_config": STAGELESS, "pipeline_parallel_size": 2, "on_unfit": "fail"})


def test_adapters_are_refused_for_a_model_that_takes_none():
    config = {**LLAMA, "architectures": ["Step3p5ForCausalLM"]}
    params = {"model_config": config, "weights_bytes": 16_000_000_000, "gpus": several(1), "vllm_version": "0.32.0"}
    with pytest.raises(Refusal, match="Step3p5ForCausalLM does not support LoRA yet"):
        plan_vllm({**params, "extra_args": {"enable-lora": True}})
    assert plan_vllm(params).fits


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "d_model": 1024}, "rewrites texts"),
        ({"_class_name": "SD3Transformer2DModel"}, "makes pictures, which vLLM does not serve"),
        (
            {"architectures": ["UltravoxModel"], "text_model_id": "meta-llama/x"},
            "holds no language model of its own.*x",
        ),
    ],
)
def test_what_vllm_serves_in_no_way_is_refused_for_what_it_is(config, word):
    with pytest.raises(Refusal, match=word):
        plan_vllm({"model_config": config, "gpus": several(1), "vllm_version": "0.32.0", "on_unfit": "report"})


def test_nothing_that_some_vllm_serves_is_called_unserved():
    assert [name for name in ARCHITECTURES if unserved({"architectures": [name]})] == []


VISION = {**LLAMA, "model_type": "gemma3", "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27}}


@pytest.mark.parametrize(
    "args",
    [
        {"limit-mm-per-prompt": {"image": 0}},
        {"limit-mm-per-prompt": '{"image": 0}'},
        {"limit-mm-per-prompt.image": 0},
        {"limit-mm-per-prompt.image": "0"},
    ],
)
def test_no_images_are_reckoned_with_however_that_is_written(args):
    params = {"model_config": VISION, "weights_bytes": 17_000_000_000, "gpus": several(1), "vllm_version": "0.32.0"}
    usual, without = (plan_vllm({**params, "extra_args": given}).evaluation.budget for given in ({}, args))
    assert without.activations < usual.activations


GEMMA, QWEN, OMNI = "Gemma3ForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration", "NemotronH_Nano_VL_V2"
NO_VIEW = {"image": 0, "video": 0}


@pytest.mark.parametrize(
    ("architecture", "version", "args", "is_loaded", "is_profiled"),
    [
        pytest.param(GEMMA, "0.32.0", {"limit-mm-per-prompt": {"image": 0}}, False, False, id="it takes images alone"),
        pytest.param(QWEN, "0.32.0", {"limit-mm-per-prompt": {"image": 0}}, True, True, id="videos still come"),
        pytest.param(QWEN, "0.32.0", {"limit-mm-per-prompt": {"video": 0}}, True, True, id="images still come"),
        pytest.param(QWEN, "0.32.0", {"limit-mm-per-prompt": NO_VIEW}, False, False, id="neither comes"),
        pytest.param(QWEN, "0.32.0", {"limit-mm-per-prompt": json.dumps(NO_VIEW)}, False, False, id="as JSON"),
        pytest.param(
            QWEN, "0.32.0", {f"limit-mm-per-prompt.{kind}": 0 for kind in NO_VIEW}, False, False, id="by parts"
        ),
        pytest.param(
            QWEN,
            "0.32.0",
            {"limit-mm-per-prompt": {kind: {"count": 0} for kind in NO_VIEW}},
            False,
            False,
            id="with a count for each",
        ),
        pytest.param(QWEN, "0.32.0", {"language-model-only": True}, False, False, id="text alone"),
        pytest.param(OMNI, "0.32.0", {"limit-mm-per-prompt": NO_VIEW}, True, False, id="its encoder goes with sound"),
        pytest.param(
            OMNI, "0.32.0", {"limit-mm-per-prompt": {**NO_VIEW, "audio": 0}}, False, False, id="nor does sound"
        ),
        pytest.param(GEMMA, "0.14.0", {"limit-mm-per-prompt": {"image": 0}}, True, False, id="older ones load it"),
        pytest.param("Unknown", "0.32.0", {"limit-mm-per-prompt": {"image": 0}}, True, False, id="nobody knows"),
    ],
)
def test_an_encoder_to_which_nothing_comes_is_neither_loaded_nor_profiled(
    architecture, version, args, is_loaded, is_profiled
):
    config = {**QWEN25_VL, "architectures": [architecture], "vision_config": {"hidden_size": 1152, "depth": 27}}
    params = {"model_config": {**config, "model_type": "gemma3"}, "gpus": several(1), "vllm_version": version}
    usual, found = (plan_vllm({**params, "extra_args": given}).evaluation.budget for given in ({}, args))
    assert (found.weights == usual.weights, found.activations == usual.activations) == (is_loaded, is_profiled)


def test_an_encoder_that_is_not_profiled_takes_no_memory_for_it():
    usual, found = (
        plan_vllm({"model_config": QWEN25_VL, "gpus": several(1), "vllm_version": "0.33.0", "extra_args": args})
        for args in ({}, {"skip-mm-profiling": True})
    )
    assert found.evaluation.budget.activations < usual.evaluation.budget.activations
    assert found.evaluation.budget.weights == usual.evaluation.budget.weights


def test_an_encoder_may_be_whole_on_each_gpu_of_a_split():
    params = {"model_config": QWEN25_VL, "gpus": several(4), "vllm_version": "0.33.0", "tensor_parallel_size": 4}
    split, whole, alone = (
        plan_vllm({**params, **more}).evaluation.budget
        for more in ({}, {"extra_args": {"mm-encoder-tp-mode": "data"}}, {"tensor_parallel_size": 1})
    )
    assert split.weights < whole.weights < alone.weights


def test_without_videos_the_largest_that_comes_is_an_image():
    config = {**QWEN25_VL, "architectures": [QWEN]}
    params = {"model_config": config, "gpus": several(1), "vllm_version": "0.32.0", "max_model_len": 65536}
    videos, images = (
        plan_vllm({**params, "extra_args": given}).evaluation.budget
        for given in ({}, {"limit-mm-per-prompt": {"video": 0}})
    )
    assert images.activations < videos.activations
    assert images.weights == videos.weights


@pytest.mark.parametrize(("size", "fits"), [("100G", False), ("40G", True)])
def test_a_cache_of_a_told_size_fits_beside_the_weights(size, fits):
    found = plan(several(1), extra_args={"kv-cache-memory-bytes": size})
    assert (found.fits, "as kv-cache-memory-bytes says" in found.reason) == (fits, not fits)


@pytest.mark.parametrize(("blocks", "length"), [(100, 1536), (20_000, 131_072), (200_000, 0)])
def test_a_cache_of_a_told_number_of_blocks_holds_no_more_than_these(blocks, length):
    found = plan(several(1), extra_args={"num-gpu-blocks-override": blocks})
    assert (found.fits, "as num-gpu-blocks-override says" in found.reason) == (bool(length), not length)
    assert found.evaluation.budget.kv_cache == blocks * 16 * 131_072
    assert not length or found.args["max-model-len"] == length


def test_weights_that_stay_in_the_hosts_memory_take_none_of_the_gpus():
    usual = plan(several(1, RTX4090)).evaluation.budget
    found = plan(several(1, RTX4090), extra_args={"cpu-offload-gb": 4}).evaluation.budget
    assert usual.weights - found.weights == 4 * GIB
    assert found.kv_cache - usual.kv_cache == 4 * GIB


@pytest.mark.parametrize(
    ("quantization", "model", "share"),
    [("fp8_per_block", "8B", 0.57), ("nvfp4_per_token", "8B", 0.38), ("experts_int8", "8B", 1.0)],
)
def test_what_is_quantized_at_the_start_takes_as_much_as_it_is_made(quantization, model, share):
    usual = plan(several(1), model).evaluation.budget
    found = plan(several(1), model, quantization=quantization, on_unfit="report").evaluation.budget
    assert found.weights / usual.weights == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(
    "args",
    [
        {"compilation-config": {"cudagraph_mode": "NONE"}},
        {"compilation-config": {"cudagraph_mode": 0}},
        {"compilation-config.cudagraph_mode": "none"},
        {"optimization-level": 0},
    ],
)
def test_no_graphs_are_reckoned_with_where_none_are_captured(args):
    assert plan(several(1), extra_args=args).evaluation.budget.cuda_graphs == 0
