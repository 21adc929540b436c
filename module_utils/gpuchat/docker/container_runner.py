# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ensures a container as one unit of state: its image, its network, its files, its service, its health."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core import host
from ..core.change import merged
from ..system import files_runner, service_runner
from ..system.service import COMPOSE, QUADLET, SYSTEMD, VENV
from . import images_runner, network_runner
from .container import (
    QUADLETS,
    Container,
    compose_path,
    compose_project,
    environment_lines,
    environment_path,
    quadlet,
    quadlet_path,
    systemd_unit,
    unit_path,
)
from .network import Network

GENERATOR = "/usr/libexec/podman/quadlet"
"""What makes units of Quadlet files."""


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Ensure the container that a module's parameters describe, and return the module's result.

    The image is pulled before a file changes, and the files are validated before the service is touched: what ran
    before runs on where one of these fails.

    Raises:
        Refusal: the image cannot be resolved, or the files are not valid.
        CommandFailed: the pull failed.
        Unhealthy: the container does not come up.
    """
    if params["state"] == "absent":
        return _remove(params, check)
    image = images_runner.ensure({**params, "name": params["image"]}, check)
    network = network_runner.ensure(_network(params), check)
    files = ensure_files(params, files_of(params, str(image["reference"])), check)
    former = [_remove({**params, "name": name, "state": "absent"}, check) for name in params["replaces"]]
    service = service_runner.ensure(service_of(params, digest_of(params, files)), check)
    return {**merged(image, network, files, *former, service), "started": service["changed"]}


def _remove(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Stop a container, under whichever supervisor it is recorded, and remove its files; what it has kept stays."""
    service = service_runner.ensure(service_of(params, ""), check)
    return merged(service, ensure_files(params, [], check))


def _network(params: Mapping[str, Any]) -> Network:
    given = params["network"] or {}
    return Network(**{name: str(value) for name, value in given.items() if value is not None})


def files_of(params: Mapping[str, Any], reference: str) -> list[Mapping[str, object]]:
    """Return a container's files, with the project or unit that runs an image by its digest."""
    return [{"dest": params["folder"], "folder": True}, *params["files"], *_own_files(params, reference)]


def digest_of(params: Mapping[str, Any], files: Mapping[str, object]) -> str:
    """Return what a container is started with, in one word: another is a new start."""
    return f"{files['digest']} {params['digest']}".strip()


def _own_files(params: Mapping[str, Any], reference: str) -> list[dict[str, object]]:
    """Return the project, or the unit; where its environment may hold secrets, only root reads that.

    A unit's own words are no secret, whatever its file's mode: systemd tells them to everybody, and so does the list of
    processes. So its environment is a file beside it then.
    """
    secret = bool(params.get("secret_environment"))
    by_unit = params["supervisor"] != COMPOSE
    container = Container(
        name=params["name"],
        image=reference,
        user=params["user"],
        entrypoint=tuple(params["entrypoint"]),
        command=tuple(params["command"]),
        environment={str(name): str(value) for name, value in params["environment"].items()},
        volumes=tuple(params["volumes"]),
        tmpfs=tuple(params["tmpfs"]),
        shm_size=params["shm_size"],
        network=_network(params),
        extra_hosts={str(name): str(address) for name, address in (params.get("extra_hosts") or {}).items()},
        environment_file=environment_path(params["folder"]) if secret and by_unit else "",
        gpus=params["gpus"],
        health_command=tuple(params["health_command"]),
        start_seconds=params["start_seconds"],
        stop_seconds=params["stop_seconds"],
    )
    if by_unit:
        unit: dict[str, object] = {"dest": unit_path(container.name), "content": systemd_unit(container)}
        if params["supervisor"] == QUADLET:
            unit = {"dest": quadlet_path(container.name), "content": quadlet(container)}
        beside: dict[str, object] = {"dest": container.environment_file, "secret": True}
        return [{**beside, "secret_content": environment_lines(container)}, unit] if secret else [unit]
    project: dict[str, object] = {"dest": compose_path(params["folder"])}
    if secret:
        return [{**project, "secret_content": compose_project(container), "secret": True}]
    return [{**project, "content": compose_project(container)}]


def set_of(params: Mapping[str, Any], files: Iterable[Mapping[str, object]]) -> dict[str, Any]:
    """Return a container's file set, as its runner takes it."""
    unit = ["systemd-analyze", "verify", f"{{staged}}{unit_path(params['name'])}"]
    validate = {
        COMPOSE: ["docker", "compose", "--file", f"{{staged}}{compose_path(params['folder'])}", "config", "--quiet"],
        SYSTEMD: unit,
        VENV: unit,
        QUADLET: ["env", f"QUADLET_UNIT_DIRS={{staged}}{QUADLETS}", GENERATOR, "-dryrun", "-no-kmsg-log"],
    }
    return {
        "name": params["name"],
        "state": params["state"],
        "files": [{**files_runner.USUAL, **entry} for entry in files],
        "validate": validate[params["supervisor"]],
        "validate_requires": {QUADLET: [GENERATOR], VENV: []}.get(params["supervisor"], ["docker"]),
    }


def ensure_files(params: Mapping[str, Any], files: Iterable[Mapping[str, object]], check: bool) -> dict[str, Any]:
    """Ensure a container's files; those of one that is absent go with what systemd has made of them."""
    result = files_runner.ensure(set_of(params, files), check)
    if params["state"] == "absent" and not check:
        forget_units(result)
    return result


def forget_units(result: Mapping[str, Any]) -> None:
    """Have systemd forget the units of Quadlet files that have gone; those of its own it looks for itself."""
    if any(str(path).startswith(f"{QUADLETS}/") for path in result["changed_files"]):
        host.run(["systemctl", "daemon-reload"])


def service_of(params: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """Return a container's service, as its runner takes it."""
    return {
        "name": params["name"],
        "supervisor": params["supervisor"],
        "compose_file": compose_path(params["folder"]),
        "state": "absent" if params["state"] == "absent" else "started",
        "digest": digest,
        "reload_digest": None,
        "adopt": False,
        "health": params["health"],
    }
