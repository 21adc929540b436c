# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host asks the control node to carry is only what was offered: one in other hands gets no other file."""

from __future__ import annotations

import types

import pytest


@pytest.fixture
def action(by_path, monkeypatch):
    """Return what makes an action whose host gives these answers, one after the other, with what it has carried."""

    def made(name, args, answers):
        module = by_path(f"action_plugins/{name}.py")
        monkeypatch.setattr(module.ActionBase, "run", lambda *_args: None)
        one, carried = object.__new__(module.ActionModule), []
        left = list(answers)
        one._task = types.SimpleNamespace(args=args, action=name)
        one._connection = types.SimpleNamespace(_shell=types.SimpleNamespace(join_path="{}/{}".format))
        one._execute_module = lambda **_options: left.pop(0)
        one._make_tmp_path = lambda: "/tmp/of-the-host/"
        one._remove_tmp_path = lambda _path, force: None
        one._low_level_execute_command = lambda _command: None
        one._transfer_file = lambda source, _target: carried.append(source)
        return one, carried

    return made


ARCHIVES = [{"file": "/images/a.tar"}, {"file": "/images/b.tar"}]


@pytest.mark.parametrize(
    ("asked", "carried"),
    [
        ([], []),
        (["/images/a.tar", "/images/b.tar"], ["/images/a.tar", "/images/b.tar"]),
        (["/root/.ssh/id_ed25519"], []),
        (["/images/../root/.ssh/id_ed25519"], []),
        ([["/images/a.tar"]], []),
        (["/images/a.tar", "/images/b.tar", "/images/a.tar"], ["/images/a.tar", "/images/b.tar"]),
    ],
)
def test_of_archives_those_in_the_folder_are_carried_once_each(action, asked, carried):
    answers = [*({"failed": True, "wanted_archive": one} for one in asked), {"changed": True}]
    one, seen = action("gpuchat_image", {}, answers)

    result = one.execute({"archives": ARCHIVES}, {})

    assert seen == carried
    assert result == ({"changed": True} if len(asked) == len(carried) else answers[len(carried)])


@pytest.mark.parametrize(
    ("asked", "carried"),
    [
        (["a.whl"], ["a.whl"]),
        (["../secrets.yml"], []),
        (["a.whl", "notes.txt"], []),
        (["a.whl", ["a.whl"]], []),
    ],
)
def test_of_wheels_those_in_the_folder_are_carried(action, asked, carried, tmp_path):
    (tmp_path / "secrets.yml").write_text("k: v")
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in ("a.whl", "notes.txt"):
        (folder / name).write_text(name)
    answers = [{"failed": True, "wanted_wheels": asked}, {"changed": True}]
    one, seen = action("gpuchat_virtualenv", {"wheels": str(folder)}, answers)

    result = one.run(None, {})

    assert seen == [str(folder / name) for name in carried]
    assert result == ({"changed": True} if carried else answers[0])
