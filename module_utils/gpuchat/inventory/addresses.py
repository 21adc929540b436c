# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of the stack's hosts and of servers that are somebody else's: whether each is where it can be."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence

from . import access, endpoints, forms, ports, types
from . import network as network_known
from . import tool_servers as tools_known
from .given import CHATS, MONITORING, STACK_GROUPS, Findings, Inventory, Specification, common_settings
from .types import show

ROOM_NETWORK = "gpuchat_room_network"


def check(inventory: Inventory, specification: Specification, parts: frozenset[str], findings: Findings) -> None:
    """Find addresses that are none of a host's own, that two have, or that a container's network hides."""
    for host in inventory.ours:
        given = inventory.variables.get(host, {}).get("gpuchat_private_address")
        if isinstance(given, (str, int)) and given != "" and not _is_own_ipv4(str(given)):
            findings.fault(
                f"gpuchat_private_address is {given!r}; wanted one IPv4 address of this host; set "
                "gpuchat_private_address to it, such as 10.0.0.5",
                host,
            )
    _addresses_together(inventory, specification, findings)
    _in_rooms(inventory, specification, findings)
    if len(inventory.hosts(*STACK_GROUPS)) < 2 or not parts & {"door", "edge", "firewall", *CHATS}:
        return
    is_monitored = bool(inventory.groups.get(MONITORING))
    for host in inventory.hosts(*STACK_GROUPS) if is_monitored else inventory.hosts("gpu", "chat"):
        address = inventory.variables.get(host, {}).get("gpuchat_private_address")
        is_told = any((host, "gpuchat_private_address") == (one, name) for one, name, _why in inventory.untemplated)
        if not address and not is_told:
            findings.fault(
                "gpuchat_private_address is not set, and the stack spans several hosts; set it to the address at "
                "which the other hosts reach this one",
                host,
            )


def _addresses_together(inventory: Inventory, specification: Specification, findings: Findings) -> None:
    """Find an address of two hosts, and one in the network that containers have for themselves."""
    rooms = _rooms(inventory, specification)
    seen: dict[str, str] = {}
    names: dict[tuple[str, str], str] = {}
    for host in inventory.hosts(*STACK_GROUPS):
        way = inventory.reached.get(host, {})
        place = (way.get("address", ""), way.get("port", ""))
        if place[0] and place in names:
            findings.fault(
                f"ansible_host is {place[0]} on {names[place]} and on {host}, one machine by that; wanted one name for "
                "each machine; set ansible_host in the vars of each host, or give one machine one name in all "
                "of its groups"
            )
        names.setdefault(place, host)
        address = str(inventory.variables.get(host, {}).get("gpuchat_private_address") or "")
        if not _is_own_ipv4(address):
            continue
        if address in seen:
            findings.fault(
                f"gpuchat_private_address is {address} on {seen[address]} and on {host}; wanted each host's own; set "
                "gpuchat_private_address in the vars of each host, not of a group, or give one machine one name in all "
                "of its groups"
            )
        seen.setdefault(address, host)
        if any(ipaddress.IPv4Address(address) in room for room in rooms):
            findings.fault(
                f"gpuchat_private_address is {address}, which is in {ROOM_NETWORK}; wanted a network for the interface "
                f"alone; set {ROOM_NETWORK} to another",
                host,
            )


def _in_rooms(inventory: Inventory, specification: Specification, findings: Findings) -> None:
    """Find what a host would look for in its interface's room, from which nothing leads on."""
    for room, host in _rooms(inventory, specification).items():
        bridge = _dockers_bridge(inventory.variables.get(host, {}))
        if bridge and bridge.overlaps(room):
            findings.fault(
                f"{ROOM_NETWORK} is {room}, in which Docker has its own bridge ({bridge}); wanted a network for the "
                f"interface alone; set {ROOM_NETWORK} to another",
                host,
            )
        for name, text in _far_from(inventory, host):
            with contextlib.suppress(ValueError):  # a name, or of IPv6
                if ipaddress.IPv4Network(text).subnet_of(room):
                    findings.fault(
                        f"{name} holds {text}, which is in {ROOM_NETWORK} ({room}); wanted that network for the "
                        "interface alone, for what is sent to it never leaves this host; set "
                        f"{ROOM_NETWORK} to another",
                        host,
                    )


def check_servers(inventory: Inventory, specification: Specification, findings: Findings) -> None:
    """Find a server that is to be somebody else's and is the stack's own door, or each host's own."""
    common = common_settings(inventory, specification)
    chats = inventory.hosts("chat")
    tools_given = inventory.variables.get(next(iter(chats), ""), {}).get(tools_known.VARIABLE)
    for given, variable, asking in (
        (common.get(endpoints.VARIABLE), endpoints.VARIABLE, inventory.hosts("edge", "chat")),
        (tools_given, tools_known.VARIABLE, chats),
    ):
        for number, one in enumerate(types.sequence(given)):
            found = endpoints.URL.fullmatch(str(one.get("url"))) if isinstance(one, Mapping) else None
            if found:
                _not_ours(inventory, specification, findings, f"{variable}[{number}].url", found, asking)


def _not_ours(
    inventory: Inventory,
    specification: Specification,
    findings: Findings,
    variable: str,
    found: re.Match[str],
    asking: Sequence[str],
) -> None:
    """Look at the address of one server that is to be somebody else's.

    Args:
        variable: that holds it.
        asking: the hosts that ask it.
    """
    private = {str(inventory.variables.get(host, {}).get("gpuchat_private_address")): host for host in inventory.ours}
    address, port = found["host"].strip("[]"), int(found["port"] or endpoints.PORTS[found["scheme"]])
    is_near = address == "localhost" or (forms.is_address(address) and ipaddress.ip_address(address).is_loopback)
    hosts = asking if is_near else (private[address],) if address in private else ()
    listening = [(*one, host) for host in hosts for one in ports.listening(inventory, specification, host)]
    taken = [(name, host) for name, its, host in listening if its == port]
    # An interface has its port in its room, and its door there at the private address.
    taken = [one for one in taken if not is_near or one[0] != ports.INTERFACE_PORT]
    if taken:
        findings.fault(
            f"{variable} is {show(found[0])}, which is the stack's own, {' on '.join(taken[0])}; wanted somebody "
            f"else's server; set {variable} to another, or take it away"
        )
    elif is_near and len(asking) > 1:
        findings.warning(
            f"{variable} is {show(found[0])}, which each host has for itself, and {', '.join(asking)} ask it; set "
            f"{variable} to an address at which all of them find that server, unless each of them has one"
        )


def _is_own_ipv4(address: str) -> bool:
    try:
        given = ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return not (given.is_unspecified or given.is_loopback or given.is_multicast or int(given) == 2**32 - 1)


def _rooms(inventory: Inventory, specification: Specification) -> dict[ipaddress.IPv4Network, str]:
    """Return the sound networks of interfaces' rooms, each with its host."""
    found = {}
    for host in inventory.hosts("chat"):
        given = inventory.variables.get(host, {}).get(ROOM_NETWORK, specification.default(ROOM_NETWORK))
        if forms.FORMS[ROOM_NETWORK].is_right(str(given)):
            found[ipaddress.IPv4Network(str(given))] = host
    return found


def _dockers_bridge(given: Mapping[str, object]) -> ipaddress.IPv4Network | None:
    """Return the network that Docker's daemon has for itself before it makes others; None where nothing tells."""
    said = given.get("docker_settings")
    settings = said if isinstance(said, Mapping) else {}
    if given.get("docker_address_pools") or settings.get("default-address-pools") or settings.get("bridge"):
        return None
    bridge = settings.get("bip")
    with contextlib.suppress(ValueError):
        return ipaddress.IPv4Network(str(bridge or USUAL_BRIDGE), strict=False)
    return None


USUAL_BRIDGE = "172.17.0.0/16"


def _far_from(inventory: Inventory, host: str) -> Iterator[tuple[str, str]]:
    """Yield the addresses and networks that a host of the chat speaks to, each with the variable that names it."""
    given = inventory.variables.get(host, {})
    yield "ansible_host", inventory.reached.get(host, {}).get("address", "")
    for name in (access.ALLOWED, access.PROXIES) if host in inventory.groups.get("edge", ()) else ():
        yield from ((name, str(one)) for one in types.sequence(given.get(name)))
    proxy = given.get(network_known.PROXY)
    urls = [(network_known.PROXY, one) for one in proxy.values()] if isinstance(proxy, Mapping) else []
    for name in (endpoints.VARIABLE, tools_known.VARIABLE):
        urls += [(name, one.get("url")) for one in types.sequence(given.get(name)) if isinstance(one, Mapping)]
    for name, url in urls:
        found = forms.AT_SERVER.fullmatch(str(url))
        if found and found["host"]:
            yield name, found["host"]
