# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what Docker is told of its folders."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ..core import host
from ..system import space_runner
from .daemon import parse
from .daemon_runner import DAEMON_JSON
from .folders import folders

CONTAINERD_TOML = "/etc/containerd/config.toml"
OPTIONS: dict[str, dict[str, object]] = {
    **space_runner.OPTIONS,
    "paths": {"type": "list", "elements": "path", "default": []},
    "docker_settings": {"type": "dict"},
    "docker_version": {"type": "str", "default": ""},
}
"""Places and what must be free there, Docker's own among them, as an argument specification."""


def with_folders(params: Mapping[str, object]) -> Mapping[str, object]:
    """Return a module's parameters whose places (``space``) hold those of Docker that it names by Docker's settings.

    Raises:
        Refusal: daemon.json is no JSON.
    """
    space = params["space"]
    if not isinstance(space, Mapping) or space["docker_settings"] is None:
        return params
    said = host.run(["docker", "info", "--format", "{{json .}}"], 60)
    info = json.loads(said.stdout or "{}") if said.rc == 0 else {}
    # A Docker that runs says itself where its images lie.
    version = "" if info.get("Driver") else _version() or str(space["docker_version"])
    found = folders(
        space["docker_settings"],
        parse(_bytes(DAEMON_JSON), DAEMON_JSON),
        info,
        _bytes(CONTAINERD_TOML).decode(errors="replace"),
        version,
    )
    return {**params, "space": {**space, "paths": [*space["paths"], *found]}}


def _bytes(path: str) -> bytes:
    there = host.file_state(path)
    return (there and there.content) or b""


def _version() -> str:
    found = re.search(r"version (\d[\w.]*)", host.run(["dockerd", "--version"], 60).stdout)
    return found.group(1) if found else ""
