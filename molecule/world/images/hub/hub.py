# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model hub for tests, demos and closed networks: what Hugging Face and ModelScope answer, out of a folder tree.

    python3 hub.py --root /srv/models --listen 0.0.0.0:80

serves, for every ROOT/OWNER/NAME (see hub_tree.py), Hugging Face's API and files, ModelScope's, and the plain files
under /plain/OWNER/NAME/. In a test it is a context manager on free loopback ports, with faults and a log:

    with Hub(root, faults=[Fault("cut", "*.safetensors", at=4096, times=1)]) as hub:
        fetch(hub.url)
        assert hub.log.repeated_bytes("owner/name/model.safetensors") == 0

As at the real hubs, files under LFS are redirected to another host with a signed address (hub.cdn_url), the files that
Hugging Face's git holds are redirected on the hub itself, text is compressed for who accepts that, and the files that
ModelScope's git holds know no Range.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import gzip
import hashlib
import hmac
import json
import os
import pathlib
import re
import secrets
import socket
import struct
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import hub_tree
from hub_faults import Fault, Stage, parse_range, repeated, steps
from hub_tree import Entry, Library, Snapshot

BLOCK = 256 * 1024
COMPRESSED = (".json", ".txt", ".md", ".jinja", ".py", ".yml", ".yaml")


@dataclass(frozen=True)
class Access:
    """Who may read what.

    Attributes:
        private: repositories that are not there for who may not read them.
        gated: repositories that all may list, and whose files only those may read who accepted the terms.
        tokens: by token, patterns of the private and gated repositories that its owner may read.
    """

    private: frozenset[str] = frozenset()
    gated: frozenset[str] = frozenset()
    tokens: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> Access:
        data = json.loads(text)
        return cls(frozenset(data.get("private", ())), frozenset(data.get("gated", ())), data.get("tokens", {}))

    def grants(self, token: str, repo: str) -> bool:
        return any(fnmatch.fnmatchcase(repo, pattern) for pattern in self.tokens.get(token, ()))


@dataclass
class Request:
    """One request as it came in, and what went out.

    Attributes:
        host: what the client called the server (the Host header).
        server: which of the two it reached.
        headers: by lower-case name.
        subject: OWNER/NAME/PATH for a file, else the path of the address.
        range: the bytes that Range asked for (first, one past the last).
        status: 0 until answered.
        sent: the bytes of the file that went out (first, one past the last); a client that was killed has read fewer.
    """

    method: str
    path: str
    query: dict[str, str]
    host: str
    server: str
    headers: dict[str, str]
    subject: str = ""
    stage: Stage = "api"
    range: tuple[int, int] | None = None
    status: int = 0
    sent: tuple[int, int] = (0, 0)
    faults: list[str] = field(default_factory=list)

    @property
    def token(self) -> str:
        """The token that came along, as Hugging Face's header or ModelScope's cookie."""
        scheme, _space, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return token
        cookies: dict[str, str] = dict(re.findall(r"([^=;\s]+)=([^;]*)", self.headers.get("cookie", "")))
        return cookies.get("m_session_id", "")


class Log(list[Request]):
    """All requests, in the order in which they came."""

    def about(self, pattern: str = "*", stage: Stage | None = None) -> list[Request]:
        """Return the requests whose subject matches."""
        return [one for one in list(self) if fnmatch.fnmatchcase(one.subject, pattern) and stage in {None, one.stage}]

    def bytes_sent(self, pattern: str = "*") -> int:
        """Return how many bytes of file content went out."""
        return sum(one.sent[1] - one.sent[0] for one in self.about(pattern))

    def repeated_bytes(self, pattern: str = "*") -> int:
        """Return how many bytes of file content went out more than once."""
        spans: dict[str, list[tuple[int, int]]] = {}
        for one in self.about(pattern):
            spans.setdefault(one.subject, []).append(one.sent)
        return sum(repeated(of_file) for of_file in spans.values())


@dataclass
class _Link:
    """A signed address that was issued."""

    fault: Fault | None
    requests: int = 0
    sent: int = 0

    def expired(self) -> bool:
        if self.fault is None:
            return False
        if self.fault.requests is not None:
            return self.requests >= self.fault.requests
        return self.sent >= self.fault.at


class Hub:
    """A running hub.

    Args:
        root: the folder of owners.
        faults: what goes wrong; may be replaced while it runs (`hub.faults = [...]`).
        access: who may read what.
        listen: host and port; port 0 takes a free one.
        cdn_listen: where the redirected files are served; None serves them on the hub itself, without redirect.
        cdn_url: what clients reach `cdn_listen` by, if not by that.
        files_url: another server of the same tree (nginx), to which LFS files are redirected instead.
        page_size: rows of one page of Hugging Face's listing.
        entries_limit: where ModelScope cuts its listing.
        sums: SHA-256 by path below the root, for files too large to be read.
        keeps_log: whether requests are kept in `log`; else they are printed as they are answered.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        faults: Iterable[Fault] = (),
        access: Access | None = None,
        listen: tuple[str, int] = ("127.0.0.1", 0),
        cdn_listen: tuple[str, int] | None = ("127.0.0.2", 0),
        cdn_url: str = "",
        files_url: str = "",
        page_size: int = 1000,
        entries_limit: int = 3000,
        sums: Mapping[str, str] | None = None,
        keeps_log: bool = True,
    ) -> None:
        self.library = Library(pathlib.Path(root), sums)
        self.access = access or Access()
        self.page_size, self.entries_limit = page_size, entries_limit
        self.files_url = files_url.rstrip("/")
        self.log = Log()
        self.keeps_log = keeps_log
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._key = secrets.token_bytes(16)
        self._links: dict[str, _Link] = {}
        self.faults = list(faults)
        self._servers = [_Server(listen, self, "hub")]
        self.url = self._servers[0].url
        self.cdn_url = ""
        if cdn_listen:
            self._servers.append(_Server(cdn_listen, self, "cdn"))
            self.cdn_url = (cdn_url or self._servers[1].url).rstrip("/")

    @property
    def faults(self) -> list[Fault]:
        return self._faults

    @faults.setter
    def faults(self, faults: Iterable[Fault]) -> None:
        with self._lock:
            self._faults = list(faults)
            self._matched = [0] * len(self._faults)

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
            server.drop()

    def serve(self) -> None:
        """Serve until the process ends."""
        with self:
            self.stopping.wait()

    def strike(self, stage: Stage, subject: str, start: int = 0, stop: int = 0, *, expire: bool = False) -> list[Fault]:
        """Return the faults that hit a request, and count them."""
        hit = []
        with self._lock:
            for number, fault in enumerate(self._faults):
                if (fault.kind == "expire") != expire or not fault.concerns(stage, subject, start, stop):
                    continue
                self._matched[number] += 1
                turn = self._matched[number] - fault.skip
                if turn > 0 and (fault.times is None or turn <= fault.times):
                    hit.append(fault)
        return hit

    def sign(self, repo: str, sha256: str, path: str) -> str:
        """Return an address at the CDN; each call returns a fresh one."""
        number = secrets.token_hex(8)
        target = f"/{repo}/{sha256}/{urllib.parse.quote(path)}"
        struck = self.strike("bytes", f"{repo}/{path}", expire=True)
        self._links[number] = _Link(struck[0] if struck else None)
        query = urllib.parse.urlencode({"Key-Pair-Id": number, "Signature": self._signature(number, target)})
        return f"{self.cdn_url}{target}?{query}"

    def link(self, target: str, query: Mapping[str, str]) -> _Link | None:
        """Return the signed address that a request came by; None where its signature is wrong or no longer holds."""
        number = query.get("Key-Pair-Id", "")
        link = self._links.get(number)
        if link is None or not hmac.compare_digest(self._signature(number, target), query.get("Signature", "")):
            return None
        with self._lock:
            if link.expired():
                return None
            link.requests += 1
        return link

    def _signature(self, number: str, target: str) -> str:
        return hmac.new(self._key, f"{number} {urllib.parse.unquote(target)}".encode(), hashlib.sha256).hexdigest()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, address: tuple[str, int], hub: Hub, name: str) -> None:
        super().__init__(address, _Handler)
        self.hub = hub
        self.name = name
        host, port = self.server_address[:2]
        self.url = f"http://{host!s}:{port}"
        self._open: set[socket.socket] = set()

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self._open.discard(request)
        super().shutdown_request(request)

    def drop(self) -> None:
        """Close the connections that clients keep open."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):  # then a client went away
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Answer(Exception):
    """An answer without file content, raised from wherever it is known."""

    def __init__(self, status: int, body: object = b"", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.headers = dict(headers or {})
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers.setdefault("Content-Type", "text/plain" if isinstance(body, bytes) else "application/json")


@dataclass(frozen=True)
class _File:
    """A file to be served, and how."""

    path: pathlib.Path
    size: int
    etag: str
    headers: Mapping[str, str] = field(default_factory=dict)
    takes_ranges: bool = True
    may_compress: bool = False
    link: _Link | None = None


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "hub"
    disable_nagle_algorithm = True
    timeout = 120
    seen: Request

    def do_GET(self) -> None:
        self._handle()

    def do_HEAD(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """The log is hub.log."""

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def _handle(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen = Request(
            self.command,
            urllib.parse.unquote(parts.path),
            dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True)),
            self.headers.get("Host", ""),
            self.server.name,
            {name.lower(): value for name, value in self.headers.items()},
            subject=urllib.parse.unquote(parts.path),
        )
        if self.hub.keeps_log:
            self.hub.log.append(self.seen)
        try:
            for pattern, handle in self._routes():
                if found := re.fullmatch(pattern, parts.path):
                    handle(*(urllib.parse.unquote(group or "") for group in found.groups()))
                    return
            raise _Answer(404, {"error": "Sorry, we can't find the page you are looking for."})
        except _Answer as answer:
            self._answer(answer)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _routes(self) -> list[tuple[str, Callable[..., None]]]:
        if self.server.name == "cdn":
            return [(r"/([^/]+/[^/]+)/([0-9a-f]{64})/(.+)", self._cdn)]
        return [
            (r"/api/models", self._hf_list),
            (r"/api/models/([^/]+/[^/]+)", self._hf_info),
            (r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", self._hf_info),
            (r"/api/models/([^/]+/[^/]+)/tree/([^/]+)(?:/(.*))?", self._hf_tree),
            (r"/api/models/([^/]+/[^/]+)/refs", self._hf_refs),
            (r"/api/models/([^/]+/[^/]+)/paths-info/([^/]+)", self._hf_paths),
            (r"/api/resolve-cache/models/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)", self._hf_cached),
            (r"/api/whoami-v2", self._hf_whoami),
            (r"/api/v1/login", self._ms_login),
            (r"/openapi/v1/users/me", self._ms_whoami),
            (r"/api/v1/repos/internalAccelerationInfo", self._ms_region),
            (r"/api/v1/models/([^/]+/[^/]+)", self._ms_info),
            (r"/api/v1/models/([^/]+/[^/]+)/revisions", self._ms_revisions),
            (r"/api/v1/models/([^/]+/[^/]+)/repo/files", self._ms_files),
            (r"/api/v1/models/([^/]+/[^/]+)/repo", self._ms_file),
            (r"/plain/([^/]+/[^/]+)/(.+)", self._plain),
            (r"/(?!api/)([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self._hf_file),
        ]

    # --- Hugging Face ---

    def _hf_read(self, repo: str, revision: str, *, path: str = "") -> Snapshot:
        """Return a commit of a repository for its listing, or a file of it; raise the answer of a hub that won't."""
        access, token = self.hub.access, self.seen.token
        if token and token not in access.tokens:
            message = "Invalid credentials in Authorization header"
            raise _Answer(401, {"error": message}, {"X-Error-Message": message})
        hidden = repo in access.private and not access.grants(token, repo)
        if hidden or not self.hub.library.revisions(repo):
            message = "Repository not found" if token else "Invalid username or password."
            headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": message}
            raise _Answer(404 if token else 401, {"error": message}, headers)
        if path and repo in access.gated and not access.grants(token, repo):
            message = (
                f"Access to model {repo} is restricted. You must have access to it and be authenticated to access it."
            )
            headers = {"X-Error-Code": "GatedRepo", "X-Error-Message": message}
            raise _Answer(403 if token else 401, {"error": message}, headers)
        snapshot = self.hub.library.snapshot_with(repo, revision or "main", path)
        if snapshot is None:
            message = f"Invalid rev id: {revision}"
            raise _Answer(404, {"error": message}, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": message})
        return snapshot

    def _hf_list(self) -> None:
        self._strike_early("api")
        private = self.hub.access.private
        raise _Answer(200, [{"id": repo, "modelId": repo} for repo in self.hub.library.repos() if repo not in private])

    def _hf_info(self, repo: str, revision: str = "") -> None:
        self._strike_early("api")
        snapshot = self._hf_read(repo, revision)
        access = self.hub.access
        blobs = self.seen.query.get("blobs", "").lower() in {"true", "1"}
        raise _Answer(
            200,
            hub_tree.hugging_face_info(
                snapshot, private=repo in access.private, gated=repo in access.gated, blobs=blobs
            ),
        )

    def _hf_tree(self, repo: str, revision: str, below: str) -> None:
        self._strike_early("api")
        snapshot = self._hf_read(repo, revision)
        wanted = {name: self.seen.query.get(name, "").lower() in {"true", "1"} for name in ("recursive", "expand")}
        rows = hub_tree.hugging_face_tree(snapshot, below, **wanted)
        if below and not rows:
            message = f"{below} does not exist on {revision!r}"
            raise _Answer(404, {"error": message}, {"X-Error-Code": "EntryNotFound", "X-Error-Message": message})
        size = min(self.hub.page_size, 50) if wanted["expand"] else self.hub.page_size
        size = min(size, int(self.seen.query.get("limit", size)))
        rows, following = hub_tree.page(rows, self.seen.query.get("cursor", ""), size)
        headers = {"X-Repo-Commit": snapshot.commit}
        if following:
            query = urllib.parse.urlencode(self.seen.query | {"limit": size, "cursor": following})
            address = f"http://{self.seen.host}{self.path.partition('?')[0]}?{query}"
            headers["Link"] = f'<{address}>; rel="next"'
        raise _Answer(200, rows, headers)

    def _hf_paths(self, repo: str, revision: str) -> None:
        self._strike_early("api")
        snapshot = self._hf_read(repo, revision)
        if self.seen.headers.get("content-type", "").startswith("application/json"):
            wanted = json.loads(self.body)["paths"]
        else:
            wanted = urllib.parse.parse_qs(self.body.decode()).get("paths", [])
        rows = hub_tree.hugging_face_tree(snapshot, "", recursive=True, expand=False)
        raise _Answer(200, [row for row in rows if row["path"] in wanted])

    def _hf_refs(self, repo: str) -> None:
        self._strike_early("api")
        self._hf_read(repo, "main")
        branches = []
        for name in self.hub.library.revisions(repo):
            snapshot = self.hub.library.snapshot(repo, name)
            if snapshot and name != "master":
                branches.append({"name": name, "ref": f"refs/heads/{name}", "targetCommit": snapshot.commit})
        raise _Answer(200, {"branches": branches, "tags": [], "converts": []})

    def _hf_whoami(self) -> None:
        if self.seen.token not in self.hub.access.tokens:
            raise _Answer(401, {"error": "Invalid credentials in Authorization header"})
        raise _Answer(200, {"type": "user", "name": "reader", "auth": {"accessToken": {"role": "read"}}, "orgs": []})

    def _hf_file(self, repo: str, revision: str, path: str) -> None:
        self.seen.subject = f"{repo}/{path}"
        snapshot, entry = self._hf_entry(repo, revision, path)
        headers = {"X-Repo-Commit": snapshot.commit, "Accept-Ranges": "bytes"}
        if not entry.is_lfs:
            self._strike_early("resolve")
            headers["ETag"] = f'"{entry.oid}"'
            target = f"/api/resolve-cache/models/{repo}/{snapshot.commit}/{urllib.parse.quote(path, safe='')}"
            raise _Answer(307, b"", headers | {"Location": f"{target}?etag=%22{entry.oid}%22"})
        headers |= {"X-Linked-Size": str(entry.size), "X-Linked-Etag": f'"{entry.sha256}"'}
        self._redirect(repo, snapshot.folder, entry, headers | {"ETag": f'"{entry.sha256}"'})
        self._send(_File(snapshot.folder / path, entry.size, f'"{entry.sha256}"', headers))

    def _hf_cached(self, repo: str, commit: str, path: str) -> None:
        self.seen.subject = f"{repo}/{path}"
        snapshot, entry = self._hf_entry(repo, commit, path)
        headers = {"X-Repo-Commit": snapshot.commit}
        self._send(_File(snapshot.folder / path, entry.size, f'"{entry.oid}"', headers, may_compress=True))

    def _hf_entry(self, repo: str, revision: str, path: str) -> tuple[Snapshot, Entry]:
        snapshot = self._hf_read(repo, revision, path=path)
        if path not in snapshot.entries:
            headers = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            raise _Answer(404, b"Entry not found", headers | {"X-Repo-Commit": snapshot.commit})
        return snapshot, snapshot.entries[path]

    # --- ModelScope ---

    def _ms_say(self, data: object, status: int = 200, message: str = "success") -> _Answer:
        number = uuid.uuid4().hex
        success = status == 200
        code = status if success else 10010205001
        body = {"Code": code, "Data": data, "Message": message, "RequestId": number, "Success": success}
        return _Answer(status, body, {"X-Request-ID": number})

    def _ms_check(self, repo: str) -> dict[str, pathlib.Path]:
        """Return a repository's folders by revision; raise the answer of a hub that does not give it."""
        access, token = self.hub.access, self.seen.token
        closed = (repo in access.private or repo in access.gated) and not access.grants(token, repo)
        revisions = self.hub.library.revisions(repo)
        if not revisions:
            raise self._ms_say(None, 404, f"record not found: {repo}")
        if closed:
            raise self._ms_say(None, 403, "no permission to read this model")
        return revisions

    def _ms_read(self, repo: str, revision: str) -> Snapshot:
        self._ms_check(repo)
        snapshot = self.hub.library.snapshot(repo, revision or "master")
        if snapshot is None:
            raise self._ms_say(None, 404, f"revision {revision} does not exist")
        return snapshot

    def _ms_login(self) -> None:
        token = str(json.loads(self.body or b"{}").get("AccessToken"))
        if token not in self.hub.access.tokens:
            raise self._ms_say(None, 400, "AccessToken is invalid or expired")
        answer = self._ms_say({"AccessToken": token, "Username": "reader", "Email": ""})
        answer.headers["Set-Cookie"] = f"m_session_id={token}; Path=/; HttpOnly"
        raise answer

    def _ms_whoami(self) -> None:
        if self.seen.token not in self.hub.access.tokens:
            raise self._ms_say(None, 401, "AccessToken is invalid or expired")
        raise _Answer(200, {"success": True, "data": {"id": 1, "username": "reader"}})

    def _ms_region(self) -> None:
        raise self._ms_say({"InternalRegionQueryAddress": ""})

    def _ms_info(self, repo: str) -> None:
        self._strike_early("api")
        self._ms_check(repo)
        owner, _slash, name = repo.partition("/")
        closed = repo in self.hub.access.private
        raise self._ms_say(
            {"Id": 1, "Path": owner, "Name": name, "Revision": "master", "Visibility": 1 if closed else 5}
        )

    def _ms_revisions(self, repo: str) -> None:
        self._strike_early("api")
        names = [name for name in self._ms_check(repo) if name != "main"]
        branches = [{"Revision": name, "CreatedAt": hub_tree.SECONDS} for name in names]
        raise self._ms_say({"RevisionMap": {"Branches": branches, "Tags": []}})

    def _ms_files(self, repo: str) -> None:
        self._strike_early("api")
        query = self.seen.query
        self._ms_check(repo)
        snapshot = self.hub.library.snapshot(repo, query.get("Revision") or "master")
        if snapshot is None:
            raise self._ms_say({"Files": None, "IsVisual": 0, "LatestCommitter": None})
        recursive = query.get("Recursive", "").lower() in {"true", "1"}
        limit = self.hub.entries_limit
        rows = hub_tree.modelscope_files(snapshot, query.get("Root", ""), recursive=recursive, limit=limit)
        latest = {"Id": "", "ShortId": snapshot.commit[:8], "Message": "Upload"}
        raise self._ms_say({"Files": rows, "IsVisual": 0, "LatestCommitter": latest})

    def _ms_file(self, repo: str) -> None:
        path, revision = self.seen.query.get("FilePath", ""), self.seen.query.get("Revision") or "master"
        self.seen.subject = f"{repo}/{path}"
        folder = self._ms_check(repo).get(revision) or self._ms_read(repo, revision).folder
        entry = self.hub.library.entry(folder, path)
        if entry is None:
            raise self._ms_say(None, 404, f"file {path} does not exist")
        if entry.is_lfs:
            headers = {"X-Linked-Size": str(entry.size), "X-Linked-Etag": f'"{entry.sha256}"'}
            self._redirect(repo, folder, entry, headers)
        file = _File(folder / path, entry.size, f'"{entry.sha256}"', takes_ranges=entry.is_lfs)
        self._send(file)

    # --- files ---

    def _plain(self, repo: str, path: str) -> None:
        self.seen.subject = f"{repo}/{path}"
        if repo in self.hub.access.private and not self.hub.access.grants(self.seen.token, repo):
            raise _Answer(401, b"Unauthorized", {"WWW-Authenticate": "Bearer"})
        root = self.hub.library.root.resolve()
        file = (root / repo / path).resolve()
        if root not in file.parents or not file.is_file():
            raise _Answer(404, b"Not Found")
        status = file.stat()
        self._send(_File(file, status.st_size, f'"{int(status.st_mtime):x}-{status.st_size:x}"'))

    def _cdn(self, repo: str, sha256: str, path: str) -> None:
        self.seen.subject = f"{repo}/{path}"
        if "authorization" in self.seen.headers:
            raise _Answer(
                400, b"<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>"
            )
        link = self.hub.link(self.path.partition("?")[0], self.seen.query)
        found = self.hub.library.content(repo, sha256, path)
        if link is None or found is None:
            raise _Answer(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
        file, entry = found
        self._send(_File(file, entry.size, f'"{entry.sha256}"', link=link))

    def _redirect(self, repo: str, folder: pathlib.Path, entry: Entry, headers: Mapping[str, str]) -> None:
        """Send the client elsewhere, if there is an elsewhere."""
        if self.hub.files_url:
            path = (folder / entry.path).relative_to(self.hub.library.root)
            target = f"{self.hub.files_url}/{urllib.parse.quote(str(path))}"
        elif self.hub.cdn_url:
            target = ""
        else:
            return
        self._strike_early("resolve")
        raise _Answer(302, b"", {**headers, "Location": target or self.hub.sign(repo, entry.sha256, entry.path)})

    def _strike_early(self, stage: Stage) -> None:
        """Answer with an error where a fault says so; the faults of content have nothing to do here."""
        self.seen.stage = stage
        for fault in self.hub.strike(stage, self.seen.subject):
            self.seen.faults.append(fault.kind)
            if fault.kind == "stall":
                self._pause(fault.seconds)
            elif fault.kind in {"cut", "reset"}:
                self._break(reset=fault.kind == "reset")
            elif fault.kind == "status":
                raise _Answer(fault.status, {"error": "fault"}, _retry_after(fault))

    def _send(self, file: _File) -> None:
        """Answer with a file's content, or the part that Range asks for, under the faults that strike."""
        if self.command == "HEAD":
            self._strike_early("resolve")
            headers = {"ETag": file.etag, "Accept-Ranges": "bytes", **file.headers}
            self._head(200, headers | {"Content-Length": str(file.size)})
            return
        self.seen.stage = "bytes"
        self.seen.range = span = self._span(file)
        start, stop, status = (*span, 206) if span else (0, file.size, 200)
        faults = self.hub.strike("bytes", self.seen.subject, start, stop)
        self.seen.faults += [fault.kind for fault in faults]
        rate, end = 0, stop
        for fault in faults:
            if fault.kind == "status":
                headers = {"Content-Range": f"bytes */{file.size}"} if fault.status == 416 else {}
                raise _Answer(fault.status, b"fault", headers | _retry_after(fault))
            if fault.kind == "page":
                self._page()
                return
            if fault.kind == "ignore_range":
                start, stop, status = 0, file.size, 200
                end = stop
            elif fault.kind == "shift" and status == 206:
                start = min(stop - 1, start + fault.length)
            elif fault.kind == "short":
                end = fault.offset(start)
            elif fault.kind == "slow":
                rate = fault.rate
        headers = {"ETag": file.etag, "Accept-Ranges": "bytes", **file.headers}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
        elif file.may_compress and not faults and self._wants_compressed():
            self._compressed(file, headers)
            return
        self._head(status, headers | {"Content-Length": str(end - start)})
        self._body(file, start, end, faults, rate)

    def _span(self, file: _File) -> tuple[int, int] | None:
        """Return the part of the file that the client asks for; None for all of it."""
        asked = self.headers.get("Range", "")
        if not asked or not file.takes_ranges or self.headers.get("If-Range", file.etag) != file.etag:
            return None
        try:
            return parse_range(asked, file.size)
        except ValueError:
            raise _Answer(416, b"", {"Content-Range": f"bytes */{file.size}"}) from None

    def _body(self, file: _File, start: int, stop: int, faults: Sequence[Fault], rate: int) -> None:
        self.seen.sent = (start, start)
        with open(file.path, "rb") as source:
            for step in steps(start, stop, [one for one in faults if one.offset(start) < stop]):
                if step.kind == "stall":
                    self._pause(step.seconds)
                elif step.kind in {"cut", "reset"}:
                    self._break(reset=step.kind == "reset")
                at = step.start
                while at < step.stop:
                    began = time.monotonic()
                    size = min(BLOCK, step.stop - at, max(1, rate // 10) if rate else BLOCK)
                    # Before the bytes, so that a client that has them all finds them in the log.
                    self.seen.sent = (start, at + size)
                    if file.link:
                        file.link.sent += size
                    if step.kind == "flip":
                        source.seek(at)
                        self.connection.sendall(bytes(byte ^ 0xFF for byte in source.read(size)))
                    else:
                        sent = self.connection.sendfile(source, at, size)
                        if sent < size:
                            raise ConnectionError("the file became shorter")
                    at += size
                    if rate:
                        self._pause(size / rate - (time.monotonic() - began))

    def _page(self) -> None:
        """Send a web page as a captive portal does."""
        page = b"<html><form action='/login'>" + b"x" * 2000
        self._head(200, {"Content-Type": "text/html", "Transfer-Encoding": "chunked"})
        self.wfile.write(b"%x\r\n" % len(page) + page + b"\r\n0\r\n\r\n")

    def _compressed(self, file: _File, headers: Mapping[str, str]) -> None:
        """Send text as the real hub does to who accepts gzip: no length, no ranges."""
        body = gzip.compress(file.path.read_bytes())
        sent = dict(headers)
        del sent["Accept-Ranges"]
        self._head(200, sent | {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"})
        self.wfile.write(b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
        self.seen.sent = (0, file.size)

    def _wants_compressed(self) -> bool:
        return "gzip" in self.seen.headers.get("accept-encoding", "") and self.seen.subject.endswith(COMPRESSED)

    def _pause(self, seconds: float) -> None:
        if seconds > 0 and self.hub.stopping.wait(seconds):
            raise ConnectionError("the hub ends")

    def _break(self, *, reset: bool) -> None:
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.connection.shutdown(socket.SHUT_WR)
        self.close_connection = True
        raise ConnectionError("cut by a fault")

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.seen.status = status
        if not self.hub.keeps_log:
            asked = self.seen.headers.get("range", "")
            print(f"{self.client_address[0]} {self.command} {self.path} {asked} {status}", flush=True)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _answer(self, answer: _Answer) -> None:
        self._head(answer.status, answer.headers | {"Content-Length": str(len(answer.body))})
        if self.command != "HEAD":
            self.wfile.write(answer.body)


def _retry_after(fault: Fault) -> dict[str, str]:
    said = {"Retry-After": fault.retry_after, "RateLimit": fault.rate_limit}
    return {name: value for name, value in said.items() if value}


def _address(text: str) -> tuple[str, int]:
    host, _colon, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def main() -> None:
    """Serve a folder until stopped."""
    summary, _blank, usage = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=usage, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", required=True, help="the folder of owners")
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 8080), metavar="HOST:PORT")
    parser.add_argument("--cdn-listen", type=_address, metavar="HOST:PORT", help="serve LFS files here, by redirect")
    parser.add_argument("--cdn-url", default="", help="what clients reach --cdn-listen by")
    parser.add_argument("--files-url", default="", help="redirect LFS files to this server of the same tree")
    parser.add_argument("--access", type=pathlib.Path, help='JSON: {"private": [], "gated": [], "tokens": {token: []}}')
    parser.add_argument("--sums", type=pathlib.Path, help="JSON: SHA-256 by path, for files too large to be read")
    words = parser.parse_args()
    hub = Hub(
        words.root,
        access=Access.from_json(words.access.read_text()) if words.access else None,
        listen=words.listen,
        cdn_listen=words.cdn_listen,
        cdn_url=words.cdn_url,
        files_url=words.files_url,
        sums=json.loads(words.sums.read_text()) if words.sums else None,
        keeps_log=False,
    )
    print(f"serving {words.root} on {hub.url}", flush=True)
    hub.serve()


if __name__ == "__main__":
    main()
