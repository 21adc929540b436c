# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the settings of what people chat with, found before any host is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..data import postgresql
from ..inventory.forms import is_address, is_host_name
from ..inventory.given import Inventory, Specification, chat
from ..inventory.preflight import chat_settings
from ..inventory.topology import LOBEHUB, OPEN_WEBUI
from . import accounts, lobehub, open_webui
from .ways import OPEN


def check(
    inventory: Inventory, specification: Specification, parts: Sequence[str], secrets: Mapping[str, str]
) -> list[str]:
    """Return what is wrong with the settings of an inventory's interface, where that is to run.

    Args:
        parts: the roles that are to run.
        secrets: as for ``faults``.
    """
    chosen = chat(inventory, specification)
    if chosen["kind"] not in parts:
        return []
    return faults(chosen["kind"], chosen["version"], *chat_settings(inventory), secrets)


def faults(
    kind: str,
    version: str,
    given: Mapping[str, object],
    secret_names: Mapping[str, Sequence[str]],
    secrets: Mapping[str, str],
) -> list[str]:
    """Return what is wrong, a sentence each.

    Args:
        given: the inventory's variables of the chat's host, but for secrets.
        secret_names: of each variable that holds a secret environment the names in it.
        secrets: those that a variable gives, by LobeHub's own names for them.
    """
    if kind == LOBEHUB:
        return [*_of_database(given), *_of_lobehub(version, given, secret_names, secrets)]
    if kind == OPEN_WEBUI:
        return [*_of_database(given), *_of_open_webui(version, given, secret_names)]
    return []


def _of_database(given: Mapping[str, object]) -> list[str]:
    return [
        f"postgresql_settings holds {name}, which the role decides itself; wanted settings that it leaves to you; take "
        f"{name} out of postgresql_settings"
        for name in _mapping(given.get("postgresql_settings"))
        if str(name).lower() in postgresql.OWNED
    ]


def _of_lobehub(
    version: str, given: Mapping[str, object], secret_names: Mapping[str, Sequence[str]], secrets: Mapping[str, str]
) -> list[str]:
    environment = _mapping(given.get("lobehub_environment"))
    names = secret_names.get("lobehub_secret_environment", ())
    accepts = bool(given.get("lobehub_accept_known_holes"))
    found = [*lobehub.faults(version, accepts, environment, names, secrets), *_of_names(given)]
    if given.get("gpuchat_mcp_servers"):
        found.append(
            "gpuchat_mcp_servers is set, and LobeHub takes no tool server from whoever runs it: each person would name "
            "some, by paths that send requests wherever one likes and are closed for that; wanted no such list; take "
            "it away, or set gpuchat_interface to open_webui"
        )
    if given.get("gpuchat_sso") and given.get("gpuchat_signup") == OPEN:
        found.append(
            "gpuchat_signup is open and gpuchat_sso is set: whoever makes an account with the address of somebody who "
            "has not come yet knows its password, and LobeHub leads them into that one when their company signs them "
            "in; wanted one of the two; set gpuchat_signup to closed, or take gpuchat_sso away"
        )
    return found


def _of_names(given: Mapping[str, object]) -> list[str]:
    """Return why LobeHub would not find itself by the site's name, or let its administrator in."""
    domain = given.get("gpuchat_domain")
    email = given.get("gpuchat_admin_email") or f"admin@{domain}"
    if not isinstance(domain, str) or not is_host_name(domain) or not isinstance(email, str):
        return []  # said elsewhere
    found = []
    if is_address(domain):
        found.append(
            f"gpuchat_domain is {domain}; wanted a name, by which LobeHub finds its own files in its room; set "
            "gpuchat_domain to one that people's devices know, if only from their hosts files, and edge_extra_names to "
            "that address, or gpuchat_interface to open_webui"
        )
    elif not accounts.is_email(email):
        found.append(
            f"gpuchat_admin_email is {email}, which LobeHub's page takes for no address; wanted one such as "
            "admin@example.com; set gpuchat_admin_email to it"
        )
    return found


def _of_open_webui(version: str, given: Mapping[str, object], secret_names: Mapping[str, Sequence[str]]) -> list[str]:
    open_, hidden = "open_webui_environment", "open_webui_secret_environment"
    found = [
        *open_webui.version_faults(version),
        *open_webui.unknown_settings(version, _mapping(given.get(open_)), open_),
        *open_webui.unknown_settings(version, secret_names.get(hidden, ()), hidden),
    ]
    if given.get("gpuchat_signup_emails"):
        found.append(
            "gpuchat_signup_emails is set, and Open WebUI lets everybody sign up or nobody; wanted no such list; take "
            "it away, or set gpuchat_interface to lobehub"
        )
    return found


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
