# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database of somebody else's in the place of the stack's own."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import doors, elsewhere, metrics, models
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.openings import openings
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.topology import derive

from .layouts import SETTINGS

GOOD = {"host": "db.example.com", "name": "chat", "user": "chat", "authority_file": "/etc/company/ca.pem"}


def stack(given=None, interface="lobehub"):
    groups = {"gpu": ["a"], "chat": ["a"], "edge": ["a"], "monitoring": ["a"]}
    settings = {"a": {**SETTINGS, **({elsewhere.DATABASE: given} if given is not None else {})}}
    return derive(groups, settings, models.read([{"name": "qwen"}], groups), (), interface)


def faults(changed, has_password=True, taken=None):
    return list(elsewhere.faults({elsewhere.DATABASE: {**GOOD, **changed}}, has_password, taken or {}))


@pytest.mark.parametrize(
    ("changed", "more", "wanted"),
    [
        pytest.param({}, {}, "", id="a good one"),
        pytest.param({"port": 6432}, {}, "", id="a port of its own"),
        pytest.param(
            {"host": "10.0.0.9"}, {}, "set gpuchat_database.host", id="an address, which no certificate bears"
        ),
        pytest.param({"host": "https://db"}, {}, "set gpuchat_database.host", id="no name"),
        pytest.param({"port": 0}, {}, "set gpuchat_database.port", id="no port"),
        pytest.param({"host": "localhost"}, {}, "set gpuchat_database.host", id="each host's own name"),
        pytest.param({"name": "postgres"}, {}, "which is PostgreSQL's own", id="PostgreSQL's own"),
        pytest.param({"authority_file": ""}, {}, "set gpuchat_database.authority_file", id="no authority"),
        pytest.param({"port": 70000}, {}, "set gpuchat_database.port", id="a port that is none"),
        pytest.param({"port": -1}, {}, "set gpuchat_database.port", id="a port below nothing"),
        pytest.param({"host": 5}, {}, "set gpuchat_database.host", id="a number for a name"),
        pytest.param({"name": 5}, {}, "set gpuchat_database.name", id="a number for a database"),
        pytest.param({"user": -1}, {}, "set gpuchat_database.user", id="a number for a user"),
        pytest.param({"name": "a-b"}, {}, "set gpuchat_database.name", id="a database that nothing can stand beside"),
        pytest.param({"user": "a b"}, {}, "set gpuchat_database.user", id="no user"),
        pytest.param({}, {"has_password": False}, "set gpuchat_database_password", id="no password"),
        pytest.param(
            {},
            {"taken": {5432: "gpuchat_vllm_port"}},
            "set gpuchat_vllm_port",
            id="another door at its port in the room",
        ),
    ],
)
def test_a_database_is_judged_before_any_host_is_asked(changed, more, wanted):
    found = faults(changed, **more)
    assert len(found) == bool(wanted)
    assert all(wanted in one for one in found)


def test_a_password_without_a_database_is_told():
    (word,) = elsewhere.faults({}, True, {})
    assert "set gpuchat_database to" in word
    assert list(elsewhere.faults({elsewhere.DATABASE: {}}, False, {5432: "gpuchat_vllm_port"})) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("no certificate", "no certificate in PEM form"),
        ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "private key"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "damaged"),
    ],
)
def test_a_file_that_is_no_authority_is_told(text, wanted):
    (word,) = elsewhere.authority_faults("gpuchat_database", "/etc/company/ca.pem", text)
    assert wanted in word
    assert "set gpuchat_database.authority_file" in word


def test_without_one_the_interface_has_the_stacks_own():
    for given in (None, {}):
        found = stack(given)
        assert found.has_own_database
        assert found.as_dict()["hosts"]["a"]["interface"]["database"] == {
            "is_own": True,
            "name": "lobehub",
            "user": "lobehub",
            "connection": "",
        }


@pytest.mark.parametrize("interface", ["lobehub", "open_webui"])
def test_with_one_the_interface_finds_it_by_its_name_at_the_rooms_door(interface):
    found = stack(GOOD, interface)
    assert not found.has_own_database
    here = found.as_dict()["hosts"]["a"]["interface"]
    assert here["found_at"]["db.example.com"] == "172.16.255.249"
    assert here["database"] == {
        "is_own": False,
        "name": "chat",
        "user": "chat",
        "host": "db.example.com",
        "port": 5432,
        "place": "db.example.com:5432",
        "authority_file": "/etc/company/ca.pem",
        "room_port": 5432,
        "room_place": "172.16.255.249:5432",
        "connection": "/etc/gpuchat/database/connection.json",
    }


def test_the_room_alone_is_let_through_to_it():
    def way(topology):
        return [one for one in openings(topology, "a", 0) if elsewhere.ROOM_PORT in one.ports]

    assert way(stack()) == []
    (opening,) = way(stack({**GOOD, "port": 6432}))
    assert (opening.address, opening.interface, opening.networks) == ("172.16.255.249", "gpuchat-room", ())


def test_nobody_asks_for_figures_of_a_server_that_is_somebody_elses():
    jobs = [[one.job for one in metrics.sources(found, "a")] for found in (stack(), stack(GOOD))]
    assert [metrics.POSTGRESQL in found for found in jobs] == [True, False]


S3 = {"url": "https://s3.example.com", "bucket": "chat", "region": "eu-central-1"}
KEYS = ("object_store_access_key", "object_store_secret_key")


def with_store(given, interface="lobehub", chat="a", **more):
    groups = {"gpu": ["a"], "chat": [chat], "edge": ["a"]}
    settings = {host: {**SETTINGS, **more} for host in ("a", "b")}
    settings[chat][elsewhere.STORE] = given
    settings["b"]["gpuchat_private_address"] = "10.0.0.2"
    return derive(groups, settings, models.read([{"name": "qwen"}], groups), (), interface)


@pytest.mark.parametrize(
    ("changed", "keys", "wanted"),
    [
        pytest.param({}, KEYS, "", id="a good one"),
        pytest.param({"url": "http://s3.lan:9000/"}, KEYS, "", id="a port of its own"),
        pytest.param({"url": "https://10.0.0.9"}, KEYS, "set gpuchat_object_store.url", id="an address"),
        pytest.param(
            {"url": "https://s3.example.com/chat"}, KEYS, "set gpuchat_object_store.url", id="with the bucket"
        ),
        pytest.param({"url": "https://s3.example.com:70000"}, KEYS, "a port from 1", id="no port"),
        pytest.param({"url": "https://chat.example.com"}, KEYS, "run as the chat", id="the site's own name"),
        pytest.param({"url": "https://CHAT.example.com"}, KEYS, "run as the chat", id="in other letters"),
        pytest.param(
            {"url": "https://example.com", "path_style": False}, KEYS, "run as the chat", id="by its bucket's name"
        ),
        pytest.param({"url": "http://localhost:9000"}, KEYS, "a name that is no host's own", id="each host's own"),
        pytest.param(
            {"url": "http://s3.lan:8000"}, KEYS, "has the port 8000, and gpuchat_vllm_port too", id="a door's"
        ),
        pytest.param({"bucket": "a..b"}, KEYS, "set gpuchat_object_store.bucket", id="a name with no part"),
        pytest.param({"bucket": "192.168.0.1"}, KEYS, "set gpuchat_object_store.bucket", id="an address"),
        pytest.param({"bucket": None}, KEYS, "set gpuchat_object_store.bucket", id="no bucket's name"),
        pytest.param({"bucket": 5}, KEYS, "set gpuchat_object_store.bucket", id="a number for a bucket"),
        pytest.param({"url": 5}, KEYS, "set gpuchat_object_store.url", id="a number for an address"),
        pytest.param({"bucket": "Chat"}, KEYS, "set gpuchat_object_store.bucket", id="no bucket"),
        pytest.param({"region": "eu central"}, KEYS, "set gpuchat_object_store.region", id="no region"),
        pytest.param(
            {"url": "http://s3.lan", "authority_file": "/ca"}, KEYS, "https://", id="plain, with an authority"
        ),
        pytest.param({}, KEYS[:1], "object_store_secret_key is not set", id="a key that is missing"),
        pytest.param({"bucket": "a.b"}, KEYS, "", id="dots in the path"),
        pytest.param({"bucket": "a.b", "path_style": False, "url": "http://s3.lan"}, KEYS, "", id="dots without TLS"),
        pytest.param(
            {"bucket": "a.b", "path_style": False}, KEYS, "set gpuchat_object_store.path_style to true", id="dots"
        ),
    ],
)
def test_a_store_is_judged_before_any_host_is_asked(changed, keys, wanted):
    given = {elsewhere.STORE: {**S3, **changed}}
    taken = {8000: "gpuchat_vllm_port", 443: "edge_https_port"}
    found = list(elsewhere.store_faults(given, keys, ["chat.example.com"], taken))
    assert len(found) == bool(wanted)
    assert all(wanted in one for one in found)
    assert list(elsewhere.store_faults({}, (), ())) == []


@pytest.mark.parametrize(
    ("url", "certificates", "is_fault"),
    [
        ("https://s3.example.com", ["selfsigned"], False),
        ("http://s3.lan:9000", ["selfsigned"], True),
        ("http://s3.lan:9000", ["none", "acme"], True),
        ("http://s3.lan:9000", ["none"], False),
    ],
)
def test_browsers_ask_no_store_in_the_clear_from_a_page_that_came_by_tls(url, certificates, is_fault):
    found = list(elsewhere.mixed_faults({elsewhere.STORE: {**S3, "url": url}}, certificates))
    assert len(found) == is_fault
    assert list(elsewhere.mixed_faults({}, certificates)) == []


def test_a_store_is_not_at_the_port_at_which_the_interface_finds_a_database():
    both = {elsewhere.STORE: {**S3, "url": "http://s3.lan:5432"}, elsewhere.DATABASE: GOOD}
    (word,) = elsewhere.store_faults(both, KEYS, ())
    assert "has the port 5432, and gpuchat_database, in the room, too" in word


@pytest.mark.parametrize(
    ("changed", "name", "origin", "path", "place"),
    [
        ({}, "s3.example.com", "https://s3.example.com", "/chat/", "s3.example.com:443"),
        ({"path_style": False}, "chat.s3.example.com", "https://chat.s3.example.com", "/", "chat.s3.example.com:443"),
        ({"url": "http://s3.lan:9000/"}, "s3.lan", "http://s3.lan:9000", "/chat/", "s3.lan:9000"),
    ],
)
def test_a_store_is_known_by_its_name_and_objects_by_their_path(changed, name, origin, path, place):
    one = elsewhere.read_store({elsewhere.STORE: {**S3, **changed}})
    assert one is not None
    assert (one.name, one.origin, one.path, one.place) == (name, origin, path, place)


def test_lobehub_and_browsers_ask_a_store_by_its_own_name():
    found = doors.describe(with_store(S3))
    here = found["hosts"]["a"]
    store = here["interface"]["store"]
    assert not store["is_own"]
    assert here["interface"]["files"] == {}
    assert here["interface"]["elsewhere"]
    assert (store["url"], store["bucket"], store["region"]) == ("https://s3.example.com", "chat", "eu-central-1")
    assert store["origins"] == ["https://chat.example.com"]
    gateway = "172.16.255.249"
    assert here["interface"]["found_at"] == {"chat.example.com": gateway, "s3.example.com": gateway}
    assert found["room_names"] == ["chat.example.com", "s3.example.com"]
    assert here["edge"]["store_origins"] == ["https://s3.example.com"]
    assert "files" not in here["edge"]["upstreams"]
    assert here["edge"]["files_door"]["files"] == {}


@pytest.mark.parametrize(
    ("url", "is_edges"),
    [
        pytest.param("https://s3.example.com", True, id="an edge at every address has the port"),
        pytest.param("https://s3.example.com:9000", False, id="a port that no edge has"),
    ],
)
def test_whoever_has_the_port_lets_the_room_to_the_store(url, is_edges):
    topology = with_store({**S3, "url": url})
    here = doors.describe(topology)["hosts"]["a"]
    one, other = here["edge"]["store_door"], here["store_door"]
    door = one if is_edges else other
    assert bool(one) is is_edges
    assert bool(other) is not is_edges
    assert (door["address"], door["path"], door["addresses"]) == ("172.16.255.249", "/chat/", ["172.16.255.250"])
    ports = [opening.ports for opening in openings(topology, "a", 0) if opening.interface == "gpuchat-room"]
    assert sorted(port for some in ports for port in some) == sorted({8000, 443, door["port"]})


def test_open_webui_asks_a_store_by_itself_and_no_browser_does():
    here = doors.describe(with_store(S3, "open_webui"))["hosts"]["a"]
    assert here["interface"]["store"]["origins"] == []
    assert here["interface"]["found_at"] == {"s3.example.com": "172.16.255.249"}
    assert here["edge"]["store_origins"] == []
    assert here["edge"]["files_door"] == {}
    assert here["edge"]["store_door"]["name"] == "s3.example.com"


def test_the_stacks_own_store_is_asked_under_the_sites_name():
    here = doors.describe(stack())["hosts"]["a"]
    store = here["interface"]["store"]
    assert store["is_own"]
    assert (store["url"], store["bucket"]) == ("https://chat.example.com", "gpuchat-files")
    assert here["interface"]["found_at"] == {"chat.example.com": "172.16.255.249"}
    assert (here["store_door"], here["edge"]["store_door"], here["edge"]["store_origins"]) == ({}, {}, [])
    assert not here["interface"]["elsewhere"]
