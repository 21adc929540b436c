# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a model folder on a host."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from . import host
from .model import Folder, check_folder


def read(path: str) -> Folder | None:
    """Return what lies in a folder and below it, or None where there is no folder."""
    if not os.path.isdir(path):
        return None
    found = {
        os.path.relpath(os.path.join(parent, name), path): os.stat(os.path.join(parent, name))
        for parent, _folders, names in os.walk(path)
        for name in names
        if os.path.exists(os.path.join(parent, name))
    }
    sizes = {name: status.st_size for name, status in found.items()}
    unreadable = tuple(sorted(name for name, status in found.items() if not status.st_mode & stat.S_IROTH))
    root = os.path.realpath(path) + os.sep
    outside = tuple(sorted(name for name in found if not os.path.realpath(os.path.join(path, name)).startswith(root)))
    return Folder(path, sizes, host.read_json(os.path.join(path, "config.json")) or None, unreadable, outside)


def bring(params: Mapping[str, object]) -> dict[str, object]:
    """Return a module's result for the model that its parameters name.

    Raises:
        Refusal: what is there is no model.
    """
    folder = check_folder(read(str(params["path"])), str(params["path"]))
    return {
        "changed": False,
        "config": folder.config,
        "files": [{"path": name, "size": size} for name, size in sorted(folder.sizes.items())],
        "weights_bytes": folder.weights_bytes,
        "start_seconds": folder.start_seconds,
        "msg": f"{len(folder.sizes)} files, {folder.weights_bytes} bytes of weights",
    }
