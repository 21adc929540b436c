# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and changes the packages of a host that dnf manages: rpm's database, dnf, its plugin versionlock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core import host
from ..core.errors import Refusal
from ..system import files
from . import dnf, openpgp
from .plan import InstalledPackage, Repository

ARCHITECTURES: Mapping[str, str] = {}
KEYS = "/etc/pki/rpm-gpg"
SUFFIX = ""
NEEDED_TO_HOLD: tuple[str, ...] = ("python3-dnf-plugin-versionlock",)

LOCKS = "/etc/dnf/plugins/versionlock.list"
DNF = ("dnf", "-y", "--setopt=install_weak_deps=False")
WITHOUT_LOCKS = "--disableplugin=versionlock"
"""A lock of ours names the version that is about to change."""

WITHOUT_EXCLUDES = "--disableexcludes=all"
WITHOUT_BROKEN = "--setopt=*.skip_if_unavailable=1"
"""Somebody else's repository that is not reached is nothing to end with: the packages may be in others."""


def installed() -> dict[str, InstalledPackage]:
    """Return what rpm records, with dnf's version locks.

    Raises:
        Refusal: there is no rpm, or its database cannot be read.
    """
    answer = host.run(["rpm", "--query", "--all", "--queryformat", dnf.QUERY])
    if answer.rc != 0:
        raise Refusal(f"found no state of rpm ({answer.text}); wanted a host with rpm and dnf (RHEL 9 or 10)")
    return dnf.parse_query(answer.stdout, host.file_text(LOCKS))


def owns(path: str) -> bool:
    """Whether a package has brought a file."""
    return host.run(["rpm", "-qf", path]).rc == 0


def key_file(key: bytes) -> bytes:
    """Return a key as rpm reads it from a file."""
    return openpgp.armored(openpgp.dearmored(key))


def repository_file(name: str, repository: Repository, key: str, _arch: str) -> tuple[files.WantedFile | None, str]:
    """Return the repository's file; somebody else's of the same address may stand beside it."""
    text = dnf.repository_text(name, repository, key)
    return files.WantedFile(f"/etc/yum.repos.d/gpuchat-{name}.repo", text.encode(), 0o644), ""


def removed_with(names: Sequence[str]) -> tuple[str, ...]:
    """Return every package that goes when some are removed."""
    return (*names, *dnf.parse_erase_test(host.run(["rpm", "--erase", "--test", *names]).text))


def remove(names: Sequence[str]) -> None:
    host.must([*DNF, "--noautoremove", "remove", *names], timeout=1800)


def purge(names: Sequence[str]) -> None:
    """Remove packages; rpm knows no other removal, and keeps what somebody has changed under another name."""
    remove(names)


def chosen_since() -> set[str]:
    """Return nothing: what dnf keeps of its reasons is not asked for here."""
    return set()


def choose(names: Sequence[str], hints: Mapping[str, str]) -> tuple[str, ...]:
    """Refresh dnf's metadata, and return packages, each ``name`` or ``name=version``, as dnf writes them.

    Raises:
        Refusal: no repository has such a version.
    """
    chosen = tuple(map(dnf.specification, names))
    query = [WITHOUT_LOCKS, "repoquery", "--qf", "%{name}", *chosen]
    asked = host.run([*DNF, "-q", "--refresh", *query], timeout=1800)
    known = asked if asked.rc == 0 else host.run([*DNF, "-q", WITHOUT_BROKEN, *query], timeout=1800)
    missing = [name for name in names if name.partition("=")[0] not in known.stdout.split()]
    if missing:
        excluded = host.run([*DNF, "-q", WITHOUT_EXCLUDES, *query], timeout=1800).stdout.split()
        if all(name.partition("=")[0] in excluded for name in missing):
            raise Refusal(
                f"found that dnf is told to leave out {', '.join(missing)}; wanted to install it; take it out of "
                "exclude and excludepkgs in /etc/dnf/dnf.conf and /etc/yum.repos.d, and run again"
            )
        raise Refusal(
            f"found no {', '.join(missing)} in this host's repositories; wanted to install it; {_hint(missing, hints)}"
            + (f". dnf said:\n{asked.stderr.strip()}" if asked.stderr.strip() else "")
        )
    return chosen


def _hint(missing: Sequence[str], hints: Mapping[str, str]) -> str:
    if all(name.startswith("kernel") for name in missing):
        return hints["kernel"]
    pinned = [hints["version"]] if any("=" in name for name in missing) else []
    return "; ".join([*pinned, hints["repository"]])


def install(chosen: Sequence[str]) -> None:
    host.must([*DNF, WITHOUT_BROKEN, WITHOUT_LOCKS, "install", *chosen], timeout=3600)


def hold(names: Sequence[str]) -> None:
    unhold(names)
    host.must([*DNF, "versionlock", "add", *names])


def unhold(names: Sequence[str]) -> None:
    host.must([*DNF, "versionlock", "delete", *names])
