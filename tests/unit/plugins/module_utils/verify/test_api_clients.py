# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import json
import os
import stat

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal, Unhealthy
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.verify import api_clients_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.verify.api_clients import (
    Api,
    Client,
    files,
    judge,
    table,
    warnings,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.verify.api_usage import Log, Usage

KEY = "sk-0a1b2c3d-" + "r" * 43
TODAY = datetime.date(2030, 12, 31)
API = Api("https://chat.example.com/v1", {"bge": "embed", "qwen3-8b": "chat"}, "-----BEGIN CERTIFICATE-----\n")
REPORTS = Client("reports", KEY, 5, 4, 128)


@pytest.mark.parametrize(
    ("expires", "status", "is_right", "detail"),
    [
        ("", 200, True, "an answer"),
        ("", 401, False, "found status 401, wanted 200"),
        ("", 0, False, "found curl: (7) refused, wanted 200"),
        ("2030-12-31", 200, True, "an answer"),
        ("2030-12-30", 401, True, "refused, for it has ended"),
        ("2030-12-30", 200, False, "found status 200, wanted 401"),
    ],
)
def test_a_key_that_is_valid_gets_an_answer_and_one_that_has_ended_gets_none(expires, status, is_right, detail):
    tried = judge(Client("reports", KEY, 5, 4, 128, expires), status, "curl: (7) refused", TODAY)
    assert (tried.is_right, tried.detail) == (is_right, detail)


def test_the_table_names_a_key_by_its_id_alone():
    shown = table([judge(REPORTS, 200, "", TODAY)], Log())
    assert "reports  sk-0a1b2c3d...  5/s   4        -" in shown
    assert shown.endswith("an answer")
    assert KEY not in shown


def test_the_table_says_how_much_each_client_has_asked_and_since_when():
    log = Log("2030-12-01 00:00", {"reports": Usage(12, 3_400_000, 2, "2030-12-30 11:00")})
    shown = table([judge(REPORTS, 200, "", TODAY)], log)
    assert "12        2       3.4  2030-12-30 11:00  an answer" in shown
    assert shown.endswith("requests since 2030-12-01 00:00 UTC, as far as the edge's log was read")


def test_keys_that_nobody_needs_are_told():
    ended = judge(Client("former", KEY, 5, 4, 128, "2030-12-30"), 401, "", TODAY)
    tried = [judge(REPORTS, 200, "", TODAY), judge(Client("nightly", KEY, 5, 4, 128), 200, "", TODAY), ended]
    told = warnings(tried, Log("2030-12-01 00:00", {"reports": Usage(1)}))
    assert [text.partition(" ")[2][:20] for text in told[:1]] == ["key of former has en"]
    assert told[1].startswith("nightly: no request since 2030-12-01 00:00 UTC")
    assert len(warnings(tried, Log())) == 1  # of a log that holds nothing, nothing follows


def test_a_program_finds_address_key_authority_and_model_in_each_form():
    found = files(API, REPORTS)
    environment = dict(line.split("=", 1) for line in found["client.env"].splitlines() if not line.startswith("#"))
    assert environment == {
        "OPENAI_BASE_URL": API.url,
        "OPENAI_API_KEY": KEY,
        "OPENAI_MODEL": "qwen3-8b",
        "SSL_CERT_FILE": "ca.crt",
        "NODE_EXTRA_CA_CERTS": "ca.crt",
        "CURL_CA_BUNDLE": "ca.crt",
    }
    content = json.loads(found["client.json"])
    assert (content["base_url"], content["api_key"], content["models"]) == (API.url, KEY, ["qwen3-8b", "bge"])
    assert (content["timeout"], content["max_retries"], content["ca_file"]) == (30, 3, "ca.crt")
    assert 'cacert = "ca.crt"' in found["client.curlrc"]
    assert found["ca.crt"] == API.authority


def test_a_public_authority_needs_no_file():
    found = files(Api(API.url, {"q": "chat"}), REPORTS)
    assert "ca.crt" not in found
    assert not [text for text in found.values() if "ca.crt" in text]


@pytest.mark.parametrize(
    ("models", "path", "body"),
    [
        ((), "chat/completions", {"model": "qwen3-8b"}),
        (("bge",), "embeddings", {"model": "bge", "input": "hello"}),
        (("an-alias",), "chat/completions", {"model": "an-alias"}),
    ],
)
def test_a_client_is_tried_with_a_model_that_it_may_use(models, path, body):
    asked, found = API.question(Client("one", KEY, 1, 1, 1, models=models))
    assert (asked, {key: found[key] for key in body}) == (path, body)


@pytest.fixture
def ensure(tmp_path, monkeypatch):
    """Return the runner with answers of its own for each client."""

    def called(*clients, write=(), check=False, **statuses):
        monkeypatch.setattr(api_clients_runner, "_ask", lambda _api, one, _resolve: (statuses.get(one.name, 200), ""))
        keys = {"key": KEY, "rate": 5, "streams": 4, "answers": 128, "expires": "", "models": []}
        params = {"url": API.url, "authority": API.authority, "resolve": [], "folder": str(tmp_path)}
        params |= {"models": [{"name": "q", "task": "chat"}]}
        params |= {"usage": [], "clients": [{"name": name, **keys} for name in clients], "write": list(write)}
        return api_clients_runner.ensure(params, check)

    return called


def test_files_are_written_for_whom_they_are_asked_for_and_go_with_the_client(ensure, tmp_path):
    assert ensure("reports", "nightly")["changed"] is False
    assert ensure("reports", "nightly", write=["reports"], check=True)["changed"] is True
    assert os.listdir(tmp_path) == []
    assert ensure("reports", "nightly", write=["reports"])["changed"] is True
    assert ensure("reports", "nightly", write=["reports"])["changed"] is False
    modes = {
        name: stat.S_IMODE((tmp_path / "reports" / name).stat().st_mode) for name in os.listdir(tmp_path / "reports")
    }
    assert modes == {"ca.crt": 0o644, "client.env": 0o600, "client.json": 0o600, "client.curlrc": 0o600}
    assert stat.S_IMODE((tmp_path / "reports").stat().st_mode) == 0o700
    gone = ensure("nightly")
    assert gone["changed"] is True
    assert KEY not in str(gone)
    assert os.listdir(tmp_path) == []


def test_what_the_owner_put_beside_the_files_of_a_client_stays(ensure, tmp_path):
    ensure("reports", write=["reports"])
    (tmp_path / "reports" / "note.txt").write_text("mine")
    ensure()
    assert os.listdir(tmp_path / "reports") == ["note.txt"]


def test_a_client_that_there_is_none_of_is_refused_with_those_that_there_are(ensure):
    with pytest.raises(
        Refusal, match="found no client report in gpuchat_api_keys; wanted reports; give -e keys_client= one of"
    ):
        ensure("reports", write=["report"])


def test_a_key_that_gets_no_answer_fails_the_run_with_the_table(ensure):
    with pytest.raises(Unhealthy, match="nightly: found status 401, wanted 200") as failed:
        ensure("reports", "nightly", nightly=401)
    assert "FAILED" in failed.value.result["table"]
