# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which paths of the engine the doors and the edge hand on, which are closed, and what nginx says by itself."""

from __future__ import annotations

import json

LISTING = "/v1/models"
"""Which models there are, of which nginx itself knows."""

ROUTED = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/rerank",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
)
"""Paths whose requests name a model in their body, by which they find its engine."""

OPEN = (LISTING, *ROUTED)
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
    400: ("invalid_request_error", "The request is not as HTTP has it."),
    401: ("authentication_error", "A valid API key is needed in the Authorization header."),
    403: ("permission_error", "This address, browser or person may not use this service."),
    404: ("invalid_request_error", "There is no such path here."),
    405: ("invalid_request_error", "This method is not allowed here."),
    411: ("invalid_request_error", "The request must tell its length."),
    412: ("invalid_request_error", "What the request wants to be so is not so."),
    413: ("invalid_request_error", "The request is too large."),
    416: ("invalid_request_error", "The answer has no such part."),
    429: ("rate_limit_error", "Too many requests at once; slow down."),
    500: ("server_error", "The edge has failed."),
    502: ("server_error", "The model server ended the request before it answered."),
    503: ("server_error", "The model server is not reachable, or has no room for more requests; ask again."),
    504: ("server_error", "The model server did not answer in time."),
}
"""What nginx says by itself, by status, in the form of OpenAI's API."""

EARLY = {
    400: (400, *ERRORS[400]),
    414: (414, "invalid_request_error", "The address of the request is too long."),
    421: (421, "invalid_request_error", "This connection was made for another name."),
    494: (
        400,
        "invalid_request_error",
        "The headers of the request are too large; a browser may have to forget the cookies of this site.",
    ),
    495: (400, "invalid_request_error", "The certificate that was shown is none that this site knows."),
    496: (400, "invalid_request_error", "A certificate is needed here."),
    497: (400, "invalid_request_error", "This port speaks HTTPS; ask it by https://."),
    501: (501, "invalid_request_error", "Transfer-Encoding of the body must be chunked."),
    505: (505, "invalid_request_error", "This version of HTTP is not spoken here."),
}
"""What nginx may say before it knows which path is meant, by its own status; it finds no named location then."""

MODEL_ERRORS = {
    "missing": (400, None, "The body must be a JSON object, or a form, that names a model: GET /v1/models lists them."),
    "type": (
        400,
        None,
        "The body must be application/json in UTF-8, or at /v1/audio multipart/form-data with a boundary.",
    ),
    "spelled": (400, None, "The body has a key like model in another spelling; it must be model alone."),
    "addressed": (400, None, "The address names a model in its arguments; the body must name it alone."),
    "twice": (400, None, "The body names its model more than once."),
    "many": (
        400,
        None,
        "The request wants more answers than one may: n, or best_of, times its prompts. Send several requests.",
    ),
    "unknown": (404, "model_not_found", "The model does not exist. GET /v1/models lists those that do."),
    "compressed": (415, None, "A compressed body is not read; send it as it is."),
}
"""Why a request finds no engine, by the name of nginx's location for it: status, code and words of OpenAI's API."""

REFUSED = ("server_error", "The server behind this model refuses this stack, or sends it elsewhere. Tell who runs it.")
"""To who asks for a model of somebody else's, where the key or the address in the inventory is wrong: theirs is not."""

SIGN_IN_AGAIN = ("authentication_error", "Sign in again: load this page anew.")
"""To the chat's page, where who uses it is no longer known to the owner's server."""

RETRY_AFTER = {429: 1, 502: 5, 503: 5, 504: 5}
"""After how many seconds one may ask again, by status."""


WAITING = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width">
<title>One moment</title>
<body style="font-family: sans-serif; max-width: 30em; margin: 20vh auto; padding: 0 1em">
<p>The chat is starting, or has much to do. This page tries again by itself.</p>
<p lang="zh">聊天服务正在启动或繁忙。本页面会自动重试。</p>
"""
"""What people see where the interface does not answer; it stands in single quotes in nginx's configuration."""


def describe() -> dict[str, object]:
    errors = {str(status): _error(status, *words) for status, words in ERRORS.items()}
    return {
        "open": list(OPEN),
        "listing": LISTING,
        "routed": list(ROUTED),
        "closed": list(CLOSED),
        "closed_examples": [*CLOSED, *BELOW_CLOSED],
        "errors": errors,
        "early": {
            str(status): {"status": told, "text": _error(told, *words)} for status, (told, *words) in EARLY.items()
        },
        "routing_errors": {
            fault: {"status": status, "text": _model_error(code, message, "n" if fault == "many" else "model")}
            for fault, (status, code, message) in MODEL_ERRORS.items()
        }
        | {"refused": {"status": 502, "text": _error(502, *REFUSED)}},
        "sign_in_again": _error(401, *SIGN_IN_AGAIN),
        "waiting": WAITING,
        "retry_after": {str(status): seconds for status, seconds in RETRY_AFTER.items()},
    }


def _model_error(code: str | None, message: str, parameter: str) -> str:
    return json.dumps(
        {"error": {"message": message, "type": "invalid_request_error", "param": parameter, "code": code}}
    )


def _error(status: int, kind: str, message: str) -> str:
    return json.dumps({"error": {"type": kind, "message": message, "code": status}})
