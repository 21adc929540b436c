# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import json
import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import dashboards, files
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring.stack import Stack
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm import releases
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.facts import versions

from .rule_tests import WHOLE

BOARDS = {board["uid"]: board for board in dashboards.dashboards(WHOLE)}
SERVED = [version for version in versions.RELEASES if releases.parse_version(version) >= (0, 9)]
QUESTIONS = (
    "Requests that ended",
    "Requests that are held",
    "Time to first token",
    "Tokens per second",
    "KV cache in use",
    "Preemptions per second",
    "Prompts found in the prefix cache",
    "GPUs: busy",
    "Edge: errors",
)


def titles(board):
    return [panel["title"] for panel in board["panels"]]


def at(version):
    return dataclasses.replace(WHOLE, versions=dict.fromkeys(("qwen3-8b", "old"), version))


def test_the_first_dashboard_answers_whether_it_is_well():
    assert list(BOARDS) == ["gpuchat-well", "gpuchat-engine", "gpuchat-host", "gpuchat-clients"]
    assert set(QUESTIONS) <= set(titles(BOARDS["gpuchat-well"]))


@pytest.mark.parametrize("version", SERVED)
def test_every_served_version_of_vllm_is_asked_all_of_it_by_names_that_it_has(version):
    stack = at(version)
    well = next(iter(dashboards.dashboards(stack)))
    assert set(QUESTIONS) <= set(titles(well))
    kinds = releases.at(versions.METRICS, version)
    for one in dashboards.queries(stack):
        for name in re.findall(r"vllm:(\w+)", one.query):
            bare = re.sub(r"_(bucket|count|sum)$", "", name)
            assert bare in kinds or re.sub(r"_total$", "", bare) in kinds, name


def test_a_stack_without_a_part_has_no_panel_of_it():
    bare = Stack(targets=WHOLE.targets[:1])
    boards = dashboards.dashboards(bare)
    assert [board["uid"] for board in boards] == ["gpuchat-well", "gpuchat-host"]
    assert not any(word in title for board in boards for title in titles(board) for word in ("GPU", "Edge", "Postgre"))


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_no_panel_lies_over_another_or_beyond_the_edge(board):
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _y in cells) < dashboards.COLUMNS
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_each_panel_says_its_unit_and_legends_and_takes_its_source_from_the_variable(board):
    assert board["templating"]["list"][0]["type"] == "datasource"
    for panel in board["panels"]:
        assert panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            assert target["legendFormat"]
            assert target["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_query_uses_no_variable_that_its_dashboard_lacks(board):
    there = {one["name"] for one in board["templating"]["list"]} | {"__rate_interval"}
    used = set(re.findall(r"\$(\w+)", json.dumps([panel["targets"] for panel in board["panels"]])))
    assert used <= there


def test_the_listed_queries_are_all_and_have_nothing_of_grafanas_left():
    listed = dashboards.queries(WHOLE, "1m")
    assert len(listed) == sum(len(panel["targets"]) for board in BOARDS.values() for panel in board["panels"])
    assert not any("$" in one.query for one in listed)
    assert any("[1m]" in one.query for one in listed)
    assert {one.needs for one in listed} == {"", "gpu", "engines", "edge", "clients", "chat", "backup"}


def test_the_same_stack_has_the_same_files():
    first, second = files.build(WHOLE), files.build(WHOLE)
    assert first == second
    assert sorted(first) == [
        "alertmanager.yml",
        "dashboards/gpuchat-clients.json",
        "dashboards/gpuchat-engine.json",
        "dashboards/gpuchat-host.json",
        "dashboards/gpuchat-well.json",
        "prometheus.yml",
        "rules.yml",
    ]
    assert json.loads(first["dashboards/gpuchat-well.json"]) == BOARDS["gpuchat-well"]
