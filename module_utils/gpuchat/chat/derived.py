# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from an inventory without faults for the interface that people chat with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..inventory.given import Inventory, Specification, chat
from . import neighbours, room


def derive(inventory: Inventory, specification: Specification, topology: Mapping[str, Any]) -> dict[str, object]:
    """Return which of its paths the edge hands on, and what it is told of its neighbours.

    Args:
        topology: as plain data.
    """
    chosen = chat(inventory, specification)
    sso, tools = bool(topology["has_sign_in"]), bool(topology["tool_servers"])
    return {
        "room": room.describe(chosen["kind"], chosen["version"], chosen["signup"], sso=sso, tools=tools),
        "neighbours": neighbours.of_hosts(inventory, specification, topology["hosts"]),
    }
