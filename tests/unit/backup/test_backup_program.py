# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backup's program reads and does, with stand-ins for restic, PostgreSQL and Docker."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import sys
import time

import pytest


@pytest.fixture
def commands(program, monkeypatch):
    """Return what is run; answers are looked up by the first words of a command."""

    class Commands:
        def __init__(self):
            self.ran = []
            self.answers = {}

        def __call__(self, command, environment=None, user="", text=None, seconds=None):
            self.ran.append(list(command))
            line = " ".join(command)
            for start, answer in self.answers.items():
                if line.startswith(start):
                    return program.Done(*answer)
            return program.Done(0, "", "")

        def words(self):
            return [" ".join(one) for one in self.ran]

    stand_in = Commands()
    monkeypatch.setattr(program, "run", stand_in)
    return stand_in


class Server:
    """A server that has databases by name, and takes what it is told."""

    def __init__(self, *databases):
        self.databases = set(databases)
        self.told = []

    def has(self, name):
        return name in self.databases

    def ask(self, _database, statement):
        self.told.append(statement)
        return ""

    def drop(self, name):
        self.told.append(f"drop {name}")


def listed(program, folder, cache=None):
    return [entry for entry, _mark in program.entries(str(folder), cache or {})]


def test_files_are_listed_with_their_hashes_and_links_are_not_followed(program, tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a").write_bytes(b"one")
    (tmp_path / "link").symlink_to("/etc/passwd")
    [entry] = listed(program, tmp_path)
    assert (entry.path, entry.size) == ("below/a", 3)
    assert entry.sha256.startswith("7692c3ad3540bb80")


def test_a_file_that_looks_as_before_is_not_read_again(program, tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"one")
    cache = {entry.path: mark for entry, mark in program.entries(str(tmp_path), {})}
    monkeypatch.setattr(program, "hash_of", lambda _path: "read")
    assert listed(program, tmp_path, cache)[0].sha256 != "read"
    (tmp_path / "a").write_bytes(b"other")
    assert listed(program, tmp_path, cache)[0].sha256 == "read"


def aged(path, seconds):
    moment = time.time_ns() + int(seconds * 1e9)
    os.utime(path, ns=(moment, moment))


@pytest.fixture
def kept(program, tmp_path):
    """Return a folder with files of an hour ago, and their list."""
    folder = tmp_path / "kept"
    (folder / "below").mkdir(parents=True)
    for name in ("a", "below/b"):
        (folder / name).write_text(name)
        aged(folder / name, -3600)
    aged(folder / "below", -3600)
    aged(folder, -3600)
    return folder, listed(program, folder)


def test_files_as_they_were_differ_in_nothing(program, kept):
    assert program.file_differences(str(kept[0]), kept[1], time.time_ns()) == ([], 0)


def test_a_file_that_is_not_as_it_was_is_named(program, kept):
    folder, entries = kept
    before = os.lstat(folder / "a").st_mtime_ns
    (folder / "a").write_text("x")
    os.utime(folder / "a", ns=(before, before))
    (folder / "below" / "b").unlink()
    aged(folder / "below", -3600)
    words, moved = program.file_differences(str(folder), entries, time.time_ns())
    assert (words, moved) == (["file a differs", "file below/b is missing"], 0)


def test_a_file_that_changed_or_went_while_the_backup_was_made_is_no_damage(program, kept):
    folder, entries = kept
    began = time.time_ns()
    (folder / "a").write_text("newer")
    (folder / "below" / "b").unlink()
    assert program.file_differences(str(folder), entries, began) == ([], 2)


def test_only_one_run_goes_on_at_a_time(program, settings):
    work = program.Work(settings)
    with open(f"{settings.state}/lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(program.Trouble, match="under way"), work.alone():
            pass
    with work.alone():
        pass


def test_a_failure_is_noted_beside_the_last_success(program, settings, monkeypatch):
    work = program.Work(settings)
    work.note(success={"time": 5, "target": settings.target})

    def fail(_began):
        raise program.Trouble("no")

    monkeypatch.setattr(work, "_backed_up", fail)
    with pytest.raises(program.Trouble):
        work.back_up()
    noted = program.read_json(work.status_path)
    assert (noted["success"]["time"], noted["failure"]["message"]) == (5, "no")
    assert os.stat(work.status_path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("error", "noted"), [("Trouble", {"good": False}), ("Ended", {})])
def test_a_drill_that_a_signal_ended_says_nothing_of_the_backup(program, settings, monkeypatch, error, noted):
    work = program.Work(settings)

    def fail(_began):
        raise getattr(program, error)("no")

    monkeypatch.setattr(work, "_drilled", fail)
    with pytest.raises(program.Trouble):
        work.drill()
    found = program.read_json(work.status_path).get("drill") or {}
    assert {key: found[key] for key in ("good",) if key in found} == noted


ABSENT = (10, "", "Fatal: repository does not exist: unable to open config file")


def test_a_repository_is_made_where_there_was_none(program, settings, commands):
    commands.answers = {"restic cat": ABSENT}
    program.Restic(settings).open(make=True)
    assert commands.words() == ["restic cat config", "restic init"]


def test_a_bucket_that_restic_waits_for_is_made(program, given, commands):
    commands.answers = {"restic cat": (124, "", "no answer within 60 s")}
    program.Restic(program.settings_of({**given, "target": "s3:http://s3.example.com/one"})).open(make=True)
    assert commands.words() == ["restic cat config", "restic init"]


def test_another_server_that_does_not_answer_is_told(program, given, commands):
    commands.answers = {"restic cat": (124, "", "no answer within 60 s")}
    with pytest.raises(program.Trouble, match="its server is not reached"):
        program.Restic(program.settings_of({**given, "target": "sftp:a@b:/c"})).open(make=True)


def test_a_command_that_does_not_end_in_time_is_ended(program):
    assert program.run(["sleep", "9"], seconds=0.1).rc == 124


def test_a_repository_that_was_there_is_not_made_anew(program, settings, commands):
    commands.answers = {"restic cat": ABSENT}
    with pytest.raises(program.Trouble, match="mount its disk"):
        program.Restic(settings).open(make=False)
    assert commands.words() == ["restic cat config"]


def test_backups_of_an_interface_that_ran_before_are_not_the_latest_and_do_not_go_with_those_of_today(
    program, settings, commands
):
    listed = json.dumps([{"id": "abcd1234", "time": "2026-01-01T00:00:00Z"}])
    commands.answers = {"restic snapshots": (0, listed, "")}
    restic = program.Restic(settings)
    restic.snapshot("latest")
    restic.snapshot("abcd")
    words = [word for word in " ".join(commands.words()).split() if word.startswith("--tag")]
    assert words == [f"--tag=gpuchat,{settings.kind}", "--tag=gpuchat"]


def test_secrets_reach_restic_by_its_environment_and_a_file_alone(program, settings, commands):
    pathlib.Path(settings.folder, "environment.json").write_text('{"AWS_SECRET_ACCESS_KEY": "s3cret"}')
    restic = program.Restic(settings)
    restic.open(make=True)
    assert restic.environment["AWS_SECRET_ACCESS_KEY"] == "s3cret"
    assert restic.environment["RESTIC_PASSWORD_FILE"] == f"{settings.folder}/password"
    assert "s3cret" not in str(commands.ran)


SUMMARY = json.dumps({"message_type": "summary", "snapshot_id": "ab"}) + "\n"


def error(path):
    return json.dumps({"message_type": "error", "item": str(path)}) + "\n"


def test_a_file_that_went_meanwhile_does_not_spoil_a_snapshot(program, settings, commands, tmp_path):
    commands.answers = {"restic backup": (3, SUMMARY, error(tmp_path / "gone"))}
    work = program.Work(settings)
    assert work._snapshot(program.Restic(settings), settings.stage)["snapshot_id"] == "ab"


def test_a_file_that_cannot_be_read_does(program, settings, commands, tmp_path):
    (tmp_path / "there").touch()
    commands.answers = {"restic backup": (3, SUMMARY, error(tmp_path / "there"))}
    with pytest.raises(program.Trouble):
        program.Work(settings)._snapshot(program.Restic(settings), settings.stage)


@pytest.fixture
def restored(settings, tmp_path):
    """Return the place of a restored backup, its manifest, and put other files where people's are."""
    place = tmp_path / "place"
    inside = pathlib.Path(f"{place}{settings.files}")
    inside.mkdir(parents=True)
    (inside / "a").write_text("of the backup")
    (pathlib.Path(settings.files) / "a").write_text("of today")
    return str(place), {"files": {"folder": settings.files}}


def content(settings):
    return (pathlib.Path(settings.files) / "a").read_text()


def test_a_restore_keeps_what_was_there_beside_it(program, settings, commands, restored):
    server, (place, manifest) = Server("lobehub"), restored
    kept = program.Work(settings)._swapped(server, manifest, place, "lobehub_restored")
    assert content(settings) == "of the backup"
    assert (pathlib.Path(kept["files"]) / "a").read_text() == "of today"
    renames = server.told[-1]
    assert f'ALTER DATABASE "lobehub" RENAME TO "{kept["database"]}";' in renames
    assert renames.index('"lobehub" RENAME') < renames.index('"lobehub_restored" RENAME TO "lobehub"')
    verbs = [one for one in commands.words() if "inspect" not in one]
    assert verbs == [
        "docker stop gpuchat-lobehub",
        "docker stop gpuchat-object-store",
        "docker start gpuchat-object-store",
        "docker start gpuchat-lobehub",
    ]


def test_where_the_interface_does_not_start_what_was_there_runs_again(program, settings, commands, restored):
    server, (place, manifest) = Server("lobehub"), restored
    commands.answers = {"docker start gpuchat-lobehub": (1, "", "no")}
    with pytest.raises(program.Trouble, match="nothing of it was lost"):
        program.Work(settings)._swapped(server, manifest, place, "lobehub_restored")
    assert content(settings) == "of today"
    assert 'ALTER DATABASE "lobehub" RENAME TO "lobehub_restored";' in server.told[-1]
    assert 'RENAME TO "lobehub";' in server.told[-1]
    assert not list(pathlib.Path(settings.files).parent.glob("files-before-*"))


def test_where_there_was_nothing_nothing_is_kept(program, settings, commands, restored):
    server, (place, manifest) = Server(), restored
    (pathlib.Path(settings.files) / "a").unlink()
    pathlib.Path(settings.files).rmdir()
    assert program.Work(settings)._swapped(server, manifest, place, "lobehub_restored") == {}
    assert content(settings) == "of the backup"
    assert server.told[-1] == 'BEGIN;ALTER DATABASE "lobehub_restored" RENAME TO "lobehub";COMMIT;'


def test_units_are_stopped_by_systemd_where_it_runs_them(program, given, commands):
    work = program.Work(program.settings_of({**given, "supervisor": "systemd"}))
    commands.answers = {"systemctl cat gpuchat-object-store": (1, "", "")}
    work._supervise("stop")
    assert [one for one in commands.words() if " cat " not in one] == ["systemctl stop gpuchat-lobehub.service"]


def test_a_signal_in_the_middle_brings_back_what_was_there(program, settings, commands, restored, monkeypatch):
    server, (place, manifest) = Server("lobehub"), restored
    work = program.Work(settings)
    monkeypatch.setattr(work, "_wait_until_well", lambda: program.ended(15, None))
    with pytest.raises(program.Trouble, match="signal"):
        work._swapped(server, manifest, place, "lobehub_restored")
    assert content(settings) == "of today"


def test_too_little_space_is_told_before_anything_is_written(program, tmp_path):
    with pytest.raises(program.Trouble, match="free space"):
        program.want_space(str(tmp_path), 1e18, "the dump of the database")


def test_the_last_line_is_the_result(program, given, tmp_path, capsys, monkeypatch):
    path = tmp_path / "backup.json"
    path.write_text(json.dumps(given))
    monkeypatch.setattr(program.signal, "signal", lambda *_given: None)
    for words, code in (([str(path), "--check"], 0), ([str(path), "dance"], 1), ([str(tmp_path / "none"), "run"], 1)):
        monkeypatch.setattr(sys, "argv", ["gpuchat_backup.py", *words])
        assert program.main() == code
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["failed"] is bool(code)


def test_an_interface_that_answers_somehow_is_well(program, given):
    import http.server  # noqa: PLC0415
    import threading  # noqa: PLC0415

    class Away(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(307)
            self.send_header("Location", "https://chat.example.invalid/signin")
            self.end_headers()

        def log_message(self, *_words):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Away) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        program.Work(program.settings_of({**given, "url": url}))._wait_until_well()
        server.shutdown()
