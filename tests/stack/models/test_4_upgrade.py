# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade goes host by host while people chat: no request fails, and what fails on the first host stays there."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pathlib
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from running import Stack, streamed, wait

pytestmark = pytest.mark.long

UPGRADE = "playbooks/upgrade.yml"
DEMO = "gpuchat-demo"
HOSTS = ("front", "gpu1")
JSON = ("--header", "Content-Type: application/json")
ANSWER = "Hello! I am the demo model of gpuchat. Your private chat works."
PATIENCE = ("--max-time", "180")
"""Two processor cores answer while another engine loads on them."""


def chat(stack: Stack, question: str, **more: object) -> tuple[int, str]:
    body = {"model": DEMO, "messages": [{"role": "user", "content": question}], "temperature": 0, **more}
    return stack.curl("/v1/chat/completions", *JSON, *PATIENCE, "--data", json.dumps(body))


@dataclass
class Seen:
    """What clients saw in the meantime."""

    answers: list[tuple[int, str]] = field(default_factory=list)
    streams: list[tuple[int, str]] = field(default_factory=list)


@contextlib.contextmanager
def clients(stack: Stack) -> Iterator[Seen]:
    """Ask again and again, and read one stream after the other, until the block ends and all have their answer."""
    seen, done = Seen(), threading.Event()

    def ask() -> None:
        while not done.is_set():
            seen.answers.append(chat(stack, "hello"))
            time.sleep(1)

    def read() -> None:
        while not done.is_set():
            seen.streams.append(chat(stack, "Tell me a long story", stream=True))
            time.sleep(1)

    threads = [threading.Thread(target=work) for work in (ask, read)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()


def check(seen: Seen, story: str) -> None:
    # The verification at the end tries the edge's limit, with the same key from the same address.
    answers = [one for one in seen.answers if one[0] != 429]
    streams = [one for one in seen.streams if one[0] != 429]
    assert len(seen.answers) - len(answers) + len(seen.streams) - len(streams) < 5
    assert len(answers) > 20
    assert [one for one in answers if one[0] != 200] == []
    assert {json.loads(body)["choices"][0]["message"]["content"] for _status, body in answers} == {ANSWER}
    assert len(streams) > 2
    assert [one for one in streams if one[0] != 200] == []
    assert {streamed(body) for _status, body in streams} == {story}


@pytest.fixture(scope="module")
def story(stack: Stack) -> str:
    stack.wait_for_answer()
    status, body = chat(stack, "Tell me a long story", stream=True)
    assert status == 200, body
    return streamed(body)


def edit(stack: Stack, folder: pathlib.Path, image: str = "", **args: object) -> tuple[str, str]:
    """Return the words for a run after an edit of the first model's options, or of its image."""
    models = copy.deepcopy(stack.variables["gpuchat_models"])
    assert models[0]["name"] == DEMO  # type: ignore[index]
    models[0].update({"args": args, **({"image": image} if image else {})})  # type: ignore[index]
    path = folder / "edit.json"
    path.write_text(json.dumps({"gpuchat_models": models}))
    return "-e", f"@{path}"


def started(stack: Stack) -> dict[str, dict[str, str]]:
    """Return when each engine of each host was started."""
    look = (
        "docker ps --filter name=gpuchat-vllm --format '{{.Names}}'"
        " | xargs docker inspect --format '{{.Name}} {{.State.StartedAt}}'"
    )
    return {host: dict(line[1:].split() for line in stack.on(host, look).splitlines()) for host in HOSTS}


def closed(stack: Stack, host: str) -> bool:
    """Whether a host's door sends others elsewhere."""
    return stack.on(host, "grep -c '^  return 503;' /etc/gpuchat/door/models.conf || true").strip() != "0"


def changes(printed: str) -> set[str]:
    return set(re.findall(r"changed=(\d+)", printed))


def test_an_upgrade_breaks_no_chat_and_restarts_what_it_changes(
    stack: Stack, tmp_path: pathlib.Path, story: str
) -> None:
    before, edited = started(stack), edit(stack, tmp_path, **{"max-num-seqs": 6})
    with clients(stack) as seen:
        stack.must_play(*edited, playbook=UPGRADE)
    check(seen, story)
    after = started(stack)
    container = f"gpuchat-vllm-{DEMO}"
    anew = {(host, name) for host in HOSTS for name, at in after[host].items() if before[host].get(name) != at}
    assert anew == {(host, container) for host in HOSTS}
    assert after["front"][container] < after["gpu1"][container], "the first host is tried before the second"
    for host in HOSTS:
        assert "max-num-seqs: 6" in stack.on(host, f"cat /etc/gpuchat/vllm/{DEMO}/config.yaml")
        assert not closed(stack, host)


BROKEN = {
    "an option whose value the engine alone can refuse": ({"chat-template": "/nowhere/template.jinja"}, ""),
    # Whatever is asked, it is this.
    "an answer that is not the one that is known": (
        {"chat-template": "<|im_start|>user\nTell me a long story<|im_end|>\n<|im_start|>assistant\n"},
        "completion: found the answer",
    ),
    "an image without a vLLM": ({}, "vllm: not found"),
}
IMAGES = {"an image without a vLLM": "docker.io/library/debian:trixie-slim"}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_fails_on_the_first_host_is_rolled_back_and_no_other_is_touched(
    stack: Stack, tmp_path: pathlib.Path, story: str, fault: str
) -> None:
    before, (args, word) = started(stack), BROKEN[fault]
    broken = edit(stack, tmp_path, IMAGES.get(fault, ""), **{"max-num-seqs": 6, **args})
    with clients(stack) as seen:
        done = stack.play(*broken, playbook=UPGRADE)
    assert done.returncode != 0
    assert "the upgrade of front has failed, and no further host was touched" in done.stdout
    assert "runs again" in done.stdout
    assert word in done.stdout
    check(seen, story)
    after = started(stack)
    assert after["gpu1"] == before["gpu1"]
    for host in HOSTS:
        assert "chat-template" not in stack.on(host, f"cat /etc/gpuchat/vllm/{DEMO}/config.yaml")
        assert not closed(stack, host)
    assert [stack.ask() for _number in range(4)] == [(200, ANSWER)] * 4


def test_an_upgrade_that_was_interrupted_is_finished_by_the_next(
    stack: Stack, tmp_path: pathlib.Path, story: str
) -> None:
    """It ends while the first host is out of rotation; the next run goes back to the options of the inventory."""
    log = tmp_path / "log"
    with clients(stack) as seen:
        play = stack.start_play(log, *edit(stack, tmp_path, **{"max-num-seqs": 5}), playbook=UPGRADE)
        try:
            wait(lambda: closed(stack, "front") or play.poll() is not None, 600, "the door of the first host")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(play.pid, signal.SIGINT)
            play.wait(timeout=120)
        assert play.returncode != 0, log.read_text()[-3000:]
        assert closed(stack, "front")
        assert stack.ask() == (200, ANSWER)
        stack.must_play(playbook=UPGRADE)
    check(seen, story)
    for host in HOSTS:
        assert "max-num-seqs: 8" in stack.on(host, f"cat /etc/gpuchat/vllm/{DEMO}/config.yaml")
        assert not closed(stack, host)
    assert changes(stack.must_play()) == {"0"}
