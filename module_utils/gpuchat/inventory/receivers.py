# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the monitoring tells of alerts, and where its figures go: what the inventory says of that, but for secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..core.names import did_you_mean
from . import forms
from .network import what_is_wrong
from .types import show

RECEIVERS, RECEIVER_SECRETS = "monitoring_receivers", "monitoring_receiver_secrets"
REMOTES, REMOTE_SECRETS = "monitoring_remote_write", "monitoring_remote_write_secrets"

MAIL, WEBHOOK, SLACK = "mail", "webhook", "slack"
FEISHU, DINGTALK, WECOM = "feishu", "dingtalk", "wecom"
ROBOTS = (FEISHU, DINGTALK, WECOM)
"""Kinds that Alertmanager does not speak; the relay does."""
KINDS = (MAIL, WEBHOOK, SLACK, *ROBOTS)
SEVERITIES = ("warning", "critical")

NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
LONGEST_NAME = 32
ADDRESS = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")
SERVER = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
NUMBERS = {"monitoring_ttft_target_seconds": (0.05, 600.0), "monitoring_patience": (0.0, 100.0)}
HOST = r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])"
SECURE_URL = re.compile(rf"https://{HOST}(?::[0-9]{{1,5}})?(?:/[^\s@#]*)?")
PLAIN_URL = re.compile(rf"http://{HOST}(?::[0-9]{{1,5}})?(?:/[^\s@#]*)?")


@dataclass(frozen=True)
class Receiver:
    """One who is told of alerts.

    Attributes:
        severity: the least of which it is told.
        to: addresses of mail.
        sender: what mail comes from.
        server: of mail, with its port.
        username: at that server; empty where it asks for none.
        tls: whether mail goes by TLS alone.
        authority: the certificate (PEM) of who certified that server; empty where the host's own list names it.
    """

    name: str
    kind: str
    severity: str = "warning"
    to: tuple[str, ...] = ()
    sender: str = ""
    server: str = ""
    username: str = ""
    tls: bool = True
    authority: str = ""

    @property
    def has_secret(self) -> bool:
        """Whether a secret belongs to it: its address, or mail's password."""
        return self.kind != MAIL or bool(self.username)

    @property
    def is_robot(self) -> bool:
        return self.kind in ROBOTS


@dataclass(frozen=True)
class Remote:
    """Where Prometheus sends a copy of all figures.

    Attributes:
        username: where it asks for a name and a password rather than a token.
    """

    name: str
    url: str
    username: str = ""


def read(given: object) -> tuple[Receiver, ...]:
    """Read a sound list of receivers."""
    return tuple(
        Receiver(
            str(one["name"]),
            str(one["kind"]),
            str(one.get("severity") or "warning"),
            _texts(one.get("to")),
            str(one.get("from") or ""),
            str(one.get("server") or ""),
            str(one.get("username") or ""),
            _is_true(one.get("tls", True)),
            str(one.get("authority") or "").strip(),
        )
        for one in _list(given)
    )


def read_remotes(given: object) -> tuple[Remote, ...]:
    """Read a sound list of places that figures are sent to."""
    return tuple(Remote(str(one["name"]), str(one["url"]), str(one.get("username") or "")) for one in _list(given))


SECRETS_OF = {RECEIVER_SECRETS: (RECEIVERS,), REMOTE_SECRETS: (REMOTES,)}
"""Whose secrets they are; what is said of those that have faults is said of these alone."""


def faults(
    variables: Mapping[str, object], secrets: Mapping[str, Sequence[str]], addresses: Sequence[str] | None = None
) -> Iterator[str]:
    """Say what is wrong with what the monitoring is told, beyond types.

    Args:
        variables: those of the monitoring host that are of their types.
        secrets: names in each variable of secrets.
        addresses: those of the receivers' whose secret is an address; None where nobody has looked.
    """
    yield from _receiver_faults(_list(variables.get(RECEIVERS)), secrets.get(RECEIVER_SECRETS, ()))
    asked = {str(one.get("name", "")) for one in _list(variables.get(RECEIVERS)) if one.get("kind") != MAIL}
    known = [] if addresses is None else [name for name in secrets.get(RECEIVER_SECRETS, ()) if name not in addresses]
    for name in known:
        if name in asked:
            yield (
                f"{RECEIVER_SECRETS}.{name} is no address of a server; wanted the one that its chat gave for it, which "
                f"begins with https:// or http://; set {RECEIVER_SECRETS}.{name} to it"
            )
    yield from _remote_faults(_list(variables.get(REMOTES)), secrets.get(REMOTE_SECRETS, ()))
    for name, (low, high) in NUMBERS.items():
        if name in variables and not low <= float(str(variables[name])) <= high:
            yield f"{name} is {variables[name]}; wanted a number from {low:g} to {high:g}; set {name} to one"


def _is_true(given: object) -> bool:
    return str(given).lower() not in ("false", "no", "off", "0")


def _texts(given: object) -> tuple[str, ...]:
    return tuple(map(str, given)) if isinstance(given, (list, tuple)) else ()


def _list(given: object) -> Sequence[Mapping[str, object]]:
    return [one for one in given if isinstance(one, Mapping)] if isinstance(given, (list, tuple)) else []


def _receiver_faults(given: Sequence[Mapping[str, object]], secrets: Sequence[str]) -> Iterator[str]:
    yield from _name_faults(RECEIVERS, given, "team")
    for number, one in enumerate(given):
        variable, name, kind = f"{RECEIVERS}[{number}]", str(one.get("name", "")), str(one.get("kind", ""))
        if kind == MAIL:
            yield from _mail_faults(variable, one)
        else:
            for part in ("to", "from", "server", "username", "tls", "authority"):
                if one.get(part) or (part == "tls" and not _is_true(one.get(part, True))):
                    yield (
                        f"{variable}.{part} is set, and its kind is {show(kind)}; wanted {part} for mail alone; take "
                        f"the line away, or set {variable}.kind to mail"
                    )
        if (kind != MAIL or one.get("username")) and name not in secrets:
            what = "the password of its username" if kind == MAIL else "the address that it was given"
            yield (
                f"{RECEIVER_SECRETS} holds nothing for {show(name)}, a receiver of the kind {kind}; wanted {what}; set "
                f"{RECEIVER_SECRETS}.{name} to it"
            )
    yield from _stranger_faults(RECEIVER_SECRETS, secrets, RECEIVERS, given)


def _mail_faults(variable: str, one: Mapping[str, object]) -> Iterator[str]:
    addresses, sender, server = _texts(one.get("to")), str(one.get("from") or ""), str(one.get("server") or "")
    if not addresses:
        yield f"{variable}.to names nobody; wanted addresses; set {variable}.to to a list such as [ops@example.com]"
    for address in addresses:
        if not ADDRESS.fullmatch(address):
            yield f"{variable}.to holds {show(address)}; wanted an address such as ops@example.com; set {variable}.to"
    if not ADDRESS.fullmatch(sender):
        yield f"{variable}.from is {show(sender)}; wanted the address that mail comes from; set {variable}.from to one"
    if not SERVER.fullmatch(server) or not forms.is_at_server(f"smtp://{server}"):
        yield (
            f"{variable}.server is {show(server)}; wanted a name and a port, such as smtp.example.com:587; set "
            f"{variable}.server to one"
        )
    tls, authority = _is_true(one.get("tls", True)), str(one.get("authority") or "")
    # Alertmanager's program refuses that too, at the first alert (Go's net/smtp, PlainAuth).
    if not tls and one.get("username"):
        yield (
            f"{variable}.tls is false, and it has a username; wanted no password in the clear; set {variable}.tls to "
            f"true, or take username away where the server asks for none"
        )
    if not tls and authority:
        yield (
            f"{variable}.tls is false, and it has an authority; wanted one for TLS alone; set {variable}.tls to true, "
            "or take authority away"
        )
    username = str(one.get("username") or "")
    if not re.fullmatch(r"[^\t\n]*", username):
        yield f"{variable}.username holds a line break or a tab; wanted a name; set {variable}.username to it"
    if authority and what_is_wrong(authority):
        yield (
            f"{variable}.authority is no certificate; wanted the text of one in PEM, whole and without a key, "
            "with its line BEGIN CERTIFICATE; "
            f"set {variable}.authority to \"{{{{ lookup('ansible.builtin.file', 'mail-authority.crt') }}}}\""
        )


def _remote_faults(given: Sequence[Mapping[str, object]], secrets: Sequence[str]) -> Iterator[str]:
    yield from _name_faults(REMOTES, given, "central")
    for number, one in enumerate(given):
        variable, name, url = f"{REMOTES}[{number}]", str(one.get("name", "")), str(one.get("url", ""))
        # An address may hold a secret, which no message repeats.
        is_url = SECURE_URL.fullmatch(url) or (PLAIN_URL.fullmatch(url) and name not in secrets)
        if not is_url or not forms.is_at_server(url):
            yield (
                f"{variable}.url is no address that a secret can be sent to; wanted https:// with a host and a path, "
                f"without a name or a password in it; set {variable}.url to such a one, and the secret in "
                f"{REMOTE_SECRETS}"
            )
        if not re.fullmatch(r"[^\t\n]*", str(one.get("username") or "")):
            yield f"{variable}.username holds a line break or a tab; wanted a name; set {variable}.username to it"
        if one.get("username") and name not in secrets:
            yield (
                f"{REMOTE_SECRETS} holds nothing for {show(name)}, which has a username; wanted its password; set "
                f"{REMOTE_SECRETS}.{name} to it"
            )
    yield from _stranger_faults(REMOTE_SECRETS, secrets, REMOTES, given)


def _name_faults(variable: str, given: Sequence[Mapping[str, object]], example: str) -> Iterator[str]:
    seen: set[str] = set()
    for number, one in enumerate(given):
        name = str(one.get("name", ""))
        if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            right = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_NAME].strip("-") or example
            yield (
                f"{variable}[{number}].name is {show(name)}; wanted up to {LONGEST_NAME} small letters and digits, "
                f"with single hyphens between them; set {variable}[{number}].name to {right}"
            )
        elif name in seen:
            yield f"{variable} names {name} twice; wanted each once; set another name, or take one away"
        seen.add(name)


def _stranger_faults(
    variable: str, secrets: Sequence[str], of: str, given: Sequence[Mapping[str, object]]
) -> Iterator[str]:
    names = [str(one.get("name", "")) for one in given]
    for name in secrets:
        if name not in names:
            yield (
                f"{variable} holds {show(name)}, which {of} does not name; wanted a secret of each that it names; set "
                f"{of}, or take the line away{did_you_mean(name, names)}"
            )
