# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each host's packet filter lets in: the stack's own ports, and from where."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.opening import EPHEMERAL, Opening
from . import elsewhere
from .doors import Door, door_of_files, doors
from .topology import EDGE, FILES_PORT, LOOPBACK, ROOM, Topology

CONNECTIONS_PER_PERSON = 10
"""A browser opens six over HTTP/1.1; the rest is for programs and second windows."""

FEWEST_PEOPLE = 100
"""All of an office may sit behind one address."""


def openings(topology: Topology, host: str, people: int) -> tuple[Opening, ...]:
    """Return what a host lets in from beyond its loopback.

    Args:
        people: how many use the chat.
    """
    here, files_door = doors(topology, host), door_of_files(topology, host)
    here += (files_door,) if files_door and files_door not in here else ()  # one that the edge holds itself
    reached = [door for door in here if (door.hosts or door.addresses) and door.address != LOOPBACK]
    found = [_of_door(topology, door, host) for door in reached]
    gateway = topology.rooms[host].gateway if host in topology.rooms else ""
    elsewhere_ports = [elsewhere.ROOM_PORT] if topology.database else []
    elsewhere_ports += [one.port for one in (topology.store, topology.sign_in) if one]
    known = {port for opening in found if opening.address == gateway for port in opening.ports}
    for port in dict.fromkeys(elsewhere_ports) if gateway else ():
        found += [] if port in known else [Opening((port,), address=gateway, interface=ROOM)]
    for edge in (one for one in topology.of(EDGE) if one.host == host):
        site = topology.sites[host]
        connections = CONNECTIONS_PER_PERSON * max(people, FEWEST_PEOPLE)
        proxies = site.access.proxies  # one address of theirs stands for any number of people
        if site.is_open_to_directory:
            found.append(Opening((site.http_port,), connections=connections, unlimited=proxies))
        ports = (edge.port,) if site.is_open_to_directory else site.ports
        found.append(Opening(ports, site.access.connecting, connections=connections, unlimited=proxies))
    return (*found, *_of_ranks(topology, host))


def _of_ranks(topology: Topology, host: str) -> Iterator[Opening]:
    """Yield what the other ranks of an engine reach that stands on several hosts.

    Its processes trust whoever reaches them. Where they gather, they listen at every address of the host; further ports
    are those that the kernel gives, of which vLLM, Gloo and NCCL let nobody choose. These come last, for a door may be
    among them.
    """
    for span in filter(None, (topology.span(model, host) for model in topology.models_of(host))):
        others = tuple(address for rank, address in enumerate(span.addresses) if rank != span.rank)
        yield Opening((span.port, span.port + 1), others, engines=True)
        yield Opening((), others, span.addresses[span.rank], range=EPHEMERAL, engines=True)


def _of_door(topology: Topology, door: Door, host: str) -> Opening:
    if door.addresses:
        return Opening((door.port,), address=door.address, interface=ROOM)
    known = [topology.private[one] for one in door.hosts if one != host]
    # A host without a private address may come from any; its certificate is asked for all the same.
    networks = tuple(known) if all(known) else ()
    return Opening((door.port,), networks, door.address)


def describe(topology: Topology, people: int | None) -> dict[str, object]:
    """Return each host's openings, and the bridges whose containers reach nothing else, as plain data."""
    described: dict[str, object] = {}
    for host in topology.hosts:
        described[host] = {
            "openings": [one.as_dict() for one in openings(topology, host, people or 0)],
            "rooms": [ROOM] if host in topology.rooms else [],
            "room_ports": [FILES_PORT] if host in topology.rooms and topology.has_files else [],
        }
    return described
