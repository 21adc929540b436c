# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of the role watchdog."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def watchdog(by_path):
    return by_path("roles/watchdog/files/gpuchat_watchdog.py")
