# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a removal does with what runs have recorded on a host: which steps, in which order, and what stays and why.

Nobody comes in any more before anything else goes; what starts things goes before what it starts; a program goes after
its configuration has been taken back; and the word that the host belongs to a stack goes last, so that a removal that
was interrupted is known for what it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

OURS = "gpuchat-"
FIREWALL_SET, FIREWALL_SERVICE = "firewall", "gpuchat-firewall"
DOCKER, PODMAN, TOOLKIT = "docker", "podman", "nvidia-container-toolkit"
CDI_SET = "nvidia-cdi"
TOOLKIT_OWNER = "nvidia_container_toolkit"
REPOSITORY_SET = "repository-"
DRIVER = ("nvidia-driver", "nvidia-driver-headers")
"""Roles whose packages are a kernel's and a driver's: without them, a host may not start as it did."""

ENTRANCES = (f"{OURS}edge", f"{OURS}acme", f"{OURS}door")
STARTERS = (".timer", ".path", ".socket")
WATCH, ENGINE = "watch", f"{OURS}vllm"
KEEPERS = (f"{OURS}postgresql", f"{OURS}object-store")
"""What keeps what people have said and given; it ends after the interface that writes there."""

DATA_IN_PURGE = ("docker.io", "containerd", "certbot")
"""Packages of Debian's whose purge deletes what their program has kept: images and volumes, certificates."""


@dataclass(frozen=True)
class Wishes:
    """What is asked for.

    Attributes:
        packages: packages that runs installed go too.
        data: models, caches, images and what services have kept go too.
    """

    packages: bool = True
    data: bool = False


@dataclass(frozen=True)
class Found:
    """What is there of the stack.

    Attributes:
        services: names of services that runs have recorded.
        sets: names of file sets that runs have recorded.
        firewall: a packet filter of ours is loaded or recorded.
        leftovers: files that our programs have made beside what runs have recorded: sockets, a certificate in use.
        rooms: container networks of ours.
        containers: containers of ours, whatever runs them.
        claims: owners of keys of ours by daemon.json.
        packages: packages that runs installed and that are still there, by role.
        masked: units that runs have masked, by role.
        held: packages that runs hold, by role.
        used: roles whose packages somebody else uses by now, each with the reason.
        others: containers of somebody else's.
        others_with_gpus: those of them that use GPUs.
        podmans_others: what Podman runs and keeps for somebody else.
        others_data: what Docker keeps that is neither ours nor can be had again: volumes, images that were built here.
        toolbox: the toolbox's environment is there.
        environments: folders of engines' virtual environments, and uv's own.
        account: the account of engines without containers is there.
        strays: it is recorded what was there before, for folders and files that may be in no file set any more.
        records: there is a folder of records.
        data: what is there of models, caches, images and the like.
        member: the host remembers a stack.
    """

    services: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    firewall: bool = False
    leftovers: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    masked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    held: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    used: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    others_with_gpus: tuple[str, ...] = ()
    podmans_others: tuple[str, ...] = ()
    others_data: tuple[str, ...] = ()
    toolbox: bool = False
    environments: tuple[str, ...] = ()
    account: bool = False
    strays: bool = False
    records: bool = False
    data: bool = False
    member: bool = False


@dataclass(frozen=True)
class Step:
    """One step: its kind, and the names that it is about.

    The kinds: service (stopped and not started any more), forget (a service of somebody else's, which goes on),
    container, firewall, leftover, set, room, toolbox, environment (folders of engines'), account (the engines'), claim
    (a daemon.json and its owner), packages (of roles), unhold
    (a role's), unmask, data, strays, records, membership.
    """

    kind: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stays:
    """What is left where it is, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Removal:
    """What is to be done in its order, and what stays.

    Attributes:
        docker_goes: Docker is removed with its packages.
        purged: whether packages whose purge deletes data are purged too.
    """

    steps: tuple[Step, ...]
    stays: tuple[Stays, ...]
    docker_goes: bool
    purged: bool


def plan_removal(found: Found, wishes: Wishes) -> Removal:
    """Decide what is done with what is there."""
    kept = _kept_roles(found, wishes)
    docker_goes = bool(found.packages.get(DOCKER)) and DOCKER not in kept
    keeps_toolkit = bool(found.others_with_gpus)
    steps: list[Step] = [Step("service", (name,)) for name in _services(found)]
    steps += [Step("container", found.containers)] if found.containers else []
    steps += [Step("firewall")] if found.firewall or FIREWALL_SET in found.sets else []
    steps += [Step("leftover", found.leftovers)] if found.leftovers else []
    steps += [Step("set", (name,)) for name in found.sets if _goes_early(name, keeps_toolkit)]
    steps += [Step("room", found.rooms)] if found.rooms else []
    steps += [Step("toolbox")] if found.toolbox else []
    steps += [Step("environment", found.environments)] if found.environments else []
    steps += [Step("account")] if found.account else []
    steps += [
        Step("claim", (path, owner))
        for path, owners in found.claims.items()
        for owner in owners
        if not (keeps_toolkit and owner == TOOLKIT_OWNER)
    ]
    # Only then: by its record, Docker is known to have something to take up.
    steps += [Step("forget", (name,)) for name in found.services if _is_forgotten(name, keeps_toolkit)]
    roles = [role for role in sorted(found.packages) if role not in kept and found.packages[role]]
    # Docker after what is built on it; apt itself keeps the order within.
    roles.sort(key=lambda role: role == DOCKER)
    # Podman's images go by its own command, so it stays until they have gone.
    later = tuple(role for role in roles if role == PODMAN and wishes.data)
    roles = [role for role in roles if role not in later]
    steps += [Step("packages", tuple(roles))] if roles else []
    steps += [
        Step("unhold", (role,)) for role in sorted(found.held) if found.held[role] and role not in (*roles, *later)
    ]
    # A unit that was masked before its package came would start with the host where the package stays.
    steps += [
        Step("unmask", found.masked[role]) for role in sorted(found.masked) if found.masked[role] and role not in kept
    ]
    steps += [
        Step("set", (name,))
        for name in found.sets
        if name.startswith(REPOSITORY_SET) and name[len(REPOSITORY_SET) :] not in kept
    ]
    steps += [Step("data")] if found.data and wishes.data else []
    steps += [Step("packages", later)] if later else []
    steps += [Step("strays")] if found.strays else []
    steps += [Step("records")] if found.records else []
    steps += [Step("membership")] if found.member else []
    stays = [Stays(f"packages of {role}: {', '.join(found.packages[role])}", reason) for role, reason in kept.items()]
    if keeps_toolkit and any(TOOLKIT_OWNER in owners for owners in found.claims.values()):
        stays.append(Stays("NVIDIA's runtime in Docker's daemon.json", _used_by(found.others_with_gpus)))
    return Removal(tuple(steps), tuple(stays), docker_goes, wishes.data and not found.others_data)


def _used_by(containers: Collection[str]) -> str:
    return f"somebody else's containers use it: {', '.join(sorted(containers))}"


def _kept_roles(found: Found, wishes: Wishes) -> dict[str, str]:
    """Return the roles whose packages stay although runs installed them, and why."""
    kept: dict[str, str] = {}
    for role in sorted(role for role, names in found.packages.items() if names):
        if not wishes.packages:
            kept[role] = "packages were to be kept (remove_packages is false)"
        elif role in DRIVER:
            kept[role] = "a kernel and its driver are for hands that can start the host without them"
        elif role in found.used:
            kept[role] = found.used[role]
        elif role == DOCKER and found.others:
            kept[role] = f"Docker runs somebody else's containers: {', '.join(sorted(found.others))}"
        elif role == PODMAN and found.podmans_others:
            kept[role] = f"Podman runs or keeps somebody else's: {', '.join(found.podmans_others)}"
        elif role == TOOLKIT and found.others_with_gpus:
            kept[role] = _used_by(found.others_with_gpus)
    return kept


def _is_forgotten(name: str, keeps_toolkit: bool) -> bool:
    """Whether what is recorded of somebody else's service goes; the service itself goes on."""
    return not name.startswith(OURS) and not (keeps_toolkit and name.startswith((DOCKER, CDI_SET)))


def _goes_early(name: str, keeps_toolkit: bool) -> bool:
    """Whether a file set goes before the packages; a repository's goes after them."""
    return name != FIREWALL_SET and not name.startswith(REPOSITORY_SET) and not (keeps_toolkit and name == CDI_SET)


def _services(found: Found) -> list[str]:
    """Return our services in the order in which they stop."""
    ours = [name for name in found.services if name.startswith(OURS) and name != FIREWALL_SERVICE]
    return sorted(ours, key=lambda name: (_rank(name), name))


def _rank(name: str) -> int:
    if name.endswith(STARTERS) or WATCH in name:
        return 1  # or it would start again what stops next
    if name.startswith(ENTRANCES):
        return 0
    return 4 if name.startswith(ENGINE) else 3 if name in KEEPERS else 2


def purge_and_remove(names: Collection[str], purged: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which packages go with their configuration, and which without, for it holds data that stays."""
    holding = tuple(sorted(set(names) & set(DATA_IN_PURGE))) if not purged else ()
    return tuple(sorted(set(names) - set(holding))), holding
