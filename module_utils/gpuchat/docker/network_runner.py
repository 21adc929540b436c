# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and makes container networks."""

from __future__ import annotations

import json

from ..core import host
from .network import Create, Network, Remove, create_command, plan_network

OPTIONS: dict[str, dict[str, object]] = {
    "name": {"type": "str", "required": True},
    "subnet": {"type": "str"},
    "bridge": {"type": "str"},
    "address": {"type": "str"},
}
"""A module's option ``network``, as an argument specification."""


def ensure(wanted: Network, check: bool) -> dict[str, object]:
    """Ensure a network, and return a module's result.

    Raises:
        CommandFailed: Docker refuses it, as where another network has its addresses.
    """
    plan = plan_network(wanted, read(wanted.name) if wanted.is_ours else None)
    for action in () if check else plan.actions:
        if isinstance(action, Remove):
            for container in action.containers:
                host.must(["docker", "network", "disconnect", "--force", action.name, container])
            host.must(["docker", "network", "rm", action.name])
        elif isinstance(action, Create):
            host.must(create_command(action.network))
    return plan.result()


def read(name: str) -> dict[str, object] | None:
    """Return ``docker network inspect``, or None where there is no such network, or no Docker yet."""
    shown = host.run(["docker", "network", "inspect", name])
    return json.loads(shown.stdout)[0] if shown.rc == 0 else None
