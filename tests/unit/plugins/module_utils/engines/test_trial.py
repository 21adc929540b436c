# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an engine that starts anew answers as sensibly as the one before it."""

from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines import trial, trial_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines.engines import Engine
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines.trial import (
    Answer,
    Trial,
    is_garbled,
    judge,
    why_slower,
    why_worse,
)

COUNTED = " ".join(map(str, range(1, 31)))


def answers(*texts, tokens=0, seconds=0.0):
    return [Answer(text, tokens, seconds) for text in texts]


def test_right_answers_are_known_in_many_words():
    assert judge(answers("It is 42.", "**Paris**", "lighthouse", f"Sure: {COUNTED}")) == Trial(4, 4)


def test_wrong_ones_and_missing_ones_are_told_apart():
    assert judge(answers("142", "Lyon", "", "1 2 3")) == Trial(0, 3)


@pytest.mark.parametrize(
    ("text", "garbled"),
    [
        pytest.param("!" * 64, True, id="the first token again and again"),
        pytest.param("\ufffd\ufffd\ufffda\ufffdb" * 8, True, id="halves of letters"),
        pytest.param("the the the the the the the the the the the the the", True, id="one word"),
        pytest.param("\x00\x01\x02" * 8, True, id="signs of no language"),
        pytest.param("no!!!!", False, id="a short word"),
        pytest.param(COUNTED, False, id="numbers"),
        pytest.param("Die Hauptstadt von Frankreich ist Paris.", False, id="another language"),
        pytest.param("\u6cd5\u56fd\u7684\u9996\u90fd\u662f\u5df4\u9ece\uff0c\u5b83\u5f88\u7f8e", False, id="Chinese"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_what_is_no_language_is_seen(text, garbled):
    assert is_garbled(text) is garbled


GOOD, POOR = Trial(4, 4), Trial(0, 4)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        pytest.param(GOOD, POOR, "found none of 4 simple questions answered rightly", id="it knows nothing any more"),
        pytest.param(GOOD, Trial(0, 4, "!!!!"), "found the answer '!!!!'", id="it babbles"),
        pytest.param(POOR, Trial(0, 4, "!!!!"), "found the answer '!!!!'", id="it babbles, and knew nothing before"),
        pytest.param(GOOD, Trial(1, 4), "", id="a smaller model"),
        pytest.param(GOOD, Trial(0, 0), "", id="it was still thinking"),
        pytest.param(POOR, POOR, "", id="a toy"),
        pytest.param(Trial(0, 4, "!!"), Trial(0, 4, "!!"), "", id="it has always babbled"),
        pytest.param(None, POOR, "", id="none ran before"),
        pytest.param(GOOD, None, "", id="it is busy"),
    ],
)
def test_an_engine_is_worse_where_it_lost_what_it_had(before, now, words):
    found = why_worse(before, now)
    assert found.startswith(words)
    assert bool(found) == bool(words)


@pytest.mark.parametrize(
    ("before", "now", "is_told"), [(40, 9, True), (40, 11, False), (40, 200, False), (0, 9, False), (40, 0, False)]
)
def test_one_that_is_far_slower_is_told(before, now, is_told):
    assert bool(why_slower(Trial(1, 4, speed=before), Trial(1, 4, speed=now))) is is_told


def test_speed_is_that_of_the_longest_answer():
    found = judge([Answer("42", 2, 1.0), Answer("Paris", 2, 1.0), Answer("x", 40, 2.0)])
    assert found.speed == 20.0
    assert judge(answers("42", tokens=3, seconds=1.0)).speed == 0.0


@pytest.fixture
def engine(tmp_path):
    tmp_path.joinpath("api_key").write_text("sk-x\n")
    names = dict.fromkeys(Engine.__dataclass_fields__, "")
    return Engine(**{**names, "name": "q", "task": "chat", "folder": str(tmp_path), "socket_url": "unix://q"})


def test_a_trial_asks_each_question_with_the_key(engine, monkeypatch):
    asked = []

    def http(url, method, headers, body, *_more, **_options):
        asked.append((url, headers["Authorization"], json.loads(body)))
        said = {"choices": [{"message": {"content": "42"}}], "usage": {"completion_tokens": 2}}
        return host.Response(200, {}, json.dumps(said).encode())

    monkeypatch.setattr(host, "http", http)
    assert trial_runner.ask(engine) == Trial(1, 4)
    assert [body["messages"][0]["content"] for _url, _key, body in asked] == [one for one, _sign in trial.QUESTIONS]
    assert {(url, key) for url, key, _body in asked} == {("unix://q/v1/chat/completions", "Bearer sk-x")}


@pytest.mark.parametrize(
    "answer",
    [
        host.Response(0, {}, b"", "refused"),
        host.Response(500, {}, b"{}"),
        host.Response(200, {}, b"garbage"),
        host.Response(200, {}, b'{"choices": []}'),
        host.Response(200, {}, b'{"choices": [{"message": "x"}]}'),
    ],
)
def test_one_that_does_not_answer_has_no_trial(engine, monkeypatch, answer):
    monkeypatch.setattr(host, "http", lambda *_words, **_options: answer)
    assert trial_runner.ask(engine) is None
