# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way out of dockerd: a drop-in of its unit, and a file for root alone, for a proxy may want a login."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping

from ..core import network
from ..system import files_runner

NAME = "docker-network"
VARIABLES = "/etc/gpuchat/docker/network.env"
DROP_IN = "/etc/systemd/system/docker.service.d/gpuchat-network.conf"
DROP_IN_TEXT = f"# Made by gpuchat from gpuchat_proxy.\n[Service]\nEnvironmentFile={VARIABLES}\n"


def ensure(params: Mapping[str, object], check: bool) -> tuple[dict[str, object] | None, str]:
    """Ensure the files, and return their result, None where there is nothing to do, and what dockerd has to take up."""
    given: Mapping[str, object] = params.get("way_out") or {}  # type: ignore[assignment]
    logins: Mapping[str, object] = params.get("way_out_logins") or {}  # type: ignore[assignment]
    # The stack's own hosts are no registries: dockerd is spared a restart for each that comes.
    variables = network.environment(given, logins, own=False)
    digest = _digest(variables, str(given.get("authorities") or ""))
    if not variables and not os.path.exists(files_runner.manifest_path(NAME)):
        return None, digest
    text = "".join(f'{name}="{value}"\n' for name, value in sorted(variables.items()))
    entries: list[dict[str, object]] = [
        {"dest": VARIABLES, "secret_content": text, "mode": "0600", "secret": True},
        {"dest": DROP_IN, "content": DROP_IN_TEXT, "mode": "0644"},
    ]
    wanted: dict[str, object] = {"name": NAME, "validate": None, "validate_requires": [], "partial": False}
    wanted.update(state="present" if variables else "absent")
    wanted.update(files=[{**files_runner.USUAL, **one} for one in entries] if variables else [])
    return files_runner.ensure(wanted, check), digest


def _digest(variables: Mapping[str, str], authorities: str) -> str:
    """Return a digest of what counts once dockerd starts anew; empty for nothing."""
    if not variables and not authorities:
        return ""
    return hashlib.sha256(json.dumps([dict(variables), authorities], sort_keys=True).encode()).hexdigest()
