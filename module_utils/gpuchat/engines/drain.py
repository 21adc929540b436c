# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an engine still answers anybody, by the connections to its socket.

Its own figures do not say: an answer may be made and yet be on its way to somebody slow, and one that was asked for a
moment ago is in none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

CONNECTED = ("02", "03")
"""States in /proc/net/unix: not yet accepted, and accepted. A socket that listens has another."""

QUIET_SECONDS = 2.0
"""A request whose body was on its way when the door closed reaches the engine a moment later."""


def connections(text: str, paths: Collection[str]) -> int:
    """Return how many connections a server has at some paths, from what its network namespace says (proc(5))."""
    rows = (line.split() for line in text.splitlines()[1:])
    return sum(len(row) == 8 and row[5] in CONNECTED and row[7] in paths for row in rows)


@dataclass(frozen=True)
class Quiet:
    """What is remembered of engines that nobody is to ask any more.

    Attributes:
        open: connections at the last look, by the engine's name.
        since: when none was seen first without one in between; None where the last look found some.
    """

    open: Mapping[str, int] = field(default_factory=dict)
    since: float | None = None

    def after(self, found: Mapping[str, int], now: float) -> Quiet:
        """Return what is remembered after a look (seconds of a clock that never jumps)."""
        if any(found.values()):
            return Quiet(found)
        return Quiet(found, now if self.since is None else self.since)

    def is_over(self, now: float) -> bool:
        """Whether nobody is answered any more."""
        return self.since is not None and now - self.since >= QUIET_SECONDS

    def words(self) -> str:
        """Return which requests are open."""
        return ", ".join(f"{count} to {name}" for name, count in self.open.items() if count)
