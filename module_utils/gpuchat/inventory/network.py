# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be known to be wrong with the way out that an inventory names: a proxy, and a company's authorities."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..core import network
from . import forms
from .types import show

PROXY, FILES = "gpuchat_proxy", "gpuchat_ca_files"
EXAMPLE = "http://proxy.example.com:3128"
NAME = re.compile(r"\.?[A-Za-z0-9*:][A-Za-z0-9.:_-]*(/[0-9]{1,3})?")
NOT_PLAIN = "(not plain)"
"""What stands in the place of a login that cannot be part of an address as it is."""


def proxy_faults(proxy: object) -> list[str]:
    """Return what is wrong with ``gpuchat_proxy``, whose logins have been made unreadable."""
    found = []
    given = proxy if isinstance(proxy, Mapping) else {}
    for kind in network.KINDS:
        url = given.get(kind)
        if not url:
            continue
        place, login = network.parted(str(url))
        if login == NOT_PLAIN:
            found.append(
                f"{PROXY} has a login in its {kind} that no address can hold; wanted name:password, with what is not "
                f"a letter, a digit or one of . _ ~ - written as %40 (for @) and the like; set {PROXY}.{kind} so"
            )
        elif not _is_proxy(place):
            found.append(
                f"{PROXY} has {show(place)} as its {kind}; wanted http:// or https://, a host and a port; set "
                f"{PROXY}.{kind} to an address such as {EXAMPLE}"
            )
    names = given.get("no_proxy") or []
    found += [
        f"{PROXY} has {show(name)} in its no_proxy; wanted a host, a domain such as .example.com, or an address; set "
        f"{PROXY}.no_proxy to a list of them"
        for name in (names if isinstance(names, (list, tuple)) else ())
        if not NAME.fullmatch(str(name)) or ("/" in str(name) and not forms.is_network(str(name), strict=False))
    ]
    if names and not any(given.get(kind) for kind in network.KINDS):
        found.append(f"{PROXY} has no_proxy and no proxy; wanted its http or https too; set {PROXY}.http")
    return found


def _is_proxy(url: str) -> bool:
    if re.search(r"[\s\"'\\<>`$]", url):
        return False
    try:
        parts = urlsplit(url)
        is_proxy = parts.scheme in ("http", "https") and bool(parts.hostname and parts.port) and parts.path in ("", "/")
        return is_proxy and forms.is_at_server(url)
    except ValueError:  # no port but a word
        return False


def what_is_wrong(text: str) -> str:
    """Return why a text is none of certificates alone, in words that follow its name; empty where it is."""
    blocks = network.blocks(text)
    if "PRIVATE KEY-----" in text:
        return "holds a private key, which no host is to have"
    if not blocks:
        return "holds no certificate in PEM form"
    return "" if all(map(network.is_certificate, blocks)) else "holds a damaged certificate"


def pem_faults(variable: str, text: str) -> list[str]:
    """Return what is wrong with a file of authorities that a variable names."""
    what = what_is_wrong(text)
    wanted = "wanted certificates in PEM form and nothing else"
    return [f"{variable} names a file that {what}; {wanted}; set {variable} to such a file"] if what else []


def authority_faults(path: str, text: str) -> list[str]:
    """Return what is wrong with a file of ``gpuchat_ca_files``."""
    what = what_is_wrong(text)
    if not what:
        return []
    wanted = "wanted certificates in PEM form and nothing else"
    return [f"{FILES} names {path}, which {what}; {wanted}; set {FILES} to such files"]
