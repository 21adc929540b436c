# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A company's own sign-in, by which people come into the chat."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import doors, elsewhere, models, sign_in
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.openings import openings
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.topology import derive

from .layouts import SETTINGS

GOOD = {"issuer": "https://id.example.com/realms/company", "client_id": "chat"}
S3 = {"url": "https://s3.example.com", "bucket": "chat"}
GATEWAY = "172.16.255.249"


def stack(given=None, interface="lobehub", edge="a", **more):
    groups = {"gpu": ["a"], "chat": ["a"], "edge": [edge], "monitoring": []}
    here = {**SETTINGS, "gpuchat_private_address": "10.0.0.1", **({sign_in.VARIABLE: given} if given else {})}
    settings = {"a": {**here, **more}, "b": {**SETTINGS, "gpuchat_private_address": "10.0.0.2"}}
    return derive(groups, settings, models.read([{"name": "qwen"}], groups), (), interface)


@pytest.mark.parametrize(
    ("changed", "more", "wanted"),
    [
        pytest.param({}, {}, "", id="a good one"),
        pytest.param({"issuer": "https://id.example.com:8443/application/o/chat/"}, {}, "", id="a port and a slash"),
        pytest.param({"issuer": ""}, {}, "has no issuer", id="no issuer"),
        pytest.param({"client_id": ""}, {}, "has no client_id", id="no client"),
        pytest.param({"client_id": "the chat"}, {}, "set gpuchat_sso.client_id", id="a client with a space"),
        pytest.param({"issuer": "http://id.example.com"}, {}, "wanted https://", id="in the clear"),
        pytest.param({"issuer": "id.example.com"}, {}, "wanted https://", id="a name alone"),
        pytest.param({"issuer": "https://10.0.0.9"}, {}, "wanted https://", id="an address"),
        pytest.param({"issuer": "https://id.example.com/?a=b"}, {}, "wanted https://", id="a question"),
        pytest.param({"issuer": 5}, {}, "wanted https://", id="a number"),
        pytest.param({"issuer": "https://id.example.com:0"}, {}, "from 1 to 65535", id="no port"),
        pytest.param({"issuer": "https://localhost/x"}, {}, "no host's own", id="each host's own name"),
        pytest.param({"issuer": "https://Chat.example.com/x"}, {}, "the name of the site", id="the site's name"),
        pytest.param(
            {"issuer": "https://id.example.com/realms/company/.well-known/openid-configuration"},
            {},
            "set gpuchat_sso.issuer to https://id.example.com/realms/company",
            id="what is found beneath it",
        ),
        pytest.param({}, {"has_secret": False}, "set gpuchat_sso_client_secret", id="no secret"),
        pytest.param(
            {"issuer": "https://id.example.com:8000"},
            {},
            "gpuchat_vllm_port",
            id="another door at its port in the room",
        ),
        pytest.param(
            {"issuer": "https://id.example.com:5432"},
            {"settings": {elsewhere.DATABASE: {"host": "db.example.com"}}},
            "gpuchat_database too",
            id="a database at its port in the room",
        ),
        pytest.param({}, {"settings": {elsewhere.STORE: S3}}, "", id="a store of another name at its port"),
        pytest.param(
            {"issuer": "https://s3.example.com"}, {"settings": {elsewhere.STORE: S3}}, "both at", id="a store's name"
        ),
        pytest.param(
            {"issuer": "https://id.example.com:9000"},
            {"settings": {elsewhere.STORE: {**S3, "url": "http://s3.lan:9000"}}},
            "gpuchat_object_store.url too",
            id="a store in the clear at its port",
        ),
        pytest.param({}, {"settings": {elsewhere.STORE: {"url": "https://s3.example.com"}}}, "", id="half a store"),
    ],
)
def test_a_sign_in_is_judged_before_any_host_is_asked(changed, more, wanted):
    settings = {sign_in.VARIABLE: {**GOOD, **changed}, **more.get("settings", {})}
    taken = {8000: "gpuchat_vllm_port", 443: "edge_https_port"}
    found = list(sign_in.faults(settings, more.get("has_secret", True), ["chat.example.com"], taken))
    assert len(found) == bool(wanted), found
    assert all(wanted in one for one in found)


def test_a_secret_without_an_issuer_is_told():
    (word,) = sign_in.faults({}, True, ())
    assert "set gpuchat_sso to" in word
    assert list(sign_in.faults({sign_in.VARIABLE: {}}, False, ())) == []


@pytest.mark.parametrize("interface", ["lobehub", "open_webui"])
def test_the_interface_finds_the_issuer_by_its_name_at_the_rooms_door(interface):
    found = doors.describe(stack(GOOD, interface, edge="b"))
    here = found["hosts"]["a"]
    assert here["interface"]["sign_in"] == {
        **GOOD,
        "discovery": "https://id.example.com/realms/company/.well-known/openid-configuration",
        "place": "id.example.com:443",
        "socket": sign_in.SOCKET,
    }
    assert here["interface"]["found_at"]["id.example.com"] == GATEWAY
    assert here["interface"]["elsewhere"]
    assert "id.example.com" in found["room_names"]
    assert found["has_sign_in"]
    door = here["sign_in_door"]
    assert (door["address"], door["port"], door["name"], door["addresses"]) == (
        *(GATEWAY, 443, "id.example.com"),
        ["172.16.255.250"],
    )
    assert found["hosts"]["b"]["edge"]["sign_in_door"] == {}


def test_an_edge_on_the_same_host_answers_there_itself():
    here = doors.describe(stack(GOOD))["hosts"]["a"]
    assert here["sign_in_door"] == {}
    assert here["edge"]["sign_in_door"]["name"] == "id.example.com"


def test_the_room_alone_is_let_through_to_it():
    def ways(topology, port):
        return [one for one in openings(topology, "a", 0) if port in one.ports and one.address == GATEWAY]

    issuer = {**GOOD, "issuer": "https://id.example.com:8443"}
    assert ways(stack(edge="b"), 8443) == []
    for given in ({}, {elsewhere.STORE: {**S3, "url": "https://s3.example.com:8443"}}):
        (opening,) = ways(stack(issuer, edge="b", **given), 8443)
        assert (opening.interface, opening.networks) == ("gpuchat-room", ())


@pytest.mark.parametrize("interface", ["lobehub", "open_webui", "none"])
def test_without_one_there_is_no_way_to_it(interface):
    found = doors.describe(stack(interface=interface))
    assert not found["has_sign_in"]
    assert found["hosts"]["a"]["sign_in_door"] == {}
    assert "gpuchat_sso" not in str(found)
