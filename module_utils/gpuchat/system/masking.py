# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a text is a secret, and the text without it."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "********"
SHORTEST = 6
"""Of what stands where a secret stands; of other words, a long one with a digit is taken for one."""

ASSIGNED = re.compile(r"^\s*[\w-]+\s*=\s*(.*)$")
QUOTED = re.compile(r"\"([^\"]+)\"|'([^']+)'")
WORD = re.compile(r"[^\s\"'=:;,{}()]+")
LONG_WORD = 16
NAMED = r"(?:password|passwd|secret|token|api[_-]?key|access[_-]?code)"
VALUE = r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)"
TELLING = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {MASK}"),
    (re.compile(r"\b(?:sk|hf|ghp|glpat)[-_][A-Za-z0-9_-]{8,}"), MASK),
    (re.compile(r"(\w://[^\s/:@]*:)[^\s/@]+@"), rf"\1{MASK}@"),
    (re.compile(rf"(?i)({NAMED}[\"']?\s*[=:]\s*){VALUE}"), rf"\1{MASK}"),
)
"""Forms that tell a secret by themselves, wherever it came from."""


def secrets_of(secret: Iterable[str], public: Iterable[str]) -> tuple[str, ...]:
    """Return the values to be masked, the longest first.

    Args:
        secret: contents of files that hold secrets.
        public: contents of files that everybody may read; their words are no secrets.
    """
    values: set[str] = set()
    for text in secret:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if len(lines) == 1 and not ASSIGNED.match(lines[0]):
            values.add(lines[0])
        for line in lines:
            values |= set(_values(line))
    known = {
        word for text in public for word in (*WORD.findall(text), *text.split(), *map(_whole, QUOTED.finditer(text)))
    }
    kept = {value for value in values - known if len(value) >= SHORTEST and not value.startswith("/")}
    kept |= set(map(_percent_encoded, kept))
    return tuple(sorted(kept, key=lambda value: (-len(value), value)))


def _whole(match: re.Match[str]) -> str:
    return match[1] or match[2]


def _percent_encoded(value: str) -> str:
    """Return a value as it stands in a URL."""
    safe = "-._~"
    return "".join(
        chr(byte) if byte < 128 and (chr(byte).isalnum() or chr(byte) in safe) else f"%{byte:02X}"
        for byte in value.encode()
    )


def _values(line: str) -> Iterable[str]:
    """Return what of a line may be a secret: what is assigned or quoted, whole and in parts, and long words."""
    if line.startswith("#"):
        return
    assigned = ASSIGNED.match(line)
    whole = [_whole(match) for match in QUOTED.finditer(line)]
    whole += [assigned[1].strip().strip("\"'")] if assigned else []
    for value in whole:
        yield value
        yield re.sub(r"(?i)^(bearer|basic)\s+", "", value)
        yield from (part.strip() for part in value.split(","))
    for word in WORD.findall(line):
        if len(word) >= 2 * LONG_WORD or (len(word) >= LONG_WORD and any(sign.isdigit() for sign in word)):
            yield word


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return a text without the secrets, and without what tells by its form that it is one."""
    values = [value for value in secrets if value]
    if values:
        text = re.sub("|".join(map(re.escape, values)), MASK, text)
    for pattern, instead in TELLING:
        text = pattern.sub(instead, text)
    return text
