# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images: names, registries, digests."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..core.change import Difference, Plan
from ..core.errors import Refusal

DOCKER_HUB = "docker.io"
DOCKER_HUB_API = "registry-1.docker.io"
DOCKER_HUB_LOGIN = "https://index.docker.io/v1/"
"""What Docker's client calls Docker Hub in its config.json."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
PLACE = re.compile(r"[\w.-]+(?::\d+)?(?:/[\w./-]+)?|\[[0-9a-f:]+\](?::\d+)?(?:/[\w./-]+)?")


@dataclass(frozen=True)
class Image:
    """An image by registry, repository and tag."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, name: str) -> Image:
        """Read a name as Docker does, and refuse one whose tag is missing or moves.

        Raises:
            Refusal: no tag, or ``latest``.
        """
        first, slash, rest = name.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            registry, path = first, rest
        else:
            registry, path = DOCKER_HUB, name
        if registry == DOCKER_HUB and "/" not in path:
            path = f"library/{path}"
        repository, _colon, tag = path.partition(":")
        if not tag or tag == "latest" or "@" in path:
            raise Refusal(
                f"found the image {name}; wanted one with a tag that stays, not {tag or 'none'}; set its version"
            )
        return cls(registry, repository, tag)

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}"


@dataclass(frozen=True)
class Source:
    """Where an image is pulled from: ``host`` as in an image name, and the path below it."""

    host: str
    repository: str

    @property
    def name(self) -> str:
        return f"{self.host}/{self.repository}"

    def manifest_url(self, tag: str, insecure: Sequence[str]) -> str:
        """Return the address of a tag's manifest in the registry's HTTP interface (OCI distribution 1.1)."""
        scheme = "http" if self.host in insecure else "https"
        host = DOCKER_HUB_API if self.host == DOCKER_HUB else self.host
        return f"{scheme}://{host}/v2/{self.repository}/manifests/{tag}"


def source_of(image: Image, registry_map: Mapping[str, object]) -> Source:
    """Return where an image is pulled from, after ``gpuchat_registry_map``.

    A map's value is a registry, or a registry and a path below it (``mirror.example.com/hub``).

    Raises:
        Refusal: the value is none of both.
    """
    place = registry_map.get(image.registry, image.registry)
    if not isinstance(place, str) or not PLACE.fullmatch(place.rstrip("/")):
        raise Refusal(
            f"found {place!r} for {image.registry} in gpuchat_registry_map; wanted a registry without http:// or "
            "https://, such as registry.example.com:5000/hub; set gpuchat_registry_map, and for plain HTTP also "
            "gpuchat_insecure_registries"
        )
    host, _slash, prefix = place.rstrip("/").partition("/")
    return Source(host, f"{prefix}/{image.repository}" if prefix else image.repository)


@dataclass(frozen=True)
class Login:
    """How a registry knows a person or a robot."""

    username: str
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return f"Basic {self._encoded}"

    @property
    def _encoded(self) -> str:
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def docker_config(self, source: Source) -> dict[str, object]:
        """Return what Docker's client reads in its config.json."""
        place = DOCKER_HUB_LOGIN if source.host == DOCKER_HUB else source.host
        return {"auths": {place: {"auth": self._encoded}}}


def login_for(source: Source, logins: Sequence[Mapping[str, object]]) -> Login | None:
    """Return the login for the registry that an image comes from, or None."""
    for one in logins:
        if one["registry"] == source.host:
            return Login(str(one["username"]), str(one["password"]))
    return None


@dataclass(frozen=True)
class Pull:
    """Pull an image by digest."""

    reference: str


def plan_image(image: Image, source: Source, digest: str, there: bool) -> Plan:
    """Decide whether an image must be pulled.

    Args:
        image: the image as the inventory names it.
        source: where it is pulled from.
        digest: its digest, from the lock file or the registry.
        there: the host holds that digest already.
    """
    reference = f"{source.name}@{digest}"
    if there:
        return Plan(reason=f"{image} is there as {digest}")
    return Plan(
        (Difference(f"image {image}", "", f"{reference}\n"),), (Pull(reference),), f"{image} is not on this host"
    )


def token_request(challenge: str) -> str | None:
    """Return the address at which a registry's challenge says a token is to be had (None: no bearer challenge).

    Source: the distribution project's token authentication specification.
    """
    scheme, _space, rest = challenge.partition(" ")
    if scheme.lower() != "bearer":
        return None
    fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    query = "&".join(f"{key}={fields[key]}" for key in ("service", "scope") if key in fields)
    realm = fields.get("realm", "")
    return f"{realm}?{query}" if realm.startswith(("https://", "http://")) else None


def mirrored(registry: str, mirrors: Sequence[str]) -> str:
    """Return a registry's mirrors as Podman reads them (containers-registries.conf(5)).

    Args:
        mirrors: their addresses, with http:// or https://, in the order in which they are asked.
    """
    lines = ["[[registry]]", f"location = {json.dumps(registry)}"]
    for mirror in mirrors:
        scheme, _colon, place = mirror.rstrip("/").rpartition("://")
        lines += ["[[registry.mirror]]", f"location = {json.dumps(place)}"]
        lines += ["insecure = true"] if scheme == "http" else []
    return "\n".join(lines) + "\n"


def in_version(image: str, common: str, version: str) -> str:
    """Return an image in another version, which its tag holds; empty where the tag does not say the usual one.

    Args:
        common: the version that the tag holds.
        version: the wanted one; empty for the usual one.
    """
    if version in ("", common):
        return image
    repository, _colon, tag = image.rpartition(":")
    if not common or common not in tag or "/" in tag:
        return ""
    return f"{repository}:{tag.replace(common, version)}"
