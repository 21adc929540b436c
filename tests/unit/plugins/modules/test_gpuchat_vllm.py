# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control node hands to the module of the engines."""

from __future__ import annotations

import types

import pytest
from ansible_collections.gpuchat.stack.plugins.action import gpuchat_vllm


class Image:
    """The action beside it, which keeps digests and hands over what reaches no registry.

    Attributes:
        given: where what the module is given is kept.
    """

    def __init__(self, given):
        self.given = given

    def prepare(self, args, _default, _task_vars):
        return args

    def recorded(self, _file):
        return {}

    def execute(self, args, _task_vars):
        self.given.update(args)
        return {}


@pytest.fixture
def sent(monkeypatch):
    """Return what runs the action for some variables, and returns what the module is given."""
    monkeypatch.setattr(gpuchat_vllm.ActionBase, "run", lambda *_: {})

    def run(args, task_vars):
        given = {}
        monkeypatch.setattr(gpuchat_vllm.ActionModule, "_sibling", lambda *_: Image(given))
        action = object.__new__(gpuchat_vllm.ActionModule)
        action._task = types.SimpleNamespace(args=args, action="gpuchat_vllm", check_mode=True)
        action._templar = types.SimpleNamespace(template=lambda value: value)
        action.run(None, {"ansible_play_batch": ["a"], "ansible_forks": 5, **task_vars})
        return given

    return run


MODELS = [
    {"name": "a", "hosts": ["one"], "environment": {"A": "1"}},
    {"name": "b", "path": "/nfs/b", "hosts": ["two"], "adapters": [{"name": "c"}]},
]


def test_the_folders_of_all_models_are_in_use_whatever_their_host(sent):
    given = sent({"engines": [{"name": "a"}]}, {"gpuchat_models": MODELS})
    assert given["used_paths"] == ["/srv/models/a", "/nfs/b", "/srv/models/c"]
    assert given["engines"] == [{"name": "a", "environment": {"A": "1"}}]


def test_folders_that_the_task_names_are_taken_as_they_are(sent):
    assert sent({"engines": [], "used_paths": ["/x"]}, {"gpuchat_models": MODELS})["used_paths"] == ["/x"]
