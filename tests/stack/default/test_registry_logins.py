# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image comes from a registry that wants a login, and the host keeps nothing of it."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest
from running import Stack

IMAGE = "library/debian:trixie-slim"
PLACE = "127.0.0.1:5099"
PASSWORD = "s3cret-of-the-robot"
CONFIGURATION = f"""
pid /run/registry-with-login.pid;
events {{}}
http {{
  access_log off;
  server {{
    listen {PLACE};
    client_max_body_size 0;
    auth_basic registry;
    auth_basic_user_file /run/registry-with-login.users;
    location / {{ proxy_pass http://registry.world:5000; proxy_set_header Host $http_host; }}
  }}
}}
"""


@pytest.fixture
def registry(stack: Stack) -> Iterator[Stack]:
    """The world's registry, behind a login."""
    users = f"printf 'robot:%s\\n' \"$(openssl passwd -apr1 {PASSWORD})\" >/run/registry-with-login.users"
    stack.on("server", f"{users}\ncat >/run/registry-with-login.conf <<'EOF'\n{CONFIGURATION}\nEOF")
    stack.on("server", "nginx -c /run/registry-with-login.conf")
    yield stack
    stack.on("server", "nginx -c /run/registry-with-login.conf -s quit; rm /run/registry-with-login.*", check=False)
    stack.on("server", f"docker image rm $(docker images --quiet {PLACE}/library/debian)", check=False)


def pulled(stack: Stack, folder: pathlib.Path, password: str) -> tuple[int, str]:
    """Pull the image with a login, if any; return how the run ended and what it printed."""
    image = {
        "name": IMAGE,
        "registry_map": {"docker.io": PLACE},
        "insecure_registries": [PLACE],
        "lock_file": str(folder / "own/lock.yml"),
    }
    login = [{"registry": PLACE, "username": "robot", "password": password}] if password else []
    tasks = [{"name": "image", "gpuchat_image": image}]
    play = {"hosts": "server", "become": True, "gather_facts": False, "tasks": tasks}
    (folder / "play.yml").write_text(json.dumps([{**play, "vars": {"gpuchat_registry_logins": login}}]))
    done = stack.play("-vvv", "--diff", playbook=str(folder / "play.yml"))
    return done.returncode, done.stdout + done.stderr


def test_a_registry_with_a_login_gives_its_image_to_whom_it_knows(registry: Stack, tmp_path: pathlib.Path) -> None:
    for wrong in ("", "another"):
        rc, told = pulled(registry, tmp_path, wrong)
        assert rc != 0
        assert "answered 401" in told
        assert "set gpuchat_registry_map" in told
        assert "gpuchat_registry_logins where it wants a login" in told
    assert registry.on("server", f"docker images --quiet {PLACE}/library/debian") == ""
    rc, told = pulled(registry, tmp_path, PASSWORD)
    assert rc == 0, told[-3000:]
    assert "changed=1 " in told
    assert PASSWORD not in told
    assert registry.on("server", f"docker images --quiet {PLACE}/library/debian").strip() != ""
    kept = "grep -rlsF -e s3cret-of-the-robot -e cm9ib3Q6 /root /etc /home /tmp /var/lib/gpuchat /var/log"
    assert registry.on("server", kept, check=False) == ""
    assert "changed=0 " in pulled(registry, tmp_path, PASSWORD)[1]
