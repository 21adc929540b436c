# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the disks hold what a role is about to put on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..core.errors import Refusal
from ..core.units import GIB, gib


@dataclass(frozen=True)
class Place:
    """A path and the file system that it is, or will be, on.

    Attributes:
        path: where something is to be put; it need not be there yet.
        on: the nearest folder that is there.
        free_bytes: what an ordinary account may still write on its file system.
        used: whether the path holds something already: then what is free says nothing about what is still to come.
        free_files: how many files an ordinary account may still make there, None where a file system does not count.
    """

    path: str
    on: str
    free_bytes: int
    used: bool
    free_files: int | None = None


FEWEST_FILES = 1000
INODES = (
    "file takes one, whatever its size; look at `df -i`, and remove what has many small files there (`du --inodes`), "
    "or mount another file system"
)


def refuse_small(places: Iterable[Place], minimum_gib: int, hint: str = "") -> None:
    """Refuse places that are new and too small, and those that take next to no further file.

    Raises:
        Refusal: there are some; each is named with what was found, and the fix.
    """
    places = tuple(places)
    crowded = next((one for one in places if one.free_files is not None and one.free_files < FEWEST_FILES), None)
    if crowded is not None:
        raise Refusal(
            f"found {crowded.free_files} inodes free for {crowded.path} (on {crowded.on}); wanted {FEWEST_FILES}: each "
            f"{INODES}"
        )
    small = [place for place in places if not place.used and place.free_bytes < minimum_gib * GIB]
    if small:
        described = ", ".join(f"{gib(place.free_bytes)} for {place.path} (on {place.on})" for place in small)
        raise Refusal(
            f"found {described} free; wanted {minimum_gib} GiB; "
            f"{hint or 'mount a larger file system there, or set minimum_gib to what you need'}"
        )


FEW = ((2, 2 * GIB, 20 * GIB, "none"), (10, 0, 50 * GIB, "few"))
"""Percent, bytes that are too few by themselves, bytes that are enough whatever the percentage, and the word for it."""


def scarce(free: int, total: int) -> str:
    """Return ``none`` where next to nothing is free of a file system, ``few`` where it soon will be, else nothing."""
    for percent, too_few, enough, word in FEW:
        if free < too_few or (free * 100 < total * percent and free < enough):
            return word
    return ""
