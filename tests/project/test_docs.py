# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents say what is so, and the same in both languages."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml
from role_readmes import pages

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = pages()
ENGLISH, CHINESE = "README.md", "README.zh-CN.md"


def blocks(name, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)


def test_both_readmes_give_the_same_commands_and_the_same_inventory():
    commands = [
        [line.split("#")[0].strip() for block in blocks(name, "sh") for line in block.splitlines()]
        for name in (ENGLISH, CHINESE)
    ]
    assert commands[0] == commands[1]
    assert blocks(ENGLISH, "yaml") == blocks(CHINESE, "yaml")


def test_both_readmes_name_the_same_things_in_the_same_order():
    names = [
        re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", (ROOT / name).read_text(), flags=re.DOTALL))
        for name in (ENGLISH, CHINESE)
    ]
    assert sorted(names[0]) == sorted(names[1])


def test_the_readmes_inventory_is_the_example_and_is_short():
    shown = blocks(ENGLISH, "yaml")[0]
    assert yaml.safe_load(shown) == yaml.safe_load((ROOT / "inventories/single-host/hosts.yml").read_text())
    assert len(shown.splitlines()) <= 20


def test_each_make_target_that_a_readme_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+)", (ROOT / ENGLISH).read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize(
    "name",
    [
        ENGLISH,
        CHINESE,
        "CONTRIBUTING.md",
        *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
        "molecule/world/README.md",
    ],
)
def test_each_link_leads_to_a_file(name):
    for link in re.findall(r"\]\(([^)]+)\)", (ROOT / name).read_text()):
        assert ((ROOT / name).parent / link).exists(), link


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_that_is_made_of_the_roles_is_up_to_date(path):
    assert path.read_text() == PAGES[path], "run python tools/role_readmes.py"
