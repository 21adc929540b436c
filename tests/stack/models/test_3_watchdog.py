# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that hangs while it still says that it is healthy is started anew, and the other host serves meanwhile."""

from __future__ import annotations

import time

import pytest
from running import Stack, wait

MARKS = "ls /run/gpuchat-watchdog | grep silent || true"
CONTAINER = "gpuchat-vllm-gpuchat-demo"
WITHIN_SECONDS = 90
"""A minute, and what a busy machine of two cores makes of it."""


def started(stack: Stack) -> str:
    return stack.on("gpu1", f"docker inspect {CONTAINER} --format '{{{{.State.StartedAt}}}}'").strip()


def test_an_engine_that_was_stopped_in_its_tracks_is_restarted(stack: Stack) -> None:
    stack.wait_for_answer()
    before = started(stack)
    stack.on("gpu1", f"kill -STOP $(docker top {CONTAINER} -eo pid,args | awk '/EngineCore/ {{print $1}}')")
    wait(lambda: stack.on("gpu1", MARKS).split() == ["gpuchat-demo.silent"], WITHIN_SECONDS, "the engine's mark")
    assert [stack.ask()[0] for _number in range(4)] == [200] * 4  # of the other host
    end = time.monotonic() + WITHIN_SECONDS
    while started(stack) == before:
        assert time.monotonic() < end, stack.on("gpu1", "journalctl -u gpuchat-watchdog -n 30 --no-pager")
        time.sleep(1)
    said = stack.on("gpu1", "journalctl -u gpuchat-watchdog -o cat --no-pager")
    assert CONTAINER in said
    health = f"docker inspect {CONTAINER} --format '{{{{.State.Health.Status}}}}'"
    wait(lambda: stack.on("gpu1", health).strip() == "healthy", 240, "the engine's start")
    assert [stack.ask()[0] for _number in range(4)] == [200] * 4
    assert stack.on("gpu1", MARKS) == ""


@pytest.mark.long
def test_an_engine_that_works_is_left_alone(stack: Stack) -> None:
    before = started(stack)
    for _number in range(10):
        assert stack.ask("Tell me a long story")[0] == 200
    time.sleep(30)
    assert started(stack) == before
