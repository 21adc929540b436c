# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of asking a host, from the result of its task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..survey.types import Answer

SAID = ("msg", "module_stderr", "module_stdout")
NOT_ASKED = "its task never ran; Ansible's own words stand above"


def answer_of(result: Mapping[str, Any]) -> Answer:
    """Return the answer of a host; ``asked`` and ``heard`` are the control node's times around its reading."""
    problem = "\n".join(str(result[name]) for name in SAID if result.get(name))
    if result.get("unreachable"):
        return Answer("connect", {}, problem)
    reading = result.get("reading")
    if not isinstance(reading, Mapping):
        return Answer("run", {}, problem or NOT_ASKED)
    clock, asked, heard = (float(one) for one in (reading["clock"], result["asked"], result["heard"]))
    ahead = min(0.0, clock - asked) or max(0.0, clock - heard)
    return Answer("done", reading, "", heard - asked, ahead)
