# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file set with the service that reads it."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import NotTaken, Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import files_runner, unit_runner

pytestmark = pytest.mark.usefixtures("state_directory")
ACTIVE = "ActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\nResult=success\nNRestarts=0\n"
GONE = "ActiveState=inactive\nUnitFileState=\nNeedDaemonReload=no\nResult=success\nNRestarts=0\n"


@pytest.fixture
def ensure(tmp_path, commands, monkeypatch):
    commands.answer("systemctl show", lambda: ACTIVE if commands.that("start", "restart") else GONE)
    monkeypatch.setattr(host, "wait_for", lambda condition, timeout, interval=0.5: None)

    def call(text="a", check=False, on_change="restart", state="present", **more):
        files = [{**files_runner.USUAL, "dest": str(tmp_path / "one.conf"), "content": text}]
        service = {"name": "one", "on_change": on_change, "health": None, "supervisor": "systemd", "compose_file": None}
        usual = {"name": "one", "files": files, "validate": None, "validate_requires": [], "service": service}
        commands.made.clear() if more.pop("forget", True) and not check else None
        return unit_runner.ensure({**usual, "state": state, **more}, check)

    return call


def running(commands):
    commands.answer("systemctl show", ACTIVE)


def verbs(commands):
    wanted = ("start", "restart", "reload", "stop")
    return [verb for line in commands.made for verb in line.split()[1:2] if verb in wanted]


def test_a_first_run_writes_the_files_and_starts_the_service(ensure, commands):
    result = ensure()
    assert (result["changed"], len(result["diff"]), verbs(commands)) == (True, 2, ["start"])
    assert result["digest"]


def test_a_second_run_changes_nothing(ensure, commands):
    ensure()
    running(commands)
    result = ensure()
    assert (result["changed"], result["diff"], verbs(commands)) == (False, [], [])


@pytest.mark.parametrize("on_change", ["restart", "reload"])
def test_a_change_of_the_files_is_taken_up_as_wished(ensure, commands, on_change):
    ensure(on_change=on_change)
    running(commands)
    assert ensure("b", on_change=on_change)["changed"]
    assert verbs(commands) == [on_change]


def test_check_mode_predicts_files_and_service(ensure, commands, tmp_path):
    assert len(ensure(check=True)["diff"]) == 2
    assert (verbs(commands), list(tmp_path.glob("one.conf"))) == ([], [])


def test_files_that_are_not_valid_leave_the_service_alone(ensure, commands):
    ensure()
    running(commands)
    commands.answer("/usr/bin/false", rc=1, stderr="bad line")
    with pytest.raises(Refusal, match="bad line"):
        ensure("b", validate=["/usr/bin/false"])
    assert verbs(commands) == []


def test_files_that_a_running_service_refuses_leave_those_before_for_its_next_start(ensure, commands, tmp_path):
    ensure(on_change="reload")
    running(commands)
    manifest = host.read_json(files_runner.manifest_path("one"))
    commands.answer("systemctl reload", rc=1)
    commands.answer("journalctl", "still could not bind()")
    more = [{**files_runner.USUAL, "dest": str(tmp_path / name), "content": "b"} for name in ("one.conf", "two.conf")]
    with pytest.raises(NotTaken, match="still could not bind"):
        ensure(on_change="reload", files=more)
    assert {path.name: path.read_text() for path in tmp_path.glob("*.conf")} == {"one.conf": "a"}
    assert host.read_json(files_runner.manifest_path("one")) == manifest
    commands.answer("systemctl reload", rc=0)
    assert ensure("b", on_change="reload")["changed"]


def test_an_absent_unit_is_stopped_before_its_files_go(ensure, commands, tmp_path):
    ensure()
    running(commands)
    assert ensure(state="absent")["changed"]
    assert verbs(commands) == ["stop"]
    assert not (tmp_path / "one.conf").exists()


def test_a_set_without_a_service_is_files_alone(ensure, commands):
    assert len(ensure(service=None)["diff"]) == 1
    assert verbs(commands) == []
