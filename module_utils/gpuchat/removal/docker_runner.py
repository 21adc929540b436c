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

USUAL_FOLDER = "/var/lib/docker"
ENTRIES = frozenset(
    "aufs btrfs builder buildkit containerd containers devicemapper engine-id fuse-overlayfs image network overlay "
    "overlay2 plugins rootfs runtimes swarm tmp trust vfs zfs".split()
)
"""What Docker makes in its folder, but for its volumes: somebody may have given it a folder that held more."""

VOLUMES, VOLUMES_BOOK = "volumes", "volumes/metadata.db"
VOLUME = "volume "
NAMELESS = re.compile("[0-9a-f]{64}")
OWN_SPACES = ("moby", "plugins.moby")
"""Docker's namespaces in containerd."""

CONTAINERD = "/var/lib/containerd"
OPTIONAL = "opt"
"""Where containerd puts programs that somebody has it install."""

TASKS = "io.containerd.runtime.v2.task"
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


def spaces(check: bool) -> tuple[str, ...]:
    """Return containerd's namespaces in which somebody has containers or images beside Docker.

    containerd writes a file when it is asked for the first time, so check mode looks at what has run alone.
    """
    if check:
        return tuple(f"containerd's namespace {name}" for name in spaces_on_disk(CONTAINERD))
    listed = host.run(["ctr", "namespaces", "list", "--quiet"]) if is_there() else host.Output(127, "", "")
    names = [name for name in listed.stdout.split() if name not in OWN_SPACES] if listed.rc == 0 else []
    return tuple(f"containerd's namespace {name}" for name in names if _is_used(name))


def _is_used(space: str) -> bool:
    listed = [host.run(["ctr", "--namespace", space, kind, "list", "-q"]) for kind in ("containers", "images")]
    return any(one.rc != 0 or one.stdout.strip() for one in listed)


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
            host.remove_file(daemon_former_runner.record_file(name))


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
    volumes = host.run(["docker", "volume", "ls", "--quiet"])
    tagged = host.run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"])
    if volumes.rc != 0 or tagged.rc != 0:
        return (SILENT,)
    images = [name for name in tagged.stdout.split() if "<none>" not in name]
    named = [name for name in volumes.stdout.split() if not NAMELESS.fullmatch(name)]
    return (*(f"{VOLUME}{name}" for name in named), *(f"image {name}" for name in images))


def usual_folders() -> tuple[str, ...]:
    """Return where Docker keeps its data by itself, also for users' namespaces."""
    inner = [name for name in _listed(USUAL_FOLDER) if re.fullmatch(r"\d+\.\d+", name)]
    return (USUAL_FOLDER, *(os.path.join(USUAL_FOLDER, name) for name in inner))


def volumes_with_names(root: str) -> tuple[str, ...]:
    """Return the volumes below Docker's folder that somebody has given a name, by the disk."""
    place = os.path.join(root, VOLUMES)
    names = [name for name in _listed(place) if not NAMELESS.fullmatch(name)]
    return tuple(f"{VOLUME}{name}" for name in names if os.path.isdir(os.path.join(place, name)))


def dockers_entries(root: str) -> tuple[str, ...]:
    """Return Docker's own entries of its folder, the volumes last, by whose book another than the usual is known."""
    if root != USUAL_FOLDER and not os.path.isfile(os.path.join(root, VOLUMES_BOOK)):
        return ()
    own = [name for name in (*sorted(ENTRIES), VOLUMES) if os.path.lexists(os.path.join(root, name))]
    return tuple(name for name in own if not os.path.islink(os.path.join(root, name)))


def containerds_entries(root: str) -> tuple[str, ...]:
    """Return containerd's own entries of its folder."""
    own = [name for name in _listed(root) if name.startswith("io.containerd.") or name == "tmpmounts"]
    optional = os.path.join(root, OPTIONAL)
    is_empty = not any(files for _folder, _folders, files in os.walk(optional))
    return (*own, *([OPTIONAL] if os.path.isdir(optional) and not os.path.islink(optional) and is_empty else []))


def spaces_on_disk(root: str) -> tuple[str, ...]:
    """Return the namespaces below containerd's folder in which somebody else has run something."""
    place = os.path.join(root, TASKS)
    return tuple(name for name in _listed(place) if name not in OWN_SPACES and _listed(os.path.join(place, name)))


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


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
    """Remove the empty folders that Docker and containerd have made, once both are gone."""
    for folder in () if is_there() or host.program("containerd") else LEFT_EMPTY:
        with contextlib.suppress(OSError):
            os.rmdir(folder)
