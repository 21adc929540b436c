# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.receivers import Remote
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import prometheus

from .rule_tests import WHOLE

FOUND = prometheus.configuration(WHOLE)
JOBS = {job["job_name"]: job for job in FOUND["scrape_configs"]}


def test_each_path_is_a_job_whose_targets_bear_host_and_model():
    assert list(JOBS) == [
        "prometheus",
        "alertmanager",
        "node",
        "postgresql",
        "nginx",
        "edge",
        "engine-qwen3-8b",
        "engine-old",
    ]
    assert [one["targets"] for one in JOBS["node"]["static_configs"]] == [["127.0.0.1:9400"], ["10.0.0.2:9400"]]
    assert JOBS["engine-qwen3-8b"]["static_configs"] == [
        {
            "targets": ["10.0.0.2:9400"],
            "labels": {"job": "engine", "host": "gpu1", "instance": "gpu1", "model": "qwen3-8b"},
        }
    ]
    assert JOBS["engine-qwen3-8b"]["metrics_path"] == "/metrics/engine/qwen3-8b"


def test_doors_are_asked_by_tls_with_a_certificate_and_nothing_else_leaves_the_loopback():
    for name, job in JOBS.items():
        if name in ("prometheus", "alertmanager"):
            assert job["static_configs"][0]["targets"][0].startswith("127.0.0.1:")
            continue
        assert job["scheme"] == "https"
        assert job["tls_config"] == {
            "ca_file": "/run/gpuchat-prometheus/hosts.crt",
            "cert_file": "/run/gpuchat-prometheus/host.crt",
            "key_file": "/run/gpuchat-prometheus/host.key",
            "server_name": "metrics.gpuchat.internal",
            "min_version": "TLS12",
        }


def test_no_host_can_fill_the_memory_or_say_when_its_figures_are_from():
    for name, job in JOBS.items():
        if name in ("prometheus", "alertmanager"):
            continue
        assert (job["body_size_limit"], job["sample_limit"]) == ("32MB", 20_000)
        assert (job["label_limit"], job["label_name_length_limit"], job["label_value_length_limit"]) == (100, 200, 2000)
        assert job["honor_timestamps"] is False
        assert "honor_labels" not in job


def test_a_scrape_ends_before_the_next_begins():
    hasty = prometheus.configuration(dataclasses.replace(WHOLE, scrape_seconds=5))["global"]
    assert (hasty["scrape_interval"], hasty["scrape_timeout"]) == ("5s", "5s")
    assert FOUND["global"]["scrape_timeout"] == "10s"


def test_a_remote_has_its_secret_in_a_file_where_it_has_one():
    remotes = (
        Remote("a", "https://a.example.com"),
        Remote("b", "https://b.example.com", "kim"),
        Remote("c", "http://c"),
    )
    stack = dataclasses.replace(WHOLE, remotes=remotes, remote_secrets=("a", "b"))
    folder = "/run/gpuchat-prometheus"
    assert prometheus.configuration(stack)["remote_write"] == [
        {
            "name": "a",
            "url": "https://a.example.com",
            "authorization": {"type": "Bearer", "credentials_file": f"{folder}/remote-a"},
        },
        {
            "name": "b",
            "url": "https://b.example.com",
            "basic_auth": {"username": "kim", "password_file": f"{folder}/remote-b"},
        },
        {"name": "c", "url": "http://c"},
    ]
    assert "remote_write" not in prometheus.configuration(dataclasses.replace(WHOLE, remotes=()))


def test_it_listens_on_the_loopback_and_keeps_what_its_owner_said():
    given = prometheus.arguments(dataclasses.replace(WHOLE, retention_time="7d", retention_size="2GB"))
    assert "--web.listen-address=127.0.0.1:9090" in given
    assert {"--storage.tsdb.retention.time=7d", "--storage.tsdb.retention.size=2GB"} <= set(given)
    assert not any("admin" in one or "lifecycle" in one for one in given)


def test_no_page_of_another_site_reads_it_through_a_browser():
    """Prometheus would tell the figures to any page in the browser of somebody who has it forwarded."""
    (origin,) = [one for one in prometheus.arguments(WHOLE) if one.startswith("--web.cors.origin=")]
    assert origin == "--web.cors.origin=none"
