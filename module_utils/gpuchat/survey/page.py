# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey as a page for the browser, which needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ..core.units import gib, human
from .findings import in_order
from .machine import users
from .table import COLUMNS, Survey, cells
from .types import Surveyed

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1c2128; --dim: #59636e; --line: #d5dae0;
  --ok: #0f7a4f; --warning: #9a5b00; --fault: #c92a2a; --unreachable: #862e9c; }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --card: #1d2125; --text: #e4e7ea; --dim: #9aa4ae;
  --line: #363c43; --ok: #4cc996; --warning: #f2a33c; --fault: #ff8787; --unreachable: #da77f2; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.2rem 1.4rem;
  margin-top: 1.2rem; overflow-x: auto; }
.dim { color: var(--dim); }
.ok { color: var(--ok); } .warning { color: var(--warning); } .fault { color: var(--fault); }
.unreachable { color: var(--unreachable); } .state { font-weight: 650; white-space: nowrap; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-top: 1px solid var(--line); }
td:not(.words) { white-space: nowrap; } td.words { overflow-wrap: anywhere; }
tr:first-child > * { border-top: 0; }
a { color: inherit; }
details { margin-top: .8rem; } summary { cursor: pointer; color: var(--dim); }
"""


def page(survey: Survey) -> str:
    """Return the whole survey as one HTML page."""
    hosts = in_order(survey.hosts)
    at = survey.at.strftime("%Y-%m-%d %H:%M UTC")
    notes = "".join(f'<div class="dim">{escape(note)}</div>' for note in survey.notes)
    parts = [_overview(survey, hosts), *(_section(number, one) for number, one in enumerate(hosts))]
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>Survey</title>\n<style>{STYLE}</style>\n<main>\n<h1>Survey</h1>\n"
        f'<div class="dim">{at}; {escape(survey.summary)}</div>{notes}\n' + "\n".join(parts) + "\n</main>\n</html>\n"
    )


def _overview(survey: Survey, hosts: tuple[Surveyed, ...]) -> str:
    rows = [cells(host, survey.at) for host in hosts]
    head = "".join(f"<th>{'GPUs' if name == 'gpus' else name.capitalize()}" for name in COLUMNS)
    lines = [f"<tr>{head}</tr>"]
    for number, (host, row) in enumerate(zip(hosts, rows)):
        first = f'<td><a href="#host-{number}">{escape(host.name)}</a><td>{_state(host.state)}'
        lines.append(f"<tr>{first}{''.join(f'<td>{escape(row.get(name, str()))}' for name in COLUMNS[2:])}</tr>")
    return "<section><table>" + "\n".join(lines) + "</table></section>"


def _state(state: str) -> str:
    return f'<span class="state {state}">{state}</span>'


def _section(number: int, host: Surveyed) -> str:
    groups = f'<div class="dim">{escape(", ".join(host.groups))}</div>' if host.groups else ""
    head = f'<section id="host-{number}"><h2>{escape(host.name)} {_state(host.state)}</h2>{groups}'
    rows = [
        f'<tr><td>{_state(one.severity)}<td class="words">{escape(one.found)}<td class="words">{escape(one.wanted)}'
        f'<td class="words">{escape(one.fix)}</tr>'
        for one in host.findings
    ]
    found = f"<table><tr><th><th>Found<th>Wanted<th>Fix</tr>{''.join(rows)}</table>" if rows else ""
    details = "".join(f'<tr><th>{escape(name)}<td class="words">{escape(text)}</tr>' for name, text in _details(host))
    more = f"<details><summary>What it is and runs</summary><table>{details}</table></details>" if details else ""
    return f"{head}{found}{more}</section>"


def _details(host: Surveyed) -> Iterator[tuple[str, str]]:
    reading = host.answer.reading
    for one in (reading.get("gpu") or {}).get("gpus", ()):
        heat = f", {one['temperature_c']} °C" if one["temperature_c"] is not None else ""
        yield f"GPU {one['index']}", f"{one['name']}, {gib(one['memory_bytes'] or 0)}{heat}"
    for who, held in users(reading):
        yield "GPU memory", f"{gib(held)} held by {who}"
    for service_name, service in (reading.get("services") or {}).items():
        state = "running" if service["running"] else service["state"] or "stopped"
        yield service_name, f"{state}, by {service['supervisor']}"
    for name, container in (reading.get("containers") or {}).items():
        yield f"{name}'s image", container["image"]
    docker = reading.get("docker") or {}
    if docker.get("version"):
        yield "Docker", f"{docker['version']}, runtimes {', '.join(docker['runtimes'])}"
    for path, model in (reading.get("models") or {}).items():
        size = f"{human(model['bytes'])} in {model['files']} files" if model["there"] else "not there"
        yield path, f"{size}, revision {model.get('commit') or 'unknown'}"
    for path, disk in (reading.get("disks") or {}).items():
        yield f"disk {path}", f"{human(disk['free_bytes'])} of {human(disk['bytes'])} free"
