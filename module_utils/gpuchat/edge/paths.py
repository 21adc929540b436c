# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which paths of the engine the doors and the edge hand on, which are closed, and what nginx says by itself."""

from __future__ import annotations

import json

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


ERRORS = {
    401: ("authentication_error", "A valid API key is needed in the Authorization header."),
    403: ("permission_error", "This address, or this browser without a certificate, may not use this service."),
    404: ("invalid_request_error", "There is no such path here."),
    405: ("invalid_request_error", "This method is not allowed here."),
    413: ("invalid_request_error", "The request is too large."),
    429: ("rate_limit_error", "Too many requests at once; slow down."),
    500: ("server_error", "The edge has failed."),
    502: ("server_error", "The model server is not reachable; it may be starting."),
    503: ("server_error", "The model server is not ready."),
    504: ("server_error", "The model server did not answer in time."),
}
"""What nginx says by itself, by status, in the form of OpenAI's API."""


def describe() -> dict[str, object]:
    errors = {
        str(status): json.dumps({"error": {"type": kind, "message": message, "code": status}})
        for status, (kind, message) in ERRORS.items()
    }
    examples = [*CLOSED, *BELOW_CLOSED]
    return {"open": list(OPEN), "closed": list(CLOSED), "closed_examples": examples, "errors": errors}
