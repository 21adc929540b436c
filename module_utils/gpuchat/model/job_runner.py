# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that outlives one call of a module, so that the next call can report how far it is.

The action plugin makes the same call again and again, with one job's name. The first call starts the work in a process
of its own, and each waits a while for its end: it returns the result, or where the work stands. The work stops by
itself when nobody has called for a while: the control node is gone, and a person who stopped a run wants it stopped.
A signal cannot be counted on: when ssh dies, what it had started on the host lives on.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import select
import time
import traceback
from collections.abc import Callable, Mapping

from ..core import host, network_runner
from ..core.errors import Refusal
from .store_runner import make_own_folder, take_lock, take_space
from .transfer import Progress

FORSAKEN_SECONDS = 30.0
"""How long nobody may have called before the work stops; well above what lies between two calls."""

OLD_SECONDS = 600.0
"""How long the result of such a work is kept."""

ROOM = 64 << 10
"""Bytes that are taken for the result beforehand: what ends with a full disk has to be able to say so."""

Report = Callable[[Progress], None]
Result = dict[str, object]


class Job:
    """Some work under a name, and the files through which its calls know of it."""

    def __init__(self, folder: str, name: str) -> None:
        """Look at a job; its files are in `folder`, which is for us alone."""
        self._folder = folder
        self._base = os.path.join(folder, f"job-{name}")
        self._fed, self._fed_at = 0, 0.0

    def exists(self) -> bool:
        """Whether it was started, and nobody has its result yet."""
        return os.path.exists(f"{self._base}.lock")

    def run(self, work: Callable[[Report], Result], patience: float) -> Result:
        """Start the work unless it goes on already, and wait for its end for some seconds.

        Returns its result, or `running` and where it stands.

        Raises:
            Refusal: the work ended with one, or without a word.
        """
        make_own_folder(self._folder)
        forget_old(self._folder)
        self._feed()
        if not self.exists():
            self._start(work)
        end = time.monotonic() + patience
        wait = 0.02
        while time.monotonic() < end:
            over = self._is_over()
            result = self._result()
            if result is not None:
                self._remove()
                return result
            if over:
                self._remove()
                raise Refusal(
                    "the transfer ended without a word; what is there stays; run again, and it goes on from there"
                )
            if nobody_listens():
                break
            self._feed()
            time.sleep(wait)
            wait = min(1.0, wait * 1.3)
        return {"changed": False, "running": True, "progress": host.read_json(f"{self._base}.progress")}

    def _start(self, work: Callable[[Report], Result]) -> None:
        handle = os.open(f"{self._base}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            take_lock(handle, fcntl.LOCK_EX, self._folder)  # the child's too: it ends with the child, however that ends
            with open(f"{self._base}.result.new", "wb") as result:
                take_space(result.fileno(), ROOM)
        except (Refusal, OSError):
            os.close(handle)
            self._remove()
            raise
        if os.fork():
            os.close(handle)
            network_runner.leave_to_child()
            return
        try:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for standard in (0, 1, 2):
                os.dup2(nothing, standard)
            outcome = self._outcome(work)
            try:
                self._write("result", outcome)
            except OSError as error:
                self._write(
                    "result", {"refused": f"found {os.strerror(error.errno or 0)!r} as all was done; run again"}
                )
            network_runner.forget()
        finally:
            os._exit(0)

    def _outcome(self, work: Callable[[Report], Result]) -> Result:
        try:
            return work(self._report)
        except Refusal as refusal:
            return {"refused": str(refusal)}
        except Exception:  # noqa: BLE001 - whatever it is, the caller wants to know
            return {"refused": f"the transfer failed:\n{traceback.format_exc(limit=-4)}"}

    def _report(self, progress: Progress) -> None:
        self._write("progress", progress.as_json())
        fed, now = self._fed, time.monotonic()
        with contextlib.suppress(FileNotFoundError):
            fed = os.stat(f"{self._base}.fed").st_mtime_ns
        if fed != self._fed:  # by our own clock: a file server's may differ, and the host's may be set meanwhile
            self._fed, self._fed_at = fed, now
        if now - self._fed_at > FORSAKEN_SECONDS:
            raise Refusal("nobody asked for the transfer any more; what is there stays for the next run")

    def _write(self, ending: str, value: Mapping[str, object]) -> None:
        handle = os.open(f"{self._base}.{ending}.new", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(handle, "wb") as file:  # into the room that is taken, where it is
            file.write(json.dumps(value).encode())
            file.truncate()
        os.replace(f"{self._base}.{ending}.new", f"{self._base}.{ending}")

    def _result(self) -> Result | None:
        result = host.read_json(f"{self._base}.result")
        if "refused" in result:
            self._remove()
            raise Refusal(str(result["refused"]))
        return result or None

    def _is_over(self) -> bool:
        try:
            handle = os.open(f"{self._base}.lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(handle)
        return True

    def _feed(self) -> None:
        pathlib.Path(f"{self._base}.fed").touch(mode=0o600)

    def _remove(self) -> None:
        for ending in ("lock", "fed", "progress", "progress.new", "result", "result.new"):
            host.remove_file(f"{self._base}.{ending}")
        with contextlib.suppress(OSError):
            os.rmdir(self._folder)


def forget_old(folder: str) -> None:
    """Remove what jobs left whose control node never came back; those at work are fed."""
    names = {entry.name.partition(".")[0] for entry in os.scandir(folder) if entry.name.startswith("job-")}
    for name in names:
        mine = [entry for entry in os.scandir(folder) if entry.name.partition(".")[0] == name]
        with contextlib.suppress(FileNotFoundError):
            if time.time() - max(entry.stat().st_mtime for entry in mine) > OLD_SECONDS:
                for entry in mine:
                    os.unlink(entry.path)


def nobody_listens() -> bool:
    """Whether the reader of our output is gone, as after Ctrl-C on the control node."""
    poll = select.poll()
    try:
        poll.register(1, 0)  # a broken pipe is always reported
        return bool(poll.poll(0))
    except OSError:
        return False
