# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans as people read them: a table for the terminal, a page for the browser, JSON for programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ..core.errors import Refusal
from ..core.names import plain
from ..core.units import GIB, gib

WIDTH = 100
BAR = 60
NEEDED = tuple("fits reason gpus budget args env layout estimate alternatives reasons users warnings".split())
HARD = "\0"
"""Stands for a space at which no line is broken."""


ALL_MODELS = "all models"
"""Stands for the models of a host that was refused before they were planned."""


@dataclass(frozen=True)
class Planned:
    """One model on one host.

    Attributes:
        plan: as gpuchat_vllm_plan returns it; None where it refused.
        refusal: its words then.
        gpus: all GPUs of the host, as gpuchat_vllm_plan returns them.
    """

    host: str
    model: str
    plan: Mapping[str, Any] | None
    refusal: str = ""
    gpus: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> tuple[Planned, ...]:
        """Read an entry of the module's option, a host with its models; a host that was refused has none.

        Raises:
            Refusal: a plan is none that gpuchat_vllm_plan returned.
        """
        host, found, gpus = str(entry["host"]), [], tuple(entry.get("gpus") or ())
        for model in entry.get("models") or ():
            plan = model.get("plan")
            missing = [key for key in NEEDED if plan is not None and key not in plan]
            if missing or "name" not in model:
                raise Refusal(
                    f"found a plan of {host} without {', '.join(missing) or 'name'}; wanted what gpuchat_vllm_plan "
                    "returned as models; set plans to that, or leave out models and give the refusal"
                )
            found.append(cls(host, str(model["name"]), plan, str(model.get("refusal") or ""), gpus))
        if not found and entry.get("refusal"):
            return (cls(host, ALL_MODELS, None, str(entry["refusal"])),)
        return tuple(found)

    @property
    def verdict(self) -> str:
        if self.plan is None or self.plan.get("obstacles"):
            return "refused"
        return "fits" if self.plan["fits"] else "does not fit"

    @property
    def why(self) -> str:
        return self.refusal if self.plan is None else str(self.plan["reason"])

    @property
    def hardware(self) -> str:
        """The GPUs by kind and number."""
        if self.plan is None:
            return ""
        names = [str(gpu["name"]) for gpu in self.plan["gpus"]]
        kinds = [f"{names.count(name)} x {name}" for name in dict.fromkeys(names)]
        return ", ".join(kinds) or "CPU"


@dataclass(frozen=True)
class Part:
    """One part of a GPU's memory; `letter` draws it in the terminal, `kind` names its colour.

    Attributes:
        size: as far as the GPU has room for it (bytes).
        need: all of it.
    """

    kind: str
    words: str
    letter: str
    size: int
    need: int

    @property
    def label(self) -> str:
        return f"{self.words} {gib(self.need)}"


def parts(plan: Mapping[str, Any], gpu: Mapping[str, Any]) -> tuple[Part, ...]:
    """Return what fills a GPU's memory, in the order in which it is drawn; the sizes sum up to all of it."""
    budget, total, used = plan["budget"], int(gpu["memory_bytes"]), int(gpu["used_bytes"])
    work = int(budget["activations"]) + int(budget["cuda_graphs"]) + int(budget["overhead"])
    if gpu["engine"] is None:
        work = weights = cache = 0
    else:
        weights, cache = int(budget["weights"]), max(0, int(budget["kv_cache"]))
    found, left = [], total
    for kind, words, letter, need in (
        ("others", "other processes", "x", used),
        ("weights", "weights", "#", weights),
        ("work", "activations, graphs, libraries", "=", work),
        ("cache", "KV cache", ":", cache),
    ):
        found.append(Part(kind, words, letter, min(need, left), need))
        left -= found[-1].size
    return (*found, Part("free", "headroom", ".", left, left))


def by_host(planned: Sequence[Planned]) -> list[list[Planned]]:
    """Return the plans by host, in the order in which they came."""
    hosts: dict[str, list[Planned]] = {}
    for one in planned:
        hosts.setdefault(one.host, []).append(one)
    return list(hosts.values())


def shared_parts(models: Sequence[Planned], gpu: Mapping[str, Any]) -> tuple[Part, ...]:
    """Return what all models of a host put on one of its GPUs, in the order in which it is drawn."""
    total, used = int(gpu["memory_bytes"]), int(gpu["used_bytes"])
    found, left = [Part("others", "other processes", "x", min(used, total), used)], total - min(used, total)
    for one in models:
        for part in _own_parts(one, gpu):
            found.append(Part(part.kind, f"{one.model}: {part.words}", part.letter, min(part.need, left), part.need))
            left -= found[-1].size
    return (*found, Part("free", "headroom", ".", left, left))


def _own_parts(one: Planned, gpu: Mapping[str, Any]) -> list[Part]:
    mine = [its for its in one.plan["gpus"] if its["gpu"] == gpu["gpu"]] if one.plan else []
    return [part for its in mine for part in parts(one.plan or {}, its) if part.kind not in ("others", "free")]


def using(models: Sequence[Planned], gpu: Mapping[str, Any]) -> str:
    """Return the names of the models on a GPU."""
    return ", ".join(one.model for one in models if any(part.need for part in _own_parts(one, gpu))) or "idle"


def drawn(pieces: Sequence[Part], width: int) -> str:
    """Return a bar of exactly so many letters; the largest part takes what rounding leaves."""
    total = sum(part.size for part in pieces) or 1
    counts = [part.size * width // total for part in pieces]
    largest = max(range(len(pieces)), key=lambda number: pieces[number].size)
    counts[largest] += width - sum(counts)
    return "".join(part.letter * count for part, count in zip(pieces, counts))


def flags(args: Mapping[str, Any]) -> list[str]:
    """Return arguments as on a command line."""
    return [f"--{name}" if value is True else f"--{name} {_value(value)}" for name, value in args.items()]


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def speed(estimate: Mapping[str, Any]) -> str:
    """Return an estimate in words."""
    fast, slow = estimate["load_seconds"]
    together = (
        f", {estimate['decode_full']:g} for {estimate['batch']} conversations together, "
        f"{estimate['decode_full_each']:g} each"
        if estimate["batch"] > 1
        else ""
    )
    return (
        f"about {estimate['decode_alone']:g} tokens/s alone{together}; prompts {estimate['prefill']:g} tokens/s, "
        f"{estimate['first_token_seconds']:g} s to the first token after {estimate['context']:,} of them; "
        f"the weights load in {fast:g} to {slow:g} s"
    )


def holds(plan: Mapping[str, Any]) -> str:
    """Return how many conversations fit, in words."""
    if plan.get("task", "chat") != "chat":
        return f"{plan['users']:,} of up to {plan['context']:,} tokens at once"
    engines = int(plan["layout"]["data_parallel_size"])
    where = "the engine" if engines == 1 else f"each of {engines} engines"
    return (
        f"{plan['users']:,} conversation{'s' * (plan['users'] != 1)} of {plan['context']:,} tokens at once; "
        f"{plan['kv_cache_tokens']:,} tokens of KV cache in {where}"
    )


def changed(change: Mapping[str, Any]) -> str:
    """Return a change of the wishes in words."""
    return ", ".join(f"{name}: {_value(value)}" for name, value in change.items())


# --- The terminal ----------------------------------------------------------------------------------------------------


def table(planned: Sequence[Planned]) -> str:
    """Return all plans for a terminal that is 100 columns wide."""
    return "\n\n".join("\n".join(map(plain, lines)) for models in by_host(planned) for lines in _of_host(models))


def _of_host(models: Sequence[Planned]) -> Iterator[Iterable[str]]:
    """Yield what is said of a host: of several models first their GPUs."""
    gpus = models[0].gpus if len(models) > 1 else ()
    if gpus:
        yield (textwrap.shorten(f"{models[0].host}: {len(models)} models", WIDTH), *_bars(models, gpus))
    yield from (_entry(one, has_bars=not gpus) for one in models)


def _bars(models: Sequence[Planned], gpus: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for gpu in gpus:
        pieces = shared_parts(models, gpu)
        size = gib(gpu["memory_bytes"])
        name = f"GPU {gpu['gpu']}"[:9].ljust(9)
        yield f"  {name}[{drawn(pieces, BAR)}] {size}"
        labels = "   ".join(f"{part.letter} {part.label}".replace(" ", HARD) for part in pieces if part.need)
        yield from (line.replace(HARD, " ") for line in _wrapped("", labels))


def _entry(one: Planned, *, has_bars: bool = True) -> Iterator[str]:
    version = f"  vLLM {one.plan['vllm_version']}" if one.plan else ""
    place = f" on {one.hardware}" if one.hardware else ""
    head = textwrap.shorten(f"{one.host}: {one.model}{place}{version}", WIDTH - 14, placeholder="...")
    yield f"{head.ljust(WIDTH - 14)}{one.verdict.upper():>14}"
    if one.plan is None or not one.plan["fits"]:
        yield from _wrapped("why", one.why)
    if one.plan is None:
        return
    plan = one.plan
    spans = len({gpu["node"] for gpu in plan["gpus"]}) > 1
    for gpu in plan["gpus"] if has_bars else ():
        name = f"{gpu['node']}/{gpu['gpu']}" if spans else f"GPU {gpu['gpu']}"
        doing = "idle" if gpu["engine"] is None else ""
        yield f"  {name[:9].ljust(9)}[{drawn(parts(plan, gpu), BAR)}] {gib(gpu['memory_bytes'])} {doing}".rstrip()
    working = next((gpu for gpu in plan["gpus"] if gpu["engine"] is not None), None)
    if working and has_bars:
        cells_text = (f"{part.letter} {part.label}" for part in parts(plan, working) if part.need)
        for line in _wrapped("", "   ".join(one.replace(" ", HARD) for one in cells_text)):
            yield line.replace(HARD, " ")
    if plan["fits"] or plan["users"]:
        yield from _wrapped("users", holds(plan))
    if plan["estimate"]:
        yield from _wrapped("speed", speed(plan["estimate"]))
    if plan["fits"]:
        yield from _wrapped("flags", "  ".join(flags(plan["args"])))
    if plan["env"] and plan["fits"]:
        yield from _wrapped("env", "  ".join(f"{name}={value}" for name, value in plan["env"].items()))
    for warning in plan["warnings"]:
        yield from _wrapped("note", warning)
    for other in plan["alternatives"]:
        yield from _wrapped("or", f"{changed(other['change'])}: {other['gives']}")


def _wrapped(word: str, text: str) -> list[str]:
    lines = textwrap.wrap(text, WIDTH - 11, break_on_hyphens=False) or [""]
    return [f"  {(word if number == 0 else '').ljust(9)}{line}" for number, line in enumerate(lines)]


# --- Programs --------------------------------------------------------------------------------------------------------


def as_json(planned: Sequence[Planned]) -> str:
    """Return all plans as JSON."""
    entries = [
        {"host": one.host, "model": one.model, "verdict": one.verdict, "refusal": one.refusal or None, "plan": one.plan}
        for one in planned
    ]
    return json.dumps({"plans": entries}, indent=2, sort_keys=True) + "\n"


# --- The browser -----------------------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1c2128; --dim: #59636e; --line: #d5dae0;
  --weights: #3b5bdb; --work: #e8890c; --cache: #12865c; --others: #868e96; --free: #e6e9ed;
  --good: #0f7a4f; --bad: #c92a2a; }
@media screen and (prefers-color-scheme: dark) { :root { --page: #14171a; --card: #1d2125; --text: #e4e7ea;
  --dim: #9aa4ae; --line: #363c43; --weights: #748ffc; --work: #f2a33c; --cache: #38b98a; --others: #868e96;
  --free: #30363c; --good: #4cc996; --bad: #ff8787; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 1rem; }
h2 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere; }
h3 { font-size: .8rem; margin: 1.4rem 0 .4rem; color: var(--dim); text-transform: uppercase; letter-spacing: .06em; }
section, .all { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.2rem 1.4rem;
  margin-bottom: 1.2rem; }
.all { overflow-x: auto; padding: .4rem 1.4rem; }
header { display: flex; gap: 1rem; justify-content: space-between; align-items: baseline; }
.dim, figcaption { color: var(--dim); }
.verdict { font-weight: 650; white-space: nowrap; }
.fits { color: var(--good); } .unfit { color: var(--bad); }
.why { border-left: 3px solid var(--bad); padding: .1rem 0 .1rem .8rem; margin: .8rem 0 0; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-top: 1px solid var(--line); }
tr:first-child > * { border-top: 0; }
th { font-weight: 600; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: .5rem 0 0; display: grid; grid-template-columns: 13rem 1fr 6rem; gap: .8rem; align-items: center; }
figure span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.bar { display: flex; height: 1.5rem; border-radius: 5px; overflow: hidden; background: var(--free); gap: 1px; }
.bar i, .key i { display: block; background: var(--free); } .key i { display: inline-block; width: .8rem; height: .8rem;
  border-radius: 3px; margin-right: .4rem; vertical-align: -.08rem; border: 1px solid var(--line); }
i.weights { background: var(--weights); } i.work { background: var(--work); } i.cache { background: var(--cache); }
i.others { background: var(--others); }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; margin: .7rem 0 0; padding: 0; list-style: none; }
pre { margin: 0; padding: .8rem 1rem; background: var(--page); border-radius: 6px; overflow-x: auto;
  font: 13px/1.5 ui-monospace, monospace; }
ul { margin: 0; padding-left: 1.2rem; }
@media (max-width: 40rem) { figure { grid-template-columns: 1fr; gap: .2rem; } header { flex-wrap: wrap; } }
"""


def page(planned: Sequence[Planned]) -> str:
    """Return all plans as one HTML page that needs nothing else."""
    body = "\n".join([_overview(planned), *map(_host_section, by_host(planned))])
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>Plan</title>\n<style>{STYLE}</style>\n<main>\n<h1>Plan</h1>\n{body}\n</main>\n</html>\n"
    )


def _overview(planned: Sequence[Planned]) -> str:
    rows = [
        "<tr><th>Host<th>Model<th>On<th>Verdict<th class='number'>Conversations<th class='number'>Tokens/s alone</tr>",
        *(_overview_row(one) for one in planned),
    ]
    return '<div class="all"><table>' + "\n".join(rows) + "</table></div>"


def _overview_row(one: Planned) -> str:
    users = f"{one.plan['users']:,} of {one.plan['context']:,} tokens" if one.plan else ""
    alone = f"{one.plan['estimate']['decode_alone']:g}" if one.plan and one.plan["estimate"] else ""
    cells = [one.host, one.model, one.hardware]
    cells_text = "".join(f"<td>{escape(cell)}" for cell in cells)
    return f'<tr>{cells_text}<td>{_verdict(one)}<td class="number">{users}<td class="number">{alone}</tr>'


def _verdict(one: Planned) -> str:
    return f'<span class="verdict {"fits" if one.verdict == "fits" else "unfit"}">{one.verdict}</span>'


def _host_section(models: Sequence[Planned]) -> str:
    """Return a host: its only model, or what all of its models put on its GPUs and then each."""
    bars = _together(models)
    if not bars:
        return "\n".join(map(_section, models))
    head = f"<header><h2>{escape(models[0].host)}</h2></header>"
    about = f"<section>{head}<h3>Memory of each GPU</h3>\n{bars}</section>"
    return "\n".join([about, *(_section(one, has_bars=False) for one in models)])


def memory(models: Sequence[Planned]) -> str:
    """Return a bar for each GPU that the models of a host use, and what its colours mean; nothing without GPUs."""
    return _together(models) or "\n".join(_alone(one.plan) for one in models if one.plan and one.plan["gpus"])


def _together(models: Sequence[Planned]) -> str:
    """Return a bar for each GPU of a host with the parts of its several models."""
    gpus = models[0].gpus if len(models) > 1 else ()
    bars = [_bar(gpu, shared_parts(models, gpu), using(models, gpu)) for gpu in gpus]
    return "\n".join([*bars, _kinds()]) if bars else ""


def _alone(plan: Mapping[str, Any]) -> str:
    return "\n".join([*(_figure(plan, gpu) for gpu in plan["gpus"]), _key(plan)])


def _kinds() -> str:
    kinds = (("weights", "weights"), ("work", "activations, graphs, libraries"), ("cache", "KV cache"))
    cells = (f'<li><i class="{kind}"></i>{words}' for kind, words in (*kinds, ("others", "other processes")))
    return f'<ul class="key">{"".join(cells)}</ul>'


def _section(one: Planned, *, has_bars: bool = True) -> str:
    version = f"vLLM {one.plan['vllm_version']}" if one.plan else ""
    place = " &middot; ".join(escape(word) for word in (one.host, one.hardware, version) if word)
    blocks = [f"<header><h2>{escape(one.model)}</h2>{_verdict(one)}</header>", f'<div class="dim">{place}</div>']
    if one.verdict != "fits":
        blocks.append(f'<p class="why">{escape(one.why)}</p>')
    if one.plan is not None:
        blocks += _blocks(one.plan, has_bars=has_bars)
    return "<section>" + "\n".join(blocks) + "</section>"


def _blocks(plan: Mapping[str, Any], *, has_bars: bool) -> Iterator[str]:
    if plan["gpus"] and has_bars:
        yield "<h3>Memory of each GPU</h3>"
        yield _alone(plan)
    if plan["fits"] or plan["users"]:
        yield f"<h3>Users</h3><div>{escape(holds(plan))}</div>"
    if plan["estimate"]:
        yield f"<h3>Speed, estimated</h3><div>{escape(speed(plan['estimate']))}</div>"
    if plan["fits"]:
        yield f"<h3>Flags</h3><pre>{escape(_yaml(plan['args']))}</pre>"
    if plan["env"] and plan["fits"]:
        yield f"<h3>Environment</h3><pre>{escape(_yaml(plan['env']))}</pre>"
    for title, texts in (("Why so", plan["reasons"]), ("To know", plan["warnings"])):
        if texts:
            yield f"<h3>{title}</h3><ul>" + "".join(f"<li>{escape(text)}" for text in texts) + "</ul>"
    if plan["alternatives"]:
        rows = (
            f"<tr><td><code>{escape(changed(other['change']))}</code><td>{escape(other['gives'])}</tr>"
            for other in plan["alternatives"]
        )
        yield "<h3>Instead</h3><table><tr><th>Change<th>Gives</tr>" + "".join(rows) + "</table>"


def _figure(plan: Mapping[str, Any], gpu: Mapping[str, Any]) -> str:
    work = "idle" if gpu["engine"] is None else f"engine {gpu['engine']}"
    return _bar(gpu, parts(plan, gpu), work)


def _bar(gpu: Mapping[str, Any], all_parts: Sequence[Part], work: str) -> str:
    pieces = [part for part in all_parts if part.size]
    words = ", ".join(part.label for part in pieces)
    drawn = "".join(
        f'<i class="{part.kind}" style="flex: {part.size / GIB:.3f} 0 0" title="{escape(part.label)}"></i>'
        for part in pieces
    )
    name = f"{gpu['gpu']} {gpu['name']}"
    return (
        f'<figure><span title="{escape(name)}">{escape(name)}</span><div class="bar" role="img" '
        f'aria-label="{escape(words)}">{drawn}</div><figcaption>{gib(gpu["memory_bytes"])}<br>{escape(work)}</figcaption></figure>'
    )


def _key(plan: Mapping[str, Any]) -> str:
    working = next((gpu for gpu in plan["gpus"] if gpu["engine"] is not None), plan["gpus"][0])
    cells_text = (f'<li><i class="{part.kind}"></i>{part.label}' for part in parts(plan, working) if part.need)
    return f'<ul class="key">{"".join(cells_text)}</ul>'


def _yaml(mapping: Mapping[str, Any]) -> str:
    """Return a flat mapping as YAML: JSON's values are YAML's."""
    return "\n".join(f"{name}: {json.dumps(value)}" for name, value in mapping.items())
