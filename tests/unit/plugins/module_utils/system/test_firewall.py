# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the packet filter, and what is opened through ufw and firewalld beside it."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.opening import Opening
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system.firewall import (
    digest_of,
    firewalld_rules,
    in_essence,
    loaded_digest,
    plan_ufw,
    ruleset,
    ufw_rules,
)

PEOPLE = Opening((443, 80), ("10.0.0.0/9", "10.128.0.0/9", "fd00::/8"), connections=1000)
ENGINE = Opening((8000,), ("10.0.1.4",), "10.0.1.5")
ROOM = Opening((8000,), (), "172.16.255.249", "room0")
GATHERING = Opening((29501, 29502), ("10.0.1.4",), engines=True)
RANKS = Opening((), ("10.0.1.4",), "10.0.1.5", range=(32768, 60999), engines=True)
WEB, COUNT = "tcp dport { 80, 443 }", "{ ip saddr ct count over 1000 }"
COUNT_6 = "{ ip6 saddr & ffff:ffff:ffff:ffff:: ct count over 1000 }"
ANYBODY = Opening((8000,), (), "10.0.1.5")


def rules(*openings, rooms=()):
    return [line.strip() for line in ruleset(openings, rooms).splitlines()]


@pytest.mark.parametrize(
    ("opening", "wanted"),
    [
        pytest.param(
            PEOPLE,
            [
                f"{WEB} ip saddr {{ 10.0.0.0/8 }} ct state new add @connections_0 {COUNT} reject with tcp reset",
                "tcp dport { 80, 443 } ip saddr { 10.0.0.0/8 } accept",
                f"{WEB} ip6 saddr {{ fd00::/8 }} ct state new add @connections6_0 {COUNT_6} reject with tcp reset",
                "tcp dport { 80, 443 } ip6 saddr { fd00::/8 } accept",
                "tcp dport { 80, 443 } reject with tcp reset",
            ],
            id="people, at most so many connections from one address, or one network of IPv6",
        ),
        pytest.param(
            Opening((80,), connections=1000),
            [
                f"tcp dport {{ 80 }} ct state new add @connections_0 {COUNT} reject with tcp reset",
                f"tcp dport {{ 80 }} ct state new add @connections6_0 {COUNT_6} reject with tcp reset",
                "tcp dport { 80 } accept",
            ],
            id="anybody, at most so many connections",
        ),
        pytest.param(
            ENGINE,
            [
                "ip daddr 10.0.1.5 tcp dport { 8000 } ip saddr { 10.0.1.4/32 } accept",
                "ip daddr 10.0.1.5 tcp dport { 8000 } reject with tcp reset",
            ],
            id="another host",
        ),
        pytest.param(ANYBODY, ["ip daddr 10.0.1.5 tcp dport { 8000 } accept"], id="anybody"),
        pytest.param(
            GATHERING,
            [
                "tcp dport { 29501, 29502 } ip saddr { 10.0.1.4/32 } accept",
                "tcp dport { 29501, 29502 } reject with tcp reset",
            ],
            id="where ranks gather, at every address of the host",
        ),
        pytest.param(
            RANKS,
            [
                "ip daddr 10.0.1.5 tcp dport { 32768-60999 } ip saddr { 10.0.1.4/32 } accept",
                "ip daddr 10.0.1.5 tcp dport { 32768-60999 } reject with tcp reset",
            ],
            id="ports that the kernel gives ranks, in a row",
        ),
        pytest.param(
            ROOM,
            [
                'iifname "room0" ip daddr 172.16.255.249 tcp dport { 8000 } accept',
                "ip daddr 172.16.255.249 tcp dport { 8000 } reject with tcp reset",
            ],
            id="a room's door, which its host would show on any interface",
        ),
    ],
)
def test_an_opening_lets_in_whom_it_names_and_refuses_the_rest(opening, wanted):
    found = rules(opening)
    start = found.index("ct state established,related accept") + 1
    assert found[start : found.index("}", start)] == wanted


def test_a_room_reaches_what_was_opened_to_it_and_nothing_else_on_its_host_or_beyond():
    found = rules(ROOM, rooms=["room0"])
    refusal = 'iifname "room0" reject with icmpx type admin-prohibited'
    door = found.index('iifname "room0" ip daddr 172.16.255.249 tcp dport { 8000 } accept')
    assert door < found.index(refusal)
    forward = found[found.index("chain forward {") :]
    assert forward[2:5] == [
        'iifname "room0" oifname "room0" ct state established,related accept',
        refusal,
        'oifname "room0" reject with icmpx type admin-prohibited',
    ]


@pytest.mark.parametrize("opening", [PEOPLE, ANYBODY, Opening((80,), connections=1000)])
def test_a_room_is_refused_though_its_addresses_are_among_those_that_are_let_in(opening):
    found = rules(opening, ROOM, rooms=["room0"])
    refusal = found.index('iifname "room0" reject with icmpx type admin-prohibited')
    assert [one for one in found[:refusal] if one.endswith("accept") and one.startswith(("tcp", "ip "))] == []


def test_containers_of_a_room_reach_the_object_store_and_nothing_else_of_each_other():
    text = ruleset([ROOM], ["room0"], [9000])
    found = [line.strip() for line in text[text.index("chain forward") :].splitlines()]
    assert found[3] == 'iifname "room0" oifname "room0" tcp dport { 9000 } accept'
    assert found[4] == 'iifname "room0" reject with icmpx type admin-prohibited'


@pytest.mark.parametrize(
    ("user", "strangers"), [(33, "!= { 0, 33 }"), (None, ">= 1000")], ids=["nginx is there", "it is not there yet"]
)
def test_people_of_the_host_do_not_reach_a_room_past_the_edge(user, strangers):
    text = ruleset([ROOM], ["room0"], [9000], user)
    output = [line.strip() for line in text[text.index("chain output") :].splitlines()]
    assert output[1] == "type filter hook output priority filter - 10; policy accept;"
    refusal = "reject with icmpx type admin-prohibited"
    assert output[2] == f'oifname "room0" ct state new meta skuid {strangers} {refusal}'
    assert "output" not in ruleset([PEOPLE], [], [], user)


def test_replies_and_the_loopback_come_before_any_refusal():
    found = rules(PEOPLE, ROOM, rooms=["room0"])
    first = min(number for number, line in enumerate(found) if "reject" in line)
    assert found.index('iifname "lo" accept') < first
    assert found.index("ct state established,related accept") < first


def test_what_is_none_of_the_stacks_ports_is_left_to_others():
    for line in rules(PEOPLE, ENGINE, ROOM, rooms=["room0"]):
        assert "policy drop" not in line
        assert "reject" not in line or "dport" in line or "room0" in line


def test_the_table_is_replaced_in_one_step_and_known_by_its_digest():
    text = ruleset([PEOPLE], [])
    assert text.splitlines()[1:4] == ["table inet gpuchat", "delete table inet gpuchat", "table inet gpuchat {"]
    assert digest_of(text) != digest_of(ruleset([ENGINE], []))
    listed = {"nftables": [{"metainfo": {}}, {"table": {"family": "ip", "name": "gpuchat", "comment": "x"}}]}
    assert loaded_digest(listed) == ""
    listed["nftables"].append({"table": {"family": "inet", "name": "gpuchat", "comment": digest_of(text)}})
    assert loaded_digest(listed) == digest_of(text)
    assert loaded_digest({"nftables": [{"table": {"family": "inet", "name": "gpuchat"}}]}) == "-"


ADDED = """Added user rules (see 'ufw status' for running firewall):
ufw allow 22/tcp
ufw allow from 10.0.0.0/8 to any port 443 proto tcp comment 'gpuchat'
ufw allow from 10.9.0.0/16 to any port 443 proto tcp comment 'gpuchat'
ufw allow in on room0 to 172.16.255.249 port 8000 proto tcp comment 'gpuchat'
ufw allow from 10.0.1.4 to 10.0.1.5 port 8000 proto tcp
"""


def test_ufw_gets_what_it_lacks_and_loses_what_is_ours_and_no_longer_wanted():
    wanted = ufw_rules([Opening((443,), ("10.0.0.0/8",)), ROOM, ENGINE])
    add, remove = plan_ufw(ADDED, wanted)
    assert add == ["allow from 10.0.1.4 to 10.0.1.5 port 8000 proto tcp"]  # the one that is there is not ours
    assert remove == ["allow from 10.9.0.0/16 to any port 443 proto tcp"]


def test_firewalld_gets_each_network_and_port_and_a_room_by_its_doors_address():
    assert firewalld_rules([ROOM]) == [
        'rule family="ipv4" destination address="172.16.255.249" port port="8000" protocol="tcp" accept'
    ]
    assert firewalld_rules([PEOPLE]) == [
        f'rule family="{family}" source address="{network}" port port="{port}" protocol="tcp" accept'
        for family, network in (("ipv4", "10.0.0.0/9"), ("ipv4", "10.128.0.0/9"), ("ipv6", "fd00::/8"))
        for port in (80, 443)
    ]


def test_two_tables_are_the_same_but_for_their_handles_and_for_who_is_counted():
    def listed(handle, counted):
        table = {"table": {"family": "inet", "name": "gpuchat", "handle": handle}}
        count = {"set": {"name": "connections_0", "handle": handle, **({"elem": counted} if counted else {})}}
        rule = {"rule": {"chain": "input", "handle": handle, "expr": [{"accept": None}]}}
        return {"nftables": [{"metainfo": {"version": handle}}, table, count, rule]}

    assert in_essence(listed(1, [])) == in_essence(listed(2, ["10.0.0.9"])) != []
    other = listed(1, [])
    other["nftables"][3]["rule"]["expr"] = [{"drop": None}]
    assert in_essence(other) != in_essence(listed(1, []))
    assert in_essence(None) == []
