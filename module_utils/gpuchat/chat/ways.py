# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of what of an interface may be asked from outside: by whom, by which methods, and what is handed on with it.

An interface is never trusted: the edge hands on what is listed here and nothing else, and asks for the session itself
wherever a path is for people who are signed in. Patterns are nginx's, and meet a path that is decoded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

READ = "GET|HEAD"
CLOSED, OPEN = "closed", "open"
"""Whether people may make an account by themselves (``gpuchat_signup``)."""

SIGNATURE = "(^|&)X-Amz-Signature=[0-9a-f]{64}(&|$)"
"""What an address that the interface made for one of its files ends in."""

SESSION_VALUE = "([A-Za-z0-9._-]|%2B|%2F|%3D)+"
"""What a session's cookie holds, as an interface gives it: it reads the same out of other spellings too, quoted, spaced
or with letters escaped, and each of them would have limits of its own."""

STRIPPED = (
    "Client-IP",
    "Forwarded",
    "Forwarded-For",
    "True-Client-IP",
    "X-Api-Key",
    *(f"CF-{one}" for one in ("Access-Authenticated-User-Email", "Access-Jwt-Assertion", "Connecting-IP")),
    *(f"Remote-{one}" for one in ("Email", "Groups", "Name", "User")),
    *(f"Tailscale-User-{one}" for one in ("Login", "Name")),
    *(f"X-Amzn-Oidc-{one}" for one in ("Accesstoken", "Data", "Identity")),
    *(f"X-Auth-{one}" for one in ("Email", "Groups", "Name", "User", "Username")),
    *(f"X-Auth-Request-{one}" for one in ("Access-Token", "Email", "Groups", "Preferred-Username", "User")),
    *(f"X-Authentik-{one}" for one in ("Email", "Groups", "Jwt", "Name", "Uid", "Username")),
    *(f"X-{one}Client-IP" for one in ("", "Cluster-")),
    *(f"X-Forwarded-{one}" for one in ("Access-Token", "Email", "Groups", "Preferred-Username", "User")),
    *(f"X-Forwarded-{one}" for one in ("Method", "Path", "Port", "Prefix", "Scheme", "Server", "Ssl", "Uri")),
    *(f"X-Goog-{one}" for one in ("Authenticated-User-Email", "Authenticated-User-ID", "Iap-Jwt-Assertion")),
    *(f"X-{one}" for one in ("HTTP-Method", "HTTP-Method-Override", "Method-Override", "Rewrite-URL")),
    *(f"X-{one}" for one in ("Matched-Path", "Invoke-Path", "Middleware-Subrequest")),
    *(f"X-MS-Client-Principal{one}" for one in ("", "-ID", "-Name")),
    *(f"X-Original-{one}" for one in ("Forwarded-For", "Host", "Method", "URI", "URL")),
    *(f"X-Pomerium-{one}" for one in ("Claim-Email", "Jwt-Assertion")),
    *(f"X-Remote-{one}" for one in ("Email", "Group", "Groups", "IP", "Name", "User")),
    *(f"X-SSL-Client-{one}" for one in ("Cert", "S-DN", "Verify")),
    *(f"X-User{one}" for one in ("", "-Email", "-ID", "-Name")),
    *(f"X-Webauth-{one}" for one in ("Email", "Groups", "Name", "Role", "User")),
)
"""Headers by which a server in front says who somebody is, from where, or what is asked: nobody else may."""

NO_SIGN_UP = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>No account</title>
<body style="font-family: sans-serif; max-width: 30em; margin: 20vh auto; padding: 0 1em">
<p>There is no account of that name, and nobody can make one here. Ask whoever runs this chat for one.</p>
<p lang="zh">没有该账号。此处不开放注册。请向管理员申请。</p>
<p><a href="/">Sign in</a></p>
"""
"""What people see who are led to a page for new accounts; it stands in single quotes in nginx's configuration."""


@dataclass(frozen=True)
class Way:
    """Paths that are handed on in one manner.

    Attributes:
        pattern: of the whole decoded path.
        methods: separated by ``|``.
        session: whether one must be signed in.
        is_page: whether people look at what comes back, so that they see a page where it fails.
        is_static: a file that is the same for everybody; not limited.
        signs_in: whether a password or an account can be guessed by it.
        by_company: whether people go to their company's own sign-in by it, or come back: nothing can be guessed.
        asks_model: whether a model's time is used.
        is_socket: whether the connection is kept for a web socket.
        is_file: whether the object store answers, to signed addresses alone.
        is_sandboxed: whether people may have made what comes back, so that nothing in it may run as the chat.
    """

    pattern: str
    methods: str = READ
    session: bool = False
    is_page: bool = False
    is_static: bool = False
    signs_in: bool = False
    by_company: bool = False
    asks_model: bool = False
    is_socket: bool = False
    is_file: bool = False
    is_sandboxed: bool = False

    @property
    def is_read(self) -> bool:
        """Whether it is only read, so that nothing is sent with it."""
        return self.methods == READ

    @property
    def zone(self) -> str:
        """By which of nginx's zones an address has so many at a time: a window that is left open is no answer."""
        return "socket_networks" if self.is_socket else "answer_networks"

    @property
    def counts_as(self) -> str:
        """What the metrics of the edge call a request of this way."""
        named = {"sign_in": self.signs_in or self.by_company, "chat": self.asks_model, "files": self.is_file}
        return next((kind for kind, is_so in named.items() if is_so), "other")


@dataclass(frozen=True)
class Header:
    """A header that the edge gives a request, whatever came with it.

    Attributes:
        pattern: of the paths; to all others the header is not handed on.
    """

    name: str
    value: str
    pattern: str


@dataclass(frozen=True)
class Arguments:
    """Links that would make a person's browser act by itself.

    Attributes:
        pattern: of the decoded path, a question mark, and the arguments as they came.
        instead: where one is led; empty where the link is refused.
    """

    pattern: str
    instead: str = ""


@dataclass(frozen=True)
class ClosedPage:
    """A page that an interface leads to though it is closed, and what people see instead."""

    pattern: str
    text: str


@dataclass(frozen=True)
class Room:
    """An interface as the edge sees it.

    Attributes:
        ways: in the order in which they are tried.
        session_path: what is asked with a request's cookies: 200 with a session, 401 without.
        sign_in: the page at which people sign in.
        session_cookies: names of those by which it knows a session, as patterns; it reads the first that is there.
        cookies: names of further ones that are the interface's own, as patterns.
        headers: what the edge adds.
        stripped: what it takes away.
        signed_out: what the page itself understands where a session is missing: more keys of the answer's JSON object.
        uses_authorization: whether its page sends a header Authorization of its own.
        closed_examples: for the verification to ask for with and without a session: 404.
        guarded_examples: method and path of what answers 401 without a session.
    """

    kind: str
    version: str
    ways: tuple[Way, ...]
    session_path: str
    sign_in: str
    session_cookies: tuple[str, ...]
    cookies: tuple[str, ...]
    closed_examples: tuple[str, ...]
    guarded_examples: tuple[tuple[str, str], ...]
    headers: tuple[Header, ...] = ()
    stripped: tuple[str, ...] = STRIPPED
    arguments: tuple[Arguments, ...] = ()
    closed_pages: tuple[ClosedPage, ...] = ()
    signed_out: Mapping[str, object] | None = None
    uses_authorization: bool = False

    def as_dict(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "version": self.version,
            "ways": [
                {**asdict(one), "is_read": one.is_read, "zone": one.zone, "counts_as": one.counts_as}
                for one in self.ways
            ],
            "has_files": any(one.is_file for one in self.ways),
            "sockets": [one.pattern for one in self.ways if one.is_socket],
            "session_path": self.session_path,
            "sign_in": self.sign_in,
            "session_cookies": [f"{one}={SESSION_VALUE}" for one in self.session_cookies],
            "cookies": list(self.cookies),
            "headers": [asdict(one) for one in self.headers],
            "stripped": list(self.stripped),
            "arguments": [asdict(one) for one in self.arguments],
            "closed_pages": [asdict(one) for one in self.closed_pages],
            "signed_out": _signed_out(self.signed_out or {}),
            "uses_authorization": self.uses_authorization,
            "odd_path": ODD_PATH,
            "signature": SIGNATURE,
            "closed_examples": list(self.closed_examples),
            "guarded_examples": [{"method": method, "path": path} for method, path in self.guarded_examples],
            "limits": {
                "session_rate": 2,
                "session_burst": 20,
                "session_answers": 8,
                "sign_in_rate": 5,
                "by_company_rate": 2,
            },
        }


ODD_PATH = r"(?i)^[^?]*(//|\\|#|%(25)*(2f|5c|2e|[01][0-9a-f]|7f)|/\.\.?(/|;|\?|$))"
"""A request's path as it came, where nginx and what is behind it could read it in two ways: nginx decodes what it
compares, once, ends it at a fragment, and hands on what came; others decode twice, or take a parameter off a segment
first. To a pattern, nginx's and Starlette's alike, a path may end before a line's end, which no browser sends."""


def words(names: Sequence[str]) -> str:
    """Return the pattern of any of some words, each a pattern."""
    return f"({'|'.join(names)})"


def _signed_out(more: Mapping[str, object]) -> str:
    error = {"type": "authentication_error", "message": "Sign in again: load this page anew.", "code": 401}
    return json.dumps({"error": {**error, **more}})
