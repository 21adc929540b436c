# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container network without a way out."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker import network_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.container import (
    Container,
    compose_project,
    systemd_unit,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.network import Network

ROOM = Network("room", "172.16.255.248/29", "room0", "172.16.255.250")
NONE = Network("none")
MADE = (
    "docker network create --driver bridge --internal --subnet 172.16.255.248/29"
    " --opt com.docker.network.bridge.name=room0 room"
)


def inspected(subnet=ROOM.subnet, bridge=ROOM.bridge, internal=True, containers=()):
    found = {
        "Name": "room",
        "Internal": internal,
        "IPAM": {"Config": [{"Subnet": subnet}]},
        "Options": {"com.docker.network.bridge.name": bridge},
        "Containers": {str(number): {"Name": name} for number, name in enumerate(containers)},
    }
    return json.dumps([found])


def test_one_that_is_not_there_is_made(commands):
    commands.answer("docker network inspect", rc=1)
    result = network_runner.ensure(ROOM, check=False)
    assert (result["changed"], commands.that("create")) == (True, [MADE])
    assert result["diff"][0]["after"] == "172.16.255.248/29 by room0, without a way out\n"


def test_one_that_is_right_is_left_alone(commands):
    commands.answer("docker network inspect", inspected())
    assert network_runner.ensure(ROOM, check=False)["changed"] is False
    assert commands.made == ["docker network inspect room"]


@pytest.mark.parametrize("other", [{"subnet": "172.16.0.0/29"}, {"bridge": "br-1"}, {"internal": False}])
def test_one_with_other_settings_is_made_anew_once_its_containers_are_detached(commands, other):
    commands.answer("docker network inspect", inspected(containers=["one", "two"], **other))
    assert network_runner.ensure(ROOM, check=False)["changed"]
    assert commands.made[1:] == [
        "docker network disconnect --force room one",
        "docker network disconnect --force room two",
        "docker network rm room",
        MADE,
    ]


def test_check_mode_makes_none(commands):
    commands.answer("docker network inspect", rc=127)
    assert network_runner.ensure(ROOM, check=True)["changed"]
    assert commands.that("create") == []


def test_dockers_own_networks_are_not_even_asked_for(commands):
    assert [network_runner.ensure(one, check=False)["changed"] for one in (NONE, Network())] == [False, False]
    assert commands.made == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "none", "address": "10.0.0.1"},
        {"name": "host", "subnet": "10.0.0.0/29"},
        {"name": "room", "subnet": "10.0.0.0/29", "bridge": "room0"},
        {"name": "room"},
        {"name": "room", "subnet": "10.0.0.0/29", "bridge": "a" * 16, "address": "10.0.0.2"},
    ],
)
def test_one_that_is_half_described_is_refused(wrong):
    with pytest.raises(Refusal, match="set network"):
        Network(**wrong)


@pytest.mark.parametrize(
    ("network", "compose", "unit"),
    [
        (ROOM, {"networks": {"room": {"ipv4_address": ROOM.address}}}, ['--network "room"', f"--ip {ROOM.address}"]),
        (NONE, {"network_mode": "none"}, ['--network "none"']),
        (Network(), {"network_mode": "host"}, ['--network "host"']),
    ],
    ids=["a room", "none", "the host's"],
)
def test_both_supervisors_attach_a_container_to_the_same(network, compose, unit):
    container = Container("one", "i@sha256:0", "1:2", network=network)
    project = yaml.safe_load(compose_project(container))
    service = project["services"]["one"]
    assert {key: service[key] for key in ("network_mode", "networks") if key in service} == compose
    assert project.get("networks", {}) == ({"room": {"name": "room", "external": True}} if network is ROOM else {})
    written = systemd_unit(container)
    assert [word for word in unit if word not in written] == []
    assert ("--ip" in written) is (network is ROOM)
