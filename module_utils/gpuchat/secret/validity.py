# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From when to when a certificate is valid, by the standard library alone (RFC 5280, DER as in X.690)."""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from dataclasses import dataclass

BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
VERSION, UTC_TIME = 0xA0, 0x17


@dataclass(frozen=True)
class Validity:
    not_before: datetime.datetime
    not_after: datetime.datetime


def first_in(text: str) -> Validity | None:
    """Return the validity of the first certificate in PEM form; None where there is none that can be read."""
    found = BLOCK.search(text)
    if found is None:
        return None
    try:
        return _validity(base64.b64decode("".join(found[1].split()), validate=True))
    except (binascii.Error, ValueError, IndexError):
        return None


def _validity(der: bytes) -> Validity:
    _tag, certificate, _rest = _element(der)
    _tag, signed, _rest = _element(certificate)
    tag, _value, rest = _element(signed)
    if tag == VERSION:
        _tag, _serial, rest = _element(rest)
    for _part in ("algorithm", "issuer"):
        _tag, _value, rest = _element(rest)
    _tag, dates, _rest = _element(rest)
    first, begin, rest = _element(dates)
    second, end, _rest = _element(rest)
    return Validity(_time(first, begin), _time(second, end))


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """Return the tag and the content of the first element, and what follows it."""
    tag, length, start = der[0], der[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(der[2:start], "big")
    return tag, der[start : start + length], der[start + length :]


def _time(tag: int, content: bytes) -> datetime.datetime:
    text = content.decode("ascii")
    if tag == UTC_TIME:  # two digits of the year, up to 2049
        text = ("20" if int(text[:2]) < 50 else "19") + text
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
