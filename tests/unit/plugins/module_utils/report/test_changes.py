# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has changed, from the notes of the callback to the report."""

from __future__ import annotations

import json
import types

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report import changes
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report.changes import Change

START = {"playbook": "site.yml"}
DOOR = {"task": "door : Start the door", "host": "gpu1", "names": ["/etc/a", "/etc/b"]}


@pytest.mark.parametrize(
    ("lines", "results", "made"),
    [
        pytest.param([START], 0, (), id="nothing has run"),
        pytest.param([START, {}, {}], 2, (), id="nothing has changed"),
        pytest.param(
            [START, {}, DOOR, {**DOOR, "host": "gpu2", "names": ["/etc/b", "/etc/c"]}],
            3,
            (Change("door : Start the door", ("gpu1", "gpu2"), ("/etc/a", "/etc/b", "/etc/c")),),
            id="a task on two hosts",
        ),
    ],
)
def test_a_task_is_one_row_whatever_the_number_of_its_hosts(lines, results, made):
    assert changes.read(lines) == changes.Changes("site.yml", results, made)


def test_without_notes_nothing_is_known():
    assert changes.read([]) is None


@pytest.fixture
def callback(by_path, tmp_path, monkeypatch):
    module = by_path("callback_plugins/gpuchat_changes.py")
    monkeypatch.setattr(module.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return module.CallbackModule()


class Result:
    """A task's result, under the names of some release."""

    def __init__(self, prefix, **found):
        task = types.SimpleNamespace(get_name=lambda: DOOR["task"])
        host = types.SimpleNamespace(get_name=lambda: DOOR["host"])
        for name, value in (("task", task), ("host", host), ("result", found)):
            setattr(self, prefix + name, value)


@pytest.mark.parametrize("prefix", ["_", ""])
def test_the_callback_notes_names_and_no_content(callback, tmp_path, prefix):
    callback.v2_playbook_on_start(types.SimpleNamespace(_file_name="/x/site.yml"))
    callback.v2_runner_on_ok(Result(prefix, changed=False, diff=[{"after_header": "/etc/none"}]))
    diff = [{"before_header": "/etc/a", "after": "s3cret"}, {"after_header": "/etc/b"}, {"prepared": "s3cret"}]
    callback.v2_runner_on_ok(Result(prefix, changed=True, diff=diff))
    text = (tmp_path / "gpuchat-changes.jsonl").read_text()
    assert "s3cret" not in text
    assert [json.loads(line) for line in text.splitlines()] == [START, {}, DOOR]


def test_what_cannot_be_noted_spoils_no_run(callback, monkeypatch):
    monkeypatch.setitem(callback._note.__globals__, "NOTES", "nowhere/notes")
    callback.v2_runner_on_ok(Result("_", changed=True))
