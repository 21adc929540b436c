# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is set where nothing reads it, and hosts that serve nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from . import elsewhere, forms, models, ports, tls, types
from . import topology as inventory_topology
from .given import (
    CHATS,
    INTERFACE,
    MONITORING,
    NO_INTERFACE,
    Findings,
    Inventory,
    Specification,
    chat,
    common_settings,
)

NOTHING: tuple[object, ...] = (None, "", [], {})
PEOPLE = inventory_topology.PEOPLE
OWN_DATABASE, OWN_STORE, ANY_STORE = "postgresql", "object_store", "store"
"""What stands beside the interface unless something elsewhere stands in for it."""

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
    ),
    OWN_DATABASE: ("postgresql_",),
    OWN_STORE: tuple(f"object_store_{one}" for one in ("environment", "image", "uid", "version")),
    ANY_STORE: elsewhere.STORE_KEYS,
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


@dataclass(frozen=True)
class Need:
    """Variables that count for nothing where another has none of some values.

    Attributes:
        beginnings: of their names.
        by: the other variable.
        values: of it, with which they are read; any that is not empty where there are none.
        but: names that begin so and are read all the same.
    """

    beginnings: tuple[str, ...]
    by: str
    values: tuple[object, ...] = ()
    but: tuple[str, ...] = ()

    def reads(self, value: object) -> bool:
        return (value in self.values) if self.values else value not in NOTHING

    def holds(self, name: str) -> bool:
        return name.startswith(self.beginnings) and name != self.by and name not in self.but

    def why(self, value: object) -> tuple[str, str]:
        """Return what is wrong with the other variable's value, and what to set it to."""
        found = "not set" if value in NOTHING else types.written(value)
        right = f" to {' or '.join(map(types.written, self.values))}" if self.values else ""
        return f"{self.by} is {found}", f"set {self.by}{right}"


SUPERVISOR, DRIVER_SOURCE, DOCKER_SOURCE = "gpuchat_supervisor", "nvidia_driver_source", "docker_source"
LOG_FILES = ("docker_log_max_files", "docker_log_max_size")
DOCKER_REPOSITORY, DRIVER_REPOSITORY = (
    tuple(f"{role}_repository_{part}" for part in ("key_fingerprint", "key_url", "url"))
    for role in ("docker", "nvidia_driver")
)
OF_CPU = ("vllm_cpu_image", "vllm_cpu_index_url", "vllm_cpu_kv_cache_gib", "vllm_cpu_packages")
OF_VENV = ("uv_", "vllm_packages", "vllm_cpu_packages", "vllm_cpu_index_url", "vllm_requirements")
NEEDS = (
    Need(("edge_https_port",), "edge_tls", (tls.AUTO, tls.SELFSIGNED, tls.PROVIDED, tls.ACME)),
    Need((*tls.FOR_A_DIRECTORY, tls.DIRECTORY, tls.EAB_KEY, "edge_acme_challenge"), "edge_tls", (tls.ACME,)),
    Need(("gpuchat_signup_emails",), "gpuchat_signup", ("open",)),
    Need(("backup_",), "backup_target"),
    Need(("verify_outside_address",), "gpuchat_probe_host"),
    Need(("firewall_undo_seconds",), "firewall_state", ("present",)),
    Need(("nvidia_", "vllm_image", "vllm_packages"), "gpuchat_accelerator", ("auto", "nvidia")),
    Need(OF_CPU, "gpuchat_accelerator", ("auto", "cpu")),
    Need(("docker_",), SUPERVISOR, ("compose", "systemd")),
    Need(("podman_",), SUPERVISOR, ("quadlet",)),
    Need(OF_VENV, SUPERVISOR, ("venv",)),
    Need(("vllm_image", "vllm_cpu_image"), SUPERVISOR, ("compose", "systemd", "quadlet")),
    Need(("docker_version", "docker_log_driver", "docker_live_restore"), DOCKER_SOURCE, ("distribution", "docker")),
    Need(LOG_FILES, DOCKER_SOURCE, ("distribution", "docker")),
    Need(DOCKER_REPOSITORY, DOCKER_SOURCE, ("docker",)),
    Need(LOG_FILES, "docker_log_driver", ("auto", "local", "json-file")),
    Need(("nvidia_driver_",), "nvidia_driver_install", (True,), but=("nvidia_driver_reboot",)),
    Need(DRIVER_REPOSITORY, DRIVER_SOURCE, ("nvidia",)),
    Need(("nvidia_driver_branch",), DRIVER_SOURCE, ("distribution",)),
)
"""What is read by what another variable says; of a name the first row that is not met is told."""

STAND_IN = {OWN_DATABASE: elsewhere.DATABASE, OWN_STORE: elsewhere.STORE, ANY_STORE: elsewhere.STORE}
OF_PEOPLE = ("chat", PEOPLE, *STAND_IN)


def check(inventory: Inventory, specification: Specification, parts: frozenset[str], findings: Findings) -> None:
    """Say what is set where nothing reads it, and which logins are for registries from which no image comes."""
    if not parts >= CHATS:
        return  # some roles alone, of which nobody knows what else there is
    named: dict[tuple[str, str], set[str]] = {}
    for part, beginnings in SPEAK_OF.items():
        readers, why, cure = _readers(inventory, specification, part)
        given, read = (
            {name for host in hosts for name in _given(inventory, specification, host) if name.startswith(beginnings)}
            for hosts in (inventory.ours, readers)
        )
        named.setdefault((why, cure), set()).update(given - read)
    if not findings.faults:  # of which all of this may be a consequence
        _needs(inventory, specification, named)
        _idle_hosts(inventory, specification, findings)
    for (why, cure), names in named.items():
        have, them = ("has", "it") if len(names) == 1 else ("have", "them")
        if names:
            findings.warning(f"{why}, so {', '.join(sorted(names))} {have} no effect; {cure}, or take {them} away")
    _idle_logins(inventory, specification, findings)


def _needs(inventory: Inventory, specification: Specification, named: dict[tuple[str, str], set[str]]) -> None:
    """Add the variables that what else is set leaves aside on all hosts that have them."""
    has = {host: set(_given(inventory, specification, host)) for host in inventory.ours}
    for need in (one for one in NEEDS if one.by in specification.known):
        told = {name for names in named.values() for name in names}
        values = {
            host: specification.settings(inventory.variables.get(host, {}), need.by)[need.by] for host in inventory.ours
        }
        given, read = (
            {name for host in hosts for name in has[host] if need.holds(name)}
            for hosts in (inventory.ours, [host for host, value in values.items() if need.reads(value)])
        )
        for name in given - read - told:
            host = next(one for one in inventory.ours if name in has[one])
            named.setdefault(need.why(values[host]), set()).add(name)


def _idle_hosts(inventory: Inventory, specification: Specification, findings: Findings) -> None:
    """Find hosts with GPUs that serve no model."""
    common = common_settings(inventory, specification)
    served = models.read(common.get(models.VARIABLE), inventory.groups)
    serving = {host for one in served for host in one.hosts}
    idle = [host for host in inventory.hosts(models.GROUP) if host not in serving]
    if idle:
        it = "it" if len(idle) == 1 else "them"
        findings.warning(
            f"the group {models.GROUP} has {', '.join(idle)}, for which {models.VARIABLE} names no model; add {it} to "
            f"hosts of one, or take {it} out of the group"
        )


def _readers(inventory: Inventory, specification: Specification, part: str) -> tuple[tuple[str, ...], str, str]:
    """Return the hosts that read what speaks of a part, why others do not, and what makes it be read."""
    kind = chat(inventory, specification)["kind"]
    if part in CHATS or (kind == NO_INTERFACE and part in OF_PEOPLE):
        others = [one for one in inventory_topology.INTERFACES if one != kind]
        hosts = inventory.ours if part == kind else ()
        return hosts, f"{INTERFACE} is {kind}", f"set {INTERFACE} to {' or '.join(others)}"
    if part in STAND_IN:
        given = inventory.variables.get(next(iter(inventory.hosts("chat")), ""), {})
        instead = STAND_IN[part]
        if given.get(instead) and part != ANY_STORE:
            return (), f"{instead} is set", f"take {instead} away"
        if part != OWN_DATABASE and kind not in inventory_topology.KEEP_FILES_APART and not given.get(instead):
            apart = " or ".join(sorted(inventory_topology.KEEP_FILES_APART))
            return (), f"{INTERFACE} is {kind}, which keeps files with its own data", f"set {INTERFACE} to {apart}"
        part = "chat"
    hosts = inventory.ours if part == PEOPLE else inventory.hosts(part)
    if not hosts:
        return (), f"the group {part} is empty", "add a host to it"
    return hosts, f"no host of the group {part} is told", f"put it under {part}: vars:"


def _given(inventory: Inventory, specification: Specification, host: str) -> Iterator[str]:
    """Yield the variables that a host has otherwise than by default."""
    for name, value in inventory.variables.get(host, {}).items():
        if name in specification.known and value not in (*NOTHING, specification.default(name)):
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
