# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tool servers of the owner's, and the one way that leads to them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import doors, tool_servers

from .layouts import topology

WIKI = {"name": "wiki", "url": "http://10.0.0.9:9000/mcp", "key": "secret-0", "headers": {"X-Team": "(secret)"}}
BY_NAME = {"name": "tickets", "url": "https://tools.example.com/mcp/", "title": "Tickets"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param([WIKI, BY_NAME], [], id="two that are right"),
        pytest.param([{**WIKI, "url": "http://10.0.0.9:9000"}], [], id="a server at its root"),
        pytest.param([{**WIKI, "name": "Our wiki"}], ["set gpuchat_mcp_servers[0].name to our-wiki"], id="no name"),
        pytest.param([{**WIKI, "name": "w" * 21}], ["up to 20 small letters"], id="a long name"),
        pytest.param([WIKI, WIKI], ["gpuchat_mcp_servers names wiki twice"], id="twice"),
        pytest.param([{**WIKI, "url": "10.0.0.9:9000/mcp"}], ["[0].url to http://10"], id="bare"),
        pytest.param([{**WIKI, "url": "http://ada:pw@10.0.0.9/mcp"}], ["without a name, a password"], id="a password"),
        pytest.param([{**WIKI, "url": "http://10.0.0.9/mcp?x=1"}], ["or a question mark"], id="arguments"),
        pytest.param([{**WIKI, "url": "http://10.0.0.9:99999/mcp"}], ["a port that there can be"], id="no port"),
        pytest.param([{**WIKI, "url": "http://10.0.9:9000/mcp"}], ["[0].url is 'http://10.0.9"], id="no address"),
        pytest.param([{**WIKI, "key": "(number)"}], ["[0].key is a number, whose digits YAML"], id="a number"),
        pytest.param([{**WIKI, "headers": {"X-A": "(secret)", "x-a": "(secret)"}}], ["names x-a twice"], id="letters"),
        pytest.param([{**WIKI, "url": "https://10.0.0.9/mcp"}], ["wanted a name in place of the address"], id="TLS"),
        pytest.param([{**WIKI, "url": "https://CHAT.example.com/mcp"}], ["has the name of the site"], id="itself"),
        pytest.param(
            [{**WIKI, "url": "http://host.docker.internal:9000/mcp"}], ["containers alone know"], id="within"
        ),
        pytest.param([{**WIKI, "url": "http://h:9000/sse"}], ["often http://h:9000/mcp"], id="the older form"),
        pytest.param([{**WIKI, "key": "(not plain)"}], ["gpuchat_mcp_servers[0].key holds other"], id="an odd key"),
        pytest.param([{**WIKI, "headers": {"X-A": "(not plain)"}}], ["headers.X-A is no text of"], id="an odd header"),
        pytest.param([{**WIKI, "headers": {"X A": "(secret)"}}], ["wanted letters, digits and hyphens"], id="odd"),
        pytest.param([{**WIKI, "headers": {"host": "(secret)"}}], ["host, which is the request's own"], id="its own"),
        pytest.param(
            [{**WIKI, "headers": {"authorization": "(secret)"}}], ["a key and the header authorization"], id="two"
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_tool_server_is_said_before_the_run(given, words):
    found = list(tool_servers.faults(given, ["chat.example.com"]))
    assert len(found) == len(words), found
    assert all(word in fault for word, fault in zip(words, found, strict=True))


def test_a_server_has_its_name_for_a_title_where_there_is_none():
    assert [one.title for one in tool_servers.read([WIKI, BY_NAME])] == ["wiki", "Tickets"]


@pytest.mark.parametrize(
    ("given", "headers", "authorization"),
    [
        (WIKI, ["X-Team"], ""),
        ({**WIKI, "key": "", "headers": {"authorization": "(secret)"}}, [], "authorization"),
        (BY_NAME, [], ""),
    ],
)
def test_a_servers_key_and_the_header_in_its_place_are_one_thing(given, headers, authorization):
    (one,) = tool_servers.read([given])
    assert (list(one.headers), one.authorization) == (headers, authorization)


def with_tools(groups, *given, interface="open_webui"):
    return replace(topology(*groups, interface=interface), tools=tool_servers.read(given))


@pytest.mark.parametrize("groups", [("a", "a", "a"), ("b", "a", "a"), ("c", "b", "a")])
def test_the_door_in_the_interfaces_room_alone_leads_to_a_tool_server(groups):
    one = with_tools(groups, WIKI)
    found = [(host, door.address, door.addresses) for host in "abc" for door in doors.doors(one, host) if door.tools]
    assert found == [(groups[1], "172.16.255.249", ("172.16.255.250",))]


def test_a_door_is_told_the_one_address_of_a_tool_server_and_no_secret():
    described = doors.describe(with_tools(("a", "a", "a"), WIKI, BY_NAME))["hosts"]["a"]
    (door,) = [one for one in described["doors"] if one["tools"]]
    wiki, tickets = door["tools"]
    assert (wiki["path"], wiki["upstream_path"], wiki["virtual_host"]) == ("/tools/wiki", "/mcp", "10.0.0.9:9000")
    assert (wiki["upstream"]["scheme"], wiki["place"], wiki["headers"]) == ("http", "", ["X-Team"])
    assert (tickets["upstream"]["scheme"], tickets["place"]) == ("https", "tools.example.com:443")
    assert (tickets["upstream_path"], tickets["host"]) == ("/mcp/", "tools.example.com")
    assert "secret" not in repr(described).replace("gpuchat_secrets", "")


def test_an_interface_is_told_the_doors_address_and_not_the_servers():
    described = doors.describe(with_tools(("a", "a", "a"), WIKI))
    (told,) = described["hosts"]["a"]["interface"]["tools"]
    assert told == {"name": "wiki", "title": "wiki", "url": "http://172.16.255.249:8000/tools/wiki"}
    assert described["tool_servers"] == ["wiki"]
