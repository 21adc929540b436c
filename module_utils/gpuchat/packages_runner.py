# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and changes apt's packages: dpkg's own state file, apt-get, repository files as a file set."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Mapping, Sequence

from . import fileset, fileset_runner, host, openpgp
from .packages import (
    Act,
    Release,
    Repository,
    check_key,
    packages_for,
    parse_dpkg_status,
    plan_packages,
    refuse_packages,
    sources_text,
)
from .plan import Plan, Refusal

SYSTEMD_UNITS = "/etc/systemd/system"
DPKG_STATUS = "/var/lib/dpkg/status"
APT_GET = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=600", "-o", "Dpkg::Options::=--force-confold")
APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "a"}


def bring(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Bring the packages that a module's parameters describe into their state, and return the module's result.

    Raises:
        Refusal: the host is not one that apt manages, or the repository's key is not the pinned one.
        CommandFailed: apt-get failed; the text holds what it said.
    """
    status = host.file_state(DPKG_STATUS)
    if status is None or status.content is None:
        raise Refusal(f"found no {DPKG_STATUS}; wanted a host with dpkg and apt (Debian, Ubuntu)")
    name = str(params["name"])
    present = params["state"] == "present"
    os_release = host.file_state("/etc/os-release")
    release = Release.parse((os_release.content or b"").decode() if os_release else "")
    repository = _repository(params.get("repository"), release) if present else None
    files = _repository_files(name, repository) if repository and not _listed_elsewhere(name, repository) else ()
    set_name = f"apt-{name}"
    manifest = host.read_json(fileset_runner.manifest_path(set_name))
    paths = [file.path for file in files] + list(fileset.owned_paths(manifest))
    file_plan = fileset.plan_files(files, {path: host.file_state(path) for path in paths}, manifest)
    installed = parse_dpkg_status(status.content.decode(errors="replace"))
    if present:
        refuse_packages(installed, params["refused_packages"])  # type: ignore[arg-type]
    plan = plan_packages(
        packages_for(release, params["packages"], params["refused_releases"]),  # type: ignore[arg-type]
        installed,
        conflicts=params["conflicts"] if present else (),  # type: ignore[arg-type]
        hold=bool(params["hold"]),
        present=present,
        repository_changes=file_plan.differences,
        units_to_mask=_unmasked(params["masked_units"]) if present else (),  # type: ignore[arg-type]
    )
    if not check:
        _apply(plan, set_name, file_plan)
    return plan.result()


def _repository(params: object, release: Release) -> Repository | None:
    if not isinstance(params, dict):
        return None
    return Repository(
        url=release.filled(str(params["url"])),
        suite=release.filled(str(params["suite"])),
        components=tuple(params["components"]),
        key_url=release.filled(str(params["key_url"] or "")),
        key_fingerprint=str(params["key_fingerprint"] or ""),
    )


def _repository_files(name: str, repository: Repository) -> tuple[fileset.WantedFile, ...]:
    keyring = f"/etc/apt/keyrings/gpuchat-{name}.gpg" if repository.key_url else ""
    sources = f"/etc/apt/sources.list.d/gpuchat-{name}.sources"
    files = [fileset.WantedFile(sources, sources_text(repository, keyring).encode(), 0o644)]
    if keyring:
        files.insert(0, fileset.WantedFile(keyring, _key(repository, keyring), 0o644))
    return tuple(files)


def _listed_elsewhere(name: str, repository: Repository) -> bool:
    """Whether somebody else's source names the repository already: apt refuses two with different keys."""
    own = f"gpuchat-{name}.sources"
    paths = [pathlib.Path("/etc/apt/sources.list"), *pathlib.Path("/etc/apt/sources.list.d").glob("*")]
    return any(
        repository.url in path.read_text(encoding="utf-8", errors="replace")
        for path in paths
        if path.is_file() and path.name != own
    )


def _key(repository: Repository, keyring: str) -> bytes:
    """Return the pinned key: the one on the host where it is the right one, else the one at its address."""
    there = host.file_state(keyring)
    if there is not None and there.content is not None:
        with contextlib.suppress(Refusal):  # a damaged or foreign one is fetched anew
            check_key(openpgp.fingerprints(there.content), repository.key_fingerprint, keyring)
            return there.content
    answer = host.http(repository.key_url, timeout=30)
    if answer.status != 200:
        raise Refusal(
            f"{repository.key_url} answered {answer.status or answer.error}; wanted the repository's key; "
            "set key_url to an address that this host reaches"
        )
    check_key(openpgp.fingerprints(answer.body), repository.key_fingerprint, repository.key_url)
    return openpgp.dearmored(answer.body)


def _unmasked(units: Sequence[str]) -> tuple[str, ...]:
    missing = []
    for unit in units:
        link = pathlib.Path(SYSTEMD_UNITS) / unit
        if link.is_symlink() and os.readlink(link) == "/dev/null":
            continue
        active = host.run(["systemctl", "is-active", unit]).stdout.strip()
        if active == "active":
            raise Refusal(
                f"{unit} already runs on this host and is not gpuchat's; wanted its ports for gpuchat's own service; "
                f"move its sites to another host and run `systemctl disable --now {unit}`"
            )
        missing.append(unit)
    return tuple(missing)


def _apply(plan: Plan, set_name: str, file_plan: Plan) -> None:
    fileset_runner.apply(set_name, file_plan)
    for act in plan.actions:
        if isinstance(act, Act):
            _apply_one(act)


def _apply_one(act: Act) -> None:
    if act.act == "mask":
        host.must(["systemctl", "mask", *act.names])
    elif act.act == "remove":
        host.must([*APT_GET, "remove", *act.names], environment=APT_ENVIRONMENT, timeout=1800)
    elif act.act == "install":
        host.must([*APT_GET, "update"], environment=APT_ENVIRONMENT, timeout=1800)
        flags = ["--no-remove", "--no-install-recommends", "--allow-downgrades", "--allow-change-held-packages"]
        host.must([*APT_GET, "install", *flags, *act.names], environment=APT_ENVIRONMENT, timeout=3600)
    elif act.act in ("hold", "unhold"):
        host.must(["apt-mark", act.act, *act.names])
