# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much one may ask.

Of the chat one address, for an office of people looks like one person who is busy; of the model API one client, by its
key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from ..inventory.api_clients import ApiClient

PEOPLE = 100
"""At least, behind one address: more people share an engine than it holds conversations at once."""


@dataclass(frozen=True)
class Limits:
    """What one address may do.

    Attributes:
        rate: requests a second.
        burst: further requests that are let through at once.
        connections: answers that may be under way at a time, and windows that may be left open.
        newcomers: people who may show a password for the first time at once, and wait for their turn.
    """

    rate: int
    burst: int
    connections: int
    newcomers: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def chat(people: int | None) -> Limits:
    """Return the chat's limits for the people who may all sit behind one address.

    A question is two requests, for the chat asks for a title beside the first; so all may ask at once, twice, and then
    each once a second. An answer, its title and one that was just left make three under way.

    Args:
        people: who use the chat at once; None where nobody said.
    """
    count = max(people or 0, PEOPLE)
    return Limits(rate=2 * count, burst=4 * count, connections=3 * count, newcomers=count // 4)


def api(clients: Iterable[ApiClient]) -> dict[str, list[dict[str, object]]]:
    """Return the limits of clients by kind (``rate``, ``streams``, ``answers``): each number once, with who has it.

    One zone of nginx has one rate, and one ``limit_conn`` one number.
    """
    numbers: dict[str, dict[int, list[str]]] = {"rate": {}, "streams": {}, "answers": {}}
    for one in clients:
        numbers["rate"].setdefault(one.rate, []).append(one.name)
        numbers["streams"].setdefault(one.streams, []).append(one.name)
        numbers["answers"].setdefault(one.answers, []).append(one.name)
    return {
        kind: [{"number": number, "clients": names} for number, names in sorted(found.items())]
        for kind, found in numbers.items()
    }
