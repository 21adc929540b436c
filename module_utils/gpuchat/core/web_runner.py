# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks by HTTP, for core/host; apart from it, as most modules ask nobody, and what is imported here takes its time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any

from . import host


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect, and shows what authorizes to nobody but the one that was asked."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new and (new.type, new.host) != (req.type, req.host):
            new.remove_header("Authorization")
        return new


class _SocketConnection(HTTPConnection):
    """Speaks HTTP over the Unix socket whose path stands in place of the host."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


class _Sockets(urllib.request.AbstractHTTPHandler):
    """Opens ``unix://%2Fpath%2Fto.sock/path``."""

    def unix_open(self, request: urllib.request.Request) -> Any:
        request.add_unredirected_header("Host", "localhost")
        return self.do_open(_SocketConnection, request)

    unix_request = urllib.request.AbstractHTTPHandler.do_request_
    unix_response = urllib.request.HTTPErrorProcessor.http_response


class _Tls(urllib.request.HTTPSHandler):
    """Reads the authorities when the first TLS connection is opened, and not before: there are a hundred and more."""

    def __init__(self, authority: str) -> None:
        super().__init__(context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))  # it trusts nobody, and is not used
        self._authority = authority

    def https_open(self, req: urllib.request.Request) -> Any:
        context = ssl.create_default_context(cadata=self._authority or None)
        if self._authority:  # newer Pythons refuse of a company's what nginx, curl and browsers take
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return self.do_open(HTTPSConnection, req, context=context)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect to who asked, as an error with its status."""

    def redirect_request(self, *_given: Any) -> urllib.request.Request | None:
        return None


def _opener(direct: bool, redirects: bool = True, authority: str = "") -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [
        _Tls(authority),
        _Redirects() if redirects else _NoRedirects(),
        _Sockets(),
    ]
    if direct:
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def http(
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 10,
    direct: bool = False,
    redirects: bool = True,
    authority: str = "",
) -> host.Response:
    """Make one HTTP request, as core/host says."""
    try:
        request = urllib.request.Request(url, data=body, headers=dict(headers or {}), method=method)
        with _opener(direct, redirects, authority).open(request, timeout=timeout) as answer:
            return host.Response(
                answer.status, {k.lower(): v for k, v in answer.headers.items()}, _body(answer, timeout)
            )
    except urllib.error.HTTPError as error:
        body = b""
        with error, contextlib.suppress(OSError, HTTPException):
            body = _body(error, timeout)
        return host.Response(error.code, {k.lower(): v for k, v in error.headers.items()}, body)
    except (OSError, ValueError, HTTPException) as error:  # an HTTPException: what answers speaks no HTTP
        return host.Response(0, {}, b"", str(getattr(error, "reason", error)) or type(error).__name__)


def _body(answer: Any, timeout: float) -> bytes:
    """Return an answer's body.

    Raises:
        OSError: it is larger than LARGEST_ANSWER (bytes), or was not there whole in time (seconds).
    """
    end, found, size = time.monotonic() + timeout, [], 0
    while part := answer.read1(1 << 16):
        found.append(part)
        size += len(part)
        if size > host.LARGEST_ANSWER:
            raise OSError(f"an answer of more than {host.LARGEST_ANSWER >> 20} MiB")
        if time.monotonic() > end:
            raise TimeoutError(f"no whole answer within {timeout:g} s")
    if getattr(answer, "length", 0):
        raise OSError(f"an answer of {size} bytes, which was to have {answer.length} more")
    return b"".join(found)


@contextlib.contextmanager
def http_lines(
    url: str, headers: Mapping[str, str], body: bytes, timeout: float
) -> Iterator[Iterator[tuple[float, str]]]:
    """Yield a streamed answer's lines, as core/host says."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")
    with _opener(direct=True).open(request, timeout=timeout) as answer:
        yield ((time.monotonic(), line.decode(errors="replace").rstrip("\r\n")) for line in answer)
