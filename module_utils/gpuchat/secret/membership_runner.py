# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes what a host remembers of its stack."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..core import host
from .membership import join, read, text_of


def ensure(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Let a host join the stack of this run, and return the module's result."""
    path = str(params["path"])
    present: Mapping[str, str] = params["fingerprints"]  # type: ignore[assignment]
    former: Mapping[str, list[str]] = params["former"]  # type: ignore[assignment]
    remembered = read(host.file_text(path))
    plan = join(path, remembered, present, bool(params["adopt"]), str(params["folder"]), former)
    if plan.actions and not check:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        host.write_atomically(path, text_of({**remembered, **present}).encode(), 0o600)
    return plan.result()
