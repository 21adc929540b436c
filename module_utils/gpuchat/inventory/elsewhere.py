# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database, and a store of files, of somebody else's in the place of the stack's own, as an inventory names them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ..core import network
from . import forms, tls
from .types import show

DATABASE, PASSWORD = "gpuchat_database", "gpuchat_database_password"
STORE, STORE_KEYS = "gpuchat_object_store", ("object_store_access_key", "object_store_secret_key")
USUAL_REGION = "us-east-1"
STORE_SOCKET = "/run/gpuchat-store-door/store.sock"
"""Behind which the chat's host reaches the store."""

URL = re.compile(r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?/?")
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
REGION = re.compile(r"[A-Za-z0-9-]{1,64}")
PORTS = {"http": 80, "https": 443}
USUAL_PORT = 5432
ROOM_PORT = 5432
"""At which the interface finds it in its room, whatever its own is."""

CONNECTION = "/etc/gpuchat/database/connection.json"
"""On the chat's host: how its programs reach it, for root alone."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
"""Of a database: a name beside it is made of it where a backup comes back."""

SERVERS_OWN = ("postgres", "template0", "template1")

USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.@-]{0,62}")


@dataclass(frozen=True)
class Database:
    """A database that somebody else runs; its certificate bears the host's name.

    Attributes:
        authority_file: on the control node, of the authority that signed its certificate.
    """

    host: str
    port: int
    name: str
    user: str
    authority_file: str

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Store:
    """A bucket in an object store that somebody else runs.

    Attributes:
        url: of the store, without the bucket.
        path_style: whether the bucket is the first word of paths; else it is the first label of the host's name.
        authority_file: on the control node, of the authority that signed its certificate; empty for a public one.
    """

    url: str
    bucket: str
    region: str = USUAL_REGION
    path_style: bool = True
    authority_file: str = ""

    @property
    def scheme(self) -> str:
        return self._part("scheme")

    @property
    def host(self) -> str:
        return self._part("host")

    @property
    def port(self) -> int:
        return int(self._part("port") or PORTS[self.scheme])

    @property
    def name(self) -> str:
        """The name under which objects are asked for."""
        return self.host if self.path_style else f"{self.bucket}.{self.host}"

    @property
    def place(self) -> str:
        return f"{self.name}:{self.port}"

    @property
    def origin(self) -> str:
        """What a browser calls the place of objects (RFC 6454)."""
        return f"{self.scheme}://{self.name}" + (f":{self.port}" if self.port != PORTS[self.scheme] else "")

    @property
    def path(self) -> str:
        """What the paths of all objects begin with."""
        return f"/{self.bucket}/" if self.path_style else "/"

    def _part(self, name: str) -> str:
        found = URL.fullmatch(self.url)
        return (found[name] or "") if found else ""


def read_store(settings: Mapping[str, object]) -> Store | None:
    """Return the store of a host's sound settings; None where it is the stack's own."""
    given = settings.get(STORE)
    if not isinstance(given, Mapping) or not given:
        return None
    return Store(
        str(given["url"]).rstrip("/"),
        str(given["bucket"]),
        str(given.get("region") or USUAL_REGION),
        _is_path_style(given),
        str(given.get("authority_file") or ""),
    )


def store_faults(
    settings: Mapping[str, object],
    given_keys: Collection[str],
    site_names: Collection[str],
    taken: Mapping[int, str] | None = None,
) -> Iterator[str]:
    """Say what is wrong with a store beyond its types.

    Args:
        given_keys: the variables of its keys that are set.
        site_names: at which people open the chat.
        taken: ports in the interface's room, by the variable that sets each.
    """
    given = _texts(settings.get(STORE))
    if not given:
        return
    yield from _missing(STORE, given, ("url", "bucket"))
    url, region = given.get("url"), given.get("region")
    found = URL.fullmatch(url) if isinstance(url, str) else None
    if isinstance(url, str) and (not found or forms.is_address(found["host"]) or not forms.is_host_name(found["host"])):
        yield (
            f"{STORE}.url is {show(url)}; wanted http:// or https:// and a name, with a port where it has one, and "
            f"without the bucket; set {STORE}.url to such as https://s3.example.com"
        )
    elif found and found["port"] and not 1 <= int(found["port"]) <= 65535:
        yield f"{STORE}.url is {show(url)}; wanted a port from 1 to 65535; set {STORE}.url to the store's"
    elif found and _as_asked(given, found["host"]).lower() in [name.lower() for name in site_names]:
        yield (
            f"{STORE}.url has the name of the site, {_as_asked(given, found['host'])}; wanted another, for what people "
            f"upload would run as the chat; set {STORE}.url to a name of the store's own"
        )
    elif found and found["host"].lower() == "localhost":
        yield (
            f"{STORE}.url is {show(url)}; wanted a name that is no host's own; set {STORE}.url to the store's name, "
            "and have the chat's host know it, if only from its /etc/hosts"
        )
    port = int(found["port"] or PORTS[found["scheme"]]) if found else 0
    used = {**({ROOM_PORT: f"{DATABASE}, in the room,"} if settings.get(DATABASE) else {}), **(taken or {})}
    if port in used and not used[port].startswith("edge_"):
        yield (
            f"{STORE}.url has the port {port}, and {used[port]} too; wanted ports apart, for the interface finds the "
            f"store at that port in its room; set {STORE}.url"
            + (f", or {used[port]}" if used[port].startswith("gpuchat_vllm") else "")
        )
    yield from _bucket_faults(given, found["host"] if found and found["scheme"] == "https" else "")
    if isinstance(region, str) and not REGION.fullmatch(region):
        yield f"{STORE}.region is {show(region)}; wanted a word such as eu-central-1; set {STORE}.region to the store's"
    if given.get("authority_file") and str(url).startswith("http://"):
        yield (
            f"{STORE}.authority_file names a file, and {STORE}.url begins with http://; wanted https:// for a "
            f"certificate; set {STORE}.url, or take {STORE}.authority_file away"
        )
    for name in STORE_KEYS:
        if name not in given_keys:
            yield f"{name} is not set; wanted the key of {STORE}; set {name}, for instance in a vault"


def mixed_faults(settings: Mapping[str, object], certificates: Collection[str]) -> Iterator[str]:
    """Find a store that browsers would have to ask in the clear from a page that came by TLS, which none does.

    Args:
        certificates: where each edge's comes from.
    """
    given = settings.get(STORE)
    url = str(given.get("url")) if isinstance(given, Mapping) else ""
    if url.startswith("http://") and set(certificates) - {tls.NONE}:
        yield (
            f"{STORE}.url is {show(url)} and people open the chat by https; wanted https:// too, for browsers bring "
            f"and take files there by themselves and ask nothing in the clear from such a page; set {STORE}.url to "
            "the store's address with https://, or gpuchat_interface to open_webui, which asks it alone"
        )


def _bucket_faults(given: Mapping[str, object], certified: str) -> Iterator[str]:
    """Find a bucket that is none, or by whose name no store can be asked.

    Args:
        certified: the store's name, where a certificate has to bear it; else empty.
    """
    bucket = given.get("bucket")
    if isinstance(bucket, str) and (not BUCKET.fullmatch(bucket) or ".." in bucket or forms.is_address(bucket)):
        yield (
            f"{STORE}.bucket is {show(bucket)}; wanted 3 to 63 small letters, digits and -, with single dots between "
            f"them, and no address; set {STORE}.bucket to "
            "the bucket's name"
        )
    elif certified and "." in str(bucket) and not _is_path_style(given):
        yield (
            f"{STORE}.bucket is {show(bucket)} and {STORE}.path_style is false; wanted a bucket without dots, for a "
            f"certificate of *.{certified} is for one more part of a name and not for two; set {STORE}.path_style to "
            f"true, or {STORE}.bucket to one without dots"
        )


TRUE = ("true", "yes", "on", "1")


def _is_path_style(given: Mapping[str, object]) -> bool:
    return str(given.get("path_style", True)).lower() in TRUE


def _as_asked(given: Mapping[str, object], host: str) -> str:
    """Return the name under which objects are asked for."""
    return host if _is_path_style(given) else f"{given.get('bucket')}.{host}"


def read(settings: Mapping[str, object]) -> Database | None:
    """Return the database of a host's sound settings; None where it is the stack's own."""
    given = settings.get(DATABASE)
    if not isinstance(given, Mapping) or not given:
        return None
    return Database(
        str(given["host"]),
        int(str(given.get("port", USUAL_PORT))),
        str(given["name"]),
        str(given["user"]),
        str(given["authority_file"]),
    )


def faults(settings: Mapping[str, object], has_password: bool, taken: Mapping[int, str]) -> Iterator[str]:
    """Say what is wrong with a database beyond its types.

    Args:
        has_password: whether its password is given.
        taken: ports in the interface's room, by the variable that sets each.
    """
    given = _texts(settings.get(DATABASE))
    if not given:
        if has_password:
            yield (
                f"{PASSWORD} is given, {DATABASE} is not; wanted both or none; set {DATABASE} to host, name, user and "
                "authority_file"
            )
        return
    yield from _missing(DATABASE, given, ("host", "name", "user", "authority_file"))
    host = given.get("host")
    if (
        isinstance(host, str)
        and host
        and (forms.is_address(host) or not forms.is_host_name(host) or host.lower() == "localhost")
    ):
        yield (
            f"{DATABASE}.host is {show(host)}; wanted a name such as db.example.com, which its certificate bears; set "
            f"{DATABASE}.host to it, and have the chat's host know it, if only from its /etc/hosts"
        )
    port = str(given.get("port", USUAL_PORT))
    if re.fullmatch("-?[0-9]+", port) and not 1 <= int(port) <= 65535:
        yield f"{DATABASE}.port is {port}; wanted 1 to 65535; set {DATABASE}.port to the server's"
    for part, form, wanted in (
        ("name", NAME, "up to 40 letters, digits and _, a letter first"),
        ("user", USER, "up to 63 letters, digits and _ . @ -, a letter first"),
    ):
        text = given.get(part)
        if isinstance(text, str) and not form.fullmatch(text):
            yield f"{DATABASE}.{part} is {show(text)}; wanted {wanted}; set {DATABASE}.{part} to such a one"
    if given.get("name") in SERVERS_OWN:
        yield (
            f"{DATABASE}.name is {given['name']}, which is PostgreSQL's own; wanted one for the interface alone, for "
            f"another takes its place where a backup comes back; set {DATABASE}.name to such a one"
        )
    if not has_password:
        yield f"{PASSWORD} is not set; wanted the password of {DATABASE}.user; set {PASSWORD}, for instance in a vault"
    if ROOM_PORT in taken:
        yield (
            f"{taken[ROOM_PORT]} is {ROOM_PORT}, at which the interface finds its database in its room; set "
            f"{taken[ROOM_PORT]} to another port"
        )


def _texts(given: object) -> dict[str, object]:
    """Return a mapping with texts in place of numbers, as which YAML reads some of them."""
    parts = given if isinstance(given, Mapping) else {}
    return {
        name: str(one) if isinstance(one, int) and not isinstance(one, bool) else one for name, one in parts.items()
    }


def _missing(variable: str, given: Mapping[str, object], parts: Collection[str]) -> Iterator[str]:
    for part in parts:
        if not given.get(part):
            yield f"{variable} has no {part}; wanted it; set {variable}.{part}"


def authority_faults(variable: str, path: str, text: str) -> Iterator[str]:
    """Say what is wrong with the file of the authority that signed a server's certificate.

    Args:
        variable: ``gpuchat_database`` or ``gpuchat_object_store``.
    """
    blocks = network.blocks(text)
    if "PRIVATE KEY-----" in text:
        what = "holds a private key, which no host is to have"
    elif not blocks:
        what = "holds no certificate in PEM form"
    elif not all(map(network.is_certificate, blocks)):
        what = "holds a damaged certificate"
    else:
        return
    yield (
        f"{variable}.authority_file is {path}, which {what}; wanted the authority that signed the server's "
        f"certificate; set {variable}.authority_file to its file"
    )
