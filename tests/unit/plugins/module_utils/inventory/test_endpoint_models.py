# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody else's server lists, and what is handed on of that."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import endpoints
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.endpoint_models import (
    Listed,
    judge,
    known,
)

LIVE = {"name": "lm", "url": "http://10.0.0.9:1234"}
OTHER = {"name": "other", "url": "http://10.0.0.8/v1"}


def listing(*names):
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        pytest.param(listing("a", "b/c.gguf"), ("a", "b/c.gguf"), id="as OpenAI says it"),
        pytest.param(listing("b", "a", "b"), ("b", "a"), id="twice the same, as FastChat with two workers"),
        pytest.param({"data": [{"id": "a"}, {"id": 7}, "b", {}, {"id": ""}, None]}, ("a",), id="odd entries beside"),
    ],
)
def test_the_names_of_a_list_are_read(answer, names):
    assert judge(200, answer) == Listed(names)


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        pytest.param(0, None, "found no answer (timed out)", id="down, or hung"),
        pytest.param(200, None, "found no list of models in its answer", id="a page"),
        pytest.param(200, [], "found no list of models in its answer", id="another form"),
        pytest.param(200, {"data": {"a": 1}}, "found no list of models in its answer", id="no list"),
        pytest.param(200, listing(), "found that it lists no model", id="no worker"),
        pytest.param(302, None, "found a redirect to http://10.0.0.1/v1/models", id="a redirect"),
        pytest.param(401, {}, "set its key in gpuchat_endpoints", id="a wrong key"),
        pytest.param(404, {}, "set its url to the address that /models follows", id="a wrong path"),
        pytest.param(500, {}, "found the status 500, wanted 200", id="ill"),
    ],
)
def test_what_is_no_list_is_said(status, answer, words):
    found = judge(status, answer, "timed out", "http://10.0.0.1/v1/models")
    assert words in found.problem
    assert not found.names


def test_a_server_that_does_not_answer_keeps_the_models_that_it_had():
    found = {"lm": Listed(problem="found no answer (refused)"), "new": Listed(problem="ill"), "up": Listed(("x",))}
    listed, warnings = known(found, {"lm": ["a", "b"], "up": ["old"], "gone": ["z"]})
    assert listed == {"lm": ["a", "b"], "new": [], "up": ["x"]}
    assert [word.rpartition("; ")[2] for word in warnings] == [
        "handing on the 2 of the last run",
        "nothing of it is handed on yet",
    ]


def test_models_are_handed_on_by_their_own_names_and_do_what_those_say():
    listed = {"lm": ["llama-3", "text-embedding-nomic", "bge-Reranker-v2", "whisper-large"]}
    adopted, warnings = endpoints.adopt([LIVE], listed, ())
    (one,) = endpoints.read([LIVE], adopted)
    assert one.live
    assert one.renamed == {name: name for name in listed["lm"]}
    assert list(one.tasks.values()) == ["chat", "embed", "rerank", "transcribe"]
    assert warnings == []


def test_no_server_takes_a_name_from_the_stack_or_from_one_before_it():
    listed = {"lm": ["mine", "a"], "other": ["a", "b"], "stranger": ["c"]}
    adopted, warnings = endpoints.adopt([LIVE, OTHER], listed, ["mine"])
    assert adopted == {"lm": ("a",), "other": ("b",)}
    assert [word.split(",")[0] for word in warnings] == ["lm lists 'mine'", "other lists 'a'"]


@pytest.mark.parametrize(
    "name", ["", "a b", "../x", "a\nb", 'a"; return 200; #', "$uri", "\u202egnp", "ä", "x" * 201, "-x"]
)
def test_a_name_that_a_configuration_could_misread_is_left_out(name):
    adopted, warnings = endpoints.adopt([LIVE], {"lm": [name, "good"]}, ())
    assert adopted == {"lm": ("good",)}
    assert len(warnings) == 1
    assert "\n" not in warnings[0]


def test_of_a_thousand_models_some_are_handed_on():
    adopted, warnings = endpoints.adopt([LIVE], {"lm": [f"m{number}" for number in range(1000)]}, ())
    assert len(adopted["lm"]) == endpoints.MOST_MODELS
    assert "lists 1000 models" in warnings[0]


def test_where_models_are_named_nothing_is_read():
    named = {**LIVE, "models": ["a"]}
    assert endpoints.adopt([named], {"lm": ["b"]}, ()) == ({}, [])
    (one,) = endpoints.read([named], {"lm": ("b",)})
    assert (one.live, list(one.renamed)) == (False, ["a"])
