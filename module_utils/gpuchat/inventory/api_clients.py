# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that have a key of the model API of their own."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from ..core.names import did_you_mean
from .people import NGINX_WORDS
from .types import show

VARIABLE = "gpuchat_api_keys"
NAME = re.compile(r"[a-z0-9](-?[a-z0-9]){0,31}")
LIMITS = {"rate": (1, 1_000_000), "streams": (1, 65_535), "answers": (1, 100_000)}
"""What nginx takes."""


@dataclass(frozen=True)
class ApiClient:
    """One program.

    Attributes:
        rate: requests that it may make a second.
        streams: requests that it may have open at a time.
        answers: those that one request may ask for.
        expires: the last day of its key, as ``2030-12-31`` (UTC); empty for none.
        models: those that it may use, each by one of its names; all where it is empty.
    """

    name: str
    rate: int
    streams: int
    answers: int
    expires: str = ""
    models: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def read(given: Sequence[Mapping[str, object]], rate: int, streams: int, answers: int) -> tuple[ApiClient, ...]:
    """Return the clients of a sound inventory, with what one may do that is given no limits of its own."""
    return tuple(
        ApiClient(
            str(one["name"]),
            int(str(one.get("rate", rate))),
            int(str(one.get("streams", streams))),
            int(str(one.get("answers", answers))),
            str(one.get("expires", "")),
            tuple(map(str, one.get("models") or ())),  # type: ignore[call-overload]
        )
        for one in given
    )


def faults(given: object) -> Iterator[str]:
    """Say what is wrong with the variable beyond its types."""
    seen: set[str] = set()
    for number, one in enumerate(given if isinstance(given, (list, tuple)) else ()):
        if not isinstance(one, Mapping):
            continue
        variable = f"{VARIABLE}[{number}]"
        name = str(one.get("name", ""))
        if not NAME.fullmatch(name):
            right = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32].strip("-") or "reports"
            yield (
                f"{variable}.name is {show(name)}; wanted up to 32 small letters and digits, with single hyphens "
                f"between them; set {variable}.name to {right}"
            )
        elif name in NGINX_WORDS:
            yield (
                f"{variable}.name is {name}, which is a word of nginx's own; wanted another; set {variable}.name to "
                f"such as {name}-1"
            )
        elif name in seen:
            yield f"{VARIABLE} names {name} twice; wanted each client once; set another name, or take one away"
        seen.add(name)
        for limit, (low, high) in LIMITS.items():
            if limit in one and not low <= int(str(one[limit])) <= high:
                yield (
                    f"{variable}.{limit} is {one[limit]}; wanted a whole number from {low} to {high}; set "
                    f"{variable}.{limit} to one"
                )
        expires = str(one.get("expires", ""))
        if expires and not _is_day(expires):
            yield (
                f"{variable}.expires is {show(expires)}; wanted the last day of the key, as 2030-12-31; set "
                f"{variable}.expires to one, or take the line away"
            )


def ended(given: object, today: datetime.date) -> Iterator[str]:
    """Say whose key the edge refuses from the first second on: no fault, for yesterday the same inventory had none.

    Args:
        today: in UTC, as the last day of a key is.
    """
    for number, one in enumerate(given if isinstance(given, (list, tuple)) else ()):
        expires = str(one.get("expires", "")) if isinstance(one, Mapping) else ""
        if _is_day(expires) and datetime.date.fromisoformat(expires) < today:
            variable = f"{VARIABLE}[{number}].expires"
            yield (
                f"{variable} of {one.get('name')} is {expires}, which is past, so the edge refuses its key; set "
                f"{variable} to a later day, or take {one.get('name')} out of {VARIABLE}"
            )


def model_faults(given: object, known: Sequence[str]) -> Iterator[str]:
    """Say which models of clients nobody serves.

    Args:
        known: every name under which one is served.
    """
    for number, one in enumerate(given if isinstance(given, (list, tuple)) else ()):
        names = one.get("models") if isinstance(one, Mapping) else None
        if isinstance(names, (list, tuple)) and not names:
            yield (
                f"{VARIABLE}[{number}].models is empty; wanted names of models; set {VARIABLE}[{number}].models to "
                "some, or take the line away for all"
            )
        for name in names if isinstance(names, (list, tuple)) else ():
            if name not in known:
                yield (
                    f"{VARIABLE}[{number}].models holds {show(name)}, which is no model of the stack; wanted names of "
                    f"such; set {VARIABLE}[{number}].models to some{did_you_mean(str(name), known)}"
                )


def _is_day(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return bool(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text))
