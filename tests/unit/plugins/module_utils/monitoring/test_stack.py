# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import stack as monitored
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring.stack import Stack

from .rule_tests import WHOLE

TARGET = {"job": "engine", "host": "gpu1", "place": "10.0.0.2:9400", "path": "/metrics/engine/m", "model": "m"}


def test_plain_data_becomes_a_stack():
    found = monitored.read(
        {
            "host": "front",
            "targets": [TARGET],
            "versions": {"m": "0.12.0"},
            "receivers": [{"name": "team", "kind": "feishu"}],
            "remotes": [{"name": "central", "url": "https://a.example.com"}],
            "remote_secrets": ["central"],
            "scrape_seconds": "5",
            "patience": "0.5",
            "has_backup": True,
        }
    )
    assert (found.host, found.scrape_seconds, found.patience) == ("front", 5, 0.5)
    assert found.targets[0].model == "m"
    assert (found.receivers[0].kind, found.remotes[0].name, found.remote_secrets) == ("feishu", "central", ("central",))
    assert found.engine_versions == ("0.12.0",)
    assert found.has_engines
    assert not found.has_edge
    assert monitored.read({}) == Stack()


def test_a_name_that_nobody_knows_is_refused():
    with pytest.raises(Refusal, match=r"found colour among .* wanted .*alertmanager_port, "):
        monitored.read({"colour": "blue"})


def test_a_model_without_a_version_is_asked_as_the_newest_is():
    found = monitored.read({"targets": [TARGET], "versions": {"another": "0.9.0"}})
    assert found.engine_versions == (monitored.newest_version(),)


@pytest.mark.parametrize(
    ("seconds", "wanted"), [(0, "0s"), (0.4, "0s"), (15, "15s"), (60, "1m"), (90, "90s"), (7200, "2h"), (172_800, "2d")]
)
def test_a_time_is_written_in_its_largest_whole_unit(seconds, wanted):
    assert monitored.duration(seconds) == wanted


def test_a_rate_never_spans_fewer_than_four_figures():
    assert Stack(patience=0.001, scrape_seconds=15).window(300) == "1m"


def test_a_metric_is_asked_by_each_name_that_a_version_has_for_it():
    assert WHOLE.vllm("kv_cache_usage_perc") == "(vllm:kv_cache_usage_perc or vllm:gpu_cache_usage_perc)"
    assert WHOLE.vllm("generation_tokens", "rate({}[5m])", "", '{host="a"}') == (
        'rate(vllm:generation_tokens_total{host="a"}[5m])'
    )
    assert WHOLE.vllm("admission_rejections") == "vllm:admission_rejections_total"
    assert WHOLE.vllm("no_such_metric") == ""
