# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is set where nothing reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import forms, models, ports, types
from . import topology as inventory_topology
from .given import CHATS, INTERFACE, MONITORING, NO_INTERFACE, Findings, Inventory, Specification, chat

PEOPLE = inventory_topology.PEOPLE

SPEAK_OF: Mapping[str, tuple[str, ...]] = {
    "chat": (
        "backup_",
        "gpuchat_admin_email",
        "gpuchat_admin_password",
        "gpuchat_database",
        "gpuchat_mcp_servers",
        "gpuchat_object_store",
        "gpuchat_room_network",
        "gpuchat_sso",
        "object_store_",
        "postgresql_",
    ),
    "gpu": ("model_", "nvidia_", "vllm_", "watchdog_"),
    MONITORING: ("monitoring_",),
    PEOPLE: (
        "edge_chat_networks",
        "edge_client_authority_file",
        "edge_forward_auth",
        "edge_password_file",
        ports.INTERFACE_PORT,
        "gpuchat_signup",
    ),
    **{kind: (f"{kind}_",) for kind in inventory_topology.INTERFACES},
}
"""How variables begin that are read on the hosts of one group alone, or where people, or one of the interfaces, are."""


def check(inventory: Inventory, specification: Specification, parts: frozenset[str], findings: Findings) -> None:
    """Say what is set where nothing reads it, and which logins are for registries from which no image comes."""
    if not parts >= CHATS:
        return  # some roles alone, of which nobody knows what else there is
    named: dict[tuple[str, str], list[str]] = {}
    for part, beginnings in SPEAK_OF.items():
        readers, why, cure = _readers(inventory, specification, part)
        given, read = (
            {name for host in hosts for name in _given(inventory, specification, host) if name.startswith(beginnings)}
            for hosts in (inventory.ours, readers)
        )
        named.setdefault((why, cure), []).extend(given - read)
    for (why, cure), names in named.items():
        have, them = ("has", "it") if len(names) == 1 else ("have", "them")
        if names:
            findings.warning(f"{why}, so {', '.join(sorted(names))} {have} no effect; {cure}, or take {them} away")
    _idle_logins(inventory, specification, findings)


def _readers(inventory: Inventory, specification: Specification, part: str) -> tuple[tuple[str, ...], str, str]:
    """Return the hosts that read what speaks of a part, why others do not, and what makes it be read."""
    kind = chat(inventory, specification)["kind"]
    if part in CHATS or (kind == NO_INTERFACE and part in ("chat", PEOPLE)):
        others = [one for one in inventory_topology.INTERFACES if one != kind]
        hosts = inventory.ours if part == kind else ()
        return hosts, f"{INTERFACE} is {kind}", f"set {INTERFACE} to {' or '.join(others)}"
    hosts = inventory.ours if part == PEOPLE else inventory.hosts(part)
    if not hosts:
        return (), f"the group {part} is empty", "add a host to it"
    return hosts, f"no host of the group {part} is told", f"put it under {part}: vars:"


def _given(inventory: Inventory, specification: Specification, host: str) -> Iterator[str]:
    """Yield the variables that a host has otherwise than by default."""
    for name, value in inventory.variables.get(host, {}).items():
        if value not in (None, "", [], {}, specification.default(name)):
            yield name
    yield from (name for name, secret in inventory.secrets.get(host, {}).items() if not secret.is_empty)


def _idle_logins(inventory: Inventory, specification: Specification, findings: Findings) -> None:
    """Find logins of registries from which no image comes."""
    idle = tuple(
        one
        for part, beginnings in SPEAK_OF.items()
        for one in beginnings
        if not _readers(inventory, specification, part)[0]
    )
    options = [name for name in specification.known if name.endswith("_image") and not name.startswith(idle)]
    given = [inventory.variables.get(host, {}) for host in inventory.ours]
    known = {one for variables in given for one in _registries(variables, specification, options)}
    for host, variables in zip(inventory.ours, given):
        for login in types.sequence(variables.get("gpuchat_registry_logins")):
            registry = str(login.get("registry")) if isinstance(login, Mapping) else ""
            if forms.is_registry(registry) and registry not in known:
                findings.warning(
                    f"gpuchat_registry_logins has a login for {registry}, from which no image comes; once "
                    f"gpuchat_registry_map was applied they come from {', '.join(sorted(known))}; set its registry to "
                    "one of these, or take it away",
                    host,
                )


def _registries(variables: Mapping[str, object], specification: Specification, options: list[str]) -> Iterator[str]:
    """Yield the registries that a host may ask for images.

    Args:
        options: variables that name an image.
    """
    images = [variables.get(name) or specification.default(name) for name in options]
    images += [one.get("image") for one in types.sequence(variables.get(models.VARIABLE)) if isinstance(one, Mapping)]
    instead = variables.get("gpuchat_registry_map")
    for image in filter(None, images):
        found = forms.REFERENCE.match(str(image))
        registry = (found["registry"] if found else "") or forms.HUB
        place = instead.get(registry, registry) if isinstance(instead, Mapping) else registry
        yield str(place).partition("/")[0]
