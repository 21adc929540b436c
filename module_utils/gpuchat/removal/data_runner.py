# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models, caches, images and what services have kept: measured, remembered while they stay, and removed where asked.

What tells where they are goes with the stack, so it is kept in a record of its own for the removal of the data.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..core import host
from ..core.errors import Refusal
from ..docker.container import Written, compose_path, read_back
from ..model.store_runner import Store
from ..packages import runner as packages_runner
from ..system import files
from . import docker_runner, podman_runner, trees_runner
from .plan import DATA_IN_PURGE, Removal, Stays

CACHE, MODELS = "/var/cache/gpuchat", "/srv/models"
CONTAINERD = docker_runner.CONTAINERD
PROGRAMS = {"docker.io": "dockerd", "containerd": "containerd", "certbot": "certbot"}
"""What keeps its data where the purge of one of `DATA_IN_PURGE` deletes it, from whatever package it comes."""

MODEL_INSIDE = "/model"
OWN_FOLDERS = ("files", "services", "packages")
PATIENCE_SECONDS = 60.0
WHY = "data is kept (remove_data is false)"


@dataclass(frozen=True)
class Data:
    """What there may be.

    Attributes:
        models: folders that an engine has read.
        images: references by digest.
        folders: Docker's and Podman's own, where these are there because of us.
        purge: packages that were removed, and whose purge deletes the rest.
        others: what of those folders is somebody else's.
    """

    models: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    purge: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def record_path() -> str:
    return f"{host.STATE_DIRECTORY}/removal.json"


def _written(sets: Mapping[str, Mapping[str, object]]) -> list[Written]:
    return [
        read_back((state.content or b"").decode(errors="replace"))
        for manifest in sets.values()
        for path in files.owned_paths(manifest)
        if path.endswith((compose_path(""), ".service", ".container"))
        for state in (host.file_state(path),)
        if state is not None
    ]


def read(
    sets: Mapping[str, Mapping[str, object]],
    docker_is_ours: bool,
    containerd_is_ours: bool = False,
    podman_is_ours: bool = False,
) -> Data:
    """Read from the files of containers, from Docker, and from what an earlier removal has remembered."""
    kept = host.read_json(record_path())
    written = _written(sets)
    models = {one.folders[MODEL_INSIDE] for one in written if MODEL_INSIDE in one.folders}
    # A model that the inventory names no more lies beside the others.
    models |= {path for folder in {MODELS, *map(os.path.dirname, models)} for path in _fetched_below(folder)}
    new = {docker_runner.root_folder() if docker_is_ours else "", CONTAINERD if containerd_is_ours else ""} - {""}
    new |= {podman_runner.FOLDER} if podman_is_ours else set()
    folders, purge = _with(kept, "folders", new), _with(kept, "purge", set())
    return Data(
        models=_with(kept, "models", models),
        images=_with(kept, "images", {one.image for one in written if one.image and not one.image.startswith("/")}),
        folders=folders,
        purge=purge,
        others=_others(_with(kept, "others", set()), folders, docker_is_ours)
        if docker_is_ours or folders or purge
        else (),
    )


def _others(recorded: Collection[str], folders: Collection[str], docker_is_ours: bool) -> tuple[str, ...]:
    """Return what is somebody else's by now: of volumes, the disk tells more than what was remembered of them."""
    answered = docker_runner.images_built_here_and_volumes() if docker_is_ours else ()
    found = set(answered) if docker_is_ours else {one for one in recorded if not one.startswith(docker_runner.VOLUME)}
    # A purge deletes Docker's usual folder too, wherever it keeps its data now.
    for folder in {*folders, *docker_runner.usual_folders()}:
        found |= set(docker_runner.volumes_with_names(folder))
    return tuple(sorted(found))


def _with(kept: Mapping[str, object], name: str, more: set[str]) -> tuple[str, ...]:
    found = kept.get(name)
    return tuple(sorted({*more, *map(str, found if isinstance(found, list) else ())}))


def remember(data: Data) -> None:
    """Keep where the data is, before what tells so goes."""
    whole = {name: list(found) for name, found in vars(data).items() if found}
    if whole and whole != host.read_json(record_path()):
        host.write_json(record_path(), whole)


def forget() -> None:
    host.remove_file(record_path())


def _items(data: Data) -> list[tuple[str, str]]:
    """Return what is there, each with its kind."""
    found = [("model", path) for path in data.models if _is_ours(path)]
    found += [("folder", CACHE)] if os.path.isdir(CACHE) else []
    found += [("folder", path) for path in _state_folders()]
    found += [("podman image", one) for one in data.images if podman_runner.image_bytes(one) is not None]
    gone = [path for path in data.folders if path == podman_runner.FOLDER and not podman_runner.is_there()]
    if docker_runner.is_there():
        found += [("image", one) for one in data.images if docker_runner.image_bytes(one) is not None]
    else:
        gone += [path for path in data.folders if path != podman_runner.FOLDER]
    return found + [("docker", path) for path in gone if _own_entries(path)]


def _own_entries(path: str) -> tuple[str, ...]:
    if path == podman_runner.FOLDER:
        return podman_runner.entries()
    return docker_runner.containerds_entries(path) if path == CONTAINERD else docker_runner.dockers_entries(path)


def _fetched_below(folder: str) -> list[str]:
    try:
        paths = [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError:
        return []
    return [path for path in paths if os.path.isdir(path) and Store(path).manifest() is not None]


def _is_ours(path: str) -> bool:
    """Tell whether runs have fetched a model; one that its owner has put there is not ours."""
    store = Store(path)
    return store.manifest() is not None or store.leftovers()


def _state_folders() -> list[str]:
    """Return what services have kept beside our records; empty folders and sockets are nothing."""
    names = [name for name in host.names_in(host.STATE_DIRECTORY) if name not in OWN_FOLDERS]
    paths = [os.path.join(host.STATE_DIRECTORY, name) for name in names]
    return [path for path in paths if any(names for _folder, _folders, names in os.walk(path))]


def owners() -> frozenset[str]:
    """Return the accounts whose what services have kept is, which nobody else's number may become."""
    found = set()
    for folder in _state_folders():
        for path in (folder, *(os.path.join(folder, name) for name in os.listdir(folder))):
            with contextlib.suppress(OSError, KeyError):
                found.add(pwd.getpwuid(os.lstat(path).st_uid).pw_name)
    return frozenset(found)


def _holds_backups(path: str) -> bool:
    """Tell whether somebody's backups lie in a folder or a little below, by what restic puts into a repository."""
    for folder, folders, names in os.walk(path):
        if "config" in names and {"data", "keys", "snapshots"} <= set(folders):
            return True
        if os.path.relpath(folder, path).count("/") >= 1:
            folders.clear()
    return False


def is_left(data: Data) -> bool:
    return bool(_items(data) or data.purge)


def size(path: str) -> int:
    """Return the bytes of the files below a folder, each once, and none that a link leads to."""
    seen: dict[tuple[int, int], int] = {}
    for folder, _folders, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                status = os.lstat(os.path.join(folder, name))
                seen[status.st_dev, status.st_ino] = status.st_size
    return sum(seen.values())


def kept(data: Data, removed: bool, check: bool) -> list[dict[str, object]]:
    """Return what stays, with its bytes."""
    if removed and check:
        return []
    lines: list[dict[str, object]] = [
        {"name": path, "reason": "its owner has put it there", "bytes": size(path)}
        for path in data.models
        if os.path.isdir(path) and not _is_ours(path)
    ]
    if removed:
        return lines
    for kind, name in _items(data):
        if kind == "podman image":
            measured = podman_runner.image_bytes(name) or 0
        else:
            measured = docker_runner.image_bytes(name) or 0 if kind == "image" else size(name)
        lines.append({"name": name, "reason": WHY, "bytes": measured})
    pending = read({}, docker_is_ours=False).purge
    return lines + [{"name": f"the configuration of {name}", "reason": WHY, "bytes": 0} for name in pending]


def remove(
    data: Data, removal: Removal, check: bool, used: Mapping[str, str] | None = None
) -> tuple[list[str], list[Stays]]:
    """Remove the data; return what is gone, and what stays and why.

    Args:
        used: roles whose packages somebody else uses, each with the reason.
    """
    gone: list[str] = []
    stays: list[Stays] = []
    for kind, name in _items(data):
        removed, reason = _remove(kind, name, data, check)
        if reason:
            stays.append(Stays(name, reason))
        if removed:
            gone.append(f"{name}, but for what stays" if reason else name)
    # This run has removed packages too, after the data was read.
    waiting = sorted({*data.purge, *_with(host.read_json(record_path()), "purge", set())})
    system = packages_runner.system_here() if waiting else None
    # What somebody has installed again is theirs.
    there = system.installed() if system else {}
    waiting = [name for name in waiting if name not in there]
    kept_back = {name: _unpurged(name, data, removal, used or {}) for name in waiting}
    pending = [name for name in waiting if not kept_back[name]]
    stays += [Stays(f"the configuration of {name}", why) for name, why in kept_back.items() if why]
    if system and pending and not check:
        system.purge(pending)
    if not check and data.folders:
        docker_runner.tidy_after_packages()
    if not check:
        names = {one.name for one in stays}
        lists = ([name for name in of if name in names] for of in (data.models, data.images, data.folders))
        models, images, folders = map(tuple, lists)
        purge = tuple(name for name in waiting if name not in pending)
        left = Data(models, images, folders, purge, data.others if folders or purge else ())
        remember(left) if left != Data() else forget()
    return gone + [f"configuration of {name}" for name in pending], stays


def _unpurged(name: str, data: Data, removal: Removal, used: Mapping[str, str]) -> str:
    """Return why a removed package is not purged, for its purge deletes what others may use by now."""
    if name != "certbot" and (data.others or not removal.purged):
        return f"somebody else's data would go with it: {', '.join(data.others)}"
    if name == "certbot" and "edge-acme" in used:
        return used["edge-acme"]
    program = PROGRAMS.get(name, "") if name in DATA_IN_PURGE else ""
    if program and host.program(program):
        return f"{program} is there from elsewhere, whose data would go with it"
    return ""


def _stays(kind: str, name: str, data: Data) -> str:
    """Return why something of ours is left alone."""
    if kind in ("image", "podman image"):
        return ""
    link = trees_runner.somebodys_link(name) if os.path.lexists(name) else ""
    if link:
        return link
    if kind == "docker":
        return _why_docker_stays(name, data)
    network = trees_runner.network_of(os.path.realpath(name), trees_runner.mounts())
    if network:
        return f"it lies on a network's file system ({network}), so other hosts may use it; remove it where none does"
    if kind == "folder" and _holds_backups(os.path.realpath(name)):
        return "backups lie in it, which no removal takes away; remove them by hand where nobody needs them"
    return _why_model_stays(os.path.realpath(name)) if kind == "model" else ""


def _why_docker_stays(path: str, data: Data) -> str:
    if path == podman_runner.FOLDER:
        volumes = podman_runner.volumes()
        return f"somebody else's are in it: {', '.join(volumes)}" if volumes else ""
    spaces = (f"containerd's namespace {name}" for name in docker_runner.spaces_on_disk(path))
    # Packages have gone since the data was read, which takes its time.
    others = sorted({*data.others, *docker_runner.volumes_with_names(path), *spaces})
    if others:
        return f"somebody else's are in it: {', '.join(others)}"
    if path == CONTAINERD and host.program("containerd"):
        return "containerd is there still, and keeps its data in it"
    return ""


def _why_model_stays(path: str) -> str:
    if not os.path.isdir(path):
        return ""
    found, around = os.stat(path), os.stat(os.path.dirname(path))
    # Its owner could put a link between our look and our removal, and write our record himself.
    if found.st_uid in (0, os.geteuid(), around.st_uid):
        return ""
    return f"it belongs to another user ({found.st_uid})"


def _remove(kind: str, name: str, data: Data, check: bool) -> tuple[bool, str]:
    """Remove one of them, and return whether anything of it went, and why it or a part of it stays."""
    reason = _stays(kind, name, data)
    if reason or check:
        return not reason, reason
    if kind in ("image", "podman image"):
        reason = (docker_runner if kind == "image" else podman_runner).remove_image(name)
        return not reason, reason
    try:
        if kind == "model":
            _remove_model(name)
            return True, ""
        return trees_runner.remove_below(name, _own_entries(name) if kind == "docker" else None)
    except (OSError, Refusal) as error:  # one that cannot go does not keep the rest
        return False, str(error)


def _remove_model(path: str) -> None:
    """Remove what runs have fetched, and nothing else that lies there."""
    store = Store(path)
    with store.locked(PATIENCE_SECONDS):
        store.recover()
        manifest = store.manifest()
        if manifest is not None:
            store.remove(manifest)
        store.tidy()
