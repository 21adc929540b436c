# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import stat

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat import daemon_runner, host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.plan import Refusal


@pytest.fixture
def path(tmp_path, state_directory, commands, monkeypatch):
    monkeypatch.setattr(host, "program", lambda name: f"/usr/bin/{name}")
    return tmp_path / "daemon.json"


def bring(path, settings, check=False):
    return daemon_runner.bring({"path": str(path), "settings": settings}, check)


def test_the_first_settings_make_the_file_and_a_second_run_changes_nothing(path):
    settings = {"registry-mirrors": ["https://m"], "insecure-registries": [], "data-root": None}
    first = bring(path, settings)
    assert json.loads(path.read_text()) == {"registry-mirrors": ["https://m"]}
    second = bring(path, settings)
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["digest"] == second["digest"]
    assert not path.with_name("daemon.json.before-gpuchat").exists()


def test_somebody_elses_file_keeps_its_keys_and_mode_and_is_saved_once(path):
    path.write_text('{"debug":true}')
    path.chmod(0o640)
    bring(path, {"a": 1})
    bring(path, {"a": 2})
    assert json.loads(path.read_text()) == {"debug": True, "a": 2}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.with_name("daemon.json.before-gpuchat").read_text() == '{"debug":true}'
    bring(path, {})
    assert json.loads(path.read_text()) == {"debug": True}


def test_check_mode_foretells_the_change_and_the_digest_and_writes_nothing(path, tmp_path):
    foretold = bring(path, {"a": 1}, check=True)
    assert list(tmp_path.iterdir()) == []
    assert foretold == bring(path, {"a": 1})


def test_what_dockerd_refuses_is_told_and_the_file_left_alone(path, commands):
    path.write_text('{"debug": true}')
    commands.answer(
        "/usr/bin/dockerd --validate", rc=1, stderr="the following directives don't match any configuration option: a"
    )
    with pytest.raises(Refusal) as refused:
        bring(path, {"a": 1})
    assert str(refused.value) == (
        "dockerd does not accept the new daemon.json, so the old one was left in place:\n"
        "the following directives don't match any configuration option: a"
    )
    assert path.read_text() == '{"debug": true}'
    assert host.read_json(daemon_runner.RECORD) == {}


def test_an_old_dockerd_that_cannot_validate_is_told(path, commands):
    commands.answer("/usr/bin/dockerd", rc=125, stderr="unknown flag: --validate")
    assert bring(path, {"a": 1})["unforetold"] == ["this dockerd is older than 23 and cannot validate its settings"]


def test_without_dockerd_check_mode_says_what_it_cannot_foretell_and_a_run_is_refused(path, monkeypatch):
    monkeypatch.setattr(host, "program", lambda name: None)
    told = bring(path, {"a": 1}, check=True)["unforetold"]
    assert told == ["dockerd is not installed yet, so the new daemon.json was not validated with it"]
    with pytest.raises(Refusal, match="^dockerd is not installed; install Docker before its settings$"):
        bring(path, {"a": 1})


@pytest.mark.parametrize(
    ("first", "second"),
    [({}, {"a": 1}), ({"a": 1}, {"a": 2}), ({"a": 1, "b": 2}, {"b": 2})],
    ids=["add", "change", "remove"],
)
@pytest.mark.parametrize("dies_at", ["the file", "the record"])
def test_a_run_that_dies_between_file_and_record_is_finished_by_the_next(path, monkeypatch, first, second, dies_at):
    path.write_text('{"theirs": 0}')
    bring(path, first)
    replace = os.replace

    def dying(source, destination):
        if (destination == str(path)) == (dies_at == "the file"):
            raise KeyboardInterrupt
        replace(source, destination)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            bring(path, second)
    bring(path, second)
    assert json.loads(path.read_text()) == {"theirs": 0, **second}
    bring(path, {})
    assert json.loads(path.read_text()) == {"theirs": 0}
