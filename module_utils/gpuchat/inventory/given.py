# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory as it was given, what the roles know, and what was found wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import Refusal
from . import endpoints, models, playbooks, types
from . import topology as inventory_topology

MONITORING = inventory_topology.GROUPS[inventory_topology.MONITORING]

STACK_GROUPS = ("gpu", "chat", "edge", MONITORING)

CHATS = frozenset(inventory_topology.INTERFACES)

ENGINE_ARGS = "vllm_args"

INTERFACE = "gpuchat_interface"

NO_INTERFACE = inventory_topology.NO_INTERFACE


@dataclass(frozen=True)
class Source:
    """Where the inventory was read from, and why that failed where it did.

    Attributes:
        kind: ``group_vars`` or ``host_vars``, of a file of variables.
        name: of the group or the host that it is for.
        unread: why Ansible leaves a file of variables aside.
    """

    path: str
    problem: str = ""
    kind: str = ""
    name: str = ""
    unread: str = ""


@dataclass(frozen=True)
class Secret:
    """What may be known of a secret: its type and length, whether it is empty, whether a header can hold it.

    Attributes:
        mark: the same for the same secret, within one run.
        names: of the variables in it, where it is an environment.
        odd: what is wrong with the values of some of these, by name; of a text or a list that needs a form, by place.
        addresses: names of those that are addresses of the web.
    """

    kind: str
    is_empty: bool = False
    is_plain: bool = True
    length: int = 43
    mark: str = ""
    names: Sequence[str] = ()
    odd: Mapping[str, str] = field(default_factory=dict)
    addresses: Sequence[str] = ()


@dataclass(frozen=True)
class Inventory:
    """An inventory as it was written, templated.

    Attributes:
        groups: host names by group.
        variables: what the user set, by host, but for secrets.
        untemplated: variables that cannot be templated, as (host, name, reason).
        secrets: the variables that hold secrets, by host.
        others: names of further variables, of somebody else's or mistyped.
        sources: where it was read from.
        play_hosts: hosts of the play, which may be in no group of the stack.
        listed: what somebody else's servers list, by server, as far as it is known.
        reached: at which ``address`` and ``port`` ssh reaches each host, as far as that is known.
    """

    groups: Mapping[str, Sequence[str]]
    variables: Mapping[str, Mapping[str, object]]
    untemplated: Sequence[tuple[str, str, str]] = ()
    secrets: Mapping[str, Mapping[str, Secret]] = field(default_factory=dict)
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sources: Sequence[Source] = ()
    play_hosts: Sequence[str] = ()
    listed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reached: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def hosts(self, *groups: str) -> tuple[str, ...]:
        """Return the hosts of some groups, each once, in the inventory's order."""
        return tuple(dict.fromkeys(host for group in groups for host in self.groups.get(group, ())))

    @property
    def ours(self) -> tuple[str, ...]:
        """Every host of the stack, and of the play."""
        return tuple(dict.fromkeys([*self.hosts(*STACK_GROUPS), *self.play_hosts]))


@dataclass(frozen=True)
class Specification:
    """What the roles know: options (in Ansible's argument_specs form) by role, ``stack`` among them."""

    roles: Mapping[str, Mapping[str, Mapping[str, object]]]

    @property
    def options(self) -> Mapping[str, Mapping[str, object]]:
        return {**playbooks.OPTIONS, **{name: one for options in self.roles.values() for name, one in options.items()}}

    @property
    def known(self) -> frozenset[str]:
        return frozenset(self.options)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """How names of ours begin: a role's by its name, a playbook's as its options do."""
        roles = (role for role, options in self.roles.items() if options and role != "stack")
        return tuple(f"{one}_" for one in dict.fromkeys([*roles, *(name.split("_")[0] for name in playbooks.OPTIONS)]))

    def default(self, name: str) -> object:
        return self.options.get(name, {}).get("default")

    def settings(self, given: Mapping[str, object], *names: str) -> dict[str, object]:
        """Return a host's settings, each of its type or the default; all of them have no fault."""
        options = self.options
        return {
            name: types.convert(options[name], given[name]) if name in given else options[name].get("default")
            for name in names
            if name in options
        }


@dataclass
class Findings:
    """Faults stop the run; warnings do not. Each text is kept once, with the hosts that it holds for."""

    faults: dict[str, list[str]] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)

    def fault(self, text: str, host: str = "") -> None:
        self.faults.setdefault(text, []).extend([host] if host else [])

    def warning(self, text: str, host: str = "") -> None:
        self.warnings.setdefault(text, []).extend([host] if host else [])

    def add(self, faults: Iterable[str], warnings: Iterable[str], host: str) -> None:
        for text in faults:
            self.fault(text, host)
        for text in warnings:
            self.warning(text, host)


def describe(findings: Mapping[str, Sequence[str]], all_hosts: Sequence[str]) -> tuple[str, ...]:
    """Return findings as sentences, each with its hosts unless it holds for all of them."""
    return tuple(
        f"{text} (on {', '.join(dict.fromkeys(hosts))})" if hosts and len(set(hosts)) < len(all_hosts) else text
        for text, hosts in findings.items()
    )


def message(faults: Sequence[str]) -> str:
    """Return all faults as one message."""
    count = f"{len(faults)} faults" if len(faults) > 1 else "one fault"
    return f"the inventory has {count}; nothing was changed:\n" + "\n".join(f"- {fault}" for fault in faults)


def refuse(faults: Sequence[str]) -> None:
    """Refuse an inventory that has faults, by all of them in one message.

    Raises:
        Refusal: there are some; nothing was changed.
    """
    if faults:
        raise Refusal(message(faults), faults=faults)


def read(params: Mapping[str, Any]) -> Inventory:
    """Read an inventory from a task's options."""
    return Inventory(
        params["groups"],
        params["variables"],
        [(str(host), str(name), str(reason)) for host, name, reason in params["untemplated"]],
        {host: {name: Secret(**one) for name, one in found.items()} for host, found in params["secrets"].items()},
        params["others"],
        [
            Source(*(str(one.get(name) or "") for name in ("path", "problem", "kind", "name", "unread")))
            for one in params["sources"]
        ],
        params["play_hosts"],
        params.get("listed") or {},
        params.get("reached") or {},
    )


def site_names(inventory: Inventory, host: str) -> list[str]:
    """Return the names at which people open the chat, as far as they can be read."""
    variables = inventory.variables.get(host, {})
    further = variables.get("edge_extra_names")
    names = [variables.get("gpuchat_domain"), *(further if isinstance(further, (list, tuple)) else ())]
    return [name for name in names if isinstance(name, str) and name]


def chat(inventory: Inventory, specification: Specification) -> dict[str, str]:
    """Return what people chat with, in which version, and who may sign up, as the chat's host has it."""
    first = next(iter(inventory.hosts("chat", *STACK_GROUPS)), "")
    names = (INTERFACE, "gpuchat_signup", *(f"{one}_version" for one in inventory_topology.INTERFACES))
    given = specification.settings(inventory.variables.get(first, {}), *names)
    kind = str(given[INTERFACE])
    return {"kind": kind, "version": str(given.get(f"{kind}_version", "")), "signup": str(given["gpuchat_signup"])}


def common_settings(inventory: Inventory, specification: Specification) -> dict[str, object]:
    """Return models, endpoints and options of all engines as the first host has them, where their types are right."""
    options = specification.options
    first = next(iter(inventory.hosts(*STACK_GROUPS) or inventory.ours), "")
    found = {}
    for name in (models.VARIABLE, endpoints.VARIABLE, ENGINE_ARGS):
        value = inventory.variables.get(first, {}).get(name)
        if value is not None and name in options and not list(types.faults(name, options[name], value)):
            found[name] = value
    return found
