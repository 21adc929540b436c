# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import math

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.transfer import (
    FAST,
    LONGEST,
    LONGEST_WAIT,
    SHORTEST,
    Progress,
    backoff,
    frontier,
    is_slow,
    judge,
    missing,
    more_helps,
    next_length,
    retry_after,
)
from hypothesis import given
from hypothesis import strategies as st

SIZE = 60
spans = st.lists(
    st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(lambda pair: tuple(sorted(pair))), max_size=8
)


@given(spans)
def test_what_is_missing_and_what_is_there_are_the_whole(have):
    there = {byte for begin, end in have for byte in range(begin, end)}
    gaps = [byte for begin, end in missing(SIZE, have) for byte in range(begin, end)]
    assert gaps == [byte for byte in range(SIZE) if byte not in there]
    assert frontier(SIZE, have) == next((byte for byte in range(SIZE) if byte not in there), SIZE)


@pytest.mark.parametrize(
    ("remaining", "connections", "length"),
    [(0, 4, SHORTEST), (10**12, 16, LONGEST), (16 * 40_000_000, 8, 40_000_000), (10**9, 0, LONGEST)],
)
def test_ranges_become_shorter_towards_the_end(remaining, connections, length):
    assert next_length(remaining, connections) == length


@pytest.mark.parametrize(
    ("connections", "cores", "rate", "helps"),
    [
        (0, 2, math.inf, True),
        (1, 2, math.inf, True),  # one per core, before anything is known
        (2, 2, math.inf, False),
        (2, 2, 2 * FAST, False),
        (2, 2, 2 * FAST - 1, True),
        (31, 2, 31 * 25_000_000, True),  # 200 Mbit/s each
        (8, 16, 8 * 1_000_000_000, True),  # cores that could hash and have nothing to do
    ],
)
def test_a_file_gets_more_connections_where_they_are_slow_or_cores_are_idle(connections, cores, rate, helps):
    assert more_helps(connections, cores, rate) is helps


@given(st.integers(1, 100), st.floats(0, 1))
def test_waits_grow_within_bounds(attempt, chance):
    wait = backoff(attempt, None, chance)
    assert 0 < wait <= LONGEST_WAIT
    assert wait <= backoff(attempt + 1, None, 1.0)


@pytest.mark.parametrize(("asked", "least"), [(0.0, 0), (7.0, 7), (-3.0, 0), (9999.0, LONGEST_WAIT)])
def test_a_server_is_given_the_time_that_it_asks_for(asked, least):
    assert least <= backoff(1, asked, 0.5) <= least + 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:05 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value, seconds):
    assert retry_after({"retry-after": value}, 10.0) == seconds


def test_no_retry_after_is_none():
    assert retry_after({}, 0) is None


PART, WHOLE = (10, 20), (0, 100)


@pytest.mark.parametrize(
    ("status", "headers", "span", "redirected", "kind"),
    [
        pytest.param(200, {"content-length": "100"}, WHOLE, False, "take", id="the whole file"),
        pytest.param(200, {}, WHOLE, False, "take", id="the whole file of no length"),
        pytest.param(200, {"content-length": "99"}, WHOLE, False, "refused", id="another length"),
        pytest.param(200, {"content-length": "100"}, PART, False, "whole", id="the range ignored"),
        pytest.param(206, {"content-range": "bytes 10-19/100"}, PART, False, "take", id="the range"),
        pytest.param(206, {"content-range": "bytes 10-19/*"}, PART, False, "take", id="the range of an unknown whole"),
        pytest.param(206, {"content-range": "bytes 10-19/90"}, PART, False, "refused", id="of another file"),
        pytest.param(206, {"content-range": "bytes 11-20/100"}, PART, False, "wait", id="another range"),
        pytest.param(206, {"content-range": "bytes 10-18/100"}, PART, False, "take", id="a shorter range"),
        pytest.param(206, {"content-range": "bytes 10-20/100"}, PART, False, "wait", id="a longer range"),
        pytest.param(206, {"content-range": "bytes 10-9/100"}, PART, False, "wait", id="no range"),
        pytest.param(206, {"content-range": "bytes 10-19"}, PART, False, "take", id="the range without the whole"),
        pytest.param(206, {}, PART, False, "wait", id="a range without a word which"),
        pytest.param(206, {"content-range": "bytes 0-99/100"}, WHOLE, False, "wait", id="a range unasked for"),
        pytest.param(200, {"content-encoding": "gzip"}, WHOLE, False, "wait", id="compressed"),
        pytest.param(302, {"location": "/x"}, PART, False, "redirect", id="elsewhere"),
        pytest.param(302, {}, PART, False, "refused", id="nowhere"),
        pytest.param(416, {"content-range": "bytes */100"}, PART, False, "whole", id="no ranges"),
        pytest.param(416, {"content-range": "bytes */15"}, PART, False, "refused", id="a shorter file"),
        pytest.param(416, {}, PART, False, "refused", id="no such range"),
        pytest.param(403, {}, PART, True, "expired", id="an address that ran out"),
        pytest.param(451, {}, PART, True, "expired", id="an address that is not for here"),
        pytest.param(407, {}, PART, True, "expired", id="an address that a proxy forbids"),
        pytest.param(403, {}, PART, False, "refused", id="forbidden"),
        pytest.param(404, {}, PART, False, "refused", id="gone"),
        pytest.param(429, {}, PART, True, "wait", id="too many requests"),
        pytest.param(503, {}, PART, True, "wait", id="not now"),
        pytest.param(500, {}, PART, False, "wait", id="broken"),
        pytest.param(203, {}, PART, False, "wait", id="a proxy's own answer"),
        pytest.param(204, {}, PART, False, "wait", id="nothing"),
    ],
)
def test_an_answer_is_judged(status, headers, span, redirected, kind):
    assert judge(status, headers, span, 100, redirected).kind == kind


HTML = {"content-type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("headers", "span", "path", "kind"),
    [
        pytest.param(HTML, PART, "a", "wait", id="a page for a range"),
        pytest.param(HTML, WHOLE, "a", "wait", id="a page for a file"),
        pytest.param({**HTML, "content-length": "7"}, WHOLE, "a", "wait", id="a short page"),
        pytest.param({**HTML, "content-length": "100"}, WHOLE, "a", "take", id="a file that is called a page"),
        pytest.param(HTML, WHOLE, "a.html", "take", id="a page that is wanted"),
        pytest.param({}, PART, "a", "wait", id="who knows how long"),
        pytest.param({"content-type": "binary/octet-stream"}, PART, "a", "whole", id="bytes, whoever knows how many"),
    ],
)
def test_a_page_in_the_place_of_a_file_is_asked_again(headers, span, path, kind):
    assert judge(200, headers, span, 100, False, path).kind == kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit": '"api";t=25;r=0'}, 25.0),
        ({"ratelimit": '"api";r=5;t=9, "pages";r=0;t=100'}, 100.0),
        ({"ratelimit": '"api";t=25;r=10'}, None),
        ({"ratelimit": "limit=100, remaining=0, reset=50"}, 50.0),
        ({"ratelimit": "limit=100, remaining=3, reset=50"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "50"}, 50.0),
        ({"ratelimit-remaining": "3", "ratelimit-reset": "50"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "50"}, 50.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800000060"}, 60.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000000"}, 0.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
    ],
)
def test_a_rate_limit_is_read_in_the_forms_before_its_last_draft_too(headers, seconds):
    assert retry_after(headers, 1_800_000_000.0) == seconds


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [('"api";r=0;t=25', 25.0), ('"api"; r=0; t=300', 300.0), ('"api";r=12;t=25', None), ("", None), ("r=0", None)],
)
def test_the_end_of_a_rate_limits_window_is_read(limit, seconds):
    assert retry_after({"ratelimit": limit}, 0) == seconds
    assert retry_after({"ratelimit": limit, "retry-after": "7"}, 0) == 7.0


@pytest.mark.parametrize(
    ("seconds", "count", "usual", "before", "slow"),
    [
        (60, 1 << 19, 10e6, 0, True),
        (9, 1 << 19, 10e6, 0, False),
        (15, 1 << 19, 10e6, 1, False),
        (60, 60 << 20, 10e6, 0, True),
        (40, 60 << 20, 10e6, 0, False),
        (600, 1 << 19, 0.0, 0, False),
        (60, 1 << 19, 50e3, 0, False),
    ],
)
def test_a_connection_is_slow_beside_others(seconds, count, usual, before, slow):
    assert is_slow(seconds, count, usual, before) is slow


def test_progress_tells_the_time_left():
    described = Progress(done=30, fetched=10, total=100, rate=7.0, files_done=1, files=3).as_json()
    assert (described["seconds_left"], described["bytes"], described["files_total"]) == (10, 30, 3)
    assert Progress(0, 0, 100, 0.0, 0, 3).as_json()["seconds_left"] is None
