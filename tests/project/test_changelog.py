# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fragment can be read, and CHANGELOG.rst is built from all of them."""

from __future__ import annotations

import pathlib

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FRAGMENTS = sorted((ROOT / "changelogs" / "fragments").glob("*"))
CONFIG = yaml.safe_load((ROOT / "changelogs" / "config.yaml").read_text())
LISTS = {name for name, _title in CONFIG["sections"]} | {CONFIG["trivial_section_name"]}
RELEASES = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text())["releases"]


def sections(path):
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_holds_known_sections_of_sentences(path):
    assert path.suffix == ".yml"
    assert sections(path)
    for name, entries in sections(path).items():
        if name == CONFIG["prelude_section_name"]:
            assert isinstance(entries, str)
        else:
            assert name in LISTS
            assert entries
            assert all(isinstance(entry, str) and entry.endswith(".") for entry in entries)


def changes(documents):
    """Return what is said of each section that people read; what is trivial is left out of the built changelog."""
    said = {}
    for document in documents:
        for name, entries in document.items():
            if name != CONFIG["trivial_section_name"]:
                said.setdefault(name, set()).update([entries] if isinstance(entries, str) else entries)
    return said


def test_the_changelog_is_built_from_all_fragments():
    built = changes(release["changes"] for release in RELEASES.values())
    assert built == changes(map(sections, FRAGMENTS)), "run make changelog"
