# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drawing shows the example inventories, and nothing in it covers anything else."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import architecture
import pytest

SCENES = {title: architecture.scene(folder) for title, folder in architecture.EXAMPLES.items()}
each_scene = pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)


def places(scene):
    return {part: architecture.box(part, 0) for part in scene.parts}


def test_the_drawing_is_up_to_date():
    assert architecture.DRAWING.read_text(encoding="utf-8") == architecture.drawing(), "run make docs"


def test_the_drawing_is_well_formed():
    assert ET.fromstring(architecture.drawing()).get("viewBox")


@each_scene
def test_each_part_stands_in_its_own_host_and_covers_no_other(scene):
    for one, other in itertools.combinations(places(scene).values(), 2):
        assert not one.meets(other)
    for host in scene.hosts:
        border = architecture.room(host, scene, 0)
        for part, where in places(scene).items():
            assert border.holds(where) if part.host == host else not border.meets(where)


@each_scene
def test_all_hosts_stand_within_the_drawing_and_apart(scene):
    borders = [architecture.room(host, scene, 0) for host in scene.hosts]
    assert not [pair for pair in itertools.combinations(borders, 2) if pair[0].meets(pair[1])]
    assert all(border.right < architecture.WIDTH and border.bottom < architecture.height(scene) for border in borders)


@each_scene
def test_each_connection_goes_to_the_right_and_meets_both_of_its_parts(scene):
    parts = {part.name: part for part in scene.parts}
    for connection in scene.connections:
        ends = [parts[connection.source], parts[connection.target]]
        assert ends[0].column < ends[1].column
        assert all(part.lanes[0] <= connection.lane <= part.lanes[1] for part in ends)


def test_the_engine_of_a_host_behind_listens_on_its_private_address():
    notes = {part.title: part.notes for part in SCENES["Several hosts"].parts}
    assert (notes["vLLM"][-1], notes["LobeHub"][-1]) == ("10.0.1.5:8000", "172.16.255.250:3210")
