# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which paths of the engine the edge hands on, and which it closes."""

from __future__ import annotations

OPEN = ("/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")
"""The model API: by key, and by the whole path."""

CLOSED = (
    "abort_requests",
    "classify",
    "cohere",
    "collective_rpc",
    "detokenize",
    "docs",
    "generative_scoring",
    "health",
    "inference",
    "init_weight_transfer_engine",
    "invocations",
    "is_paused",
    "is_scaling_elastic_ep",
    "is_sleeping",
    "load",
    "metrics",
    "openapi.json",
    "pause",
    "ping",
    "pooling",
    "redoc",
    "rerank",
    "reset_encoder_cache",
    "reset_mm_cache",
    "reset_prefix_cache",
    "resume",
    "scale_elastic_ep",
    "score",
    "server_info",
    "sleep",
    "start_profile",
    "stop_profile",
    "tokenize",
    "tokenizer_info",
    "update_weights",
    "v1",
    "v2",
    "version",
    "wake_up",
)
"""First words of all other paths, many of which need no key there (vLLM's docs/usage/security.md and its routers)."""

BELOW_CLOSED = ("v1/chat/completions/render", "v1/score")
"""Paths of the engine below a closed word, for the verification to ask for."""


def describe() -> dict[str, list[str]]:
    return {"open": list(OPEN), "closed": list(CLOSED), "closed_examples": [*CLOSED, *BELOW_CLOSED]}
