# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack that Molecule brought up; GPUCHAT_INVENTORY names the inventory that made it."""

from __future__ import annotations

import json
import os
import pathlib

import pytest
import yaml
from running import Stack


@pytest.fixture(scope="session")
def stack() -> Stack:
    inventory = pathlib.Path(os.environ["GPUCHAT_INVENTORY"])
    variables = yaml.safe_load((inventory / "hosts.yml").read_text())["all"]["vars"]
    for path in sorted((inventory / "group_vars" / "all").glob("*.yml")):
        variables |= yaml.safe_load(path.read_text())
    return Stack(inventory, json.loads((inventory / ".world.json").read_text()), variables)
