# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that reads or changes a host: files, commands, HTTP.

Everything here acts; what to do is decided by the pure modules beside it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .errors import CommandFailed

STATE_DIRECTORY = "/var/lib/gpuchat"
OS_RELEASES = ("/etc/os-release", "/usr/lib/os-release")
LINKS = 40
"""How many links may lead to one another, as the kernel has it."""

PLAIN_WORDS = {"LC_ALL": "C.UTF-8", "LANGUAGE": ""}
"""What programs say in English with: LANGUAGE, which Ubuntu sets, comes before C.UTF-8 up to glibc 2.38."""

LARGEST_ANSWER = 64 << 20
"""Bytes of an HTTP answer that is read whole: keys, listings and words of an API take far less."""


@dataclass(frozen=True)
class Output:
    """What a command left: exit status and texts."""

    rc: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Both streams, for an error message."""
        return "\n".join(part.strip() for part in (self.stdout, self.stderr) if part.strip())


@dataclass(frozen=True)
class FileState:
    """A file or folder as it is on the host; ``content`` is None for a folder."""

    content: bytes | None
    mode: int
    uid: int
    gid: int


def run(command: Sequence[str], timeout: float = 600, environment: Mapping[str, str] | None = None) -> Output:
    """Run a command without a shell and return what it left, whatever its exit status.

    A missing program counts as exit status 127, one that cannot be run as 126, a timeout (seconds) as 124, as a shell
    would have it.
    """
    env = {**os.environ, **PLAIN_WORDS, **(environment or {})}
    try:
        done = subprocess.run(
            list(command), capture_output=True, timeout=timeout, env=env, stdin=subprocess.DEVNULL, check=False
        )
    except FileNotFoundError:
        return Output(127, "", f"{command[0]}: not found")
    except OSError as error:  # no right to run it (noexec), or made for another machine
        return Output(126, "", f"{command[0]}: {error.strerror}")
    except subprocess.TimeoutExpired as expired:
        said = (expired.stdout or b"") + (expired.stderr or b"")
        return Output(124, said.decode(errors="replace"), f"no end after {timeout} s")
    return Output(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def must(command: Sequence[str], timeout: float = 600, environment: Mapping[str, str] | None = None) -> Output:
    """Run a command that has to succeed.

    Raises:
        CommandFailed: the exit status was not 0.
    """
    output = run(command, timeout, environment)
    if output.rc != 0:
        raise CommandFailed(f"`{' '.join(command)}` ended with status {output.rc}:\n{output.text}")
    return output


@contextlib.contextmanager
def lines(command: Sequence[str]) -> Iterator[Iterator[str]]:
    """Yield a command's output line by line, for what is too much to hold; it ends with the reader at the latest."""
    try:
        process = subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **PLAIN_WORDS},
        )
    except OSError:
        yield iter(())
        return
    with process:
        try:
            yield (line.decode(errors="replace").rstrip("\n") for line in process.stdout or ())
        finally:
            process.kill()


def program(name: str) -> str | None:
    """Return the path of a program, also when the caller's PATH lacks the sbin folders."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    return shutil.which(name, path=path)


def behind(path: str) -> str | None:
    """Return what a path stands for once links that root or we ourselves own are followed; None for another's link.

    Who may write to a folder can put a link to anything there, and we would read or change that with our rights.
    """
    for _link in range(LINKS):
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return path
        if not stat.S_ISLNK(status.st_mode):
            return path
        if status.st_uid not in (0, os.geteuid()):
            return None
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def file_state(path: str, read: bool = True) -> FileState | None:
    """Return a file or folder as it is, or None where there is none.

    A link of somebody else is not followed, and what is no regular file is not read: each is as an empty file.
    """
    place = behind(path)
    try:
        status = os.lstat(path if place is None else place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    content: bytes | None = None
    if read and not stat.S_ISDIR(status.st_mode):
        content = _read_regular(place) if place is not None and stat.S_ISREG(status.st_mode) else b""
    return FileState(content, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def _read_regular(path: str) -> bytes:
    """Read a file that was a regular one a moment ago; what has come there since is neither followed nor waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        return file.read() if stat.S_ISREG(os.fstat(handle).st_mode) else b""


def file_bytes(path: str) -> bytes:
    """Return what a file holds by `file_state`, nothing where there is none."""
    state = file_state(path)
    return (state and state.content) or b""


def file_text(path: str) -> str:
    """Return a file's text by `file_state`, empty where there is none; what is no UTF-8 is replaced."""
    return file_bytes(path).decode(errors="replace")


def os_release() -> str:
    """Return the text of os-release(5), empty where there is none."""
    return next(filter(None, map(file_text, OS_RELEASES)), "")


def names_in(folder: str, ending: str = "") -> list[str]:
    """Return the names in a folder in their order, none where there is no folder; with an ending, those before it."""
    try:
        found = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name[: len(name) - len(ending)] for name in found if name.endswith(ending)]


def remove_file(path: str) -> None:
    """Remove a file or link, where there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_tree(path: str) -> None:
    """Remove a folder with all that is in it, or a file, where there is one; of a link the link alone."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        remove_file(path)


def write_atomically(path: str, content: bytes, mode: int, uid: int = -1, gid: int = -1) -> None:
    """Replace a file so that a reader sees the whole old or the whole new one, also after a power cut.

    An id of -1 leaves the file to whoever runs this.
    """
    stage(path, content, mode, uid, gid).commit()


@dataclass(frozen=True)
class Staged:
    """A file that waits beside its destination."""

    temporary: str
    destination: str

    def commit(self) -> None:
        try:
            os.replace(self.temporary, self.destination)
        except OSError:
            self.discard()
            raise
        _sync_folder(os.path.dirname(self.destination))

    def discard(self) -> None:
        remove_file(self.temporary)


def stage(path: str, content: bytes, mode: int, uid: int, gid: int) -> Staged:
    """Write a file beside its destination, with its final owner and mode, and flush it to the disk."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".gpuchat-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(temporary)
        raise
    return Staged(temporary, path)


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: str) -> dict[str, object]:
    """Return a JSON object from a file of ours; a missing or damaged one counts as empty."""
    try:
        value = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: str, value: Mapping[str, object], mode: int = 0o600) -> None:
    """Write a JSON object of ours atomically, for root alone."""
    write_atomically(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode(), mode)


@dataclass(frozen=True)
class Response:
    """An HTTP answer; ``status`` is 0 when none came, and ``error`` says why."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    error: str = ""

    def json(self) -> object:
        """Return the body as data, or None where it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):  # whoever answers may nest as deep as it likes
            return None


def http(
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 10,
    direct: bool = False,
    redirects: bool = True,
    authority: str = "",
) -> Response:
    """Make one HTTP request, past any proxy where `direct`; the answer's header names are in lower case.

    A certificate has to come from one of the system's authorities, or from those of `authority` alone (PEM).

    A server behind a Unix socket has the address ``unix://%2Fpath%2Fto.sock/path``. What answers may be anybody: its
    body has to come whole within the timeout (seconds) after its headers, and to be no larger than LARGEST_ANSWER.
    """
    from . import web_runner  # noqa: PLC0415 - most modules ask nobody, and it loads a lot

    return web_runner.http(url, method, headers, body, timeout, direct, redirects, authority)


def http_lines(
    url: str, headers: Mapping[str, str], body: bytes, timeout: float
) -> contextlib.AbstractContextManager[Iterator[tuple[float, str]]]:
    """Yield a streamed answer's lines, asked for past any proxy, each with its monotonic time of arrival (seconds)."""
    from . import web_runner  # noqa: PLC0415 - as above

    return web_runner.http_lines(url, headers, body, timeout)


def wait_for(condition: Callable[[], str | None], timeout: float, interval: float = 0.5) -> str | None:
    """Ask until the condition returns None (nothing is missing) or the time (seconds) is over.

    Returns None, or the last word on what was still missing.
    """
    end = time.monotonic() + timeout
    while True:
        missing = condition()
        if missing is None or time.monotonic() >= end:
            return missing
        time.sleep(interval)
