# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doors of each host: where nginx listens for those who need what runs there, who may come in, and what is behind.

An engine listens on a Unix socket and an interface in its room, so whoever wants one of them comes through a door. On
one host that is the loopback; another host comes by TLS and shows a certificate of the stack's hosts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .topology import EDGE, ENGINE, INTERFACE, LOOPBACK, Topology

SOCKET = "/var/lib/gpuchat/vllm/vllm.sock"
"""Where the engine listens."""

SOCKET_URL = "unix://" + SOCKET.replace("/", "%2F")
"""The same, as ``core/host.http`` asks it."""

ASKED_NAMES = {ENGINE: "engine.gpuchat.internal", INTERFACE: "interface.gpuchat.internal"}
"""The name for which a host that serves a kind is certified, whatever its address."""


@dataclass(frozen=True)
class Upstream:
    """What a door, or the edge, asks.

    Attributes:
        places: as nginx takes them (``unix:/path``, ``10.0.0.5:8000``).
        certified_name: the name that the other side's certificate must bear; empty for plain HTTP on this host.
    """

    places: tuple[str, ...]
    certified_name: str = ""

    @property
    def servers(self) -> tuple[str, ...]:
        """Return the places with nginx's word on failures: one that fails is left alone where there is another."""
        failures = "max_fails=3 fail_timeout=5s" if len(self.places) > 1 else "max_fails=0"
        return tuple(f"{place} {failures}" for place in self.places)

    def as_dict(self) -> dict[str, object]:
        scheme = "https" if self.certified_name else "http"
        return {"servers": list(self.servers), "scheme": scheme, "certified_name": self.certified_name}


@dataclass(frozen=True)
class Door:
    """Where a host lets somebody in to an engine or an interface.

    Attributes:
        addresses: who may come in, by address; all where it is empty.
        hosts: who may come in, by the certificate of a host of the stack; plain HTTP where it is empty.
        gives_key: whether the door shows the engine its key; else those who come in must know it.
    """

    kind: str
    address: str
    port: int
    upstream: Upstream
    addresses: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    gives_key: bool = False

    def as_dict(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "address": self.address,
            "port": self.port,
            "upstream": self.upstream.as_dict(),
            "addresses": list(self.addresses),
            "hosts": list(self.hosts),
            "gives_key": self.gives_key,
        }


def doors(topology: Topology, host: str) -> tuple[Door, ...]:
    """Return the doors of a host."""
    found: list[Door] = []
    interfaces = {one.host for one in topology.of(INTERFACE)}
    edges = {one.host for one in topology.of(EDGE)}
    for engine in (one for one in topology.of(ENGINE) if one.host == host):
        behind = Upstream((f"unix:{SOCKET}",))
        found.append(Door(ENGINE, LOOPBACK, engine.port, behind))
        hosts = _of_other_hosts(topology, ENGINE, host, edges | interfaces)
        if hosts:
            found.append(Door(ENGINE, engine.address, engine.port, behind, hosts=hosts, gives_key=True))
    for interface in (one for one in topology.of(INTERFACE) if one.host == host):
        room = topology.rooms[host]
        engines = topology.of(ENGINE)
        if engines:
            upstream = _of_room(topology, host)
            found.append(
                Door(ENGINE, room.gateway, engines[0].port, upstream, addresses=(room.address,), gives_key=True)
            )
        hosts = _of_other_hosts(topology, INTERFACE, host, edges)
        if hosts:
            behind = Upstream((f"{room.address}:{interface.port}",))
            found.append(Door(INTERFACE, interface.address, interface.port, behind, hosts=hosts))
    return tuple(found)


def upstreams_of_edge(topology: Topology, host: str) -> dict[str, Upstream]:
    """Return what the edge of a host asks, by kind."""
    found = {}
    for kind in (ENGINE, INTERFACE):
        services = topology.of(kind)
        if {one.host for one in services} == {host}:
            address = LOOPBACK if kind == ENGINE else topology.rooms[host].address
            found[kind] = Upstream((f"{address}:{services[0].port}",))
        else:
            found[kind] = Upstream(tuple(one.place for one in services), ASKED_NAMES[kind])
    return found


def describe(topology: Topology) -> dict[str, object]:
    """Return the topology and its doors as plain data for the roles."""
    described = topology.as_dict()
    hosts: dict[str, dict[str, Any]] = described["hosts"]  # type: ignore[assignment]
    for host, parts in hosts.items():
        if EDGE in parts:
            upstreams = upstreams_of_edge(topology, host)
            parts[EDGE]["upstreams"] = {kind: one.as_dict() for kind, one in upstreams.items()}
            parts[EDGE]["asks_other_hosts"] = any(one.certified_name for one in upstreams.values())
        parts["doors"] = [door.as_dict() for door in doors(topology, host)]
    return {**described, "certified_hosts": certified_hosts(topology), "socket": SOCKET, "socket_url": SOCKET_URL}


def certified_hosts(topology: Topology) -> dict[str, list[str]]:
    """Return the hosts that need a certificate for the others, each with the names for which it is asked."""
    asking = {host for door in _all(topology) for host in door.hosts}
    asked = {
        kind: {one.host for one in topology.of(kind) if _has_tls(topology, one.host, kind)} for kind in ASKED_NAMES
    }
    return {
        host: [ASKED_NAMES[kind] for kind in ASKED_NAMES if host in asked[kind]]
        for host in topology.hosts
        if host in asking or any(host in one for one in asked.values())
    }


def _all(topology: Topology) -> Iterable[Door]:
    return (door for host in topology.hosts for door in doors(topology, host))


def _has_tls(topology: Topology, host: str, kind: str) -> bool:
    return any(door.hosts for door in doors(topology, host) if door.kind == kind)


def _of_other_hosts(topology: Topology, kind: str, host: str, asking: set[str]) -> tuple[str, ...]:
    """Return who comes by TLS to what a host serves: all who ask for the kind, unless they and it are on this host."""
    if asking <= {host} and {one.host for one in topology.of(kind)} == {host}:
        return ()
    return tuple(one for one in topology.hosts if one in asking)


def _of_room(topology: Topology, host: str) -> Upstream:
    """Return what the room's door asks: this host's engine where there is no other, else all of them, by TLS."""
    engines = topology.of(ENGINE)
    if {one.host for one in engines} == {host}:
        return Upstream((f"unix:{SOCKET}",))
    return Upstream(tuple(one.place for one in engines), ASKED_NAMES[ENGINE])
