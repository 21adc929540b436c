# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit's complete file set: what differs, what is written, what is removed.

A set is recorded in a manifest, written last. A run that died between two renames therefore leaves an old
manifest, and the next run finishes the set.
"""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..core.change import Difference, Plan
from ..core.errors import Refusal
from ..core.host import FileState


@dataclass(frozen=True)
class WantedFile:
    """One file, or a folder where ``content`` is None.

    Attributes:
        keep: it is somebody else's once it is there; neither its content nor a change of it is the set's.
        program: the module of the program whose part it is, which a difference names in place of its text.
    """

    path: str
    content: bytes | None
    mode: int
    uid: int = 0
    gid: int = 0
    secret: bool = False
    keep: bool = False
    program: str = ""

    def over(self, current: FileState | None) -> WantedFile:
        """Return what will be there: of a file to be kept, what somebody else has made of it."""
        if not self.keep or current is None or current.content is None:
            return self
        return replace(self, content=current.content)

    def matches(self, current: FileState | None) -> bool:
        return current is not None and (current.content, current.mode, current.uid, current.gid) == (
            self.content,
            self.mode,
            self.uid,
            self.gid,
        )


@dataclass(frozen=True)
class Write:
    """Put a file or folder in its place."""

    file: WantedFile


@dataclass(frozen=True)
class Remove:
    """Remove a file that the set no longer holds, or a folder of the set that has become empty.

    Where the set had replaced somebody's file, that one comes back.
    """

    path: str


@dataclass(frozen=True)
class Record:
    """Write the manifest: always the last step. ``manifest`` None removes it."""

    manifest: dict[str, object] | None


@dataclass(frozen=True)
class Former:
    """What was at a path before a set first put something there.

    Attributes:
        there: whether there was anything.
        content: a file's bytes; None for a folder.
        link: what a link led to; empty where it was none.
    """

    there: bool = False
    content: bytes | None = None
    mode: int = 0
    uid: int = 0
    gid: int = 0
    link: str = ""

    @classmethod
    def of(cls, state: FileState | None, link: str = "") -> Former:
        """Return what is at a path now."""
        if link:
            return cls(True, link=link)
        return cls() if state is None else cls(True, state.content, state.mode, state.uid, state.gid)

    def as_json(self) -> dict[str, object] | None:
        """Return it as it is kept; None for nothing."""
        if not self.there:
            return None
        if self.link:
            return {"link": self.link}
        content = None if self.content is None else base64.b64encode(self.content).decode()
        return {"content": content, "mode": f"{self.mode:04o}", "uid": self.uid, "gid": self.gid}

    @classmethod
    def read(cls, kept: object) -> Former:
        """Return what was kept."""
        if not isinstance(kept, dict):
            return cls()
        if kept.get("link"):
            return cls(True, link=str(kept["link"]))
        text = kept.get("content")
        content = None if text is None else base64.b64decode(str(text))
        return cls(True, content, int(str(kept["mode"]), 8), int(str(kept["uid"])), int(str(kept["gid"])))

    @property
    def is_folder(self) -> bool:
        return self.there and self.content is None and not self.link


def manifest_of(files: Sequence[WantedFile], before: Mapping[str, object] | None = None) -> dict[str, object]:
    """Return the set's record: a digest per file, and one digest over all, which services compare.

    Args:
        before: the record of a set of which these files are a part.
    """
    entries = {
        file.path: {
            "sha256": hashlib.sha256(file.content).hexdigest() if file.content is not None and not file.keep else None,
            "mode": f"{file.mode:04o}",
            "uid": file.uid,
            "gid": file.gid,
        }
        for file in files
    }
    others = (before or {}).get("files")
    whole = {**(others if isinstance(others, dict) else {}), **entries}
    digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode())
    return {"digest": digest.hexdigest(), "files": whole}


def owned_paths(manifest: Mapping[str, object]) -> tuple[str, ...]:
    """Return what an earlier run recorded as the set's own, deepest paths first."""
    files = manifest.get("files")
    paths = files if isinstance(files, dict) else {}
    return tuple(sorted(paths, key=lambda path: (-path.count("/"), path)))


def drifted(manifest: Mapping[str, object], current: Mapping[str, FileState | None]) -> dict[str, tuple[str, ...]]:
    """Return what has become of a set since the run that recorded it, by path: missing, content, mode, owner."""
    files = manifest.get("files")
    found: dict[str, tuple[str, ...]] = {}
    for path, entry in files.items() if isinstance(files, dict) else ():
        there = current.get(path)
        if there is None:
            found[path] = ("missing",)
            continue
        digest = None if there.content is None else hashlib.sha256(there.content).hexdigest()
        pairs = {
            "content": entry["sha256"] in (None, digest),
            "mode": entry["mode"] == f"{there.mode:04o}",
            "owner": (entry["uid"], entry["gid"]) == (there.uid, there.gid),
        }
        differing = tuple(name for name, is_same in pairs.items() if not is_same)
        if differing:
            found[path] = differing
    return found


def plan_files(
    wanted: Sequence[WantedFile],
    current: Mapping[str, FileState | None],
    manifest: Mapping[str, object],
    partial: bool = False,
    former: Mapping[str, Former] | None = None,
) -> Plan:
    """Compare a wanted set with the host.

    Args:
        wanted: the complete set; an empty one removes everything that the manifest lists.
        partial: it is a part of the set; the rest of it stays as it is.
        current: the state of each wanted path and of each path in the manifest.
        manifest: what the last run recorded, or an empty mapping.
        former: what was there before the set, by path; nothing where a path is not named.

    Raises:
        Refusal: a path is wanted twice, is not absolute, or is a folder where a file is wanted (or the reverse).
    """
    _refuse_impossible(wanted, current)
    placed = [file.over(current.get(file.path)) for file in wanted]
    writes = [file for file in placed if not file.matches(current.get(file.path))]
    kept = {file.path for file in wanted}
    others = () if partial else owned_paths(manifest)
    before = former or {}
    gone = [path for path in others if path not in kept and current.get(path) is not None]
    removals = [path for path in gone if not before.get(path, Former()).is_folder]
    record = manifest_of(wanted, manifest if partial else None) if wanted else None
    actions: list[object] = [*map(Write, writes), *map(Remove, removals)]
    if (record or {}) != dict(manifest):
        actions.append(Record(record))
    programs = _programs(placed)
    shown = [_of_program(folder, files, current, others, writes, removals) for folder, files in programs.items()]
    differences = [one for one in shown if one]
    differences += [_written(file, current.get(file.path)) for file in writes if not file.program]
    parts = [path for path in removals if any(_is_below(path, folder) for folder in programs)]
    differences += [_removed(path, current[path], before.get(path, Former())) for path in removals if path not in parts]
    reason = (
        f"{len(writes)} to write, {len(removals)} to remove"
        if writes or removals
        else ("files are in place; their manifest is updated" if actions else "all files are in place")
    )
    return Plan(tuple(differences), tuple(actions), reason)


def _refuse_impossible(wanted: Sequence[WantedFile], current: Mapping[str, FileState | None]) -> None:
    seen: set[str] = set()
    for file in wanted:
        if not file.path.startswith("/"):
            raise Refusal(f"found the path {file.path!r}; wanted an absolute path; set dest to one that starts with /")
        if file.path != posixpath.normpath(file.path):
            plain = posixpath.normpath(file.path)
            raise Refusal(f"found the path {file.path!r}; wanted it in its plain form; set dest to {plain}")
        if file.path in seen:
            raise Refusal(f"{file.path} stands twice in the file set; keep one of the two in files")
        seen.add(file.path)
        there = current.get(file.path)
        if there is not None and (there.content is None) != (file.content is None):
            found, want = ("a folder", "a file") if there.content is None else ("a file", "a folder")
            raise Refusal(f"found {found} at {file.path}; wanted {want}; move it away or set another dest")


def _programs(wanted: Iterable[WantedFile]) -> dict[str, list[WantedFile]]:
    """Return the files of each program of a set by the folder that holds them all."""
    found: dict[str, list[WantedFile]] = {}
    for file in wanted:
        if file.program:
            found.setdefault(file.program, []).append(file)
    return {min((one.path for one in files), key=len): files for files in found.values()}


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _of_program(
    folder: str,
    wanted: Sequence[WantedFile],
    current: Mapping[str, FileState | None],
    owned: Iterable[str],
    writes: Sequence[WantedFile],
    removals: Sequence[str],
) -> Difference | None:
    """Return the difference of a program as a whole, for nobody reads its text there; None where it is in place."""
    if not any(one in wanted for one in writes) and not any(_is_below(path, folder) for path in removals):
        return None
    program = wanted[0].program
    paths = dict.fromkeys([*(one.path for one in wanted), *(path for path in owned if _is_below(path, folder))])
    there = [(path, current.get(path)) for path in paths]
    old = [WantedFile(path, one.content, one.mode, one.uid, one.gid) for path, one in there if one is not None]
    return Difference(folder, _summed(program, old), _summed(program, wanted))


def _summed(program: str, files: Sequence[WantedFile]) -> str:
    number = len([one for one in files if one.content is not None])
    return f"program {program}, files: {number}, sha256 {manifest_of(files)['digest']}\n" if number else ""


def _written(file: WantedFile, current: FileState | None) -> Difference:
    before = "" if current is None else _shown(current.content, current.mode, current.uid, current.gid, file.secret)
    after = _shown(file.content, file.mode, file.uid, file.gid, file.secret)
    if file.secret and current is not None and before == after:
        after = after.replace("(secret content)", "(secret content, changed)")
    return Difference(file.path, before, after)


def _removed(path: str, current: FileState | None, former: Former) -> Difference:
    if current is None or current.content is None:
        return Difference(path, "folder, if it is empty\n", "")
    return Difference(path, f"file of {len(current.content)} bytes\n", _described(former))


def _described(former: Former) -> str:
    if not former.there:
        return ""
    what = f"link to {former.link}" if former.link else f"file of {len(former.content or b'')} bytes"
    return f"{what}, which was there before\n"


def first_seen(paths: Iterable[str], known: Iterable[str], manifests: Iterable[Mapping[str, object]]) -> list[str]:
    """Return those of some paths that no set has put something at so far: what is there now is somebody else's.

    Args:
        known: paths whose former state is kept.
        manifests: those of all sets of the host.
    """
    ours = {*known, *(path for manifest in manifests for path in owned_paths(manifest))}
    return [path for path in dict.fromkeys(paths) if path not in ours]


def _shown(content: bytes | None, mode: int, uid: int, gid: int, secret: bool) -> str:
    head = f"# mode {mode:04o}, owner {uid}:{gid}\n"
    if content is None:
        return head
    if secret:
        return head + "(secret content)\n"
    try:
        return head + content.decode()
    except UnicodeDecodeError:
        return head + f"(binary, sha256 {hashlib.sha256(content).hexdigest()})\n"
