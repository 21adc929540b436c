# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which alerts planned work on hosts brings with it, and for how long nobody is told of them.

The forms are those of Alertmanager's API (api/v2/openapi.yaml). A silence is known again by its author and its comment,
so a run that was interrupted is put right by the next, and each has an end whatever becomes of its run.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.change import Difference, Plan
from .alerts import OF_FEWER, OF_OUTAGE, OF_WORK

AUTHOR = "gpuchat"
LINGER_SECONDS = 90
"""How much longer it is silent after work that went well: until Prometheus has seen that all is back, and said so."""

PRESENT, ENDED, ABSENT = "present", "ended", "absent"
"""There are silences; they end soon; they are taken away at once, for the work has failed and people are to know."""


@dataclass(frozen=True)
class Post:
    """A silence to make, or to set to another end; ``body`` as the API takes it."""

    body: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Take:
    """A silence to take away, by its id."""

    id: str


def matchers(hosts: Sequence[str], alone: bool = False, fewer: bool = False) -> list[list[dict[str, object]]]:
    """Return what the silences of some work match, each a list of which all must hold.

    Args:
        hosts: that are worked on, as the inventory calls them.
        alone: whether nobody answers people meanwhile.
        fewer: whether other hosts answer for these meanwhile.
    """
    elsewhere = (*(OF_FEWER if fewer or alone else ()), *(OF_OUTAGE if alone else ()))
    found = [[_one_of("alertname", OF_WORK), _one_of("host", hosts)]]
    return [*found, [_one_of("alertname", elsewhere)]] if elsewhere else found


def _one_of(label: str, values: Sequence[str]) -> dict[str, object]:
    return {"name": label, "value": "|".join(map(re.escape, values)), "isRegex": True, "isEqual": True}


def plan(
    state: str,
    work: str,
    wanted: Sequence[Sequence[Mapping[str, object]]],
    found: Sequence[Mapping[str, Any]],
    now: float,
    seconds: float,
) -> Plan:
    """Return what to do so that the silences of some work are as wanted.

    Args:
        state: present, ended or absent.
        work: what is done, by which a silence is known again, such as ``upgrade of gpu1``.
        wanted: what each silence is to match, where there are to be some.
        found: the silences that Alertmanager has.
        now: seconds since 1970.
        seconds: for how long alerts are silent at most.
    """
    ours = [one for one in found if _is_of(work, one)]
    if state == ABSENT:
        actions: list[object] = [Take(str(one["id"])) for one in ours]
        reason = f"alerts of the {work} are told"
        return _plan(work, "silent", "told", actions, reason)
    if state == ENDED:
        end = moment(now + LINGER_SECONDS)
        kept = ("id", "matchers", "startsAt", "createdBy", "comment")
        longer = [one for one in ours if _lasts(one, now + LINGER_SECONDS)]
        actions = [Post({**{key: one[key] for key in kept}, "endsAt": end}) for one in longer]
        return _plan(work, "silent", f"silent for {LINGER_SECONDS} s", actions, f"alerts of the {work} are told again")
    actions = []
    for one in wanted:
        there = next((silence for silence in ours if _same(silence["matchers"], one)), None)
        if there and _lasts(there, now + seconds / 2):
            continue
        body: dict[str, object] = (
            {"startsAt": there["startsAt"], "id": there["id"]} if there else {"startsAt": moment(now)}
        )
        body.update(matchers=[*one], endsAt=moment(now + seconds), createdBy=AUTHOR, comment=work)
        actions.append(Post(body))
    reason = f"nobody is told of alerts that the {work} brings, for {seconds:g} s at most"
    return _plan(work, "silent" if ours else "told", f"silent for {seconds:g} s at most", actions, reason)


def _plan(work: str, before: str, after: str, actions: Sequence[object], reason: str) -> Plan:
    difference = Difference(f"alerts of the {work}", f"{before}\n", f"{after}\n")
    return Plan((difference,) if actions else (), tuple(actions), reason)


def _is_of(work: str, one: Mapping[str, Any]) -> bool:
    is_over = (one.get("status") or {}).get("state") == "expired"
    return one.get("createdBy") == AUTHOR and one.get("comment") == work and not is_over


def _lasts(one: Mapping[str, Any], until: float) -> bool:
    """Whether a silence lasts beyond a moment, by its words, whose parts of a second differ by release."""
    return str(one["endsAt"])[:19] > moment(until)[:19]


def _same(some: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> bool:
    def plain(matcher: Mapping[str, Any]) -> tuple[str, str, bool, bool]:
        return (matcher["name"], matcher["value"], bool(matcher["isRegex"]), bool(matcher.get("isEqual", True)))

    return sorted(map(plain, some)) == sorted(map(plain, others))


def moment(seconds: float) -> str:
    """Return a time since 1970 as the API has it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
