# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doors of each host: where nginx listens for those who need what runs there, who may come in, and what is behind.

An engine listens on a Unix socket and an interface in its room, so whoever wants one of them comes through a door. On
one host that is the loopback; another host comes by TLS and shows a certificate of the stack's hosts. What a host shows
of itself has a door too, for the monitoring host alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import elsewhere, metrics, sign_in
from .api_clients import ApiClient
from .endpoints import Endpoint
from .models import Model
from .tool_servers import ToolServer
from .topology import EDGE, ENGINE, FILES, INTERFACE, LOOPBACK, METRICS, Topology

DOOR_FOLDER, EDGE_FOLDER = "/etc/gpuchat/door", "/etc/gpuchat/edge"
"""Where nginx has its configuration."""

DOOR, ENDPOINT = "door", "endpoint"
"""What a route leads to beside an engine on the same host."""

FAIL_SECONDS = 5
"""How long one that failed is left alone where there is another."""

ASKED_NAMES = {
    ENGINE: "engine.gpuchat.internal",
    INTERFACE: "interface.gpuchat.internal",
    METRICS: "metrics.gpuchat.internal",
}
"""The name for which a host that serves a kind is certified, whatever its address."""


@dataclass(frozen=True)
class Upstream:
    """What a door, or the edge, asks.

    Attributes:
        places: as nginx takes them (``unix:/path``, ``10.0.0.5:8000``).
        certified_name: the name that the other side's certificate, made by the stack, must bear; empty for all others.
        scheme: by which it is asked, where no such certificate decides.
    """

    places: tuple[str, ...]
    certified_name: str = ""
    scheme: str = "http"

    @property
    def servers(self) -> tuple[str, ...]:
        """Return the places with nginx's word on failures: one that fails is left alone where there is another."""
        failures = f"max_fails=3 fail_timeout={FAIL_SECONDS}s" if len(self.places) > 1 else "max_fails=0"
        return tuple(f"{place} {failures}" for place in self.places)

    def as_dict(self) -> dict[str, object]:
        scheme = "https" if self.certified_name else self.scheme
        return {"servers": list(self.servers), "scheme": scheme, "certified_name": self.certified_name}


@dataclass(frozen=True)
class Route:
    """Where requests for a model go.

    Attributes:
        kind: ``engine`` by its socket, ``door`` of a host, or ``endpoint`` of somebody else's.
        names: those by which people ask for it, the engine's own first.
        adapters: those of the names that are a model each: who may use one may use no other name by that.
        prefix: the upstream's path that stands for ``/v1``.
        renamed: the upstream's own names, by those by which people ask, where they differ.
        timeout: seconds between two parts of an answer; 0 for the door's own.
        host: the name of the upstream, for its certificate; empty where it is ours.
        virtual_host: the same as a request names it; empty where it is ours.
        endpoint: whose it is; empty where it is ours.
        authority: the file in the configuration's folder by which its certificate is known; empty for the system's.
        place: the upstream with its port where it is known by a name that has to be looked up; else empty.
        silent_mark: the file that is there while the engine does not answer, where other hosts serve its model.
    """

    kind: str
    names: tuple[str, ...]
    upstream: Upstream
    prefix: str = "/v1"
    renamed: Mapping[str, str] = field(default_factory=dict)
    timeout: int = 0
    host: str = ""
    virtual_host: str = ""
    endpoint: str = ""
    authority: str = ""
    adapters: tuple[str, ...] = ()
    place: str = ""
    silent_mark: str = ""

    def granted(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Return the names by which one may ask who is given some: a model's and its aliases go together."""
        together = set(self.names) - set(self.adapters)
        given = set(wanted) | (together if together & set(wanted) else set())
        return tuple(name for name in self.names if name in given)

    def as_dict(self, number: int) -> dict[str, object]:
        return {
            "number": number,
            "kind": self.kind,
            "names": list(self.names),
            "upstream": self.upstream.as_dict(),
            "path": self.prefix,
            "rename": dict(self.renamed),
            "timeout": self.timeout,
            "host": self.host,
            "virtual_host": self.virtual_host,
            "endpoint": self.endpoint,
            "authority": self.authority,
            "place": self.place,
            "silent_mark": self.silent_mark,
        }


def describe_routes(routes: Sequence[Route]) -> list[dict[str, object]]:
    """Return routes as plain data, each with its number."""
    return [route.as_dict(number) for number, route in enumerate(routes, 1)]


def names_of(routes: Sequence[Route]) -> list[str]:
    """Return the names of all models."""
    return [name for one in routes for name in one.names]


def listing(dest: str, names: Sequence[str]) -> dict[str, str]:
    """Return the file that is the answer to who asks which models there are."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "gpuchat"} for name in names]
    return {"dest": dest, "content": json.dumps({"object": "list", "data": models})}


def granted(client: ApiClient, routes: Sequence[Route]) -> list[str]:
    """Return the names of the models that a client with limits may use."""
    return [name for one in routes for name in one.granted(client.models)]


ANSWERS_OF_ROOM = 16
"""That one request out of an interface's room may ask for: a chat shows one to a question, and who is signed in could
ask for thousands in one. At other doors 0, for no limit: programs there have their own, at the edge."""


@dataclass(frozen=True)
class Door:
    """Where a host lets somebody in to its engines, to all models, to an interface, or to its metrics.

    Attributes:
        upstream: the interface; None for models, which have routes, and for metrics, which have sources.
        files: the object store beside the interface; None where there is none.
        addresses: who may come in, by address; all where it is empty.
        hosts: who may come in, by the certificate of a host of the stack; plain HTTP where it is empty.
        gives_key: whether the door shows the engine its key; else those who come in must know it.
        tls: whether it answers for the site in the interface's room, by a certificate that the interface alone trusts.
        sources: what the host shows of itself.
        tools: servers of the owner's that an interface reaches by it.
    """

    kind: str
    address: str
    port: int
    upstream: Upstream | None = None
    routes: tuple[Route, ...] = ()
    addresses: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    gives_key: bool = False
    files: Upstream | None = None
    tls: bool = False
    sources: tuple[metrics.Source, ...] = ()
    tools: tuple[ToolServer, ...] = ()

    def as_dict(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "address": self.address,
            "port": self.port,
            "upstream": self.upstream.as_dict() if self.upstream else {},
            "files": self.files.as_dict() if self.files else {},
            "tls": self.tls,
            "routes": describe_routes(self.routes),
            "addresses": list(self.addresses),
            "answers": ANSWERS_OF_ROOM if self.addresses else 0,
            "hosts": list(self.hosts),
            "gives_key": self.gives_key,
            "sources": [one.as_dict() for one in self.sources],
            "tools": [_describe_tools(one) for one in self.tools],
        }


def _describe_tools(one: ToolServer) -> dict[str, object]:
    server = one.server
    return {
        "name": one.name,
        "variable": one.name.replace("-", "_"),
        "path": one.room_path,
        "upstream": Upstream((server.place,), scheme=server.scheme).as_dict(),
        "upstream_path": one.path,
        "host": server.host,
        "virtual_host": server.virtual_host,
        "place": _looked_up(server),
        "headers": list(one.headers),
        "authorization": one.authorization,
    }


def doors(topology: Topology, host: str) -> tuple[Door, ...]:
    """Return the doors of a host."""
    found: list[Door] = []
    interfaces = {one.host for one in topology.of(INTERFACE)}
    edges = {one.host for one in topology.of(EDGE)}
    for engine in (one for one in topology.of(ENGINE) if one.host == host):
        routes = tuple(_to_socket(model) for model in topology.served_by(host))
        found.append(Door(ENGINE, LOOPBACK, engine.port, routes=routes))
        hosts = _of_other_hosts(topology, ENGINE, host, edges | interfaces)
        if hosts:
            found.append(Door(ENGINE, engine.address, engine.port, routes=routes, hosts=hosts, gives_key=True))
    for interface in (one for one in topology.of(INTERFACE) if one.host == host):
        room, routes = topology.rooms[host], _of_room(topology, host)
        asks = (room.address,)
        own = Door(ENGINE, room.gateway, interface.model_port, None, routes, asks, gives_key=True, tools=topology.tools)
        found += [own] if routes else []
        behind = Upstream((f"{room.address}:{interface.port}",))
        files = Upstream((room.files_place,)) if topology.has_files else None
        files_door = door_of_files(topology, host)
        found += [files_door] if files_door and host not in edges else []
        hosts = _of_other_hosts(topology, INTERFACE, host, edges)
        if hosts:
            found.append(Door(INTERFACE, interface.address, interface.port, behind, hosts=hosts, files=files))
    for shown in (one for one in topology.of(METRICS) if one.host == host):
        # By the certificate on the loopback too, which is open to every account of the host.
        asking, sources = (topology.monitoring,), metrics.sources(topology, host)
        found.append(Door(METRICS, shown.address, shown.port, hosts=asking, sources=sources))
    return tuple(found)


def door_of_files(topology: Topology, host: str) -> Door | None:
    """Return where an interface finds its own files and links, at the site's own address; None where it has none.

    An edge on the same host has that port, and answers there itself.
    """
    site, room = topology.site, topology.rooms.get(host)
    if not topology.keeps_files_apart or not site or not room:
        return None
    (interface,) = [one for one in topology.of(INTERFACE) if one.host == host]
    behind = Upstream((f"{room.address}:{interface.port}",))
    files = Upstream((room.files_place,)) if topology.has_files else None
    is_tls = site.scheme == "https"
    return Door(FILES, room.gateway, site.port, behind, addresses=(room.address,), files=files, tls=is_tls)


def door_of_store(topology: Topology, host: str) -> dict[str, object]:
    """Return where an interface finds an object store of somebody else's, by its name; empty where there is none.

    Of that store the door hands on the paths of one bucket and nothing else, by a socket of the host that leads there.
    """
    store, room = topology.store, topology.rooms.get(host)
    if not store or not room:
        return {}
    site = topology.sites.get(host)
    return {
        "address": room.gateway,
        "port": store.port,
        "addresses": [room.address],
        "tls": store.scheme == "https",
        "name": store.name,
        "bucket": store.bucket,
        "path": store.path,
        "scheme": store.scheme,
        "socket": elsewhere.STORE_SOCKET,
        # An edge on the same host listens at its ports on every address, so it answers there itself.
        "is_edges": bool(site and store.port in site.ports),
    }


def door_of_sign_in(topology: Topology, host: str) -> dict[str, object]:
    """Return where an interface finds the issuer of the company's accounts, by its name; empty where there is none."""
    one, room = topology.sign_in, topology.rooms.get(host)
    if not one or not room:
        return {}
    site = topology.sites.get(host)
    return {
        "address": room.gateway,
        "port": one.port,
        "addresses": [room.address],
        "tls": True,
        "name": one.name,
        "socket": sign_in.SOCKET,
        "is_edges": bool(site and one.port in site.ports),
    }


def interface_of_edge(topology: Topology, host: str) -> Upstream | None:
    """Return the interface that the edge of a host asks; None where programs alone use the stack."""
    services = topology.of(INTERFACE)
    if not services:
        return None
    if {one.host for one in services} == {host}:
        return Upstream((f"{topology.rooms[host].address}:{services[0].port}",))
    return Upstream(tuple(one.place for one in services), ASKED_NAMES[INTERFACE])


def files_of_edge(topology: Topology, host: str) -> Upstream | None:
    """Return the object store that the edge of a host asks, on another host by the interface's door; None without."""
    if not topology.has_files:
        return None
    if {one.host for one in topology.of(INTERFACE)} == {host}:
        return Upstream((topology.rooms[host].files_place,))
    return interface_of_edge(topology, host)


def routes_of_edge(topology: Topology, host: str) -> tuple[Route, ...]:
    """Return where the edge of a host sends requests for models."""
    engines = topology.of(ENGINE)
    if {one.host for one in engines} == {host}:
        behind = Upstream((f"{LOOPBACK}:{engines[0].port}",))
        ours = tuple(
            Route(DOOR, model.names, behind, adapters=model.adapters) for model in topology.models if model.hosts
        )
    else:
        ours = _to_hosts(topology)
    return (*ours, *_to_endpoints(topology))


def describe(topology: Topology, clients: Sequence[ApiClient] = ()) -> dict[str, object]:
    """Return the topology and its doors as plain data for the roles.

    Args:
        clients: programs with a key of their own.
    """
    limited = [one for one in clients if one.models]
    described = topology.as_dict()
    hosts: dict[str, dict[str, Any]] = described["hosts"]  # type: ignore[assignment]
    for host, parts in hosts.items():
        ways = {"store_door": door_of_store(topology, host), "sign_in_door": door_of_sign_in(topology, host)}
        parts.update({name: one if one and not one["is_edges"] else {} for name, one in ways.items()})
        if EDGE in parts:
            interface, routes = interface_of_edge(topology, host), routes_of_edge(topology, host)
            behind = {INTERFACE: interface, FILES: files_of_edge(topology, host)}
            files_door = door_of_files(topology, host)
            upstreams = [one for one in (interface, *(route.upstream for route in routes)) if one]
            parts[EDGE].update(
                routes=describe_routes(routes),
                limited=[{"name": one.name, "names": granted(one, routes)} for one in limited],
                listings=[
                    listing(f"{EDGE_FOLDER}/models.json", names_of(routes)),
                    *(listing(f"{EDGE_FOLDER}/models-{one.name}.json", granted(one, routes)) for one in limited),
                ],
                upstreams={kind: one.as_dict() for kind, one in behind.items() if one},
                has_interface=bool(interface),
                files_door=files_door.as_dict() if files_door else {},
                **{name: one if one.get("is_edges") else {} for name, one in ways.items()},
                # Browsers take files there, and bring some, by themselves.
                store_origins=[topology.store.origin] if topology.store and topology.keeps_files_apart else [],
                asks_other_hosts=any(one.certified_name for one in upstreams),
                gives_key=any(route.kind == DOOR and not route.upstream.certified_name for route in routes),
            )
        here, sources = doors(topology, host), metrics.sources(topology, host)
        parts.setdefault(METRICS, {}).update(
            sources=[one.as_dict() for one in sources],
            is_monitored=bool(sources),
            is_monitoring=host == topology.monitoring,
        )
        parts["doors"] = [door.as_dict() for door in here]
        parts["listings"] = [
            listing(f"{DOOR_FOLDER}/models-{number}.json", names_of(door.routes)) for number, door in enumerate(here, 1)
        ]
    return {
        **described,
        "certified_hosts": certified_hosts(topology),
        "targets": [one.as_dict() for one in metrics.targets(topology)],
    }


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


def _of_room(topology: Topology, host: str) -> tuple[Route, ...]:
    """Return where the room's door leads: to this host's engines where there are no others, else to all, by TLS."""
    if {one.host for one in topology.of(ENGINE)} == {host}:
        ours = tuple(_to_socket(model) for model in topology.served_by(host))
    else:
        ours = _to_hosts(topology)
    return (*ours, *_to_endpoints(topology))


def _to_socket(model: Model) -> Route:
    behind = Upstream((f"unix:{model.socket}",))
    return Route(ENGINE, model.names, behind, adapters=model.adapters, silent_mark=model.silent_mark)


def _to_hosts(topology: Topology) -> tuple[Route, ...]:
    """Return a route for each model, to the doors of all hosts that serve it."""
    places = {one.host: one.place for one in topology.of(ENGINE)}
    return tuple(
        Route(
            DOOR,
            model.names,
            Upstream(tuple(places[host] for host in model.serving), ASKED_NAMES[ENGINE]),
            adapters=model.adapters,
        )
        for model in topology.models
        if model.hosts
    )


def _to_endpoints(topology: Topology) -> tuple[Route, ...]:
    return tuple(_to_endpoint(one, name) for one in topology.endpoints for name in one.renamed)


def _to_endpoint(endpoint: Endpoint, name: str) -> Route:
    own = endpoint.renamed[name]
    return Route(
        ENDPOINT,
        (name,),
        Upstream((endpoint.place,), scheme=endpoint.scheme),
        prefix=endpoint.prefix,
        renamed={name: own} if own != name else {},
        timeout=endpoint.timeout,
        host=endpoint.host,
        virtual_host=endpoint.virtual_host,
        endpoint=endpoint.name,
        authority=f"endpoint-{endpoint.name}.crt" if endpoint.authority_file else "",
        place=_looked_up(endpoint),
    )


def _looked_up(server: Endpoint) -> str:
    """Return a server with its port where it is known by a name that has to be looked up; else an empty text."""
    return "" if re.fullmatch(r"[0-9.]+|.*:.*", server.host) else server.place
