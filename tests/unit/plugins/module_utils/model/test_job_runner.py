# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import atexit
import os
import signal
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host, network_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model import job_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.job_runner import Job, forget_old
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.transfer import Progress

HALF = Progress(done=5, fetched=5, total=10, rate=1.0, files_done=0, files=1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(job_runner, "nobody_listens", lambda: False)
    return tmp_path / "side"


def until(path):
    """Return work that tells where it is, and goes on until a file is there."""

    def work(report):
        while not path.exists():
            report(HALF)
            time.sleep(0.01)
        return {"changed": True, "pid": os.getpid()}

    return work


def test_work_that_ends_soon_is_one_call(folder):
    result = Job(str(folder), "a").run(lambda report: {"changed": True, "pid": os.getpid()}, 30)
    assert result["changed"]
    assert result["pid"] != os.getpid()
    assert not folder.exists()


def test_work_that_lasts_is_reported_of_call_by_call(folder, tmp_path):
    calls = [Job(str(folder), "a").run(until(tmp_path / "end"), 0.3) for _call in range(2)]
    assert all(call["running"] and not call["changed"] for call in calls)
    assert calls[1]["progress"]["bytes"] == 5
    (tmp_path / "end").touch()
    assert Job(str(folder), "a").run(until(tmp_path / "never"), 30)["changed"]
    assert not folder.exists()


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n"


def test_work_that_outlives_its_call_keeps_the_authorities_that_it_trusts(folder, tmp_path, monkeypatch):
    def work(report):
        while not (tmp_path / "go").exists():
            time.sleep(0.01)
        path = os.environ["SSL_CERT_FILE"]
        return {"path": path, "trusts": os.path.exists(path)}

    monkeypatch.setattr(network_runner, "BUNDLES", ())
    caller = os.fork()
    if not caller:  # a module's process, which ends while the work goes on
        atexit._clear()
        network_runner.adopt({"way_out": {"authorities": CERTIFICATE}})
        (tmp_path / "said").write_text(str(Job(str(folder), "a").run(work, 0.3).get("running")))
        atexit._run_exitfuncs()
        os._exit(0)
    os.waitpid(caller, 0)
    (tmp_path / "go").touch()
    result = Job(str(folder), "a").run(lambda report: {}, 30)

    assert (tmp_path / "said").read_text() == "True"
    assert result["trusts"]
    assert host.wait_for(lambda: "it is there" if os.path.exists(result["path"]) else None, 10) is None


def test_an_error_of_the_work_is_the_callers(folder):
    def work(report):
        raise Refusal("found this; wanted that")

    with pytest.raises(Refusal, match="^found this; wanted that$"):
        Job(str(folder), "a").run(work, 30)
    assert not folder.exists()


def test_a_fault_of_the_work_is_reported_with_its_place(folder):
    with pytest.raises(Refusal, match="the transfer failed:\n(.|\n)*ZeroDivisionError"):
        Job(str(folder), "a").run(lambda report: {"changed": 1 / 0}, 30)


def test_work_that_was_killed_is_reported(folder):
    with pytest.raises(Refusal, match="ended without a word; what is there stays"):
        Job(str(folder), "a").run(lambda report: os.kill(os.getpid(), signal.SIGKILL), 30)
    assert not folder.exists()


def test_work_that_nobody_asks_for_stops(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(job_runner, "FORSAKEN_SECONDS", 0.3)
    assert Job(str(folder), "a").run(until(tmp_path / "end"), 0.1)["running"]
    result = str(folder / "job-a.result")
    assert host.wait_for(lambda: None if os.path.exists(result) else "no result", 30, 0.02) is None
    with pytest.raises(Refusal, match="nobody asked for the transfer any more"):
        Job(str(folder), "a").run(until(tmp_path / "end"), 30)


def test_a_call_whose_own_caller_is_gone_ends_at_once(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(job_runner, "nobody_listens", lambda: True)
    assert Job(str(folder), "a").run(until(tmp_path / "end"), 3600)["running"]
    (tmp_path / "end").touch()


def test_a_broken_pipe_is_noticed():
    reader, writer = os.pipe()
    kept = os.dup(1)
    try:
        os.dup2(writer, 1)
        os.close(writer)
        before = job_runner.nobody_listens()
        os.close(reader)
        after = job_runner.nobody_listens()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert (before, after) == (False, True)


def test_what_old_jobs_left_is_removed_and_no_more(tmp_path):
    for name in ("job-old.result", "job-old.lock", "job-new.lock", "lock"):
        (tmp_path / name).touch()
    for name in ("job-old.result", "job-old.lock", "job-new.lock", "lock"):
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / "job-new.fed").touch()
    forget_old(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job-new.fed", "job-new.lock", "lock"]
