# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a folder of images' archives on the control node; each is read once, for it may have many GiB."""

from __future__ import annotations

import bz2
import fcntl
import gzip
import hashlib
import json
import lzma
import os
import tarfile
import zlib
from collections.abc import Mapping
from typing import IO, Any, cast

from ..core.errors import Refusal
from .archives import AGAIN, held

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
SMALL_BYTES = 4 << 20
"""No list or configuration of an image is longer."""

PIECE_BYTES = 1 << 20


def images_of(folder: str, record: str) -> list[dict[str, Any]]:
    """Return the images of a folder's archives, each with its archive's path as ``file``.

    Args:
        folder: on the control node.
        record: file in which is kept what was read of the archives, until one changes.

    Raises:
        Refusal: there is no such folder, or an archive is none, or not whole.
    """
    folder = os.path.abspath(os.path.expanduser(folder))
    if not os.path.isdir(folder):
        raise Refusal(
            f"found no folder {folder} on the control node; wanted one with images that `docker save NAME:TAG -o FILE` "
            "wrote; set gpuchat_image_archives to its path"
        )
    os.makedirs(os.path.dirname(record), exist_ok=True)
    lock = os.open(os.path.dirname(record), os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # hosts run in parallel, each in its own process
        before = _recorded(record)
        now: dict[str, Any] = {}
        for name in sorted(one for one in os.listdir(folder) if one.endswith(ENDINGS)):
            path = os.path.join(folder, name)
            state = os.stat(path)
            seen = [state.st_size, state.st_mtime_ns]
            known = before.get(path) or {}
            now[path] = known if known.get("seen") == seen else {"seen": seen, "images": read(path)}
        if now != before:
            with open(f"{record}.new", "w", encoding="utf-8") as file:
                json.dump(now, file, indent=1)
            os.replace(f"{record}.new", record)
    finally:
        os.close(lock)
    return [{**image, "file": path} for path, one in now.items() for image in one["images"]]


def _recorded(record: str) -> Mapping[str, Any]:
    try:
        with open(record, encoding="utf-8") as file:
            return cast("Mapping[str, Any]", json.load(file))
    except (OSError, ValueError):
        return {}


def read(path: str) -> list[dict[str, Any]]:
    """Return the images of an archive, read to its end.

    Raises:
        Refusal: it is none, or not whole.
    """
    files: dict[str, bytes] = {}
    sums: dict[str, str] = {}
    links: dict[str, str] = {}
    try:
        with _unpacked(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = os.path.normpath(member.name)
                if member.issym():
                    links[name] = os.path.normpath(os.path.join(os.path.dirname(name), member.linkname))
                elif member.islnk():
                    links[name] = os.path.normpath(member.linkname)
                elif member.isfile():
                    sums[name], content = _summed(archive, member)
                    if content[:1] in (b"{", b"["):
                        files[name] = content
            while stream.read(PIECE_BYTES):  # its end proves what was packed
                pass
        found = held(files, sums, links)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        raise Refusal(f"found that {path} cannot be read to its end ({error}); {AGAIN}") from None
    except Refusal as error:
        raise Refusal(f"{path}: {error}") from None
    return [
        {"names": list(one.names), "id": one.id, "ids": list(one.ids), "architecture": one.architecture}
        for one in found
    ]


def _unpacked(path: str) -> IO[bytes]:
    with open(path, "rb") as file:
        start = file.read(6)
    for magic, opened in ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\0", lzma.open), (b"BZh", bz2.open)):
        if start.startswith(magic):
            return cast("IO[bytes]", opened(path, "rb"))
    return open(path, "rb")


def _summed(archive: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[str, bytes]:
    """Return a file's SHA-256, and its content where it is a small one."""
    digest = hashlib.sha256()
    kept: list[bytes] = []
    left = member.size
    stream = archive.extractfile(member)
    while stream is not None and left > 0:
        piece = stream.read(min(PIECE_BYTES, left))
        if not piece:
            raise tarfile.ReadError("unexpected end of data")
        left -= len(piece)
        digest.update(piece)
        if member.size <= SMALL_BYTES:
            kept.append(piece)
    return digest.hexdigest(), b"".join(kept)
