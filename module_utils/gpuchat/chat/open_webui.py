# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Open WebUI learns which models there are and what they can do, and which settings it knows.

All of it is told by the environment: Open WebUI is told not to keep settings in its database, where the first start's
would win over every later one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..core.names import did_you_mean
from ..inventory.served import CHAT, Served
from .facts.open_webui import ENVIRONMENT, RELEASES

EMBED = "embed"
RERANK = "rerank"
TRANSCRIBE = "transcribe"

TOOLS_CONTEXT = 16384
"""Tokens that a model holds at least to be given Open WebUI's own tools: their descriptions alone take some 3000."""

LOWEST = "0.12.4"
"""Below it are holes that were closed in it."""

OWNED = {
    "AUDIO_STT_OPENAI_API_BASE_URL": "gpuchat_endpoints",
    "AUDIO_STT_OPENAI_API_KEY": "gpuchat_endpoints",
    "CORS_ALLOW_ORIGIN": "gpuchat_domain",
    "DATABASE_HOST": "gpuchat_database",
    "DATABASE_NAME": "gpuchat_database",
    "DATABASE_PASSWORD": "gpuchat_database_password",
    "DATABASE_PORT": "gpuchat_database",
    "DATABASE_TYPE": "gpuchat_database",
    "DATABASE_URL": "gpuchat_database",
    "DATABASE_USER": "gpuchat_database",
    "DATA_DIR": "",
    "ENABLE_FUNCTIONS": "open_webui_plugins",
    "ENABLE_OAUTH": "gpuchat_sso",
    "ENABLE_OAUTH_SIGNUP": "gpuchat_sso",
    "ENABLE_PERSISTENT_CONFIG": "",
    "ENABLE_PLUGINS": "open_webui_plugins",
    "ENABLE_SIGNUP": "gpuchat_signup",
    "ENABLE_TOOLS": "open_webui_plugins",
    **{f"{name}_CLIENT_ID": "gpuchat_sso" for name in ("FEISHU", "GITHUB", "GOOGLE", "MICROSOFT")},
    "HOST": "",
    "OAUTH_CLIENT_ID": "gpuchat_sso",
    "OAUTH_CLIENT_SECRET": "gpuchat_sso_client_secret",
    "OPENAI_API_BASE_URL": "gpuchat_endpoints",
    "OPENAI_API_BASE_URLS": "gpuchat_endpoints",
    "OPENAI_API_CONFIGS": "gpuchat_models",
    "OPENAI_API_KEY": "gpuchat_endpoints",
    "OPENAI_API_KEYS": "gpuchat_endpoints",
    "OPENID_PROVIDER_URL": "gpuchat_sso",
    "OPENID_REDIRECT_URI": "gpuchat_sso",
    "PGVECTOR_DB_URL": "gpuchat_database",
    "PORT": "",
    "RAG_EXTERNAL_RERANKER_URL": "gpuchat_endpoints",
    "RAG_OPENAI_API_BASE_URL": "gpuchat_endpoints",
    "RAG_OPENAI_API_KEY": "gpuchat_endpoints",
    "S3_ACCESS_KEY_ID": "object_store_access_key",
    "S3_ADDRESSING_STYLE": "gpuchat_object_store",
    "S3_BUCKET_NAME": "gpuchat_object_store",
    "S3_ENDPOINT_URL": "gpuchat_object_store",
    "S3_REGION_NAME": "gpuchat_object_store",
    "S3_SECRET_ACCESS_KEY": "object_store_secret_key",
    "STATIC_DIR": "",
    "STORAGE_PROVIDER": "gpuchat_object_store",
    "TOOL_SERVER_CONNECTIONS": "gpuchat_mcp_servers",
    "UVICORN_WORKERS": "",
    "VECTOR_DB": "",
    "WEBUI_ADMIN_EMAIL": "gpuchat_admin_email",
    "WEBUI_ADMIN_PASSWORD": "gpuchat_admin_password",
    "WEBUI_AUTH": "",
    "WEBUI_AUTH_COOKIE_SECURE": "edge_tls",
    "WEBUI_AUTH_TRUSTED_EMAIL_HEADER": "",
    "WEBUI_AUTH_TRUSTED_GROUPS_HEADER": "",
    "WEBUI_AUTH_TRUSTED_NAME_HEADER": "",
    "WEBUI_AUTH_TRUSTED_ROLE_HEADER": "",
    "WEBUI_JWT_SECRET_KEY": "open_webui_secret_key",
    "WEBUI_SECRET_KEY": "open_webui_secret_key",
    "WEBUI_SESSION_COOKIE_SECURE": "edge_tls",
    "WEBUI_URL": "gpuchat_domain",
}
"""What is the stack's own, and the variable that says it; an empty text where nothing may say otherwise."""

AROUND = re.compile(
    r"(LANG|LC_\w+|TZ|HOME|TMPDIR|NO_PROXY|no_proxy|(ALL|HTTPS?)_PROXY|(all|https?)_proxy|SSL_CERT_(FILE|DIR)"
    r"|REQUESTS_CA_BUNDLE|PYTHON\w+|OMP_NUM_THREADS|MALLOC_ARENA_MAX|HF_\w+|TRANSFORMERS_\w+|TIKTOKEN_CACHE_DIR"
    r"|FORWARDED_ALLOW_IPS|DO_NOT_TRACK|SCARF_NO_ANALYTICS|ANONYMIZED_TELEMETRY|AWS_\w+|OTEL_\w+)"
)
"""What is read by Python, by the libraries, or by what starts Open WebUI."""


@dataclass(frozen=True)
class Wiring:
    """What Open WebUI is told of the models that are served.

    Attributes:
        environment: variables; addresses are not among them.
        warnings: what works less well than it could; for who runs the stack.
    """

    environment: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        return {"environment": dict(self.environment)}


def wire(served: Sequence[Served], tool_servers: Sequence[str] = ()) -> Wiring:
    """Return what follows from the models that are served, the first of which people meet.

    Args:
        tool_servers: names of the owner's.
    """
    talking = [one for one in served if one.task == CHAT]
    chats = [one.name for one in talking]
    first = chats[:1]
    # For all models or none: an engine that has no parser of tool calls refuses a request that has tools in it.
    tools = all(one.tool_calls and (one.context or 0) >= TOOLS_CONTEXT for one in talking)
    environment = {
        # With the names given, nothing else that the engines serve is offered for talking to.
        "OPENAI_API_CONFIGS": json.dumps({"0": {"enable": bool(chats), "model_ids": chats}}),
        "DEFAULT_MODELS": "".join(first),
        "TASK_MODEL_EXTERNAL": "".join(first),
        "DEFAULT_MODEL_PARAMS": json.dumps({"function_calling": "native" if tools else "legacy"}),
        **_documents(_names(served, EMBED), _names(served, RERANK)),
        **_speech(_names(served, TRANSCRIBE)),
    }
    # Of all models alike: its environment has no word on one of them.
    metadata: dict[str, object] = {"capabilities": {"vision": any(one.vision for one in talking)}}
    if tools and tool_servers:
        # On in each new talk; people may turn them off there.
        metadata["toolIds"] = [tool_id(name) for name in tool_servers]
    environment["DEFAULT_MODEL_METADATA"] = json.dumps(metadata)
    return Wiring(environment, _tool_warnings(talking) if tool_servers and not tools else ())


def tool_id(name: str) -> str:
    """Return what Open WebUI calls a tool server."""
    return f"server:mcp:{name}"


def tool_connections(servers: Sequence[Mapping[str, str]]) -> str:
    """Return what Open WebUI is told of the owner's tool servers.

    Args:
        servers: each with name, title and url: the door's, which shows the server its key.
    """
    everybody = [{"principal_type": "user", "principal_id": "*", "permission": "read"}]
    return json.dumps(
        [
            {
                "type": "mcp",
                "url": one["url"],
                "path": "",
                "auth_type": "none",
                "key": "",
                "headers": None,
                "config": {"enable": True, "access_grants": everybody},
                "info": {"id": one["name"], "name": one["title"], "description": ""},
            }
            for one in servers
        ]
    )


def _tool_warnings(talking: Sequence[Served]) -> tuple[str, ...]:
    unable = ", ".join(one.name for one in talking if not one.tool_calls)
    short = ", ".join(one.name for one in talking if one.tool_calls)
    found = f"{unable} calls no tools" if unable else f"{short} holds fewer than {TOOLS_CONTEXT:,} tokens"
    instead = "set a model that calls tools, or its tool-call-parser" if unable else "set gpuchat_context higher"
    said = (
        "the tool servers of gpuchat_mcp_servers are off until somebody turns them on in a talk, and models are asked "
        f"in words whether to call one: {found}; wanted tool calls and {TOOLS_CONTEXT:,} tokens of every model that "
        f"talks; {instead}"
    )
    return (said,)


def _documents(embeds: Sequence[str], reranks: Sequence[str]) -> dict[str, str]:
    """Return how files are searched: by the stack's own model, or else not: they are read as a whole.

    The engine is never the built-in one: it downloads a model when Open WebUI starts.
    """
    ranked = bool(embeds and reranks)
    return {
        "RAG_EMBEDDING_ENGINE": "openai",
        "RAG_EMBEDDING_MODEL": "".join(embeds[:1]),
        "RAG_EMBEDDING_BATCH_SIZE": "32",
        "BYPASS_EMBEDDING_AND_RETRIEVAL": str(not embeds),
        # What it remembers of a person is found by embeddings.
        "ENABLE_MEMORIES": str(bool(embeds)),
        "USER_PERMISSIONS_WORKSPACE_KNOWLEDGE_ACCESS": str(bool(embeds)),
        "RAG_RERANKING_ENGINE": "external",
        "RAG_RERANKING_MODEL": "".join(reranks[:1]) if ranked else "",
        "ENABLE_RAG_HYBRID_SEARCH": str(ranked),
    }


def _speech(transcribes: Sequence[str]) -> dict[str, str]:
    """Return what hears: the stack's own model, or nothing; a browser's own recognition sends speech to its maker."""
    return {
        "AUDIO_STT_ENGINE": "openai",
        "AUDIO_STT_MODEL": "".join(transcribes[:1]),
        "USER_PERMISSIONS_CHAT_STT": str(bool(transcribes)),
        "USER_PERMISSIONS_CHAT_CALL": str(bool(transcribes)),
    }


def _names(served: Sequence[Served], task: str) -> list[str]:
    # One that comes and goes as somebody else likes would leave what was made with it behind.
    return [one.name for one in served if one.task == task and not one.live]


def version_faults(version: str) -> list[str]:
    """Return why a version is not to be run."""
    key = version_key(version)
    if not key:
        return [f"open_webui_version is {version}; wanted a version such as {LOWEST}; set it to one"]
    if key < version_key(LOWEST):
        return [f"open_webui_version is {version}, which has known holes; wanted {LOWEST} or newer; set it to one"]
    return []


def unknown_settings(
    version: str, environment: Iterable[str], variable: str = "open_webui_environment"
) -> tuple[str, ...]:
    """Return what is wrong with variables that an owner sets: what is the stack's own, and what nothing reads.

    Args:
        variable: of the inventory, which holds them.
    """
    known = known_variables(version)
    faults = []
    for name in environment:
        if name in OWNED:
            instead = f"set {OWNED[name]} instead" if OWNED[name] else "leave it out"
            faults.append(f"{variable} sets {name}, which is the stack's own; {instead}")
        elif name not in known and not AROUND.fullmatch(name):
            hint = did_you_mean(name, known)
            faults.append(f"{variable} sets {name}, which Open WebUI {version} does not read{hint}")
    return tuple(faults)


def known_variables(version: str) -> frozenset[str]:
    """Return what a version reads of its environment; one that the table lacks is judged by its neighbour below."""
    keys = sorted(version_key(one) for one in RELEASES)
    wanted = version_key(version)
    judged = max([key for key in keys if key <= wanted], default=keys[0])
    return frozenset(
        name
        for name, rows in ENVIRONMENT.items()
        if any(version_key(first) <= judged <= version_key(last) for first, last, _source in rows)
    )


def version_key(text: str) -> tuple[int, ...]:
    """Return what orders versions: 0.9.6 before 0.12.4; empty for a text that is none."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else ()
