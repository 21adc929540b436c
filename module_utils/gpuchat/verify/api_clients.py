# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program needs to ask the model API, and whether it gets an answer with that."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import openai_api
from .api_usage import Log, Usage

CONNECT_SECONDS, RETRIES = 30, 3
AUTHORITY_NAME, ENVIRONMENT_NAME, JSON_NAME, CURL_NAME = "ca.crt", "client.env", "client.json", "client.curlrc"
NAMES = (AUTHORITY_NAME, ENVIRONMENT_NAME, JSON_NAME, CURL_NAME)
"""Of the files for one client."""


@dataclass(frozen=True)
class Api:
    """The model API as clients reach it.

    Attributes:
        url: ends in ``/v1``.
        tasks: what each model does, by its name.
        authority: the certificate of the stack's own authority (PEM), empty for a public one.
    """

    url: str
    tasks: Mapping[str, str]
    authority: str = ""

    def models_of(self, client: Client) -> tuple[str, ...]:
        """Return the models that a client may use, those that chat first."""
        names = client.models or tuple(self.tasks)
        return tuple(sorted(names, key=lambda name: self.tasks.get(name, "chat") != "chat"))

    def question(self, client: Client) -> tuple[str, openai_api.Json]:
        """Return the path and the body of a request that a client's key must get an answer to."""
        name = self.models_of(client)[0]
        return {
            "chat": ("chat/completions", openai_api.chat(name, "hello")),
            "embed": ("embeddings", openai_api.embedding(name, "hello")),
            "rerank": ("rerank", openai_api.rerank(name, "hello")),
        }.get(self.tasks.get(name, "chat"), ("models", {}))


@dataclass(frozen=True)
class Client:
    """One program with its key.

    Attributes:
        rate: requests a second.
        streams: requests open at a time.
        answers: those that one request may ask for.
        expires: the last day of its key, as ``2030-12-31`` (UTC); empty for none.
        models: those that it may use; all where it is empty.
    """

    name: str
    key: str
    rate: int
    streams: int
    answers: int
    expires: str = ""
    models: tuple[str, ...] = ()

    def has_ended(self, today: datetime.date) -> bool:
        return bool(self.expires) and datetime.date.fromisoformat(self.expires) < today


@dataclass(frozen=True)
class Tried:
    """What a client got."""

    client: Client
    has_ended: bool
    detail: str
    is_right: bool


def files(api: Api, client: Client) -> dict[str, str]:
    """Return the files with which a program asks the model, by name; all but the authority's are secret."""
    authority = {AUTHORITY_NAME: api.authority} if api.authority else {}
    return {
        **authority,
        ENVIRONMENT_NAME: _environment(api, client),
        JSON_NAME: _json(api, client),
        CURL_NAME: _curl(api, client),
    }


def _environment(api: Api, client: Client) -> str:
    lines = [
        f"# For {client.name}, to ask the model at {api.url}. Keep it secret.",
        f"OPENAI_BASE_URL={api.url}",
        f"OPENAI_API_KEY={client.key}",
        f"OPENAI_MODEL={api.models_of(client)[0]}",
    ]
    if api.authority:
        lines += [
            f"# Where {AUTHORITY_NAME} is; by these names Python's and Node.js's libraries and curl look for it.",
            *(f"{name}={AUTHORITY_NAME}" for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")),
        ]
    return "\n".join(lines) + "\n"


def _json(api: Api, client: Client) -> str:
    content = {
        "name": client.name,
        "base_url": api.url,
        "api_key": client.key,
        "models": list(api.models_of(client)),
        "ca_file": AUTHORITY_NAME if api.authority else None,
        "timeout": CONNECT_SECONDS,
        "max_retries": RETRIES,
        "rate": client.rate,
        "streams": client.streams,
        "answers": client.answers,
        "expires": client.expires or None,
    }
    return json.dumps(content, indent=2) + "\n"


def _curl(api: Api, client: Client) -> str:
    """Return settings of curl: the key stands in no command, which others could read."""
    path, body = api.question(client)
    settings = {
        "url": f"{api.url}/{path}",
        **({"data": json.dumps(body, ensure_ascii=False)} if body else {}),
        "connect-timeout": str(CONNECT_SECONDS),
        "retry": str(RETRIES),
    }
    if api.authority:
        settings["cacert"] = AUTHORITY_NAME
    lines = [f"# In this folder: curl --config {CURL_NAME}"]
    lines += [
        f'header = "{header}"' for header in (f"Authorization: Bearer {client.key}", "Content-Type: application/json")
    ]
    lines += [f"{name} = {_quoted(value)}" for name, value in settings.items()]
    return "\n".join([*lines, "silent", "show-error"]) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def judge(client: Client, status: int, said: str, today: datetime.date) -> Tried:
    """Judge what a client got.

    Args:
        status: of HTTP, 0 where there was no answer.
        said: by the program that asked, where there was none.
    """
    has_ended = client.has_ended(today)
    wanted = 401 if has_ended else 200
    if status == wanted:
        return Tried(client, has_ended, "refused, for it has ended" if has_ended else "an answer", True)
    return Tried(client, has_ended, f"found {f'status {status}' if status else said}, wanted {wanted}", False)


def table(tried: Sequence[Tried], log: Log) -> str:
    """Return clients as a table for a terminal, without their keys.

    Args:
        log: what they have asked.
    """
    head = ("client", "key", "rate", "streams", "last day", "requests", "errors", "MB", "last asked", "tried")
    rows = [
        (
            one.client.name,
            f"{one.client.key[:11]}...",
            f"{one.client.rate}/s",
            str(one.client.streams),
            one.client.expires or "-",
            *_used(log.clients.get(one.client.name, Usage())),
            one.detail if one.is_right else f"FAILED: {one.detail}",
        )
        for one in tried
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip() for row in (head, *rows)]
    since = [f"requests since {log.since} UTC, as far as the edge's log was read"] if log.since else []
    return "\n".join([*lines, *since])


def _used(usage: Usage) -> tuple[str, str, str, str]:
    return str(usage.requests), str(usage.errors), f"{usage.bytes / 1e6:.1f}", usage.last or "-"


def warnings(tried: Sequence[Tried], log: Log) -> list[str]:
    """Say which keys nobody needs any more, by what is known."""
    ended = [one.client for one in tried if one.has_ended]
    unused = [one.client.name for one in tried if not one.has_ended and one.client.name not in log.clients]
    found = [
        f"the key of {one.name} has ended on {one.expires}; set another last day, or take {one.name} out of "
        "gpuchat_api_keys"
        for one in ended
    ]
    if log.since and unused:
        found.append(
            f"{', '.join(unused)}: no request since {log.since} UTC, as far as the edge's log was read; take those out "
            "of gpuchat_api_keys whose keys nobody needs"
        )
    return found
