# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the site's certificate comes from, and what contradicts that."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from .forms import is_address

AUTO = "auto"
SELFSIGNED, PROVIDED, ACME, NONE = "selfsigned", "provided", "acme", "none"
HTTP, DNS = "http", "dns"
"""How a name is shown to be ours to an ACME directory (HTTP-01, DNS-01)."""

FOR_A_DIRECTORY = (
    "edge_acme_agree_tos",
    "edge_acme_authority_file",
    "edge_acme_dns_hook",
    "edge_acme_eab_kid",
    "edge_acme_email",
)
CLIENTS = "edge_client_authority_file"
DIRECTORY = "edge_acme_directory"
SETTINGS = (
    "edge_tls",
    DIRECTORY,
    "edge_certificate_file",
    "edge_acme_challenge",
    "edge_trusted_proxies",
    CLIENTS,
    *FOR_A_DIRECTORY,
)
"""What decides, beside the names and the allowed networks."""

EAB_KEY = "edge_acme_eab_hmac_key"
USUAL_HTTP_PORT = 80
INNER = re.compile(
    r"(?i)^[^.]+$|\.(corp|example|home|home\.arpa|internal|intranet|invalid|lan|local|localdomain|localhost|private|test)$"
)
"""Names that nobody can own (RFC 2606, 6761, 6762, 8375, and those that ICANN gives to nobody)."""

PUBLIC = re.compile(r"https://([a-z0-9-]+\.)*(letsencrypt\.org|zerossl\.com|buypass\.com|pki\.goog)[:/]")
"""Directories of authorities that browsers know, which certify what has an owner."""

PRIVATE_NETWORKS = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"),
    *("fc00::/7", "fe80::/10", "::1/128"),
)
"""Networks whose packets no router of the internet hands on (RFC 1918, 1122, 3927, 4193, 4291)."""


def source(settings: Mapping[str, object]) -> str:
    """Return where an edge's certificate comes from, by what its host sets."""
    given = str(settings.get("edge_tls") or AUTO)
    if given != AUTO:
        return given
    return PROVIDED if settings.get("edge_certificate_file") else SELFSIGNED


def challenge(settings: Mapping[str, object]) -> str:
    """Return how an edge shows that its names are its own; empty where nobody asks for that."""
    return str(settings.get("edge_acme_challenge") or HTTP) if source(settings) == ACME else ""


def is_private(network: str) -> bool:
    """Whether all of a network is private; a text that is none is not."""
    try:
        found = ipaddress.ip_network(network)
    except ValueError:
        return False
    ours = [ipaddress.ip_network(one) for one in PRIVATE_NETWORKS]
    return any(one.version == found.version and found.subnet_of(one) for one in ours)  # type: ignore[arg-type]


def faults(
    settings: Mapping[str, object],
    names: Sequence[str],
    networks: Sequence[str],
    given_secrets: Collection[str] = (),
    edges: int = 1,
) -> Iterator[str]:
    """Say what contradicts the source of an edge's certificate.

    Args:
        settings: the host's, of the right types.
        names: at which people open the chat.
        networks: who may.
        given_secrets: the variables with secrets that are set and not empty.
        edges: how many hosts there are in the group edge.
    """
    chosen = source(settings)
    file = settings.get("edge_certificate_file")
    if chosen == PROVIDED and not file:
        yield (
            "edge_tls is provided and edge_certificate_file is not set; wanted the certificate; set "
            "edge_certificate_file and edge_certificate_key_file"
        )
    if chosen != PROVIDED and file:
        yield (
            f"edge_tls is {chosen} and edge_certificate_file is {file}; wanted one source of the certificate; set "
            "edge_tls to provided, or take edge_certificate_file away"
        )
    if chosen == NONE and settings.get(CLIENTS):
        yield (
            f"edge_tls is none and {CLIENTS} is {settings[CLIENTS]}; wanted TLS, by which browsers show certificates; "
            f"set edge_tls to selfsigned, or take {CLIENTS} away"
        )
    if chosen == NONE:
        proxies = settings.get("edge_trusted_proxies")
        yield from _plain(networks, [str(one) for one in proxies] if isinstance(proxies, (list, tuple)) else [])
    elif chosen == ACME:
        yield from _acme(settings, names, given_secrets, edges)


def _plain(networks: Sequence[str], proxies: Sequence[str]) -> Iterator[str]:
    far = [one for one in proxies if not is_private(one)]
    if far:
        yield (
            f"edge_tls is none and edge_trusted_proxies holds {', '.join(far)}; wanted proxies in private networks "
            "alone, for everybody on the way between them and the edge reads all; set edge_tls to selfsigned"
        )
    public = [one for one in networks if not is_private(one)]
    if public:
        yield (
            f"edge_tls is none and gpuchat_allowed_networks holds {', '.join(public)}; wanted private networks alone, "
            "for without TLS everybody on the way reads what people say, their passwords and the API's key; set "
            "edge_tls to selfsigned, or gpuchat_allowed_networks to networks of your own"
        )


def _acme(
    settings: Mapping[str, object], names: Sequence[str], given_secrets: Collection[str], edges: int
) -> Iterator[str]:
    if settings.get("edge_acme_agree_tos") is not True:
        yield (
            "edge_tls is acme and edge_acme_agree_tos is not true; wanted that you agree to the terms of service of "
            "edge_acme_directory, which its owner states there; read them and set edge_acme_agree_tos to true"
        )
    addresses = [name for name in names if is_address(name)]
    if addresses:
        yield (
            f"edge_tls is acme and the chat's names hold {', '.join(addresses)}; wanted host names, for certbot asks "
            "for nothing else; set gpuchat_domain and edge_extra_names to names alone, or edge_tls to selfsigned"
        )
    inner = [name for name in names if name not in addresses and INNER.search(name)]
    if inner and PUBLIC.match(str(settings.get(DIRECTORY) or "")):
        yield (
            f"edge_tls is acme and the chat's names hold {', '.join(inner)}; wanted names below a domain of yours, for "
            f"{DIRECTORY} certifies none of a network's own; set gpuchat_domain and edge_extra_names to such, or "
            "edge_tls to selfsigned"
        )
    hook = settings.get("edge_acme_dns_hook")
    if challenge(settings) == DNS and not hook:
        yield (
            "edge_acme_challenge is dns and edge_acme_dns_hook is not set; wanted the program that enters the record; "
            "set edge_acme_dns_hook to its file on the control node"
        )
    if challenge(settings) == HTTP and hook:
        yield (
            "edge_acme_dns_hook is set, and edge_acme_challenge is http; wanted a hook for DNS-01 alone; set "
            "edge_acme_challenge to dns, or take edge_acme_dns_hook away"
        )
    if challenge(settings) == HTTP and edges > 1:
        yield (
            f"edge_acme_challenge is http and the group edge has {edges} hosts; wanted one, for the directory asks any "
            "of those that share the name; set edge_acme_challenge to dns"
        )
    kid, has_key = settings.get("edge_acme_eab_kid"), EAB_KEY in given_secrets
    if bool(kid) != has_key:
        there, missing = ("edge_acme_eab_kid", EAB_KEY) if kid else (EAB_KEY, "edge_acme_eab_kid")
        yield f"{there} is set, and {missing} is not; wanted both, as the directory's owner gave them; set {missing}"


def warnings(settings: Mapping[str, object], http_port: int) -> Iterator[str]:
    """Say what works, and may yet surprise."""
    chosen = source(settings)
    if chosen == NONE:
        yield (
            "edge_tls is none: everybody on the way between people and this host can read and change what they say, "
            "their passwords and the API's key; set edge_tls to selfsigned where you can"
        )
    if chosen == ACME and challenge(settings) == HTTP and http_port != USUAL_HTTP_PORT:
        yield (
            f"edge_acme_challenge is http and edge_http_port is {http_port}; a directory asks at port "
            f"{USUAL_HTTP_PORT}, so something in front must hand that on to it"
        )
