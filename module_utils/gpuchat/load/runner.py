# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a model through the edge as many users would, for a bounded time, and measures the streamed answers.

By asyncio, for many threads would wait for each other where the time of an arrival is to be seen.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import datetime
import json
import os
import random
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core import host
from ..core.errors import Refusal, Unhealthy, no_text
from . import figures as told
from . import work
from .figures import ANSWERED, FAILED, LIMITED, UNFINISHED, Circumstances, Request

AGENT = "gpuchat-load"
PATH = "/v1/chat/completions"
CONNECT_SECONDS = 20.0
SILENCE_SECONDS = 120.0
"""How long a server may say nothing, in an answer or before it."""

GRACE_SECONDS = 30.0
"""How long answers that are under way at the load's end get to end too."""

PAUSE_SECONDS = 1.0
"""Before a user asks again who got no answer."""

LONGEST_WAIT = 10.0
"""Of what a server wants its clients to wait."""

LOOK_SECONDS = 0.1
MOST_OPEN = work.MOST_USERS
MOST_REQUESTS = 200_000
MOST_GAPS = 1_000_000
PROBE_ATTEMPTS = 10
MOST_AT_ONCE = 65_536
"""Bytes that are read at once, and of an error's words at all."""

MOST_HEADERS = 200
LATE_SECONDS = 0.1


@dataclass(frozen=True)
class Place:
    """Where the edge is asked.

    Attributes:
        domain: its name, which its certificate is for.
        address: to connect to in place of what DNS knows; empty to ask DNS.
        authority: certificates (PEM) that alone are trusted; empty for those of the system.
        plain: whether there is no TLS.
    """

    domain: str
    port: int
    address: str = ""
    authority: str = ""
    plain: bool = False

    @property
    def name(self) -> str:
        return f"{self.address or self.domain}:{self.port}"

    @property
    def host_header(self) -> str:
        usual = 80 if self.plain else 443
        domain = f"[{self.domain}]" if ":" in self.domain else self.domain
        return domain if self.port == usual else f"{domain}:{self.port}"

    def context(self) -> ssl.SSLContext | None:
        if self.plain:
            return None
        made = ssl.create_default_context(cadata=self.authority or None)
        made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # newer Pythons refuse what curl and browsers take
        return made


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Make a load and return the module's result: the run, its table, and what to act on.

    Raises:
        Refusal: the load cannot be made.
        Unhealthy: nothing was answered.
    """
    target = work.choose(params["models"], params["served"], str(params["model"] or ""), params["names"])
    trace = _trace(params["trace"]) if params.get("trace") else ()
    wish = work.wish(params, trace, target)
    if check:
        return {"changed": False, "not_predicted": [f"the load on {target.name}: check mode asks nothing"]}
    place = Place(
        str(params["domain"]),
        int(params["port"]),
        str(params["address"] or ""),
        str(params["authority"] or ""),
        bool(params["plain"]),
    )
    edge = Edge(place, str(params["api_key"] or ""), int(params["rate"]), int(params["burst"]))
    load = Load(edge, target, wish)
    with _signals() as asked_to_end:
        asyncio.run(load.run(asked_to_end))
    return _result(params, load)


def _result(params: Mapping[str, Any], load: Load) -> dict[str, object]:
    """Keep the run beside the earlier ones, and return what the module says of it."""
    target, wish = load.target, load.wish
    figures = told.measure(load.requests, load.gaps.values, load.seconds)
    folder = str(params["folder"])
    path = os.path.join(folder, f"load-{target.model.replace('/', '_')}.json")
    history, problem = _read(path)
    runs = told.earlier(history)
    asked = {**wish.as_dict(), "name": target.name}
    before = told.last_like(runs, asked)
    plans = told.estimates(_read(os.path.join(folder, "plan.json"))[0], target.model, target.hosts)
    prompts = figures["total_input_tokens"] / figures["completed"] if figures["completed"] else wish.prompt_tokens
    expected = None if wish.trace else told.expect(plans, wish.users, prompts)
    about = Circumstances(
        load.edge.rate,
        target.endpoint,
        interrupted=load.interrupted,
        busy=load.busy,
        uncounted=load.uncounted,
        late=load.late,
        left_out=load.left_out,
        full=load.is_full,
        has_estimate=expected is not None,
        other_work=bool(runs) and before is None,
        file_problem=problem,
    )
    advice = told.warnings(figures, about)
    run: dict[str, Any] = {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "model": target.name,
        "work": asked,
        "seconds": wish.seconds,
        "interrupted": load.interrupted,
        "figures": figures,
        "changes": told.compare(figures, before["figures"] if before else None),
        "compared_with": before["when"] if before else "",
        "expected": expected.as_dict() if expected else None,
        "notes": [*advice, *told.notes(figures, about)],
    }
    os.makedirs(folder, exist_ok=True)
    host.write_json(path, {"model": target.model, "runs": told.kept(runs, run)}, mode=0o644)
    result: dict[str, object] = {
        "changed": False,
        "run": run,
        "table": told.table(run),
        "file": path,
        "advice": advice,
        "interrupted": load.interrupted,
    }
    word = told.nothing(figures, about, target.name)
    if word:
        raise Unhealthy(word, **result)
    return {**result, "msg": told.counts(figures)}


def _trace(path: str) -> tuple[work.Ask, ...]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        why = no_text(error) if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)
        raise Refusal(
            f"found that {path} cannot be read ({why}); wanted a trace, a JSON object in each line; set load_trace to "
            "the path of one on the control node"
        ) from None
    return work.read_trace(text, path)


def _read(path: str) -> tuple[object, str]:
    """Return a file's JSON, or why it has none; a file that is not there is no problem."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file), ""
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError) as error:
        return None, f"{path}: {getattr(error, 'strerror', None) or error}"


@contextlib.contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Take Ctrl-C as the wish that the load ends; yield whether it has come.

    Ansible's own process hands it on, and waits some seconds for this one.
    """
    came: list[int] = []
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # in a thread, which gets no signals
            before[number] = signal.signal(number, lambda got, _frame: came.append(got))
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Edge:
    """Whom all users ask.

    Attributes:
        key: the owner's, which stands in the request's header alone.
        rate: requests a second that one address may make.
        burst: further ones at once.
    """

    place: Place
    key: str = field(repr=False)
    rate: int
    burst: int


@dataclass
class Sample:
    """The gaps between chunks: all of them, or of very many a fair sample."""

    values: array.array[float] = field(default_factory=lambda: array.array("d"))
    seen: int = 0

    def add(self, gaps: array.array[float]) -> None:
        for one in gaps:
            self.seen += 1
            if len(self.values) < MOST_GAPS:
                self.values.append(one)
            else:
                place = random.randrange(self.seen)
                if place < MOST_GAPS:
                    self.values[place] = one


class Broken(Exception):
    """What came is no answer of HTTP; the text says why."""


LOST = (OSError, asyncio.IncompleteReadError)
ENDED = "found that the connection was ended, wanted the answer"


class Connection:
    """One user's connection, opened when it is needed and kept for the next request."""

    def __init__(self, edge: Edge, context: ssl.SSLContext | None) -> None:
        self._edge, self._context = edge, context
        self._opening: asyncio.Future[Any] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._asked = 0
        self.sent = self.heard = 0.0
        self.is_asking = False

    async def open(self) -> bool:
        """Open it where it is not; return whether it was asked before."""
        if self._writer and self._reader and not self._writer.is_closing() and not self._reader.at_eof():
            return self._asked > 0
        self.close()
        place = self._edge.place
        more = {"ssl": self._context, "server_hostname": place.domain} if self._context else {}
        opening = asyncio.open_connection(place.address or place.domain, place.port, **more)  # type: ignore[arg-type]
        self._opening = asyncio.ensure_future(opening)
        await asyncio.wait({self._opening}, timeout=CONNECT_SECONDS)
        made, self._opening = self._opening, None
        if not made.done():
            made.cancel()
            raise Broken(f"found no connection to {place.name} within {CONNECT_SECONDS:.0f} s")
        if made.cancelled():
            raise Broken("found the load's end before there was a connection")
        self._reader, self._writer = made.result()
        self._asked = 0
        return False

    def close(self) -> None:
        """Close it at once, whoever waits for it."""
        if self._opening is not None:
            self._opening.cancel()
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def ask(self, text: bytes) -> None:
        """Send a request for a streamed answer."""
        if self._writer is None:
            raise Broken(ENDED)
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: {self._edge.place.host_header}\r\nUser-Agent: {AGENT}\r\n"
            f"Accept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
            f"Authorization: Bearer {self._edge.key}\r\n\r\n"
        )
        self._asked += 1
        self.sent = self.heard = time.monotonic()
        self._writer.write(head.encode() + text)
        await self._writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Return status and headers of the answer."""
        line = await self._line()
        words = line.split(None, 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
            raise Broken(f"found {line[:60]!r}, wanted an answer of HTTP/1.1")
        headers: dict[str, str] = {}
        while line := await self._line():
            name, _colon, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
            if len(headers) > MOST_HEADERS:
                raise Broken("found headers without an end, wanted an answer of HTTP/1.1")
        return int(words[1]), headers

    async def pieces(self, headers: Mapping[str, str], take: Callable[[float, bytes], None]) -> None:
        """Hand on each piece of the body with its time of arrival, until it ends."""
        if "chunked" in headers.get("transfer-encoding", "").lower():
            await self._chunks(take)
        elif headers.get("content-length", "").isdigit():
            await self._exactly(int(headers["content-length"]), take)
        else:
            while piece := await self._some(MOST_AT_ONCE):
                take(self.heard, piece)
            self.close()
        if headers.get("connection", "").lower() == "close":
            self.close()

    async def _chunks(self, take: Callable[[float, bytes], None]) -> None:
        while True:
            line = (await self._line()).partition(";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError:
                raise Broken(f"found {line[:60]!r}, wanted the size of a chunk") from None
            if not size:
                while await self._line():  # trailers
                    pass
                return
            await self._exactly(size, take)
            await self._line()

    async def _exactly(self, size: int, take: Callable[[float, bytes], None]) -> None:
        while size:
            piece = await self._some(min(size, MOST_AT_ONCE))
            if not piece:
                raise Broken("found the answer's end too early, wanted all of it")
            size -= len(piece)
            take(self.heard, piece)

    async def _some(self, most: int) -> bytes:
        piece = await self._in().read(most)
        self.heard = time.monotonic()
        return piece

    async def _line(self) -> str:
        try:
            raw = await self._in().readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise Broken("found a line without an end, wanted an answer of HTTP/1.1") from None
        self.heard = time.monotonic()
        return raw.decode("latin-1").strip()

    def _in(self) -> asyncio.StreamReader:
        if self._reader is None:
            raise Broken(ENDED)
        return self._reader


class Answer:
    """A streamed answer as it arrives."""

    def __init__(self, sent: float) -> None:
        self.sent = self.last = sent
        self.ttft = 0.0
        self.gaps: array.array[float] = array.array("d")
        self.chunks = 0
        self.prompt_tokens = 0
        self.answer_tokens: int | None = None
        self.error = ""
        self.is_whole = False
        self._held = bytearray()

    def take(self, at: float, piece: bytes) -> None:
        """Read a piece of the stream that arrived at a time."""
        self._held += piece
        for line in work.lines(self._held):
            event = work.read_event(line)
            if event is not None:
                self._note(at, event)

    def _note(self, at: float, event: work.Event) -> None:
        self.is_whole = self.is_whole or event.is_last
        self.error = self.error or event.error
        if event.prompt_tokens is not None:
            self.prompt_tokens = event.prompt_tokens
        if event.answer_tokens is not None:
            self.answer_tokens = event.answer_tokens
        if not self.chunks and event.has_output:
            self.ttft = at - self.sent
        elif self.chunks and event.has_choice:
            self.gaps.append(at - self.last)
        else:
            return
        self.chunks += 1
        self.last = at

    def problem(self) -> str:
        """Return why this is no answer; empty where it is one."""
        if self.error:
            return self.error
        if not self.is_whole:
            return f"found the end after {self.chunks} chunks, wanted the whole answer"
        return "" if self.chunks else "found an answer without output, wanted some"


class Load:
    """One load: who asks, and what became of it."""

    def __init__(self, edge: Edge, target: work.Target, wish: work.Wish) -> None:
        self.edge, self.target, self.wish = edge, target, wish
        self.requests: list[Request] = []
        self.gaps = Sample()
        self.seconds = 0.0
        self.busy = 0.0
        self.uncounted = self.late = self.left_out = 0
        self.interrupted = False
        self._scale = work.Scale()
        self._random = random.Random(os.urandom(16))  # another for each run, whose prompts caches do not know
        self._context = edge.place.context()
        self._connections: list[Connection] = []
        self._started = self._end = self._deadline = 0.0
        self._is_over = False

    @property
    def is_full(self) -> bool:
        return len(self.requests) >= MOST_REQUESTS

    @property
    def words(self) -> int:
        """Return of how many words a prompt is; known once the load has begun."""
        return self._scale.words(self.wish.prompt_tokens)

    async def run(self, asked_to_end: Callable[[], bool]) -> None:
        """Find out what a word is to the model, ask until the time is over, and wait for what is under way."""
        self._deadline = time.monotonic() + SILENCE_SECONDS * 2
        watch = asyncio.ensure_future(self._watch(asked_to_end))
        try:
            await self._probe()
            self._started = time.monotonic()
            self._end = self._started + self.wish.seconds
            self._deadline = self._end + GRACE_SECONDS
            used = time.process_time()
            await (self._replay() if self.wish.trace else self._users())
            self.seconds = time.monotonic() - self._started
            self.busy = (time.process_time() - used) / self.seconds if self.seconds else 0.0
        finally:
            watch.cancel()
            for one in self._connections:
                one.close()
            await asyncio.sleep(0)  # in which transports end

    async def _watch(self, asked_to_end: Callable[[], bool]) -> None:
        """End what is silent too long, and everything when the time is over or somebody asks for it."""
        while True:
            now = time.monotonic()
            self.interrupted = self.interrupted or asked_to_end()
            self._is_over = self._is_over or self.interrupted or now > self._deadline
            for one in self._connections:
                if one.is_asking and (self._is_over or now - one.heard > SILENCE_SECONDS):
                    one.close()
            await asyncio.sleep(LOOK_SECONDS)

    @property
    def _may_ask(self) -> bool:
        return not self._is_over and time.monotonic() < self._end and not self.is_full

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not beyond the load's end."""
        end = time.monotonic() + seconds
        while self._may_ask and (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, LOOK_SECONDS))

    async def _users(self) -> None:
        await asyncio.gather(*(self._user(number) for number in range(self.wish.users)))

    async def _user(self, number: int) -> None:
        """Ask again and again; those beyond the edge's burst begin at its rate, so that none is refused at once."""
        connection = self._connection()
        await self._sleep(max(0, number - self.edge.burst) / max(1, self.edge.rate))
        while self._may_ask:
            made = await self._one(connection, self._body(self.wish.prompt_tokens, self.wish.answer_tokens))
            if made.kind in (LIMITED, FAILED):
                await self._sleep(made.wait or PAUSE_SECONDS)

    async def _replay(self) -> None:
        """Ask what the trace says when it does, as long as connections are left."""
        free: list[Connection] = []
        under_way: set[asyncio.Future[None]] = set()
        for place, one in enumerate(self.wish.trace):
            if one.at >= self.wish.seconds:
                self.left_out = len(self.wish.trace) - place
                break
            at = self._started + one.at
            await self._sleep(at - time.monotonic())
            while not free and len(self._connections) >= MOST_OPEN and under_way:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            if not self._may_ask:
                break
            self.late += time.monotonic() - at > LATE_SECONDS
            connection = free.pop() if free else self._connection()
            text = self._body(one.prompt_tokens, one.answer_tokens, one.prompt)
            task = asyncio.ensure_future(self._traced(connection, text, free))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)

    async def _traced(self, connection: Connection, text: bytes, free: list[Connection]) -> None:
        await self._one(connection, text)
        free.append(connection)

    def _connection(self) -> Connection:
        made = Connection(self.edge, self._context)
        self._connections.append(made)
        return made

    def _body(self, prompt_tokens: int, answer_tokens: int, prompt: str = "") -> bytes:
        words = self._scale.words(prompt_tokens)
        shared = int(words * work.SHARED_SHARE) if self.wish.shared_prefix else 0
        text = prompt or work.prompt(words, self._random.randrange, shared)
        return work.body(self.target, text, answer_tokens)

    async def _probe(self) -> None:
        """Ask twice for one token, by which it is seen that there are answers, and how many tokens a word is.

        Raises:
            Unhealthy: there are none.
        """
        connection = self._connection()
        counted = []
        for words in work.PROBES:
            text = work.body(self.target, work.prompt(words, self._random.randrange), 1)
            made = await self._request(connection, text)
            for _attempt in range(PROBE_ATTEMPTS):
                if made.kind != LIMITED or self._is_over:
                    break
                await asyncio.sleep(made.wait or PAUSE_SECONDS)
                made = await self._request(connection, text)
            if self.interrupted:
                return
            if made.kind != ANSWERED:
                raise Unhealthy(_unanswered(made, self.target, self.edge))
            counted.append(made.prompt_tokens)
        self._connections.remove(connection)
        connection.close()
        self._scale = work.Scale.of(work.PROBES, (counted[0], counted[1]))

    async def _one(self, connection: Connection, text: bytes) -> Request:
        """Make a request of the load, and keep what became of it."""
        made = await self._request(connection, text)
        self.requests.append(made)
        return made

    async def _request(self, connection: Connection, text: bytes) -> Request:
        """Make a request, and return what became of it."""
        connection.heard = time.monotonic()
        connection.is_asking = True
        step = "connection"
        try:
            was_used = await connection.open()
            step = "stream"
            try:
                return await self._answer(connection, text)
            except LOST:
                # The server had closed it while nobody asked: once more, as any client does.
                if not was_used or self._is_over or connection.heard > connection.sent:
                    raise
            connection.close()
            await connection.open()
            return await self._answer(connection, text)
        except (*LOST, Broken, ValueError) as error:
            silence = time.monotonic() - connection.heard
            connection.close()
            is_mute = connection.heard <= connection.sent and silence > GRACE_SECONDS and not self.interrupted
            if silence > SILENCE_SECONDS or (self._is_over and is_mute):
                word = f"found nothing said for {silence:.0f} s, wanted an answer"
                return Request(FAILED, self._now(), status="silence", said=word)
            if self._is_over:
                return Request(UNFINISHED, self._now())
            return Request(FAILED, self._now(), status=step, said=_why(error, self.edge.place))
        finally:
            connection.is_asking = False

    def _now(self) -> float:
        return time.monotonic() - self._started

    async def _answer(self, connection: Connection, text: bytes) -> Request:
        await connection.ask(text)
        status, headers = await connection.head()
        if status != 200:
            return await self._refused(connection, status, headers)
        answer = Answer(connection.sent)
        await connection.pieces(headers, answer.take)
        problem = answer.problem()
        if problem:
            connection.close()
            if self._is_over:
                return Request(UNFINISHED, self._now())
            return Request(FAILED, self._now(), status="stream", said=problem)
        if answer.answer_tokens is None and self._started:
            self.uncounted += 1
        if self._started:
            self.gaps.add(answer.gaps)
        return Request(
            ANSWERED,
            answer.last - self._started,
            answer.ttft,
            answer.last - answer.sent,
            answer.prompt_tokens,
            answer.chunks if answer.answer_tokens is None else answer.answer_tokens,
            "200",
        )

    async def _refused(self, connection: Connection, status: int, headers: Mapping[str, str]) -> Request:
        words = bytearray()

        def take(_at: float, piece: bytes) -> None:
            words.extend(piece[: max(0, MOST_AT_ONCE - len(words))])

        await connection.pieces(headers, take)
        wait = headers.get("retry-after", "")
        return Request(
            LIMITED if str(status) == told.TOO_MANY else FAILED,
            self._now(),
            status=str(status),
            said=work.said(bytes(words)) or "without a word",
            wait=min(LONGEST_WAIT, float(wait)) if wait.isdigit() else 0.0,
        )


def _why(error: BaseException, place: Place) -> str:
    """Return an error's words for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"found a certificate of {place.name} that does not verify ({error.verify_message}), wanted one for "
            f"{place.domain}"
        )
    if isinstance(error, socket.gaierror):
        return f"found that no DNS knows {place.name}; set verify_address to the edge's address"
    if isinstance(error, asyncio.IncompleteReadError):
        return "found the connection closed, wanted an answer"
    if isinstance(error, OSError):
        return f"found {error.strerror or error} at {place.name}, wanted a connection"
    return str(error)


def _unanswered(made: Request, target: work.Target, edge: Edge) -> str:
    """Return the message where the first question got no answer, and what to do about it."""
    found = f"found {made.status} for the first question to {target.name} at {edge.place.name}: {made.said}"
    hints = {
        "401": "the key is not the edge's; run site.yml with this folder of secrets",
        "403": "the control node may be in none of gpuchat_allowed_networks; add its network",
        "404": "the edge may not have been told of the model yet; run site.yml",
        told.TOO_MANY: "others ask at the same time from here; wait for them, or raise edge_api_rate",
    }
    hint = hints.get(made.status, "playbooks/verify.yml and playbooks/doctor.yml say what is wrong")
    return f"{found}; wanted an answer; {hint}"
