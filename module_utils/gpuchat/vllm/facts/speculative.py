# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``speculative-config`` may hold, by version: vLLM ends with any other name in it.

Kept by hand. Source: the fields of SpeculativeConfig in vllm/config/speculative.py, and in files before it, of the
source distributions from 0.10.1 to 0.33.0, but for those that vLLM fills in by itself. What 0.10.1 has is taken for
known before, and what 0.16 has for known to 0.15, which has no source distribution.
"""

from __future__ import annotations

PARTS: dict[str, tuple[tuple[str, str, object], ...]] = {
    "attention_backend": (("0.21.0", "", ()),),
    "code_revision": (("0.8.0", "", ()),),
    "disable_by_batch_size": (("0.8.0", "0.16.0", ()),),
    "disable_eagle_block_drop": (("0.30.0", "", ()),),
    "disable_log_stats": (("0.8.0", "0.11.0", ()),),
    "disable_logprobs": (("0.8.0", "0.11.0", ()),),
    "disable_lookahead_block_hashes": (("0.33.0", "", ()),),
    "disable_padded_drafter_batch": (("0.11.0", "", ()),),
    "draft_lm_head_quantization": (("0.33.0", "", ()),),
    "draft_load_config": (("0.17.0", "", ()),),
    "draft_sample_method": (("0.21.0", "", ()),),
    "draft_tensor_parallel_size": (("0.8.0", "", ()),),
    "dspark_draft_topk": (("0.28.0", "", ()),),
    "enable_adaptive_verification": (("0.28.0", "", ()),),
    "enable_chunked_prefill": (("0.8.0", "0.11.0", ()),),
    "enforce_eager": (("0.11.0", "", ()),),
    "fly_entropy_threshold": (("0.33.0", "", ()),),
    "fly_entropy_top_k": (("0.33.0", "", ()),),
    "fly_window_size": (("0.33.0", "", ()),),
    "index_share_for_mtp_iteration": (("0.29.0", "", ()),),
    "kv_cache_dtype": (("0.26.0", "", ()),),
    "max_model_len": (("0.8.0", "", ()),),
    "method": (("0.8.0", "", ()),),
    "model": (("0.8.0", "", ()),),
    "moe_backend": (("0.19.0", "", ()),),
    "num_speculative_tokens": (("0.8.0", "", ()),),
    "num_speculative_tokens_per_batch_size": (("0.24.0", "", ()),),
    "parallel_drafting": (("0.15.0", "", ()),),
    "prompt_lookup_max": (("0.8.0", "", ()),),
    "prompt_lookup_min": (("0.8.0", "", ()),),
    "quantization": (("0.8.0", "", ()),),
    "rejection_sample_method": (("0.18.0", "", ()),),
    "revision": (("0.8.0", "", ()),),
    "speculative_token_tree": (("0.8.0", "0.20.2", ()),),
    "suffix_decoding_max_cached_requests": (("0.11.1", "", ()),),
    "suffix_decoding_max_spec_factor": (("0.11.1", "", ()),),
    "suffix_decoding_max_tree_depth": (("0.11.1", "", ()),),
    "suffix_decoding_min_token_prob": (("0.11.1", "", ()),),
    "synthetic_acceptance_length": (("0.20.0", "", ()),),
    "synthetic_acceptance_rate": (("0.19.0", "0.19.1", ()),),
    "synthetic_acceptance_rates": (("0.20.0", "", ()),),
    "tensor_parallel_size": (("0.15.0", "", ()),),
    "use_heterogeneous_vocab": (("0.25.0", "", ()),),
    "use_local_argmax_reduction": (("0.17.0", "", ()),),
    "xpress_topc": (("0.33.0", "", ()),),
}

METHODS = frozenset(
    "ngram ngram_gpu suffix draft_model medusa mlp_speculator eagle eagle3 extract_hidden_states mtp dflash dspark "
    "custom_class".split()
)
"""Values of ``method`` in any version, beside those of one family of models, which end in _mtp."""
