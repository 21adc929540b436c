# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are made anew while people chat, and nobody is cut off."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator

import pytest
from running import Stack

ROTATE = "playbooks/rotate.yml"
PARTS = ("--tags", "door,edge")


@contextlib.contextmanager
def asked_all_the_while(stack: Stack, key: str) -> Iterator[list[int]]:
    """Ask the model again and again with a key; collect the statuses."""
    statuses: list[int] = []
    done = threading.Event()
    question = {"model": stack.model, "max_tokens": 3, "messages": [{"role": "user", "content": "hello"}]}
    words = ("--header", "Content-Type: application/json", "--data", json.dumps(question))
    words = (*words, "--header", f"Authorization: Bearer {key}")

    def ask() -> None:
        while not done.is_set():
            statuses.append(stack.curl("/v1/chat/completions", *words, key=False)[0])
            time.sleep(0.1)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield statuses
    finally:
        done.set()
        thread.join()


def test_keys_certificate_and_the_hosts_authority_are_rotated_while_a_client_asks_with_the_old_key(
    stack: Stack,
) -> None:
    old = stack.secrets
    with asked_all_the_while(stack, old["api_key"]) as statuses:
        stack.must_play("-e", "rotate=api_key,certificate,hosts_authority", *PARTS, playbook=ROTATE)
    assert len(statuses) > 30
    assert set(statuses) == {200}
    new = stack.secrets
    changed = {name for name in new if new[name] != old.get(name)}
    assert changed >= {"api_key", "tls_key", "hosts_ca_key", *(f"host_key {host}" for host in stack.hosts)}
    assert "hosts_ca_certificate_previous" not in new
    assert stack.curl("/v1/models")[0] == 200  # with the new key, too
    assert stack.on("edge", "cat /etc/gpuchat/door/hosts.crt") == new["hosts_ca_certificate"]


@pytest.mark.long
def test_an_old_key_that_is_retired_is_refused(stack: Stack) -> None:
    old = stack.secrets["api_key_previous"]
    stack.must_play("-e", "retire=api_key", *PARTS, playbook=ROTATE)
    assert stack.curl("/v1/models", "--header", f"Authorization: Bearer {old}", key=False)[0] == 401
    assert stack.curl("/v1/models")[0] == 200
    assert "changed=0" in stack.must_play(*PARTS)


ENGINE = "gpuchat-vllm-gpuchat-demo"
ASK = """
import http.client, sys
one = http.client.HTTPConnection("127.0.0.1", 8000, timeout=10)
one.request("GET", "/v1/models", headers={"Authorization": f"Bearer {sys.argv[1]}"})
print(one.getresponse().status)
"""


@pytest.mark.long
def test_the_key_of_an_engines_door_is_made_anew_while_the_engine_answers_on(stack: Stack) -> None:
    parts = ("--tags", "vllm,door,edge")

    def asked_on_its_host(key: str) -> str:
        return stack.on("engine", f"python3 - '{key}' <<'END'\n{ASK}END").strip()

    old = stack.secrets["vllm_api_key"]
    started = stack.on("engine", f"docker inspect {ENGINE} --format '{{{{.State.StartedAt}}}}'")
    with asked_all_the_while(stack, stack.secrets["api_key"]) as statuses:
        stack.must_play("-e", "rotate=vllm_api_key", *parts, playbook=ROTATE)
        assert [asked_on_its_host(key) for key in (old, stack.secrets["vllm_api_key"])] == ["200", "200"]
        stack.must_play("-e", "retire=vllm_api_key", *parts, playbook=ROTATE)
    assert stack.secrets["vllm_api_key"] != old
    assert len(statuses) > 30
    assert set(statuses) == {200}
    assert [asked_on_its_host(key) for key in (old, stack.secrets["vllm_api_key"])] == ["401", "200"]
    assert stack.on("engine", f"docker inspect {ENGINE} --format '{{{{.State.StartedAt}}}}'") == started


def test_what_people_have_stored_under_a_secret_is_not_made_anew(stack: Stack) -> None:
    before = stack.secrets
    done = stack.play("-e", "rotate=open_webui_secret_key,vllm_engine_key", *PARTS, playbook=ROTATE)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert "found open_webui_secret_key, for it would sign everybody out" in said
    assert "vllm_engine_key, for each engine would have to start anew" in said
    assert stack.secrets == before
