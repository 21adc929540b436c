# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ensures the packages of one role on a host: its release, apt or dnf, the repository's files as a file set."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ..core import host
from ..core.change import Plan, merged
from ..core.errors import CommandFailed, Refusal
from ..system import files as fileset
from ..system import files_runner, space_runner
from ..system.release import Release
from . import apt_runner, authorities_runner, dnf_runner, openpgp
from .plan import (
    HINTS,
    RESIDUE,
    Act,
    InstalledPackage,
    Ours,
    Repository,
    WantedPackage,
    check_key,
    is_unfetched,
    kernel_packages,
    newer_kernels,
    packages_for,
    plan_packages,
    refuse_collateral,
    refuse_packages,
)

SYSTEMD_UNITS = "/etc/systemd/system"
KERNELS = "/lib/modules"
USERS, GROUPS = "/etc/passwd", "/etc/group"
PROGRAMS = {"apt": "apt-get", "dnf": "dnf"}


class System(Protocol):
    """What ``apt_runner`` and ``dnf_runner`` do, each in its own way.

    Attributes:
        ARCHITECTURES: the system's names of machines, where they differ from the kernel's.
        KEYS: the folder of repositories' keys.
        SUFFIX: what a key's file name ends in.
        NEEDED_TO_HOLD: packages without which nothing can be held.
    """

    ARCHITECTURES: Mapping[str, str]
    KEYS: str
    SUFFIX: str
    NEEDED_TO_HOLD: tuple[str, ...]

    def installed(self) -> dict[str, InstalledPackage]:
        """Return the packages that are there."""

    def owns(self, path: str) -> bool:
        """Whether a package has brought a file."""

    def key_file(self, key: bytes) -> bytes:
        """Return a key in the form that the system reads."""

    def repository_file(
        self, name: str, repository: Repository, key: str, arch: str
    ) -> tuple[fileset.WantedFile | None, str]:
        """Return a repository's file, None where somebody else has listed it, and why that cannot serve."""

    def removed_with(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return what would go along with some packages."""

    def remove(self, names: Sequence[str]) -> None:
        """Remove packages."""

    def purge(self, names: Sequence[str]) -> None:
        """Remove packages with their configuration."""

    def chosen_since(self) -> set[str]:
        """Return the packages that somebody has asked for by name, as far as the system keeps that."""

    def choose(self, names: Sequence[str], hints: Mapping[str, str]) -> tuple[str, ...]:
        """Return the packages with their exact versions."""

    def install(self, chosen: Sequence[str]) -> None:
        """Install packages."""

    def hold(self, names: Sequence[str]) -> None:
        """Keep packages at their versions."""

    def unhold(self, names: Sequence[str]) -> None:
        """Let packages be upgraded."""


def _check_commands(required: Sequence[Mapping[str, object]]) -> None:
    """Refuse a host on which a command fails that somebody else's installation has to bring."""
    for one in required:
        command = [str(word) for word in one["command"]]  # type: ignore[attr-defined]
        output = host.run(command, timeout=60)
        if output.rc != 0:
            said = output.text.strip().splitlines()
            raise Refusal(
                f"found that `{' '.join(command)}` does not work ({said[0] if said else output.rc}); wanted it to; "
                f"{one['hint']}"
            )


def _refuse_paths(refused: Mapping[str, str]) -> None:
    """Refuse a host that holds somebody else's installation which no package tells of."""
    for path, reason in refused.items():
        if os.path.lexists(path):
            raise Refusal(f"found {path}: {reason}")


def _refuse_commands(refused: Mapping[str, str], system: System) -> None:
    """Refuse a host on which somebody has put a program into the place of a package's."""
    for command, reason in refused.items():
        path = host.program(command)
        if path is not None and not system.owns(os.path.realpath(path)):
            raise Refusal(f"found {path}, which no package owns: {reason}")


def _kernel_packages(release: Release, by_release: Mapping[str, Mapping[str, str]]) -> tuple[WantedPackage, ...]:
    """Return what brings lacking modules to the kernel that runs, and to the newer ones that a restart may bring."""
    by_module = release.row(by_release)
    if not by_module:
        return ()
    running, machine = os.uname().release, os.uname().machine
    kernels = (running, *newer_kernels(running, host.names_in(KERNELS)))
    return tuple(one for kernel in kernels for one in kernel_packages(by_module, _modules(kernel), kernel, machine))


def _modules(kernel: str) -> str:
    return "".join(host.file_text(f"{KERNELS}/{kernel}/{name}") for name in ("modules.dep", "modules.builtin"))


NO_SPACE: Mapping[str, object] = {"paths": (), "minimum_gib": 0, "hint": ""}
IMAGE_BASED = "/run/ostree-booted"
"""Is there where the system is an image that nothing is installed into (ostree, bootc)."""

SYSTEMS: Mapping[str, System] = {"apt": apt_runner, "dnf": dnf_runner}


def system_here() -> System | None:
    """Return what this host manages packages by."""
    return SYSTEMS.get(_kind(Release.parse(host.os_release())))


def _kind(release: Release) -> str:
    """Return the kind of a release's package manager, or of the one that is there; empty where none is known."""
    return release.system or next((kind for kind, program in PROGRAMS.items() if host.program(program)), "")


def ensure(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Ensure the packages that a module's parameters describe, and return the module's result.

    Raises:
        Refusal: the host's release or packages do not allow it, or the repository's key is not the pinned one.
        CommandFailed: apt-get or dnf failed; the text holds what it said.
    """
    name = str(params["name"])
    present = params["state"] == "present"
    hold = bool(params["hold"])
    release = Release.parse(host.os_release())
    kind = _kind(release)
    system = SYSTEMS.get(kind)
    hints: dict[str, str] = {**HINTS, **params["hints"]}  # type: ignore[dict-item]
    machine = os.uname().machine
    arch = system.ARCHITECTURES.get(machine, machine) if system else machine
    tables: tuple[Mapping[str, Sequence[str]], Mapping[str, str]] = params["packages"], params["refused_releases"]  # type: ignore[assignment]
    wanted = packages_for(release, *tables, arch, hints["release"])
    if wanted and not system:
        raise Refusal(
            f"found {release.id or 'no'} {release.version} in /etc/os-release, and neither apt-get nor dnf; wanted a "
            f"host with one of them; {hints['release']}"
        )
    installed = system.installed() if system else {}
    if present:
        refuse_packages(installed, params["refused_packages"])  # type: ignore[arg-type]
        _refuse_paths(params["refused_paths"])  # type: ignore[arg-type]
        if system:
            _refuse_commands(params["refused_commands"], system)  # type: ignore[arg-type]
        _check_commands(params["required_commands"])  # type: ignore[arg-type]
        space_runner.ensure(params["space"] or NO_SPACE)  # type: ignore[arg-type]
    if not system:
        return Plan(reason="no package is wanted").result()
    trust = authorities_runner.ensure(params, kind, check, _installer(system, hints)) if present else None
    repository = _repository(params.get(f"{kind}_repository"), release, arch) if present else None
    files, notes, complaint = (
        _repository_files(name, repository, system, arch, check, hints) if repository else ((), (), "")
    )
    manifest = host.read_json(files_runner.manifest_path(f"repository-{name}"))
    paths = [file.path for file in files] + list(fileset.owned_paths(manifest))
    states = {path: host.file_state(path) for path in paths}
    file_plan = Plan() if complaint else fileset.plan_files(files, states, manifest, former=files_runner.former())
    own_holds = _own_holds(name)
    plan = plan_packages(
        wanted,
        installed,
        needed_to_hold=system.NEEDED_TO_HOLD,
        unheld=_kernel_packages(release, params["kernel_modules"]) if present else (),  # type: ignore[arg-type]
        conflicts=(release.row(params["conflicts"]) or ()) if present else (),  # type: ignore[arg-type]
        hold=hold,
        present=present,
        own_holds=own_holds,
        repository_changes=file_plan.differences,
        units_to_mask=_unmasked(params["masked_units"], bool(params["spares_running_units"])) if present else (),  # type: ignore[arg-type]
    )
    acts = [act for act in plan.actions if isinstance(act, Act)]
    wished = [name for act in acts if act.act == "install" for name in act.names]
    if complaint and wished:
        raise Refusal(complaint)
    if wished and os.path.exists(IMAGE_BASED):
        raise Refusal(
            f"found a host whose packages come with its image ({IMAGE_BASED}), without {', '.join(wished)}; wanted "
            "them there; add them to the image, or layer them by `rpm-ostree install`, restart the host and run again"
        )
    for act in acts:
        if act.act == "remove":
            refuse_collateral(system.removed_with(act.names), act.names)
    if not check:
        if file_plan.actions:
            files_runner.apply(f"repository-{name}", file_plan)
        _apply(acts, system, name, hints)
    result = Plan(plan.differences, plan.actions, plan.reason, notes).result()
    return merged(result, trust) if trust else result


def _installer(system: System, hints: Mapping[str, str]) -> Callable[[str], None]:
    """Return what installs a package that a company's authorities need."""
    return lambda package: _apply([Act("install", (package,))], system, authorities_runner.NAME, hints)


def _repository(one: object, release: Release, arch: str) -> Repository | None:
    if not isinstance(one, dict):
        return None
    words = {key: release.filled(str(one.get(key) or ""), arch) for key in ("url", "suite", "key_url")}
    return Repository(
        **words,
        components=tuple(one.get("components") or ()),
        key_fingerprint=str(one["key_fingerprint"] or ""),
        signed=str(one.get("signed") or "packages"),
    )


def _repository_files(
    name: str, repository: Repository, system: System, arch: str, check: bool, hints: Mapping[str, str]
) -> tuple[tuple[fileset.WantedFile, ...], tuple[str, ...], str]:
    """Return the repository's key and file, what could not be predicted of them, and why they cannot serve."""
    path = f"{system.KEYS}/gpuchat-{name}{system.SUFFIX}" if repository.key_url else ""
    file, complaint = system.repository_file(name, repository, path, arch)
    if file is None:
        return (), (), complaint
    if not path:
        return (file,), (), complaint
    key, notes = _key(repository, path, system, check, hints)
    return (fileset.WantedFile(path, key, 0o644), file), notes, complaint


def _key(
    repository: Repository, path: str, system: System, check: bool, hints: Mapping[str, str]
) -> tuple[bytes, tuple[str, ...]]:
    """Return the pinned key: the one on the host where it is the right one, else the one at its address."""
    there = host.file_state(path)
    if there is not None and there.content is not None:
        with contextlib.suppress(Refusal):  # a damaged or foreign one is fetched anew
            check_key(openpgp.fingerprints(there.content), repository.key_fingerprint, path)
            return there.content, ()
    answer = host.http(repository.key_url, timeout=30)
    if answer.status == 0 and check:
        described = f"the key with the fingerprint {repository.key_fingerprint}, from {repository.key_url}\n"
        return described.encode(), (f"the key at {repository.key_url}: it is not reached ({answer.error})",)
    if answer.status != 200:
        # A key that lies in its repository is missing where there is no such repository, as of a newer release.
        is_inside = answer.status == 404 and repository.key_url.startswith(f"{repository.url}/")
        raise Refusal(
            f"{repository.key_url} answered {answer.status or answer.error}; wanted the repository's key; "
            f"{hints['repository' if is_inside else 'key']}"
        )
    found = openpgp.fingerprints(answer.body, hints["key"])
    check_key(found, repository.key_fingerprint, repository.key_url, hints["fingerprint"])
    return system.key_file(answer.body), ()


def _unmasked(units: Sequence[str], spares_running: bool = False) -> tuple[str, ...]:
    """Return which units are to be masked; one that runs already is its owner's, in ours' way or not."""
    missing = []
    for unit in units:
        link = pathlib.Path(SYSTEMD_UNITS) / unit
        if link.is_symlink() and os.readlink(link) == "/dev/null":
            continue
        active = host.run(["systemctl", "is-active", unit]).stdout.strip()
        if active == "active" and spares_running:
            continue
        if active == "active":
            raise Refusal(
                f"{unit} already runs on this host and is not gpuchat's; wanted its ports for gpuchat's own service; "
                f"move its sites to another host and run `systemctl disable --now {unit}`"
            )
        missing.append(unit)
    return tuple(missing)


def _holds_path(name: str) -> str:
    return f"{host.STATE_DIRECTORY}/packages/{name}.json"


def _own_holds(name: str) -> tuple[str, ...]:
    return read_record(name).held


def read_record(name: str) -> Ours:
    """Return what runs have done to this host's packages for a role."""
    return Ours.read(host.read_json(_holds_path(name)))


def write_record(name: str, ours: Ours) -> None:
    """Keep it."""
    if ours != read_record(name):
        host.write_json(_holds_path(name), ours.as_json())


def forget_record(name: str) -> None:
    """Keep nothing of a role's packages any more."""
    host.remove_file(_holds_path(name))


def record_names() -> list[str]:
    """Return the roles whose packages runs have recorded."""
    return host.names_in(os.path.dirname(_holds_path("x")), ".json")


def _accounts(path: str) -> set[str]:
    return {line.partition(":")[0] for line in host.file_text(path).splitlines()}


def _apply(acts: Sequence[Act], system: System, name: str, hints: Mapping[str, str]) -> None:
    # What is to come is looked for before anything goes.
    chosen = [name for act in acts if act.act == "install" for name in system.choose(act.names, hints)]
    for act in acts:
        if act.act == "mask":
            write_record(name, read_record(name).more(masked=act.names))
            host.must(["systemctl", "mask", *act.names])
        elif act.act == "remove":
            _remove(system, name, act.names)
        elif act.act == "install":
            _install(system, name, [one.partition("=")[0] for one in act.names], chosen, hints)
        elif act.act == "hold":  # recorded first: a run may die in between, and a hold of ours must be known as ours
            write_record(name, read_record(name).more(held=act.names))
            system.hold(act.names)
        elif act.act == "unhold":
            system.unhold(act.names)
            write_record(name, read_record(name).less(held=act.names))


def _install(system: System, name: str, wanted: Sequence[str], chosen: Sequence[str], hints: Mapping[str, str]) -> None:
    """Install packages, and keep which of them, and of those that came along, were not there before.

    Raises:
        CommandFailed: they cannot be installed, or did not come from their repository; the text holds what was said.
    """
    before, users, groups = set(system.installed()), _accounts(USERS), _accounts(GROUPS)
    lacking = [path for path in RESIDUE if not os.path.lexists(path)]
    new = [one for one in wanted if one not in before]
    write_record(name, read_record(name).more(installed=new, asked=new))
    try:
        system.install(chosen)
    except CommandFailed as failed:
        if not is_unfetched(str(failed)):
            raise
        raise CommandFailed(
            f"found that packages cannot be fetched; wanted them from their repository; {hints['repository']}. {failed}"
        ) from None
    came = {"installed": set(system.installed()) - before}
    accounts = {"users": _accounts(USERS) - users, "groups": _accounts(GROUPS) - groups}
    made = [path for path in lacking if os.path.lexists(path)]
    write_record(name, read_record(name).more(**came, **accounts, made=made))


def _remove(system: System, name: str, names: Sequence[str]) -> None:
    """Remove packages, and keep which of them somebody else had installed."""
    there = system.installed()
    roles = sorted({name, *record_names()})
    ours = {one for role in roles for one in read_record(role).installed}
    theirs = [f"{one}={there[one].version}" for one in names if one in there and one not in ours]
    write_record(name, read_record(name).more(made_way=theirs))
    system.remove(names)
    for role in roles:
        write_record(role, read_record(role).less(installed=names, asked=names))
