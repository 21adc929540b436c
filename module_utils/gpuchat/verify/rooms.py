# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By which paths a person signs in to an interface, asks the model there, and signs out; and how its answers stream.

Read in the sources of LobeHub 2.1.26 (its routes under ``webapi`` and ``api/auth``, and its streams' protocol) and of
Open WebUI 0.12.4 (``routers/auths.py``, ``main.py``).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import openai_api

LOBEHUB, OPEN_WEBUI = "lobehub", "open_webui"


@dataclass(frozen=True)
class Room:
    """An interface as a person's browser uses it, each place by its path.

    Attributes:
        page: shows the form for signing in.
        sign_up: where somebody would make an account by themselves.
        chat: takes a question and streams the answer.
        session: is answered to those alone who are signed in.
        attacks: are refused to people who are signed in too, beside what is closed to everybody.
        files: a person's file, which nobody else reads; empty where there is no such path.
        forged: a header that the interface's own server believes of whoever sends it; empty where there is none.
        spoiled: the same in a form that it cannot read, so that its answer shows whether it was handed on.
    """

    name: str
    service: str
    page: str
    sign_in: str
    sign_out: str
    sign_up: tuple[str, ...]
    chat: str
    session: str
    attacks: tuple[str, ...] = ()
    files: str = ""
    forged: str = ""
    spoiled: str = ""


def _hidden(claims: Mapping[str, str]) -> str:
    """Return what LobeHub's page says of its user, in the form that its server reads: anybody can write it."""
    said, over = json.dumps(claims).encode(), "LobeHub \u00b7 LobeHub".encode()
    return base64.b64encode(bytes(one ^ over[at % len(over)] for at, one in enumerate(said))).decode()


NOBODYS_PLACE = {"userId": "nobody", "apiKey": "x", "baseURL": "http://127.0.0.1:9/v1"}
"""Somebody else's account, with a key and an address of the sender's own."""

ROOMS: Mapping[str, Room] = {
    LOBEHUB: Room(
        name="LobeHub",
        service="gpuchat-lobehub",
        page="signin",
        sign_in="api/auth/sign-in/email",
        sign_out="api/auth/sign-out",
        sign_up=("api/auth/sign-up/email", "signup"),
        chat="webapi/chat/vllm",
        session="trpc/lambda/user.getUserRegistrationDuration",
        attacks=(
            "trpc/lambda/aiProvider.updateAiProviderConfig",
            "trpc/lambda/user.getUserState,aiProvider.updateAiProviderConfig?batch=1",
            "trpc/lambda/aiProvider%2EupdateAiProviderConfig",
            "webapi/chat/openai",
            "webapi/proxy",
        ),
        files="gpuchat-files/x",
        forged=f"X-lobe-chat-auth: {_hidden(NOBODYS_PLACE)}",
        spoiled="X-lobe-chat-auth: AA==",  # a letter and not JSON, once it is read
    ),
    OPEN_WEBUI: Room(
        name="Open WebUI",
        service="gpuchat-open-webui",
        page="auth",
        sign_in="api/v1/auths/signin",
        sign_out="api/v1/auths/signout",
        sign_up=("api/v1/auths/signup",),
        chat="api/chat/completions",
        session="api/v1/configs/banners",
        attacks=(
            "openai/config",
            "openai/config/update",
            "ollama/config",
            "api/v1/functions/create",
            "api/v1/utils/db/download",
        ),
    ),
}


def question(model: str, text: str, max_tokens: int = 2048) -> openai_api.Json:
    """Return the body of a question as the page asks it; both take OpenAI's form."""
    return openai_api.chat(model, text, stream=True, max_tokens=max_tokens)


def text_and_arrivals(kind: str, lines: Sequence[tuple[float, str]]) -> tuple[str, list[float], bool]:
    """Return the text of a stream, when its pieces arrived, and whether it came to its end.

    LobeHub streams events of its own (``event: text`` and a JSON text as data), Open WebUI hands on OpenAI's.
    """
    if kind != LOBEHUB:
        return openai_api.text_and_arrivals(lines)
    text, arrivals, event, is_whole = "", [], "", False
    for at, line in lines:
        if line.startswith("event:"):
            event = line[6:].strip()
        elif line.startswith("data:") and event in ("text", "reasoning"):
            piece = _text(line[5:])
            text += piece if event == "text" else ""
            arrivals += [at] if piece else []
        is_whole = (is_whole or event in ("stop", "usage")) and event != "error"
    return text, arrivals, is_whole


def _text(data: str) -> str:
    try:
        piece = json.loads(data)
    except ValueError:
        return ""
    return piece if isinstance(piece, str) else ""


GATHERED = {OPEN_WEBUI: 64}
"""Chunks that an interface hands on together by itself: Open WebUI's server does on a busy machine (seen: 40)."""


def judge_stream(kind: str, lines: Sequence[tuple[float, str]], started: float) -> str | None:
    """Judge the answer that a person's browser gets: a whole one, in pieces that arrive apart in time."""
    text, arrivals, is_whole = text_and_arrivals(kind, lines)
    if not is_whole:
        last = lines[-1][1][:300] if lines else "nothing"
        return f"found no end of the answer, wanted a whole stream; last: {last}"
    if not text.strip():
        return f"found the streamed text {text!r}, wanted an answer"
    return openai_api.judge_arrivals(arrivals, started, GATHERED.get(kind, openai_api.CHUNKS_PER_ARRIVAL))
