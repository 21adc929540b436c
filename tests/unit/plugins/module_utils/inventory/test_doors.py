# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each host lets somebody in to an engine or an interface, and by which proof."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import doors

from .layouts import topology

SOCKET = "unix:/var/lib/gpuchat/vllm/vllm.sock"
GATEWAY, INTERFACE = "172.16.255.249", "172.16.255.250"


def described(one, host):
    return [
        (door.kind, door.address, door.port, door.upstream.places, door.hosts or door.addresses, door.gives_key)
        for door in doors.doors(one, host)
    ]


@pytest.mark.parametrize(
    ("groups", "host", "wanted"),
    [
        pytest.param(
            ("a", "a", "a"),
            "a",
            [
                ("engine", "127.0.0.1", 8000, (SOCKET,), (), False),
                ("engine", GATEWAY, 8000, (SOCKET,), (INTERFACE,), True),
            ],
            id="all on one host: the loopback, by the engine's own key, and the room",
        ),
        pytest.param(
            ("b", "a", "a"),
            "b",
            [
                ("engine", "127.0.0.1", 8000, (SOCKET,), (), False),
                ("engine", "10.0.0.2", 8000, (SOCKET,), ("a",), True),
            ],
            id="an engine behind: by the certificate of the host in front",
        ),
        pytest.param(
            ("b", "a", "a"),
            "a",
            [("engine", GATEWAY, 8000, ("10.0.0.2:8000",), (INTERFACE,), True)],
            id="the host in front of it: the room alone",
        ),
        pytest.param(
            ("ab", "a", "a"),
            "a",
            [
                ("engine", "127.0.0.1", 8000, (SOCKET,), (), False),
                ("engine", "10.0.0.1", 8000, (SOCKET,), ("a",), True),
                ("engine", GATEWAY, 8000, ("10.0.0.1:8000", "10.0.0.2:8000"), (INTERFACE,), True),
            ],
            id="an engine here and one there: both are asked alike",
        ),
        pytest.param(
            ("c", "b", "a"),
            "b",
            [
                ("engine", GATEWAY, 8000, ("10.0.0.3:8000",), (INTERFACE,), True),
                ("interface", "10.0.0.2", 3210, (f"{INTERFACE}:3210",), ("a",), False),
            ],
            id="an interface of its own: by the certificate of the edge",
        ),
        pytest.param(("c", "b", "a"), "a", [], id="an edge of its own has no door but the edge"),
        pytest.param(
            ("", "a", "a"), "a", [], id="no engine yet"
        ),
    ],
)  # fmt: skip
def test_a_host_has_the_doors_that_others_need(groups, host, wanted):
    assert described(topology(*groups), host) == wanted


@pytest.mark.parametrize(
    ("groups", "engine", "interface"),
    [
        (("a", "a", "a"), (("127.0.0.1:8000",), ""), ((f"{INTERFACE}:3210",), "")),
        (("b", "a", "a"), (("10.0.0.2:8000",), "engine.gpuchat.internal"), ((f"{INTERFACE}:3210",), "")),
        (
            ("a", "b", "a"),
            (("127.0.0.1:8000",), ""),
            (("10.0.0.2:3210",), "interface.gpuchat.internal"),
        ),
        (
            ("ab", "ab", "a"),
            (("10.0.0.1:8000", "10.0.0.2:8000"), "engine.gpuchat.internal"),
            (("10.0.0.1:3210", "10.0.0.2:3210"), "interface.gpuchat.internal"),
        ),
    ],
)
def test_the_edge_asks_in_plain_what_is_on_its_own_host_alone(groups, engine, interface):
    found = doors.upstreams_of_edge(topology(*groups), "a")
    assert (found["engine"].places, found["engine"].certified_name) == engine
    assert (found["interface"].places, found["interface"].certified_name) == interface


@pytest.mark.parametrize(
    ("places", "servers"),
    [
        ((SOCKET,), [f"{SOCKET} max_fails=0"]),
        (("a:1", "b:1"), ["a:1 max_fails=3 fail_timeout=5s", "b:1 max_fails=3 fail_timeout=5s"]),
    ],
)
def test_one_that_fails_is_left_alone_for_a_while_where_there_is_another(places, servers):
    assert doors.Upstream(places).as_dict()["servers"] == servers


EACH = [
    groups
    for groups in itertools.product(*[["", "a", "b", "ab", "abc"]] * 3)
    if all(groups)
]  # fmt: skip


@pytest.mark.parametrize("groups", EACH, ids="-".join)
def test_in_each_layout_whoever_asks_finds_a_door_that_knows_it(groups):
    one = topology(*groups)
    certified = doors.certified_hosts(one)
    asked = [(host, found) for host in groups[2] for found in doors.upstreams_of_edge(one, host).items()]
    asked += [
        (host, (door.kind, door.upstream))
        for host in one.hosts
        for door in doors.doors(one, host)
        if door.upstream.certified_name
    ]
    by_place = {f"{door.address}:{door.port}": (host, door) for host in one.hosts for door in doors.doors(one, host)}
    for asking, (kind, upstream) in asked:
        for place in upstream.places if upstream.certified_name else ():
            host, door = by_place[place]
            assert (door.kind, asking in door.hosts) == (kind, True)
            assert asking in certified
            assert upstream.certified_name in certified[host]


@pytest.mark.parametrize("groups", EACH, ids="-".join)
def test_in_each_layout_no_door_beyond_its_host_is_open_without_proof(groups):
    one = topology(*groups)
    for host in one.hosts:
        for door in doors.doors(one, host):
            assert door.address == "127.0.0.1" or door.hosts or door.addresses
            assert not door.gives_key or door.hosts or door.addresses


def test_no_certificate_is_made_where_the_stack_is_one_host():
    assert doors.certified_hosts(topology("a", "a", "a")) == {}
    assert doors.certified_hosts(topology("b", "a", "a")) == {"a": [], "b": ["engine.gpuchat.internal"]}
