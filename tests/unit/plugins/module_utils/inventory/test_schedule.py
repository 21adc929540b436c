# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which days an event means, held against systemd where that is here."""

from __future__ import annotations

import datetime
import shutil
import subprocess

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import schedule

CALENDAR = shutil.which("systemd-analyze")
TODAY = datetime.date(2026, 11, 30)

EVENTS = (
    *("03:00", "3:00", "12:30", "25:00", "03:60", "daily", "hourly", "weekly", "tomorrow", "x", "99", "750", "3am"),
    *("*-*-* 03:00:00", "*-*-*", "Mon..Fri 03:00", "Mon,Thu 03:00", "Mon-Fri 3:00", "MONDAY 03:00", "Tues 03:00"),
    *("03:00 UTC", "03:00:00 Europe/Berlin", "03:00 America/New_York", "0 3 * * *", "*/15:00", "*:0/15", "0/6:30"),
    *("2030-01-01", "12-25", "*-02~03 03:00", "Sun *-*-1..7 03:00", "1999-1-1 1:1", "Mon Tue 03:00", "*:*", "03", "::"),
    *("Fri..Mon 03:00", "23..1:00", "*:0/0", "0/24:00", "0/23:00", "1..5/10:00", "*-*-5/40 3:00", "*-*~28", "*-*~29"),
    *("*-02-30 03:00", "*-2,4-31 3:00", "02-29 3:00", "2027-02-29", "2027..2029-02-29", "mon 2030-01-01 03:00"),
    *("-", "Mon", "weekly UTC", "0:0:0..59/5", "*-*-31 24:00", "*-*-* 3,15:00", "Wednesday *-*-* 1:2:3 UTC"),
)
NO_EVENTS = ("25:00", "03:60", "tomorrow", "x", "99", "750", "3am", "Tues 03:00", "0 3 * * *", "*/15:00")
NO_EVENTS += ("Mon Tue 03:00", "03", "::", "-", "*-*-31 24:00")
NO_EVENTS += ("Fri..Mon 03:00", "23..1:00", "*:0/0", "0/24:00", "*-*-5/40 3:00", "*-*~29")
NEVER = ("*-02-30 03:00", "*-2,4-31 3:00", "2027-02-29", "mon 2030-01-01 03:00")


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_one_that_systemd_takes_and_that_comes_at_some_time(event):
    assert (schedule.read(event) is not None) is (event not in (*NO_EVENTS, *NEVER))
    if CALENDAR:
        found = subprocess.run([CALENDAR, "calendar", event], capture_output=True, text=True, check=False)
        assert (found.returncode == 0) is (event not in NO_EVENTS)
        assert ("Next elapse: never" in found.stdout) is (event in (*NEVER, "1999-1-1 1:1"))


@pytest.mark.parametrize(
    ("event", "first", "second"),
    [
        ("03:00", "2026-11-30", "2026-12-01"),
        ("weekly", "2026-11-30", "2026-12-07"),
        ("Tue..Thu 03:00", "2026-12-01", "2026-12-02"),
        ("*-*~02 03:00", "2026-12-30", "2027-01-30"),
        ("*-02-29/2 03:00", "2028-02-29", "2032-02-29"),
        ("*-02-27/2 03:00", "2027-02-27", "2028-02-27"),
        ("02-29 03:00", "2028-02-29", "2032-02-29"),
        ("Sun *-*-1..7 03:00", "2026-12-06", "2027-01-03"),
        ("2026-12-24,25 03:00", "2026-12-24", "2026-12-25"),
        ("quarterly", "2027-01-01", "2027-04-01"),
        ("2020-01-01 03:00", None, None),
    ],
)
def test_the_days_of_an_event_are_those_that_systemd_says(event, first, second):
    found = schedule.read(event)
    dates = list(map(str, found.dates(TODAY))) if found else []
    assert (dates + [None, None])[:2] == [first, second]
    if CALENDAR and first:
        command = [CALENDAR, "calendar", event, "--iterations=2", "--base-time=2026-11-29 23:59:59"]
        said = subprocess.run(command, capture_output=True, text=True, check=False, env={"TZ": "UTC"}).stdout
        assert f" {first} " in said
        assert f" {second} " in said


@pytest.mark.parametrize(
    ("event", "hours"),
    [
        ("03:00", 24),
        ("hourly", 0),
        ("3,15:00", 0),
        ("weekly", 168),
        ("Mon..Fri 03:00", 72),
        ("Mon,Thu 3,15:00", 72),
        ("monthly", 744),
        ("*-1..6-* 03:00", 185 * 24),
        ("2020-01-01 03:00", 0),
    ],
)
def test_how_far_apart_its_times_are_is_known(event, hours):
    assert schedule.read(event).longest_gap(TODAY) == hours
