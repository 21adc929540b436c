# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with an inventory, found before any host is asked."""

from __future__ import annotations

import datetime
import difflib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..core.names import did_you_mean, nearest
from . import (
    access,
    addresses,
    api_clients,
    doors,
    elsewhere,
    endpoints,
    forms,
    idle,
    models,
    openings,
    owned,
    ports,
    receivers,
    schedule,
    secrets,
    sign_in,
    tls,
    types,
)
from . import network as network_known
from . import people as people_known
from . import tool_servers as tools_known
from . import topology as inventory_topology
from .given import (
    CHATS,
    ENGINE_ARGS,
    INTERFACE,
    MONITORING,
    NO_INTERFACE,
    STACK_GROUPS,
    Findings,
    Inventory,
    Specification,
    chat,
    common_settings,
    site_names,
)
from .types import LINES, show

STACK_PREFIX, ENGINE_PREFIX = "gpuchat_", "vllm_"
ALL_PARTS = (
    "backup",
    "data_door",
    "docker",
    "door",
    "edge",
    "exporters",
    "firewall",
    "lobehub",
    "model",
    "monitoring",
    "nginx",
    "nvidia_container_toolkit",
    "nvidia_driver",
    "object_store",
    "open_webui",
    "podman",
    "postgresql",
    "toolbox",
    "uv",
    "verify",
    "vllm",
    "watchdog",
)
"""Roles that do something."""

PLAN = "plan"
"""Stands for a plan that changes no host."""

WITH_SECRETS = frozenset(
    {
        "backup",
        "data_door",
        "door",
        "edge",
        "exporters",
        "monitoring",
        "object_store",
        "postgresql",
        "verify",
        "vllm",
        *CHATS,
    }
)

GROUPS_OF = {
    "gpu": {"door", "edge", PLAN, "verify", "vllm", *CHATS},
    "chat": {"data_door", "edge", "postgresql", *CHATS},
    "edge": {"verify", *CHATS},
    MONITORING: frozenset(),
}
"""Which roles need a group to have a host."""

FORMER = {
    "gpuchat_model": (models.VARIABLE, "a list; its entry is the mapping that gpuchat_model was"),
    "vllm_gpus": (models.VARIABLE, "gpus of the model there"),
    "gpuchat_lobechat_port": ("gpuchat_interface_port", "to the same port"),
    "lobechat_version": (INTERFACE, "to lobehub or open_webui, for LobeChat 1 gets no fixes any more"),
    "lobechat_image": (INTERFACE, "to lobehub or open_webui, for LobeChat 1 gets no fixes any more"),
    "lobechat_environment": (INTERFACE, "to lobehub or open_webui, which have environments of their own"),
    "lobechat_feature_flags": (INTERFACE, "to lobehub, which has lobehub_feature_flags"),
    "lobechat_access_code": (INTERFACE, "to lobehub or open_webui, in which people have accounts"),
    "lobechat_uid": (INTERFACE, "to lobehub or open_webui, which have a user id each"),
}
"""Names of earlier releases: by what they are replaced, and how."""

REQUIRED = {
    "gpuchat_domain": {"edge", "verify", *CHATS},
    "gpuchat_allowed_networks": {"edge", "firewall"},
}
"""Variables without which a role cannot run."""

NEED_MODELS = frozenset({"edge", "model", PLAN, "verify", "vllm", *CHATS})


EXAMPLES: Mapping[str, object] = {
    "gpuchat_domain": "chat.example.com",
    "gpuchat_allowed_networks": ["10.0.0.0/8"],
    "gpuchat_models": [{"name": "qwen3-8b", "source": "huggingface", "repo": "Qwen/Qwen3-8B"}],
    "gpuchat_endpoints": [{"name": "workstation", "url": "http://10.0.0.9:1234/v1", "models": ["llama-3"]}],
    "gpuchat_mcp_servers": [{"name": "wiki", "url": "http://10.0.0.9:9000/mcp"}],
    "gpuchat_proxy": {"http": network_known.EXAMPLE, "https": network_known.EXAMPLE},
    "gpuchat_registry_logins": [{"registry": "harbor.example.com", "username": "robot", "password": "..."}],
    "gpuchat_registry_map": {"docker.io": "registry.example.com/hub"},
    "gpuchat_api_keys": [{"name": "reports", "rate": 5}],
    elsewhere.STORE: {"url": "https://s3.example.com", "bucket": "chat"},
    sign_in.VARIABLE: {"issuer": sign_in.EXAMPLE, "client_id": "chat"},
    elsewhere.DATABASE: {
        "host": "db.example.com",
        "name": "chat",
        "user": "chat",
        "authority_file": "/etc/company/ca.pem",
    },
    "docker_address_pools": [{"base": "10.201.0.0/16", "size": 24}],
    "vllm_args": {"max-num-seqs": 32},
    "plan_gpus": [{"name": "NVIDIA L40S", "count": 2}],
}

NEAR = 0.86
"""How like one of ours a name must be to be taken for it: one wrong letter in the shortest of them."""


def known_parts(names: Iterable[str]) -> list[str]:
    """Return the roles that are to run, from names that a play knows them by; all where it knows none."""
    given = {str(one).rpartition(".")[2] for one in names}
    return [name for name in (*ALL_PARTS, PLAN) if name in given] or list(ALL_PARTS)


SETTINGS = (
    "gpuchat_domain",
    *access.VARIABLES,
    *people_known.SETTINGS,
    "gpuchat_private_address",
    "gpuchat_vllm_port",
    "gpuchat_interface_port",
    inventory_topology.METRICS_PORT,
    inventory_topology.SPAN_PORT,
    "gpuchat_room_network",
    elsewhere.DATABASE,
    elsewhere.STORE,
    sign_in.VARIABLE,
    "gpuchat_users",
    "gpuchat_context",
    "edge_extra_names",
    "edge_http_port",
    "edge_https_port",
    "edge_api_rate",
    "edge_api_burst",
    *tls.SETTINGS,
)
"""What the topology is derived from."""


def derive(inventory: Inventory, specification: Specification, parts: Sequence[str] = ALL_PARTS) -> dict[str, Any]:
    """Return what follows from an inventory without faults: the topology with its doors, and who is let in where.

    Args:
        parts: the roles that are to run.
    """
    settings = {
        host: specification.settings(inventory.variables.get(host, {}), *SETTINGS)
        for host in inventory.hosts(*STACK_GROUPS)
    }
    common = common_settings(inventory, specification)
    served = models.read(common.get(models.VARIABLE), inventory.groups, common.get(ENGINE_ARGS))
    chosen = chat(inventory, specification)
    adopted, _warnings = _adopted(inventory, common)
    topology = inventory_topology.derive(
        inventory.groups, settings, served, endpoints.read(common.get(endpoints.VARIABLE), adopted), chosen["kind"]
    )
    topology = replace(topology, tools=tools(inventory))
    return {
        "parts": list(parts),
        "needs_secrets": bool(WITH_SECRETS.intersection(parts)),
        "given_secrets": secrets.given_secrets(inventory),
        "topology": {
            **doors.describe(topology, clients(inventory, specification)),
            "watched": watched(inventory, specification, topology),
        },
        "chat": chosen,
        "packet_filter": openings.describe(topology, people(inventory, specification)),
    }


def tools(inventory: Inventory) -> tuple[tools_known.ToolServer, ...]:
    """Return the tool servers of a sound inventory, as the chat's host has them."""
    first = next(iter(inventory.hosts("chat", *STACK_GROUPS)), "")
    return tools_known.read(inventory.variables.get(first, {}).get(tools_known.VARIABLE))


def watched(
    inventory: Inventory, specification: Specification, topology: inventory_topology.Topology
) -> dict[str, object]:
    """Return what the monitoring host knows of others beside its targets, from the variables of those others.

    ``versions`` are of vLLM, by the model's name; ``backup_max_age_hours`` and ``has_backup`` are of the chat's host.
    """

    def settings(host: str, *names: str) -> dict[str, object]:
        return specification.settings(inventory.variables.get(host, {}), *names)

    versions = {
        model.name: model.given.get("version") or settings(model.hosts[0], "vllm_version").get("vllm_version")
        for model in topology.models
        if model.hosts  # none where a role is played alone, by an inventory without GPU hosts
    }
    backup = settings(next(iter(topology.rooms), ""), *BACKUP)
    return {
        "versions": {name: str(version) for name, version in versions.items() if version},
        "has_backup": bool(topology.rooms and backup.get("backup_target")),
        "backup_max_age_hours": backup.get("backup_max_age_hours"),
    }


def people(inventory: Inventory, specification: Specification) -> int | None:
    """Return how many people all GPU hosts are asked to hold at once, or None where the plan finds out."""
    given = [
        str(specification.settings(inventory.variables.get(host, {}), "gpuchat_users")["gpuchat_users"])
        for host in inventory.hosts("gpu")
    ]
    return sum(map(int, given)) if given and all(one.isdecimal() for one in given) else None


def clients(inventory: Inventory, specification: Specification) -> tuple[api_clients.ApiClient, ...]:
    """Return the programs with a key of their own; those without limits of theirs have the first edge's."""
    host = next(iter(inventory.hosts("edge", *STACK_GROUPS)), "")
    wanted = (api_clients.VARIABLE, "edge_api_rate", "edge_api_connections", "edge_api_answers")
    settings = specification.settings(inventory.variables.get(host, {}), *wanted)
    usual = [int(str(settings.get(name, 1))) for name in wanted[1:]]
    return api_clients.read(settings.get(api_clients.VARIABLE) or (), *usual)  # type: ignore[arg-type]


def chat_settings(inventory: Inventory) -> tuple[Mapping[str, object], dict[str, Sequence[str]]]:
    """Return the variables of the chat's host, and of each secret environment the names in it."""
    first = next(iter(inventory.hosts("chat", *STACK_GROUPS)), "")
    names = {name: secret.names for name, secret in inventory.secrets.get(first, {}).items() if secret.names}
    return inventory.variables.get(first, {}), names


def find_faults(
    inventory: Inventory,
    specification: Specification,
    parts: Iterable[str] = ALL_PARTS,
    today: datetime.date = datetime.date.min,
) -> Findings:
    """Look for everything that can be known to be wrong from the inventory alone.

    Args:
        parts: the roles that are to run; what none of them needs may be missing.
        today: the present day, in UTC; where it is left out, no day is past.
    """
    findings, wanted = Findings(), frozenset(parts)
    _sources(inventory, findings)
    for host, name, reason in inventory.untemplated:
        if host in inventory.ours:
            findings.fault(f"{name} cannot be templated: {reason}; {_cure(reason)}", host)
    is_whole = not any(source.problem and not source.kind for source in inventory.sources)
    if is_whole:  # else what is not there may be in what was not read
        _groups(inventory, wanted, findings)
        _stray_groups(inventory, findings)
    _names_of_groups(inventory, findings)
    names = _Names(inventory, specification)
    all_names = [name for edge in inventory.hosts("edge") for name in site_names(inventory, edge)]
    for host in inventory.ours:
        variables = inventory.variables.get(host, {})
        _host_name(host, findings)
        names.check(host, findings)
        if is_whole:
            _required(inventory, specification, wanted, findings, host)
        sound = _values(variables, specification, findings, host)
        theirs = elsewhere.STORE_KEYS if sound.get(elsewhere.STORE) else ()
        secrets.check(inventory.secrets.get(host, {}), specification, findings, host, theirs)
        _access(sound, findings, host)
        if "edge" in wanted and host in inventory.groups.get("edge", ()):
            _edge(inventory, specification, sound, findings, host)
        if "monitoring" in wanted and host in inventory.groups.get("monitoring", ()):
            known = {
                name: secret.names
                for name, secret in inventory.secrets.get(host, {}).items()
                if all(of in sound or of not in variables for of in receivers.SECRETS_OF.get(name, ()))
            }
            found = inventory.secrets.get(host, {}).get(receivers.RECEIVER_SECRETS)
            findings.add(receivers.faults(sound, known, [*found.addresses, *found.odd] if found else ()), (), host)
        if host in inventory.groups.get("chat", ()):
            _elsewhere(inventory, specification, sound, findings, host)
            settings = specification.settings(sound, *BACKUP) if "backup" in wanted else {}
            findings.add((), _backup_warnings(settings, today), host)
        _address_pools(sound.get("docker_address_pools"), findings, host)
        _supervisor(inventory, sound, findings, host)
        secrets.check_logins(sound.get("gpuchat_registry_logins"), findings, host)
        findings.add(network_known.proxy_faults(sound.get(network_known.PROXY)), (), host)
        findings.add(api_clients.faults(sound.get(api_clients.VARIABLE)), (), host)
        if "edge" in wanted:
            findings.add((), api_clients.ended(sound.get(api_clients.VARIABLE), today), host)
        findings.add(endpoints.faults(sound.get(endpoints.VARIABLE), all_names), (), host)
        findings.add(tools_known.faults(sound.get(tools_known.VARIABLE), all_names), (), host)
        if "vllm" in wanted:
            _version("vllm_version", sound.get("vllm_version"), findings, host)
            settings = specification.settings(sound, *IMAGES, "vllm_version", models.VARIABLE)
            findings.add((), _image_warnings(settings), host)
        owned.check(sound, findings, host)
        hidden = inventory.secrets.get(host, {}).get("backup_secret_environment")
        owned.check_in(
            "backup_secret_environment",
            "backup_environment",
            dict.fromkeys(hidden.names if hidden else ()),
            findings,
            host,
        )
        _user_ids(inventory, specification, sound, findings, host)
        ports.check(inventory, specification, findings, host)
    _models(inventory, specification, wanted if is_whole else frozenset(), findings)
    _folders(inventory, specification, findings)
    _spans(inventory, specification, findings)
    addresses.check_servers(inventory, specification, findings)
    addresses.check(inventory, specification, wanted, findings)
    _same_everywhere(inventory, SAME_EVERYWHERE if "edge" in wanted else SAME_MODELS, findings)
    if "edge" in wanted:
        secrets.check_edges(inventory, findings)
    _doors_limits(inventory, specification, findings)
    _probe_host(inventory, findings)
    idle.check(inventory, specification, wanted, findings)
    return findings


def _sources(inventory: Inventory, findings: Findings) -> None:
    """Tell what could not be read, and files of variables for a group or a host that there is not."""
    groups: Sequence[str] = list(inventory.groups)
    hosts = [*inventory.groups.get("all", ()), "localhost"]
    for source in inventory.sources:
        if source.problem:
            findings.fault(f"the inventory {source.path} {source.problem}")
        known, what = (groups, "group") if source.kind == "group_vars" else (hosts, "host")
        if source.unread and source.name in known:
            findings.warning(
                f"the file {source.path} is for the {what} {show(source.name)} and has no effect, for {source.unread}"
            )
        elif source.kind and source.name not in known and not source.unread:
            findings.warning(
                f"the file {source.path} is for the {what} {show(source.name)}, which the inventory does not have, so "
                f"nothing in it has an effect; rename it, or take it away{did_you_mean(source.name, known)}"
            )


FACT = re.compile(r"'(ansible_(?!host'|port'|user')\w+|(default|all)_ipv[46]\w*|fqdn|nodename|hostname|domain)'")


def _cure(reason: str) -> str:
    if "vault" in reason or "decrypt" in reason:
        return "give ansible-vault's password, with --vault-id or --ask-vault-pass"
    if FACT.search(reason):
        return (
            "set it to the value itself, or to what another variable holds, for the inventory is checked before any "
            "fact of a host is gathered"
        )
    return "fix its value"


HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,252}")


def _host_name(host: str, findings: Findings) -> None:
    """Find a name of a host that no certificate and no file of ours can bear."""
    if not HOST_NAME.fullmatch(host):
        findings.fault(
            f"the inventory names the host {show(host)}; wanted letters, digits and . _ -; set another name for it, "
            "with ansible_host as its address"
        )


def _names_of_groups(inventory: Inventory, findings: Findings) -> None:
    """Find a host that is called as a group, where one of both is the stack's."""
    everybody = {*inventory.ours, *(host for hosts in inventory.groups.values() for host in hosts)}
    for name in sorted(everybody & set(inventory.groups)):
        is_alone = set(inventory.groups[name]) <= {name}  # what the group gets then is the host's
        if (name in inventory.ours or name in STACK_GROUPS) and not is_alone:
            findings.fault(
                f"the inventory names a host {name} and a group {name}; wanted names apart, for Ansible gives the "
                "variables of that host to the whole group; set another name for the host, with ansible_host as its "
                "address"
            )


def _groups(inventory: Inventory, parts: frozenset[str], findings: Findings) -> None:
    hosts = inventory.hosts(*STACK_GROUPS)
    is_without_interface = bool(hosts) and all(_interface(inventory, host) == NO_INTERFACE for host in hosts)
    has_endpoints = any(inventory.variables.get(host, {}).get(endpoints.VARIABLE) for host in inventory.ours)
    may_be_empty = {
        "gpu": f", or name somebody else's servers in {endpoints.VARIABLE}",
        "chat": f", or set {INTERFACE} to {NO_INTERFACE} where programs alone use the models",
    }
    for group in STACK_GROUPS:
        is_left_out = {"gpu": has_endpoints, "chat": is_without_interface}
        if GROUPS_OF[group] & parts and not inventory.groups.get(group) and not is_left_out.get(group):
            findings.fault(
                f"the group {group} is empty; wanted at least one host; add one under {group}: hosts: in the inventory"
                f"{may_be_empty.get(group, '')}{_meant_group(inventory, group)}"
            )
    chats = tuple(dict.fromkeys(inventory.groups.get("chat", ())))
    if len(chats) > 1 and not is_without_interface:
        findings.fault(
            f"the group chat has {len(chats)} hosts ({', '.join(chats)}); wanted one, for accounts and history are "
            "kept on it; leave one of them under chat: hosts:"
        )
    watching = tuple(dict.fromkeys(inventory.groups.get(MONITORING, ())))
    if len(watching) > 1:
        findings.fault(
            f"the group {MONITORING} has {len(watching)} hosts ({', '.join(watching)}); wanted one, which asks all "
            f"others; leave one of them under {MONITORING}: hosts:"
        )
    meant = [name for name, there in inventory.groups.items() if there and name.lower() == MONITORING != name]
    if meant and not watching:
        findings.fault(
            f"the group {meant[0]} is none of gpuchat's; wanted it as {MONITORING}, in small letters; rename the group"
        )
    if inventory.groups.get("chat") and is_without_interface:
        findings.fault(
            f"{INTERFACE} is {NO_INTERFACE} and the group chat has hosts; wanted none of them, for nothing would run "
            f"there; set {INTERFACE}, or take the hosts out of the group"
        )


def _stray_groups(inventory: Inventory, findings: Findings) -> None:
    """Tell groups whose hosts the stack leaves out, and whose names look like those of its groups."""
    known = {"all", "ungrouped", *STACK_GROUPS}
    for name in (one for one in inventory.groups if one not in known and one.lower() != MONITORING):
        near = next(iter(difflib.get_close_matches(name.lower(), STACK_GROUPS, n=1, cutoff=LIKE_A_GROUP)), "")
        left = [host for host in inventory.groups[name] if host not in inventory.hosts(*STACK_GROUPS)]
        if near == MONITORING and not inventory.groups.get(near):
            left = list(inventory.groups[name])
        elif not near or not inventory.groups.get(near):
            continue  # somebody else's, or told of the group that is empty
        if left:
            findings.warning(
                f"the group {name} has {', '.join(left)} and is none of gpuchat's, so nothing is done for it there; "
                f"did you mean it to be {near}?"
            )


LIKE_A_GROUP = 0.75
"""How like the name of one of our groups another must be to be taken for it: with an ending, or without one."""


def _meant_group(inventory: Inventory, group: str) -> str:
    """Return the question whether another group, by the look of its name, was meant to be one of the stack's."""
    known = {"all", "ungrouped", MONITORING, *STACK_GROUPS}
    foreign = {name.lower(): name for name, hosts in inventory.groups.items() if hosts and name not in known}
    near = difflib.get_close_matches(group, sorted(foreign), n=1, cutoff=LIKE_A_GROUP)
    return f"; did you mean the group {foreign[near[0]]} to be {group}?" if near else ""


def _interface(inventory: Inventory, host: str) -> object:
    return inventory.variables.get(host, {}).get(INTERFACE)


def _models(inventory: Inventory, specification: Specification, parts: frozenset[str], findings: Findings) -> None:
    """Look at the models and endpoints together; that all hosts say the same of them is looked at elsewhere."""
    variables = common_settings(inventory, specification)
    given, others = variables.get(models.VARIABLE), variables.get(endpoints.VARIABLE)
    findings.add(models.faults(given, inventory.groups), (), "")
    if not inventory.hosts(*STACK_GROUPS):
        return  # said of the groups
    is_written = {name for host in inventory.ours for name in inventory.variables.get(host, {})}
    is_written |= {name for _host, name, _reason in inventory.untemplated}
    if parts & NEED_MODELS and not given and not others and not {models.VARIABLE, *FORMER} & is_written:
        findings.fault(
            f"{models.VARIABLE} is not set; wanted a list; set {models.VARIABLE}, for instance to "
            f"{types.written(EXAMPLES[models.VARIABLE])}"
        )
    elif models.VARIABLE in is_written and given == [] and not others:
        findings.fault(
            f"{models.VARIABLE} is empty and {endpoints.VARIABLE} is not set; wanted one model or more; set one of them"
        )
    entries = [one for one in given if isinstance(one, Mapping)] if isinstance(given, (list, tuple)) else []
    kind = chat(inventory, specification)["kind"]
    if kind in parts and (entries or others) and not _may_chat(entries, others):
        findings.fault(
            f"{models.VARIABLE} and {endpoints.VARIABLE} name nothing that chats, and {INTERFACE} is {kind}; wanted a "
            f"model that people can talk to; add one, or set {INTERFACE} to {NO_INTERFACE} where programs alone use "
            "them"
        )
    if entries and others and not inventory.groups.get(models.GROUP):
        findings.fault(
            f"{models.VARIABLE} names models, and the group {models.GROUP} is empty; wanted hosts that serve them; add "
            f"some to that group, or take the models out of {models.VARIABLE}"
        )
    findings.add(models.adapter_faults(ENGINE_ARGS, variables.get(ENGINE_ARGS)), (), "")
    for number, one in enumerate(entries):
        findings.add(models.adapter_faults(f"{models.VARIABLE}[{number}].args", one.get("args")), (), "")
    asked: dict[str, str] = {}
    named = [(str(one.get("name", "")), f"{models.VARIABLE}.name") for one in entries]
    named += [
        (str(name), f"{models.VARIABLE}.aliases") for one in entries for name in types.sequence(one.get("aliases"))
    ]
    named += [
        (str(one["name"]), f"{models.VARIABLE}.adapters")
        for entry in entries
        for one in types.sequence(entry.get("adapters"))
        if isinstance(one, Mapping) and one.get("name")
    ]
    shared = models.adapters(variables.get(ENGINE_ARGS))
    named += [
        (name, f"{models.VARIABLE}.args") for one in entries for name in models.adapters(one.get("args")) or shared
    ]
    if not any(True for _fault in endpoints.faults(others)):
        named += [(name, endpoints.VARIABLE) for name in endpoints.names(others)]
    for name, variable in named:
        if name and name in asked:
            findings.fault(
                f"{name} stands twice, in {asked[name]} and {variable}; wanted each name once, for people ask by it; "
                "set another, or take one away"
            )
        asked.setdefault(name, variable)
    _names_of_clients(inventory, variables, asked, findings)
    for number, one in enumerate(entries):
        variable = f"{models.VARIABLE}[{number}]"
        owned.check_in(f"{variable}.args", "vllm_args", one.get("args"), findings, "")
        owned.check_in(f"{variable}.environment", "vllm_environment", one.get("environment"), findings, "")
        if "vllm" in parts:
            _version(f"{variable}.version", one.get("version"), findings, "")


def _may_chat(entries: Sequence[Mapping[str, object]], others: object) -> bool:
    """Whether one of the models may chat, as far as the inventory says what each does."""
    if any(True for _fault in endpoints.faults(others)) or any(one.get("task", "auto") in CHATTING for one in entries):
        return True
    return any(one.live or CHATTING[1] in one.tasks.values() for one in endpoints.read(others))


CHATTING = ("auto", "chat")


def _names_of_clients(
    inventory: Inventory, variables: Mapping[str, object], named: Mapping[str, str], findings: Findings
) -> None:
    """Look at the names that clients may ask by, which are those of the inventory and those that servers list."""
    others = variables.get(endpoints.VARIABLE)
    adopted: dict[str, tuple[str, ...]] = {}
    if not any(True for _fault in endpoints.faults(others)):
        adopted, warnings = _adopted(inventory, variables, named)
        findings.add((), warnings, "")
    keys = inventory.variables.get(next(iter(inventory.hosts("edge")), ""), {}).get(api_clients.VARIABLE)
    if not unread(inventory, others):  # what a server lists that was not asked yet is looked at when it was
        known = dict.fromkeys([*named, *(name for one in adopted.values() for name in one)])
        findings.add(api_clients.model_faults(keys, list(known)), (), "")


def unread(inventory: Inventory, given: object) -> list[str]:
    """Return the servers whose models are to be read and of which nothing is known yet."""
    entries = given if isinstance(given, (list, tuple)) else ()
    live = [str(one.get("name")) for one in entries if isinstance(one, Mapping) and endpoints.is_live(one)]
    return [name for name in live if name not in inventory.listed]


def _adopted(
    inventory: Inventory, common: Mapping[str, object], taken: Iterable[str] = ()
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return which models are handed on of those that servers list, and warnings of those that are not."""
    given = common.get(endpoints.VARIABLE)
    if not taken:
        served = models.read(common.get(models.VARIABLE), inventory.groups, common.get(ENGINE_ARGS))
        taken = [*(name for one in served for name in one.names), *endpoints.names(given)]
    return endpoints.adopt(given, inventory.listed, taken)


class _Names:
    """Finds mistyped names; each name is compared once, however many hosts have it."""

    def __init__(self, inventory: Inventory, specification: Specification) -> None:
        self._inventory, self._known, self._prefixes = inventory, specification.known, specification.prefixes
        self._squashed = {_squashed(name): name for name in self._known}
        self._found: dict[str, tuple[bool, str]] = {}

    def check(self, host: str, findings: Findings) -> None:
        variables = self._inventory.variables.get(host, {})
        others = variables.get("gpuchat_other_variables")
        foreign = set(map(str, others)) if isinstance(others, (list, tuple)) else set()
        for name in [*variables, *self._inventory.others.get(host, ())]:
            if name in self._known or name in foreign:
                continue
            is_fault, text = self._found.setdefault(name, self._judge(name))
            if text:
                (findings.fault if is_fault else findings.warning)(text, host)

    def _judge(self, name: str) -> tuple[bool, str]:
        if name in FORMER:
            instead, how = FORMER[name]
            return True, f"{name} is a variable of an earlier release; wanted {instead}; set {instead}, {how}"
        if name.startswith(STACK_PREFIX):
            ends = [known[len(STACK_PREFIX) :] for known in self._known if known.startswith(STACK_PREFIX)]
            near = nearest(name[len(STACK_PREFIX) :], ends)
            return (
                True,
                f"{name} is no variable of gpuchat{f'; did you mean {STACK_PREFIX}{near}?' if near else SOMEBODYS}",
            )
        flag = name[len(ENGINE_PREFIX) :].replace("_", "-") if name.startswith(ENGINE_PREFIX) else ""
        if flag in types.OF_ENGINES:
            return True, (
                f"{name} is no variable of gpuchat; wanted that option of vLLM in {ENGINE_ARGS}, or in args of a model "
                f"in {models.VARIABLE}; set {ENGINE_ARGS}.{flag}"
            )
        if flag in ("model", "served-model-name"):
            right = owned.OWNED[ENGINE_ARGS][flag].partition(".")[0]
            return True, f"{name} is no variable of gpuchat; wanted {right}, which names all models; set {right}"
        near = self._squashed.get(_squashed(name)) or next(
            iter(difflib.get_close_matches(name, sorted(self._known), n=1, cutoff=NEAR)), ""
        )
        if near:
            return True, (
                f"{name} is no variable of gpuchat; wanted {near}, by the look of it; rename it, or name it in "
                "gpuchat_other_variables where it is somebody else's"
            )
        if name.startswith(self._prefixes):
            return False, f"{name} is no variable of a gpuchat role{did_you_mean(name, self._known) or SOMEBODYS}"
        return False, ""


SOMEBODYS = "; take it away, or name it in gpuchat_other_variables where it is somebody else's"


def _squashed(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _required(
    inventory: Inventory, specification: Specification, parts: frozenset[str], findings: Findings, host: str
) -> None:
    untemplated = {(one, name) for one, name, _reason in inventory.untemplated}
    for name, roles in REQUIRED.items():
        if roles & parts and name in specification.known and inventory.variables.get(host, {}).get(name) in (None, {}):
            if name in inventory.variables.get(host, {}) and inventory.variables[host][name] is None:
                continue  # said by its type
            if (host, name) not in untemplated:
                what = types.WORDS[str(specification.options[name].get("type", "str"))]
                findings.fault(
                    f"{name} is not set; wanted {what}; set {name}, for instance to {types.written(EXAMPLES[name])}",
                    host,
                )


def _values(
    variables: Mapping[str, object], specification: Specification, findings: Findings, host: str
) -> dict[str, object]:
    """Check types and forms, and return the values without a fault of type."""
    options, sound = specification.options, {}
    for name, value in variables.items():
        if name not in options:
            continue
        own = {part: one for part in _parts_of(value) for one in _own_variables(name, part) if one in options}
        rest = {part: one for part, one in value.items() if part not in own} if isinstance(value, Mapping) else value
        wrong = [
            f"{name} holds {part}; wanted it in a variable of its own; set {variable}, for instance in a vault, and "
            f"take {part} out of {name}"
            for part, variable in own.items()
        ]
        example = EXAMPLES.get(name)
        if example is None and name in forms.FORMS and options[name].get("type", "str") in ("str", "path"):
            example = forms.FORMS[name].example
        wrong += types.faults(name, options[name], rest, example)
        if not wrong:
            sound[name] = value
            wrong = list(forms.faults(name, value))
        for text in wrong[:MOST_OF_ONE]:
            findings.fault(text, host)
        if len(wrong) > MOST_OF_ONE:
            more = len(wrong) - MOST_OF_ONE
            findings.fault(f"{name} has {more:,} more faults; wanted none; set {name} to what is said of these", host)
    return sound


def _parts_of(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, Mapping) else []


def _own_variables(name: str, part: str) -> tuple[str, str]:
    """Return how a variable may be called that holds a part of another's, as most do that hold its secret."""
    return f"{name}_{part}", f"{name}_{part}"[len(STACK_PREFIX) :]


MOST_OF_ONE = 8
"""Faults of one variable that are told; more are counted."""


def _access(variables: Mapping[str, object], findings: Findings, host: str) -> None:
    networks = variables.get(access.ALLOWED)
    if isinstance(networks, (list, tuple)) and not networks:
        findings.fault(
            "gpuchat_allowed_networks is empty, so nobody could use the chat; set the networks of its users", host
        )
    wrong = [
        (name, one) for name in access.VARIABLES for one in types.sequence(variables.get(name)) if not _is_network(one)
    ]
    for name, one in wrong:
        findings.fault(
            f"{name} holds {one!r}; wanted a network such as {_as_network(one)}; set {name} to networks alone", host
        )
    if not wrong:
        findings.add(access.faults(variables), access.warnings(variables), host)


def _is_network(text: object) -> bool:
    return forms.is_network(str(text))


def _tls(
    inventory: Inventory, specification: Specification, sound: Mapping[str, object], findings: Findings, host: str
) -> None:
    wanted = ("edge_http_port", "gpuchat_allowed_networks", *tls.SETTINGS)
    settings = specification.settings(sound, *wanted)
    networks = settings.get("gpuchat_allowed_networks")
    secrets = inventory.secrets.get(host, {})
    given = [name for name, secret in secrets.items() if not secret.is_empty]
    if tls.EAB_KEY in given and secrets[tls.EAB_KEY].kind == "str" and not secrets[tls.EAB_KEY].is_plain:
        findings.fault(
            f"{tls.EAB_KEY} holds other characters than base64url has; wanted it as the directory's owner gave it; set "
            f"{tls.EAB_KEY} to that",
            host,
        )
    findings.add(
        tls.faults(
            settings,
            site_names(inventory, host),
            [str(one) for one in networks] if isinstance(networks, (list, tuple)) else [],
            given,
            len(inventory.hosts("edge")),
        ),
        tls.warnings(settings, int(str(settings.get("edge_http_port") or tls.USUAL_HTTP_PORT))),
        host,
    )


def _edge(
    inventory: Inventory, specification: Specification, sound: Mapping[str, object], findings: Findings, host: str
) -> None:
    _tls(inventory, specification, sound, findings, host)
    settings = specification.settings(sound, *people_known.SETTINGS)
    findings.add(people_known.faults(settings, site_names(inventory, host)), (), host)
    has_ipv6 = specification.settings(sound, "edge_ipv6").get("edge_ipv6", True)
    findings.add(() if has_ipv6 else _family_faults(sound, site_names(inventory, host)), (), host)
    findings.add((), _near_warnings(sound), host)


def _near_warnings(sound: Mapping[str, object]) -> Iterator[str]:
    """Find a domain by which everybody finds their own machine, where others than the host are let in."""
    name = str(sound.get("gpuchat_domain") or "")
    is_near = name.lower() == "localhost" or (forms.is_address(name) and ipaddress.ip_address(name).is_loopback)
    networks = [str(one) for one in types.sequence(sound.get(access.ALLOWED)) if forms.is_network(str(one))]
    if is_near and not all(ipaddress.ip_network(one).is_loopback for one in networks):
        yield (
            f"gpuchat_domain is {name}, by which everybody in {access.ALLOWED} finds their own machine; set "
            "gpuchat_domain to a name or an address of this host"
        )


def _family_faults(sound: Mapping[str, object], names: Sequence[str]) -> Iterator[str]:
    """Find names and people by IPv6 of an edge that does without it."""
    far = [name for name in names if forms.is_address(name) and ":" in name]
    if far:
        yield (
            f"edge_ipv6 is false and people open the chat at {', '.join(far)}; wanted names and addresses of IPv4; set "
            "edge_ipv6 to true, or gpuchat_domain and edge_extra_names to others"
        )
    networks = [str(one) for one in types.sequence(sound.get(access.ALLOWED))]
    if networks and all(":" in one for one in networks):
        yield (
            f"edge_ipv6 is false and {access.ALLOWED} holds networks of IPv6 alone, so nobody could use the chat; "
            f"wanted some of IPv4; set edge_ipv6 to true, or {access.ALLOWED} to hold some"
        )


def _as_network(text: object) -> str:
    try:
        return str(ipaddress.ip_network(str(text).partition("%")[0], strict=False))
    except ValueError:
        return "10.0.0.0/8"


def _supervisor(inventory: Inventory, sound: Mapping[str, object], findings: Findings, host: str) -> None:
    """Refuse what does without Docker where more than models is served, and images where there are no containers."""
    supervisor = sound.get("gpuchat_supervisor")
    if supervisor in WITHOUT_DOCKER and host in inventory.groups.get("chat", ()):
        findings.fault(
            f"gpuchat_supervisor is {supervisor} on a host of the group chat; wanted it where models alone are served, "
            "for the interface's container is kept in a network of Docker's; set gpuchat_supervisor to compose or "
            f"systemd for this host, and to {supervisor} in the vars of the hosts that serve models only",
            host,
        )
    if supervisor in BY_FILES and host in inventory.groups.get("gpu", ()):
        here = [one for one in models.read(sound.get(models.VARIABLE), inventory.groups) if host in one.hosts]
        named = {"vllm_environment": sound.get("vllm_environment")}
        named.update({f"{models.VARIABLE}, environment of {one.name},": one.given.get("environment") for one in here})
        for variable, given in named.items():
            lines = [name for name, value in given.items() if value == LINES] if isinstance(given, Mapping) else []
            if lines:
                findings.fault(
                    f"{variable} holds a line break in {lines[0]}, and gpuchat_supervisor is {supervisor}; wanted a "
                    "value of one line, for systemd's units read it from a file; set it to one, or gpuchat_supervisor "
                    "to compose",
                    host,
                )
    if supervisor != "venv":
        return
    for number, model in enumerate(models.read(sound.get(models.VARIABLE), inventory.groups)):
        if model.given.get("image") and host in model.hosts:
            findings.fault(
                f"{models.VARIABLE}[{number}].image is given and gpuchat_supervisor is venv, which runs no image; "
                f"wanted the model's version of vLLM alone; set {models.VARIABLE}[{number}].version in its place, or "
                "gpuchat_supervisor to compose, systemd or quadlet for this host",
                host,
            )


def _user_ids(
    inventory: Inventory, specification: Specification, sound: Mapping[str, object], findings: Findings, host: str
) -> None:
    """Find two parts of a host that are to run as one user, which the packet filter and files tell apart by it."""
    kind = chat(inventory, specification)["kind"]
    has_store = kind in inventory_topology.KEEP_FILES_APART and not sound.get(elsewhere.STORE)
    of_chat = [f"{kind}_uid", *(("object_store_uid",) if has_store else ())]
    names = [*(("vllm_uid",) if host in inventory.groups.get(models.GROUP, ()) else ())]
    names += of_chat if host in inventory.groups.get("chat", ()) else ()
    seen: dict[object, str] = {}
    for name, number in specification.settings(sound, *names).items():
        if number in seen:
            findings.fault(
                f"{seen[number]} and {name} are both {number}; wanted users apart, for either could read and ask what "
                "is the other's; set one of them to another number",
                host,
            )
        seen[number] = name


def _elsewhere(
    inventory: Inventory, specification: Specification, sound: Mapping[str, object], findings: Findings, host: str
) -> None:
    keys = [name for name, one in inventory.secrets.get(host, {}).items() if not one.is_empty]
    names = ("gpuchat_vllm_port", "edge_http_port", "edge_https_port")
    given = specification.settings(sound, *names)
    taken = {int(str(port)): name for name, port in given.items()}
    if elsewhere.DATABASE in sound or elsewhere.DATABASE not in inventory.variables.get(host, {}):
        findings.add(elsewhere.faults(sound, elsewhere.PASSWORD in keys, taken), (), host)
    findings.add(elsewhere.store_faults(sound, keys, site_names(inventory, host), taken), (), host)
    if sign_in.VARIABLE in sound or sign_in.VARIABLE not in inventory.variables.get(host, {}):
        has_secret = sign_in.SECRET in keys
        findings.add(sign_in.faults(sound, has_secret, site_names(inventory, host), taken), (), host)
    edges = [inventory.variables.get(one, {}) for one in inventory.hosts("edge")]
    if chat(inventory, specification)["kind"] in inventory_topology.KEEP_FILES_APART:
        findings.add(elsewhere.mixed_faults(sound, [tls.source(one) for one in edges]), (), host)


BACKUP = ("backup_target", "backup_at", "backup_max_age_hours")


def _backup_warnings(settings: Mapping[str, object], today: datetime.date) -> Iterator[str]:
    """Say that no backup is made any more, or that even the newest would often be too old."""
    text = str(settings.get("backup_at") or "")
    at = schedule.read(text) if settings.get("backup_target") else None
    if not at:
        return  # there are none, or it is said of the form
    oldest, hours = int(str(settings["backup_max_age_hours"])), at.longest_gap(today)
    if not any(True for _day in at.dates(today)):
        yield (
            f"backup_at is {text}, which is past, so no backup is made any more; set backup_at to a time that comes "
            "again, such as '03:00'"
        )
    elif hours >= oldest:
        yield (
            f"backup_at is {text}, and between two such times lie {hours} hours or more, and backup_max_age_hours is "
            f"{oldest}, so the newest backup would count as too old before the next; set backup_max_age_hours to "
            f"{hours + 12}, or backup_at to times that come sooner"
        )


def _address_pools(pools: object, findings: Findings, host: str) -> None:
    for pool in pools if isinstance(pools, (list, tuple)) else ():
        try:
            network, size = ipaddress.ip_network(str(pool["base"])), pool["size"]
            is_right = set(pool) == {"base", "size"} and isinstance(size, int)  # which Docker reads no text for
            is_right = is_right and network.prefixlen <= size <= network.max_prefixlen - 2
        except (KeyError, TypeError, ValueError):
            is_right = False
        if not is_right:
            findings.fault(
                f"docker_address_pools holds {show(pool)}; wanted base, a network, and size, the prefix of those taken "
                f"from it; set docker_address_pools to {types.written(EXAMPLES['docker_address_pools'])}",
                host,
            )


def _folders(inventory: Inventory, specification: Specification, findings: Findings) -> None:
    """Find a model's folder that holds another of the stack's on the same host."""
    common = common_settings(inventory, specification)
    for number, model in enumerate(models.read(common.get(models.VARIABLE), inventory.groups)):
        for host in model.hosts:
            given = inventory.variables.get(host, {})
            named = {name: given.get(name) or specification.default(name) for name in FOLDERS}
            others = {name: path for name, path in named.items() if isinstance(path, str) and path.startswith("/")}
            for index, one in enumerate(model.downloads()):
                part = f".adapters[{index - 1}]" if one["adapter"] else ""
                findings.add(models.folder_faults(f"{models.VARIABLE}[{number}]{part}", one, others), (), host)


FOLDERS = ("docker_data_root", "backup_target", "gpuchat_toolbox")
"""Variables that name a folder on a host that a model may lie beside."""


OLDEST_VLLM = "0.10.1"
"""The first one that listens on a Unix socket (``uds`` in vllm/facts/flags.py)."""


def _version(name: str, version: object, findings: Findings, host: str) -> None:
    numbers = [int(part) for part in re.findall(r"[0-9]+", str(version or OLDEST_VLLM))[:3]]
    if version and not forms.VERSION.is_right(str(version)):
        return  # said by its form
    if numbers < [int(part) for part in OLDEST_VLLM.split(".")]:
        findings.fault(
            f"{name} is {version}, which can listen on a port alone, where many of its paths need no key; wanted "
            f"{OLDEST_VLLM} or newer, which listens on a socket that only its door opens; set {name}",
            host,
        )


IMAGES = ("vllm_image", "vllm_cpu_image")


def _image_warnings(settings: Mapping[str, object]) -> Iterator[str]:
    """Find an image whose tag speaks of another vLLM than the one by which all is planned."""
    version, own = "vllm_version", str(settings.get("vllm_version") or "")
    given = [(name, settings.get(name), version, own, version) for name in IMAGES]
    for number, one in enumerate(types.sequence(settings.get(models.VARIABLE))):
        variable = f"{models.VARIABLE}[{number}]"
        if isinstance(one, Mapping):
            told = (f"{variable}.version", str(one["version"])) if one.get("version") else (version, own)
            given.append((f"{variable}.image", one.get("image"), *told, f"{variable}.version"))
    for name, image, variable, planned, right in given:
        tag = str(image or "").rpartition(":")[2]
        found = re.search(r"(?<![0-9.])[0-9]+\.[0-9]+\.[0-9]+[A-Za-z0-9.]*", tag)
        if found and planned not in tag and "{" not in tag:
            yield (
                f"{name} has the tag {tag} and {variable} is {planned}, for which it is planned; set {right} to "
                f"{found[0]} where the image holds that"
            )


OLDEST_SPAN = "0.11.1"
"""The first vLLM whose own processes make one engine over several hosts (``nnodes`` in vllm/facts/flags.py)."""

BY_FILES = ("systemd", "quadlet", "venv")
"""Supervisors whose units read an environment from a file, line by line."""

WITHOUT_DOCKER = ("quadlet", "venv")
"""Supervisors of hosts that have no Docker."""

SPANNING = ("compose", "systemd")
"""Supervisors that run an engine over several hosts."""


def _spans(inventory: Inventory, specification: Specification, findings: Findings) -> None:
    """Find what keeps a model from spanning its hosts, or would leave its ranks open to others."""
    common = common_settings(inventory, specification)
    for number, model in enumerate(models.read(common.get(models.VARIABLE), inventory.groups)):
        if len(model.hosts) < 2:
            continue  # said of its hosts
        if model.spans:
            names = [name for name, own in ALIKE.items() if not model.given.get(own)]
            _same_everywhere(inventory, names, findings, model.hosts, f" of {model.name}, which spans them")
        for host in model.hosts if model.spans else ():
            given = inventory.variables.get(host, {})
            variable = f"{models.VARIABLE}[{number}].span"
            if not given.get("gpuchat_private_address"):
                findings.fault(
                    f"{variable} is true and gpuchat_private_address is not set; wanted the address at which the hosts "
                    "of the model reach each other, in a network that nobody else is in; set gpuchat_private_address",
                    host,
                )
            supervisor = given.get("gpuchat_supervisor", specification.default("gpuchat_supervisor"))
            if supervisor not in SPANNING:
                findings.fault(
                    f"{variable} is true and gpuchat_supervisor is {supervisor}; wanted {' or '.join(SPANNING)}, by "
                    "which all of its hosts start anew together; set gpuchat_supervisor for this host",
                    host,
                )
            if given.get("firewall_state") == "absent":
                findings.fault(
                    f"{variable} is true and firewall_state is absent; wanted the packet filter, for whoever reaches "
                    "the model's ranks can run programs there; take firewall_state away",
                    host,
                )
            version = model.given.get("version") or given.get("vllm_version", specification.default("vllm_version"))
            if version and _numbers(version) < _numbers(OLDEST_SPAN):
                findings.fault(
                    f"{variable} is true and its vLLM is {version}, which makes one engine over several hosts by Ray "
                    f"alone; wanted {OLDEST_SPAN} or newer; set the model's version or vllm_version",
                    host,
                )


ALIKE = {"vllm_version": "version", "vllm_image": "image", ENGINE_ARGS: ""}
"""What all ranks of an engine have to have alike, and what of a model's own takes its place."""


def _numbers(version: object) -> list[int]:
    return [int(part) for part in re.findall(r"[0-9]+", str(version or ""))[:3]]


SAME_MODELS = (models.VARIABLE, endpoints.VARIABLE)
SAME_EVERYWHERE = (
    "gpuchat_domain",
    *SAME_MODELS,
    INTERFACE,
    "gpuchat_signup",
    "gpuchat_vllm_port",
    "gpuchat_interface_port",
    inventory_topology.SPAN_PORT,
    "gpuchat_api_keys",
    "gpuchat_folder",
    "gpuchat_secrets_file",
    "gpuchat_authority_file",
)
"""Variables that one host reads of another, or one host for all."""


def _same_everywhere(
    inventory: Inventory, names: Iterable[str], findings: Findings, among: Sequence[str] = (), why: str = ""
) -> None:
    """Find variables that differ between hosts that have to have them alike.

    Args:
        among: these hosts; all of the stack's where it is empty.
        why: what is said of them.
    """
    for name in names:
        hosts = among or inventory.hosts(*STACK_GROUPS)
        given = {host: inventory.variables.get(host, {}).get(name) for host in hosts}
        values = {repr(value): "not set" if value is None else show(value) for value in given.values()}
        if len(values) > 1:
            having = {one: [host for host, value in given.items() if repr(value) == one] for one in values}
            found = ", ".join(f"{shown} on {' and '.join(having[one])}" for one, shown in values.items())
            findings.fault(
                f"{name} differs between hosts{why} ({found}); wanted one value; set {name} under all: vars:"
            )


BODY, SILENCE = ("edge_body_limit", "door_body_limit"), ("edge_stream_timeout", "door_stream_timeout")
"""What the edge lets through, and what of that the doors behind it do."""


def _doors_limits(inventory: Inventory, specification: Specification, findings: Findings) -> None:
    """Find doors that end what the edge lets through."""
    for (of_edge, of_door), units, tell in (
        (BODY, forms.BYTES, findings.fault),
        (SILENCE, forms.SECONDS, findings.warning),  # it may be meant, for programs beside the edge
    ):
        values = [_sound(inventory, specification, of_edge, host) for host in inventory.hosts("edge")]
        most = max(filter(None, values), key=lambda one: forms.amount(one, units), default="")
        for host in inventory.hosts("gpu", "chat"):
            own = _sound(inventory, specification, of_door, host)
            if most and own and forms.amount(own, units) < forms.amount(most, units):
                tell(
                    f"{of_edge} is {most} and {of_door} is {own}; wanted no less at the door, which ends what is more; "
                    f"set {of_door} to {most}",
                    host,
                )


def _sound(inventory: Inventory, specification: Specification, name: str, host: str) -> str:
    """Return a text's value on a host; empty where it has not its form, or nothing knows it."""
    value = str(inventory.variables.get(host, {}).get(name, specification.default(name)))
    return value if forms.FORMS[name].is_right(value) else ""


def _probe_host(inventory: Inventory, findings: Findings) -> None:
    everybody: Iterable[str] = inventory.groups.get("all", ())
    for host in inventory.ours:
        probe = inventory.variables.get(host, {}).get("gpuchat_probe_host")
        if isinstance(probe, (str, int)) and probe != "" and str(probe) not in everybody:
            findings.fault(
                f"gpuchat_probe_host is {probe!r}; wanted a host of the inventory; set gpuchat_probe_host to one"
                f"{did_you_mean(str(probe), everybody)}"
            )
        elif probe in inventory.groups.get("edge", ()):
            findings.fault(
                f"gpuchat_probe_host is {probe}, which is in the group edge; wanted a host that the edge is to refuse, "
                "outside gpuchat_allowed_networks; set gpuchat_probe_host to such a one, or take it away"
            )
