# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container network that leads nowhere: its containers reach each other and their host's bridge, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.change import Difference, Plan
from ..core.errors import Refusal

NONE, HOST = "none", "host"
"""Docker's own networks: no network at all, and the host's."""

BRIDGE_OPTION = "com.docker.network.bridge.name"
LONGEST_BRIDGE_NAME = 15
"""Characters of an interface's name (IFNAMSIZ less the final zero)."""


@dataclass(frozen=True)
class Network:
    """Where a container is attached.

    Attributes:
        name: its name for Docker; ``none`` and ``host`` are Docker's own.
        subnet: its IPv4 network, for one of ours.
        bridge: name of the host's interface in it.
        address: the container's fixed address in it.
    """

    name: str = HOST
    subnet: str = ""
    bridge: str = ""
    address: str = ""

    def __post_init__(self) -> None:
        wrong = not self.is_ours and bool(self.subnet or self.bridge or self.address)
        if wrong or (self.is_ours and not (self.subnet and self.bridge and self.address)):
            raise Refusal(
                f"found the network {self.name} with {self.subnet or 'no subnet'}, {self.bridge or 'no bridge'} and "
                f"{self.address or 'no address'}; wanted all three for a network of its own, and none for "
                f"{NONE} or {HOST}; set network anew"
            )
        if len(self.bridge) > LONGEST_BRIDGE_NAME:
            raise Refusal(
                f"found the bridge {self.bridge}; wanted at most {LONGEST_BRIDGE_NAME} characters; set network.bridge "
                "to a shorter name"
            )

    @property
    def is_ours(self) -> bool:
        return self.name not in (NONE, HOST)


ON_HOST = Network()
"""The host's own network."""


@dataclass(frozen=True)
class Remove:
    """Remove a network, once the containers that are attached to it are detached."""

    name: str
    containers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Create:
    """Create a network without a way out."""

    network: Network


def plan_network(wanted: Network, current: Mapping[str, object] | None) -> Plan:
    """Decide what makes a network what it should be.

    Args:
        current: ``docker network inspect`` of the network of that name; None where there is none.
    """
    if not wanted.is_ours:
        return Plan((), (), f"the network {wanted.name} is Docker's own")
    before, after = _described(current), _line(wanted.subnet, wanted.bridge, internal=True)
    if before == after:
        return Plan((), (), f"the network {wanted.name} is there already")
    containers = current.get("Containers") if current else None
    names = [str(one["Name"]) for one in containers.values()] if isinstance(containers, dict) else []
    remove = (Remove(wanted.name, tuple(names)),) if current is not None else ()
    return Plan(
        (Difference(f"network {wanted.name}", before, after),),
        (*remove, Create(wanted)),
        f"the network {wanted.name} {'has other settings' if current is not None else 'is not there'}",
    )


def _described(current: Mapping[str, object] | None) -> str:
    if current is None:
        return ""
    options, pools = current.get("Options"), current.get("IPAM")
    bridge = options.get(BRIDGE_OPTION, "") if isinstance(options, dict) else ""
    given = pools.get("Config") if isinstance(pools, dict) else None
    subnets = [str(one.get("Subnet")) for one in given] if isinstance(given, list) else []
    return _line(" ".join(subnets), str(bridge), internal=current.get("Internal") is True)


def _line(subnet: str, bridge: str, *, internal: bool) -> str:
    return f"{subnet} by {bridge}, {'without a way out' if internal else 'open'}\n"


def create_command(network: Network) -> list[str]:
    return [
        *("docker", "network", "create", "--driver", "bridge", "--internal"),
        *("--subnet", network.subnet, "--opt", f"{BRIDGE_OPTION}={network.bridge}", network.name),
    ]
