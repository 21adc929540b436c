# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an engine counts as hung: stories of engines, and what is done in them at which second."""

from __future__ import annotations

import dataclasses

import pytest

TOKENS = "vllm:generation_tokens_total"
CACHE = "vllm:kv_cache_usage_perc"
RUNNING = "vllm:num_requests_running"
WINDOW, PROBE = 30, 20


class Story:
    """An engine over time. What it does at a second is a subclass's to say; this one is idle and answers."""

    task = "chat"
    server_seconds = 0.02  # CPU time that the server takes in a second
    name = "python3"  # of the engine's process

    def container(self, at):
        return "one"

    def healthy(self, at):
        return True

    def metrics(self, at):
        return {TOKENS: 100.0, CACHE: 0.0, RUNNING: 0.0}

    def cpu(self, at):
        """Return the CPU seconds that the engine has taken by then."""
        return 0.0

    def state(self, at):
        return "S"

    def probe(self, at):
        return "answered"


class Loads(Story):
    def healthy(self, at):
        return False

    def probe(self, at):
        return "silent"


class HangsIdle(Story):
    """It shows nothing running, for it takes nothing up."""

    def probe(self, at):
        return "answered" if at < 100 else "silent"


class HangsBusy(HangsIdle):
    def metrics(self, at):
        return {TOKENS: 10.0 * min(at, 100), CACHE: 0.4, RUNNING: 3.0}

    def cpu(self, at):
        return min(at, 100.0)


class HangsComputing(HangsBusy):
    """Its processes wait for a GPU that never ends, and take a core each."""

    def cpu(self, at):
        return 1.0 * at


class StoppedWithWorkersThatWait(HangsComputing):
    def state(self, at):
        return "S" if at < 100 else "T"


class BusyQueue(Story):
    """Probes wait behind people's requests."""

    def metrics(self, at):
        return {TOKENS: 5.0 * at, CACHE: 0.9, RUNNING: 64.0}

    def cpu(self, at):
        return 1.0 * at

    def probe(self, at):
        return "silent"


class LongPrefill(BusyQueue):
    """Tokens stand still for minutes; the cache fills, once in 25 seconds."""

    def metrics(self, at):
        return {TOKENS: 0.0, CACHE: 0.001 * (at // 25), RUNNING: 1.0}

    def cpu(self, at):
        return 0.0


class OneLongStep(BusyQueue):
    """Nothing that is counted moves for five minutes, but the processors are at work."""

    def metrics(self, at):
        return {TOKENS: float(at // 300), CACHE: 0.2, RUNNING: 1.0}


class SlowAnswers(BusyQueue):
    """Once in 28 seconds a token comes, and nothing is computed in between."""

    def metrics(self, at):
        return {TOKENS: float(at // 28), CACHE: 0.2, RUNNING: 15.0}

    def cpu(self, at):
        return 0.0


class OneProbeIsLost(Story):
    def probe(self, at):
        return "silent" if 100 <= at < 110 else "answered"


class ServerHangs(Story):
    def healthy(self, at):
        return at < 100


class MetricsAreGone(Story):
    def metrics(self, at):
        return {TOKENS: 100.0} if at < 100 else None


class ServerIsSlow(Story):
    """Its answers come late now and then."""

    def healthy(self, at):
        return at % 40 >= 20


class ServerComputes(Story):
    """A text of a million letters holds the server for three minutes."""

    server_seconds = 1.0

    def healthy(self, at):
        return not 100 <= at < 280


class NamedServerComputes(ServerComputes):
    name = "VLLM::EngineCor"


class HangsWhilePeopleAsk(HangsIdle):
    """Its server reads what they send."""

    name = "VLLM::EngineCor"
    server_seconds = 0.4


class WaitsForTheDisk(BusyQueue):
    """Its memory is on the disk, and comes back slowly."""

    def metrics(self, at):
        return {TOKENS: float(at // 200), CACHE: 0.2, RUNNING: 1.0}

    def cpu(self, at):
        return 0.0

    def state(self, at):
        return "D"


class Refused(Story):
    """The key on the disk is another than the engine's; hung or not, it refuses."""

    def probe(self, at):
        return "unclear"


class RefusedAndHangsBusy(Refused):
    def metrics(self, at):
        return {TOKENS: 10.0 * min(at, 100), RUNNING: 3.0}


class RefusedForAnHourThenOneLost(Refused):
    def probe(self, at):
        return "silent" if 3600 <= at < 3610 else "unclear"


class Reranks(Story):
    task = "rerank"

    def probe(self, at):
        raise AssertionError("it is not probed")


class ReranksAndHangs(Reranks):
    def metrics(self, at):
        return {TOKENS: 10.0 * min(at, 100), RUNNING: 3.0}


class ReranksAndIsSilentOnce(Reranks):
    def healthy(self, at):
        return not 1000 <= at < 1015


class StoppedByAnOperator(HangsIdle):
    def container(self, at):
        return "one" if at < 115 else ""


class RestartedByAnOperator(HangsIdle):
    """And then it loads for half an hour."""

    def container(self, at):
        return "one" if at < 115 else "two"

    def healthy(self, at):
        return at < 115


class SaysNothingCounted(BusyQueue):
    """Its statistics are off, so that nobody knows one long step from many."""

    def metrics(self, at):
        return {}


def lived(watchdog, story, **others):
    """Return what is done in a story, with its seconds."""
    found = judged(watchdog, story, **others)
    return [(one.act, at, one.reason) for at, one in found if one.act in ("restart", "rest")]


def judged(watchdog, story, until=2000, limits=None, jump=lambda at: 0.0):
    """Yield each verdict of a story, with its second, as the program looks and asks."""
    limits = limits or watchdog.Limits()
    watch, at = watchdog.Watch(), 0.0

    def look(probe=""):
        processes = {
            (1, 1): watchdog.Process("vllm", "S", story.server_seconds * at),
            (2, 1): watchdog.Process(story.name, story.state(at), story.cpu(at)),
        }
        container = story.container(at)
        if not container:
            return watchdog.Look(at + jump(at), "")
        healthy = story.healthy(at)
        figures = story.metrics(at) if healthy else None
        return watchdog.Look(at + jump(at), container, healthy, figures, processes, probe)

    while at < until:
        begin = at
        verdict = watchdog.judge(watch, look(), limits, story.task)
        if verdict.act == "probe":
            asked = story.probe(at)
            at += PROBE if asked == "silent" else 0.1
            verdict = watchdog.judge(verdict.watch, look(asked), limits, story.task)
        watch = verdict.watch
        yield at, verdict
        at = max(at, begin + limits.interval)


@pytest.mark.parametrize(
    "story",
    [
        Story(),
        Loads(),
        BusyQueue(),
        LongPrefill(),
        OneLongStep(),
        SlowAnswers(),
        OneProbeIsLost(),
        ServerIsSlow(),
        ServerComputes(),
        NamedServerComputes(),
        WaitsForTheDisk(),
        Refused(),
        RefusedForAnHourThenOneLost(),
        Reranks(),
        ReranksAndIsSilentOnce(),
        StoppedByAnOperator(),
        RestartedByAnOperator(),
        SaysNothingCounted(),
    ],
    ids=lambda story: type(story).__name__,
)
def test_an_engine_that_loads_works_or_was_stopped_is_left_alone(watchdog, story):
    assert lived(watchdog, story, until=4500) == []


@pytest.mark.parametrize(
    "story",
    [Story(), Loads(), BusyQueue(), LongPrefill(), OneLongStep(), SlowAnswers(), ServerComputes(), WaitsForTheDisk()],
    ids=lambda story: type(story).__name__,
)
def test_an_engine_that_works_is_asked_by_everybody(watchdog, story):
    assert not any(one.silent for _at, one in judged(watchdog, story))


@pytest.mark.parametrize(
    "story",
    [HangsIdle(), ServerHangs(), ReranksAndHangs()],
    ids=lambda story: type(story).__name__,
)
def test_an_engine_that_hangs_is_asked_by_nobody_for_a_while_before_its_restart(watchdog, story):
    found = list(judged(watchdog, story))
    silent = next(at for at, one in found if one.silent)
    restart = next(at for at, one in found if one.act == "restart")
    assert 100 < silent <= restart - 10


def test_an_engine_that_answers_again_is_asked_again(watchdog):
    states = [one.silent for _at, one in judged(watchdog, ServerIsSlow())]
    assert not states[-1]


def test_an_engine_that_is_left_hanging_stays_out(watchdog):
    *_others, (_at, last) = judged(watchdog, HangsIdle(), limits=watchdog.Limits(restarts_per_hour=0))
    assert last.silent


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (HangsIdle(), "no answer to a probe of 20 s, its figures and its processes at a standstill"),
        (HangsBusy(), "no answer to a probe of 20 s, its figures and its processes at a standstill"),
        (StoppedWithWorkersThatWait(), "no answer to a probe of 20 s, its figures and its processes at a standstill"),
        (HangsWhilePeopleAsk(), "no answer to a probe of 20 s, its figures and its processes at a standstill"),
        (ServerHangs(), "no answer from its server"),
        (MetricsAreGone(), "no answer from its server"),
        (ReranksAndHangs(), "requests that wait"),
        (RefusedAndHangsBusy(), "requests that wait"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Story) else "",
)
def test_an_engine_that_hangs_is_restarted_after_the_window_and_within_a_minute(watchdog, story, reason):
    act, at, why = lived(watchdog, story)[0]
    assert act == "restart"
    assert 100 + WINDOW - 10 <= at <= 150
    assert reason in why


def test_an_engine_that_hangs_while_it_computes_is_given_longer_than_any_step_takes(watchdog):
    act, at, why = lived(watchdog, HangsComputing())[0]
    assert (act, 690 <= at <= 730) == ("restart", True)
    assert "though it computes" in why


def test_an_engine_that_goes_on_hanging_is_restarted_thrice_an_hour_and_then_it_is_said_once(watchdog):
    done = lived(watchdog, HangsIdle(), until=3600)
    assert [act for act, _at, _why in done] == ["restart"] * 3 + ["rest"]


def test_an_hour_later_it_is_restarted_again(watchdog):
    done = lived(watchdog, HangsIdle(), until=4000)
    fourth = [at for act, at, _why in done if act == "restart"][3]
    assert fourth >= done[0][1] + 3600


def test_a_limit_of_none_only_says_what_is_found(watchdog):
    done = lived(watchdog, HangsIdle(), limits=watchdog.Limits(restarts_per_hour=0))
    assert [act for act, _at, _why in done] == ["rest"]


def test_restarts_are_counted_over_new_containers(watchdog):
    class EachHangs(Story):
        def container(self, at):
            return f"start {at // 60}"

        def probe(self, at):
            return "answered" if at % 60 < 10 else "silent"

    done = lived(watchdog, EachHangs(), until=300)
    assert [act for act, _at, _why in done] == ["restart"] * 3 + ["rest"] * 2


@pytest.mark.parametrize("by", [4000.0, -4000.0])
def test_a_clock_that_jumps_or_a_host_that_slept_is_no_evidence(watchdog, by):
    class BusyBefore(OneProbeIsLost):
        def probe(self, at):
            return "silent" if 100 <= at < 120 else "answered"

    assert lived(watchdog, BusyBefore(), jump=lambda at: by if at >= 105 else 0.0) == []


def test_an_engine_is_not_probed_while_its_figures_move(watchdog):
    class Works(BusyQueue):
        def probe(self, at):
            raise AssertionError("it was probed")

    assert lived(watchdog, Works()) == []


def test_a_watchdog_that_starts_beside_a_hung_engine_knows_it_by_its_health_alone(watchdog):
    class HungBefore(HangsIdle):
        def probe(self, at):
            return "silent"

    assert lived(watchdog, HungBefore(), until=40)[0][:2] == ("restart", 30.0)


@pytest.mark.parametrize(
    ("before", "now", "computes"),
    [
        ({1: ("python3", 5.0)}, {1: ("python3", 5.1)}, False),
        ({1: ("python3", 5.0)}, {1: ("python3", 7.0)}, True),
        ({}, {2: ("cicc", 4.0)}, True),
        ({1: ("vllm", 5.0), 2: ("VLLM::EngineCor", 1.0)}, {1: ("vllm", 9.0), 2: ("VLLM::EngineCor", 1.0)}, False),
        ({1: ("vllm", 5.0), 2: ("VLLM::EngineCor", 1.0)}, {1: ("vllm", 5.0), 2: ("VLLM::EngineCor", 9.0)}, True),
        ({1: ("vllm", 5.0)}, {}, True),
        ({1: ("vllm", 5.0), 2: ("x", 0.0)}, {1: ("vllm", 9.0), 2: ("x", 0.0, "T")}, False),
    ],
    ids=["a little", "much", "a compiler", "server beside engine", "engine", "nothing is known", "one is stopped"],
)
def test_processes_compute_when_the_engines_take_more_than_answers_to_our_questions(watchdog, before, now, computes):
    def told(some):
        return {
            (pid, 1): watchdog.Process(one[0], one[2] if len(one) > 2 else "S", one[1]) for pid, one in some.items()
        }

    assert watchdog.compute(told(before), told(now), 10.0) is computes


METRICS = """\
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="m"} 7.0
vllm:generation_tokens_total{engine="1",model_name="m {odd}"} 1.5e+01
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 2.0
vllm:request_success_total{engine="0",finished_reason="abort",model_name="m"} 9.0
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:generation_tokens_created{engine="0"} 1.7e+09
vllm:num_requests_running 1.0 1700000000
http_requests_total{handler="/health"} 88.0
vllm:prompt_tokens_total{engine="0"} what
"""


def test_the_figures_are_the_engines_alone_and_summed_over_its_parts(watchdog):
    assert watchdog.figures_of(METRICS) == {
        "vllm:generation_tokens_total": 22.0,
        "vllm:request_success_total": 2.0,
        "vllm:kv_cache_usage_perc": 0.25,
        "vllm:num_requests_running": 1.0,
    }


def test_what_is_judged_is_frozen(watchdog):
    for kind in (watchdog.Look, watchdog.Watch, watchdog.Verdict, watchdog.Limits, watchdog.Process):
        assert kind.__dataclass_params__.frozen
        assert dataclasses.is_dataclass(kind)
