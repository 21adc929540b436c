# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All files of the monitoring that follow from the stack."""

from __future__ import annotations

import json

from . import alertmanager, alerts, dashboards, prometheus
from .stack import Stack


def build(stack: Stack) -> dict[str, str]:
    """Return each file's text by its path below the monitoring's folder; the same stack has the same texts."""
    found: dict[str, object] = {
        prometheus.CONFIGURATION: prometheus.configuration(stack),
        prometheus.RULES: alerts.rules(stack),
        alertmanager.CONFIGURATION: alertmanager.configuration(stack),
    }
    robots = alertmanager.relay(stack)
    if robots:
        found[alertmanager.RELAY] = robots
    for board in dashboards.dashboards(stack):
        found[f"dashboards/{board['uid']}.json"] = board
    return {path: json.dumps(data, indent=2, ensure_ascii=False) + "\n" for path, data in found.items()}
