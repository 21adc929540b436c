# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which models of a host others can serve while its engines start anew."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .doors import FAIL_SECONDS

RETURN_SECONDS = FAIL_SECONDS + 1
"""After which all who ask a host's door take it for one that answers again."""


@dataclass(frozen=True)
class Rotation:
    """What becomes of the models whose engines start anew on a host.

    Attributes:
        drained: other hosts serve them too, so the host's door takes no further requests for them.
        alone: nobody else serves them; requests are refused for as long as the start takes.
        together: the hosts that each of them spans.
    """

    drained: tuple[str, ...]
    alone: tuple[str, ...]
    together: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Return one sentence for the operator."""
        if self.together and self.alone:
            return (
                f"{', '.join(self.alone)} spans {', '.join(self.together)}, which start anew together: nobody serves "
                "it until it has loaded"
            )
        words = [f"other hosts serve {', '.join(self.drained)} meanwhile"] if self.drained else []
        words += [f"nobody serves {', '.join(self.alone)} while it starts"] if self.alone else []
        return "; ".join(words) or "nothing has to leave rotation"


def choose(
    models: Sequence[Mapping[str, Any]],
    host: str,
    starting: Collection[str],
    away: Collection[str] = (),
    together: Collection[str] = (),
) -> Rotation:
    """Choose which models of a host are taken out of rotation.

    Args:
        models: of the topology, each with its name and its hosts.
        host: the one that is to start some of them anew.
        starting: the names of those.
        away: hosts that are out of rotation, of which nobody asks anything.
        together: hosts that all start anew at once, where what starts spans them.
    """
    if together:
        return Rotation((), tuple(starting), tuple(together))
    if host in away:
        return Rotation((), ())
    mine = [one for one in models if one["name"] in starting and host in one["hosts"]]
    replicas = {str(one["name"]): set(one["hosts"]) - {host, *away} for one in mine}
    return Rotation(
        tuple(name for name, others in replicas.items() if others),
        tuple(name for name, others in replicas.items() if not others),
    )
