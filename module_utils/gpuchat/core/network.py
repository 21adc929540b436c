# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's way out: a proxy, and the authorities of a company, in the words of those who take it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping

KINDS = ("http", "https")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\s(.*?)-----END CERTIFICATE-----", re.DOTALL)


def options(proxy: Mapping[str, object], own: Iterable[str], authorities: Iterable[str]) -> dict[str, object]:
    """Return a module's options ``way_out`` and ``way_out_logins``; empty where there is neither proxy nor authority.

    Args:
        proxy: ``gpuchat_proxy`` as the inventory has it.
        own: addresses and names of the stack's own hosts, which are reached without a proxy.
        authorities: texts in PEM form.
    """
    urls, logins = {}, {}
    for kind in KINDS:
        if proxy.get(kind):
            urls[kind], login = parted(str(proxy[kind]))
            logins.update({kind: login} if login else {})
    certificates = "".join(dict.fromkeys(one for text in authorities for one in blocks(text)))
    if not urls and not certificates:
        return {}
    given = [str(one) for one in proxy.get("no_proxy") or ()]  # type: ignore[attr-defined]
    network: dict[str, object] = dict(urls)
    if urls:
        network["no_proxy"] = list(dict.fromkeys([*LOOPBACK, *given]))
        network["own"] = sorted({one for one in own if one} - {*LOOPBACK, *given})
    if certificates:
        network["authorities"] = certificates
    return {"way_out": network, **({"way_out_logins": logins} if logins else {})}


def parted(url: str) -> tuple[str, str]:
    """Return a proxy's address without its login, and the login as ``name:password``."""
    scheme, separator, rest = url.partition("://")
    login, _at, place = rest.rpartition("@")
    return f"{scheme}{separator}{place}", login


def environment(network: Mapping[str, object], logins: Mapping[str, object], own: bool = True) -> dict[str, str]:
    """Return the variables by which programs know of a proxy, each as both ways of writing have it.

    Args:
        network: the module's option.
        logins: the logins by kind of address.
        own: whether the stack's own hosts are among those that are asked.
    """
    found = {}
    for kind in KINDS:
        if network.get(kind):
            scheme, separator, place = str(network[kind]).partition("://")
            login = f"{logins[kind]}@" if logins.get(kind) else ""
            found[f"{kind}_proxy"] = f"{scheme}{separator}{login}{place}"
    if found:
        names: list[str] = [*network.get("no_proxy", ()), *(network.get("own", ()) if own else ())]  # type: ignore[misc]
        found["no_proxy"] = ",".join(names)
    return {**found, **{name.upper(): value for name, value in found.items()}}


def blocks(text: str) -> list[str]:
    """Return the certificates of a text in PEM form, each in the one form that all programs read."""
    found = []
    for body in BLOCK.findall(text):
        plain = "".join(body.split())
        lines = [plain[at : at + 64] for at in range(0, len(plain), 64)]
        found.append("\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""]))
    return found


def holds(bundle: str, authorities: str) -> bool:
    """Whether a file of authorities has all of some."""
    return set(blocks(authorities)) <= set(blocks(bundle))


def name_of(block: str) -> str:
    """Return a name for a certificate that stays the same as long as it does."""
    return hashlib.sha256(block.encode()).hexdigest()[:12]


def is_certificate(block: str) -> bool:
    """Whether what stands between a certificate's marks can be one: base64 of a DER sequence."""
    try:
        return base64.b64decode("".join(block.split("-----")[2].split()), validate=True)[:1] == b"\x30"
    except ValueError:  # binascii's error is one too
        return False
