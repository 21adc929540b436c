# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drawing of a topology: who is in it, who asks whom, and that nothing leaves its place."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report.drawing import (
    LETTER,
    NARROW,
    WIDE,
    Band,
    Box,
    Scene,
    Way,
    clean,
    draw,
    scene,
    shortened,
)
from hypothesis import given
from hypothesis import strategies as st

EDGE = {"scheme": "https", "names": ["chat.example.com"], "ports": [80, 443]}
EDGE["access"] = {"chat": ["10.0.0.0/8"], "api": ["10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12"], "proxies": []}
INTERFACE = {"kind": "lobehub", "address": "10.0.1.6", "port": 3210}
TOPOLOGY = {
    "hosts": {
        "front": {"edge": EDGE, "interface": INTERFACE, "engines": []},
        "gpu1": {"engine": {"address": "10.0.1.7", "port": 8000}, "engines": [{"name": "qwen"}, {"name": "bge"}]},
        "spare": {"engines": []},
    },
    "models": [
        {"name": "qwen", "task": "chat", "hosts": ["gpu1"]},
        {"name": "big", "task": "chat", "hosts": [], "endpoint": "lmstudio"},
    ],
}
ADDRESSES = {"front": "10.0.0.6", "gpu1": "gpu1"}


def test_each_layer_shows_its_hosts_and_what_they_serve():
    people, edge, interface, engines = scene(TOPOLOGY, ADDRESSES).bands
    assert [box.notes for box in people.boxes] == [
        ("from 10.0.0.0/8",),
        ("from 10.0.0.0/8, 192.168.0.0/16 and 1 more",),
    ]
    assert edge.boxes == (Box("front", ("10.0.0.6", "chat.example.com", "ports 80, 443")),)
    assert interface.boxes == (Box("front", ("10.0.0.6", "10.0.1.6:3210")),)
    assert engines.boxes == (
        Box("gpu1", ("door 10.0.1.7:8000",), ("qwen", "bge")),
        Box("lmstudio", ("somebody else's",), ("big",), is_outside=True),
    )


def test_people_ask_the_edge_and_the_edge_all_others():
    ways = [(way.source, way.target) for way in scene(TOPOLOGY, {}).ways]
    assert ways == [("people", "edge"), ("edge", "interface"), ("edge", "engine"), ("interface", "engine")]


def test_without_an_interface_the_edge_asks_the_engines():
    hosts = {"gpu1": {"edge": EDGE, **TOPOLOGY["hosts"]["gpu1"]}}
    found = scene({"hosts": hosts, "models": []}, {})
    assert [band.name for band in found.bands] == ["people", "edge", "engine"]
    assert [(way.source, way.target) for way in found.ways] == [("people", "edge"), ("edge", "engine")]


def numbers(element, *names):
    return [float(element.get(name)) for name in names]


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_boxes_lie_in_the_drawing_and_do_not_meet(width, count):
    hosts = {f"gpu{number}": TOPOLOGY["hosts"]["gpu1"] for number in range(count)}
    text = draw(scene({**TOPOLOGY, "hosts": {**TOPOLOGY["hosts"], **hosts}}, {}), width, "wide")
    root = ET.fromstring(text)
    right, bottom = map(float, root.get("viewBox").split()[2:])
    boxes = [numbers(one, "x", "y", "width", "height") for one in root.iter("rect") if one.get("class")[:3] == "box"]
    assert len(boxes) == 5 + len({*hosts, "gpu1"})
    for x, y, wide, high in boxes:
        assert 0 <= x <= x + wide <= right
        assert 0 <= y <= y + high <= bottom
        assert wide > 150
    for number, (x, y, wide, high) in enumerate(boxes):
        for left, top, other_wide, other_high in boxes[:number]:
            assert x + wide <= left or left + other_wide <= x or y + high <= top or top + other_high <= y


@pytest.mark.parametrize("kind", ["wide", "narrow"])
def test_a_page_may_hold_several_for_none_has_a_name_of_its_own(kind):
    text = draw(scene(TOPOLOGY, {}), NARROW, kind)
    assert f'class="drawing {kind}"' in text
    assert " id=" not in text
    assert "url(" not in text


@given(st.text(max_size=80), st.floats(10, 400))
def test_a_shortened_text_has_room(text, room):
    found = shortened(text, room, LETTER)
    assert found == text or (found.endswith("…") and len(found) <= max(1, room / LETTER))


def test_wide_letters_take_more_room():
    assert shortened("模" * 20, 100, LETTER) == "模" * 6 + "…"
    assert shortened("m" * 20, 100, LETTER) == "m" * 12 + "…"


@given(st.text(max_size=200))
def test_no_text_is_markup_or_leaves_xml(text):
    one = Scene(
        (Band("a", text, (Box(text, (text,), (text,)),)), Band("b", text, (Box(text),))), (Way("a", "b", text),)
    )
    root = ET.fromstring(draw(one, NARROW, "narrow"))
    assert {element.tag for element in root.iter()} <= {"svg", "rect", "text", "title", "path"}
    assert root.findall("text")[0].text in (clean(text), None)
