# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks one OpenAI-compatible endpoint for models and for what its model is there for: answers, vectors, scores."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Callable, Mapping

from ..core import host
from ..core.errors import Refusal, Unhealthy
from . import openai_api


def ensure(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Check the endpoint that a module's parameters name, and return the module's result with ``failures``.

    Raises:
        Refusal: the address is no API's.
        Unhealthy: with what does not answer as wanted.
    """
    url = str(params["url"])
    if not url.endswith("/v1"):
        raise Refusal(f"found the address {url}; wanted one that ends in /v1; set url")
    if check:
        return {"changed": False, "not_predicted": [f"the answers of {url}: check mode asks nothing"]}
    checks = {"models": lambda: _models(params), **_checks_of_its_task(params)}
    failures = {name: word for name, ask in checks.items() if (word := ask()) is not None}
    result: dict[str, object] = {"changed": False, "checked": list(checks), "failures": failures}
    if failures:
        words = "; ".join(f"{name}: {word}" for name, word in failures.items())
        raise Unhealthy(f"{url} does not answer as wanted: {words}", **result)
    return result


def _checks_of_its_task(params: Mapping[str, object]) -> dict[str, Callable[[], str | None]]:
    task = params.get("task") or "chat"
    if task == "embed":
        return {"embedding": lambda: _embedding(params)}
    if task == "rerank":
        return {"rerank": lambda: _rerank(params)}
    if task == "transcribe":  # what it is to write down would have to be sent to it
        return {}
    checks: dict[str, Callable[[], str | None]] = {"completion": lambda: _completion(params)}
    if params["stream"]:
        checks["stream"] = lambda: _stream(params)
    if params["tool_call"]:
        checks["tool_call"] = lambda: _tool_call(params)
    return checks


def _embedding(params: Mapping[str, object]) -> str | None:
    answer = _post(params, openai_api.embedding(str(params["model"]), str(params["question"])), "embeddings")
    return _refused(answer) or openai_api.judge_embedding(answer.json())


def _rerank(params: Mapping[str, object]) -> str | None:
    answer = _post(params, openai_api.rerank(str(params["model"]), str(params["question"])), "rerank")
    return _refused(answer) or openai_api.judge_rerank(answer.json())


def _models(params: Mapping[str, object]) -> str | None:
    answer = host.http(f"{params['url']}/models", headers=_headers(params), timeout=30, direct=True)
    return _refused(answer) or openai_api.judge_models(answer.json(), (str(params["model"]),))


def _completion(params: Mapping[str, object]) -> str | None:
    answer = _post(params, openai_api.chat(str(params["model"]), str(params["question"])))
    return _refused(answer) or openai_api.judge_completion(answer.json(), str(params["answer"] or ""))


def _tool_call(params: Mapping[str, object]) -> str | None:
    answer = _post(params, openai_api.chat(str(params["model"]), openai_api.WEATHER_QUESTION, tool=True))
    return _refused(answer) or openai_api.judge_tool_call(answer.json())


def _stream(params: Mapping[str, object]) -> str | None:
    """Judge a stream, and another where a busy machine may have spoilt its timing."""
    word = _one_stream(params)
    for _attempt in range(openai_api.STREAM_ATTEMPTS - 1):
        if word is None:
            break
        word = _one_stream(params)
    return word


def _one_stream(params: Mapping[str, object]) -> str | None:
    body = json.dumps(openai_api.chat(str(params["model"]), str(params["question"]), stream=True)).encode()
    started = time.monotonic()
    try:
        with host.http_lines(f"{params['url']}/chat/completions", _headers(params), body, _timeout(params)) as lines:
            return openai_api.judge_stream(list(lines), started, str(params["answer"] or ""))
    except OSError as error:
        return f"the stream failed: {error}"


def _post(params: Mapping[str, object], body: Mapping[str, object], path: str = "chat/completions") -> host.Response:
    url = f"{params['url']}/{path}"
    return host.http(url, "POST", _headers(params), json.dumps(body).encode(), _timeout(params), direct=True)


def _timeout(params: Mapping[str, object]) -> float:
    return float(str(params["timeout"]))


def _headers(params: Mapping[str, object]) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if params["api_key_file"]:
        key = pathlib.Path(str(params["api_key_file"])).read_text(encoding="utf-8").strip()
        headers["Authorization"] = f"Bearer {key}"
    return headers


def _refused(answer: host.Response) -> str | None:
    if answer.status == 200:
        return None
    return f"found status {answer.status or answer.error}, wanted 200: {answer.body[:300].decode(errors='replace')}"
