# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody in an allowed network, or outside it, can do to the edge: nothing but what people of the stack need."""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import socket
import ssl
import subprocess
from collections.abc import Sequence

import pytest
from interfaces import interface_of, sign_in
from running import Stack, wait

FORGED = {"X-lobe-chat-auth": "NxI=", "X-lobe-trace": "x", "X-Forwarded-User": "admin", "Remote-User": "admin"}
"""Headers by which strangers were somebody: LobeHub's own of CVE-2026-39411 is empty JSON under a public key."""

PROVIDER = {"json": {"id": "vllm", "value": {"keyVaults": {"baseURL": "http://203.0.113.9/v1"}}}}
PLUGIN = {"manifest": {"api": [{"name": "x", "url": "http://127.0.0.1:8000/invocations"}], "identifier": "x"}}
QUESTION = {"model": "gpuchat-demo", "messages": [{"role": "user", "content": "hello"}], "stream": False}

OF_STRANGERS: dict[str, list[tuple[str, str, object, int]]] = {
    "lobehub": [
        ("GET", "/signin", None, 200),
        ("GET", "/api/auth/get-session", None, 200),
        ("POST", "/webapi/chat/vllm", QUESTION, 401),
        ("POST", "/webapi/chat/openai", QUESTION, 404),
        ("POST", "/WEBAPI/chat/openai", QUESTION, 404),
        ("POST", "//webapi//plugin//gateway", PLUGIN, 404),
        ("POST", "/webapi/plugin/gateway", PLUGIN, 404),
        ("POST", "/signin/..%2fwebapi/proxy", "http://169.254.169.254/", 404),
        ("POST", "/webapi/tts/openai", {}, 404),
        ("POST", "/webapi/create-image/comfyui", {}, 404),
        ("GET", "/trpc/lambda/user.getUserState?batch=1&input=%7B%7D", None, 401),
        ("POST", "/trpc/tools/mcp.listTools", {}, 404),
        ("GET", "/trpc/lambda/user.getUserState,market.getMcpList?batch=1", None, 404),
        ("POST", "/trpc/lambda/aiProvider.updateAiProviderConfig?batch=1", {"0": PROVIDER}, 404),
        ("POST", "/api/auth/sign-up/email", {"email": "a@example.com", "password": "long enough", "name": "a"}, 404),
        ("POST", "/api/auth/admin/set-user-password", {}, 404),
        ("POST", "/api/webhooks/memory-extraction", {}, 404),
        ("POST", "/api/workflows/memory-user-memory/process-users", {}, 404),
        ("GET", "/oidc/auth", None, 404),
        ("GET", "/market/oidc/callback", None, 404),
        ("GET", "/_next/image?url=%2Fapi%2Fauth%2Fget-session&w=64&q=75", None, 404),
        ("GET", "/agent/inbox?message=send+this", None, 404),
        ("GET", "/agent/inbox?%6dessage=send+this", None, 404),
        ("GET", "/gpuchat-files/files/a.txt", None, 404),
        ("PUT", f"/gpuchat-files/files/a.txt?X-Amz-Signature={'0a' * 32}", "text", 401),
        ("DELETE", f"/gpuchat-files/files/a.txt?X-Amz-Signature={'0a' * 32}", None, 405),
    ],
    "open_webui": [
        ("GET", "/auth", None, 200),
        ("GET", "/api/config", None, 200),
        ("POST", "/api/chat/completions", QUESTION, 401),
        ("GET", "/api/models", None, 401),
        ("GET", "/ws/socket.io/?EIO=4&transport=polling", None, 404),
        ("POST", "/api/v1/auths/signup", {"email": "a@example.com", "password": "long enough", "name": "a"}, 404),
        ("POST", "/api/v1/auths/add", {}, 404),
        ("GET", "/openai/models", None, 404),
        ("GET", "/OpenAI/models", None, 404),
        ("POST", "/api/v1/retrieval/process/web", {"url": "http://169.254.169.254/"}, 404),
        ("POST", "/api/v1/functions/create", {}, 404),
        ("POST", "/api/v1/utils/code/execute", {}, 404),
        ("GET", "/api/v1/utils/db/download", None, 404),
        ("GET", "/openapi.json", None, 404),
    ],
}
"""What somebody without a session asks, and gets."""

OF_PEOPLE: dict[str, list[tuple[str, str, object, int]]] = {
    "lobehub": [
        ("POST", "/webapi/chat/vllm", QUESTION, 200),
        ("POST", "/webapi/chat/openai", QUESTION, 404),
        ("POST", "/webapi/plugin/gateway", PLUGIN, 404),
        ("POST", "/trpc/lambda/aiProvider.updateAiProviderConfig?batch=1", {"0": PROVIDER}, 404),
        ("POST", "/trpc/lambda/apiKey.createApiKey?batch=1", {}, 404),
        ("POST", "/trpc/tools/mcp.listTools", {}, 404),
        ("POST", "/trpc/tools/search.crawlPages?batch=1", {}, 404),
        ("POST", "/api/auth/admin/set-user-password", {}, 404),
        ("POST", "/trpc/async/file.parseFileToChunks", {}, 404),
        ("GET", "/gpuchat-files/files/a.txt", None, 404),
    ],
    "open_webui": [
        ("GET", "/api/models", None, 200),
        ("GET", "/openai/models", None, 404),
        ("POST", "/api/v1/retrieval/process/web", {"url": "http://169.254.169.254/"}, 404),
        ("POST", "/api/v1/functions/create", {}, 404),
        ("POST", "/api/v1/configs/import", {}, 404),
        ("GET", "/api/v1/utils/db/download", None, 404),
        ("POST", "/api/v1/utils/code/execute", {}, 404),
    ],
}
"""What somebody who has signed in asks, and gets: nobody is sent anywhere by them."""


def answers(
    stack: Stack, asked: Sequence[tuple[str, str, object, int]], *words: str
) -> dict[tuple[str, str], tuple[int, int]]:
    """Ask everything; return what was answered, and what was wanted, where these differ."""
    found = {}
    for method, path, body, wanted in asked:
        data = body if isinstance(body, str) else json.dumps(body)
        sent = ("--header", "Content-Type: application/json", "--data", data) if body is not None else ()
        headers = [word for name, value in FORGED.items() for word in ("--header", f"{name}: {value}")]
        status, _body = stack.curl(path, "--path-as-is", "--request", method, *headers, *sent, *words, key=False)
        if status != wanted:
            found[method, path] = (status, wanted)
    return found


def test_somebody_without_a_session_gets_the_way_in_and_nothing_else(stack: Stack) -> None:
    assert answers(stack, OF_STRANGERS[stack.interface]) == {}


def test_somebody_with_a_session_gets_what_the_page_needs_and_nothing_else(
    stack: Stack, tmp_path: pathlib.Path
) -> None:
    assert answers(stack, OF_PEOPLE[stack.interface], *sign_in(stack, tmp_path)) == {}


def many(stack: Stack, count: int, path: str, *words: str) -> list[str]:
    """Ask many times at once; return the statuses."""
    common = ("--parallel", "--parallel-immediate", "--parallel-max", "200", "--output", "/dev/null")
    common = (*common, "--write-out", "%{http_code}\n")
    _status, printed = stack.curl(f"{path}?n=[1-{count}]", *common, *words, key=False)
    return printed.split()


def test_a_hundred_people_behind_one_address_ask_twice_at_once_and_none_is_sent_away(stack: Stack) -> None:
    words = ("--header", "Content-Type: application/json", "--data", "{}")
    statuses = many(stack, 200, interface_of(stack).guarded[1], *words)
    assert len(statuses) >= 199
    assert set(statuses) == {"401"}  # nobody has signed in


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
    sound = json.dumps({"model": stack.model, "prompt": "hello", "max_tokens": 1})
    assert stack.curl("/v1/completions", "--header", "Content-Type: application/json", "--data", sound)[0] == 200
    statuses = [int(found) for found in re.findall(rb"HTTP/1.1 (\d{3})", answer)]
    assert not {500, 502, 503, 504}.intersection(statuses), answer[:500]
    journal = f"journalctl --sync; journalctl --no-pager --output cat --identifier gpuchat_door --since @{started}"
    paths = {json.loads(line)["path"] for line in stack.on("engine", journal).splitlines() if line.startswith("{")}
    assert "/v1/completions" in paths, "nothing was looked at: what is sound has left no line"
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
