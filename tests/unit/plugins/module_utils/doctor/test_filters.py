# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packet filters of others close a port, as nft shows them."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor import filters


def ruleset(*rules, policy="accept", table="mine", family="inet", more=()):
    """A table with one chain for what comes in; a rule is the list of its expressions."""
    entrance = {"family": family, "table": table, "name": "input", "hook": "input", "policy": policy, "type": "filter"}
    found = [{"metainfo": {}}, {"table": {"family": family, "name": table}}, {"chain": entrance}]
    found += [{"chain": {"family": family, "table": table, "name": name}} for name in {one for one, _rule in more}]
    placed = [*(("input", one) for one in rules), *more]
    found += [{"rule": {"family": family, "table": table, "chain": chain, "expr": list(one)}} for chain, one in placed]
    return {"nftables": found}


def port(right, op="==", protocol="tcp"):
    return {"match": {"op": op, "left": {"payload": {"protocol": protocol, "field": "dport"}}, "right": right}}


def meta(key, right, op="=="):
    return {"match": {"op": op, "left": {"meta": {"key": key}}, "right": right}}


SADDR = {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "192.0.2.9"}}
DROP, ACCEPT, REJECT = {"drop": None}, {"accept": None}, {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}
COUNTER = {"counter": {"packets": 0, "bytes": 0}}
XT = {"xt": {"type": "match", "name": "multiport"}}

CLOSED = {
    "a rule that drops the port": ruleset([port(443), COUNTER, DROP]),
    "a rule that refuses it": ruleset([port(443), REJECT]),
    "a set of ports": ruleset([port({"set": [80, 443]}), DROP]),
    "a range of ports": ruleset([port({"range": [1, 1023]}), DROP]),
    "a rule for what comes from outside": ruleset([meta("iifname", "lo", "!="), port(443), DROP]),
    "a rule of iptables'": ruleset([meta("l4proto", "tcp"), port(443), COUNTER, DROP], table="filter", family="ip"),
    "a chain that lets in what it names, and not this": ruleset([port(22), ACCEPT], policy="drop"),
    "the same by its last rule": ruleset([port(22), ACCEPT], [REJECT]),
}


@pytest.mark.parametrize("given", CLOSED.values(), ids=CLOSED)
def test_a_port_is_closed(given):
    assert [one.port for one in filters.closed(given, {443})] == [443]


OPEN = {
    "nothing": {},
    "no rule": ruleset(),
    "our own table": ruleset([port(443), DROP], table="gpuchat"),
    "another port": ruleset([port(9), DROP]),
    "another protocol": ruleset([port(443, protocol="udp"), DROP]),
    "somebody who is banned": ruleset([SADDR, port(443), DROP]),
    "what comes by the loopback": ruleset([meta("iif", "lo"), port(443), DROP]),
    "all ports but this": ruleset([port(443, "!="), DROP]),
    "a limit": ruleset([port(443), {"vmap": {}}, DROP]),
    "a chain that lets it in": ruleset([port({"set": [80, 443]}), ACCEPT], policy="drop"),
    "a chain that lets some in": ruleset([SADDR, port(443), ACCEPT], policy="drop"),
    "another chain of its table that lets it in": ruleset(policy="drop", more=[("allowed", [port(443), ACCEPT])]),
    "rules that nft cannot show": ruleset([XT, ACCEPT], policy="drop"),
    "what is handed on": ruleset(policy="accept", more=[("forward", [port(443), DROP])]),
}


@pytest.mark.parametrize("given", OPEN.values(), ids=OPEN)
def test_a_port_is_open(given):
    assert filters.closed(given, {443}) == []


def test_the_rule_is_named_by_its_table_and_chain():
    (one,) = filters.closed(ruleset([port(443), DROP]), {443, 80})
    assert (one.table, one.words) == ("inet mine", "a rule of its chain input (drop)")
