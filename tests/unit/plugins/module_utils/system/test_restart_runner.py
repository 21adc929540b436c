# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal, Unhealthy
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import restart_runner, service_runner

pytestmark = pytest.mark.usefixtures("state_directory")
LOOK = {"name": "s", "act": False, "timeout": 0}
ACT = {**LOOK, "act": True}
WELL = "ActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\nResult=success\nNRestarts=0\n"
CONTAINER = '[{"Name": "/s-1", "State": {"Running": true, "Status": "running"}, "RestartCount": 0%s}]'

LABEL = ', "Config": {"Labels": {"com.docker.compose.project.config_files": "/c.yml"}}'


@pytest.fixture(autouse=True)
def asked_once(monkeypatch):
    monkeypatch.setattr(host, "wait_for", lambda condition, timeout, interval=0.5: condition())


def record(**more):
    host.write_json(
        service_runner.record_path("s"), {"supervisor": "systemd", "digest": "d", "reload_digest": "r", **more}
    )


def project(commands, more=""):
    commands.answer("docker ps", "c")
    commands.answer("docker inspect", CONTAINER % more)


def test_a_unit_is_restarted_and_its_record_stays(commands):
    record()
    before = host.read_json(service_runner.record_path("s"))
    commands.answer("systemctl show s.service --property=ActiveState", WELL)
    assert restart_runner.run(ACT) == {
        "known": ["s"],
        "supervisor": "systemd",
        "running": True,
        "health": {"timeout": restart_runner.START_SECONDS},
    }
    assert commands.that("restart") == ["systemctl restart s.service"]
    assert host.read_json(service_runner.record_path("s")) == before


def test_a_look_restarts_nothing(commands):
    record(health={"url": "http://127.0.0.1/health", "timeout": 7})
    commands.answer("systemctl show s.service --property=ActiveState", WELL)
    assert restart_runner.run(LOOK)["health"] == {"url": "http://127.0.0.1/health", "timeout": 7}
    assert commands.that("restart", "up", "stop") == []


def test_health_is_waited_for_as_at_the_last_start(commands, server):
    record(health={"url": f"http://{server.place}/health", "status": 200, "timeout": 7})
    commands.answer("systemctl show s.service --property=ActiveState", WELL)
    with pytest.raises(Unhealthy, match="s is not healthy after 7 s: .*/health answered 404, wanted 200"):
        restart_runner.run(ACT)
    with pytest.raises(Unhealthy, match="after 3 s"):
        restart_runner.run({**ACT, "timeout": 3})


@pytest.mark.parametrize(
    ("recorded", "label"),
    [
        pytest.param({"compose_file": "/c.yml"}, "", id="by its record"),
        pytest.param(
            {}, ', "Config": {"Labels": {"com.docker.compose.project.config_files": "/c.yml"}}', id="by its label"
        ),
    ],
)
def test_a_compose_project_is_made_anew_from_its_file(commands, recorded, label):
    record(supervisor="compose", **recorded)
    project(commands, label)
    restart_runner.run(ACT)
    assert commands.that("up") == [
        "docker compose --project-name s --file /c.yml up --detach --force-recreate --remove-orphans"
    ]


def test_a_project_whose_file_nobody_knows_is_refused(commands):
    record(supervisor="compose")
    with pytest.raises(Refusal, match=r"run site\.yml instead"):
        restart_runner.run(ACT)


@pytest.mark.parametrize("name", ["other", "../files/all", ""])
def test_what_no_run_has_started_is_left_alone(commands, name):
    record()
    assert restart_runner.run({**ACT, "name": name}) == {"known": ["s"]}
    assert commands.made == []


def test_a_start_records_how_the_service_is_known_to_be_up(commands):
    commands.answer("systemctl show s.service --property=ActiveState", WELL)
    given = {
        "name": "s",
        "supervisor": "systemd",
        "state": "started",
        "digest": "d",
        "reload_digest": "",
        "adopt": True,
    }
    service_runner.ensure({**given, "compose_file": None, "health": {"timeout": 9}}, check=False)
    assert host.read_json(service_runner.record_path("s"))["health"] == {"timeout": 9}
