# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One nftables table of ours: what the stack opens, to whom, and rooms whose containers reach nothing but their door.

Whatever is none of the stack's ports is left to the host's other rules: in nftables a drop is final in any table, and
an accept ends only its own chain, so this table closes and never opens. Where ufw or firewalld run, the stack's ports
are opened through them too.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence

from ..core.opening import Opening

HEAD = "# Made by gpuchat; changes are lost in the next run."
TABLE = "gpuchat"
LOOPBACK = "127.0.0.0/8"
UFW_COMMENT = "gpuchat"
ROOT, FIRST_PERSON = 0, 1000
"""Of user ids: services of the host have those below the second."""


def ruleset(
    openings: Sequence[Opening], rooms: Sequence[str], room_ports: Sequence[int] = (), room_user: int | None = None
) -> str:
    """Return the table as a file for ``nft -f``: it replaces the one that is loaded, in one step.

    Args:
        room_ports: what containers of a room reach of each other.
        room_user: id of nginx's user, who beside root reaches rooms from their host; where it is unknown, services may.
    """
    body = [*_sets(openings), *_input(openings, rooms), *_forward(rooms, room_ports), *_output(rooms, room_user)]
    digest = hashlib.sha256("\n".join(body).encode()).hexdigest()[:16]
    head = [HEAD, f"table inet {TABLE}", f"delete table inet {TABLE}", f"table inet {TABLE} {{"]
    return "\n".join([*head, f'  comment "{digest}"', *body, "}", ""])


def digest_of(text: str) -> str:
    """Return the word by which a loaded table is known to be the one of a file, or empty."""
    found = re.search(r'comment "([0-9a-f]{16})"', text)
    return found.group(1) if found else ""


def loaded_digest(listed: object) -> str:
    """Return that word of a table that is loaded, from ``nft --json list tables``."""
    entries = listed.get("nftables") if isinstance(listed, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        table = entry.get("table", {})
        if table.get("family") == "inet" and table.get("name") == TABLE:
            return str(table.get("comment") or "-")
    return ""


def in_essence(listed: object) -> list[object]:
    """Return a table of ``nft --json list table`` without what moves: handles, and who is counted right now."""
    entries = listed.get("nftables") if isinstance(listed, Mapping) else None
    found: list[object] = []
    for entry in entries if isinstance(entries, list) else ():
        for kind, value in entry.items():
            if kind != "metainfo":
                found.append({kind: {key: one for key, one in value.items() if key not in ("handle", "elem")}})
    return found


COUNTED = (
    ("connections", "ip", "ipv4_addr", "ip saddr"),
    # Who has an address of IPv6 has 2^64 of them, so the network counts.
    ("connections6", "ip6", "ipv6_addr", "ip6 saddr & ffff:ffff:ffff:ffff::"),
)
"""The start of a set's name, nft's word for a kind of address, its type, and what of one counts."""


def _sets(openings: Sequence[Opening]) -> Iterable[str]:
    for number, opening in enumerate(openings):
        for name, _word, kind, _counted in COUNTED if opening.connections else ():
            yield f"  set {name}_{number} {{ type {kind}; size 65535; flags dynamic; }}"


def _counts(number: int, opening: Opening, source: str) -> Iterable[str]:
    """Yield what counts the connections from a source, for each kind of address that it may be."""
    for name, word, _kind, counted in COUNTED if opening.connections else ():
        if not source or source.startswith(f"{word} "):
            yield f"add @{name}_{number} {{ {counted} ct count over {opening.connections} }}"


def _input(openings: Sequence[Opening], rooms: Sequence[str]) -> Iterable[str]:
    yield "  chain input {"
    yield "    type filter hook input priority filter - 10; policy accept;"
    yield '    iifname "lo" accept'
    # With Docker's userland-proxy switched off, a bridge may route to the loopback.
    yield f"    ip daddr {LOOPBACK} drop"
    yield "    ct state established,related accept"
    numbered = list(enumerate(openings))
    for number, opening in numbered:
        yield from _let_in(number, opening) if opening.interface else ()
    # Before all others are let in, for a room's addresses may be among theirs.
    for room in rooms:
        yield f'    iifname "{room}" reject with icmpx type admin-prohibited'
    for number, opening in numbered:
        yield from () if opening.interface else _let_in(number, opening)
    yield "  }"


def _let_in(number: int, opening: Opening) -> Iterable[str]:
    where = _where(opening)
    for source in _sources(opening.unlimited) if opening.unlimited else ():
        yield f"    {where} {source}accept"
    for source in _sources(opening.networks):
        for count in _counts(number, opening, source):
            yield f"    {where} {source}ct state new {count} reject with tcp reset"
        yield f"    {where} {source}accept"
    if opening.networks or opening.interface:
        # By whatever interface: a host answers for each of its addresses on all of them.
        yield f"    {_where(opening, by_interface=False)} reject with tcp reset"


def _forward(rooms: Sequence[str], room_ports: Sequence[int]) -> Iterable[str]:
    if not rooms:
        return
    yield "  chain forward {"
    yield "    type filter hook forward priority filter - 10; policy accept;"
    for room in rooms:
        # Traffic within one bridge comes this way too where br_netfilter is loaded.
        within = f'iifname "{room}" oifname "{room}"'
        yield f"    {within} ct state established,related accept"
        if room_ports:
            yield f"    {within} tcp dport {{ {', '.join(map(str, sorted(set(room_ports))))} }} accept"
        yield f'    iifname "{room}" reject with icmpx type admin-prohibited'
        yield f'    oifname "{room}" reject with icmpx type admin-prohibited'
    yield "  }"


def _output(rooms: Sequence[str], room_user: int | None) -> Iterable[str]:
    """Keep the host's own people from an interface, which they would reach past the edge."""
    if not rooms:
        return
    strangers = f">= {FIRST_PERSON}" if room_user is None else f"!= {{ {ROOT}, {room_user} }}"
    yield "  chain output {"
    yield "    type filter hook output priority filter - 10; policy accept;"
    for room in rooms:
        yield f'    oifname "{room}" ct state new meta skuid {strangers} reject with icmpx type admin-prohibited'
    yield "  }"


def _where(opening: Opening, by_interface: bool = True) -> str:
    words = [f'iifname "{opening.interface}"'] if opening.interface and by_interface else []
    words += [f"ip daddr {opening.address}"] if opening.address else []
    return " ".join([*words, f"tcp dport {{ {', '.join(_ports(opening, '-'))} }}"])


def _ports(opening: Opening, to: str) -> list[str]:
    """Return the ports as words, those in a row with what stands between the first and the last."""
    row = [to.join(map(str, opening.range))] if opening.range else []
    return [*map(str, sorted(set(opening.ports))), *row]


def _sources(networks: Sequence[str]) -> Iterable[str]:
    """Return a match for each kind of address, or the one that matches all."""
    if not networks:
        return [""]
    found = [ipaddress.ip_network(one, strict=False) for one in networks]
    matches = []
    for version, word in ((4, "ip"), (6, "ip6")):
        collapsed = [str(one) for one in ipaddress.collapse_addresses([one for one in found if one.version == version])]  # type: ignore[type-var]
        matches += [f"{word} saddr {{ {', '.join(collapsed)} }} "] if collapsed else []
    return matches


def ufw_rules(openings: Sequence[Opening]) -> list[str]:
    """Return the rules that open the stack's ports in ufw too, each as ``ufw show added`` lists them."""
    rules: list[str] = []
    for opening in openings:
        by = f" in on {opening.interface}" if opening.interface else ""
        to = opening.address or "any"
        for network in opening.networks or ("any",):
            ports = _ports(opening, ":")
            rules += [f"allow{by} from {network} to {to} port {port} proto tcp" for port in ports]
    return rules


def plan_ufw(added: str, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the rules to add and those of ours to delete, from the output of ``ufw show added``.

    ufw writes a rule in its own words (``from any`` is left out, a host's address has no prefix), so rules are compared
    by their words rather than by their text.
    """
    ours = [
        line[len("ufw ") :].rpartition(" comment ")[0].strip()
        for line in added.splitlines()
        if line.startswith("ufw ") and line.rstrip().endswith(f"comment '{UFW_COMMENT}'")
    ]
    known = {_plain_ufw(rule) for rule in ours}
    right = {_plain_ufw(rule) for rule in wanted}
    return [one for one in wanted if _plain_ufw(one) not in known], [
        one for one in ours if _plain_ufw(one) not in right
    ]


def _plain_ufw(rule: str) -> tuple[str, ...]:
    found = dict(re.findall(r"\b(from|to|port|proto|on) (\S+)", rule))
    return tuple(re.sub(r"/(32|128)$", "", found.get(word, "any")) for word in ("on", "from", "to", "port", "proto"))


def firewalld_rules(openings: Sequence[Opening]) -> list[str]:
    """Return rich rules that open the stack's ports in firewalld's default zone; they cannot name an interface."""
    rules: list[str] = []
    for opening in openings:
        for network in opening.networks or ("",):
            family = "ipv6" if ":" in network else "ipv4"
            source = f' source address="{network}"' if network else ""
            target = f' destination address="{opening.address}"' if opening.address else ""
            ports = (f' port port="{port}" protocol="tcp" accept' for port in _ports(opening, "-"))
            rules += [f'rule family="{family}"{source}{target}{port}' for port in ports]
    return rules
