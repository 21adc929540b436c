# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each row of reach.yml holds, and whatever listens on a host is in it."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest
from interfaces import interface_of
from reaching import Row, ask, inside, rows
from running import Stack

TABLE = pathlib.Path(__file__).with_name("reach.yml")
FEWEST_ROWS = 80
FRONT, BEHIND = ("172.31.81.10", "172.31.80.10"), ("172.31.81.11", "172.31.80.11")
ROOM_NETWORK, ROOM, INTERFACE = "172.16.255.248/29", "172.16.255.249", "172.16.255.250"
PLACES = {
    "edge": ("https", FRONT[0], 443),
    "edge at its other address": ("https", FRONT[1], 443),
    "edge over HTTP": ("http", FRONT[0], 80),
    "edge over IPv6": ("https", "fd00:81::10", 443),
    "engine": ("https", BEHIND[1], 8000),
    "engine at its other address": ("https", BEHIND[0], 8000),
    "engine over HTTP": ("http", BEHIND[1], 8000),
    "the engine's loopback": ("http", "127.0.0.1", 8000),
    "interface": ("http", INTERFACE, 3210),
    "door of the interface": ("http", ROOM, 8000),
    "port 22 of the front": ("http", ROOM, 22),
    "port 3210 of the front": ("http", FRONT[0], 3210),
    "port 8000 of the front": ("http", FRONT[0], 8000),
}
FROM_OUTSIDE = "172.31.82.10"
"""Where the forbidden network meets the front."""

ROWS = list(rows(TABLE))


def request(stack: Stack, row: Row) -> list[object]:
    places = {**PLACES, "a server of the company's": ("http", registry(stack), 5000)}
    scheme, address, port = places[row.target]
    if row.source == "outside":
        address = {FRONT[0]: FROM_OUTSIDE, "fd00:81::10": "fd00:82::10"}.get(address, address)
    keys = {**stack.secrets, "wrong_key": "wrong"}
    headers = {"Host": stack.domain}
    if row.method == "POST":
        headers |= {"Content-Type": "application/json", "Content-Length": "2"}
    if row.credential in keys:
        headers["Authorization"] = f"Bearer {keys[row.credential]}"
    if row.credential == "a cookie":
        headers["Cookie"] = "token=of-somebody-elses"
    certificates = {
        "the host's certificate": "/etc/gpuchat/door/host",
        "the edge's certificate": "/etc/gpuchat/edge/tls",
    }
    return [scheme, address, port, row.method, row.path, headers, certificates.get(row.credential, "")]


def registry(stack: Stack) -> str:
    return stack.on("edge", "getent hosts registry.world").split()[0]


@pytest.fixture(scope="module")
def answers(stack: Stack) -> dict[Row, object]:
    """Ask everything, each source once."""
    stack.on("probe", f"ip route replace {ROOM_NETWORK} via {FROM_OUTSIDE}")
    where = {
        "outside": ("probe", []),
        "front": ("edge", []),
        "interface": ("interface", inside(stack, "interface", interface_of(stack).container)),
        "engine": ("engine", inside(stack, "engine", "gpuchat-vllm-gpuchat-demo")),
        "gpu1": ("engine", ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]),
    }
    return ask(stack, ROWS, where, lambda row: request(stack, row))


def test_the_table_is_a_table() -> None:
    assert len(ROWS) >= FEWEST_ROWS
    assert len(set(ROWS)) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_row_holds(answers: dict[Row, object], row: Row) -> None:
    assert answers[row] == row.answer


SCAN = """
import errno, json, select, socket, sys
found = []
for first in range(1, 65536, 400):
    asked = {}
    for port in range(first, min(first + 400, 65536)):
        one = socket.socket()
        one.setblocking(False)
        if one.connect_ex((sys.argv[1], port)) == errno.EINPROGRESS:
            asked[one] = port
    while asked:
        ready = select.select([], list(asked), [], 1)[1]
        found += [asked[one] for one in ready if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0]
        for one in ready or list(asked):
            del asked[one]
            one.close()
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("source", "address", "wanted"),
    [
        ("outside", FROM_OUTSIDE, {22}),
        ("office", FRONT[0], {22, 80, 443}),
        ("office", BEHIND[0], {22}),
        ("office", BEHIND[1], {22}),
        ("edge", BEHIND[1], {22, 8000}),
        ("engine", FRONT[1], {22}),
    ],
)
def test_a_scan_of_each_host_from_each_network_finds_what_the_table_says(
    stack: Stack, source: str, address: str, wanted: set[int]
) -> None:
    command = [sys.executable, "-c", SCAN, address]
    if source != "office":
        host = "probe" if source == "outside" else stack.host_of(source)
        command = ["docker", "exec", f"gpuchat-{stack.world['name']}-{host}", "python3", "-c", SCAN, address]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == wanted
