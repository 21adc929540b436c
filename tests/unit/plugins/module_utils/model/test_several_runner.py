# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several models in one task: their order, what a call that goes on remembers, and what a fault of one leaves."""

from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model import several_runner

GB = 1 << 30


@pytest.fixture
def params(tmp_path):
    def build(*names, **more):
        usual = {
            "token": "", "token_for": "", "workers": 1, "connections_per_file": 1, "rate_limit": "",
            "verify": "download", "state": "present", "update": False, "lock_seconds": 1, "stall_seconds": 1,
            "toolbox": "/nonexistent", "finished": [], "job": "", "job_seconds": 1,
        }  # fmt: skip
        of_each = {
            "source": "git",
            "revision": "",
            "endpoints": [],
            "include": [],
            "exclude": [],
            "adapter": False,
            "export": None,
        }
        models = [{"name": name, "repo": f"o/{name}", "path": f"{tmp_path}/{name}", **of_each} for name in names]
        return {**usual, "models": models, **more}

    return build


@pytest.fixture
def hub(monkeypatch):
    """Stands in for the run of one model: answers by its name, and remembers who was asked for how."""

    class Hub:
        def __init__(self):
            self.asked, self.answers, self.missing = [], {}, {}

        def __call__(self, params, check):
            name = params["name"]
            self.asked.append((name, "looked at" if check else params["state"]))
            answer = self.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            usual = {"changed": not check, "msg": "there", "diff": [], "commit": name, "bytes_fetched": 1}
            return answer if answer and not check else {**usual, "bytes_to_fetch": self.missing.get(name, 1)}

    one = Hub()
    monkeypatch.setattr(several_runner.runner, "ensure", one)
    monkeypatch.setattr(several_runner.Store, "free", lambda _store: 50 * GB)
    return one


def test_all_are_looked_at_before_the_first_is_fetched(params, hub):
    result = several_runner.ensure(params("a", "b"), check=False)
    assert hub.asked == [("a", "looked at"), ("b", "looked at"), ("a", "present"), ("b", "present")]
    assert result["changed"]
    assert {name: one["commit"] for name, one in result["models"].items()} == {"a": "a", "b": "b"}


@pytest.mark.parametrize("check", [False, True], ids=["a run", "check mode"])
def test_a_disk_that_is_too_small_for_all_is_refused_before_the_first_byte(params, hub, check):
    hub.missing = {"a": 30 * GB, "b": 30 * GB}
    with pytest.raises(Refusal, match="a and .*b lies; wanted"):
        several_runner.ensure(params("a", "b"), check)
    assert hub.asked == [("a", "looked at"), ("b", "looked at")]


def test_one_model_alone_is_asked_for_once(params, hub):
    several_runner.ensure(params("a"), check=False)
    assert hub.asked == [("a", "present")]


def test_a_call_that_goes_on_says_which_model_it_is_at_and_does_not_forget_those_before(params, hub):
    hub.answers["b"] = {"changed": False, "running": True, "progress": {"bytes": 3}}
    first = several_runner.ensure(params("a", "b", job="j"), check=False)
    assert (first["running"], first["progress"]) == (True, {"model": "b", "bytes": 3})
    hub.answers, hub.asked = {}, []
    last = several_runner.ensure(params("a", "b", job="j", finished=first["finished"]), check=False)
    assert hub.asked == [("b", "present")]
    assert (last["changed"], list(last["models"]), last["bytes_fetched"]) == (True, ["a", "b"], 2)


def test_a_fault_names_its_model_and_those_that_are_there(params, hub):
    hub.answers["b"] = Refusal("found no such repository; wanted one; set repo")
    with pytest.raises(Refusal, match="^b: found no such repository") as refused:
        several_runner.ensure(params("a", "b", "c", finished=[{"name": "a", "result": {"changed": 0}}]), check=False)
    assert list(refused.value.result["models"]) == ["a"]
    assert ("c", "present") not in hub.asked


def test_a_look_tells_the_faults_of_all_in_one_run(params, hub):
    hub.answers.update(a=Refusal("no a"), c=Refusal("no c"))
    with pytest.raises(Refusal, match="^a: no a\nc: no c$") as refused:
        several_runner.ensure(params("a", "b", "c", state="metadata"), check=False)
    assert list(refused.value.result["models"]) == ["b"]


def test_a_folder_that_two_name_is_looked_at_once(params, tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    given = params("a", "b")
    given["models"] = [{**one, "source": "path", "repo": "", "path": str(folder)} for one in given["models"]]
    result = several_runner.ensure({**given, "state": "metadata"}, check=False)
    assert result["models"]["a"] == result["models"]["b"]
    assert result["msg"] == "a: 2 files, 10 bytes of weights"
