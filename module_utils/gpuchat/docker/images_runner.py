# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolves image tags through the configured registry and pulls by digest."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence

from ..core import host, network_runner
from ..core.errors import Refusal
from ..system.service import PODMAN, program_of
from .archives import BY_ID, Held, Load, archived, by_file, plan_load, see_architecture
from .images import (
    DIGEST,
    DOCKER_HUB,
    Image,
    Login,
    Pull,
    Source,
    login_for,
    mirrored,
    plan_image,
    source_of,
    token_request,
)

OPTIONS: dict[str, dict[str, object]] = {
    "registry_map": {"type": "dict", "default": {}},
    "registry_mirrors": {"type": "list", "elements": "str", "default": []},
    "insecure_registries": {"type": "list", "elements": "str", "default": []},
    "registry_logins": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "registry": {"type": "str", "required": True},
            "username": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
        },
    },
    "lock_file": {"type": "path", "required": True},
    "locked_digest": {"type": "str"},
    "timeout": {"type": "int", "default": 7200},
    "archives": {"type": "list", "elements": "dict", "default": []},
    "archive_paths": {"type": "dict", "default": {}},
    **network_runner.OPTIONS,
}
"""Options of a module that pulls an image, as an argument specification."""

SUPERVISOR: dict[str, object] = {"type": "str", "choices": ["compose", "systemd", "quadlet"], "default": "compose"}
"""A module's option ``supervisor``: whose program runs the image."""

OLDEST_PODMAN = (5, 0)
"""The first whose Quadlet files have Entrypoint and StopTimeout."""

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)


def ensure(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Pull the image that a module's parameters name to the host, or load its archive; return the module's result.

    Raises:
        Refusal: the tag cannot be resolved.
        CommandFailed: the pull failed.
    """
    program = program_of(str(params.get("supervisor")))
    if program == PODMAN:
        _see_podman(check)
    from_archive = _archived(params)
    if from_archive:
        return _ensure_loaded(*from_archive, program, params, check)
    image, source, login, answered, digest = _resolved(params)
    there = host.run([program, "image", "inspect", f"{source.name}@{digest}"]).rc == 0
    plan = plan_image(image, source, digest, there)
    if not check:
        for action in plan.actions:
            if isinstance(action, Pull) and program == PODMAN:
                _pull_by_podman(action.reference, source, login, params)
            elif isinstance(action, Pull):
                _pull(action.reference, source, login, float(str(params["timeout"])))
    result = plan.result()
    result.update(image=str(image), digest=digest, reference=f"{source.name}@{digest}")
    result["moved_to"] = answered if DIGEST.fullmatch(answered) and answered != digest else ""
    if result["moved_to"]:
        warning = (
            f"the tag of {image} has moved to {answered}; the recorded {digest} is used; "
            f"to take the new one, remove its line from {params['lock_file']}"
        )
        result["warnings"] = [warning]
    return result


def look_up(params: Mapping[str, object]) -> dict[str, object]:
    """Resolve an image from where it would be pulled and pull nothing; return the module's result.

    Raises:
        Refusal: the tag cannot be resolved.
    """
    from_archive = _archived(params)
    if from_archive:
        image, one = from_archive
        digest, reference = f"{BY_ID}{one.id}", one.id
    else:
        image, source = _named(params)
        recorded = str(params["locked_digest"] or "")
        digest = recorded if DIGEST.fullmatch(recorded) else _resolved(params)[-1]
        reference = f"{source.name}@{digest}"
    return {"changed": False, "image": str(image), "digest": digest, "reference": reference, "moved_to": "", "diff": []}


def _named(params: Mapping[str, object]) -> tuple[Image, Source]:
    image = Image.parse(str(params["name"]))
    return image, source_of(image, params["registry_map"])  # type: ignore[arg-type]


def _archived(params: Mapping[str, object]) -> tuple[Image, Held] | None:
    """Return an image and what is known of it where it comes from an archive.

    Raises:
        Refusal: the archive's image is another than is recorded, or for other machines.
    """
    image, source = _named(params)
    known = by_file(params.get("archives") or ())  # type: ignore[arg-type]
    one = archived(image, source, known, str(params.get("locked_digest") or ""))
    if one is None:
        return None
    see_architecture(image, one, os.uname().machine)
    return image, one


def _ensure_loaded(
    image: Image, one: Held, program: str, params: Mapping[str, object], check: bool
) -> dict[str, object]:
    """Load an image's archive where the host lacks the image.

    Raises:
        Refusal: the archive is not on this host yet, which the result says as ``wanted_archive``.
    """
    there = _id_there(program, one)
    plan = plan_load(image, one, there)
    paths: Mapping[str, str] = params.get("archive_paths") or {}  # type: ignore[assignment]
    for action in () if check else plan.actions:
        if isinstance(action, Load):
            if action.file not in paths:
                raise Refusal(
                    f"found {image} not on this host; wanted it from {action.file}", wanted_archive=action.file
                )
            host.must([program, "load", "--quiet", "--input", paths[action.file]], float(str(params["timeout"])))
            there = _id_there(program, one)
            if not there:
                raise Refusal(
                    f"found no {one.id} on this host after {program} had loaded {action.file}; wanted {image} by that "
                    "id; save it again by `docker save NAME:TAG -o FILE`"
                )
    result = plan.result()
    result.update(image=str(image), digest=f"{BY_ID}{one.id}", reference=there or one.id, moved_to="")
    return result


def _id_there(program: str, one: Held) -> str:
    """Return the id by which the host holds an image, or nothing."""
    return next((known for known in one.ids if host.run([program, "image", "inspect", known]).rc == 0), "")


def _resolved(params: Mapping[str, object]) -> tuple[Image, Source, Login | None, str, str]:
    """Return an image, where it comes from by which login, what the registries said, and its digest."""
    image, source = _named(params)
    login = login_for(source, params["registry_logins"])  # type: ignore[arg-type]
    answered = resolve(source, image.tag, params["insecure_registries"], params["registry_mirrors"], login)  # type: ignore[arg-type]
    digest = str(params["locked_digest"] or "") or answered
    if not DIGEST.fullmatch(digest):
        raise Refusal(
            f"{image} cannot be resolved: {answered}; wanted its digest from {source.host}; "
            "set gpuchat_registry_map to a registry that this host reaches and that holds the image, and "
            "gpuchat_registry_logins where it wants a login, or gpuchat_image_archives to a folder with its archive"
        )
    return image, source, login, answered, digest


def _pull(reference: str, source: Source, login: Login | None, timeout: float) -> None:
    """Pull an image, logged in for as long as that takes: nothing of it stays on the host."""
    command = ["docker", "pull", "--quiet", reference]
    if not login:
        host.must(command, timeout=timeout)
        return
    with tempfile.TemporaryDirectory(prefix="gpuchat-") as folder:
        host.write_json(os.path.join(folder, "config.json"), login.docker_config(source), mode=0o600)
        host.must(["docker", "--config", folder, *command[1:]], timeout=timeout)


def _see_podman(check: bool) -> None:
    """See that Podman is one whose Quadlet files we can write.

    Raises:
        Refusal: it is older, or not there.
    """
    said = host.run([PODMAN, "version", "--format", "{{.Client.Version}}"])
    numbers = re.match(r"(\d+)\.(\d+)", said.stdout.strip())
    if numbers and (int(numbers[1]), int(numbers[2])) >= OLDEST_PODMAN:
        return
    if said.rc == 127 and check:
        return
    found = f"Podman {said.stdout.strip()}" if numbers else f"no Podman that answers ({said.text.strip()})"
    raise Refusal(
        f"found {found}; "
        f"wanted {'.'.join(map(str, OLDEST_PODMAN))} or newer for Quadlet files with all that an engine needs; "
        "set gpuchat_supervisor to compose or systemd"
    )


def _pull_by_podman(reference: str, source: Source, login: Login | None, params: Mapping[str, object]) -> None:
    """Pull an image by Podman, with logins and mirrors for as long as that takes: nothing of them stays on the host."""
    command = [PODMAN, "pull", "--quiet"]
    insecure: Sequence[str] = params["insecure_registries"]  # type: ignore[assignment]
    mirrors: Sequence[str] = params["registry_mirrors"]  # type: ignore[assignment]
    if source.host in insecure:
        command.append("--tls-verify=false")
    with tempfile.TemporaryDirectory(prefix="gpuchat-") as folder:
        environment = {}
        if login:
            path = os.path.join(folder, "auth.json")
            host.write_json(path, login.docker_config(source), mode=0o600)
            command += ["--authfile", path]
        if mirrors and source.host == DOCKER_HUB:
            # It stands for registries.conf alone: what its owner has put into registries.conf.d holds on.
            path = environment["CONTAINERS_REGISTRIES_CONF"] = os.path.join(folder, "registries.conf")
            host.write_atomically(path, mirrored(DOCKER_HUB, mirrors).encode(), 0o600)
        host.must([*command, reference], float(str(params["timeout"])), environment)


def resolve(
    source: Source, tag: str, insecure: Sequence[str], mirrors: Sequence[str], login: Login | None = None
) -> str:
    """Return the digest that a registry gives for a tag, or a word on why there is none.

    Mirrors of Docker Hub are asked first, in their order, as Docker does; the login is the registry's alone.
    """
    of_hub = mirrors if source.host == DOCKER_HUB else ()
    asked: list[tuple[str, Login | None]] = [
        (f"{mirror.rstrip('/')}/v2/{source.repository}/manifests/{tag}", None) for mirror in of_hub
    ]
    asked.append((source.manifest_url(tag, insecure), login))
    answers: list[str] = []
    for url, its_login in asked:
        answers.append(_digest_at(url, its_login))
        if DIGEST.fullmatch(answers[-1]):
            return answers[-1]
    return "; ".join(answers)


def _digest_at(url: str, login: Login | None) -> str:
    headers = {"Accept": MANIFEST_TYPES}
    answer = host.http(url, "HEAD", headers, timeout=10)
    if answer.status == 401:
        authorization = _authorization(url, answer.headers.get("www-authenticate", ""), login)
        if authorization:
            answer = host.http(url, "HEAD", {**headers, "Authorization": authorization}, timeout=10)
    if answer.status != 200:
        return f"{url} answered {answer.status or answer.error}"
    return answer.headers.get("docker-content-digest", f"{url} gave no digest")


def _authorization(url: str, challenge: str, login: Login | None) -> str | None:
    """Return what a registry wants to see after its challenge, or None."""
    basic = login.basic if login else None
    token_url = token_request(challenge)
    if not token_url:
        return basic
    if basic and url.startswith("https:") and not token_url.startswith("https:"):
        return None  # a login that is asked for by TLS is not shown in the clear
    given = host.http(token_url, headers={"Authorization": basic} if basic else None, timeout=10).json()
    token = (given.get("token") or given.get("access_token")) if isinstance(given, dict) else None
    return f"Bearer {token}" if token else None
