# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the name that somebody meant, and showing what others wrote."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def plain(text: str) -> str:
    """Return a text without characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name nearest to a mistyped one, or None when none is near."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the tail of an error message that offers the nearest known name, or an empty string."""
    close = nearest(name, known)
    return f"; did you mean {close}?" if close else ""
