# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module of an upgrade: who leaves rotation, and for how long it waits."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.modules import gpuchat_drain


def params(**given):
    lists = {name: [] for name in ("models", "names", "away", "together", "engines")}
    return {**lists, "host": "", "seconds": 120, **given}


@pytest.fixture
def slept(monkeypatch):
    seconds = []
    monkeypatch.setattr(gpuchat_drain.time, "sleep", seconds.append)
    return seconds


def test_it_says_who_leaves_rotation():
    models = [{"name": "both", "hosts": ["a", "b"]}, {"name": "mine", "hosts": ["a"]}]
    result = gpuchat_drain.work(params(state="chosen", models=models, host="a", names=["both", "mine"]), False)
    assert (result["changed"], result["drained"], result["alone"]) == (False, ["both"], ["mine"])
    assert "nobody serves mine" in result["msg"]


def test_it_says_that_nobody_serves_what_starts_anew_on_all_of_its_hosts():
    result = gpuchat_drain.work(params(state="chosen", together=["a", "b"], names=["big"]), False)
    assert (result["drained"], result["alone"]) == ([], ["big"])
    assert "big spans a, b" in result["msg"]


@pytest.mark.parametrize(
    ("names", "check", "seconds"),
    [(["both"], False, gpuchat_drain.rotation.RETURN_SECONDS), ([], False, 0), (["both"], True, 0)],
)
def test_a_return_takes_as_long_as_others_leave_a_host_alone(slept, names, check, seconds):
    result = gpuchat_drain.work(params(state="returned", names=names), check)
    assert (slept, result["seconds"], result["changed"]) == ([seconds], seconds, False)


def test_it_waits_for_answers_under_way(monkeypatch):
    asked = []
    monkeypatch.setattr(gpuchat_drain.drain_runner, "wait", lambda *given: asked.append(given) or {"changed": False})
    gpuchat_drain.work(params(state="drained", engines=[{"name": "a"}], names=["a"], seconds=7), True)
    assert asked == [([{"name": "a"}], ["a"], 7, True)]


def test_it_detects_a_host_that_is_out_of_rotation(monkeypatch, tmp_path):
    monkeypatch.setattr(gpuchat_drain.leave_runner, "MARK", str(tmp_path / "drained"))
    assert gpuchat_drain.work(params(state="detected", host="a"), False)["away"] == []
    (tmp_path / "drained").touch()
    result = gpuchat_drain.work(params(state="detected", host="a"), False)
    assert (result["changed"], result["away"]) == (False, ["a"])
    assert "deploys/drain.py a --back" in result["warnings"][0]
