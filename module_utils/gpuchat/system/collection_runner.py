# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects a host's logs and states, bounded and without secrets; it changes nothing."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..core import host
from . import files_runner, restart_runner, service_runner
from .masking import mask, secrets_of

COMMAND_SECONDS = 30
LARGEST = 2 * 1024**2
"""Bytes that are kept of one command: the last ones."""
LARGEST_TOGETHER = 16 * 1024**2

STATES = {
    "states/system.txt": ["uname", "-a"],
    "states/uptime.txt": ["uptime"],
    "states/clock.txt": ["timedatectl", "show"],
    "states/disks.txt": ["df", "--human-readable", "--print-type", "--local"],
    "states/inodes.txt": ["df", "--inodes", "--local"],
    "states/memory.txt": ["free", "--mebi"],
    "states/addresses.txt": ["ip", "-brief", "address"],
    "states/listening.txt": ["ss", "--listening", "--tcp", "--numeric", "--processes"],
    "states/failed-units.txt": ["systemctl", "--failed", "--no-pager", "--plain"],
    "states/packet-filter.txt": ["nft", "list", "ruleset"],
    "states/containers.txt": ["docker", "ps", "--all", "--no-trunc"],
    "states/images.txt": ["docker", "images", "--digests"],
    "states/docker-disk.txt": ["docker", "system", "df"],
    "states/podman-containers.txt": ["podman", "ps", "--all", "--no-trunc"],
    "states/podman-images.txt": ["podman", "images", "--digests"],
    "states/gpus.txt": ["nvidia-smi"],
    "states/gpus-in-full.txt": ["nvidia-smi", "-q"],
}
OTHER_UNITS = ("docker", "containerd", "nvidia-persistenced", "nvidia-fabricmanager")
SECRET_PLACES = ("/root/.docker/config.json",)
# A set whose file is not for everybody, and holds no secret.
OPEN_SETS = ("firewall",)


def collect(given: Mapping[str, Any]) -> dict[str, object]:
    """Return the texts by name, or the commands by name where ``act`` does not say so."""
    commands = _commands(int(given["lines"]))
    if not given["act"]:
        return {"commands": {name: " ".join(command) for name, command in commands.items()}}
    secrets = secrets_here()
    files, left, cut = {}, LARGEST_TOGETHER, []
    texts = {"states/release.txt": host.os_release()}
    for name in (*texts, *commands):
        text = texts[name] if name in texts else _said(commands[name])
        if name.endswith("/show.txt"):
            text = re.sub(r"(?m)^Environment(?:Files)?=.*\n?", "", text)
        text = mask(text, secrets)
        kept = text.encode()[-min(LARGEST, left) :].decode(errors="ignore") if left else ""
        if len(kept) < len(text):
            cut.append(name)
        left -= len(kept.encode())
        files[name] = kept
    return {"files": files, "cut": cut}


def _commands(lines: int) -> dict[str, list[str]]:
    """Return the commands whose words are collected, each by the name of its file in the archive."""
    commands = {name: list(command) for name, command in STATES.items() if host.program(command[0])}
    journal = ["journalctl", "--no-pager", "--output=short-iso", f"--lines={lines}"]
    commands["journal/kernel.txt"] = [*journal, "--dmesg"]
    for name in OTHER_UNITS:
        commands[f"journal/{name}.txt"] = [*journal, f"--unit={name}.service"]
    for name in restart_runner.names():
        record = host.read_json(service_runner.record_path(name))
        folder = f"services/{name}"
        if record.get("supervisor") == "compose":
            compose = ["docker", "compose", "--project-name", name]
            commands[f"{folder}/containers.txt"] = [*compose, "ps", "--all"]
            commands[f"{folder}/log.txt"] = [*compose, "logs", "--no-color", "--timestamps", f"--tail={lines}"]
        else:
            unit = service_runner.unit_of(name)
            commands[f"{folder}/status.txt"] = ["systemctl", "status", unit, "--no-pager", "--full", "--lines=0"]
            commands[f"{folder}/show.txt"] = ["systemctl", "show", unit, "--no-pager"]
            commands[f"{folder}/log.txt"] = [*journal, f"--unit={unit}"]
    return commands


def _said(command: Sequence[str]) -> str:
    output = host.run(command, COMMAND_SECONDS)
    return f"$ {' '.join(command)}\n{output.text}\n" + (f"(status {output.rc})\n" if output.rc else "")


def secrets_here() -> tuple[str, ...]:
    """Return what stands in the stack's secret files: those that a run has written and not everybody may read."""
    secret: list[str] = [_text(path) for path in SECRET_PLACES]
    public: list[str] = []
    for path in glob.glob(files_runner.manifest_path("*")):
        files = host.read_json(path).get("files")
        is_open = os.path.basename(path)[: -len(".json")] in OPEN_SETS
        for name, entry in files.items() if isinstance(files, dict) else ():
            for_all = is_open or not isinstance(entry, dict) or int(str(entry.get("mode", "0")), 8) & 0o004
            (public if for_all else secret).append(_text(name))
    return secrets_of(secret, public)


def _text(path: str) -> str:
    try:
        return host.file_text(path)
    except OSError:
        return ""
