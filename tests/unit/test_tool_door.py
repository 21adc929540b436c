# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real nginx with the door's own templates hands on to a tool server of the owner's, and what it shows it."""

from __future__ import annotations

import http.client
import http.server
import pathlib
import tempfile
from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import doors, tool_servers

from .plugins.module_utils.inventory.layouts import topology
from .real_nginx import Behind, free_port, rendered, start, stop, write_door

TOOLS = "/tools/our-wiki"


class Door:
    """A running door of an interface's room, in front of tool servers."""

    def __init__(self, folder):
        self.folder, self.port, self.server, self.other = folder, free_port(), Behind(), Behind()
        given = [
            {
                "name": "our-wiki",
                "url": f"http://127.0.0.1:{self.server.server_port}/mcp/",
                "key": "the-key",
                "headers": {"X-Team": "house, 3"},
            },
            {
                "name": "tickets",
                "url": f"http://127.0.0.1:{self.other.server_port}",
                "headers": {"authorization": "Basic YTpi"},
            },
        ]
        one = replace(topology("a", "a", "a", interface="open_webui"), tools=tool_servers.read(given))
        (room,) = [door for door in doors.describe(one)["hosts"]["a"]["doors"] if door["tools"]]
        room.update(address="127.0.0.1", port=self.port, addresses=["127.0.0.1"], routes=[])
        write_door(folder, room)
        key = rendered(
            "door/templates/key.conf.j2",
            _gpuchat_nginx={"authorities": "/ca.crt"},
            _door_routes=[],
            gpuchat_vllm_api_key="engine-key",
            gpuchat_vllm_engine_key="engine-key",
            _gpuchat_secrets={},
            _gpuchat_here={"engine": {}},
            _gpuchat_endpoint_keys={},
            _door_tools=room["tools"],
            gpuchat_mcp_servers=given,
        )
        folder.joinpath("key.conf").write_text(key, encoding="utf-8")
        folder.joinpath("models-1.json").write_text("{}", encoding="utf-8")
        start(folder)

    def ask(self, path, method="POST", body=b"{}", **headers):
        """Return the status, and all headers of the answer; what was asked before is forgotten."""
        self.server.asked.clear()
        self.other.asked.clear()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(
            method, path, body=body, headers={name.replace("_", "-"): it for name, it in headers.items()}
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status, dict(answer.getheaders())

    def stop(self):
        stop(self.folder, self.server, self.other)


@pytest.fixture(scope="module")
def door():
    with tempfile.TemporaryDirectory(prefix="door-") as name:
        running = Door(pathlib.Path(name))
        yield running
        running.stop()


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_tool_server_is_asked_at_its_own_address_with_its_key_and_headers(door, method):
    assert door.ask(TOOLS, method, Mcp_Session_Id="s", Accept="text/event-stream")[0] == 200
    (asked,) = door.server.asked
    assert (asked.method, asked.path) == (method, "/mcp/")
    assert asked.headers["Authorization"] == "Bearer the-key"
    assert asked.headers["X-Team"] == "house, 3"
    assert asked.headers["Host"] == f"127.0.0.1:{door.server.server_port}"
    assert (asked.headers["Mcp-Session-Id"], asked.headers["Accept"]) == ("s", "text/event-stream")


def test_a_header_may_stand_in_the_keys_place(door):
    assert door.ask("/tools/tickets")[0] == 200
    (asked,) = door.other.asked
    assert (asked.path, asked.headers["Authorization"]) == ("/", "Basic YTpi")
    assert "engine-key" not in str(asked.headers)


def test_what_an_interface_shows_by_itself_is_not_handed_on(door):
    door.ask(TOOLS, Authorization="Bearer mine", Cookie="token=somebody's", X_Team="another")
    (asked,) = door.server.asked
    assert (asked.headers["Authorization"], asked.headers["X-Team"]) == ("Bearer the-key", "house, 3")
    assert asked.headers["Cookie"] is None


@pytest.mark.parametrize(
    "path",
    ["/tools", "/tools/", f"{TOOLS}/", f"{TOOLS}/x", "/tools/other", f"/{TOOLS}", "/tools/../mcp/", "/mcp/"],
)  # fmt: skip
def test_no_other_path_leads_anywhere(door, path):
    assert door.ask(path)[0] in (400, 404)
    assert not door.server.asked
    assert not door.other.asked


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS"])
def test_no_other_method_is_handed_on(door, method):
    assert door.ask(TOOLS, method)[0] == 403
    assert not door.server.asked


def test_a_cookie_of_a_tool_server_is_nobodys(door):
    assert "Set-Cookie" not in door.ask(TOOLS)[1]
