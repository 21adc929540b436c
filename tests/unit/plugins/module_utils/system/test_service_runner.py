# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal, Unhealthy
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import service_runner

pytestmark = pytest.mark.usefixtures("state_directory")
SHOW = "systemctl show s.service --property=ActiveState"
COMPOSE = "docker compose --project-name s"
UP = f"{COMPOSE} --file /c.yml up --detach"


def params(**more):
    usual = {
        "name": "s",
        "supervisor": "systemd",
        "compose_file": None,
        "digest": "new",
        "reload_digest": None,
        "adopt": False,
        "health": None,
        "state": "started",
    }
    return {**usual, **more}


def test_a_host_that_systemd_has_not_started_is_refused_with_what_to_do_in_wsl2_and_in_a_container(commands):
    said = "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
    commands.answer("systemctl show", rc=1, stderr=said)
    with pytest.raises(Refusal, match="found a host that systemd has not started; .*systemd=true .*/etc/wsl.conf"):
        service_runner.ensure(params(), False)
    assert service_runner.ensure(params(), True)["changed"]
    assert not commands.that("start", "enable")


def compose(**more):
    return params(supervisor="compose", compose_file="/c.yml", **more)


def unit(active="active", enabled="enabled", stale="no", restarts=0, result="success"):
    shown = {
        "ActiveState": active,
        "UnitFileState": enabled,
        "NeedDaemonReload": stale,
        "Result": result,
        "NRestarts": restarts,
    }
    return "".join(f"{name}={value}\n" for name, value in shown.items())


def container(running=True, health=None, restarts=0, name="s-1"):
    state = {"Running": running, "Status": "running" if running else "exited"}
    if health:
        state["Health"] = {"Status": health}
    return {"Name": f"/{name}", "State": state, "RestartCount": restarts}


def containers(commands, *ones):
    commands.answer("docker ps -aq --filter label=com.docker.compose.project=s", "\n".join("c" * len(ones)))
    commands.answer("docker inspect", json.dumps(ones))


def recorded(supervisor="systemd", digest="new"):
    host.write_json(service_runner.record_path("s"), {"supervisor": supervisor, "digest": digest})


def record():
    return host.read_json(service_runner.record_path("s"))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Ask ten times instead of for a time."""

    def ask(condition, timeout, interval=0.5):
        word = None
        for _round in range(10):
            word = condition()
            if word is None:
                break
        return word

    monkeypatch.setattr(host, "wait_for", ask)


def test_a_running_unit_with_its_present_files_is_left_alone(commands):
    recorded()
    commands.answer(SHOW, unit())
    assert service_runner.ensure(params(), check=False) == {
        "changed": False,
        "diff": [],
        "msg": "s is started already, with its present files",
    }
    assert all(line.startswith("systemctl show") for line in commands.made)


@pytest.mark.parametrize(
    ("options", "there", "made"),
    [
        pytest.param({}, unit(), ["systemctl restart s.service"], id="changed files"),
        pytest.param({"digest": "old", "reload_digest": "new"}, unit(), ["systemctl reload s.service"], id="reload"),
        pytest.param(
            {},
            unit(stale="yes"),
            ["systemctl daemon-reload", "systemctl restart s.service"],
            id="changed unit file",
        ),
    ],
)
def test_changed_files_restart_a_unit_and_are_recorded(commands, options, there, made):
    recorded(digest="old")
    commands.answer("systemctl show s.service --property=LoadState", "loaded\n")
    commands.answer(SHOW, there)
    assert service_runner.ensure(params(**options), check=False)["changed"] is True
    assert commands.that("daemon-reload", "restart", "reload") == made
    assert record() == {
        "supervisor": "systemd",
        "digest": options.get("digest", "new"),
        "reload_digest": options.get("reload_digest", ""),
    }


def test_check_mode_predicts_a_restart_and_does_nothing(commands):
    recorded(digest="old")
    commands.answer(SHOW, unit())
    result = service_runner.ensure(params(health={"url": "http://127.0.0.1:1/"}), check=True)
    assert result["changed"] is True
    assert result["not_predicted"] == ["the health of s: it can be known only after the change"]
    assert commands.made == [line for line in commands.made if line.startswith("systemctl show")]
    assert record()["digest"] == "old"


@pytest.mark.parametrize("name", ["s.path", "s.timer", "s.socket"])
def test_a_unit_that_is_no_service_bears_its_kind_in_its_name(commands, name):
    commands.answer(f"systemctl show {name} --property=ActiveState", unit(active="inactive", enabled="disabled"))
    service_runner.ensure(params(name=name, digest=None), check=True)
    assert {line.split()[2] for line in commands.made} == {name}


def test_a_bare_host_predicts_a_start(commands):
    commands.answer("systemctl", rc=127)
    assert service_runner.ensure(params(), check=True)["msg"] == "s is not running"


@pytest.mark.parametrize(
    ("journal", "words"),
    [
        pytest.param("still could not bind()", "still could not bind", id="its own words"),
        pytest.param("", "Job for s.service failed", id="systemd's where it has said nothing"),
    ],
)
def test_a_reload_that_is_refused_is_reported_and_not_recorded(commands, journal, words):
    recorded(digest="old")
    commands.answer(SHOW, unit())
    commands.answer("systemctl reload", rc=1, stderr="Job for s.service failed.")
    commands.answer("journalctl -u s.service _TRANSPORT=stdout", journal)
    with pytest.raises(service_runner.NotTaken, match=words):
        service_runner.ensure(params(digest="old", reload_digest="new"), check=False)
    assert record()["digest"] == "old"


def oneshot(done="0", result="success", remains="no", **state):
    more = {"Type": "oneshot", "RemainAfterExit": remains, "ExecMainExitTimestampMonotonic": done}
    return unit(**{"active": "inactive", "result": result, **state}) + "".join(f"{key}={more[key]}\n" for key in more)


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (oneshot(done="81250"), "s is started already, with its present files"),
        (oneshot(), "s is not running"),
        (oneshot(done="81250", result="exit-code", active="failed"), "s is not running"),
        (oneshot(done="81250", result="exec-condition"), "s is not running"),
        (oneshot(done="81250", remains="yes"), "s is not running"),
        (oneshot(done="81250", remains="yes", active="active"), "s is started already, with its present files"),
        (unit(active="inactive") + "Type=simple\nExecMainExitTimestampMonotonic=81250\n", "s is not running"),
    ],
    ids=["done", "not since the host started", "failed", "condition", "stopped", "done and remains", "no oneshot"],
)
def test_a_oneshot_counts_as_running_once_it_has_done_its_work(commands, there, message):
    recorded()
    commands.answer(SHOW, there)
    assert service_runner.ensure(params(), check=True)["msg"] == message


def test_a_oneshot_does_its_work_anew_when_its_files_have_changed(commands):
    recorded(digest="old")
    commands.answer("systemctl show s.service --property=LoadState", "loaded\n")
    commands.answer(SHOW, oneshot(done="81250"))
    assert service_runner.ensure(params(), check=False)["changed"] is True
    assert commands.that("start", "restart") == ["systemctl restart s.service"]
    assert record()["digest"] == "new"


def test_a_oneshot_whose_condition_does_not_hold_is_reported_at_once(commands):
    commands.answer(SHOW, oneshot(result="exec-condition"))
    with pytest.raises(service_runner.Unhealthy, match="has not run, for the condition in its unit does not hold"):
        service_runner.ensure(params(), check=False)


def test_a_unit_that_failed_is_reported_with_its_last_log_lines(commands):
    commands.answer("journalctl -u s.service -n 30 --no-pager -o cat", "bind() failed\n")
    commands.answer(SHOW, unit(active="failed", result="exit-code"))
    with pytest.raises(service_runner.Unhealthy) as failed:
        service_runner.ensure(params(), check=False)
    assert str(failed.value) == "s has failed (exit-code). Its last log lines:\nbind() failed"


@pytest.mark.parametrize(
    ("active", "restarts", "healthy"),
    [("active", 0, True), ("active", 7, True), ("failed", 0, False), ("activating", 0, False)],
    ids=["up", "came back from earlier deaths", "given up", "still starting"],
)
def test_a_units_own_state_says_whether_it_is_up(commands, active, restarts, healthy):
    recorded()
    commands.answer(SHOW, unit(active=active, restarts=restarts))
    if healthy:
        assert service_runner.ensure(params(), check=False)["changed"] is False
    else:
        with pytest.raises(service_runner.Unhealthy):
            service_runner.ensure(params(), check=False)


@pytest.mark.parametrize(
    ("there", "digest", "made"),
    [
        pytest.param([], "", f"{UP} --remove-orphans", id="nothing there: up"),
        pytest.param([container()], "old", f"{UP} --force-recreate --remove-orphans", id="changed files: recreated"),
    ],
)
def test_a_compose_project_is_brought_up(commands, there, digest, made):
    if digest:
        recorded("compose", digest)
    containers(commands, *there)
    commands.answer(made, lambda: containers(commands, container()) or "")
    assert service_runner.ensure(compose(), check=False)["changed"] is True
    assert commands.that("up", "down") == [made]
    assert record() == {"supervisor": "compose", "digest": "new", "reload_digest": "", "compose_file": "/c.yml"}


def test_a_running_project_with_its_present_files_is_left_alone(commands):
    recorded("compose")
    containers(commands, container())
    assert service_runner.ensure(compose(), check=False)["changed"] is False
    assert commands.that("up", "down", "restart") == []


@pytest.mark.parametrize(
    ("there", "word"),
    [
        pytest.param([], "it has no containers", id="no containers"),
        pytest.param([container(running=False)], "s-1 is exited", id="ended"),
        pytest.param([container(health="unhealthy")], "s-1 is unhealthy", id="unhealthy"),
        pytest.param([container(health="starting")], "s-1 is starting", id="its own health check has not passed yet"),
    ],
)
def test_a_project_that_is_not_up_is_reported_with_its_last_log_lines(commands, there, word):
    containers(commands, *there)
    commands.answer(f"{COMPOSE} logs", "out of memory\n")
    with pytest.raises(service_runner.Unhealthy) as failed:
        service_runner.ensure(compose(), check=False)
    assert str(failed.value) == f"s is not healthy after 60 s: {word}. Its last log lines:\nout of memory"


def test_waiting_ends_for_a_container_that_ends_again_and_again(commands):
    restarts = itertools.count(5)
    containers(commands, container(running=False))
    commands.answer("docker inspect", lambda: json.dumps([container(running=False, restarts=next(restarts))]))
    commands.answer(f"{COMPOSE} logs", "no such model\n")
    with pytest.raises(service_runner.Unhealthy) as failed:
        service_runner.ensure(compose(), check=False)
    assert str(failed.value) == "s ends again and again. Its last log lines:\nno such model"


def test_waiting_ends_for_a_unit_that_ends_again_and_again(commands):
    restarts = itertools.count(5)
    commands.answer(SHOW, lambda: unit(active="activating", restarts=next(restarts)))
    commands.answer("journalctl", "no such model\n")
    with pytest.raises(service_runner.Unhealthy) as failed:
        service_runner.ensure(params(), check=False)
    assert str(failed.value) == "s ends again and again. Its last log lines:\nno such model"


def test_where_the_health_address_answers_dockers_own_first_look_is_not_waited_for(commands, server):
    recorded("compose")
    containers(commands, container(health="starting"))
    server.routes["GET", "/health"] = lambda asked: asked.say(200)
    wanted = compose(health={"url": f"http://{server.place}/health", "status": 200, "timeout": 1})
    assert service_runner.ensure(wanted, check=False)["changed"] is False


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)], ids=["200", "503"])
def test_the_health_address_must_answer_as_wanted(commands, server, status, healthy):
    recorded("compose")
    containers(commands, container(health="healthy"))
    server.routes["GET", "/health"] = lambda asked: asked.say(status)
    url = f"http://{server.place}/health"
    wanted = compose(health={"url": url, "status": 200, "timeout": 1})
    if healthy:
        assert service_runner.ensure(wanted, check=False)["changed"] is False
    else:
        with pytest.raises(service_runner.Unhealthy, match=f"after 1 s: {url} answered 503, wanted 200"):
            service_runner.ensure(wanted, check=False)


@pytest.mark.parametrize(
    ("said", "check", "changed", "restarts"),
    [
        (['{"open":true}'], False, False, 0),
        (['{"open":false}', '{"open":true}'], False, True, 1),
        (['{"open":false}'], True, True, 0),
        (['{"open":true}'], True, False, 0),
    ],
)
def test_a_service_whose_answer_lacks_a_text_is_started_once_more(
    commands, monkeypatch, said, check, changed, restarts
):
    answers = iter(said)
    recorded()
    commands.answer(SHOW, unit())
    monkeypatch.setattr(service_runner, "wait_until_healthy", lambda *_given: None)
    monkeypatch.setattr(host, "http", lambda *_a, **_k: host.Response(200, {}, next(answers).encode()))
    health = {"url": "http://127.0.0.1/config", "holds": '"open":true'}
    assert service_runner.ensure(params(health=health), check)["changed"] is changed
    assert commands.made.count("systemctl restart s.service") == restarts


def test_a_service_whose_answer_lacks_a_text_after_that_too_is_reported(commands, monkeypatch):
    recorded()
    commands.answer(SHOW, unit())
    monkeypatch.setattr(service_runner, "wait_until_healthy", lambda *_given: None)
    monkeypatch.setattr(host, "http", lambda *_a, **_k: host.Response(200, {}, b"{}"))
    with pytest.raises(Unhealthy, match="which it was to hold after a restart"):
        service_runner.ensure(params(health={"url": "http://127.0.0.1/config", "holds": "open"}), check=False)


def test_a_switch_to_systemd_takes_the_project_down_first(commands):
    recorded("compose", "old")
    commands.answer("systemctl show s.service --property=LoadState", "loaded\n")
    commands.answer(SHOW, unit(active="inactive", enabled="disabled"))
    with pytest.raises(service_runner.Unhealthy, match="the unit is inactive"):
        service_runner.ensure(params(), check=False)
    assert commands.that("down", "enable", "start") == [
        f"{COMPOSE} down --remove-orphans",
        "systemctl enable s.service",
        "systemctl start s.service",
    ]


def test_a_switch_to_compose_disables_and_stops_the_unit_first(commands):
    recorded("systemd", "old")
    commands.answer(SHOW, unit())  # disabling makes systemd forget a unit whose file is gone, though it runs on
    containers(commands, container())
    service_runner.ensure(compose(), check=False)
    assert commands.that("disable", "stop", "daemon-reload", "up") == [
        "systemctl disable s.service",
        "systemctl stop s.service",
        "systemctl daemon-reload",
        f"{UP} --remove-orphans",
    ]


def test_a_project_of_which_one_container_still_runs_is_stopped(commands):
    recorded("compose")
    containers(commands, container(name="s-1"), container(name="s-2", running=False))
    service_runner.ensure(compose(state="stopped"), check=False)
    assert commands.that("down") == [f"{COMPOSE} down --remove-orphans"]
    assert record() == {}


def test_removing_a_service_whose_unit_is_gone_succeeds(commands):
    recorded()
    commands.answer(SHOW, unit(active="inactive", enabled=""))
    commands.answer("systemctl stop", rc=5, stderr="Failed to stop s.service: Unit s.service not loaded.")
    assert service_runner.ensure(params(state="absent"), check=False)["changed"] is True
    assert record() == {}


def test_a_switch_that_was_interrupted_after_the_old_unit_was_stopped_goes_on(commands):
    recorded("systemd", "old")
    containers(commands, container())
    commands.answer("systemctl stop", rc=5, stderr="Failed to stop s.service: Unit s.service not loaded.")
    service_runner.ensure(compose(), check=False)
    assert record() == {"supervisor": "compose", "digest": "new", "reload_digest": "", "compose_file": "/c.yml"}


def quadlet(**more):
    return params(supervisor="quadlet", **more)


def test_a_quadlet_starts_with_the_host_by_its_file_and_is_never_enabled(commands):
    commands.answer("systemctl show s.service --property=LoadState", "not-found\n")
    shown = [unit(active="inactive", enabled="")]
    commands.answer(SHOW, lambda: shown[0])
    commands.answer("systemctl start", lambda: shown.__setitem__(0, unit(enabled="generated")) or "")
    service_runner.ensure(quadlet(), check=False)
    assert commands.that("daemon-reload", "enable", "start") == ["systemctl daemon-reload", "systemctl start s.service"]
    assert record()["supervisor"] == "quadlet"
    assert service_runner.ensure(quadlet(), check=False)["changed"] is False


def test_a_quadlet_that_goes_is_stopped_and_leaves_no_container(commands):
    recorded("quadlet")
    commands.answer(SHOW, unit(enabled="generated"))
    commands.answer("podman container inspect", rc=125)
    service_runner.ensure(quadlet(state="absent"), check=False)
    made = commands.that("stop", "podman", "daemon-reload")
    assert made == [
        "systemctl stop s.service",
        "podman rm --force --ignore --volumes s",
        "systemctl daemon-reload",
        "podman container inspect s",
    ]
    assert record() == {}


def test_a_unit_of_our_own_is_enabled_where_there_was_a_quadlet(commands):
    recorded("quadlet")
    shown = [unit(enabled="generated")]
    commands.answer(SHOW, lambda: shown[0])
    commands.answer("podman container inspect", rc=125)
    service_runner.ensure(params(), check=False)
    assert "systemctl enable s.service" in commands.made


def test_a_unit_without_a_container_that_goes_waits_for_none(commands):
    recorded("venv")
    commands.answer(SHOW, unit())
    service_runner.ensure(params(supervisor="venv", state="absent"), check=False)
    assert "systemctl stop s.service" in commands.made
    assert not commands.that("docker", "podman")
    assert record() == {}


def test_an_engine_that_leaves_its_container_is_waited_for_until_that_has_gone(commands):
    recorded("systemd")
    commands.answer(SHOW, unit())
    commands.answer("docker container inspect", rc=1)
    service_runner.ensure(params(supervisor="venv"), check=False)
    made = commands.that("stop", "docker", "start", "restart")
    assert made == ["systemctl stop s.service", "docker container inspect s", "systemctl start s.service"]
    assert record()["supervisor"] == "venv"


@pytest.mark.parametrize(
    ("supervisor", "program"), [("compose", "docker"), ("systemd", "docker"), ("quadlet", "podman"), ("venv", "")]
)
def test_a_services_program_is_known_by_its_record(supervisor, program):
    recorded(supervisor)
    assert service_runner.program_for("s") == program
