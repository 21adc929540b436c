# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each host shows of itself, and where the monitoring host asks for it."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import metrics

from .layouts import topology

ENGINE = ("engine", "/metrics/engine/qwen", "unix:/var/lib/gpuchat/vllm/qwen/vllm.sock", "/metrics", "qwen")


def exporter(job):
    return (job, f"/metrics/{job}", f"unix:/run/gpuchat-metrics/{job}.sock", "/metrics", "")


NODE, POSTGRESQL, NGINX, EDGE = map(exporter, ("node", "postgresql", "nginx", "edge"))


def shown(one, host):
    return [tuple(source.as_dict().values()) for source in metrics.sources(one, host)]


@pytest.mark.parametrize(
    ("groups", "host", "wanted"),
    [
        pytest.param(("a", "a", "a"), "a", [NODE, ENGINE, POSTGRESQL, NGINX, EDGE], id="all on one host"),
        pytest.param(("c", "b", "a"), "a", [NODE, NGINX, EDGE], id="an edge of its own"),
        pytest.param(("c", "b", "a"), "b", [NODE, POSTGRESQL], id="an interface of its own"),
        pytest.param(("c", "b", "a"), "c", [NODE, ENGINE], id="an engine of its own"),
        pytest.param(("b", "b", "b"), "a", [NODE], id="a host that does nothing but ask"),
    ],
)
def test_a_host_shows_what_runs_on_it(groups, host, wanted):
    assert shown(topology(*groups, monitoring="a"), host) == wanted


def test_each_model_of_a_host_is_shown_by_a_path_that_holds_no_other_characters_than_its_containers_name():
    one = topology("a", "a", "a", models={"Qwen/Qwen3-8B": "a", "bge:m3": "a"}, monitoring="a")
    engines = [(one.path, one.model) for one in metrics.sources(one, "a") if one.model]
    assert engines == [("/metrics/engine/qwen-qwen3-8b", "Qwen/Qwen3-8B"), ("/metrics/engine/bge-m3", "bge:m3")]


def test_where_no_host_asks_none_shows_anything():
    one = topology("ab", "a", "a")
    assert metrics.targets(one) == () == metrics.sources(one, "a")


def test_without_an_interface_there_is_no_database_to_show():
    one = topology("a", "a", "a", monitoring="a", interface="none")
    assert POSTGRESQL not in shown(one, "a")


def test_the_monitoring_host_asks_itself_on_the_loopback_and_others_at_their_private_addresses():
    found = [tuple(target.as_dict().values()) for target in metrics.targets(topology("b", "a", "a", monitoring="c"))]
    assert found == [
        ("node", "b", "10.0.0.2:9400", "/metrics/node", ""),
        ("engine", "b", "10.0.0.2:9400", "/metrics/engine/qwen", "qwen"),
        ("node", "a", "10.0.0.1:9400", "/metrics/node", ""),
        ("postgresql", "a", "10.0.0.1:9400", "/metrics/postgresql", ""),
        ("nginx", "a", "10.0.0.1:9400", "/metrics/nginx", ""),
        ("edge", "a", "10.0.0.1:9400", "/metrics/edge", ""),
        ("node", "c", "127.0.0.1:9400", "/metrics/node", ""),
    ]
