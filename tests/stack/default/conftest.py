# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several files look at, done once."""

from __future__ import annotations

import json

import pytest
from running import Stack


@pytest.fixture(scope="session")
def verified(stack: Stack) -> dict[str, str]:
    """Verify the finished stack; return the status of each row by its name."""
    stack.must_play(playbook="playbooks/verify.yml")
    report = json.loads((stack.inventory / ".gpuchat" / "report.json").read_text())
    return {row["name"]: row["status"] for row in report["rows"]}
