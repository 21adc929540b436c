# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each host shows of itself for the monitoring, and where the monitoring host asks for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from .topology import EDGE, INTERFACE, METRICS, Topology

NODE, ENGINE_JOB, POSTGRESQL, NGINX, EDGE_JOB = "node", "engine", "postgresql", "nginx", "edge"
"""The jobs, as Prometheus calls what it asks."""

FOLDER = "/run/gpuchat-metrics"
"""Where the exporters have their sockets."""

PATH = "/metrics"
"""Under which the door shows them, and which they answer at."""


@dataclass(frozen=True)
class Source:
    """What a host has to show.

    Attributes:
        path: under which the metrics door shows it.
        upstream: the socket behind it, as nginx takes it (``unix:/path``).
        upstream_path: what is asked there.
        model: of an engine, its name in the inventory.
    """

    job: str
    path: str
    upstream: str
    upstream_path: str
    model: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Target:
    """What Prometheus asks.

    Attributes:
        host: its name in the inventory.
        place: address and port of the metrics door there.
        model: of an engine, its name in the inventory.
    """

    job: str
    host: str
    place: str
    path: str
    model: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def sources(topology: Topology, host: str) -> tuple[Source, ...]:
    """Return what a host shows; nothing where no host of the stack asks."""
    if not topology.monitoring:
        return ()
    found = [_exporter(NODE)]
    found += [
        Source(ENGINE_JOB, f"{PATH}/{ENGINE_JOB}/{model.slug}", f"unix:{model.socket}", PATH, model.name)
        for model in topology.served_by(host)
    ]
    if topology.has_own_database and host in {one.host for one in topology.of(INTERFACE)}:
        found.append(_exporter(POSTGRESQL))
    if host in {one.host for one in topology.of(EDGE)}:
        found += [_exporter(NGINX), _exporter(EDGE_JOB)]
    return tuple(found)


def targets(topology: Topology) -> tuple[Target, ...]:
    """Return all that the monitoring host asks, each at its host's metrics door."""
    return tuple(
        Target(source.job, door.host, door.place, source.path, source.model)
        for door in topology.of(METRICS)
        for source in sources(topology, door.host)
    )


def _exporter(job: str) -> Source:
    return Source(job, f"{PATH}/{job}", f"unix:{FOLDER}/{job}.sock", PATH)
