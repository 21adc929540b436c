# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run ends in, as people read it: a page for the browser; and as build servers read it: JUnit's XML."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import drawing, load_page, plan_page
from .changes import Changes
from .drawing import clean, harmless
from .plan_page import Planned, by_host, holds, memory

FAILED, NOT_CHECKED = "failed", "not checked"
MARKS = {"passed": "✓", FAILED: "✗", NOT_CHECKED: "○"}
VANTAGES = {"inside": "From an allowed network", "outside": "From outside of it"}


@dataclass(frozen=True)
class Run:
    """What there is to report.

    Attributes:
        report: what the verification has found, as its JSON holds it: url, finished (in ISO form), certificate_end,
            warnings and rows.
        common: what the commands of all rows begin with.
        served: each model with name, task, context and tool_calls.
        topology: as gpuchat_preflight returns it; empty where it is not known.
        addresses: at which the control node reaches each host.
        planned: this run's plans; those of hosts that it left out are missing.
        images: digests by image.
        versions: of what made the run, by name.
        changes: what the run has changed; None where nothing has noted it.
        loads: of each model on which loads were made, its history.
    """

    report: Mapping[str, Any]
    common: str = ""
    served: Sequence[Mapping[str, Any]] = ()
    topology: Mapping[str, Any] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    planned: Sequence[Planned] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    changes: Changes | None = None
    loads: Sequence[Mapping[str, Any]] = ()

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        rows: Sequence[Mapping[str, Any]] = self.report["rows"]
        return rows

    def count(self, status: str) -> int:
        return sum(row["status"] == status for row in self.rows)


def verdict(run: Run) -> str:
    """Return how the verification ended, in words."""
    failed, left, every = run.count(FAILED), run.count(NOT_CHECKED), len(run.rows)
    if failed:
        words = f"{failed} of {every} checks failed"
    elif left:
        words = f"{every - left} of {every} checks passed"
    else:
        words = f"all {every} checks passed"
    return f"{words}, {left} not checked" if left else words


def ending(end: str, finished: str) -> str:
    """Return when a certificate ends, and in how many days (both in ISO form)."""
    days = (datetime.date.fromisoformat(end[:10]) - datetime.date.fromisoformat(finished[:10])).days
    return f"{end[:10]}, in {days:,} day{'s' * (days != 1)}"


# --- Build servers ---------------------------------------------------------------------------------------------------


def junit(run: Run) -> str:
    """Return the rows as JUnit's XML: one suite, a case for each row."""
    counts = f'tests="{len(run.rows)}" failures="{run.count(FAILED)}" errors="0" skipped="{run.count(NOT_CHECKED)}"'
    finished = harmless(run.report["finished"]).rstrip("Z")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="gpuchat" {counts}>\n'
        f'<testsuite name="{harmless(run.report["url"])}" {counts} timestamp="{finished}">\n'
        + "\n".join(map(_case, run.rows))
        + "\n</testsuite>\n</testsuites>\n"
    )


def _case(row: Mapping[str, Any]) -> str:
    head = f'<testcase classname="{harmless(row["vantage"])}" name="{harmless(row["name"])}"'
    command = f"<system-out>{harmless(row['command'])}</system-out>"
    if row["status"] == FAILED:
        lines = (f"likely: {row['cause']}", f"do: {row['hint']}", f"see: {row['command']}")
        said = "\n".join(map(harmless, lines))
        return f'{head}><failure message="{harmless(row["detail"])}">{said}</failure>{command}</testcase>'
    if row["status"] == NOT_CHECKED:
        return f'{head}><skipped message="{harmless(row["detail"])}"/>{command}</testcase>'
    return f"{head}>{command}</testcase>"


# --- The browser -----------------------------------------------------------------------------------------------------

STYLE = (
    plan_page.STYLE
    + drawing.STYLE
    + load_page.STYLE
    + """
:root { --chip: #e9edf6; --wait: #8a5a00; }
@media screen and (prefers-color-scheme: dark) { :root { --chip: #2c333b; --wait: #e5b045; } }
main { padding-top: 1.4rem; }
h1 { margin: 0; overflow-wrap: anywhere; }
section > h2 { margin-bottom: .8rem; }
h4 { margin: 1.2rem 0 .3rem; font-size: 1rem; overflow-wrap: anywhere; }
.head { border-top: 4px solid var(--good); } .head.bad { border-top-color: var(--bad); }
.facts { display: flex; flex-wrap: wrap; gap: .8rem 2.4rem; margin: 1rem 0 0; }
.facts div { min-width: 0; } .facts dt { color: var(--dim); font-size: .85rem; }
.facts dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.wait { color: var(--wait); }
.note { border-left: 3px solid var(--wait); padding: .1rem 0 .1rem .8rem; margin: .8rem 0 0; overflow-wrap: anywhere; }
.rows { list-style: none; margin: 0; padding: 0; }
.rows li { display: grid; grid-template-columns: 1.5rem minmax(0, 1fr); padding: .5rem 0;
  border-top: 1px solid var(--line); }
.rows li:first-child { border-top: 0; }
.rows .mark { font-weight: 700; }
.rows p { margin: 0; min-width: 0; overflow-wrap: anywhere; }
.rows .name { display: flex; flex-wrap: wrap; gap: 0 .8rem; justify-content: space-between; }
.rows .name span { color: var(--dim); }
.rows code { grid-column: 2; } code { font: 12px/1.5 ui-monospace, monospace; color: var(--dim);
  overflow-wrap: anywhere; }
.rows .why { grid-column: 2; margin: .3rem 0; }
.key + ul, table + table { margin-top: 1.1rem; }
.drawing + p { margin: .8rem 0 0; }
td { overflow-wrap: anywhere; } .cards th:first-child { min-width: 10rem; } td code { color: inherit; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
footer { color: var(--dim); font-size: .85rem; }
@media (max-width: 40rem) {
  main { padding: 1rem .6rem 2rem; } section { padding: 1rem; } h1 { font-size: 1.3rem; }
  .wide { display: none; } .narrow { display: block; } .rows code { max-height: 4.5em; overflow-y: auto; }
  table.cards tr:first-child { display: none; }
  table.cards tr { display: block; border-top: 1px solid var(--line); padding: .5rem 0; }
  table.cards tr:nth-child(2) { border-top: 0; }
  table.cards td { display: flex; gap: 1rem; justify-content: space-between; border: 0; padding: .1rem 0;
    text-align: right; white-space: normal; }
  table.cards td::before { content: attr(data-name); color: var(--dim); text-align: left; flex: none; }
}
@media print {
  :root { color-scheme: light; --page: #fff; font-size: 12px; } body { font-size: 11px; }
  main { max-width: none; padding: 0; }
  section { border-color: #999; padding: .8rem 1rem; margin-bottom: .8rem; } code, pre { font-size: 9px; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h2, h3, h4 { break-after: avoid; } li, tr, figure, svg, .head { break-inside: avoid; }
  .wide { display: block; } .narrow { display: none; } .rows code { max-height: none; }
}
"""
)


def page(run: Run) -> str:
    """Return the report as one HTML page that needs nothing else."""
    parts = (_head, _drawn, _served, _changed, _verified, _memory, _loads, _versions)
    blocks = [part(run) for part in parts]
    lines = "\n".join(block for block in blocks if block).split("\n")
    body = "\n".join(map(clean, lines))  # what the bars say too
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{harmless(run.report['url'])}: {verdict(run)}</title>\n<style>{STYLE}</style>\n<main>\n{body}\n"
        "<footer>Made by gpuchat. It holds no secret: key.header in a command stands for a file of yours with the line "
        "Authorization: Bearer and the api_key from the file of secrets.</footer>\n</main>\n</html>\n"
    )


def _section(title: str, *blocks: str) -> str:
    """Return a part of the page; nothing where there is nothing in it."""
    body = "\n".join(block for block in blocks if block)
    return f"<section><h2>{title}</h2>\n{body}</section>" if body else ""


def _head(run: Run) -> str:
    report = run.report
    is_bad, is_open = run.count(FAILED) > 0, run.count(NOT_CHECKED) > 0
    colour = "unfit" if is_bad else "wait" if is_open else "fits"
    finished = str(report["finished"])
    facts = {
        "Finished": f"{finished[:10]} {finished[11:16]} UTC",
        "Certificate ends": ending(str(report["certificate_end"]), finished) if report.get("certificate_end") else "",
        "Models": f"{len(run.served)}" if run.served else "",
        "Hosts": f"{len(run.topology['hosts'])}" if run.topology else "",
    }
    cells = "".join(f"<div><dt>{name}<dd>{harmless(value)}</div>" for name, value in facts.items() if value)
    failed = "".join(
        f'<p class="why"><b>{harmless(row["name"])}</b>: {harmless(row["detail"])}'
        for row in run.rows
        if row["status"] == FAILED
    )
    warnings = "".join(f'<p class="note">{harmless(word)}' for word in report["warnings"])
    return (
        f'<section class="head{" bad" * is_bad}"><header><h1>{harmless(report["url"])}</h1>'
        f'<span class="verdict {colour}">{verdict(run)}</span></header>\n'
        f'<dl class="facts">{cells}</dl>{failed}{warnings}</section>'
    )


def _drawn(run: Run) -> str:
    if not run.topology:
        return ""
    one = drawing.scene(run.topology, run.addresses)
    both = ((drawing.WIDE, "wide"), (drawing.NARROW, "narrow"))
    words = "Each box is a host's part of a layer; dashed is what is not the stack's."
    drawn = (drawing.draw(one, width, kind) for width, kind in both)
    return _section("Who asks whom", *drawn, f'<p class="dim">{words}</p>')


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are markup already, whose rows are cards where the page is narrow."""
    if not rows:
        return ""
    lines = ["<tr>" + "".join(f"<th>{head}" for head in heads) + "</tr>"]
    for row in rows:
        cells = "".join(f'<td data-name="{head}">{cell}' for head, cell in zip(heads, row))
        lines.append(f"<tr>{cells}</tr>")
    return '<table class="cards">' + "\n".join(lines) + "</table>"


def _served(run: Run) -> str:
    where: dict[str, Sequence[str]] = {}
    for one in run.topology.get("models") or ():
        where[str(one["name"])] = one["hosts"] or [f"endpoint {one.get('endpoint')}"]
    rows = [
        (
            f"<b>{harmless(one['name'])}</b>",
            harmless(one.get("task") or ""),
            f"{int(one['context']):,} tokens" if one.get("context") else "not known",
            "yes" if one.get("tool_calls") else "no",
            harmless(", ".join(map(str, where.get(str(one["name"]), ())))),
        )
        for one in run.served
    ]
    return _section("Models", _table(("Name", "Task", "Context", "Tool calls", "Served by"), rows))


SHOWN_NAMES = 12


def _changed(run: Run) -> str:
    """Return what the run has changed, a row for each task."""
    found = run.changes
    if found is None:
        return ""
    if not found.changes:
        words = f"Nothing: {found.playbook} found all as it should be, in {found.results:,} results of tasks."
        return _section("What changed", f"<p>{harmless(words)}</p>")
    rows = []
    for one in found.changes:
        more = len(one.names) - SHOWN_NAMES
        names = ", ".join(one.names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
        rows.append((f"<b>{harmless(one.task)}</b>", harmless(", ".join(one.hosts)), f"<code>{harmless(names)}</code>"))
    count = "1 task" if len(rows) == 1 else f"{len(rows)} tasks"
    words = f"By {count} of {found.playbook}; the others found all as it should be."
    return _section("What changed", f'<p class="dim">{harmless(words)}</p>', _table(("Task", "Hosts", "What"), rows))


def _loads(run: Run) -> str:
    return _section("Load, as measured last", *map(_load, run.loads))


def _load(history: Mapping[str, Any]) -> str:
    """Return a model's last load; one that cannot be drawn, as of another release, spoils no report."""
    try:
        return load_page.block(history)
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""


def _verified(run: Run) -> str:
    blocks = []
    for vantage, title in VANTAGES.items():
        rows = [_row(row, run.common) for row in run.rows if row["vantage"] == vantage]
        if rows:
            blocks.append(f'<h3>{title}</h3><ul class="rows">' + "\n".join(rows) + "</ul>")
    common = f'<h3>What edge stands for in the commands</h3><pre>edge() {{ {harmless(run.common)} "$@"; }}</pre>'
    return _section("Verification", *blocks, common if run.common else "")


def _row(row: Mapping[str, Any], common: str) -> str:
    status = str(row["status"])
    colour = {FAILED: "unfit", NOT_CHECKED: "wait"}.get(status, "fits")
    said = (("", row["detail"]), ("likely: ", row.get("cause")), ("do: ", row.get("hint"))) if status == FAILED else ()
    why = "<br>".join(word + harmless(text) for word, text in said if text)
    command = str(row["command"])
    short = command.replace(common, "edge", 1) if common else command
    note = "failed" if status == FAILED else f"{status}: {row['detail']}" if status == NOT_CHECKED else row["detail"]
    return (
        f'<li><span class="mark {colour}" role="img" aria-label="{harmless(status)}">{MARKS.get(status, "")}</span>'
        f'<p class="name">{harmless(row["name"])}<span>{harmless(note)}</span></p>'
        + (f'<p class="why">{why}</p>' if why else "")
        + f"<code>{harmless(short)}</code></li>"
    )


def _memory(run: Run) -> str:
    return _section("Memory, as planned", *(block for models in by_host(run.planned) for block in _of_host(models)))


def _of_host(models: Sequence[Planned]) -> Iterator[str]:
    yield f"<h4>{harmless(models[0].host)}</h4>"
    yield memory(models)
    lines = [
        f"<li><b>{harmless(one.model)}</b>: {harmless(holds(one.plan) if one.plan and one.plan['fits'] else one.why)}"
        f"{', on the CPU' if one.plan and not one.plan['gpus'] else ''}"
        for one in models
    ]
    yield "<ul>" + "".join(lines) + "</ul>"


def _versions(run: Run) -> str:
    engines = {
        f"vLLM of {one.model} on {one.host}": str(one.plan["vllm_version"])
        for one in run.planned
        if one.plan is not None
    }
    versions = [(harmless(name), harmless(version)) for name, version in {**run.versions, **engines}.items()]
    images = [(f"<b>{harmless(name)}</b>", f"<code>{harmless(digest)}</code>") for name, digest in run.images.items()]
    return _section("Versions", _table(("What", "Version"), versions), _table(("Image", "Digest"), images))
