# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report.plan_page import Planned, page, table
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm import host_plan
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.host_plan import plan_host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.plan import plan_vllm
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.situation import what_for
from ansible_collections.gpuchat.stack.plugins.modules import gpuchat_vllm_plan
from hypothesis import given, settings
from hypothesis import strategies as st


def decoder(architecture, hidden, inner, layers, heads, **more):
    return {
        "architectures": [architecture],
        "model_type": "qwen3",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "max_position_embeddings": 40960,
        "torch_dtype": "bfloat16",
        **more,
    }


CHAT = decoder("Qwen3ForCausalLM", 4096, 12288, 36, 32)
SMALL = decoder("Qwen3ForCausalLM", 1024, 3072, 28, 16, tie_word_embeddings=True)
LARGE = decoder("LlamaForCausalLM", 8192, 28672, 80, 64, model_type="llama", vocab_size=128256)
AWQ = {**LARGE, "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}}
BGE = {
    "architectures": ["XLMRobertaModel"],
    "model_type": "xlm-roberta",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "vocab_size": 250002,
    "max_position_embeddings": 8194,
    "pad_token_id": 1,
    "torch_dtype": "float32",
}
RERANK = {**BGE, "architectures": ["XLMRobertaForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
WHISPER = {
    "architectures": ["WhisperForConditionalGeneration"],
    "model_type": "whisper",
    "d_model": 1280,
    "encoder_layers": 32,
    "decoder_layers": 4,
    "num_hidden_layers": 32,
    "encoder_attention_heads": 20,
    "decoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "decoder_ffn_dim": 5120,
    "vocab_size": 51866,
    "max_target_positions": 448,
    "torch_dtype": "float16",
}
MODELS = {
    "chat": ("Qwen/Qwen3-8B", CHAT, 16_381_470_720, []),
    "small": ("Qwen/Qwen3-0.6B", SMALL, 1_503_300_000, []),
    "large": ("meta-llama/Llama-3.3-70B-Instruct", LARGE, 141_107_412_992, []),
    "awq": ("casperhansen/llama-3.3-70b-instruct-awq", AWQ, 39_771_000_000, []),
    "bge": ("BAAI/bge-m3", BGE, 2_271_064_456, [{"path": "modules.json"}]),
    "vectors": ("Qwen/Qwen3-Embedding-0.6B", SMALL, 1_191_586_416, [{"path": "modules.json"}]),
    "rerank": ("BAAI/bge-reranker-v2-m3", RERANK, 2_271_071_852, []),
    "scores": ("Qwen/Qwen3-Reranker-0.6B", SMALL, 1_191_588_280, []),
    "whisper": ("openai/whisper-large-v3-turbo", WHISPER, 1_617_824_864, []),
}
METADATA = {
    name: {"config": config, "weights_bytes": size, "files": files, "data": {}}
    for name, (_repo, config, size, files) in MODELS.items()
}
L40S, L4, RTX4090, H100 = "NVIDIA L40S", "NVIDIA L4", "NVIDIA GeForce RTX 4090", "NVIDIA H100 80GB HBM3"


def host(*engines, gpus=(L40S, 1), **more):
    """Plan models by their names; `gpus` is a kind and a number, or a list as the module takes it."""
    named = [one if isinstance(one, dict) else {"name": one} for one in engines]
    return plan_host(
        {
            "engines": [{"repo": MODELS.get(one["name"], [""])[0], **one} for one in named],
            "metadata": METADATA,
            "gpus": gpus if isinstance(gpus, list) else [{"name": gpus[0], "count": gpus[1]}] if gpus else [],
            "vllm_version": "0.32.0",
            "cpu_kv_cache_bytes": 4 * GIB,
            "on_unfit": "fail",
            **more,
        }
    )


def devices(found):
    return {name: plan.as_dict()["devices"] for name, plan in found.plans.items()}


@pytest.mark.parametrize("gpus", [(L40S, 1), (L40S, 2), (L4, 4), None])
@pytest.mark.parametrize("wish", [{}, {"users": 5, "context": 8192}, {"args": {"tensor_parallel_size": 1}}])
@pytest.mark.parametrize("wanted", ["auto", "all", ""])
def test_the_only_model_of_a_host_gets_what_it_always_got(gpus, wish, wanted):
    found = host({"name": "chat", "gpus": wanted, **wish}, gpus=gpus, on_unfit="report").plans["chat"]
    alone = plan_vllm(
        {
            "model_config": CHAT,
            "weights_bytes": 16_381_470_720,
            "repo": "Qwen/Qwen3-8B",
            "gpus": [{"name": gpus[0], "count": gpus[1]}] if gpus else [],
            "vllm_version": "0.32.0",
            "cpu_kv_cache_bytes": 4 * GIB,
            "task": "chat",
            "on_unfit": "report",
            "users": wish.get("users"),
            "context": wish.get("context"),
            "extra_args": wish.get("args"),
        }
    )
    assert found.as_dict() == alone.as_dict()


@pytest.mark.parametrize(
    ("engines", "gpus", "expected"),
    [
        (["chat", "small"], (L40S, 1), {"chat": [["0"]], "small": [["0"]]}),
        (["small", "chat"], (L40S, 2), {"small": [["1"]], "chat": [["0"]]}),
        (["chat", "small", "bge"], (L40S, 2), {"chat": [["0"]], "small": [["1"]], "bge": [["1"]]}),
        (["bge", "chat"], (RTX4090, 1), {"bge": [["0"]], "chat": [["0"]]}),
        (["bge", "chat"], (L4, 1), {"bge": [["0"]], "chat": [["0"]]}),
        (["large", "bge"], (L40S, 8), {"large": [["0", "1", "2", "3"]], "bge": [["4"]]}),
        (["large", "bge"], (L40S, 4), {"large": [["0", "1", "2", "3"]], "bge": [["0"]]}),
        ([{"name": "chat", "gpus": [1]}, "small"], (L40S, 2), {"chat": [["1"]], "small": [["0"]]}),
        ([{"name": "chat", "gpus": 2}], (L40S, 4), {"chat": [["0", "1"]]}),
        ([{"name": "chat", "gpus": [0]}, {"name": "bge", "gpus": ["0"]}], (L40S, 2), {"chat": [["0"]], "bge": [["0"]]}),
        (["whisper", "chat", "bge"], (L40S, 1), {"whisper": [["0"]], "chat": [["0"]], "bge": [["0"]]}),
    ],
)
def test_models_of_one_host_fit_on_its_gpus_together(engines, gpus, expected):
    found = host(*engines, gpus=gpus)
    assert found.fits, found.reason
    assert devices(found) == expected
    assert list(found.plans) == list(expected)
    for handle in {one for used in expected.values() for one in used[0]}:
        sharing = [name for name, used in expected.items() if handle in used[0]]
        assert sum(found.plans[name].args["gpu-memory-utilization"] for name in sharing) <= 0.95001


@pytest.mark.parametrize("engines", [[{"name": "awq", "gpus": 1}], [{"name": "awq", "gpus": 1}, "bge"]])
def test_a_count_takes_gpus_that_serve_the_model(engines):
    found = host(*engines, gpus=[{"name": L4}, {"name": H100}])
    assert found.fits, found.reason
    assert devices(found)["awq"] == [["1"]]


def test_engines_that_share_a_gpu_are_given_their_caches_in_bytes_where_the_version_can():
    assert host("chat", "bge").plans["chat"].args["kv-cache-memory-bytes"] > GIB
    assert "kv-cache-memory-bytes" not in host("chat", "bge").plans["bge"].args
    assert "kv-cache-memory-bytes" not in host("chat", "bge", vllm_version="0.10.1.1").plans["chat"].args
    assert "kv-cache-memory-bytes" not in host("chat", "bge", gpus=(L40S, 2)).plans["chat"].args


def test_what_an_engine_takes_is_within_its_share():
    for plan in host("whisper", "chat", "small").plans.values():
        budget = plan.evaluation.budget
        taken = budget.weights + budget.activations + budget.overhead + budget.cuda_graphs + budget.kv_cache
        assert taken <= budget.usable


def test_a_model_for_vectors_gets_what_it_needs_and_the_chat_the_rest():
    found = host("bge", "chat").plans
    assert found["bge"].args["gpu-memory-utilization"] < 0.1
    assert found["chat"].args["gpu-memory-utilization"] > 0.8


def test_a_share_that_the_owner_fixed_is_kept():
    found = host({"name": "small", "args": {"gpu-memory-utilization": 0.3}}, "chat")
    assert found.plans["small"].args["gpu-memory-utilization"] == 0.3
    assert found.plans["chat"].args["gpu-memory-utilization"] <= 0.65


@pytest.mark.parametrize(("cache", "fits"), [(40, False), (25, False), (12, True)])
@pytest.mark.parametrize("share", [{}, {"gpu-memory-utilization": 0.3}])
def test_a_cache_whose_size_the_owner_fixed_counts_in_its_share(cache, fits, share):
    args = {"args": {"kv-cache-memory-bytes": cache * GIB, **share}}
    metadata = {"a": METADATA["small"], "b": METADATA["small"]}
    engines = [{"name": name, "repo": MODELS["small"][0], **args} for name in metadata]
    found = host(*engines, metadata=metadata, on_unfit="report")
    assert found.fits == fits, found.reason
    assert ("the models share the GPU 0 (NVIDIA L40S), need a " in found.reason) != fits
    for plan in found.plans.values():
        assert plan.args["kv-cache-memory-bytes"] == cache * GIB


def test_budgets_that_do_not_fit_together_are_told_with_what_to_set():
    wish = {"gpus": [0], "users": 3, "context": 32768}
    found = host({"name": "chat", **wish}, {"name": "small", "gpus": [0], "users": 5, "context": 32768}, gpus=(L40S, 2))
    assert not found.fits
    for name in ("chat", "small"):
        assert f"{name} in gpuchat_models: the models share the GPU 0" in found.reason
    assert "set users or context of the models chat and small in gpuchat_models lower, or gpus of one" in found.reason


@pytest.mark.parametrize("version", ["0.8.5", "0.7.3"])
def test_versions_that_count_a_neighbour_as_their_own_share_nothing(version):
    found = host("chat", {"name": "small", "version": version}, vllm_version=version, on_unfit="report")
    assert "takes what other models hold on a GPU for its own; wanted 0.9.1 or newer" in found.reason


def shares(found):
    """Return what the plans that fit take of each GPU together, where there are several of them."""
    taken = {}
    for plan in found.plans.values():
        for one in plan.as_dict()["devices"][0] if plan.fits else ():
            taken.setdefault(one, []).append(plan.args["gpu-memory-utilization"])
    return {one: sum(each) for one, each in taken.items() if len(each) > 1}


ONE_GPU_EACH = {"tensor-parallel-size": 1}


@pytest.mark.parametrize(
    ("engines", "gpus", "version", "fits"),
    [
        ([{"name": "chat", "users": 20}, "bge"], (RTX4090, 1), "0.32.0", True),
        (["rerank", {"name": "awq", "users": 5}], (L40S, 1), "0.32.0", False),
        ([{"name": "chat", "users": 200}, {"name": "small", "users": 200}, "bge", "rerank"], (H100, 1), "0.20.0", None),
        (
            [
                {"name": "chat", "users": 12, "args": ONE_GPU_EACH},
                {"name": "small", "users": 50, "args": ONE_GPU_EACH},
                {"name": "bge", "gpus": [1, 0]},
            ],
            (L4, 2),
            "0.32.0",
            None,
        ),
    ],
    ids=["a chat of many users", "a model that fills the GPU", "four models", "GPUs that overlap"],
)
def test_users_without_a_context_share_a_gpu_with_others(engines, gpus, version, fits):
    found = host(*engines, gpus=gpus, vllm_version=version, on_unfit="report")
    assert all(each <= 0.95001 for each in shares(found).values())
    assert fits in (None, found.fits), found.reason


def test_a_share_that_is_for_all_models_is_what_to_set_lower():
    found = host("chat", "small", args={"gpu-memory-utilization": 0.9}, on_unfit="report")
    assert "set gpu-memory-utilization in args of the models chat and small in gpuchat_models (or in vl" in found.reason


def test_a_chat_of_many_users_has_a_cache_in_bytes_beside_a_neighbour():
    found = host({"name": "chat", "users": 20}, "bge", gpus=(RTX4090, 1)).plans["chat"]
    assert found.users >= 20
    assert found.args["kv-cache-memory-bytes"] > GIB


def test_a_model_that_no_share_serves_for_certain_is_unfit_beside_others(monkeypatch):
    monkeypatch.setattr(host_plan, "_smallest_share", lambda plan, _wishes: None if plan.situation.is_for_chat else 6)
    found = host("rerank", "chat", on_unfit="report")
    assert (found.plans["rerank"].fits, found.plans["chat"].fits) == (True, False)
    assert "chat in gpuchat_models: it shares the GPU 0 (NVIDIA L40S) with rerank, and serves " in found.reason
    assert "set users or context of the model chat in gpuchat_models lower, or its gpus to others" in found.reason


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["chat", "small", "awq", "bge", "rerank", "whisper"]),
            st.sampled_from([{}, {"users": 5}, {"users": 40}, {"users": 4, "context": 4096}, {"context": 16384}]),
            st.sampled_from([{}, {"gpus": [0]}, {"gpus": 1}, {"args": ONE_GPU_EACH}]),
        ),
        min_size=2,
        max_size=4,
        unique_by=lambda one: one[0],
    ),
    st.sampled_from([(L40S, 1), (RTX4090, 1), (L4, 2), (H100, 1)]),
    st.sampled_from(["0.10.1.1", "0.20.0", "0.32.0"]),
)
def test_plans_that_fit_never_take_more_of_a_gpu_together_than_it_has(drawn, gpus, version):
    engines = [{"name": name, **wish, **where} for name, wish, where in drawn]
    found = host(*engines, gpus=gpus, vllm_version=version, on_unfit="report")
    assert all(each <= 0.95001 for each in shares(found).values())


def test_gpus_that_no_model_uses_are_told():
    (told,) = [one for one in host("chat", "bge", gpus=(L40S, 4)).warnings() if "no model uses" in one]
    assert told.startswith("no model uses the GPUs 2, 3; where one is to have more")


# --- The CPU ---------------------------------------------------------------------------------------------------------


def spaces(found):
    return {name: plan.env["VLLM_CPU_KVCACHE_SPACE"] for name, plan in found.plans.items()}


@pytest.mark.parametrize(
    ("engines", "expected"),
    [
        (["small", "bge"], {"small": "4", "bge": "1"}),
        ([{"name": "small", "users": 2, "context": 2048}, "bge"], {"small": "1", "bge": "1"}),
        ([{"name": "small", "users": 2, "context": 8192}, "bge"], {"small": "2", "bge": "1"}),
        (["small"], {"small": "4"}),
    ],
)
def test_on_the_cpu_each_model_gets_the_cache_that_it_needs(engines, expected):
    assert spaces(host(*engines, gpus=None)) == expected


def test_models_that_exceed_the_hosts_memory_are_unfit():
    found = host("small", "bge", gpus=None, host_memory_bytes=6 * GIB)
    assert "take small 5.4 GiB and bge 2.1 GiB of memory" in found.reason
    assert host("small", "bge", gpus=None, host_memory_bytes=16 * GIB).fits


# --- Tasks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "version", "task", "args", "length"),
    [
        ("bge", "0.32.0", "embed", {"runner": "pooling"}, 8192),
        ("bge", "0.9.2", "embed", {"task": "embed"}, 8192),
        ("vectors", "0.32.0", "embed", {"runner": "pooling", "convert": "embed"}, 40960),
        ("rerank", "0.32.0", "rerank", {"runner": "pooling"}, 8192),
        ("rerank", "0.9.2", "rerank", {"task": "score"}, 8192),
        ("whisper", "0.32.0", "transcribe", {}, 448),
        ("whisper", "0.9.2", "transcribe", {"task": "transcription"}, 448),
        ("chat", "0.32.0", "chat", {"tool-call-parser": "hermes"}, 40960),
    ],
)
def test_a_model_is_served_for_what_its_checkpoint_is_for(name, version, task, args, length):
    found = host(name, vllm_version=version)
    plan = found.as_dict()["plans"][name]
    assert plan["task"] == task
    assert args.items() <= plan["args"].items()
    assert plan["args"]["max-model-len"] == length
    assert plan["tool_call"] == ("tool-call-parser" in plan["args"]) == (task == "chat")
    assert not {"runner", "convert", "task"} & {*plan["args"]} - {*args}
    assert (plan["estimate"] is None) == (task in ("embed", "rerank"))


SEES = {"vision_config": {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "image_size": 896}}


@pytest.mark.parametrize(
    ("more", "args", "vision"),
    [
        pytest.param({}, {}, False, id="text alone"),
        pytest.param(SEES, {}, True, id="an encoder of images"),
        pytest.param(SEES, {"limit-mm-per-prompt": {"image": 0}}, False, id="no image is let in"),
        pytest.param(SEES, {"limit-mm-per-prompt": {"image": {"count": 0}}}, False, id="no image, by its count"),
        pytest.param(SEES, {"language-model-only": True}, False, id="its encoder is left out"),
    ],
)
def test_a_plan_says_whether_its_model_takes_images(more, args, vision):
    config = METADATA["small"]["config"]
    metadata = {"a": {**METADATA["small"], "config": {**config, **more}}}
    found = host({"name": "a", "args": args}, metadata=metadata)
    assert found.as_dict()["plans"]["a"]["vision"] is vision


@pytest.mark.parametrize("gpus", [(L40S, 1), None])
def test_no_reason_speaks_of_a_cache_that_a_model_does_not_have(gpus):
    told = " ".join(host("bge", gpus=gpus).plans["bge"].reasons)
    assert "caches nothing" in told
    assert "KV cache" not in told


def reranker(repo, architecture, **engine):
    """Plan a reranker by its repository and architecture alone."""
    config = {**SMALL, "architectures": [architecture], "id2label": {"0": "LABEL_0"}}
    metadata = {"a": {"config": config, "weights_bytes": 1_191_588_280, "files": [], "data": {}}}
    (plan,) = host({"name": "a", "repo": repo, **engine}, metadata=metadata).plans.values()
    return plan


def by_yes_and_no(architecture):
    return {
        "architectures": [architecture],
        "classifier_from_token": ["no", "yes"],
        "is_original_qwen3_reranker": True,
    }


GEMMA = {
    "architectures": ["GemmaForSequenceClassification"],
    "classifier_from_token": ["Yes"],
    "method": "no_post_processing",
}
MXBAI = {
    "architectures": ["Qwen2ForSequenceClassification"],
    "classifier_from_token": ["0", "1"],
    "method": "from_2_way_softmax",
}
GTE = {"architectures": ["GteNewForSequenceClassification"]}


@pytest.mark.parametrize(
    ("repo", "architecture", "overrides", "template"),
    [
        ("Qwen/Qwen3-Reranker-8B", "Qwen3ForCausalLM", by_yes_and_no("Qwen3ForSequenceClassification"), "qwen3_rer"),
        (
            "Qwen/Qwen3-VL-Reranker-2B",
            "Qwen3VLForConditionalGeneration",
            by_yes_and_no("Qwen3VLForSequenceClassification"),
            "qwen3_vl_reranker.jinja",
        ),
        ("BAAI/bge-reranker-v2-gemma", "GemmaForCausalLM", GEMMA, "bge-reranker-v2-gemma.jinja"),
        ("mixedbread-ai/mxbai-rerank-large-v2", "Qwen2ForCausalLM", MXBAI, "mxbai_rerank_v2.jinja"),
        ("Alibaba-NLP/gte-multilingual-reranker-base", "NewForSequenceClassification", GTE, ""),
        ("tomaarsen/Qwen3-Reranker-0.6B-seq-cls", "Qwen3ForSequenceClassification", None, "qwen3_reranker.jinja"),
        ("BAAI/bge-reranker-v2-m3", "XLMRobertaForSequenceClassification", None, ""),
    ],
)
def test_a_reranker_is_overridden_and_its_template_named_as_vllm_documents_it(repo, architecture, overrides, template):
    plan = reranker(repo, architecture)
    assert plan.fits, plan.reason
    assert json.loads(plan.args.get("hf-overrides", "null")) == overrides
    assert "convert" not in plan.args
    assert [template for one in plan.warnings if template in one and "a chat-template, the text of" in one] == (
        [template] if template else []
    )
    assert not any("does not know by which tokens" in one for one in plan.warnings)


def test_a_version_without_runners_is_overridden_all_the_same():
    args = reranker("Qwen/Qwen3-Reranker-8B", "Qwen3ForCausalLM", version="0.9.2").args
    assert (args["task"], "runner" in args) == ("score", False)
    assert json.loads(args["hf-overrides"]) == by_yes_and_no("Qwen3ForSequenceClassification")


def test_a_template_that_the_owner_gives_is_asked_for_no_more():
    given = reranker("Qwen/Qwen3-Reranker-8B", "Qwen3ForCausalLM", args={"chat_template": "{{ messages }}"})
    assert not any("template" in one for one in given.warnings)


def test_a_reranker_that_nobody_knows_is_told_about_until_it_is_overridden():
    repo = "someone/new-reranker-4b"
    plan = reranker(repo, "Qwen3ForCausalLM")
    assert plan.args["convert"] == "classify"
    assert any("does not know by which tokens or weights it scores" in one for one in plan.warnings)
    overridden = reranker(repo, "Qwen3ForCausalLM", args={"hf-overrides": {"classifier_from_token": ["no", "yes"]}})
    assert not any("by which tokens" in one for one in overridden.warnings)


@pytest.mark.parametrize(
    ("name", "task", "words"),
    [
        ("chat", "rerank", "answers people; wanted one that ranks texts.*set its task.*to chat or auto"),
        ("bge", "chat", "makes vectors of texts; wanted one that answers people.*set its task.*to embed or auto"),
        ("rerank", "embed", "ranks texts; wanted one that makes vectors of texts.*to rerank or auto"),
        ("chat", "transcribe", "answers people; wanted one that writes down speech"),
    ],
)
def test_a_checkpoint_for_something_else_is_refused(name, task, words):
    found = host({"name": name, "task": task})
    with pytest.raises(Refusal, match=f"^{name} in gpuchat_models: the model {MODELS[name][0]} {words}"):
        raise Refusal(found.reason)


def speech(architecture, **engine):
    metadata = {"a": {**METADATA["small"], "config": {**SMALL, "architectures": [architecture]}}}
    return host({"name": "a", "repo": "someone/a", **engine}, metadata=metadata)


@pytest.mark.parametrize("architecture", ["VoxtralForConditionalGeneration", "Gemma3nForConditionalGeneration"])
def test_a_model_that_chats_and_hears_is_for_what_is_wished(architecture):
    written = speech(architecture, task="transcribe").plans["a"]
    assert (written.fits, written.situation.task) == (True, "transcribe"), written.reason
    assert not {"runner", "tool-call-parser"} & {*written.args}
    assert speech(architecture).plans["a"].situation.task == "chat"


@pytest.mark.parametrize(
    "architecture",
    [
        "Qwen3ASRForConditionalGeneration",
        "Qwen3ASRRealtimeGeneration",
        "FireRedASR2ForConditionalGeneration",
        "FunASRForConditionalGeneration",
        "GlmAsrForConditionalGeneration",
        "MossTranscribeDiarizeForConditionalGeneration",
        "VoxtralRealtimeGeneration",
    ],
)
def test_a_model_that_only_writes_down_speech_does_not_chat(architecture):
    assert speech(architecture).plans["a"].situation.task == "transcribe"


def test_what_only_aligns_speech_with_words_is_not_served():
    assert "classifies words" in speech("Qwen3ASRForcedAlignerForTokenClassification").reason


def planned_for(interface, name):
    return module({"name": name}, interface=interface)[0]["plans"][name]


@pytest.mark.parametrize("name", ["bge", "vectors"])
def test_a_model_for_vectors_is_marked_for_the_length_that_the_chat_asks_for(name):
    found = planned_for("lobehub", name)
    assert json.loads(found["args"]["hf-overrides"]) == {"matryoshka_dimensions": [1024]}
    assert (found["dimensions"], found["askable_dimensions"]) == (1024, [1024])
    found = planned_for("open_webui", name)
    assert "hf-overrides" not in found["args"]
    assert (found["dimensions"], found["askable_dimensions"]) == (1024, None)


def test_a_model_for_something_else_has_no_vectors_and_no_mark():
    found = planned_for("lobehub", "chat")
    assert not {"dimensions", "askable_dimensions"} & found.keys()
    assert "hf-overrides" not in found["args"]


def test_any_model_that_chats_makes_vectors_where_that_is_wished():
    args = host({"name": "chat", "task": "embed"}).plans["chat"].args
    assert (args["runner"], args["convert"]) == ("pooling", "embed")


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("Qwen3Model", "embed"),
        ("Qwen3MoeModel", "embed"),
        ("Qwen3ForTextEncoding", "embed"),
        ("MistralModel", "embed"),
        ("DFlashDraftModel", ""),
        ("Eagle3LlamaForCausalLM", ""),
        ("GPT2LMHeadModel", "chat"),
        ("ChatGLMModel", "chat"),
        ("InternVLChatModel", "chat"),
        ("OfTomorrowForCausalLM", "chat"),
        ("OfTomorrowModel", "chat"),  # of which the plan says that vLLM does not know it
    ],
)
def test_a_body_without_a_head_and_a_model_that_guesses_for_another_do_not_chat(architecture, task):
    assert what_for({**CHAT, "architectures": [architecture]}, [], "acme/demo", "0.32.0")[0] == task


def test_a_classifier_is_for_nothing_that_is_served():
    metadata = {"rerank": {**METADATA["rerank"], "config": {**RERANK, "id2label": {"0": "a", "1": "b"}}}}
    found = host("rerank", metadata=metadata)
    assert "classifies texts; wanted one that answers people, makes vectors" in found.reason


@pytest.mark.parametrize("context", [1024, 32768])
def test_users_and_context_of_conversations_say_nothing_of_texts_for_vectors(context):
    wish = {"users": 20, "context": context}
    found = host({"name": "bge", **wish}, {"name": "vectors", **wish}, "chat")
    assert found.fits, found.reason
    assert found.plans["bge"].args["max-model-len"] == 8192
    assert found.plans["vectors"].args["max-model-len"] >= 8192


@pytest.mark.parametrize("architecture", ["CLIPModel", "Gemma2Model", "LlamaBidirectionalModel", "JinaForRanking"])
def test_a_model_that_its_version_knows_for_vectors_alone_is_asked_for_no_conversations(architecture):
    seen = {**METADATA["small"], "config": {**SMALL, "architectures": [architecture]}}
    engine = {"name": "a", "users": 500, "context": 512}
    found = host(engine, "chat", metadata={**METADATA, "a": seen}, tool_call_parser="hermes")
    assert found.plans["a"].situation.task == "embed"
    assert "tool-call-parser" not in found.plans["a"].args
    assert found.plans["a"].evaluation.wishes.users is None


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ({"name": "bge", "users": 5, "own": ["users"]}, "users of it speaks of conversations and counts for nothing"),
        (
            {"name": "whisper", "users": 5, "context": 512, "own": ["context", "users"]},
            "users and context of it speak of conversations and count for nothing",
        ),
        ({"name": "bge", "users": 5, "context": 512}, ""),
        ({"name": "chat", "users": 5, "own": ["users"]}, ""),
        ({"name": "chat", "image": "registry/vllm:mine"}, "an image of its own, registry/vllm:mine, and is planned"),
        ({"name": "chat", "image": "registry/vllm:mine", "version": "0.32.0"}, ""),
    ],
)
def test_what_counts_for_nothing_or_is_taken_on_trust_is_told(engine, words):
    (plan,) = host(engine).plans.values()
    told = [one for one in plan.warnings if "for nothing" in one or "image of its own" in one]
    assert len(told) == bool(words)
    assert words in "".join(told)


def test_what_the_owner_wants_of_chats_does_not_reach_other_models():
    found = host(
        {"name": "chat", "args": {"tool_call_parser": "qwen3_coder"}},
        "bge",
        tool_call_parser="hermes",
        reasoning_parser="qwen3",
        max_model_len=16384,
        args={"seed": 1},
    )
    chat, bge = found.plans["chat"].args, found.plans["bge"].args
    assert (chat["tool-call-parser"], chat["reasoning-parser"], chat["max-model-len"]) == (
        "qwen3_coder",
        "qwen3",
        16384,
    )
    assert not {"tool-call-parser", "reasoning-parser", "enable-auto-tool-choice"} & set(bge)
    assert chat["seed"] == bge["seed"] == 1


# --- The module ------------------------------------------------------------------------------------------------------


def module(*engines, **more):
    params = {
        "engines": [{"repo": MODELS[one["name"]][0], **one} for one in engines],
        "metadata": METADATA,
        "gpus": [{"name": L40S, "count": 2}],
        "vllm_version": "0.32.0",
        "interface": "none",
        "on_unfit": "fail",
        **more,
    }
    shown = []
    return gpuchat_vllm_plan.work(params, shown.append), shown


BAD = ({"name": "chat", "gpus": [7]}, {"name": "bge", "gpus": 3}, {"name": "small", "users": 10**6})


def test_the_failures_of_all_models_are_told_at_once_by_their_names():
    with pytest.raises(Refusal) as caught:
        module(*BAD)
    lines = str(caught.value).split("\n")
    assert lines[0].startswith("chat in gpuchat_models: gpus names the GPU 7, and the host has the GPUs 0, 1")
    assert lines[1] == "bge in gpuchat_models: gpus is 3 and the host has 2; wanted no more; set gpus to 2"
    assert lines[2].startswith("small in gpuchat_models: users is 1000000 and the KV cache holds")
    assert [one["name"] for one in caught.value.result["models"]] == ["chat", "bge", "small"]


def test_a_report_has_a_row_for_each_model_and_can_be_shown():
    result, shown = module(*BAD, on_unfit="report")
    assert not shown
    assert [bool(one["refusal"]) for one in result["models"]] == [True, True, False]
    rows = Planned.read({"host": "gpu1", "models": result["models"], "gpus": result["gpus"]})
    assert [one.verdict for one in rows] == ["refused", "refused", "does not fit"]
    assert "small" in table(rows)
    assert "small" in page(rows)


def test_a_host_of_several_models_is_shown_with_one_bar_for_each_gpu():
    result, _shown = module({"name": "chat"}, {"name": "small"}, {"name": "bge"})
    json.dumps(result)
    text = table(Planned.read({"host": "gpu1", "models": result["models"], "gpus": result["gpus"]}))
    assert text.count("GPU 1 ") == 1
    assert all(word in text for word in ("small: weights", "bge: weights", "chat: KV cache"))
    assert "bge: KV cache" not in text


def test_warnings_are_shown_with_the_name_of_their_model():
    _result, shown = module({"name": "chat"}, vllm_version="0.99.0")
    assert shown
    assert all(one.startswith("chat in gpuchat_models: ") for one in shown)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("chat: found no folder\nbge: found no hub", "chat in gpuchat_models: found no folder"),
        ("found no network", "chat in gpuchat_models: found no network"),
        ("", "chat in gpuchat_models: found nothing of its files; wanted its config.json"),
    ],
)
def test_a_model_whose_files_nobody_has_seen_is_refused_with_the_reason(said, words):
    found = host("chat", "small", metadata={"small": METADATA["small"]}, unseen=said)
    assert found.reason.startswith(words)
    assert "\n" not in found.reason
    assert found.plans["small"].fits


# --- One engine over several hosts -----------------------------------------------------------------------------------


def part(name="large", rank=0, hosts=("gpu0", "gpu1"), **more):
    return {"name": name, "span": {"hosts": list(hosts), "rank": rank}, **more}


def spanned(*, gpus=(L40S, 4), of=(L40S, 4), rank=0, hosts=("gpu0", "gpu1"), **more):
    """Plan a model on the host of a rank; `of` is what the other hosts have."""
    there = {one: [{"name": of[0], "count": of[1]}] if of else [] for one in hosts if one != hosts[rank]}
    wish = {key: more.pop(key) for key in ("users", "context", "args", "gpus_wish", "version", "name") if key in more}
    wish.update({"gpus": wish.pop("gpus_wish")} if "gpus_wish" in wish else {})
    return host(part(rank=rank, hosts=hosts, **wish), gpus=gpus, gpus_of=there, **more)


def layout(found, name="large"):
    told = found.plans[name].as_dict()["layout"]
    return tuple(told[f"{kind}_parallel_size"] for kind in ("tensor", "pipeline", "data")), told["nodes_per_engine"]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param({}, ((4, 2, 1), 2), id="inside a host by tensor parallelism, over hosts in stages"),
        pytest.param({"gpus": (H100, 8), "of": (H100, 8)}, ((8, 2, 1), 2), id="also where one host would do"),
        pytest.param(
            {"gpus": (L40S, 2), "of": (L40S, 2), "hosts": ("a", "b", "c", "d")}, ((2, 4, 1), 4), id="four hosts"
        ),
        pytest.param({"args": {"tensor-parallel-size": 8}}, ((8, 1, 1), 2), id="tensor parallelism over hosts by wish"),
        pytest.param({"gpus_wish": 2, "of": (L40S, 8)}, ((2, 2, 1), 2), id="as many of each, where that was wished"),
        pytest.param({"gpus": None, "of": None, "name": "small"}, ((2, 1, 1), 2), id="without GPUs"),
        pytest.param(
            {"gpus": None, "of": None, "name": "small", "hosts": ("a", "b", "c")},
            ((1, 3, 1), 3),
            id="without GPUs, on hosts that do not divide it",
        ),
    ],
)
def test_an_engine_spans_all_of_its_hosts(case, expected):
    found = spanned(**case, on_unfit="report")
    name = case.get("name", "large")
    assert layout(found, name) == expected
    assert found.plans[name].args["nnodes"] == expected[1]
    assert any("one engine over" in reason for reason in found.plans[name].reasons)
    assert not any("--node-rank" in note for note in found.plans[name].warnings)


def test_a_model_that_no_host_holds_alone_fits_on_two_and_each_holds_its_share():
    alone = host("large", gpus=(L40S, 2), on_unfit="report").plans["large"]
    assert not alone.fits
    both = spanned(gpus=(L40S, 2), of=(L40S, 2), on_unfit="report", context=2048, users=1).plans["large"]
    assert both.fits, both.reason
    assert both.evaluation.budget.weights < alone.evaluation.budget.weights * 0.6


@pytest.mark.parametrize("gpus", [(L40S, 4), None])
def test_all_hosts_come_to_the_same_plan(gpus):
    name = "large" if gpus else "small"
    plans = [spanned(gpus=gpus, of=gpus, rank=rank, name=name).plans[name].as_dict() for rank in (0, 1)]
    assert plans[0] == plans[1]


def test_memory_that_others_hold_on_one_host_counts_on_all():
    busy = [{"name": L40S, "memory_bytes": 48 * GIB, "memory_free_bytes": 20 * GIB}]
    free = [{"name": L40S, "memory_bytes": 48 * GIB, "memory_free_bytes": 48 * GIB}]
    one = host(part("small"), gpus=free, gpus_of={"gpu1": busy}).plans["small"]
    other = host(part("small", rank=1), gpus=busy, gpus_of={"gpu0": free}).plans["small"]
    assert one.args == other.args
    assert one.args["gpu-memory-utilization"] < 0.5


def test_a_host_at_which_nobody_looked_is_taken_to_be_like_this_one():
    assert layout(host(part(), gpus=(L40S, 4), on_unfit="report")) == ((4, 2, 1), 2)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        pytest.param({"of": (L4, 4)}, ["4 x NVIDIA L40S", "4 x NVIDIA L4", "gpu1", "like"], id="other cards"),
        pytest.param({"of": (L40S, 2)}, ["4 x NVIDIA L40S", "2 x NVIDIA L40S"], id="fewer cards"),
        pytest.param({"of": None}, ["4 x NVIDIA L40S", "no GPU on gpu1"], id="a host without GPU"),
        pytest.param({"gpus_wish": 4, "of": (L40S, 2)}, ["gpus is 4", "gpu1 has 2"], id="a count that one lacks"),
        pytest.param({"vllm_version": "0.11.0"}, ["0.11.0", "Ray", "0.11.1"], id="a version that cannot"),
        pytest.param({"args": {"data-parallel-size": 2}}, ["data_parallel_size is 2", "one engine"], id="replicas"),
        pytest.param(
            {"args": {"distributed-executor-backend": "ray"}}, ["ray", "mp", "take it out"], id="another backend"
        ),
    ],
)
def test_what_cannot_span_is_refused(case, words):
    found = spanned(**case)
    for word in ["wanted", *words]:
        assert word in found.reason
    assert not found.fits


@pytest.mark.parametrize(
    ("engines", "seen", "words"),
    [
        ([{"repo": "a/b"}], {}, "engines[0] has no name; wanted a mapping with one"),
        ([None], {}, "engines[0] has no name; wanted a mapping with one"),
        (["chat"], {}, "engines[0] has no name; wanted a mapping with one"),
        ([{"name": "chat"}, {"name": "chat"}], {}, "engines names chat twice; wanted each model once"),
        ([{"name": "chat", "task": "embedding"}], {}, "task is 'embedding'; wanted auto, chat, embed, rerank or"),
        ([{"name": "chat", "task": ["chat"]}], {}, "task is ['chat']; wanted auto, chat, embed, rerank or"),
        ([{"name": "chat", "args": ["x"]}], {}, "args is ['x']; wanted a mapping"),
        ([{"name": "chat", "span": "x"}], {}, "span is 'x'; wanted hosts, a list, and rank"),
        ([{"name": "chat", "span": {"hosts": ["a"], "rank": 1}}], {}, "wanted hosts, a list, and rank"),
        ([{"name": "chat"}], {"weights_bytes": "lots"}, "weights_bytes is 'lots'; wanted a whole number"),
        ([{"name": "chat"}], {"weights_bytes": [1]}, "weights_bytes is [1]; wanted a whole number"),
    ],
)
def test_what_cannot_be_read_of_an_engine_is_refused_with_its_place(engines, seen, words):
    params = {"engines": engines, "metadata": {"chat": {**METADATA["chat"], **seen}}, "gpus": [{"name": L40S}]}
    try:
        found = plan_host({**params, "vllm_version": "0.32.0", "on_unfit": "report"})
        said = found.reason
        assert not found.fits
    except Refusal as refusal:
        said = str(refusal)
    assert words in said
    assert "; set " in said


def test_the_first_version_that_spans_hosts_does():
    assert spanned(vllm_version="0.11.1", on_unfit="report").plans["large"].args["nnodes"] == 2


def test_a_model_of_mistrals_own_layout_alone_is_planned():
    params = {"dim": 5120, "n_layers": 40, "head_dim": 128, "hidden_dim": 32768, "n_heads": 32, "n_kv_heads": 8}
    files = [{"path": name} for name in ("consolidated.safetensors", "params.json", "tekken.json")]
    data = {"params.json": {**params, "vocab_size": 131072, "max_position_embeddings": 131072}}
    seen = {"config": {}, "weights_bytes": 47_145_000_000, "files": files, "data": data}
    found = plan_host(
        {
            "engines": [{"name": "m", "repo": "mistralai/Mistral-Small-24B-Instruct-2501"}],
            "metadata": {"m": seen},
            "gpus": [{"name": "NVIDIA A100-SXM4-80GB"}],
            "vllm_version": "0.32.0",
        }
    ).plans["m"]
    assert found.fits
    assert {
        name: found.args[name] for name in ("config-format", "load-format", "tokenizer-mode", "tool-call-parser")
    } == (dict.fromkeys(("config-format", "load-format", "tokenizer-mode", "tool-call-parser"), "mistral"))


SQL = {"name": "sql", "path": "/srv/models/sql"}


def with_adapter(config, args=None, **more):
    metadata = {**METADATA, "sql": {"data": {"adapter_config.json": config}, "files": [], "config": {}}}
    return host({"name": "chat", "adapters": [SQL], "args": args or {}, **more}, metadata=metadata)


def test_an_adapter_is_served_and_its_memory_planned():
    plain = host("chat").plans["chat"]
    plan = with_adapter({"peft_type": "LORA", "r": 64}).plans["chat"]
    assert plan.as_dict()["args"]["lora-modules"] == ["sql=/adapters/sql"]
    assert (plan.as_dict()["args"]["enable-lora"], plan.as_dict()["args"]["max-lora-rank"]) == (True, 64)
    assert plan.evaluation.budget.kv_cache < plain.evaluation.budget.kv_cache
    assert not [one for one in plan.warnings if "sees of its host" in one]


@pytest.mark.parametrize(
    ("config", "args", "words"),
    [
        ({"peft_type": "LORA", "r": 8, "use_dora": True}, {}, "the adapter sql uses DoRA, which vLLM does not serve"),
        (
            {"peft_type": "LORA", "r": 64},
            {"max_lora_rank": 8},
            "args holds max-lora-rank 8 and the adapter sql has the",
        ),
    ],
)
def test_an_adapter_that_would_end_the_engine_is_refused_with_its_model(config, args, words):
    found = with_adapter(config, args)
    assert words in found.refusals["chat"]


def test_an_adapter_of_another_model_is_told_beside_the_plan():
    found = with_adapter({"peft_type": "LORA", "r": 8, "base_model_name_or_path": "mistralai/Mistral-7B-v0.3"})
    assert any("the adapter sql was made of mistralai/Mistral-7B-v0.3" in one for one in found.warnings())


def test_an_adapter_that_nobody_could_look_at_is_told_with_the_reason():
    unseen = "sql: hub acme/sql answers 401"
    found = host({"name": "chat", "adapters": [SQL]}, unseen=unseen)
    assert found.refusals == {"chat": "hub acme/sql answers 401"}
