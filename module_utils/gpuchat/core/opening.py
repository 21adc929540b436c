# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lets in: decided from the inventory on the control node, kept by the packet filter on the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

EPHEMERAL = (32768, 60999)
"""Ports that Linux gives to who names none (net.ipv4.ip_local_port_range, as every kernel has it)."""


@dataclass(frozen=True)
class Opening:
    """Ports of a host that some may reach, and nobody else.

    Attributes:
        ports: TCP.
        range: first and last of further ports in a row; none where it is empty.
        networks: from where; everybody where it is empty.
        address: the host's address that is meant; empty for each of them.
        interface: the host's interface by which they come; empty for each of them.
        connections: how many one address, or one /64 of IPv6, may have at a time; 0 for any number.
        unlimited: networks among them whose addresses may have any number.
        engines: whether engines listen there themselves, and no door.
    """

    ports: tuple[int, ...]
    networks: tuple[str, ...] = ()
    address: str = ""
    interface: str = ""
    connections: int = 0
    unlimited: tuple[str, ...] = ()
    range: tuple[int, ...] = ()
    engines: bool = False

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Opening:
        """Return the one that a module's option describes."""
        return cls(
            **{
                **given,
                "ports": tuple(given["ports"]),
                "networks": tuple(given["networks"]),
                "unlimited": tuple(given["unlimited"]),
                "range": tuple(given["range"]),
            }
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for the roles."""
        return {
            **asdict(self),
            "ports": list(self.ports),
            "networks": list(self.networks),
            "unlimited": list(self.unlimited),
            "range": list(self.range),
        }
