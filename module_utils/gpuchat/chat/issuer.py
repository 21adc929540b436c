# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether people can sign in to a chat by the issuer of a company's accounts, by what that says of itself.

Source: OpenID Connect Discovery 1.0, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from ..inventory import sign_in

VARIABLE = f"{sign_in.VARIABLE}.issuer"
OF_BROWSERS = ("authorization_endpoint",)
OF_THE_CHAT = ("token_endpoint", "jwks_uri", "userinfo_endpoint")
"""What the interface asks by itself, which leaves its room by the issuer's name alone."""

REQUIRED = frozenset({"authorization_endpoint", "token_endpoint", "jwks_uri"})


def unreached(url: str, status: int, error: str) -> str:
    """Say why what an issuer says of itself was not got, and what to set."""
    said = f"answered {status}" if status else f"is not reached ({error})"
    if "certificate" in error.lower():
        wanted = "a certificate by an authority that is known; set gpuchat_sso.authority_file to that authority's"
    elif status:
        wanted = f"what the issuer says of itself; set {VARIABLE} to its address, as its own page on it has it"
    else:
        wanted = f"a way from the chat's host; set {VARIABLE}, have that host know the name, or open the way"
    return f"found that {url} {said}; wanted {wanted}"


def faults(issuer: str, told: object) -> list[str]:
    """Return what keeps people from signing in.

    Args:
        issuer: as the inventory has it.
        told: what the issuer says of itself, from JSON.
    """
    if not isinstance(told, Mapping):
        return [f"found no JSON object where {issuer} says what it can do; wanted an issuer; set {VARIABLE} to one"]
    if told.get("issuer") != issuer:
        said = f"found that {issuer} calls itself {told.get('issuer')!r}; wanted the very same, for its tokens bear it"
        return [f"{said}; set {VARIABLE} to that, if it is the one you mean"]
    found, own = [], urlsplit(issuer).netloc.lower()
    for name in (*OF_BROWSERS, *OF_THE_CHAT):
        url = told.get(name)
        if not url and name not in REQUIRED:
            continue
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
        if parts.scheme != "https" or not parts.netloc:
            found.append(
                f"found {url!r} as the issuer's {name}; wanted an address with https://; have its owner set its public "
                f"address, or set {VARIABLE} to another"
            )
        elif name in OF_THE_CHAT and parts.netloc.lower() != own:
            found.append(
                f"found that the issuer's {name} is at {parts.netloc}; wanted it at {own}, the one place that the "
                f"chat reaches in its room; set {VARIABLE} to an issuer that has all of it under one name, such as a "
                "Keycloak, Authentik, Authelia, Casdoor or Logto in front of that one"
            )
    kinds = told.get("response_types_supported")
    if isinstance(kinds, list) and "code" not in kinds:
        found.append(
            f"found that the issuer signs in by {', '.join(map(str, kinds)) or 'nothing'}; wanted code; have its owner "
            f"turn on the authorization code flow, or set {VARIABLE} to another"
        )
    return found
