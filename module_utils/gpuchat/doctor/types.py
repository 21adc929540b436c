# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor speaks of: a host as it was examined, what was found there, and what explains what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..survey.types import Answer, Expected, Finding


@dataclass(frozen=True)
class Examined:
    """A host as it was examined.

    Attributes:
        checks: the answers to the doctor's own questions, by their kinds.
        here: its part in the topology; empty where the inventory has faults.
    """

    expected: Expected
    answer: Answer
    checks: Mapping[str, Any] = field(default_factory=dict)
    here: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.expected.name


@dataclass(frozen=True)
class Located:
    """A finding, and where.

    Attributes:
        host: empty where it is of the whole inventory.
        subject: the service that it is about, where it is about one.
        peer: the other host that it is about.
        line: the words of a log or a program that show it.
    """

    host: str
    finding: Finding
    subject: str = ""
    peer: str = ""
    line: str = ""

    @property
    def kind(self) -> str:
        return self.finding.kind


@dataclass(frozen=True)
class Cause:
    """A finding that no other explains, with those that it explains."""

    found: Located
    explains: tuple[Located, ...] = ()
