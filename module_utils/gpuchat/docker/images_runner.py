# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolves image tags through the configured registry and pulls by digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core import host
from ..core.errors import Refusal
from .images import DIGEST, Image, Pull, Source, plan_image, source_of, token_request

OPTIONS: dict[str, dict[str, object]] = {
    "registry_map": {"type": "dict", "default": {}},
    "registry_mirrors": {"type": "list", "elements": "str", "default": []},
    "insecure_registries": {"type": "list", "elements": "str", "default": []},
    "lock_file": {"type": "path", "required": True},
    "locked_digest": {"type": "str"},
    "timeout": {"type": "int", "default": 7200},
}
"""Options of a module that pulls an image, as an argument specification."""

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)


def ensure(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Pull the image that a module's parameters name to the host, and return the module's result.

    Raises:
        Refusal: the tag cannot be resolved.
        CommandFailed: the pull failed.
    """
    image = Image.parse(str(params["name"]))
    source = source_of(image, params["registry_map"])  # type: ignore[arg-type]
    locked = str(params["locked_digest"] or "")
    answered = resolve(source, image.tag, params["insecure_registries"], params["registry_mirrors"])  # type: ignore[arg-type]
    digest = locked or answered
    if not DIGEST.fullmatch(digest):
        raise Refusal(
            f"{image} cannot be resolved: {answered}; wanted its digest from {source.host}; "
            "set gpuchat_registry_map to a registry that this host reaches and that holds the image"
        )
    there = host.run(["docker", "image", "inspect", f"{source.name}@{digest}"]).rc == 0
    plan = plan_image(image, source, digest, there)
    if not check:
        for action in plan.actions:
            if isinstance(action, Pull):
                host.must(["docker", "pull", "--quiet", action.reference], timeout=float(str(params["timeout"])))
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


def resolve(source: Source, tag: str, insecure: Sequence[str], mirrors: Sequence[str]) -> str:
    """Return the digest that a registry gives for a tag, or a word on why there is none.

    Mirrors of Docker Hub are asked first, in their order, as Docker does.
    """
    urls = [source.manifest_url(tag, insecure)]
    if source.host == "docker.io":
        urls = [f"{mirror.rstrip('/')}/v2/{source.repository}/manifests/{tag}" for mirror in mirrors] + urls
    word = ""
    for url in urls:
        word = _digest_at(url)
        if DIGEST.fullmatch(word):
            break
    return word


def _digest_at(url: str) -> str:
    headers = {"Accept": MANIFEST_TYPES}
    answer = host.http(url, "HEAD", headers, timeout=10)
    token_url = token_request(answer.headers.get("www-authenticate", "")) if answer.status == 401 else None
    if token_url:
        given = host.http(token_url, timeout=10).json()
        token = (given.get("token") or given.get("access_token")) if isinstance(given, dict) else None
        if token:
            answer = host.http(url, "HEAD", {**headers, "Authorization": f"Bearer {token}"}, timeout=10)
    if answer.status != 200:
        return f"{url} answered {answer.status or answer.error}"
    return answer.headers.get("docker-content-digest", f"{url} gave no digest")
