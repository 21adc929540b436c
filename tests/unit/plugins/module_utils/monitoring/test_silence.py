# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What planned work keeps silent, and for how long."""

from __future__ import annotations

import http.server
import json
import threading

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import alerts, silence, silence_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring.silence import Post, Take

from .rule_tests import WHOLE

NOW = 1_800_000_000.0
WORK = "upgrade of gpu1"
WANTED = silence.matchers(["gpu1"])


def there(identity="a1", work=WORK, ends="2030-01-01T00:00:00.000Z", state="active", **more):
    """A silence as Alertmanager shows it."""
    times = {"startsAt": "2026-01-01T00:00:00.000Z", "endsAt": ends, "updatedAt": "2026-01-01T00:00:00.000Z"}
    one = {"id": identity, "createdBy": "gpuchat", "comment": work, "status": {"state": state}, "matchers": WANTED[0]}
    return {**one, **times, **more}


def plan(state, found=(), wanted=WANTED, seconds=600):
    return silence.plan(state, WORK, wanted, list(found), NOW, seconds)


def test_work_on_a_host_silences_what_it_brings_there_and_nothing_else():
    ((names, hosts),) = silence.matchers(["gpu1", "gpu2.example.com"])
    assert (names["name"], names["isRegex"], names["value"].split("|")) == ("alertname", True, list(alerts.OF_WORK))
    assert (hosts["name"], hosts["value"]) == ("host", r"gpu1|gpu2\.example\.com")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ({"fewer": True}, alerts.OF_FEWER),
        ({"alone": True}, (*alerts.OF_FEWER, *alerts.OF_OUTAGE)),
        ({"alone": True, "fewer": True}, (*alerts.OF_FEWER, *alerts.OF_OUTAGE)),
    ],
)
def test_what_others_see_of_it_is_silent_on_all_hosts(words, names):
    _own, ((elsewhere),) = silence.matchers(["gpu1"], **words)
    assert elsewhere["value"].split("|") == list(names)


def test_each_silent_alert_is_one_that_there_is_and_none_is_of_what_work_does_not_bring():
    known = {one.name for one in alerts.alerts(WHOLE)}
    assert {*alerts.OF_WORK, *alerts.OF_FEWER, *alerts.OF_OUTAGE} <= known
    for name in ("DiskFull", "CertificateEnding", "BackupOld", "GpuMemoryErrors", "HostDrained", "AlertmanagerDown"):
        assert name in known
        assert name not in (*alerts.OF_WORK, *alerts.OF_FEWER, *alerts.OF_OUTAGE)


def test_a_silence_begins_now_and_ends_by_itself():
    (action,) = plan("present").actions
    assert action.body["startsAt"] == "2027-01-15T08:00:00.000Z"
    assert action.body["endsAt"] == "2027-01-15T08:10:00.000Z"
    assert (action.body["createdBy"], action.body["comment"]) == ("gpuchat", WORK)
    assert "id" not in action.body


def test_one_that_a_former_run_has_left_is_set_to_its_new_end():
    (action,) = plan("present", [there(ends="2027-01-15T08:04:00.000Z")]).actions
    assert (action.body["id"], action.body["endsAt"]) == ("a1", "2027-01-15T08:10:00.000Z")


def test_one_that_lasts_long_enough_is_left_alone():
    assert plan("present", [there(ends="2027-01-15T08:06:00.000Z")]).changed is False


OTHERS = [
    there(work="upgrade of gpu2"),
    there(createdBy="kim"),
    there(state="expired", ends="2020-01-01T00:00:00.000Z"),
]


@pytest.mark.parametrize("state", ["ended", "absent"])
def test_the_silences_of_others_and_those_that_are_over_are_left_alone(state):
    assert plan(state, OTHERS).actions == ()
    assert plan(state, OTHERS).changed is False


def test_after_work_that_went_well_it_is_silent_until_prometheus_has_seen_it():
    (action,) = plan("ended", [there(), *OTHERS]).actions
    assert isinstance(action, Post)
    assert (action.body["id"], action.body["endsAt"]) == ("a1", "2027-01-15T08:01:30.000Z")
    assert plan("ended", [there(ends="2027-01-15T08:01:00.000Z")]).actions == ()


def test_after_work_that_failed_people_are_told_at_once():
    assert plan("absent", [there(), there("b2", matchers=[]), *OTHERS]).actions == (Take("a1"), Take("b2"))


# At a server that stands in for Alertmanager's API.


@pytest.fixture
def api():
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        silences = ()
        status = 200

        def _answer(self, body=b"{}"):
            length = int(self.headers.get("Content-Length") or 0)
            asked.append((self.command, self.path, json.loads(self.rfile.read(length) or b"null")))
            self.send_response(type(self).status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self._answer(json.dumps(list(type(self).silences)).encode())

        do_POST = do_DELETE = _answer

        def log_message(self, *_words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], Handler, asked
    server.shutdown()
    server.server_close()


def ensure(port, state, check=False, **more):
    given = {"state": state, "work": WORK, "hosts": ["gpu1"], "seconds": 60, "port": port, **more}
    return silence_runner.ensure(given, check)


def test_it_is_asked_for_by_its_api(api):
    port, _handler, asked = api
    assert ensure(port, "present", alone=True)["changed"] is True
    assert [one[:2] for one in asked] == [("GET", "/api/v2/silences"), *[("POST", "/api/v2/silences")] * 2]


def test_it_is_taken_away_by_its_id(api):
    port, handler, asked = api
    handler.silences = (there(),)
    assert ensure(port, "absent")["changed"] is True
    assert asked[-1][:2] == ("DELETE", "/api/v2/silence/a1")


def test_a_check_run_makes_none(api):
    port, handler, asked = api
    handler.silences = (there(),)
    seconds = 10 * 365 * 86400
    found = [ensure(port, state, check=True, seconds=seconds) for state in ("present", "ended", "absent")]
    assert [one["changed"] for one in found] == [True] * 3
    assert {one[0] for one in asked} == {"GET"}


def test_one_that_does_not_answer_is_a_warning_and_no_failure(api):
    port, handler, _asked = api
    handler.status = 500
    assert "it answered 500" in ensure(port, "present")["warnings"][0]
    assert "alerts of this work are told as any other" in ensure(1, "present")["warnings"][0]
