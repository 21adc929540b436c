# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models as their config.json says, and GPUs as CUDA reports them: what the tests of memory are made of."""

from __future__ import annotations

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.config import read_model
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.devices import Device
from hypothesis import strategies as st


def dense(hidden, inner, heads, kv_heads, layers, vocab, **more):
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "num_hidden_layers": layers,
        "vocab_size": vocab,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        **more,
    }


LLAMA_8B = dense(4096, 14336, 32, 8, 32, 128256, max_position_embeddings=131072)

LLAMA_70B = dense(8192, 28672, 64, 8, 80, 128256, max_position_embeddings=131072)

QWEN3_8B = dense(4096, 12288, 32, 8, 36, 151936, head_dim=128, max_position_embeddings=40960)

QWEN25_7B = dense(3584, 18944, 28, 4, 28, 152064)

QWEN25_32B = dense(5120, 27648, 40, 8, 64, 152064)

LLAMA_3B = dense(3072, 8192, 24, 8, 28, 128256, head_dim=128, tie_word_embeddings=True)

QWEN3_MOE = dense(
    2048,
    6144,
    32,
    4,
    48,
    151936,
    model_type="qwen3_moe",
    head_dim=128,
    moe_intermediate_size=768,
    num_experts=128,
    num_experts_per_tok=8,
    max_position_embeddings=262144,
)

FP8 = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}

DEEPSEEK_R1 = dense(
    7168,
    18432,
    128,
    128,
    61,
    129280,
    model_type="deepseek_v3",
    kv_lora_rank=512,
    q_lora_rank=1536,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    moe_intermediate_size=2048,
    n_routed_experts=256,
    n_shared_experts=1,
    num_experts_per_tok=8,
    first_k_dense_replace=3,
    num_nextn_predict_layers=1,
    **FP8,
)

GPT_OSS = dense(
    2880,
    2880,
    64,
    8,
    36,
    201088,
    model_type="gpt_oss",
    head_dim=64,
    num_local_experts=128,
    num_experts_per_tok=4,
    sliding_window=128,
    layer_types=["sliding_attention", "full_attention"] * 18,
    max_position_embeddings=131072,
    quantization_config={"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]},
)

GEMMA3_27B = dense(
    5376,
    21504,
    32,
    16,
    62,
    262208,
    model_type="gemma3_text",
    head_dim=128,
    sliding_window=1024,
    sliding_window_pattern=6,
    tie_word_embeddings=True,
)

GEMMA4_26B = dense(
    2816,
    2112,
    16,
    8,
    30,
    262144,
    model_type="gemma4_text",
    head_dim=256,
    global_head_dim=512,
    num_global_key_value_heads=2,
    sliding_window=1024,
    layer_types=(["sliding_attention"] * 5 + ["full_attention"]) * 5,
    tie_word_embeddings=True,
)

LINEAR = {"linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_value_head_dim": 128}

QWEN3_NEXT = dense(
    2048,
    5120,
    16,
    2,
    48,
    151936,
    model_type="qwen3_next",
    head_dim=256,
    full_attention_interval=4,
    linear_num_key_heads=16,
    linear_num_value_heads=32,
    moe_intermediate_size=512,
    num_experts=512,
    num_experts_per_tok=10,
    max_position_embeddings=262144,
    **LINEAR,
)

QWEN36_35B = dense(
    2048,
    5120,
    16,
    2,
    40,
    248320,
    model_type="qwen3_5_moe_text",
    head_dim=256,
    layer_types=(["linear_attention"] * 3 + ["full_attention"]) * 10,
    linear_num_key_heads=16,
    linear_num_value_heads=32,
    mamba_ssm_dtype="float32",
    moe_intermediate_size=512,
    num_experts=256,
    num_experts_per_tok=8,
    max_position_embeddings=262144,
    **LINEAR,
)

QWEN36_27B = dense(
    5120,
    17408,
    24,
    4,
    64,
    248320,
    model_type="qwen3_5_text",
    head_dim=256,
    layer_types=(["linear_attention"] * 3 + ["full_attention"]) * 16,
    linear_num_key_heads=16,
    linear_num_value_heads=48,
    mamba_ssm_dtype="float32",
    mtp_num_hidden_layers=1,
    max_position_embeddings=262144,
    **LINEAR,
)

DEEPSEEK_V4 = dense(
    4096,
    12288,
    64,
    1,
    43,
    129280,
    model_type="deepseek_v4",
    head_dim=512,
    index_head_dim=128,
    moe_intermediate_size=2048,
    n_routed_experts=256,
    n_shared_experts=1,
    num_experts_per_tok=6,
    sliding_window=128,
    compress_ratios=[0, 0] + [4, 128] * 20 + [4, 0, 0, 0],
    max_position_embeddings=1048576,
    **FP8,
)

QWEN25_VL = dense(
    2048,
    11008,
    16,
    2,
    36,
    151936,
    model_type="qwen2_5_vl",
    max_position_embeddings=128000,
    tie_word_embeddings=True,
    vision_config={
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "patch_size": 14,
        "spatial_merge_size": 2,
    },
)

L40S = Device("NVIDIA L40S", int(44.4 * GIB), "8.9")

A100_40 = Device("NVIDIA A100-SXM4-40GB", int(39.39 * GIB), "8.0")

H100 = Device("NVIDIA H100 80GB HBM3", int(79.15 * GIB), "9.0")

T4 = Device("Tesla T4", int(14.74 * GIB), "7.5")

MODELS = [
    read_model(config) for config in (LLAMA_8B, QWEN3_MOE, DEEPSEEK_R1, GPT_OSS, GEMMA3_27B, QWEN3_NEXT, QWEN36_27B)
]

VERSIONS = st.sampled_from(
    [(0, 8, 5), (0, 9, 2), (0, 11, 0), (0, 13, 0), (0, 16, 0), (0, 19, 1), (0, 24, 0), (0, 33, 0)]
)
