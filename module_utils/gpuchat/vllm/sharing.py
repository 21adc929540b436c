# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which GPUs of a host each of its models gets, and which share of a GPU where several models share it.

vLLM takes a share of the whole GPU, and refuses to start where less than that is free (``request_memory`` of
vllm/v1/worker/utils.py); what CUDA itself takes lies outside the share. So the shares of the engines on one GPU, and
what each takes outside, together are no more than there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..core.units import GIB
from .devices import Device
from .layout import UNIFIED_RESERVE

Devices = tuple[Device, ...]

NOT_AT_ALL, BARELY, WELL = 0, 1, 2
"""How a model is served on some GPUs of its own."""

Serves = Callable[[str, Devices], int]

Places = Mapping[str, Devices]


# --- Who gets which GPUs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """What one model asks for.

    Attributes:
        weights: size of its weights (bytes); the largest model chooses first.
        fixed: GPUs that somebody named; None where the plan chooses.
        count: how many the plan chooses, no more than there are; 0: as few as serve it.
    """

    name: str
    weights: int
    fixed: Devices | None = None
    count: int = 0


def assign(requests: Sequence[Request], devices: Devices, serves: Serves) -> dict[str, Devices]:
    """Return the GPUs of each model: named ones as they are, then those that are free, then shared ones.

    Args:
        requests: in any order.
        devices: all that the host has.
        serves: how well a model is served on some GPUs that it has for itself.
    """
    found = {one.name: one.fixed for one in requests if one.fixed is not None}
    weights = {one.name: one.weights for one in requests}
    taken = {device.handle for used in found.values() for device in used}
    free = tuple(device for device in devices if device.handle not in taken)
    choosing = sorted((one for one in requests if one.fixed is None), key=lambda one: -one.weights)
    for number, one in enumerate(choosing):
        later = sum(max(1, other.count) for other in choosing[number + 1 :])
        own = _from_free(one, free, later, serves) if free and one.count <= len(free) else None
        if own is None:  # not even all that are free serve it
            own = _beside(one, devices, free, _room(devices, found, weights), serves)
        found[one.name] = own or _nowhere(one, devices, free, later, _room(devices, found, weights))
        free = tuple(device for device in free if device not in found[one.name])
    return {one.name: found[one.name] for one in requests}


def _from_free(one: Request, free: Devices, later: int, serves: Serves) -> Devices | None:
    """Return the smallest set of free GPUs that serves a model well, and leaves one to each of the others."""
    fair, barely = max(1, len(free) - later), None
    for size in [one.count] if one.count else range(1, len(free) + 1):
        if size > fair and barely is not None:
            break
        for some in _sets(free, size):
            how = serves(one.name, some)
            if how == WELL:
                return some
            barely = barely or (some if how == BARELY else None)
    return barely


def _nowhere(one: Request, devices: Devices, free: Devices, later: int, room: Mapping[str, float]) -> Devices:
    """Return GPUs for a model that none serve: those that harm others least."""
    if free and one.count <= len(free):
        return list(_sets(free, one.count or max(1, len(free) - later)))[-1]
    return _in_order(_roomiest(devices, free, room)[: max(1, one.count)])


def _sets(free: Devices, size: int) -> Iterator[Devices]:
    """Yield sets of so many GPUs: of each kind one, the smallest kind first; mixed only where no kind has as many."""
    kinds: dict[tuple[int, str], list[Device]] = {}
    for device in sorted(free, key=lambda one: (one.used_bytes // GIB, one.index)):
        kinds.setdefault((device.memory_bytes, device.name), []).append(device)
    enough = [kinds[kind] for kind in sorted(kinds) if len(kinds[kind]) >= size]
    for group in enough:
        yield _in_order(_linked(group, size))
    if not enough:
        yield _in_order(sorted(free, key=lambda one: (-one.memory_bytes, one.index))[:size])


def _linked(group: list[Device], size: int) -> list[Device]:
    """Return so many GPUs of a kind, joined by NVLink where there are such."""
    for device in group:
        team = [device, *(one for one in group if one.index in (device.peers or ()) and one is not device)]
        if size > 1 and len(team) >= size:
            return team[:size]
    return group[:size]


def _in_order(devices: Iterable[Device]) -> Devices:
    return tuple(sorted(devices, key=lambda one: one.index))


def _room(devices: Devices, places: Places, weights: Mapping[str, int]) -> dict[str, float]:
    """Return what each GPU has beside others' memory and the weights of the models on it."""
    room = {device.handle: float(device.memory_bytes - device.used_bytes) for device in devices}
    for name, used in places.items():
        for device in used:
            room[device.handle] = room.get(device.handle, 0.0) - weights[name] / len(used)
    return room


def _beside(one: Request, devices: Devices, free: Devices, room: Mapping[str, float], serves: Serves) -> Devices | None:
    """Return GPUs that a model shares with others: those with the most room, and rather free ones."""
    by_room = _roomiest(devices, (), room)
    for size in [one.count] if one.count else range(1, len(devices) + 1):
        for some in (_roomiest(devices, free, room)[:size], by_room[:size]):
            # Rather nowhere than where it keeps others from being served too.
            has_room = not free or one.weights / size <= min(room[device.handle] for device in some)
            if has_room and serves(one.name, _in_order(some)):
                return _in_order(some)
    return None


def _roomiest(devices: Devices, free: Devices, room: Mapping[str, float]) -> list[Device]:
    return sorted(devices, key=lambda device: (device not in free, -room[device.handle], device.index))


# --- Which share of a GPU --------------------------------------------------------------------------------------------


FULLEST = 95
"""Hundredths of a GPU that its engines get at most together, even where they need more."""


@dataclass(frozen=True)
class Need:
    """What an engine needs of each of its GPUs, in hundredths.

    Attributes:
        least: to serve what it has to.
        wanted: to serve a few conversations where nobody wishes how many.
        beside: what it takes outside its share (bytes).
        takes_rest: whether more is of use to it.
        told: the flag by which its owner fixed it, or an empty text.
    """

    least: int
    wanted: int
    beside: int = 0
    takes_rest: bool = False
    told: str = ""


@dataclass(frozen=True)
class Shortage:
    """A GPU on which the least shares are more than there is.

    Attributes:
        told: flags by which the owner fixed some of them, by the models' names.
    """

    device: Device
    room: int
    least: Mapping[str, int]
    told: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        needs = " and ".join(f"{name} {share / 100:g}" for name, share in self.least.items())
        return (
            f"the models share the GPU {self.device.handle} ({self.device.name}), need {needs} of its memory, and "
            f"{self.room / 100:g} are there; wanted budgets that fit together; {self._lower()}, or gpus of one of them "
            "to another GPU"
        )

    def _lower(self) -> str:
        """Say what to set lower: what the owner fixed is not made smaller by fewer users."""
        by_flag: dict[str, list[str]] = {}
        for name in self.least:
            by_flag.setdefault(self.told.get(name, ""), []).append(name)
        each = []
        for flag, names in by_flag.items():
            models = f"the model{'s' * (len(names) > 1)} {' and '.join(names)} in gpuchat_models"
            each.append(
                f"{flag} in args of {models} (or in vllm_args, where it is for all)"
                if flag
                else f"users or context of {models}"
            )
        return f"set {', or '.join(each)} lower"


def shared(places: Places) -> dict[str, list[str]]:
    """Return the models on each GPU that several use, by its handle."""
    models: dict[str, list[str]] = {}
    for name, used in places.items():
        for device in used:
            models.setdefault(device.handle, []).append(name)
    return {handle: names for handle, names in models.items() if len(names) > 1}


def divide(
    places: Places, needs: Mapping[str, Need], most: Mapping[str, int]
) -> tuple[dict[str, int], tuple[Shortage, ...]]:
    """Return the share of each model in hundredths of its GPUs, and where they are too many.

    Each gets the least first, then what it wants in the order of `places`, and those that can use it the rest in equal
    parts.

    Args:
        places: the GPUs of the models.
        needs: of the models that share one; one that fits nowhere is in neither.
        most: hundredths of a GPU that engines take at most together where they need less, by the model that shares it.
    """
    left: dict[str, int] = {}
    shortages = []
    for handle, names in shared({name: used for name, used in places.items() if name in needs}).items():
        device = next(one for one in places[names[0]] if one.handle == handle)
        least = {name: needs[name].least for name in names}
        room = min(FULLEST, hundredths(device, sum(needs[name].beside for name in names)))
        left[handle] = min(room, *(most[name] for name in names)) - sum(least.values())
        if sum(least.values()) > room:
            told = {name: needs[name].told for name in names}
            shortages.append(Shortage(device, room, least, told))
    shares = {name: need.least for name, need in needs.items()}

    def spare(name: str) -> int:
        return max(0, min((left[one.handle] for one in places[name] if one.handle in left), default=0))

    def give(name: str, more: int) -> None:
        shares[name] += more
        for device in places[name]:
            if device.handle in left:
                left[device.handle] -= more

    for name, need in needs.items():
        give(name, min(spare(name), need.wanted - need.least))
    hungry = [name for name, need in needs.items() if need.takes_rest]
    for number, name in enumerate(hungry):
        handles = {one.handle for one in places[name]}
        rivals = sum(bool(handles & {one.handle for one in places[other]}) for other in hungry[number:])
        give(name, spare(name) // max(1, rivals))
    return shares, tuple(shortages)


def hundredths(device: Device, beside: int) -> int:
    """Return the hundredths of a GPU that engines can have, of which others and CUDA itself take a part."""
    others = -(-device.used_bytes // GIB) * GIB  # whole GiB, so that a plan does not change with each small process
    taken = max(others + beside, UNIFIED_RESERVE * device.memory_bytes * device.is_unified)
    return max(0, math.floor(100 * (device.memory_bytes - taken) / device.memory_bytes))
