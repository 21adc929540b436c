# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a survey speaks of: what a host should be, what it answered, and what was found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

OK, WARNING, FAULT, UNREACHABLE = "ok", "warning", "fault", "unreachable"
SEVERITIES = (OK, WARNING, FAULT, UNREACHABLE)
"""From the best to the worst; their places are the exit statuses of the survey."""

LOBEHUB, OPEN_WEBUI, OBJECT_STORE, POSTGRESQL, EDGE, DOOR, FILTER, WATCHDOG = (
    f"gpuchat-{one}"
    for one in ("lobehub", "open-webui", "object-store", "postgresql", "edge", "door", "firewall", "watchdog")
)
INTERFACES = (LOBEHUB, OPEN_WEBUI)
DATABASE_DOOR, STORE_DOOR = "gpuchat-database-door.socket", "gpuchat-store-door.socket"
SSO_DOOR = "gpuchat-sso-door.socket"
"""By which those are reached that are elsewhere."""

ACME, OF_ACME = "gpuchat-acme", "/acme.pem"
"""The unit that renews a directory's certificate, and how its file's path ends."""

KEEPERS = (POSTGRESQL, OBJECT_STORE)
"""What keeps what people have said and given, without which their interface does not work."""

ENGINES = "gpuchat-vllm"
"""How the names of engines begin; one of an earlier release, which had a single one, has no more than that."""

SERVICES = {"gpu": (DOOR, WATCHDOG), "chat": (DOOR,), "edge": (EDGE,)}
"""What runs on the hosts of a group of the inventory; engines follow from its models, Docker and the packet filter are
shared."""

CHAT = {"lobehub": (POSTGRESQL, OBJECT_STORE, LOBEHUB), "open_webui": (POSTGRESQL, OPEN_WEBUI)}
"""What runs beside on those of the group chat, by ``gpuchat_interface``."""

MONITORING = {"monitoring": ("gpuchat-prometheus", "gpuchat-alertmanager")}
"""What asks the others, on the host of the group of that name."""

WATCHED = {
    "": (DOOR, "gpuchat-node-exporter.socket", "gpuchat-state.timer"),
    "chat": ("gpuchat-postgresql-exporter.socket",),
    "edge": ("gpuchat-nginx-exporter.socket", "gpuchat-edge-metrics.socket"),
}
"""What the host of a group, or each one, shows itself by where a host of the stack asks."""

OF_THE_WATCHED = frozenset(one for some in WATCHED.values() for one in some)
OF_A_CHAT = frozenset((DATABASE_DOOR, STORE_DOOR, SSO_DOOR, *(one for some in CHAT.values() for one in some)))
EVERY_SERVICE = frozenset(one for some in {**SERVICES, **MONITORING}.values() for one in some)
EVERY_SERVICE |= OF_A_CHAT | OF_THE_WATCHED


@dataclass(frozen=True)
class Finding:
    """One thing that an operator has to know.

    Attributes:
        kind: a word for programs, such as ``file.content``.
        found: what is so; where nothing was wanted in particular, the whole of it.
        fix: what to do.
    """

    kind: str
    severity: str
    found: str
    wanted: str
    fix: str

    @property
    def text(self) -> str:
        return f"found {self.found}; wanted {self.wanted}; {self.fix}" if self.wanted else self.found


@dataclass(frozen=True)
class Expected:
    """What a host of the inventory should be.

    Attributes:
        images: names of the images of which one is planned, by service.
        lock: digests by an image's name; empty where there is no lock to compare with.
        engines: name, repo, revision and path of the model of each engine, as far as the inventory says.
        fingerprints: digests by which a host of this stack knows it, by secret.
        versions: beginnings of packages' versions that the inventory pins.
        interface: as ``gpuchat_interface`` has it; empty where that is not known.
        own_database: whether the interface's database is on its host.
        own_store: whether people's files are.
        monitored: whether a host of the stack asks the others for their metrics; None where that is not known.
        backup_hours: how old the newest backup may be, where backups are made.
    """

    name: str
    groups: tuple[str, ...] = ()
    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lock: Mapping[str, str] = field(default_factory=dict)
    engines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fingerprints: Mapping[str, Collection[str]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    accelerator: str = "auto"
    interface: str = "lobehub"
    own_database: bool = True
    own_store: bool = True
    own_sign_in: bool = True
    backup_hours: float = 36.0
    firewall: bool = True
    watchdog: bool = True
    monitored: bool | None = False
    supervisor: str = "compose"

    @property
    def of_chat(self) -> tuple[str, ...]:
        """What the interface of the host of the group chat consists of."""
        ways = {POSTGRESQL: (self.own_database, DATABASE_DOOR), OBJECT_STORE: (self.own_store, STORE_DOOR)}
        own = [one for one in CHAT.get(self.interface, ()) if ways.get(one, (True, ""))[0]]
        led = [*ways.values(), (self.own_sign_in, SSO_DOOR)] if self.interface in CHAT else []
        return (*(door for is_own, door in led if not is_own), *own)

    @property
    def services(self) -> tuple[str, ...]:
        found = [*self.engines, *(self.of_chat if "chat" in self.groups else ())]
        found += [one for group, some in SERVICES.items() if group in self.groups for one in some]
        found += [one for group, some in MONITORING.items() if group in self.groups for one in some]
        if self.monitored and self.groups:
            of_groups = [some for group, some in WATCHED.items() if not group or group in self.groups]
            # An interface without accounts of its own has no database.
            has_database = POSTGRESQL in self.of_chat
            found += [one for some in of_groups for one in some if has_database or some != WATCHED["chat"]]
        found = [one for one in found if one != WATCHDOG or (self.watchdog and self.engines)]
        if {"gpu", "chat"} & set(self.groups) and self.supervisor not in ("quadlet", "venv"):
            found.append("docker")
        return tuple(dict.fromkeys([*found, *([FILTER] if found and self.firewall else [])]))

    @property
    def again(self) -> str:
        return f"run site.yml with --limit {self.name}"


@dataclass(frozen=True)
class Answer:
    """What came of asking a host.

    Attributes:
        stage: connect, python, run or done.
        clock_ahead: seconds by which its clock is surely before the control node's; negative where it is behind.
    """

    stage: str
    reading: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    seconds: float = 0.0
    clock_ahead: float = 0.0


@dataclass(frozen=True)
class Surveyed:
    """A host with all that was found; the worst first."""

    name: str
    groups: tuple[str, ...]
    answer: Answer
    findings: tuple[Finding, ...]

    @property
    def state(self) -> str:
        return worst([one.severity for one in self.findings])


def worst(severities: Iterable[str]) -> str:
    return max(severities, key=SEVERITIES.index, default=OK)


def is_bare(reading: Mapping[str, Any]) -> bool:
    """Whether no run has ever left something on a host."""
    return not (reading.get("services") or reading.get("files") or reading.get("stack"))


def container(reading: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a container of a host, empty where there is none of that name."""
    found = [one for program in ("docker", "podman") for one in (reading.get(program) or {}).get("containers", ())]
    return next((one for one in found if one["name"] == name), {})
