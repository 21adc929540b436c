# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One model over both hosts: it answers word for word, its ranks start anew together, and nobody else reaches them."""

from __future__ import annotations

import copy
import json
import pathlib
import socket
from collections.abc import Iterator

import pytest
from running import Stack, wait

CONTAINER = "gpuchat-vllm-gpuchat-demo"
ANSWER = "Hello! I am the demo model of gpuchat. Your private chat works."
HOSTS = ("front", "gpu1")
START_SECONDS = 600
"""For both ranks on two cores."""


def edit_of(stack: Stack, folder: pathlib.Path) -> str:
    """Return the inventory's edit, in a file."""
    (model,) = [one for one in copy.deepcopy(stack.variables["gpuchat_models"]) if one["name"] == "gpuchat-demo"]  # type: ignore[attr-defined]
    path = folder / "span.json"
    path.write_text(json.dumps({"gpuchat_models": [{**model, "span": True}], "gpuchat_api_keys": []}))
    return str(path)


def started(stack: Stack, host: str) -> str:
    return stack.on(host, f"docker inspect {CONTAINER} --format '{{{{.State.StartedAt}}}}'").strip()


def private(stack: Stack, host: str) -> str:
    return str(stack.world["hosts"][host]["addresses"]["back"])  # type: ignore[index]


@pytest.fixture(scope="module")
def edit(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Make one engine of the model's two, and two of it at the end; return the edit."""
    path = edit_of(stack, tmp_path_factory.mktemp("span"))
    stack.must_play("-e", f"@{path}")
    yield path
    stack.must_play()


def test_a_model_over_two_hosts_answers_word_for_word(stack: Stack, edit: str) -> None:
    assert stack.ask() == (200, ANSWER)
    for rank, host in enumerate(HOSTS):
        configured = stack.on(host, "cat /etc/gpuchat/vllm/gpuchat-demo/config.yaml").splitlines()
        wanted = {"nnodes: 2", f"node-rank: {rank}", "tensor-parallel-size: 2"}
        assert wanted <= set(configured)
    assert "changed=0" in stack.must_play("-e", f"@{edit}")


@pytest.mark.parametrize("killed", HOSTS)
def test_where_one_rank_dies_all_start_anew_and_answer_again(stack: Stack, edit: str, killed: str) -> None:
    before = {host: started(stack, host) for host in HOSTS}
    stack.on(killed, f"kill -9 $(docker inspect {CONTAINER} --format '{{{{.State.Pid}}}}')")
    wait(lambda: all(started(stack, host) != before[host] for host in HOSTS), 120, "all ranks to start anew")
    wait(lambda: stack.ask() == (200, ANSWER), START_SECONDS, "the answer")


def test_nobody_but_the_other_hosts_reaches_a_rank(stack: Stack, edit: str) -> None:
    front = private(stack, "front")
    listening = stack.on("front", "ss -Hltn | awk '{print $4}'").split()
    ports = {int(one.rpartition(":")[2]) for one in listening if one.startswith((front, "*:29501", "[::]:29501"))}
    assert {29501, 29502} <= ports
    assert any(port >= 32768 for port in ports)  # what the kernel gave
    for port in ports - {8000, 9400}:  # the doors want a certificate
        knock = f"import socket; socket.create_connection(('{front}', {port}), 5)"
        assert stack.on("gpu1", f'python3 -c "{knock}" && echo open').strip() == "open", port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((front, port), 5)  # from the world's own machine, which is in that network too


def test_a_run_that_leaves_a_host_out_does_not_stop_it(stack: Stack, edit: str) -> None:
    before = {host: started(stack, host) for host in HOSTS}
    done = stack.play("-e", f"@{edit}", "-e", '{"vllm_args": {"enforce-eager": true}}', "--limit", "front,localhost")
    assert done.returncode != 0
    assert "leaves out or has lost gpu1" in done.stdout
    assert before == {host: started(stack, host) for host in HOSTS}
    assert stack.ask() == (200, ANSWER)
