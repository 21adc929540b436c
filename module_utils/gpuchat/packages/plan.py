# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of one role as one unit: repository, key, versions, holds, conflicts.

What apt and dnf share; how each writes a repository and reports its state stands in ``apt`` and ``dnf``.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

from ..core.change import Difference, Plan
from ..core.errors import Refusal
from ..system.release import Release

HINTS = {
    "release": "use one of these",
    "version": "set packages to a version that the repository has",
    "repository": "look at this host's network and its list of repositories (/etc/apt, /etc/yum.repos.d)",
    "key": "set key_url to an address that this host reaches",
    "fingerprint": "set key_fingerprint only after you have checked it with the repository's owner",
    "kernel": "upgrade the kernel, restart the host and run again",
}
"""What to do about a refusal, where nobody says it in the inventory's own words."""


@dataclass(frozen=True)
class Repository:
    """A repository.

    Attributes:
        url: where it is; what apt calls URI, and dnf the base address.
        suite: apt's suite, or a path that ends in a slash.
        components: apt's components.
        key_url: where its signing key is, empty for none.
        key_fingerprint: the fingerprint of that key's primary key.
        signed: what of a dnf repository is signed, ``packages``, ``metadata`` or ``both``; apt's metadata always is.
    """

    url: str
    suite: str = ""
    components: tuple[str, ...] = ()
    key_url: str = ""
    key_fingerprint: str = ""
    signed: str = "packages"


@dataclass(frozen=True)
class WantedPackage:
    """A package; ``version`` is a shell pattern, empty for any."""

    name: str
    version: str = ""

    @classmethod
    def parse(cls, text: str) -> WantedPackage:
        """Read ``name`` or ``name=version``."""
        name, _equals, version = text.partition("=")
        return cls(name.strip(), version.strip())

    def is_met_by(self, installed: InstalledPackage | None) -> bool:
        return installed is not None and (not self.version or fnmatch.fnmatchcase(installed.version, self.version))

    def __str__(self) -> str:
        return f"{self.name}={self.version}" if self.version else self.name


@dataclass(frozen=True)
class InstalledPackage:
    """A package as dpkg or rpm records it; the version is ``[epoch:]version-release``."""

    version: str
    held: bool = False


@dataclass(frozen=True)
class Act:
    """One act of the runner: mask (units), repository, remove, install, hold or unhold (packages)."""

    act: str
    names: tuple[str, ...]


RESIDUE = ("/var/www/html/index.nginx-debian.html", "/var/www/html", "/var/www")
"""What packages make when they are installed and leave when they are purged, files before their folders."""


@dataclass(frozen=True)
class Ours:
    """What runs have done to a host's packages for a role, as it is kept there.

    Attributes:
        held: packages that they hold.
        installed: packages that were not there before, with those that came along.
        asked: those of them that a role names.
        masked: units that were not masked before.
        made_way: somebody else's packages that were removed, as ``name=version``.
        users: accounts that came with the packages.
        groups: groups that came with them.
        made: of RESIDUE what their installation has made.
    """

    held: tuple[str, ...] = ()
    installed: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    made_way: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    made: tuple[str, ...] = ()

    @classmethod
    def read(cls, kept: Mapping[str, object]) -> Ours:
        """Read what is kept; what is not named there is empty."""
        lists = {one.name: kept.get(one.name) for one in fields(cls)}
        return cls(**{name: tuple(map(str, found)) for name, found in lists.items() if isinstance(found, list)})

    def as_json(self) -> dict[str, object]:
        """Return what is to be kept."""
        return {name: list(found) for name, found in asdict(self).items() if found}

    def more(self, **names: Collection[str]) -> Ours:
        """Return it with further names."""
        return replace(self, **{key: tuple(sorted({*getattr(self, key), *new})) for key, new in names.items()})

    def less(self, **names: Collection[str]) -> Ours:
        """Return it without some names."""
        return replace(
            self, **{key: tuple(o for o in getattr(self, key) if o not in old) for key, old in names.items()}
        )


def leaving(
    ours: Collection[str], taken_along: Mapping[str, Collection[str]]
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return which packages of ours can go, and for each other one the packages that need it.

    Args:
        ours: packages that are there because of us.
        taken_along: for each of them, what would go with it.
    """
    needed = {name: tuple(sorted(set(taken_along.get(name, ())) - set(ours))) for name in sorted(ours)}
    return tuple(name for name, by in needed.items() if not by), {name: by for name, by in needed.items() if by}


def packages_for(
    release: Release,
    by_release: Mapping[str, Sequence[str]],
    refused: Mapping[str, str],
    arch: str = "",
    hint: str = HINTS["release"],
) -> tuple[WantedPackage, ...]:
    """Return the packages for a release, their names filled with its words.

    Raises:
        Refusal: the release is refused by the table (its text says why, and the fix), or stands nowhere in it.
    """
    for name in release.names:
        if name in refused:
            raise Refusal(f"found {release.id} {release.version}: {refused[name]}")
        if name in by_release:
            return tuple(WantedPackage.parse(release.filled(text, arch)) for text in by_release[name])
    raise Refusal(f"found {release.id} {release.version}; wanted one of {', '.join(sorted(by_release))}; {hint}")


def kernel_packages(by_module: Mapping[str, str], known: str, running: str, machine: str) -> tuple[WantedPackage, ...]:
    """Return the packages that bring modules which a kernel lacks.

    Args:
        by_module: the package of each module, where ``{variant}`` and ``{kernel}`` stand for the kernel's own words.
        known: the names of the modules that are there or built in; empty where the kernel's folder is not seen, as in
            a container.
        running: that kernel's release, for instance ``6.12.0-55.9.1.el10_0.x86_64+rt``.
    """
    there = set(re.findall(r"([\w-]+)\.ko", known))
    if not there:
        return ()
    version, _machine, variant = running.partition(f".{machine}")
    words = {"kernel": version, "variant": variant.replace("+", "-")}
    missing = [package for module, package in by_module.items() if module not in there]
    return tuple(dict.fromkeys(WantedPackage.parse(package.format(**words)) for package in missing))


def newer_kernels(running: str, there: Iterable[str]) -> tuple[str, ...]:
    """Return the kernels that are newer than the running one, by the numbers of their releases."""
    numbers = {one: [int(part) for part in re.findall(r"\d{1,9}", one)] for one in (running, *there)}
    return tuple(sorted((one for one in there if numbers[one] > numbers[running]), key=lambda one: numbers[one]))


def refuse_packages(installed: Mapping[str, InstalledPackage], refused: Mapping[str, str]) -> None:
    """Refuse a host that holds packages which ours would push out.

    Args:
        installed: the packages that are there.
        refused: the reason by name, where names joined by + are meant together, and each may be a shell pattern.

    Raises:
        Refusal: such a package is there; the text says why, and the fix.
    """
    for names, reason in refused.items():
        found = [min(fnmatch.filter(installed, name), default="") for name in names.split("+")]
        if all(found):
            named = " and ".join(f"{name} {installed[name].version}" for name in found)
            raise Refusal(f"found the package{'s' if len(found) > 1 else ''} {named}: {reason}")


def refuse_collateral(taken: Iterable[str], named: Collection[str]) -> None:
    """Refuse a removal that would take somebody else's packages along.

    Args:
        taken: every package that would go.
        named: those that are meant to go.

    Raises:
        Refusal: there are more; they may serve something that nobody has asked us to end.
    """
    others = sorted(set(taken) - set(named))
    if others:
        raise Refusal(
            f"found that removing {', '.join(named)} would take {', '.join(others)} along; wanted to remove nothing "
            f"that was not named; remove {', '.join(others)} yourself if nobody needs it, and run again"
        )


def plan_packages(
    wanted: Sequence[WantedPackage],
    installed: Mapping[str, InstalledPackage],
    *,
    unheld: Sequence[WantedPackage] = (),
    conflicts: Iterable[str] = (),
    hold: bool = False,
    needed_to_hold: Sequence[str] = (),
    present: bool = True,
    own_holds: Collection[str] = (),
    repository_changes: Sequence[Difference] = (),
    units_to_mask: Sequence[str] = (),
) -> Plan:
    """Decide what brings a role's packages into their wanted state.

    Args:
        wanted: the packages.
        installed: the state of dpkg or rpm by package name.
        unheld: further packages, which are missing and never held.
        conflicts: packages that must not be there.
        hold: keep the packages at their version when the rest of the host is upgraded.
        needed_to_hold: packages without which nothing can be held.
        own_holds: what an earlier run has held; any other hold is the administrator's own and stays.
        repository_changes: how the repository's files differ.
        units_to_mask: systemd units that the packages would start and that are not masked yet.
    """
    names = [package.name for package in wanted]
    held = {name for name, package in installed.items() if package.held}
    acts: list[Act] = []
    shown: list[Difference] = list(repository_changes)
    if present:
        missing = [package for package in wanted if not package.is_met_by(installed.get(package.name))]
        missing += unheld
        missing += [WantedPackage(name) for name in needed_to_hold if hold and names and name not in installed]
        unwanted = [name for name in conflicts if name in installed]
        # A lock of dnf's names the version, so a package that changes is locked anew.
        changing = {package.name for package in missing}
        to_hold = [name for name in names if hold and (name not in held or name in changing)]
        to_unhold = sorted(held & set(own_holds) - set(names if hold else ()))
    else:
        missing, to_hold, to_unhold = [], [], sorted(held & set(names))
        unwanted = [name for name in names if name in installed]
    if units_to_mask:
        acts.append(Act("mask", tuple(units_to_mask)))
        shown += [Difference(f"unit {unit}", "not masked\n", "masked\n") for unit in units_to_mask]
    if repository_changes:
        acts.append(Act("repository", tuple(change.name for change in repository_changes)))
    if to_unhold:
        acts.append(Act("unhold", tuple(to_unhold)))
        shown += [Difference(f"package {name}", "held\n", "not held\n") for name in to_unhold]
    if unwanted:
        acts.append(Act("remove", tuple(unwanted)))
        shown += [Difference(f"package {name}", f"{installed[name].version}\n", "") for name in unwanted]
    if missing:
        acts.append(Act("install", tuple(map(str, missing))))
        shown += [_installed(package, installed) for package in missing]
    if to_hold:
        acts.append(Act("hold", tuple(to_hold)))
        shown += [Difference(f"package {name}", "not held\n", "held\n") for name in to_hold if name not in held]
    reason = "; ".join(f"{act.act} {', '.join(act.names)}" for act in acts) or "all packages are as wanted"
    return Plan(tuple(shown), tuple(acts), reason)


def _installed(package: WantedPackage, installed: Mapping[str, InstalledPackage]) -> Difference:
    there = installed.get(package.name)
    before = f"{there.version}\n" if there else ""
    return Difference(f"package {package.name}", before, f"{package.version or 'the newest there is'}\n")


def is_unfetched(said: str) -> bool:
    """Tell by the words of apt or dnf whether they failed because packages did not come from their repository."""
    return UNFETCHED.search(said) is not None


UNFETCHED = re.compile(
    r"^E: (?:Failed to fetch|Unable to fetch)|Error downloading packages|Cannot download", re.MULTILINE
)


def check_key(found: Sequence[str], wanted: str, url: str, hint: str = HINTS["fingerprint"]) -> None:
    """Refuse a key that is not the pinned one.

    Raises:
        Refusal: the file holds another key than the wanted one, alone or beside it: each of them would be trusted.
    """
    if set(found) != {wanted.replace(" ", "").upper()}:
        raise Refusal(f"the key at {url} has the fingerprint {', '.join(found)}; wanted {wanted}; {hint}")
