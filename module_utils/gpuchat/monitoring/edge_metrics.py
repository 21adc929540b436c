# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the edge's requests come to: nginx sends a line for each, and here they are counted.

Whatever comes, the number of series stays small: a client, a status or a kind beyond what there can be counts as other.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .textfile import COUNTER, Distribution, Family, Labels, family, histogram, single

KINDS = ("chat", "api", "sign_in", "files", "other")
OTHER = "other"
STATUS = re.compile("[0-9]{3}")
MOST_CLIENTS = 200
"""Names of API clients; an inventory has fewer."""
LONGEST_CLIENT = 64
MOST_SERIES = 2000
"""Of kind, status and client; beyond, statuses count by their hundreds."""
MOST = 2**53
"""Bytes or seconds of a request; nothing comes near it, and sums of less can always be told."""
LONGEST_LINE = 4096
"""Bytes; nginx's line of the form below is shorter."""

SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
"""Bounds of a whole request: an answer is streamed for as long as the model writes."""
FIRST_BYTE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80)


@dataclass(frozen=True)
class Request:
    """A request that has ended.

    Attributes:
        kind: one of KINDS.
        status: three digits.
        client: the API client's name, empty where there is none.
        sent: bytes.
        seconds: from the first byte of it to the last byte of the answer.
        first_byte: seconds until the answer's header was there; None where nobody behind the edge was asked.
    """

    kind: str
    status: str
    client: str
    sent: int
    seconds: float
    first_byte: float | None


def read(line: bytes) -> Request | None:
    """Read nginx's line: a syslog header, then a JSON list of the fields above; None for anything else."""
    _header, found, text = line.partition(b": [")
    if not found or len(line) > LONGEST_LINE:
        return None
    try:
        kind, status, client, sent, seconds, first = json.loads(b"[" + text)
        request = Request(
            str(kind) if kind in KINDS else OTHER,
            str(status),
            str(client)[:LONGEST_CLIENT],
            int(sent),
            float(seconds),
            _first_byte(str(first)),
        )
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    sound = STATUS.fullmatch(request.status) and 0 <= request.sent < MOST and 0 <= request.seconds < MOST
    return request if sound else None


def _first_byte(text: str) -> float | None:
    """Return the time of the server that has answered: the last one, where several were asked (``0.1, 0.2 : 0.3``)."""
    last = text.replace(":", ",").rpartition(",")[2].strip()
    value = float(last) if last not in ("", "-") else None
    return value if value is not None and 0 <= value < MOST else None


class Counts:
    """What was counted since the program's start."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._sent: Counter[str] = Counter()
        self._seconds = {kind: ([0] * (len(SECONDS) + 1), [0.0]) for kind in KINDS}
        self._first = {kind: ([0] * (len(FIRST_BYTE_SECONDS) + 1), [0.0]) for kind in KINDS}
        self._clients: set[str] = {"", OTHER}
        self._unreadable = 0

    def add(self, line: bytes) -> None:
        """Count what a line says."""
        one = read(line)
        if one is None:
            self._unreadable += 1
            return
        self._requests[self._series(one)] += 1
        self._sent[one.kind] += one.sent
        _observe(self._seconds[one.kind], SECONDS, one.seconds)
        if one.first_byte is not None:
            _observe(self._first[one.kind], FIRST_BYTE_SECONDS, one.first_byte)

    def _series(self, one: Request) -> tuple[str, str, str]:
        if one.client not in self._clients and len(self._clients) < MOST_CLIENTS:
            self._clients.add(one.client)
        client = one.client if one.client in self._clients else OTHER
        series = (one.kind, one.status, client)
        if series in self._requests or len(self._requests) < MOST_SERIES:
            return series
        return (one.kind, f"{one.status[0]}xx", OTHER if client else "")

    def families(self) -> tuple[Family, ...]:
        """Return the metrics."""
        requests: dict[Labels, float] = {
            (("kind", kind), ("code", code), ("client", client)): float(count)
            for (kind, code, client), count in sorted(self._requests.items())
        }
        sent: dict[Labels, float] = {(("kind", kind),): float(size) for kind, size in sorted(self._sent.items())}
        return (
            family("gpuchat_edge_requests_total", "Requests that the edge has answered", requests, COUNTER),
            histogram(
                "gpuchat_edge_request_seconds",
                "Time from a request's first byte to the last byte of its answer",
                SECONDS,
                _distributions(self._seconds),
            ),
            histogram(
                "gpuchat_edge_first_byte_seconds",
                "Time until what is behind the edge began to answer",
                FIRST_BYTE_SECONDS,
                _distributions(self._first),
            ),
            family("gpuchat_edge_sent_bytes_total", "Bytes sent to clients", sent, COUNTER),
            single(
                "gpuchat_edge_unreadable_lines_total",
                "Lines of the edge's log that could not be read",
                self._unreadable,
                COUNTER,
            ),
        )


Found = tuple[list[int], list[float]]


def _observe(found: Found, bounds: Sequence[float], value: float) -> None:
    counts, total = found
    counts[bisect_left(bounds, value)] += 1
    total[0] += value


def _distributions(found: dict[str, Found]) -> dict[Labels, Distribution]:
    return {
        (("kind", kind),): Distribution(tuple(counts), total[0])
        for kind, (counts, total) in sorted(found.items())
        if any(counts)
    }
