# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of the shared code a program of a host has."""

from __future__ import annotations

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import sources_runner


def test_a_program_has_what_it_imports_and_no_more():
    assert sources_runner.needed(["system.service"]) == ["core.change", "system.service"]


def test_a_program_is_a_folder_that_python_runs():
    entries = {one["dest"]: one.get("content") for one in sources_runner.program("/srv/p", "system.service")}
    folders = ["/srv/p", "/srv/p/gpuchat", "/srv/p/gpuchat/core", "/srv/p/gpuchat/system"]
    assert [name for name, content in entries.items() if content is None] == folders
    assert {name.removeprefix("/srv/p/") for name, content in entries.items() if content is not None} == {
        *("__main__.py", "gpuchat/__init__.py", "gpuchat/core/__init__.py", "gpuchat/system/__init__.py"),
        *("gpuchat/core/change.py", "gpuchat/system/service.py"),
    }
    assert "from gpuchat.system.service import main\n" in entries["/srv/p/__main__.py"]
    assert "class WantedService" in entries["/srv/p/gpuchat/system/service.py"]
    assert {one["program"] for one in sources_runner.program("/srv/p", "system.service")} == {"system.service"}
