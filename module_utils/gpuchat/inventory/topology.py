# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host serves what at which address and port, and who speaks to whom."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from . import access, elsewhere, forms, people, sign_in, tls
from .access import Access
from .endpoints import Endpoint
from .models import Model, Span
from .tool_servers import ToolServer

LOOPBACK = "127.0.0.1"
PEOPLE = "people"
ENGINE, INTERFACE, EDGE = "engine", "interface", "edge"
METRICS, MONITORING = "metrics", "monitoring"
"""What each host shows of itself, and the host that asks for it."""
FILES = "files"
"""The object store beside the interface, which has its own door in the room."""

GROUPS = {ENGINE: "gpu", INTERFACE: "chat", EDGE: "edge", MONITORING: "monitoring"}
"""The group of the inventory whose hosts serve a kind, or, of monitoring, ask."""

ROOM = "gpuchat-room"
"""Name of the interface's network, and of the host's interface in it."""

LOBEHUB, OPEN_WEBUI, NO_INTERFACE = "lobehub", "open_webui", "none"
INTERFACES = (LOBEHUB, OPEN_WEBUI)
"""What people chat with: the role that runs it."""

KEEP_FILES_APART = frozenset({LOBEHUB})
"""Which of them keep people's files in an object store."""

BUCKET, FILES_PORT = "gpuchat-files", 9000

PORTS = {ENGINE: "gpuchat_vllm_port", INTERFACE: "gpuchat_interface_port", EDGE: "edge_https_port"}
METRICS_PORT = "gpuchat_metrics_port"
SPAN_PORT = "gpuchat_span_port"

CERTIFICATES = {
    tls.SELFSIGNED: ("tls.crt", "tls.key", "ca.crt"),
    tls.PROVIDED: ("tls.crt", "tls.key"),
    tls.ACME: ("acme.pem",),
    tls.NONE: (),
}
"""Files of an edge, by where its certificate comes from."""


@dataclass(frozen=True)
class Service:
    """One part of the stack on one host.

    Attributes:
        address: at which those who need it reach it, or its door; empty for every address of the host.
        model_port: of the model servers' door on the same host.
    """

    kind: str
    host: str
    address: str
    port: int
    model_port: int = 0

    @property
    def place(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"


@dataclass(frozen=True)
class Room:
    """The interface's container network on its host, which leads nowhere but to the door there.

    Attributes:
        gateway: the host's address in it.
        address: the interface's.
        files_address: the object store's.
    """

    subnet: str
    gateway: str
    address: str
    files_address: str

    @classmethod
    def of(cls, subnet: str) -> Room:
        """Return the room in a network of at least three addresses."""
        hosts = ipaddress.IPv4Network(subnet).hosts()
        return cls(subnet, str(next(hosts)), str(next(hosts)), str(next(hosts)))

    @property
    def files_place(self) -> str:
        return f"{self.files_address}:{FILES_PORT}"

    def of_interface(self) -> dict[str, str]:
        return self._network(self.address)

    def of_files(self) -> dict[str, str]:
        return self._network(self.files_address)

    def _network(self, address: str) -> dict[str, str]:
        return {"name": ROOM, "subnet": self.subnet, "bridge": ROOM, "address": address}


@dataclass(frozen=True)
class Link:
    """One that opens connections (a service, or people in the allowed networks), and the service it reaches."""

    client: Service | None
    server: Service

    def as_dict(self) -> dict[str, object]:
        client, server = self.client, self.server
        return {
            "from": {"kind": client.kind, "host": client.host} if client else {"kind": PEOPLE},
            "to": {"kind": server.kind, "host": server.host, "address": server.address, "port": server.port},
        }


@dataclass(frozen=True)
class Site:
    """What people see of the stack at one edge.

    Attributes:
        names: what the certificate is for, the domain first.
        tls: where the certificate comes from, or that there is none.
        challenge: how the names are shown to be ours to a directory that certifies them; empty where none does.
        rate: requests a second that one address may make.
        burst: further requests that are let through at once.
        access: from where it may be used.
        asks_certificate: whether people show one before they see the chat.
        asks_password: whether they give one.
        forward_auth: the server of the owner's that is asked whether it knows them.
    """

    names: tuple[str, ...]
    http_port: int
    https_port: int
    tls: str
    challenge: str
    rate: int
    burst: int
    access: Access
    asks_certificate: bool = False
    asks_password: bool = False
    forward_auth: people.ForwardAuth | None = None

    @property
    def own_authority(self) -> bool:
        """Whether the certificate comes from the stack's private authority, which people import."""
        return self.tls == tls.SELFSIGNED

    @property
    def scheme(self) -> str:
        return "http" if self.tls == tls.NONE else "https"

    @property
    def port(self) -> int:
        """The port at which people are served."""
        return self.http_port if self.tls == tls.NONE else self.https_port

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port that is open to people."""
        return tuple(dict.fromkeys((self.http_port, self.port)))

    @property
    def is_open_to_directory(self) -> bool:
        """Whether the port of plain HTTP is everybody's, for a directory asks from wherever it likes."""
        return self.challenge == tls.HTTP

    @property
    def port_in_url(self) -> str:
        return "" if self.port == {"http": 80, "https": 443}[self.scheme] else f":{self.port}"

    @property
    def url(self) -> str:
        return self.origins[0]

    @property
    def origins(self) -> tuple[str, ...]:
        """What a browser calls the site, by each of its names (RFC 6454), also where a proxy before it ends TLS."""
        bracketed = [f"[{name}]" if ":" in name else name for name in self.names]
        before = [f"https://{name}" for name in bracketed] if self.access.proxies else []
        return tuple(dict.fromkeys([*(f"{self.scheme}://{name}{self.port_in_url}" for name in bracketed), *before]))


@dataclass(frozen=True)
class Topology:
    """The stack on its hosts.

    Attributes:
        sites: by host of the edge.
        rooms: by host of an interface.
        private: each host's address for the other hosts; empty where it was given none.
        models: what the stack's engines serve.
        endpoints: model servers of somebody else's.
        conversations: how many each host holds of a model that does not say, and how long, as the inventory has it.
        interface: what people chat with.
        monitoring: the host that asks all others for their metrics; empty where none does, and none shows any.
        tools: servers of the owner's whose tools the models may call.
        span_ports: by host, where an engine's ranks gather that is led there.
        database: the interface's, where somebody else runs it; None where it is the stack's own.
        store: of people's files, the same.
        sign_in: the company's own, where people come in by it; None without.
    """

    services: tuple[Service, ...]
    sites: Mapping[str, Site]
    rooms: Mapping[str, Room]
    private: Mapping[str, str]
    models: tuple[Model, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    conversations: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    interface: str = LOBEHUB
    monitoring: str = ""
    span_ports: Mapping[str, int] = field(default_factory=dict)
    tools: tuple[ToolServer, ...] = ()
    database: elsewhere.Database | None = None
    store: elsewhere.Store | None = None
    sign_in: sign_in.SignIn | None = None

    @property
    def has_own_database(self) -> bool:
        """Whether PostgreSQL stands beside the interface."""
        return bool(self.of(INTERFACE)) and self.interface in INTERFACES and not self.database

    @property
    def has_files(self) -> bool:
        """Whether an object store stands beside the interface."""
        return self.keeps_files_apart and not self.store

    @property
    def keeps_files_apart(self) -> bool:
        """Whether the interface keeps people's files in an object store, wherever that is."""
        return bool(self.of(INTERFACE)) and self.interface in KEEP_FILES_APART

    @property
    def site(self) -> Site | None:
        """What people see at the first edge, whose address the interface takes for its own."""
        return next(iter(self.sites.values()), None)

    @property
    def origins(self) -> tuple[str, ...]:
        """What browsers call the site, by any edge."""
        return tuple(dict.fromkeys(origin for one in self.sites.values() for origin in one.origins))

    def of(self, kind: str) -> tuple[Service, ...]:
        return tuple(service for service in self.services if service.kind == kind)

    def models_of(self, host: str) -> tuple[Model, ...]:
        """Return the models of which a host has an engine, or a part of one."""
        return tuple(model for model in self.models if host in model.hosts)

    def served_by(self, host: str) -> tuple[Model, ...]:
        """Return the models for which a host can be asked."""
        return tuple(model for model in self.models if host in model.serving)

    def span(self, model: Model, host: str) -> Span | None:
        """Return a host's part of a model's engine; None where it has all of one."""
        if not model.spans:
            return None
        addresses = tuple(self.private[one] for one in model.hosts)
        return Span(model.hosts, model.hosts.index(host), addresses, self.span_ports[model.hosts[0]])

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host of the stack, one that has nothing to serve at present too."""
        return tuple(self.private)

    @property
    def links(self) -> tuple[Link, ...]:
        """Return every connection that the stack needs; whatever else is open is too much."""
        links = [Link(None, edge) for edge in self.of(EDGE)]
        links += [
            Link(edge, server) for edge in self.of(EDGE) for kind in (INTERFACE, ENGINE) for server in self.of(kind)
        ]
        links += [Link(one, server) for one in self.of(INTERFACE) for server in self.of(ENGINE)]
        asking = Service(MONITORING, self.monitoring, "", 0)
        return (*links, *(Link(asking, server) for server in self.of(METRICS)))

    def as_dict(self) -> dict[str, object]:
        """Return plain data for the roles, by host and kind."""
        hosts: dict[str, dict[str, object]] = {host: {} for host in self.hosts}
        for service in self.services:
            hosts[service.host][service.kind] = self._describe(service)
        for host, described in hosts.items():
            users, context = self.conversations.get(host, ("auto", "auto"))
            described["engines"] = [
                model.engine(users, context, self.span(model, host)) for model in self.models_of(host)
            ]
            described["downloads"] = [one for model in self.models_of(host) for one in model.downloads()]
            # Its engines start anew with those of other hosts, all at once.
            described["spans"] = any(model.spans for model in self.models_of(host))
        site = self.site
        own = [name for one in self.sites.values() if one.own_authority for name in one.names]
        return {
            "url": site.url if site else "",
            "engines": [service.host for service in self.of(ENGINE)],
            "models": [
                *(
                    {"name": name, "task": one.task, "hosts": list(one.serving), **more}
                    for one in self.models
                    for name, more in ((one.name, {}), *((name, {"engine": one.name}) for name in one.adapters))
                ),
                *(
                    {
                        "name": name,
                        "task": task,
                        "hosts": [],
                        "endpoint": one.name,
                        "live": one.live,
                        **one.abilities.get(name, {}),
                    }
                    for one in self.endpoints
                    for name, task in one.tasks.items()
                ),
            ],
            "live_endpoints": [
                {"name": one.name, "url": one.base, "timeout": one.timeout} for one in self.endpoints if one.live
            ],
            # Of those that ask somebody else's servers, the first: the control node may see none of them.
            "asking": next((service.host for kind in (EDGE, INTERFACE) for service in self.of(kind)), ""),
            "edges": [service.host for service in self.of(EDGE)],
            "behind": [host for host in self.hosts if host not in self.sites],
            "certified_names": list(dict.fromkeys(own)),
            "room_names": self._names_in_room(site),
            "has_sign_in": bool(self.sign_in),
            "needs_temporary_certificate": any(one.tls == tls.ACME for one in self.sites.values()),
            "monitoring": self.monitoring,
            "tool_servers": [one.name for one in self.tools],
            "hosts": hosts,
            "links": [link.as_dict() for link in self.links],
        }

    def _describe(self, service: Service) -> dict[str, object]:
        described: dict[str, object] = {"address": service.address, "port": service.port}
        if service.kind == INTERFACE:
            described.update(self._describe_interface(service))
        elif service.kind == EDGE:
            site = self.sites[service.host]
            described.update(
                url=site.url,
                names=list(site.names),
                origins=list(site.origins),
                http_port=site.http_port,
                https_port=site.https_port,
                ports=list(site.ports),
                port_in_url=site.port_in_url,
                scheme=site.scheme,
                tls=site.tls,
                challenge=site.challenge,
                interface=self.interface if self.of(INTERFACE) else "",
                own_authority=site.own_authority,
                is_open_to_directory=site.is_open_to_directory,
                # A browser that has seen a private authority's certificate may have to do without it one day.
                strict_transport=site.tls in (tls.PROVIDED, tls.ACME),
                certificates=list(CERTIFICATES[site.tls]),
                rate=site.rate,
                burst=site.burst,
                access=site.access.as_dict(),
                asks_certificate=site.asks_certificate,
                asks_password=site.asks_password,
                forward_auth=site.forward_auth.as_dict() if site.forward_auth else {},
            )
        return described

    def _describe_interface(self, service: Service) -> dict[str, object]:
        room, site = self.rooms[service.host], self.site
        files: dict[str, object] = {"address": room.files_address, "port": FILES_PORT, "bucket": BUCKET}
        files.update(url=f"http://{room.files_place}", room=room.of_files())
        return {
            "kind": self.interface,
            "url": f"http://{room.address}:{service.port}/",
            "engine_url": f"http://{room.gateway}:{service.model_port}/v1",
            "tools": [
                {
                    "name": one.name,
                    "title": one.title,
                    "url": f"http://{room.gateway}:{service.model_port}{one.room_path}",
                }
                for one in self.tools
            ],
            "gateway": room.gateway,
            "room": room.of_interface(),
            "files": files if self.has_files else {},
            "database": self._describe_database(room),
            "store": self._describe_store(site),
            "sign_in": self._describe_sign_in(),
            "elsewhere": bool(self.database or self.store or self.sign_in),
            "site_url": site.url if site else "",
            "site_port": site.port if site else 0,
            "site_scheme": site.scheme if site else "",
            # People may come by any edge.
            "origins": list(self.origins),
            "found_at": self._found_at(room),
        }

    def _found_at(self, room: Room) -> dict[str, str]:
        """Return the names that lead an interface to its room's door: the site's, for files, and those elsewhere."""
        names = list(self.site.names) if self.site and self.keeps_files_apart else []
        names += [self.database.host] if self.database else []
        names += [one.name for one in (self.store, self.sign_in) if one]
        return {name: room.gateway for name in names if not forms.is_address(name)}  # a number is looked up nowhere

    def _names_in_room(self, site: Site | None) -> list[str]:
        """Return the names for which the door in the room has a certificate."""
        names = list(site.names) if site and self.keeps_files_apart else []
        names += [self.store.name] if self.store and self.store.scheme == "https" else []
        return [*names, *([self.sign_in.name] if self.sign_in else [])]

    def _describe_sign_in(self) -> dict[str, object]:
        """Return where people of the company sign in; empty where they have the chat's own accounts alone."""
        one = self.sign_in
        if not one:
            return {}
        return {
            "issuer": one.issuer,
            "client_id": one.client_id,
            "discovery": one.discovery,
            "place": one.place,
            "socket": sign_in.SOCKET,
        }

    def _describe_store(self, site: Site | None) -> dict[str, object]:
        """Return where people's files are: under the site's own name, or elsewhere."""
        one = self.store
        if not one:
            own = {"url": site.url if site else "", "bucket": BUCKET, "region": elsewhere.USUAL_REGION}
            return {"is_own": True, "path_style": True, "scheme": site.scheme if site else "", **own}
        return {
            "is_own": False,
            "url": one.url,
            "bucket": one.bucket,
            "region": one.region,
            "path_style": one.path_style,
            "scheme": one.scheme,
            "name": one.name,
            "place": one.place,
            "socket": elsewhere.STORE_SOCKET,
            # Browsers ask it for themselves where the interface has them do so.
            "origins": list(self.origins) if self.keeps_files_apart else [],
        }

    def _describe_database(self, room: Room) -> dict[str, object]:
        """Return the interface's database: of its own name on its host, or elsewhere, where it is found by a way."""
        one = self.database
        if not one:
            return {"is_own": True, "name": self.interface, "user": self.interface, "connection": ""}
        return {
            "is_own": False,
            "name": one.name,
            "user": one.user,
            "host": one.host,
            "port": one.port,
            "place": one.place,
            "authority_file": one.authority_file,
            "room_port": elsewhere.ROOM_PORT,
            "room_place": f"{room.gateway}:{elsewhere.ROOM_PORT}",
            "connection": elsewhere.CONNECTION,
        }


def derive(
    groups: Mapping[str, Sequence[str]],
    settings: Mapping[str, Mapping[str, object]],
    models: Sequence[Model] = (),
    endpoints: Sequence[Endpoint] = (),
    interface: str = LOBEHUB,
) -> Topology:
    """Derive the stack's topology.

    Args:
        groups: hosts by group of the inventory.
        settings: each host's settings, checked and with their defaults.
        interface: what people chat with.
    """
    hosts = dict.fromkeys(host for group in GROUPS.values() for host in groups.get(group, ()))
    private = {host: str(settings[host].get("gpuchat_private_address") or "") for host in hosts}
    rooms = {
        host: Room.of(str(settings[host]["gpuchat_room_network"]))
        for host in dict.fromkeys(groups.get(GROUPS[INTERFACE], ()))
    }
    edges = dict.fromkeys(groups.get(GROUPS[EDGE], ()))
    sites = {host: _site(settings[host]) for host in edges}
    engines = {host for model in models for host in model.serving}
    all_serving = {host for kind in PORTS for host in groups.get(GROUPS[kind], ())}
    services = []
    for kind, variable in PORTS.items():
        all_hosts = dict.fromkeys(groups.get(GROUPS[kind], ()))
        serving = {host for host in all_hosts if kind != ENGINE or host in engines}
        for host in (one for one in all_hosts if one in serving):
            here = {ENGINE: LOOPBACK, INTERFACE: rooms[host].address if host in rooms else "", EDGE: ""}[kind]
            is_met_here = (
                kind == EDGE or len(all_serving) == 1 or (kind == INTERFACE and serving | set(edges) == {host})
            )
            address = here if is_met_here else private[host] or here
            port = sites[host].port if kind == EDGE else _whole(settings[host], variable)
            services.append(Service(kind, host, address, port, _whole(settings[host], PORTS[ENGINE])))
    monitoring = next(iter(groups.get(GROUPS[MONITORING], ())), "")
    for host in hosts if monitoring else ():
        address = LOOPBACK if host == monitoring else private[host] or LOOPBACK
        services.append(Service(METRICS, host, address, _whole(settings[host], METRICS_PORT)))
    conversations = {
        host: (str(one.get("gpuchat_users") or "auto"), str(one.get("gpuchat_context") or "auto"))
        for host, one in settings.items()
    }
    return Topology(
        tuple(services),
        sites,
        rooms,
        private,
        tuple(models),
        tuple(endpoints),
        conversations,
        interface,
        monitoring,
        {host: _whole(settings[host], SPAN_PORT) for host in hosts},
        database=next((elsewhere.read(settings[host]) for host in rooms), None) if interface in INTERFACES else None,
        store=next((elsewhere.read_store(settings[host]) for host in rooms), None) if interface in INTERFACES else None,
        sign_in=next((sign_in.read(settings[host]) for host in rooms), None) if interface in INTERFACES else None,
    )


def _site(settings: Mapping[str, object]) -> Site:
    further = settings.get("edge_extra_names")
    names = [settings.get("gpuchat_domain") or "", *(further if isinstance(further, (list, tuple)) else ())]
    return Site(
        names=tuple(dict.fromkeys(_as_browsers_say(str(name)) for name in names)),
        http_port=_whole(settings, "edge_http_port"),
        https_port=_whole(settings, "edge_https_port"),
        tls=tls.source(settings),
        challenge=tls.challenge(settings),
        rate=_whole(settings, "edge_api_rate"),
        burst=_whole(settings, "edge_api_burst"),
        access=access.derive(settings),
        asks_certificate=bool(settings.get(tls.CLIENTS)),
        asks_password=bool(settings.get(people.PASSWORDS)),
        forward_auth=people.forward_auth(settings),
    )


def _as_browsers_say(name: str) -> str:
    """Return a name or an address as browsers write it, whose word for a site is compared letter by letter."""
    return str(ipaddress.ip_address(name)) if forms.is_address(name) else name.lower()


def _whole(settings: Mapping[str, object], name: str) -> int:
    return int(str(settings[name]))
