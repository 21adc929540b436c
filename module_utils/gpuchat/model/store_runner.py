# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's folder on the disk: read, locked, and replaced in one step.

Beside the folder ``x`` lies ``x.gpuchat``, for us alone: the lock, the bytes that wait to be published (``parts`` on
their way, ``whole`` and verified; each named after its contents, so that any later run or revision may use it), and for
a moment the next folder. All of it is on one file system, so that publishing is renaming.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import pathlib
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..core.errors import Refusal
from ..system.space import INODES
from .files import (
    INDEX_ENDING,
    MANIFEST,
    Manifest,
    ModelFile,
    Proof,
    Status,
    check_case,
    check_lengths,
    check_safetensors,
    header_length,
    misplaced_tensors,
    parse_manifest,
)
from .weights import check_tensors

BLOCK = 256 << 10
"""Bytes read at once for hashing: what stays in a core's own cache."""

NO_LINKS = (errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)
"""What link(2) gives where a disk knows no second names (FAT, SMB, buckets behind FUSE)."""

NO_FLUSH = (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS)
"""What fsync(2) gives for a folder where a disk has nothing to flush there."""

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)
SIDE = ".gpuchat"
FULL = (errno.ENOSPC, errno.EDQUOT)
AT_FDCWD = -100
RENAME_EXCHANGE = 2


class Store:
    """A model's folder and what lies beside it."""

    def __init__(self, dest: str) -> None:
        """Look at a folder; a link to it is followed, so that what is replaced is what it leads to."""
        self.dest = os.path.realpath(dest)
        self.side = f"{self.dest}{SIDE}"
        self.parts = os.path.join(self.side, "parts")
        self.whole = os.path.join(self.side, "whole")
        self._next = os.path.join(self.side, "next")
        self._previous = os.path.join(self.side, "previous")

    def manifest(self) -> Manifest | None:
        """Return the record of the last run, None where there is none."""
        try:
            return parse_manifest(pathlib.Path(self.dest, MANIFEST).read_bytes())
        except OSError:
            return None

    def files(self) -> dict[str, Status]:
        """Return each file and link below the folder, the manifest apart, with one look at each."""
        found: dict[str, Status] = {}
        folders = [""]
        while folders:
            below = folders.pop()
            try:
                entries = list(os.scandir(os.path.join(self.dest, below)))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in entries:
                path = f"{below}/{entry.name}" if below else entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif path != MANIFEST:
                    status = entry.stat(follow_symlinks=False)
                    found[path] = Status(status.st_size, status.st_mtime_ns, stat.S_ISREG(status.st_mode))
        return found

    def path(self, name: str) -> str:
        """Return where a file of the model lies."""
        return os.path.join(self.dest, name)

    def part(self, key: str) -> str:
        """Return where a file's bytes are gathered."""
        return os.path.join(self.parts, key)

    def done(self, key: str) -> str:
        """Return where a file waits that is whole and verified."""
        return os.path.join(self.whole, key)

    @contextlib.contextmanager
    def locked(self, patience: float) -> Iterator[None]:
        """Hold the folder for this run; the kernel lets go when its owner dies, however that happens.

        Raises:
            Refusal: another run held it all the time (seconds).
        """
        make_folders(os.path.dirname(self.side))
        path = os.path.join(self.side, "lock")
        end = time.monotonic() + patience
        while True:
            make_own_folder(self.side)
            with contextlib.suppress(FileNotFoundError):
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                try:
                    take_lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, self.dest)
                    if _is_at(handle, path):  # else the one before us tidied up, and the lock is a new file
                        os.truncate(handle, 0)
                        os.write(handle, f"{os.getpid()}\n".encode())
                        break
                except BlockingIOError:
                    if time.monotonic() >= end:
                        owner = pathlib.Path(path).read_text(encoding="ascii").strip() or "unknown"
                        raise Refusal(
                            f"another run (process {owner}) is at work on {self.dest} since more than "
                            f"{patience:.0f} s; wanted one at a time; wait for it, or set lock_seconds higher"
                        ) from None
                os.close(handle)
            time.sleep(0.1)
        try:
            yield
        finally:
            os.close(handle)

    def was_torn_apart(self) -> bool:
        """Whether a run died between the two renames of a disk that cannot exchange folders."""
        return os.path.isdir(self._previous) and not os.path.lexists(self.dest)

    def recover(self) -> None:
        """Put right what a run left that died between two renames."""
        if self.was_torn_apart():
            os.rename(self._previous, self.dest)
        for folder in (self._next, self._previous):
            if os.path.lexists(folder):
                shutil.rmtree(folder)
        for folder in (self.parts, self.whole):
            os.makedirs(folder, mode=0o700, exist_ok=True)

    def forget_but(self, keys: set[str]) -> None:
        """Remove bytes that belong to no file which is still wanted."""
        for folder in (self.parts, self.whole):
            for name in os.listdir(folder):
                if name.partition(".")[0] not in keys:
                    os.unlink(os.path.join(folder, name))

    def tidy(self) -> None:
        """Remove what lies beside the folder, once nothing waits there, and the lock last."""
        for folder in (self.parts, self.whole, self._next, self._previous):
            if os.path.lexists(folder):
                shutil.rmtree(folder)
        self.leave()

    def leave(self) -> None:
        """Remove the lock and its folder where nothing else lies there; the lock is held."""
        with contextlib.suppress(OSError):  # a job's files may lie there still
            if os.listdir(self.side) == ["lock"]:
                os.unlink(os.path.join(self.side, "lock"))
                os.rmdir(self.side)

    def leftovers(self) -> bool:
        """Whether an earlier run left something."""
        return os.path.isdir(self.side)

    def waiting_bytes(self) -> int:
        """Return the bytes that an earlier run has left on the disk, at most; another one may be at work on them."""
        total = 0
        for parent, _folders, names in os.walk(self.side):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    total += os.lstat(os.path.join(parent, name)).st_blocks * 512
        return total

    def free(self) -> int:
        """Return the bytes that the disk has left for us."""
        status = _disk_of(self.side)
        if not status.f_blocks:  # some file systems of FUSE do not say
            return sys.maxsize
        return status.f_frsize * status.f_bavail

    def free_files(self) -> int | None:
        """Return how many files the disk takes, None where it does not count them."""
        status = _disk_of(self.side)
        return status.f_favail if status.f_files else None

    def has_second_names(self) -> bool:
        """Whether the disk can give a file a second name; the folder is locked."""
        probe = os.path.join(self.side, "probe")
        names = (probe, f"{probe}.second")
        try:
            pathlib.Path(probe).touch()
            os.link(*names)
        except OSError as error:
            return error.errno not in NO_LINKS
        finally:
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)
        return True

    def check_place(self) -> None:
        """Refuse a place that cannot be replaced by a rename.

        Raises:
            Refusal: it is no folder, or a disk of its own.
        """
        if os.path.lexists(self.dest) and not os.path.isdir(self.dest):
            raise Refusal(f"{self.dest} is no folder; wanted a folder or nothing there; set path")
        if os.path.lexists(self.dest):
            found, around = os.stat(self.dest), os.stat(os.path.dirname(self.dest))
            # As for our own folder: on a network's disk we may be the owner of the folder around it.
            if found.st_uid not in (os.geteuid(), around.st_uid):
                raise Refusal(
                    f"found {self.dest}, which belongs to another user ({found.st_uid}); wanted a folder of our own, "
                    f"for it is replaced as one; run `chown -R {os.geteuid()} {self.dest}` if it may be, or set path "
                    "to another"
                )
        self.check_mounts()

    def check_mounts(self) -> None:
        """Refuse a place that a disk is mounted at or below: with the old folder, what lies there would be removed.

        Raises:
            Refusal: it is one.
        """
        if os.path.ismount(self.dest):
            raise Refusal(
                f"{self.dest} is where a disk is mounted, which no rename can replace; set path to a folder below it"
            )
        below = next((place for place in _mounts() if place.startswith(f"{self.dest}/")), "")
        if below:
            raise Refusal(
                f"found a disk mounted at {below}, within {self.dest}, which is replaced as one folder; wanted none "
                "there; unmount it, or set path to another folder"
            )

    def check_names(self, paths: Iterable[str]) -> None:
        """Refuse names that the disk cannot take.

        Raises:
            Refusal: a name, or the path to it, is too long.
        """
        place = self.dest
        while not os.path.exists(place):
            place = os.path.dirname(place)
        longest = os.pathconf(place, "PC_NAME_MAX")
        beside = len(os.path.basename(self.side).encode())
        if beside > longest:
            raise Refusal(
                f"found {self.dest}, whose name is {beside - longest} bytes too long, for a folder of that name and "
                f"{SIDE} lies beside it while a model is fetched; wanted {longest} bytes for both; set path to a "
                "shorter one"
            )
        paths = tuple(paths)
        check_lengths(paths, self._next, longest)  # published there, and longer than dest
        check_case(paths, self.dest, filesystem_of(place))

    def adopt(self, file: ModelFile, spare: Sequence[str], key: str) -> str | None:
        """Take a file's bytes from the old folder where a file there holds them; return their SHA-256, or None."""
        for name in spare:
            with contextlib.suppress(FileNotFoundError):
                proof = hash_file(self.path(name))
                if file.identity() == "unverified" or not proof.fits(file):
                    continue
                ours = os.stat(self.path(name)).st_uid == os.geteuid()
                if ours or _made_ours(self.path(name)):
                    link(self.path(name), self.done(key))
                else:
                    copy_file(self.path(name), self.part(key), lambda _count: None)
                    os.rename(self.part(key), self.done(key))
                if ours or hash_file(self.done(key)).fits(file):  # its owner may have altered it a moment ago
                    return proof.sha256
                os.unlink(self.done(key))
        return None

    def publish(
        self,
        manifest: Manifest,
        sources: Mapping[str, str],
        strangers: Sequence[str],
        check: Callable[[str], None],
    ) -> Manifest:
        """Put a whole new folder in place of the old one in one step, and return its manifest with times.

        Args:
            manifest: the new record.
            sources: where the bytes of each of its files are.
            strangers: files of others in the old folder, which move along.
            check: looks at the new folder and raises what speaks against it.

        The kernel exchanges the two folders (renameat2, since Linux 3.15), so that at each moment one whole model is
        there, also for a reader that opens file after file by path. Where the file system cannot (NFS), there are
        two renames, the place is empty in between, and `recover` brings the old folder back if we die there. A link
        to numbered folders would do without either, but leads out of what a container gets to see.
        """
        os.mkdir(self._next, 0o755)
        os.chmod(self._next, 0o755)
        self._as_it_was("")
        published = []
        for file in manifest.files:
            target = self._make_folder_for(file.path, ours=True)
            link(sources[file.path], target)
            os.chmod(target, 0o644)
            published.append(replace(file, mtime_ns=os.stat(target).st_mtime_ns))
        for name in strangers:
            with contextlib.suppress(FileNotFoundError):
                link(self.path(name), self._make_folder_for(name))
        for folder in self._empty_folders():
            with contextlib.suppress(FileExistsError, NotADirectoryError):  # the model has a file of that name
                self._make_folder_for(os.path.join(folder, ""))
        done = replace(manifest, files=tuple(published))
        check(self._next)
        self._write(os.path.join(self._next, MANIFEST), done.text().encode())
        _sync_folders(self._next)
        self._exchange()
        _sync_folder(os.path.dirname(self.dest))
        return done

    def _make_folder_for(self, name: str, ours: bool = False) -> str:
        """Make the folders around a file of the next folder, and return its path; those of others stay as they were."""
        below = ""
        for part in name.split("/")[:-1]:
            below = os.path.join(below, part)
            folder = os.path.join(self._next, below)
            if not os.path.isdir(folder):
                os.mkdir(folder)
                os.chmod(folder, 0o755)
                if not ours:
                    self._as_it_was(below)
        return os.path.join(self._next, name)

    def _as_it_was(self, below: str) -> None:
        """Give a folder of the next folder the owner, the group and the mode that it has; one of ours can be read."""
        with contextlib.suppress(FileNotFoundError, PermissionError):
            before, folder = os.stat(self.path(below)), os.path.join(self._next, below)
            readable = 0o755 if before.st_uid == os.geteuid() and not below else 0
            os.chown(folder, before.st_uid, before.st_gid)
            os.chmod(folder, stat.S_IMODE(before.st_mode) | readable)

    def _empty_folders(self) -> list[str]:
        """Return the folders in which nothing lies: somebody has made them for something."""
        return [
            os.path.relpath(parent, self.dest)
            for parent, folders, names in os.walk(self.dest)
            if not (folders or names or parent == self.dest)
        ]

    def _write(self, path: str, content: bytes) -> None:
        with open(path, "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _exchange(self) -> None:
        if not os.path.isdir(self.dest):
            os.rename(self._next, self.dest)
            return
        if not exchange(self._next, self.dest):
            os.rename(self.dest, self._previous)
            os.rename(self._next, self.dest)

    def remove(self, manifest: Manifest) -> None:
        """Remove what the manifest lists, itself last, and folders that are empty then; no link is followed."""
        folders = {self.dest}
        there = self.files()
        for file in manifest.files:
            if file.path not in there:
                continue
            os.unlink(self.path(file.path))
            folder = os.path.dirname(self.path(file.path))
            while len(folder) > len(self.dest):
                folders.add(folder)
                folder = os.path.dirname(folder)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(MANIFEST))
        for folder in sorted(folders, key=len, reverse=True):
            with contextlib.suppress(OSError):  # others' files keep it
                os.rmdir(folder)


def _mounts() -> dict[str, str]:
    """Return where disks are mounted, also those that are folders of another, with the kind of each (proc(5))."""
    found = {}
    with contextlib.suppress(OSError):
        text = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        for line in text.splitlines():
            words = line.split()
            place = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), words[4])
            found[place] = words[words.index("-") + 1]
    return found


def filesystem_of(path: str) -> str:
    """Return the kind of the file system that a path lies on; empty where nobody says."""
    mounts, place = _mounts(), os.path.realpath(path)
    while place not in mounts and place != "/":
        place = os.path.dirname(place)
    return mounts.get(place, "")


def _disk_of(path: str) -> os.statvfs_result:
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return os.statvfs(path)


def disk_full(error: OSError, dest: str, missing: str = "more room") -> Refusal:
    """Return what to say of a disk that takes no more."""
    disk = _disk_of(dest)
    if error.errno == errno.ENOSPC and disk.f_files and not disk.f_favail:
        return Refusal(
            f"the file system of {dest} has no inodes left; wanted some: each {INODES}; what is there stays: run again "
            "after that, or set path to another disk"
        )
    return Refusal(
        f"the disk of {dest} is full ({os.strerror(error.errno or 0)}); wanted {missing}; what is there stays: free "
        "some and run again, or set path to a larger disk"
    )


def make_own_folder(path: str) -> None:
    """Make a folder that is for us alone, unless it is there.

    Raises:
        Refusal: somebody else made it, or put a link there, and so could turn what we write against us.
    """
    make_folders(os.path.dirname(path))
    os.makedirs(path, mode=0o700, exist_ok=True)
    found = os.lstat(path)
    # The owner of the folder around it can do as he likes anyhow, and is who a network's disk takes us for.
    trusted = (os.geteuid(), os.stat(os.path.dirname(path)).st_uid)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in trusted:
        raise Refusal(
            f"found {path}, a link or made by another user ({found.st_uid}); wanted a folder of our own; remove it, or "
            "set path to a place that others cannot write beside"
        )


def _made_ours(path: str) -> bool:
    """Make a file of somebody else ours, who could alter it and keep its size and time; False where we may not."""
    try:
        os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)
        os.chmod(path, 0o644)
    except PermissionError:
        return False
    return True


def make_folders(path: str) -> None:
    """Make a folder and those around it, readable by everybody whatever the umask is."""
    if os.path.isdir(path):
        return
    make_folders(os.path.dirname(path))
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o755)
        os.chmod(path, 0o755)


def take_space(handle: int, length: int) -> None:
    """Take the room for some bytes of an open file now, so that writing them never meets a full disk.

    Raises:
        OSError: there is none.
    """
    try:
        os.posix_fallocate(handle, 0, length)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOSYS):
            raise
        os.pwrite(handle, bytes(length), 0)


def take_lock(handle: int, flags: int, place: str) -> None:
    """Lock an open file.

    Raises:
        BlockingIOError: somebody else holds it.
        Refusal: the file system knows no locks.
    """
    try:
        fcntl.flock(handle, flags)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise Refusal(
            f"the file system of {place} knows no locks ({os.strerror(error.errno or 0)}), as Lustre without its mount "
            "option flock; wanted them, so that two runs do not write at once; mount it with that option, or set path "
            "to another disk"
        ) from None


def _is_at(handle: int, path: str) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(handle)
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


def exchange(one: str, other: str) -> bool:
    """Let two folders change places in one step; False where kernel or file system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), one)


def link(source: str, target: str) -> None:
    """Give a file a second name; a link stays a link, and where the disk knows no second names it is copied."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.lstat(source), os.lstat(target)):
            return
        os.unlink(target)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copy2(source, target, follow_symlinks=False)


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_FLUSH:
            raise
    finally:
        os.close(handle)


def _sync_folders(top: str) -> None:
    for folder, _folders, _names in os.walk(top):
        _sync_folder(folder)


def hash_file(path: str) -> Proof:
    """Return the hashes of a file."""
    buffer = memoryview(bytearray(BLOCK))
    with open(path, "rb", buffering=0) as file:
        proof = Proof(os.fstat(file.fileno()).st_size)
        while True:
            count = file.readinto(buffer)
            if not count:
                return proof
            proof.update(buffer[:count])


def copy_file(source: str, target: str, went: Callable[[int], None]) -> Proof:
    """Copy a file, hash what is copied, and flush it to the disk; `went` hears of each block and may raise."""
    buffer = memoryview(bytearray(BLOCK))
    with open(source, "rb", buffering=0) as file, open(target, "wb", buffering=0) as copy:
        proof = Proof(os.fstat(file.fileno()).st_size)
        while True:
            count = file.readinto(buffer)
            if not count:
                break
            proof.update(buffer[:count])
            copy.write(buffer[:count])
            went(count)
        os.fsync(copy.fileno())
    return proof


def check_weights(
    folder: str, files: Sequence[ModelFile], include: Sequence[str], exclude: Sequence[str], strict: bool
) -> None:
    """Refuse safetensors files that are damaged, or lack what the engine needs of what their index names.

    Raises:
        Refusal: with the file and what is wrong with it.
    """
    tensors = {}
    for file in files:
        if file.path.endswith(".safetensors"):
            head = read_head(os.path.join(folder, file.path), file.size, file.size)
            tensors[file.path] = check_safetensors(file.path, file.size, head)
    config = _json(os.path.join(folder, "config.json"))
    there = frozenset().union(*tensors.values())
    for file in files:
        if file.path.endswith(INDEX_ENDING):
            index = _json(os.path.join(folder, file.path))
            misplaced = misplaced_tensors(file.path, index, tensors, include, exclude)
            check_tensors(file.path, misplaced, there, config, strict)


def read_head(path: str, size: int, have: int) -> bytes:
    """Return the header of a safetensors file and what is before it, b'' where it is not among its first bytes.

    Args:
        path: the file.
        size: its bytes, once it is whole.
        have: how many of them are there.
    """
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as weights:
        head = weights.read(min(8, have))
        length = header_length(head, size)
        return head + weights.read(length - 8) if length <= have else b""
    return b""


def _json(path: str) -> object:
    try:
        return json.loads(pathlib.Path(path).read_bytes())
    except (ValueError, RecursionError, FileNotFoundError):
        return None
