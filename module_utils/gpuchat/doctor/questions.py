# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a host beyond the survey's reading: what its part in the stack and its present state call for."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..docker.images import DOCKER_HUB, DOCKER_HUB_API
from ..model.hubs import OFFICIAL, PLACE
from ..survey.parts import FEW_RESTARTS, JUST_NOW_SECONDS, ends_soon
from ..survey.types import ACME, DOOR, EDGE, ENGINES, INTERFACES, OBJECT_STORE, OF_ACME, POSTGRESQL, container

DOCKER, BACKUP = "docker", "gpuchat-backup"
OURS = "gpuchat-"
ADDRESS = re.compile(r"[0-9.]+|\[?[0-9a-fA-F:]*:[0-9a-fA-F:.]*\]?")
EVERYWHERE = ("", "0.0.0.0", "::", "*")


@dataclass(frozen=True)
class Target:
    """A door of a host of the stack, which is asked by TLS with the certificates of a part on this host.

    Attributes:
        folder: whose certificates these are, ``door`` or ``edge``.
        name: for which the other side is certified.
        host: whose door it is; empty where no host of the inventory has that address.
        kind: ``engine`` or ``interface``.
    """

    address: str
    port: int
    name: str
    folder: str
    host: str
    kind: str


def targets(own: str, hosts: Mapping[str, Any]) -> tuple[Target, ...]:
    """Return the doors that a host needs.

    Args:
        own: the host's name.
        hosts: the topology's.
    """
    places = {
        (one[kind]["address"], int(one[kind]["port"])): (host, kind)
        for host, one in hosts.items()
        for kind in ("engine", "interface")
        if kind in one
    }
    found = []
    for folder, upstream in _upstreams(hosts.get(own) or {}):
        for server in upstream.get("servers") or () if upstream.get("certified_name") else ():
            address, _colon, port = server.split()[0].rpartition(":")
            host, kind = places.get((address, int(port)), ("", "engine"))
            found.append(Target(address.strip("[]"), int(port), upstream["certified_name"], folder, host, kind))
    return tuple(dict.fromkeys(found))


def _upstreams(here: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for door in here.get("doors") or ():
        yield "door", door.get("upstream") or {}
        yield from (("door", route["upstream"]) for route in door.get("routes") or ())
    edge = here.get("edge") or {}
    yield from (("edge", upstream) for upstream in (edge.get("upstreams") or {}).values())
    yield from (("edge", route["upstream"]) for route in edge.get("routes") or ())


def endpoints(here: Mapping[str, Any]) -> dict[str, str]:
    """Return the place (``host:port``) of each server of somebody else's that a host asks, by its name."""
    routes = [route for door in here.get("doors") or () for route in door.get("routes") or ()]
    routes += (here.get("edge") or {}).get("routes") or []
    return {
        str(route["endpoint"]): str(server.split()[0])
        for route in routes
        if route.get("kind") == "endpoint"
        for server in route["upstream"]["servers"][:1]
    }


def ports(here: Mapping[str, Any]) -> tuple[tuple[str, int, str], ...]:
    """Return where the stack listens on a host: address, port, and the service that listens there."""
    edge = here.get("edge") or {}
    found = [(str(door["address"]), int(door["port"]), DOOR) for door in here.get("doors") or ()]
    found += [("", int(port), EDGE) for port in edge.get("ports") or ()]
    return tuple(dict.fromkeys(found))


def meet(one: str, other: str) -> bool:
    """Whether two sockets of the same port are in each other's way, by their addresses."""
    return one == other or one in EVERYWHERE or other in EVERYWHERE


# Names.


def names(here: Mapping[str, Any], reading: Mapping[str, Any]) -> dict[str, str]:
    """Return the names that a host has to resolve now, each with what for: what lies here already needs none."""
    found = {}
    for name, written in (reading.get("containers") or {}).items():
        by = ((reading.get("services") or {}).get(name) or {}).get("supervisor")
        if by == "venv":
            continue
        answers = "podman" in reading if by == "quadlet" else (reading.get("docker") or {}).get("answers")
        if answers and not container(reading, name):
            registry = str(written["image"]).partition("/")[0]
            found[DOCKER_HUB_API if registry == DOCKER_HUB else registry] = f"registry of {name}"
    for engine in here.get("engines") or ():
        model = (reading.get("models") or {}).get(engine["path"]) or {}
        if engine["source"] != "path" and (not model.get("commit") or model.get("missing") or model.get("changed")):
            urls = engine.get("endpoints") or [OFFICIAL.get(engine["source"], "")]
            places = [place for url in urls for place in [PLACE.match(str(url))] if place]
            found.update({place[2]: f"hub of {engine['container']}" for place in places})
    edge = here.get("edge") or {}
    if edge.get("tls") == "acme":
        found.update(dict.fromkeys(map(str, edge.get("names") or ()), "site"))
    for endpoint, place in endpoints(here).items():
        found[place] = f"endpoint {endpoint}"
    return {bare: why for name, why in found.items() for bare in [_without_port(name)] if _is_name(bare)}


def _without_port(place: str) -> str:
    return re.sub(r":\d+$", "", place)


def _is_name(text: str) -> bool:
    return bool(text) and text != "localhost" and not ADDRESS.fullmatch(text) and not text.startswith("unix")


# What is not well, and so is asked for its log.

WITHOUT_GPUS = ("no_driver", "lost", "failed")
"""States of NVIDIA's driver for which the kernel's log has the reason."""


def asks_kernel(reading: Mapping[str, Any]) -> bool:
    """Whether the kernel's log is read for why the driver serves no GPU."""
    return (reading.get("gpu") or {}).get("state") in WITHOUT_GPUS


def unwell(here: Mapping[str, Any], reading: Mapping[str, Any], checks: Mapping[str, Any]) -> dict[str, str]:
    """Return the services whose logs are read, each with its supervisor.

    Args:
        checks: what this host's services said when they were asked.
    """
    services = reading.get("services") or {}
    found = {}
    for name, service in services.items():
        if _is_unwell(name, service, reading):
            found[name] = str(service["supervisor"])
    for engine in here.get("engines") or ():
        name = str(engine["container"])
        if name not in services and container(reading, name):
            found[name] = "compose"
    if (reading.get("docker") or {}).get("installed") and not (reading.get("docker") or {}).get("answers"):
        found[DOCKER] = "systemd"
    if (reading.get("backup") or {}).get("failure"):
        found[BACKUP] = "systemd"
    now = datetime.datetime.fromtimestamp(reading.get("clock") or 0, datetime.timezone.utc)
    if any(one["path"].endswith(OF_ACME) and ends_soon(one, now) for one in reading.get("certificates") or ()):
        found[ACME] = "systemd"
    site = checks.get("site")
    if site and EDGE in services and is_bad(site):
        found[EDGE] = "systemd"
    for name in services:
        if name in (POSTGRESQL, OBJECT_STORE) and is_silent(name, checks):
            found[name] = str(services[name]["supervisor"])
    return found


def is_silent(keeper: str, checks: Mapping[str, Any]) -> bool:
    """Whether a database or an object store that runs gave no answer."""
    if keeper == OBJECT_STORE:
        return bool(checks.get("bucket")) and not int(checks["bucket"]["status"])
    return any(one["stage"] == "silent" for one in (checks.get("database") or {}).values())


def is_bad(site: Mapping[str, Any]) -> bool:
    """Whether an answer of the edge's is none that a stack in order gives."""
    return not site["status"] or int(site["status"]) >= 500


def _is_unwell(name: str, service: Mapping[str, Any], reading: Mapping[str, Any]) -> bool:
    its_container = container(reading, name)
    engine = (reading.get("engines") or {}).get(name)
    starts = its_container.get("health") == "starting"  # its log may still hold words of before
    if service.get("state") == "inactive" and not its_container:
        return False  # somebody has stopped it, whatever it said while it ran
    return (
        not service["running"]
        or its_container.get("status", "running") != "running"
        or its_container.get("health", "healthy") not in ("healthy", "starting", "")
        or any(
            one.get("restarts", 0) >= FEW_RESTARTS and one.get("seconds_up", JUST_NOW_SECONDS) < JUST_NOW_SECONDS
            for one in (service, its_container)
        )
        or (name.startswith(ENGINES) and engine is not None and not engine["healthy"] and not starts)
        # It ended by itself, and has not come back: what it said then is why.
        or (starts and (its_container.get("restarts", 0) > 0 or name in INTERFACES))
        or (service.get("state") == "activating" and service.get("restarts", 0) > 0)
    )


def runs(name: str, reading: Mapping[str, Any]) -> bool:
    """Whether a service is there and runs."""
    return bool(((reading.get("services") or {}).get(name) or {}).get("running"))


def databases(reading: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the interfaces in whose name the database of this host is asked."""
    there = reading.get("services") or {}
    return tuple(one for one in INTERFACES if one in there) if runs(POSTGRESQL, reading) else ()


def bucket(here: Mapping[str, Any], reading: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return where people's files are kept, where that is asked; else nothing."""
    files = (here.get("interface") or {}).get("files") or {}
    return files if files and runs(OBJECT_STORE, reading) else {}


def probes(here: Mapping[str, Any], reading: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the engines that say that they are well, each with its task and the model that it is asked for."""
    tasks = {str(one["container"]): str(one.get("task") or "chat") for one in here.get("engines") or ()}
    return {
        name: (tasks[name] if tasks[name] != "auto" else "chat", str(engine["models"][0]))
        for name, engine in (reading.get("engines") or {}).items()
        if name in tasks and name in (reading.get("containers") or {}) and engine["healthy"] and engine["models"]
    }


def missing_images(reading: Mapping[str, Any]) -> dict[str, str]:
    """Return the image of each container of ours that is not there, so that it could not start."""
    if not (reading.get("docker") or {}).get("answers"):
        return {}
    return {
        name: str(one["image"])
        for name, one in (reading.get("containers") or {}).items()
        if not container(reading, name)
        and ((reading.get("services") or {}).get(name) or {}).get("supervisor") != "quadlet"
    }


def with_gpus(reading: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the containers that run and were given GPUs."""
    return tuple(
        name
        for name, written in (reading.get("containers") or {}).items()
        if written["gpus"] and container(reading, name).get("status") == "running"
    )
