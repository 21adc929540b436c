# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rpm and dnf say and read: installed packages, version locks, a tried removal, a repository file."""

from __future__ import annotations

import re

from .plan import InstalledPackage, Repository, WantedPackage

QUERY = r"%{NAME}\t%{EVR}\t%{INSTALLTIME}\n"
"""What ``rpm --query --all --queryformat`` is asked for; rpm's database has no form that can be read as text."""

LOCK = re.compile(r"^(?P<name>[^!#\s].*)-(\d+:)?[^-:\s]+-[^-\s]+$", re.MULTILINE)
ROW = re.compile(r"^([^\s]+)\t([^\t\n]*)\t([0-9]{1,18})$", re.MULTILINE)
ZERO_EPOCH = re.compile("^0:")
NEEDED_BY = re.compile(r" is needed by \(installed\) (\S+)-(?:\d+:)?[^-\s]+-[^-\s]+$", re.MULTILINE)


def parse_query(text: str, locks: str) -> dict[str, InstalledPackage]:
    """Read the answer to ``QUERY``; of a package that is installed several times, the one that came last counts.

    An epoch of 0 is left out, as where a package names none: rpm takes the two for equal.

    Args:
        text: rpm's answer.
        locks: the text of dnf's versionlock.list; each line of its own is ``name-epoch:version-release.*``.
    """
    locked = {match["name"] for match in LOCK.finditer(locks)}
    newest: dict[str, tuple[int, str]] = {}
    for name, version, time in ROW.findall(text):  # rpm says of its locks and plug-ins in lines between
        newest[name] = max(newest.get(name, (0, "")), (int(time), ZERO_EPOCH.sub("", version)))
    return {name: InstalledPackage(version, name in locked) for name, (_time, version) in newest.items()}


def parse_erase_test(text: str) -> tuple[str, ...]:
    """Return the packages that keep ``rpm --erase --test`` from removing others, because they need them."""
    return tuple(dict.fromkeys(NEEDED_BY.findall(text)))


def specification(text: str) -> str:
    """Return ``name=version`` as dnf writes it, ``name-version``.

    Dnf reads a pattern anywhere but in the epoch, and any epoch where none is named.
    """
    package = WantedPackage.parse(text)
    epoch, colon, version = package.version.rpartition(":")
    if colon and epoch.isdigit():
        version = package.version
    return f"{package.name}-{version}" if version else package.name


def repository_text(name: str, repository: Repository, key: str) -> str:
    """Return the text of a repository file (dnf.conf(5))."""
    lines = [
        "# Made by gpuchat.",
        f"[gpuchat-{name}]",
        f"name=gpuchat-{name}",
        f"baseurl={repository.url}",
        "enabled=1",
        f"gpgcheck={int(repository.signed in ('packages', 'both'))}",
        f"repo_gpgcheck={int(repository.signed in ('metadata', 'both'))}",
    ]
    if key:
        lines.append(f"gpgkey=file://{key}")
    return "\n".join(lines) + "\n"
