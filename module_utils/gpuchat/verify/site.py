# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof at the end: what is asked of the finished site, from inside and outside, and how answers are judged."""

from __future__ import annotations

import datetime
import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from ..core.errors import Refusal
from . import openai_api, rooms

INSIDE, OUTSIDE = "inside", "outside"
PASSED, FAILED, NOT_CHECKED = "passed", "failed", "not checked"
AUTHORITY_FILE, KEY_FILE, WRONG_KEY_FILE = "{authority}", "{key}", "{wrong_key}"
ACCOUNT_FILE, SESSION_FILE = "{account}", "{session}"
"""Places in a command that stand for files which the runner makes and an operator brings."""

SHOWN_FILES = {
    AUTHORITY_FILE: "gpuchat-ca.crt",
    KEY_FILE: "key.header",
    WRONG_KEY_FILE: "wrong-key.header",
    ACCOUNT_FILE: "account.json",
    SESSION_FILE: "session.cookies",
}

NAME_IS_UNKNOWN, NOT_CONNECTED = 6, 7
"""Exit statuses of curl."""

REFUSED = "refused"
"""What a scan says, beside the open ports, where the host refused another."""

SIGN_IN = "a person signs in"
"""The row on which those of a person who is signed in hang."""

CERTIFICATE, ENDS = "certificate and protocol", "ends on "
"""The row that sees the certificate, and how it says when that ends."""

SOON = datetime.timedelta(days=14)
"""How long before its end a certificate has to have been renewed."""

STATUS_TAIL = "\n%{http_code} %{content_type}"


@dataclass(frozen=True)
class Site:
    """The site as its owner wants it.

    Attributes:
        address: IP address of the edge, for a domain that no DNS knows yet; empty to leave it to DNS.
        model: the one that people meet first; empty where none chats.
        others: what each further model does, by name.
        authority: whether the certificate comes from a private authority.
        interface: what people chat with here, a key of ``rooms.ROOMS``; empty for programs alone.
        answer: the exact answer to ``question``; empty for any.
        tool_call: whether the model was asked to call tools.
        rate: requests a second that one address may make to the API.
        burst: further requests that are let through at once.
        open_ports: TCP ports that may be reachable from outside.
        behind: hosts of the stack without an edge, each with the address at which the control node reaches it.
        closed_paths: paths of the engine that nobody may reach.
        closed_chat_paths: paths of the chat's own server that nobody may reach, as they are sent.
        guarded_chat_paths: paths of it that those alone reach who are signed in, by the method that they take.
        signup_open: whether everybody makes themselves an account.
        admin_email: by which the administrator signs in; empty to sign nobody in.
        plain: whether there is no TLS, and people are served by plain HTTP.
        open_to_directory: whether everybody reaches the port of plain HTTP, for an ACME directory's one path.
        asks_certificate: whether people show one before they see the chat; nobody shows one here.
        asks_password: whether they give one; nobody gives one here.
        asks_signin: whether they sign in with a server of the owner's; nobody does here.
    """

    domain: str
    model: str
    address: str = ""
    others: Mapping[str, str] = field(default_factory=dict)
    authority: bool = True
    interface: str = rooms.LOBEHUB
    http_port: int = 80
    https_port: int = 443
    question: str = "hello"
    answer: str = ""
    long_question: str = ""
    tool_call: bool = True
    rate: int = 10
    burst: int = 40
    open_ports: tuple[int, ...] = (22, 80, 443)
    behind: Mapping[str, str] = field(default_factory=dict)
    closed_paths: tuple[str, ...] = ("metrics", "health")
    closed_chat_paths: tuple[str, ...] = ()
    guarded_chat_paths: Mapping[str, Sequence[str]] = field(default_factory=dict)
    signup_open: bool = False
    admin_email: str = ""
    plain: bool = False
    open_to_directory: bool = False
    asks_certificate: bool = False
    asks_password: bool = False
    asks_signin: bool = False

    @property
    def room(self) -> rooms.Room | None:
        """The interface; None where there is none."""
        return rooms.ROOMS.get(self.interface)

    @property
    def is_asked_before(self) -> bool:
        """Whether the edge itself wants something of people before they see the interface."""
        return self.asks_certificate or self.asks_password or self.asks_signin

    @property
    def names(self) -> tuple[str, ...]:
        """Every model that is served."""
        return (*((self.model,) if self.model else ()), *self.others)

    @property
    def url(self) -> str:
        if self.plain:
            return self.http_url
        return f"https://{self.domain}" + ("" if self.https_port == 443 else f":{self.https_port}")

    @property
    def http_url(self) -> str:
        return f"http://{self.domain}" + ("" if self.http_port == 80 else f":{self.http_port}")

    def curl(self, *words: str) -> tuple[str, ...]:
        """Return a curl command that reaches the edge by its name, trusts its authority, and says little else."""
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "120"]
        if self.address and self.address != self.domain:
            for port in (self.http_port,) if self.plain else (self.https_port, self.http_port):
                command += ["--resolve", f"{self.domain}:{port}:{self.address}"]
        if self.authority:
            command += ["--cacert", AUTHORITY_FILE]
        return (*command, *words)


@dataclass(frozen=True)
class Seen:
    """What a command left: lines of standard output with their arrival times (seconds), and the rest."""

    rc: int
    started: float
    lines: Sequence[tuple[float, str]]
    stderr: str = ""

    @property
    def stdout(self) -> str:
        return "\n".join(line for _when, line in self.lines)

    @property
    def status(self) -> int:
        """HTTP status from the tail that ``STATUS_TAIL`` makes curl write; 0 where there is none."""
        word = self.lines[-1][1].split(" ")[0] if self.lines else ""
        return int(word) if word.isdigit() else 0

    @property
    def content_type(self) -> str:
        return self.lines[-1][1].partition(" ")[2] if self.lines else ""

    @property
    def body(self) -> str:
        return "\n".join(line for _when, line in self.lines[:-1])

    def json(self) -> object:
        try:
            return json.loads(self.body)
        except ValueError:
            return None


Judge = Callable[[Seen], "str | None"]


@dataclass(frozen=True)
class Check:
    """One row of the table: a command, how its output is judged, and what a failure likely means.

    Attributes:
        attempts: how often the command is made until it passes, where a busy machine can spoil one.
        alone: others beside it would spoil it, or it them; it is made after all that are not.
        needs: the row that has to pass before it can be made; empty for none.
        note: what the operator is to know of one that passed.
        warning: what the operator is to do before it fails.
    """

    name: str
    vantage: str
    command: tuple[str, ...]
    judge: Judge
    cause: str
    hint: str
    attempts: int = 1
    alone: bool = False
    needs: str = ""
    note: Callable[[Seen], str] = lambda _seen: ""
    warning: Callable[[Seen], str] = lambda _seen: ""


@dataclass(frozen=True)
class Row:
    """One finished row; ``command`` can be repeated by the operator."""

    name: str
    vantage: str
    status: str
    detail: str
    command: str
    cause: str = ""
    hint: str = ""
    warning: str = ""


LISTED = "listed"
"""In place of a task, of a model that nobody but somebody else's server has named: it is not asked."""


def choose(models: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return the part of a `Site` that says what is served, from models with ``name``, ``task`` and ``tool_calls``."""
    chatting = sorted((one for one in models if one["task"] == "chat"), key=lambda one: bool(one.get("live")))
    first = next(iter(chatting), {})
    return {
        "model": str(first.get("name", "")),
        "tool_call": bool(first.get("tool_calls")),
        # Somebody else's server may load each of the models that it lists for one question.
        "others": {
            str(one["name"]): LISTED if one.get("live") else str(one["task"]) for one in models if one is not first
        },
    }


def by_method(examples: Iterable[Mapping[str, object]]) -> dict[str, tuple[str, ...]]:
    """Return paths with ``method`` and ``path`` by their methods."""
    found: dict[str, tuple[str, ...]] = {}
    for one in examples:
        method = str(one["method"])
        found[method] = (*found.get(method, ()), str(one["path"]))
    return found


def rows_of(entries: Iterable[Mapping[str, object]]) -> tuple[Row, ...]:
    """Read rows that another run of the module returned.

    Raises:
        Refusal: an entry is none.
    """
    known = {field.name for field in fields(Row)}
    needed = {"name", "vantage", "status", "detail", "command"}
    for entry in entries:
        if not needed <= set(entry) <= known:
            raise Refusal(
                f"found the row {dict(entry)}; wanted one with {', '.join(sorted(needed))}, as this module returns "
                "them; set rows to those of an earlier task"
            )
    return tuple(Row(**{name: str(value) for name, value in entry.items()}) for entry in entries)


def shown(command: Sequence[str]) -> str:
    """Return a command as a person would type it, with file names in place of the runner's own."""
    words = []
    for word in command:
        shown_word = word.replace("\n", "\\n")
        for place, name in SHOWN_FILES.items():
            shown_word = shown_word.replace(place, name)
        words.append(shlex.quote(shown_word))
    return " ".join(words)


def row(check: Check, seen: Seen) -> Row:
    """Judge what a check's command left."""
    word = check.judge(seen)
    if word is None:
        note, warning = check.note(seen), check.warning(seen)
        return Row(check.name, check.vantage, PASSED, note, shown(check.command), warning=warning)
    if seen.stderr.strip():
        said = seen.stderr.strip().splitlines()
        word = f"{word} ({next((line for line in said if line.startswith('curl: (')), said[-1])})"
    cause, hint = _plainer(check, seen) or (check.cause, check.hint)
    return Row(check.name, check.vantage, FAILED, word, shown(check.command), cause, hint)


def _plainer(check: Check, seen: Seen) -> tuple[str, str] | None:
    """Return cause and fix where the symptom itself shows them, whatever was checked."""
    if seen.rc == NAME_IS_UNKNOWN:
        return "no DNS knows the name", "enter it, or set verify_address to the edge's address"
    if check.vantage == INSIDE and seen.status == 403:
        return "the control node is in none of the allowed networks", "add its network to gpuchat_allowed_networks"
    return None


def certificate_end(rows: Iterable[Row]) -> str:
    """Return the day on which the site's certificate ends, in ISO form; nothing where no row has seen it."""
    said = next((one.detail for one in rows if one.name == CERTIFICATE), "")
    return said[len(ENDS) :] if said.startswith(ENDS) else ""


def not_checked(check: Check, why: str) -> Row:
    return Row(check.name, check.vantage, NOT_CHECKED, why, shown(check.command))


def checks(site: Site) -> tuple[Check, ...]:
    """Return every row's check, in the order in which they are made; the rate limit's comes last, for it uses it up."""
    rows = [_unprotected(site)] if site.plain else [_certificate(site), _redirect(site)]
    rows += [_page(site, site.room)] if site.room else []
    rows.append(_models(site))
    rows += [_completion(site), _stream(site)] if site.model else []
    rows += [_tool_call(site)] if site.model and site.tool_call else []
    # That those are listed is seen with all others.
    rows += [_other(site, name, task) for name, task in site.others.items() if task != LISTED]
    rows.append(_unknown(site))
    rows += [_key(site, "without a key", ()), _key(site, "with a wrong key", ("--header", f"@{WRONG_KEY_FILE}"))]
    rows.append(_engine_paths(site))
    rows += _closed_room(site, site.room) if site.room else []
    rows += _signed_in(site, site.room) if site.room and site.admin_email and not site.is_asked_before else []
    rows.append(_foreign(site))
    rows += [_foreign_plain(site)] if site.open_to_directory else []
    rows.append(_ports(site))
    rows += [_behind(site, host, address) for host, address in site.behind.items()]
    rows.append(_rate_limit(site))
    return tuple(rows)


def _certificate(site: Site) -> Check:
    def judge(seen: Seen) -> str | None:
        if seen.rc != 0:
            return f"curl ended with {seen.rc}, wanted a certificate that verifies"
        protocol = next((word for word in ("TLSv1.3", "TLSv1.2") if f"using {word}" in seen.stderr), "")
        return None if protocol else "found no TLS 1.2 or 1.3"

    return Check(
        CERTIFICATE,
        INSIDE,
        site.curl("--verbose", "--head", "--output", "/dev/null", site.url + "/"),
        judge,
        "the certificate is not for this name, has ended, or comes from another authority; or nothing answers at all",
        "look at edge_tls, edge_certificate_file, gpuchat_domain and edge_extra_names, and run the playbook again",
        note=lambda seen: f"{ENDS}{found.end:%Y-%m-%d}" if (found := _life(seen)) else "",
        warning=_ends_soon,
    )


@dataclass(frozen=True)
class _Life:
    """When a certificate begins and ends, and when it was looked at, by the server's own clock."""

    begin: datetime.datetime
    end: datetime.datetime
    seen: datetime.datetime


def _life(seen: Seen) -> _Life | None:
    """Read what curl says of a certificate and the server of the time; None where it does not."""
    found = [_time(seen.stderr, mark) for mark in (r"start date:", r"expire date:", r"< date: \w+,")]
    return _Life(*found) if all(found) else None  # type: ignore[arg-type]


def _time(text: str, mark: str) -> datetime.datetime | None:
    line = re.search(rf"{mark} (.*) GMT", text, re.IGNORECASE)
    words = line[1].split() if line else []
    day_first = len(words) == 4 and words[0].isdigit()
    order = (1, 0, 3, 2) if day_first else (0, 1, 2, 3)
    try:
        plain = " ".join(words[place] for place in order)
        return datetime.datetime.strptime(f"{plain} +0000", "%b %d %H:%M:%S %Y %z")
    except (IndexError, ValueError):
        return None


def _ends_soon(seen: Seen) -> str:
    """Warn while there is time: two weeks before the end, or in the last sixth of a short life."""
    life = _life(seen)
    if life is None or life.end - life.seen > min(SOON, (life.end - life.begin) / 6):
        return ""
    return (
        f"the site's certificate ends on {life.end:%Y-%m-%d at %H:%M} UTC, and nothing has renewed it; run "
        "playbooks/renew.yml, or look at `journalctl -u gpuchat-acme` on the edge host where edge_tls is acme"
    )


def _unprotected(site: Site) -> Check:
    """Return the row that says what edge_tls none means."""

    def judge(seen: Seen) -> str | None:
        return None if seen.status in (200, 302) else f"found status {seen.status}, wanted an answer by plain HTTP"

    words = "nothing is encrypted: everybody on the way can read and change what people say, and the keys"
    return Check(
        "plain HTTP, which everybody on the way reads",
        INSIDE,
        site.curl("--write-out", STATUS_TAIL, "--output", "/dev/null", site.url + "/"),
        judge,
        "another program answers on the port of plain HTTP, or none",
        "free the port or set edge_http_port",
        note=lambda _seen: "as edge_tls says",
        warning=lambda _seen: f"{words}; set edge_tls to selfsigned where you can",
    )


def _redirect(site: Site) -> Check:
    def judge(seen: Seen) -> str | None:
        wanted = f"301 {site.url}/"
        return None if seen.stdout.strip() == wanted else f"found {seen.stdout.strip()!r}, wanted {wanted!r}"

    tail = "%{http_code} %{redirect_url}"
    return Check(
        "plain HTTP is redirected",
        INSIDE,
        site.curl("--output", "/dev/null", "--write-out", tail, site.http_url + "/"),
        judge,
        "another program answers on the port of plain HTTP",
        "free the port or set edge_http_port",
    )


def _page(site: Site, room: rooms.Room) -> Check:
    shown_first = {
        "a certificate": site.asks_certificate,
        "a password": site.asks_password,
        "a sign-in": site.asks_signin,
    }
    asked = " and ".join(name for name, is_asked in shown_first.items() if is_asked)
    refused = (403,) if site.asks_certificate else (302, 401) if site.asks_signin else (401,)
    # A page that redirects nobody by itself, where the answer may be a redirect to the owner's server.
    words = (site.url + "/manifest.json",) if site.asks_signin else ("--location", f"{site.url}/{room.page}")

    def judge(seen: Seen) -> str | None:
        if asked:
            wanted = " or ".join(map(str, refused))
            return None if seen.status in refused else f"found status {seen.status}, wanted {wanted} without {asked}"
        if seen.status == 200 and "text/html" in seen.content_type and len(seen.body) > 1000:
            return None
        return f"found status {seen.status} and {len(seen.body)} characters of {seen.content_type}, wanted a page"

    return Check(
        "the sign-in page",
        INSIDE,
        site.curl("--write-out", STATUS_TAIL, *words),
        judge,
        f"the edge does not ask for {asked}" if asked else f"{room.name} is not running, or not its database",
        CHANGED_EDGE if asked else _its_log(room),
        note=lambda _seen: f"people show {asked} first" if asked else "",
    )


def _its_log(room: rooms.Room) -> str:
    return (
        f"look at its log on the chat host (docker logs or journalctl -u {room.service}), and run playbooks/doctor.yml"
    )


def _api(site: Site, path: str, *words: str) -> tuple[str, ...]:
    return site.curl("--header", f"@{KEY_FILE}", *words, "--write-out", STATUS_TAIL, f"{site.url}/v1/{path}")


def _post(site: Site, body: openai_api.Json, path: str = "chat/completions") -> tuple[str, ...]:
    data = json.dumps(body, ensure_ascii=False)
    return _api(site, path, "--header", "Content-Type: application/json", "--data", data)


def _ok(seen: Seen) -> str | None:
    return None if seen.status == 200 else f"found status {seen.status}, wanted 200: {seen.body[:300]}"


CHANGED_EDGE = "look for changes in /etc/gpuchat/edge on the edge host, and run the playbook again"
ENGINE_DOWN = "the model server is not running, or does not serve this model"
ENGINE_CURE = "look at its log on the GPU host (docker logs or journalctl -u gpuchat-vllm-NAME)"


def _models(site: Site) -> Check:
    return Check(
        "/v1/models",
        INSIDE,
        _api(site, "models"),
        lambda seen: _ok(seen) or openai_api.judge_models(seen.json(), site.names),
        ENGINE_DOWN,
        ENGINE_CURE,
    )


def _completion(site: Site) -> Check:
    return Check(
        "a completion",
        INSIDE,
        _post(site, openai_api.chat(site.model, site.question)),
        lambda seen: _ok(seen) or openai_api.judge_completion(seen.json(), site.answer),
        ENGINE_DOWN,
        ENGINE_CURE,
    )


def _stream(site: Site) -> Check:
    question = site.long_question or site.question
    return Check(
        "a stream arrives in pieces",
        INSIDE,
        site.curl(
            # Over HTTP/2, nginx hands on each chunk even where it buffers (seen with 1.26): HTTP/1.1 shows the truth.
            "--http1.1",
            "--no-buffer",
            *("--header", f"@{KEY_FILE}", "--header", "Content-Type: application/json"),
            *("--data", json.dumps(openai_api.chat(site.model, question, stream=True), ensure_ascii=False)),
            f"{site.url}/v1/chat/completions",
        ),
        lambda seen: openai_api.judge_stream([line for line in seen.lines if line[1]], seen.started),
        "a proxy on the way collects the answer before it hands it on",
        "keep proxy_buffering off on the edge, and look for a further proxy in front of it",
        attempts=openai_api.STREAM_ATTEMPTS,
        alone=True,
    )


def _tool_call(site: Site) -> Check:
    return Check(
        "a tool call",
        INSIDE,
        _post(site, openai_api.chat(site.model, openai_api.WEATHER_QUESTION, tool=True)),
        lambda seen: _ok(seen) or openai_api.judge_tool_call(seen.json()),
        "the model server runs without the tool parser that this model needs",
        "set vllm_tool_call_parser to the one for this model's family",
    )


def _other(site: Site, name: str, task: str) -> Check:
    """Return the check that a further model answers, in the way that befits what it does."""
    asked: dict[str, tuple[tuple[str, ...], Callable[[object], str | None]]] = {
        "chat": (_post(site, openai_api.chat(name, site.question, max_tokens=16)), openai_api.judge_completion),
        "embed": (_post(site, openai_api.embedding(name, site.question), "embeddings"), openai_api.judge_embedding),
        "rerank": (_post(site, openai_api.rerank(name, site.question), "rerank"), openai_api.judge_rerank),
    }
    # Speech has to be sent to one that writes it down; that it is served at all is what the list of models says.
    listed = (_api(site, "models"), lambda answer: openai_api.judge_models(answer, (name,)))
    command, judge = asked.get(task, listed)
    return Check(
        f"an answer of {name}",
        INSIDE,
        command,
        lambda seen: _ok(seen) or judge(seen.json()),
        ENGINE_DOWN,
        ENGINE_CURE,
    )


def _unknown(site: Site) -> Check:
    def judge(seen: Seen) -> str | None:
        if seen.status != 404:
            return f"found status {seen.status}, wanted 404"
        return openai_api.judge_error(seen.json())

    return Check(
        "a model that nobody serves is refused",
        INSIDE,
        _post(site, openai_api.chat("gpuchat-no-such-model", site.question)),
        judge,
        "the edge does not look at the model's name",
        CHANGED_EDGE,
    )


def _key(site: Site, how: str, words: tuple[str, ...]) -> Check:
    def judge(seen: Seen) -> str | None:
        if seen.status != 401:
            return f"found status {seen.status}, wanted 401"
        return openai_api.judge_error(seen.json())

    return Check(
        f"the API refuses {how}",
        INSIDE,
        site.curl(*words, "--write-out", STATUS_TAIL, f"{site.url}/v1/models"),
        judge,
        "the edge does not check the key",
        CHANGED_EDGE,
    )


def _refused(
    site: Site,
    name: str,
    paths: Sequence[str] | Mapping[str, Sequence[str]],
    words: tuple[str, ...] = (),
    cause: str = "",
    wanted: Sequence[int] = (404,),
    needs: str = "",
) -> Check:
    """Return the check that each of some paths is refused by one of some statuses, exactly as it is written.

    Args:
        paths: by method, where they are not all asked in the same way.
    """
    by_method = paths if isinstance(paths, Mapping) else {"": paths}
    asked = [path for some in by_method.values() for path in some]
    fitting = (403,) if site.asks_certificate else wanted
    word = " or ".join(map(str, fitting))

    def judge(seen: Seen) -> str | None:
        statuses = seen.stdout.split()
        if len(statuses) != len(asked):
            return f"found {len(statuses)} answers, wanted {len(asked)}"
        wrong = [f"{status} for {path}" for path, status in zip(asked, statuses) if status not in map(str, fitting)]
        return f"found {', '.join(wrong)}, wanted {word} for each" if wrong else None

    command: tuple[str, ...] = ()
    for method, some in by_method.items():
        how = (*JSON_BODY, "--data", "{}") if method == "POST" else ()
        once = site.curl(*words, *how, "--path-as-is", "--output", "/dev/null", "--write-out", "%{http_code}\\n")
        # curl reads braces, brackets and commas as a list of its own.
        each = ",".join(re.sub(r"([\\{}\[\],])", r"\\\1", path) for path in some)
        command += (*(("--next", *once[1:]) if command else once), f"{site.url}/{{{each}}}")
    return Check(name, INSIDE, command, judge, cause, CHANGED_EDGE, needs=needs, alone=bool(needs))


def _engine_paths(site: Site) -> Check:
    key = ("--header", f"@{KEY_FILE}")
    cause = "the edge hands on more than the paths of the API"
    return _refused(site, "the engine's other paths are closed", site.closed_paths, key, cause)


JSON_BODY = ("--header", "Content-Type: application/json")


def _closed_room(site: Site, room: rooms.Room) -> list[Check]:
    """Return what people cannot do who are not signed in."""
    unasked = (401, 302) if site.asks_signin else (401,)
    cause = "the edge hands on more of the chat's own server than its page asks for"
    found = [
        _refused(site, "the chat's other server paths are closed", site.closed_chat_paths, (), cause),
        _refused(
            site,
            "the chat's server answers nobody who is not signed in",
            site.guarded_chat_paths or (room.session,),
            (),
            "the edge does not ask for the session",
            unasked,
        ),
    ]
    if not site.closed_chat_paths:
        found.pop(0)
    if room.forged:
        body = (*JSON_BODY, "--data", json.dumps(rooms.question(site.model, site.question, 16), ensure_ascii=False))
        cause = "the edge hands on a header that the chat's server believes of everybody (CVE-2026-39411)"
        name = "a forged header does not stand for a session"
        found.append(_refused(site, name, (room.chat,), ("--header", room.forged, *body), cause, unasked))
    if room.files:
        # Of the object store's own a 403, without a signature.
        unread = (*unasked, 403, 404)
        cause = "the object store is open to everybody who knows a file's name"
        found.append(_refused(site, "a stranger reads no file", (room.files,), (), cause, unread))
    if not site.signup_open:
        cause = "the edge lets everybody make an account, though gpuchat_signup is closed"
        name = "nobody makes an account by themselves"
        found.append(_refused(site, name, room.sign_up, (*JSON_BODY, "--data", "{}"), cause))
    return found


def _signed_in(site: Site, room: rooms.Room) -> list[Check]:
    """Return what a person does who is signed in, one after the other: the interface limits how often one signs in."""
    session = ("--cookie", SESSION_FILE, "--header", f"Origin: {site.url}")
    closed = (*room.attacks, *(path for path in site.closed_chat_paths if path not in room.attacks))
    cause = "the edge hands on more of the chat's own server to those who are signed in"
    asked = [_person_asks(site, room, session)] if site.model else []
    forged = [_spoiled(site, room, session)] if site.model and room.spoiled else []
    return [
        _sign_in(site, room),
        *asked,
        *forged,
        _refused(site, "signed in, the same paths stay closed", closed, session, cause, needs=SIGN_IN),
        _sign_out(site, room, session),
    ]


def _status(seen: Seen) -> str | None:
    return None if seen.status == 200 else f"found status {seen.status}, wanted 200"


def _sign_in(site: Site, room: rooms.Room) -> Check:
    return Check(
        SIGN_IN,
        INSIDE,
        site.curl(
            *(*JSON_BODY, "--header", f"Origin: {site.url}", "--data", f"@{ACCOUNT_FILE}"),
            *("--cookie-jar", SESSION_FILE, "--output", "/dev/null", "--write-out", STATUS_TAIL),
            f"{site.url}/{room.sign_in}",
        ),
        _status,
        f"the account {site.admin_email} is not there, or has another password by now; with 429, too many have tried",
        "set gpuchat_admin_password to its present one, or reset it by playbooks/account.yml; where nobody signs in by "
        "password, set verify_sign_in to false",
        alone=True,
    )


def _person_asks(site: Site, room: rooms.Room, session: tuple[str, ...]) -> Check:
    body = rooms.question(site.model, site.long_question or site.question)
    return Check(
        "a signed-in person gets an answer in pieces",
        INSIDE,
        site.curl(
            *("--http1.1", "--no-buffer", *session, *JSON_BODY),
            *("--data", json.dumps(body, ensure_ascii=False), f"{site.url}/{room.chat}"),
        ),
        lambda seen: rooms.judge_stream(site.interface, [line for line in seen.lines if line[1]], seen.started),
        f"{room.name} does not reach the model, or a proxy on the way collects the answer before it hands it on",
        _its_log(room),
        attempts=openai_api.STREAM_ATTEMPTS,
        alone=True,
        needs=SIGN_IN,
    )


def _spoiled(site: Site, room: rooms.Room, session: tuple[str, ...]) -> Check:
    def judge(seen: Seen) -> str | None:
        text, _arrivals, is_whole = rooms.text_and_arrivals(site.interface, list(seen.lines[:-1]))
        if seen.status != 200 or not is_whole or not text.strip():
            said = seen.body[:300]
            return f"found status {seen.status} and {said!r}, wanted the model's answer, as without it"
        return None

    body = rooms.question(site.model, site.question, max_tokens=16)
    return Check(
        "a header of the person's own changes nothing",
        INSIDE,
        site.curl(
            *(*session, "--header", room.spoiled, *JSON_BODY, "--data", json.dumps(body, ensure_ascii=False)),
            *("--write-out", STATUS_TAIL, f"{site.url}/{room.chat}"),
        ),
        judge,
        "the edge hands on a header by which a person sends the chat's server elsewhere, or in another's name",
        CHANGED_EDGE,
        alone=True,
        needs=SIGN_IN,
    )


def _sign_out(site: Site, room: rooms.Room, session: tuple[str, ...]) -> Check:
    return Check(
        "the person signs out",
        INSIDE,
        site.curl(
            *(*session, "--cookie-jar", SESSION_FILE, *JSON_BODY, "--data", "{}"),
            *("--output", "/dev/null", "--write-out", STATUS_TAIL, f"{site.url}/{room.sign_out}"),
        ),
        _status,
        "the edge does not hand on the path by which people sign out",
        CHANGED_EDGE,
        alone=True,
        needs=SIGN_IN,
    )


def _foreign(site: Site) -> Check:
    def judge(seen: Seen) -> str | None:
        if seen.status == 403 or (seen.status == 0 and seen.rc == NOT_CONNECTED):
            return None
        return f"found status {seen.status}, wanted a refused connection, or 403"

    return Check(
        "a foreign address is refused",
        OUTSIDE,
        site.curl("--write-out", STATUS_TAIL, site.url + "/"),
        judge,
        "the allow list lets this address in, or another program answers",
        "look at gpuchat_allowed_networks",
    )


def _foreign_plain(site: Site) -> Check:
    paths = ("", "v1/models", "gpuchat-ca.crt", ".well-known/", ".well-known/acme-challenge/../../v1/models")

    def judge(seen: Seen) -> str | None:
        statuses = seen.stdout.split()
        wrong = [f"{status} for /{path}" for path, status in zip(paths, statuses) if status not in ("403", "000")]
        if len(statuses) != len(paths):
            return f"found {len(statuses)} answers, wanted {len(paths)}"
        return f"found {', '.join(wrong)}, wanted 403 for each" if wrong else None

    asked = site.curl("--path-as-is", "--output", "/dev/null", "--write-out", "%{http_code}\\n")
    return Check(
        "a foreign address gets nothing by plain HTTP",
        OUTSIDE,
        (*asked, f"{site.http_url}/{{{','.join(paths)}}}"),
        judge,
        "the edge serves more than an ACME directory's own path there, or another program answers",
        CHANGED_EDGE,
    )


def _scan(address: str, allowed: Sequence[int]) -> tuple[tuple[str, ...], Judge]:
    """Return the command that looks for open ports, and what judges those that it finds."""

    def judge(seen: Seen) -> str | None:
        words = seen.stdout.split()
        reached = {int(word) for word in words if word != REFUSED}
        more = sorted(reached - set(allowed))
        if more:
            wanted = ", ".join(map(str, allowed)) or "any"
            return f"found the ports {', '.join(map(str, more))} open, wanted none but {wanted}"
        return None if words else "nothing answered, not even with a refusal, so the scan says nothing"

    return ("nmap", "-Pn", "-p", "1-65535", address), judge


def _behind(site: Site, host: str, address: str) -> Check:
    allowed = [port for port in site.open_ports if port not in (site.http_port, site.https_port)]
    return Check(
        f"no port of {host} is open",
        INSIDE,
        *_scan(address or host, allowed),
        "a service listens there beside the doors, or its packet filter is not loaded",
        "look at `ss -ltn` and `nft list table inet gpuchat` there, and run the playbook again",
        alone=True,
    )


def _ports(site: Site) -> Check:
    return Check(
        "no other port is open",
        OUTSIDE,
        *_scan(site.address or site.domain, site.open_ports),
        "a service listens on all addresses of the host",
        "bind it to 127.0.0.1 or the private address, or close the port in the host's firewall",
        alone=True,
    )


def _rate_limit(site: Site) -> Check:
    count = site.burst + 4 * site.rate

    def judge(seen: Seen) -> str | None:
        statuses = seen.stdout.split()
        counts = [f"{statuses.count(status)} x {status}" for status in sorted(set(statuses))]
        found = ", ".join(counts) or "no answer"
        return None if "200" in statuses and "429" in statuses else f"found {found}, wanted some 200 and some 429"

    return Check(
        "the rate limit",
        INSIDE,
        site.curl(
            *("--parallel", "--parallel-max", "50", "--header", f"@{KEY_FILE}"),
            *("--output", "/dev/null", "--write-out", "%{http_code}\\n", f"{site.url}/v1/models?n=[1-{count}]"),
        ),
        judge,
        "requests are not limited, or the limit is higher than what was sent",
        "look at edge_api_rate and edge_api_burst",
        alone=True,
    )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table for a terminal, each failure with its cause, its fix and its command."""
    marks = {PASSED: "ok", FAILED: "FAILED", NOT_CHECKED: "not checked"}
    width = max(len(one.name) for one in rows)
    lines = []
    for one in rows:
        lines.append(f"  {one.name:<{width}}  {one.vantage:<7}  {marks[one.status]:<11}  {one.detail}".rstrip())
        if one.status == FAILED:
            lines += [f"      likely: {one.cause}", f"      do:     {one.hint}", f"      see:    {one.command}"]
    return "\n".join(lines)


def commands(site: Site, rows: Sequence[Row]) -> str:
    """Return each row's command, to be repeated by hand, with what all have in common as one shell function."""
    common = shown(site.curl())
    lines = [f'edge() {{ {common} "$@"; }}']
    for one in rows:
        lines += [f"# {one.name} ({one.vantage})", one.command.replace(common, "edge", 1)]
    return "\n".join(f"  {line}" for line in lines)
