# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.access import derive, faults, warnings
from hypothesis import given
from hypothesis import strategies as st

NAMES = {
    "allowed": "gpuchat_allowed_networks",
    "denied": "gpuchat_denied_networks",
    "chat": "edge_chat_networks",
    "api": "edge_api_networks",
    "proxies": "edge_trusted_proxies",
}


def settings(**networks):
    return {NAMES[name]: value for name, value in networks.items()}


@pytest.mark.parametrize(
    ("networks", "chat", "api"),
    [
        pytest.param({"allowed": ["10.0.0.0/8"]}, ("10.0.0.0/8",), ("10.0.0.0/8",), id="one for all"),
        pytest.param(
            {"allowed": ["10.0.0.0/30"], "denied": ["10.0.0.1"]},
            ("10.0.0.0/32", "10.0.0.2/31"),
            ("10.0.0.0/32", "10.0.0.2/31"),
            id="a host within is denied",
        ),
        pytest.param(
            {"allowed": ["10.0.0.0/24", "10.0.1.0/24"], "denied": ["10.0.1.0/24", "192.168.0.0/16"]},
            ("10.0.0.0/24",),
            ("10.0.0.0/24",),
            id="a whole network is denied, and one that never was allowed",
        ),
        pytest.param(
            {"allowed": ["10.0.0.0/24", "fd00::/8"], "api": ["10.0.0.7", "fd00:1::/32"]},
            ("10.0.0.0/24", "fd00::/8"),
            ("10.0.0.7/32", "fd00:1::/32"),
            id="the API for some alone",
        ),
        pytest.param(
            {"allowed": ["10.0.0.0/24"], "chat": ["10.0.0.0/16"], "denied": ["10.0.0.128/25"]},
            ("10.0.0.0/25",),
            ("10.0.0.0/25",),
            id="the chat for more than is allowed is for those that are",
        ),
        pytest.param(
            {"allowed": ["0.0.0.0/0", "::/0"], "denied": ["0.0.0.0/1", "::/1"]},
            ("128.0.0.0/1", "8000::/1"),
            ("128.0.0.0/1", "8000::/1"),
            id="half of the internet",
        ),
    ],
)
def test_who_gets_in_is_who_is_allowed_less_who_is_denied(networks, chat, api):
    access = derive(settings(**networks))
    assert (access.chat, access.api) == (chat, api)
    assert list(faults(settings(**networks))) == []


def test_whoever_uses_a_part_or_stands_in_front_may_connect():
    access = derive(settings(allowed=["10.0.0.0/8"], chat=["10.1.0.0/16"], api=["10.2.0.0/16"], proxies=["10.9.0.1"]))
    assert access.connecting == ("10.1.0.0/16", "10.2.0.0/16", "10.9.0.1/32")


@pytest.mark.parametrize(
    ("networks", "wanted"),
    [
        (
            {"allowed": ["10.0.0.0/8"], "denied": ["10.0.0.0/8"]},
            "gpuchat_denied_networks leaves nobody of gpuchat_allowed_networks who could use the chat or the model API",
        ),
        ({"allowed": ["10.0.0.0/8"], "api": ["192.168.0.0/16"]}, "edge_api_networks holds 192.168.0.0/16, which is in"),
        (
            {"allowed": ["10.0.0.0/8"], "denied": ["10.1.0.0/16"], "api": ["10.1.0.0/16"]},
            "edge_api_networks leaves nobody of gpuchat_allowed_networks who could use the model API;",
        ),
        ({"allowed": ["10.0.0.0/8"], "proxies": ["::/0"]}, "edge_trusted_proxies holds ::/0, so anybody could say"),
        (
            {"allowed": ["10.0.0.0/8"], "chat": ["10.0.0.0/9", "192.168.0.0/16"]},
            "edge_chat_networks holds 192.168.0.0/16, which is in none of gpuchat_allowed_networks",
        ),
        (
            {"allowed": ["10.0.0.0/8"], "proxies": ["0.0.0.0/1", "128.0.0.0/1"]},
            "edge_trusted_proxies holds 0.0.0.0/0, so anybody could say",
        ),
        ({"allowed": ["10.0.0.0/8", "224.0.0.0/8"]}, "gpuchat_allowed_networks holds 224.0.0.0/8, from which nobody"),
        ({"allowed": ["0.0.0.0"]}, "gpuchat_allowed_networks holds 0.0.0.0/32, from which nobody comes"),
        ({"allowed": ["::ffff:10.0.0.0/104"]}, "gpuchat_allowed_networks holds ::ffff:"),
        ({"allowed": ["10.0.0.0/8"], "proxies": ["ff02::1"]}, "edge_trusted_proxies holds ff02::1/128, from which"),
    ],
)
def test_networks_that_leave_nobody_or_that_never_connect_are_refused(networks, wanted):
    (fault,) = faults(settings(**networks))
    assert fault.startswith(wanted)


@pytest.mark.parametrize(
    ("denied", "is_told"), [(["10.1.0.0/16"], False), (["10.1.0.0/16", "192.168.0.0/24"], True), (["0.0.0.0/1"], False)]
)
def test_a_denied_network_that_is_in_no_allowed_one_refuses_nobody_and_is_told(denied, is_told):
    found = list(warnings(settings(allowed=["10.0.0.0/8", "200.0.0.0/8"], denied=denied)))
    word = "gpuchat_denied_networks holds 192.168.0.0/24, which is in none of gpuchat_allowed_networks"
    assert [one.partition(", so")[0] for one in found] == [word] * is_told


@pytest.mark.parametrize(
    ("allowed", "proxies", "word"),
    [
        (["10.0.0.0/8"], ["10.0.0.5"], ""),
        (["10.0.0.0/8"], ["10.0.0.0/29"], ""),
        (["10.0.0.5/32"], ["10.0.0.5"], ""),
        (["10.0.0.0/8"], ["10.0.0.0/8"], "edge_trusted_proxies holds 10.0.0.0/8"),
        (["10.1.0.0/16", "fd00::/8"], ["10.0.0.0/8", "fd00::/7"], "edge_trusted_proxies holds 10.0.0.0/8, fc00::/7"),
        (["203.0.113.0/24"], ["10.0.0.0/8"], ""),
        (["10.0.0.0/8"], ["0.0.0.0/0"], ""),
    ],
)
def test_proxies_among_people_are_told(allowed, proxies, word):
    proxies = [str(ipaddress.ip_network(one, strict=False)) for one in proxies]
    found = list(warnings(settings(allowed=allowed, proxies=proxies)))
    assert [one.partition(", in which")[0] for one in found] == [word] * bool(word)


def test_two_networks_that_are_everybody_together_are_told_as_one_that_is():
    found = list(warnings(settings(allowed=["0.0.0.0/1", "128.0.0.0/1", "fd00::/8"])))
    assert [one.partition(", so")[0] for one in found] == ["gpuchat_allowed_networks holds all of 0.0.0.0/0"]


NETWORKS = st.lists(
    st.builds(
        lambda address, prefix: str(ipaddress.ip_network((address, prefix), strict=False)),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    ),
    max_size=4,
)


@given(NETWORKS, NETWORKS, NETWORKS, st.integers(0, 2**32 - 1))
def test_an_address_gets_in_where_it_is_allowed_and_in_no_denied_network(allowed, denied, api, number):
    address = ipaddress.ip_address(number)

    def is_in(networks):
        return any(address in ipaddress.ip_network(one) for one in networks)

    access = derive(settings(allowed=allowed, denied=denied, api=api))
    assert is_in(access.chat) == (is_in(allowed) and not is_in(denied))
    assert is_in(access.api) == (is_in(allowed) and not is_in(denied) and (not api or is_in(api)))
