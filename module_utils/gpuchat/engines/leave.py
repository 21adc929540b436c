# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engines nobody answers for when hosts leave rotation for as long as their owner works on them."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

MARK = "/etc/gpuchat/door/drained"
"""While this file is there, a host's door hands no request to its engines. nginx looks for it at each request, so it
needs no reload; no run makes or removes it, so it outlives runs of site.yml and restarts of the host."""


@dataclass(frozen=True)
class Standing:
    """How a host stands in rotation.

    Attributes:
        engines: its engines, and whether each answers.
        since: when it left rotation, in seconds since 1970; None where it is in it.
        has_door: whether its door runs.
        obeys: whether its door looks for the mark, which those of earlier releases do not.
        parts: those of its engines that stand on other hosts too, none of which serves without the others.
    """

    engines: Mapping[str, bool] = field(default_factory=dict)
    since: float | None = None
    has_door: bool = True
    obeys: bool = True
    parts: frozenset[str] = frozenset()

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> Standing:
        return cls(
            {str(name): bool(is_well) for name, is_well in answer["engines"].items()},
            answer["since"],
            bool(answer["has_door"]),
            bool(answer["obeys"]),
            frozenset(map(str, answer.get("parts", ()))),
        )

    @property
    def serves(self) -> frozenset[str]:
        """Return the engines to which requests come, and which answer, or which take part in one that does."""
        if self.since is not None:
            return frozenset()
        return frozenset(
            name for name, is_well in self.engines.items() if is_well and (self.has_door or name in self.parts)
        )


def left_alone(leaving: Collection[str], hosts: Mapping[str, Standing]) -> dict[str, tuple[str, ...]]:
    """Return the engines that nobody else answers for, by the host that is about to leave with them.

    An engine has the same name on each host, which is made from its model's. One that does not answer, or that is out
    of rotation already, takes nothing away by leaving. One that is a part takes the whole away.

    Args:
        leaving: hosts that are to leave.
        hosts: all hosts that could be asked.
    """
    staying = {name for host, one in hosts.items() if host not in leaving for name in one.serves - one.parts}
    alone = {host: tuple(sorted(hosts[host].serves - staying)) for host in leaving}
    return {host: names for host, names in alone.items() if names}


def moment(seconds: float) -> str:
    """Return a time since 1970 for people."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
