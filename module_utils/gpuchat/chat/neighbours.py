# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an interface is told of what stands beside it: its database, a store of people's files, sign-in, tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..data import backup
from ..inventory.given import Inventory, Specification
from ..inventory.topology import INTERFACES, LOBEHUB, OPEN_WEBUI
from . import open_webui
from .ways import CLOSED

CERTIFICATE = "/run/secrets/room.crt"
"""Of its room's door, in the interface's container."""

AUTHORITY_HERE, AUTHORITY = "/etc/gpuchat/database/authority.crt", "/run/secrets/database.crt"
"""Of a database elsewhere, on the host and in the container."""

SOCKETS_HERE, SOCKETS = "/var/lib/gpuchat/postgresql/socket", "/run/postgresql"
"""Of the stack's own database."""

PASSWORD = "{password}"
"""Stands in a database's address for its password, which is not known here."""

SCHEMES = {LOBEHUB: "postgres", OPEN_WEBUI: "postgresql"}

SIGNUP, EMAILS = "gpuchat_signup", "gpuchat_signup_emails"
NOBODY = "@"
"""Who may sign up with LobeHub where nobody may: it compares what holds an @ to whole addresses, and none is this."""


@dataclass(frozen=True)
class Neighbours:
    """What follows for an interface's container.

    Attributes:
        environment: variables without secrets.
        database_url: with ``PASSWORD`` for the password, which has to be quoted for it.
        database_volume: by which it reaches the database, or knows it.
        backup: what of its own a backup holds.
    """

    environment: Mapping[str, str]
    database_url: str
    database_volume: str
    backup: backup.Covered

    def as_dict(self) -> dict[str, object]:
        return {
            "environment": dict(self.environment),
            "database_url": self.database_url,
            "database_volume": self.database_volume,
            "backup": self.backup.as_dict(),
        }


def of_hosts(
    inventory: Inventory, specification: Specification, hosts: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, object]]:
    """Return, as plain data, what the interface of each host that has one is told of its neighbours.

    Args:
        hosts: the topology's.
    """
    interfaces = {host: here["interface"] for host, here in hosts.items() if "interface" in here}
    found = {}
    for host, here in interfaces.items():
        if here["kind"] in INTERFACES:
            given = specification.settings(inventory.variables.get(host, {}), SIGNUP, EMAILS)
            emails = list(map(str, given[EMAILS]))  # type: ignore[call-overload]
            found[host] = find(here, str(given[SIGNUP]), emails).as_dict()
    return found


def find(here: Mapping[str, Any], signup: str, emails: Sequence[str] = ()) -> Neighbours:
    """Return what an interface of the stack's is told of its neighbours.

    Args:
        here: the interface, as the topology describes it.
        signup: ``open`` where people make accounts by themselves.
        emails: whose, where not everybody's; addresses, or what follows their @.
    """
    kind, database = str(here["kind"]), here["database"]
    environment = _of_lobehub(here, signup, emails) if kind == LOBEHUB else _of_open_webui(here)
    return Neighbours(
        environment, _url(kind, database), _volume(database), backup.covered(kind, has_store=bool(here["files"]))
    )


def _url(kind: str, database: Mapping[str, Any]) -> str:
    login = f"{SCHEMES[kind]}://{quote(database['user'], safe='')}:{PASSWORD}"
    if database["is_own"]:
        return f"{login}@/{database['name']}?host={SOCKETS}"
    # By its own name, which leads to the way out of the room; TLS is between the interface and the server.
    place = f"{database['host']}:{database['room_port']}"
    return f"{login}@{place}/{database['name']}?sslmode=verify-full&sslrootcert={AUTHORITY}"


def _volume(database: Mapping[str, Any]) -> str:
    return f"{SOCKETS_HERE}:{SOCKETS}:ro" if database["is_own"] else f"{AUTHORITY_HERE}:{AUTHORITY}:ro"


def _of_lobehub(here: Mapping[str, Any], signup: str, emails: Sequence[str]) -> dict[str, str]:
    store, sign_in = here["store"], here["sign_in"]
    asks_by_tls = bool(sign_in) or "https" in (here["site_scheme"], store["scheme"])
    # Whoever comes by their company gets an account by that; with sign-up closed, the edge keeps shut how they would
    # make another.
    is_closed = signup == CLOSED and not sign_in
    environment = {
        "AUTH_ALLOWED_EMAILS": NOBODY if is_closed else ",".join(one.lower() for one in emails),
        # Under the site's own name: the browser by the edge, LobeHub by the door in its room. A store elsewhere has its
        # own, to which browsers go by themselves.
        "S3_ENDPOINT": store["url"],
        "S3_BUCKET": store["bucket"],
        "S3_REGION": store["region"],
        "S3_ENABLE_PATH_STYLE": "1" if store["path_style"] else "0",
        "NODE_EXTRA_CA_CERTS": CERTIFICATE if asks_by_tls else "",
    }
    if sign_in:
        environment["AUTH_SSO_PROVIDERS"] = "generic-oidc"
        environment["AUTH_GENERIC_OIDC_ISSUER"] = sign_in["issuer"]
        environment["AUTH_GENERIC_OIDC_ID"] = sign_in["client_id"]
    return environment


def _of_open_webui(here: Mapping[str, Any]) -> dict[str, str]:
    store, sign_in = here["store"], here["sign_in"]
    environment = {}
    if not store["is_own"]:  # else its own folder keeps people's files
        environment["STORAGE_PROVIDER"] = "s3"
        environment["S3_ENDPOINT_URL"] = store["url"]
        environment["S3_BUCKET_NAME"] = store["bucket"]
        environment["S3_REGION_NAME"] = store["region"]
        environment["S3_ADDRESSING_STYLE"] = "path" if store["path_style"] else "virtual"
        environment["AWS_CA_BUNDLE"] = CERTIFICATE if store["scheme"] == "https" else ""
    if sign_in:  # beside the accounts that are here
        environment["OPENID_PROVIDER_URL"] = sign_in["discovery"]
        environment["OPENID_REDIRECT_URI"] = f"{here['site_url']}/oauth/oidc/callback"
        environment["OAUTH_CLIENT_ID"] = sign_in["client_id"]
        environment["ENABLE_OAUTH_SIGNUP"] = "True"
        environment["SSL_CERT_FILE"] = CERTIFICATE  # all that it asks by TLS is behind the door in its room
    # By the door in its room, which shows each of them its key.
    environment["TOOL_SERVER_CONNECTIONS"] = open_webui.tool_connections(here["tools"])
    return environment
