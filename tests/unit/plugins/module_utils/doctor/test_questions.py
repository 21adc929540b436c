# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host is asked only what its part and its state call for."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor.answers import answer_of
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor.listening import Listener, listeners
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor.questions import (
    asks_kernel,
    endpoints,
    meet,
    names,
    ports,
    targets,
    unwell,
    with_gpus,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.doors import describe

from ..inventory.layouts import topology
from ..survey.healthy import ENGINE_IMAGE, NOW, reading
from .stack import CHAT, DATABASE, ENGINE, HOSTS, STORE, Stack

HUB = {"path": "/srv/models/demo", "source": "huggingface", "endpoints": [], "container": ENGINE}


@pytest.mark.parametrize(
    ("own", "asked"),
    [
        ("a", [("10.0.0.2", 3210, "edge", "b", "interface"), ("10.0.0.3", 8000, "edge", "c", "engine")]),
        ("b", [("10.0.0.3", 8000, "door", "c", "engine")]),
        ("c", []),
    ],
)
def test_the_doors_that_a_host_needs_are_asked_with_the_certificates_of_who_needs_them(own, asked):
    found = [(one.address, one.port, one.folder, one.host, one.kind) for one in targets(own, HOSTS)]
    assert found == asked


def test_on_one_host_no_door_is_asked_by_tls():
    hosts = describe(topology("a", "a", "a"))["hosts"]
    assert targets("a", hosts) == ()


def test_a_host_without_a_part_is_asked_nothing():
    assert targets("x", {}) == ports({}) == ()
    assert names({}, {}) == unwell({}, {}, {}) == endpoints({}) == {}


def test_the_ports_of_a_host_are_those_of_its_doors_and_its_edge():
    assert ports(HOSTS["a"]) == (("", 80, "gpuchat-edge"), ("", 443, "gpuchat-edge"))
    assert ports(HOSTS["c"]) == (("127.0.0.1", 8000, "gpuchat-door"), ("10.0.0.3", 8000, "gpuchat-door"))


@pytest.mark.parametrize(
    ("one", "other", "is_met"),
    [
        ("10.0.0.3", "10.0.0.3", True),
        ("10.0.0.3", "0.0.0.0", True),
        ("", "127.0.0.1", True),
        ("10.0.0.3", "::", True),
        ("10.0.0.3", "127.0.0.1", False),
    ],
)
def test_two_sockets_meet_where_their_addresses_do(one, other, is_met):
    assert meet(one, other) is is_met


# Names.


def test_what_lies_on_the_host_needs_no_name():
    assert names({"engines": [HUB]}, reading()) == {}


def test_an_engine_without_a_container_needs_no_registry():
    gone = reading()
    gone["docker"]["containers"] = []
    gone["services"][ENGINE]["supervisor"] = "venv"
    assert names({}, gone) == {"registry-1.docker.io": f"registry of {CHAT}"}


def test_a_container_that_is_not_there_needs_its_registry():
    gone = reading()
    gone["docker"]["containers"] = []
    found = names({}, gone)
    assert found == {"registry-1.docker.io": f"registry of {CHAT}", "registry.example.com": f"registry of {ENGINE}"}
    gone["containers"][ENGINE]["image"] = ENGINE_IMAGE.replace("registry.example.com", "10.0.0.9:5000")
    assert list(names({}, gone)) == ["registry-1.docker.io"]


@pytest.mark.parametrize(
    ("engine", "found"),
    [
        (HUB, {"huggingface.co": f"hub of {ENGINE}"}),
        ({**HUB, "endpoints": ["http://hub.lan:8080/x"]}, {"hub.lan": f"hub of {ENGINE}"}),
        ({**HUB, "endpoints": ["http://10.0.0.9/"]}, {}),
        ({**HUB, "source": "path"}, {}),
    ],
)
def test_a_model_that_is_not_whole_needs_its_hub(engine, found):
    part = reading()
    part["models"]["/srv/models/demo"]["missing"] = ["model.safetensors"]
    assert names({"engines": [engine]}, part) == found


def test_a_directory_has_to_find_the_site():
    edge = {"tls": "acme", "names": ["chat.example.com"]}
    assert names({"edge": edge}, reading()) == {"chat.example.com": "site"}
    assert names({"edge": {**edge, "tls": "selfsigned"}}, reading()) == {}


def test_endpoints_are_reached_by_who_asks_them():
    assert endpoints(HOSTS["a"]) == endpoints(HOSTS["b"]) == {"lmstudio": "studio.lan:1234"}
    assert endpoints(HOSTS["c"]) == {}
    assert names(HOSTS["a"], reading()) == {"studio.lan": "endpoint lmstudio"}


# What is not well.


def test_no_log_is_read_of_what_is_well():
    stack = Stack()
    for host in HOSTS:
        assert unwell(HOSTS[host], stack.readings[host], stack.checks[host]) == {}


def test_a_container_that_only_starts_is_left_to_it():
    stack = Stack()
    stack.container("c", ENGINE).update(health="starting")
    stack.readings["c"]["engines"][ENGINE].update(healthy=False)
    assert unwell(HOSTS["c"], stack.readings["c"], {}) == {}


NEARLY_OVER = {"from": NOW.timestamp() - 88 * 86400, "until": NOW.timestamp() + 2 * 86400}
UNWELL = {
    "a unit that failed": (lambda stack: stack.stop("c", "gpuchat-door"), "c", {"gpuchat-door": "systemd"}),
    "a unit that somebody has stopped": (lambda stack: stack.stop("c", "gpuchat-door", failed=False), "c", {}),
    "a container that ended": (lambda stack: stack.stop("c", ENGINE), "c", {ENGINE: "compose"}),
    "a container that is unhealthy": (
        lambda stack: stack.container("b", CHAT).update(health="unhealthy"),
        *("b", {CHAT: "compose"}),
    ),
    "a container that restarts again and again": (
        lambda stack: stack.container("c", ENGINE).update(restarts=5, seconds_up=3.0),
        *("c", {ENGINE: "compose"}),
    ),
    "an engine that says nothing": (
        lambda stack: stack.readings["c"]["engines"][ENGINE].update(healthy=False),
        *("c", {ENGINE: "compose"}),
    ),
    "an engine that no run has recorded yet": (
        lambda stack: stack.readings["c"]["services"].pop(ENGINE),
        *("c", {ENGINE: "compose"}),
    ),
    "a Docker that says nothing": (
        lambda stack: stack.readings["c"]["docker"].update(answers=False),
        *("c", {"docker": "systemd"}),
    ),
    "a backup whose last attempt failed": (
        lambda stack: stack.readings["b"].update(backup={"failure": {"message": "rc 1"}}),
        *("b", {"gpuchat-backup": "systemd"}),
    ),
    "a certificate of a directory's that was not renewed in time": (
        lambda stack: stack.readings["a"].update(certificates=[{"path": "/etc/gpuchat/edge/acme.pem", **NEARLY_OVER}]),
        *("a", {"gpuchat-acme": "systemd"}),
    ),
    "a certificate of the stack's own": (
        lambda stack: stack.readings["a"].update(certificates=[{"path": "/etc/gpuchat/edge/tls.crt", **NEARLY_OVER}]),
        *("a", {}),
    ),
    "a container that ended once and is not back yet": (
        lambda stack: stack.container("b", CHAT).update(health="starting", restarts=1, seconds_up=3.0),
        *("b", {CHAT: "compose"}),
    ),
    "an interface that only starts, which may say why it will not": (
        lambda stack: stack.container("b", CHAT).update(health="starting"),
        *("b", {CHAT: "compose"}),
    ),
    "a unit that starts again and again": (
        lambda stack: stack.service("b", DATABASE, state="activating", restarts=2),
        *("b", {DATABASE: "systemd"}),
    ),
    "a database that runs and says nothing": (
        lambda stack: stack.checks["b"].update(database={CHAT: {"stage": "silent", "said": "no socket"}}),
        *("b", {DATABASE: "systemd"}),
    ),
    "an object store that runs and says nothing": (
        lambda stack: stack.checks["b"].update(bucket={"status": 0, "said": "refused"}),
        *("b", {STORE: "compose"}),
    ),
    "an edge that answers with an error": (
        lambda stack: stack.checks["a"]["site"].update(status=502),
        *("a", {"gpuchat-edge": "systemd"}),
    ),
}


@pytest.mark.parametrize("name", UNWELL)
def test_the_log_is_read_of_what_is_not_well(name):
    spoil, host, found = UNWELL[name]
    stack = Stack()
    spoil(stack)
    assert unwell(HOSTS[host], stack.readings[host], stack.checks[host]) == found


@pytest.mark.parametrize(("state", "is_asked"), [("ok", False), ("no_gpu", False), ("no_driver", True), ("lost", True)])
def test_the_kernel_is_asked_why_the_driver_serves_no_gpu(state, is_asked):
    assert asks_kernel({"gpu": {"state": state}}) is is_asked
    assert asks_kernel({}) is False


def test_gpus_are_looked_for_in_containers_that_run_and_were_given_some():
    stack = Stack()
    assert with_gpus(stack.readings["c"]) == (ENGINE,)
    assert with_gpus(stack.readings["b"]) == ()
    stack.stop("c", ENGINE)
    assert with_gpus(stack.readings["c"]) == ()


# Who listens.

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0300000A:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100
   1: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 100
   2: 0100007F:1F40 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0000000000000000 100
   3: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1 0000000000000000 100
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx rx tr tm retr uid timeout inode
   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 0:0 0:0 0     0        0 4715 1 0
   1: 0000000000000000FFFF00000300000A:1F40 00000000000000000000000000000000:0000 0A 0:0 0:0 0     0        0 4716 1 0
"""


def test_the_kernels_table_says_who_listens_on_a_port():
    assert listeners(TCP, {8000, 443}) == [Listener("10.0.0.3", 8000, "4711"), Listener("0.0.0.0", 443, "4712")]
    assert listeners(TCP6, {8000, 443}) == [Listener("::", 443, "4715"), Listener("10.0.0.3", 8000, "4716")]
    assert listeners("", {80}) == []


# What came of asking.


def test_a_reading_is_an_answer_with_its_clock():
    result = {"reading": {"clock": 1010.0}, "asked": 1000.0, "heard": 1004.0}
    assert (answer_of(result).stage, answer_of(result).seconds, answer_of(result).clock_ahead) == ("done", 4.0, 6.0)
    assert answer_of({**result, "reading": {"clock": 1002.0}}).clock_ahead == 0.0
    assert answer_of({**result, "reading": {"clock": 900.0}}).clock_ahead == -100.0


@pytest.mark.parametrize(
    ("result", "stage", "problem"),
    [
        ({"unreachable": True, "msg": "timed out"}, "connect", "timed out"),
        ({"failed": True, "msg": "MODULE FAILURE", "module_stdout": "sh: python3: not found"}, "run", "python3"),
        ({}, "run", "Ansible's own words"),
    ],
)
def test_a_host_without_a_reading_says_why(result, stage, problem):
    answer = answer_of(result)
    assert answer.stage == stage
    assert problem in answer.problem
