# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a certificate and its key on the control node, with the cryptography library that ansible-core brings."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
from collections.abc import Mapping, Sequence

with contextlib.suppress(ImportError):  # looked at by ansible-test, which has no cryptography
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509.oid import AuthorityInformationAccessOID

from .certificates import FILE, KEY_FILE, Pair, Seen, authority_warnings, canonical, faults, warnings


def check(given: Mapping[str, str], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the faults of a pair, and its warnings.

    Args:
        given: both paths, both texts, and for each that could not be read the reason.
        names: host names and addresses that it must be for.
    """
    at = datetime.datetime.now(datetime.timezone.utc)
    pair = read(given)
    return list(faults(pair, [canonical(name) for name in names], at)), list(warnings(pair, at))


def ended(variable: str, path: str, text: str) -> list[str]:
    """Return a warning where all authorities of a text have ended; none where it cannot be read, which is said apart.

    Args:
        path: of its file where the variable names several; else empty.
    """
    try:
        ends = [one.not_valid_after_utc for one in x509.load_pem_x509_certificates(text.encode())]
    except ValueError:
        return []
    return list(authority_warnings(variable, path, ends, datetime.datetime.now(datetime.timezone.utc)))


def names_responder(given: Mapping[str, str]) -> bool:
    """Whether the server's certificate says where to ask whether it was revoked; nginx can staple the answer then.

    Args:
        given: as for ``check``, and it need not have the key.
    """
    chain = _chain(given.get("certificate", ""))
    return bool(chain) and chain[0].responder


def read(given: Mapping[str, str]) -> Pair:
    certificate_file, key_file = given.get("certificate_file", ""), given.get("key_file", "")
    problems = [given[name] for name in ("certificate_problem", "key_problem") if given.get(name)]
    chain: tuple[Seen, ...] = ()
    key = ""
    if certificate_file and not given.get("certificate_problem"):
        chain = _chain(given["certificate"])
        if not chain:
            problems.append(
                f"{certificate_file} holds no certificate that can be read; wanted a chain in PEM form; set {FILE} to "
                "one"
            )
    if key_file and not given.get("key_problem"):
        key, problem = _key(given["key"], key_file)
        problems += [problem] if problem else []
    return Pair(certificate_file, key_file, chain, key, tuple(problems))


def _chain(text: str) -> tuple[Seen, ...]:
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        return ()
    following = [*found[1:], None]
    return tuple(_seen(one, after) for one, after in zip(found, following))


def _seen(certificate: x509.Certificate, after: x509.Certificate | None) -> Seen:
    names: list[str] = []
    with contextlib.suppress(x509.ExtensionNotFound, ValueError):
        own = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [*own.get_values_for_type(x509.DNSName), *map(str, own.get_values_for_type(x509.IPAddress))]
    return Seen(
        certificate.subject.rfc4514_string(),
        tuple(names),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        _digest(certificate.public_key()),
        None if after is None else _signed(certificate, after),
        _names_responder(certificate),
    )


def _names_responder(certificate: x509.Certificate) -> bool:
    with contextlib.suppress(x509.ExtensionNotFound, ValueError):
        ways = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        return any(way.access_method == AuthorityInformationAccessOID.OCSP for way in ways)
    return False


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _key(text: str, path: str) -> tuple[str, str]:
    """Return a key's public half as a digest, or what is wrong with it."""
    try:
        key = serialization.load_pem_private_key(text.encode(), None)
    except TypeError:
        return "", (
            f"{path} is encrypted with a passphrase; wanted a key that nginx can read by itself; set {KEY_FILE} to the "
            "decrypted key, and encrypt that file with ansible-vault"
        )
    except (ValueError, UnsupportedAlgorithm):
        return "", f"{path} holds no key that can be read; wanted one in PEM form; set {KEY_FILE} to one"
    return _digest(key.public_key()), ""


def _digest(key: object) -> str:
    form, kind = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.Encoding.DER
    return hashlib.sha256(key.public_bytes(kind, form)).hexdigest()  # type: ignore[attr-defined]
