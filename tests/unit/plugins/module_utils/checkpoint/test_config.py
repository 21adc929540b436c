# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.config import (
    gguf_bits,
    longest,
    read_model,
    text_config,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
QWEN3_MOE = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "num_attention_heads": 32,
    "num_hidden_layers": 48,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": False,
}
DEEPSEEK_R1 = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
    "num_attention_heads": 128,
    "num_hidden_layers": 61,
    "num_key_value_heads": 128,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "num_nextn_predict_layers": 1,
    "vocab_size": 129280,
    "tie_word_embeddings": False,
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
}
GPT_OSS_20B = {
    "architectures": ["GptOssForCausalLM"],
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_local_experts": 32,
    "num_experts_per_tok": 4,
    "num_attention_heads": 64,
    "num_hidden_layers": 24,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
    "vocab_size": 201088,
    "tie_word_embeddings": False,
    "quantization_config": {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "lm_head"],
    },
}
GEMMA3_27B = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "model_type": "gemma3",
    "torch_dtype": "bfloat16",
    "text_config": {
        "model_type": "gemma3_text",
        "head_dim": 128,
        "hidden_size": 5376,
        "intermediate_size": 21504,
        "num_attention_heads": 32,
        "num_hidden_layers": 62,
        "num_key_value_heads": 16,
        "sliding_window": 1024,
        "sliding_window_pattern": 6,
        "vocab_size": 262208,
    },
    "vision_config": {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "image_size": 896},
}
QWEN3_NEXT = {
    "architectures": ["Qwen3NextForCausalLM"],
    "model_type": "qwen3_next",
    "full_attention_interval": 4,
    "head_dim": 256,
    "hidden_size": 2048,
    "intermediate_size": 5120,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_value_head_dim": 128,
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
    "num_experts": 512,
    "num_experts_per_tok": 10,
    "num_attention_heads": 16,
    "num_hidden_layers": 48,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": False,
}
NEMOTRON_H = {
    "model_type": "nemotron_h",
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    "hidden_size": 2688,
    "intermediate_size": 1856,
    "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712,
    "n_routed_experts": 128,
    "num_experts_per_tok": 6,
    "num_hidden_layers": 52,
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "mamba_num_heads": 64,
    "mamba_head_dim": 64,
    "n_groups": 8,
    "ssm_state_size": 128,
    "conv_kernel": 4,
    "mamba_ssm_cache_dtype": "float32",
    "vocab_size": 131072,
    "tie_word_embeddings": False,
}
KIMI_LINEAR = {
    "model_type": "kimi_linear",
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "linear_attn_config": {
        "full_attn_layers": [4, 8, 12, 16, 20, 24, 27],
        "kda_layers": [number for number in range(1, 27) if number % 4],
        "head_dim": 128,
        "num_heads": 32,
        "short_conv_kernel_size": 4,
    },
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 1024,
    "num_experts": 256,
    "num_experts_per_token": 8,
    "num_shared_experts": 1,
    "num_attention_heads": 32,
    "num_hidden_layers": 27,
    "vocab_size": 163840,
    "tie_word_embeddings": False,
}
LLAMA4 = {
    "model_type": "llama4",
    "text_config": {
        "model_type": "llama4_text",
        "attention_chunk_size": 8192,
        "hidden_size": 5120,
        "intermediate_size": 8192,
        "intermediate_size_mlp": 16384,
        "num_local_experts": 16,
        "num_experts_per_tok": 1,
        "num_attention_heads": 40,
        "num_hidden_layers": 48,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 202048,
    },
}


FALCON_MAMBA = {
    "model_type": "falcon_mamba",
    "hidden_size": 4096,
    "intermediate_size": 8192,
    "expand": 16,
    "num_hidden_layers": 64,
    "state_size": 16,
    "conv_kernel": 4,
    "vocab_size": 65024,
    "tie_word_embeddings": False,
}
CODESTRAL_MAMBA = {
    "model_type": "mamba2",
    "hidden_size": 4096,
    "num_heads": 128,
    "head_dim": 64,
    "n_groups": 8,
    "expand": 2,
    "num_hidden_layers": 64,
    "state_size": 128,
    "conv_kernel": 4,
    "vocab_size": 32768,
    "tie_word_embeddings": False,
}
LONGCAT_FLASH = {
    "model_type": "longcat_flash",
    "hidden_size": 6144,
    "ffn_hidden_size": 12288,
    "expert_ffn_hidden_size": 2048,
    "num_layers": 28,
    "num_attention_heads": 64,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
    "n_routed_experts": 512,
    "zero_expert_num": 256,
    "moe_topk": 12,
    "vocab_size": 131072,
    "max_position_embeddings": 131072,
}
RING_2_5 = {
    "model_type": "bailing_hybrid",
    "hidden_size": 8192,
    "intermediate_size": 18432,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "head_dim": 128,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "layer_group_size": 8,
    "num_experts": 256,
    "num_experts_per_tok": 8,
    "num_shared_experts": 1,
    "moe_intermediate_size": 2048,
    "first_k_dense_replace": 4,
    "vocab_size": 157184,
}
NEMOTRON_NEW = {name: value for name, value in NEMOTRON_H.items() if "pattern" not in name and "layers" not in name}
NEMOTRON_NEW["layers_block_type"] = [
    {"M": "mamba", "E": "moe", "*": "attention", "-": "mlp"}[letter] for letter in NEMOTRON_H["hybrid_override_pattern"]
]
ERNIE_VL = {
    "model_type": "ernie4_5_moe_vl",
    "hidden_size": 2560,
    "intermediate_size": 12288,
    "num_hidden_layers": 28,
    "num_attention_heads": 20,
    "num_key_value_heads": 4,
    "moe_num_experts": [64, 64],
    "moe_intermediate_size": [1536, 512],
    "moe_num_shared_experts": 2,
    "moe_layer_start_index": [1, 1],
    "vocab_size": 103424,
    "tie_word_embeddings": True,
}
DEEPSEEK_VL2 = {
    "model_type": "deepseek_vl_v2",
    "language_config": {
        "model_type": "deepseek_v2",
        "first_k_dense_replace": 1,
        "hidden_size": 2560,
        "intermediate_size": 12288,
        "moe_intermediate_size": 1536,
        "n_routed_experts": 72,
        "n_shared_experts": 2,
        "num_hidden_layers": 30,
        "q_lora_rank": None,
        "vocab_size": 129280,
    },
}
HRM_TEXT = {
    "architectures": ["HrmTextForCausalLM"],
    "model_type": "hrm_text",
    "hidden_size": 1536,
    "intermediate_size": 4096,
    "num_hidden_layers": 128,
    "num_layers_per_stack": 16,
    "H_cycles": 2,
    "L_cycles": 3,
    "num_attention_heads": 12,
    "head_dim": 128,
    "vocab_size": 65536,
    "tie_word_embeddings": False,
}
HRM_TEXT_NEW = {**HRM_TEXT, "num_hidden_layers": 16, "num_layers_per_stack": None}
HUNYUAN_LARGE = {
    "architectures": ["HunYuanForCausalLM"],
    "model_type": "hunyuan",
    "hidden_size": 6400,
    "intermediate_size": 18304,
    "num_hidden_layers": 64,
    "num_attention_heads": 80,
    "num_key_value_heads": 8,
    "num_experts": 16,
    "num_shared_expert": 1,
    "moe_topk": 1,
    "use_cla": True,
    "cla_share_factor": 2,
    "vocab_size": 129024,
    "tie_word_embeddings": True,
}
ZAMBA2_7B = {
    "model_type": "zamba2",
    "hidden_size": 3584,
    "intermediate_size": 14336,
    "num_hidden_layers": 81,
    "layers_block_type": [
        "hybrid" if number in (*range(6, 12, 5), *range(17, 78, 6)) else "mamba" for number in range(81)
    ],
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "kv_channels": 112,
    "num_mem_blocks": 2,
    "adapter_rank": 128,
    "use_shared_attention_adapter": False,
    "mamba_d_state": 64,
    "mamba_ngroups": 2,
    "n_mamba_heads": 112,
    "vocab_size": 32000,
}
ZAMBA2_1B = {
    **ZAMBA2_7B,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 38,
    "layers_block_type": ["hybrid" if number in range(5, 36, 6) else "mamba" for number in range(38)],
    "kv_channels": 64,
    "num_mem_blocks": 1,
    "use_shared_attention_adapter": True,
    "mamba_ngroups": 1,
    "n_mamba_heads": 64,
}
MINICPM3_4B = {
    "model_type": "minicpm3",
    "hidden_size": 2560,
    "intermediate_size": 6400,
    "num_hidden_layers": 62,
    "num_attention_heads": 40,
    "num_key_value_heads": 40,
    "q_lora_rank": 768,
    "kv_lora_rank": 256,
    "qk_nope_head_dim": 64,
    "qk_rope_head_dim": 32,
    "vocab_size": 73448,
}
LING_3 = {**RING_2_5, "num_hidden_layers": 82, "no_kda_lora": True, "short_conv_kernel_size": 4}

LFM2 = {
    "model_type": "lfm2",
    "hidden_size": 2048,
    "intermediate_size": 12288,
    "block_auto_adjust_ff_dim": True,
    "block_ffn_dim_multiplier": 1.0,
    "block_multiple_of": 256,
    "conv_L_cache": 3,
    "full_attn_idxs": [2, 5, 8, 10, 12, 14],
    "num_attention_heads": 32,
    "num_hidden_layers": 16,
    "num_key_value_heads": 8,
    "vocab_size": 65536,
}
LFM2_MOE = {
    **LFM2,
    "model_type": "lfm2_moe",
    "block_auto_adjust_ff_dim": None,
    "intermediate_size": 7168,
    "moe_intermediate_size": 1792,
    "full_attn_idxs": [2, 6, 10, 14, 18, 21],
    "num_hidden_layers": 24,
    "num_dense_layers": 2,
    "num_experts": 32,
    "num_experts_per_tok": 4,
}
JAMBA_3B = {
    "model_type": "jamba",
    "attn_layer_offset": 7,
    "attn_layer_period": 14,
    "expert_layer_offset": 1,
    "expert_layer_period": 2,
    "hidden_size": 2560,
    "intermediate_size": 8192,
    "mamba_d_conv": 4,
    "mamba_d_state": 16,
    "mamba_expand": 2,
    "num_attention_heads": 20,
    "num_experts": 1,
    "num_experts_per_tok": 1,
    "num_hidden_layers": 28,
    "num_key_value_heads": 1,
    "vocab_size": 65536,
    "tie_word_embeddings": True,
}
GROK_2 = {
    "model_type": "git",
    "hidden_size": 8192,
    "intermediate_size": 32768,
    "moe_intermediate_size": 16384,
    "num_experts_per_tok": 2,
    "num_local_experts": 8,
    "residual_moe": True,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "num_hidden_layers": 64,
    "vocab_size": 131072,
    "tie_word_embeddings": False,
}
FUYU = {
    "model_type": "fuyu",
    "text_config": {
        "model_type": "persimmon",
        "hidden_size": 4096,
        "intermediate_size": 16384,
        "num_attention_heads": 64,
        "num_hidden_layers": 36,
        "vocab_size": 262144,
    },
    "tie_word_embeddings": False,
}
MOLMO_72B = {
    "model_type": "molmo",
    "hidden_size": 8192,
    "intermediate_size": 59136,
    "num_attention_heads": 64,
    "num_hidden_layers": 80,
    "num_key_value_heads": 8,
    "vocab_size": 152064,
    "tie_word_embeddings": False,
}
DEEPSEEK_OCR = {
    "model_type": "deepseek_vl_v2",
    "language_config": {
        "first_k_dense_replace": 1,
        "hidden_size": 1280,
        "intermediate_size": 6848,
        "kv_lora_rank": None,
        "moe_intermediate_size": 896,
        "n_routed_experts": 64,
        "n_shared_experts": 2,
        "num_attention_heads": 10,
        "num_experts_per_tok": 6,
        "num_hidden_layers": 12,
        "num_key_value_heads": 10,
        "qk_nope_head_dim": 0,
        "qk_rope_head_dim": 0,
        "v_head_dim": 0,
        "vocab_size": 129280,
    },
    "vision_config": {
        "image_size": 1024,
        "width": {
            "clip-l-14-224": {"heads": 16, "image_size": 224, "layers": 24, "patch_size": 14, "width": 1024},
            "sam_vit_b": {"heads": 12, "layers": 12, "width": 768},
        },
    },
}
OVIS2_5_9B = {
    "model_type": "ovis2_5",
    "llm_config": {
        "model_type": "qwen3",
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_attention_heads": 32,
        "num_hidden_layers": 36,
        "num_key_value_heads": 8,
        "vocab_size": 151936,
        "tie_word_embeddings": False,
    },
    "vit_config": {"hidden_size": 1152, "image_size": 512, "intermediate_size": 4304, "num_hidden_layers": 27},
}
NEMOTRON_SEARCHED = {
    "model_type": "nemotron-nas",
    "hidden_size": 8192,
    "intermediate_size": None,
    "num_attention_heads": 64,
    "num_hidden_layers": 80,
    "num_key_value_heads": None,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
    "block_configs": [
        {"attention": {"n_heads_in_group": 8}, "ffn": {"ffn_mult": 5.25}},
        {"attention": {"no_op": True}, "ffn": {"ffn_mult": 2.625}},
    ]
    * 40,
}


def kinds(config):
    return {item.kind: item.count for item in read_model(config).kv_layers}


@pytest.mark.parametrize(
    ("config", "layers"),
    [
        pytest.param(LLAMA_8B, {"full": 32}, id="grouped queries"),
        pytest.param(DEEPSEEK_R1, {"mla": 61}, id="latent attention"),
        pytest.param(GPT_OSS_20B, {"full": 12, "sliding": 12}, id="listed layers"),
        pytest.param(GEMMA3_27B, {"full": 10, "sliding": 52}, id="a pattern, nested"),
        pytest.param(QWEN3_NEXT, {"full": 12, "state": 36}, id="an interval"),
        pytest.param(NEMOTRON_H, {"full": 6, "state": 23}, id="letters"),
        pytest.param(KIMI_LINEAR, {"mla": 7, "state": 20}, id="numbered layers"),
        pytest.param(LLAMA4, {"full": 12, "chunked": 36}, id="chunks"),
        pytest.param(
            {**DEEPSEEK_R1, "index_topk": 2048, "index_head_dim": 128}, {"mla": 61, "indexer": 61}, id="sparse"
        ),
        pytest.param({**LLAMA_8B, "model_type": "mistral", "sliding_window": 4096}, {"sliding": 32}, id="all windows"),
        pytest.param(
            {**LLAMA_8B, "sliding_window_pattern": "LLLG", "sliding_window": 4096}, {"full": 8, "sliding": 24}, id="LG"
        ),
        pytest.param(
            {**LLAMA_8B, "use_sliding_window": False, "sliding_window": 4096}, {"full": 32}, id="switched off"
        ),
        pytest.param(
            {**LLAMA_8B, "model_type": "gemma2", "sliding_window": 4096}, {"full": 16, "sliding": 16}, id="by class"
        ),
        pytest.param({**LLAMA_8B, "num_kv_shared_layers": 12}, {"full": 20}, id="layers that share"),
        pytest.param(
            {**LLAMA_8B, "model_type": "jamba", "attn_layer_period": 8, "attn_layer_offset": 4},
            {"full": 4, "state": 28},
            id="a period",
        ),
        pytest.param(
            {**LLAMA_8B, "model_type": "bamba", "attn_layer_indices": [9, 18, 27], "mamba_n_heads": 128},
            {"full": 3, "state": 29},
            id="indices",
        ),
        pytest.param(
            {**LLAMA_8B, "model_type": "granitemoehybrid", "layers_block_type": (["mamba"] * 7 + ["attention"]) * 4},
            {"full": 4, "state": 28},
            id="blocks",
        ),
        pytest.param(
            {**LLAMA_8B, "model_type": "falcon_h1", "mamba_d_ssm": 9}, {"full": 32, "state": 32}, id="both at once"
        ),
        pytest.param({**LLAMA_8B, "compress_ratios": [0, 4] * 16}, {"compressed": 16, "sliding": 32}, id="compressed"),
        pytest.param(FALCON_MAMBA, {"state": 64}, id="no attention at all"),
        pytest.param(CODESTRAL_MAMBA, {"state": 64}, id="no attention, and heads of Mamba's own"),
        pytest.param(LONGCAT_FLASH, {"mla": 56}, id="attention twice in each layer"),
        pytest.param(RING_2_5, {"mla": 10, "state": 70}, id="the last of each group"),
        pytest.param(LING_3, {"mla": 12, "state": 70}, id="the last of each group, and what is left over"),
        pytest.param(NEMOTRON_NEW, {"full": 6, "state": 23}, id="blocks whose number nothing else says"),
        pytest.param({**LLAMA_8B, "model_type": "plamo2", "mamba_step": 2}, {"full": 16, "state": 16}, id="steps"),
        pytest.param(HRM_TEXT, {"full": 128}, id="two stacks that run again, each time with a cache of its own"),
        pytest.param(HRM_TEXT_NEW, {"full": 128}, id="two stacks, their layers counted once"),
        pytest.param(HUNYUAN_LARGE, {"full": 32}, id="every other layer takes its neighbour's"),
        pytest.param({**HUNYUAN_LARGE, "num_hidden_layers": 5, "cla_share_factor": 3}, {"full": 2}, id="of three one"),
        pytest.param({**HUNYUAN_LARGE, "use_cla": False}, {"full": 64}, id="sharing switched off"),
        pytest.param({**LLAMA_8B, "is_encoder_decoder": True}, {"full": 32, "cross": 32}, id="cross-attention"),
    ],
)
def test_layers_are_reported_apart_by_what_they_keep(config, layers):
    assert kinds(config) == layers


@pytest.mark.parametrize(
    ("config", "billions"),
    [
        pytest.param(LLAMA_8B, 8.03, id="Llama 3.1 8B"),
        pytest.param(QWEN3_MOE, 30.53, id="Qwen3 30B A3B"),
        pytest.param(DEEPSEEK_R1, 671.0, id="DeepSeek R1"),
        pytest.param(GPT_OSS_20B, 20.9, id="gpt-oss 20b"),
        pytest.param(GEMMA3_27B, 27.4, id="Gemma 3 27B"),
        pytest.param(QWEN3_NEXT, 79.7, id="Qwen3 Next 80B"),
        pytest.param(NEMOTRON_H, 31.6, id="Nemotron 3 Nano 30B"),
        pytest.param(KIMI_LINEAR, 49.1, id="Kimi Linear 48B"),
        pytest.param(CODESTRAL_MAMBA, 7.29, id="Mamba Codestral 7B"),
        pytest.param(LONGCAT_FLASH, 560, id="LongCat Flash 560B"),
        pytest.param(RING_2_5, 1010, id="Ring 2.5 1T"),
        pytest.param(NEMOTRON_NEW, 31.6, id="Nemotron 3 Nano 30B, as Transformers 5 saves it"),
        pytest.param(HRM_TEXT, 1.18, id="HRM Text 1B"),
        pytest.param(HRM_TEXT_NEW, 1.18, id="HRM Text 1B, its layers counted once"),
        pytest.param(HUNYUAN_LARGE, 389, id="Hunyuan Large 389B"),
        pytest.param(ZAMBA2_7B, 7.36, id="Zamba2 7B, whose blocks are shared"),
        pytest.param(ZAMBA2_1B, 1.21, id="Zamba2 1.2B, whose attention has adapters too"),
        pytest.param(MINICPM3_4B, 4.07, id="MiniCPM3 4B"),
        pytest.param(ERNIE_VL, 28.6, id="ERNIE 4.5 VL 28B without its encoder"),
        pytest.param(DEEPSEEK_VL2, 27.0, id="DeepSeek VL2 27B without its encoder"),
        pytest.param(LLAMA4, 107.8, id="Llama 4 Scout without its encoder: one expert is shared"),
        pytest.param(LFM2, 1.17, id="LFM2 1.2B, whose width is another than it says"),
        pytest.param(LFM2_MOE, 8.34, id="LFM2 8B A1B, whose first layers have no experts"),
        pytest.param(JAMBA_3B, 3.0, id="Jamba 3B, whose one expert is none"),
        pytest.param(GROK_2, 269.5, id="Grok 2, with a dense part beside the experts"),
        pytest.param(FUYU, 9.4, id="Fuyu 8B, without a gate"),
        pytest.param(MOLMO_72B, 72.7, id="Molmo 72B without its encoder: gate and width are one number"),
        pytest.param(DEEPSEEK_OCR, 3.3, id="DeepSeek OCR, of whose two encoders one counts"),
        pytest.param(OVIS2_5_9B, 8.64, id="Ovis 2.5 9B with its encoder"),
        pytest.param(NEMOTRON_SEARCHED, 50.4, id="layers each of a width of its own"),
    ],
)
def test_the_widths_give_the_published_number_of_parameters(config, billions):
    assert read_model(config).parameters.total / 1e9 == pytest.approx(billions, rel=0.02)


@pytest.mark.parametrize(
    ("config", "conv", "state", "size"),
    [
        pytest.param(FALCON_MAMBA, 8192, 8192 * 16, 2, id="Mamba, its width told apart"),
        pytest.param(CODESTRAL_MAMBA, 8192 + 2 * 8 * 128, 8192 * 128, 2, id="Mamba 2"),
        pytest.param(RING_2_5, 0, 64 * 128 * 128, 2, id="lightning attention"),
        pytest.param(LING_3, 3 * 64 * 128, 64 * 128 * 128, 4, id="delta rule with a convolution"),
        pytest.param(
            {**LLAMA_8B, "model_type": "minimax", "head_dim": 128, "layer_types": ["linear_attention"] * 32},
            0,
            32 * 128 * 128,
            4,
            id="lightning attention, listed",
        ),
    ],
)
def test_a_state_is_as_large_as_its_kind_makes_it(config, conv, state, size):
    (found,) = (item for item in read_model(config).kv_layers if item.kind == "state")
    assert (found.conv_width, found.state_elements, found.state_bytes) == (conv, state, size)


@pytest.mark.parametrize(
    ("config", "count", "heads", "width"),
    [
        pytest.param(ZAMBA2_7B, 13, 32, 224, id="twice the hidden size, each time a shared block runs"),
        pytest.param({**ZAMBA2_7B, "attention_head_dim": 224}, 13, 32, 224, id="the same, told"),
        pytest.param(MINICPM3_4B, 62, 40, 96, id="keys as they are computed, not their latent"),
    ],
)
def test_a_cache_holds_what_the_class_of_vllm_computes(config, count, heads, width):
    found = read_model(config).kv_layers[0]
    assert (found.count, found.kv_heads, found.key_dim, found.value_dim) == (count, heads, width, width)


def test_a_model_that_runs_its_layers_twice_keeps_a_window_of_the_second_time():
    read = read_model({**LLAMA_8B, "loop_num": 2, "loop_window_size": 64})
    assert [(item.kind, item.count, item.window) for item in read.kv_layers] == [("full", 32, 0), ("sliding", 32, 64)]
    assert read.parameters == read_model(LLAMA_8B).parameters


def test_an_expert_alone_is_none():
    model = read_model(JAMBA_3B)
    assert (model.experts, model.dense_width, model.shared_width) == (0, 8192, 0)


@pytest.mark.parametrize(
    ("config", "widths"),
    [
        pytest.param(LLAMA_8B, (14336, 0), id="no experts"),
        pytest.param(DEEPSEEK_R1, (18432, 2048), id="first layers without, and one that is shared"),
        pytest.param(QWEN3_MOE, (0, 0), id="routed experts alone"),
    ],
)
def test_what_every_token_goes_through_has_a_width_beside_the_routed_experts(config, widths):
    model = read_model(config)
    assert (model.dense_width, model.shared_width) == widths


def test_embeddings_of_each_layer_count_as_weights():
    ple = {"vocab_size_per_layer_input": 262144, "hidden_size_per_layer_input": 256}
    more = read_model({**LLAMA_8B, **ple}).parameters.total - read_model(LLAMA_8B).parameters.total
    assert more == 32 * 262144 * 256


def test_the_layers_that_only_speculation_loads_stand_apart():
    assert read_model(DEEPSEEK_R1).parameters.draft / 1e9 == pytest.approx(11.6, rel=0.05)


@pytest.mark.parametrize(
    ("quantization", "bits"),
    [
        pytest.param({"quant_method": "awq", "bits": 4, "group_size": 128}, 4.156, id="awq"),
        pytest.param({"quant_method": "gptq", "bits": 8, "group_size": 128}, 8, id="gptq"),
        pytest.param({"quant_method": "fp8"}, 8, id="fp8"),
        pytest.param({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4.127, id="bitsandbytes"),
        pytest.param({"quant_method": "bitsandbytes", "load_in_8bit": True}, 8, id="bitsandbytes 8"),
        pytest.param({"quant_method": "mxfp4"}, 4.25, id="mxfp4"),
        pytest.param({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 4.5, id="nvfp4"),
        pytest.param({"quant_method": "modelopt", "quant_algo": "FP8"}, 8, id="modelopt fp8"),
        pytest.param(
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 32}}},
            },
            4.625,
            id="w4a16 in small groups",
        ),
        pytest.param({"quant_method": "gguf", "type": "Q8_0"}, 8.5, id="gguf"),
    ],
)
def test_a_weight_takes_its_bits_and_its_share_of_a_scale(quantization, bits):
    assert read_model({**LLAMA_8B, "quantization_config": quantization}).quantized_bits == pytest.approx(
        bits, rel=0.001
    )


def test_what_a_checkpoint_leaves_at_sixteen_bits_is_counted():
    whole = read_model(GPT_OSS_20B).parameters
    assert whole.kept == whole.attention + whole.key_value
    layers = [
        "model.layers.0.self_attn.q_proj",
        "model.layers.1.self_attn.q_proj",
        "model.layers.0.mlp.gate",
        "lm_head",
    ]
    config = {**LLAMA_8B, "quantization_config": {"quant_method": "fp8", "ignore": layers}}
    some = read_model(config).parameters
    assert some.kept == (some.attention + some.key_value) // 16


@pytest.mark.parametrize(("name", "bits"), [("Q4_K_M", 4.85), ("Q4_0", 4.5), ("Q8_0", 8.5), ("F16", 16)])
def test_the_types_of_gguf_are_known(name, bits):
    assert gguf_bits(name) == bits


def test_the_text_model_is_found_however_deep_and_takes_what_only_the_outside_says():
    nested = {"model_type": "omni", "thinker_config": {"text_config": {"hidden_size": 8}}, "torch_dtype": "float16"}
    assert text_config(nested) == {"hidden_size": 8, "torch_dtype": "float16"}
    assert read_model(GEMMA3_27B).dtype == "bfloat16"


def test_what_a_class_has_by_default_may_be_left_out():
    llava = {"model_type": "llava_next", "text_config": {"model_type": "mistral", "vocab_size": 32064}}
    found = read_model(llava)
    assert (found.layers, found.hidden_size, found.kv_heads, found.vocab_size) == (32, 4096, 8, 32064)


def test_gemma_ties_its_embeddings_without_saying_so():
    assert read_model(GEMMA3_27B).tie_word_embeddings


@pytest.mark.parametrize(
    ("config", "size", "message"),
    [
        pytest.param({}, None, "model_config is empty; wanted the model's config.json as a mapping", id="nothing"),
        pytest.param(
            {"model_type": "llama", "hidden_size": 0, "num_attention_heads": 8, "vocab_size": 9},
            None,
            "model_config: 8 attention heads and a hidden size of 0; wanted both above 0",
            id="no width",
        ),
        pytest.param({"model_type": "x"}, None, "model_config has none of num_attention_heads", id="no heads"),
        pytest.param(
            {**LLAMA_8B, "num_hidden_layers": -3}, None, "num_hidden_layers is -3; wanted a whole", id="negative"
        ),
        pytest.param({**LLAMA_8B, "num_hidden_layers": 0}, None, "0 layers; wanted 1 to 10,000", id="no layers"),
        pytest.param(
            {**LLAMA_8B, "vocab_size": "many"}, None, "vocab_size is 'many'; wanted a whole number", id="a word"
        ),
        *(
            pytest.param({**LLAMA_8B, "head_dim": value}, None, f"head_dim is {value!r}; wanted a whole", id=str(value))
            for value in (float("nan"), float("inf"), 0.5, 10**20)
        ),
        pytest.param(
            {**LLAMA_8B, "num_hidden_layers": 10**9}, None, "1000000000 layers; wanted 1 to 10,000", id="layers no end"
        ),
        pytest.param(
            {**LLAMA_8B, "linear_attn_config": {"kda_layers": [1, "a"]}},
            None,
            "kda_layers holds 'a'; wanted whole numbers",
            id="a word among numbers",
        ),
        pytest.param(LLAMA_8B, 0, "weights_bytes is 0; wanted the size of the weight files", id="no weights"),
    ],
)
def test_nonsense_is_refused_with_what_was_found_and_wanted(config, size, message):
    with pytest.raises(Refusal) as caught:
        read_model(config, size)
    assert message in str(caught.value)


@pytest.mark.parametrize(("told", "size"), [({}, 4), ({"mamba_ssm_cache_dtype": "bfloat16"}, 2)])
def test_a_nemotrons_states_are_32_bits_wide_unless_it_says_otherwise(told, size):
    config = {name: value for name, value in NEMOTRON_H.items() if name != "mamba_ssm_cache_dtype"}
    (found,) = (item for item in read_model({**config, **told}).kv_layers if item.kind == "state")
    assert found.state_bytes == size


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"model_type": ["llama"]}, id="a list for a kind"),
        pytest.param({"rope_scaling": {"rope_type": "yarn", "factor": float("inf")}}, id="a factor without end"),
        pytest.param(
            {"rope_scaling": {"rope_type": "linear", "factor": float("nan")}}, id="a factor that is no number"
        ),
        pytest.param({"seq_length": float("nan")}, id="a length that is no number"),
        pytest.param({"moe_intermediate_size": [{}], "num_experts": 8}, id="a mapping among widths"),
        pytest.param({"time_step_limit": [0.0, float("inf")]}, id="what state spaces are published with"),
    ],
)
def test_odd_values_that_nothing_hangs_on_end_in_no_error_of_pythons(more):
    config = {**LLAMA_8B, "original_max_position_embeddings": 8192, **more}
    assert read_model(config).layers == 32
    assert longest(config) == 131_072
