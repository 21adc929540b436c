# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stacks of up to three hosts, a to c, each with a private address."""

from __future__ import annotations

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.endpoints import read as read_endpoints
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.models import read
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.topology import derive

SETTINGS = {
    "gpuchat_domain": "chat.example.com",
    "gpuchat_allowed_networks": ["10.1.0.0/16", "fd00::/8"],
    "gpuchat_vllm_port": 8000,
    "gpuchat_interface_port": 3210,
    "gpuchat_metrics_port": 9400,
    "gpuchat_span_port": 29501,
    "gpuchat_room_network": "172.16.255.248/29",
    "edge_http_port": 80,
    "edge_https_port": 443,
    "edge_api_rate": 10,
    "edge_api_burst": 40,
}
HOSTS = ("a", "b", "c")


def topology(gpu, chat, edge, models=None, endpoints=(), monitoring="", interface="lobehub"):
    """Return a stack whose GPU hosts all serve one model, unless ``models`` says which serve what."""
    groups = {"gpu": list(gpu), "chat": list(chat), "edge": list(edge), "monitoring": list(monitoring)}
    served = (
        [{"name": "qwen"}] if models is None else [{"name": name, "hosts": list(on)} for name, on in models.items()]
    )
    settings = {host: {**SETTINGS, "gpuchat_private_address": f"10.0.0.{n}"} for n, host in enumerate(HOSTS, 1)}
    return derive(groups, settings, read(served, groups), read_endpoints(endpoints), interface)
