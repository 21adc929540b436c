# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes folders and files below folders that are not root's alone: no link leads out, nothing mounted is entered."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass

MOUNTS = "/proc/self/mounts"
NETWORK = re.compile(
    r"nfs\d*|cifs|smb\w*|ceph|lustre|9p|virtiofs|beegfs|gpfs|afs|ocfs2|gfs2|orangefs|pvfs2|glusterfs|wekafs|fuse\..+"
)
"""File systems that other hosts may read and write too."""

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Mount:
    """A mounted file system."""

    path: str
    kind: str


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """Read what the kernel lists; it writes blanks and the like in paths as octal numbers."""
    rows = [line.split() for line in text.splitlines()]
    return tuple(Mount(_plain(row[1]), row[2]) for row in rows if len(row) > 2)


def _plain(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def network_of(path: str, mounts: Sequence[Mount]) -> str:
    """Return which network file system a path lies on; empty where it is a disk of this host."""
    around = [one for one in mounts if one.path == path or path.startswith(one.path.rstrip("/") + "/")]
    # Of two at one place the later hides the earlier.
    nearest = max(enumerate(around), key=lambda pair: (len(pair[1].path), pair[0]), default=(0, Mount("", "")))[1]
    return f"{nearest.kind} at {nearest.path}" if NETWORK.fullmatch(nearest.kind) else ""


def mounted_at_or_below(path: str, mounts: Sequence[Mount]) -> list[str]:
    """Return where something is mounted at a path or below it."""
    return sorted({one.path for one in mounts if one.path == path or one.path.startswith(f"{path}/")})


def mounts() -> tuple[Mount, ...]:
    try:
        return parse_mounts(pathlib.Path(MOUNTS).read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        return ()


def somebodys_link(path: str) -> str:
    """Return why a path is not followed: it is a link, and not root's; root's own lead to where root has moved it."""
    status = os.lstat(path)
    if not stat.S_ISLNK(status.st_mode) or status.st_uid in (0, os.geteuid()):
        return ""
    return f"it is a link that the user {status.st_uid} has put there"


def led_astray(path: str) -> bool:
    """Tell whether somebody else's link stands among the folders around a path."""
    folder = os.path.dirname(path)
    while folder not in ("", "/"):
        if os.path.islink(folder) and somebodys_link(folder):
            return True
        folder = os.path.dirname(folder)
    return False


def remove_below(path: str, names: Collection[str] | None = None) -> tuple[bool, str]:
    """Remove what lies in a folder, or some entries of it, and the folder where it is empty then.

    Returns whether anything was removed, and what stays and why, empty where nothing does.
    """
    theirs = somebodys_link(path)
    if theirs:
        return False, theirs
    real = os.path.realpath(path)
    there = mounts()
    entries = sorted(os.listdir(real)) if names is None else [name for name in names if _is_at(real, name)]
    removed, stays = False, []
    for entry in (os.path.join(real, name) for name in entries):
        mounted = mounted_at_or_below(entry, there)
        if mounted:
            stays.append(f"something is mounted at {', '.join(mounted)}")
            continue
        try:
            if stat.S_ISDIR(os.lstat(entry).st_mode):
                shutil.rmtree(entry)  # which holds on to each folder, so that no link comes in between
            else:
                os.unlink(entry)
            removed = True
        except OSError as error:
            stays.append(f"{error.filename or entry} cannot be removed ({error.strerror})")
    is_link = os.path.islink(path)
    with contextlib.suppress(OSError):
        if names is None or not is_link:  # a link to Docker's folder is its owner's, and so is where it leads
            os.rmdir(real)
        if names is None and is_link:
            os.unlink(path)
    return removed, "; ".join(stays)


def _is_at(folder: str, name: str) -> bool:
    return os.path.lexists(os.path.join(folder, name))


def unlink_socket(top: str, path: str) -> bool:
    """Remove a socket below a folder of ours, and say so; no link in a folder of somebody's leads out of it."""
    *folders, name = os.path.relpath(path, top).split("/")
    handle = os.open(os.path.realpath(top), FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, FOLDER, dir_fd=handle)
            os.close(handle)
            handle = inner
        if not stat.S_ISSOCK(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
            return False
        os.unlink(name, dir_fd=handle)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def give_back_folder(path: str, uid: int, gid: int, mode: int) -> bool:
    """Give a folder its owner and mode back, and say so; False where it is a link by now."""
    try:
        handle = os.open(path, FOLDER)
    except OSError:
        return False
    try:
        os.fchown(handle, uid, gid)
        os.fchmod(handle, mode)
    finally:
        os.close(handle)
    return True


def remove_empty_below(top: str) -> None:
    """Remove the empty folders below a folder of ours, and itself where it is empty then; of mounted ones none."""
    there = {one.path for one in mounts()}
    found = []
    for folder, folders, _names in os.walk(top):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in there]
        found.append(folder)
    for folder in reversed(found):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
