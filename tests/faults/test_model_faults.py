# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever goes wrong on the way: the right plan, or a clear error and the old model whole; never a wrong one."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import subprocess
import time
import tracemalloc
import zlib

import hub as hub_module
import hub_tree
import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model import (
    hub_runner,
    job_runner,
    plan,
    store_runner,
    transfer,
    transfer_runner,
)
from conftest import MEBIBYTE, REPO, tree, wanted, write_model
from hub import Hub
from hub_faults import Fault

rule = transfer.more_helps
SHARD = f"{REPO}/model-00001-of-00002.safetensors"
SHARDS = f"{REPO}/*.safetensors"
LAST = 3 * MEBIBYTE  # the header makes each shard a little longer
SOURCES = ["huggingface", "modelscope"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", ["cut", "reset"])
@pytest.mark.parametrize(
    "at",
    [0, 1, 7, 8, 4096, 256 << 10, (256 << 10) + 1, MEBIBYTE // 2 - 1, MEBIBYTE // 2, MEBIBYTE // 2 + 1, LAST - 1, LAST],
)
def test_a_connection_that_ends_early_is_taken_up_where_it_ended(hub, root, dest, ensure, source, kind, at):
    hub.faults = [Fault(kind, SHARDS, at=at, times=2)]
    result = ensure(source=source)
    assert tree(dest) == wanted(root / REPO)
    if kind == "cut":
        assert hub.log.repeated_bytes(SHARD) == 0
        assert result["bytes_fetched"] == result["bytes_total"]


@pytest.mark.parametrize("source", SOURCES)
def test_a_connection_that_ends_again_and_again_still_ends_with_the_model(hub, root, dest, ensure, source):
    hub.faults = [Fault("cut", SHARDS, at=100_000, relative=True, times=40)]
    ensure(source=source)
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("at", [0, 9, MEBIBYTE + 17, LAST - 1])
def test_wrong_bytes_are_fetched_again_once(hub, root, dest, ensure, source, at):
    hub.faults = [Fault("wrong", SHARD, at=at, times=1)]
    ensure(source=source)
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("path", ["model-00001-of-00002.safetensors", "README.md"])
def test_bytes_that_are_wrong_twice_end_the_run_and_leave_the_old_model_whole(hub, root, dest, ensure, source, path):
    ensure(source=source)
    before = tree(dest)
    write_model(root / REPO, seed=2)
    (root / REPO / "README.md").write_text("Another model.\n" * 60)
    hub.faults = [Fault("wrong", f"{REPO}/{path}", at=20)]
    with pytest.raises(
        Refusal, match=f"{path} is not what the source says, twice over: found .*, wanted (sha256|git):"
    ):
        ensure(source=source, update=True)
    assert tree(dest) == before
    hub.faults = []
    ensure(source=source, update=True)
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize("source", SOURCES)
def test_a_body_that_is_shorter_than_listed_with_a_fitting_length_is_never_taken(hub, root, dest, ensure, source):
    hub.faults = [Fault("short", SHARD, at=LAST - 5)]
    with pytest.raises(Refusal, match=r"model-00001-of-00002\.safetensors"):
        ensure(source=source)
    assert not dest.exists()


@pytest.mark.parametrize("source", SOURCES)
def test_a_body_that_was_short_once_is_fetched_again(hub, root, dest, ensure, source):
    hub.faults = [Fault("short", SHARD, at=LAST - 5, times=1)]
    ensure(source=source)
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize("source", SOURCES)
def test_a_range_other_than_the_one_asked_for_is_never_taken(hub, root, dest, ensure, source):
    hub.faults = [Fault("shift", SHARDS, length=10, times=4)]
    ensure(source=source)
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("expiry", [{"requests": 1}, {"requests": 2}, {"at": 700_000}])
def test_a_signed_address_that_runs_out_is_asked_for_anew(hub, root, dest, ensure, source, expiry):
    hub.faults = [Fault("expire", SHARDS, times=3, **expiry)]
    ensure(source=source)
    assert tree(dest) == wanted(root / REPO)


def test_a_signed_address_that_is_never_any_good_ends_the_run(hub, dest, ensure, monkeypatch):
    hub.faults = [Fault("expire", SHARDS, requests=0)]
    with pytest.raises(Refusal, match="delivered nothing new, each new address with status 403"):
        ensure()
    assert not dest.exists()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("status", "retry_after"), [(429, "0"), (429, ""), (500, ""), (502, ""), (503, "0"), (504, ""), (408, "")]
)
@pytest.mark.parametrize("stage", ["api", "resolve", "bytes"])
def test_a_server_that_asks_for_patience_gets_it(hub, root, dest, ensure, source, status, retry_after, stage):
    path = "*" if stage == "api" else f"{REPO}/*"
    hub.faults = [Fault("status", path, stage=stage, status=status, retry_after=retry_after, times=2)]
    ensure(source=source)
    assert tree(dest) == wanted(root / REPO)


def test_as_long_as_the_server_asks_for_is_waited(hub, root, dest, ensure, monkeypatch):
    asked = []
    monkeypatch.setattr(transfer_runner.transfer, "backoff", lambda attempt, wait, chance: asked.append(wait) or 0.01)
    hub.faults = [Fault("status", SHARD, status=429, retry_after="17", times=1)]
    ensure()
    assert asked == [17.0]


def test_a_server_that_is_never_ready_ends_the_run_and_says_so(hub, dest, ensure):
    hub.faults = [Fault("status", SHARDS, status=503)]
    with pytest.raises(Refusal, match="delivered nothing new, the last with status 503; what is there stays"):
        ensure()
    assert not dest.exists()


FAILING = {
    "is never ready": Fault("status", SHARDS, status=503),
    "cuts each answer": Fault("cut", SHARDS, at=1),
    "lost a file": Fault("status", SHARD, status=404),
    "gives wrong bytes": Fault("wrong", SHARD, at=MEBIBYTE),
    "ends in the middle": Fault("cut", SHARDS, at=2 * MEBIBYTE),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("fault", FAILING.values(), ids=FAILING)
def test_what_a_mirror_fails_to_give_comes_from_the_next_one(hub, root, dest, ensure, source, fault):
    with Hub(root, faults=[fault]) as mirror:
        result = ensure(source=source, endpoint=[mirror.url, hub.url])
    assert tree(dest) == wanted(root / REPO)
    assert result["source_used"] == hub.url
    assert result["msg"].endswith(f"fetched from {hub.url}, after {mirror.url} failed")
    if fault.kind == "cut":
        assert result["bytes_fetched"] == result["bytes_total"]


def test_mirrors_that_all_fail_are_all_named(hub, root, dest, ensure):
    hub.faults = [Fault("status", SHARD, status=404)]
    with Hub(root, faults=[Fault("status", SHARDS, status=503)]) as mirror, pytest.raises(Refusal) as refused:
        ensure(endpoint=[mirror.url, hub.url])
    assert f"requests to {mirror.url}" in str(refused.value)
    assert f"{hub.url}/{REPO}" in str(refused.value)
    assert not dest.exists()


def test_a_mirror_of_another_version_is_left_out_and_what_is_there_stays(hub, root, dest, ensure, tmp_path):
    write_model(tmp_path / "newer" / "acme" / "demo", seed=2)
    hub.faults = [FAILING["ends in the middle"]]
    with Hub(tmp_path / "newer") as newer:
        with pytest.raises(Refusal, match=f"{newer.url} does not hold the commit"):
            ensure(source="modelscope", endpoint=[hub.url, newer.url])
        assert newer.log.bytes_sent(SHARDS) == 0
    hub.faults = []
    result = ensure(source="modelscope")
    assert tree(dest) == wanted(root / REPO)
    assert result["bytes_fetched"] < result["bytes_total"] // 2


@pytest.mark.parametrize("place", ["ftp://files.example.com", "http://[bad", "//user@files.example.com"])
def test_a_mirror_that_redirects_to_no_web_address_is_left(hub, root, dest, ensure, place):
    with Hub(root, files_url=place) as mirror:
        assert ensure(endpoint=[mirror.url, hub.url])["source_used"] == hub.url
    assert tree(dest) == wanted(root / REPO)


def test_bytes_without_proof_come_from_one_place_alone(hub, root, dest, ensure):
    with Hub(root, faults=[FAILING["ends in the middle"]]) as mirror, pytest.raises(Refusal, match="does not arrive"):
        ensure(endpoint=[mirror.url, hub.url], verify="never")
    assert hub.log.bytes_sent(SHARDS) == 0
    assert not dest.exists()


def test_a_server_that_knows_no_range_and_no_whole_ends_the_run_and_says_so(hub, dest, ensure):
    hub.faults = [Fault("status", SHARD, status=416)]
    with pytest.raises(Refusal, match=r"00001-of-00002\.safetensors does not arrive: .* the last with no such range"):
        ensure()
    assert not dest.exists()


@pytest.mark.parametrize("source", SOURCES)
def test_a_server_that_ignores_ranges_gives_the_model_all_the_same(hub, root, dest, ensure, source):
    hub.faults = [Fault("ignore_range", SHARDS)]
    ensure(source=source)
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize("times", [1, 3])
def test_a_server_that_ignores_some_ranges_gives_the_model_all_the_same(hub, root, dest, ensure, times):
    hub.faults = [Fault("ignore_range", SHARDS, skip=2, times=times)]
    ensure()
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize("source", SOURCES)
def test_a_server_that_ignores_ranges_and_says_no_length_gives_the_model_all_the_same(
    hub, root, dest, ensure, source, monkeypatch
):
    head = hub_module._Handler._head

    def endless(self, code, sent):
        if code == 200 and "ETag" in sent:
            sent = {**sent, "Connection": "close", "Content-Type": "application/octet-stream"}
            del sent["Content-Length"]
            self.close_connection = True
        head(self, code, sent)

    monkeypatch.setattr(hub_module._Handler, "_head", endless)
    hub.faults = [Fault("ignore_range", SHARDS)]
    ensure(source=source)
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize("source", SOURCES)
def test_a_server_that_gives_less_than_a_range_at_once_gives_the_model_soon(
    hub, root, dest, ensure, source, monkeypatch
):
    whole = hub_module.parse_range

    def capped(header, size):
        start, stop = whole(header, size)
        return start, min(stop, start + MEBIBYTE // 8)

    monkeypatch.setattr(hub_module, "parse_range", capped)
    monkeypatch.setattr(transfer, "backoff", None)  # nothing goes wrong that is to be waited for
    result = ensure(source=source)
    assert tree(dest) == wanted(root / REPO)
    assert result["bytes_fetched"] == result["bytes_total"]


def test_a_server_that_ignores_ranges_and_cuts_each_answer_ends_the_run(hub, dest, ensure):
    hub.faults = [Fault("ignore_range", SHARDS), Fault("cut", SHARDS, at=MEBIBYTE)]
    with pytest.raises(Refusal, match="delivered nothing new"):
        ensure()
    assert not dest.exists()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("at", [0, MEBIBYTE // 3, LAST])
def test_a_silent_connection_is_dropped_and_the_rest_asked_for(hub, root, dest, ensure, source, at):
    hub.faults = [Fault("stall", SHARD, at=at, times=1, seconds=30)]
    ensure(source=source, stall_seconds=1)
    assert tree(dest) == wanted(root / REPO)
    # What a dropped connection still held is at most what is read at once.
    assert hub.log.repeated_bytes(SHARD) <= 2 * transfer_runner.CHUNK + 16 * 65536


class Full:
    """Stands in for a disk that takes no more after some bytes."""

    def __init__(self, room):
        self.room, self.write = room, os.pwrite

    def __call__(self, handle, content, at):
        if self.room < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(content)
        return self.write(handle, content, at)


def test_a_disk_that_runs_full_ends_the_run_and_the_next_one_goes_on(hub, root, dest, ensure, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", Full(2 * MEBIBYTE))
        with pytest.raises(Refusal, match="is full .*; wanted .* bytes more; what is there stays"):
            ensure()
    assert not dest.exists()
    result = ensure()
    assert tree(dest) == wanted(root / REPO)
    assert result["bytes_fetched"] <= result["bytes_total"] - MEBIBYTE


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 5 MB, which this model does not fit on."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=5000k", "tmpfs", place], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("a disk cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("job", ["", "one"])
def test_a_job_too_says_that_the_disk_is_full_on_which_it_says_so(ensure, monkeypatch, small_disk, job):
    monkeypatch.setattr(plan, "SPARE_BYTES", -100 * MEBIBYTE)
    monkeypatch.setattr(job_runner, "nobody_listens", lambda: False)
    with pytest.raises(Refusal, match="is full .*; wanted .* bytes more; what is there stays"):
        ensure(dest=str(small_disk / "demo"), job=job, job_seconds=60)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (
            errno.EIO,
            "found 'Input/output error' at .*/demo; wanted to read and write; look at its disk .*, or set path",
        ),
        (
            errno.EROFS,
            "found 'Read-only file system' at .*/demo; wanted .*; mount its file system for writing, or set path",
        ),
        (errno.ESTALE, "found 'Stale file handle' at .*/demo; wanted .*look at its server.*, or set path"),
        (errno.EFBIG, "found 'File too large' at .*/demo; wanted a file system that takes files so large"),
    ],
)
def test_a_disk_that_fails_is_not_told_as_a_server_that_does(hub, dest, ensure, monkeypatch, number, words):
    def fails(*_words):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", fails)
    with pytest.raises(Refusal, match=words):
        ensure()
    assert not dest.exists()


def test_a_file_system_that_does_not_say_how_large_it_is_is_taken(root, dest, ensure, monkeypatch):
    silent = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: silent)
    ensure()
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize("check", [False, True])
def test_a_disk_without_inodes_is_reported_before_a_byte_is_fetched(hub, ensure, monkeypatch, check):
    few = os.statvfs_result((4096, 4096, 1 << 40, 1 << 40, 1 << 40, 9, 3, 3, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: few)
    with pytest.raises(Refusal, match="found 3 inodes free where .*; wanted 8 for the files still missing"):
        ensure(check=check)
    assert hub.log.bytes_sent(SHARDS) == 0


def test_a_disk_that_runs_out_of_inodes_is_told_as_such(ensure, monkeypatch):
    def full(*_words):
        none = os.statvfs_result((4096, 4096, 1 << 40, 1 << 40, 1 << 40, 9, 0, 0, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda path: none)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(Refusal, match="has no inodes left; wanted some: .*`df -i`"):
        ensure()


@pytest.mark.parametrize("check", [False, True])
def test_a_disk_that_is_too_small_is_reported_before_a_byte_is_fetched(hub, ensure, monkeypatch, check):
    monkeypatch.setattr(transfer_runner.Store, "free", lambda store: plan.SPARE_BYTES + 6 * MEBIBYTE)
    with pytest.raises(Refusal, match=r"found .* free where .*; wanted 6\.3 MB for the files still missing"):
        ensure(check=check)
    assert hub.log.bytes_sent(SHARDS) == 0


def test_what_waits_from_an_earlier_run_counts_before_the_disk_is_called_too_small(
    hub, root, dest, ensure, monkeypatch
):
    hub.faults = [Fault("status", SHARD, status=404)]
    with pytest.raises(Refusal):
        ensure(workers=1)
    hub.faults = []
    monkeypatch.setattr(transfer_runner.Store, "free", lambda store: plan.SPARE_BYTES + 4 * MEBIBYTE)
    assert ensure(workers=1, check=True)["changed"]
    ensure(workers=1)
    assert tree(dest) == wanted(root / REPO)


def test_ranges_are_forgotten_with_the_bytes_that_they_tell_of(hub, root, dest, ensure):
    hub.faults = [FAILING["ends in the middle"]]
    with pytest.raises(Refusal, match="does not arrive"):
        ensure(verify="never")
    parts = list((dest.parent / "demo.gpuchat" / "parts").glob("*-unverified"))
    assert parts
    for part in parts:
        part.unlink()  # as people do who want room
    hub.faults = [Fault("cut", SHARDS, at=MEBIBYTE)]
    with pytest.raises(Refusal, match="does not arrive"):
        ensure(verify="never")
    hub.faults = []
    ensure(verify="never")
    assert tree(dest) == wanted(root / REPO)


def test_a_file_that_the_hub_no_longer_has_ends_the_run_by_name(hub, dest, ensure):
    hub.faults = [Fault("status", SHARD, stage="resolve", status=404)]
    with pytest.raises(
        Refusal, match=r"model-00001-of-00002\.safetensors: .* answered with status 404; wanted \d+ bytes"
    ):
        ensure()
    assert not dest.exists()


def test_what_was_fetched_before_an_error_is_not_fetched_again(hub, root, dest, ensure):
    hub.faults = [Fault("status", SHARD, status=404, skip=1)]
    with pytest.raises(Refusal):
        ensure()
    hub.faults = []
    result = ensure()
    assert tree(dest) == wanted(root / REPO)
    assert result["bytes_fetched"] < result["bytes_total"]
    assert hub.log.repeated_bytes(SHARDS) <= 6 * 2 * transfer_runner.CHUNK


@pytest.mark.parametrize("source", SOURCES)
def test_damage_after_the_fetch_is_fixed_from_the_recorded_commit(hub, root, dest, ensure, source):
    first = ensure(source=source)
    shutil.copytree(root / REPO, root / f"{REPO}@v1")
    write_model(root / REPO, seed=2)
    (dest / "model-00001-of-00002.safetensors").write_bytes(b"x")
    result = ensure(source=source)
    assert result["changed"]
    assert result["commit"] == first["commit"] != result["moved_to"] != ""
    assert tree(dest) == wanted(root / f"{REPO}@v1")
    assert [file["path"] for file in result["files"]] == [file["path"] for file in first["files"]]


def test_nothing_is_left_beside_the_model(hub, dest, ensure):
    ensure()
    assert sorted(path.name for path in dest.parent.iterdir()) == [dest.name]


def test_a_folder_of_an_older_version_is_replaced_as_one(hub, root, dest, ensure):
    ensure()
    write_model(root / REPO, seed=2)
    os.unlink(root / REPO / "README.md")
    ensure(update=True)
    assert tree(dest) == wanted(root / REPO)
    shutil.rmtree(dest)


def test_a_disk_that_cannot_exchange_folders_still_gets_the_new_one(hub, root, dest, ensure, monkeypatch):
    monkeypatch.setattr(store_runner, "exchange", lambda *_: False)
    ensure()
    write_model(root / REPO, seed=2)
    ensure(update=True)
    assert tree(dest) == wanted(root / REPO)
    assert [path.name for path in dest.parent.iterdir()] == [dest.name]


def test_a_run_that_died_between_two_renames_has_the_old_model_brought_back(hub, root, dest, ensure):
    ensure()
    (dest.parent / "demo.gpuchat").mkdir()
    dest.rename(dest.parent / "demo.gpuchat" / "previous")
    hub.log.clear()
    ensure()
    assert tree(dest) == wanted(root / REPO)
    assert hub.log.bytes_sent(SHARDS) == 0


def test_a_disk_that_is_mounted_at_the_folder_is_refused(hub, dest, ensure, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(dest))
    with pytest.raises(Refusal, match="set path to a folder below it"):
        ensure()


def test_a_link_to_the_folder_stays_and_what_it_leads_to_is_replaced(hub, root, dest, ensure, tmp_path):
    (tmp_path / "disk").mkdir()
    dest.parent.mkdir()
    dest.symlink_to(tmp_path / "disk" / "demo")
    ensure()
    assert os.readlink(dest) == str(tmp_path / "disk" / "demo")
    assert tree(tmp_path / "disk" / "demo") == wanted(root / REPO)


def test_memory_does_not_grow_with_the_model(hub, root, ensure):
    tracemalloc.start()
    try:
        ensure()
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20 * MEBIBYTE


@pytest.mark.parametrize(("fast", "more"), [(transfer.FAST, True), (0, False)])
def test_a_file_gets_more_connections_where_they_are_slow(hub, root, dest, ensure, monkeypatch, fast, more):
    answers = []

    def more_helps(connections, cores, measured):
        answer = connections > 0 and rule(connections, 1, measured)
        answers.append(answer)
        return answer

    monkeypatch.setattr(transfer, "FAST", fast)
    monkeypatch.setattr(transfer, "more_helps", more_helps)
    for shard in (root / REPO).glob("*.safetensors"):
        shard.unlink()
    write_model(root / REPO, shards=1)
    hub.faults = [Fault("slow", SHARDS, rate=MEBIBYTE)]
    ensure()
    assert tree(dest) == wanted(root / REPO)
    assert hub.log.repeated_bytes(SHARDS) == 0
    assert any(answers) is more


def test_a_rate_is_kept(ensure):
    result = ensure(rate_limit="20M")
    assert result["seconds"] > 0.8 * result["bytes_total"] / 20e6


@pytest.mark.parametrize("stop", [None, 4])
def test_a_web_page_in_the_place_of_bytes_costs_none_of_those_that_are_there(hub, root, dest, ensure, stop):
    hub.faults = [Fault("page", SHARDS, skip=4, times=stop)]
    fetched = 0
    if stop is None:
        with pytest.raises(Refusal, match=r"does not arrive: .* the last with a web page \(text/html\).*stays"):
            ensure(workers=1)
        fetched = hub.log.bytes_sent(f"{REPO}/*") - 4 * 2000
        hub.faults = []
    result = ensure(workers=1)
    assert tree(dest) == wanted(root / REPO)
    assert hub.log.repeated_bytes(SHARDS) == 0
    assert fetched == 0 or result["bytes_fetched"] < result["bytes_total"] - MEBIBYTE


def test_a_range_that_is_ignored_once_costs_none_of_the_bytes_that_are_there(hub, root, dest, ensure):
    hub.faults = [Fault("ignore_range", SHARD, skip=4, times=1)]
    result = ensure(workers=1)
    assert tree(dest) == wanted(root / REPO)
    assert result["bytes_fetched"] == result["bytes_total"]


@pytest.mark.parametrize("status", [403, 401, 404])
def test_a_content_host_that_gives_nothing_is_named_soon(hub, dest, ensure, status):
    hub.faults = [Fault("status", SHARDS, status=status)]
    begin = time.monotonic()
    with pytest.raises(Refusal, match=f"{hub.url}.* status {status}; .*let this host reach {hub.cdn_url}"):
        ensure()
    assert time.monotonic() - begin < 15
    assert not dest.exists()


def test_a_content_host_that_cannot_be_reached_is_named(root, ensure):
    with (
        Hub(root, cdn_url="http://127.0.0.3:9") as hub,
        pytest.raises(
            Refusal, match=r"does not arrive.*which redirects to http://127\.0\.0\.3:9\) .*Connection refused"
        ),
    ):
        ensure(endpoint=[hub.url])


NOTHING = {
    "a firewall": (Fault("status", status=403), "answered 403"),
    "a login page": (Fault("page"), "answered 200 .a web page,"),
    "a law": (Fault("status", status=451), "answered 451"),
    "a lasting fault": (Fault("status", status=503), "answered 503"),
}


@pytest.mark.parametrize("call", [{}, {"check": True}, {"state": "metadata"}])
@pytest.mark.parametrize(("fault", "word"), NOTHING.values(), ids=NOTHING)
def test_a_content_host_that_gives_not_even_a_large_index_is_named(root, dest, ensure, monkeypatch, fault, word, call):
    monkeypatch.setattr(hub_tree.Entry, "is_lfs", True)
    with (
        Hub(root, faults=[fault]) as hub,
        pytest.raises(Refusal, match=f"{hub.url} .which redirects to {hub.cdn_url}. {word} .*reach {hub.cdn_url} too"),
    ):
        ensure(endpoint=[hub.url], **call)
    assert not dest.exists()


LIMIT = '"api";r=0;t=25'


@pytest.mark.parametrize("stage", ["api", "bytes"])
def test_the_end_of_a_rate_limits_window_is_waited_for(hub, root, dest, ensure, monkeypatch, stage):
    asked = []
    monkeypatch.setattr(transfer_runner.transfer, "backoff", lambda attempt, wait, chance: asked.append(wait) or 0.01)
    pattern = SHARD if stage == "bytes" else "*/tree/*"
    hub.faults = [Fault("status", pattern, stage=stage, status=429, rate_limit=LIMIT, times=1)]
    ensure()
    assert asked == [25.0]
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize("stage", ["api", "bytes"])
def test_an_hour_of_patience_is_told_at_once(hub, dest, ensure, stage):
    hub.faults = [Fault("status", "*", stage=stage, status=429, retry_after="3600")]
    begin = time.monotonic()
    with pytest.raises(Refusal, match="asks for 3600 s of patience"):
        ensure()
    assert time.monotonic() - begin < 15
    assert not dest.exists()


@pytest.mark.parametrize("source", SOURCES)
def test_an_idle_connection_does_the_rest_of_one_that_trickles(hub, root, dest, ensure, source, monkeypatch):
    monkeypatch.setattr(transfer, "SLOW_SECONDS", 1.0)
    hub.faults = [Fault("slow", SHARD, skip=3, times=1, rate=1000)]
    begin = time.monotonic()
    ensure(source=source)
    assert time.monotonic() - begin < 20
    assert tree(dest) == wanted(root / REPO)
    assert hub.log.repeated_bytes(SHARD) <= transfer_runner.CHUNK


@pytest.fixture(params=["requests", "the standard library"])
def readme(request, hub, monkeypatch):
    """Ask for a small file as for a listing."""
    if request.param != "requests":
        monkeypatch.setattr(hub_runner, "requests", None)
    asker = hub_runner.Asker("http")
    return lambda **more: asker.ask(asker.session(), f"{hub.url}/plain/{REPO}/README.md", attempts=1, **more)


@pytest.mark.parametrize(
    ("fault", "word"), [(Fault("slow", rate=100), "bytes in 1 s"), (Fault("cut", at=20), "IncompleteRead")]
)
def test_a_listing_that_trickles_or_ends_too_early_is_none(hub, readme, fault, word):
    hub.faults = [fault]
    begin = time.monotonic()
    reply, _body = readme(silent=1)
    assert (reply.status, word in reply.error) == (0, True)
    assert time.monotonic() - begin < 4


@pytest.mark.parametrize(("encoding", "pack"), [("", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_listing_is_read_though_it_is_packed_unasked(root, readme, monkeypatch, encoding, pack):
    file = root / REPO / "README.md"
    content, head = file.read_bytes(), hub_module._Handler._head
    file.write_bytes(pack(content))
    monkeypatch.setattr(
        hub_module._Handler, "_head", lambda self, code, sent: head(self, code, {**sent, "Content-Encoding": encoding})
    )
    assert readme()[1] == content


def test_a_disk_without_room_for_a_journal_ends_the_run_and_says_so(hub, root, dest, ensure, monkeypatch):
    def full(*_words):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        with pytest.raises(Refusal, match=f"the disk of {dest} is full .*free some and run again, or set path"):
            ensure()
    assert not dest.exists()
    ensure()
    assert tree(dest) == wanted(root / REPO)
