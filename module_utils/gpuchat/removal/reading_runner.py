# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what is there of the stack on a host: by the records of runs, and by what the host itself says."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass

from ..core import host
from ..packages import runner as packages_runner
from ..packages.plan import Ours
from ..system import environment_runner, files_runner, firewall, restart_runner, virtualenv_runner
from . import data_runner, docker_runner, podman_runner
from .data_runner import Data
from .plan import DOCKER, FIREWALL_SERVICE, OURS, PODMAN, Found

CONFIGURATION = "/etc/gpuchat"
MEMBERSHIP = f"{CONFIGURATION}/stack"
LEFT_BY_CERTBOT = tuple(f"{CONFIGURATION}/edge/{name}" for name in ("acme.pem", "acme.pem.new", "stapling.conf.new"))
"""What the hook of a renewal puts beside the edge's files."""

DRAINED = f"{CONFIGURATION}/door/drained"
"""What deploys/drain.py leaves while the host is out of rotation."""

CONTAINERD = {"containerd", "containerd.io"}
"""Packages that bring containerd."""

STAMPS = "/var/lib/systemd/timers"
NFTABLES = "nftables.service"
LETSENCRYPT = "/etc/letsencrypt/live"
"""Where certbot keeps certificates, but for ours."""

CLUSTERS = "/etc/postgresql"
"""Where Debian's PostgreSQL has what it keeps, a folder of each version with one of each cluster; ours is elsewhere."""


@dataclass(frozen=True)
class Reading:
    """What is there.

    Attributes:
        toolbox: the path of the toolbox.
    """

    found: Found
    data: Data
    toolbox: str


def read(toolbox: str, check: bool) -> Reading:
    """Read this host; what cannot be asked, because its program is not there, counts as not there."""
    sets = files_runner.manifests()
    services = tuple(restart_runner.names())
    names = {name for name in (*services, *sets) if name.startswith(OURS)}
    containers = docker_runner.containers()
    ours = tuple(sorted(one.name for one in containers if one.name in names))
    others = tuple(one for one in containers if one.name not in names)
    records = {role: packages_runner.read_record(role) for role in packages_runner.record_names()}
    packages = _packages(records)
    environment = virtualenv_runner.look(toolbox)
    installed = {name for names in packages.values() for name in names}
    podmans_others = podman_runner.others(names) if packages.get(PODMAN) else ()
    podman_is_ours = bool(packages.get(PODMAN)) and not podmans_others
    data = data_runner.read(sets, bool(packages.get(DOCKER)), bool(installed & CONTAINERD), podman_is_ours)
    there = os.path.isdir(host.STATE_DIRECTORY)
    found = Found(
        services=services,
        sets=tuple(sets),
        firewall=packet_filter() or FIREWALL_SERVICE in services,
        leftovers=_leftovers(),
        rooms=docker_runner.rooms(),
        containers=tuple(name for name in ours if name not in services),
        claims=docker_runner.claims(),
        packages=packages,
        masked={role: tuple(unit for unit in one.masked if _is_masked(unit)) for role, one in records.items()},
        held={role: one.held for role, one in records.items()},
        used=_used(records),
        others=(*(one.name for one in others), *docker_runner.spaces(check)),
        others_with_gpus=tuple(one.name for one in others if one.gpus),
        podmans_others=podmans_others,
        others_data=data.others,
        toolbox=not environment.occupied and bool(environment.target or environment.folders),
        environments=environment_runner.all_there(),
        account=environment_runner.account_is_ours(),
        strays=there,
        records=there,
        data=data_runner.is_left(data) or bool(data.folders),
        member=os.path.exists(MEMBERSHIP),
    )
    return Reading(found, data, toolbox)


def packet_filter() -> bool:
    """Tell whether our table is loaded."""
    listed = host.run(["nft", "--json", "list", "tables"])
    with contextlib.suppress(ValueError):
        return bool(firewall.loaded_digest(json.loads(listed.stdout)))
    return False


def _packages(records: dict[str, Ours]) -> dict[str, tuple[str, ...]]:
    """Return the packages that are there because of us, by role."""
    wanted = {role: one for role, one in records.items() if one.installed}
    system = packages_runner.system_here() if wanted else None
    if system is None:
        return {}
    there, chosen = set(system.installed()), system.chosen_since()
    # One that came along, and that somebody has asked for by name since, is theirs now.
    return {
        role: tuple(name for name in one.installed if name in there and (name in one.asked or name not in chosen))
        for role, one in wanted.items()
    }


def _used(records: dict[str, Ours]) -> dict[str, str]:
    """Return the roles whose packages somebody else uses by now: for services, or with files of their own."""
    used = {
        role: f"{unit} is not masked any more, so somebody uses it"
        for role, one in records.items()
        for unit in one.masked
        if not _is_masked(unit)
    }
    rules = host.run(["systemctl", "is-enabled", NFTABLES])
    if rules.stdout.strip().startswith("enabled"):
        used["firewall"] = f"{NFTABLES} is enabled, which the stack does not do, so it holds somebody else's rules"
    certificates = [name for name in host.names_in(LETSENCRYPT) if os.path.isdir(os.path.join(LETSENCRYPT, name))]
    if certificates:
        used["edge-acme"] = f"certbot keeps somebody else's certificates: {', '.join(certificates)}"
    clusters = [
        f"{version}/{name}"
        for version in host.names_in(CLUSTERS)
        for name in host.names_in(os.path.join(CLUSTERS, version))
        if os.path.exists(os.path.join(CLUSTERS, version, name, "postgresql.conf"))
    ]
    if clusters:
        used["postgresql"] = f"PostgreSQL keeps somebody else's databases: {', '.join(clusters)}"
    return used


def _is_masked(unit: str) -> bool:
    path = f"{packages_runner.SYSTEMD_UNITS}/{unit}"
    return os.path.islink(path) and os.readlink(path) == "/dev/null"


def _leftovers() -> tuple[str, ...]:
    sockets = [
        path
        for folder, _folders, names in os.walk(host.STATE_DIRECTORY)
        for path in (os.path.join(folder, name) for name in names)
        if _is_socket(path)
    ]
    stamps = [f"{STAMPS}/{name}" for name in host.names_in(STAMPS) if name.startswith(f"stamp-{OURS}")]
    return (*(path for path in (*LEFT_BY_CERTBOT, DRAINED) if os.path.lexists(path)), *sorted(sockets), *stamps)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def unknown(gone: Collection[str]) -> list[str]:
    """Return the files in the folder of our configuration that nobody has removed."""
    return sorted(
        path
        for folder, _folders, names in os.walk(CONFIGURATION)
        for path in (os.path.join(folder, name) for name in names)
        if path not in gone
    )


def tidy() -> bool:
    """Remove the folders of records that are empty, and say whether nothing is left of them."""
    for name in ("files", "services", "packages"):
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(host.STATE_DIRECTORY, name))
    with contextlib.suppress(OSError):
        os.rmdir(host.STATE_DIRECTORY)
    return not os.path.exists(host.STATE_DIRECTORY)
