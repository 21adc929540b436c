# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model calls a tool of the owner's, by the door that leads to that one server, and to no other.

By hand, in the world of ``split`` whose inventory says besides::

    gpuchat_mcp_servers:
      - {name: get, url: 'http://172.31.81.10:9100/mcp', key: a-key-of-the-test, headers: {X-Team: molecule}}

The server's name and its tool's make ``get_weather``, which the demo's model was taught.
"""

from __future__ import annotations

import base64
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from browsing import DIALOGUES, browse
from interfaces import ask_from_the_room, interface_of
from running import ARTIFACTS, Stack, wait

PROGRAM = pathlib.Path(__file__).with_name("tool_server.py")
NAME = "gpuchat-test-tools"


def named(stack: Stack) -> dict[str, Any]:
    """Return the one server that the inventory names."""
    servers: Any = stack.variables["gpuchat_mcp_servers"]
    (one,) = servers
    return dict(one)


@pytest.fixture(scope="module")
def tools(stack: Stack) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Run the server that the inventory names on the interface's host; yield what shows the requests that it got."""
    given = named(stack)
    port, text = urlsplit(given["url"]).port, base64.b64encode(PROGRAM.read_bytes()).decode()
    image = stack.on("interface", f"docker inspect {interface_of(stack).container} --format '{{{{.Image}}}}'").strip()
    words = f"--detach --name {NAME} --network host --env PORT={port} --env KEY={given['key']}"
    mount = "--volume /run/tool_server.py:/tool_server.py:ro --entrypoint python3"
    stack.on("interface", f"docker rm -f {NAME} 2>/dev/null; echo {text} | base64 -d > /run/tool_server.py")
    stack.on("interface", f"docker run {words} {mount} {image} /tool_server.py")

    def answers() -> bool:
        ask = f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{port}/mcp || true"
        return stack.on("interface", ask).strip() == "401"

    def requests() -> list[dict[str, Any]]:
        lines = stack.on("interface", f"docker logs {NAME} 2>/dev/null").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    try:
        wait(answers, 60, "the tool server")
        yield requests
    finally:
        stack.on("interface", f"docker rm -f {NAME}; rm -f /run/tool_server.py")


def test_a_person_asks_and_the_models_tool_call_is_answered_by_the_owners_server(
    stack: Stack, tools: Callable[[], list[dict[str, Any]]], tmp_path: pathlib.Path
) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    wanted = DIALOGUES["weather-result"]
    words = ["--message", wanted["ask"], "--expect", wanted["answer"], "--last-paragraph"]
    seen = browse(stack, tmp_path, *words, "--screenshot", str(ARTIFACTS / "tools.png"))
    assert str(seen["answer"]).endswith(wanted["answer"])
    asked = [one for one in tools() if one["known"]]
    assert asked, tools()
    given = named(stack)
    assert {one["path"] for one in asked} == {urlsplit(given["url"]).path}
    # Who asks, and their session, is none of that server's business.
    assert [
        name for one in asked for name in one["headers"] if name == "cookie" or "user" in name.split("-")[1:2]
    ] == []


def test_the_room_reaches_that_server_by_its_door_alone(
    stack: Stack, tools: Callable[[], list[dict[str, Any]]]
) -> None:
    given = named(stack)
    place, room = urlsplit(given["url"]), "172.16.255.249"
    path = f"/tools/{given['name']}"
    answered = ask_from_the_room(
        stack,
        [
            (room, 8000, path),
            (room, 8000, f"{path}/x"),
            (room, 8000, "/tools/other"),
            (room, 8000, "/tools/"),
            (str(place.hostname), int(place.port or 0), place.path),
            (room, int(place.port or 0), place.path),
        ],
    )
    assert answered[0] in ("400", "406"), answered  # the server's own word for a request that is none of MCP
    assert answered[1:4] == ["404"] * 3, answered
    assert not [one for one in answered[4:] if one.isdigit()], answered


def test_no_key_of_that_server_is_in_the_interfaces_reach(stack: Stack) -> None:
    given = named(stack)
    container = interface_of(stack).container
    shown = stack.on(
        "interface", f"docker inspect {container}; docker exec {container} sh -c 'cat /run/secrets/*; env'"
    )
    assert "TOOL_SERVER_CONNECTIONS" in shown
    assert given["key"] not in shown
