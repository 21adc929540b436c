# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LobeHub is told of the models, and which of its settings a version takes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..core.names import did_you_mean, nearest
from ..inventory.served import CHAT, Served
from ..inventory.types import shown
from .facts import lobehub as facts

Row = TypeVar("Row")

PROVIDER = "vllm"
EMBED = "embed"
DIMENSIONS = 1024
"""Numbers in each vector that its database keeps (``vector(1024)``), which every request asks for."""

SAFE = "2.1.48"
"""The first that takes the user from the session and not from a header (CVE-2026-39411)."""

SEARCH_NEEDS_EXTENSION = ("2.1.34", "2.2.19")
"""From the one until the other its tables need the extension pg_search, whatever its settings say."""

UNHOLDABLE = re.compile(r"[,\uff0c<=\";]|^\s|\s$|[\x00-\x1f]")
"""What a name may not hold in LobeHub's lists (parseModels, parseDefaultAgent): they know no escape."""

OWNED: Mapping[str, str] = {
    "APP_URL": "gpuchat_domain",
    "AUTH_ALLOWED_EMAILS": "gpuchat_signup_emails",
    "AUTH_GENERIC_OIDC_ID": "gpuchat_sso",
    "AUTH_GENERIC_OIDC_ISSUER": "gpuchat_sso",
    "AUTH_GENERIC_OIDC_SECRET": "gpuchat_sso_client_secret",
    "AUTH_SECRET": "lobehub_auth_secret",
    "AUTH_SSO_PROVIDERS": "gpuchat_sso",
    "AUTH_TRUSTED_ORIGINS": "gpuchat_domain",
    "FEATURE_FLAGS": "lobehub_feature_flags",
    "JWKS_KEY": "lobehub_jwks_key",
    "KEY_VAULTS_SECRET": "lobehub_key_vaults_secret",
    "PORT": "gpuchat_interface_port",
}
"""What the role sets by a variable of its own."""

_STORE = "gpuchat_object_store says where files are kept"
_ROOM = "it is reached in its room alone"
CLOSED: Mapping[str, str] = {
    "DATABASE_DRIVER": "gpuchat_database says where its database is",
    "DATABASE_URL": "gpuchat_database says where its database is",
    "HOSTNAME": _ROOM,
    "INTERNAL_APP_URL": _ROOM,
    "NEXT_PUBLIC_MARKET_BASE_URL": "nothing is asked of the internet",
    "NODE_EXTRA_CA_CERTS": "it has to trust its room's certificate",
    "NODE_OPTIONS": "the image sets what it needs",
    "NODE_TLS_REJECT_UNAUTHORIZED": "it would trust anybody",
    "PROXY_URL": "it reaches the doors of its room alone",
    "S3_ACCESS_KEY_ID": _STORE,
    "S3_BUCKET": _STORE,
    "S3_ENABLE_PATH_STYLE": _STORE,
    "S3_ENDPOINT": _STORE,
    "S3_PUBLIC_DOMAIN": _STORE,
    "S3_REGION": _STORE,
    "S3_SECRET_ACCESS_KEY": _STORE,
    "S3_SET_ACL": _STORE,
    "SSRF_ALLOW_IP_ADDRESS_LIST": "it reaches its own files by its door, and nothing else inside",
    "SSRF_ALLOW_PRIVATE_IP_ADDRESS": "people could send it to any address inside",
    "VLLM_API_KEY": "the door in its room holds the key",
    "VLLM_MODEL_LIST": "it follows from the inventory's models",
    "VLLM_PROXY_URL": "it follows from the inventory's groups and addresses",
}
"""What the role does not let be set, and why."""


@dataclass(frozen=True)
class Wiring:
    """What LobeHub's environment says of the models.

    Attributes:
        feature_flags: what is not offered, for the models cannot do it.
        skipped_migrations: those that need an extension and do nothing else.
        left_out: models whose names its lists cannot hold.
        warnings: what is not offered though a model for it is served; for who runs the stack.
    """

    environment: Mapping[str, str]
    feature_flags: str = ""
    skipped_migrations: tuple[str, ...] = ()
    left_out: tuple[str, ...] = field(default=())
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        return {
            "environment": dict(self.environment),
            "feature_flags": self.feature_flags,
            "skipped_migrations": list(self.skipped_migrations),
            "left_out": list(self.left_out),
        }


def wire(served: Sequence[Served], version: str = "") -> Wiring:
    """Return what makes LobeHub offer the models that are served, the first of which people meet, and nothing else."""
    chats = [one for one in served if one.task == CHAT and can_name(one.name)]
    known = [one for one in served if one.task == EMBED and can_name(one.name) and not one.live]
    embeds = [one for one in known if one.may_give(DIMENSIONS)]
    environment = dict.fromkeys(facts.SWITCHES, "0")
    environment["VLLM_MODEL_LIST"] = ",".join(["-all", *map(_entry, chats)])
    if chats:
        # In quotes, or a name such as 7 would be a number.
        environment["DEFAULT_AGENT_CONFIG"] = f'model="{chats[0].name}";provider={PROVIDER}'
        environment["SYSTEM_AGENT"] = f"default={PROVIDER}/{chats[0].name}"
    if embeds:
        environment["DEFAULT_FILES_CONFIG"] = f"embedding_model={PROVIDER}/{embeds[0].name}"
    else:
        environment["CHUNKS_AUTO_EMBEDDING"] = "0"
    environment.update(_newest(facts.PLAIN_SEARCH, version))
    return Wiring(
        environment,
        feature_flags="" if embeds else "-knowledge_base",
        skipped_migrations=_newest(facts.SKIPPED_MIGRATIONS, version),
        left_out=tuple(one.name for one in served if one.task in (CHAT, EMBED) and not can_name(one.name)),
        warnings=() if embeds else tuple(_unfit(one) for one in known),
    )


def _unfit(one: Served) -> str:
    """Say why a model does not serve people's files."""
    size = one.dimensions or 0
    instead = "set its repo to such as BAAI/bge-m3 or Qwen/Qwen3-Embedding-0.6B, or gpuchat_interface to open_webui"
    if size < DIMENSIONS:
        found = f"makes vectors of {size} numbers"
    else:
        found = f"makes vectors of {size} numbers, and its engine refuses a request for {DIMENSIONS}"
        cut = "where the model's vectors can be cut (Matryoshka), give its args hf-overrides: {is_matryoshka: true}"
        instead = f"{cut}; else {instead}"
    return (
        f"people's files are not searched: {one.name} in gpuchat_models {found}; wanted {DIMENSIONS}, which LobeHub's "
        f"database keeps; {instead}"
    )


def can_name(name: str) -> bool:
    """Return whether LobeHub's lists of models can hold a name."""
    return bool(name) and not UNHOLDABLE.search(name)


def _entry(one: Served) -> str:
    """Return a model in a list: its name twice, for LobeHub would show one that it knows under another."""
    told = [str(one.context or 0), *(["fc"] if one.tool_calls else []), *(["vision"] if one.vision else [])]
    return f"+{one.name}={one.name}<{':'.join(told)}>"


# --- versions


def version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version)[:3])


def _newest(table: Mapping[str, Row], version: str) -> Row:
    """Return the row of the newest release that is not newer; of the newest of all where no version is named."""
    rows = sorted(table, key=version_key)
    old = [one for one in rows if not version or version_key(one) <= version_key(version)]
    return table[old[-1]] if old else table[rows[0]]


def is_read_whole(version: str) -> bool:
    """Return whether the source of this very version was read whole."""
    release = facts.RELEASES.get(version, {})
    return release.get("read") == ("all",)


def version_faults(version: str, accept_known_holes: bool = False) -> list[str]:
    """Return what speaks against a version."""
    key, (first, plain) = version_key(version), SEARCH_NEEDS_EXTENSION
    if len(key) != 3:
        said = f"lobehub_version is {shown(version)}"
        return [f"{said}; wanted three numbers, which its settings follow; set it to such as 2.2.19"]
    if key < version_key("2.0.0"):
        return [
            f"lobehub_version is {version}, which keeps no accounts as this role makes them; set it to 2.2.19 or newer"
        ]
    found = []
    if key < version_key(SAFE) and not accept_known_holes:
        found.append(
            f"lobehub_version is {version}, which lets anybody ask the models in anybody's name (CVE-2026-39411); "
            f"wanted {SAFE} or newer; set lobehub_version, or lobehub_accept_known_holes to true where the edge alone "
            "is trusted"
        )
    if version_key(first) <= key < version_key(plain):
        found.append(
            f"lobehub_version is {version}, whose database needs the extension pg_search, which the distribution does "
            f"not have; wanted {plain} or newer, which searches without; set lobehub_version"
        )
    return found


# --- settings


def unknown_settings(version: str, environment: Iterable[str], variable: str = "lobehub_environment") -> list[str]:
    """Return what is wrong with the names of variables that somebody has set.

    Where a version could be read in part alone, a name that is not known passes, but for one that looks mistyped.
    """
    found = []
    known = _known(version)
    for name in map(str, environment):
        if name in OWNED:
            found.append(
                f"{variable} holds {name}, which the role sets; wanted it in its own variable; set {OWNED[name]}"
            )
        elif name in CLOSED:
            found.append(
                f"{variable} holds {name}; wanted it not to be set, for {CLOSED[name]}; take it out of {variable}"
            )
        elif _refused(name):
            instead = facts.REFUSED.get(name, "")
            hint = f"set {instead} in its place" if instead else f"take it out of {variable}"
            found.append(f"{variable} holds {name}, with which LobeHub {version} does not start; {hint}")
        elif name not in known and (is_read_whole(version) or _looks_mistyped(name, known)):
            found.append(
                f"{variable} holds {name}, which LobeHub {version} does not read{did_you_mean(name, known)}; wanted a "
                f"variable of its own; take it out of {variable}, or set it anew"
            )
    return found


def _known(version: str) -> set[str]:
    """Return the names that a version reads; of one without a row, those of the newest before it."""
    key = version_key(version)
    rows = sorted((version_key(one) for one in facts.RELEASES), reverse=True)
    at = next((one for one in rows if one <= key), rows[-1])
    return {
        name
        for name, spans in facts.ENVIRONMENT.items()
        if any(version_key(first) <= at and (not last or at <= version_key(last)) for first, last, _file in spans)
    }


def _refused(name: str) -> bool:
    starts = [one[:-1] for one in facts.REFUSED if one.endswith("*")]
    return name in facts.REFUSED or name.startswith(tuple(starts))


def _looks_mistyped(name: str, known: Iterable[str]) -> bool:
    near = nearest(name, known)
    return near is not None and abs(len(near) - len(name)) <= 1 and sum(map(str.__ne__, near, name)) <= 2


def faults(
    version: str,
    accept_known_holes: bool,
    environment: Mapping[str, object],
    secret_names: Sequence[str],
    secrets: Mapping[str, str],
) -> list[str]:
    """Return all that speaks against what somebody has set for LobeHub.

    Args:
        secret_names: the names in ``lobehub_secret_environment``.
        secrets: those that somebody brings, by the names of LobeHub's variables.
    """
    return [
        *version_faults(version, accept_known_holes),
        *unknown_settings(version, environment),
        *unknown_settings(version, secret_names, "lobehub_secret_environment"),
        *published_secrets(secrets),
        *signing_key_faults(secrets.get("JWKS_KEY", "")),
    ]


SECRETS: Mapping[str, str] = {
    "AUTH_SECRET": "lobehub_auth_secret",
    "KEY_VAULTS_SECRET": "lobehub_key_vaults_secret",
    "JWKS_KEY": "lobehub_jwks_key",
}


def published_secrets(secrets: Mapping[str, str]) -> list[str]:
    """Return which secrets, by the names of their variables of LobeHub's, are upstream's published examples."""
    return [
        f"{SECRETS.get(name, name)} is an example that upstream has published; wanted a secret; take it out of the "
        f"inventory, so that the run makes one, or set {SECRETS.get(name, name)} anew"
        for name, value in secrets.items()
        if hashlib.sha256(_essence(name, value).encode()).hexdigest() in facts.EXAMPLES
    ]


def signing_key_faults(text: str) -> list[str]:
    """Return why LobeHub's server could not sign with a key: it would start, and let nobody in."""
    if not text:
        return []
    try:
        key = json.loads(text)["keys"][0]
        is_right = key["kty"] == "RSA" and all(key[part] for part in ("n", "e", "d"))
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        is_right = False
    wrong = (
        "lobehub_jwks_key is no JWKS with an RSA private key, by which LobeHub signs; wanted JSON such as "
        '{"keys": [{"kty": "RSA", "alg": "RS256", "n": ..., "e": ..., "d": ...}]}; set lobehub_jwks_key to it, or take '
        "the line away and one is made"
    )
    return [] if is_right else [wrong]


def _essence(name: str, value: str) -> str:
    """Return what tells a secret from another: of a JWKS its key's modulus, however it is written."""
    if name != "JWKS_KEY":
        return value
    try:
        return str(json.loads(value)["keys"][0]["n"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return value
