# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json
import shlex

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.verify import rooms
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.verify.site import (
    FAILED,
    INSIDE,
    NOT_CHECKED,
    OUTSIDE,
    PASSED,
    SHOWN_FILES,
    Row,
    Seen,
    Site,
    by_method,
    certificate_end,
    checks,
    choose,
    commands,
    not_checked,
    row,
    shown,
    table,
)

CLOSED = ("webapi/proxy", "trpc/lambda/user.getUserState,aiProvider.create")
GUARDED = {"GET": ("webapi/models/vllm",), "POST": ("trpc/lambda/aiChat.sendMessageInServer",)}
ROOM = {"closed_chat_paths": CLOSED, "guarded_chat_paths": GUARDED, "admin_email": "admin@chat.example.com"}
SITE = Site("chat.example.com", "qwen", answer="Hello!", address="10.0.0.1", **ROOM)
CHECKS = {check.name: check for check in checks(SITE)}


@pytest.mark.parametrize(
    ("ports", "url", "http_url"),
    [
        ((80, 443), "https://chat.example.com", "http://chat.example.com"),
        ((8080, 8443), "https://chat.example.com:8443", "http://chat.example.com:8080"),
    ],
    ids=["usual ports", "other ports"],
)
def test_a_site_has_addresses(ports, url, http_url):
    site = Site("chat.example.com", "qwen", http_port=ports[0], https_port=ports[1])
    assert (site.url, site.http_url) == (url, http_url)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"authority": False}, "", id="a public name and certificate"),
        pytest.param({}, " --cacert {authority}", id="a private authority"),
        pytest.param(
            {"address": "10.0.0.1", "authority": False},
            " --resolve c:443:10.0.0.1 --resolve c:80:10.0.0.1",
            id="a name that no DNS knows",
        ),
        pytest.param({"address": "c", "authority": False}, "", id="an address for a domain"),
    ],
)
def test_curl_reaches_the_edge_by_its_name(options, words):
    assert (
        " ".join(Site("c", "m", **options).curl("URL"))
        == f"curl --silent --show-error --noproxy * --max-time 120{words} URL"
    )


def test_the_rows_come_in_their_order_and_the_rate_limit_last():
    assert [(check.name, check.vantage) for check in checks(SITE)] == [
        ("certificate and protocol", INSIDE),
        ("plain HTTP is redirected", INSIDE),
        ("the sign-in page", INSIDE),
        ("/v1/models", INSIDE),
        ("a completion", INSIDE),
        ("a stream arrives in pieces", INSIDE),
        ("a tool call", INSIDE),
        ("a model that nobody serves is refused", INSIDE),
        ("the API refuses without a key", INSIDE),
        ("the API refuses with a wrong key", INSIDE),
        ("the engine's other paths are closed", INSIDE),
        ("the chat's other server paths are closed", INSIDE),
        ("the chat's server answers nobody who is not signed in", INSIDE),
        ("a forged header does not stand for a session", INSIDE),
        ("a stranger reads no file", INSIDE),
        ("nobody makes an account by themselves", INSIDE),
        ("a person signs in", INSIDE),
        ("a signed-in person gets an answer in pieces", INSIDE),
        ("a header of the person's own changes nothing", INSIDE),
        ("signed in, the same paths stay closed", INSIDE),
        ("the person signs out", INSIDE),
        ("a foreign address is refused", OUTSIDE),
        ("no other port is open", OUTSIDE),
        ("the rate limit", INSIDE),
    ]


SERVED = [
    {"name": "bge", "task": "embed", "tool_calls": False},
    {"name": "qwen", "task": "chat", "tool_calls": True},
    {"name": "llama", "task": "chat", "tool_calls": False},
    {"name": "sort", "task": "rerank", "tool_calls": False},
    {"name": "whisper", "task": "transcribe", "tool_calls": False},
]


def test_what_nobody_but_somebody_elses_server_has_named_is_listed_and_not_asked():
    live = {"name": "theirs", "task": "chat", "tool_calls": False, "live": True}
    site = Site("c", **choose([*SERVED, live]))
    assert "theirs" in site.names
    assert choose([live, *SERVED])["model"] == site.model == "qwen"
    assert "an answer of theirs" not in {one.name for one in checks(site)}


def test_the_first_model_that_chats_is_asked_most_and_each_other_one_once():
    site = Site("c", **choose(SERVED))
    assert (site.model, site.tool_call, site.names[1:]) == ("qwen", True, ("bge", "llama", "sort", "whisper"))
    named = [check.name for check in checks(site) if check.name.startswith("an answer of ")]
    assert named == [f"an answer of {name}" for name in site.others]


@pytest.mark.parametrize(
    ("name", "path", "right", "wrong"),
    [
        ("bge", "embeddings", {"data": [{"embedding": [0.5]}]}, {"data": []}),
        ("llama", "chat/completions", {"choices": [{"message": {"content": "hi"}}]}, {"choices": []}),
        ("sort", "rerank", {"results": [{"index": 0, "relevance_score": 0.5}]}, {"results": []}),
        ("whisper", "models", {"object": "list", "data": [{"id": "whisper"}]}, {"object": "list", "data": []}),
    ],
)
def test_a_further_model_is_asked_as_befits_what_it_does(name, path, right, wrong):
    check = {one.name: one for one in checks(Site("c", **choose(SERVED)))}[f"an answer of {name}"]
    assert check.command[-1] == f"https://c/v1/{path}"
    assert check.judge(api(right)) is None
    assert check.judge(api(wrong))


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        pytest.param(
            {"model": "m", "interface": "none", "admin_email": "a@b.c"},
            {"the sign-in page", "a person signs in", "nobody makes an account by themselves"},
            id="programs alone",
        ),
        pytest.param({"model": "m", "interface": "open_webui"}, {"a stranger reads no file"}, id="no object store"),
        pytest.param({"model": "m"}, {"a person signs in", "the person signs out"}, id="nobody signs in by password"),
        pytest.param(
            {"model": "m", "admin_email": "a@b.c", "asks_certificate": True},
            {"a person signs in", "the person signs out"},
            id="the edge asks for a certificate first",
        ),
        pytest.param(
            {"model": "m", "signup_open": True}, {"nobody makes an account by themselves"}, id="sign-up is open"
        ),
        pytest.param(choose(SERVED[:1]), {"a completion", "a tool call"}, id="no model that chats"),
    ],
)
def test_what_is_not_there_is_not_asked_for(options, missing):
    assert not missing & {check.name for check in checks(Site("c", **options))}


def test_a_model_without_tools_has_no_row_for_them():
    without = [check.name for check in checks(Site("c", "m", tool_call=False, **ROOM))]
    assert without == [name for name in CHECKS if name != "a tool call"]


def seen(stdout="", rc=0, stderr="", at=1.0):
    return Seen(rc, 0.0, [(at, line) for line in stdout.split("\n")] if stdout else [], stderr)


def page(body, status=200, kind="text/html; charset=utf-8"):
    return seen(f"{body}\n{status} {kind}")


def api(value, status=200):
    return page(json.dumps(value), status, "application/json")


def streamed(*times):
    chunks = [(at, 'data: {"choices": [{"delta": {"content": "x"}}]}') for at in times]
    return Seen(0, 0.0, [line for chunk in chunks for line in (chunk, (chunk[0], ""))] + [(times[-1], "data: [DONE]")])


def said(*pieces, end="stop", status=""):
    """Return a stream of LobeHub's: events with an identifier, a kind and a JSON text."""
    lines = []
    for at, text in pieces:
        lines += [(at, "id: 1"), (at, "event: text"), (at, f"data: {json.dumps(text)}"), (at, "")]
    last = pieces[-1][0] if pieces else 0.5
    lines += [(last, "id: 1"), (last, f"event: {end}"), (last, 'data: "end"'), (last, "")]
    return Seen(0, 0.0, lines + ([(last, status)] if status else []))


def message(**content):
    return api({"choices": [{"message": content}]})


def error(status):
    return api({"error": {"message": "no", "type": "x"}}, status)


def statuses(*words):
    return seen("\n".join(map(str, words)))


CALL = {"function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
MODELS = {"object": "list", "data": [{"id": "qwen"}]}
CURL_60 = """* SSL certificate problem: self-signed certificate
* Closing connection 0
curl: (60) SSL certificate problem: self-signed certificate
More details here: https://curl.se/docs/sslcerts.html

curl failed to verify the legitimacy of the server and therefore could not
establish a secure connection to it. To learn more about this situation and
how to fix it, please visit the web page mentioned above.
"""
REFUSED = "curl: (7) Failed to connect to chat.example.com port 443 after 1 ms: Couldn't connect to server\n"


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("certificate and protocol", seen(stderr="* SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384\n")),
        ("certificate and protocol", seen(stderr="* SSL connection using TLSv1.2 / ECDHE-ECDSA-AES256-GCM-SHA384\n")),
        ("plain HTTP is redirected", seen("301 https://chat.example.com/")),
        ("the sign-in page", page("<html>" + "x" * 1000)),
        ("/v1/models", api(MODELS)),
        ("a completion", message(content="Hello!")),
        ("a stream arrives in pieces", streamed(0.2, 0.5, 0.8)),
        ("a tool call", message(content=None, tool_calls=[CALL])),
        ("a model that nobody serves is refused", error(404)),
        ("the API refuses without a key", error(401)),
        ("the API refuses with a wrong key", error(401)),
        ("the engine's other paths are closed", statuses(404, 404)),
        ("the chat's other server paths are closed", statuses(404, 404)),
        ("the chat's server answers nobody who is not signed in", statuses(401, 401)),
        ("a forged header does not stand for a session", statuses(401)),
        ("a stranger reads no file", statuses(401)),
        ("a stranger reads no file", statuses(403)),
        ("nobody makes an account by themselves", statuses(404, 404)),
        ("a person signs in", page("", 200, "application/json")),
        ("a signed-in person gets an answer in pieces", said((0.2, "a"), (0.5, "b"), (0.8, "c"))),
        ("a header of the person's own changes nothing", said((0.2, "a"), status="200 text/event-stream")),
        ("signed in, the same paths stay closed", statuses(*[404] * 6)),
        ("the person signs out", page("", 200, "application/json")),
        ("a foreign address is refused", page("<html>Forbidden</html>", 403)),
        ("no other port is open", statuses(22, 80, 443)),
        ("no other port is open", statuses(443)),
        ("the rate limit", statuses(*[200] * 60, *[429] * 20)),
    ],
)
def test_a_row_is_green_where_the_site_does_what_was_wanted(name, answer):
    one = row(CHECKS[name], answer)
    assert (one.status, one.detail, one.cause, one.hint) == (PASSED, "", "", "")


@pytest.mark.parametrize(
    ("name", "answer", "detail"),
    [
        pytest.param(
            "certificate and protocol",
            seen(rc=60, stderr=CURL_60),
            "curl ended with 60, wanted a certificate that verifies "
            "(curl: (60) SSL certificate problem: self-signed certificate)",
            id="another authority",
        ),
        pytest.param(
            "certificate and protocol",
            seen(stderr="* SSL connection using TLSv1.1 / X"),
            "found no TLS 1.2 or 1.3 (* SSL connection using TLSv1.1 / X)",
            id="an old protocol",
        ),
        pytest.param(
            "plain HTTP is redirected",
            seen("200 "),
            "found '200', wanted '301 https://chat.example.com/'",
            id="HTTP is served",
        ),
        pytest.param(
            "plain HTTP is redirected",
            seen("301 https://other/"),
            "found '301 https://other/', wanted '301 https://chat.example.com/'",
            id="it leads elsewhere",
        ),
        pytest.param(
            "the sign-in page",
            page("Bad Gateway", 502),
            "found status 502 and 11 characters of text/html; charset=utf-8, wanted a page",
            id="chat down",
        ),
        pytest.param(
            "the sign-in page",
            page("x" * 2000, kind="application/json"),
            "found status 200 and 2000 characters of application/json, wanted a page",
            id="no page",
        ),
        pytest.param(
            "/v1/models",
            error(502),
            'found status 502, wanted 200: {"error": {"message": "no", "type": "x"}}',
            id="engine down",
        ),
        pytest.param(
            "/v1/models",
            api({**MODELS, "data": [{"id": "b"}]}),
            "found the models ['b'], wanted qwen among them",
            id="another model",
        ),
        pytest.param(
            "a completion", message(content="Bye"), "found the answer 'Bye', wanted 'Hello!'", id="another answer"
        ),
        pytest.param(
            "a stream arrives in pieces",
            streamed(0.9, 0.9, 0.9),
            "found 3 chunks in 1 arrivals within 0 ms of 900 ms, wanted chunks that arrive apart in time",
            id="proxy_buffering on",
        ),
        pytest.param(
            "a tool call",
            message(content="It rains"),
            'found no tool call in {"choices": [{"message": {"content": "It rains"}}]}, wanted one of get_weather',
            id="tool parser off",
        ),
        pytest.param(
            "the API refuses without a key", api(MODELS), "found status 200, wanted 401", id="key check removed"
        ),
        pytest.param(
            "the API refuses with a wrong key",
            page("Unauthorized", 401),
            "found null, wanted an error in OpenAI's JSON form",
            id="refusal not in OpenAI's form",
        ),
        pytest.param(
            "the engine's other paths are closed",
            statuses(200, 404),
            "found 200 for metrics, wanted 404 for each",
            id="metrics open",
        ),
        pytest.param(
            "the chat's other server paths are closed",
            statuses(404, 400),
            f"found 400 for {CLOSED[1]}, wanted 404 for each",
            id="the chat's server answers",
        ),
        pytest.param(
            "the chat's server answers nobody who is not signed in",
            statuses(401, 200),
            "found 200 for trpc/lambda/aiChat.sendMessageInServer, wanted 401 for each",
            id="no session is asked for",
        ),
        pytest.param(
            "a forged header does not stand for a session",
            statuses(200),
            "found 200 for webapi/chat/vllm, wanted 401 for each",
            id="the server believes a header",
        ),
        pytest.param(
            "a stranger reads no file",
            statuses(200),
            "found 200 for gpuchat-files/x, wanted 401 or 403 or 404 for each",
            id="files are open",
        ),
        pytest.param(
            "nobody makes an account by themselves",
            statuses(422, 404),
            "found 422 for api/auth/sign-up/email, wanted 404 for each",
            id="sign-up is open",
        ),
        pytest.param(
            "a person signs in",
            page("", 401, "application/json"),
            "found status 401, wanted 200",
            id="another password",
        ),
        pytest.param(
            "a signed-in person gets an answer in pieces",
            seen('{"errorType": "InvalidProviderAPIKey"}'),
            'found no end of the answer, wanted a whole stream; last: {"errorType": "InvalidProviderAPIKey"}',
            id="the interface does not reach the model",
        ),
        pytest.param(
            "a signed-in person gets an answer in pieces",
            said((0.2, "a"), (0.5, "b"), end="error"),
            'found no end of the answer, wanted a whole stream; last: data: "end"',
            id="the stream breaks off",
        ),
        pytest.param(
            "a signed-in person gets an answer in pieces",
            said((0.9, "a"), (0.9, "b"), (0.9, "c")),
            "found 3 chunks in 1 arrivals within 0 ms of 900 ms, wanted chunks that arrive apart in time",
            id="a proxy collects the answer",
        ),
        pytest.param(
            "a header of the person's own changes nothing",
            page("no route to 127.0.0.1:9", 500),
            "found status 500 and 'no route to 127.0.0.1:9', wanted the model's answer, as without it",
            id="the server goes where it is told",
        ),
        pytest.param(
            "signed in, the same paths stay closed",
            statuses(*[404] * 3, 200, 404, 404),
            "found 200 for webapi/chat/openai, wanted 404 for each",
            id="another provider is open",
        ),
        pytest.param("the person signs out", page("", 404), "found status 404, wanted 200", id="no way to sign out"),
        pytest.param(
            "a foreign address is refused",
            page("<html>", 200),
            "found status 200, wanted a refused connection, or 403",
            id="allow list emptied",
        ),
        pytest.param(
            "a foreign address is refused",
            seen(rc=28),
            "found status 0, wanted a refused connection, or 403",
            id="nothing answers",
        ),
        pytest.param(
            "no other port is open",
            statuses(22, 443, 8000, 3210),
            "found the ports 3210, 8000 open, wanted none but 22, 80, 443",
            id="a port opened",
        ),
        pytest.param(
            "no other port is open",
            seen(),
            "nothing answered, not even with a refusal, so the scan says nothing",
            id="nothing reached",
        ),
        pytest.param(
            "the rate limit", statuses(*[200] * 80), "found 80 x 200, wanted some 200 and some 429", id="no limit"
        ),
        pytest.param(
            "the rate limit",
            statuses(*[429] * 79, 502),
            "found 79 x 429, 1 x 502, wanted some 200 and some 429",
            id="nothing goes through",
        ),
        pytest.param(
            "the rate limit", seen(rc=7), "found no answer, wanted some 200 and some 429", id="nobody answers"
        ),
    ],
)
def test_a_row_is_red_with_what_was_found_its_cause_and_its_hint(name, answer, detail):
    check = CHECKS[name]
    one = row(check, answer)
    assert (one.status, one.detail, one.cause, one.hint) == (FAILED, detail, check.cause, check.hint)
    assert one.cause
    assert one.hint


@pytest.mark.parametrize("name", [name for name in CHECKS if CHECKS[name].command[0] == "curl"])
@pytest.mark.parametrize(
    "answer",
    [seen(rc=28, stderr="curl: (28) timeout"), page("<html>Bad Gateway</html>", 502), seen("\n\n")],
    ids=["a timeout", "a bad gateway", "blank lines"],
)
def test_no_row_is_green_where_the_site_is_down(name, answer):
    one = row(CHECKS[name], answer)
    assert one.status == FAILED
    assert "found ," not in one.detail


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_a_shown_command_has_no_placeholder_left_and_can_be_typed(check):
    text = shown(check.command)
    assert not [place for place in SHOWN_FILES if place in text]
    assert "\n" not in text
    assert shlex.split(text)[0] in ("curl", "nmap")


def test_a_shown_command_asks_the_same_as_the_one_that_was_run():
    check = CHECKS["a completion"]
    files = {"@{key}": "@key.header", "{authority}": "gpuchat-ca.crt"}
    run = [files.get(word, word).replace("\n", "\\n") for word in check.command]
    assert shlex.split(shown(check.command)) == run
    assert json.loads(run[run.index("--data") + 1])["messages"] == [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_a_command_takes_its_key_from_a_file(check):
    headers = [check.command[at + 1] for at, word in enumerate(check.command) if word == "--header"]
    room = rooms.ROOMS["lobehub"]
    plain = {"Content-Type: application/json", "Origin: https://chat.example.com", room.forged, room.spoiled}
    assert set(headers) <= {"@{key}", "@{wrong_key}", *plain}
    assert not any("authorization" in word.lower() or "bearer" in word.lower() for word in check.command)


def test_a_person_signs_in_once_by_a_password_from_a_file_and_all_that_needs_it_comes_between():
    rows = [check for check in checks(SITE) if check.needs or check.name == "a person signs in"]
    assert [check.name for check in rows if "@{account}" in check.command] == ["a person signs in"]
    assert (rows[0].attempts, rows[0].needs, rows[-1].name) == (1, "", "the person signs out")
    assert all(check.alone for check in rows)
    assert all("{session}" in check.command for check in rows)


@pytest.mark.parametrize(
    ("kind", "page", "chat"),
    [("lobehub", "signin", "webapi/chat/vllm"), ("open_webui", "auth", "api/chat/completions")],
)
def test_each_interface_is_asked_by_its_own_paths(kind, page, chat):
    named = {check.name: check.command[-1] for check in checks(Site("c", "m", interface=kind, **ROOM))}
    assert named["the sign-in page"] == f"https://c/{page}"
    assert named["a signed-in person gets an answer in pieces"] == f"https://c/{chat}"


def test_open_webui_streams_as_the_model_itself():
    named = {check.name: check for check in checks(Site("c", "m", interface="open_webui", **ROOM))}
    assert named["a signed-in person gets an answer in pieces"].judge(streamed(0.2, 0.5, 0.8)) is None


def test_what_people_think_aloud_arrives_in_pieces_too():
    lines = [(0.1, "event: reasoning"), (0.1, 'data: "hm"'), (0.2, "event: text"), (0.2, "data: null")]
    lines += [(0.3, "event: text"), (0.3, 'data: "a"'), (0.4, "event: stop"), (0.4, 'data: "stop"')]
    assert rooms.text_and_arrivals("lobehub", lines) == ("a", [0.1, 0.3], True)


def test_the_header_that_anybody_can_write_is_the_one_that_the_server_reads():
    name, said_of = rooms.ROOMS["lobehub"].forged.split(": ")
    word = "LobeHub \u00b7 LobeHub".encode()
    plain = bytes(one ^ word[at % len(word)] for at, one in enumerate(base64.b64decode(said_of)))
    assert (name, json.loads(plain)["userId"]) == ("X-lobe-chat-auth", "nobody")
    assert rooms._hidden({}) == "NxI="


def test_what_is_for_people_who_are_signed_in_is_asked_by_the_method_that_it_takes():
    command = " ".join(CHECKS["the chat's server answers nobody who is not signed in"].command)
    first, second = command.split(" --next ")
    assert "--data" not in first
    assert "--data {}" in second
    assert first.endswith("/{webapi/models/vllm}")
    assert second.endswith("/{trpc/lambda/aiChat.sendMessageInServer}")


def test_examples_are_sorted_by_their_methods():
    examples = [("GET", "a"), ("POST", "b"), ("GET", "c")]
    found = by_method({"method": method, "path": path} for method, path in examples)
    assert found == {"GET": ("a", "c"), "POST": ("b",)}


def test_a_path_with_signs_that_curl_reads_as_a_list_is_asked_as_it_is():
    command = CHECKS["the chat's other server paths are closed"].command
    assert command[-1] == "https://chat.example.com/{webapi/proxy,trpc/lambda/user.getUserState\\,aiProvider.create}"


def test_the_rate_limit_is_asked_more_often_than_it_lets_through():
    check = {one.name: one for one in checks(Site("c", "m", rate=3, burst=5))}["the rate limit"]
    assert check.command[-1] == "https://c/v1/models?n=[1-17]"


ROWS = [
    Row("page", INSIDE, PASSED, "", "curl a"),
    Row("ports", OUTSIDE, NOT_CHECKED, "gpuchat_probe_host is not set", "nmap b"),
    Row("a stream", INSIDE, FAILED, "found 1 chunk", "curl c", "a proxy collects", "set it off"),
]


def test_a_table_tells_each_rows_state_and_each_failures_cause_hint_and_command():
    assert table(ROWS) == (
        "  page      inside   ok\n"
        "  ports     outside  not checked  gpuchat_probe_host is not set\n"
        "  a stream  inside   FAILED       found 1 chunk\n"
        "      likely: a proxy collects\n"
        "      do:     set it off\n"
        "      see:    curl c"
    )


def test_commands_are_listed_to_be_repeated_by_hand():
    site = Site("c", "m", address="10.0.0.1")
    rows = [row(check, seen(rc=7)) for check in checks(site)[:2]]
    resolve = "--resolve c:443:10.0.0.1 --resolve c:80:10.0.0.1"
    head = f"curl --silent --show-error --noproxy '*' --max-time 120 {resolve} --cacert gpuchat-ca.crt"
    assert commands(site, [*rows, ROWS[1]]).splitlines() == [
        f'  edge() {{ {head} "$@"; }}',
        "  # certificate and protocol (inside)",
        "  edge --verbose --head --output /dev/null https://c/",
        "  # plain HTTP is redirected (inside)",
        "  edge --output /dev/null --write-out '%{http_code} %{redirect_url}' http://c/",
        "  # ports (outside)",
        "  nmap b",
    ]


@pytest.mark.parametrize("site", [SITE, Site("c", "m", authority=False)], ids=["private", "public"])
def test_a_listed_command_is_the_rows_own(site):
    rows = [row(check, seen(rc=7)) for check in checks(site)]
    head, *listed = commands(site, rows).splitlines()
    common = head.strip().removeprefix("edge() { ").removesuffix(' "$@"; }')
    assert [line.strip().replace("edge ", f"{common} ", 1) for line in listed[1::2]] == [one.command for one in rows]


def test_a_row_that_was_not_checked_is_never_green():
    one = not_checked(CHECKS["a foreign address is refused"], "gpuchat_probe_host is not set")
    assert (one.status, one.detail) == (NOT_CHECKED, "gpuchat_probe_host is not set")


@pytest.mark.parametrize(
    ("open_ports", "said"),
    [
        ((22,), None),
        ((22, 8000), "found the ports 8000 open, wanted none but 22"),
        ((443,), "found the ports 443 open, "),
    ],
)
def test_each_host_behind_the_edge_has_a_row_of_its_own_where_ssh_alone_may_be_open(open_ports, said):
    site = Site("c", "m", behind={"g1": "10.0.1.5", "g2": ""})
    first, second = [check for check in checks(site) if check.name.startswith("no port of ")]
    assert (first.name, first.command[-1], second.command[-1]) == ("no port of g1 is open", "10.0.1.5", "g2")
    found = first.judge(statuses(*open_ports))
    assert (found or "").startswith(said or "")
    assert (found is None) == (said is None)


PLAIN = Site("chat.example.com", "qwen", address="10.0.0.1", http_port=8080, plain=True)


def test_without_tls_everything_is_asked_by_http_and_the_first_row_says_what_that_means():
    rows = checks(PLAIN)
    assert PLAIN.url == "http://chat.example.com:8080"
    assert not [check for check in rows if "https://" in " ".join(check.command)]
    assert rows[0].name == "plain HTTP, which everybody on the way reads"
    made = row(rows[0], seen("302 "))
    assert made.status == PASSED
    assert made.warning.startswith("nothing is encrypted: everybody on the way can read")
    assert row(rows[0], seen("403 ")).status == FAILED


def test_where_a_directory_asks_by_http_strangers_are_shown_to_get_nothing_else():
    (check,) = [one for one in checks(Site("c", "m", open_to_directory=True)) if one.name not in CHECKS]
    assert (check.name, check.vantage) == ("a foreign address gets nothing by plain HTTP", OUTSIDE)
    assert check.judge(seen("403\n403\n403\n403\n403")) is None
    assert check.judge(seen("403\n200\n403\n403\n403")) == "found 200 for /v1/models, wanted 403 for each"
    assert check.judge(seen("403")) == "found 1 answers, wanted 5"


def lived(end, date="Tue, 01 Jan 2030 00:00:00 GMT", begin="Jan  1 00:00:00 2029 GMT"):
    """Return what curl says of a certificate."""
    dates = f"*  start date: {begin}\n*  expire date: {end}\n< HTTP/2 302 \n< date: {date}\n"
    return seen(stderr=f"* SSL connection using TLSv1.3 / X\n{dates}")


@pytest.mark.parametrize(
    ("what", "detail", "warns"),
    [
        pytest.param(lived("Jan 16 00:00:00 2030 GMT"), "ends on 2030-01-16", False, id="in time"),
        pytest.param(lived("Jan 14 00:00:00 2030 GMT"), "ends on 2030-01-14", True, id="two weeks before"),
        pytest.param(
            lived("Jan  3 00:00:00 2030 GMT", begin="Dec 28 00:00:00 2029 GMT"), "ends on 2030-01-03", False, id="short"
        ),
        pytest.param(
            lived("Jan  1 20:00:00 2030 GMT", begin="Dec 26 20:00:00 2029 GMT"), "ends on 2030-01-01", True, id="late"
        ),
        pytest.param(seen(stderr="* SSL connection using TLSv1.3 / X"), "", False, id="a curl that says nothing of it"),
        pytest.param(lived("soon GMT"), "", False, id="another form"),
    ],
)
def test_the_end_of_the_certificate_is_shown_and_told_in_time(what, detail, warns):
    made = row(CHECKS["certificate and protocol"], what)
    assert (made.status, made.detail, bool(made.warning)) == (PASSED, detail, warns)
    assert "playbooks/renew.yml" in made.warning or not warns


@pytest.mark.parametrize(
    ("detail", "status", "end"),
    [("ends on 2030-01-16", PASSED, "2030-01-16"), ("", PASSED, ""), ("curl ended with 7", FAILED, "")],
)
def test_programs_are_told_the_end_of_the_certificate(detail, status, end):
    other = Row("/v1/models", INSIDE, PASSED, "ends on 2031-01-16", "c")
    assert certificate_end([other, Row("certificate and protocol", INSIDE, status, detail, "c")]) == end
    assert certificate_end([other]) == ""
