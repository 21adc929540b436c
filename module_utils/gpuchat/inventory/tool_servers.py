# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tool servers (MCP) of the owner's, which models may call from the chat.

An interface has no way out of its host but by the door in its room, so that door hands on what is for such a server,
and shows it the key: the interface holds none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .endpoints import NAME, URL, Endpoint, is_url, key_faults, place_faults
from .types import show

VARIABLE = "gpuchat_mcp_servers"
PREFIX = "/tools/"
"""What an address of the room's door begins with for such a server."""

LONGEST_NAME = 20
"""An interface puts a server's name before each of its tools', and an engine takes 64 characters for both."""

HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
HEADER_VALUE = re.compile(r"[A-Za-z0-9 ._~+/=:,;@-]+")
"""What stands in nginx's configuration as it is."""

OWN_HEADERS = frozenset(
    {"accept", "connection", "content-length", "content-type", "cookie", "host", "transfer-encoding", "upgrade"}
)
"""Those that belong to the request itself."""

AUTHORIZATION = "authorization"
PLAIN = "(secret)"
"""What stands for a header's value, which may be a secret, where nginx can hold it as it is."""

EXAMPLE = "http://10.0.0.9:9000/mcp"


@dataclass(frozen=True)
class ToolServer:
    """One server that speaks MCP by HTTP (Streamable HTTP).

    Attributes:
        name: short, by which its tools are told from another's.
        title: what people read.
        headers: names of those that it wants to see beside its key.
        authorization: the one among the inventory's headers that stands in the key's place; else empty.
    """

    name: str
    url: str
    title: str
    headers: tuple[str, ...] = ()
    authorization: str = ""

    @property
    def server(self) -> Endpoint:
        """The same as nginx wants to know it: place, scheme and names."""
        return Endpoint(self.name, self.url, {}, {}, 0)

    @property
    def path(self) -> str:
        """The path and nothing else is asked of the server."""
        found = URL.fullmatch(self.url)
        return (found["path"] if found else "") or "/"

    @property
    def room_path(self) -> str:
        """The path by which the room's door is asked for it."""
        return f"{PREFIX}{self.name}"


def read(given: object) -> tuple[ToolServer, ...]:
    """Read a sound list."""
    found = []
    for one in given if isinstance(given, (list, tuple)) else ():
        headers = tuple(map(str, one.get("headers") or ()))
        instead = [name for name in headers if name.lower() == AUTHORIZATION]
        others = tuple(name for name in headers if name.lower() != AUTHORIZATION)
        title = str(one.get("title") or one["name"])
        found.append(ToolServer(str(one["name"]), str(one["url"]), title, others, "".join(instead[:1])))
    return tuple(found)


def faults(given: object, site_names: Collection[str] = ()) -> Iterator[str]:
    """Say what is wrong with the list beyond its types.

    Args:
        site_names: at which people open the chat.
    """
    seen: set[str] = set()
    for number, one in enumerate(given if isinstance(given, (list, tuple)) else ()):
        if not isinstance(one, Mapping):
            continue
        variable, name, url = f"{VARIABLE}[{number}]", str(one.get("name", "")), str(one.get("url", ""))
        if name and (not NAME.fullmatch(name) or len(name) > LONGEST_NAME):
            right = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_NAME].strip("-") or "wiki"
            yield (
                f"{variable}.name is {show(name)}; wanted up to {LONGEST_NAME} small letters and digits, with single "
                f"hyphens between them, for it begins the name of each tool; set {variable}.name to {right}"
            )
        elif name in seen:
            yield f"{VARIABLE} names {name} twice; wanted each server once; set another name, or take one away"
        seen.add(name)
        if url:
            yield from _url_faults(variable, url)
            yield from place_faults(variable, url, site_names)
        yield from key_faults(variable, one.get("key"))
        headers = one.get("headers")
        yield from _header_faults(variable, headers if isinstance(headers, Mapping) else {}, bool(one.get("key")))


def _url_faults(variable: str, url: str) -> Iterator[str]:
    if not is_url(url):
        right = f"http://{url}" if "://" not in url and is_url(f"http://{url}") else EXAMPLE
        yield (
            f"{variable}.url is {show(url)}; wanted the whole address of an MCP server, such as {EXAMPLE}, with a "
            f"port that there can be, and without a name, a password or a question mark in it; set {variable}.url to "
            f"{right}"
        )
    elif re.match(r"https://(\[|[0-9.]+(:|/|$))", url):
        yield (
            f"{variable}.url is {show(url)}; wanted a name in place of the address, for nginx verifies no certificate "
            f"of an address; set {variable}.url to one that begins with a name of that server, or with http://"
        )
    elif re.search(r"/sse/?$", url):
        yield (
            f"{variable}.url is {show(url)}; wanted the address of Streamable HTTP, for the older form with events "
            f"alone is not spoken; set {variable}.url to that server's other address, often {url.rpartition('/sse')[0]}"
            "/mcp"
        )


def _header_faults(variable: str, headers: Mapping[object, object], has_key: bool) -> Iterator[str]:
    seen: set[str] = set()
    for header, value in headers.items():
        name = str(header)
        if name.lower() in seen:
            yield (
                f"{variable}.headers names {name} twice, in other letters; wanted each header once; take one out of "
                f"{variable}.headers"
            )
        seen.add(name.lower())
        if not HEADER_NAME.fullmatch(name):
            yield (
                f"{variable}.headers names {show(name)}; wanted letters, digits and hyphens; set {variable}.headers "
                "to names such as X-Api-Key"
            )
        elif name.lower() in OWN_HEADERS:
            yield (
                f"{variable}.headers names {name}, which is the request's own; wanted others; take it out of "
                f"{variable}.headers"
            )
        elif name.lower() == AUTHORIZATION and has_key:
            yield (
                f"{variable} has a key and the header {name}, which are one thing; wanted one of them; take the other "
                "away"
            )
        if value != PLAIN:
            yield (
                f"{variable}.headers.{name} is no text of letters, digits, spaces and . _ ~ + / = : , ; @ -; wanted "
                f"what that server wants to see; set {variable}.headers.{name} to it"
            )


def names(servers: Sequence[ToolServer]) -> list[str]:
    """Return the servers' names."""
    return [one.name for one in servers]
