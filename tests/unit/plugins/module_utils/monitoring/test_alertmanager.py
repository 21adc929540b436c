# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.receivers import Receiver
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import alertmanager
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring.alerts import SAME

from .rule_tests import WHOLE

MAIL = Receiver(
    "ops", "mail", to=("a@example.com", "b@example.com"), sender="c@example.com", server="s:587", username="u"
)
OTHERS = tuple(Receiver(kind, kind) for kind in ("webhook", "slack", "feishu", "dingtalk", "wecom"))
STACK = dataclasses.replace(WHOLE, receivers=(MAIL, *OTHERS))
FOUND = alertmanager.configuration(STACK)
BY_NAME = {one["name"]: one for one in FOUND["receivers"]}
FOLDER = "/run/gpuchat-alertmanager"


def test_without_a_receiver_alerts_are_kept_and_go_nowhere():
    found = alertmanager.configuration(WHOLE)
    assert found["receivers"] == [{"name": "nobody"}]
    assert (found["route"]["receiver"], found["route"]["routes"]) == ("nobody", [])


def test_each_receiver_is_told_of_what_is_critical_and_of_warnings_unless_it_wants_the_worst_alone():
    hurt = Receiver("oncall", "slack", "critical")
    routes = alertmanager.configuration(dataclasses.replace(WHOLE, receivers=(MAIL, hurt)))["route"]["routes"]
    assert [(one["receiver"], one["matchers"], one["repeat_interval"]) for one in routes] == [
        ("ops", ['severity="critical"'], "4h"),
        ("ops", ['severity="warning"'], "24h"),
        ("oncall", ['severity="critical"'], "4h"),
    ]
    assert all(one["continue"] for one in routes)


def test_mail_goes_to_each_address_with_the_password_in_a_file():
    first, second = BY_NAME["ops"]["email_configs"]
    assert (first["to"], second["to"]) == ("a@example.com", "b@example.com")
    assert (first["smarthost"], first["auth_username"]) == ("s:587", "u")
    assert first["auth_password_file"] == f"{FOLDER}/receiver-ops"
    plain = alertmanager.configuration(dataclasses.replace(STACK, receivers=(dataclasses.replace(MAIL, username=""),)))
    assert "auth_password_file" not in json.dumps(plain)


def test_mail_goes_by_tls_unless_its_server_has_none():
    def mail(**words):
        stack = dataclasses.replace(STACK, receivers=(dataclasses.replace(MAIL, **words),))
        return alertmanager.configuration(stack)["receivers"][1]["email_configs"][0]

    assert {"require_tls", "tls_config"} & set(mail()) == set()  # Alertmanager's own defaults insist on it
    assert mail(tls=False)["require_tls"] is False
    assert mail(server="s:465")["require_tls"] is False  # by TLS from the first byte on
    assert mail(authority="PEM")["tls_config"] == {"ca_file": "/etc/gpuchat/monitoring/authority-ops.crt"}


@pytest.mark.parametrize(
    ("name", "part", "key", "wanted"),
    [
        ("webhook", "webhook_configs", "url_file", f"{FOLDER}/receiver-webhook"),
        ("slack", "slack_configs", "api_url_file", f"{FOLDER}/receiver-slack"),
        ("feishu", "webhook_configs", "url", "http://127.0.0.1:9095/feishu"),
        ("dingtalk", "webhook_configs", "url", "http://127.0.0.1:9095/dingtalk"),
        ("wecom", "webhook_configs", "url", "http://127.0.0.1:9095/wecom"),
    ],
)
def test_an_address_that_is_a_secret_stands_in_a_file_and_robots_are_told_by_the_relay(name, part, key, wanted):
    (one,) = BY_NAME[name][part]
    assert one[key] == wanted
    assert one["send_resolved"] is True


def test_a_message_says_what_to_do():
    assert ".Annotations.runbook" in BY_NAME["ops"]["email_configs"][0]["text"]
    assert ".Annotations.runbook" in BY_NAME["slack"]["slack_configs"][0]["text"]


def test_what_a_host_says_of_itself_is_one_line_and_calls_nobody():
    assert alertmanager.TEXT.count('| reReplaceAll "[<>[:cntrl:][:space:]]+" " " }}') == 3
    assert BY_NAME["slack"]["slack_configs"][0]["text"] == alertmanager.TEXT


def test_a_host_that_is_down_and_what_is_critical_hide_what_follows_from_them():
    same, host, engine, drained = FOUND["inhibit_rules"]
    assert same["equal"] == list(SAME)
    assert (host["source_matchers"], host["target_matchers"]) == (
        ['alertname="HostDown"'],
        ['alertname!~"HostDown|HostDrained"'],
    )
    assert engine["equal"] == ["host", "model"]
    assert (drained["source_matchers"], drained["equal"]) == (['alertname="HostDrained"'], ["host"])
    assert drained["target_matchers"] == [
        'alertname=~"HostDown|ExporterDown|UnitDown|EngineDown|EngineHung|GpuLost|StateStale|StateMissing"'
    ]


def test_the_relay_is_told_of_robots_alone():
    assert alertmanager.relay(WHOLE) == {}
    assert [one["kind"] for one in alertmanager.relay(STACK)["robots"]] == ["feishu", "dingtalk", "wecom"]


def test_it_listens_on_the_loopback_and_for_no_others_of_its_kind():
    given = alertmanager.arguments(STACK)
    assert "--web.listen-address=127.0.0.1:9093" in given
    assert "--cluster.listen-address=" in given
