# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is no part of the package, and the same examples on each run, however slow the machine is."""

from __future__ import annotations

import importlib.util
import pathlib
import sys

import pytest
from hypothesis import HealthCheck, settings

ROOT = pathlib.Path(__file__).resolve().parents[2]

settings.register_profile(
    "stack", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("stack")


@pytest.fixture(scope="session")
def by_path():
    """Return what imports a file by its path in a checkout, such as a plugin of Ansible's or a program of a role."""

    def imported(path):
        place = ROOT / path
        if not place.exists():  # a collection has its plugins elsewhere
            folder, _slash, name = path.partition("/")
            place = ROOT / "plugins" / folder.removesuffix("_plugins") / name
        specification = importlib.util.spec_from_file_location(f"{place.stem}_by_path", place)
        module = importlib.util.module_from_spec(specification)
        sys.modules[specification.name] = module  # where dataclasses look their annotations up
        specification.loader.exec_module(module)
        return module

    return imported
