# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import random

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.load import work
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.load.work import Ask, Event, Scale, Target

MODELS = [
    {"name": "vectors", "task": "embed", "hosts": ["a"], "endpoint": ""},
    {"name": "qwen", "task": "auto", "hosts": ["a", "b"], "endpoint": ""},
    {"name": "theirs", "task": "chat", "hosts": [], "endpoint": "lmstudio"},
]
SERVED = [
    {"name": "vectors", "task": "embed", "context": 512},
    {"name": "qwen", "task": "chat", "context": 4096},
    {"name": "theirs", "task": "chat", "context": None},
]
NAMES = [["qwen", "default"], ["vectors"], ["theirs"]]
QWEN = Target("qwen", "qwen", ("a", "b"), "", 4096)
OPTIONS = {"users": 4, "seconds": None, "prompt_tokens": 256, "answer_tokens": 128, "shared_prefix": False}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        pytest.param("", QWEN, id="the first that chats"),
        pytest.param("qwen", QWEN, id="by name"),
        pytest.param("default", Target("default", "qwen", ("a", "b"), "", 4096), id="by an alias"),
        pytest.param("theirs", Target("theirs", "theirs", (), "lmstudio", None), id="somebody else's"),
    ],
)
def test_a_model_is_chosen(name, target):
    assert work.choose(MODELS, SERVED, name, NAMES) == target


@pytest.mark.parametrize(
    ("models", "name", "words"),
    [
        (MODELS, "qwenn", "found no model qwenn; wanted one of qwen, theirs; did you mean qwen?; set load_model"),
        (MODELS, "vectors", "is there for the task embed; wanted a model that chats"),
        (MODELS[:1], "", "found no model that chats; wanted one"),
    ],
)
def test_a_model_that_cannot_be_asked_is_refused(models, name, words):
    with pytest.raises(Refusal) as refusal:
        work.choose(models, SERVED, name)
    assert words in str(refusal.value)


def test_a_load_has_bounds_by_itself():
    made = work.wish(OPTIONS, (), QWEN)
    assert (made.users, made.seconds, made.prompt_tokens, made.answer_tokens) == (4, 30, 256, 128)


def test_a_trace_is_as_long_as_its_last_request():
    trace = (Ask(0, 10, "hello"), Ask(12.5, 10, "hello"))
    assert work.wish(OPTIONS, trace, QWEN).seconds == 14
    assert work.wish({**OPTIONS, "seconds": 5}, trace, QWEN).seconds == 5
    assert work.wish(OPTIONS, (Ask(9999, 10, "hello"),), QWEN).seconds == 3600


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"users": 501}, "found load_users 501; wanted a whole number from 1 to 500; set load_users to one"),
        ({"users": 0}, "load_users 0"),
        ({"seconds": 3601}, "found load_seconds 3601; wanted a whole number from 1 to 3600"),
        ({"seconds": 0}, "load_seconds 0"),
        ({"answer_tokens": 0}, "load_answer_tokens 0"),
        (
            {"prompt_tokens": 4000},
            "with 4,128 tokens together; wanted at most 4,096, which qwen holds; set load_prompt",
        ),
    ],
)
def test_a_load_without_a_bound_is_refused(options, words):
    with pytest.raises(Refusal) as refusal:
        work.wish({**OPTIONS, **options}, (), QWEN)
    assert words in str(refusal.value)


def test_a_request_of_a_trace_that_the_model_cannot_hold_is_refused():
    with pytest.raises(Refusal, match="a request of the trace with 5,100 tokens"):
        work.wish(OPTIONS, (Ask(0, 100, prompt_tokens=5000),), QWEN)


def test_a_trace_is_read_in_the_order_of_its_times():
    text = '{"at": 1.5, "prompt_tokens": 7, "answer_tokens": 3}\n\n{"at": 0, "prompt": "hi", "answer_tokens": 5}\n'
    assert work.read_trace(text, "t") == (Ask(0.0, 5, "hi"), Ask(1.5, 3, "", 7))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "found no JSON ("),
        ("7", "found 7 in line 2 of t.jsonl; wanted an object"),
        ('{"at": 1, "prompt": "x", "answer_tokens": 1, "model": "y"}', "found the name model"),
        ('{"prompt": "x", "answer_tokens": 1}', "found at: null"),
        ('{"at": -1, "prompt": "x", "answer_tokens": 1}', "found at: -1"),
        ('{"at": 1e999, "prompt": "x", "answer_tokens": 1}', "found at: Infinity"),
        ('{"at": "1", "prompt": "x", "answer_tokens": 1}', 'found at: "1"'),
        ('{"at": true, "prompt": "x", "answer_tokens": 1}', "found at: true"),
        ('{"at": 1, "answer_tokens": 1}', "found neither prompt nor prompt_tokens"),
        ('{"at": 1, "prompt": "x", "prompt_tokens": 2, "answer_tokens": 1}', "found both prompt and prompt_tokens"),
        ('{"at": 1, "prompt": "", "answer_tokens": 1}', 'found prompt: ""'),
        ('{"at": 1, "prompt_tokens": 0, "answer_tokens": 1}', "found prompt_tokens: 0"),
        ('{"at": 1, "prompt": "x"}', "found answer_tokens: null"),
        ('{"at": 1, "prompt": "x", "answer_tokens": 2000000}', "found answer_tokens: 2000000"),
    ],
)
def test_a_line_of_a_trace_that_is_no_request_is_refused_with_its_number(line, words):
    with pytest.raises(Refusal) as refusal:
        work.read_trace('{"at": 0, "prompt": "x", "answer_tokens": 1}\n' + line, "t.jsonl")
    text = str(refusal.value)
    assert words in text
    assert "in line 2 of t.jsonl; wanted " in text
    assert "; set load_trace to a file of such lines" in text


@pytest.mark.parametrize(("text", "words"), [("", "found no requests"), ("\n \n", "found no requests")])
def test_an_empty_trace_is_refused(text, words):
    with pytest.raises(Refusal, match=words):
        work.read_trace(text, "t.jsonl")


def test_a_trace_has_a_bound(monkeypatch):
    monkeypatch.setattr(work, "MOST_LINES", 2)
    with pytest.raises(Refusal, match="found 3 requests in t.jsonl; wanted 1 to 2"):
        work.read_trace('{"at": 0, "prompt": "x", "answer_tokens": 1}\n' * 3, "t.jsonl")


def test_traces_that_differ_are_other_work():
    one, other = (work.wish(OPTIONS, (Ask(0, tokens, "hi"),), QWEN).as_dict() for tokens in (5, 6))
    assert one != other


def test_prompts_begin_otherwise_so_that_no_prefix_cache_knows_them():
    pick = random.Random(7).randrange
    prompts = [work.prompt(50, pick) for _number in range(20)]
    assert len({" ".join(one.split()[:4]) for one in prompts}) == 20
    assert all(one.endswith(work.TASK) for one in prompts)
    assert all(len(one.split()) == 50 + len(work.TASK.split()) for one in prompts)


def test_prompts_begin_alike_where_that_is_wanted():
    pick = random.Random(7).randrange
    one, other = (work.prompt(50, pick, shared=40).split() for _number in range(2))
    assert one[:40] == other[:40]
    assert one[40:50] != other[40:50]


@pytest.mark.parametrize(
    ("tokens", "wanted", "words"),
    [
        pytest.param((36, 260), 120, 100, id="one token each, and 20 around them"),
        pytest.param((52, 500), 120, 50, id="two tokens each"),
        pytest.param((0, 0), 100, 100, id="a server that does not count"),
        pytest.param((50, 50), 100, 100, id="one that counts nonsense"),
        pytest.param((36, 260), 5, 1, id="fewer than those around them"),
    ],
)
def test_a_prompts_words_follow_from_what_the_model_counts(tokens, wanted, words):
    assert Scale.of((16, 240), tokens).words(wanted) == words


def test_an_engine_of_the_stack_writes_all_tokens_and_another_server_what_it_likes():
    ours, theirs = (json.loads(work.body(one, "hi", 5)) for one in (QWEN, Target("t", "t", (), "lmstudio")))
    assert (ours["ignore_eos"], ours["max_tokens"], ours["stream_options"]) == (True, 5, {"include_usage": True})
    assert "ignore_eos" not in theirs


def chunk(delta, **more):
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, **more}]}).encode()


@pytest.mark.parametrize(
    ("line", "event"),
    [
        pytest.param(chunk({"role": "assistant", "content": ""}), Event(False, True), id="the role is no output"),
        pytest.param(chunk({"content": "Hi"}), Event(True, True), id="text is"),
        pytest.param(chunk({"reasoning_content": "Hm"}), Event(True, True), id="and thoughts are"),
        pytest.param(chunk({"content": ""}, finish_reason="stop"), Event(True, True), id="the end is a token too"),
        pytest.param(
            b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}',
            Event(False, False, 7, 3),
            id="the number of tokens",
        ),
        pytest.param(b'data: {"choices": [], "usage": null}', Event(), id="no number yet"),
        pytest.param(b"data: [DONE]", work.LAST, id="the end"),
        pytest.param(b"data:[DONE]\r", work.LAST, id="without a space"),
        pytest.param(b": ping", None, id="a comment"),
        pytest.param(b"", None, id="an empty line"),
        pytest.param(b"event: x", None, id="another field"),
        pytest.param(b'data: {"error": {"message": "out of memory"}}', Event(error="out of memory"), id="an error"),
        pytest.param(b"data: {", Event(error="found '{' in the stream, wanted JSON"), id="half an event"),
        pytest.param(b"data: 7", Event(error="found 7 in the stream, wanted an object"), id="no object"),
        pytest.param(b'data: {"choices": [7]}', Event(False, True), id="no choice of ours"),
    ],
)
def test_an_event_of_a_stream_is_read(line, event):
    assert work.read_event(line) == event


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"error": {"message": "no such\\nmodel"}}', "no such model"),
        (b'{"error": "busy"}', "busy"),
        (b'{"message": "what"}', "what"),
        (b"<html>502</html>", "<html>502</html>"),
        (b"[1]", "[1]"),
        (b"\x1b[31mred", "?[31mred"),
        (b"", ""),
    ],
)
def test_an_errors_words_are_one_line(answer, words):
    assert work.said(answer) == words


def test_lines_are_taken_when_they_are_whole():
    held = bytearray(b"data: a\n\ndata: b")
    assert list(work.lines(held)) == [b"data: a", b""]
    held += b"c\n"
    assert list(work.lines(held)) == [b"data: bc"]
    assert not held
