# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks an engine the questions of a trial."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Mapping

from ..core import host
from ..verify import openai_api
from .engines import Engine
from .trial import LONGEST_TOKENS, QUESTIONS, Answer, Trial, judge

QUESTION_SECONDS = 60.0
TRIAL_SECONDS = 120.0


def ask(engine: Engine) -> Trial | None:
    """Return what an engine's answers show; None where it does not chat, or does not answer in time."""
    if engine.task != "chat":
        return None
    answers, end = [], time.monotonic() + TRIAL_SECONDS
    for question, _sign in QUESTIONS:
        answer = _ask(engine, question, min(QUESTION_SECONDS, end - time.monotonic()))
        if answer is None:
            return None
        answers.append(answer)
    return judge(answers)


def _ask(engine: Engine, question: str, seconds: float) -> Answer | None:
    if seconds <= 0:
        return None
    body = openai_api.chat(engine.name, question, max_tokens=LONGEST_TOKENS)
    body["chat_template_kwargs"] = {"enable_thinking": False}  # which other models' templates do not look at
    begin = time.monotonic()
    url = f"{engine.socket_url}/v1/chat/completions"
    answer = host.http(url, "POST", _headers(engine), json.dumps(body).encode(), seconds, direct=True)
    if answer.status != 200:
        return None
    return _read(answer.json(), time.monotonic() - begin)


def _headers(engine: Engine) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    path = pathlib.Path(engine.folder, "api_key")
    if path.is_file():
        headers["Authorization"] = f"Bearer {path.read_text(encoding='utf-8').strip()}"
    return headers


def _read(found: object, seconds: float) -> Answer | None:
    try:
        text = found["choices"][0]["message"]["content"]  # type: ignore[index]
    except (KeyError, IndexError, TypeError):
        return None
    usage = found.get("usage") if isinstance(found, Mapping) else None
    tokens = usage.get("completion_tokens") if isinstance(usage, Mapping) else 0
    return Answer(text if isinstance(text, str) else "", tokens if isinstance(tokens, int) else 0, seconds)
