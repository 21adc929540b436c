# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which weights of a repository are fetched and counted, and what is no model for the engine."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.files import (
    Listing,
    ModelFile,
    chosen,
    others_of,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.weights import (
    check_adapter,
    check_model,
    check_tensors,
    engine_files,
    shards_of,
    weights_in,
)

INDEX = "model.safetensors.index.json"
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
SHARDED = [*SHARDS, INDEX, "config.json"]
INDEXED = {INDEX: {"weight_map": {"a": SHARDS[0], "b": SHARDS[1]}}}
COPY, STEP, ADAPTER = "original/model.safetensors", "checkpoint-500/model.safetensors", "adapter_model.safetensors"
OWN = ["consolidated.safetensors", "params.json", "tekken.json"]


def listed(paths, data=None, include=(), exclude=()):
    files = [ModelFile(path, 1) for path in paths]
    asked_for = chosen(files, include, exclude)
    return engine_files(Listing("c", asked_for, left_out=others_of(files, asked_for)), data or {}, include)


def names(listing):
    return {file.path for file in listing.files}


@pytest.mark.parametrize(
    ("kind", "paths", "data", "spare"),
    [
        ("shards alone", SHARDED, INDEXED, set()),
        ("one file alone", ["model.safetensors"], {}, set()),
        ("gpt-oss", [*SHARDED, COPY, "original/config.json"], INDEXED, {COPY}),
        ("an index of the copy", [*SHARDED, f"original/{INDEX}"], INDEXED, {f"original/{INDEX}"}),
        ("Mistral's whole layout", [*SHARDED, *OWN], INDEXED, {*SHARDS, INDEX}),
        ("Mistral's shards of its own", ["model.safetensors", "consolidated-00001-of-00002.safetensors",
            "consolidated-00002-of-00002.safetensors", "params.json"], {}, {"model.safetensors"}),
        ("Mistral's weights without params.json", [*SHARDED, OWN[0]], INDEXED, {OWN[0]}),
        ("Mistral's layout alone", OWN, {}, set()),
        ("a file that no index names", [*SHARDED, "model.safetensors"], INDEXED, {"model.safetensors"}),
        ("the same before the index is read", [*SHARDED, "model.safetensors"], {}, set()),
        ("an index whose shards are not there", ["model.safetensors", INDEX], INDEXED, set()),
        ("an adapter beside the model", ["model.safetensors", ADAPTER], {}, {ADAPTER}),
        ("GGUF beside safetensors", ["model.safetensors", "gguf/q4.gguf"], {}, {"gguf/q4.gguf"}),
        ("a step of the training", ["model.safetensors", STEP, "config.json"], {}, {STEP}),
        ("steps by other names", ["model.safetensors", "epoch_1/model.safetensors", "step-1000/model.safetensors"], {},
            {"epoch_1/model.safetensors", "step-1000/model.safetensors"}),
        ("another precision in a folder", ["model.safetensors", "fp8/model.safetensors", "x-AWQ/model.safetensors",
            "4bit/model.safetensors"], {},
            {"fp8/model.safetensors", "x-AWQ/model.safetensors", "4bit/model.safetensors"}),
        ("a variant, as Transformers names it", ["model.safetensors", "model.fp16.safetensors"], {},
            {"model.fp16.safetensors"}),
        ("a variant's shards", [*SHARDS, "model.bf16-00001-of-00002.safetensors"], {},
            {"model.bf16-00001-of-00002.safetensors"}),
        ("a variant alone", ["model.fp16.safetensors"], {}, set()),
        ("a part of the model in a folder", ["model.safetensors", "2_Dense/model.safetensors"], {}, set()),
        ("shards in a folder that the index names", ["weights/a.safetensors", INDEX, "x.safetensors"],
            {INDEX: {"weight_map": {"a": "weights/a.safetensors"}}}, {"x.safetensors"}),
        ("the copy alone", ["original/model.safetensors"], {}, set()),
        ("GGUF alone", ["q4.gguf"], {}, set()),
    ],
)  # fmt: skip
def test_only_weights_that_the_engine_reads_are_fetched_and_counted(kind, paths, data, spare):
    left = listed(paths, data)
    assert set(left.left_out) == spare
    assert names(left) == set(paths) - spare
    sizes = dict.fromkeys(paths, 1)
    assert weights_in(sizes, shards_of(data)) == sum(path.endswith((".safetensors", ".gguf")) for path in names(left))


@pytest.mark.parametrize(
    "folder", ["speech_tokenizer", "eagle", "vision-lora"], ids=["a tokenizer of sound", "a drafter", "an adapter"]
)
def test_weights_in_a_folder_that_the_engine_does_not_read_by_itself_are_fetched_and_do_not_count(folder):
    paths = ["model.safetensors", f"{folder}/model.safetensors"]
    assert names(listed(paths)) == set(paths)
    assert weights_in(dict.fromkeys(paths, 1)) == 1


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        (["*"], [], {*SHARDED, *OWN}),
        (["model*", "config.json"], [], set(SHARDED)),
        ([], ["consolidated*"], {*SHARDED, *OWN[1:]}),
    ],
)
def test_the_other_layout_is_fetched_where_it_is_asked_for(include, exclude, left):
    assert names(listed([*SHARDED, *OWN], INDEXED, include, exclude)) == left


def test_what_other_engines_read_is_left_out():
    paths = ["model.safetensors", "onnx/model.onnx", "onnx/model.onnx_data", "flax_model.msgpack", "tf_model.h5"]
    assert names(listed(paths)) == {"model.safetensors"}
    assert len(names(listed(paths, include=["*"]))) == 5


def refused(paths, data=None, exclude=()):
    listing = listed(paths, data, exclude=exclude)
    check_model("hub acme/x", names(listing), listing.left_out, data or {}, exclude)


GGUF = [f"x-{name}.gguf" for name in ("Q2_K", "Q3_K_M", "Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")]


@pytest.mark.parametrize(
    ("paths", "data", "word"),
    [
        (["config.json", "pytorch_model.bin"], {}, r"pickle form alone \(pytorch_model\.bin\).*include to \['\*\.bin'"),
        (["params.json", "consolidated.00.pth"], {},
            r"other engines alone \(consolidated.00.pth\).*or to one as Transformers lay it out"),
        (["config.json", "model.ckpt"], {}, r"other engines alone \(model.ckpt\)"),
        (["config.json", "global_step9/mp_rank_00_model_states.pt", "global_step9/x_optim_states.pt"], {},
            "1 files and no weights"),
        (["config.json", "checkpoint-9/optimizer.pt", "checkpoint-9/rng_state.pth"], {}, "1 files and no weights"),
        (["config.json", "onnx/model.onnx"], {}, "other engines alone"),
        (["config.json", "tokenizer.json"], {}, "2 files and no weights"),
        (["config.json", "training_args.bin"], {}, "1 files and no weights"),
        (GGUF, {}, r"7 GGUF quantizations.*Q2_K.*Q8_0.*set include to one by name, such as \['\*Q4_K_M\*\.gguf'"),
        (["a/x-IQ2_XXS-00001-of-00002.gguf", "a/x-IQ2_XXS-00002-of-00002.gguf", "x-BF16.gguf"], {}, r"2 GGUF.*IQ2_XXS"),
        (["adapter_config.json", "adapter_model.safetensors"],
            {"adapter_config.json": {"base_model_name_or_path": "acme/base"}}, "adapter.*set repo to acme/base"),
        (["adapter_config.json", "adapter_model.safetensors"],
            {"adapter_config.json": {"base_model_name_or_path": "/root/models/base"}},
            "on top of /root/models/base; wanted a whole model; set repo to that one, and name the adapter"),
        (["adapter_config.json", "adapter_model.bin"], {}, "adapter"),
        (["adapter_config.json", "config.json", ADAPTER], {}, "adapter.*goes on top of another model"),
        (["model_index.json", "transformer/diffusion.safetensors", "transformer/config.json"], {},
            r"a pipeline of Diffusers \(model_index.json\)"),
        (["split_files/x.safetensors"], {}, "weights and no config.json"),
        (["fp8/model.safetensors", "fp8/config.json"], {}, "weights and no config.json, .*fp8/config.json"),
        (["config.json", "AWQ/model.safetensors", "AWQ/config.json", "GPTQ/model.safetensors"], {},
            r"weights in folders \(AWQ, GPTQ\), and vLLM reads those beside config.json alone"),
        (["ggml-large-v3.bin", "ggml-large-v3-q5_0.bin"], {}, r"other engines alone \(ggml-large-v3-q5_0.bin"),
        (["config.json", "model.bin", "vocabulary.txt"], {}, r"other engines alone \(model.bin"),
        (["config.json", "openvino_model.bin", "openvino_model.xml"], {}, "other engines alone"),
        (["config.json", "params_shard_0.bin", "mlc-chat-config.json"], {}, "other engines alone"),
        (["x-Q4_0-00001-of-00004.gguf", "x-Q4_0-00004-of-00004.gguf"], {},
            r"2 of the 4 parts of x-Q4_0-\*.gguf, and not x-Q4_0-00002-of-00004.gguf, x-Q4_0-00003-of-00004.gguf;"),
        (["config.json", SHARDS[1]], {}, f"1 of the 2 parts .*, and not {SHARDS[0]}; .*set revision or repo"),
        (["config.json", "model-00000-of-00002.safetensors"], {}, "and not model-00001-of-00002.safetensors"),
        (["config.json", "model.safetensors"], {"config.json": {}},
            "config.json that is no JSON, or says nothing; wanted .*; set revision or repo"),
        (["config.json", "model.safetensors"], {"config.json": []}, "config.json that is no JSON"),
        (["gemma.task", "README.md"], {}, "2 files and no weights"),
        (["x.nemo"], {}, "1 files and no weights"),
    ],
)  # fmt: skip
def test_what_is_no_model_for_the_engine_is_refused_with_the_cure(paths, data, word):
    with pytest.raises(Refusal, match=word):
        refused(paths, data)


@pytest.mark.parametrize(
    ("paths", "exclude"),
    [
        (["x-Q4_K_M-00001-of-00002.gguf", "x-Q4_K_M-00002-of-00002.gguf", "mmproj-x-f16.gguf"], ()),
        (["config.json", "model.safetensors", "adapter_config.json"], ()),
        (["config.json", "model.safetensors"], ["*.safetensors"]),
        (["config.json", *SHARDS], [SHARDS[0]]),
        (["config.json", "model-00000-of-00002.safetensors", SHARDS[0]], ()),
        (["config.json", "model.safetensors", "pytorch_model.bin"], ()),
        (["params.json", "consolidated.safetensors", "tekken.json"], ()),
        (["config.json", "model.safetensors"], ["config.json"]),
        (["config.json", "model.safetensors", "AWQ/model.safetensors"], ["model.safetensors"]),
        (["config.json", "model.tensors"], ()),
    ],
)
def test_a_model_is_taken_and_so_is_one_whose_weights_somebody_left_out_on_purpose(paths, exclude):
    refused(paths, exclude=exclude)


def test_pickles_are_missed_even_where_they_are_excluded():
    with pytest.raises(Refusal, match="pickle form alone"):
        refused(["config.json", "pytorch_model.bin"], exclude=["*.bin"])


@pytest.mark.parametrize(
    ("tensor", "config", "needed"),
    [
        ("model.layers.3.mlp.gate.weight", {"num_hidden_layers": 4}, True),
        ("model.layers.4.mlp.gate.weight", {"num_hidden_layers": 4}, False),
        ("model.layers.4.mlp.gate.weight", {"text_config": {"num_hidden_layers": 4}}, False),
        ("model.layers.4.mlp.gate.weight", {}, True),
        ("mtp.fc.weight", {}, False),
        ("model.mtp.layers.0.weight", {}, False),
        ("model.layers.0.self_attn.rotary_emb.inv_freq", {}, False),
        ("lm_head.weight", {"tie_word_embeddings": True}, False),
        ("lm_head.weight", {"tie_word_embeddings": False}, True),
        ("lm_head.weight", None, True),
    ],
)
def test_a_tensor_that_no_file_holds_is_refused_only_where_the_engine_needs_it(tensor, config, needed):
    misplaced = {tensor: "2.safetensors"}
    if needed:
        with pytest.raises(Refusal, match="2.safetensors lacks 1 tensors that i places .*, or verify to never"):
            check_tensors("i", misplaced, {"x"}, config, strict=True)
        assert "no other file holds them" in check_tensors("i", misplaced, {"x"}, config, strict=False)
    else:
        assert "taken as it is" in check_tensors("i", misplaced, {"x"}, config, strict=True)
    assert "taken as it is" in check_tensors("i", misplaced, {tensor}, config, strict=True)
    assert check_tensors("i", {}, {tensor}, config, strict=True) == ""


@pytest.mark.parametrize(
    ("paths", "left_out", "words"),
    [
        (["adapter_config.json", "adapter_model.safetensors"], ["optimizer.pt"], ""),
        (["adapter_config.json", "adapter_model.bin"], [], ""),
        (["adapter_config.json"], ["adapter_model.bin"], "pickle form alone (adapter_model.bin)"),
        (
            ["adapter_config.json"],
            ["checkpoint-1/adapter_model.safetensors"],
            "no adapter_model.safetensors; wanted",
        ),
        (["adapter_model.safetensors"], [], "holds no adapter_config.json; wanted a LoRA adapter as PEFT saves it"),
        ([], ["config.json", "model.safetensors"], "holds a model, and no adapter_config.json"),
    ],
    ids=["one", "in pickles, as asked for", "in pickles", "steps alone", "weights alone", "a model"],
)
def test_what_is_no_adapter_is_refused_with_the_cure(paths, left_out, words):
    if not words:
        check_adapter("hub acme/x", paths, left_out)
        return
    with pytest.raises(Refusal) as refusal:
        check_adapter("hub acme/x", paths, left_out)
    assert words in str(refusal.value)
