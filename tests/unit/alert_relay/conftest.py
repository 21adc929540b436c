# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay of the role monitoring."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def relay(by_path):
    return by_path("roles/monitoring/files/gpuchat_alert_relay.py")
