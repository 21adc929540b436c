# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts a service as it was started last, by its record, and leaves the record as it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..core import host
from ..core.change import Plan
from ..core.errors import Refusal
from . import service_runner
from .service import Step, WantedService

START_SECONDS = 600
"""How long to wait for a service whose record does not say."""

FILES_LABEL = "com.docker.compose.project.config_files"


def names() -> list[str]:
    """Return the services that runs have recorded on this host."""
    return host.names_in(os.path.dirname(service_runner.record_path("x")), ".json")


def run(given: Mapping[str, Any]) -> dict[str, object]:
    """Look at a service, restart it where ``act`` says so, and wait until it is healthy.

    Raises:
        Refusal: it cannot be restarted as it was started.
        Unhealthy: it does not come back.
    """
    name = str(given["name"])
    known = names()
    if name not in known:
        return {"known": known}
    record = host.read_json(service_runner.record_path(name))
    wanted = WantedService(name, str(record.get("supervisor")), "started")
    recorded = record.get("health")
    health: dict[str, object] = {"timeout": START_SECONDS, **(recorded if isinstance(recorded, dict) else {})}
    health.update({"timeout": given["timeout"]} if given.get("timeout") else {})
    running = service_runner.read(wanted).running
    compose_file = _compose_file(name, record) if wanted.supervisor == "compose" else ""
    if given["act"]:
        service_runner.act(wanted, Plan((), (Step("restart", wanted.supervisor),), ""), compose_file)
        service_runner.wait_until_healthy(wanted, health)
    return {"known": known, "supervisor": wanted.supervisor, "running": running, "health": health}


def _compose_file(name: str, record: Mapping[str, object]) -> str:
    """Return the project's file: as recorded, or as its containers say where an older run has recorded it."""
    if record.get("compose_file"):
        return str(record["compose_file"])
    for container in service_runner.containers_of(name):
        config = container.get("Config")
        labels = config.get("Labels") if isinstance(config, dict) else None
        if isinstance(labels, dict) and labels.get(FILES_LABEL):
            return str(labels[FILES_LABEL])
    raise Refusal(f"found neither a record of the compose file of {name} nor a container of it; run site.yml instead")
