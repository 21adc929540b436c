# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with an inventory, found before any host is asked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..core.names import did_you_mean

STACK_PREFIX = "gpuchat_"
NEEDED_GROUPS = ("gpu", "chat", "edge")
HOST_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.IGNORECASE)


@dataclass(frozen=True)
class Inventory:
    """An inventory as it was written, templated.

    Attributes:
        groups: host names by group.
        variables: what the user set, by host.
        untemplated: variables that cannot be templated, as (host, name, reason).
    """

    groups: Mapping[str, Sequence[str]]
    variables: Mapping[str, Mapping[str, object]]
    untemplated: Sequence[tuple[str, str, str]] = ()

    def hosts(self, *groups: str) -> tuple[str, ...]:
        """Return the hosts of some groups, each once, in the inventory's order."""
        return tuple(dict.fromkeys(host for group in groups for host in self.groups.get(group, ())))


@dataclass(frozen=True)
class Specification:
    """What the roles know: options (in Ansible's argument_specs form) by role, ``stack`` among them."""

    roles: Mapping[str, Mapping[str, Mapping[str, object]]]

    @property
    def known(self) -> frozenset[str]:
        return frozenset(name for options in self.roles.values() for name in options)

    @property
    def prefixes(self) -> tuple[str, ...]:
        return tuple(f"{role}_" for role in self.roles if role != "stack")

    def default(self, name: str) -> object:
        for options in self.roles.values():
            if name in options:
                return options[name].get("default")
        return None


@dataclass
class Findings:
    """Faults stop the run; warnings do not. Each text is kept once, with the hosts that it holds for."""

    faults: dict[str, list[str]] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)

    def fault(self, text: str, host: str = "") -> None:
        self.faults.setdefault(text, []).extend([host] if host else [])

    def warning(self, text: str, host: str = "") -> None:
        self.warnings.setdefault(text, []).extend([host] if host else [])


def describe(findings: Mapping[str, Sequence[str]], all_hosts: Sequence[str]) -> tuple[str, ...]:
    """Return findings as sentences, each with its hosts unless it holds for all of them."""
    return tuple(
        f"{text} (on {', '.join(hosts)})" if hosts and len(set(hosts)) < len(all_hosts) else text
        for text, hosts in findings.items()
    )


def find_faults(inventory: Inventory, specification: Specification) -> Findings:
    """Look for everything that can be known to be wrong from the inventory alone, types apart."""
    findings = Findings()
    for host, name, reason in inventory.untemplated:
        if host in inventory.hosts(*NEEDED_GROUPS):
            findings.fault(f"{name} cannot be templated: {reason}; fix its value", host)
    _groups(inventory, findings)
    for host in inventory.hosts(*NEEDED_GROUPS):
        variables = inventory.variables.get(host, {})
        _names(variables, specification, findings, host)
        _domain(variables.get("gpuchat_domain"), findings, host)
        _model(variables.get("gpuchat_model"), findings, host)
        _keys(variables, findings, host)
        _allowed_networks(variables.get("gpuchat_allowed_networks"), findings, host)
        _ports(inventory, specification, findings, host)
    _addresses(inventory, findings)
    _same_everywhere(inventory, findings)
    _probe_host(inventory, findings)
    return findings


def _groups(inventory: Inventory, findings: Findings) -> None:
    for group in NEEDED_GROUPS:
        if not inventory.groups.get(group):
            findings.fault(
                f"the group {group} is empty; wanted at least one host; add one under {group}: hosts: in the inventory"
            )


def _names(variables: Mapping[str, object], specification: Specification, findings: Findings, host: str) -> None:
    for name in variables:
        if name in specification.known:
            continue
        if name.startswith(STACK_PREFIX):
            known = [known for known in specification.known if known.startswith(STACK_PREFIX)]
            findings.fault(f"{name} is no variable of gpuchat{did_you_mean(name, known)}", host)
        elif name.startswith(specification.prefixes):
            findings.warning(f"{name} is no variable of a gpuchat role{did_you_mean(name, specification.known)}", host)


def is_host_name(text: str) -> bool:
    """Whether a text is a host name (RFC 1123) or an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.split(".")
        return len(text) <= 253 and all(map(HOST_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
    return True


def _domain(domain: object, findings: Findings, host: str) -> None:
    if isinstance(domain, str) and not is_host_name(domain):
        findings.fault(
            f"gpuchat_domain is {domain!r}; wanted a host name such as chat.example.com, without https:// or a path",
            host,
        )


KEY = re.compile(r"[A-Za-z0-9._~+/=-]+")
KEY_VARIABLES = ("edge_api_key", "gpuchat_vllm_api_key", "lobechat_access_code")


REPO_NEEDED = ("huggingface", "modelscope")


def _model(model: object, findings: Findings, host: str) -> None:
    if not isinstance(model, Mapping):
        return  # a wrong type is known by the type check
    source = str(model.get("source", "path"))
    if source in REPO_NEEDED and not model.get("repo"):
        findings.fault(
            f"gpuchat_model.source is {source} and gpuchat_model.repo is not set; wanted the model's name there; "
            "set gpuchat_model.repo, for instance to Qwen/Qwen3-8B",
            host,
        )
    if source == "http" and not model.get("endpoints"):
        findings.fault(
            "gpuchat_model.source is http and gpuchat_model.endpoints is not set; wanted the address of a server; "
            "set gpuchat_model.endpoints to a list of one or more",
            host,
        )


def _keys(variables: Mapping[str, object], findings: Findings, host: str) -> None:
    for name in KEY_VARIABLES:
        value = variables.get(name)
        if value is not None and not KEY.fullmatch(str(value)):
            findings.fault(
                f"{name} holds other characters than letters, digits and . _ ~ + / = -; set another {name}", host
            )


def _allowed_networks(networks: object, findings: Findings, host: str) -> None:
    if isinstance(networks, str):
        findings.fault(
            f"gpuchat_allowed_networks is {networks!r}; wanted a list of networks; set it to [{networks}]", host
        )
    if not isinstance(networks, (list, tuple)):
        return
    if not networks:
        findings.fault(
            "gpuchat_allowed_networks is empty, so nobody could use the chat; set the networks of its users", host
        )
    for network in networks:
        try:
            ipaddress.ip_network(str(network))
        except ValueError:
            findings.fault(
                f"gpuchat_allowed_networks holds {network!r}; wanted a network such as {_as_network(network)}", host
            )


def _as_network(text: object) -> str:
    try:
        return str(ipaddress.ip_network(str(text), strict=False))
    except ValueError:
        return "10.0.0.0/8"


def _ports(inventory: Inventory, specification: Specification, findings: Findings, host: str) -> None:
    variables = inventory.variables.get(host, {})
    used: dict[int, str] = {}
    for group, names in PORTS.items():
        for name in names if host in inventory.groups.get(group, ()) else ():
            try:
                port = int(str(variables.get(name, specification.default(name))))
            except ValueError:
                continue  # a wrong type is known by the type check
            if port in used:
                findings.fault(f"{used[port]} and {name} are both {port}; set one of them to another port", host)
            elif not 1 <= port <= 65535:
                findings.fault(f"{name} is {port}; wanted a port from 1 to 65535", host)
            used[port] = name


PORTS = {
    "gpu": ("gpuchat_vllm_port",),
    "chat": ("gpuchat_lobechat_port",),
    "edge": ("edge_http_port", "edge_https_port"),
}
"""Variables that name a port on the hosts of a group."""


SAME_EVERYWHERE = (
    "gpuchat_domain",
    "gpuchat_model",
    "gpuchat_vllm_port",
    "gpuchat_lobechat_port",
    "gpuchat_supervisor",
)
"""Variables that one host reads of another."""


def _same_everywhere(inventory: Inventory, findings: Findings) -> None:
    for name in SAME_EVERYWHERE:
        values = {repr(inventory.variables.get(host, {}).get(name)) for host in inventory.hosts(*NEEDED_GROUPS)}
        if len(values) > 1:
            found = ", ".join(sorted(values))
            findings.fault(f"{name} differs between hosts ({found}); wanted one value; set {name} under all: vars:")


def _is_own_ipv4(address: str) -> bool:
    try:
        return not ipaddress.IPv4Address(address).is_unspecified
    except ValueError:
        return False


def _addresses(inventory: Inventory, findings: Findings) -> None:
    hosts = inventory.hosts(*NEEDED_GROUPS)
    for host in hosts:
        given = inventory.variables.get(host, {}).get("gpuchat_private_address")
        if given and not _is_own_ipv4(str(given)):
            findings.fault(
                f"gpuchat_private_address is {given!r}; wanted one IPv4 address of this host, such as 10.0.0.5", host
            )
    if len(hosts) < 2:
        return
    for host in inventory.hosts("gpu", "chat"):
        address = inventory.variables.get(host, {}).get("gpuchat_private_address")
        if not address:
            findings.fault(
                "gpuchat_private_address is not set, and the stack spans several hosts; set it to the address at "
                "which the other hosts reach this one",
                host,
            )


def _probe_host(inventory: Inventory, findings: Findings) -> None:
    everybody: Iterable[str] = inventory.groups.get("all", ())
    for host in inventory.hosts(*NEEDED_GROUPS):
        probe = inventory.variables.get(host, {}).get("gpuchat_probe_host")
        if probe and str(probe) not in everybody:
            findings.fault(
                f"gpuchat_probe_host is {probe!r}; wanted a host of the inventory{did_you_mean(str(probe), everybody)}"
            )
