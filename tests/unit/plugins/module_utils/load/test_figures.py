# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import statistics

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.load import figures
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.load.figures import (
    ANSWERED,
    FAILED,
    LIMITED,
    UNFINISHED,
    Circumstances,
    Request,
)
from hypothesis import given
from hypothesis import strategies as st

ABOUT = Circumstances(rate=10)


def answered(ended, ttft, latency, answer, prompt=10):
    return Request(ANSWERED, ended, ttft, latency, prompt, answer, "200")


@pytest.mark.parametrize(
    ("values", "wanted", "found"),
    [
        pytest.param([7], 50, 7, id="of one value it is that"),
        pytest.param([7], 99, 7, id="whichever is asked for"),
        pytest.param([1, 2], 50, 1.5, id="the median of two lies between them"),
        pytest.param([1, 2, 3, 4], 50, 2.5, id="and that of four between the middle ones"),
        pytest.param([1, 2, 3, 4, 5], 90, 4.6, id="linear between neighbours, as numpy does"),
        pytest.param(list(range(101)), 99, 99, id="of a hundred steps it is the step"),
        pytest.param([1, 2, 3], 0, 1, id="none is below the smallest"),
        pytest.param([1, 2, 3], 100, 3, id="none is above the largest"),
    ],
)
def test_a_percentile_is_numpys(values, wanted, found):
    assert figures.percentile(values, wanted) == pytest.approx(found)


VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


@given(VALUES, st.floats(0, 100), st.floats(0, 100))
def test_a_percentile_lies_among_the_values_and_grows_with_what_is_asked_for(values, one, other):
    ordered, (low, high) = sorted(values), sorted([one, other])
    found = figures.percentile(ordered, low), figures.percentile(ordered, high)
    assert ordered[0] <= found[0] <= ordered[-1]
    assert found[0] <= found[1] or found[0] == pytest.approx(found[1])


@given(VALUES)
def test_the_percentile_in_the_middle_is_the_median(values):
    assert figures.percentile(sorted(values), 50) == pytest.approx(statistics.median(values))


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=30))
def test_percentiles_are_those_of_the_standard_library(values):
    quantiles = statistics.quantiles(values, n=100, method="inclusive")
    for wanted in figures.PERCENTILES:
        assert figures.percentile(sorted(values), wanted) == pytest.approx(quantiles[wanted - 1], abs=1e-6)


def test_figures_are_those_of_the_definitions():
    """Three answers by hand: 11 tokens in 1.2 s after 0.2 s, 5 in 0.5 s after 0.1 s, and one alone after 0.3 s."""
    found = figures.measure(
        [
            answered(1.2, 0.2, 1.2, 11),
            answered(2.0, 0.1, 0.5, 5),
            answered(4.0, 0.3, 0.3, 1, prompt=20),
            Request(LIMITED, 1.0, status="429", said="slow down"),
            Request(FAILED, 5.0, status="502", said="gone"),
            Request(FAILED, 5.0, status="502", said="gone too"),
            Request(UNFINISHED, 6.0),
        ],
        [0.1, 0.1, 0.2],
        30,
    )
    assert found["duration"] == 4.0  # to the end of the last answer
    assert (found["completed"], found["failed"], found["limited"], found["unfinished"]) == (3, 2, 1, 1)
    assert (found["total_input_tokens"], found["total_output_tokens"]) == (40, 17)
    assert (found["request_throughput"], found["output_throughput"]) == (0.75, 4.25)
    assert found["total_token_throughput"] == 14.25
    assert found["ttft_ms"] == {"mean": 200, "p50": 200, "p90": 280, "p99": 298}
    assert found["tpot_ms"] == {"mean": 100, "p50": 100, "p90": 100, "p99": 100}  # the answer of one token has none
    assert found["itl_ms"] == {"mean": 133.333, "p50": 100, "p90": 180, "p99": 198}
    assert found["e2el_ms"]["p50"] == 500
    assert found["stream_rate"]["p50"] == 10
    assert found["errors"] == {"502": {"count": 2, "said": "gone"}, "429": {"count": 1, "said": "slow down"}}


def test_of_rates_the_slow_ones_are_the_high_percentiles():
    found = figures.reached([10, 20, 30, 40, 50])
    assert found["mean"] == 30
    assert (found["p50"], found["p90"]) == (30, pytest.approx(14))


def test_a_load_without_an_answer_has_figures_too():
    found = figures.measure([Request(FAILED, 1.0, status="500", said="no")], [], 30)
    assert (found["duration"], found["completed"], found["output_throughput"], found["ttft_ms"]) == (30, 0, 0, {})
    assert figures.measure([], [], 0)["request_throughput"] == 0


ESTIMATE = {"decode_alone": 100.0, "decode_full_each": 50.0, "batch": 11, "prefill": 1000.0}


@pytest.mark.parametrize(
    ("hosts", "users", "each", "together"),
    [
        pytest.param(1, 1, 100, 100, id="one alone"),
        pytest.param(1, 11, 50, 550, id="as many as the plan holds"),
        pytest.param(1, 6, 66.6667, 400, id="between these the time of a step is linear"),
        pytest.param(1, 50, 50, 550, id="more than that wait"),
        pytest.param(2, 2, 100, 200, id="the edge shares them out among hosts"),
        pytest.param(2, 22, 50, 1100, id="each with its own batch"),
    ],
)
def test_what_the_plan_estimates_follows_the_number_of_users(hosts, users, each, together):
    found = figures.expect([ESTIMATE] * hosts, users, 500)
    assert (found.each, found.together) == pytest.approx((each, together), rel=1e-4)
    assert found.ttft_ms == pytest.approx(510)


def test_nothing_is_expected_without_a_plan():
    assert figures.expect([], 4, 256) is None


def plan_of(host, model="qwen", estimate=ESTIMATE):
    return {"host": host, "model": model, "plan": {"estimate": estimate}}


@pytest.mark.parametrize(
    ("plans", "hosts", "count"),
    [
        pytest.param({"plans": [plan_of("a"), plan_of("b")]}, ["a", "b"], 2, id="one for each host"),
        pytest.param({"plans": [plan_of("a"), plan_of("b")]}, ["a"], 1, id="of the model's hosts alone"),
        pytest.param({"plans": [plan_of("a")]}, ["a", "b"], 0, id="or none, where one is missing"),
        pytest.param({"plans": [plan_of("a", "other")]}, ["a"], 0, id="another model's is none"),
        pytest.param({"plans": [plan_of("a", estimate=None)]}, ["a"], 0, id="processors have none"),
        pytest.param({"plans": [{"host": "a", "model": "qwen", "plan": None}]}, ["a"], 0, id="nor a refused plan"),
        pytest.param({"plans": [plan_of("a", estimate={"batch": 0})]}, ["a"], 0, id="nor an estimate of a later form"),
        pytest.param({"plans": ["x"]}, ["a"], 0, id="a file of somebody else's is none"),
        pytest.param(None, ["a"], 0, id="no file"),
        pytest.param({"plans": [plan_of("a")]}, [], 0, id="somebody else's server has no host"),
    ],
)
def test_estimates_are_those_of_the_models_hosts(plans, hosts, count):
    assert len(figures.estimates(plans, "qwen", hosts)) == count


WORK = {"users": 4}


def run(work, completed=1, when="2026"):
    return {"work": work, "figures": {"completed": completed}, "when": when}


def test_the_history_keeps_the_newest_runs():
    runs = [run(WORK, when=str(number)) for number in range(60)]
    found = figures.kept(runs, run(WORK, when="new"))
    assert (len(found), found[0]["when"], found[-1]["when"]) == (50, "11", "new")


@pytest.mark.parametrize(
    ("runs", "when"),
    [
        pytest.param([run(WORK, when="a"), run(WORK, when="b")], "b", id="the newest"),
        pytest.param([run(WORK, when="a"), run({"users": 5}, when="b")], "a", id="with the same work"),
        pytest.param([run(WORK, when="a"), run(WORK, 0, "b")], "a", id="and answers"),
        pytest.param([run({"users": 5})], None, id="or none"),
        pytest.param([], None, id="the first run has none"),
    ],
)
def test_a_run_is_compared_with_the_last_one_of_the_same_work(runs, when):
    found = figures.last_like(runs, WORK)
    assert (found["when"] if found else None) == when


@pytest.mark.parametrize("history", [None, [], {"runs": 7}, {"runs": ["x"]}, "x", {}])
def test_a_history_that_is_none_is_empty(history):
    assert figures.earlier(history) == []


def test_two_runs_are_compared_by_their_medians():
    before = figures.measure([answered(2, 0.2, 1.2, 11)], [0.1], 2)
    now = figures.measure([answered(1, 0.1, 0.6, 11)], [0.05], 2)
    assert figures.compare(now, before) == {
        "ttft_ms": -0.5,
        "tpot_ms": -0.5,
        "itl_ms": -0.5,
        "e2el_ms": -0.5,
        "stream_rate": 1.0,
        "output_throughput": 1.0,
        "request_throughput": 1.0,
    }
    assert figures.compare(now, None) == {}
    assert figures.compare(now, figures.measure([], [], 1)) == {}


def shown(requests, about=ABOUT, before=None, expected=None, **work):
    found = figures.measure(requests, [0.1], 30)
    asked = {"users": 4, "prompt_tokens": 256, "answer_tokens": 128, "shared_prefix": False, **work}
    notes = [*figures.warnings(found, about), *figures.notes(found, about)]
    return figures.table(
        {
            "model": "qwen",
            "work": asked,
            "figures": found,
            "changes": figures.compare(found, before),
            "expected": expected,
            "notes": notes,
        }
    )


def test_the_table_shows_figures_changes_and_estimates():
    before = figures.measure([answered(2, 0.1, 1.1, 11)], [0.1], 2)
    expected = {"ttft_ms": 150.0, "each": 20.0, "together": 80.0}
    lines = shown([answered(2, 0.2, 1.2, 11)], before=before, expected=expected).splitlines()
    assert lines[0] == ("Load on qwen: 4 users, 256 tokens asked and 128 answered, each prompt its own, 2.00 s")
    assert lines[2].split() == ["mean", "p50", "p90", "p99", "last", "run", "estimate"]
    first = next(line for line in lines if line.startswith("time to first token"))
    assert first.split()[-6:] == ["200", "200", "200", "200", "+100%", "150"]
    stream = next(line for line in lines if line.startswith("tokens/s of one stream"))
    assert stream.split()[-6:] == ["10.0", "10.0", "10.0", "10.0", "+0%", "20.0"]
    together = next(line for line in lines if line.startswith("tokens/s together"))
    assert together.split()[2:] == ["5.50", "+0%", "80.0"]
    assert "requests: 1 answered, 0 failed; 10 tokens asked, 11 answered" in lines
    assert max(map(len, lines)) <= 100


def test_the_table_of_a_trace_says_how_many_requests_it_has():
    found = figures.measure([answered(2, 0.2, 1.2, 11)], [], 2)
    words = figures.work({"work": {"trace_requests": 1200}, "figures": found})
    assert words == "a trace of 1,200 requests, 2.00 s"


@pytest.mark.parametrize(
    ("requests", "about", "words"),
    [
        pytest.param(
            [Request(LIMITED, status="429")],
            ABOUT,
            ["1 requests were not let through (429)", "10 requests a second (edge_api_rate", "whatever the engine"],
            id="429 is the edge's limit and names its variable",
        ),
        pytest.param(
            [Request(LIMITED, status="429")],
            Circumstances(10, endpoint="lmstudio"),
            ["the server of lmstudio has limits of its own"],
            id="or that of somebody else's server",
        ),
        pytest.param(
            [Request(FAILED, status="502", said="gone")],
            ABOUT,
            ["1 requests failed (502): gone"],
            id="an error by status",
        ),
        pytest.param([], Circumstances(10, busy=0.93), ["93% of one processor"], id="a slow control node"),
        pytest.param([], Circumstances(10, interrupted=True), ["ended before its time"], id="Ctrl-C"),
        pytest.param([Request(UNFINISHED)], ABOUT, ["1 answers were not whole", "set load_seconds"], id="cut answers"),
        pytest.param([], Circumstances(10, uncounted=3), ["did not count the tokens of 3"], id="no usage"),
        pytest.param([], Circumstances(10, late=2), ["2 requests of the trace began late"], id="too many at once"),
        pytest.param([], Circumstances(10, left_out=2), ["2 requests of the trace lie after"], id="a long trace"),
        pytest.param([], Circumstances(10, full=True), ["as many requests as one may"], id="very many"),
        pytest.param([], Circumstances(10, has_estimate=True), ["from data sheets"], id="what an estimate is"),
        pytest.param([], Circumstances(10, other_work=True), ["asked something else"], id="another work"),
        pytest.param([], Circumstances(10, file_problem="f: bad"), ["cannot be read", "f: bad"], id="a broken history"),
    ],
)
def test_what_is_to_be_known_stands_below_the_figures(requests, about, words):
    text = " ".join(shown([answered(1, 0.1, 0.2, 2), *requests], about).split())
    assert [word for word in words if word not in text] == []


def test_a_good_load_has_nothing_below_its_figures():
    assert "note:" not in shown([answered(1, 0.1, 0.2, 2)])


@pytest.mark.parametrize(
    ("requests", "about", "word"),
    [
        pytest.param([answered(1, 0.1, 0.2, 2), Request(FAILED, status="500")], ABOUT, "", id="some were answered"),
        pytest.param([], Circumstances(10, interrupted=True), "", id="somebody ended it"),
        pytest.param([Request(LIMITED, status="429")], ABOUT, "edge_api_rate", id="all were over the limit"),
        pytest.param([Request(FAILED, status="502", said="gone")], ABOUT, "1 times 502: gone", id="all failed"),
        pytest.param([Request(UNFINISHED)], ABOUT, "set load_seconds to more", id="all were cut"),
    ],
)
def test_a_load_fails_where_nothing_was_answered(requests, about, word):
    found = figures.nothing(figures.measure(requests, [], 30), about, "qwen")
    assert (found == "") == (word == "")
    assert word in found
