# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SELinux has to be told before nginx may serve the stack: its ports, and that it asks other servers."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

BOOLEAN = "httpd_can_network_connect"
"""Lets nginx connect to any port: the doors', the interface's in its room."""

PORT_TYPE = "http_port_t"
PORTS = re.compile(r"(?P<type>\w+)\s+tcp\s+(?P<ports>[0-9, -]+)")


def port_types(listed: str) -> Mapping[int, tuple[str, ...]]:
    """Return the types of each TCP port that is listed by itself, from ``semanage port --list``."""
    found: dict[int, tuple[str, ...]] = {}
    for row in map(PORTS.fullmatch, map(str.strip, listed.splitlines())):
        for one in row.group("ports").split(",") if row else ():
            if row and one.strip().isdigit():
                found[int(one)] = (*found.get(int(one), ()), row.group("type"))
    return found


def steps(listed: str, can_connect: bool, ports: Collection[int]) -> list[tuple[str, ...]]:
    """Return the commands that nothing is missing after.

    Args:
        listed: what ``semanage port --list`` says.
        can_connect: whether the boolean is on.
        ports: on which nginx listens.
    """
    types = port_types(listed)
    found: list[tuple[str, ...]] = [] if can_connect else [("setsebool", "-P", BOOLEAN, "on")]
    for port in sorted(set(ports)):
        if PORT_TYPE not in types.get(port, ()):
            act = "--modify" if port in types else "--add"
            found.append(("semanage", "port", act, "--type", PORT_TYPE, "--proto", "tcp", str(port)))
    return found
