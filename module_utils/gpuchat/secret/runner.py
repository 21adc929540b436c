# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes secrets on the control node, with the cryptography library that ansible-core brings."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import json
import secrets as random_source
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

with contextlib.suppress(ImportError):  # looked at by ansible-test, which has no cryptography
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..core.change import Plan
from ..core.errors import Refusal
from . import api_keys
from .certificates import canonical
from .membership import fingerprints, former_fingerprints
from .plan import (
    AUTHORITY,
    AUTHORITY_LIFE,
    CERTIFICATE,
    CERTIFICATE_LIFE,
    DOOR_KEY,
    ENGINE_KEY,
    HOST_CERTIFICATE,
    HOST_DOMAIN,
    HOST_NAME,
    HOSTS_AUTHORITY,
    ROOM_CERTIFICATE,
    SIGNING_KEY,
    STANDARD_BASE64,
    TEMPORARY,
    TOKENS,
    Certificate,
    Make,
    Retire,
    endings,
    host_entries,
    may_sign,
    not_signed,
    overlapping,
    plan_secrets,
    previous,
    renewals,
    unknown_rotation,
    wrong_token,
)

LONGEST_COMMON_NAME = 64
"""Characters (RFC 5280, ub-common-name)."""


def ensure(params: Mapping[str, Any]) -> dict[str, object]:
    """Return a module's result, with all secrets under ``known``: those that were there and those that were missing.

    Raises:
        Refusal: this Python lacks the cryptography library, or what was given cannot be.
    """
    _need_library()
    known: dict[str, str] = dict(params["known"])
    last_days = {str(one["name"]): str(one.get("expires") or "") for one in params["clients"]}
    rotate, retire = ([str(one) for one in params[name]] for name in ("rotate", "retire"))
    names, site_names = ([canonical(name) for name in params[one]] for one in ("tls_names", "site_names"))
    hosts: dict[str, list[str]] = dict(params["hosts"])
    _refuse_wrong(known, list(last_days))
    unknown = unknown_rotation(rotate, retire, list(last_days))
    if unknown:
        raise Refusal(unknown)
    now = datetime.datetime.now(datetime.timezone.utc)
    site_certificate = _read(known, "tls_certificate")
    host_certificates = {host: _read(known, host_entries(host)[0]) for host in hosts}
    plan = plan_secrets(
        known,
        tls_names=names,
        certificate=site_certificate,
        now=now,
        clients=list(last_days),
        forget=bool(params["forget"]),
        hosts=hosts,
        host_certificates=host_certificates,
        rotate=rotate,
        retire=retire,
        temporary=bool(params["temporary"]),
        renew=bool(params["renew"]),
        site_names=site_names,
        room_certificate=_read(known, "room_certificate"),
        renew_room=bool(params["renew_room"]),
    )

    def certified(make: Make) -> Sequence[str]:
        """Return the names for which a certificate is made."""
        if make.host:
            return [*hosts[make.host], HOST_NAME]
        return site_names if make.name == ROOM_CERTIFICATE else names

    _carry_out(plan, known, overlapping(list(last_days)), certified, now)
    _refuse_nameless(known)
    kept = {} if params["renew"] else {"the site": site_certificate if names else None, **host_certificates}
    left = {name: one.not_after for name, one in kept.items() if one}
    return {
        **plan.result(),
        "known": known,
        "api_keys": api_keys.describe(known, last_days, str(params["given_api_key"] or "")),
        "clients": [{**one, "key": known[api_keys.entry(str(one["name"]))]} for one in params["clients"]],
        "fingerprints": fingerprints(known),
        "former_fingerprints": former_fingerprints(params["known"], known, api_keys.PREVIOUS),
        "endings": [*endings(_authorities_end(known, bool(site_names)), now), *renewals(left, now)],
    }


def _need_library() -> None:
    if "x509" not in globals():
        raise Refusal(
            f"found no library cryptography beside {sys.executable}; wanted the Python that runs Ansible; "
            "set ansible_python_interpreter of localhost to {{ ansible_playbook_python }}"
        )


def _refuse_wrong(known: Mapping[str, str], clients: Sequence[str]) -> None:
    """Refuse secrets of the file that are not what they have to be."""
    judges = dict.fromkeys((*TOKENS, SIGNING_KEY), wrong_token)
    judges.update({api_keys.entry(one): api_keys.wrong_key for one in clients})
    # A predecessor is valid too, and stands in the same files.
    judges.update({previous(one): judges[one] for one in overlapping(clients) if one in judges})
    found = {name: judge(name, known[name]) for name, judge in judges.items() if known.get(name) not in (None, "")}
    wrong = [word for word in found.values() if word]
    if wrong:
        raise Refusal(f"found in the file that gpuchat_secrets_file names: {'; '.join(wrong)}, or take the line away")


def _refuse_nameless(known: Mapping[str, str]) -> None:
    """Refuse two keys of programs without an id."""
    nameless = [name for name in api_keys.owners(known) if api_keys.id_of(known[name]) == api_keys.NO_ID]
    if len(nameless) > 1:
        raise Refusal(
            f"found {' and '.join(nameless)} in the file that gpuchat_secrets_file names, neither in the form that a "
            "run makes, by which the edge tells keys apart; wanted one such key at most; take one of the lines away"
        )


def _carry_out(
    plan: Plan,
    known: dict[str, str],
    kept: Mapping[str, str],
    certified: Callable[[Make], Sequence[str]],
    now: datetime.datetime,
) -> None:
    """Make and take away secrets among those that are known.

    Args:
        kept: the entry whose former value stays, by what makes it anew.
        certified: returns the names for which a certificate is made.
    """
    door_key = known.get(DOOR_KEY)
    for action in plan.actions:
        if isinstance(action, Retire):
            del known[action.name]
        elif action == Make(ENGINE_KEY) and door_key:
            known[ENGINE_KEY] = door_key
        elif isinstance(action, Make):
            entry = kept.get(action.name, "")
            if known.get(entry):
                known[previous(entry)] = known[entry]
            known.update(_make(action, known, certified(action), now))


def _authorities_end(known: Mapping[str, str], has_room: bool) -> dict[str, datetime.datetime]:
    """Return when the authorities end that there are, and the room's certificate, which is one by itself."""
    entries = {AUTHORITY: "ca_certificate", HOSTS_AUTHORITY: "hosts_ca_certificate"}
    entries.update({ROOM_CERTIFICATE: "room_certificate"} if has_room else {})
    return {
        name: _load(known, entry, x509.load_pem_x509_certificate).not_valid_after_utc
        for name, entry in entries.items()
        if known.get(entry)
    }


def _load(known: Mapping[str, str], name: str, load: Callable[[bytes], Any]) -> Any:
    """Return a key or certificate from its PEM form; none of it is ever shown."""
    try:
        return load(str(known[name]).encode())
    except (ValueError, TypeError):
        raise Refusal(
            f"found that {name} in the file that gpuchat_secrets_file names is damaged; wanted it in PEM form; put it "
            "back from a copy, or, where it is a certificate of a host or the site, take it away and a new one is made"
        ) from None


def _load_key(pem: bytes) -> Any:
    return serialization.load_pem_private_key(pem, None)


def _read(known: Mapping[str, str], name: str) -> Certificate | None:
    if not known.get(name):
        return None
    certificate = _load(known, name, x509.load_pem_x509_certificates)[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
    return Certificate(frozenset(found), certificate.not_valid_after_utc)


def _make(make: Make, known: Mapping[str, str], names: Sequence[str], now: datetime.datetime) -> dict[str, str]:
    name = make.name
    if name == api_keys.OWNER or name.startswith(api_keys.CLIENT_PREFIX):
        return {name: _api_key(known)}
    if name in STANDARD_BASE64:
        return {name: base64.b64encode(random_source.token_bytes(TOKENS[name])).decode()}
    if name in TOKENS:
        return {name: random_source.token_urlsafe(TOKENS[name])}
    if name == SIGNING_KEY:
        return {name: _signing_key()}
    if name == ROOM_CERTIFICATE:
        return dict(zip(("room_key", "room_certificate"), _by_itself("gpuchat room", now, AUTHORITY_LIFE, names)))
    if name == AUTHORITY:
        return dict(
            zip(("ca_key", "ca_certificate"), _authority(f"gpuchat authority of {names[0]}", now, *may_sign(names)))
        )
    if name == CERTIFICATE:
        made = _certificate(known, "ca", names[0], names, now)
        return dict(zip(("tls_key", "tls_certificate"), made))
    if name == TEMPORARY:
        made = _by_itself("gpuchat before its first certificate", now, AUTHORITY_LIFE)
        return dict(zip(("temporary_key", "temporary_certificate"), made))
    if name == HOSTS_AUTHORITY:
        made = _authority("gpuchat authority of hosts", now, [HOST_DOMAIN], [])
        return dict(zip(("hosts_ca_key", "hosts_ca_certificate"), made))
    if name == HOST_CERTIFICATE:
        key, certificate = _certificate(known, "hosts_ca", make.host, names, now, is_client=True)
        return dict(zip(host_entries(make.host), (certificate, key)))
    raise ValueError(name)


def _api_key(known: Mapping[str, str]) -> str:
    """Return a new key whose id no other has."""
    taken = {api_keys.id_of(str(key)) for key in known.values()}
    while (key_id := random_source.token_hex(api_keys.ID_BYTES)) in taken:
        pass
    return api_keys.compose(key_id, random_source.token_urlsafe(api_keys.SECRET_BYTES))


def _by_itself(
    common_name: str, now: datetime.datetime, life: datetime.timedelta, names: Sequence[str] = ()
) -> tuple[str, str]:
    """Return a key, and a certificate by itself that may sign nothing."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = _builder(subject, subject, key, now, life)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general_name, names))), critical=False)
    return _pem_key(key), _pem(builder.sign(key, hashes.SHA256()))


def _signing_key() -> str:
    """Return a set of one RS256 key in the form of RFC 7518 (6.3), in base64."""
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
    public = numbers.public_numbers
    members = {"n": public.n, "e": public.e, "d": numbers.d, "p": numbers.p, "q": numbers.q}
    members.update(dp=numbers.dmp1, dq=numbers.dmq1, qi=numbers.iqmp)
    key = {name: _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big")) for name, value in members.items()}
    key.update(kty="RSA", alg="RS256", use="sig", kid=random_source.token_hex(8))
    return base64.b64encode(json.dumps({"keys": [key]}).encode()).decode()


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _authority(
    common_name: str, now: datetime.datetime, hosts: Sequence[str], networks: Sequence[str]
) -> tuple[str, str]:
    """Return the key and certificate of an authority that may sign some host names and networks alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:LONGEST_COMMON_NAME])])
    builder = _builder(subject, subject, key, now, AUTHORITY_LIFE)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(_constraints(hosts, networks), critical=True)
    return _pem_key(key), _pem(builder.sign(key, hashes.SHA256()))


def _constraints(hosts: Sequence[str], networks: Sequence[str]) -> x509.NameConstraints:
    """Return both kinds of constraints: without a host or network, everything of that kind is excluded."""
    permitted = [*map(x509.DNSName, hosts), *(x509.IPAddress(ipaddress.ip_network(one)) for one in networks)]
    excluded: list[x509.GeneralName] = [] if hosts else [x509.DNSName("")]
    if not networks:
        excluded += [x509.IPAddress(ipaddress.ip_network(one)) for one in ("0.0.0.0/0", "::/0")]
    return x509.NameConstraints(permitted or None, excluded or None)


def _refuse_unsigned(ca: x509.Certificate, names: Sequence[str]) -> None:
    """Refuse names that the authority may not sign; one of before it had constraints may sign all."""
    try:
        permitted = ca.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    except x509.ExtensionNotFound:
        return
    hosts = [str(one.value) for one in permitted if isinstance(one, x509.DNSName)]
    networks = [str(one.value) for one in permitted if isinstance(one, x509.IPAddress)]
    wrong = not_signed(names, hosts, networks)
    if wrong:
        raise Refusal(
            f"found {', '.join(wrong)} in gpuchat_domain or edge_extra_names; wanted a name that the stack's authority "
            f"may sign, which is {', '.join([*hosts, *networks])}; set another name, or make a new authority, which "
            "everybody has to import again, by playbooks/rotate.yml with rotate=authority"
        )


def _certificate(
    known: Mapping[str, str],
    authority: str,
    common_name: str,
    names: Sequence[str],
    now: datetime.datetime,
    *,
    is_client: bool = False,
) -> tuple[str, str]:
    """Return a key and its certificate by an authority, which may prove a client too."""
    if not known.get(f"{authority}_key"):
        raise Refusal(
            f"found no {authority}_key beside {authority}_certificate; wanted it, for a certificate has to be made "
            "anew; put it back into gpuchat_secrets_file for this run"
        )
    ca_key = _load(known, f"{authority}_key", _load_key)
    ca = _load(known, f"{authority}_certificate", x509.load_pem_x509_certificate)
    _refuse_unsigned(ca, names)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:LONGEST_COMMON_NAME])])
    builder = _builder(subject, ca.subject, key, now, CERTIFICATE_LIFE)
    builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general_name, names))), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if is_client else [])]
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key())
    builder = builder.add_extension(signer, critical=False)
    certificate = builder.sign(ca_key, hashes.SHA256())
    return _pem_key(key), _pem(certificate)


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
