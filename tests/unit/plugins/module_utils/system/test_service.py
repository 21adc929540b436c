# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.change import Plan
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system.service import (
    ServiceState,
    Step,
    WantedService,
    plan_service,
)

SUPERVISORS = ("compose", "systemd")
OLD, NEW = "a" * 64, "b" * 64
RUNNING = {"running": True, "enabled": True, "recorded_supervisor": "systemd", "recorded_digest": OLD}


def acts(plan):
    return " ".join(step.act for step in plan.actions)


@pytest.mark.parametrize(
    ("wanted", "current", "steps", "reason"),
    [
        pytest.param({}, {}, "define enable start record", "s is not running", id="bare host"),
        pytest.param({}, RUNNING, "", "s is started already, with its present files", id="runs with its present files"),
        pytest.param(
            {"digest": NEW},
            RUNNING,
            "define restart record",
            "the files of s have changed since it started",
            id="interrupted between files and restart",
        ),
        pytest.param(
            {"reload_digest": NEW},
            RUNNING,
            "define reload record",
            "the files of s have changed since it started",
            id="changed files that a reload takes up",
        ),
        pytest.param(
            {"digest": NEW, "reload_digest": NEW},
            RUNNING,
            "define restart record",
            "the files of s have changed since it started",
            id="changed files of both kinds: a restart takes up all",
        ),
        pytest.param(
            {"reload_digest": NEW},
            {**RUNNING, "stale_definition": True},
            "define restart record",
            "the files of s have changed since it started",
            id="a reload is not enough where the unit file is newer",
        ),
        pytest.param(
            {"adopt": True, "reload_digest": NEW},
            {"running": True, "enabled": True},
            "record",
            "s runs already, and is recorded",
            id="adopted with what a reload would take up",
        ),
        pytest.param({}, {**RUNNING, "running": False}, "start record", "s is not running", id="it has died"),
        pytest.param(
            {"digest": NEW, "reload_digest": NEW},
            {**RUNNING, "running": False},
            "define start record",
            "s is not running",
            id="dead with changed files: a start, no reload",
        ),
        pytest.param({}, {**RUNNING, "enabled": False}, "enable record", "s is not enabled at boot", id="not enabled"),
        pytest.param(
            {},
            {"running": True, "enabled": True},
            "define restart record",
            "the files of s have changed since it started",
            id="runs, but nobody recorded with which files",
        ),
        pytest.param(
            {"adopt": True},
            {"running": True, "enabled": True},
            "record",
            "s runs already, and is recorded",
            id="runs, started by somebody else, and is to be left so",
        ),
        pytest.param(
            {"adopt": True, "digest": NEW},
            RUNNING,
            "define restart record",
            "the files of s have changed since it started",
            id="adopted before, its files have changed",
        ),
        pytest.param(
            {},
            {**RUNNING, "running": False, "stale_definition": True},
            "define start record",
            "s is not running",
            id="systemd holds an older unit file",
        ),
        pytest.param(
            {"digest": NEW},
            {"recorded_supervisor": "compose", "recorded_digest": OLD},
            "stop-other define enable start record",
            "s moves from compose to systemd",
            id="switch: the other one is stopped first",
        ),
        pytest.param(
            {"digest": NEW},
            {**RUNNING, "recorded_supervisor": "compose"},
            "stop-other define start record",
            "s moves from compose to systemd",
            id="switch, interrupted: what runs by the new one is started with its files",
        ),
        pytest.param({"state": "stopped"}, RUNNING, "stop forget", "s is to be stopped", id="stop"),
        pytest.param(
            {"state": "stopped"},
            {**RUNNING, "running": False},
            "stop forget",
            "s is to be stopped",
            id="stop a dead one",
        ),
        pytest.param(
            {"state": "stopped"},
            {},
            "",
            "s is stopped already, with its present files",
            id="stopped already",
        ),
        pytest.param({"state": "absent"}, RUNNING, "stop forget", "s is to be absent", id="remove"),
        pytest.param({"state": "absent"}, {}, "", "s is absent already, with its present files", id="absent already"),
        pytest.param(
            {"state": "absent"},
            {"recorded_supervisor": "systemd", "recorded_digest": OLD},
            "forget",
            "s is to be absent",
            id="remove one whose unit is gone: nothing to stop",
        ),
        pytest.param(
            {"state": "stopped"},
            {"recorded_supervisor": "compose", "recorded_digest": OLD},
            "stop-other forget",
            "s is to be stopped",
            id="stop one that the other supervisor runs",
        ),
        pytest.param(
            {"state": "absent"},
            {"recorded_supervisor": "compose", "recorded_digest": OLD},
            "stop-other forget",
            "s is to be absent",
            id="remove one that the other supervisor runs",
        ),
    ],
)
def test_a_service_is_brought_into_its_state(wanted, current, steps, reason):
    plan = plan_service(
        WantedService(**{"name": "s", "supervisor": "systemd", "state": "started", "digest": OLD, **wanted}),
        ServiceState(**current),
    )
    assert (acts(plan), plan.reason, plan.changed) == (steps, reason, bool(steps))
    assert bool(plan.differences) == plan.changed


def test_a_switch_stops_the_recorded_supervisor_and_acts_on_the_wanted_one():
    current = ServiceState(recorded_supervisor="compose", recorded_digest=OLD)
    plan = plan_service(WantedService("s", "systemd", "started", NEW), current)
    assert plan.actions[0] == Step("stop-other", "compose")
    assert {step.supervisor for step in plan.actions[1:]} == {"systemd"}


@pytest.mark.parametrize(
    ("wanted", "current", "before", "after"),
    [
        pytest.param(
            ("systemd", "started", NEW),
            {},
            "stopped by systemd, files not recorded\n",
            f"running by systemd, files {'b' * 12}\n",
            id="first start",
        ),
        pytest.param(
            ("systemd", "started", NEW),
            RUNNING,
            f"running by systemd, files {'a' * 12}\n",
            f"running by systemd, files {'b' * 12}\n",
            id="changed files",
        ),
        pytest.param(
            ("systemd", "absent", ""), RUNNING, f"running by systemd, files {'a' * 12}\n", "absent\n", id="removal"
        ),
    ],
)
def test_a_diff_shows_state_supervisor_and_digest(wanted, current, before, after):
    (difference,) = plan_service(WantedService("s", *wanted), ServiceState(**current)).differences
    assert (difference.name, difference.before, difference.after) == ("service s", before, after)


def after(plan, wanted, current):
    """Perform a plan on a host that has one service."""
    values = dict(vars(current))
    for step in plan.actions:
        values.update(
            {
                "start": {"running": True},
                "restart": {"running": True},
                "enable": {"enabled": True},
                "stop": {"running": False, "enabled": False},
                "define": {"stale_definition": False},
                "record": {
                    "recorded_supervisor": wanted.supervisor,
                    "recorded_digest": wanted.digest,
                    "recorded_reload_digest": wanted.reload_digest,
                },
                "forget": {"recorded_supervisor": None, "recorded_digest": "", "recorded_reload_digest": ""},
            }.get(step.act, {})
        )
    return ServiceState(**values)


WANTED = [
    WantedService("s", *values)
    for values in itertools.product(SUPERVISORS, ("started", "stopped", "absent"), ("", OLD), ("", NEW), (False, True))
]
STATES = [
    ServiceState(*values)
    for values in itertools.product(
        (False, True), (False, True), (None, *SUPERVISORS), ("", OLD), ("", NEW), (False, True)
    )
]
EVERY_PAIR = [*itertools.product(WANTED, STATES)]


def test_a_second_run_has_nothing_to_do():
    for wanted, current in EVERY_PAIR:
        plan = plan_service(wanted, current)
        assert plan_service(wanted, after(plan, wanted, current)).actions == (), (wanted, current)


def test_a_run_that_died_between_two_steps_is_put_right_by_the_next():
    for wanted, current in EVERY_PAIR:
        plan = plan_service(wanted, current)
        for done in range(len(plan.actions)):
            halfway = after(Plan(actions=plan.actions[:done]), wanted, current)
            end = after(plan_service(wanted, halfway), wanted, halfway)
            up = wanted.state == "started"
            assert (end.running, end.enabled) == (up, up), (wanted, current, done)
            if up:
                assert (end.recorded_supervisor, end.recorded_digest) == (wanted.supervisor, wanted.digest)
