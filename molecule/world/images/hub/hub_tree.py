# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models in folders, as a hub sees them: repositories, commits, hashes, and the two hubs' listings of them.

`ROOT/OWNER/NAME/` is the repository's head (`main` to Hugging Face, `master` to ModelScope), `ROOT/OWNER/NAME@REV/`
another branch or tag. A commit is a digest over the paths and contents, so that the same content has the same commit
on every machine, and a commit can be asked for as long as a folder holds its content.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pathlib
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

HEADS = ("main", "master")
LFS_ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".msgpack", ".h5", ".tar.gz", ".model")
LFS_BYTES = 10 * 1024 * 1024
"""From this size on Hugging Face takes a file by LFS only."""

DATE = "2026-01-01T00:00:00.000Z"
SECONDS = 1_767_225_600
"""The same moment, as ModelScope says it."""

_BLOCK = 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """One file of a commit.

    Attributes:
        path: relative to the repository, with slashes.
        size: bytes.
        sha256: of the content.
        oid: what git calls it: the SHA-1 of the blob, which for an LFS file is its pointer.
        pointer_size: bytes of the LFS pointer; None for a file that git holds itself.
    """

    path: str
    size: int
    sha256: str
    oid: str
    pointer_size: int | None

    @property
    def is_lfs(self) -> bool:
        return self.pointer_size is not None


@dataclass(frozen=True)
class Snapshot:
    """One commit of a repository, and the folder that holds it."""

    repo: str
    folder: pathlib.Path
    commit: str
    entries: Mapping[str, Entry]

    def folders(self) -> list[str]:
        """Every folder in it."""
        parents = {str(parent) for path in self.entries for parent in pathlib.PurePosixPath(path).parents}
        return sorted(parents - {"."})


class Library:
    """Reads repositories below a root; hashes a file again only when its size or its time of change differs.

    Args:
        root: the folder of owners.
        sums: SHA-256 by path below the root, for files that are too large to be read here.
    """

    def __init__(self, root: pathlib.Path, sums: Mapping[str, str] | None = None) -> None:
        self.root = root
        self._sums = dict(sums or {})
        self._known: dict[tuple[str, int, int], tuple[str, str]] = {}
        self._commits: dict[tuple[str, str], Snapshot] = {}
        self._lock = threading.Lock()

    def repos(self) -> list[str]:
        """Return all repositories that have a head."""
        found = {str(folder.relative_to(self.root)) for folder in self.root.glob("*/*")}
        return sorted(repo for repo in found if self.revisions(repo))

    def revisions(self, repo: str) -> dict[str, pathlib.Path]:
        """Return the folders of a repository by branch or tag; nothing where there is none."""
        owner, _slash, name = repo.partition("/")
        if not all(re.fullmatch(r"[A-Za-z0-9][\w.-]*", part) for part in (owner, name)):
            return {}
        head = self.root / owner / name
        found = dict.fromkeys(HEADS, head) if head.is_dir() else {}
        for folder in sorted((self.root / owner).glob(f"{name}@*")):
            found[folder.name.partition("@")[2]] = folder
        return found

    def snapshot(self, repo: str, revision: str) -> Snapshot | None:
        """Return what a branch, tag or commit of a repository holds; None where there is no such revision."""
        revisions = self.revisions(repo)
        if revision in revisions:
            return self._read(repo, revisions[revision])
        if re.fullmatch(r"[0-9a-f]{40}", revision):
            for folder in dict.fromkeys(revisions.values()):
                snapshot = self._read(repo, folder)
                if snapshot.commit == revision:
                    return snapshot
        return None

    def snapshot_with(self, repo: str, revision: str, path: str) -> Snapshot | None:
        """Like `snapshot`, by one look at one file where the revision is a commit that was listed before."""
        listed = self._commits.get((repo, revision))
        if listed and path in listed.entries and self.entry(listed.folder, path) == listed.entries[path]:
            return listed
        return self.snapshot(repo, revision)

    def content(self, repo: str, sha256: str, path: str) -> tuple[pathlib.Path, Entry] | None:
        """Return the file of some content, and what is known of it; None where no revision holds it under the path."""
        for folder in dict.fromkeys(self.revisions(repo).values()):
            entry = self.entry(folder, path)
            if entry and entry.sha256 == sha256:
                return folder / path, entry
        return None

    def entry(self, folder: pathlib.Path, path: str) -> Entry | None:
        """Return what is known of one file of a repository's folder; None where there is none."""
        file = folder / path
        if ".." in file.parts or not file.is_file():
            return None
        status = file.stat()
        sha256, oid = self._hashes(str(file), status)
        if path.endswith(LFS_ENDINGS) or status.st_size >= LFS_BYTES:
            pointer = lfs_pointer(sha256, status.st_size)
            return Entry(path, status.st_size, sha256, git_blob(pointer), len(pointer))
        return Entry(path, status.st_size, sha256, oid, None)

    def _read(self, repo: str, folder: pathlib.Path) -> Snapshot:
        entries = {path: entry for path in sorted(_files(folder)) if (entry := self.entry(folder, path))}
        lines = "".join(f"{entry.oid} {path}\n" for path, entry in entries.items())
        snapshot = Snapshot(repo, folder, hashlib.sha1(lines.encode()).hexdigest(), entries)
        self._commits[repo, snapshot.commit] = snapshot
        return snapshot

    def _hashes(self, path: str, status: os.stat_result) -> tuple[str, str]:
        key = (path, status.st_size, status.st_mtime_ns)
        with self._lock:
            if key not in self._known:
                said = self._sums.get(os.path.relpath(path, self.root))
                self._known[key] = (said, "") if said else _hash_file(path, status.st_size)
            return self._known[key]


def _files(folder: pathlib.Path) -> Iterator[str]:
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        for name in names:
            yield os.path.relpath(os.path.join(where, name), folder)


def _hash_file(path: str, size: int) -> tuple[str, str]:
    sha256, blob = hashlib.sha256(), hashlib.sha1(f"blob {size}\0".encode())
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            blob.update(block)
    return sha256.hexdigest(), blob.hexdigest()


def git_blob(content: bytes) -> str:
    """Return git's object id (hex SHA-1) of a file's content."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """Return the text that git holds in place of an LFS file (git-lfs's docs/spec.md)."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


# --- Hugging Face ---


def hugging_face_info(snapshot: Snapshot, *, private: bool, gated: bool, blobs: bool) -> dict[str, object]:
    """Return the answer to /api/models/ID[/revision/REV]."""
    siblings: list[dict[str, object]] = []
    for entry in snapshot.entries.values():
        sibling: dict[str, object] = {"rfilename": entry.path}
        if blobs:
            sibling |= {"size": entry.size, "blobId": entry.oid}
            if entry.is_lfs:
                sibling["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": entry.pointer_size}
        siblings.append(sibling)
    return {
        "_id": snapshot.commit[:24],
        "id": snapshot.repo,
        "modelId": snapshot.repo,
        "author": snapshot.repo.partition("/")[0],
        "sha": snapshot.commit,
        "createdAt": DATE,
        "lastModified": DATE,
        "private": private,
        "gated": "manual" if gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": siblings,
        "usedStorage": sum(entry.size for entry in snapshot.entries.values()),
    }


def hugging_face_tree(snapshot: Snapshot, below: str, *, recursive: bool, expand: bool) -> list[dict[str, object]]:
    """Return all rows of /api/models/ID/tree/REV[/PATH], folders first among each folder's own."""
    rows: list[dict[str, object]] = []
    for path in _listed(snapshot, below, recursive=recursive):
        entry = snapshot.entries.get(path)
        if entry is None:
            oid = hashlib.sha1(f"tree {snapshot.commit} {path}".encode()).hexdigest()
            row: dict[str, object] = {"type": "directory", "oid": oid, "size": 0, "path": path}
        else:
            row = {"type": "file", "oid": entry.oid, "size": entry.size, "path": path}
            if entry.is_lfs:
                row["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": entry.pointer_size}
            if expand:
                scan = {"status": "unscanned"}
                row["securityFileStatus"] = {"status": "safe", "avScan": scan, "pickleImportScan": scan}
        if expand:
            row["lastCommit"] = {"id": snapshot.commit, "title": "Upload", "date": DATE}
        rows.append(row)
    return rows


def page(rows: list[dict[str, object]], cursor: str, size: int) -> tuple[list[dict[str, object]], str]:
    """Return one page of rows and the next page's cursor (empty after the last)."""
    start = json.loads(base64.urlsafe_b64decode(cursor))["row"] if cursor else 0
    more = start + size < len(rows)
    following = base64.urlsafe_b64encode(json.dumps({"row": start + size}).encode()).decode() if more else ""
    return rows[start : start + size], following


# --- ModelScope ---


def modelscope_files(snapshot: Snapshot, below: str, *, recursive: bool, limit: int) -> list[dict[str, object]]:
    """Return the Files of /api/v1/models/ID/repo/files: no pages, and silently no more than `limit` entries.

    Which commit it is, the real hub says nowhere but in the last committer's ShortId and in some file's Revision.
    """
    rows: list[dict[str, object]] = []
    for path in _listed(snapshot, below, recursive=recursive)[:limit]:
        entry = snapshot.entries.get(path)
        row: dict[str, object] = {
            "Name": path.rpartition("/")[2],
            "Path": path,
            "Type": "blob" if entry else "tree",
            "Mode": "33188" if entry else "16384",
            "Size": entry.size if entry else 0,
            "Sha256": entry.sha256 if entry else "",
            "IsLFS": bool(entry and entry.is_lfs),
            "Revision": _changed_by(snapshot, entry),
            "CommitMessage": "Upload",
            "CommittedDate": SECONDS,
            "CommitterName": snapshot.repo.partition("/")[0],
            "InCheck": False,
        }
        rows.append(row)
    return rows


def _changed_by(snapshot: Snapshot, entry: Entry | None) -> str:
    """Return the commit that changed a file last: this one for the first, earlier ones for the others."""
    if entry is None or entry is next(iter(snapshot.entries.values())):
        return snapshot.commit
    return hashlib.sha1(entry.oid.encode()).hexdigest()


def _listed(snapshot: Snapshot, below: str, *, recursive: bool) -> list[str]:
    below = below.strip("/")
    start = f"{below}/" if below else ""
    paths = [path for path in [*snapshot.folders(), *snapshot.entries] if path.startswith(start)]
    return sorted(path for path in paths if recursive or "/" not in path[len(start) :])
