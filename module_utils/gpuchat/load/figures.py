# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of a load, by the definitions of `vllm bench serve`, and how they compare.

Names and definitions are those of vLLM's vllm/benchmarks/serve.py (``calculate_metrics``) and
lib/endpoint_request_func.py, so that both can be laid beside each other (version 0.32 read):

- TTFT, time to first token: from sending a request to the first chunk with output;
- latency, E2EL: to the last chunk of the answer, not to the one that brings the number of tokens;
- TPOT, time per output token without the first: (latency - TTFT) / (tokens - 1), of answers with two tokens and more;
- ITL, inter-token latency: the gaps between chunks, of which one may bring several tokens;
- throughputs: sums over the seconds from the start to the end of the last answer;
- only answers that came whole count, and percentiles are numpy's (linear between neighbours).

Tokens are those that the server counts (``usage``), never chunks. Different here: a connection that has to be opened is
open before the clock starts, where vLLM's first requests count that too; and a chunk that brings but the role is none
with output, which vLLM's bench takes for the first up to 0.32, at the same moment for vLLM's own server.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.names import plain

ANSWERED, LIMITED, FAILED, UNFINISHED = "answered", "limited", "failed", "unfinished"
TOO_MANY = "429"
PERCENTILES = (50, 90, 99)
MOST_RUNS = 50
"""Entries that the history of a model keeps."""

WIDTH = 100


@dataclass(frozen=True)
class Request:
    """What became of one request.

    Attributes:
        kind: ``answered``, ``limited`` (the edge let no more through), ``failed``, or ``unfinished`` (the load ended).
        ended: seconds after the load's start.
        ttft: seconds to the first token.
        latency: seconds to the last one.
        status: HTTP's, or a word where it did not come to one.
        said: what was said of it.
        wait: seconds after which the server wants to be asked again.
    """

    kind: str
    ended: float = 0.0
    ttft: float = 0.0
    latency: float = 0.0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    status: str = ""
    said: str = ""
    wait: float = 0.0


@dataclass(frozen=True)
class Expected:
    """What a plan estimates for this number of users.

    Attributes:
        ttft_ms: reading one such prompt alone, up to the first token.
        each: tokens a second of one stream.
        together: of all.
    """

    ttft_ms: float
    each: float
    together: float

    def as_dict(self) -> dict[str, float]:
        return {"ttft_ms": self.ttft_ms, "each": self.each, "together": self.together}


def percentile(ordered: Sequence[float], wanted: float) -> float:
    """Return a percentile of values in ascending order, as numpy does: linear between the two nearest."""
    place = (len(ordered) - 1) * wanted / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    if ordered[low] == ordered[high]:
        return ordered[low]
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def spread(values: Iterable[float], factor: float = 1.0) -> dict[str, float]:
    """Return mean and percentiles, each times a factor; nothing where there are no values."""
    ordered = sorted(values)
    if not ordered:
        return {}
    found = {"mean": math.fsum(ordered) / len(ordered)}
    found.update({f"p{one}": percentile(ordered, one) for one in PERCENTILES})
    return {name: rounded(value * factor) for name, value in found.items()}


def reached(values: Iterable[float]) -> dict[str, float]:
    """Return mean and percentiles of rates, of which the small ones are bad: pN is what N % reach or exceed."""
    ordered = sorted(values)
    if not ordered:
        return {}
    found = {"mean": math.fsum(ordered) / len(ordered)}
    found.update({f"p{one}": percentile(ordered, 100 - one) for one in PERCENTILES})
    return {name: rounded(value) for name, value in found.items()}


def rounded(value: float) -> float:
    """Return a figure with six significant digits."""
    return float(f"{value:.6g}")


def measure(requests: Sequence[Request], gaps: Iterable[float], seconds: float) -> dict[str, Any]:
    """Return a load's figures.

    Args:
        requests: what became of each.
        gaps: seconds between the chunks of answers.
        seconds: how long the load was, which counts where nothing was answered.
    """
    whole = [one for one in requests if one.kind == ANSWERED]
    duration = max((one.ended for one in whole), default=seconds) or seconds
    several = [one for one in whole if one.answer_tokens > 1]
    per_token = [(one.latency - one.ttft) / (one.answer_tokens - 1) for one in several]
    output, prompts = sum(one.answer_tokens for one in whole), sum(one.prompt_tokens for one in whole)
    kinds = [one.kind for one in requests]

    def each_second(number: float) -> float:
        return rounded(number / duration) if duration else 0.0

    return {
        "duration": rounded(duration),
        "completed": len(whole),
        "failed": kinds.count(FAILED),
        "limited": kinds.count(LIMITED),
        "unfinished": kinds.count(UNFINISHED),
        "total_input_tokens": prompts,
        "total_output_tokens": output,
        "request_throughput": each_second(len(whole)),
        "output_throughput": each_second(output),
        "total_token_throughput": each_second(output + prompts),
        "ttft_ms": spread((one.ttft for one in whole), 1000),
        "tpot_ms": spread(per_token, 1000),
        "itl_ms": spread(gaps, 1000),
        "e2el_ms": spread((one.latency for one in whole), 1000),
        "stream_rate": reached(1 / one for one in per_token if one > 0),
        "errors": errors(requests),
    }


def errors(requests: Iterable[Request]) -> dict[str, dict[str, Any]]:
    """Return how often each status came that was no answer, with the words of the first, the most frequent first."""
    found: dict[str, dict[str, Any]] = {}
    for one in requests:
        if one.kind in (FAILED, LIMITED):
            entry = found.setdefault(one.status, {"count": 0, "said": one.said})
            entry["count"] += 1
    return dict(sorted(found.items(), key=lambda entry: -entry[1]["count"]))


# --- The plan --------------------------------------------------------------------------------------------------------


def estimates(plans: object, model: str, hosts: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return what plan.json estimates for a model on its hosts; nothing unless it does so for each of them."""
    entries = plans.get("plans") if isinstance(plans, dict) else None
    found: dict[str, Mapping[str, Any]] = {}
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or entry.get("model") != model:
            continue
        plan = entry.get("plan")
        estimate = plan.get("estimate") if isinstance(plan, dict) else None
        if isinstance(estimate, dict) and _is_whole(estimate):
            found[str(entry.get("host"))] = estimate
    return [found[host] for host in hosts] if hosts and set(hosts) <= set(found) else []


def _is_whole(estimate: Mapping[str, Any]) -> bool:
    names = ("decode_alone", "decode_full_each", "batch", "prefill")
    return all(isinstance(estimate.get(name), (int, float)) and estimate[name] > 0 for name in names)


def expect(found: Sequence[Mapping[str, Any]], users: float, prompt_tokens: float) -> Expected | None:
    """Return what plans estimate for some users, whom the edge shares out among the hosts.

    The time of a step grows with the conversations in it, from that of one to that of the plan's whole batch; between
    these two it is taken as linear, and more users than that wait.
    """
    if not found:
        return None
    part = users / len(found)
    each = [_rate(one, part) for one in found]
    together = sum(rate * min(part, max(1.0, one["batch"])) for rate, one in zip(each, found))
    first = [prompt_tokens / one["prefill"] + 1 / one["decode_alone"] for one in found]
    return Expected(
        rounded(1000 * sum(first) / len(first)),
        rounded(sum(each) / len(each)),
        rounded(together),
    )


def _rate(estimate: Mapping[str, Any], users: float) -> float:
    alone, full, batch = 1 / estimate["decode_alone"], 1 / estimate["decode_full_each"], estimate["batch"]
    if batch <= 1:
        return float(estimate["decode_alone"])
    share = min(1.0, max(0.0, (users - 1) / (batch - 1)))
    return float(1 / (alone + (full - alone) * share))


# --- Earlier runs ----------------------------------------------------------------------------------------------------


def earlier(history: object) -> list[dict[str, Any]]:
    """Return the runs that a file holds, the newest last; none where it is none of ours."""
    runs = history.get("runs") if isinstance(history, dict) else None
    return [one for one in runs if isinstance(one, dict)] if isinstance(runs, list) else []


def kept(runs: Sequence[Mapping[str, Any]], new: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the history with one more run."""
    return [*runs, new][-MOST_RUNS:]


def last_like(runs: Sequence[dict[str, Any]], work: Mapping[str, object]) -> dict[str, Any] | None:
    """Return the newest run that did the same work and had answers."""
    fitting = [one for one in runs if one.get("work") == work and (one.get("figures") or {}).get("completed")]
    return fitting[-1] if fitting else None


ROWS = (
    ("time to first token (TTFT), ms", "ttft_ms"),
    ("time per further token (TPOT), ms", "tpot_ms"),
    ("between chunks (ITL), ms", "itl_ms"),
    ("whole answer (E2EL), ms", "e2el_ms"),
    ("tokens/s of one stream", "stream_rate"),
    ("tokens/s together", "output_throughput"),
    ("answers/s", "request_throughput"),
)
"""Rows of the table, with the figures that they show."""


def main_value(figures: Mapping[str, Any], name: str) -> float | None:
    """Return the figure by which two runs are compared: the median, or the only one."""
    value = figures.get(name)
    found = value.get("p50") if isinstance(value, dict) else value
    return float(found) if isinstance(found, (int, float)) else None


def compare(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, float]:
    """Return by how much each main figure has changed, as a share of what it was."""
    changes = {}
    for _words, name in ROWS:
        new, old = main_value(now, name), main_value(before or {}, name)
        if new is not None and old:
            changes[name] = rounded(new / old - 1)
    return changes


# --- Words -----------------------------------------------------------------------------------------------------------


def table(run: Mapping[str, Any]) -> str:
    """Return a run as people read it."""
    figures, changes = run["figures"], run["changes"]
    planned = run["expected"] or {}
    of_plan = {"ttft_ms": "ttft_ms", "stream_rate": "each", "output_throughput": "together"}
    head = ["mean", *(f"p{one}" for one in PERCENTILES), "last run", "estimate"]
    out = [f"Load on {plain(run['model'])}: {work(run)}", "", " " * 35 + "".join(f"{word:>10}" for word in head)]
    for words, name in ROWS:
        value = figures[name]
        cells = [value.get(key) for key in head[:4]] if isinstance(value, dict) else [value, None, None, None]
        change = f"{changes[name]:+.0%}" if name in changes else ""
        estimate = number(planned[of_plan[name]]) if name in of_plan and planned else ""
        out.append(f"{words:<35}{''.join(f'{number(one):>10}' for one in cells)}{change:>10}{estimate:>10}".rstrip())
    out += ["", counts(figures)]
    out += [line for note in run["notes"] for line in _wrapped(note)]
    return "\n".join(out)


def number(value: float | None) -> str:
    """Return a figure with the digits that tell something."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def work(run: Mapping[str, Any]) -> str:
    """Return in words what was asked."""
    asked = run["work"]
    if "users" in asked:
        prefix = "the same beginning in each prompt" if asked["shared_prefix"] else "each prompt its own"
        what = (
            f"{asked['users']} users, {asked['prompt_tokens']:,} tokens asked and {asked['answer_tokens']:,} answered"
        )
        return f"{what}, {prefix}, {number(run['figures']['duration'])} s"
    return f"a trace of {asked['trace_requests']:,} requests, {number(run['figures']['duration'])} s"


def counts(figures: Mapping[str, Any]) -> str:
    """Return in words what became of the requests."""
    words = [f"{figures['completed']:,} answered", f"{figures['failed']:,} failed"]
    words += [f"{figures['limited']:,} not let through by the edge (429)"] if figures["limited"] else []
    words += [f"{figures['unfinished']:,} unfinished at the end"] if figures["unfinished"] else []
    tokens = f"{figures['total_input_tokens']:,} tokens asked, {figures['total_output_tokens']:,} answered"
    return f"requests: {', '.join(words)}; {tokens}"


def _wrapped(note: str) -> Iterator[str]:
    lines = textwrap.wrap(note, WIDTH - 6, break_on_hyphens=False)
    yield from (f"{'note: ' if place == 0 else '      '}{line}" for place, line in enumerate(lines))


@dataclass(frozen=True)
class Circumstances:
    """What else has to be known to read the figures.

    Attributes:
        rate: requests a second that the edge allows one address.
        endpoint: the name of somebody else's server, which may have limits of its own.
        interrupted: whether somebody ended the load.
        busy: share of one processor that the asking took.
        uncounted: answers of which the server did not count the tokens.
        late: requests of a trace that began later than they should.
        left_out: those that lie after the load's end.
        full: whether the load ended for the number of its requests.
        has_estimate: whether a plan estimates the model.
        other_work: whether there are earlier runs, all of other work.
        file_problem: why the history could not be read.
    """

    rate: int
    endpoint: str = ""
    interrupted: bool = False
    busy: float = 0.0
    uncounted: int = 0
    late: int = 0
    left_out: int = 0
    full: bool = False
    has_estimate: bool = False
    other_work: bool = False
    file_problem: str = ""


BUSY = 0.8
"""Share of a processor from which the asking itself may be what is slow."""


def warnings(figures: Mapping[str, Any], about: Circumstances) -> list[str]:
    """Return what of a load somebody should act on."""
    found = [limited(figures["limited"], about)] if figures["limited"] else []
    for status, one in figures["errors"].items():
        if status != TOO_MANY:
            found.append(f"{one['count']:,} requests failed ({status}): {one['said']}")
    if about.busy > BUSY:
        found.append(
            f"asking took {about.busy:.0%} of one processor of the control node, so the figures may be its own; ask "
            "from a faster machine, or set load_users to less"
        )
    return found


def notes(figures: Mapping[str, Any], about: Circumstances) -> list[str]:
    """Return what is to be known to read the figures."""
    unfinished = figures["unfinished"] if not about.interrupted else 0
    told = {
        "the load was ended before its time; the figures are those of the answers until then": about.interrupted,
        f"{unfinished:,} answers were not whole when the load ended, and count for nothing; set load_seconds to more, "
        "or load_answer_tokens to less": unfinished,
        "the load ended early, for it had made as many requests as one may": about.full,
        f"the server did not count the tokens of {about.uncounted:,} answers; their chunks were counted": (
            about.uncounted
        ),
        f"{about.late:,} requests of the trace began late, for as many were open as may be at once": about.late,
        f"{about.left_out:,} requests of the trace lie after load_seconds, and were not made": about.left_out,
        "the plan's estimate is for full conversations and one prompt at a time, from data sheets; shorter ones decode "
        "faster, and prompts that wait for each other have a later first token": about.has_estimate,
        "the earlier runs asked something else, so there is nothing to compare with": about.other_work,
        f"the earlier runs cannot be read and begin anew: {about.file_problem}": about.file_problem,
    }
    return [words for words, holds in told.items() if holds]


def limited(count: int, about: Circumstances) -> str:
    """Return what 429 means: the edge's limit, and no fault of the engine."""
    whose = f", or the server of {about.endpoint} has limits of its own" if about.endpoint else ""
    return (
        f"{count:,} requests were not let through (429): the edge allows one address with the owner's key {about.rate} "
        "requests a second (edge_api_rate, after the first edge_api_burst) and edge_api_connections open at a time, "
        f"whatever the engine could do{whose}; raise these for a test, or set load_users to less"
    )


def nothing(figures: Mapping[str, Any], about: Circumstances, model: str) -> str:
    """Return the message where no request was answered; empty where one was, or somebody ended the load."""
    if figures["completed"] or about.interrupted:
        return ""
    if figures["limited"] and not figures["failed"]:
        return f"found no answer of {model}: {limited(figures['limited'], about)}"
    first = next(iter(figures["errors"].items()), None)
    if first is None:
        return (
            f"found no whole answer of {model} when the load ended; wanted some; set load_seconds to more, or "
            "load_answer_tokens to less"
        )
    status, one = first
    return (
        f"found no answer of {model}, and {one['count']:,} times {status}: {one['said']}; wanted answers; "
        "playbooks/verify.yml and playbooks/doctor.yml say what is wrong"
    )
