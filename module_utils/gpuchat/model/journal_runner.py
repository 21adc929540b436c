# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ranges of a part of a file are on the disk: a journal that outlives a killed run."""

from __future__ import annotations

import mmap
import os
from collections.abc import Container, Sequence

from . import transfer
from .files import ModelFile
from .store_runner import Store, take_space
from .transfer import Span


class Stopped(Exception):
    """The transfer ends because something else went wrong, or because it was asked to."""


class Journal:
    """Which ranges of a part are on the disk; it is memory shared with the file, so a killed run leaves it as it was.

    A range is noted after its bytes are written. After a power cut the note may be there without the bytes: the hash,
    which begins anew in each run, says.
    """

    def __init__(self, path: str, size: int, spans: Sequence[Span]) -> None:
        """Make the journal of a part of `size` bytes anew, of which some ranges are there.

        Its space is taken beforehand: a page of memory for which a full disk has no room kills the process.
        """
        length = 16 * (size // transfer.SHORTEST + len(spans) + (1024 if size > transfer.SHORTEST else 64))
        with open(f"{path}.new", "w+b") as file:
            take_space(file.fileno(), length)
            file.writelines(number.to_bytes(8, "little") for begin, end in spans for number in (begin, end - begin))
            file.flush()
            self._map = mmap.mmap(file.fileno(), length)
        os.replace(f"{path}.new", path)
        self._slots = memoryview(self._map).cast("Q")
        self._used = len(spans)

    def open(self, begin: int, busy: Container[int]) -> int:
        """Return a slot for a range that begins here: one that ends here where nobody writes to it, or a new one."""
        for slot in range(self._used):
            if slot not in busy and self._slots[2 * slot] + self._slots[2 * slot + 1] == begin:
                return slot
        if 2 * self._used >= len(self._slots):
            raise Stopped("the journal is full; the next run joins its ranges")
        self._slots[2 * self._used] = begin
        self._used += 1
        return self._used - 1

    def note(self, slot: int, count: int) -> None:
        """Note that a range has grown by some bytes."""
        self._slots[2 * slot + 1] += count

    def clear(self) -> None:
        """Forget everything."""
        for slot in range(self._used):
            self._slots[2 * slot + 1] = 0
        self._used = 0

    def close(self) -> None:
        self._slots.release()
        self._map.close()


def read_journal(path: str, size: int) -> list[Span]:
    """Return the ranges that a journal notes, joined; none where there is no journal."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return []
    numbers = [int.from_bytes(content[at : at + 8], "little") for at in range(0, len(content) - 7, 8)]
    spans = [(begin, begin + count) for begin, count in zip(numbers[::2], numbers[1::2]) if count]
    return merged([span for span in spans if span[1] <= size])


def merged(spans: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def begin_with(store: Store, file: ModelFile, key: str, head: bytes) -> int:
    """Begin a part with the first bytes of its file, unless it has begun; return how many were taken."""
    part = store.part(key)
    if not head or os.path.exists(part):
        return 0
    with open(part, "wb") as beginning:
        os.chmod(part, 0o644)
        beginning.write(head)
        beginning.truncate(file.size)
    Journal(f"{part}.ranges", file.size, [(0, len(head))]).close()
    return len(head)


def gathered(store: Store, file: ModelFile, key: str, from_start: bool = False) -> int:
    """Return how many bytes of a file wait from earlier runs; with `from_start`, before the first gap."""
    if os.path.exists(store.done(key)):
        return file.size
    if not os.path.exists(store.part(key)):
        return 0
    spans = read_journal(f"{store.part(key)}.ranges", file.size)
    return transfer.frontier(file.size, spans) if from_start else sum(end - begin for begin, end in spans)
