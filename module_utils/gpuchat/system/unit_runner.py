# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ensures a unit: its complete file set, and the service that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.change import merged
from ..core.errors import NotTaken
from . import files_runner, service_runner

SERVICE_OPTIONS: dict[str, dict[str, object]] = {
    "name": {"type": "str", "required": True},
    "supervisor": {"type": "str", "choices": ["compose", "systemd"], "default": "systemd"},
    "compose_file": {"type": "path"},
    "on_change": {"type": "str", "choices": ["restart", "reload"], "default": "restart"},
    "health": {"type": "dict", "options": service_runner.HEALTH_OPTIONS},
}
"""The service of a file set, as an argument specification."""


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Ensure the file set that a module's parameters describe and its service, and return the module's result.

    Raises:
        Refusal: the set cannot be, or its validation failed; nothing was changed.
        NotTaken: the service has refused its new files; those before are in their place again, for its next start.
        Unhealthy: the service does not come up with its new files.
    """
    service = params["service"]
    if not service:
        return files_runner.ensure(params, check)
    if params["state"] == "absent":
        return merged(_service(service, {"state": "absent"}, check), files_runner.ensure(params, check))
    restore = files_runner.snapshot(params)
    files = files_runner.ensure(params, check)
    taken_up_by = "reload_digest" if service["on_change"] == "reload" else "digest"
    try:
        return merged(files, _service(service, {taken_up_by: files["digest"]}, check))
    except NotTaken:
        restore()
        raise


def _service(service: Mapping[str, Any], more: Mapping[str, object], check: bool) -> dict[str, object]:
    usual = {
        "name": service["name"],
        "supervisor": service["supervisor"],
        "compose_file": service["compose_file"],
        "state": "started",
        "digest": None,
        "reload_digest": None,
        "adopt": False,
        "health": service["health"],
    }
    return service_runner.ensure({**usual, **more}, check)
