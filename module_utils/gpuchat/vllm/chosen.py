# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a host's GPUs a model gets, where somebody asks for some."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..core.errors import Refusal
from .options import whole

ALL = (None, "", "all")
NAME = re.compile(r"[0-9]{1,4}|(GPU|MIG)-[0-9A-Za-z/-]+")

Gpu = Mapping[str, object]


def is_all(wish: object) -> bool:
    """Whether somebody asks for all GPUs, or for none in particular."""
    return wish in ALL or wish == ["all"]


def choose(gpus: object, wanted: object) -> object:
    """Return the GPUs that are wanted, or all of them.

    Args:
        gpus: as the host reported them, or as somebody described them.
        wanted: ``all``, an index, a UUID (of a slice too), several of them with commas, or a list.

    Raises:
        Refusal: a wish that cannot be read, or a GPU that the host does not have.
    """
    if is_all(wanted):
        return gpus
    names = _names(wanted)
    if not isinstance(gpus, (list, tuple)) or any(isinstance(one, (list, tuple)) for one in gpus):
        raise Refusal("gpus names GPUs of one host, and those of several hosts were given; wanted all; set gpus to all")
    there = _each(gpus)
    chosen: list[Gpu] = []
    for name in names:
        found = [part for one in there for part in _of(one, name)]
        if not found:
            has = ", ".join(str(one["index"]) for one in there)
            raise Refusal(
                f"gpus names the GPU {name}, and the host has {f'the GPUs {has}' if has else 'none'}; wanted "
                f"those that are there; set gpus to {f'some of {has}, or to all' if has else 'all'}"
            )
        chosen += [one for one in found if one not in chosen]
    return chosen


def _names(wanted: object) -> list[str]:
    given = wanted if isinstance(wanted, (list, tuple)) else str(wanted).split(",")
    names = [str(one).strip() for one in given]
    if isinstance(wanted, bool) or not names or not all(map(NAME.fullmatch, names)):
        raise Refusal(f"gpus is {wanted!r}; wanted all, or GPUs by index or UUID; set gpus to all, [0] or [0, 1]")
    return [str(int(name)) if name.isdigit() else name for name in names]


def _each(gpus: Sequence[object]) -> list[Gpu]:
    """Return each GPU alone: one that stands for several becomes as many, numbered as they come."""
    found: list[Gpu] = []
    for one in gpus:
        if isinstance(one, Mapping):
            count = whole("gpus[].count", one["count"]) if "count" in one else 1
            alone = {key: value for key, value in one.items() if key != "count"}
            for _number in range(count):
                found.append({**alone, "index": one["index"] if count == 1 and "index" in one else len(found)})
    return found


def _of(one: Gpu, name: str) -> list[Gpu]:
    """Return a GPU, or its slice, that goes by a name."""
    if name in (str(one["index"]), one.get("uuid")):
        return [one]
    slices = one.get("mig_devices")
    pieces = [piece for piece in slices if isinstance(piece, Mapping)] if isinstance(slices, list) else []
    return [{**one, "mig_devices": [piece]} for piece in pieces if piece.get("uuid") == name]
