# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of one role as one unit: repository, key, versions, holds, conflicts."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .plan import Difference, Plan, Refusal


@dataclass(frozen=True)
class Repository:
    """An apt repository, written in the deb822 form."""

    url: str
    suite: str
    components: tuple[str, ...] = ()
    key_url: str = ""
    key_fingerprint: str = ""


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
    """A package as dpkg records it."""

    version: str
    held: bool = False


@dataclass(frozen=True)
class Act:
    """One act of the runner: mask (units), repository, remove, install, hold or unhold (packages)."""

    act: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Release:
    """A distribution's release, as /etc/os-release names it."""

    id: str
    version: str
    codename: str

    @classmethod
    def parse(cls, os_release: str) -> Release:
        """Read the text of /etc/os-release."""
        fields = dict(
            line.split("=", 1) for line in os_release.splitlines() if "=" in line and not line.startswith("#")
        )
        plain = {key: value.strip().strip("\"'") for key, value in fields.items()}
        return cls(plain.get("ID", ""), plain.get("VERSION_ID", ""), plain.get("VERSION_CODENAME", ""))

    @property
    def names(self) -> tuple[str, ...]:
        """The keys under which a table by release may hold this one, most exact first."""
        return (f"{self.id}-{self.version}", self.id, "default")

    def filled(self, text: str) -> str:
        """Put this release's words in the place of ``{id}`` and ``{codename}``."""
        return text.replace("{id}", self.id).replace("{codename}", self.codename)


def packages_for(
    release: Release, by_release: Mapping[str, Sequence[str]], refused: Mapping[str, str]
) -> tuple[WantedPackage, ...]:
    """Return the packages for a release.

    Raises:
        Refusal: the release is refused by the table (its text says why, and the cure), or stands nowhere in it.
    """
    for name in release.names:
        if name in refused:
            raise Refusal(f"found {release.id} {release.version}: {refused[name]}")
        if name in by_release:
            return tuple(map(WantedPackage.parse, by_release[name]))
    known = ", ".join(sorted(by_release))
    raise Refusal(
        f"found {release.id} {release.version}; wanted one of {known}; use one of these, or set the package names"
    )


def refuse_packages(installed: Mapping[str, InstalledPackage], refused: Mapping[str, str]) -> None:
    """Refuse a host that holds packages which ours would push out.

    Raises:
        Refusal: such a package is there; the text says why, and the cure.
    """
    for name, reason in refused.items():
        if name in installed:
            raise Refusal(f"found the package {name} {installed[name].version}: {reason}")


def parse_dpkg_status(text: str) -> dict[str, InstalledPackage]:
    """Read dpkg's own status file; only packages that are really installed are returned."""
    packages: dict[str, InstalledPackage] = {}
    for paragraph in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and not line.startswith(" ")
        )
        want, _flag, state = fields.get("Status", "").partition(" ")
        if state.endswith(" installed"):
            packages[fields["Package"]] = InstalledPackage(fields.get("Version", ""), want == "hold")
    return packages


def sources_text(repository: Repository, keyring: str) -> str:
    """Return the deb822 text of a repository."""
    lines = ["# Made by gpuchat.", "Types: deb", f"URIs: {repository.url}", f"Suites: {repository.suite}"]
    if repository.components:
        lines.append(f"Components: {' '.join(repository.components)}")
    if keyring:
        lines.append(f"Signed-By: {keyring}")
    return "\n".join(lines) + "\n"


def plan_packages(
    wanted: Sequence[WantedPackage],
    installed: Mapping[str, InstalledPackage],
    *,
    conflicts: Iterable[str] = (),
    hold: bool = False,
    present: bool = True,
    repository_changes: Sequence[Difference] = (),
    units_to_mask: Sequence[str] = (),
) -> Plan:
    """Decide what brings a role's packages into their wanted state.

    Args:
        wanted: the packages.
        installed: dpkg's state by package name.
        conflicts: packages that must not be there.
        hold: keep the packages at their version when the rest of the host is upgraded.
        repository_changes: how the repository's files differ.
        units_to_mask: systemd units that the packages would start and that are not masked yet.
    """
    names = [package.name for package in wanted]
    held = {name for name in names if name in installed and installed[name].held}
    acts: list[Act] = []
    shown: list[Difference] = list(repository_changes)
    if present:
        missing = [package for package in wanted if not package.is_met_by(installed.get(package.name))]
        unwanted = [name for name in conflicts if name in installed]
        to_hold = [name for name in names if hold and name not in held]
        to_unhold: list[str] = []  # a hold may be the administrator's own
    else:
        missing, to_hold, to_unhold = [], [], sorted(held)
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
        shown += [Difference(f"package {name}", "not held\n", "held\n") for name in to_hold]
    reason = "; ".join(f"{act.act} {', '.join(act.names)}" for act in acts) or "all packages are as wanted"
    return Plan(tuple(shown), tuple(acts), reason)


def _installed(package: WantedPackage, installed: Mapping[str, InstalledPackage]) -> Difference:
    there = installed.get(package.name)
    before = f"{there.version}\n" if there else ""
    return Difference(f"package {package.name}", before, f"{package.version or 'the newest there is'}\n")


def check_key(found: Sequence[str], wanted: str, url: str) -> None:
    """Refuse a key that is not the pinned one.

    Raises:
        Refusal: the key file holds another key than the wanted one, alone or beside it: apt would trust each of them.
    """
    if set(found) != {wanted.replace(" ", "").upper()}:
        raise Refusal(
            f"the key at {url} has the fingerprint {', '.join(found)}; wanted {wanted}; "
            "set key_fingerprint only after you have checked it with the repository's owner"
        )
