# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook asks of the backup's program, what comes of it, and how old a backup may be."""

from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import CommandFailed, Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.host import Output
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data import backup, backup_runner

NOW = 1_000_000.0
RUN = {"snapshot": "ab" * 32, "rows": 5, "files": 2, "seconds": 1.5, "bytes": 2_000_000, "bytes_added": 1000}


def ago(hours, **more):
    return {"success": {"time": NOW - hours * 3600}, **more}


@pytest.mark.parametrize(
    ("status", "level", "kind", "word"),
    [
        ({}, "fault", "none", "run playbooks/backup.yml"),
        ({"failure": {"message": "no disk"}}, "fault", "none", "no disk"),
        (ago(1), "good", "fresh", "1 hours old"),
        (ago(36), "good", "fresh", "36 hours old"),
        (ago(37), "fault", "old", "gpuchat-backup.timer"),
        (ago(50, failure={"message": "no disk"}), "fault", "old", "no disk"),
        (ago(30, failure={"message": "no disk"}), "warning", "failed", "no disk"),
        (ago(1, drill={"good": True}), "good", "fresh", ""),
        (ago(1, drill={"good": False, "message": "it is damaged"}), "fault", "drill", "it is damaged"),
    ],
)
def test_the_age_of_the_newest_backup_is_judged(status, level, kind, word):
    found = backup.age_finding(status, NOW, 36)
    assert (found.level, found.kind) == (level, kind)
    assert word in found.message


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("run", ["run"]),
        ("drill", ["drill"]),
        ("restore", ["restore", "ab12"]),
        ("stack", ["stack", "ab12", "/folder"]),
    ],
)
def test_each_action_has_its_command_line(action, words):
    assert backup.command(action, "ab12", "/folder")[4:] == words


@pytest.mark.parametrize("confirm", ["", "yes", "other.example.com"])
def test_nothing_is_restored_without_the_sites_name(confirm):
    with pytest.raises(Refusal, match="restore_confirm=chat.example.com"):
        backup.refuse_unwanted("restore", confirm, "chat.example.com")


def test_a_site_without_a_name_is_not_confirmed_by_nothing():
    with pytest.raises(Refusal):
        backup.refuse_unwanted("restore", "", "")


@pytest.mark.parametrize("action", ["run", "drill", "stack"])
def test_what_replaces_nothing_needs_no_confirmation(action):
    backup.refuse_unwanted(action, "", "chat.example.com")


def test_the_last_line_of_the_program_counts():
    assert backup.outcome(0, 'words\n{"failed": false, "snapshot": "ab"}\n', "") == {"snapshot": "ab"}


@pytest.mark.parametrize(
    ("rc", "stdout", "stderr", "word"),
    [
        (1, '{"failed": true, "msg": "it is damaged"}', "", "it is damaged"),
        (1, "", "Traceback: boom", "boom"),
        (127, "", "not found", "status 127"),
        (0, "[]", "", "no result"),
    ],
)
def test_a_failure_is_told_in_the_programs_words(rc, stdout, stderr, word):
    with pytest.raises(CommandFailed, match=word):
        backup.outcome(rc, stdout, stderr)


@pytest.mark.parametrize(
    ("action", "more", "words"),
    [
        ("run", {}, "made snapshot abababab with 5 rows and 2 files in 1.5 s; 1 kB were added of 2.0 MB"),
        ("drill", {"moved": 0}, "snapshot abababab is good: 5 rows and 2 files came back as they were, in 1.5 s"),
        ("restore", {"kept": {}}, "restored snapshot abababab with 5 rows and 2 files in 1.5 s"),
        ("stack", {"brought": ["ca.crt", "secrets.yml"]}, "brought ca.crt, secrets.yml of snapshot abababab"),
    ],
)
def test_what_was_done_is_told_in_a_sentence(action, more, words):
    assert backup.words(action, {**RUN, **more}) == words


def test_a_restore_tells_what_it_has_kept_and_what_changed_while_the_backup_was_made():
    told = backup.words("restore", {**RUN, "kept": {"database": "a_before", "files": "/b-before"}, "moved": 3})
    assert "kept as a_before and /b-before" in told
    assert "3 files changed" in told


def params(**more):
    return {"action": "run", "snapshot": "latest", "confirm": "", "domain": "", "folder": "/f", **more}


def test_a_host_without_a_backup_says_which_variable_sets_one_up(monkeypatch, tmp_path):
    monkeypatch.setattr(backup, "CONFIGURATION", str(tmp_path / "none"))
    with pytest.raises(Refusal, match="set backup_target"):
        backup_runner.ensure(params(), False)
    assert "would run" in str(backup_runner.ensure(params(), True)["msg"])


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """Return the commands that are run on a host with a backup."""
    (tmp_path / "backup.json").write_text("{}")
    monkeypatch.setattr(backup, "CONFIGURATION", str(tmp_path / "backup.json"))
    ran = []

    def run(command, timeout=0):
        ran.append(list(command))
        return Output(0, json.dumps({"failed": False, **RUN, "moved": 0}), "")

    monkeypatch.setattr(backup_runner.host, "run", run)
    return ran


@pytest.mark.parametrize(("action", "changed"), [("run", True), ("drill", False)])
def test_an_action_is_done_once(configured, action, changed):
    result = backup_runner.ensure(params(action=action), False)
    assert (result["changed"], len(configured)) == (changed, 1)
    assert result["snapshot"] == RUN["snapshot"]


def test_in_check_mode_nothing_is_done_and_no_confirmation_is_asked_for(configured):
    result = backup_runner.ensure(params(action="restore"), True)
    assert (result["changed"], configured) == (True, [])


def test_the_age_is_read_from_what_the_program_has_noted(monkeypatch, tmp_path):
    monkeypatch.setattr(backup, "STATUS", str(tmp_path / "status.json"))
    assert backup_runner.age(36).kind == "none"
