# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.verify.openai_api import (
    WEATHER_TOOL,
    chat,
    judge_completion,
    judge_error,
    judge_models,
    judge_rerank,
    judge_stream,
    judge_tool_call,
    rerank,
)
from hypothesis import given
from hypothesis import strategies as st


def test_a_question_is_asked_at_temperature_0_and_with_the_tool_only_where_wanted():
    assert chat("m", "hello", stream=True) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0,
        "max_tokens": 2048,
        "stream": True,
    }
    with_tool = chat("m", "hello", tool=True)
    assert (with_tool["tools"], with_tool["tool_choice"], with_tool["stream"]) == ([WEATHER_TOOL], "auto", False)


def models(*names):
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        pytest.param(models("other", "qwen"), None, id="it is there"),
        pytest.param(models("other"), "found the models ['other'], wanted qwen among them", id="another model"),
        pytest.param(models(), "found the models [], wanted qwen among them", id="no model"),
        pytest.param({"data": []}, 'found {"data": []}, wanted a list of models', id="no list object"),
        pytest.param(None, "found null, wanted a list of models", id="no JSON"),
    ],
)
def test_the_list_of_models_is_judged(answer, word):
    assert judge_models(answer, ("qwen",)) == word


def test_a_long_answer_is_cut_in_the_message():
    assert judge_models("x" * 400, ("qwen",)) == f'found "{"x" * 299}..., wanted a list of models'


def completion(**message):
    return {"choices": [{"message": {"role": "assistant", **message}}]}


@pytest.mark.parametrize(
    ("answer", "expected", "word"),
    [
        pytest.param(completion(content="Hello!"), "Hello!", None, id="word for word"),
        pytest.param(completion(content=" Hello!\n"), "Hello!", None, id="but for blanks around it"),
        pytest.param(completion(content="Anything"), "", None, id="any text"),
        pytest.param(
            completion(content="hello!"), "Hello!", "found the answer 'hello!', wanted 'Hello!'", id="another text"
        ),
        pytest.param(
            completion(content=" "),
            "",
            'found no text in {"choices": [{"message": {"role": "assistant", "content": " "}}]}, wanted \'an answer\'',
            id="blank",
        ),
        pytest.param({"choices": []}, "Hi", "found no text in {\"choices\": []}, wanted 'Hi'", id="no choice"),
        pytest.param({"error": "x"}, "Hi", 'found no text in {"error": "x"}, wanted \'Hi\'', id="an error"),
    ],
)
def test_a_completion_is_judged(answer, expected, word):
    assert judge_completion(answer, expected) == word


def call(arguments, name="get_weather"):
    return completion(
        content=None, tool_calls=[{"type": "function", "function": {"name": name, "arguments": arguments}}]
    )


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        pytest.param(call('{"city": "Paris"}'), None, id="the wanted call"),
        pytest.param(
            completion(content='<tool_call>{"name": "get_weather"}</tool_call>'),
            'found no tool call in {"choices": [{"message": {"role": "assistant", "content": '
            '"<tool_call>{\\"name\\": \\"get_weather\\"}</tool_call>"}}]}, wanted one of get_weather',
            id="parser off: it stands in the text",
        ),
        pytest.param(call("{city"), "found the arguments '{city', wanted JSON", id="arguments cut off"),
        pytest.param(
            call('"Paris"'), "found a call of get_weather with Paris, wanted get_weather with a city", id="no object"
        ),
        pytest.param(call("{}"), "found a call of get_weather with {}, wanted get_weather with a city", id="no city"),
        pytest.param(
            call('{"city": "Paris"}', "get_time"),
            "found a call of get_time with {'city': 'Paris'}, wanted get_weather with a city",
            id="another tool",
        ),
    ],
)
def test_a_tool_call_is_judged(answer, word):
    assert judge_tool_call(answer) == word


def chunk(text):
    return "data: " + json.dumps({"choices": [{"delta": {"content": text}}]})


def stream(*times, text=("He", "ll", "o!"), end="data: [DONE]"):
    """Return the lines of a stream whose chunks arrive at some times (seconds)."""
    first = (times[0], 'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}')
    lines = [first, *map(lambda at, part: (at, chunk(part)), times, text)]
    return [*lines, *([(times[-1], end)] if end else [])]


def scored(*numbers):
    return {"results": [{"index": number, "relevance_score": 0.9 - at / 2} for at, number in enumerate(numbers)]}


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (scored(0, 1), None),
        (scored(1, 0), "wanted the question itself, document 0, before something else"),
        ({"results": [{"relevance_score": 0.9}]}, "wanted the question itself"),
        ({"results": [{"index": 0, "relevance_score": "high"}]}, "wanted a score for each document"),
        ({"results": []}, "wanted a score for each document"),
    ],
    ids=["the question is best", "the question is last", "no numbers", "no score", "nothing"],
)
def test_scores_are_judged_by_the_question_that_is_among_the_documents(answer, word):
    assert rerank("m", "who?")["documents"][0] == "who?"
    found = judge_rerank(answer)
    assert found is None if word is None else word in found


@pytest.mark.parametrize(
    ("lines", "expected", "word"),
    [
        pytest.param(stream(0.2, 0.6, 1.0), "Hello!", None, id="chunks apart in time"),
        pytest.param(stream(0.7, 0.9, 1.0), "", None, id="just apart enough"),
        pytest.param(
            stream(1.0, 1.0, 1.001),
            "",
            "found 3 chunks in 2 arrivals within 1 ms of 1001 ms, wanted chunks that arrive apart in time",
            id="a proxy collected them",
        ),
        pytest.param(
            stream(0.1, 1.0, text=("Hel", "lo!")),
            "",
            "found 2 chunks in 2 arrivals within 900 ms of 1000 ms, wanted chunks that arrive apart in time",
            id="too few to tell",
        ),
        pytest.param(
            stream(0.2, 0.6, 1.0),
            "Good day",
            "found the streamed text 'Hello!', wanted 'Good day'",
            id="another text",
        ),
        pytest.param(stream(0.1, text=("",)), "", "found the streamed text '', wanted 'an answer'", id="no text"),
        pytest.param(
            stream(0.2, 0.6, end=""),
            "",
            'found 3 events and no closing [DONE], wanted a whole stream; last: "data: '
            '{\\"choices\\": [{\\"delta\\": {\\"content\\": \\"ll\\"}}]}"',
            id="cut off",
        ),
        pytest.param(
            [(0.1, '{"error": "x"}')],
            "",
            'found 0 events and no closing [DONE], wanted a whole stream; last: "{\\"error\\": \\"x\\"}"',
            id="an error in its place",
        ),
        pytest.param(
            [], "", "found 0 events and no closing [DONE], wanted a whole stream; last: nothing", id="nothing at all"
        ),
    ],
)
def test_a_stream_is_judged_by_its_text_and_by_when_its_chunks_arrive(lines, expected, word):
    assert judge_stream(lines, 0.0, expected) == word


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        pytest.param({"error": {"message": "no", "type": "authentication_error"}}, None, id="OpenAI's form"),
        pytest.param(
            {"error": "Unauthorized"},
            'found {"error": "Unauthorized"}, wanted an error in OpenAI\'s JSON form',
            id="a text",
        ),
        pytest.param(
            {"error": {"message": "no"}},
            'found {"error": {"message": "no"}}, wanted an error in OpenAI\'s JSON form',
            id="no type",
        ),
        pytest.param(None, "found null, wanted an error in OpenAI's JSON form", id="no JSON"),
    ],
)
def test_an_error_is_judged(answer, word):
    assert judge_error(answer) == word


names = st.sampled_from(
    ["choices", "message", "content", "tool_calls", "function", "arguments", "delta", "data", "object", "error"]
)
anything = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3),
)


@pytest.mark.parametrize(
    "judge", [judge_completion, judge_tool_call, judge_error, lambda answer: judge_models(answer, ("m",))]
)
@given(anything)
def test_no_answer_makes_a_judge_stumble(judge, answer):
    assert judge(answer) is None or isinstance(judge(answer), str)


@given(anything)
def test_no_event_makes_the_streams_judge_stumble(event):
    assert isinstance(judge_stream([(0.1, "data: " + json.dumps(event)), (0.2, "data: [DONE]")], 0.0), str)


@pytest.mark.parametrize("calls", [[None], ["x"], [{}], [{"function": None}], [{"function": "x"}]], ids=str)
def test_a_tool_call_of_no_form_is_a_wrong_answer(calls):
    assert isinstance(judge_tool_call(completion(tool_calls=calls)), str)


@pytest.mark.parametrize("choices", [[None], ["x"], {"a": 1}, "x", [{"delta": "x"}], [{"delta": None}]], ids=str)
def test_a_chunk_of_no_form_has_no_text(choices):
    line = "data: " + json.dumps({"choices": choices})
    assert judge_stream([(0.1, line), (0.2, "data: [DONE]")], 0.0) == "found the streamed text '', wanted 'an answer'"
