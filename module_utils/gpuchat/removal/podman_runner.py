# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what Podman runs and keeps, ours and somebody else's, and removes what is left of it once it is gone."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection

from ..core import host
from . import trees_runner

FOLDER = "/var/lib/containers"
ENTRIES = ("cache", "sigstore", "storage")
"""What Podman makes in its folder."""

VOLUMES = f"{FOLDER}/storage/volumes"
SILENT = "(Podman does not answer, so nobody knows)"


def is_there() -> bool:
    return host.program("podman") is not None


def others(names: Collection[str]) -> tuple[str, ...]:
    """Return what root's Podman runs and keeps for somebody else.

    Images of ours are pulled by digest, without a tag, and have no volumes.
    """
    answers = _listed() if is_there() else ("", "[]", "")
    if answers is None:
        return (SILENT,)
    containers, images, volumes_there = answers
    tags = [name for one in json.loads(images or "[]") for name in one.get("Names") or () if "@" not in name]
    return (
        *(name for name in containers.split() if name not in names),
        *(f"image {name}" for name in tags),
        *(f"volume {name}" for name in volumes_there.split()),
    )


def is_empty() -> bool:
    """Tell whether Podman is there and keeps nothing at all."""
    answers = _listed() if is_there() else None
    return answers is not None and not (answers[0].split() or json.loads(answers[1] or "[]") or answers[2].split())


def _listed() -> tuple[str, str, str] | None:
    """Return names of containers, images as JSON, and names of volumes; None where Podman does not answer."""
    commands = (("ps", "--all", "--format", "{{.Names}}"), ("images", "--format", "json"), ("volume", "ls", "--quiet"))
    answers = [host.run(["podman", *words]) for words in commands]
    return None if any(one.rc != 0 for one in answers) else (answers[0].stdout, answers[1].stdout, answers[2].stdout)


def image_bytes(reference: str) -> int | None:
    """Return the size of an image, None where there is none."""
    if not is_there():
        return None
    shown = host.run(["podman", "image", "inspect", "--format", "{{.Size}}", reference])
    return int(shown.stdout.strip() or 0) if shown.rc == 0 else None


def remove_image(reference: str) -> str:
    """Remove an image, and return why it stays where it does."""
    output = host.run(["podman", "image", "rm", reference])
    return "" if output.rc == 0 else output.text


def entries() -> tuple[str, ...]:
    """Return Podman's own entries of its folder."""
    return tuple(name for name in ENTRIES if os.path.lexists(os.path.join(FOLDER, name)))


def volumes() -> list[str]:
    """Return volumes by the disk: none is ours."""
    try:
        return [f"volume {name}" for name in sorted(os.listdir(VOLUMES))]
    except OSError:
        return []


def tidy() -> None:
    """Remove what Podman has made for itself, once it is gone and has left nothing there that it was given."""
    if not is_there():
        trees_runner.remove_below(FOLDER, entries())
        with contextlib.suppress(OSError):
            os.rmdir(FOLDER)
