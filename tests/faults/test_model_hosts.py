# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and disks as hosts have them: of other users, without locks, under a strict umask."""

from __future__ import annotations

import errno
import fcntl
import os
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model import hub_runner, runner, store_runner
from conftest import MEBIBYTE, REPO, tree, wanted
from hub_faults import Fault

SHARD = "model-00001-of-00002.safetensors"
STRANGER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@as_root
@pytest.mark.parametrize("check", [False, True])
def test_a_folder_of_another_user_is_refused_and_left_as_it_is(hub, dest, ensure, check):
    dest.mkdir(parents=True, mode=0o700)
    os.chown(dest, STRANGER, STRANGER)
    with pytest.raises(Refusal, match=f"belongs to another user .{STRANGER}.*chown -R 0 {dest}.*or set path"):
        ensure(check=check)
    assert (dest.stat().st_uid, dest.stat().st_mode & 0o777) == (STRANGER, 0o700)


@as_root
def test_a_folder_in_the_home_of_its_owner_keeps_its_owner_and_mode(root, dest, ensure):
    dest.mkdir(parents=True)
    for folder in (dest.parent, dest):
        os.chown(folder, STRANGER, STRANGER)
    dest.chmod(0o750)
    ensure()
    assert tree(dest) == wanted(root / REPO)
    assert (dest.stat().st_uid, dest.stat().st_mode & 0o777) == (STRANGER, 0o750)


@as_root
def test_folders_of_others_within_keep_their_owner_and_mode_and_empty_ones_stay(root, dest, ensure):
    for name in ("mine/deep", "empty"):
        (dest / name).mkdir(parents=True)
    (dest / "config.json").mkdir()
    (dest / "mine" / "deep" / "note").write_text("mine")
    (dest / "original").mkdir()
    for name, mode in {"mine": 0o750, "mine/deep": 0o700, "empty": 0o2770, "original": 0o700}.items():
        os.chown(dest / name, STRANGER, STRANGER)
        (dest / name).chmod(mode)
    os.chown(dest, 0, STRANGER)
    dest.chmod(0o2770)
    ensure()
    assert tree(dest) == {**wanted(root / REPO), "mine/deep/note": tree(dest)["mine/deep/note"]}
    found = {name: (dest / name).stat() for name in (".", "mine", "mine/deep", "empty", "original")}
    assert {name: (status.st_uid, status.st_gid, status.st_mode & 0o7777) for name, status in found.items()} == {
        ".": (0, STRANGER, 0o2775),
        "mine": (STRANGER, STRANGER, 0o750),
        "mine/deep": (STRANGER, STRANGER, 0o700),
        "empty": (STRANGER, STRANGER, 0o2770),
        "original": (0, STRANGER, 0o755),  # in which the model's own files lie
    }
    assert not ensure()["changed"]


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("export", [False, True])
def test_a_disk_within_the_folder_is_refused_before_a_byte_is_fetched(hub, dest, ensure, monkeypatch, check, export):
    if export:
        ensure()
    place = dest.parent / "www" if export else dest
    monkeypatch.setattr(
        store_runner, "_mounts", lambda: dict.fromkeys(["/", f"{place}-other", f"{place}/data"], "ext4")
    )
    with pytest.raises(Refusal, match=f"mounted at {place}/data, within {place}, .* unmount it, or set path"):
        ensure(check=check, **({"state": "export", "export": str(place)} if export else {}))
    assert export or hub.log.bytes_sent(f"{REPO}/*.safetensors") == 0


@pytest.mark.parametrize("call", [{}, {"check": True}, {"state": "metadata"}])
def test_a_folder_whose_name_leaves_no_room_for_the_one_beside_it_is_refused(tmp_path, ensure, call):
    with pytest.raises(Refusal, match="is 3 bytes too long, for a folder of that name and .gpuchat .* set path to a"):
        ensure(dest=str(tmp_path / "models" / ("m" * 250)), **call)
    assert not (tmp_path / "models").exists()


@as_root
@pytest.mark.parametrize("may_chown", [True, False])
def test_a_file_of_another_user_is_taken_over_as_ours(hub, root, dest, ensure, monkeypatch, may_chown):
    dest.mkdir(parents=True)
    (dest / SHARD).write_bytes((root / REPO / SHARD).read_bytes())
    os.chown(dest / SHARD, STRANGER, STRANGER)
    if not may_chown:
        monkeypatch.setattr(store_runner, "_made_ours", lambda path: False)
    ensure()
    assert hub.log.bytes_sent(f"{REPO}/{SHARD}") <= hub_runner.HEAD
    assert {path.stat().st_uid for path in dest.iterdir()} == {0}
    assert not ensure()["changed"]


def test_new_folders_around_an_export_can_be_read_under_a_strict_umask(ensure, tmp_path):
    ensure()
    before = os.umask(0o077)
    try:
        ensure(state="export", export=str(tmp_path / "www" / "models" / "demo"))
        ensure(dest=str(tmp_path / "srv" / "models" / "demo"))
    finally:
        os.umask(before)
    for folder in ("www", "www/models", "www/models/demo", "srv", "srv/models"):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o755, folder


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
@pytest.mark.parametrize("job", ["", "a1"])
def test_a_file_system_without_locks_is_told(ensure, monkeypatch, number, job):
    def flock(*_words):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(Refusal, match="knows no locks .*mount option flock.* or set path to another disk"):
        ensure(job=job)


def test_what_an_interrupted_run_has_left_is_counted_by_check_mode(hub, ensure):
    hub.faults = [Fault("status", f"{REPO}/*.safetensors", status=404, skip=4)]
    with pytest.raises(Refusal):
        ensure(workers=1)
    hub.faults = []
    predicted = ensure(check=True)
    assert MEBIBYTE < predicted["bytes_to_fetch"] < predicted["bytes_total"] - MEBIBYTE
    done = ensure()
    assert done["bytes_fetched"] == done["bytes_to_fetch"] == predicted["bytes_to_fetch"]


def test_files_that_are_right_are_read_once_where_another_is_damaged(dest, ensure, monkeypatch):
    ensure()
    content = (dest / SHARD).read_bytes()
    kept = os.stat(dest / SHARD)
    (dest / SHARD).write_bytes(content[:-1] + b"x")
    os.utime(dest / SHARD, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    read = []
    hash_file = runner.hash_file
    monkeypatch.setattr(runner, "hash_file", lambda path: read.append(path) or hash_file(path))
    assert ensure(verify="always")["changed"]
    assert read.count(str(dest / "model-00002-of-00002.safetensors")) == 1


def test_a_circle_of_redirects_is_told_at_once(hub, dest, ensure, monkeypatch):
    monkeypatch.setattr(hub, "sign", lambda repo, sha256, path: f"{hub.url}/{repo}/resolve/main/{path}")
    begin = time.monotonic()
    with pytest.raises(Refusal, match="redirects more than 8 times; wanted the file; set endpoints"):
        ensure()
    assert time.monotonic() - begin < 10
    assert not dest.exists()


@pytest.mark.parametrize("call", [{}, {"check": True}, {"state": "metadata"}])
def test_a_name_that_would_steer_a_terminal_is_written_out(root, dest, ensure, call):
    (root / REPO / "a\x1b[2Jb.txt").write_text("x")
    result = ensure(**call)
    assert "\x1b" not in f"{result['msg']}{result.get('diff', '')!s}"
    assert call or tree(dest) == wanted(root / REPO)
    assert call or "a\\x1b[2Jb.txt" in result["diff"][0]["after"]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EACCES])
def test_a_disk_without_second_names_gets_the_model_all_the_same(root, dest, ensure, monkeypatch, number):
    def refuse(*_names, **_more):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    ensure()
    assert tree(dest) == wanted(root / REPO)
    assert not ensure()["changed"]


def test_a_disk_without_second_names_has_to_hold_the_model_twice_which_is_known_before_the_fetch(
    hub, dest, ensure, monkeypatch
):
    def refuse(*_names, **_more):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(store_runner.Store, "free", lambda self: (256 << 20) + 9 * MEBIBYTE)
    with pytest.raises(Refusal, match="found .* free where .* lies; wanted .* for the files still missing"):
        ensure()
    assert hub.log.bytes_sent(f"{REPO}/*.safetensors") <= 2 * hub_runner.HEAD
    monkeypatch.undo()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF])
def test_a_disk_that_flushes_no_folders_gets_the_model_all_the_same(root, dest, ensure, monkeypatch, number):
    flush = os.fsync

    def only_files(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(number, os.strerror(number))
        flush(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    ensure()
    assert tree(dest) == wanted(root / REPO)
