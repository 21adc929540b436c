# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an edge's access log from its journal."""

from __future__ import annotations

from collections.abc import Mapping

from ..core import host
from .api_usage import summarize


def read(params: Mapping[str, object]) -> dict[str, object]:
    """Return the sums of the log's last lines, so many days and lines at most."""
    command = ["journalctl", "--identifier", str(params["identifier"]), "--output", "cat", "--no-pager", "--quiet"]
    command += ["--since", f"-{params['days']}d", "--lines", str(params["lines"])]
    with host.lines(command) as lines:
        return {"changed": False, **summarize(lines).as_dict()}
