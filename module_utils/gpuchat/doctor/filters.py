# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether somebody else's packet filter closes the stack's ports, by what `nft --json list ruleset` says.

The forms are those of libnftables-json(5), in which rules of iptables stand too. What is not understood closes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OURS = "gpuchat"
CLOSING = ("drop", "reject")
HARMLESS = ("counter", "log", "limit", "comment")
"""What a rule does beside, and matches nothing by."""

WIDE = ("iifname", "iif", "l4proto", "nfproto", "protocol")
"""What a match may ask of a packet without telling people apart."""


@dataclass(frozen=True)
class Closed:
    """A port that a table closes; ``words`` name the rule."""

    port: int
    table: str
    words: str


def closed(ruleset: Mapping[str, Any], ports: Collection[int]) -> list[Closed]:
    """Return which ports tables other than ours close to everybody who comes in."""
    entries = [one for one in ruleset.get("nftables") or () if isinstance(one, Mapping)]
    chains = [one["chain"] for one in entries if isinstance(one.get("chain"), Mapping)]
    rules = [one["rule"] for one in entries if isinstance(one.get("rule"), Mapping)]
    tables = dict.fromkeys((str(one["family"]), str(one["table"])) for one in chains if one.get("hook") == "input")
    found: list[Closed] = []
    for family, table in tables:
        if table != OURS:
            own = [one for one in chains if (one["family"], one["table"]) == (family, table)]
            found += _of_table(
                f"{family} {table}",
                own,
                [one for one in rules if (one["family"], one["table"]) == (family, table)],
                ports,
            )
    return found


def _of_table(
    name: str, chains: Sequence[Mapping[str, Any]], rules: Sequence[Mapping[str, Any]], ports: Collection[int]
) -> Iterator[Closed]:
    entrances = [one for one in chains if one.get("hook") == "input"]
    names = [str(one["name"]) for one in entrances]
    # One that asks more than we read may let in whom it likes.
    is_understood = not any("xt" in part for rule in rules for part in rule.get("expr") or ())
    for port in sorted(ports):
        opened = any(_verdict(rule) == "accept" and _asks_for(rule, port) for rule in rules)
        for rule in rules:
            if _verdict(rule) in CLOSING and str(rule["chain"]) in names and _closes(rule, port):
                yield Closed(port, name, f"a rule of its chain {rule['chain']} ({_verdict(rule)})")
                break
        else:
            shut = [str(one["name"]) for one in entrances if one.get("policy") == "drop"]
            shut += [str(one["chain"]) for one in rules if str(one["chain"]) in names and _closes_all(one)]
            if shut and not opened and is_understood:
                yield Closed(port, name, f"its chain {shut[0]}, which lets in what it names")


def _parts(rule: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [one if isinstance(one, Mapping) else {str(one): None} for one in rule.get("expr") or ()]
    return [one for one in found if not any(name in one for name in HARMLESS)]


def _verdict(rule: Mapping[str, Any]) -> str:
    return next((name for one in reversed(_parts(rule)) for name in one if name in (*CLOSING, "accept")), "")


def _matches(rule: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one["match"] for one in _parts(rule) if isinstance(one.get("match"), Mapping)]


def _closes(rule: Mapping[str, Any], port: int) -> bool:
    """Whether a rule asks for a port, and for nothing by which it would tell people apart."""
    matches = _matches(rule)
    return _asks_for(rule, port) and all(_is_port(one) or _is_wide(one) for one in matches) and _is_plain(rule)


def _closes_all(rule: Mapping[str, Any]) -> bool:
    return _verdict(rule) in CLOSING and not _matches(rule) and _is_plain(rule)


def _is_plain(rule: Mapping[str, Any]) -> bool:
    return all("match" in one or _verdict({"expr": [one]}) for one in _parts(rule))


def _asks_for(rule: Mapping[str, Any], port: int) -> bool:
    return any(
        _is_port(one) and _holds(one.get("right"), port) and one.get("op") in ("==", "in") for one in _matches(rule)
    )


def _is_port(match: Mapping[str, Any]) -> bool:
    left = match.get("left")
    payload = left.get("payload") if isinstance(left, Mapping) else None
    return isinstance(payload, Mapping) and payload.get("field") == "dport" and payload.get("protocol") in ("tcp", "th")


def _is_wide(match: Mapping[str, Any]) -> bool:
    left = match.get("left")
    meta = left.get("meta") if isinstance(left, Mapping) else None
    payload = left.get("payload") if isinstance(left, Mapping) else None
    if isinstance(meta, Mapping):
        # What comes by the loopback alone is nobody's way in.
        return meta.get("key") in WIDE and (match.get("right") != "lo" or match.get("op") == "!=")
    return isinstance(payload, Mapping) and payload.get("field") in WIDE


def _holds(right: object, port: int) -> bool:
    if isinstance(right, Mapping) and isinstance(right.get("set"), list):
        return any(_holds(one, port) for one in right["set"])
    if isinstance(right, Mapping) and isinstance(right.get("range"), list):
        low, high = right["range"]
        return isinstance(low, int) and isinstance(high, int) and low <= port <= high
    return right == port
