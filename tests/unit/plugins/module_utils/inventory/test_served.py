# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import served_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.served import (
    Engine,
    Model,
    Served,
    serve,
)

TOOLS = {"tool-call-parser": "hermes", "max-model-len": 8192}


def plan(args=None, task="chat", name="qwen"):
    return {name: Engine(task, TOOLS if args is None else args)}


def qwen(*hosts, task="auto"):
    return Model("qwen", task, hosts)


@pytest.mark.parametrize(
    ("plans", "tool_calls", "context"),
    [
        pytest.param({"a": TOOLS}, True, 8192, id="one host"),
        pytest.param({"a": {}}, False, None, id="a plan that sets nothing"),
        pytest.param({"a": TOOLS, "b": {**TOOLS, "max-model-len": 4096}}, True, 4096, id="the shortest of all"),
        pytest.param({"a": TOOLS, "b": {"max-model-len": 8192}}, False, 8192, id="one cannot call tools"),
        pytest.param({"a": TOOLS, "b": {}}, False, None, id="one says nothing of its length"),
    ],
)
def test_a_model_can_do_what_every_host_can(plans, tool_calls, context):
    planned = {host: plan(args) for host, args in plans.items()}
    assert serve([qwen(*plans)], planned, {}, "/kept") == (Served("qwen", "chat", tool_calls, context),)


@pytest.mark.parametrize(("seen", "wanted"), [([True], True), ([True, False], False), ([False], False)])
def test_a_model_takes_images_where_every_host_does(seen, wanted):
    planned = {f"h{number}": {"qwen": Engine("chat", {}, vision=one)} for number, one in enumerate(seen)}
    (found,) = serve([qwen(*planned)], planned, {}, "/kept")
    assert found.vision is wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, Served("llava")),
        ({"tools": True, "context": 8192, "vision": True}, Served("llava", "chat", True, 8192, vision=True)),
    ],
)
def test_what_somebody_elses_model_can_do_is_as_the_inventory_says(tmp_path, given, wanted):
    model = {"name": "llava", "task": "chat", "hosts": [], **given}
    found, _result = served_runner.ensure({"models": [model], "folder": str(tmp_path), "plans": {}}, check_mode=False)
    assert found == (wanted,)


@pytest.mark.parametrize(("task", "wanted"), [("auto", "embed"), ("rerank", "rerank")])
def test_what_a_model_does_is_as_the_inventory_says_or_else_as_it_was_planned(task, wanted):
    assert serve([qwen("a", task=task)], {"a": plan({}, "embed")}, {}, "/kept") == (Served("qwen", wanted),)


@pytest.mark.parametrize(
    ("engines", "wanted"),
    [
        pytest.param([(1024, (1024,))], (1024, (1024,)), id="one host"),
        pytest.param([(1024, (512, 1024)), (1024, (1024,))], (1024, (1024,)), id="what all may be asked for"),
        pytest.param([(1024, ()), (1024, (1024,))], (1024, (1024,)), id="any, and one"),
        pytest.param([(1024, ()), (1024, ())], (1024, ()), id="any"),
        pytest.param([(1024, (512,)), (1024, (1024,))], (1024, None), id="nothing in common"),
        pytest.param([(1024, ()), (1024, None)], (1024, None), id="one refuses"),
        pytest.param([(1024, ()), (768, ())], (768, ()), id="the shortest"),
        pytest.param([(1024, ()), (None, None)], (None, None), id="a plan of an older release says nothing"),
    ],
)
def test_vectors_are_what_every_host_gives(engines, wanted):
    planned = {f"h{number}": {"qwen": Engine("embed", {}, *one)} for number, one in enumerate(engines)}
    (found,) = serve([qwen(*planned)], planned, {}, "/kept")
    assert (found.dimensions, found.askable_dimensions) == wanted


def test_somebody_elses_model_needs_no_plan():
    assert serve([Model("llama", "chat", ())], {}, {}, "/kept") == (Served("llama"),)


def test_a_host_that_this_run_leaves_out_counts_as_the_last_run_planned_it():
    kept = {"b": plan({"max-model-len": 4096}), "a": plan({})}
    assert serve([qwen("a", "b")], {"a": plan()}, kept, "/kept") == (Served("qwen", "chat", False, 4096),)


def test_a_model_that_nobody_ever_planned_is_refused_with_its_hosts():
    models = [qwen("a", "b"), Model("bge", "auto", ("b",))]
    with pytest.raises(Refusal, match="found no plan of qwen, bge on b, which this run leaves out or does not reach"):
        serve(models, {"a": plan()}, {}, "/kept")


def test_a_kept_plan_of_another_model_is_none():
    with pytest.raises(Refusal, match="found no plan of qwen on b"):
        serve([qwen("a", "b")], {"a": plan()}, {"b": plan(name="llama")}, "/kept")


def ensure(folder, plans, check=False, hosts=("a",)):
    models = [{"name": "qwen", "task": "auto", "hosts": list(hosts)}]
    params = {"models": models, "plans": plans, "folder": str(folder)}
    return served_runner.ensure(params, check)


PLANNED = {"a": {"qwen": {"task": "chat", "args": TOOLS}}}


def test_a_plan_is_kept_for_the_next_run(tmp_path):
    assert ensure(tmp_path, PLANNED)[0] == (Served("qwen", "chat", True, 8192),)
    assert ensure(tmp_path, {})[0] == (Served("qwen", "chat", True, 8192),)


@pytest.mark.parametrize("askable", [None, [], [512, 1024]])
def test_what_vectors_are_like_is_kept_too(tmp_path, askable):
    engine = {"task": "embed", "args": {}, "dimensions": 1024, "askable_dimensions": askable}
    wanted = Served("qwen", "embed", False, None, 1024, None if askable is None else tuple(askable))
    assert ensure(tmp_path, {"a": {"qwen": engine}})[0] == (wanted,)
    assert ensure(tmp_path, {})[0] == (wanted,)


def test_check_mode_keeps_nothing_and_says_what_it_cannot_know(tmp_path):
    assert ensure(tmp_path, PLANNED, check=True)[0][0].tool_calls
    assert list(tmp_path.iterdir()) == []
    _served, result = ensure(tmp_path, {}, check=True)
    assert result["not_predicted"]


@pytest.mark.parametrize("content", ["{", "[]", '{"model": "qwen", "args": {}}', '{"engines": []}'])
def test_a_kept_plan_that_cannot_be_read_is_none(tmp_path, content):
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "a.json").write_text(content)
    with pytest.raises(Refusal):
        ensure(tmp_path, {})
