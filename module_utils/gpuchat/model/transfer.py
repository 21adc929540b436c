# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a transfer goes: which bytes are asked for next, what an answer is worth, and how long to wait."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Span = tuple[int, int]
"""A range of bytes, the end not included."""

SHORTEST = 8 << 20
"""Shortest range (bytes) worth a request: at 25 MB/s per connection a round trip of 50 ms costs an eighth of it."""

LONGEST = 64 << 20
"""Longest range: bounds what the hash may lag behind, and so what must still be in memory when it gets there."""

FAST = 50_000_000
"""Bytes per second of a connection above which another one for the same file slows more than it brings: what comes out
of order is read once more for its hash."""

SLOW_SECONDS = 10.0
SLOWER = 8
"""So much slower than usual, and after so long, the rest of a range is taken from a connection."""

PAGES = ("text/html", "application/xhtml+xml")
BYTES = ("application/octet-stream", "binary/octet-stream")
"""What no page calls itself: who gives such without a length where a range was asked for gives the whole file."""

RANGE = r"bytes\s+(\d{1,19})-(\d{1,19})(?:/(?:(\d{1,19})|\*))?"
ATTEMPTS = 8
"""Requests without a byte of progress, one after the other, after which a file's transfer is given up."""

LONGEST_WAIT = 310.0
"""Longest wait (seconds) that a server may ask for: Hugging Face counts requests in windows of 300 s."""

FIRST_WAIT = 0.5


def missing(size: int, have: Iterable[Span]) -> list[Span]:
    """Return what of a file's bytes is in none of some ranges, in order."""
    gaps, end = [], 0
    for begin, stop in sorted(have):
        if begin > end:
            gaps.append((end, begin))
        end = max(end, stop)
    if end < size:
        gaps.append((end, size))
    return gaps


def frontier(size: int, have: Iterable[Span]) -> int:
    """Return how many bytes from the beginning are there without a gap: as far as a hash can go."""
    gaps = missing(size, have)
    return gaps[0][0] if gaps else size


def next_length(remaining: int, connections: int) -> int:
    """Return how long the next range is to be.

    Guided self-scheduling (Polychronopoulos and Kuck, 1987): a share of what remains, so that the connections end
    together, within the bounds above.
    """
    return max(SHORTEST, min(LONGEST, remaining // (2 * max(1, connections))))


def more_helps(connections: int, cores: int, rate: float) -> bool:
    """Return whether another connection for a file that has one already is worth it.

    Args:
        connections: at work on all files.
        cores: of this machine; so many connections can always write and hash at once.
        rate: of all connections together (bytes per second), infinite until it is known.
    """
    return connections < cores or rate < connections * FAST


def is_slow(seconds: float, count: int, usual: float, before: int) -> bool:
    """Return whether a connection is so slow that another one is to do the rest.

    What its buffer holds is lost then, so more patience is had each time: the whole line may have become slow.

    Args:
        seconds: since it began.
        count: bytes that it has brought, and one buffer more.
        usual: bytes per second of a connection, 0 where that is not known.
        before: how often the file's connections were given up so.
    """
    return usual > 0 and seconds > max(SLOW_SECONDS * 2.0**before, SLOWER * count / usual)


def backoff(attempt: int, retry_after: float | None, chance: float) -> float:
    """Return how long to wait (seconds) before an attempt.

    Args:
        attempt: how many went before without progress, from 1.
        retry_after: what the server asked for, None for nothing.
        chance: a random number from 0 to 1: full jitter over the upper half of an exponential delay.
    """
    if retry_after is not None:
        return min(LONGEST_WAIT, max(0.0, retry_after)) + chance
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt - 1, 12)) * (0.5 + chance / 2)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a server asks to wait.

    By ``Retry-After``, a number or a date (RFC 9110, 10.2.3), or by a limit's window that has no requests left.

    Args:
        headers: with names in lower case.
        now: seconds since the epoch.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return float(value)
    limit = _window(headers, now)
    if limit is not None:
        return limit
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _window(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds until a limit's window ends, where it has no requests left.

    By ``RateLimit`` with r requests left and t seconds (draft-ietf-httpapi-ratelimit-headers-09, as Hugging Face writes
    it), with remaining and reset (-05), or by a header for each (-02, and many before it, some with an hour's time).
    """
    limit = headers.get("ratelimit", "")
    for one in limit.split(",") if "=" in limit and "remaining" not in limit else [limit]:
        parts = dict(re.findall(r"\b(r|t|remaining|reset)\s*=\s*(\d{1,9})\b", one))
        left, ends = (parts.get(new, parts.get(old, "")) for new, old in (("r", "remaining"), ("t", "reset")))
        if left and ends and int(left) == 0:
            return float(ends)
    for prefix in ("", "x-"):
        left, ends = (headers.get(f"{prefix}ratelimit-{word}", "").strip() for word in ("remaining", "reset"))
        if left == "0" and re.fullmatch(r"\d{1,10}", ends):
            return max(0.0, int(ends) - now) if int(ends) >= AN_EPOCH else float(ends)
    return None


AN_EPOCH = 1_000_000_000
"""From here on a number of seconds is a time since the epoch."""


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth.

    Attributes:
        kind: ``take`` (the bytes follow), ``redirect``, ``whole`` (the range was ignored and the whole file follows),
            ``expired`` (the address ran out: ask the hub again), ``wait`` (try again later), ``refused`` (no use).
        word: what was odd, for people.
        size: the file's bytes as the server has them, -1 where it does not say.
        status: of the answer, where it was refused.
        end: of the bytes that follow, where they are fewer than were asked for.
    """

    kind: str
    word: str = ""
    size: int = -1
    status: int = 0
    end: int = 0


def judge(status: int, headers: Mapping[str, str], span: Span, size: int, redirected: bool, path: str = "") -> Verdict:
    """Return what an answer to a request for some bytes of a file is worth.

    Args:
        status: of the answer.
        headers: with names in lower case.
        span: the bytes that were asked for; the whole file means that no range was asked for.
        size: the file's bytes as the listing has them.
        redirected: the answer came from an address that the hub gave for a while only.
        path: the file's.
    """
    if status in (301, 302, 303, 307, 308) and headers.get("location"):
        return Verdict("redirect")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return Verdict("wait", f"an answer encoded as {headers['content-encoding']}")
    ranged = span != (0, size)
    length = headers.get("content-length", "")
    if status == 206 and ranged:
        match = re.fullmatch(RANGE, headers.get("content-range", "").strip(), re.IGNORECASE | re.ASCII)
        # A server may give less than was asked for (RFC 9110, 15.3.7), as those do that cut files into slices.
        if match is None or int(match[1]) != span[0] or not span[0] <= int(match[2]) < span[1]:
            return Verdict("wait", f"the range {headers.get('content-range')!r}, not {span[0]}-{span[1] - 1}")
        announced = int(match[3]) if match[3] else -1
        return (
            Verdict("take", size=announced, end=int(match[2]) + 1)
            if announced in (-1, size)
            else Verdict("refused", f"{announced} bytes", announced)
        )
    if status == 200:
        announced = int(length) if length.isdigit() else -1
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in PAGES and announced != size and not path.endswith((".html", ".htm")):
            return Verdict("wait", f"a web page ({kind}) in the file's place, as a proxy or a login page gives it")
        if ranged and announced < 0 and kind not in BYTES:
            return Verdict("wait", "an answer of unknown length where a range was asked for")
        if announced not in (-1, size):
            return Verdict("refused", f"{announced} bytes", announced)
        return Verdict("whole", "the whole file where a range was asked for", announced) if ranged else Verdict("take")
    if status == 416:
        length_text = headers.get("content-range", "").rpartition("/")[2].strip()
        announced = int(length_text) if length_text.isdigit() else -1
        found = "no such range" if announced in (-1, size) else f"{announced} bytes"
        return Verdict("whole" if announced == size else "refused", found, announced)
    if status in (408, 425, 429) or status >= 500 or 200 < status < 300:
        return Verdict("wait", f"status {status}")
    if redirected and status >= 400:
        return Verdict("expired", f"status {status}")
    return Verdict("refused", f"status {status}", status=status)


@dataclass(frozen=True)
class Progress:
    """Where a transfer stands.

    Attributes:
        done: bytes that are there, those of earlier runs among them.
        fetched: bytes that this run fetched.
        total: bytes that have to be there at the end.
        rate: bytes per second over the last seconds.
        files_done: files that are there and verified.
        files: all files.
    """

    done: int
    fetched: int
    total: int
    rate: float
    files_done: int
    files: int

    def as_json(self) -> dict[str, object]:
        """Return it for the control node."""
        left = (self.total - self.done) / self.rate if self.rate > 0 else None
        return {
            "bytes": self.done,
            "bytes_fetched": self.fetched,
            "bytes_total": self.total,
            "rate": round(self.rate),
            "seconds_left": None if left is None else round(left),
            "files": self.files_done,
            "files_total": self.files,
        }
