# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chat and model API each for their own networks, less those that are denied, also behind a proxy of the owner's."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from running import Stack

CHAT, API = "/chat?session=inbox", "/v1/models"


@dataclass(frozen=True)
class Office:
    """Addresses in the world's networks; the control node is the proxy, ``probe`` a host that is really there."""

    inside: ipaddress.IPv4Network
    outside: ipaddress.IPv4Network

    def address(self, name: str) -> str:
        return {
            "proxy": str(self.inside[1]),
            "colleague": str(self.inside[50]),
            "denied": str(self.inside[200]),
            "probe": str(self.outside[20]),
            "neighbour": str(self.outside[30]),
            "stranger": "203.0.113.9",
        }[name]


@pytest.fixture(scope="module")
def office(stack: Stack) -> Iterator[Office]:
    networks: dict[str, str] = stack.world["networks"]  # type: ignore[assignment]
    office = Office(*(ipaddress.IPv4Network(networks[name]) for name in ("inside", "outside")))
    variables = {
        "gpuchat_allowed_networks": [str(office.inside), office.address("probe")],
        "gpuchat_denied_networks": [office.address("denied")],
        "edge_api_networks": [str(office.inside)],
        "edge_trusted_proxies": [office.address("proxy")],
    }
    stack.must_play("--tags", "firewall,edge", "-e", json.dumps(variables))
    yield office
    stack.must_play("--tags", "firewall,edge")


@pytest.mark.parametrize(
    ("said", "chat", "api"),
    [
        pytest.param("", 200, 200, id="the proxy for itself"),
        pytest.param("colleague", 200, 200, id="somebody of the office"),
        pytest.param("probe", 200, 403, id="somebody who may chat alone"),
        pytest.param("denied", 403, 403, id="somebody who is denied"),
        pytest.param("neighbour", 403, 403, id="somebody beside the office"),
        pytest.param("stranger", 403, 403, id="a stranger"),
        pytest.param("colleague, stranger", 403, 403, id="a stranger who says that a colleague comes through it"),
        pytest.param("stranger, colleague", 200, 200, id="a colleague who says anything"),
    ],
)
def test_behind_the_proxy_each_is_who_the_proxy_says(
    stack: Stack, office: Office, said: str, chat: int, api: int
) -> None:
    words = [office.address(name) for name in said.split(", ")] if said else []
    header = ("--header", f"X-Forwarded-For: {', '.join(words)}") if words else ()
    known = ("--cookie", "LOBE_THEME_NEUTRAL_COLOR=mauve")
    assert (stack.curl(CHAT, *header, *known, key=False)[0], stack.curl(API, *header)[0]) == (chat, api)
    last = json.loads(stack.on("edge", "journalctl --output cat --identifier gpuchat_edge --lines 1"))
    assert last["from"] == (words[-1] if words else office.address("proxy"))


def test_whoever_is_no_proxy_is_who_it_is_whatever_it_says(stack: Stack, office: Office) -> None:
    edge = stack.variables["verify_outside_address"]
    resolve = f"--resolve {stack.domain}:443:{edge}"
    header = f"--header 'Authorization: Bearer {stack.secrets['api_key']}'"
    forged = f"--header 'X-Forwarded-For: {office.address('colleague')}'"
    asked = f"curl -sk -o /dev/null -w '%{{http_code}}' {resolve} {forged}"
    known = "--cookie LOBE_THEME_NEUTRAL_COLOR=mauve"
    assert stack.on("probe", f"{asked} {known} 'https://{stack.domain}{CHAT}'") == "200"
    assert stack.on("probe", f"{asked} {header} https://{stack.domain}{API}") == "403"
