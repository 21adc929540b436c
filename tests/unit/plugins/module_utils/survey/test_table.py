# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey in the terminal, in the browser, and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey.findings import examine
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey.page import page
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey.table import Survey, as_json, cells, table
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey.types import Answer, Expected

from ..pages import Elements, asked_by
from .healthy import EXPECTED, NOW, healthy, reading

NASTY = "<script>alert(1)</script>"
WELL = examine(EXPECTED, healthy(), NOW)
STOPPED = {"running": False, "enabled": True, "steps": ["start"], "state": "inactive", "result": "", "restarts": 0}
FAULTY = examine(
    replace(EXPECTED, name="gpu-with-a-very-long-name-02.example.com"),
    Answer("done", reading(**{"services__gpuchat-edge": {**STOPPED, "supervisor": "systemd", "commit": ""}})),
    NOW,
)
LOST = examine(Expected("gpu03", ("gpu",)), Answer("connect", problem="no answer from 10.0.0.7 port 22"), NOW)
PYTHONLESS = examine(Expected("gpu04", ("gpu",)), Answer("python", problem="found no Python 3.9 or later"), NOW)
SURVEY = Survey((WELL, FAULTY, LOST, PYTHONLESS), NOW, ("lock.yml records no image",), 3.21)


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_table_fits_the_terminal(width):
    assert max(map(len, table(SURVEY, width).splitlines())) <= width


def test_the_worst_hosts_stand_first_and_their_findings_below():
    text = table(SURVEY, 80)
    rows = [line.split()[0] for line in text.splitlines()[1:5]]
    assert rows == ["gpu03", "gpu-with-a-very-long-...", "gpu04", "gpu01"]
    below = text.split("\n\n")[1:4]
    assert [one.split()[0] for one in below] == ["gpu03", "gpu-with-a-very-long-name-02.example.com", "gpu04"]
    assert "found gpuchat-edge stopped; wanted it running;" in " ".join(below[1].split())


def test_a_row_says_what_a_host_is_and_runs():
    assert cells(WELL, NOW) == {
        "host": "gpu01",
        "state": "ok",
        "runs": "9/9",
        "gpus": "1x H100 72/80G",
        "model": "demo@ac3c3c5e",
        "disk": "2.00 TB free",
        "certificate": "800 d",
        "release": "debian 13",
        "driver": "580.65.06",
        "kernel": "6.12.0",
        "clock": "+0.0 s",
    }


def test_a_wide_terminal_shows_every_column_and_a_narrow_one_the_first():
    assert "KERNEL" in table(SURVEY, 200).splitlines()[0]
    narrow = table(SURVEY, 60).splitlines()[0].split()
    assert narrow[:3] == ["HOST", "STATE", "RUNS"]
    assert "KERNEL" not in narrow


def test_the_last_line_counts_the_hosts():
    assert table(SURVEY, 80).splitlines()[-1] == "4 hosts in 3.2 s: 1 unreachable, 2 fault, 1 ok"
    assert table(Survey((), NOW), 80).splitlines()[-1] == "0 hosts in 0.0 s: none"


def test_no_text_of_a_host_commands_the_terminal():
    odd = examine(Expected("gpu\x1b[2J", ("gpu",)), Answer("connect", problem="\x1b]0;title\x07"), NOW)
    assert "\x1b" not in table(Survey((odd,), NOW), 80)


def test_programs_get_the_readings_and_the_findings():
    whole = json.loads(as_json(SURVEY))
    assert (whole["status"], whole["at"]) == (3, "2026-11-28T12:00:00Z")
    assert [one["name"] for one in whole["hosts"]] == ["gpu01", FAULTY.name, "gpu03", "gpu04"]
    assert whole["hosts"][1]["findings"][0] == {
        "kind": "service.stopped",
        "severity": "fault",
        "found": "gpuchat-edge stopped",
        "wanted": "it running",
        "fix": f"see `journalctl -u gpuchat-edge`, then run site.yml with --limit {FAULTY.name}",
    }
    assert whole["hosts"][0]["reading"]["host"]["release"] == "debian 13"
    assert [one["reached"] for one in whole["hosts"]] == [True, True, False, True]
    assert as_json(SURVEY) == as_json(SURVEY)


def test_the_page_needs_nothing_else():
    text = page(SURVEY)
    assert not asked_by(text)
    assert "prefers-color-scheme: dark" in text


def test_the_page_says_what_the_terminal_says():
    words = " ".join(Elements(page(SURVEY)).words)
    for described in ("gpuchat-edge stopped", "no answer from 10.0.0.7", "no Python 3.9", "1x H100", "fault"):
        assert described in words


@pytest.mark.parametrize("where", ["name", "problem", "release", "path"])
def test_nothing_of_a_host_is_markup(where):
    drift = {"digest": "d", "files": 1, "drifted": {NASTY if where == "path" else "/x": ["content"]}}
    odd = reading(host__release=NASTY if where == "release" else "debian 13", files__door=drift)
    expected = replace(EXPECTED, name=NASTY if where == "name" else "gpu01")
    answer = Answer("connect", problem=NASTY) if where == "problem" else Answer("done", odd)
    text = page(Survey((examine(expected, answer, NOW),), NOW))
    assert "script" not in Elements(text).seen
    assert "<script" not in text
