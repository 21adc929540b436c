# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the file systems what is free."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping

from ..core.change import Plan
from ..core.units import gib
from .space import Place, refuse_small

OPTIONS: dict[str, dict[str, object]] = {
    "paths": {"type": "list", "elements": "path", "required": True},
    "minimum_gib": {"type": "int", "required": True},
    "hint": {"type": "str", "default": ""},
}
"""Places and what must be free there, as an argument specification."""


def ensure(params: Mapping[str, object]) -> dict[str, object]:
    """Check the places that a module's parameters name, and return the module's result.

    Raises:
        Refusal: one of them is new and too small.
    """
    places = [_place(str(path)) for path in params["paths"]]  # type: ignore[attr-defined]
    refuse_small(places, int(str(params["minimum_gib"])), str(params["hint"]))
    described = ", ".join(f"{place.path} {gib(place.free_bytes)} free" for place in places)
    return Plan(reason=described or "no place was named").result()


def _place(path: str) -> Place:
    there = pathlib.Path(path)
    used = there.is_dir() and any(there.iterdir())
    while not there.is_dir():
        there = there.parent
    system = os.statvfs(there)
    files = system.f_favail if system.f_files else None
    return Place(path, str(there), system.f_bavail * system.f_frsize, used, files)
