# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each program of the monitoring is given."""

from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import stack, units

VARIABLES = {"receiver": "monitoring_receiver_secrets", "remote": "monitoring_remote_write_secrets"}
TARGETS = [
    {"job": "node", "host": "front", "place": "127.0.0.1:9400", "path": "/metrics/node"},
    {"job": "node", "host": "gpu1", "place": "10.0.0.5:9400", "path": "/metrics/node"},
]
MAIL = {"name": "ops", "kind": "mail", "to": ["a@b.c"], "from": "x@y.z", "server": "smtp:25"}


def build(**given):
    return units.build(stack.read({"host": "front", "targets": TARGETS, **given}), VARIABLES)


def test_without_a_robot_there_is_no_relay():
    assert set(build(receivers=[{"name": "hook", "kind": "webhook"}, MAIL])) == {"prometheus", "alertmanager"}


SECRETS = {
    "nobody is told": ({}, "alertmanager", []),
    "a webhook's address": ({"receivers": [{"name": "hook", "kind": "webhook"}]}, "alertmanager", ["receiver-hook"]),
    "mail without a password": ({"receivers": [MAIL]}, "alertmanager", []),
    "mail with one": ({"receivers": [{**MAIL, "username": "x"}]}, "alertmanager", ["receiver-ops"]),
    "a robot's is the relay's": ({"receivers": [{"name": "team", "kind": "feishu"}]}, "relay", ["receiver-team"]),
    "and not Alertmanager's": ({"receivers": [{"name": "team", "kind": "feishu"}]}, "alertmanager", []),
    "who Prometheus is": ({}, "prometheus", ["host.crt", "host.key", "hosts.crt"]),
    "where figures go": (
        {"remotes": [{"name": "central", "url": "https://a/b"}], "remote_secrets": ["central"]},
        "prometheus",
        ["host.crt", "host.key", "hosts.crt", "remote-central"],
    ),
}


@pytest.mark.parametrize(("given", "unit", "names"), SECRETS.values(), ids=SECRETS)
def test_a_unit_is_handed_its_own_secrets_alone(given, unit, names):
    assert build(**given)[unit]["secrets"] == names


def test_a_secret_is_named_by_its_variable_and_stands_nowhere():
    _config, secret = build(receivers=[{"name": "hook", "kind": "slack"}])["alertmanager"]["files"]
    assert secret == {
        "dest": "/etc/gpuchat/monitoring/secrets/receiver-hook",
        "template": "secret.j2",
        "vars": {"__monitoring_variable": "monitoring_receiver_secrets", "__monitoring_name": "hook"},
        "secret": True,
    }


def test_alertmanager_is_given_who_certified_a_mail_server():
    files = build(receivers=[{**MAIL, "authority": " PEM "}])["alertmanager"]["files"]
    assert {"dest": "/etc/gpuchat/monitoring/authority-ops.crt", "content": "PEM\n"} in files


def test_each_file_is_one_units():
    built = build(receivers=[{"name": "team", "kind": "wecom"}])
    dests = [one["dest"] for unit in built.values() for one in unit["files"]]
    assert len(dests) == len(set(dests))
    assert {"prometheus.yml", "rules.yml", "alertmanager.yml", "relay.json"} <= {
        one.rpartition("/")[2] for one in dests
    }
    (config,) = [one["content"] for one in built["relay"]["files"] if one["dest"].endswith("relay.json")]
    assert json.loads(config)["robots"] == [{"path": "/team", "name": "team", "kind": "wecom"}]


def test_prometheus_speaks_to_the_doors_alone_where_nothing_is_sent_elsewhere():
    assert build()["prometheus"]["addresses"] == ["localhost", "127.0.0.1", "10.0.0.5"]
    assert build(remotes=[{"name": "central", "url": "https://a/b"}])["prometheus"]["addresses"] == []
