# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports at which a host is to listen twice, or which something else may have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..core.opening import EPHEMERAL
from . import models, tls
from . import topology as inventory_topology
from .given import MONITORING, Findings, Inventory, Specification, common_settings

PORTS = {
    ("gpu",): ("gpuchat_vllm_port",),
    ("chat",): ("gpuchat_interface_port",),
    ("chat", "edge"): ("gpuchat_vllm_port",),  # the door in the interface's room, beside an edge at every address
    ("edge",): ("edge_http_port", "edge_https_port"),
    ("monitoring",): ("monitoring_prometheus_port", "monitoring_alertmanager_port", "monitoring_relay_port"),
}
"""Variables that name a port on the hosts that are in some groups."""

INTERFACE_PORT, HTTPS_PORT = (
    inventory_topology.PORTS[kind] for kind in (inventory_topology.INTERFACE, inventory_topology.EDGE)
)


def check(inventory: Inventory, specification: Specification, findings: Findings, host: str) -> None:
    """Find ports of a host that two of its parts are to have, or that a connection may have before them."""
    used: dict[int, str] = {}
    for name, port in listening(inventory, specification, host):
        if port in used:
            findings.fault(f"{used[port]} and {name} are both {port}; set one of them to another port", host)
        used[port] = name
        if str(port) == inventory.reached.get(host, {}).get("port") and _is_of_the_host(inventory, name, host):
            findings.fault(
                f"{name} is {port}, at which ssh listens on this host; set {name} to another port, for ansible_port is "
                "the one by which Ansible comes in",
                host,
            )
        if name == inventory_topology.SPAN_PORT and port + 1 in used:
            findings.fault(
                f"{used[port + 1]} is {port + 1}, which {name} {port} takes too; set one of them to another port", host
            )
        if _may_be_taken(inventory, name, port, host):
            first, last = EPHEMERAL
            below = first - 1 if name == inventory_topology.SPAN_PORT else first
            findings.warning(
                f"{name} is {port}, and Linux gives the ports from {first} to {last} to connections by chance; what is "
                f"to listen there does not start while one has it; set {name} to a port below {below}, or keep it free "
                "on that host by net.ipv4.ip_local_reserved_ports",
                host,
            )


def listening(inventory: Inventory, specification: Specification, host: str) -> Iterator[tuple[str, int]]:
    """Yield the variables that name a port at which a host listens, each with that port."""
    variables = inventory.variables.get(host, {})
    here = [names for groups, names in PORTS.items() if all(host in inventory.groups.get(one, ()) for one in groups)]
    if tls.source(variables) == tls.NONE:
        here = [tuple(name for name in names if name != HTTPS_PORT) for names in here]
    here += [(inventory_topology.METRICS_PORT,)] if inventory.groups.get(MONITORING) else []
    here += [(inventory_topology.SPAN_PORT,)] if _is_spanned(inventory, specification, host) else []
    for name in dict.fromkeys(name for names in here for name in names):
        with contextlib.suppress(ValueError):  # a wrong type is said already
            yield name, int(str(variables.get(name, specification.default(name))))


def _is_of_the_host(inventory: Inventory, name: str, host: str) -> bool:
    """Whether something listens in the host's own network.

    An interface does so in a namespace of its own; the host's port is its door's, for edges on other hosts.
    """
    return name != INTERFACE_PORT or bool({*inventory.groups.get("edge", ())} - {host})


def _may_be_taken(inventory: Inventory, name: str, port: int, host: str) -> bool:
    """Whether a connection that leaves a host may have the port before what is to listen there."""
    last = port + 1 if name == inventory_topology.SPAN_PORT else port
    return EPHEMERAL[0] <= last and port <= EPHEMERAL[1] and _is_of_the_host(inventory, name, host)


def _is_spanned(inventory: Inventory, specification: Specification, host: str) -> bool:
    served = models.read(common_settings(inventory, specification).get(models.VARIABLE), inventory.groups)
    return any(model.spans and host in model.hosts for model in served)
