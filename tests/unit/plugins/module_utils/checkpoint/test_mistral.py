# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a params.json of Mistral's own layout says, read as if a config.json said it."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.config import longest, read_model
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.mistral import as_config

SMALL = {
    "dim": 5120,
    "n_layers": 40,
    "head_dim": 128,
    "hidden_dim": 32768,
    "n_heads": 32,
    "n_kv_heads": 8,
    "vocab_size": 131072,
    "max_position_embeddings": 131072,
}
PIXTRAL = {
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "intermediate_size": 4096,
    "image_size": 1540,
    "patch_size": 14,
    "spatial_merge_size": 2,
}
LARGE_3 = {
    "dim": 7168,
    "n_layers": 61,
    "hidden_dim": 16384,
    "n_heads": 128,
    "n_kv_heads": 128,
    "head_dim": 128,
    "vocab_size": 131072,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
    "moe": {
        "expert_hidden_dim": 4096,
        "first_k_dense_replace": 3,
        "num_experts": 128,
        "num_experts_per_tok": 4,
        "num_shared_experts": 1,
        "route_every_n": 1,
    },
    "yarn": {"original_max_position_embeddings": 8192, "factor": 36, "alpha": 1, "beta": 32},
    "max_position_embeddings": 294912,
    "vision_encoder": PIXTRAL,
}
SOUND = {"dim": 1280, "n_layers": 32, "hidden_dim": 5120, "n_heads": 20}
VOXTRAL = {**SMALL, "multimodal": {"whisper_model_args": {"encoder_args": SOUND}}}


@pytest.mark.parametrize(
    ("params", "architecture", "billions", "kinds"),
    [
        pytest.param(SMALL, "MistralForCausalLM", 23.6, {"full": 40}, id="Mistral Small 3"),
        pytest.param(
            {**SMALL, "vision_encoder": PIXTRAL},
            "PixtralForConditionalGeneration",
            24.0,
            {"full": 40},
            id="with images",
        ),
        pytest.param(LARGE_3, "PixtralForConditionalGeneration", 674, {"mla": 61}, id="Mistral Large 3"),
        pytest.param(VOXTRAL, "VoxtralForConditionalGeneration", 23.6, {"full": 40}, id="Voxtral Small"),
        pytest.param(
            {**SMALL, "sliding_window": [None, 4096, 4096, 4096]},
            "MistralForCausalLM",
            23.6,
            {"full": 10, "sliding": 30},
            id="windows",
        ),
    ],
)
def test_a_model_of_mistrals_own_layout_is_read(params, architecture, billions, kinds):
    model = read_model(as_config(params))
    assert model.architecture == architecture
    assert model.parameters.total / 1e9 == pytest.approx(billions, rel=0.01)
    assert {item.kind: item.count for item in model.kv_layers} == kinds


@pytest.mark.parametrize(
    ("said", "method"),
    [
        ({"qformat_weight": "fp8_e4m3", "qscheme_act": "TENSOR"}, "fp8"),
        ({"quant_method": "compressed-tensors", "config_groups": {}}, "compressed-tensors"),
        ({}, ""),
    ],
)
def test_its_quantization_is_named_as_others_name_it(said, method):
    assert read_model(as_config({**LARGE_3, "quantization": said})).quantization == method


def test_its_length_is_what_it_says_or_what_vllm_assumes():
    assert longest(as_config(LARGE_3), is_yarn_scaled=True) == 294912
    assert longest(as_config({name: value for name, value in SMALL.items() if "max" not in name})) == 128_000
