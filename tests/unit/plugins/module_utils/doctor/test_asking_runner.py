# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a host is asked as those ask it who depend on it."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data import postgresql_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor import asking_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey import reading_runner

LOBEHUB = "gpuchat-lobehub"
PSQL = "/usr/lib/postgresql/17/bin/psql"
REFUSED = (
    'psql: error: connection to server on socket "/x" failed: FATAL:  password authentication failed for "lobehub"'
)


@pytest.fixture
def interface(tmp_path, monkeypatch):
    """LobeHub's secrets."""
    found = {"DATABASE_URL": "postgres://lobehub:p%2Fw@/lobehub?host=/run/postgresql"}
    found |= {"S3_ACCESS_KEY_ID": "one", "S3_SECRET_ACCESS_KEY": "two"}
    (tmp_path / "secrets.json").write_text(json.dumps(found))
    monkeypatch.setitem(asking_runner.FOLDERS, LOBEHUB, str(tmp_path))
    monkeypatch.setattr(postgresql_runner, "installed", lambda: {"9": "/old", "17": "/usr/lib/postgresql/17/bin"})
    return tmp_path


@pytest.mark.parametrize(
    ("left", "stage", "said"),
    [
        pytest.param((0, "plpgsql\nvector\n", ""), "done", "", id="it answers"),
        pytest.param((2, "", REFUSED), "refused", REFUSED, id="it refuses"),
        pytest.param(
            (2, "", "No such file or directory"), "silent", "No such file or directory", id="it has no socket"
        ),
        pytest.param((124, "", ""), "silent", "no answer (exit status 124)", id="it says nothing"),
    ],
)
def test_the_database_is_asked_by_the_interfaces_own_name(interface, commands, left, stage, said):
    rc, stdout, stderr = left
    commands.answer(PSQL, stdout, rc, stderr)
    found = asking_runner.database(LOBEHUB)
    assert (found["stage"], found["said"]) == (stage, said)
    assert found.get("extensions", []) == stdout.split()
    (command,) = commands.made
    assert "-U lobehub -d lobehub" in command
    assert "p/w" not in command


def test_the_password_is_handed_over_in_the_environment(interface, monkeypatch):
    seen = []
    monkeypatch.setattr(
        host, "run", lambda _c, _t=0, environment=None: seen.append(environment) or host.Output(0, "", "")
    )
    asking_runner.database(LOBEHUB)
    assert seen[0]["PGPASSWORD"] == "p/w"


def test_a_database_on_another_host_is_none_of_this_ones(interface, commands):
    (interface / "secrets.json").write_text(json.dumps({"DATABASE_URL": "postgres://a:b@db.example.com/c"}))
    assert asking_runner.database(LOBEHUB)["stage"] == "elsewhere"
    assert commands.made == []


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<LocationConstraint/>", ""),
        (404, b"<Error><Code>NoSuchBucket</Code></Error>", "NoSuchBucket"),
        (403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", "SignatureDoesNotMatch"),
    ],
)
def test_the_store_is_asked_by_the_interfaces_own_key(interface, server, status, body, said):
    server.routes["GET", "/files"] = lambda handler: handler.say(status, body)
    assert asking_runner.bucket({"url": f"http://{server.place}", "bucket": "files"}) == {
        "status": status,
        "said": said,
    }
    assert "Credential=one/" in {key.lower(): value for key, value in server.asked[0][2].items()}["authorization"]


@pytest.fixture
def engine(server, monkeypatch):
    """An engine at a server of the test's; its figures are a list that is gone through."""
    monkeypatch.setattr(reading_runner, "written", lambda: {"e": None})
    monkeypatch.setattr(asking_runner, "PROBE_SECONDS", 0.4)
    figures = ["1"]

    def ask(_container, path, body=None, timeout=5):
        return host.http(f"http://{server.place}{path}", "POST" if body else "GET", {}, body, timeout)

    monkeypatch.setattr(reading_runner, "ask_engine", ask)

    def metrics(handler):
        value = figures.pop(0) if len(figures) > 1 else figures[0]
        handler.say(200, f'vllm:generation_tokens_total{{model="m"}} {value}\nvllm:other 5\n'.encode())

    server.routes["GET", "/metrics"] = metrics
    return server, figures


def hangs(handler):
    time.sleep(1)


def test_an_engine_that_makes_a_token_works(engine):
    server, _figures = engine
    server.routes["POST", "/v1/completions"] = lambda handler: handler.say(200, b"{}")
    assert asking_runner.engine("e", "chat", "m") == {"works": True, "said": ""}


def test_one_that_answers_no_question_of_ours_works_too(engine):
    assert asking_runner.engine("e", "embed", "m")["works"] is True


def test_one_that_fails_does_not(engine):
    server, _figures = engine
    server.routes["POST", "/v1/completions"] = lambda handler: handler.say(500, b"{}")
    assert asking_runner.engine("e", "chat", "m") == {"works": False, "said": "it answered 500"}


def test_one_that_is_busy_with_others_works(engine):
    server, figures = engine
    server.routes["POST", "/v1/completions"] = hangs
    figures[:] = ["1", "2"]
    assert asking_runner.engine("e", "chat", "m")["works"] is True


def test_one_that_makes_no_step_hangs(engine):
    server, _figures = engine
    server.routes["POST", "/v1/completions"] = hangs
    found = asking_runner.engine("e", "chat", "m")
    assert found["works"] is False
    assert "no token, and no step" in found["said"]
