# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws docs/architecture.svg, what runs where and who speaks to whom: `python tools/architecture.py`.

`scene` puts the topology of an example inventory into columns and lanes; what follows it knows nothing of inventories.
Columns are layers (outside, edge, interface, engine), so that each request goes from left to right.
"""

from __future__ import annotations

import importlib
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
DRAWING = ROOT / "docs" / "architecture.svg"
EXAMPLES = {"One host": "single-host", "Several hosts": "split-dmz"}
TOPOLOGY = "ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.topology"
MODELS = TOPOLOGY.replace(".topology", ".models")
OUTSIDE = ""  # the host of what no inventory names


@dataclass(frozen=True)
class Part:
    """Something that runs.

    Attributes:
        name: under this name connections reach it.
        title: its name for people.
        host: the host that it runs on.
        notes: lines below the title, such as the address and port at which it is reached.
        column: its layer.
        lanes: the first and the last lane of the picture that its box covers.
    """

    name: str
    title: str
    host: str
    notes: tuple[str, ...]
    column: int
    lanes: tuple[int, int]


@dataclass(frozen=True)
class Connection:
    """One part asks another, in a lane; how stands above the line, and with what below it."""

    source: str
    target: str
    lane: int
    how: str
    with_what: str = ""


@dataclass(frozen=True)
class Scene:
    """What one inventory makes: hosts with their addresses, parts and connections."""

    hosts: Mapping[str, str]
    parts: Sequence[Part]
    connections: Sequence[Connection]


WHAT_RUNS = {
    "edge": ("nginx", "the edge"),
    "interface": ("LobeHub", "the interface"),
    "engine": ("vLLM", "the engine, its door"),
}
"""The kinds of services in the order of their columns."""
ON_A_HOST = {
    ("edge", "interface"): ("HTTP, in its room", ""),
    ("edge", "engine"): ("HTTP, the API", "vllm_api_key"),
    ("interface", "engine"): ("HTTP, the API", "its address"),
}
"""How a kind of service asks another by the doors of its own host, and what it shows to it."""
BETWEEN_HOSTS = ("TLS, the API", "certificates")


def scene(folder: str) -> Scene:
    """Put the topology of an example inventory into columns and lanes: the first lane is the interface's."""
    groups, settings = read(folder)
    models = importlib.import_module(MODELS).read(settings[groups["edge"][0]]["gpuchat_models"], groups)
    topology = importlib.import_module(TOPOLOGY).derive(groups, settings, models)
    engines = [one for one in topology.services if one.kind == "engine"]
    networks = ", ".join(settings[groups["edge"][0]]["gpuchat_allowed_networks"])
    parts = [
        Part("people", "People", OUTSIDE, ("a browser in", networks), 0, (0, 0)),
        Part("programs", "Programs", OUTSIDE, ("OpenAI's API from", networks), 0, (1, 1)),
    ]
    shown = [one for one in topology.services if one.kind in WHAT_RUNS]
    for one in shown:
        title, note = WHAT_RUNS[one.kind]
        notes: tuple[str, ...] = (note, f"{one.address}:{one.port}")
        lanes = (0, 0)
        if one.kind == "edge":
            notes = (note, "every address,", f"ports {settings[one.host]['edge_http_port']} and {one.port}")
            lanes = (0, len(engines))
        elif one.kind == "engine":
            number = engines.index(one)
            lanes = (number + 1 if number else 0, number + 1)
        column = 1 + list(WHAT_RUNS).index(one.kind)
        parts.append(Part(name_of(one), title, one.host, notes, column, lanes))
    connections: list[Connection] = []
    for link in topology.links:
        server = name_of(link.server)
        if link.client is None:
            connections.append(Connection("people", server, 0, "HTTPS", "an account"))
            connections.append(Connection("programs", server, 1, "HTTPS, /v1", "api_key"))
        elif link.server in shown:
            kinds = (link.client.kind, link.server.kind)
            lane = 0 if "interface" in kinds else 1 + engines.index(link.server)
            how = ON_A_HOST[kinds] if link.client.host == link.server.host else BETWEEN_HOSTS
            connections.append(Connection(name_of(link.client), server, lane, *how))
    watched, asked = monitoring(topology, parts)
    parts += watched
    connections += asked
    return Scene({host: str(own["ansible_host"]) for host, own in settings.items()}, parts, connections)


def monitoring(topology: Any, parts: Sequence[Part]) -> tuple[list[Part], list[Connection]]:
    """Return what asks the hosts for their metrics, below all others, and what it asks; nothing where none does."""
    own = [part.column for part in parts if part.host == topology.monitoring]
    others = [one for one in topology.of("metrics") if one.host != topology.monitoring]
    if not topology.monitoring or not own:
        return [], []
    first = 1 + max(part.lanes[1] for part in parts)
    notes = ("the monitoring", "asks each host")
    watching = Part(
        "monitoring", "Prometheus", topology.monitoring, notes, min(own), (first, first + max(len(others), 1) - 1)
    )
    watched = [
        Part(
            name_of(one),
            "Exporters",
            one.host,
            ("the metrics' door", one.place),
            max(part.column for part in parts if part.host == one.host),
            (lane, lane),
        )
        for lane, one in enumerate(others, first)
    ]
    asked = [Connection("monitoring", one.name, one.lanes[0], "TLS, metrics", "certificates") for one in watched]
    return [watching, *watched], asked


def name_of(service: Any) -> str:
    return f"{service.kind} {service.host}"


def read(folder: str) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]]:
    """Return the hosts of each group, and each host's settings, over the roles' defaults."""
    everything = yaml.safe_load((ROOT / "inventories" / folder / "hosts.yml").read_text(encoding="utf-8"))["all"]
    defaults: dict[str, Any] = {}
    for role in ("stack", "edge"):
        defaults |= yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    groups = {name: list(group["hosts"]) for name, group in everything["children"].items()}
    settings: dict[str, dict[str, Any]] = {}
    for group in everything["children"].values():
        for host, own in group["hosts"].items():
            settings.setdefault(host, {**defaults, **everything["vars"]}).update(own or {})
    return groups, settings


BOX, GUTTER, LANE, EDGE = 154, 136, 104, 24
"""Widths of a part's box and of the space between two, the height of a lane, and the drawing's margin."""
INSET, HEAD, TITLE, NODE = 20, 34, 46, 92
"""The space between a host's border and its parts, its name's height, a picture's, and the row of the control node."""
WIDTH = 2 * EDGE + 4 * BOX + 3 * GUTTER + 2 * INSET
STYLE = """
svg { --back: #ffffff; --host: #f4f6f9; --part: #ffffff; --line: #5b6472; --rim: #c3cad4; --text: #1d232b;
  --quiet: #56606d; --accent: #0b62c4 }
@media (prefers-color-scheme: dark) { svg { --back: #0f141a; --host: #18202a; --part: #222c38; --line: #9aa7b6;
  --rim: #3f4c5c; --text: #e8edf3; --quiet: #a9b5c3; --accent: #6cb2ff } }
text { font: 13px system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif; fill: var(--quiet) }
.picture { font-size: 19px; font-weight: 600; fill: var(--text) }
.host { font-weight: 600; fill: var(--accent) }
.title { font-size: 15px; font-weight: 600; fill: var(--text) }
.back { fill: var(--back) }
.room { fill: var(--host); stroke: var(--rim) }
.part { fill: var(--part); stroke: var(--line) }
.way { fill: none; stroke: var(--line); stroke-width: 1.5 }
.ssh { stroke-dasharray: 5 4 }
.head { fill: var(--line) }
"""
MARKER = """<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"
markerUnits="userSpaceOnUse"><path class="head" d="M0 0 8 4 0 8z"/></marker>"""


@dataclass(frozen=True)
class Box:
    """A rectangle of the drawing."""

    left: int
    top: int
    right: int
    bottom: int

    def holds(self, other: Box) -> bool:
        return (
            self.left <= other.left <= other.right <= self.right
            and self.top <= other.top <= other.bottom <= self.bottom
        )

    def meets(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def lanes_in(one: Scene) -> int:
    return 1 + max(part.lanes[1] for part in one.parts)


def height(one: Scene) -> int:
    return TITLE + HEAD + lanes_in(one) * LANE + NODE


def box(part: Part, top: int) -> Box:
    """Return where a part stands in a picture that begins at a height."""
    left = EDGE + part.column * (BOX + GUTTER) + (INSET if part.column else 0)
    first = top + TITLE + HEAD
    return Box(left, first + part.lanes[0] * LANE + 8, left + BOX, first + (part.lanes[1] + 1) * LANE - 8)


def room(host: str, one: Scene, top: int) -> Box:
    """Return the border of a host around its parts."""
    own = [box(part, top) for part in one.parts if part.host == host]
    return Box(
        min(part.left for part in own) - INSET,
        min(part.top for part in own) - HEAD,
        max(part.right for part in own) + INSET,
        max(part.bottom for part in own) + 14,
    )


def text(left: float, top: float, words: str, kind: str = "", anchor: str = "start") -> str:
    place = f'<text x="{left:g}" y="{top:g}" text-anchor="{anchor}"'
    return f"{place}{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{escape(words)}</text>"


def rectangle(where: Box, kind: str, corner: int) -> str:
    size = f'width="{where.right - where.left}" height="{where.bottom - where.top}" rx="{corner}"'
    return f'<rect class="{kind}" x="{where.left}" y="{where.top}" {size}/>'


def arrow(path: str) -> str:
    return f'<path class="way" d="{path}" marker-end="url(#head)"/>'


def draw(title: str, one: Scene, top: int) -> Iterator[str]:
    """Draw one picture: hosts, parts, what they ask of each other, and the control node below."""
    yield text(EDGE, top + 24, title, "picture")
    for host, address in one.hosts.items():
        border = room(host, one, top)
        yield rectangle(border, "room", 10)
        yield text(border.left + INSET, border.top + 22, f"{host}, {address}", "host")
    places = {part.name: box(part, top) for part in one.parts}
    for part in one.parts:
        yield from draw_part(part.title, part.notes, places[part.name])
    for connection in one.connections:
        yield from draw_connection(connection, places[connection.source], places[connection.target], top)
    yield from draw_control_node(one, top)


def draw_part(title: str, notes: Sequence[str], where: Box) -> Iterator[str]:
    yield rectangle(where, "part", 6)
    middle = (where.left + where.right) / 2
    first = (where.top + where.bottom) / 2 + 5 - 9 * len(notes)
    yield text(middle, first, title, "title", "middle")
    for number, note in enumerate(notes, 1):
        yield text(middle, first + 1 + 18 * number, note, "", "middle")


def draw_connection(one: Connection, source: Box, target: Box, top: int) -> Iterator[str]:
    level = top + TITLE + HEAD + one.lane * LANE + LANE // 2
    middle = (source.right + target.left) / 2
    yield arrow(f"M{source.right} {level} H{target.left - 2}")
    yield text(middle, level - 8, one.how, "", "middle")
    if one.with_what:
        yield text(middle, level + 19, one.with_what, "", "middle")


def draw_control_node(one: Scene, top: int) -> Iterator[str]:
    bottom = top + height(one) - 16
    where = Box(EDGE, bottom - 56, EDGE + BOX, bottom)
    yield from draw_part("Control node", ("Ansible, secrets",), where)
    level = (where.top + where.bottom) // 2
    borders = [room(host, one, top) for host in one.hosts]
    middles = [(border.left + border.right) // 2 for border in borders]
    yield f'<path class="way ssh" d="M{where.right} {level} H{max(middles)}"/>'
    for border, middle in zip(borders, middles, strict=True):
        yield arrow(f"M{middle} {level} V{border.bottom + 2}")
        yield text(middle - 10, level - 8, "ssh", "", "end")


def drawing() -> str:
    """Return the whole drawing."""
    scenes = {title: scene(folder) for title, folder in EXAMPLES.items()}
    lines: list[str] = []
    top = 12
    for title, one in scenes.items():
        lines += draw(title, one, top)
        top += height(one) + 20
    size = f'viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>What runs where, and who speaks to whom</title>",
        "<!-- Made by tools/architecture.py from the example inventories. -->",
        f"<style>{STYLE}</style>",
        f"<defs>{MARKER}</defs>",
        f'<rect class="back" width="{WIDTH}" height="{top}"/>',
        *lines,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    importlib.import_module("conftest")  # lets the collection be imported from a checkout
    DRAWING.write_text(drawing(), encoding="utf-8")
