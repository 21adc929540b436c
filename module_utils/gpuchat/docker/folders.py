# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Docker will put images and data, by what it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .daemon import CONTAINERD_IMAGES, STOCK_DATA_ROOT, Json, has_images_with_containerd

STOCK_CONTAINERD_ROOT = "/var/lib/containerd"
CONTAINERD_SINCE = 29
"""From this release of Docker's on a fresh one has its images with containerd, wherever the data root is."""


def folders(settings: Json, current: Json, info: Json, containerd: str, version: str) -> tuple[str, ...]:
    """Return the folders in which Docker will put images and data.

    Args:
        settings: the keys of daemon.json that are about to be set.
        current: daemon.json as it is.
        info: Docker's own words about itself (``docker info``); empty where it does not run.
        containerd: the text of containerd's settings.
        version: Docker's, there or pinned; empty where nobody knows it.
    """
    told = [info.get("DockerRootDir"), STOCK_DATA_ROOT]
    root = next(str(one) for one in (settings.get("data-root"), current.get("data-root"), *told) if one)
    if not _images_with_containerd(settings, current, info, version):
        return (root,)
    top = re.split(r"^\s*\[", containerd, maxsplit=1, flags=re.MULTILINE)[0]
    own = re.search(r"""^\s*root\s*=\s*["'](.+?)["']""", top, re.MULTILINE)
    return (root, own.group(1) if own else STOCK_CONTAINERD_ROOT)


def _images_with_containerd(settings: Json, current: Json, info: Json, version: str) -> bool:
    for one in (settings, current):
        features = one.get("features")
        if isinstance(features, Mapping) and isinstance(features.get(CONTAINERD_IMAGES), bool):
            return bool(features[CONTAINERD_IMAGES])
    if info.get("Driver"):
        return has_images_with_containerd(info)
    major = re.match(r"\d+", version)
    return major is None or int(major.group()) >= CONTAINERD_SINCE
