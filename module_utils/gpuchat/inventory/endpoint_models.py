# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which models somebody else's server lists, and what follows where it does not.

Source of the shape: OpenAI's API reference for ``GET /v1/models``, ``{"object": "list", "data": [{"id": ...}]}``, as
llama-cpp-python's server (0.3.36) and FastChat's (0.2.36) answer too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .types import shown

VARIABLE = "gpuchat_endpoints"
MOST_NAMES = 5000
"""How many entries of a list are looked at; no server has as many."""


@dataclass(frozen=True)
class Listed:
    """What a server said: the names of its models, or why there are none."""

    names: tuple[str, ...] = ()
    problem: str = ""


def judge(status: int, answer: object, error: str = "", goes_to: str = "") -> Listed:
    """Judge the answer to ``GET .../models``.

    Args:
        status: of HTTP; 0 where none came.
        answer: its body as data; None where it is no JSON.
        error: why no answer came.
        goes_to: where a redirect leads.
    """
    if status == 0:
        return Listed(problem=f"found no answer ({shown(error)})")
    if 300 <= status < 400:
        return Listed(problem=f"found a redirect to {shown(goes_to)}, wanted the models; set its url to where they are")
    if status in (401, 403):
        return Listed(problem=f"found the status {status}, wanted 200; set its key in {VARIABLE} to one that it takes")
    if status == 404:
        return Listed(problem="found the status 404, wanted 200; set its url to the address that /models follows")
    if status != 200:
        return Listed(problem=f"found the status {status}, wanted 200")
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(data, list):
        return Listed(problem="found no list of models in its answer, wanted one in OpenAI's form; look at its url")
    names = [one.get("id") for one in data[:MOST_NAMES] if isinstance(one, Mapping)]
    sound = tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name))
    # A controller whose worker starts anew lists none for a while.
    return Listed(sound) if sound else Listed(problem="found that it lists no model, wanted one or more")


def known(found: Mapping[str, Listed], before: Mapping[str, Sequence[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """Return each server's models, as it lists them or as it did the last time, and warnings of those that did not."""
    listed = {name: list(one.names) if not one.problem else list(before.get(name, ())) for name, one in found.items()}
    warnings = [
        f"the models of {name} cannot be read: {one.problem}; "
        + (f"handing on the {len(listed[name])} of the last run" if listed[name] else "nothing of it is handed on yet")
        for name, one in found.items()
        if one.problem
    ]
    return listed, warnings
