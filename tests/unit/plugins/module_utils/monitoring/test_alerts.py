# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import pathlib
import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import alerts
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring.stack import Stack

from .rule_tests import CASES, WHOLE, files

ROOT = pathlib.Path(__file__).resolve().parents[5]
ALERTS = alerts.alerts(WHOLE)
NODE = WHOLE.targets[0]


def names(stack):
    return {alert.name for alert in alerts.alerts(stack)}


def with_targets(*jobs):
    return dataclasses.replace(WHOLE, targets=tuple(one for one in WHOLE.targets if one.job in jobs))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.severity}")
def test_a_course_of_events_in_which_it_fires_and_clears_is_tested_for_each_alert(alert):
    assert [case for case in CASES if (case.alert, case.severity) == (alert.name, alert.severity) and case.fires]


def test_what_promtool_is_given_names_every_case():
    assert all(case.name in files()["rule_tests.yml"] for case in CASES)


def test_a_name_and_a_severity_are_one_alert():
    assert len({(alert.name, alert.severity) for alert in ALERTS}) == len(ALERTS)


@pytest.mark.parametrize(
    ("stack", "there", "absent"),
    [
        (Stack(targets=(NODE,)), {"HostDown", "DiskFull", "AlertmanagerDown"}, {"EngineDown", "GpuLost", "EdgeErrors"}),
        (with_targets("node", "engine"), {"EngineHung", "GpuXid"}, {"PostgresqlDown", "NginxDown", "EdgeErrors"}),
        (with_targets("node", "nginx", "edge"), {"NginxDown", "EdgeErrors"}, {"EngineDown", "PostgresqlDown"}),
        (dataclasses.replace(WHOLE, has_backup=False), {"PostgresqlDown"}, {"BackupOld", "BackupDrillFailed"}),
        (dataclasses.replace(WHOLE, remotes=()), {"StorageFailing"}, {"RemoteWriteFailing"}),
    ],
    ids=["a bare host", "engines alone", "an edge alone", "no backup", "no remote"],
)
def test_a_stack_has_the_alerts_of_its_parts_alone(stack, there, absent):
    assert there <= names(stack)
    assert not absent & names(stack)


def test_the_journals_that_a_runbook_names_are_of_units_that_there_are():
    named = {
        name.strip(".").removesuffix(".service")
        for alert in ALERTS
        for name in re.findall(r"(?<= -u )'?([\w.*-]+)", alert.runbook)
        if name != "gpuchat-*"
    }
    units = {path.name.removesuffix(".service.j2") for path in ROOT.glob("roles/*/templates/*.service.j2")}
    assert named <= units


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.severity}")
def test_each_alert_says_what_is_seen_and_what_to_do_with_what_there_is(alert):
    assert alert.summary
    assert alert.description
    assert len(alert.runbook) > 20
    for path in re.findall(r"(?:playbooks|deploys)/[a-z_]+\.(?:yml|py)", alert.runbook):
        assert (ROOT / path).exists(), path
    defaults = "".join(path.read_text() for path in (ROOT / "roles").glob("*/defaults/main.yml"))
    known = (*re.findall(r"^([a-z_]+):", defaults, re.MULTILINE), "gpuchat_users", "gpuchat_context")
    for variable in re.findall(r"\b(?:gpuchat|monitoring|backup|edge)_[a-z_]+", f"{alert.runbook} {alert.description}"):
        assert variable in known, variable


def test_a_critical_alert_and_its_warning_are_the_same_but_for_threshold_and_time():
    both = [name for name in names(WHOLE) if len([one for one in ALERTS if one.name == name]) == 2]
    assert sorted(both) == ["CertificateEnding", "DiskFull", "EdgeErrors"]
    for name in both:
        assert {one.severity for one in ALERTS if one.name == name} == {alerts.CRITICAL, alerts.WARNING}


def test_engines_of_several_versions_are_asked_by_the_names_that_each_of_them_has():
    full = next(alert for alert in ALERTS if alert.name == "KvCacheFull")
    assert "vllm:kv_cache_usage_perc" in full.query
    assert "vllm:gpu_cache_usage_perc" in full.query
    new = dataclasses.replace(WHOLE, versions={"qwen3-8b": "0.32.0", "old": "0.12.0"})
    assert not any("gpu_cache_usage_perc" in alert.query for alert in alerts.alerts(new))


def test_patience_multiplies_the_time_that_something_must_last_and_the_time_of_a_rate():
    patient, hasty = (
        {rule["alert"]: rule for group in alerts.rules(stack)["groups"] for rule in group["rules"]}
        for stack in (WHOLE, dataclasses.replace(WHOLE, patience=0.01, scrape_seconds=5))
    )
    assert patient["EngineDown"]["for"] == "2m"
    assert hasty["EngineDown"]["for"] == "1s"
    assert "for" not in hasty["EngineHung"]
    assert "[5m]" in patient["EngineHung"]["expr"]
    assert "[20s]" in hasty["EngineHung"]["expr"]


def test_the_target_of_the_first_token_is_the_owners():
    slow = {one.name: one for one in alerts.alerts(dataclasses.replace(WHOLE, ttft_target_seconds=2.5))}
    assert slow["FirstTokenSlow"].query.endswith("> 2.5")
    assert "2.5 s" in slow["FirstTokenSlow"].description


def test_the_table_has_a_line_for_each_alert_without_prometheus_templates():
    lines = alerts.table(WHOLE)
    assert len(lines) == len(ALERTS) + 2
    assert not any("{{" in line for line in lines)
