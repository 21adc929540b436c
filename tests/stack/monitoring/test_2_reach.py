# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each row of reach.yml holds: the monitoring host alone gets metrics, and nothing but these."""

from __future__ import annotations

import pathlib

import pytest
from interfaces import interface_of
from reaching import Row, ask, inside, rows
from running import Stack

TABLE = pathlib.Path(__file__).with_name("reach.yml")
ROWS = list(rows(TABLE))
FRONT, OTHER, PORT = ("172.31.81.10", "172.31.80.10"), ("172.31.81.11", "172.31.80.11"), 9400
PLACES = {
    "front": ("https", FRONT[1]),
    "front at its other address": ("https", FRONT[0]),
    "the front's loopback": ("https", "127.0.0.1"),
    "door of the interface": ("https", "172.16.255.249"),
    "gpu1": ("https", OTHER[1]),
    "gpu1 at its other address": ("https", OTHER[0]),
    "gpu1 over HTTP": ("http", OTHER[1]),
}
CERTIFICATES = {"the host's certificate": "/etc/gpuchat/door/host", "the edge's certificate": "/etc/gpuchat/edge/tls"}
ACCOUNT = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]


def request(row: Row) -> list[object]:
    headers = {"Host": "metrics.gpuchat.internal"} | ({"Content-Length": "2"} if row.method == "POST" else {})
    return [*PLACES[row.target], PORT, row.method, row.path, headers, CERTIFICATES.get(row.credential, "")]


@pytest.fixture(scope="module")
def answers(stack: Stack) -> dict[Row, object]:
    where = {
        "front": ("front", []),
        "front's accounts": ("front", ACCOUNT),
        "interface": ("interface", inside(stack, "interface", interface_of(stack).container)),
        "gpu1": ("gpu1", []),
        "gpu1's accounts": ("gpu1", ACCOUNT),
    }
    return ask(stack, ROWS, where, request)


def test_no_row_stands_twice() -> None:
    assert len(set(ROWS)) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_row_holds(answers: dict[Row, object], row: Row) -> None:
    assert answers[row] == row.answer
