# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last load of each model as people read it: its figures as bars, and how they went over the runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .drawing import harmless

STYLE = """
.load { grid-template-columns: 13rem 1fr 12rem; } .load > :last-child { text-align: right;
  font-variant-numeric: tabular-nums; }
.load .bar i.typical { background: var(--weights); } .load .bar i.most { background: var(--work); }
.load .bar i.rare { background: var(--others); }
.key i.typical { background: var(--weights); } .key i.most { background: var(--work); }
.key i.rare { background: var(--others); }
.course { width: 100%; height: 4.5rem; display: block; }
.course path { fill: none; stroke: var(--weights); stroke-width: 2; vector-effect: non-scaling-stroke; }
.course line { stroke: var(--line); vector-effect: non-scaling-stroke; }
.courses { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin-top: .8rem; }
.courses > div { flex: 1 1 16rem; min-width: 0; }
.courses p { margin: 0; color: var(--dim); overflow-wrap: anywhere; }
@media (max-width: 40rem) { .load { grid-template-columns: 1fr; } .load > :last-child { text-align: left; } }
"""

TIMES = (
    ("first token (TTFT)", "ttft_ms"),
    ("each further token (TPOT)", "tpot_ms"),
    ("between chunks (ITL)", "itl_ms"),
    ("whole answer", "e2el_ms"),
)
COURSES = (("tokens/s together", "output_throughput"), ("first token, median, ms", "ttft_ms"))
PARTS = (("p50", "typical"), ("p90", "most"), ("p99", "rare"))
KEY = '<ul class="key">{}</ul>'.format(
    "".join(
        f'<li><i class="{kind}"></i>{words}'
        for (_part, kind), words in zip(PARTS, ("half of all", "90 of 100", "99 of 100"))
    )
)
HIGH, WIDE = 60.0, 300.0
FEWEST = 2
"""Runs from which there is a course to draw."""


def block(history: Mapping[str, Any]) -> str:
    """Return the last run of a model's history; nothing where it has none that was answered.

    Args:
        history: as the file of a model's loads holds it: its name, and its runs from the first to the last.
    """
    runs = [one for one in history.get("runs") or () if (one.get("figures") or {}).get("completed")]
    if not runs:
        return ""
    last = runs[-1]
    figures, work = last["figures"], last.get("work") or {}
    like = [one for one in runs if one.get("work") == work]
    return "\n".join(
        [
            f"<h4>{harmless(history.get('model') or last['model'])}</h4>",
            f'<p class="dim">{harmless(_about(last))}</p>',
            *_times(figures),
            KEY,
            f"<p>{harmless(_rates(figures, last.get('expected') or {}))}</p>",
            _courses(like),
        ]
    )


def _about(run: Mapping[str, Any]) -> str:
    """Return who asked what, and when."""
    work, figures = run.get("work") or {}, run["figures"]
    if "users" in work:
        asked = f"{work['users']} users, {work['prompt_tokens']:,} tokens asked and {work['answer_tokens']:,} answered"
    else:
        asked = f"a trace of {work.get('trace_requests', 0):,} requests"
    left = f", {figures['failed']:,} failed" if figures.get("failed") else ""
    left += f", {figures['limited']:,} not let through by the edge" if figures.get("limited") else ""
    moment = str(run.get("when") or "")
    return f"{moment[:10]} {moment[11:16]} UTC: {asked}; {figures['completed']:,} answers{left}"


def _times(figures: Mapping[str, Any]) -> Iterator[str]:
    """Return a bar for each time, whose parts end at its percentiles; each is drawn to its own longest."""
    for words, name in TIMES:
        found = figures.get(name) or {}
        ends = [float(found[part]) for part, _kind in PARTS if part in found]
        if len(ends) < len(PARTS) or ends[-1] <= 0:
            continue
        before, parts = 0.0, []
        for end, (_part, kind) in zip(ends, PARTS):
            parts.append(f'<i class="{kind}" style="width:{100 * max(0.0, end - before) / ends[-1]:.2f}%"></i>')
            before = max(before, end)
        told = " / ".join(_number(end) for end in ends)
        yield (
            f'<figure class="load"><span>{words}</span><div class="bar" role="img" '
            f'aria-label="{words}: {told} ms">{"".join(parts)}</div><span>{told} ms</span></figure>'
        )


def _rates(figures: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    estimate = f" (the plan estimates {_number(expected['together'])})" if expected.get("together") else ""
    stream = (figures.get("stream_rate") or {}).get("p50")
    alone = f", {_number(stream)} in the typical stream" if stream else ""
    answers = f"{_number(figures['request_throughput'])} answers/s"
    return f"{_number(figures['output_throughput'])} tokens/s together{estimate}{alone}; {answers}"


def _courses(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return how figures went over the runs of the same work."""
    if len(runs) < FEWEST:
        return ""
    drawn = []
    for words, name in COURSES:
        found = [one["figures"].get(name) for one in runs]
        values = [float(one["p50"] if isinstance(one, dict) else one) for one in found if one]
        if len(values) >= FEWEST and max(values) > 0:
            drawn.append(_course(words, values))
    return f'<div class="courses">{"".join(drawn)}</div>' if drawn else ""


def _course(words: str, values: Sequence[float]) -> str:
    step, most = WIDE / (len(values) - 1), max(values)
    points = " L".join(f"{step * place:.1f} {HIGH - 52 * value / most:.1f}" for place, value in enumerate(values))
    told = f"{words}, {len(values)} runs: from {_number(values[0])} to {_number(values[-1])}"
    return (
        f'<div><svg class="course" viewBox="0 0 {WIDE:.0f} {HIGH:.0f}" preserveAspectRatio="none" role="img" '
        f'aria-label="{told}"><line x1="0" y1="{HIGH}" x2="{WIDE}" y2="{HIGH}"></line><path d="M{points}"></path></svg>'
        f"<p>{told}</p></div>"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
