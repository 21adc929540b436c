# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are made anew while people chat, and nobody is cut off."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from running import Stack

ROTATE = "playbooks/rotate.yml"
PARTS = ("--tags", "door,edge")


@contextlib.contextmanager
def asked_all_the_while(stack: Stack, key: str) -> Iterator[list[int]]:
    """Ask the model again and again with a key, five times a second; collect the statuses."""
    statuses: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            header = ("--header", f"Authorization: Bearer {key}")
            statuses.append(stack.curl("/v1/models", *header, key=False)[0])
            time.sleep(0.2)

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


def test_an_old_key_that_is_retired_is_refused(stack: Stack) -> None:
    old = stack.secrets["api_key_previous"]
    stack.must_play("-e", "retire=api_key", *PARTS, playbook=ROTATE)
    assert stack.curl("/v1/models", "--header", f"Authorization: Bearer {old}", key=False)[0] == 401
    assert stack.curl("/v1/models")[0] == 200
    assert "changed=0" in stack.must_play(*PARTS)
