# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control node makes of all answers: a file, a table, and a failure where something is wrong."""

from __future__ import annotations

import copy
import json
import pathlib
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Unhealthy
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor import diagnosis_runner

from .stack import ENGINE, GROUPS, HOSTS, Stack

ROOT = pathlib.Path(__file__).resolve().parents[5]
IMAGES = {
    "vllm_image": "vllm/vllm-openai:v{{ vllm_version }}",
    "vllm_version": "0.32.0",
    "gpuchat_interface": "lobehub",
}


def params(folder, stack=None, **more):
    """Return what the action plugin hands over of a stack."""
    stack, now = stack or Stack(), time.time()
    far = {"from": now - 9e6, "until": now + 9e6}
    hosts = []
    for name, groups in GROUPS.items():
        reading = {**copy.deepcopy(stack.readings[name]), "clock": now}
        reading["certificates"] = [{**one, **far} for one in reading["certificates"]]
        result = {"reading": reading, "checks": stack.checks[name], "asked": now - 1, "heard": now + 1}
        hosts.append({"name": name, "groups": list(groups), "variables": IMAGES, "result": result})
    options = {"folder": str(folder), "fail": "fault", "inventory": [], "notes": [], "lock": {}}
    return {**options, "topology": {"hosts": HOSTS}, "hosts": hosts, **more}


def written(folder):
    return json.loads((folder / "doctor.json").read_text())


def test_a_stack_in_order_ends_well(tmp_path):
    result = diagnosis_runner.ensure(params(tmp_path), check=False)
    assert (result["status"], result["causes"], result["changed"]) == (0, [], False)
    assert result["msg"] == "3 hosts: nothing is wrong"
    assert written(tmp_path)["status"] == 0
    assert (tmp_path / "doctor.json").stat().st_mode & 0o777 == 0o600


def test_a_fault_ends_with_a_failure_that_names_it_and_with_all_of_it_in_the_file(tmp_path):
    stack = Stack()
    stack.fail("c", ENGINE, "ValueError: No available memory for the cache blocks.")
    with pytest.raises(Unhealthy) as failure:
        diagnosis_runner.ensure(params(tmp_path, stack), check=False)
    assert "weights and activations that fill the GPUs" in str(failure.value)
    assert failure.value.result["status"] == 2
    assert written(tmp_path)["causes"][0]["kind"] == "log.vllm.no_cache"


@pytest.mark.parametrize(("fail", "fails"), [("never", False), ("fault", False), ("warning", True)])
def test_a_warning_fails_only_where_that_is_asked_for(tmp_path, fail, fails):
    stack = Stack()
    stack.service("a", "gpuchat-edge", enabled=False)
    if fails:
        with pytest.raises(Unhealthy):
            diagnosis_runner.ensure(params(tmp_path, stack, fail=fail), check=False)
    else:
        assert diagnosis_runner.ensure(params(tmp_path, stack, fail=fail), check=False)["status"] == 1


def test_a_host_that_cannot_be_reached_is_told_and_the_others_are_looked_at(tmp_path):
    given = params(tmp_path)
    given["hosts"][2]["result"] = {"unreachable": True, "msg": "ssh: connect to host c port 22: Connection timed out"}
    with pytest.raises(Unhealthy) as failure:
        diagnosis_runner.ensure(given, check=False)
    assert failure.value.result["status"] == 3
    assert [one["kind"] for one in failure.value.result["causes"]] == ["host.unreachable"]


def test_a_wrong_inventory_is_told_first_and_the_hosts_are_compared_with_their_records_alone(tmp_path):
    given = params(tmp_path, topology={}, inventory=["gpuchat_domain is not set; wanted a name"])
    with pytest.raises(Unhealthy) as failure:
        diagnosis_runner.ensure(given, check=False)
    assert [one["kind"] for one in failure.value.result["causes"]] == ["inventory.fault"]


def test_a_host_of_other_secrets_is_told(tmp_path):
    given = params(tmp_path)
    given["hosts"][0]["fingerprints"] = {"api_key": ["of another stack"]}
    with pytest.raises(Unhealthy) as failure:
        diagnosis_runner.ensure(given, check=False)
    assert failure.value.result["causes"][0]["kind"] == "stack.other"


def test_check_mode_writes_nothing(tmp_path):
    diagnosis_runner.ensure(params(tmp_path), check=True)
    assert list(tmp_path.iterdir()) == []
