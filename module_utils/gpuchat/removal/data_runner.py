# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models, caches, images and what services have kept: measured, remembered while they stay, and removed where asked.

What tells where they are goes with the stack, so it is kept in a record of its own for the removal of the data.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from ..core import host
from ..docker.container import compose_path, read_back
from ..model.store_runner import Store
from ..packages import runner as packages_runner
from ..system import files
from . import docker_runner
from .plan import Removal, Stays

CACHE, MODELS = "/var/cache/gpuchat", "/srv/models"
CONTAINERD = "/var/lib/containerd"
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
        folders: Docker's own, where Docker is there because of us.
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


def read(sets: Mapping[str, Mapping[str, object]], docker_is_ours: bool) -> Data:
    """Read from the files of containers, from Docker, and from what an earlier removal has remembered."""
    kept = host.read_json(record_path())
    written = [
        read_back((state.content or b"").decode(errors="replace"))
        for manifest in sets.values()
        for path in files.owned_paths(manifest)
        if path.endswith((compose_path(""), ".service"))
        for state in (host.file_state(path),)
        if state is not None
    ]
    models = {one.folders[MODEL_INSIDE] for one in written if MODEL_INSIDE in one.folders}
    # A model that the inventory names no more lies beside the others.
    models |= {path for folder in {MODELS, *map(os.path.dirname, models)} for path in _fetched_below(folder)}
    folders = {docker_runner.root_folder(), CONTAINERD} - {""} if docker_is_ours else set()
    return Data(
        models=_with(kept, "models", models),
        images=_with(kept, "images", {one.image for one in written if one.image}),
        folders=_with(kept, "folders", folders),
        purge=_with(kept, "purge", set()),
        others=_with(kept, "others", set(docker_runner.images_built_here_and_volumes() if docker_is_ours else ())),
    )


def _with(kept: Mapping[str, object], name: str, more: set[str]) -> tuple[str, ...]:
    found = kept.get(name)
    return tuple(sorted({*more, *map(str, found if isinstance(found, list) else ())}))


def remember(data: Data, purge: tuple[str, ...] = ()) -> None:
    """Keep where the data is, before what tells so goes."""
    lists = {"models": data.models, "images": data.images, "folders": data.folders, "others": data.others}
    whole = {name: list(found) for name, found in (*lists.items(), ("purge", sorted({*data.purge, *purge}))) if found}
    if whole and whole != host.read_json(record_path()):
        host.write_json(record_path(), whole)


def forget() -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(record_path())


def _items(data: Data) -> list[tuple[str, str]]:
    """Return what is there, each with its kind."""
    found = [("model", path) for path in data.models if _is_ours(path)]
    found += [("folder", CACHE)] if os.path.isdir(CACHE) else []
    found += [("folder", path) for path in _state_folders()]
    if docker_runner.is_there():
        return found + [("image", one) for one in data.images if docker_runner.image_bytes(one) is not None]
    return found + [("docker", path) for path in data.folders if os.path.isdir(path) and os.listdir(path)]


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
    try:
        names = sorted(os.listdir(host.STATE_DIRECTORY))
    except FileNotFoundError:
        return []
    paths = [os.path.join(host.STATE_DIRECTORY, name) for name in names if name not in OWN_FOLDERS]
    return [path for path in paths if any(names for _folder, _folders, names in os.walk(path))]


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
        measured = docker_runner.image_bytes(name) or 0 if kind == "image" else size(name)
        lines.append({"name": name, "reason": WHY, "bytes": measured})
    pending = read({}, docker_is_ours=False).purge
    return lines + [{"name": f"the configuration of {name}", "reason": WHY, "bytes": 0} for name in pending]


def remove(data: Data, removal: Removal, check: bool) -> tuple[list[str], list[Stays]]:
    """Remove the data; return what is gone, and what stays and why."""
    gone: list[str] = []
    stays: list[Stays] = []
    for kind, name in _items(data):
        reason = _keeps(kind, name, data, check)
        if reason:
            stays.append(Stays(name, reason))
        else:
            gone.append(name)
    pending = [name for name in data.purge if removal.purged]
    system = packages_runner.system_here() if pending else None
    if system and not check:
        system.purge(pending)
    if not check and not docker_runner.is_there():
        docker_runner.tidy_after_packages()
    if not check:
        forget()
        left = Data(data.models, others=data.others, folders=data.folders) if stays else Data()
        remember(left)
    return gone + [f"configuration of {name}" for name in pending], stays


def _keeps(kind: str, name: str, data: Data, check: bool) -> str:
    """Remove one of them, and return why it stays where it does."""
    if kind == "docker" and data.others:
        return f"somebody else's are in it: {', '.join(data.others)}"
    if check:
        return ""
    if kind == "image":
        return docker_runner.remove_image(name)
    if kind == "model":
        _remove_model(name)
    else:
        remove_tree(name)
    return ""


def _remove_model(path: str) -> None:
    """Remove what runs have fetched, and nothing else that lies there."""
    store = Store(path)
    with store.locked(PATIENCE_SECONDS):
        store.recover()
        manifest = store.manifest()
        if manifest is not None:
            store.remove(manifest)
        store.tidy()


def remove_tree(path: str) -> None:
    """Remove a folder and all below it; where something is mounted at it, all but the folder."""
    with os.scandir(path) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
    with contextlib.suppress(OSError):
        os.rmdir(path)


def remove_empty_below(top: str) -> None:
    """Remove the empty folders below a folder of ours, and itself where it is empty then."""
    for folder, _folders, _names in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
