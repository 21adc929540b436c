# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.verify import api_usage_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.verify.api_usage import (
    TRIAL_AGENT,
    Log,
    Usage,
    summarize,
    together,
)


def line(client="reports", time="2030-12-30T12:00:00+01:00", status=200, size=1000, **more):
    return json.dumps({"time": time, "client": client, "status": status, "bytes": size, "agent": "curl", **more})


def test_requests_bytes_errors_and_the_last_time_are_summed_by_client():
    log = summarize(
        [
            line(time="2030-12-29T23:30:00-01:00", status=429),
            line(size=5),
            line(client="nightly", status=399),
            line(client="", time="2030-12-01T00:00:00+00:00"),
        ]
    )
    assert log.clients == {
        "reports": Usage(2, 1005, 1, "2030-12-30 11:00"),
        "nightly": Usage(1, 1000, 0, "2030-12-30 11:00"),
    }
    assert log.since == "2030-12-01 00:00"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("not JSON", id="no JSON"),
        pytest.param("[1]", id="no object"),
        pytest.param(line(time="yesterday"), id="no time"),
        pytest.param(line(client=7), id="no name"),
        pytest.param(line(agent=TRIAL_AGENT), id="the trial of a key"),
        pytest.param(line(client=""), id="somebody without a key"),
    ],
)
def test_what_is_no_use_of_a_key_is_not_counted(text):
    assert summarize([text]).clients == {}


def test_numbers_that_are_none_count_nothing():
    assert summarize([line(size="many", status=None)]).clients["reports"] == Usage(1, 0, 0, "2030-12-30 11:00")


def test_several_edges_are_one_as_far_back_as_each_of_them_reaches():
    one = Log("2030-12-01 00:00", {"reports": Usage(1, 2, 3, "2030-12-02 00:00")})
    other = Log("2030-12-05 00:00", {"reports": Usage(10, 20, 30, "2030-12-06 00:00"), "nightly": Usage(1)})
    whole = together([one, Log.read(other.as_dict()), Log()])
    assert whole == Log("2030-12-05 00:00", {"reports": Usage(11, 22, 33, "2030-12-06 00:00"), "nightly": Usage(1)})


def test_so_many_days_and_lines_are_read_at_most(monkeypatch, tmp_path):
    program = tmp_path / "journalctl"
    program.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/asked\necho '{line()}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert api_usage_runner.read({"identifier": "log", "days": 7, "lines": 100})["clients"]["reports"]["requests"] == 1
    asked = (tmp_path / "asked").read_text()
    assert "--since -7d --lines 100" in asked


def test_a_host_without_a_journal_says_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert api_usage_runner.read({"identifier": "log", "days": 7, "lines": 100}) == {
        "changed": False,
        "since": "",
        "clients": {},
    }


def test_a_reader_that_has_seen_enough_ends_the_command():
    with host.lines(["sh", "-c", "echo one; exec sleep 60"]) as lines:
        assert next(lines) == "one"
