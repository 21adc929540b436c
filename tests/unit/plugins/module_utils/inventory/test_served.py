# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import served_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.served import HostPlan, Served, serve

TOOLS = {"tool-call-parser": "hermes", "max-model-len": 8192}


def plan(args=None, model="qwen"):
    return HostPlan(model, TOOLS if args is None else args)


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
def test_the_model_can_do_what_every_host_can(plans, tool_calls, context):
    planned = {host: plan(args) for host, args in plans.items()}
    assert serve("qwen", list(plans), planned, {}, "/kept") == Served("qwen", tool_calls, context)


def test_a_host_that_this_run_leaves_out_counts_as_the_last_run_planned_it():
    kept = {"b": plan({"max-model-len": 4096}), "a": plan({})}
    assert serve("qwen", ["a", "b"], {"a": plan()}, kept, "/kept") == Served("qwen", False, 4096)


def test_a_host_that_nobody_ever_planned_is_refused():
    with pytest.raises(Refusal, match="found no plan of b, which this run leaves out or does not reach"):
        serve("qwen", ["a", "b"], {"a": plan()}, {}, "/kept")


def test_a_kept_plan_of_another_model_is_refused():
    with pytest.raises(Refusal, match=r"found plans for another model than qwen on b \(llama\)"):
        serve("qwen", ["a", "b"], {"a": plan()}, {"b": plan(model="llama")}, "/kept")


def ensure(folder, plans, check=False, hosts=("a",)):
    params = {"model": "qwen", "hosts": list(hosts), "plans": plans, "folder": str(folder)}
    return served_runner.ensure(params, check)


def test_a_plan_is_kept_for_the_next_run(tmp_path):
    assert ensure(tmp_path, {"a": TOOLS})[0] == Served("qwen", True, 8192)
    assert ensure(tmp_path, {})[0] == Served("qwen", True, 8192)


def test_check_mode_keeps_nothing_and_says_what_it_cannot_know(tmp_path):
    assert ensure(tmp_path, {"a": TOOLS}, check=True)[0].tool_calls
    assert list(tmp_path.iterdir()) == []
    _served, result = ensure(tmp_path, {}, check=True)
    assert result["not_predicted"]


def test_a_kept_plan_that_cannot_be_read_is_none(tmp_path):
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "a.json").write_text("{")
    with pytest.raises(Refusal):
        ensure(tmp_path, {})
