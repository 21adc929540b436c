# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads on a streaming server with TLS, whose delays are known."""

from __future__ import annotations

import dataclasses
import datetime
import http.server
import json
import os
import signal
import ssl
import threading
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal, Unhealthy
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.load import figures, runner

x509 = pytest.importorskip("cryptography.x509")
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

DOMAIN = "chat.example.com"
KEY = "s3cret-k3y"
FIRST, EACH = 0.03, 0.01
"""Seconds before the first token of an answer, and before each further one."""


def certificate(subject, key, issuer, issuer_key, is_authority):
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().serial_number(x509.random_serial_number()).public_key(key.public_key())
    made = made.subject_name(x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, subject)]))
    made = made.issuer_name(x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, issuer)]))
    made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    made = made.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
    return made.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Make an authority and the site's certificate; return the authority's text and the server's file."""
    ours, theirs = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    plain = serialization.NoEncryption()
    key = theirs.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(key + certificate(DOMAIN, theirs, "ca", ours, is_authority=False))
    return certificate("ca", ours, "ca", ours, is_authority=True).decode(), path


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as an engine behind an edge does; the server's ``behave`` may do otherwise, and says whether it did."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = len(self.server.asked)
        self.server.asked.append((self.client_address[1], dict(self.headers.items()), body, time.monotonic()))
        if not self.server.behave(self, number, body):
            self.answer(body)

    def answer(self, body, tokens=None):
        self.begin()
        self.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        for number in range(body["max_tokens"]):
            time.sleep(EACH if number else FIRST)
            self.event({"choices": [{"index": 0, "delta": {"content": "word "}}]})
        prompt = len(body["messages"][0]["content"].split()) + 12
        usage = {"prompt_tokens": prompt, "completion_tokens": tokens or body["max_tokens"]}
        time.sleep(EACH)  # what comes after the last token is none
        self.event({"choices": [], "usage": usage})
        self.piece(b"data: [DONE]\n\n")
        self.piece(b"")

    def begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, entry):
        self.piece(b"data: " + json.dumps(entry).encode() + b"\n\n")

    def piece(self, data):
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def refuse(self, status, words, **headers):
        body = json.dumps({"error": {"message": words}}).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)
        return True

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, context):
        super().__init__(("127.0.0.1", 0), Handler)
        self.context, self.asked, self.behave = context, [], lambda *_: False

    def finish_request(self, request, client_address):
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, *_):
        pass

    @property
    def load(self):
        """What was asked after the two questions by which a load begins."""
        return self.asked[2:]


@pytest.fixture
def server(authority, request):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority[1])
    with Server(None if getattr(request, "param", "") == "plain" else context) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield one
        one.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(runner, "PAUSE_SECONDS", 0.05)
    wish = runner.work.wish

    def shorter(*args):
        made = wish(*args)
        return made if made.seconds > 1 else dataclasses.replace(made, seconds=0.5)

    monkeypatch.setattr(runner.work, "wish", shorter)


@pytest.fixture
def params(server, authority, tmp_path):
    def made(**more):
        return {
            "domain": DOMAIN,
            "port": server.server_address[1],
            "plain": False,
            "address": "127.0.0.1",
            "authority": authority[0],
            "api_key": KEY,
            "rate": 10,
            "burst": 40,
            "models": [{"name": "qwen/3", "task": "chat", "hosts": ["a"], "endpoint": ""}],
            "served": [{"name": "qwen/3", "task": "chat", "context": 4096}],
            "names": [["qwen/3", "default"]],
            "model": "",
            "users": 3,
            "seconds": 1,
            "prompt_tokens": 60,
            "answer_tokens": 6,
            "shared_prefix": False,
            "trace": None,
            "folder": str(tmp_path / ".gpuchat"),
            **more,
        }

    return made


def test_a_load_measures_what_the_server_does(server, params):
    result = runner.ensure(params(), check=False)
    found = result["run"]["figures"]
    assert found["completed"] == len(server.load) >= 3
    assert (found["failed"], found["limited"], found["unfinished"], found["errors"]) == (0, 0, 0, {})
    # Hardly faster than the server, whose first token may be seen late; how much slower is the machine's.
    assert 1000 * FIRST <= found["ttft_ms"]["p50"] < 1000 * FIRST + 150
    assert 500 * EACH <= found["tpot_ms"]["p50"] < 1000 * EACH + 60
    assert 500 * EACH <= found["itl_ms"]["p50"] < 1000 * EACH + 60
    assert found["e2el_ms"]["p50"] >= 1000 * (FIRST + 5 * EACH) * 0.95
    assert found["total_output_tokens"] == 6 * found["completed"]
    assert found["total_input_tokens"] == 60 * found["completed"]  # as the server counts a word and what is around
    assert result["changed"] is False
    assert "time to first token" in result["table"]


def test_each_user_keeps_a_connection_and_asks_something_of_its_own(server, params):
    runner.ensure(params(), check=False)
    ports = {port for port, _headers, _body, _at in server.load}
    prompts = [body["messages"][0]["content"] for _port, _headers, body, _at in server.load]
    assert len(ports) == 3 < len(prompts)
    assert len({" ".join(one.split()[:4]) for one in prompts}) == len(prompts)
    assert all(headers["Authorization"] == f"Bearer {KEY}" for _port, headers, _body, _at in server.load)


def test_tokens_are_those_that_the_server_counts(server, params):
    """Two tokens in each chunk, as with speculation."""
    server.behave = lambda handler, _number, body: handler.answer(body, tokens=2 * body["max_tokens"]) or True
    found = runner.ensure(params(), check=False)["run"]["figures"]
    assert found["total_output_tokens"] == 12 * found["completed"]
    assert found["tpot_ms"]["p50"] < found["itl_ms"]["p50"]


def test_the_key_stands_nowhere_in_what_is_said_and_kept(server, params):
    result = runner.ensure(params(), check=False)
    with open(result["file"], encoding="utf-8") as file:
        assert KEY not in file.read() + json.dumps(result)
    edge = runner.Edge(runner.Place("d", 1), KEY, 1, 1)
    assert KEY not in repr(edge)


def test_figures_are_kept_and_compared_with_those_before(server, params):
    first = runner.ensure(params(), check=False)
    assert os.path.basename(first["file"]) == "load-qwen_3.json"
    assert first["run"]["changes"] == {}
    second = runner.ensure(params(), check=False)
    assert set(second["run"]["changes"]) == {name for _words, name in figures.ROWS}
    assert second["run"]["compared_with"] == first["run"]["when"]
    third = runner.ensure(params(users=2), check=False)
    assert third["run"]["changes"] == {}
    assert "asked something else" in third["table"]
    with open(third["file"], encoding="utf-8") as file:
        kept = json.load(file)
    assert [one["work"]["users"] for one in kept["runs"]] == [3, 3, 2]
    assert kept["model"] == "qwen/3"


def test_a_history_that_cannot_be_read_begins_anew_and_that_is_said(server, params, tmp_path):
    (tmp_path / ".gpuchat").mkdir()
    (tmp_path / ".gpuchat" / "load-qwen_3.json").write_text("{")
    result = runner.ensure(params(), check=False)
    assert "cannot be read and begin anew" in " ".join(result["table"].split())


def test_the_plans_estimate_stands_beside_the_figures(server, params, tmp_path):
    estimate = {"decode_alone": 100.0, "decode_full_each": 50.0, "batch": 11, "prefill": 1000.0}
    (tmp_path / ".gpuchat").mkdir()
    plan = {"plans": [{"host": "a", "model": "qwen/3", "plan": {"estimate": estimate}}]}
    (tmp_path / ".gpuchat" / "plan.json").write_text(json.dumps(plan))
    result = runner.ensure(params(), check=False)
    assert result["run"]["expected"]["together"] == pytest.approx(3 * 1 / (0.01 + 0.01 * 0.2), rel=1e-3)
    assert "from data sheets" in result["table"]


def test_what_the_edge_does_not_let_through_is_told_as_that(server, params):
    server.behave = lambda handler, number, _body: number % 2 and number > 2 and handler.refuse(429, "slow down")
    result = runner.ensure(params(), check=False)
    found = result["run"]["figures"]
    assert found["limited"] > 0 < found["completed"]
    assert found["failed"] == 0
    assert "edge_api_rate" in result["advice"][0]


def test_a_user_who_is_told_to_wait_does(server, params):
    server.behave = lambda handler, number, _body: number >= 2 and handler.refuse(429, "slow down", Retry_After=1)
    with pytest.raises(Unhealthy, match=r"requests were not let through \(429\).*edge_api_rate") as ended:
        runner.ensure(params(), check=False)
    assert ended.value.result["run"]["figures"]["limited"] == len(server.load) == 3
    assert "time to first token" in ended.value.result["table"]


@pytest.mark.parametrize(
    ("behave", "status", "words"),
    [
        pytest.param(lambda handler: handler.refuse(502, "the engine is gone"), "502", "the engine is gone", id="502"),
        pytest.param(
            lambda handler: (
                handler.begin() or handler.event({"error": {"message": "out of memory"}}) or handler.piece(b"")
            ),
            "stream",
            "out of memory",
            id="an error in the stream",
        ),
        pytest.param(
            lambda handler: (
                handler.begin() or handler.event({"choices": [{"delta": {"content": "x"}}]}) or handler.piece(b"")
            ),
            "stream",
            "found the end after 1 chunks, wanted the whole answer",
            id="a stream that ends early",
        ),
        pytest.param(
            lambda handler: handler.begin() or handler.wfile.write(b"zz\r\n"),
            "stream",
            "found 'zz', wanted the size of a chunk",
            id="no chunk",
        ),
        pytest.param(lambda handler: None, "stream", "found the connection closed", id="a closed connection"),
        pytest.param(
            lambda handler: handler.wfile.write(b"SSH-2.0-x\r\n"),
            "stream",
            "wanted an answer of HTTP/1.1",
            id="no HTTP",
        ),
        pytest.param(
            lambda handler: handler.begin() or handler.piece(b"data: [DONE]\n\n") or handler.piece(b""),
            "stream",
            "found an answer without output",
            id="an empty answer",
        ),
    ],
)
def test_what_is_no_answer_is_told_by_its_status(server, params, behave, status, words):
    def every_other(handler, number, _body):
        if number < 2 or number % 2:
            return False
        behave(handler)
        handler.close_connection = True
        return True

    server.behave = every_other
    found = runner.ensure(params(), check=False)["run"]["figures"]
    assert found["completed"] > 0
    assert (list(found["errors"]), found["failed"]) == ([status], found["errors"][status]["count"])
    assert words in found["errors"][status]["said"]


def test_a_connection_that_was_closed_meanwhile_is_no_error(server, params):
    def close(handler, _number, body):
        handler.answer(body)
        handler.close_connection = True  # without a word
        return True

    server.behave = close
    found = runner.ensure(params(), check=False)["run"]["figures"]
    assert (found["failed"], found["completed"]) == (0, len(server.load))


def test_a_server_that_hangs_ends_the_load_all_the_same(server, params, monkeypatch):
    monkeypatch.setattr(runner, "GRACE_SECONDS", 0.5)
    gone = threading.Event()
    server.behave = lambda _handler, number, _body: number >= 2 and (gone.wait(20) or True)
    started = time.monotonic()
    with pytest.raises(Unhealthy, match="found no answer of qwen/3, and 3 times silence: found nothing said for"):
        runner.ensure(params(), check=False)
    assert time.monotonic() - started < 10
    gone.set()


def test_silence_has_a_bound_of_its_own(server, params, monkeypatch):
    monkeypatch.setattr(runner, "SILENCE_SECONDS", 0.3)
    gone = threading.Event()
    server.behave = lambda _handler, number, _body: number in (2, 3) and (gone.wait(20) or True)
    found = runner.ensure(params(users=2, seconds=2), check=False)["run"]["figures"]
    assert found["errors"]["silence"]["count"] == 2
    assert found["completed"] > 0
    gone.set()


def test_answers_that_the_end_cuts_count_for_nothing(server, params, monkeypatch):
    monkeypatch.setattr(runner, "GRACE_SECONDS", 0.2)
    with pytest.raises(
        Unhealthy, match="found no whole answer of qwen/3 when the load ended; wanted some; set load_sec"
    ):
        runner.ensure(params(answer_tokens=400), check=False)


def test_ctrl_c_ends_a_load_and_it_still_reports(server, params):
    timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    before = signal.getsignal(signal.SIGINT)
    started = time.monotonic()
    result = runner.ensure(params(seconds=60), check=False)
    assert time.monotonic() - started < 10
    assert signal.getsignal(signal.SIGINT) is before
    assert (result["interrupted"], result["run"]["figures"]["completed"] > 0) == (True, True)
    assert "was ended before its time" in result["table"]
    assert os.path.exists(result["file"])


def test_a_trace_is_asked_at_its_times(server, params, tmp_path):
    lines = [
        {"at": 0.6, "prompt_tokens": 60, "answer_tokens": 2},
        {"at": 0, "prompt": "hello there", "answer_tokens": 3},
        {"at": 0, "prompt": "hello", "answer_tokens": 3},
        {"at": 99, "prompt": "too late", "answer_tokens": 3},
    ]
    (tmp_path / "trace.jsonl").write_text("\n".join(map(json.dumps, lines)))
    result = runner.ensure(params(trace=str(tmp_path / "trace.jsonl"), seconds=2), check=False)
    asked = [(body["messages"][0]["content"][:5], body["max_tokens"]) for _port, _headers, body, _at in server.load]
    assert sorted(asked[:2]) == [("hello", 3), ("hello", 3)]
    assert (len(asked), asked[2][1]) == (3, 2)
    assert server.load[2][3] - server.load[0][3] > 0.4
    assert result["run"]["figures"]["completed"] == 3
    assert "1 requests of the trace lie after load_seconds" in result["table"]


def test_a_trace_waits_for_a_connection_where_as_many_are_open_as_may_be(server, params, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "MOST_OPEN", 1)
    monkeypatch.setattr(runner, "LATE_SECONDS", 0.05)
    line = json.dumps({"at": 0, "prompt": "hello", "answer_tokens": 6})
    (tmp_path / "trace.jsonl").write_text("\n".join([line] * 3))
    result = runner.ensure(params(trace=str(tmp_path / "trace.jsonl"), seconds=5), check=False)
    assert result["run"]["figures"]["completed"] == 3
    assert len({port for port, _headers, _body, _at in server.load}) == 1
    assert "2 requests of the trace began late" in result["table"]


def test_a_trace_that_is_no_text_is_refused(params, tmp_path):
    (tmp_path / "trace.gz").write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(Refusal, match="its byte 2, 0x8b, is none of a text in UTF-8.*wanted a trace"):
        runner.ensure(params(trace=str(tmp_path / "trace.gz")), check=False)


def test_a_trace_that_cannot_be_read_is_refused(params, tmp_path):
    with pytest.raises(Refusal, match="No such file or directory.*wanted a trace.*set load_trace"):
        runner.ensure(params(trace=str(tmp_path / "none.jsonl")), check=False)


def test_a_load_has_a_bound_on_its_requests(server, params, monkeypatch):
    monkeypatch.setattr(runner, "MOST_REQUESTS", 4)
    result = runner.ensure(params(seconds=60), check=False)
    assert 4 <= result["run"]["figures"]["completed"] <= 7
    assert "as many requests as one may" in result["table"]


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (lambda handler: handler.refuse(401, "no key"), "found 401 for the first question to qwen/3 at 127.0.0.1:"),
        (lambda handler: handler.refuse(403, "not you"), "add its network"),
        (lambda handler: handler.refuse(404, "no model"), "404.*no model.*run site.yml"),
        (lambda handler: handler.refuse(500, "broken"), "500.*broken.*playbooks/doctor.yml"),
    ],
)
def test_a_load_does_not_begin_where_the_first_question_has_no_answer(server, params, behave, words):
    server.behave = lambda handler, _number, _body: behave(handler)
    with pytest.raises(Unhealthy, match=words):
        runner.ensure(params(), check=False)
    assert len(server.asked) == 1


def test_a_first_question_that_the_edge_does_not_let_through_is_asked_again(server, params):
    server.behave = lambda handler, number, _body: number == 0 and handler.refuse(429, "slow down")
    assert runner.ensure(params(), check=False)["run"]["figures"]["completed"] > 0


def test_another_authoritys_certificate_is_refused(params):
    with pytest.raises(Unhealthy, match="found a certificate of 127.0.0.1:.* that does not verify"):
        runner.ensure(params(authority=""), check=False)


def test_a_certificate_for_another_name_is_refused(params):
    with pytest.raises(Unhealthy, match="that does not verify.*wanted one for other.example.com"):
        runner.ensure(params(domain="other.example.com"), check=False)


def test_an_edge_that_is_not_there_is_told(params):
    with pytest.raises(Unhealthy, match="found connection for the first question.*Connect call failed"):
        runner.ensure(params(port=1), check=False)


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_an_edge_without_tls_is_asked_by_plain_http(server, params):
    result = runner.ensure(params(plain=True, authority=""), check=False)
    assert result["run"]["figures"]["completed"] > 0
    assert server.asked[0][1]["Host"] == f"{DOMAIN}:{server.server_address[1]}"


def test_check_mode_asks_nothing(server, params):
    result = runner.ensure(params(), check=True)
    assert result["not_predicted"] == ["the load on qwen/3: check mode asks nothing"]
    assert server.asked == []


def test_of_very_many_gaps_a_sample_is_kept(monkeypatch):
    monkeypatch.setattr(runner, "MOST_GAPS", 10)
    sample = runner.Sample()
    sample.add(range(1000))
    assert (len(sample.values), sample.seen) == (10, 1000)
    assert max(sample.values) > 9
