# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Docker will put images and data, by what it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .daemon import CONTAINERD_IMAGES, STOCK_DATA_ROOT, Json, has_images_with_containerd

STOCK_CONTAINERD_ROOT = "/var/lib/containerd"
CONTAINERD_SINCE = 29
"""From this release of Docker's on a fresh one has its images with containerd, wherever the data root is."""


def folders(settings: Json, current: Json, info: Json, containerd: Sequence[str], version: str) -> tuple[str, ...]:
    """Return the folders in which Docker will put images and data.

    Args:
        settings: the keys of daemon.json that are about to be set.
        current: daemon.json as it is, with what stands on dockerd's command line.
        info: Docker's own words about itself (``docker info``); empty where it does not run.
        containerd: the texts of containerd's settings, one that is imported after the one that names it.
        version: Docker's, there or pinned; empty where nobody knows it.
    """
    told = [info.get("DockerRootDir"), STOCK_DATA_ROOT]
    root = next(str(one) for one in (settings.get("data-root"), current.get("data-root"), *told) if one)
    if not _images_with_containerd(settings, current, info, version):
        return (root,)
    own = [one for text in containerd for one in ROOT.findall(_top(text))]
    return (root, own[-1] if own else STOCK_CONTAINERD_ROOT)


def imports(containerd: str) -> tuple[str, ...]:
    """Return the patterns of the files that a text of containerd's settings imports."""
    found = IMPORTS.search(_top(containerd))
    return tuple(re.findall(r"""["'](.+?)["']""", found.group(1))) if found else ()


def _top(containerd: str) -> str:
    """Return what stands before the first table."""
    return re.split(r"^\s*\[", containerd, maxsplit=1, flags=re.MULTILINE)[0]


ROOT = re.compile(r"""^\s*root\s*=\s*["'](.+?)["']""", re.MULTILINE)
IMPORTS = re.compile(r"^\s*imports\s*=\s*\[(.*?)\]", re.MULTILINE | re.DOTALL)


def _images_with_containerd(settings: Json, current: Json, info: Json, version: str) -> bool:
    for one in (settings, current):
        features = one.get("features")
        if isinstance(features, Mapping) and isinstance(features.get(CONTAINERD_IMAGES), bool):
            return bool(features[CONTAINERD_IMAGES])
    if info.get("Driver"):
        return has_images_with_containerd(info)
    major = re.match(r"\d+", version)
    return major is None or int(major.group()) >= CONTAINERD_SINCE
