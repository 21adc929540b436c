# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import types

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import web_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal, Unhealthy
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.verify import endpoint_runner

ANSWER = ["Good ", "day ", "to ", "you."]


class Engine:
    """A model server, as far as the checks can tell; its answers can be spoilt."""

    def __init__(self, server):
        self.spoilt = {}
        self.pause = 0.02
        server.routes["GET", "/v1/models"] = self.models
        server.routes["POST", "/v1/chat/completions"] = self.complete
        vector, scores = {"data": [{"embedding": [0.5, -1, 2]}]}, {"results": [{"index": 0, "relevance_score": 0.9}]}
        server.routes["POST", "/v1/embeddings"] = lambda asked: self.say(asked, "embedding", vector)
        server.routes["POST", "/v1/rerank"] = lambda asked: self.say(asked, "rerank", scores)

    def models(self, asked):
        self.say(asked, "models", {"object": "list", "data": [{"id": "qwen"}]})

    def complete(self, asked):
        body = json.loads(asked.body)
        call = {"function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
        if body["stream"]:
            chunks = [json.dumps({"choices": [{"delta": {"content": part}}]}) for part in ANSWER]
            asked.stream([*self.spoilt.get("stream", chunks), "[DONE]"], self.pause)
        elif "tools" in body:
            self.say(asked, "tool_call", {"choices": [{"message": {"content": None, "tool_calls": [call]}}]})
        else:
            self.say(asked, "completion", {"choices": [{"message": {"content": "".join(ANSWER)}}]})

    def say(self, asked, what, right):
        if asked.headers.get("Authorization") != "Bearer k3y":
            asked.say(401, b'{"error": "no key"}')
        else:
            asked.say(200, json.dumps(self.spoilt.get(what, right)).encode())


@pytest.fixture(autouse=True)
def key_file(tmp_path, monkeypatch):
    """Stand in the folder where the file with the key is."""
    (tmp_path / "key").write_text("k3y\n")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def engine(server):
    return Engine(server)


def params(server, **more):
    return {
        "url": f"http://{server.place}/v1",
        "model": "qwen",
        "api_key_file": "key",
        "question": "hello",
        "answer": "Good day to you.",
        "stream": True,
        "tool_call": True,
        "timeout": 5,
        **more,
    }


def asked(params, check=False):
    """Return the module's result, also where it fails."""
    try:
        return endpoint_runner.ensure(params, check)
    except Unhealthy as error:
        return error.result


def test_a_right_endpoint_has_no_failure(server, engine):
    checked = ["models", "completion", "stream", "tool_call"]
    assert asked(params(server)) == {"changed": False, "checked": checked, "failures": {}}


def test_only_what_is_wanted_is_asked(server, engine):
    result = asked(params(server, stream=False, tool_call=False))
    assert result["checked"] == ["models", "completion"]
    assert [path for _method, path, _headers in server.asked] == ["/v1/models", "/v1/chat/completions"]


@pytest.mark.parametrize(
    ("task", "checked"),
    [("embed", ["models", "embedding"]), ("rerank", ["models", "rerank"]), ("transcribe", ["models"])],
)
def test_a_model_is_asked_for_what_it_is_there_for(server, engine, task, checked):
    assert asked(params(server, task=task)) == {"changed": False, "checked": checked, "failures": {}}


@pytest.mark.parametrize(
    ("spoilt", "options", "failures"),
    [
        pytest.param(
            {"embedding": {"data": [{"embedding": "AAAA"}]}},
            {"task": "embed"},
            {"embedding": 'found {"data": [{"embedding": "AAAA"}]}, wanted a vector of numbers'},
            id="no vector",
        ),
        pytest.param(
            {"rerank": {"results": []}},
            {"task": "rerank"},
            {"rerank": 'found {"results": []}, wanted a score for each document'},
            id="no scores",
        ),
        pytest.param(
            {"models": {"object": "list", "data": [{"id": "other"}]}},
            {},
            {"models": "found the models ['other'], wanted qwen among them"},
            id="another model",
        ),
        pytest.param(
            {"completion": {"choices": [{"message": {"content": "No."}}]}},
            {},
            {"completion": "found the answer 'No.', wanted 'Good day to you.'"},
            id="another answer",
        ),
        pytest.param(
            {"tool_call": {"choices": []}},
            {},
            {"tool_call": 'found no tool call in {"choices": []}, wanted one of get_weather'},
            id="no tool call",
        ),
        pytest.param(
            {"stream": []},
            {},
            {"stream": "found the streamed text '', wanted 'Good day to you.'"},
            id="an empty stream",
        ),
        pytest.param(
            {},
            {"api_key_file": None},
            dict.fromkeys(["models", "completion", "tool_call"], 'found status 401, wanted 200: {"error": "no key"}'),
            id="no key",
        ),
    ],
)
def test_each_wrong_answer_is_named(server, engine, spoilt, options, failures):
    engine.spoilt = spoilt
    assert asked(params(server, **options))["failures"] == failures


def test_a_stream_that_arrives_at_once_is_named(server, engine, monkeypatch):
    engine.pause = 0
    monkeypatch.setattr(endpoint_runner.openai_api, "STREAM_ATTEMPTS", 1)
    monkeypatch.setattr(endpoint_runner, "time", types.SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr(web_runner, "time", types.SimpleNamespace(monotonic=lambda: 1.0))
    failures = asked(params(server, tool_call=False))["failures"]
    assert failures == {
        "stream": "found 4 chunks in 1 arrivals within 0 ms of 1000 ms, wanted chunks that arrive apart in time"
    }


@pytest.mark.parametrize(("words", "failed"), [((None,), False), (("a", "b", None), False), (tuple("abcdef"), True)])
def test_a_stream_that_a_busy_machine_may_have_spoilt_is_asked_for_again(server, engine, monkeypatch, words, failed):
    left = iter(words)
    monkeypatch.setattr(endpoint_runner, "_one_stream", lambda _params: next(left))
    failures = asked(params(server, tool_call=False))["failures"]
    assert failures == ({"stream": words[-1]} if failed else {})
    assert list(left) == []


def test_in_check_mode_nothing_is_asked(server, engine):
    result = asked(params(server), check=True)
    assert result["not_predicted"] == [f"the answers of http://{server.place}/v1: check mode asks nothing"]
    assert server.asked == []


def test_an_address_that_is_no_apis_is_refused():
    with pytest.raises(Refusal, match="wanted one that ends in /v1; set url"):
        asked({"url": "http://localhost:8000"})


def test_where_nobody_listens_each_check_says_so():
    failures = asked({**params(FakePlace, tool_call=False)})["failures"]
    assert set(failures) == {"models", "completion", "stream"}
    assert all("refused" in word for word in failures.values())


class FakePlace:
    place = "127.0.0.1:1"


def test_the_key_goes_in_a_header_alone(server, engine):
    asked(params(server, stream=False, tool_call=False))
    for _method, path, headers in server.asked:
        assert "k3y" not in path
        assert headers["Authorization"] == "Bearer k3y"
