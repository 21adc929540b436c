# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's release, by os-release(5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

Row = TypeVar("Row")

NVIDIAS = {"amd64": "x86_64", "arm64": "sbsa", "aarch64": "sbsa"}
"""NVIDIA's names of machines (those of its repositories' folders) by apt's and dnf's, where they differ."""


@dataclass(frozen=True)
class Release:
    """A distribution's release, as os-release(5) names it.

    Attributes:
        like: the ids of its relatives; RHEL is one of those alone that share its releases.
    """

    id: str
    version: str
    codename: str
    like: tuple[str, ...] = ()

    @classmethod
    def parse(cls, os_release: str) -> Release:
        """Read the text of /etc/os-release."""
        fields = dict(
            line.split("=", 1) for line in os_release.splitlines() if "=" in line and not line.startswith("#")
        )
        plain = {key: value.strip().strip("\"'") for key, value in fields.items()}
        found = cls(plain.get("ID", ""), plain.get("VERSION_ID", ""), plain.get("VERSION_CODENAME", ""))
        # A relative that counts its releases by itself has none of RHEL's repositories by its own number.
        is_rebuilt = plain.get("PLATFORM_ID", "") in ("", f"platform:el{found.major}")
        like = plain.get("ID_LIKE", "").split()
        return replace(found, like=tuple(one for one in like if one != "rhel" or is_rebuilt))

    @property
    def major(self) -> str:
        return self.version.partition(".")[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The keys under which a table by release may hold this one, most exact first."""
        rebuilt = (f"rhel-{self.major}", "rhel") if "rhel" in self.like else ()
        own = (f"{self.id}-{self.version}", f"{self.id}-{self.major}", self.id)
        return tuple(dict.fromkeys((*own, *rebuilt, "default")))

    @property
    def system(self) -> str:
        """What manages this release's packages: ``apt``, ``dnf``, or nothing that is known here."""
        relatives = {self.id, *self.like}
        if relatives & {"debian", "ubuntu"}:
            return "apt"
        return "dnf" if relatives & {"rhel", "fedora", "centos"} else ""

    def filled(self, text: str, arch: str) -> str:
        """Put this release's words in the place of ``{id}``, ``{version}`` and the like.

        ``{version}`` bears no dots, as in ``2404``; ``{arch}`` is the package system's name of the machine,
        ``{nvidia_arch}`` NVIDIA's.
        """
        words = {
            "id": self.id,
            "version": self.version.replace(".", ""),
            "version_major": self.major,
            "codename": self.codename,
            "arch": arch,
            "nvidia_arch": NVIDIAS.get(arch, arch),
        }
        for word, value in words.items():
            text = text.replace(f"{{{word}}}", value)
        return text

    def row(self, table: Mapping[str, Row]) -> Row | None:
        """Return what a table by release holds for this one, or None."""
        return next((table[name] for name in self.names if name in table), None)
