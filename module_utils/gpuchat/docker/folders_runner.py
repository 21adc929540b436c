# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what Docker is told of its folders."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterator, Mapping

from ..core import host
from ..system import space_runner
from ..system.release import Release
from . import daemon_command
from .daemon import Json, parse
from .daemon_runner import DAEMON_JSON, flags_for
from .folders import folders, imports

CONTAINERD_TOML = "/etc/containerd/config.toml"
OPTIONS: dict[str, dict[str, object]] = {
    **space_runner.OPTIONS,
    "paths": {"type": "list", "elements": "path", "default": []},
    "docker_settings": {"type": "dict"},
    "docker_version": {"type": "str", "default": ""},
    "docker_versions": {"type": "dict", "default": {}},
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
    release = Release.parse(host.os_release())
    known = str(space["docker_version"] or release.row(space["docker_versions"]) or "")
    said = host.run(["docker", "info", "--format", "{{json .}}"], 60)
    info = json.loads(said.stdout or "{}") if said.rc == 0 else {}
    # A Docker that runs says itself where its images lie.
    version = "" if info.get("Driver") else _version() or known
    found = folders(space["docker_settings"], _told(), info, tuple(_containerd()), version)
    return {**params, "space": {**space, "paths": [*space["paths"], *found]}}


def folders_told() -> tuple[str, ...]:
    """Return Docker's folders by its files alone, for who must not wait for a Docker that hangs.

    Raises:
        Refusal: daemon.json is no JSON.
    """
    return folders({}, _told(), {}, tuple(_containerd()), "")


def _told() -> Json:
    """Return what Docker is told by its file and on its command line."""
    flags = flags_for(DAEMON_JSON)
    path = next((flag.value for flag in flags if flag.name == "config-file"), DAEMON_JSON)
    return {**parse(host.file_bytes(path), path), **daemon_command.settings(flags)}


def _containerd() -> Iterator[str]:
    """Yield containerd's settings, and those that they import."""
    text = host.file_text(CONTAINERD_TOML)
    yield text
    for pattern in imports(text):
        for path in sorted(glob.glob(os.path.join(os.path.dirname(CONTAINERD_TOML), pattern))):
            yield host.file_text(path)


def _version() -> str:
    found = re.search(r"version (\d[\w.]*)", host.run(["dockerd", "--version"], 60).stdout)
    return found.group(1) if found else ""
