# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secrets there should be, and which of them must be made."""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.change import Difference, Plan
from . import api_keys

WARN_BEFORE = datetime.timedelta(days=180)
"""An authority is imported by people, so its end is told long before."""

RENEW_BEFORE = datetime.timedelta(days=60)
CERTIFICATE_LIFE = datetime.timedelta(days=824)
"""Browsers of Apple's refuse more than 825 days, and a certificate begins an hour before it is made."""

AUTHORITY_LIFE = datetime.timedelta(days=3650)


@dataclass(frozen=True)
class Make:
    """Make one secret: a token, an authority, the server's certificate, or the certificate of one host."""

    name: str
    host: str = ""


TOKENS = {
    "api_key": 32,
    "vllm_api_key": 32,
    "vllm_engine_key": 32,
    "admin_password": 12,
    "postgresql_lobehub_password": 24,
    "postgresql_open_webui_password": 24,
    "lobehub_auth_secret": 32,
    "lobehub_key_vaults_secret": 32,
    "open_webui_secret_key": 32,
    "object_store_access_key": 15,
    "object_store_secret_key": 30,
    "backup_password": 32,
}
"""Random secrets by name, with their length in bytes before encoding."""

DOOR_KEY, ENGINE_KEY = "vllm_api_key", "vllm_engine_key"
"""What programs on an engine's host show to its door, and what the door shows to the engine. An engine reads its own
when it starts, so that it stays; in a stack that had one key for both, it is that one."""

STANDARD_BASE64 = frozenset({"lobehub_key_vaults_secret"})
"""Of these, what is encoded with + and / and padded, for who reads it decodes it so."""

SIGNING_KEY = "lobehub_jwks_key"
"""A JSON Web Key Set with one private RS256 key (RFC 7517), in base64."""

FORM = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""What stands in headers and files of ours without any quoting (RFC 6750, b64token)."""

LEAST_LENGTH = {
    "admin_password": 8,
    "lobehub_auth_secret": 32,
    "lobehub_key_vaults_secret": 24,
    "object_store_access_key": 8,
}
"""Characters, where it is not the usual."""

USUAL_LENGTH = 16


def wrong_token(name: str, value: object) -> str:
    """Say what is wrong with a token that somebody wrote into the file of secrets; never the token itself."""
    if not isinstance(value, str):
        return f"{name} is no text, for YAML reads it as something else; wanted one; set it in quotes"
    if not FORM.fullmatch(value):
        return f"{name} holds other characters than letters, digits and . _ ~ + / = -; wanted none; set another one"
    least = LEAST_LENGTH.get(name, USUAL_LENGTH)
    if len(value) < least:
        return f"{name} has {len(value)} characters; wanted {least} or more; set a longer one"
    return ""


AUTHORITY = "authority"
CERTIFICATE = "certificate"
HOSTS_AUTHORITY = "hosts_authority"
"""Signs for the stack's own hosts alone, by which they know each other; nobody else is to trust it."""

TEMPORARY = "temporary"
"""A certificate that nobody trusts, with which an edge starts until a directory has given it one."""

ROOM_CERTIFICATE = "room_certificate"
"""By which the chat's own server knows the door in its room, that answers for the site there; nobody else trusts it."""

HOST_CERTIFICATE = "host_certificate"
HOST_DOMAIN = "gpuchat.internal"
HOST_NAME = f"host.{HOST_DOMAIN}"
"""In each host's certificate, beside the names of what it serves: programs take the subject's where there is none."""


def host_entries(host: str) -> tuple[str, str]:
    """Return the names under which a host's certificate and key are kept."""
    return f"host_certificate {host}", f"host_key {host}"


PRIVATE_NETWORKS = ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")
"""Addresses that are nobody's on the internet (RFC 1918, RFC 4193, RFC 4291)."""


def may_sign(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what an authority for some names may sign: host names with all below them, and networks.

    Both kinds are named, for a kind that is not named is open (RFC 5280, 4.2.1.10). A private address is let in later
    too; a further host name is not.
    """
    addresses = [name for name in names if _is_address(name)]
    hosts = [name for name in names if name not in addresses]
    single = [f"{one}/{128 if ':' in one else 32}" for one in addresses if not _is_in(one, PRIVATE_NETWORKS)]
    return hosts, [*PRIVATE_NETWORKS, *single]


def not_signed(names: Sequence[str], hosts: Sequence[str], networks: Sequence[str]) -> list[str]:
    """Return the names that an authority with these constraints may not sign."""
    return [
        name
        for name in names
        if not (
            _is_in(name, networks)
            if _is_address(name)
            else any(name.lower() == host.lower() or name.lower().endswith(f".{host.lower()}") for host in hosts)
        )
    ]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_in(address: str, networks: Sequence[str]) -> bool:
    one = ipaddress.ip_address(address)
    return any(one in ipaddress.ip_network(network) for network in networks)


@dataclass(frozen=True)
class Certificate:
    """What is known of a certificate that is there."""

    names: frozenset[str]
    not_after: datetime.datetime


@dataclass(frozen=True)
class Retire:
    """Forget an old secret, which was valid beside its successor until now."""

    name: str


HOST_CERTIFICATES = "host_certificates"
KEPT = {
    "lobehub_key_vaults_secret": "what people have stored under it could not be read any more",
    "lobehub_auth_secret": "it would sign everybody out, and their devices",
    "open_webui_secret_key": "it would sign everybody out, and what is stored under it could not be read any more",
    "backup_password": "the backups that are there are encrypted by it",
    "admin_password": "it is the administrator's own once it is used; playbooks/account.yml gives another",
    ENGINE_KEY: "each engine would have to start anew, and it opens nothing but sockets that their own door alone may "
    "write to; taken out of the file of secrets, it is made anew by the next run",
}
"""What is never made anew, and why."""

ROTATED = (
    *(name for name in TOKENS if name not in KEPT),
    CERTIFICATE,
    AUTHORITY,
    HOSTS_AUTHORITY,
    HOST_CERTIFICATES,
    ROOM_CERTIFICATE,
)
"""What can be made anew on demand, beside the keys of clients."""

OVERLAPPING = {
    "api_key": "api_key",
    DOOR_KEY: DOOR_KEY,
    HOSTS_AUTHORITY: "hosts_ca_certificate",
}
"""Of these, what stays valid beside the new one until it is retired, by the name of its entry."""


def overlapping(clients: Sequence[str]) -> dict[str, str]:
    """Return the same with the keys of clients."""
    return {**OVERLAPPING, **{api_keys.entry(client): api_keys.entry(client) for client in clients}}


def previous(entry: str) -> str:
    """Return the name under which an entry's predecessor is kept."""
    return f"{entry}{api_keys.PREVIOUS}"


def unknown_rotation(rotate: Sequence[str], retire: Sequence[str], clients: Sequence[str] = ()) -> str:
    """Say what cannot be rotated or retired, or nothing."""
    entries = tuple(map(api_keys.entry, clients))
    for option, names, known in (
        ("rotate", rotate, (*ROTATED, *entries)),
        ("retire", retire, (*OVERLAPPING, *entries)),
    ):
        wrong = [name for name in names if name not in known]
        kept = [f"{name}, for {KEPT[name]}" for name in wrong if name in KEPT]
        if kept:
            return f"found {'; '.join(kept)}; wanted it to stay as it is; take it out of {option}"
        if wrong:
            return f"found {', '.join(wrong)} in {option}; wanted some of {', '.join(known)}; set {option} to them"
    return ""


def plan_secrets(
    known: Mapping[str, str],
    *,
    tls_names: Sequence[str],
    certificate: Certificate | None,
    now: datetime.datetime,
    clients: Sequence[str] = (),
    forget: bool = False,
    hosts: Mapping[str, Sequence[str]] | None = None,
    host_certificates: Mapping[str, Certificate | None] | None = None,
    rotate: Sequence[str] = (),
    retire: Sequence[str] = (),
    temporary: bool = False,
    renew: bool = True,
    site_names: Sequence[str] = (),
    room_certificate: Certificate | None = None,
    renew_room: bool = True,
) -> Plan:
    """Decide which secrets to make; what is there is never changed, but for a certificate that no longer serves.

    Args:
        known: secrets by name.
        tls_names: names for a certificate from the private authority; none where the owner brings one.
        certificate: the certificate that is there.
        now: the present time, in UTC.
        clients: who has a key of the model API.
        forget: whether the keys of others are forgotten; until then they are kept, and the edge refuses them.
        hosts: hosts that need a certificate for each other, with the names of what they serve.
        host_certificates: those that are there, by host.
        rotate: what to make anew though it is there.
        retire: of what to forget the predecessor, which is valid until then.
        temporary: whether an edge starts without a certificate.
        renew: whether a certificate is made anew before it ends; a run that gives hosts nothing leaves that alone.
        site_names: names at which the chat's own server asks for the site; none where nothing needs them.
        room_certificate: the certificate for them that is there.
        renew_room: whether it may be made anew; in a run that does not give it to the chat's own server too, that would
            not know the door any more.
    """

    def serves(one: Certificate | None, wanted: Sequence[str]) -> bool:
        return _is_for(one, wanted) and not (renew and one is not None and _is_due(one.not_after, now))

    tokens = [*TOKENS, *map(api_keys.entry, clients)]
    names = [name for name in tokens if not known.get(name) or name in rotate]
    if not known.get(SIGNING_KEY):
        names.append(SIGNING_KEY)
    is_stale = room_certificate is None or (renew_room and not serves(room_certificate, site_names))
    if site_names and (ROOM_CERTIFICATE in rotate or is_stale):
        names.append(ROOM_CERTIFICATE)
    if tls_names:
        if not known.get("ca_certificate") or AUTHORITY in rotate:
            names += [AUTHORITY, CERTIFICATE]
        elif not known.get("tls_key") or CERTIFICATE in rotate or not serves(certificate, tls_names):
            names.append(CERTIFICATE)
    if temporary and not (known.get("temporary_key") and known.get("temporary_certificate")):
        names.append(TEMPORARY)
    makes = [Make(name) for name in names]
    is_new = not known.get("hosts_ca_certificate")
    if hosts and (is_new or HOSTS_AUTHORITY in rotate):
        makes.append(Make(HOSTS_AUTHORITY))
    for host, served in (hosts or {}).items():
        # One of a rotated authority serves until all hosts trust the new one.
        if (
            is_new
            or HOST_CERTIFICATES in rotate
            or not known.get(host_entries(host)[1])
            or not serves((host_certificates or {}).get(host), [*served, HOST_NAME])
        ):
            makes.append(Make(HOST_CERTIFICATE, host))
    words = [f"{make.name} {make.host}".strip() for make in makes]
    kept = overlapping(clients)
    old = [previous(entry) for name, entry in kept.items() if name in retire and known.get(previous(entry))]
    for client in api_keys.clients_of(known) if forget else ():
        entry = api_keys.entry(client)
        old += [name for name in (entry, previous(entry)) if client not in clients and name in known]
    differences = (
        *(Difference(f"secret {word}", "", "(made)\n") for word in words),
        *(Difference(f"secret {name}", "(valid)\n", "") for name in old),
    )
    reason = f"to make: {', '.join(words)}" if words else "all secrets are there"
    return Plan(differences, (*makes, *map(Retire, old)), reason)


def endings(authorities: Mapping[str, datetime.datetime], now: datetime.datetime) -> list[str]:
    """Return a warning for each authority that ends before long, by what ``rotate`` calls it."""
    return [
        f"the stack's {name.replace('_', ' ')} ends on {end:%Y-%m-%d}, and with it all that it has signed; make a new "
        f"one by playbooks/rotate.yml with rotate={name}"
        for name, end in authorities.items()
        if end - now < WARN_BEFORE
    ]


def renewals(certificates: Mapping[str, datetime.datetime], now: datetime.datetime) -> list[str]:
    """Return a warning where certificates are to be renewed and this run does not, which gives hosts nothing.

    Args:
        certificates: the end of each, by whose it is.
    """
    due = sorted((end, name) for name, end in certificates.items() if _is_due(end, now))
    if not due:
        return []
    ends = ", ".join(f"that of {name} on {end:%Y-%m-%d}" for end, name in due)
    return [f"certificates of the stack's own authorities end: {ends}; renew them by playbooks/renew.yml"]


def _is_for(certificate: Certificate | None, names: Sequence[str]) -> bool:
    return certificate is not None and certificate.names == frozenset(names)


def _is_due(end: datetime.datetime, now: datetime.datetime) -> bool:
    return end - now < RENEW_BEFORE
