# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between a hub and its client, as data, and what a response becomes by it."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Stage = Literal["api", "resolve", "bytes"]
Kind = Literal["status", "ignore_range", "short", "shift", "cut", "reset", "wrong", "stall", "slow", "expire", "page"]


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, for requests whose subject matches.

    The subject of a file is OWNER/NAME/PATH whichever way it is asked for, that of a listing is the URL's path.

    Kinds:
        status: the answer is `status`, with Retry-After where `retry_after` is set, RateLimit where `rate_limit` is.
        ignore_range: 200 and the whole file, whatever range was asked for.
        short: the body ends before byte `at`, and Content-Length agrees with it.
        shift: the answer is that of a range which starts `length` bytes later than asked, and says so.
        cut: the connection is closed before byte `at`, with Content-Length promising all of it.
        reset: the same, by TCP reset (what is on the way may be lost).
        wrong: bytes `at` up to `at + length` are flipped.
        stall: nothing is sent for `seconds` before byte `at`.
        page: the answer is a web page of unknown length with status 200, as a captive portal gives it.
        slow: no more than `rate` bytes per second on a connection.
        expire: a signed address answers 403 after `requests` requests, or once `at` bytes went over it; it strikes
            an address as it is issued, so that `times=1` means that a renewed one holds.

    Attributes:
        kind: see above.
        path: a pattern as in fnmatch, matched against the subject.
        stage: `api` for listings, `resolve` for the hub's own answer on a file (a redirect, or any HEAD), `bytes` for
            a file's content, from wherever it comes.
        times: how many requests it strikes (or addresses, for expire); None for all.
        skip: how many matching requests pass first.
        at: an offset (bytes) in the file; counted from the response's first byte where `relative` is set.
    """

    kind: Kind
    path: str = "*"
    stage: Stage = "bytes"
    times: int | None = None
    skip: int = 0
    at: int = 0
    relative: bool = False
    length: int = 1
    status: int = 503
    retry_after: str = ""
    rate_limit: str = ""
    seconds: float = 3600.0
    rate: int = 1_000_000
    requests: int | None = None

    def concerns(self, stage: Stage, subject: str, start: int = 0, stop: int = 0) -> bool:
        """Tell whether it applies to a request of some stage, whose answer holds the bytes from start up to stop."""
        if stage != self.stage or not fnmatch.fnmatchcase(subject, self.path):
            return False
        return self.kind not in {"cut", "reset", "wrong", "stall", "short"} or start <= self.offset(start) < stop

    def offset(self, start: int) -> int:
        """Where in the file it strikes, for a response that begins at byte `start`."""
        return self.at + start if self.relative else self.at


@dataclass(frozen=True)
class Step:
    """One step of sending a body: bytes of the file (as they are or flipped), a pause, or an end before the end."""

    kind: Literal["send", "flip", "stall", "cut", "reset"]
    start: int = 0
    stop: int = 0
    seconds: float = 0.0


def steps(start: int, stop: int, faults: Iterable[Fault]) -> list[Step]:
    """Return how the bytes from start up to stop go out under faults that all concern this response."""
    found: list[Step] = []
    at = start
    for fault in sorted(faults, key=lambda one: one.offset(start)):
        if fault.kind not in {"cut", "reset", "wrong", "stall"}:
            continue
        strike = max(at, fault.offset(start))
        if strike > at:
            found.append(Step("send", at, strike))
        at = strike
        if fault.kind == "stall":
            found.append(Step("stall", seconds=fault.seconds))
        elif fault.kind == "wrong":
            at = min(stop, strike + fault.length)
            found.append(Step("flip", strike, at))
        else:
            found.append(Step("cut" if fault.kind == "cut" else "reset"))
            return found
    if stop > at:
        found.append(Step("send", at, stop))
    return found


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Return the bytes (first, one past the last) that a Range header asks for; None for all of the file.

    Raises:
        ValueError: no byte of the file lies in the range (the answer to which is 416).
    """
    unit, _sign, wanted = header.partition("=")
    first, dash, last = wanted.strip().partition("-")
    if unit != "bytes" or not dash or not all(part.isdigit() or not part for part in (first, last)):
        return None
    if not first and not last:
        return None
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    if start >= size or start >= stop:
        raise ValueError(header)
    return start, stop


def repeated(spans: Sequence[tuple[int, int]]) -> int:
    """Return how many bytes lie in more than one of some spans (first, one past the last), each time counted."""
    count = reached = 0
    for start, stop in sorted(spans):
        count += max(0, min(stop, reached) - start)
        reached = max(reached, stop)
    return count
