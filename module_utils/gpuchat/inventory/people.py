# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people show before they see the chat: a password, or that a server of the owner's knows them."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

PASSWORDS = "edge_password_file"
ASKED, SIGNIN = "edge_forward_auth", "edge_forward_auth_signin"
AUTHORITY, HEADERS = "edge_forward_auth_authority_file", "edge_forward_auth_headers"
SETTINGS = (PASSWORDS, ASKED, SIGNIN, AUTHORITY, HEADERS)

PLACE = re.compile(r"https?://(?P<place>(?P<host>[^/:]+)(:[0-9]+)?)(?P<path>/.*)?")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
NGINX_WORDS = frozenset({"default", "hostnames", "include", "volatile"})  # in a map, whatever their letters's case
EDGES_OWN = re.compile(
    r"(?i)(accept-encoding|authorization|connection|content-.*|cookie|forwarded|host|keep-alive|proxy-.*|te|trailer"
    r"|transfer-encoding|upgrade|x-forwarded-.*|x-real-ip)"
)
"""Headers of a request that the edge or HTTP itself sets."""


@dataclass(frozen=True)
class ForwardAuth:
    """A server of the owner's that nginx asks whether it knows somebody, by what their browser sends.

    Attributes:
        url: answers 2xx to who may use the chat, 401 to who has to sign in, 403 to others.
        host: its name, which its certificate must bear.
        authority: whether its certificate comes from an authority that systems do not know.
        signin: where people sign in, up to the address to which they come back; empty where its answer says so.
        headers: of its answer, handed to the interface.
    """

    url: str
    authority: bool
    signin: str
    headers: tuple[str, ...]

    @property
    def host(self) -> str:
        return _part(self.url, "host")

    @property
    def place(self) -> str:
        return _part(self.url, "place")

    def as_dict(self) -> dict[str, object]:
        return {
            "url": self.url,
            "host": self.host,
            "place": self.place,
            "is_tls": self.url.startswith("https:"),
            "authority": self.authority,
            "signin": self.signin,
            "headers": [
                {"name": name, "variable": "upstream_http_" + name.lower().replace("-", "_")} for name in self.headers
            ],
        }


def forward_auth(settings: Mapping[str, object]) -> ForwardAuth | None:
    """Return whom an edge asks, from settings without a fault."""
    url = str(settings.get(ASKED) or "")
    if not url:
        return None
    return ForwardAuth(
        url if _part(url, "path") else f"{url}/",
        bool(settings.get(AUTHORITY)),
        str(settings.get(SIGNIN) or ""),
        tuple(_texts(settings.get(HEADERS))),
    )


def faults(settings: Mapping[str, object], names: Sequence[str]) -> Iterator[str]:
    """Say what contradicts the way in which people show who they are.

    Args:
        settings: the host's, of the right types.
        names: at which people open the chat.
    """
    url = str(settings.get(ASKED) or "")
    if not url:
        for name in (SIGNIN, AUTHORITY, HEADERS):
            if settings.get(name):
                yield f"{name} is set, and {ASKED} is not; wanted the address that is asked; set {ASKED} to it"
        return
    if settings.get(PASSWORDS):
        yield (
            f"{ASKED} and {PASSWORDS} are both set; wanted one sign-in; take {PASSWORDS} away, for the server at "
            f"{ASKED} asks for passwords"
        )
    host = _part(url, "host").lower()
    if host in [name.lower() for name in names]:
        yield (f"{ASKED} is {url}, which is the chat's own address; wanted a server of another name; set {ASKED}")
    if url.startswith("http:") and not _is_near(host):
        yield (
            f"{ASKED} is {url}; wanted https, for whoever is on the way could let anybody in; set {ASKED} "
            "to an address that begins with https://"
        )
    if url.startswith("https:") and re.fullmatch("[0-9.]+", host):
        yield (
            f"{ASKED} is {url}; wanted a name in place of the address, for nginx verifies no certificate of an "
            f"address; set {ASKED} to one that begins with a name of that server"
        )
    if url.startswith("http:") and settings.get(AUTHORITY):
        yield f"{AUTHORITY} is set, and {ASKED} is plain HTTP; wanted https; set {ASKED}, or take {AUTHORITY} away"
    twice = [one for one, count in Counter(map(str.lower, _texts(settings.get(HEADERS)))).items() if count > 1]
    if twice:
        yield f"{HEADERS} holds {twice[0]} twice; wanted each header once, whatever its letters' case; take one away"
    wrong = [one for one in _texts(settings.get(HEADERS)) if EDGES_OWN.fullmatch(one)]
    if wrong:
        yield (
            f"{HEADERS} holds {', '.join(map(repr, wrong))}; wanted names of headers of that server's own, such as "
            f"Remote-User; set {HEADERS} to those alone"
        )


def name_faults(names: Sequence[str]) -> Iterator[str]:
    """Say what is wrong with the names in the file of passwords."""
    if not names:
        yield (
            f"{PASSWORDS} holds no name; wanted lines as htpasswd writes them; set {PASSWORDS} to a file that it wrote"
        )
    wrong = [name for name in names if not NAME.fullmatch(name) or name.lower() in NGINX_WORDS]
    if wrong:
        yield (
            f"{PASSWORDS} holds the name {wrong[0]!r}; wanted up to 64 letters, digits and . _ @ + -, and no "
            f"word of nginx's own; write another name in the file of {PASSWORDS}"
        )
    twice = [name for name, count in Counter(map(str.lower, names)).items() if count > 1]
    if twice:
        yield (
            f"{PASSWORDS} holds {twice[0]} twice; wanted each name once, whatever its letters' case; take a line out "
            f"of the file of {PASSWORDS}"
        )


def hash_faults(names: Sequence[str]) -> Iterator[str]:
    """Say whose password nginx would take for none, since it verifies hashes alone.

    Args:
        names: those in the file of passwords beside which there is something else.
    """
    sound = [name for name in names if NAME.fullmatch(name)]
    if sound:
        yield (
            f"{PASSWORDS} holds no hashed password for {', '.join(sound[:3])}; wanted lines as htpasswd -B writes, for "
            f"with others nobody gets in; make them anew in the file of {PASSWORDS}"
        )


def _part(url: str, name: str) -> str:
    found = PLACE.match(url)
    return (found.group(name) if found else "") or ""


def _texts(given: object) -> list[str]:
    return [str(one) for one in given] if isinstance(given, (list, tuple)) else []


def _is_near(host: str) -> bool:
    """Whether requests to a host leave this one at most for a private network's address."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"
