# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How one option of a task is read: ``auto`` leaves it to the plan, another value fixes it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..core.errors import Refusal

AUTO = (None, "", "auto")


def whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"0*[1-9][0-9]{0,17}", str(value)):
        raise Refusal(f"{name} is {value!r}; wanted auto or a whole number from 1; set {name} to one")
    return int(str(value))


def share(name: str, value: object) -> float:
    if isinstance(value, bool) or not re.fullmatch(r"1(\.0*)?|0?\.[0-9]*[1-9][0-9]*", str(value)):
        raise Refusal(
            f"{name} is {value!r}; wanted auto or a share of the GPU's memory above 0 and up to 1, such as 0.9; "
            f"set {name} to one"
        )
    return float(str(value))


def truth(name: str, value: object) -> bool:
    truths = {"true": True, "yes": True, "false": False, "no": False}
    if str(value).lower() not in truths:
        raise Refusal(f"{name} is {value!r}; wanted auto, true or false; set {name} to one of them")
    return truths[str(value).lower()]


def text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise Refusal(f"{name} is {value!r}; wanted auto or a name such as fp8; set {name} to one")
    return value


def mapping(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise Refusal(f"{name} is {value!r}; wanted a mapping of names to values; set {name} to one")
    return value
