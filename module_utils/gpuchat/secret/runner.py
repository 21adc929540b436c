# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes secrets on the control node, with the cryptography library that ansible-core brings."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import secrets as random_source
import sys
from collections.abc import Mapping, Sequence

with contextlib.suppress(ImportError):  # looked at by ansible-test, which has no cryptography
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..core.errors import Refusal
from .membership import fingerprints
from .plan import AUTHORITY, AUTHORITY_LIFE, CERTIFICATE, CERTIFICATE_LIFE, TOKENS, Certificate, Make, plan_secrets


def ensure(params: Mapping[str, object]) -> dict[str, object]:
    """Return a module's result, with all secrets under ``known``: those that were there and those that were missing.

    Raises:
        Refusal: this Python lacks the cryptography library.
    """
    if "x509" not in globals():
        raise Refusal(
            f"found no library cryptography beside {sys.executable}; wanted the Python that runs Ansible; "
            "set ansible_python_interpreter of localhost to {{ ansible_playbook_python }}"
        )
    known: dict[str, str] = dict(params["known"])  # type: ignore[call-overload]
    names = [_plain(name) for name in params["tls_names"]]  # type: ignore[attr-defined]
    now = datetime.datetime.now(datetime.timezone.utc)
    plan = plan_secrets(known, tls_names=names, certificate=_read(known.get("tls_certificate")), now=now)
    for action in plan.actions:
        if isinstance(action, Make):
            known.update(_make(action.name, known, names, now))
    result = plan.result()
    result["known"] = known
    result["fingerprints"] = fingerprints(known)
    return result


def _read(pem: str | None) -> Certificate | None:
    if not pem:
        return None
    certificate = x509.load_pem_x509_certificates(pem.encode())[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
    return Certificate(frozenset(found), certificate.not_valid_after_utc)


def _make(name: str, known: Mapping[str, str], tls_names: Sequence[str], now: datetime.datetime) -> dict[str, str]:
    if name in TOKENS:
        return {name: random_source.token_urlsafe(TOKENS[name])}
    if name == AUTHORITY:
        return _authority(tls_names[0], now)
    if name == CERTIFICATE:
        return _certificate(known, tls_names, now)
    raise ValueError(name)


def _authority(domain: str, now: datetime.datetime) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"gpuchat authority of {domain}"[:64])])
    builder = _builder(subject, subject, key, now, AUTHORITY_LIFE)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return {"ca_key": _pem_key(key), "ca_certificate": _pem(builder.sign(key, hashes.SHA256()))}


def _certificate(known: Mapping[str, str], names: Sequence[str], now: datetime.datetime) -> dict[str, str]:
    if not known.get("ca_key"):
        raise Refusal(
            "found no ca_key beside ca_certificate; wanted it, for the server's certificate has to be made anew; "
            "put it back into gpuchat_secrets_file for this run"
        )
    ca_key = serialization.load_pem_private_key(known["ca_key"].encode(), None)
    ca = x509.load_pem_x509_certificate(known["ca_certificate"].encode())
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    builder = _builder(subject, ca.subject, key, now, CERTIFICATE_LIFE)
    builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general_name, names))), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key())  # type: ignore[arg-type]
    builder = builder.add_extension(authority, critical=False)
    certificate = builder.sign(ca_key, hashes.SHA256())  # type: ignore[arg-type]
    return {"tls_key": _pem_key(key), "tls_certificate": _pem(certificate)}


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _plain(name: str) -> str:
    """Return an IP address in its one canonical form, and any other name as it is."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem_key(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
