# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's drawing is made of what the preflight really returns."""

from __future__ import annotations

import architecture
import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import doors, endpoints, models, topology
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report.drawing import scene

ELSEWHERE = {
    "name": "lmstudio",
    "url": "http://10.0.0.9:1234/v1",
    "models": ["llama-3", {"name": "b", "upstream": "v/B"}],
}


def layers(folder):
    groups, settings = architecture.read(folder)
    ours = models.read(settings[groups["edge"][0]]["gpuchat_models"], groups)
    derived = topology.derive(groups, settings, ours, endpoints.read([ELSEWHERE]))
    addresses = {host: own["ansible_host"] for host, own in settings.items()}
    return {band.name: band.boxes for band in scene(doors.describe(derived), addresses).bands}


@pytest.mark.parametrize(
    ("folder", "edge", "engine"),
    [("single-host", "server", "server"), ("split-dmz", "front", "gpu1")],
)
def test_each_part_of_an_example_is_drawn(folder, edge, engine):
    found = layers(folder)
    assert [[box.title for box in found[kind]] for kind in ("edge", "interface")] == [[edge], [edge]]
    ours, elsewhere = found["engine"]
    assert (ours.title, ours.chips) == (engine, ("qwen3-8b",))
    assert (elsewhere.title, elsewhere.chips, elsewhere.is_outside) == ("lmstudio", ("llama-3", "b"), True)
    assert [box.title for box in found["people"]] == ["People with a browser", "Programs with a key"]
