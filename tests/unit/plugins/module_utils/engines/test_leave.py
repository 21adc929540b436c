# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who leaves rotation by hand, who stays for others, and the mark by which a door knows."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal, Unhealthy
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines import leave, leave_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines.leave import Standing
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.removal import reading_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import service_runner

WELL = {"both": True}
HOSTS = {"a": Standing({"both": True, "mine": True}), "b": Standing(WELL)}
ACTIVE = "ActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\nResult=success\nNRestarts=0\n"


@pytest.mark.parametrize(
    ("leaving", "other", "expected"),
    [
        pytest.param(["b"], HOSTS["a"], {}, id="another host answers for it"),
        pytest.param(["a"], HOSTS["a"], {"a": ("mine",)}, id="nobody else has one of its models"),
        pytest.param(["a", "b"], HOSTS["a"], {"a": ("both", "mine"), "b": ("both",)}, id="both leave"),
        pytest.param(["b"], Standing({"both": False}), {"b": ("both",)}, id="the other's engine does not answer"),
        pytest.param(["b"], Standing(WELL, since=1.0), {"b": ("both",)}, id="the other is out of rotation"),
        pytest.param(["b"], Standing(WELL, has_door=False), {"b": ("both",)}, id="the other's door is down"),
        pytest.param(["a"], Standing({"mine": False}), {}, id="what does not answer is missed by nobody"),
        pytest.param(["a"], Standing({"mine": True}, since=1.0), {}, id="what is out already is missed by nobody"),
    ],
)
def test_what_nobody_else_answers_for_is_left_alone(leaving, other, expected):
    assert leave.left_alone(leaving, {**HOSTS, "a": other}) == expected


def test_a_removal_knows_the_mark():
    assert reading_runner.DRAINED == leave.MARK


@pytest.fixture
def place(tmp_path, state_directory, commands, server, monkeypatch):
    """A host with a door and one engine, whose health a server of the test answers."""
    monkeypatch.setattr(leave_runner, "MARK", str(tmp_path / "drained"))
    monkeypatch.setattr(leave_runner, "ROUTES", str(tmp_path / "models.conf"))
    monkeypatch.setattr(host, "wait_for", lambda condition, timeout, interval=0.5: condition())
    (tmp_path / "models.conf").write_text(f"if (-f {tmp_path / 'drained'}) {{")
    health = {"url": f"http://{server.place}/health", "status": 200}
    host.write_json(service_runner.record_path("gpuchat-vllm-q"), {"supervisor": "compose", "health": health})
    host.write_json(service_runner.record_path("gpuchat-edge"), {"supervisor": "systemd"})
    commands.answer("systemctl show gpuchat-door.service", ACTIVE)
    server.routes["GET", "/health"] = lambda asked: asked.say(200)
    return tmp_path


def step(act, seconds=1):
    return Standing.read(leave_runner.run({"act": act, "seconds": seconds}))


def test_a_look_changes_nothing(place):
    assert step("look") == Standing({"gpuchat-vllm-q": True})
    assert not (place / "drained").exists()


def test_a_host_leaves_once_and_comes_back(place):
    since = step("close").since
    assert since is not None
    assert (place / "drained").stat().st_mode & 0o777 == 0o644  # nginx's workers look for it
    assert step("close").since == since
    assert step("open").since is None
    assert step("open").since is None


def test_it_stays_out_while_an_engine_does_not_answer(place, server):
    step("close")
    server.routes["GET", "/health"] = lambda asked: asked.say(503)
    with pytest.raises(Unhealthy, match="no answer of gpuchat-vllm-q after 1 s"):
        step("open")
    assert (place / "drained").exists()
    assert step("open", seconds=0).since is None


def test_a_door_that_would_not_see_the_mark_is_told(place):
    (place / "models.conf").write_text("location @door_1_route_1 {")
    with pytest.raises(Refusal, match="run site.yml"):
        step("close")
    assert not (place / "drained").exists()


def test_it_waits_for_all_engines_of_the_host(place, monkeypatch):
    asked = []

    def wait(*given):
        asked.append(given)
        return {"open": {"gpuchat-vllm-q": 2}, "seconds": 7.0, "msg": "", "changed": False}

    monkeypatch.setattr(leave_runner.drain_runner, "wait", wait)
    result = leave_runner.run({"act": "wait", "seconds": 7})
    assert (result["open"], result["seconds"]) == ({"gpuchat-vllm-q": 2}, 7.0)
    name = "gpuchat-vllm-q"
    assert asked == [([{"name": name, "container": name}], [name], 7.0, False)]
