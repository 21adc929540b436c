# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host leaves rotation for work on it: streams end whole, others get what is new, and it stays out until --back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from running import ROOT, Stack, wait

pytestmark = pytest.mark.long

SECOND = "gpuchat-second"
AWAY = "gpu1"
"""It has both, and the second alone."""

JSON = ("--header", "Content-Type: application/json")
MARK = "/etc/gpuchat/door/drained"
TOKENS = 600


def drain(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "deploys" / "drain.py"), AWAY, "-i", str(stack.inventory), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def stream(stack: Stack, model: str) -> tuple[int, str]:
    body = {"model": model, "messages": [{"role": "user", "content": "Tell me a long story"}], "stream": True}
    body |= {"max_tokens": TOKENS, "ignore_eos": True, "stream_options": {"include_usage": True}}
    return stack.curl("/v1/chat/completions", *JSON, "--max-time", "120", "--data", json.dumps(body))


def answered(stack: Stack) -> int:
    """Return how many requests for an answer the host's door has handed on."""
    log = "journalctl --identifier gpuchat_door --output cat --no-pager"
    lines = stack.on(AWAY, f"{log} | grep /v1/chat/completions || true").splitlines()
    return sum(json.loads(line)["status"] == 200 for line in lines)


@pytest.fixture(scope="module", autouse=True)
def put_back(stack: Stack) -> Iterator[None]:
    stack.wait_for_answer()
    yield
    stack.on(AWAY, f"rm -f {MARK}")


def test_the_only_one_that_serves_a_model_stays_unless_it_is_forced(stack: Stack) -> None:
    done = drain(stack)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"{AWAY}: nobody else answers for gpuchat-vllm-{SECOND}" in done.stdout
    assert stack.ask(model=SECOND)[0] == 200


def test_a_stream_ends_whole_and_what_is_new_goes_to_the_other_host(stack: Stack) -> None:
    seen: list[tuple[int, str]] = []
    reader = threading.Thread(target=lambda: seen.append(stream(stack, SECOND)))
    reader.start()
    time.sleep(0.5)
    done = drain(stack, "--force", "--seconds", "100")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{AWAY}: out of rotation; no request is open" in done.stdout
    reader.join(5)  # the command has waited for it
    ((status, text),) = seen
    assert status == 200
    assert text.rstrip().endswith("data: [DONE]")
    assert f'"completion_tokens":{TOKENS}' in text
    before = answered(stack)
    assert before > 0
    assert [stack.ask()[0] for _number in range(4)] == [200] * 4
    assert stack.ask(model=SECOND)[0] == 503
    assert answered(stack) == before


def test_it_stays_out_in_a_run_and_the_survey_tells(stack: Stack) -> None:
    said = stack.must_play("--tags", "door", "--limit", f"{AWAY},localhost")
    assert set(re.findall(r"changed=(\d+)", said)) == {"0"}
    assert stack.ask(model=SECOND)[0] == 503
    command = [sys.executable, str(ROOT / "deploys" / "survey.py"), "--json", "-l", AWAY, "-i", str(stack.inventory)]
    survey = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert survey.returncode == 1, survey.stdout + survey.stderr
    assert "host.drained" in survey.stdout


def test_it_comes_back(stack: Stack) -> None:
    done = drain(stack, "--back")
    assert (done.returncode, done.stdout) == (0, f"{AWAY}: back in rotation\n"), done.stderr
    wait(lambda: stack.ask(model=SECOND)[0] == 200, 10, "the model that the host alone serves")
