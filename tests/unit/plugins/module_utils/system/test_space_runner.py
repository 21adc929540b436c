# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import types

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import space_runner


@pytest.fixture
def asked(monkeypatch):
    """Let each file system have 5 GiB free for ordinary accounts, and remember which were asked."""
    paths = []

    def statvfs(path):
        paths.append(path)
        files = {"f_files": 9, "f_favail": 3} if "inodes" in str(path) else {"f_files": 0, "f_favail": 0}
        return types.SimpleNamespace(f_bavail=5 * GIB // 4096, f_bfree=50 * GIB // 4096, f_frsize=4096, **files)

    monkeypatch.setattr(space_runner.os, "statvfs", statvfs)
    return paths


def params(*paths, minimum_gib=5):
    return {"paths": [str(path) for path in paths], "minimum_gib": minimum_gib, "hint": ""}


def test_a_path_that_is_not_there_counts_with_its_nearest_folder(asked, tmp_path):
    (tmp_path / "there").mkdir()
    path = tmp_path / "there" / "not" / "yet"
    result = space_runner.ensure(params(path))
    assert result == {"changed": False, "diff": [], "msg": f"{path} 5.0 GiB free"}
    assert list(map(str, asked)) == [str(tmp_path / "there")]


def test_what_root_alone_may_write_does_not_count(asked, tmp_path):
    with pytest.raises(Refusal, match="found 5.0 GiB for .*; wanted 6 GiB"):
        space_runner.ensure(params(tmp_path / "new", minimum_gib=6))


def test_an_empty_folder_is_new_and_one_that_holds_something_is_not(asked, tmp_path):
    empty, used = tmp_path / "empty", tmp_path / "used"
    empty.mkdir()
    used.mkdir()
    (used / "image").touch()
    assert space_runner.ensure(params(used, minimum_gib=6))["changed"] is False
    with pytest.raises(Refusal, match=f"for {empty} "):
        space_runner.ensure(params(used, empty, minimum_gib=6))


def test_a_file_system_without_inodes_is_told_and_one_that_counts_none_is_taken(asked, tmp_path):
    (tmp_path / "inodes").mkdir()
    with pytest.raises(Refusal, match="found 3 inodes free"):
        space_runner.ensure(params(tmp_path / "inodes" / "new"))
    space_runner.ensure(params(tmp_path / "new"))
