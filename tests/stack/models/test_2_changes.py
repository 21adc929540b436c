# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One edit and one run add a model, retire one, and hand on somebody else's server; the rest is not disturbed."""

from __future__ import annotations

import copy
import json
import pathlib
from collections.abc import Iterator

import pytest
from running import Stack, wait

JSON = ("--header", "Content-Type: application/json")
ANSWER = "Hello! I am the demo model of gpuchat. Your private chat works."
FOREIGN = "foreign"
KEY = "sk-of-somebody-else"
PORT = 9000


def edited(stack: Stack, folder: pathlib.Path, **variables: object) -> str:
    """Run site.yml as after an edit of the inventory."""
    path = folder / "edited.json"
    path.write_text(json.dumps(variables))
    return stack.must_play("-e", f"@{path}")


def names(stack: Stack) -> list[str]:
    return [one["id"] for one in json.loads(stack.curl("/v1/models")[1])["data"]]


def started(stack: Stack, host: str, model: str) -> str:
    return stack.on(host, f"docker inspect gpuchat-vllm-{model} --format '{{{{.State.StartedAt}}}}'")


@pytest.fixture(scope="module")
def foreign(stack: Stack) -> Iterator[str]:
    """A vLLM on gpu1 that nobody of the stack has started, with a key and an API of its own."""
    serve = (
        f"docker run --detach --name {FOREIGN} --network host --shm-size 1g --entrypoint vllm"
        " --volume /srv/models/gpuchat-demo:/model:ro --env HOME=/tmp --env OMP_NUM_THREADS=1"
        " --env VLLM_CPU_OMP_THREADS_BIND=nobind --env VLLM_CPU_KVCACHE_SPACE=1 --env VLLM_HOST_IP=127.0.0.1"
        " --env GLOO_SOCKET_IFNAME=lo"
        f" $(docker inspect gpuchat-vllm-gpuchat-demo --format '{{{{.Config.Image}}}}')"
        f" serve /model --served-model-name theirs --host 172.31.80.11 --port {PORT} --api-key {KEY}"
        " --enforce-eager --max-model-len 2048 --max-num-seqs 2"
    )
    stack.on("gpu1", serve)
    # Its owner lets the stack's host in; the stack's own packet filter leaves other ports to others.
    url = f"http://172.31.80.11:{PORT}"
    look = (
        f"python3 -c 'import urllib.request as ask; ask.urlopen(\"{url}/health\", timeout=5)' 2>&1 && echo up || true"
    )
    wait(lambda: stack.on("front", look).strip() == "up", 240, "somebody else's server")
    yield url
    stack.on("gpu1", f"docker rm --force {FOREIGN}")


def test_a_model_is_retired_and_somebody_elses_server_handed_on_by_one_run(
    stack: Stack, tmp_path: pathlib.Path, foreign: str
) -> None:
    kept = {host: started(stack, host, "gpuchat-demo") for host in ("front", "gpu1")}
    models = [one for one in copy.deepcopy(stack.variables["gpuchat_models"]) if one["name"] != "gpuchat-second"]  # type: ignore[attr-defined]
    endpoint = {
        "name": "office",
        "url": f"{foreign}/v1",
        "key": KEY,
        "models": [{"name": "ours", "upstream": "theirs"}],
    }
    edit = {"gpuchat_models": models, "gpuchat_endpoints": [endpoint]}
    printed = edited(stack, tmp_path, **edit)
    assert KEY not in printed
    assert names(stack) == ["gpuchat-demo", "gpuchat-embed", "ours"]
    assert stack.ask(model="ours") == (200, ANSWER)
    assert stack.ask(model="second")[0] == 404
    assert stack.on("gpu1", "docker ps --all --filter name=gpuchat-vllm-gpuchat-second --quiet").strip() == ""
    assert stack.on("gpu1", "ls /etc/gpuchat/vllm").split() == ["gpuchat-demo"]
    assert "config.json" in stack.on("gpu1", "ls /srv/models/gpuchat-second")
    assert kept == {host: started(stack, host, "gpuchat-demo") for host in kept}
    assert "changed=0" in edited(stack, tmp_path, **edit)


def test_their_key_stands_nowhere_but_in_files_of_roots(stack: Stack) -> None:
    found = stack.on("front", f"grep -rl {KEY} /etc /var/lib/gpuchat /var/log 2>/dev/null || true").split()
    assert found
    for path in found:
        assert stack.on("front", f"stat -c '%U %a' {path}").split() == ["root", "600"], path


def test_a_models_files_go_where_that_is_asked_for_and_it_comes_back_by_one_run(
    stack: Stack, tmp_path: pathlib.Path
) -> None:
    models = [one for one in copy.deepcopy(stack.variables["gpuchat_models"]) if one["name"] != "gpuchat-embed"]  # type: ignore[attr-defined]
    edited(stack, tmp_path, gpuchat_models=models, gpuchat_prune=True)
    assert names(stack) == ["gpuchat-demo", "gpuchat-second", "second"]
    assert stack.on("front", "ls /srv/models").split() == ["gpuchat-demo"]
    stack.must_play()
    assert names(stack) == ["gpuchat-demo", "gpuchat-second", "second", "gpuchat-embed"]
    status, body = stack.curl("/v1/embeddings", *JSON, "--data", json.dumps({"model": "gpuchat-embed", "input": "a"}))
    assert status == 200, body


def test_a_change_that_vllm_refuses_leaves_the_chat_as_it_was(stack: Stack, tmp_path: pathlib.Path) -> None:
    """The option is known, so nothing but the engine's own start can find that its value is no good."""
    models = copy.deepcopy(stack.variables["gpuchat_models"])
    models[1]["args"] = {"chat-template": "/nowhere/template.jinja"}  # type: ignore[index]
    path = tmp_path / "broken.json"
    path.write_text(json.dumps({"gpuchat_models": models}))
    done = stack.play("-e", f"@{path}")
    assert done.returncode != 0
    assert "gpuchat-second" in done.stdout
    assert stack.ask(model="second") == (200, ANSWER)
    assert stack.ask() == (200, ANSWER)
    stack.must_play()
