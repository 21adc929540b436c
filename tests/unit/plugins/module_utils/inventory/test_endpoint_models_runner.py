# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking somebody else's server for its models."""

from __future__ import annotations

import http.server
import json
import threading
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import endpoint_models_runner

LIST = json.dumps({"object": "list", "data": [{"id": "a"}]}).encode()
KEY = "sk-of-somebody-else"


@pytest.fixture
def server():
    """Return how to start a server that does with each request what a function says, and what it was asked."""
    started = []

    def start(answer):
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append((self.path, self.headers.get("Authorization")))
                answer(self)

            def log_message(self, *_words):
                pass

        one = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        one.daemon_threads = True
        started.append(one)
        threading.Thread(target=one.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{one.server_port}/v1", asked

    yield start
    for one in started:
        one.shutdown()
        one.server_close()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(endpoint_models_runner, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(endpoint_models_runner, "LONGEST_SECONDS", 0.5)


def say(handler, status=200, body=LIST, **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def read(*urls, before=None, keys=None):
    servers = [{"name": f"lm{number}", "url": url, "timeout": 30} for number, url in enumerate(urls)]
    given = {"servers": servers, "before": before or {}, "server_keys": keys or {}}
    return endpoint_models_runner.ensure(given)


def test_a_server_is_asked_below_its_address_with_its_own_key(server):
    first, asked = server(say)
    second, asked_too = server(say)
    result = read(first, second, keys={"lm0": KEY})
    assert result == {"changed": False, "listed": {"lm0": ["a"], "lm1": ["a"]}, "unread": []}
    assert (asked, asked_too) == ([("/v1/models", f"Bearer {KEY}")], [("/v1/models", None)])


def test_one_that_answers_the_second_time_is_read(server):
    seen = []
    url, asked = server(lambda one: say(one, 503 if not seen else 200) or seen.append(1))
    assert read(url)["listed"] == {"lm0": ["a"]}
    assert len(asked) == 2


def test_nobody_is_followed_elsewhere(server):
    inner, asked = server(say)
    outer, _asked = server(lambda one: say(one, 302, b"", Location=f"{inner}/models"))
    result = read(outer, keys={"lm0": KEY})
    assert asked == []
    assert "redirect" in result["unread"][0]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda one: one.wfile.write(b"\x00\x01garbage\r\n\r\n"), id="no HTTP"),
        pytest.param(lambda one: say(one, 200, b"<html>welcome</html>"), id="a page"),
        pytest.param(lambda one: say(one, 200, b"[" * 100_000), id="deep JSON"),
        pytest.param(lambda one: time.sleep(5), id="a hang"),
        pytest.param(lambda one: one.connection.close(), id="no word"),
        pytest.param(lambda one: say(one, 401, b"{}"), id="a wrong key"),
    ],
)
def test_whatever_it_does_the_others_are_read_and_its_models_are_those_of_the_last_run(server, answer):
    ill, _asked = server(answer)
    well, _asked = server(say)
    begin = time.monotonic()
    result = read(ill, well, before={"lm0": ["old"]}, keys={"lm0": KEY})
    assert result["listed"] == {"lm0": ["old"], "lm1": ["a"]}
    assert len(result["unread"]) == 1
    assert KEY not in str(result)
    assert time.monotonic() - begin < 4
