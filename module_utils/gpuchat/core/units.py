# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes: memory in powers of 1024 as GPUs and kernels count, files in powers of 1000 as hubs and networks do."""

from __future__ import annotations

KIB, MIB, GIB = 1024, 1024**2, 1024**3


def gib(size: float) -> str:
    """Return a size of memory as people read it."""
    return f"{size / GIB:.1f} GiB"


def human(size: float) -> str:
    """Return a size of files as people read it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit in ("bytes", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} TB"
