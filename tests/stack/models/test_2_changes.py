# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One edit and one run add a model, retire one, and hand on somebody else's server; the rest is not disturbed."""

from __future__ import annotations

import copy
import json
import pathlib
import time
from collections.abc import Callable

import pytest
from running import Stack, streamed

JSON = ("--header", "Content-Type: application/json")
ANSWER = "Hello! I am the demo model of gpuchat. Your private chat works."
ALL = ["gpuchat-demo", "gpuchat-second", "second", "gpuchat-sailor", "gpuchat-embed"]


def played(stack: Stack, *words: str) -> str:
    """Run site.yml, and wait until the edge's rate limit, which its verification uses up, has room again."""
    said = stack.must_play(*words)
    time.sleep(5)
    return said


def edited(stack: Stack, folder: pathlib.Path, **variables: object) -> str:
    """Run site.yml as after an edit of the inventory."""
    path = folder / "edited.json"
    path.write_text(json.dumps(variables))
    return played(stack, "-e", f"@{path}")


def without(stack: Stack, name: str) -> list[dict[str, object]]:
    models: list[dict[str, object]] = copy.deepcopy(stack.variables["gpuchat_models"])  # type: ignore[assignment]
    return [one for one in models if one["name"] != name]


def names(stack: Stack) -> list[str]:
    return [one["id"] for one in json.loads(stack.curl("/v1/models")[1])["data"]]


def started(stack: Stack, host: str, model: str) -> str:
    return stack.on(host, f"docker inspect gpuchat-vllm-{model} --format '{{{{.State.StartedAt}}}}'")


@pytest.mark.long
def test_a_model_is_retired_and_somebody_elses_server_handed_on_by_one_run(
    stack: Stack, tmp_path: pathlib.Path, fastchat: Callable[[], tuple[str, str]]
) -> None:
    url, key = fastchat()
    kept = {host: started(stack, host, "gpuchat-demo") for host in ("front", "gpu1")}
    named = [{"name": "ours", "upstream": "fastchat"}]
    office = {"name": "office", "url": f"{url}/v1", "key": key, "models": named}
    lab = {"name": "lab", "url": url, "key": key}  # the same by what it lists, and without the path
    edit = {
        "gpuchat_models": without(stack, "gpuchat-second"),
        "gpuchat_endpoints": [office, lab],
        "gpuchat_api_keys": [],  # which names a model that stays, and is not what this is about
    }
    printed = edited(stack, tmp_path, **edit)
    assert key not in printed
    assert names(stack) == ["gpuchat-demo", "gpuchat-embed", "ours", "fastchat"]
    assert stack.ask(model="ours") == (200, ANSWER)
    assert stack.ask(model="fastchat") == (200, ANSWER)
    assert stack.ask(model="second")[0] == 404
    assert stack.on("gpu1", "docker ps --all --filter name=gpuchat-vllm-gpuchat-second --quiet").strip() == ""
    assert stack.on("gpu1", "ls /etc/gpuchat/vllm").split() == ["gpuchat-demo"]
    assert "config.json" in stack.on("gpu1", "ls /srv/models/gpuchat-second")
    assert kept == {host: started(stack, host, "gpuchat-demo") for host in kept}
    for path in stack.on("front", f"grep -rl {key} /etc /var/lib/gpuchat /var/log 2>/dev/null || true").split():
        assert stack.on("front", f"stat -c '%U %a' {path}").split() == ["root", "600"], path
    assert "changed=0" in edited(stack, tmp_path, **edit)


@pytest.mark.long
def test_servers_of_two_kinds_are_handed_on_side_by_side_and_go_by_one_run(
    stack: Stack,
    tmp_path: pathlib.Path,
    fastchat: Callable[[], tuple[str, str]],
    llamacpp: Callable[[], tuple[str, str]],
) -> None:
    servers = {"office": fastchat(), "attic": llamacpp()}
    endpoints = [{"name": name, "url": url, "key": key} for name, (url, key) in servers.items()]
    edited(stack, tmp_path, gpuchat_endpoints=endpoints)
    assert names(stack) == [*ALL, "fastchat", "llamacpp"]
    assert [stack.ask(model=name) for name in ("fastchat", "llamacpp")] == [(200, ANSWER)] * 2
    body = {"model": "llamacpp", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    status, said = stack.curl("/v1/chat/completions", *JSON, "--data", json.dumps(body))
    assert (status, streamed(said)) == (200, ANSWER)
    assert said.count("data: ") > 5
    played(stack)
    assert names(stack) == ALL
    assert stack.ask(model="llamacpp")[0] == 404


@pytest.mark.long
def test_a_models_files_go_where_that_is_asked_for_and_it_comes_back_by_one_run(
    stack: Stack, tmp_path: pathlib.Path
) -> None:
    models = without(stack, "gpuchat-embed")
    assert models[1].pop("adapters")
    edited(stack, tmp_path, gpuchat_models=models, gpuchat_prune=True, gpuchat_api_keys=[])
    assert names(stack) == ["gpuchat-demo", "gpuchat-second", "second"]
    assert stack.on("front", "ls /srv/models").split() == ["gpuchat-demo"]
    assert stack.on("gpu1", "ls /srv/models").split() == ["gpuchat-demo", "gpuchat-second"]
    played(stack)
    assert stack.ask(model="gpuchat-sailor")[0] == 200
    assert names(stack) == ALL
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
