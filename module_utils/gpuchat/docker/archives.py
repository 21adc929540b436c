# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in archives, as ``docker save`` and ``podman save`` write them: which they hold, and whether they are whole.

A registry's digest is lost on the way through an archive. What stays is the image's id, which is the digest of its
configuration; so that is recorded, as ``id:sha256:...``. Docker's containerd image store calls an image by the digest
of its manifest or index instead, which an archive in OCI's layout has too.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.change import Difference, Plan
from ..core.errors import Refusal
from .images import Image, Source

BY_ID = "id:"
"""Before what the lock file holds of an image that came from an archive."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What images call a machine, by what the kernel calls it."""

AGAIN = "wanted one that `docker save NAME:TAG -o FILE` wrote to its end; save or copy it again, or remove it"


@dataclass(frozen=True)
class Held:
    """An image in an archive.

    Attributes:
        names: with their tags, as they were when it was saved.
        id: the digest of its configuration.
        ids: by which a host may know it, that one first.
        architecture: as images call it.
        file: the archive's name.
    """

    names: tuple[str, ...]
    id: str
    ids: tuple[str, ...]
    architecture: str
    file: str = ""

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Held:
        return cls(
            tuple(entry["names"]), entry["id"], tuple(entry["ids"]), entry["architecture"], str(entry.get("file", ""))
        )


def held(files: Mapping[str, bytes], sums: Mapping[str, str], links: Mapping[str, str]) -> tuple[Held, ...]:
    """Return the images of an archive, once each of their parts is seen to be what its digest says.

    Args:
        files: the content of the archive's small files, by their path in it.
        sums: the SHA-256 of each file of it.
        links: what its links lead to.

    Raises:
        Refusal: it is no such archive, or not whole.
    """
    listed = _json(files.get("manifest.json"))
    if not isinstance(listed, list) or not listed:
        raise Refusal(f"found no list of images in it (manifest.json); {AGAIN}")
    return tuple(_image(entry, files, sums, links) for entry in listed)


def _image(entry: Any, files: Mapping[str, bytes], sums: Mapping[str, str], links: Mapping[str, str]) -> Held:
    unread = Refusal(f"found a list of images (manifest.json) that cannot be read; {AGAIN}")
    try:
        place, names, layers = str(entry["Config"]), entry.get("RepoTags") or [], list(map(str, entry["Layers"]))
    except (AttributeError, KeyError, TypeError):
        raise unread from None
    if not isinstance(names, list):
        raise unread
    if not names:
        raise Refusal(f"found an image without a name in it; {AGAIN}")
    config = _json(files.get(place))
    stated = posixpath.basename(place).partition(".")[0]
    if not isinstance(config, dict) or sums.get(place) != stated:
        raise Refusal(f"found that the configuration of {names[0]} is not there or damaged; {AGAIN}")
    root = config.get("rootfs") or {}
    digests = (root.get("diff_ids") or []) if isinstance(root, dict) else None
    if not isinstance(digests, list):
        raise unread
    if len(digests) != len(layers):
        raise Refusal(f"found {len(layers)} layers of {names[0]}, whose configuration says {len(digests)}; {AGAIN}")
    for number, (layer, digest) in enumerate(zip(layers, digests), 1):
        real = _followed(layer, links)
        found = sums.get(real)
        # One of OCI's layout has the name of its digest, packed or not; others are not packed.
        if found is None or (digest != f"sha256:{found}" and posixpath.basename(real) != found):
            what = "is not there" if found is None else "is damaged"
            raise Refusal(f"found that layer {number} of {len(layers)} of {names[0]} {what}; {AGAIN}")
    own = f"sha256:{stated}"
    return Held(tuple(map(str, names)), own, (own, *_above(own, files)), str(config.get("architecture") or ""))


def _followed(path: str, links: Mapping[str, str]) -> str:
    for _turn in range(8):
        if path not in links:
            break
        path = links[path]
    return path


def _above(config: str, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the digests of the manifests of a configuration in OCI's layout, and of the indexes of those."""
    read = {path: _json(text) for path, text in files.items() if path.startswith("blobs/sha256/")}
    blobs = {f"sha256:{posixpath.basename(path)}": one for path, one in read.items() if isinstance(one, dict)}
    found: list[str] = []
    for digest, blob in blobs.items():
        of = blob.get("config")
        if isinstance(of, dict) and of.get("digest") == config:
            found.append(digest)
    for digest, blob in blobs.items():
        parts = blob.get("manifests")
        if isinstance(parts, list) and any(isinstance(one, dict) and one.get("digest") in found for one in parts):
            found.append(digest)
    return tuple(found)


def _json(text: bytes | None) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def archived(image: Image, source: Source, archives: Iterable[Held], locked: str) -> Held | None:
    """Return what is known of an image that comes from an archive; None for one that a registry gives.

    Args:
        image: as the inventory names it.
        source: where it would be pulled from; it may have been saved by that name too.
        archives: the images of all archives.
        locked: what is recorded of it, or empty.

    Raises:
        Refusal: the archives hold several, or another than is recorded.
    """
    names = {str(image), f"{source.name}:{image.tag}"}
    found = [one for one in archives if any(_whole(name) in names for name in one.names)]
    recorded = locked[len(BY_ID) :] if locked.startswith(BY_ID) else ""
    if len({one.id for one in found}) > 1:
        raise Refusal(
            f"found several images {image} in {' and '.join(sorted({one.file for one in found}))}; wanted one; remove "
            "the other from the folder of gpuchat_image_archives"
        )
    if not found:
        return Held((), recorded, (recorded,), "") if recorded else None
    (one, *_same) = found
    if (locked and not recorded and locked not in one.ids) or (recorded and recorded != one.id):
        raise Refusal(
            f"found {image} as {one.id} in {one.file}, and recorded as {locked}; wanted the same; save that one, or "
            "remove its line from the lock file to take the archive's"
        )
    return one


def _whole(name: str) -> str:
    try:
        return str(Image.parse(name))
    except Refusal:  # a tag that moves is none of ours
        return ""


def see_architecture(image: Image, one: Held, machine: str) -> None:
    """See that an archive's image is one for a host.

    Raises:
        Refusal: it is for other machines.
    """
    wanted = ARCHITECTURES.get(machine, machine)
    if one.architecture not in ("", wanted):
        raise Refusal(
            f"found {image} for {one.architecture} in {one.file}; wanted it for {wanted}, which this host is; save it "
            f"again after `docker pull --platform linux/{wanted} {image}`"
        )


@dataclass(frozen=True)
class Load:
    """Load an archive."""

    file: str


def plan_load(image: Image, one: Held, there: str) -> Plan:
    """Decide whether an archive must be loaded.

    Args:
        there: the id by which the host holds its image, or empty.

    Raises:
        Refusal: it must be, and there is no archive.
    """
    if there:
        return Plan(reason=f"{image} is there as {there}")
    if not one.file:
        raise Refusal(
            f"found {image} recorded by the id that it had in an archive, and not on this host; wanted the archive; "
            "set gpuchat_image_archives to its folder, or remove its line from the lock file to pull it"
        )
    return Plan((Difference(f"image {image}", "", f"{one.id} of {one.file}\n"),), (Load(one.file),), f"load {image}")


def by_file(archives: Sequence[Mapping[str, Any]]) -> tuple[Held, ...]:
    return tuple(map(Held.read, archives))
