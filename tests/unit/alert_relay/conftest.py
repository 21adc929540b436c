# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay of the role monitoring, by its path: it is no part of the package."""

from __future__ import annotations

import importlib.util
import pathlib
import sys

import pytest

PROGRAM = pathlib.Path(__file__).resolve().parents[3] / "roles" / "monitoring" / "files" / "gpuchat_alert_relay.py"


@pytest.fixture(scope="session")
def relay():
    specification = importlib.util.spec_from_file_location("gpuchat_alert_relay", PROGRAM)
    module = importlib.util.module_from_spec(specification)
    sys.modules["gpuchat_alert_relay"] = module  # where dataclasses look their annotations up
    specification.loader.exec_module(module)
    return module
