# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed at any moment, and runs at the same time."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import DEFAULTS, MEBIBYTE, REPO, tree, wanted, write_model
from hub import Hub
from hub_faults import Fault

FORKER = pathlib.Path(__file__).with_name("forker.py")
RANGES = (MEBIBYTE // 4, MEBIBYTE // 2, 0.01)
SHARDS = f"{REPO}/*.safetensors"
LOOKED_AT = MEBIBYTE // 8  # bytes of a shard that are read for its header: hub_runner.HEAD


class Forker:
    """Starts runs and waits for them; one at a time for each forker."""

    def __init__(self, folder):
        self._answer = folder / f"answer-{id(self)}"
        self._process = subprocess.Popen(
            [sys.executable, str(FORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, params, die_at=None, crowded=False):
        """Start a run and return its process id."""
        with contextlib.suppress(FileNotFoundError):
            self._answer.unlink()
        order = {"params": {**DEFAULTS, **params}, "die_at": die_at, "ranges": RANGES, "crowded": crowded}
        order["answer"] = str(self._answer)
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait(self):
        """Return a run's result, None where it was killed."""
        status = int(self._process.stdout.readline())
        return json.loads(self._answer.read_text(encoding="utf-8")) if status == 0 else None

    def run(self, params, die_at=None):
        self.start(params, die_at)
        return self.wait()

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=30)


@pytest.fixture(scope="module")
def forker(tmp_path_factory):
    one = Forker(tmp_path_factory.mktemp("forker"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Return a hub's folder with two versions of a model, and the older one as it is published."""
    folder = tmp_path_factory.mktemp("versions")
    write_model(folder / "hub" / "acme" / "demo@v1", seed=1, size=MEBIBYTE)
    write_model(folder / "hub" / "acme" / "demo", seed=2, size=MEBIBYTE)
    shutil.copy(folder / "hub/acme/demo@v1/README.md", folder / "hub/acme/demo/README.md")
    return folder


@pytest.fixture
def slow_hub(versions):
    """Return a hub for one test: a killed run's last requests reach it after the run, and count in no other."""
    with Hub(versions / "hub", faults=[Fault("slow", SHARDS, rate=3 * MEBIBYTE)]) as one:
        yield one


@pytest.fixture(scope="module")
def older(versions, forker):
    with Hub(versions / "hub") as hub:
        params = {"endpoint": [hub.url], "dest": str(versions / "older"), "revision": "v1"}
        assert forker.run(params)["changed"]
    return versions / "older"


@pytest.fixture
def place(tmp_path, older):
    """Return a folder with the older model, as it was published, with its times."""
    shutil.copytree(older, tmp_path / "demo")
    return tmp_path / "demo"


def whole(place, versions):
    """Return which version lies there whole; anything else is what must never be."""
    found = tree(place)
    for name in ("demo@v1", "demo"):
        if found == wanted(versions / "hub" / "acme" / name):
            return name
    raise AssertionError(f"neither model, but {sorted(found)}")


# Each step for itself is killed below; at random moments a dozen is for each run, and as many as this before a release.
@pytest.mark.parametrize("seed", [*range(12), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(12, 56))])
def test_a_run_killed_at_any_moment_leaves_a_whole_model_and_the_next_one_goes_on(
    forker, versions, slow_hub, place, seed
):
    chance = random.Random(seed)
    params = {"endpoint": [slow_hub.url], "dest": str(place), "revision": "main", "verify": "download"}
    kills = 0
    for _kill in range(chance.randrange(1, 4)):
        child = forker.start(params, crowded=bool(seed % 2))
        time.sleep(chance.uniform(0, 0.45))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        kills += forker.wait() is None
        assert whole(place, versions) in ("demo@v1", "demo")
    result = forker.run(params)
    assert whole(place, versions) == "demo"
    assert "refused" not in result
    assert sorted(path.name for path in place.parent.iterdir()) == ["demo"]
    # A killed run loses what its connections had on the way: what the kernel held and what was read but not noted.
    assert slow_hub.log.repeated_bytes(SHARDS) <= kills * DEFAULTS["workers"] * 3 * MEBIBYTE // 4


def test_a_run_killed_before_each_of_its_steps_leaves_a_whole_model(forker, versions, tmp_path, older):
    with Hub(versions / "hub") as hub:
        seen = set()
        for step in range(2000):
            place = tmp_path / f"at-{step}"
            shutil.copytree(older, place)
            params = {"endpoint": [hub.url], "dest": str(place), "revision": "main", "workers": 1}
            result = forker.run(params, die_at=step)
            seen.add(whole(place, versions))
            if result is not None:
                break
            assert "refused" not in forker.run(params)
            assert whole(place, versions) == "demo"
            assert sorted(path.name for path in tmp_path.iterdir()) == [place.name]
            shutil.rmtree(place)
        assert result["changed"]
        assert step > 40
        assert seen == {"demo@v1", "demo"}


@pytest.mark.parametrize("revisions", [("main", "main"), ("main", "v1")])
def test_two_runs_at_once_take_their_turns(forker, versions, slow_hub, tmp_path, revisions):
    second = Forker(tmp_path)
    place = tmp_path / "models" / "demo"
    params = {"endpoint": [slow_hub.url], "dest": str(place), "lock_seconds": 60}
    try:
        forker.start({**params, "revision": revisions[0]})
        second.start({**params, "revision": revisions[1]})
        results = [forker.wait(), second.wait()]
    finally:
        second.close()
    assert not [result for result in results if "refused" in result]
    assert whole(place, versions) in ("demo@v1", "demo")
    if revisions == ("main", "main"):
        assert [result["changed"] for result in results].count(True) == 1
        # Two that looked at the same moment have both read the beginning of each shard; nothing else comes twice.
        assert slow_hub.log.repeated_bytes(SHARDS) <= 2 * LOOKED_AT


def test_a_run_that_finds_another_at_work_says_so_after_its_patience(forker, versions, slow_hub, tmp_path):
    second = Forker(tmp_path)
    # So slow that it is at work still when the other one, on a busy machine, has begun.
    params = {"endpoint": [slow_hub.url], "dest": str(tmp_path / "demo"), "rate_limit": "50K", "revision": "main"}
    try:
        child = forker.start(params)
        while not (tmp_path / "demo.gpuchat" / "lock").exists():
            time.sleep(0.01)
        refused = second.run({**params, "lock_seconds": 0})["refused"]
        os.kill(child, signal.SIGKILL)
        forker.wait()
        assert f"another run (process {child}) is at work on {tmp_path / 'demo'}" in refused
        assert "changed" in second.run({**params, "rate_limit": ""})  # the owner is dead: so is its lock
    finally:
        second.close()
    assert whole(tmp_path / "demo", versions) == "demo"
