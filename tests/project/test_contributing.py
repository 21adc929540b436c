# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide says what the code's own tests hold."""

from __future__ import annotations

import importlib.util
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FOLDER = re.compile(r"^\| `(\w+)/` \| [^|]+ \| (.*) \|$", re.MULTILINE)
EXAMPLES = ("thing", "NAME", "SCENARIO")  # stand for a reader's own names
PATHS = re.compile(
    r"(?<![\w/.])((?:library|module_utils|action_plugins|roles|playbooks|molecule|tests|tools|docs)/[\w./-]*)"
)


def arrows():
    """Return the table of tests/unit/test_source.py, which names each folder and what it may import."""
    path = ROOT / "tests" / "unit" / "test_source.py"
    specification = importlib.util.spec_from_file_location("test_source", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.ARROWS


def test_the_table_of_folders_is_the_one_that_the_imports_are_held_to():
    assert {name: set(re.findall(r"`(\w+)`", taken)) for name, taken in FOLDER.findall(GUIDE)} == arrows()


@pytest.mark.parametrize(
    "path", sorted(path for path in set(PATHS.findall(GUIDE)) if not any(name in path for name in EXAMPLES))
)
def test_a_path_that_the_guide_names_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z-]+)", GUIDE))))
def test_a_make_target_that_the_guide_names_exists(target):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_scenario_is_run():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (run,) = re.findall(r"^SCENARIOS = (.*)$", makefile, re.MULTILINE)
    named = run.replace("$(if $(LONG),models)", "models").split()
    assert sorted(named) == sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
