# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the stack from a host, by what runs have recorded there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core import host
from ..core.change import Difference, Plan, merged
from ..core.errors import Refusal
from ..docker import container_runner, daemon_runner
from ..packages import authorities_runner
from ..packages import runner as packages_runner
from ..system import (
    environment_runner,
    files,
    files_runner,
    firewall,
    firewall_runner,
    service_runner,
    virtualenv_runner,
)
from . import data_runner, docker_runner, packages_removal_runner, podman_runner, reading_runner, trees_runner
from .plan import PODMAN, Removal, Stays, Step, Wishes, plan_removal
from .reading_runner import MEMBERSHIP, Reading

CONFIRMED = ("yes", "true")
LEFT_EMPTY = ("/opt/gpuchat", "/srv/models")
"""Folders that parts of the stack share, and that no file set records."""


@dataclass
class Run:
    """A removal at work.

    Attributes:
        gone: files and folders that are removed, or would be.
        removed: what was removed, or would be, for people.
        stays: what is left, and why.
    """

    reading: Reading
    removal: Removal
    wishes: Wishes
    check: bool
    gone: set[str] = field(default_factory=set)
    removed: list[str] = field(default_factory=list)
    stays: list[Stays] = field(default_factory=list)


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Remove the stack from this host, and return the module's result.

    Raises:
        Refusal: it was not confirmed, or Docker would start without somebody else's containers; nothing was changed.
        CommandFailed: a command failed; what is left is removed by the next run.
    """
    if not check and str(params["confirm"]).lower() not in CONFIRMED:
        raise Refusal(
            "found no confirmation; wanted one, for the stack is removed from this host; look at what would go with "
            "--check --diff, and set confirm (remove_confirm) to yes"
        )
    wishes = Wishes(bool(params["packages"]), bool(params["data"]))
    reading = reading_runner.read(str(params["toolbox"]), check)
    removal = plan_removal(reading.found, wishes)
    run = Run(reading, removal, wishes, check, stays=list(removal.stays))
    for step in removal.steps:
        if step.kind == "claim":
            _claim(run, step, True)  # refused before anything has gone
    if not check and removal.steps:
        data_runner.remember(reading.data)
    results = []
    for step in removal.steps:
        result = ACTS[step.kind](run, step)
        results.append(result)
        if result["changed"] and step.kind not in ("strays", "records"):
            run.removed.append(" ".join([WORDS.get(step.kind, step.kind), ", ".join(step.names)]).strip())
    whole = merged(*results) if results else Plan().result()
    kept = [{"name": one.name, "reason": one.reason, "bytes": 0} for one in run.stays]
    kept += data_runner.kept(reading.data, wishes.data, check)
    whole["msg"] = f"{len(run.removed)} parts of the stack are removed" if run.removed else "nothing is left to remove"
    return {**whole, "removed": run.removed, "kept": kept}


def _nothing() -> dict[str, object]:
    return Plan().result()


def _gone(*names: str) -> dict[str, object]:
    """Return the result of a step that removes things, each by its name."""
    differences = tuple(Difference(name, "there\n", "") for name in names)
    return Plan(differences, tuple(names), "").result()


def _service(run: Run, step: Step) -> dict[str, object]:
    name = step.names[0]
    given = {
        "name": name,
        "supervisor": str(host.read_json(service_runner.record_path(name)).get("supervisor") or "systemd"),
        "state": "absent",
        "digest": None,
        "reload_digest": None,
        "adopt": False,
        "compose_file": None,
    }
    return service_runner.ensure(given, run.check)


def _forget(run: Run, step: Step) -> dict[str, object]:
    if not run.check:
        host.remove_file(service_runner.record_path(step.names[0]))
    return _gone(f"record of the service {step.names[0]}")


def _container(run: Run, step: Step) -> dict[str, object]:
    if not run.check:
        host.must(["docker", "rm", "--force", *step.names])
    return _gone(*(f"container {name}" for name in step.names))


def _firewall(run: Run, _step: Step) -> dict[str, object]:
    manifest = host.read_json(files_runner.manifest_path("firewall"))
    given: dict[str, object] = {"openings": [], "rooms": [], "undo_seconds": 60, "confirm": False, "state": "absent"}
    result = firewall_runner.ensure(given, run.check)
    run.gone |= set(files.owned_paths(manifest))
    loaded = reading_runner.packet_filter()
    if loaded and not run.check:  # by whoever has stopped its service otherwise
        host.must(["nft", "delete", "table", "inet", firewall.TABLE])
    if not run.check:
        host.remove_file(firewall_runner.FIREWALLD_RECORD)
    return result if result["changed"] or not loaded else _gone(f"nftables table inet {firewall.TABLE}")


def _leftover(run: Run, step: Step) -> dict[str, object]:
    there = [path for path in step.names if os.path.lexists(path)]
    run.gone |= set(there)
    below = f"{host.STATE_DIRECTORY}/"
    for path in () if run.check else there:
        if path.startswith(below):  # among these are folders of the services' own accounts
            trees_runner.unlink_socket(host.STATE_DIRECTORY, path)
        else:
            os.unlink(path)
    return _gone(*there)


def _set(run: Run, step: Step) -> dict[str, object]:
    run.gone |= set(files.owned_paths(host.read_json(files_runner.manifest_path(step.names[0]))))
    given: dict[str, object] = {
        "name": step.names[0],
        "state": "absent",
        "files": [],
        "validate": None,
        "validate_requires": [],
        "partial": False,
    }
    result = files_runner.ensure(given, run.check)
    changed: list[str] = result["changed_files"]  # type: ignore[assignment]
    if not run.check:
        authorities_runner.refresh_for(changed)
    if not run.check and any(path.startswith("/etc/systemd/") for path in changed):
        host.run(["systemctl", "daemon-reload"])
    if not run.check:
        container_runner.forget_units(result)
    return result


def _room(run: Run, step: Step) -> dict[str, object]:
    removed = []
    for name in step.names:
        if run.check or host.run(["docker", "network", "rm", name]).rc == 0:
            removed.append(f"network {name}")
        else:
            run.stays.append(Stays(f"the network {name}", "a container is attached to it still"))
    return _gone(*removed)


def _toolbox(run: Run, _step: Step) -> dict[str, object]:
    return virtualenv_runner.ensure({"path": run.reading.toolbox, "state": "absent", "index_url": ""}, run.check)


def _environment(run: Run, step: Step) -> dict[str, object]:
    run.gone |= set(step.names)
    if not run.check:
        environment_runner.remove_all()
    return _gone(*step.names)


def _account(run: Run, _step: Step) -> dict[str, object]:
    if not run.check:
        environment_runner.remove_account()
    return _gone(f"account {environment_runner.ACCOUNT}")


def _claim(run: Run, step: Step, check: bool | None = None) -> dict[str, object]:
    path, owner = step.names
    last = [one for one in run.removal.steps if one.kind == "claim"][-1]
    # A Docker that goes needs no restart, and one that stood still is not started for it.
    takes_it_up = step == last and path == daemon_runner.DAEMON_JSON and not run.removal.docker_goes
    runs = takes_it_up and service_runner.unit_properties("docker").get("ActiveState") == "active"
    given = {"path": path, "owner": owner, "service": "docker" if runs else "", "state": "absent"}
    return daemon_runner.ensure(given, run.check if check is None else check)


def _packages(run: Run, step: Step) -> dict[str, object]:
    names = {role: run.reading.found.packages[role] for role in step.names}
    keeps = _keeps(run)
    is_empty = PODMAN in step.names and podman_runner.is_empty()
    result, needed, accounts = packages_removal_runner.remove(names, run.removal.purged, run.check, keeps)
    run.stays += [
        Stays(f"the package {name}", f"it is needed by {', '.join(by)}, which is not the stack's")
        for name, by in needed.items()
    ]
    run.stays += [Stays(name, why) for name, why in accounts.items()]
    if run.removal.docker_goes and not run.check:
        docker_runner.tidy_after_packages()
    if is_empty and not run.check:
        podman_runner.tidy()
    return result


def _keeps(run: Run) -> frozenset[str]:
    """Return the accounts whose files stay."""
    return frozenset() if run.wishes.data else data_runner.owners()


def _unhold(run: Run, step: Step) -> dict[str, object]:
    names = run.reading.found.held[step.names[0]]
    if not run.check:
        system = packages_runner.system_here()
        if system:
            system.unhold(names)
        ours = packages_runner.read_record(step.names[0])
        packages_runner.write_record(step.names[0], ours.less(held=names))
    return _gone(*(f"hold of {name}" for name in names))


def _unmask(run: Run, step: Step) -> dict[str, object]:
    if not run.check:
        host.must(["systemctl", "unmask", *step.names])
    return _gone(*(f"mask of {name}" for name in step.names))


def _data(run: Run, _step: Step) -> dict[str, object]:
    removed, stays = data_runner.remove(run.reading.data, run.removal, run.check, run.reading.found.used)
    run.stays += stays
    run.gone |= set(removed)
    return _gone(*removed)


def _strays(run: Run, _step: Step) -> dict[str, object]:
    """Give back what is still recorded as somebody else's, and remove empty folders that runs have made."""
    going = {step.names[0] for step in run.removal.steps if step.kind == "set"} | {"firewall"}
    stay = [manifest for name, manifest in files_runner.manifests().items() if name not in going]
    needed = {path for manifest in stay for path in files.owned_paths(manifest)}
    former = files_runner.former()
    done: list[str] = []
    removed: list[str] = []
    for path in sorted(former, key=lambda one: (-one.count("/"), one)):
        before = former[path]
        if path in needed or any(one.startswith(f"{path}/") for one in needed) or path == host.STATE_DIRECTORY:
            continue
        is_new_link = os.path.islink(path) and not before.link and (before.is_folder or not before.there)
        if is_new_link or trees_runner.led_astray(path):
            # No run puts a link anywhere but in the place of one.
            done.append(path)
            run.stays.append(Stays(path, "no run has put the link there"))
        elif before.is_folder and os.path.isdir(path):
            done.append(path)
            if not run.check:
                trees_runner.give_back_folder(path, before.uid, before.gid, before.mode)
        elif os.path.isdir(path) and not os.path.islink(path):
            if _becomes_empty(run, path):
                removed.append(path)
                done.append(path)
        else:
            done.append(path)
            if not run.check and (os.path.lexists(path) or before.there):
                files_runner.put_back(path, before)
    shared = [path for path in LEFT_EMPTY if os.path.isdir(path) and path not in former]
    removed += [path for path in shared if _becomes_empty(run, path)]
    if not run.check:
        files_runner.forget_former(done)
        # A set may have gone before those whose folders lie in its own.
        for top in (os.path.dirname(MEMBERSHIP), host.STATE_DIRECTORY, data_runner.CACHE):
            trees_runner.remove_empty_below(top)
    return _gone(*removed) if removed else _nothing()


def _becomes_empty(run: Run, folder: str) -> bool:
    """Remove a folder that is empty, or will be, and say whether that is so."""
    if os.path.ismount(folder) or os.path.islink(folder):
        return False
    if set(os.listdir(folder)) - {os.path.basename(path) for path in run.gone if os.path.dirname(path) == folder}:
        return False
    run.gone.add(folder)
    if not run.check:
        with contextlib.suppress(OSError):
            os.rmdir(folder)
        return not os.path.isdir(folder)
    return True


def _records(run: Run, _step: Step) -> dict[str, object]:
    """Remove the records that nothing is left to be told of, and their folder."""
    if run.check:
        return _nothing()
    roles = packages_runner.record_names()
    system = packages_runner.system_here() if roles else None
    there = system.installed() if system else {}
    for role in roles:
        ours = packages_runner.read_record(role)
        if set(ours.installed) & set(there):
            continue
        if ours.users:  # whose files had stayed
            kept = packages_removal_runner.forget(role, ours.installed, _keeps(run))
            told = {one.name for one in run.stays}
            run.stays += [Stays(name, reason) for name, reason in kept.items() if name not in told]
            if packages_runner.read_record(role).users:
                continue
        packages_runner.forget_record(role)
        why = "it made way for the stack; install it anew where it is wanted"
        run.stays += [Stays(f"the package {one} is not there", why) for one in ours.made_way]
    docker_runner.forget_claims()
    if not data_runner.is_left(data_runner.read({}, docker_is_ours=False)):
        data_runner.forget()
    return _nothing() if not reading_runner.tidy() else _gone(host.STATE_DIRECTORY)


def _membership(run: Run, _step: Step) -> dict[str, object]:
    if not run.check:
        host.remove_file(MEMBERSHIP)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(MEMBERSHIP))
    left = reading_runner.unknown(run.gone | {MEMBERSHIP})
    run.stays += [Stays(path, "no run has put it there") for path in left]
    return _gone(MEMBERSHIP)


ACTS: Mapping[str, Callable[[Run, Step], dict[str, object]]] = {
    "service": _service,
    "forget": _forget,
    "container": _container,
    "firewall": _firewall,
    "leftover": _leftover,
    "set": _set,
    "room": _room,
    "toolbox": _toolbox,
    "environment": _environment,
    "account": _account,
    "claim": _claim,
    "packages": _packages,
    "unhold": _unhold,
    "unmask": _unmask,
    "data": _data,
    "strays": _strays,
    "records": _records,
    "membership": _membership,
}
WORDS = {
    "firewall": "the packet filter",
    "set": "files of",
    "forget": "what is recorded of the service",
    "leftover": "files that programs have left:",
    "room": "the network",
    "toolbox": "the toolbox",
    "environment": "virtual environments of engines:",
    "account": "the account of engines",
    "claim": "keys of Docker's settings:",
    "packages": "packages of",
    "unhold": "holds of packages of",
    "unmask": "the mask of",
    "data": "models, caches and images",
    "membership": "what the host remembers of the stack",
}
