# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each host lets somebody in to an engine or an interface, and by which proof."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import doors, metrics
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.api_clients import ApiClient

from .layouts import topology

SOCKET = "unix:/var/lib/gpuchat/vllm/qwen/vllm.sock"
GATEWAY, INTERFACE = "172.16.255.249", "172.16.255.250"


def behind(door):
    """Return the upstreams of a door."""
    return [door.upstream] if door.upstream else [route.upstream for route in door.routes]


def described(one, host):
    return [
        (door.kind, door.address, door.port, behind(door)[0].places, door.hosts or door.addresses, door.gives_key)
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
                ("files", GATEWAY, 443, (f"{INTERFACE}:3210",), (INTERFACE,), False),
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
    ("groups", "interface", "found"),
    [
        pytest.param(("c", "b", "a"), "lobehub", {"b": "a door of its own"}, id="no edge on that host"),
        pytest.param(("c", "a", "a"), "lobehub", {"a": "by the edge"}, id="an edge there has the port already"),
        pytest.param(("c", "b", "a"), "open_webui", {}, id="an interface that keeps files itself"),
    ],
)
def test_an_interface_finds_its_files_at_the_sites_own_address(groups, interface, found):
    one = replace(topology(*groups), interface=interface)
    here = doors.describe(one)["hosts"]
    seen = {host: "a door of its own" for host in here if any(door["kind"] == "files" for door in here[host]["doors"])}
    seen |= {host: "by the edge" for host in here if here[host].get("edge", {}).get("files_door")}
    assert seen == found
    for host in found:
        door = doors.door_of_files(one, host)
        assert (door.address, door.port, door.tls, door.files.places) == (GATEWAY, 443, True, ("172.16.255.251:9000",))


@pytest.mark.parametrize(
    ("groups", "places", "certified"),
    [
        (("c", "a", "a"), ("172.16.255.251:9000",), ""),
        (("c", "b", "a"), ("10.0.0.2:3210",), "interface.gpuchat.internal"),
    ],
)
def test_the_edge_asks_the_object_store_of_another_host_by_the_interfaces_door(groups, places, certified):
    found = doors.files_of_edge(topology(*groups), "a")
    assert (found.places, found.certified_name) == (places, certified)


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
    (route,) = doors.routes_of_edge(topology(*groups), "a")
    found = doors.interface_of_edge(topology(*groups), "a")
    assert (route.upstream.places, route.upstream.certified_name) == engine
    assert (found.places, found.certified_name) == interface


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
    asked = [(host, ("interface", doors.interface_of_edge(one, host))) for host in groups[2]]
    asked += [(host, ("engine", route.upstream)) for host in groups[2] for route in doors.routes_of_edge(one, host)]
    asked += [
        (host, (door.kind, upstream))
        for host in one.hosts
        for door in doors.doors(one, host)
        for upstream in behind(door)
        if upstream.certified_name
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


TWO = {"qwen": "ab", "bge": "b"}
ENDPOINT = {
    "name": "lm",
    "url": "https://llm.example.com/openai/v1",
    "models": ["llama", {"name": "big", "upstream": "vendor/Big-1"}],
    "authority_file": "/ca.pem",
}


def routed(routes):
    return {route.names: (route.kind, route.upstream.places) for route in routes}


def test_a_hosts_door_leads_to_its_own_engines_alone():
    one = topology("ab", "c", "c", TWO, [ENDPOINT])
    sockets = {name: f"unix:/var/lib/gpuchat/vllm/{name}/vllm.sock" for name in TWO}
    for door in doors.doors(one, "a"):
        assert routed(door.routes) == {("qwen",): ("engine", (sockets["qwen"],))}
    for door in doors.doors(one, "b"):
        assert routed(door.routes) == {(name,): ("engine", (sockets[name],)) for name in TWO}


@pytest.mark.parametrize(
    "find", [lambda one: doors.routes_of_edge(one, "c"), lambda one: doors.doors(one, "c")[0].routes]
)
def test_the_edge_and_the_interfaces_room_reach_each_model_on_all_hosts_that_serve_it(find):
    assert routed(find(topology("ab", "c", "c", TWO, [ENDPOINT]))) == {
        ("qwen",): ("door", ("10.0.0.1:8000", "10.0.0.2:8000")),
        ("bge",): ("door", ("10.0.0.2:8000",)),
        ("llama",): ("endpoint", ("llm.example.com:443",)),
        ("big",): ("endpoint", ("llm.example.com:443",)),
    }


def test_somebody_elses_server_is_asked_by_its_own_name_and_paths():
    described_edge = doors.describe(topology("", "a", "a", {}, [ENDPOINT]))["hosts"]["a"]["edge"]
    assert described_edge["routes"][1] == {
        "number": 2,
        "kind": "endpoint",
        "names": ["big"],
        "path": "/openai/v1",
        "rename": {"big": "vendor/Big-1"},
        "timeout": 30,
        "host": "llm.example.com",
        "virtual_host": "llm.example.com",
        "endpoint": "lm",
        "authority": "endpoint-lm.crt",
        "place": "llm.example.com:443",
        "silent_mark": "",
        "upstream": {"servers": ["llm.example.com:443 max_fails=0"], "scheme": "https", "certified_name": ""},
    }
    assert '"id": "llama"' in described_edge["listings"][0]["content"]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://10.0.0.9:1234/v1", ""),
        ("http://[fd00::9]:1234/v1", ""),
        ("http://workstation:1234/v1", "workstation:1234"),
        ("https://10.example.com/v1", "10.example.com:443"),
    ],
)
def test_a_server_is_looked_up_where_it_has_a_name(url, place):
    routes = doors.routes_of_edge(topology("", "a", "a", {}, [{**ENDPOINT, "url": url}]), "a")
    assert {one.place for one in routes} == {place}


def test_a_client_that_is_limited_sees_and_reaches_its_models_alone():
    one = topology("ab", "c", "c", TWO, [ENDPOINT])
    clients = [ApiClient("all", 1, 1, 1), ApiClient("some", 1, 1, 1, models=("bge", "big"))]
    edge = doors.describe(one, clients)["hosts"]["c"]["edge"]
    assert edge["limited"] == [{"name": "some", "names": ["bge", "big"]}]
    listed = {file["dest"]: [model["id"] for model in json.loads(file["content"])["data"]] for file in edge["listings"]}
    assert listed == {
        "/etc/gpuchat/edge/models.json": ["qwen", "bge", "llama", "big"],
        "/etc/gpuchat/edge/models-some.json": ["bge", "big"],
    }


@pytest.mark.parametrize(
    ("wanted", "granted"),
    [
        (["qwen"], ["qwen", "default"]),
        (["default"], ["qwen", "default"]),
        (["law"], ["law"]),
        (["trade", "big"], ["trade", "big"]),
        (["law", "default"], ["qwen", "default", "law"]),
    ],
)
@pytest.mark.parametrize(("engines", "edge"), [("a", "a"), ("ab", "c")])
def test_aliases_go_with_their_model_and_each_adapter_is_a_model_of_its_own(engines, edge, wanted, granted):
    models = {"qwen": engines}
    one = topology(engines, edge, edge, models, [ENDPOINT])
    (model,) = one.models
    one = replace(one, models=(replace(model, aliases=("default",), adapters=("law", "trade")),))
    found = doors.describe(one, [ApiClient("some", 1, 1, 1, models=tuple(wanted))])["hosts"][edge]["edge"]
    assert found["limited"] == [{"name": "some", "names": granted}]
    assert [model["id"] for model in json.loads(found["listings"][1]["content"])["data"]] == granted
    assert len(json.loads(found["listings"][0]["content"])["data"]) == 6


def test_an_edge_of_programs_alone_has_no_interface():
    edge = doors.describe(topology("a", "", "a"))["hosts"]["a"]["edge"]
    assert (edge["has_interface"], edge["upstreams"], edge["gives_key"]) == (False, {}, True)


@pytest.mark.parametrize(
    ("groups", "host", "address"),
    [
        pytest.param(("a", "a", "a"), "a", "127.0.0.1", id="on one host: the loopback"),
        pytest.param(("b", "a", "a"), "b", "10.0.0.2", id="on another: its private address"),
        pytest.param(("b", "b", "b"), "a", "127.0.0.1", id="on a host that only asks: its loopback"),
        pytest.param(("c", "b", "a"), "a", "127.0.0.1", id="on an edge that asks"),
        pytest.param(("a", "a", "b"), "b", "10.0.0.2", id="on an edge of its own"),
    ],
)
def test_the_metrics_of_a_host_are_for_the_monitoring_hosts_certificate_alone(groups, host, address):
    one = topology(*groups, monitoring="a")
    last = doors.doors(one, host)[-1]
    assert (last.kind, last.address, last.port, last.hosts, last.addresses) == ("metrics", address, 9400, ("a",), ())
    assert last.sources == metrics.sources(one, host)


def test_metrics_change_nothing_of_the_doors_before_theirs():
    for groups in itertools.product(("a", "b", "ab"), repeat=3):
        before, after = topology(*groups), topology(*groups, monitoring="c")
        for host in before.hosts:
            assert doors.doors(after, host)[:-1] == doors.doors(before, host)


def test_each_host_that_is_asked_for_metrics_is_certified_for_it_and_so_is_who_asks():
    assert doors.certified_hosts(topology("b", "a", "a", monitoring="c")) == {
        "b": ["engine.gpuchat.internal", "metrics.gpuchat.internal"],
        "a": ["metrics.gpuchat.internal"],
        "c": ["metrics.gpuchat.internal"],
    }
    assert doors.certified_hosts(topology("a", "a", "a", monitoring="a")) == {"a": ["metrics.gpuchat.internal"]}


def test_roles_are_told_what_a_host_shows_and_who_asks():
    told = doors.describe(topology("a", "a", "a", monitoring="b"))
    assert told["monitoring"] == "b"
    assert [(one["host"], one["job"]) for one in told["targets"]][-2:] == [("a", "edge"), ("b", "node")]
    shown, asking = told["hosts"]["a"]["metrics"], told["hosts"]["b"]["metrics"]
    assert (shown["is_monitored"], shown["is_monitoring"]) == (True, False)
    assert (asking["is_monitored"], asking["is_monitoring"]) == (True, True)
    assert told["hosts"]["a"]["doors"][-1]["sources"] == shown["sources"]


def test_without_monitoring_there_is_nothing_to_show():
    told = doors.describe(topology("a", "a", "a"))
    assert (told["monitoring"], told["targets"], told["certified_hosts"]) == ("", [], {})
    assert told["hosts"]["a"]["metrics"] == {"sources": [], "is_monitored": False, "is_monitoring": False}
