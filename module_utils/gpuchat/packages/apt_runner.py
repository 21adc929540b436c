# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and changes the packages of a host that apt manages: dpkg's own state file, apt-get, apt-mark."""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence

from ..core import host
from ..core.errors import CommandFailed, Refusal
from ..system import files
from . import apt, openpgp
from .plan import InstalledPackage, Repository, is_unfetched

ARCHITECTURES: Mapping[str, str] = apt.ARCHITECTURES
KEYS = "/etc/apt/keyrings"
SUFFIX = ".gpg"
NEEDED_TO_HOLD: tuple[str, ...] = ()

STATUS = "/var/lib/dpkg/status"
SOURCES_LIST = "/etc/apt/sources.list"
SOURCES = "/etc/apt/sources.list.d"
TRUSTED = "/etc/apt/trusted"
LOCK_SECONDS, LOCK_PAUSE = 600, 5
APT_GET = ("apt-get", "-q", "-y", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", "-o", "Dpkg::Options::=--force-confold")
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "a"}


def installed() -> dict[str, InstalledPackage]:
    """Return what dpkg records.

    Raises:
        Refusal: dpkg has no state here.
    """
    status = host.file_state(STATUS)
    if status is None or status.content is None:
        raise Refusal(f"found no {STATUS}; wanted a host with dpkg and apt (Debian, Ubuntu)")
    return apt.parse_dpkg_status(status.content.decode(errors="replace"))


def owns(path: str) -> bool:
    """Whether a package has brought a file; where /bin is a link, dpkg may know the file by either name."""
    return any(host.run(["dpkg", "--search", one]).rc == 0 for one in (path, path.removeprefix("/usr")))


def key_file(key: bytes) -> bytes:
    """Return a key as apt reads it from a file of this ``SUFFIX``."""
    return openpgp.dearmored(key)


def repository_file(name: str, repository: Repository, key: str, arch: str) -> tuple[files.WantedFile | None, str]:
    """Return the repository's file, or None where somebody else's serves: apt refuses two with different keys.

    With it comes why nothing can be installed from there, empty where it can.
    """
    path = f"{SOURCES}/gpuchat-{name}.sources"
    standing = apt.standing(_sources(path, arch), repository, arch)
    by = standing.by
    wrong = [fault for fault in map(_wrong_with, by.keyrings) if fault] if by else []
    if by and wrong and len(wrong) == len(by.keyrings):
        what, cure = wrong[0]
        complaint = (
            f"found {by.file}, whose list of {by.url} wants a key in {', '.join(by.keyrings)}, {what}; "
            f"wanted the key by which apt trusts the repository; {cure} or remove that file, and run again"
        )
        return None, complaint
    fingerprint = repository.key_fingerprint.replace(" ", "").upper()
    # A source that names no key may stand beside ours, which brings it.
    keyless = by and not by.signed_by and not by.trusted and fingerprint and fingerprint not in _trusted()
    if standing.served and not keyless:
        return None, standing.complaint
    return files.WantedFile(path, apt.sources_text(repository, key).encode(), 0o644), ""


def _wrong_with(keyring: str) -> tuple[str, str] | None:
    """Return what is wrong with somebody else's keyring, and what to do, or None."""
    try:
        mode = os.stat(keyring).st_mode
        openpgp.fingerprints(pathlib.Path(keyring).read_bytes())
    except (OSError, Refusal) as error:
        return "which is not there" if isinstance(error, OSError) else "which holds no key", "put it there"
    return None if mode & 0o004 else ("which apt's own user may not read", f"run `chmod a+r {keyring}`")


def _sources(own: str, arch: str) -> list[apt.Source]:
    return [source for file, text in _listed(own) for source in apt.parse_sources(file, text, arch)]


def _listed(own: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each file in which apt finds sources, but for our own."""
    for path in [pathlib.Path(SOURCES_LIST), *sorted(pathlib.Path(SOURCES).glob("*"))]:
        if path.suffix in (".list", ".sources") and path != pathlib.Path(own) and path.is_file():
            yield str(path), path.read_text("utf-8", errors="replace")


def _trusted() -> set[str]:
    """Return the fingerprints of the keys by which apt trusts any source."""
    found: set[str] = set()
    for path in [pathlib.Path(f"{TRUSTED}.gpg"), *pathlib.Path(f"{TRUSTED}.gpg.d").glob("*")]:
        with contextlib.suppress(OSError, Refusal):
            found.update(openpgp.fingerprints(path.read_bytes()))
    return found


def removed_with(names: Sequence[str]) -> tuple[str, ...]:
    """Return every package that goes when some are removed."""
    return apt.parse_simulation(host.run(["apt-get", "-q", "--simulate", "remove", *names]).stdout)


def remove(names: Sequence[str]) -> None:
    _apt_get(["remove", *names], timeout=1800)


def purge(names: Sequence[str]) -> None:
    """Remove packages with their configuration, or the configuration of those that are removed already."""
    _apt_get(["purge", *names], timeout=1800)


def chosen_since() -> set[str]:
    """Return what apt takes for asked for by name."""
    return set(host.run(["apt-mark", "showmanual"]).stdout.split())


def choose(names: Sequence[str], hints: Mapping[str, str]) -> tuple[str, ...]:
    """Refresh apt's lists, and return packages, each ``name`` or ``name=version``, with the versions that there are.

    A refresh that fails for a repository which somebody else lists is nothing to end with: the packages may be there.

    Raises:
        Refusal: no repository has such a package or version; the text holds what apt said of its repositories.
    """
    said = _refresh()
    missing = [name for name in names if "=" not in name and host.run(["apt-cache", "show", name]).rc != 0]
    if missing:
        raise Refusal(
            f"found no {', '.join(missing)} in this host's repositories; wanted to install it; {hints['repository']}"
            + (f". apt-get update said:{said}" if said else "")
        )
    barred = [
        name for name in names if "=" not in name and apt.is_barred(host.run(["apt-cache", "policy", name]).stdout)
    ]
    if barred:
        raise Refusal(
            f"found a pin by which apt may take {', '.join(barred)} from nowhere; wanted to install it; look at "
            f"`apt-cache policy {barred[0]}`, take that pin out of /etc/apt/preferences.d, and run again"
        )
    hint = f"{hints['version']}; {hints['repository']}. apt-get update said:{said}" if said else hints["version"]
    return tuple(_exact(name, hint) if "=" in name else name for name in names)


def _refresh() -> str:
    """Refresh apt's lists, and return what apt says against them, each on a line of its own."""
    arch = os.uname().machine
    refreshed = _unlocked([*APT_GET, "update"], timeout=1800)
    warned = apt.warnings(refreshed.text, _sources("", apt.ARCHITECTURES.get(arch, arch)))
    return "".join(f"\n{line}" for line in warned)


def _exact(name: str, hint: str) -> str:
    listed = host.run(["apt-cache", "madison", name.partition("=")[0]]).stdout
    return apt.specification(name, apt.parse_madison(listed), hint)


def install(chosen: Sequence[str]) -> None:
    """Install packages.

    Raises:
        CommandFailed: it failed; where packages did not come, the text holds why apt's lists may be of yesterday.
    """
    flags = ["--no-remove", "--no-install-recommends", "--allow-downgrades", "--allow-change-held-packages"]
    try:
        _apt_get(["install", *flags, *chosen], timeout=3600)
    except CommandFailed as failed:
        said = _refresh() if is_unfetched(str(failed)) else ""
        if not said:
            raise
        raise CommandFailed(f"{failed}\napt-get update said:{said}") from None


def _apt_get(words: Sequence[str], timeout: float) -> None:
    _must([*APT_GET, *words], timeout)


def _must(command: Sequence[str], timeout: float) -> None:
    """Run a command of apt's.

    Raises:
        CommandFailed: it failed, or a lock was held for too long.
    """
    output = _unlocked(command, timeout)
    if output.rc != 0:
        raise CommandFailed(f"`{' '.join(command)}` ended with status {output.rc}:\n{output.text}")


def _unlocked(command: Sequence[str], timeout: float) -> host.Output:
    """Run a command of apt's, and wait while somebody else holds a lock, as a cloud host's first upgrade does.

    Raises:
        CommandFailed: the lock was held for too long; apt says by which process.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        output = host.run(command, timeout, ENVIRONMENT)
        if output.rc == 0 or not apt.is_locked(output.text):
            return output
        if time.monotonic() >= deadline:
            raise CommandFailed(
                f"found that somebody has held apt's lock for {LOCK_SECONDS // 60} minutes; wanted it free; wait for "
                f"that process or stop it, and run again. {command[0]} said:\n{output.text.strip()}"
            )
        time.sleep(LOCK_PAUSE)


def hold(names: Sequence[str]) -> None:
    _must(["apt-mark", "hold", *names], timeout=600)


def unhold(names: Sequence[str]) -> None:
    _must(["apt-mark", "unhold", *names], timeout=600)
