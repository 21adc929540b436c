# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When something happens again and again, as OnCalendar of systemd has it (systemd.time(7))."""

from __future__ import annotations

import calendar
import datetime
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

OFTEN: Mapping[str, str] = {
    "minutely": "*:*",
    "hourly": "*:00",
    "daily": "00:00",
    "weekly": "Mon 00:00",
    "monthly": "*-01 00:00",
    "quarterly": "01,04,07,10-01 00:00",
    "semiannually": "01,07-01 00:00",
    "annually": "01-01 00:00",
    "yearly": "01-01 00:00",
}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ZONE = r"UTC|[A-Z][A-Za-z]+(/[A-Za-z0-9_+-]+)+"
NUMBER = r"[0-9]{1,4}"
SPAN = re.compile(rf"(?P<first>{NUMBER})(\.\.(?P<last>{NUMBER}))?(/(?P<step>{NUMBER}))?")

YEAR, MONTH, DAY, DAY_FROM_END = (1970, 2199), (1, 12), (1, 31), (1, 28)
HOUR, MINUTE = (0, 23), (0, 59)
MANY = 400
"""Days that are looked at, all of a year."""


@dataclass(frozen=True)
class Schedule:
    """Days, and how often on each.

    Attributes:
        weekdays: Monday is 0.
        days: of the month, the first being 1; where ``from_end``, the last one is.
        is_once: whether it happens at one time of such a day.
    """

    weekdays: frozenset[int]
    years: frozenset[int]
    months: frozenset[int]
    days: frozenset[int]
    from_end: bool
    is_once: bool

    def dates(self, since: datetime.date) -> Iterator[datetime.date]:
        """Yield the days on which it happens, from one on."""
        for year, month in itertools.product(range(since.year, YEAR[1] + 1), sorted(self.months)):
            length = calendar.monthrange(year, month)[1]
            for number in range(1, length + 1) if year in self.years else ():
                day = datetime.date(year, month, number)
                counted = length + 1 - number if self.from_end else number
                if day >= since and counted in self.days and day.weekday() in self.weekdays:
                    yield day

    def longest_gap(self, since: datetime.date) -> int:
        """Return how many hours lie at least between two times that follow each other, of those that lie most apart."""
        dates = list(itertools.islice(self.dates(since), MANY))
        days = max(((later - sooner).days for sooner, later in zip(dates, dates[1:])), default=0)
        return 24 * (days if self.is_once else max(days - 1, 0))


def read(text: str) -> Schedule | None:
    """Read an event; return None where systemd takes it for none, or where it never comes, as on February 30."""
    first, space, rest = text.partition(" ")
    left = f"{OFTEN.get(first.lower(), first)}{space}{rest}".split(" ")
    if len(left) > 1 and re.fullmatch(ZONE, left[-1]):
        left.pop()
    weekdays = _weekdays(left[0])
    if weekdays:
        left.pop(0)
    dates = re.split("[-~]", left[0]) if left and re.fullmatch(r"[0-9*./,]+([-~][0-9*./,]+){1,2}", left[0]) else []
    from_end = bool(dates) and "~" in left.pop(0)
    forms = (YEAR, MONTH, DAY_FROM_END if from_end else DAY)
    given = ["*"] * (3 - len(dates)) + dates
    years, months, days = (_numbers(one, *form) for one, form in zip(given, forms))
    clock = left[0].split(":") if left else ["0", "0"]
    times = [_numbers(one, *form) for one, form in zip(clock, (HOUR, MINUTE, MINUTE))]
    is_written = bool(weekdays or dates or left) and len(left) < 2 and len(clock) in (2, 3)
    if not is_written or not all((years, months, days, *times)):
        return None
    every = weekdays or frozenset(range(7))
    found = Schedule(every, years, months, days, from_end, all(len(one) == 1 for one in times))
    return found if any(True for _day in found.dates(datetime.date(min(years), 1, 1))) else None


def _numbers(text: str, least: int, most: int) -> frozenset[int]:
    """Return what a part of a date or a time stands for; nothing where it is none."""
    if text == "*":
        return frozenset(range(least, most + 1))
    found: set[int] = set()
    for one in text.split(","):
        span = SPAN.fullmatch(one)
        if not span:
            return frozenset()
        first, step = int(span["first"]), int(span["step"] or 1)
        last = int(span["last"] or (most if span["step"] else first))
        if not least <= first <= last <= most or step < 1 or (span["step"] and first + step > most):
            return frozenset()
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _weekdays(text: str) -> frozenset[int]:
    """Return the days of the week that a word names; nothing where it names none."""
    found: set[int] = set()
    for one in text.split(","):
        days = [_weekday(day) for day in re.split(r"\.\.|-", one)]
        if len(days) > 2 or -1 in days or days != sorted(days):
            return frozenset()
        found.update(range(days[0], days[-1] + 1))
    return frozenset(found)


def _weekday(text: str) -> int:
    word = text.lower()
    return next((number for number, name in enumerate(WEEKDAYS) if word in (name, name[:3])), -1)
