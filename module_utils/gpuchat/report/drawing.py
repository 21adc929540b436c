# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws a stack's topology as SVG: a band for each layer, a box for each host in it, an arrow where one asks another.

Each part of a layer asks each part of another, so arrows from band to band say it all, whatever the number of hosts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

EDGE, INTERFACE, ENGINE = "edge", "interface", "engine"
INTERFACES = {"lobehub": "LobeHub", "open_webui": "Open WebUI"}
WIDE, NARROW = 920, 340
"""Widths of a drawing for a page on a screen or on paper, and for a phone."""

MARGIN, PAD, GAP, ACROSS, MOST = 2, 14, 12, 56, 4
"""The drawing's margin, the space in bands and boxes, that between boxes, the one between bands, boxes in a row."""
BYPASS = 58
"""Room at the right for what goes past a band."""
LINE, HEAD = 19, 30
"""The height of a line of text, and of a band's title."""
LETTER, SMALL = 7.4, 6.7
"""How wide a letter of the large and of the small text is at most, on average."""

STYLE = """
.drawing { display: block; width: 100%; height: auto; }
.drawing text { font: 13px system-ui, sans-serif; fill: var(--text); }
.drawing .layer { font-size: 12px; fill: var(--dim); letter-spacing: .04em; }
.drawing .host { font-weight: 600; }
.drawing .note { font-size: 12px; fill: var(--dim); }
.drawing .band { fill: var(--page); stroke: var(--line); }
.drawing .box { fill: var(--card); stroke: var(--line); }
.drawing .outside { stroke-dasharray: 5 4; }
.drawing .chip { fill: var(--chip); }
.drawing .way { fill: none; stroke: var(--dim); stroke-width: 1.5; }
.drawing .tip { fill: var(--dim); }
.narrow { display: none; }
"""


@dataclass(frozen=True)
class Box:
    """One host's part of a layer.

    Attributes:
        notes: what is said below its name.
        chips: what it serves.
        is_outside: whether it is somebody else's.
    """

    title: str
    notes: tuple[str, ...] = ()
    chips: tuple[str, ...] = ()
    is_outside: bool = False

    @property
    def height(self) -> int:
        return PAD + LINE * (1 + len(self.notes)) + (LINE + 7) * len(self.chips) + PAD // 2


@dataclass(frozen=True)
class Band:
    """One layer."""

    name: str
    title: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Way:
    """One layer asks another: the one below it, or one further down."""

    source: str
    target: str
    words: str


@dataclass(frozen=True)
class Scene:
    bands: tuple[Band, ...]
    ways: tuple[Way, ...] = field(default_factory=tuple)


def scene(topology: Mapping[str, Any], addresses: Mapping[str, str]) -> Scene:
    """Put a topology into layers.

    Args:
        topology: as gpuchat_preflight returns it.
        addresses: at which the control node reaches each host.
    """
    hosts: Mapping[str, Mapping[str, Any]] = topology["hosts"]
    edges = {host: parts[EDGE] for host, parts in hosts.items() if EDGE in parts}
    is_one = len(hosts) == 1
    kinds = dict.fromkeys(str(parts[INTERFACE]["kind"]) for parts in hosts.values() if INTERFACE in parts)
    bands = [
        Band("people", "Who may ask", _people(edges)),
        Band(EDGE, "Edge: nginx", tuple(_box(host, _at_edge(edge), addresses) for host, edge in edges.items())),
        Band(
            INTERFACE,
            f"Interface: {', '.join(INTERFACES[one] for one in kinds)}",
            tuple(
                _box(host, ["in its room" if is_one else _place(parts[INTERFACE])], addresses)
                for host, parts in hosts.items()
                if INTERFACE in parts
            ),
        ),
        Band(ENGINE, "Engines: vLLM", (*_engines(hosts, addresses), *_endpoints(topology))),
    ]
    some = tuple(one for one in bands if one.boxes)
    there = {one.name for one in some}
    scheme = next((str(edge["scheme"]).upper() for edge in edges.values()), "HTTP")
    ways = (
        Way("people", EDGE, scheme),
        Way(EDGE, INTERFACE, "pages and chats"),
        Way(EDGE, ENGINE, "model API"),
        Way(INTERFACE, ENGINE, "model API, by a door"),
    )
    return Scene(some, tuple(one for one in ways if {one.source, one.target} <= there))


def _people(edges: Mapping[str, Mapping[str, Any]]) -> tuple[Box, ...]:
    access: Mapping[str, Any] = next((edge["access"] for edge in edges.values()), {})
    kinds = (("People with a browser", "chat"), ("Programs with a key", "api"))
    asking = tuple((words, _some(access.get(kind) or ())) for words, kind in kinds)
    return tuple(Box(words, (f"from {networks}",), is_outside=True) for words, networks in asking if networks)


def _some(networks: Sequence[object]) -> str:
    shown = ", ".join(map(str, networks[:2]))
    return shown + (f" and {len(networks) - 2} more" if len(networks) > 2 else "")


def _at_edge(edge: Mapping[str, Any]) -> list[str]:
    names = list(map(str, edge["names"]))
    return [*names[:2], f"port{'s' * (len(edge['ports']) != 1)} {', '.join(map(str, edge['ports']))}"]


def _place(part: Mapping[str, Any]) -> str:
    return f"{part['address']}:{part['port']}"


def _box(host: str, notes: Sequence[str], addresses: Mapping[str, str], chips: Sequence[str] = ()) -> Box:
    address = str(addresses.get(host) or "")
    return Box(host, (*((address,) if address and address != host else ()), *notes), tuple(chips))


def _engines(hosts: Mapping[str, Mapping[str, Any]], addresses: Mapping[str, str]) -> tuple[Box, ...]:
    return tuple(
        _box(
            host,
            [f"door {_place(parts[ENGINE])}" if ENGINE in parts else "serves by another host"],
            addresses,
            [_chip(one) for one in parts["engines"]],
        )
        for host, parts in hosts.items()
        if parts.get("engines")
    )


def _chip(engine: Mapping[str, Any]) -> str:
    """Return an engine's name, with which part of it a host has where it spans several."""
    span = engine.get("span")
    return f"{engine['name']} ({span['rank'] + 1} of {len(span['hosts'])})" if span else str(engine["name"])


def _endpoints(topology: Mapping[str, Any]) -> tuple[Box, ...]:
    """Return what somebody else runs, each with the models that it serves."""
    served: dict[str, list[str]] = {}
    for one in topology["models"]:
        if one.get("endpoint"):
            served.setdefault(str(one["endpoint"]), []).append(str(one["name"]))
    return tuple(Box(name, ("somebody else's",), tuple(models), is_outside=True) for name, models in served.items())


# --- What follows knows nothing of topologies ------------------------------------------------------------------------


def clean(text: object) -> str:
    """Return a text without characters that a page, a terminal or XML cannot hold."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


def harmless(text: object) -> str:
    """Return a text that is markup neither in HTML nor in XML, whatever it holds."""
    return escape(clean(text))


def shortened(text: str, room: float, letter: float) -> str:
    """Return as much of a text as has room, by the widths of its letters."""
    sizes = [letter * (1.9 if unicodedata.east_asian_width(one) in "WF" else 1) for one in text]
    if sum(sizes) <= room:
        return text
    taken, count = letter * 1.3, 0
    while count < len(sizes) and taken + sizes[count] <= room:
        taken += sizes[count]
        count += 1
    return text[:count] + "…"


def draw(one: Scene, width: int, kind: str) -> str:
    """Return a drawing that is so wide.

    Args:
        kind: its class, by which a page shows it or not.
    """
    right = width - MARGIN - (BYPASS if _passing(one) else 0)
    tops, top, lines = {}, MARGIN, []
    for band in one.bands:
        height, drawn = _band(band, top, right)
        lines += drawn
        tops[band.name] = (top, top + height)
        top += height + ACROSS
    names = [band.name for band in one.bands]
    for way in one.ways:
        if names.index(way.target) == names.index(way.source) + 1:
            lines += _down((MARGIN + right) / 2, tops[way.source][1], tops[way.target][0], way.words)
        else:
            lines += _past(right, tops[way.source], tops[way.target], way.words)
    bottom = top - ACROSS + MARGIN
    words = "; ".join(_said(band) for band in one.bands)
    return (
        f'<svg class="drawing {kind}" viewBox="0 0 {width} {bottom}" role="img" aria-label="{escape(words)}">\n'
        + "\n".join(lines)
        + "\n</svg>"
    )


def _passing(one: Scene) -> bool:
    names = [band.name for band in one.bands]
    return any(names.index(way.target) > names.index(way.source) + 1 for way in one.ways)


def _said(band: Band) -> str:
    return clean(f"{band.title} on {', '.join(box.title for box in band.boxes)}")


def _band(band: Band, top: int, right: int) -> tuple[int, list[str]]:
    """Return a band's height, and its drawing."""
    room = right - MARGIN - 2 * PAD
    fitting = max(1, min(MOST, (room + GAP) // (190 + GAP)))
    in_row = min(fitting, len(band.boxes))
    size = (room - GAP * (in_row - 1)) / in_row
    lines: list[str] = []
    level = top + HEAD
    for first in range(0, len(band.boxes), in_row):
        row = band.boxes[first : first + in_row]
        height = max(box.height for box in row)
        for number, box in enumerate(row):
            lines += _draw_box(box, MARGIN + PAD + number * (size + GAP), level, size, height)
        level += height + GAP
    height = level - GAP + PAD - top
    head = [
        f'<rect class="band" x="{MARGIN}" y="{top}" width="{right - MARGIN}" height="{height}" rx="10"/>',
        _text(MARGIN + PAD, top + 20, band.title, "layer"),
    ]
    return height, [*head, *lines]


def _draw_box(box: Box, left: float, top: int, width: float, height: int) -> Iterator[str]:
    kind = "box outside" if box.is_outside else "box"
    yield f'<rect class="{kind}" x="{left:g}" y="{top}" width="{width:g}" height="{height}" rx="7"/>'
    room, level = width - 2 * PAD, top + PAD + 9
    yield _text(left + PAD, level, box.title, "host", room, LETTER)
    for note in box.notes:
        level += LINE
        yield _text(left + PAD, level, note, "note", room, SMALL)
    for chip in box.chips:
        level += LINE + 7
        yield f'<rect class="chip" x="{left + PAD:g}" y="{level - 15}" width="{room:g}" height="22" rx="5"/>'
        yield _text(left + PAD + 8, level, chip, "", room - 16, LETTER)


def _text(left: float, top: float, words: str, kind: str, room: float = 0, letter: float = LETTER) -> str:
    """Return a line of text; where it has too little room, a pointer over it shows the whole."""
    whole = clean(words)
    shown = shortened(whole, room, letter) if room else whole
    more = f"<title>{escape(whole)}</title>" if shown != whole else ""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{left:g}" y="{top:g}"{named}>{escape(shown)}{more}</text>'


def _down(middle: float, top: int, bottom: int, words: str) -> Iterator[str]:
    yield f'<path class="way" d="M{middle:g} {top} V{bottom - 6}"/>'
    yield _tip(middle, bottom, "down")
    yield _text(middle + 12, (top + bottom) / 2 + 4, words, "note")


def _past(right: int, source: tuple[int, int], target: tuple[int, int], words: str) -> Iterator[str]:
    """Draw a way at the right side of what lies between; its words stand along it."""
    from_level, to_level = source[1] - 28, target[0] + 28
    lane = right + 22
    yield f'<path class="way" d="M{right} {from_level} H{lane} V{to_level} H{right + 6}"/>'
    yield _tip(right, to_level, "left")
    middle = (from_level + to_level) / 2
    yield (
        f'<text class="note" x="{lane + 16}" y="{middle:g}" text-anchor="middle" '
        f'transform="rotate(90 {lane + 12} {middle:g})">{escape(words)}</text>'
    )


def _tip(x: float, y: float, way: str) -> str:
    ends = {"down": f"M{x:g} {y} l-5 -9 h10 z", "left": f"M{x:g} {y} l9 -5 v10 z"}
    return f'<path class="tip" d="{ends[way]}"/>'
