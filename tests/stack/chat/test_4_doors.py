# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody in an allowed network, or outside it, can do to the edge: nothing but what people of the stack need."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
import subprocess
import urllib.parse

import pytest
from running import Stack, wait

NO_CODE = base64.b64encode(bytes(a ^ b for a, b in zip(b"{}", b"Lo", strict=True))).decode()
"""LobeChat's header of somebody without an access code: empty JSON under the key in the page's own script."""

PLUGIN = {"api": [{"name": "x", "url": "http://127.0.0.1:8000/invocations"}], "identifier": "x", "meta": {}}
FOREIGN = urllib.parse.quote(json.dumps({"languageModel": {"vllm": {"endpoint": "https://evil.example.com"}}}))


@pytest.mark.parametrize(
    ("method", "path", "body", "wanted"),
    [
        pytest.param("POST", "/webapi/plugin/gateway", json.dumps({"manifest": PLUGIN}), 404, id="the plugin gateway"),
        pytest.param("PUT", "/webapi/proxy", "http://169.254.169.254/latest/api/token", 404, id="the proxy"),
        pytest.param("POST", "/WEBAPI/proxy", "http://127.0.0.1:8000/pause", 404, id="the proxy in capitals"),
        pytest.param("POST", "//webapi//proxy", "x", 404, id="the proxy with more slashes"),
        pytest.param("POST", "/chat/../webapi/proxy", "x", 404, id="the proxy by way of the chat"),
        pytest.param("POST", "/chat/%2e%2e/webapi/proxy", "x", 404, id="the proxy by way of the chat, encoded"),
        pytest.param("POST", "/webapi/chat/openai", "{}", 404, id="another provider"),
        pytest.param("POST", "/webapi/chat/vllm/", "{}", 404, id="the provider with a slash"),
        pytest.param("POST", "/webapi/models/ollama/pull", "{}", 404, id="a pull"),
        pytest.param("POST", "/trpc/tools/mcp.listTools", "{}", 404, id="an MCP server of the client's"),
        pytest.param("GET", "/trpc/lambda/config.getGlobalConfig,market.getMcpList?batch=1", "", 404, id="a batch"),
        pytest.param("GET", "/api/auth/session", "", 404, id="a login that is not used"),
        pytest.param("GET", "/oidc/auth", "", 404, id="another login that is not used"),
        pytest.param(
            "GET",
            "/_next/image?url=%2Ftrpc%2Ftools%2Fmcp.listTools&w=64&q=75",
            "",
            404,
            id="asked by itself",
        ),
        pytest.param("GET", "/_NEXT//image?url=%2Fapi%2Fauth%2Fsession&w=64&q=75", "", 404, id="the same in capitals"),
        pytest.param("POST", "/chat", "x", 405, id="an action of a page"),
        pytest.param("PUT", "/", "x", 405, id="a page that is written"),
        pytest.param("GET", f"/?settings={FOREIGN}", "", 404, id="a link with settings"),
        pytest.param("GET", f"/chat?session=inbox&settings={FOREIGN}", "", 404, id="a link into the chat"),
        pytest.param("GET", f"/chat?%73ettings={FOREIGN}", "", 404, id="a link in another spelling"),
        pytest.param("GET", f"/settings?SETTINGS={FOREIGN}", "", 404, id="a link in capitals"),
        pytest.param("GET", f"/en-US__0__light/chat?settings={FOREIGN}", "", 404, id="a link to the page itself"),
        pytest.param("GET", "/chat?session=inbox", "", 200, id="the chat itself"),
        pytest.param("GET", "/trpc/lambda/config.getGlobalConfig?batch=1", "", 200, id="what the page asks"),
    ],
)
def test_a_request_gets_what_a_person_needs_and_nothing_else(
    stack: Stack, method: str, path: str, body: str, wanted: int
) -> None:
    known = "LOBE_THEME_NEUTRAL_COLOR=mauve"  # a browser that has been led to the settings already
    words = ("--path-as-is", "--request", method, "--cookie", known, "--header", f"X-lobe-chat-auth: {NO_CODE}")
    status, _body = stack.curl(path, *words, *(("--data", body) if body else ()), key=False)
    assert status == wanted


def many(stack: Stack, count: int, path: str, *words: str) -> list[str]:
    """Ask many times at once; return the statuses."""
    common = ("--parallel", "--parallel-immediate", "--parallel-max", "200", "--output", "/dev/null")
    common = (*common, "--write-out", "%{http_code}\n")
    _status, printed = stack.curl(f"{path}?n=[1-{count}]", *common, *words, key=False)
    return printed.split()


def test_a_hundred_people_behind_one_address_ask_twice_at_once_and_none_is_sent_away(stack: Stack) -> None:
    words = ("--header", "Content-Type: application/json", "--data", "{}", "--header", f"X-lobe-chat-auth: {NO_CODE}")
    statuses = many(stack, 200, "/webapi/chat/vllm", *words)
    assert len(statuses) >= 199
    assert set(statuses) == {"401"}  # LobeChat's own answer to somebody without a code


def test_wrong_keys_are_slowed_and_the_right_one_is_not(stack: Stack) -> None:
    statuses = many(stack, 200, "/v1/models", "--header", "Authorization: Bearer guessed")
    assert "200" not in statuses
    assert statuses.count("401") < 20
    assert statuses.count("429") > 150
    assert stack.curl("/v1/models")[0] == 200
    lower_case = f"authorization: bearer {stack.secrets['api_key']}"
    assert stack.curl("/v1/models", "--header", lower_case, key=False)[0] == 200


@pytest.mark.parametrize(("part", "tag"), [("edge", "gpuchat_edge"), ("engine", "gpuchat_door")])
def test_a_request_is_logged_as_json_without_query_body_or_key(stack: Stack, part: str, tag: str) -> None:
    body = json.dumps({"model": stack.model, "prompt": "whispered"})
    data = ("--header", "Content-Type: application/json", "--data", body)
    assert stack.curl("/v1/completions?hidden=word", *data)[0] == 200
    lines: list[dict[str, object]] = []

    def is_there() -> bool:
        printed = stack.on(part, f"journalctl --no-pager --output cat --identifier {tag} --since -1min")
        assert not [word for word in ("hidden", "whispered", stack.secrets["api_key"]) if word in printed]
        lines[:] = [json.loads(line) for line in printed.splitlines()]
        return any((one["path"], one["status"]) == ("/v1/completions", 200) for one in lines)

    wait(is_there, 10, "the request's line")


def test_a_refusal_bears_the_same_headers_as_a_page(stack: Stack) -> None:
    _status, printed = stack.curl("/v1/models", "--include", key=False)
    assert "X-Content-Type-Options: nosniff".lower() in printed.lower()


HEAD = b"Host: x\r\nAuthorization: Bearer KEY\r\n"


def get(target: bytes, more: bytes = b"") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + HEAD + more + b"\r\n"


def post(more: bytes, body: bytes) -> bytes:
    return b"POST /v1/completions HTTP/1.1\r\n" + HEAD + more + b"\r\n" + body


HIDDEN = get(b"/invocations")
RAW = {
    "a length and chunks": post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + HIDDEN),
    "two lengths": post(b"Content-Length: 0\r\nContent-Length: 80\r\n", HIDDEN),
    "an encoding that is none": post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + HIDDEN),
    "a space before the colon": post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n" + HIDDEN),
    "a folded header": get(b"/v1/models", b"X: a\r\n GET /invocations HTTP/1.1\r\n"),
    "a request of HTTP 0.9": b"GET /v1/models\r\n" + HIDDEN,
    "a second request behind the first": get(b"/v1/models") + HIDDEN,
    "lines in a path": get(b"/v1/models%0d%0aX:%20y%0d%0a%0d%0aGET%20/invocations"),
    "dots": get(b"/v1/models/../../invocations"),
    "dots and an encoded slash": get(b"/v1/models/..%2finvocations"),
    "two slashes": get(b"//invocations"),
    "a parameter in a path": get(b"/invocations;/v1/models"),
    "a zero byte": get(b"/v1/models\x00/invocations"),
    "an absolute address": get(b"http://127.0.0.1:8000/invocations"),
    "a tunnel": get(b"127.0.0.1:8000").replace(b"GET", b"CONNECT"),
    "a header of 70 kB": get(b"/v1/models", b"X: " + b"a" * 70000 + b"\r\n"),
    "a line of 70 kB": get(b"/v1/models?" + b"a" * 70000),
    "a body of a terabyte": post(b"Content-Length: 999999999999\r\n", b"{}"),
}
"""What a client may send as it is, with a key."""


def raw(stack: Stack, request: bytes) -> bytes:
    """Send bytes as they are, and return all that comes back."""
    context = ssl.create_default_context(cafile=str(stack.inventory / ".gpuchat" / "ca.crt"))
    answer = b""
    with (
        socket.create_connection((stack.address, 443), timeout=15) as plain,
        context.wrap_socket(plain, server_hostname=stack.domain) as one,
        contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError),
    ):
        one.sendall(request.replace(b"KEY", stack.secrets["api_key"].encode()))
        one.settimeout(1)
        while piece := one.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize("request_bytes", RAW.values(), ids=RAW)
def test_whatever_bytes_are_sent_nothing_but_the_apis_paths_reaches_the_engine(
    stack: Stack, request_bytes: bytes
) -> None:
    started = stack.on("engine", "date +%s").strip()
    answer = raw(stack, request_bytes)
    statuses = [int(found) for found in re.findall(rb"HTTP/1.1 (\d{3})", answer)]
    assert not {500, 502, 503, 504}.intersection(statuses), answer[:500]
    journal = f"journalctl --sync; journalctl --no-pager --output cat --identifier gpuchat_door --since @{started}"
    paths = {json.loads(line)["path"] for line in stack.on("engine", journal).splitlines() if line.startswith("{")}
    assert paths <= {"/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"}


HALF_SENT = """
import socket, sys, time
address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
held = []
for _ in range(count):
    try:
        one = socket.create_connection((address, port), timeout=10)
        one.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n")
    except ConnectionError:
        continue
    held.append(one)
print(len(held), flush=True)
sys.stdin.read()
"""


def half_sent(count: int, address: str, *before: str) -> subprocess.Popen[str]:
    """Send the first half of many requests, and hold them until the standard input is closed."""
    shell = f"ulimit -n 10000; exec timeout 60 python3 -c '{HALF_SENT}' {address} 80 {count}"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([*before, "sh", "-c", shell], **pipes)  # type: ignore[call-overload, no-any-return]


def test_many_half_sent_requests_of_a_forbidden_address_take_nothing_from_people(stack: Stack) -> None:
    probe = ("docker", "exec", "--interactive", f"gpuchat-{stack.world['name']}-probe")
    with half_sent(9000, str(stack.variables["verify_outside_address"]), *probe) as sender:
        assert sender.stdout
        assert sender.stdout.readline().strip() == "0"  # the packet filter lets none of them in
        assert [stack.curl("/v1/models")[0] for _ in range(5)] == [200] * 5


def test_one_allowed_address_holds_a_share_of_the_connections_and_only_for_seconds(stack: Stack) -> None:
    with half_sent(1500, stack.address) as sender:
        assert sender.stdout
        assert 900 <= int(sender.stdout.readline()) <= 1000
        left = "ss -tnH state established '( sport = :80 )' | wc -l"
        wait(lambda: int(stack.on("edge", left)) < 10, 15, "half-sent requests to be dropped")
        assert stack.curl("/v1/models")[0] == 200
