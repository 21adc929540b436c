# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A company's own sign-in (OpenID Connect), by which people come into the chat with the account that they have.

The interface speaks to the issuer itself, by its name, which leads to the way out of its room; browsers go there by
themselves.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from . import elsewhere, forms
from .types import show

VARIABLE, SECRET = "gpuchat_sso", "gpuchat_sso_client_secret"
SOCKET = "/run/gpuchat-sso-door/sso.sock"
"""Behind which the chat's host reaches the issuer."""

ISSUER = re.compile(r"https://(?P<host>[A-Za-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?(?P<path>/[A-Za-z0-9._~%+@:/-]*)?")
CLIENT = re.compile(r"[!-~]{1,256}")
EXAMPLE = "https://id.example.com/realms/company"


@dataclass(frozen=True)
class SignIn:
    """The issuer, and what the chat is called there.

    Attributes:
        issuer: its address as its tokens name it, without what is found beneath (``/.well-known/...``).
    """

    issuer: str
    client_id: str

    @property
    def name(self) -> str:
        return str(self._part("host")).lower()

    @property
    def port(self) -> int:
        return int(self._part("port") or elsewhere.PORTS["https"])

    @property
    def discovery(self) -> str:
        """Where it says of itself what it can do (OpenID Connect Discovery 1.0)."""
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    @property
    def place(self) -> str:
        return f"{self.name}:{self.port}"

    def _part(self, name: str) -> str:
        found = ISSUER.fullmatch(self.issuer)
        return (found[name] or "") if found else ""


def read(settings: Mapping[str, object]) -> SignIn | None:
    """Return the sign-in of a host's sound settings; None where people have the chat's own accounts alone."""
    given = settings.get(VARIABLE)
    if not isinstance(given, Mapping) or not given:
        return None
    return SignIn(str(given["issuer"]), str(given["client_id"]))


def faults(
    settings: Mapping[str, object],
    has_secret: bool,
    site_names: Collection[str],
    taken: Mapping[int, str] | None = None,
) -> Iterator[str]:
    """Say what is wrong with a sign-in beyond its types.

    Args:
        has_secret: whether the client's secret is given.
        site_names: at which people open the chat.
        taken: ports in the interface's room, by the variable that sets each.
    """
    given = settings.get(VARIABLE)
    if not isinstance(given, Mapping) or not given:
        if has_secret:
            yield f"{SECRET} is given, {VARIABLE} is not; wanted both or none; set {VARIABLE} to issuer and client_id"
        return
    for part in ("issuer", "client_id"):
        if not given.get(part):
            yield f"{VARIABLE} has no {part}; wanted it; set {VARIABLE}.{part}"
    if given.get("issuer"):
        yield from _issuer_faults(settings, str(given["issuer"]), site_names, taken or {})
    client = str(given.get("client_id") or "")
    if client and not CLIENT.fullmatch(client):
        yield (
            f"{VARIABLE}.client_id is {show(client)}; wanted letters, digits and signs, without spaces; set "
            f"{VARIABLE}.client_id to what the issuer calls the chat"
        )
    if not has_secret:
        yield f"{SECRET} is not set; wanted the secret of {VARIABLE}.client_id; set {SECRET}, for instance in a vault"


def _issuer_faults(
    settings: Mapping[str, object], issuer: str, site_names: Collection[str], taken: Mapping[int, str]
) -> Iterator[str]:
    found, variable = ISSUER.fullmatch(issuer), f"{VARIABLE}.issuer"
    if "/.well-known/" in issuer:
        yield (
            f"{variable} is {show(issuer)}; wanted the issuer alone, beneath which that is found; set {variable} to "
            f"{issuer.partition('/.well-known/')[0]}"
        )
    elif not found or forms.is_address(found["host"]) or not forms.is_host_name(found["host"]):
        yield (
            f"{variable} is {show(issuer)}; wanted https:// and a name, which its certificate bears, as its tokens "
            f"name it; set {variable} to such as {EXAMPLE}"
        )
    elif found["port"] and not 1 <= int(found["port"]) <= 65535:
        yield f"{variable} is {show(issuer)}; wanted a port from 1 to 65535; set {variable} to the issuer's"
    elif found["host"].lower() in [name.lower() for name in site_names]:
        yield (
            f"{variable} has the name of the site, {found['host']}; wanted another, for in its room the interface "
            f"would find itself there; set {variable} to a name of the issuer's own"
        )
    elif found["host"].lower() == "localhost":
        yield (
            f"{variable} is {show(issuer)}; wanted a name that is no host's own; set {variable} to the issuer's name, "
            "and have the chat's host know it, if only from its /etc/hosts"
        )
    else:
        yield from _meeting_faults(settings, SignIn(issuer, ""), taken)


def _meeting_faults(settings: Mapping[str, object], one: SignIn, taken: Mapping[int, str]) -> Iterator[str]:
    """Find what else is at the issuer's place in the interface's room."""
    given = settings.get(elsewhere.STORE)
    is_whole = isinstance(given, Mapping) and given.get("url") and given.get("bucket")
    store = elsewhere.read_store(settings) if is_whole else None
    used = {**({elsewhere.ROOM_PORT: elsewhere.DATABASE} if settings.get(elsewhere.DATABASE) else {}), **taken}
    if store and store.name.lower() == one.name and store.port == one.port:
        yield (
            f"{VARIABLE}.issuer and {elsewhere.STORE}.url are both at {one.place}; wanted a name each, for one of them "
            f"alone is handed on there; set {VARIABLE}.issuer or {elsewhere.STORE}.url to a name of its own"
        )
    elif store and store.port == one.port and store.scheme != "https":
        used = {one.port: f"{elsewhere.STORE}.url", **used}
    if one.port in used and not used[one.port].startswith("edge_"):
        yield (
            f"{VARIABLE}.issuer has the port {one.port}, and {used[one.port]} too; wanted ports apart, for the "
            f"interface finds the issuer at that port in its room; set {used[one.port]} or {VARIABLE}.issuer"
        )
