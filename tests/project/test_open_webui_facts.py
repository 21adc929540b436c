# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tool that makes the table of Open WebUI finds all that a package reads, and writes what it has found."""

from __future__ import annotations

import ast
import zipfile

import open_webui_facts
import pytest


@pytest.mark.parametrize(
    ("source", "names"),
    [
        pytest.param("x = os.getenv('A', 'no')", {"A"}, id="getenv"),
        pytest.param("x = os.environ.get('A')", {"A"}, id="get"),
        pytest.param("x = os.environ['A']", {"A"}, id="by key"),
        pytest.param("os.environ['A'] = '1'", set(), id="what is set is not read"),
        pytest.param("x = os.getenv('A', os.getenv('OLD'))", {"A", "OLD"}, id="an older name"),
        pytest.param("def number(name):\n  return os.getenv(name)\nx = number('A')", {"A"}, id="by a function"),
        pytest.param(
            "def headers():\n  names = {'A': f, 'B': g}\n  for name in names:\n    os.environ.get(name, None)",
            {"A", "B"},
            id="by a loop",
        ),
    ],
)
def test_a_name_is_found_however_it_is_read(source, names):
    assert set(open_webui_facts.variables(ast.parse(source))) == names


def test_only_the_programs_own_source_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as wheel:
        wheel.writestr("open_webui/env.py", "os.getenv('B')\nos.getenv('A')")
        wheel.writestr("open_webui/utils/more.py", "os.getenv('A')")
        wheel.writestr("other/env.py", "os.getenv('C')")
    assert open_webui_facts.read(tmp_path / "x.whl") == {"A": "env.py", "B": "env.py"}


def test_releases_that_agree_share_a_row():
    releases = {"1.10": {"A": "env.py"}, "1.9": {"A": "env.py"}, "1.8": {}, "1.7": {"A": "env.py"}}
    assert open_webui_facts.packed(releases) == {"A": [("1.7", "1.7", "env.py"), ("1.9", "1.10", "env.py")]}


def test_the_table_is_what_the_tool_writes(tmp_path, monkeypatch):
    before = open_webui_facts.FACTS.read_text(encoding="utf-8")
    releases, entries = open_webui_facts.known()
    monkeypatch.setattr(open_webui_facts, "FACTS", tmp_path / "open_webui.py")
    open_webui_facts.write(releases, entries)
    assert (tmp_path / "open_webui.py").read_text(encoding="utf-8") == before
