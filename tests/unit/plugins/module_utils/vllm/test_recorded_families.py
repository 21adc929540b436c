# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Families of models by what their config.json says: bytes in the cache, kinds of layers, number of weights.

In recorded_families.json: of each config.json the keys that matter; what one token takes in all layers, as sums of
products (layers, key heads, head size, 2 for key and value x 2 bytes); the kinds of layers; and billions of weights as
published, where these widths alone decide them.
"""

from __future__ import annotations

import json
import math
import pathlib

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.config import read_model
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.kv_cache import token_bytes
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.settings import Layout, Settings

FAMILIES = json.loads(pathlib.Path(__file__).with_name("recorded_families.json").read_text(encoding="utf-8"))
LAYOUT, SETTINGS = Layout(), Settings((0, 32, 0), 0.9, 4096, 8, 2048)

every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family["name"])
sized_families = [family for family in FAMILIES if "billions" in family]


@every_family
def test_a_token_takes_what_its_layers_keep(family):
    model = read_model(family["config"])
    taken = sum(
        layers.count * token_bytes(layers, model, LAYOUT, SETTINGS)
        for layers in model.kv_layers
        if layers.kind != "state"
    )
    assert taken == sum(math.prod(factors) for factors in family["token"])


@every_family
def test_the_layers_are_of_the_familys_kinds(family):
    assert {layers.kind: layers.count for layers in read_model(family["config"]).kv_layers} == family["kinds"]


@pytest.mark.parametrize("family", sized_families, ids=lambda family: family["name"])
def test_the_widths_of_a_family_give_its_published_size(family):
    assert read_model(family["config"]).parameters.total / 1e9 == pytest.approx(family["billions"], rel=0.03)
