# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages.openpgp import (
    armored,
    dearmored,
    fingerprints,
)
from hypothesis import given
from hypothesis import strategies as st

ED25519 = b"""-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawAhVhYJKwYBBAHaRw8BAQdA88MreX4rHAvny+7L9zIBunaUaM0X0opmVHUU
C4nILcC0D2dwdWNoYXQgZWQyNTUxOYiQBBMWCAA4FiEESxD55gynkwGjAF/rnnyd
ei2/irkFAmsAIVYCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQnnydei2/
irn7mAEA55jGUhfGiHEUKzBXomDU4ldSmfcrMiCwEKwpKEbFx9ABAIP/zmm6hujZ
EnNqLOnuGPwiQ57IG9iQeUHF0689nZAD
=voPu
-----END PGP PUBLIC KEY BLOCK-----
"""
ED25519_FINGERPRINT = "4B10F9E60CA79301A3005FEB9E7C9D7A2DBF8AB9"
RSA = b"""-----BEGIN PGP PUBLIC KEY BLOCK-----
Comment: made by gpg 2.2.40

mI0EawAhVgEEAKWCH4xNJYofh0WpYKaeAeqrUpaQb30P2ZVbBJ3vn1fi1M6KKAe0
UpivT2iasevci8IEECMyHYnT0EgzUeYGoeKis4tRNKUBdzcG5JWZMA7vYZr1ovkR
SEJo53WY1lMdbpvlTMbLDLmKRIPi5KS2ygZtoVwihScgBICAH9/55Y5rABEBAAG0
D2dwdWNoYXQgcnNhMTAyNIjOBBMBCgA4FiEE2yfrlFNxOZO/cGMJQg/8oR6kUDwF
AmsAIVYCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQQg/8oR6kUDym3wP/
afFGk/OjfYAuV2s2eDB2QGW5u+4HeK0atIhn4RR6vvkRVF8BR7CeBtwfxggd9MuH
TGwmp+WOp/iBRbwSFkpSIWq3GZVpYOGD2SW8y7HA1mlothd7ZEfsUijxuWM2GjBy
DNTEgshd9+isJ6RXy7/ZVvexY5c1ZM3nYbfvvqXcoeE=
=AwDH
-----END PGP PUBLIC KEY BLOCK-----
"""
RSA_FINGERPRINT = "DB27EB9453713993BF706309420FFCA11EA4503C"
VERSION_6 = b"""-----BEGIN PGP PUBLIC KEY BLOCK-----

xioGY4d/4xsAAAAg+U2nu0jWCmHlZ3BqZYfQMxmZu52JGggkLq2EVD34laM=
-----END PGP PUBLIC KEY BLOCK-----
"""
"""The primary key of RFC 9580's sample certificate (appendix A.3)."""

VERSION_6_FINGERPRINT = "CB186C4F0609A697E4D52DFA6C722B0C1F1E27C18A56708F6525EC27BAD9ACC9"


@pytest.mark.parametrize(
    ("key", "found"),
    [
        pytest.param(ED25519, (ED25519_FINGERPRINT,), id="ed25519"),
        pytest.param(RSA, (RSA_FINGERPRINT,), id="rsa, with an armor header"),
        pytest.param(VERSION_6, (VERSION_6_FINGERPRINT,), id="version 6"),
        pytest.param(ED25519.replace(b"\n", b"\r\n"), (ED25519_FINGERPRINT,), id="lines that end in CR LF"),
        pytest.param(b"Some words of the owner.\n\n" + ED25519, (ED25519_FINGERPRINT,), id="words before the armor"),
        pytest.param(dearmored(ED25519), (ED25519_FINGERPRINT,), id="binary"),
        pytest.param(
            dearmored(ED25519) + dearmored(RSA), (ED25519_FINGERPRINT, RSA_FINGERPRINT), id="two keys in one file"
        ),
    ],
)
def test_the_fingerprints_of_the_primary_keys_are_found(key, found):
    assert fingerprints(key) == found


def test_the_binary_form_stays_as_it_is():
    assert dearmored(dearmored(ED25519)) == dearmored(ED25519)
    assert dearmored(ED25519)[:2] == b"\x98\x33"


def test_a_binary_key_is_armored_as_gpg_does_it():
    assert armored(dearmored(ED25519)) == ED25519
    assert armored(dearmored(RSA)) == RSA.replace(b"Comment: made by gpg 2.2.40\n", b"")


@given(st.binary(min_size=1))
def test_whatever_is_armored_is_read_back(key):
    assert dearmored(armored(key)) == key


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<!DOCTYPE html><html>404 Not Found</html>", id="a web page"),
        pytest.param(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", id="armor without a key"),
        pytest.param(
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!!\n-----END PGP PUBLIC KEY BLOCK-----\n", id="no base64"
        ),
        pytest.param(ED25519.replace(b"PUBLIC", b"PRIVATE"), id="a private key's armor"),
        pytest.param(b"\x99", id="a header cut off"),
        pytest.param(b"\x98\x01\x02", id="a key of an unknown version"),
        pytest.param(bytes(range(256)), id="bytes"),
    ],
)
def test_what_is_no_key_is_refused(garbage):
    with pytest.raises(Refusal) as refused:
        fingerprints(garbage)
    hint = "where an OpenPGP public key was wanted; set key_url to the address of a key"
    assert str(refused.value) == f"found {garbage[:40]!r}... {hint}"


@pytest.mark.parametrize("at", range(3, 50, 9))
def test_a_changed_byte_changes_the_fingerprint(at):
    key = bytearray(dearmored(ED25519))
    key[at] ^= 1
    assert fingerprints(bytes(key)) != (ED25519_FINGERPRINT,)
