# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each host lets in from beyond its loopback."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.models import read
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.openings import describe, openings
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.topology import derive

from .layouts import HOSTS, SETTINGS, topology

OFFICE = ("10.1.0.0/16", "fd00::/8")


def stack(settings, gpu):
    groups = {"gpu": [gpu], "chat": ["a"], "edge": ["a"]}
    return derive(groups, settings, read([{"name": "qwen"}], groups))


def shown(one, host, people=0):
    return [
        (opening.ports, opening.networks, opening.address, opening.interface, opening.connections)
        for opening in openings(one, host, people)
    ]


ROOM = ((8000,), (), "172.16.255.249", "gpuchat-room", 0)
FILES = ((443,), (), "172.16.255.249", "gpuchat-room", 0)


@pytest.mark.parametrize(
    ("groups", "host", "wanted"),
    [
        pytest.param(("a", "a", "a"), "a", [ROOM, FILES, ((80, 443), OFFICE, "", "", 1000)], id="one host"),
        pytest.param(("b", "a", "a"), "a", [ROOM, FILES, ((80, 443), OFFICE, "", "", 1000)], id="the host in front"),
        pytest.param(("b", "a", "a"), "b", [((8000,), ("10.0.0.1",), "10.0.0.2", "", 0)], id="the host behind"),
        pytest.param(
            ("c", "b", "a"),
            "b",
            [ROOM, FILES, ((3210,), ("10.0.0.1",), "10.0.0.2", "", 0)],
            id="an interface of its own",
        ),
        pytest.param(
            ("ab", "a", "a"),
            "a",
            [((8000,), (), "10.0.0.1", "", 0), ROOM, FILES, ((80, 443), OFFICE, "", "", 1000)],
            id="a door that its own host alone asks by TLS",
        ),
    ],
)
def test_a_host_lets_in_those_who_need_what_it_serves(groups, host, wanted):
    assert shown(topology(*groups), host) == wanted


def test_a_proxy_in_front_may_hold_any_number_of_connections_and_nobody_else():
    settings = {host: {**SETTINGS, "edge_trusted_proxies": ["10.9.0.1/32"]} for host in HOSTS}
    one = stack(settings, gpu="a")
    assert shown(one, "a")[-1] == ((80, 443), (*OFFICE, "10.9.0.1/32"), "", "", 1000)
    assert openings(one, "a", 0)[-1].unlimited == ("10.9.0.1/32",)


@pytest.mark.parametrize(("people", "connections"), [(0, 1000), (100, 1000), (500, 5000)])
def test_one_address_may_hold_connections_for_all_people(people, connections):
    assert shown(topology("a", "a", "a"), "a", people)[-1][-1] == connections


def test_a_host_without_a_private_address_may_come_from_any():
    settings = {host: {**SETTINGS, "gpuchat_private_address": "10.0.0.2" if host == "b" else ""} for host in HOSTS}
    one = stack(settings, gpu="b")
    assert shown(one, "b") == [((8000,), (), "10.0.0.2", "", 0)]


def test_each_host_is_described_with_the_rooms_that_it_has():
    one = topology("b", "a", "a")
    found = describe(one, None)
    assert {host: part["rooms"] for host, part in found.items()} == {"a": ["gpuchat-room"], "b": []}
    assert {host: part["room_ports"] for host, part in found.items()} == {"a": [9000], "b": []}
    assert found["a"]["openings"][-1]["networks"] == list(OFFICE)


EVERYBODY = ((80,), (), "", "", 1000)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        pytest.param({"edge_tls": "acme"}, [EVERYBODY, ((443,), OFFICE, "", "", 1000)], id="a directory asks by HTTP"),
        pytest.param(
            {"edge_tls": "acme", "edge_acme_challenge": "dns"}, [((80, 443), OFFICE, "", "", 1000)], id="by DNS"
        ),
        pytest.param({"edge_tls": "none"}, [((80,), OFFICE, "", "", 1000)], id="plain HTTP"),
    ],
)
def test_an_edge_is_open_to_everybody_for_a_directory_alone(settings, wanted):
    one = stack({"a": {**SETTINGS, **settings}}, gpu="a")
    assert shown(one, "a")[2:] == wanted


@pytest.mark.parametrize(
    ("groups", "host", "wanted"),
    [
        pytest.param(("b", "a", "a"), "b", [((9400,), ("10.0.0.3",), "10.0.0.2", "", 0)], id="another host"),
        pytest.param(("b", "a", "a"), "c", [], id="the one that asks, which does so on its loopback"),
        pytest.param(("b", "b", "b"), "b", [((9400,), ("10.0.0.3",), "10.0.0.2", "", 0)], id="all but that one"),
    ],
)
def test_the_monitoring_host_alone_is_let_in_to_the_metrics(groups, host, wanted):
    before = shown(topology(*groups), host) if host in set("".join(groups)) else []
    after = shown(topology(*groups, monitoring="c"), host)
    assert [one for one in after if one not in before] == wanted
