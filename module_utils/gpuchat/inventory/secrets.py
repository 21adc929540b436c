# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with secrets that variables give, of which no more is known than their form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from . import elsewhere, forms, sign_in
from .given import Findings, Inventory, Secret, Specification
from .types import LINES, NUMBER, UNREAD, show

GIVEN_BY = {
    "gpuchat_api_key": "api_key",
    "gpuchat_vllm_api_key": "vllm_api_key",
    "gpuchat_vllm_engine_key": "vllm_engine_key",
    "gpuchat_admin_password": "admin_password",
    "lobehub_auth_secret": "lobehub_auth_secret",
    "lobehub_key_vaults_secret": "lobehub_key_vaults_secret",
    "lobehub_jwks_key": "lobehub_jwks_key",
    "open_webui_secret_key": "open_webui_secret_key",
    "object_store_access_key": "object_store_access_key",
    "object_store_secret_key": "object_store_secret_key",
    "backup_password": "backup_password",
}
"""The secret that the stack makes where nobody gives it by a variable."""

HEADER_SECRETS = frozenset(GIVEN_BY) - {"lobehub_jwks_key"}
"""Secrets that stand in headers and files of ours without any quoting."""

LEAST_LENGTH = {
    "gpuchat_admin_password": 8,
    "lobehub_auth_secret": 32,
    "lobehub_key_vaults_secret": 24,
    "object_store_access_key": 8,
}

USUAL_LENGTH = 16
"""Characters; wrong keys are slowed to two a second from one address."""

SHAPES: Mapping[str, tuple[str, str]] = {
    "model_token": (
        "token that a header can hold",
        "letters, digits and signs in one word, without a line's end; set model_token to it as the hub gave it",
    ),
    **{
        name: (
            "address of a package index",
            f"one that begins with http:// or https://; set {name} to such as https://mirror.example.com/simple",
        )
        for name in ("toolbox_index_url", "uv_index_url", "uv_extra_index_urls")
    },
    **{
        name: ("text of one line", f"one, in quotes where it is digits alone, which YAML may change; set {name} to it")
        for name in (elsewhere.PASSWORD, sign_in.SECRET)
    },
}
"""What secrets of a form of their own are, and what is wanted where one is none."""

ODD_SECRETS = {
    NUMBER: "a number, whose digits YAML may have changed",
    LINES: "a text of several lines",
    UNREAD: "what ansible-vault wrote, without the tag !vault before it, so that nothing decrypts it",
}
"""What stands for a secret that is none as it is written."""


def given_secrets(inventory: Inventory) -> dict[str, list[str]]:
    """Return the secrets that somebody gives by a variable, by host."""
    return {
        host: [secret for name, secret in GIVEN_BY.items() if name in inventory.secrets.get(host, {})]
        for host in inventory.ours
    }


def check(
    secrets: Mapping[str, Secret],
    specification: Specification,
    findings: Findings,
    host: str,
    theirs: Sequence[str] = (),
) -> None:
    """Judge secrets by what may be known of them.

    Args:
        theirs: those that somebody else has made, who knows how long they have to be.
    """
    for name, secret in secrets.items():
        if secret.kind == UNREAD:
            findings.fault(
                f"{name} is {ODD_SECRETS[UNREAD]}; wanted both; set {name} to all that ansible-vault encrypt_string "
                "prints",
                host,
            )
            continue
        least = 1 if name in theirs else LEAST_LENGTH.get(name, USUAL_LENGTH)
        if specification.options.get(name, {}).get("type") == "dict":
            if secret.kind != "dict":
                findings.fault(f"{name} is no mapping; wanted one; set {name} to names with their values", host)
            else:
                _parts_of_secret(name, secret, findings, host)
            continue
        if specification.options.get(name, {}).get("type") == "list":
            if secret.kind != "list":
                findings.fault(f"{name} is no list; wanted one; set {name} to a list, of one text or more", host)
            _shapes(name, secret, findings, host)
            continue
        _shapes(name, secret, findings, host)
        if secret.kind == "int" and name in HEADER_SECRETS:
            findings.fault(
                f"{name} is a number, whose digits YAML may have changed; wanted a text; set {name} to it in quotes",
                host,
            )
        elif secret.kind not in ("str", "int"):
            findings.fault(f"{name} is no text; wanted one; set {name} to a text in quotes", host)
        elif name in HEADER_SECRETS and secret.is_empty:
            findings.fault(
                f"{name} is empty; wanted a secret; set {name} to one, or take the line away and one is made", host
            )
        elif name in HEADER_SECRETS and not secret.is_plain:
            findings.fault(
                f"{name} holds other characters than letters, digits and . _ ~ + / = -; set another {name}", host
            )
        elif name in HEADER_SECRETS and secret.length < least:
            findings.fault(
                f"{name} has {secret.length} characters, which can be guessed; wanted {least} or more; "
                f"set {name} to such a one, or take the line away and one is made",
                host,
            )


def _shapes(name: str, secret: Secret, findings: Findings, host: str) -> None:
    what, wanted = SHAPES.get(name, ("", ""))
    for place in secret.odd if what and secret.kind in ("str", "int", "list") else ():
        where = f"{name}[{place}]" if secret.kind == "list" else name
        findings.fault(f"{where} is no {what}; wanted {wanted}", host)


def _parts_of_secret(name: str, secret: Secret, findings: Findings, host: str) -> None:
    """Look at the values of a mapping of secrets, of which no more is known than what is odd."""
    is_environment = name.endswith("environment")
    if is_environment:
        findings.add(forms.environment_faults(name, dict.fromkeys(secret.names, "")), (), host)
    for part, why in secret.odd.items():
        if why != NUMBER or not is_environment:
            found = ODD_SECRETS.get(why, why)
            findings.fault(
                f"{name}.{part} is {found}; wanted a text of one line; set {name}.{part} to one in quotes", host
            )


def check_logins(logins: object, findings: Findings, host: str) -> None:
    """Find logins of registries that no registry could take."""
    seen: set[str] = set()
    for login in logins if isinstance(logins, (list, tuple)) else ():
        registry = str(login.get("registry", "")) if isinstance(login, Mapping) else ""
        if not forms.is_registry(registry):
            right = re.sub(r"^https?://", "", registry).partition("/")[0] or "harbor.example.com"
            findings.fault(
                f"gpuchat_registry_logins names the registry {show(registry)}; wanted a host as images have it, in "
                "small letters, and a port where it has one, without https:// and path; set its registry to "
                f"{forms.as_images_say(right)}",
                host,
            )
        elif not login.get("password") or not login.get("username"):
            findings.fault(
                f"gpuchat_registry_logins has no name or no password for {registry}; wanted both; set its username and "
                "its password",
                host,
            )
        elif not re.fullmatch(r"[^\s:]+", str(login["username"])):
            findings.fault(
                f"gpuchat_registry_logins has the username {show(login['username'])} for {registry}; wanted one word "
                "without a colon; set its username to what the registry knows",
                host,
            )
        elif login["password"] in ODD_SECRETS:
            findings.fault(
                f"gpuchat_registry_logins has for {registry} a password that is {ODD_SECRETS[str(login['password'])]}; "
                "wanted a text of one line; set its password to one in quotes",
                host,
            )
        elif registry in seen:
            findings.fault(
                f"gpuchat_registry_logins names {registry} twice; wanted each registry once; take one of them away",
                host,
            )
        seen.add(registry)


def check_edges(inventory: Inventory, findings: Findings) -> None:
    """Find an owner's key that only some edges would know."""
    marks = {host: inventory.secrets.get(host, {}).get("gpuchat_api_key") for host in inventory.hosts("edge")}
    if len({one.mark if one else "" for one in marks.values()}) > 1:
        findings.fault(
            "gpuchat_api_key differs between the hosts of the group edge; wanted one key; set gpuchat_api_key under "
            "edge: vars:"
        )
