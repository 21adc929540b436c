# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which models leave rotation while their engines start anew."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import doors, rotation

from .layouts import topology

MODELS = [
    {"name": "both", "hosts": ["a", "b"]},
    {"name": "mine", "hosts": ["a"]},
    {"name": "other", "hosts": ["b"]},
    {"name": "theirs", "hosts": []},
]


@pytest.mark.parametrize(
    ("starting", "drained", "alone"),
    [
        pytest.param(["both"], ("both",), (), id="another host serves it"),
        pytest.param(["mine"], (), ("mine",), id="there is nothing else"),
        pytest.param(["both", "mine"], ("both",), ("mine",), id="one of each"),
        pytest.param([], (), (), id="nothing starts anew"),
        pytest.param(["other", "theirs", "unknown"], (), (), id="nothing of this host's"),
    ],
)
def test_a_model_leaves_rotation_where_another_host_serves_it(starting, drained, alone):
    chosen = rotation.choose(MODELS, "a", starting)
    assert (chosen.drained, chosen.alone) == (drained, alone)


@pytest.mark.parametrize(
    ("host", "away", "drained", "alone"),
    [
        pytest.param("a", ["b"], (), ("both", "mine"), id="the other one is out of rotation"),
        pytest.param("a", ["a"], (), (), id="nobody asks this one anyway"),
        pytest.param("a", ["c"], ("both",), ("mine",), id="a host of no matter"),
    ],
)
def test_a_host_that_is_out_of_rotation_serves_nobody(host, away, drained, alone):
    chosen = rotation.choose(MODELS, host, ["both", "mine"], away)
    assert (chosen.drained, chosen.alone) == (drained, alone)


def test_the_topologys_models_are_what_it_reads():
    one = topology("ab", "a", "a", {"both": "ab", "mine": "a"})
    chosen = rotation.choose(doors.describe(one)["models"], "a", ["both", "mine"])
    assert (chosen.drained, chosen.alone) == (("both",), ("mine",))


@pytest.mark.parametrize(
    ("starting", "words"),
    [
        (["both"], "other hosts serve both meanwhile"),
        (["mine"], "nobody serves mine while it starts"),
        (["both", "mine"], "other hosts serve both meanwhile; nobody serves mine while it starts"),
        ([], "nothing has to leave rotation"),
    ],
)
def test_downtime_is_told(starting, words):
    assert rotation.choose(MODELS, "a", starting).reason == words


@pytest.mark.parametrize(
    ("starting", "words"),
    [
        (["big"], "big spans a, b, which start anew together: nobody serves it until it has loaded"),
        ([], "nothing has to leave rotation"),
    ],
)
def test_nobody_serves_a_model_whose_hosts_start_anew_together(starting, words):
    chosen = rotation.choose([], "", starting, together=["a", "b"])
    assert (chosen.drained, chosen.alone, chosen.reason) == ((), tuple(starting), words)


def test_a_host_comes_back_after_all_who_left_it_alone_ask_it_again():
    replica = doors.Upstream(("10.0.0.1:8000", "10.0.0.2:8000"))
    assert all(f"fail_timeout={doors.FAIL_SECONDS}s" in server for server in replica.servers)
    assert rotation.RETURN_SECONDS > doors.FAIL_SECONDS
