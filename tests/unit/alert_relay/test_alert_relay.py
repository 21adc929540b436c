# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the relay makes of Alertmanager's messages, and what it makes of robots' answers, over real connections."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import pytest

ALERT = {
    "status": "firing",
    "labels": {"alertname": "EngineDown", "severity": "critical", "host": "gpu1", "model": "qwen3-8b"},
    "annotations": {
        "summary": "The engine is down.",
        "description": "Nobody answers since two minutes.",
        "runbook": "Run playbooks/doctor.yml.",
    },
}
TOLD = {"status": "firing", "commonLabels": {"stack": "chat.example.com"}, "alerts": [ALERT]}
KINDS = ("feishu", "dingtalk", "wecom")
ACCEPTED = {
    "feishu": {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"},
    "dingtalk": {"errcode": 0, "errmsg": "ok"},
    "wecom": {"errcode": 0, "errmsg": "ok"},
}
REFUSED = {
    "feishu": {"code": 19024, "msg": "Key Words Not Found", "data": {}},
    "dingtalk": {"errcode": 310000, "errmsg": "keywords not in content"},
    "wecom": {"errcode": 93000, "errmsg": "invalid webhook url"},
}


class Vendor(http.server.BaseHTTPRequestHandler):
    """A server that answers as the vendors' do, and keeps what it was asked."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Content-Type"], json.loads(body)))
        status, answer = self.server.answer
        self.send_response(status)
        if status in (301, 302):
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_words):
        pass


@pytest.fixture
def vendor():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.asked, server.answer = [], (200, b"{}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def running(relay, vendor, tmp_path):
    """Start a relay to a robot of each kind; return how to ask it."""
    servers = []

    def start(suffix=""):
        robots = [{"path": f"/{kind}", "name": kind, "kind": kind} for kind in KINDS]
        config = tmp_path / "relay.json"
        config.write_text(json.dumps({"port": 0, "robots": robots}))
        for kind in KINDS:
            place = f"http://127.0.0.1:{vendor.server_port}/hook/{kind}?token=s3cret{suffix}\n"
            (tmp_path / f"receiver-{kind}").write_text(place)
        server = relay.make_server(str(config), str(tmp_path))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)

        def ask(path, data=TOLD):
            raw = data if isinstance(data, bytes) else json.dumps(data).encode()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}", raw, timeout=20) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        return ask

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def said(kind, body):
    return body["content"]["text"] if kind == "feishu" else body["text"]["content"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_alert_reaches_a_robot_in_its_form(running, vendor, kind):
    vendor.answer = (200, json.dumps(ACCEPTED[kind]).encode())
    assert running()(f"/{kind}") == (200, "")
    ((path, media_type, body),) = vendor.asked
    assert path == f"/hook/{kind}?token=s3cret"
    assert media_type.startswith("application/json")
    assert body == (
        {"msg_type": "text", "content": {"text": said(kind, body)}}
        if kind == "feishu"
        else {"msgtype": "text", "text": {"content": said(kind, body)}}
    )
    assert said(kind, body).splitlines() == [
        "gpuchat chat.example.com",
        "",
        "[ALERT] critical EngineDown (gpu1 qwen3-8b)",
        "The engine is down.",
        "Nobody answers since two minutes.",
        "To do: Run playbooks/doctor.yml.",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_robot_refuses_by_its_own_code_is_tried_again(running, vendor, kind):
    vendor.answer = (200, json.dumps(REFUSED[kind]).encode())
    status, why = running()(f"/{kind}")
    assert status == 502
    assert str(next(iter(REFUSED[kind].values()))) in why
    assert "s3cret" not in why


@pytest.mark.parametrize(
    "answer", [(500, b"{}"), (302, b'{"code": 0}'), (200, b"<html>a proxy's page</html>"), (200, b'{"code": false}')]
)
def test_an_answer_that_says_nothing_of_success_is_none(running, vendor, answer):
    vendor.answer = answer
    assert running()("/feishu")[0] == 502
    assert len(vendor.asked) == 1


def test_a_robot_that_nobody_reaches_is_tried_again_and_its_secret_stays_one(running, vendor):
    ask = running()
    vendor.server_close()
    status, why = ask("/wecom")
    assert (status, "wecom" in why, "s3cret" in why) == (502, True, False)


def test_feishus_signature_has_the_secret_in_its_key(running, vendor):
    vendor.answer = (200, json.dumps(ACCEPTED["feishu"]).encode())
    assert running("#SEC")("/feishu")[0] == 200
    ((path, _type, body),) = vendor.asked
    key = f"{body['timestamp']}\nSEC".encode()
    assert body["sign"] == base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()
    assert "SEC" not in path


def test_dingtalks_signature_stands_in_the_address(running, vendor):
    vendor.answer = (200, json.dumps(ACCEPTED["dingtalk"]).encode())
    assert running("#SEC")("/dingtalk")[0] == 200
    ((path, _type, _body),) = vendor.asked
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
    digest = hmac.new(b"SEC", f"{query['timestamp']}\nSEC".encode(), hashlib.sha256).digest()
    assert (query["token"], query["sign"]) == ("s3cret", base64.b64encode(digest).decode())


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("/nobody", TOLD, 404),
        ("/feishu", b"no JSON", 400),
        ("/feishu", [], 400),
        ("/feishu", {"alerts": ["no alert"]}, 400),
    ],
)
def test_what_alertmanager_would_not_send_reaches_no_robot(running, vendor, path, data, status):
    assert running()(path, data)[0] == status
    assert vendor.asked == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_host_says_of_itself_is_one_line_and_calls_nobody(relay, kind):
    said = 'x\r\n\n[RESOLVED] all\x1b[0m is well <at user_id="all">all</at>'
    notes = {**ALERT["annotations"], "summary": f"{said} does not run"}
    text = relay.text_of({**TOLD, "alerts": [{**ALERT, "annotations": notes}]}, kind)
    assert text.splitlines()[3] == 'x [RESOLVED] all [0m is well (at user_id="all")all(/at) does not run'
    assert len(text.splitlines()) == 6


def test_a_text_is_no_longer_than_a_robot_takes_and_cuts_no_letter(relay):
    long = {**TOLD, "alerts": [{**ALERT, "annotations": {"summary": "引擎停了。" * 400}}] * 30}
    text = relay.text_of(long, "wecom")
    assert len(text.encode()) <= relay.LONGEST_TEXT["wecom"]
    assert text.endswith("...")
    assert "... and 20 more" in relay.text_of({**TOLD, "alerts": [ALERT] * 30}, "feishu")


def test_what_is_over_is_told_without_what_to_do(relay):
    text = relay.text_of({"alerts": [{**ALERT, "status": "resolved"}]}, "feishu")
    assert "[RESOLVED] critical EngineDown" in text
    assert "To do" not in text


@pytest.mark.parametrize(
    "secret",
    ["", "nonsense", "http://open.feishu.cn/hook/s3cret", "https:///s3cret", "https://a:b/s3cret", "https://a/s3 cret"],
)
def test_an_address_that_is_none_is_refused_without_being_repeated(relay, secret):
    with pytest.raises(relay.Trouble) as caught:
        relay.address_of(secret, "team")
    assert "monitoring_receiver_secrets.team" in str(caught.value)
    assert "s3" not in str(caught.value)


def test_the_program_checks_its_files_before_it_listens(relay, tmp_path):
    (tmp_path / "relay.json").write_text(
        json.dumps({"port": 9095, "robots": [{"path": "/team", "name": "team", "kind": "feishu"}]})
    )
    words = [sys.executable, "-I", relay.__file__, "--check", str(tmp_path), str(tmp_path / "relay.json")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, "monitoring_receiver_secrets.team" in done.stderr) == (1, True)
    (tmp_path / "receiver-team").write_text("https://open.feishu.cn/open-apis/bot/v2/hook/x\n")
    assert subprocess.run(words, capture_output=True, text=True, check=False).returncode == 0
