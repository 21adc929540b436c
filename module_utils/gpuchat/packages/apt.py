# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpkg and apt say and read: the status file, versions, a simulated removal, a repository in the deb822 form."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.errors import Refusal
from .plan import InstalledPackage, Repository, WantedPackage

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names by the kernel's."""

REMOVED = re.compile(r"^Remv (\S+)", re.MULTILINE)


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


def parse_simulation(text: str) -> tuple[str, ...]:
    """Return the packages that ``apt-get --simulate remove`` would remove (each on a line that begins with Remv)."""
    return tuple(REMOVED.findall(text))


def parse_madison(text: str) -> tuple[str, ...]:
    """Return the versions that ``apt-cache madison`` lists, newest first."""
    return tuple(line.split("|")[1].strip() for line in text.splitlines() if line.count("|") == 2)


def specification(text: str, versions: Sequence[str]) -> str:
    """Return ``name=version`` with the newest version of a package's that fits; apt itself reads no pattern there.

    Raises:
        Refusal: none fits.
    """
    package = WantedPackage.parse(text)
    for version in versions:
        if package.is_met_by(InstalledPackage(version)):
            return f"{package.name}={version}"
    raise Refusal(
        f"found {package.name} in the versions {', '.join(versions) or '(none)'}; wanted {package.version}; "
        "set packages to a version that the repository has"
    )


def lists(text: str, url: str) -> bool:
    """Whether a file of sources, of either form, names an address; lines that are commented out name nothing."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    written = re.compile(re.escape(url.rstrip("/")) + r"/?(\s|$)")
    return any(
        written.search(line.replace("$(ARCH)", arch)) is not None for line in lines for arch in ARCHITECTURES.values()
    )


def sources_text(repository: Repository, keyring: str) -> str:
    """Return the deb822 text of a repository (sources.list(5))."""
    lines = ["# Made by gpuchat.", "Types: deb", f"URIs: {repository.url}", f"Suites: {repository.suite}"]
    if repository.components:
        lines.append(f"Components: {' '.join(repository.components)}")
    if keyring:
        lines.append(f"Signed-By: {keyring}")
    return "\n".join(lines) + "\n"
