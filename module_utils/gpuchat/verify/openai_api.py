# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an OpenAI-compatible endpoint is asked, and whether its answers are right.

Each judge returns None for a right answer, else one sentence on what was found and what was wanted.
Source of the shapes: OpenAI's API reference for models, chat completions and embeddings, as vLLM serves them; and of
vLLM's own documentation for ``/v1/rerank``, which has the form of Jina's and Cohere's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Json = dict[str, object]

WEATHER_TOOL: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name of the city"}},
            "required": ["city"],
        },
    },
}
WEATHER_QUESTION = "What is the weather in Paris?"

STREAM_SPREAD = 0.2
"""Share of the whole time over which a stream's chunks must be spread; a buffering proxy holds a short answer whole."""

STREAM_ATTEMPTS = 6
"""How often a stream is asked for until one passes: a busy machine may hand on a whole one at once."""

CHUNKS_PER_ARRIVAL = 8
"""Chunks that may arrive together on average; a buffering proxy hands on 4 to 8 kB, some 16 chunks or more, at once."""

APART_SECONDS = 0.0005
"""Silence after which a chunk counts as an arrival of its own."""


def chat(model: str, question: str, *, stream: bool = False, tool: bool = False, max_tokens: int = 2048) -> Json:
    """Return the body of a chat completion request, at temperature 0."""
    body: Json = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": max_tokens,
        "stream": stream,
    }
    if tool:
        body["tools"] = [WEATHER_TOOL]
        body["tool_choice"] = "auto"
    return body


def embedding(model: str, text: str) -> Json:
    """Return the body of a request for a text's vector."""
    return {"model": model, "input": text}


def rerank(model: str, question: str) -> Json:
    """Return the body of a request that puts documents in order."""
    return {"model": model, "query": question, "documents": [question, "something else"]}


def judge_models(answer: object, models: Sequence[str]) -> str | None:
    """Judge the answer to ``GET /v1/models``, among which each of some models must be."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or answer.get("object") != "list" or not isinstance(data, list):
        return f"found {_short(answer)}, wanted a list of models"
    names = [entry.get("id") for entry in data if isinstance(entry, dict)]
    missing = [model for model in models if model not in names]
    return f"found the models {names}, wanted {', '.join(missing)} among them" if missing else None


def judge_completion(answer: object, expected: str = "") -> str | None:
    """Judge a chat completion; an empty ``expected`` accepts any text."""
    text = _message(answer).get("content")
    if not isinstance(text, str) or not text.strip():
        return f"found no text in {_short(answer)}, wanted {expected or 'an answer'!r}"
    if expected and text.strip() != expected.strip():
        return f"found the answer {text!r}, wanted {expected!r}"
    return None


def judge_embedding(answer: object) -> str | None:
    """Judge the answer to ``POST /v1/embeddings``."""
    vector = _first(answer, "data").get("embedding")
    if not isinstance(vector, list) or not vector or not all(_is_number(one) for one in vector):
        return f"found {_short(answer)}, wanted a vector of numbers"
    return None


def judge_rerank(answer: object) -> str | None:
    """Judge the answer to ``POST /v1/rerank``, whose first document is the question itself."""
    best = _first(answer, "results")
    if not _is_number(best.get("relevance_score")):
        return f"found {_short(answer)}, wanted a score for each document"
    if best.get("index") != 0:
        return f"found {_short(answer)}, wanted the question itself, document 0, before something else"
    return None


def judge_tool_call(answer: object) -> str | None:
    """Judge the answer to the weather question with the weather tool."""
    calls = _message(answer).get("tool_calls")
    if not isinstance(calls, list) or not calls:
        return f"found no tool call in {_short(answer)}, wanted one of get_weather"
    function = calls[0].get("function") if isinstance(calls[0], dict) else None
    if not isinstance(function, dict):
        return f"found the tool call {_short(calls[0])}, wanted one of get_weather"
    try:
        arguments = json.loads(str(function.get("arguments")))
    except ValueError:
        return f"found the arguments {function.get('arguments')!r}, wanted JSON"
    if function.get("name") != "get_weather" or not isinstance(arguments, dict) or "city" not in arguments:
        return f"found a call of {function.get('name')} with {arguments}, wanted get_weather with a city"
    return None


def judge_stream(lines: Sequence[tuple[float, str]], started: float, expected: str = "") -> str | None:
    """Judge a streamed chat completion.

    Args:
        lines: server-sent event lines with their arrival times (seconds).
        started: when the request was sent, on the same clock.
        expected: the whole text, or empty for any.
    """
    events = [(at, line[6:]) for at, line in lines if line.startswith("data: ")]
    text, arrivals, is_whole = text_and_arrivals(lines)
    if not is_whole:
        last = _short(lines[-1][1]) if lines else "nothing"
        return f"found {len(events)} events and no closing [DONE], wanted a whole stream; last: {last}"
    if not text.strip() or (expected and text.strip() != expected.strip()):
        return f"found the streamed text {text!r}, wanted {expected or 'an answer'!r}"
    return judge_arrivals(arrivals, started)


def text_and_arrivals(lines: Sequence[tuple[float, str]]) -> tuple[str, list[float], bool]:
    """Return the text of a stream, when its pieces arrived, and whether it came to its end."""
    events = [(at, line[6:]) for at, line in lines if line.startswith("data: ")]
    if not events or events[-1][1].strip() != "[DONE]":
        return "", [], False
    text, arrivals = "", []
    for at, data in events[:-1]:
        text += _delta(data, "content")
        if any(_delta(data, key) for key in ("content", "reasoning", "reasoning_content")):
            arrivals.append(at)
    return text, arrivals, True


def judge_arrivals(arrivals: Sequence[float], started: float, together: int = CHUNKS_PER_ARRIVAL) -> str | None:
    """Judge whether the pieces of an answer arrived apart in time, as where nothing on the way collects them.

    Args:
        together: chunks that may arrive at once on average.
    """
    spread, whole = arrivals[-1] - arrivals[0], arrivals[-1] - started
    apart = 1 + sum(later - earlier > APART_SECONDS for earlier, later in zip(arrivals, arrivals[1:]))
    if apart < max(3, len(arrivals) / together) or spread < STREAM_SPREAD * whole:
        return (
            f"found {len(arrivals)} chunks in {apart} arrivals within {spread * 1000:.0f} ms of {whole * 1000:.0f} ms, "
            "wanted chunks that arrive apart in time"
        )
    return None


def judge_error(answer: object) -> str | None:
    """Judge whether an error has OpenAI's JSON form."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str) and "type" in error:
        return None
    return f"found {_short(answer)}, wanted an error in OpenAI's JSON form"


def _delta(data: str, key: str) -> str:
    try:
        delta = json.loads(data)["choices"][0]["delta"][key]
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
    return delta if isinstance(delta, str) else ""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _first(answer: object, key: str) -> Mapping[str, object]:
    entries = answer.get(key) if isinstance(answer, dict) else None
    first = entries[0] if isinstance(entries, list) and entries else None
    return first if isinstance(first, dict) else {}


def _message(answer: object) -> Mapping[str, object]:
    try:
        message = answer["choices"][0]["message"]  # type: ignore[index]
    except (KeyError, IndexError, TypeError):
        return {}
    return message if isinstance(message, dict) else {}


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 300 else text[:300] + "..."
