# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches a model's files over HTTP: many at once, large ones in ranges, hashed as they come, resumed after any end.

Network threads write what they get into a file's part and note in its journal how far each range has come. Whoever
brings the bytes that a file's hash wants next hashes them too, while they are in the processor's cache. Hash threads
catch up on the rest and read it back from the page cache, so that the order of arrival does not matter and a resumed
file needs no state of its own.
"""

from __future__ import annotations

import http.client
import math
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from ..core.errors import Refusal
from . import transfer
from .files import ModelFile, Proof
from .hub_runner import FAILURES, HOPS, Asker, lower, why
from .hubs import connection_hint, origin, other_origin, reach_too
from .journal_runner import Journal, merged, read_journal
from .store_runner import BLOCK, FULL, Store, disk_full
from .transfer import Progress, Span, Verdict

CHUNK = 512 << 10
"""Bytes taken from a connection at once."""

WRITE = 128 << 10
"""Bytes written at once: for a longer write the kernel seeks larger runs of free memory, which is slower (measured)."""

HASH_RUN = 16 << 20
"""Bytes of one file that a hash thread takes before it looks for a file that needs it more."""

RATE_WINDOW = 10.0
LINGER_SECONDS = 2.0
"""What connections get to end by themselves when one thread has failed."""

LINGER_FOR_ANOTHER = 300.0
"""What they get where another transfer is to go on: none may write where that one does."""

FRESH_ADDRESSES = 2
"""So many new addresses may be of no use from the first request on, before their host is known to give nothing."""


class ServerRefusal(Refusal):
    """A server gives a file wrongly, or not at all: another one may do better."""


class DiskFailure(Exception):
    """This host's disk fails, and not a server."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class Settings:
    """How a transfer goes.

    Attributes:
        workers: connections at once.
        connections_per_file: connections at once for one file.
        rate: bytes per second, 0 for no limit.
        verify: prove the bytes with their hashes.
        silent: seconds without a byte after which a connection is dropped.
    """

    workers: int
    connections_per_file: int
    rate: int = 0
    verify: bool = True
    silent: float = 30.0


@dataclass(eq=False)
class Part:
    """A file on its way; everything here is guarded by the transfer's lock.

    Attributes:
        have: the ranges that are there, joined and in order.
        busy: the ranges that are being fetched, by their slot in the journal.
        hashed: how far the hash has come.
        hashing: somebody is at work on the hash.
        hasher: who of those that bring it, if one of them.
        alone: one connection at a time, which reads the file from its beginning, for the server knows no ranges.
        ignored: how often in a row the server gave the whole file where a range was asked for.
        takeovers: how often an idle connection did the rest of a slow one.
        unusable: how often in a row an address was of no use from its first request on.
        again: its bytes were wrong once.
        best: most bytes that were ever there: only more than that is progress.
        location: the address that the hub redirected to.
        asked: the address that was asked last.
    """

    file: ModelFile
    key: str
    url: str
    have: list[Span]
    proof: Proof | None
    handle: int = -1
    journal: Journal | None = None
    busy: dict[int, Span] = field(default_factory=dict)
    hashed: int = 0
    hashing: bool = False
    hasher: Errand | None = None
    alone: bool = False
    again: bool = False
    ignored: int = 0
    takeovers: int = 0
    unusable: int = 0
    settling: bool = False
    finished: bool = False
    attempts: int = 0
    best: int = 0
    put_off: float = 0.0
    not_before: float = 0.0
    location: str = ""
    asked: str = ""

    @property
    def size(self) -> int:
        return self.file.size

    @property
    def there(self) -> int:
        """Return the bytes that are there."""
        return sum(end - begin for begin, end in self.have)

    @property
    def frontier(self) -> int:
        """Return how far the bytes go from the beginning without a gap."""
        return self.have[0][1] if self.have and self.have[0][0] == 0 else 0

    def gaps(self) -> list[Span]:
        """Return what nobody has or brings."""
        return transfer.missing(self.size, [*self.have, *self.busy.values()])

    def grow(self, span: Span) -> None:
        """Add bytes that were just written."""
        for index, (begin, end) in enumerate(self.have):
            if end == span[0]:
                self.have[index] = (begin, span[1])
                break
        else:
            self.have.append(span)
        if len(self.have) > 1:
            self.have = merged(self.have)
        if self.there > self.best:
            self.best, self.attempts = self.there, 0


@dataclass(eq=False)
class Errand:
    """One request's worth of a part; guarded by the transfer's lock as that is.

    Attributes:
        span: the bytes that are on their way, once that is known: a server may give fewer than were asked for.
        at: how far it has come.
        writing: its bytes are on their way to the disk, which nobody may take over.
        taken_over: another connection does the rest, for this one was too slow.
    """

    part: Part
    slot: int
    span: Span
    started: float
    at: int
    writing: bool = False
    taken_over: bool = False


class Transfer:
    """Fetches files into a store until all are whole and verified, or one cannot be."""

    def __init__(self, store: Store, asker: Asker, settings: Settings, report: Callable[[Progress], None]) -> None:
        """Prepare a transfer; `report` hears of it each second, and may raise to end it."""
        self._store, self._asker, self._settings, self._report = store, asker, settings, report
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._behind = threading.Condition(self._lock)
        self._end = threading.Condition(self._lock)
        self._parts: list[Part] = []
        self._left: dict[str, Part] = {}
        self._error: Exception | None = None
        self._sha256: dict[str, str] = {}
        self._fetched = 0
        self._connected = 0
        self._errands: set[Errand] = set()
        self._usual = 0.0  # bytes per second of one connection, 0 until it is known
        self._cores = os.cpu_count() or 1
        self._rate = math.inf  # until it is known
        self._others: tuple[int, int] = (0, 0)
        self._not_before = 0.0
        self._paid_until = 0.0
        self._marks: deque[tuple[float, int]] = deque()

    @property
    def fetched(self) -> int:
        """Return the bytes that came over the wire."""
        return self._fetched

    def run(
        self,
        files: Mapping[str, ModelFile],
        urls: Mapping[str, str],
        others: Sequence[ModelFile] = (),
        another: bool = False,
    ) -> dict[str, str]:
        """Fetch files, and return their SHA-256 by key ('' where nothing was to be verified).

        Args:
            files: what to bring, by key.
            urls: where from, by key.
            others: files that are there already; they count as progress.
            another: another transfer goes on where the server fails this one.

        Raises:
            ServerRefusal: a file does not come, or is not what the source says; what is there stays for the next run.
            Refusal: this host cannot take the files.
        """
        self._others = (len(others), sum(file.size for file in others))
        for key, file in sorted(files.items(), key=lambda item: -item[1].size):
            have = (
                read_journal(f"{self._store.part(key)}.ranges", file.size)
                if os.path.exists(self._store.part(key))
                else []
            )
            proof = Proof(file.size) if self._settings.verify else None
            self._parts.append(Part(file, key, urls[key], have, proof, best=sum(end - begin for begin, end in have)))
        self._left = {part.key: part for part in self._parts}
        hashers = min(len(self._parts), self._cores) if self._settings.verify else 0
        threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in [self._bring] * self._connections() + [self._hash] * hashers
        ]
        for part in self._parts:
            # The others are settled by whoever brings or proves their last byte.
            if (part.proof is None or not part.size) and self._is_whole(part):
                self._open(part)
                self._settle(part)
        try:
            for thread in threads:
                thread.start()
            self._watch()
        except Exception as error:  # noqa: BLE001 - raised below, when the threads have ended
            self._fail(error)
        started = [thread for thread in threads if thread.ident is not None]
        if self._error is None:
            end = time.monotonic() + LINGER_SECONDS  # a connection whose rest another has brought may trickle on
            for thread in started:
                thread.join(timeout=max(0.0, end - time.monotonic()))
        if self._error is not None:
            raise self._ended(self._error, started, another and isinstance(self._error, ServerRefusal))
        return self._sha256

    def _ended(self, error: Exception, threads: Sequence[threading.Thread], another: bool) -> Exception:
        """Let the threads end after an error, let go of what did not become whole, and return what to raise."""
        end = time.monotonic() + (LINGER_FOR_ANOTHER if another else LINGER_SECONDS)
        for thread in threads:
            thread.join(timeout=max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            return Refusal(str(error)) if another else error
        for part in self._left.values():
            if part.journal is not None:
                part.journal.close()
                os.close(part.handle)
        return error

    def _connections(self) -> int:
        ranges = sum(1 + (part.size - part.there) // transfer.SHORTEST for part in self._parts)
        return min(self._settings.workers, ranges)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a thread's error is the transfer's, and is raised there
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._error = self._error or error
            self._wake()

    def _wake(self) -> None:
        for condition in (self._work, self._behind, self._end):
            condition.notify_all()

    def _over(self) -> bool:
        return self._error is not None or not self._left

    def _watch(self) -> None:
        """Report each second until all is over."""
        self._marks.append((time.monotonic(), 0))
        while True:
            with self._lock:
                self._end.wait_for(self._over, timeout=1.0)
                if self._over():
                    return
                progress = self._progress()
                self._rate = progress.rate
                self._work.notify_all()
            self._report(progress)

    def _progress(self) -> Progress:
        now = time.monotonic()
        self._marks.append((now, self._fetched))
        while len(self._marks) > 2 and now - self._marks[0][0] > RATE_WINDOW:
            self._marks.popleft()
        seconds = now - self._marks[0][0]
        rate = (self._fetched - self._marks[0][1]) / seconds if seconds > 0 else 0.0
        files, settled = self._others
        return Progress(
            settled + sum(part.there for part in self._parts),
            self._fetched,
            settled + sum(part.size for part in self._parts),
            rate,
            files + sum(part.finished for part in self._parts),
            files + len(self._parts),
        )

    # What to bring next.

    def _bring(self) -> None:
        buffer = memoryview(bytearray(CHUNK))
        last: Part | None = None
        with self._asker.session() as session:
            while True:
                errand = self._take(last)
                if errand is None:
                    return
                last = errand.part
                self._run_errand(session, errand, buffer)

    def _take(self, last: Part | None) -> Errand | None:
        """Return what to bring next, None when nothing will be left to bring; waits in between."""
        with self._lock:
            while not self._over():
                now = time.monotonic()
                part = self._choose(now, last)
                part = part or self._taken_over(now)
                if part is not None:
                    return self._errand(part, now)
                times = [part.not_before for part in self._left.values()] + [self._not_before]
                self._work.wait(timeout=max(0.01, min((at for at in times if at > now), default=now + 1.0) - now))
        return None

    def _is_ready(self, part: Part, now: float) -> bool:
        if part.finished or part.settling or max(part.not_before, self._not_before) > now:
            return False
        if part.frontier == part.size:  # it waits for its hash
            return False
        if part.busy and (part.alone or not self._more_helps()):
            return False
        return len(part.busy) < self._settings.connections_per_file and bool(part.gaps())

    def _choose(self, now: float, last: Part | None) -> Part | None:
        """Prefer the file that this connection knows, then one that nobody brings, then the one with most to do."""
        if last is not None and self._is_ready(last, now):
            return last
        # A model may have thousands of files: the first that will do, and not a look at each.
        part = next((part for part in self._left.values() if not part.busy and self._is_ready(part, now)), None)
        return part or max(
            (part for part in self._left.values() if part.busy and self._is_ready(part, now)),
            key=lambda part: sum(end - begin for begin, end in part.gaps()),
            default=None,
        )

    def _taken_over(self, now: float) -> Part | None:
        """Return the part of an errand that is far slower than others, and so is taken from its connection."""
        for errand in self._errands:
            part, done = errand.part, errand.at - errand.span[0]
            if (
                part.alone
                or errand.writing
                or not transfer.is_slow(now - errand.started, done + CHUNK, self._usual, part.takeovers)
            ):
                continue
            errand.taken_over = True
            part.takeovers += 1
            self._let_go(errand)
            return part
        return None

    def _let_go(self, errand: Errand) -> None:
        part = errand.part
        self._errands.discard(errand)
        part.busy.pop(errand.slot, None)
        self._connected -= 1
        if part.hasher is errand:
            part.hasher, part.hashing = None, False

    def _more_helps(self) -> bool:
        return transfer.more_helps(self._connected, self._cores, self._rate)

    def _errand(self, part: Part, now: float) -> Errand:
        begin, end = part.gaps()[0]
        if part.alone:
            end = part.size
        elif end - begin > transfer.SHORTEST:
            left = sum(one.size - one.there for one in self._left.values())
            others = self._settings.workers if self._more_helps() else self._connected
            end = min(end, begin + transfer.next_length(left, others))
        slot = self._open(part).open(begin, part.busy)
        part.busy[slot] = (begin, end)
        self._connected += 1
        errand = Errand(part, slot, (begin, end), now, begin)
        self._errands.add(errand)
        return errand

    def _open(self, part: Part) -> Journal:
        """Open a part's files, for so long as somebody needs them: a model may have more files than we may open."""
        if part.journal is None:
            path = self._store.part(part.key)
            try:
                part.handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                os.ftruncate(part.handle, part.size)
                part.journal = Journal(f"{path}.ranges", part.size, part.have)
            except OSError as error:
                raise self._disk_full(error) if error.errno in FULL else error from None
        return part.journal

    # One request.

    def _run_errand(self, session: Any, errand: Errand, buffer: memoryview) -> None:
        part, word, wait = errand.part, "", None
        try:
            word, wait = self._fetch(session, errand, buffer)
        except DiskFailure as failure:
            raise self._disk_full(failure.error) if failure.error.errno in FULL else failure.error from None
        except FAILURES as error:
            word = why(error, part.asked or part.url)
        except ServerRefusal:
            if not errand.taken_over:
                raise
        with self._lock:
            if errand.taken_over:
                return
            self._let_go(errand)
            done = errand.at - errand.span[0]
            if done >= CHUNK:
                rate = done / max(time.monotonic() - errand.started, 1e-3)
                self._usual = 0.8 * self._usual + 0.2 * rate if self._usual else rate
            if word and errand.started >= part.put_off:
                self._put_off(part, word, wait)
            whole = self._is_whole(part)
            self._work.notify_all()
        if whole:
            self._settle(part)

    def _put_off(self, part: Part, word: str, wait: float | None) -> None:
        """Let a part rest after a request that went wrong, or give it up."""
        part.attempts += 1
        if wait is not None and wait > transfer.LONGEST_WAIT:
            raise ServerRefusal(
                f"{part.file.path} does not arrive: {_shown(part.url)} asks for {wait:.0f} s of patience, by {word}; "
                f"wanted {transfer.LONGEST_WAIT:.0f} s at most; what is there stays, so run again after that, or set "
                "endpoints to another"
            )
        if part.attempts > transfer.ATTEMPTS:
            cure = connection_hint(word)
            raise ServerRefusal(
                f"{part.file.path} does not arrive: {part.attempts} requests to {_asked(part)} delivered nothing "
                f"new, the last with {word}; what is there stays, so run again when the hub answers, or set endpoints "
                f"to another{cure and f', or {cure}'}"
            )
        part.put_off = time.monotonic()
        part.not_before = part.put_off + transfer.backoff(part.attempts, wait, random.random())
        if wait is not None:  # the server speaks for all that it serves
            self._not_before = max(self._not_before, part.not_before)

    def _fetch(self, session: Any, errand: Errand, buffer: memoryview) -> tuple[str, float | None]:
        """Make one request; return what went wrong ('' for nothing) and how long the server asks us to wait."""
        part, (begin, end) = errand.part, errand.span
        known = part.location
        url = known or part.url
        span = (0, part.size) if part.alone and end == part.size else errand.span
        headers = {} if span == (0, part.size) else {"Range": f"bytes={begin}-{end - 1}"}
        if part.again:
            headers["Cache-Control"] = "no-cache"
        for _hop in range(HOPS):
            if self._error:
                return "", None
            part.asked = url
            with self._asker.open(session, url, headers, self._settings.silent) as answer:
                answered = lower(answer.headers)
                verdict = transfer.judge(answer.status_code, answered, span, part.size, url != part.url, part.file.path)
                if verdict.kind == "redirect":
                    url = self._redirected(part, url, answered["location"])
                    continue
                if verdict.kind == "take":
                    part.location = url if url != part.url else ""
                    part.ignored = part.unusable = 0
                    errand.span = (begin, verdict.end or end)
                    return self._receive(errand, answer, buffer, begin - span[0]), None
            if verdict.kind == "expired" and known and url == known:
                with self._lock:
                    part.location = "" if part.location == known else part.location
                url, known = part.location or part.url, ""
                continue
            return self._odd(errand, verdict, url), transfer.retry_after(answered, time.time())
        raise ServerRefusal(
            f"{part.file.path}: {_asked(part)} redirects more than {HOPS} times; wanted the file; set endpoints to "
            "another"
        )

    def _redirected(self, part: Part, url: str, location: str) -> str:
        """Return where a redirect leads."""
        try:
            url = urljoin(url, location)
            self._asker.may_see(url)
        except (ValueError, Refusal):
            raise ServerRefusal(
                f"{part.file.path}: {_shown(part.url)} redirects to no web address; set endpoints to another"
            ) from None
        return url

    def _odd(self, errand: Errand, verdict: Verdict, url: str) -> str:
        """Draw the consequence of an answer without use, and return a word for it."""
        part = errand.part
        with self._lock:
            if verdict.kind == "expired":
                part.location = ""
                part.unusable += errand.started >= part.put_off
                if part.unusable > FRESH_ADDRESSES:
                    raise ServerRefusal(
                        f"{part.file.path} does not arrive: requests to {_asked(part)} delivered nothing new, each new "
                        f"address with {verdict.word}; wanted the file's content from there; {reach_too(origin(url))}"
                    )
            if verdict.kind == "whole":
                # Asked once more, for a range may be ignored by chance; then one connection brings the file, reads
                # past what is there, and loses nothing of it.
                part.ignored += errand.started >= part.put_off
                if part.ignored > 1 and not part.alone:
                    part.alone = True
                    return ""
            if verdict.kind == "refused":
                if part.again or verdict.size < 0:
                    found = f"{verdict.size} bytes" if verdict.size >= 0 else verdict.word
                    hint = "set revision to a commit if the repository is changing, or set endpoints to another"
                    if verdict.status in (401, 403):
                        hint = "accept the model's licence at the hub, and set token to one that may read it"
                        if self._asker.token and not self._asker.may_see(part.url):
                            hint = "the token is for another address; set token_for to this one if it may see it"
                    raise ServerRefusal(
                        f"{part.file.path}: {_asked(part)} answered with {found}; wanted {part.size} bytes as the "
                        f"listing says; {hint}"
                    )
                part.again = True
        return verdict.word

    def _receive(self, errand: Errand, answer: Any, buffer: memoryview, past: int = 0) -> str:
        """Write what comes, past so many bytes that are there; return what went wrong."""
        part, (begin, end) = errand.part, errand.span
        read = _reader(answer)
        journal, at = part.journal, begin
        while past:
            self._pay(min(len(buffer), past))
            count = read(buffer[:past])
            if not count or self._error:
                return f"an end {past} bytes before what is missing"
            past -= count
        while at < end and journal is not None:
            self._pay(min(len(buffer), end - at))
            count = read(buffer[: end - at])
            if not count:
                return f"an end after {at - begin} of {end - begin} bytes"
            with self._lock:
                if self._error or errand.taken_over:
                    return ""
                errand.writing = True
            _write(part.handle, buffer[:count], at)
            proof = self._proof_of(errand, at)
            if proof is not None:
                proof.update(buffer[:count])
            with self._lock:
                journal.note(errand.slot, count)
                part.grow((at, at + count))
                at += count
                errand.at, errand.writing = at, False
                self._fetched += count
                if proof is not None:
                    part.hashed = at
                if part.proof is not None and not part.hashing and part.frontier - part.hashed >= BLOCK:
                    self._behind.notify()
        return ""

    def _proof_of(self, errand: Errand, at: int) -> Proof | None:
        """Return a file's hash to who brings the bytes that it wants next; it is theirs for the rest of the errand."""
        part = errand.part
        with self._lock:
            if part.proof is not None and not part.hashing and part.hashed == at:
                part.hashing, part.hasher = True, errand
            return part.proof if part.hasher is errand else None

    def _pay(self, count: int) -> None:
        """Wait until the limit of the rate allows for some more bytes."""
        if not self._settings.rate:
            return
        with self._lock:
            now = time.monotonic()
            self._paid_until = max(self._paid_until, now) + count / self._settings.rate
            self._end.wait_for(lambda: self._error is not None, timeout=max(0.0, self._paid_until - now))

    def _disk_full(self, error: OSError) -> Refusal:
        missing = sum(part.size - part.there for part in self._parts)
        return disk_full(error, self._store.dest, f"{missing} bytes more")

    # Proof.

    def _hash(self) -> None:
        buffer = memoryview(bytearray(BLOCK))
        while True:
            part = self._to_hash()
            if part is None:
                return
            with self._lock:
                proof, at, end = part.proof, part.hashed, min(part.frontier, part.hashed + HASH_RUN)
            while at < end and proof is not None:
                count = os.preadv(part.handle, [buffer[: end - at]], at)
                if not count:
                    raise Refusal(
                        f"{part.file.path} became shorter while it was fetched; wanted its folder for us alone"
                    )
                proof.update(buffer[:count])
                at += count
            with self._lock:
                part.hashing = False
                part.hashed = at if part.proof is proof else 0
                whole = self._is_whole(part)
            if whole:
                self._settle(part)

    def _to_hash(self) -> Part | None:
        """Return the file whose hash is furthest behind; waits until there is one, None at the end."""
        with self._lock:
            while not self._over():
                late = [
                    part
                    for part in self._left.values()
                    if part.have and not part.hashing and not part.settling
                    if part.frontier - part.hashed >= BLOCK or part.hashed < part.frontier == part.size
                ]
                if late:
                    part = max(late, key=lambda part: part.frontier - part.hashed)
                    self._open(part)
                    part.hashing = True
                    return part
                self._behind.wait(timeout=1.0)
        return None

    def _forget(self, part: Part) -> None:
        """Begin a file anew; nobody writes to it now."""
        if part.journal is not None:
            part.journal.clear()
        part.have.clear()
        part.hashed = 0
        part.proof = Proof(part.size) if self._settings.verify else None

    def _is_whole(self, part: Part) -> bool:
        """Whether a part is there and verified, and the caller is to settle it; wrong bytes are forgotten here."""
        if part.settling or part.busy or part.hashing or part.frontier < part.size:
            return False
        if part.proof is not None and part.hashed < part.size:
            self._behind.notify()
            return False
        if part.proof is not None and not part.proof.fits(part.file):
            found = part.proof.found(part.file)
            self._forget(part)
            part.location, part.best = "", 0
            if part.again:
                raise ServerRefusal(
                    f"{part.file.path} is not what the source says, twice over: found {found}, wanted "
                    f"{part.file.identity()}; nothing was published; set endpoints to another, or report it to the hub"
                )
            part.again = True
            self._work.notify_all()
            return False
        part.settling = True
        return True

    def _settle(self, part: Part) -> None:
        """Flush a part that is whole and verified to the disk, and put it where whole files wait."""
        if part.journal is None:
            return
        os.fsync(part.handle)
        os.rename(self._store.part(part.key), self._store.done(part.key))
        os.unlink(f"{self._store.part(part.key)}.ranges")
        with self._lock:
            part.journal.close()
            os.close(part.handle)
            part.finished = True
            del self._left[part.key]
            self._sha256[part.key] = part.proof.sha256 if part.proof is not None else ""
            if self._over():
                self._wake()


def _asked(part: Part) -> str:
    """Return whom a part was asked of: the hub, and the host of the content where that is another."""
    there = other_origin(part.asked, part.url)
    return f"{_shown(part.url)}{there and f' (which redirects to {there})'}"


def _shown(url: str) -> str:
    return url.partition("?")[0]


def _reader(answer: Any) -> Callable[[memoryview], int]:
    """Return what fills a buffer from an answer's body, past urllib3's copies where its parts are as we know them."""
    original = getattr(answer.raw, "_fp", None)
    if isinstance(original, http.client.HTTPResponse):
        return original.readinto
    return answer.raw.readinto  # type: ignore[no-any-return]


def _write(handle: int, content: memoryview, at: int) -> None:
    try:
        while content:
            count = os.pwrite(handle, content[:WRITE], at)
            content, at = content[count:], at + count
    except OSError as error:
        raise DiskFailure(error) from None
