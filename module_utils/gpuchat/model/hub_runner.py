# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a hub: follows redirects by hand so that a token stays where it belongs, and reads listings."""

from __future__ import annotations

import contextlib
import http.client
import http.cookiejar
import os
import random
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from ..core.errors import Refusal
from . import transfer
from .files import (
    LARGEST_POINTER,
    POINTER,
    Listing,
    ModelFile,
    Wanted,
    chosen,
    digest_of,
    header_length,
    is_small_file,
    links_of,
    others_of,
    small_file,
    verified,
)
from .hubs import (
    COMMIT,
    MODELSCOPE_WALK,
    PAGE,
    Hub,
    Reply,
    credentials,
    endpoints,
    hint,
    is_page,
    next_page,
    no_endpoint,
    origin,
    read_commit,
    read_huggingface_page,
    read_modelscope_page,
    read_siblings,
    read_tree,
    token_origin,
)
from .weights import WEIGHT_ENDINGS, engine_files

try:
    import requests
    import urllib3  # of which requests is made
except ImportError:  # then the module runs on in the toolbox, or says what it cannot do
    requests = None  # type: ignore[assignment]

AGENT = "gpuchat"
CONNECT_SECONDS = 10.0
SILENT_SECONDS = 30.0
"""A connection that gives no byte for so long is dropped, and the rest asked for anew."""

HOPS = 8
PAGES = 10_000
LISTING_ATTEMPTS = 5
SMALL_BODY = 1 << 16
LARGEST_DATA = 256 << 20
BODY_PIECE = 64 << 10
SLOWEST = 1000
"""Bytes per second below which a listing is given up, once it has lasted as long as a silence may."""

HEAD = 128 << 10
"""Bytes that hold most safetensors headers whole."""

PIECE = 4 << 10
LARGEST_HEAD = 8 << 20
HEADS_AT_ONCE = 8
HEADS_SECONDS = 20.0
"""How long a look at the headers may take."""

FAILURES: tuple[type[Exception], ...] = (OSError, http.client.HTTPException)
"""What a broken connection raises below requests, whose own exceptions are OSErrors."""

if requests is not None:
    FAILURES += (urllib3.exceptions.HTTPError,)


def available() -> bool:
    """Whether the library that speaks HTTP is there."""
    return requests is not None


@dataclass(frozen=True)
class Asker:
    """Opens addresses; the token goes to its own origin and nowhere else.

    Attributes:
        source: huggingface, modelscope or http.
        token: what to show, empty for nothing.
        token_origin: the scheme, host and port that it is for.
    """

    source: str
    token: str = field(default="", repr=False)
    token_origin: str = ""

    def session(self) -> Any:
        """Return a session that takes proxies from the environment, but neither netrc nor cookies."""
        if requests is None:
            return PlainSession()
        session = requests.Session()
        session.auth = _as_it_is  # without one, requests would look into ~/.netrc for each host
        session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        session.verify = _authorities()
        return session

    def may_see(self, url: str) -> bool:
        """Whether an address gets the token."""
        place = origin(url)
        return bool(self.token) and place == self.token_origin

    @contextlib.contextmanager
    def open(
        self, session: Any, url: str, headers: Mapping[str, str] | None = None, silent: float = SILENT_SECONDS
    ) -> Iterator[Any]:
        """Yield the answer to one request, without following a redirect."""
        sent = {"User-Agent": AGENT, "Accept-Encoding": "identity", **(headers or {})}
        if self.may_see(url):  # which also refuses what is no web address, such as file: in a redirect
            sent.update(credentials(self.source, self.token))
        timeout = (min(CONNECT_SECONDS, silent), silent)
        try:
            answer = session.get(url, headers=sent, stream=True, allow_redirects=False, timeout=timeout)
        except ValueError as error:  # requests reads where a redirect leads even if it is not to follow it
            raise OSError(f"an answer that cannot be read: {error}") from None
        try:
            yield answer
        finally:
            finish(answer)

    def follow(self, session: Any, url: str, silent: float, way: list[str]) -> tuple[Reply, bytes]:
        """Return the answer at the end of the redirects, and its body; each address goes into `way` as it is asked."""
        for _hop in range(HOPS):
            way.append(url)
            with self.open(session, url, silent=silent) as answer:
                if answer.status_code in (301, 302, 303, 307, 308) and answer.headers.get("location"):
                    url = urljoin(url, answer.headers["location"])
                    continue
                return Reply(answer.status_code, lower(answer.headers)), _body(answer, silent)
        return Reply(0, {}, f"more than {HOPS} redirects"), b""

    def ask(
        self, session: Any, url: str, attempts: int = LISTING_ATTEMPTS, silent: float = SILENT_SECONDS
    ) -> tuple[Reply, bytes]:
        """Return an answer and its body, after waiting and asking again where the server asks for patience."""
        reply, body, waited = Reply(0, {}, "not asked"), b"", 0.0
        for attempt in range(1, attempts + 1):
            way: list[str] = []
            try:
                reply, body = self.follow(session, url, silent, way)
                patient = reply.status in (408, 425, 429) or reply.status >= 500
                if reply.status in (200, 401, 403) and is_page(body):  # a hub's own refusal is data
                    reply = replace(reply, error=PAGE)
                    patient = patient or reply.status == 200
            except FAILURES as error:
                reply, body = Reply(0, {}, why(error, way[-1])), b""
                patient = not _nobody_is_there(error)
            reply = replace(reply, url=way[-1] if way else url)
            if not patient or attempt == attempts:
                break
            wait = transfer.retry_after(reply.headers, time.time())
            if wait is not None and waited + wait > transfer.LONGEST_WAIT:
                return replace(reply, error=f"asks for {wait:.0f} s of patience"), body
            waited += wait or 0.0
            time.sleep(transfer.backoff(attempt, wait, random.random()))
        return reply, body


def _body(answer: Any, silent: float) -> bytes:
    """Return an answer's body.

    Raises:
        OSError: it trickles: no silence ends such a connection, and what is to be listed would take hours.
        http.client.HTTPException: it ends too early.
    """
    original = getattr(answer.raw, "_fp", None)
    if not isinstance(original, http.client.HTTPResponse):  # a library that keeps it elsewhere reads all at once
        return bytes(answer.raw.read(LARGEST_DATA, decode_content=True))
    came, begin = bytearray(), time.monotonic()
    while len(came) < LARGEST_DATA:
        piece = original.read1(BODY_PIECE)
        if not piece:
            break
        came += piece
        seconds = time.monotonic() - begin
        if seconds > silent and len(came) < SLOWEST * seconds:
            raise OSError(f"{len(came)} bytes in {seconds:.0f} s, and the end not seen")
    if original.length:
        raise http.client.IncompleteRead(b"", original.length)
    return _decoded(bytes(came), answer.headers.get("content-encoding", ""))


def _decoded(body: bytes, encoding: str) -> bytes:
    """Return a body as it was before a server packed it that was asked not to."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return body
    try:
        return zlib.decompressobj(wbits=47).decompress(body, LARGEST_DATA)
    except zlib.error as error:
        raise OSError(f"an answer that cannot be unpacked: {error}") from None


class PlainSession:
    """What a listing needs of a session, by the standard library: a bare host can be asked what it would fetch."""

    def __init__(self) -> None:
        context = ssl.create_default_context()
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirect())

    def get(self, url: str, headers: Mapping[str, str], timeout: tuple[float, float], **_more: object) -> PlainAnswer:
        request = urllib.request.Request(url, headers=dict(headers))
        try:
            return PlainAnswer(self._opener.open(request, timeout=timeout[1]))
        except urllib.error.HTTPError as error:  # an answer too, which the caller judges
            return PlainAnswer(error)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_words: object, **_more: object) -> None:
        return None


class PlainAnswer:
    """An answer of the standard library, with the names that ``requests`` gives its parts."""

    def __init__(self, answer: Any) -> None:
        self.status_code = int(answer.status)
        self.headers = answer.headers
        self.raw = self
        self._answer = answer

        self._fp = answer.fp if isinstance(answer, urllib.error.HTTPError) else answer

    @property
    def closed(self) -> bool:
        return bool(self._answer.closed)

    def read(self, size: int, **_more: object) -> bytes:
        return bytes(self._answer.read(size))

    def close(self) -> None:
        self._answer.close()

    release_conn = close


def _nobody_is_there(error: Exception) -> bool:
    """Whether no connection came about at all: asking again at once is of no use."""
    if isinstance(error, urllib.error.URLError):
        return True
    too_slow = requests is not None and isinstance(error, requests.ConnectTimeout)
    return too_slow or "NewConnectionError" in repr(error)


def _as_it_is(request: Any) -> Any:
    return request


def _authorities() -> Any:
    """Return the system's certificate authorities, which a closed network's own is added to; else requests' own."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    with contextlib.suppress(OSError):  # a host without the package ca-certificates has an empty folder
        if paths.capath and any(re.fullmatch(r"[0-9a-f]{8}\.\d+", name) for name in os.listdir(paths.capath)):
            return paths.capath
    return True


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def finish(answer: Any) -> None:
    """Hand the connection back to its pool where the body is read to its end, else close it.

    What little there may be after a redirect is read at one go: who trickles it would keep us.
    """
    original = getattr(answer.raw, "_fp", None)
    with contextlib.suppress(*FAILURES, ValueError, AttributeError):
        if original is not None and not answer.raw.closed and (original.length or SMALL_BODY) < SMALL_BODY:
            original.read1(SMALL_BODY)
    if original is not None and getattr(original, "isclosed", lambda: False)():
        answer.raw.release_conn()
    else:
        answer.close()


def reason(error: Exception) -> str:
    """Return a failure's reason without the address, which may hold a signature."""
    inner: BaseException = error
    while True:
        deeper = inner.__cause__ or getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    if isinstance(inner, (socket.gaierror, ssl.SSLError)):  # whose numbers are none of the system's
        text = str(inner.strerror or inner).partition(" (_ssl.c")[0]
    else:
        text = os.strerror(inner.errno) if isinstance(inner, OSError) and inner.errno else str(inner)
    return f"{type(inner).__name__}: {text.rpartition('>: ')[2]}"[:200] if text else type(inner).__name__


def why(error: Exception, url: str) -> str:
    """Return a failure's reason, with what this host's environment has for the address: authorities, a proxy."""
    proxy, word = _proxy_for(url), reason(error)
    if requests is not None and "certificate" in word.lower():
        word += _other_authorities()
    if not proxy:
        return word
    return f"{'SOCKS is not spoken here' if proxy.startswith('socks') else word}, by the proxy {proxy}"


def _other_authorities() -> str:
    """Return a word on the variable that names other authorities than the system's: requests takes those instead."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        path = os.environ.get(name)
        if path:
            is_the_systems = os.path.exists(path) and os.path.realpath(path).startswith(("/etc/ssl/", "/etc/pki/"))
            return "" if is_the_systems else f", by {name} ({path})"
    return ""


def _proxy_for(url: str) -> str:
    """Return the proxy for an address, without its login; empty for none."""
    parts, proxies = urlsplit(url), urllib.request.getproxies()
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return ""
    more = "" if requests is None else proxies.get("all", "")  # which the standard library does not know
    return re.sub(r"(^|://)[^/@]*@", r"\1", proxies.get(parts.scheme) or more)


@dataclass(frozen=True)
class Found:
    """What a hub holds.

    Attributes:
        hub: the endpoint that answered.
        listing: the files asked for.
        data: the small JSON files, as data by path.
    """

    hub: Hub
    listing: Listing
    data: Mapping[str, object]


def asker_for(params: Mapping[str, Any]) -> Asker:
    """Return what asks, for a module's parameters."""
    source = str(params["source"])
    return Asker(source, str(params.get("token") or ""), token_origin(source, str(params.get("token_for") or "")))


def hubs_for(wanted: Wanted, given: Sequence[str]) -> list[Hub]:
    """Return the hubs to try, in their order."""
    return [Hub(wanted.source, url, wanted.repo, wanted.revision).check() for url in endpoints(wanted.source, given)]


def find(asker: Asker, wanted: Wanted, given: Sequence[str], small_files: bool = True) -> Found:
    """Return what the first endpoint that holds the model has.

    Args:
        asker: who asks.
        wanted: the model.
        given: the endpoints to try.
        small_files: fetch config.json and its like, too, which also shows whether files may be read.

    Raises:
        Refusal: none has it; with each endpoint's word and what to set.
    """
    words = []
    session = asker.session()
    for hub in hubs_for(wanted, given):
        try:
            listing = _listing(asker, session, hub, wanted)
            data = _small_files(asker, session, hub, listing) if small_files else {}
            return Found(hub, engine_files(listing, data, wanted.include), data)
        except Refusal as refusal:
            words.append(str(refusal))
    raise no_endpoint(words)


def commit_of(asker: Asker, wanted: Wanted, given: Sequence[str], silent: float, recorded: str = "") -> str:
    """Return the commit that a revision stands for now, empty where the first endpoint does not say so at once.

    Where a hub names no commit, the record holds a digest of its listing: while that is the same, so is the commit.
    """
    hub = hubs_for(wanted, given)[0]
    with contextlib.suppress(Refusal):
        reply, body = asker.ask(asker.session(), hub.commit_url(), attempts=1, silent=silent)
        if not reply.is_good:
            return ""
        if hub.source == "huggingface":
            return read_commit(body, hub.endpoint)
        if hub.source == "http":
            return read_tree(body, hub)[0]
        page = read_modelscope_page(body, hub.endpoint)
        digest = "" if page.cut else digest_of(page.files)
        return digest if digest == recorded else page.commit or digest
    return ""


def heads_of(asker: Asker, files: Mapping[str, ModelFile], silent: float) -> dict[str, bytes]:
    """Return the first bytes of safetensors files, their headers among them, by path.

    Only a look: of what does not come soon, or not as asked, there may be less or nothing.

    Args:
        asker: who asks.
        files: the files by their addresses.
        silent: how long each may take to answer (seconds).
    """
    found: dict[str, bytes] = {}
    left = deque(files.items())
    end = time.monotonic() + HEADS_SECONDS

    def look() -> None:
        session = asker.session()
        while left and time.monotonic() < end:
            with contextlib.suppress(IndexError, Refusal):
                url, file = left.popleft()
                head = _some_bytes(asker, session, url, (0, min(file.size, HEAD)), silent, end)
                length = header_length(head, file.size)
                if len(head) == HEAD < length <= LARGEST_HEAD:
                    head += _some_bytes(asker, session, url, (HEAD, length), silent, end)
                found[file.path] = head

    threads = [threading.Thread(target=look, daemon=True) for _number in range(min(HEADS_AT_ONCE, len(files)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=max(0.0, end - time.monotonic()))
    return dict(found)


def _some_bytes(asker: Asker, session: Any, url: str, span: tuple[int, int], silent: float, end: float) -> bytes:
    """Return some bytes of a file, as many as come; b'' where the server gives others."""
    begin, stop = span
    asked = {"Range": f"bytes={begin}-{stop - 1}"}
    came = bytearray()
    for _hop in range(HOPS):
        with contextlib.suppress(*FAILURES), asker.open(session, url, asked, silent) as answer:
            headers = lower(answer.headers)
            if answer.status_code in (301, 302, 303, 307, 308) and headers.get("location"):
                url = urljoin(url, headers["location"])
                continue
            if answer.status_code in (429, 503):
                wait = transfer.backoff(1, transfer.retry_after(headers, time.time()), random.random())
                if time.monotonic() + wait < end:
                    time.sleep(wait)
                    continue
            if answer.status_code == 206 and headers.get("content-range", "").startswith(f"bytes {begin}-{stop - 1}/"):
                while len(came) < stop - begin:
                    piece = answer.raw.read(min(PIECE, stop - begin - len(came)), decode_content=False)
                    if not piece:
                        break
                    came += piece
        break
    return bytes(came)


def _must(asker: Asker, session: Any, hub: Hub, url: str) -> tuple[Reply, bytes]:
    reply, body = asker.ask(session, url)
    if not reply.is_good:
        raise Refusal(hint(reply, hub, asker.token, asker.may_see(hub.endpoint)))
    return reply, body


def _listing(asker: Asker, session: Any, hub: Hub, wanted: Wanted) -> Listing:
    files: tuple[ModelFile, ...]
    if hub.source == "huggingface":
        _reply, body = _must(asker, session, hub, hub.commit_url())
        commit = read_commit(body, hub.endpoint)
        files = _pages(asker, session, hub, commit)
    elif hub.source == "modelscope":
        commit, files = _walk(asker, session, hub)
    else:
        _reply, body = _must(asker, session, hub, hub.commit_url())
        commit, files = read_tree(body, hub)
    if not files:
        raise Refusal(
            f"{hub.endpoint} holds no files of {hub.repo} at {hub.revision or commit}; wanted a model; set revision to "
            "one that has some, repo to another, or endpoints"
        )
    asked_for = chosen(files, wanted.include, wanted.exclude)
    if not asked_for:
        raise Refusal(
            f"{hub.endpoint} holds {len(files)} files of {hub.repo}, none of which is asked for; set include and "
            "exclude"
        )
    links = links_of(files, wanted.include, wanted.exclude)
    return Listing(commit, asked_for, hub.endpoint, others_of(files, asked_for), links)


def _pages(asker: Asker, session: Any, hub: Hub, commit: str) -> tuple[ModelFile, ...]:
    files: list[ModelFile] = []
    url: str | None = hub.listing_url(commit)
    seen: set[str] = set()
    while url is not None:
        if url in seen or len(seen) >= PAGES:
            raise Refusal(
                f"{hub.endpoint} gives a listing without an end; wanted one page after the other; set endpoints"
            )
        seen.add(url)
        reply, body = asker.ask(session, url)
        if reply.status in (404, 405, 501) and not files and "x-error-code" not in reply.headers:
            _reply, body = _must(asker, session, hub, hub.siblings_url(commit))
            return tuple(read_siblings(body, hub.endpoint))
        if not reply.is_good:
            raise Refusal(hint(reply, hub, asker.token, asker.may_see(hub.endpoint)))
        files += read_huggingface_page(body, hub.endpoint)
        following = next_page(reply.headers.get("link", ""))
        # A mirror may pass on the hub's own addresses: the next page is asked for where the first one came from.
        url = (
            None if following is None else f"{hub.listing_url(commit).partition('?')[0]}?{following.partition('?')[2]}"
        )
    return tuple(files)


def _walk(asker: Asker, session: Any, hub: Hub) -> tuple[str, tuple[ModelFile, ...]]:
    """Return ModelScope's listing, folder by folder below one that was cut."""
    asked = 0

    def page(root: str, recursive: bool) -> Any:
        nonlocal asked
        asked += 1
        if asked > MODELSCOPE_WALK:
            raise Refusal(f"{hub.repo} has too many folders to list; set include to the files that are wanted")
        _reply, body = _must(asker, session, hub, hub.listing_url(hub.revision, root, recursive))
        return read_modelscope_page(body, hub.endpoint)

    first = page("", True)
    files = {file.path: file for file in first.files}
    cut = [""] if first.cut else []
    while cut:
        root = cut.pop()
        shallow = page(root, False)
        if shallow.cut:
            raise Refusal(
                f"{hub.endpoint} cuts the listing of {root or 'the top folder'} of {hub.repo} at {len(shallow.files)} "
                "entries; wanted all of them; set source to another hub"
            )
        files.update((file.path, file) for file in shallow.files)
        for folder in shallow.folders:
            below = page(folder, True)
            files.update((file.path, file) for file in below.files)
            if below.cut:
                cut.append(folder)
    commit = hub.revision if COMMIT.fullmatch(hub.revision) else first.commit or digest_of(files.values())
    return commit, tuple(files.values())


def _small_files(asker: Asker, session: Any, hub: Hub, listing: Listing) -> dict[str, object]:
    data: dict[str, object] = {}
    pointers = []
    for file in listing.files:
        may_be_pointer = file.size <= LARGEST_POINTER and file.path.endswith(WEIGHT_ENDINGS)
        if not (is_small_file(file.path) or may_be_pointer):
            continue
        _reply, body = _must(asker, session, hub, hub.file_url(listing.commit, file.path))
        if not verified(file, body):
            raise Refusal(f"{hub.endpoint} gave other bytes for {file.path} than it lists; set endpoints to another")
        if may_be_pointer:
            pointers += [file.path] if body.startswith(POINTER) else []
            continue
        data[file.path] = {}  # what a damaged one says
        with contextlib.suppress(ValueError):
            data[file.path] = small_file(file.path, body)
    if pointers:
        raise Refusal(
            f"{hub.endpoint} gives {', '.join(pointers[:3])} as pointers of git-lfs, and not the files that these "
            "stand for; wanted the weights themselves; set endpoints to another, or repo to a model that has them"
        )
    return data
