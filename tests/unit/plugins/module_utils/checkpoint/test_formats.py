# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.formats import (
    adapted,
    format_of,
    gguf_type,
    lacks_tokenizer,
)

LLAMA = {"architectures": ["LlamaForCausalLM"]}


@pytest.mark.parametrize(
    ("config", "files", "expected"),
    [
        (LLAMA, [], ""),
        (LLAMA, ["model.safetensors"], ""),
        (LLAMA, ["model-Q4_K_M.gguf", "model.safetensors"], ""),
        (LLAMA, ["config.json", "Llama-3.2-3B-Instruct-Q8_0.gguf"], "GGUF"),
        (LLAMA, ["*.gguf"], "GGUF"),
        (LLAMA, ["onnx/model.onnx"], "ONNX"),
        (LLAMA, ["gemma3-1b-it-int4.task"], "LiteRT"),
        (LLAMA, ["openvino_model.bin", "openvino_model.xml", "config.json"], "OpenVINO"),
        (LLAMA, ["int4/openvino_language_model.bin", "int4/openvino_language_model.xml"], "OpenVINO"),
        (LLAMA, ["model.bin", "vocabulary.json", "config.json"], "CTranslate2"),
        (LLAMA, ["model.bin", "vocabulary.txt", "config.json"], "CTranslate2"),
        (LLAMA, ["model.bin", "shared_vocabulary.json", "config.json"], "CTranslate2"),
        (LLAMA, ["ggml-large-v3.bin"], "GGML"),
        (LLAMA, ["params_shard_0.bin", "mlc-chat-config.json"], "MLC"),
        (LLAMA, ["Qwen3-8B-w8a8.rkllm"], "RKLLM"),
        (LLAMA, ["model.dlc"], "QNN"),
        (LLAMA, ["onnx/model_q4f16.ort"], "ONNX"),
        (LLAMA, ["openvino_model.bin", "model.safetensors"], ""),
        (LLAMA, ["pytorch_model.bin", "vocabulary.json"], ""),
        (LLAMA, ["training_args.bin", "x.gguf"], "GGUF"),
        (LLAMA, ["config.json", "consolidated.00.pth"], "PyTorch's .pth"),
        (LLAMA, ["original/consolidated.00.pth", "model.safetensors"], ""),
        (LLAMA, ["config.json", "rng_state_0.pth"], ""),
        (LLAMA, ["rng_state.pth", "model.onnx"], "ONNX"),
        (LLAMA, ["checkpoint-1/optimizer.pt", "x.gguf"], "GGUF"),
        ({**LLAMA, "quantization": {"group_size": 64, "bits": 4}}, ["model.safetensors"], "MLX"),
        (
            {**LLAMA, "quantization": {"group_size": 64}, "quantization_config": {"quant_method": "awq"}},
            ["model.safetensors"],
            "",
        ),
    ],
)
def test_the_format_is_told_by_the_files_and_the_config(config, files, expected):
    assert format_of(config, files) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a-Q4_K_M.gguf"], "Q4_K_M"),
        (["a.IQ3_XS.gguf"], "IQ3_XS"),
        (["a-UD-TQ1_0.gguf"], "TQ1_0"),
        (["a-BF16.gguf"], "BF16"),
        (["*.gguf"], ""),
    ],
)
def test_a_gguf_files_name_says_its_type(files, expected):
    assert gguf_type(files) == expected


@pytest.mark.parametrize(
    ("config", "files", "base"),
    [
        (LLAMA, ["model.safetensors", "adapter_config.json"], None),
        ({"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen3-8B"}, [], "Qwen/Qwen3-8B"),
        ({}, ["adapter_config.json", "adapter_model.safetensors"], ""),
    ],
)
def test_an_adapter_is_known_with_its_base(config, files, base):
    assert adapted(config, files) == base


@pytest.mark.parametrize(
    ("more", "lacking"),
    [
        ([], True),
        (["special_tokens_map.json", "generation_config.json", "chat_template.jinja"], True),
        (["tokenizer_config.json"], True),
        (["tokenizer.json"], False),
        (["tokenizer.model.v3"], False),
        (["tekken.json"], False),
        (["vocab.txt"], False),
        (["spiece.model"], False),
        (["ice_text.model"], False),
        (["qwen.tiktoken"], False),
    ],
)
def test_weights_of_a_model_without_a_tokenizer_are_known(more, lacking):
    assert lacks_tokenizer(["config.json", "model.safetensors", *more]) is lacking


@pytest.mark.parametrize("files", [[], ["config.json"], ["x-Q4_0.gguf", "config.json"]])
def test_files_that_say_nothing_of_a_tokenizer_lack_none(files):
    assert not lacks_tokenizer(files)
