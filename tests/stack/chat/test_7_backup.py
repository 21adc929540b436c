# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people said is backed up, a damaged backup is found, and what is lost comes back row by row."""

from __future__ import annotations

import json
import pathlib

import pytest
from interfaces import interface_of, sign_in
from kept import FILES, SUM, TALK, expect_kept, files, rows, stopped
from running import Stack, wait

TARGET = "/srv/backup"
WANTED = ("-e", f"backup_target={TARGET}")
STATUS = "/var/lib/gpuchat/backup/status.json"
REMARK = "CREATE TABLE IF NOT EXISTS of_the_test (id int PRIMARY KEY, said text)"
PROBE = "of-the-test"


def sql(stack: Stack, statement: str) -> str:
    return "\n".join(stack.sql(stack.interface, statement))


@pytest.fixture(scope="module")
def backed_up(stack: Stack) -> str:
    """The words of the first run, after something was said that is there in a backup alone."""
    said = "INSERT INTO of_the_test SELECT i, 'remark ' || i FROM generate_series(1, 2000) i ON CONFLICT DO NOTHING"
    sql(stack, f"{REMARK}; {said}")
    stack.on("interface", f"rm -rf {TARGET} {STATUS}; echo kept > {FILES[stack.interface]}/{PROBE}")
    return stack.must_play(*WANTED, playbook="playbooks/backup.yml")


def noted(stack: Stack) -> dict[str, dict[str, object]]:
    return dict(json.loads(stack.on("interface", f"cat {STATUS}")))


def test_a_backup_tells_its_snapshot_and_what_it_added(stack: Stack, backed_up: str) -> None:
    assert "made snapshot" in backed_up
    assert noted(stack)["success"]["rows"] >= 2000  # type: ignore[operator]
    assert stack.on("interface", "systemctl is-active gpuchat-backup.timer").strip() == "active"


def test_the_nightly_run_moves_only_what_changed(stack: Stack, backed_up: str) -> None:
    first = int(str(noted(stack)["success"]["bytes_added"]))
    sql(stack, "INSERT INTO of_the_test VALUES (5000, 'one more') ON CONFLICT DO NOTHING")
    stack.on("interface", "systemctl start gpuchat-backup.service")
    second = int(str(noted(stack)["success"]["bytes_added"]))
    assert second < first
    assert noted(stack)["failure"] is None


def test_only_root_reads_what_a_backup_is_made_of(stack: Stack, backed_up: str) -> None:
    for path in ("/etc/gpuchat/backup", "/var/lib/gpuchat/backup/stack"):
        assert stack.on("interface", f"stat -c '%U %a' {path}").strip() == "root 700"
    secrets = stack.on("interface", "cat /var/lib/gpuchat/backup/stack/secrets.yml")
    assert secrets == (stack.inventory / ".gpuchat" / "secrets.yml").read_text()
    password = stack.secrets["backup_password"]
    assert password not in stack.on("interface", "systemctl cat gpuchat-backup.service; cat /etc/gpuchat/backup/*.json")


@pytest.mark.long
def test_a_second_run_of_the_role_changes_nothing(stack: Stack, backed_up: str) -> None:
    again = stack.must_play(*WANTED, playbook="playbooks/restore_drill.yml")
    assert "is good" in again
    assert "changed=0" in next(line for line in again.splitlines() if line.startswith(stack.host_of("interface")))
    databases = stack.on("interface", "ls /var/lib/gpuchat/backup")
    assert "drill" not in databases


@pytest.mark.parametrize(
    "damage",
    [
        "truncate -s 1000",
        pytest.param("dd if=/dev/urandom bs=64 count=1 seek=3 conv=notrunc of=", marks=pytest.mark.long),
    ],
)
def test_a_damaged_backup_is_found_and_not_restored(stack: Stack, backed_up: str, damage: str) -> None:
    before = sql(stack, SUM.format("of_the_test"))
    stack.on("interface", f"rm -rf {TARGET}.good; cp -a {TARGET} {TARGET}.good")
    largest = f"find {TARGET}/data -type f -printf '%s %p\\n' | sort -n | tail -1 | cut -d' ' -f2"
    stack.on("interface", f"pack=$({largest}); chmod u+w $pack; {damage}{'' if damage.endswith('=') else ' '}$pack")
    try:
        drilled = stack.play(*WANTED, playbook="playbooks/restore_drill.yml")
        assert drilled.returncode != 0
        assert "it is damaged" in drilled.stdout
        if damage.startswith("truncate"):
            confirmed = (*WANTED, "-e", f"restore_confirm={stack.domain}")
            assert stack.play(*confirmed, playbook="playbooks/restore.yml").returncode != 0
        assert sql(stack, SUM.format("of_the_test")) == before
    finally:
        stack.on("interface", f"rm -rf {TARGET}; mv {TARGET}.good {TARGET}")


def test_nothing_is_restored_by_chance(stack: Stack, backed_up: str) -> None:
    done = stack.play(*WANTED, playbook="playbooks/restore.yml")
    assert done.returncode != 0
    assert f"restore_confirm={stack.domain}" in done.stdout


def test_what_was_deleted_comes_back_row_by_row(stack: Stack, backed_up: str, tmp_path: pathlib.Path) -> None:
    stopped(stack, "stop")  # whoever chats would change rows between the two looks
    stack.must_play(*WANTED, playbook="playbooks/backup.yml")
    wanted, wanted_files = rows(stack), files(stack)
    sql(stack, f"DELETE FROM {TALK[stack.interface]}; DROP TABLE of_the_test")
    stack.on("interface", f"rm {FILES[stack.interface]}/{PROBE}")
    assert rows(stack) != wanted
    stopped(stack, "start")
    words = stack.must_play(*WANTED, "-e", f"restore_confirm={stack.domain}", playbook="playbooks/restore.yml")
    assert "what was there before is kept as" in words
    expect_kept(stack, wanted, wanted_files)
    assert sql(stack, SUM.format("of_the_test")) == wanted["public.of_the_test"]
    wait(lambda: stack.curl(interface_of(stack).page, key=False)[0] in (200, 302, 307), 300, "the chat's page")
    sign_in(stack, tmp_path)


def test_the_folder_of_the_control_node_comes_back(stack: Stack, backed_up: str, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "fetched"
    stack.must_play(*WANTED, "-e", f"restore_stack_folder={folder}", playbook="playbooks/restore.yml")
    assert (folder / "secrets.yml").read_text() == (stack.inventory / ".gpuchat" / "secrets.yml").read_text()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_target_that_is_gone_is_told_and_not_made_anew(stack: Stack, backed_up: str) -> None:
    stack.on("interface", f"mv {TARGET} {TARGET}.away")
    try:
        done = stack.play(*WANTED, playbook="playbooks/backup.yml")
        assert done.returncode != 0
        assert "mount its disk" in done.stdout
        assert str(noted(stack)["failure"]["message"]).startswith("found the backup at")
    finally:
        stack.on("interface", f"rm -rf {TARGET}; mv {TARGET}.away {TARGET}")


def test_without_a_target_nothing_of_it_stays_but_the_backup(stack: Stack, backed_up: str) -> None:
    """The inventory of this world names none: a run takes the timer away, and the test its own traces."""
    stack.must_play("--tags", "backup")
    assert stack.on("interface", "systemctl is-active gpuchat-backup.timer", check=False).strip() != "active"
    assert "config" in stack.on("interface", f"ls {TARGET}")
    sql(stack, "DROP TABLE IF EXISTS of_the_test")
    for name in sql(stack, "SELECT datname FROM pg_database WHERE datname ~ '_before_'").splitlines():
        sql(stack, f"DROP DATABASE {name}")
    stack.on("interface", f"rm -rf {TARGET} {FILES[stack.interface]}/{PROBE} {FILES[stack.interface]}-before-*")
