# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what Docker runs and keeps, ours and somebody else's."""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass

from ..core import host
from ..docker import daemon_former_runner, network_runner
from ..docker.daemon import Record

ROOMS = ("gpuchat-room",)
LEFT_EMPTY = (
    *("/etc/docker", "/etc/containerd", "/etc/cni/net.d", "/etc/cni"),
    *("/opt/containerd/bin", "/opt/containerd/lib", "/opt/containerd"),
)
"""Folders that Docker and containerd make for themselves, the deepest first."""

SILENT = "(Docker does not answer, so nobody knows)"


@dataclass(frozen=True)
class Running:
    """A container.

    Attributes:
        gpus: it uses GPUs.
    """

    name: str
    gpus: bool = False


def is_there() -> bool:
    return host.program("dockerd") is not None


def containers() -> tuple[Running, ...]:
    """Return all containers, also those that stand still; where Docker does not answer, one that nobody knows."""
    if not is_there():
        return ()
    listed = host.run(["docker", "ps", "--all", "--quiet"])
    if listed.rc != 0:
        return (Running(SILENT),)
    ids = listed.stdout.split()
    shown = json.loads(host.run(["docker", "inspect", *ids]).stdout or "[]") if ids else []
    return tuple(Running(str(one["Name"]).lstrip("/"), _has_gpus(one.get("HostConfig") or {})) for one in shown)


def _has_gpus(settings: dict[str, object]) -> bool:
    return bool(settings.get("DeviceRequests")) or settings.get("Runtime") == "nvidia"


def rooms() -> tuple[str, ...]:
    return tuple(name for name in ROOMS if is_there() and network_runner.read(name) is not None)


def claims() -> dict[str, tuple[str, ...]]:
    """Return who has keys of ours, by daemon.json."""
    kept = host.read_json(daemon_former_runner.record_file())
    records = {path: Record.from_json(one) for path, one in kept.items() if isinstance(one, dict)}
    return {path: tuple(sorted(record.owners)) for path, record in records.items() if record.owners}


def forget_claims() -> None:
    """Remove the records of files that hold nothing of ours any more."""
    if not claims():
        for name in (daemon_former_runner.RECORD, daemon_former_runner.KEPT):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(daemon_former_runner.record_file(name))


def root_folder() -> str:
    """Return where Docker keeps images and volumes, empty where it does not answer."""
    shown = host.run(["docker", "info", "--format", "{{.DockerRootDir}}"]) if is_there() else host.Output(127, "", "")
    return shown.stdout.strip() if shown.rc == 0 else ""


def images_built_here_and_volumes() -> tuple[str, ...]:
    """Return what Docker keeps that is not ours and cannot be had again.

    Ours are pulled by digest, without a tag, and have no volumes but those that Docker gives a name of 64 digits.
    """
    if not is_there():
        return ()
    volumes = host.run(["docker", "volume", "ls", "--quiet"]).stdout.split()
    tagged = host.run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]).stdout.split()
    images = [name for name in tagged if "<none>" not in name]
    named = [name for name in volumes if not re.fullmatch("[0-9a-f]{64}", name)]
    return (*(f"volume {name}" for name in named), *(f"image {name}" for name in images))


def image_bytes(reference: str) -> int | None:
    """Return the size of an image, None where there is none."""
    if not is_there():
        return None
    shown = host.run(["docker", "image", "inspect", "--format", "{{.Size}}", reference])
    return int(shown.stdout.strip() or 0) if shown.rc == 0 else None


def remove_image(reference: str) -> str:
    """Remove an image, and return why it stays where it does."""
    output = host.run(["docker", "image", "rm", reference])
    return "" if output.rc == 0 else output.text


def tidy_after_packages() -> None:
    """Remove the empty folders that Docker has made, once it is gone."""
    for folder in LEFT_EMPTY if not is_there() else ():
        with contextlib.suppress(OSError):
            os.rmdir(folder)
