# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vLLM needs on a GPU beside weights and KV cache: the constants of the memory model, and when its rules changed.

Versions were read in vLLM's source distributions. "Fitted" constants are those that ``benchmarks/plan_accuracy.py
--fit`` chooses on the start-up logs in benchmarks/data/vllm_startups.json; it prints them for this file.
"""

from __future__ import annotations

from ...core.units import GIB

# Bytes per logit at the sampler's peak. PyTorch's own, up to 0.16, sorts fp32 logits with int64 indices (fitted: 9.6
# fp32 numbers, V0 and V1 alike); since 0.17 a Triton kernel filters in place, so that logits in bf16 and fp32,
# probabilities and noise are left (14, and the kernel's buffer). FlashInfer's takes as much; it is the default since
# 0.21, and was before 0.11 where it is installed, as it is in the images.
SAMPLER_BYTES_SORTED = 38.2
SAMPLER_BYTES_IN_PLACE = 15.0
SAMPLER_IN_PLACE_SINCE = (0, 17)
FLASHINFER_IF_INSTALLED_BEFORE = (0, 11)

# The second model runner profiles its sampler without filters: logits, and their fp32 copy up to 0.28; since 0.33 with
# all of them. From which version which models run on it by default: architectures, whether quantized ones too, and
# whether every other dense model.
SAMPLER_BYTES_SECOND_RUNNER = (((0, 22), 6.0), ((0, 29), 2.0), ((0, 33), 15.0))
SECOND_RUNNER = (
    ((0, 22), frozenset({"Qwen3ForCausalLM"}), False, False),
    ((0, 23), frozenset({"LlamaForCausalLM", "MistralForCausalLM", "Qwen3ForCausalLM"}), False, False),
    (
        (0, 24),
        frozenset(
            {
                "DeepseekV2ForCausalLM",
                "GraniteMoeForCausalLM",
                "LlamaForCausalLM",
                "MistralForCausalLM",
                "Qwen2MoeForCausalLM",
                "Qwen3ForCausalLM",
            }
        ),
        True,
        False,
    ),
    ((0, 25), frozenset({"DeepseekV2ForCausalLM", "GraniteMoeForCausalLM", "Qwen2MoeForCausalLM"}), True, True),
)
SECOND_RUNNER_FOR_ALL_SINCE = (0, 29)

# Copies of the hidden states (tokens x hidden size) that live beside the widest part of a layer (fitted).
HIDDEN_COPIES = 4

# Elements per patch that an image encoder holds at its peak, in units of its hidden size. Before 0.11 rotary embedding
# made fp32 copies of queries and keys (fitted).
ENCODER_COPIES_FP32_ROTARY = 20
ENCODER_COPIES = 5
ENCODER_FP32_ROTARY_BEFORE = (0, 11)

# Elements per token of a linear-attention or Mamba layer, in units of what goes through its convolution: projections,
# gates in fp32, states of the chunks (fitted).
STATE_COPIES = 5

# CUDA's context, by compute capability. V1 counted it before 0.9.1 (total minus free); V0 did not from 0.6.4 on, and
# since 0.9.1 it must only be free beside what vLLM asks for.
CONTEXT_BYTES = {"8.0": int(0.45 * GIB), "9.0": int(0.53 * GIB), "10.0": int(0.7 * GIB), "10.3": int(0.7 * GIB)}
CONTEXT_BYTES_OTHERS = int(0.25 * GIB)
CONTEXT_COUNTED_BEFORE = (0, 9, 1)

# Memory outside PyTorch's allocator that grows between the first measurement and the last: workspaces of libraries on
# one GPU ("non-torch" in the logs: 0.02 to 0.12 GiB, 0.23 to 0.26 since 0.17).
WORKSPACE_BYTES = int(0.08 * GIB)
WORKSPACE_BYTES_LATER = int(0.28 * GIB)
WORKSPACE_LATER_SINCE = (0, 17)

# The same for NCCL and the custom all-reduce where there is more than one rank: much over NVLink (1.4 GiB on 4 and 2.1
# on 8 cards up to 0.10; 1.4 on 2, 1.0 on 4 and 1.5 on 8 since), little over PCIe (0.3 on 2; since 0.11 NCCL is set up
# before the first measurement, which leaves next to nothing). Bytes for more than one rank, and for each of them.
COLLECTIVES_BYTES_NVLINK = (int(1.0 * GIB), int(0.12 * GIB))
COLLECTIVES_BYTES_NVLINK_LATER = (int(1.2 * GIB), 0)
COLLECTIVES_BYTES_PCIE = (int(0.15 * GIB), int(0.05 * GIB))
COLLECTIVES_BYTES_PCIE_LATER = (int(0.1 * GIB), 0)
COLLECTIVES_LATER_SINCE = (0, 11)
COLLECTIVES_RANKS_COUNTED = 16
# Data-centre cards of these capabilities are linked, unless their name says PCIe.
LINKED_CAPABILITIES = ("7.0", "8.0", "9.0", "10.0", "10.3")

# CUDA graphs: what a few take, and how much more 512 requests at once do, growing with their square (fitted on
# "Estimated CUDA graph memory" and "equivalent to ... without CUDA graph memory profiling": 0.35 GiB for 8 requests,
# 0.41 and 0.49 for 256, 0.84 and 1.2 for 512 and more).
GRAPH_BYTES = int(0.33 * GIB)
GRAPH_BYTES_MORE_FOR_512 = int(0.6 * GIB)
GRAPHS_COUNTED_SINCE = (0, 20)

# How far the available KV cache was off in 9 of 10 fully stated starts: a little always, and shares of the weights, of
# the activations, and of what else is counted (fitted).
UNCERTAIN_BYTES = int(0.1 * GIB)
UNCERTAIN_SHARE_OF_WEIGHTS = 0.005
UNCERTAIN_SHARE_OF_ACTIVATIONS = 0.12
UNCERTAIN_SHARE_OF_REST = 0.5

# MXFP4 experts on Hopper by Triton's kernels, which the package holds since 0.11.1 (before it Marlin's run: 65.97 GiB
# for gpt-oss-120b, issue 23278): how much more their layout takes than the files. Measured: 64.38 GiB for gpt-oss-120b
# (0.14.1, issue 33155), 13.47 for gpt-oss-20b.
MXFP4_TRITON_SINCE = (0, 11, 1)
MXFP4_TRITON_LAYOUT = 1.065

LORA_OF_EXPERTS_SINCE = (0, 11, 2)

# Which architectures' cache vLLM makes fp8 by itself on data-centre Blackwell (models/config.py), since which version
# (the first in which it was read), with a sparse index alone.
FP8_CACHE_BY_ITSELF = {"GlmMoeDsaForCausalLM": (0, 29), "Glm5NextForConditionalGeneration": (0, 33)}

# Major compute capability whose sparse attention (FLASHINFER_MLA_SPARSE_SM120) has no cache but fp8, and makes "auto"
# that (_canonicalize_sparse_mla_kv_cache_dtype of model_executor/layers/attention/mla_attention.py).
FP8_SPARSE_CACHE_ALONE = 12

# When rules about the KV cache changed.
HYBRID_GROUPS_SINCE = (0, 9, 1)  # sliding windows give back what they no longer see
GROUPS_BY_MOST_SINCE = (0, 11, 1)  # 12 and 13 layers make two groups of 13
GROUPS_BY_MOST = 1.25
GROUPS_BY_MOST_LATER_SINCE = (0, 18)
GROUPS_BY_MOST_LATER = 1.5
TOKENS_BY_CONCURRENCY_SINCE = (0, 20, 1)  # the logged tokens are concurrency x max_model_len
STATES_OF_CONSTANT_NUMBER_SINCE = (0, 15)  # two per request with prefix caching
STATE_PREFIX_CACHING_SINCE = (0, 26)  # on by default for hybrid models
STATE_BLOCKS_CHECKED_SINCE = (0, 19)  # more max_num_seqs than blocks: refused (0.18 caps its graphs, older ones crash)
STATE_BLOCKS_PROFILED_SINCE = (0, 29)  # the second runner held them against the 512 that it profiles graphs with...
STATE_BLOCKS_PROFILED_BEFORE = (0, 33)  # ...until here (recipes pull 906; gpu/cudagraph_utils.py of 0.33)
STATE_BLOCKS_SURE = 0.75  # of those that are estimated
LARGEST_GRAPH = 512  # requests: what vLLM captures at most by itself
WHOLE_MODEL_PER_STAGE_SINCE = (0, 14)  # the check against one stage took the need of all layers...
WHOLE_MODEL_PER_STAGE_BEFORE = (0, 17)  # ...until here
BLOCK_WITHIN_BATCH_SINCE = (0, 17)  # refused: a hybrid model's block larger than max_num_batched_tokens...
BLOCK_WITHIN_BATCH_BEFORE = (0, 27)  # ...until here
BATCHES_IN_FLIGHT_SINCE = (0, 26)  # asynchronous scheduling holds two batches' tokens in sliding windows
