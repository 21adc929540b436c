# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that ends a run: the reports that it writes, and what its action plugin gathers for them."""

from __future__ import annotations

import types

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import control_runner


def ran(args, check_mode=False):
    screen = types.SimpleNamespace(warning=lambda text: None, vvv=lambda text: None)
    task = types.SimpleNamespace(action="gpuchat.stack.gpuchat_verify", check_mode=check_mode)
    return control_runner.run(types.SimpleNamespace(_task=task, _display=screen), args)


def given(folder, **more):
    return {
        "site": {"domain": "chat.example.com", "models": [{"name": "qwen", "task": "chat", "tool_calls": True}]},
        "vantage": "none",
        "final": True,
        "api_key": "s3cret-k3y",
        "report_file": str(folder / "report.json"),
        **more,
    }


def test_a_run_ends_in_three_reports_without_its_key(tmp_path):
    result = ran(given(tmp_path))
    assert not result.get("failed"), result
    paths = [tmp_path / f"report.{end}" for end in ("json", "html", "xml")]
    assert result["reports"] == list(map(str, paths))
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert not [path for path in paths if "s3cret-k3y" in path.read_text()]


def test_in_check_mode_it_writes_nothing(tmp_path):
    assert ran(given(tmp_path), check_mode=True)["not_predicted"]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def plugin(by_path):
    return by_path("action_plugins/gpuchat_verify.py")


HOSTVARS = {
    "gpu1": {"ansible_host": "10.0.0.5", "__vllm_plan": {"models": [{"name": "qwen"}], "gpus": [{"gpu": "0"}]}},
    "gpu2": {"ansible_host": "10.0.0.6", "__vllm_plan": {"skipped": True}},
    "front": {},
}


def test_the_plugin_gathers_addresses_and_the_plans_of_this_run(plugin):
    args = {"topology": {"hosts": {**HOSTVARS, "gone": {}}}}
    found = plugin._gathered(args, {"hostvars": HOSTVARS})
    assert found["addresses"] == {"gpu1": "10.0.0.5", "gpu2": "10.0.0.6", "front": ""}
    assert found["plans"] == [{"host": "gpu1", "models": [{"name": "qwen"}], "gpus": [{"gpu": "0"}]}]
    assert found["images"] == {}
    assert list(found["versions"]) == ["ansible-core"]


def test_without_a_topology_it_gathers_nothing_of_hosts(plugin):
    found = plugin._gathered({}, {"hostvars": HOSTVARS})
    assert (found["addresses"], found["plans"]) == ({}, [])
