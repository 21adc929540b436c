# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel's tables of TCP sockets say of who listens, the same on every release."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass

LISTEN = "0A"
"""The state of a listening socket in /proc/net/tcp (proc(5))."""


@dataclass(frozen=True)
class Listener:
    """A listening socket; its inode leads to the process that holds it."""

    address: str
    port: int
    inode: str


def listeners(table: str, ports: Collection[int]) -> list[Listener]:
    """Return the sockets of /proc/net/tcp or tcp6 that listen on some ports."""
    found = []
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 9 and words[3] == LISTEN:
            address, _colon, port = words[1].partition(":")
            if int(port, 16) in ports:
                found.append(Listener(address_of(address), int(port, 16), words[9]))
    return found


def address_of(text: str) -> str:
    """Return an address from its digits, which stand in words of four bytes, each the wrong way around."""
    raw = bytes.fromhex(text)
    right = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    address = ipaddress.ip_address(right)
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(inner or address)
