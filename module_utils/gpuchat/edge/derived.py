# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from an inventory without faults for the edge."""

from __future__ import annotations

from ..inventory import preflight
from ..inventory.given import Inventory, Specification
from . import limits, paths


def derive(inventory: Inventory, specification: Specification) -> dict[str, object]:
    """Return which paths of an engine it hands on, to which programs, and how much each may ask."""
    clients = preflight.clients(inventory, specification)
    return {
        "paths": paths.describe(),
        "api_clients": [one.as_dict() for one in clients],
        "api_limits": limits.api(clients),
        "limits": limits.chat(preflight.people(inventory, specification)).as_dict(),
    }
