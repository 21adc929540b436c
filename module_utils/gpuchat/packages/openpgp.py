# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints of OpenPGP public keys, so that a key is pinned on a host that has no gpg.

Source: RFC 9580, sections 4.2 (packet headers), 5.5.4 (fingerprints), 6 (ASCII armor) and 6.1.1 (its checksum).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator

from ..core.errors import Refusal

PUBLIC_KEY = 6


def fingerprints(key: bytes, hint: str = "set key_url to the address of a key") -> tuple[str, ...]:
    """Return the fingerprints (upper-case hexadecimal) of the primary keys in a binary or armored key file.

    Raises:
        Refusal: the bytes are no OpenPGP key.
    """
    try:
        found = tuple(_fingerprint(body) for tag, body in _packets(dearmored(key)) if tag == PUBLIC_KEY)
    except (IndexError, ValueError, binascii.Error):
        found = ()
    if not found:
        raise Refusal(f"found {key[:40]!r}... where an OpenPGP public key was wanted; {hint}")
    return found


def dearmored(key: bytes) -> bytes:
    """Return a key in its binary form."""
    if b"-----BEGIN PGP" not in key:
        return key
    body = key.split(b"-----BEGIN PGP PUBLIC KEY BLOCK-----", 1)[1].split(b"-----END", 1)[0]
    lines = body.replace(b"\r", b"").split(b"\n\n", 1)[1].split()
    return base64.b64decode(b"".join(line for line in lines if not line.startswith(b"=")))


def armored(key: bytes) -> bytes:
    """Return a binary key in its ASCII form, which rpm wants, with the checksum that its older versions want."""
    text = base64.b64encode(key)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    checksum = b"=" + base64.b64encode(_crc24(key).to_bytes(3, "big"))
    head, foot = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
    return b"\n".join([head, b"", *lines, checksum, foot, b""])


def _crc24(data: bytes) -> int:
    crc = 0xB704CE
    for octet in data:
        crc ^= octet << 16
        for _bit in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        head = data[at]
        if not head & 0x80:
            raise ValueError("not a packet header")
        if head & 0x40:
            tag = head & 0x3F
            length, start = _new_length(data, at + 1)
        else:
            tag = (head & 0x3C) >> 2
            octets = 1 << (head & 0x03)
            length, start = int.from_bytes(data[at + 1 : at + 1 + octets], "big"), at + 1 + octets
        yield tag, data[start : start + length]
        at = start + length


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 192:
        return first, at + 1
    if first < 224:
        return ((first - 192) << 8) + data[at + 1] + 192, at + 2
    return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5


def _fingerprint(body: bytes) -> str:
    if body[0] == 4:
        return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()
    if body[0] == 6:
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    raise ValueError(f"key version {body[0]}")
