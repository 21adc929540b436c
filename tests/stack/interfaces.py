# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests have to know of what people chat with."""

from __future__ import annotations

import json
import pathlib
import subprocess
from dataclasses import dataclass

from running import Stack, wait


@dataclass(frozen=True)
class Interface:
    """One of them.

    Attributes:
        folder: of its files on its host.
        secrets: its files there that hold some.
        page: what a person opens, and gets without a session.
        guarded: a path of its server that wants one, as (method, path).
        sign_in: where a person's address and password are posted.
    """

    container: str
    folder: str
    secrets: tuple[str, ...]
    page: str
    guarded: tuple[str, str]
    sign_in: str


INTERFACES = {
    "lobehub": Interface(
        "gpuchat-lobehub",
        "/etc/gpuchat/lobehub",
        ("/etc/gpuchat/lobehub/secrets.json", "/etc/gpuchat/object-store/secret-key"),
        "/signin",
        ("POST", "/webapi/chat/vllm"),
        "/api/auth/sign-in/email",
    ),
    "open_webui": Interface(
        "gpuchat-open-webui",
        "/etc/gpuchat/open-webui",
        ("/etc/gpuchat/open-webui/secrets.json",),
        "/auth",
        ("POST", "/api/chat/completions"),
        "/api/v1/auths/signin",
    ),
}

ASK = """
import http.client, json, sys
for address, port, path in json.load(sys.stdin):
    try:
        one = http.client.HTTPConnection(address, port, timeout=3)
        one.request("GET", path)
        print(one.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        print(type(error).__name__)
"""


def interface_of(stack: Stack) -> Interface:
    return INTERFACES[stack.interface]


def sign_in(stack: Stack, folder: pathlib.Path, email: str = "", password: str = "") -> tuple[str, str]:
    """Sign somebody in, the administrator unless another is named; return curl's words that show the session."""
    person = {"email": email or f"admin@{stack.domain}", "password": password or stack.secrets["admin_password"]}
    (folder / "person.json").write_text(json.dumps(person))
    words = ["--cookie-jar", str(folder / "session"), "--data", f"@{folder / 'person.json'}"]
    words += ["--header", "Content-Type: application/json", "--header", f"Origin: https://{stack.domain}"]
    seen: list[tuple[int, str]] = []

    def is_in() -> bool:
        seen.append(stack.curl(interface_of(stack).sign_in, *words, key=False))
        return seen[-1][0] != 429  # the limit on guesses

    wait(is_in, 90, "a sign-in")
    assert seen[-1][0] == 200, seen[-1]
    return "--cookie", str(folder / "session")


def ask_from_the_room(stack: Stack, wanted: list[tuple[str, int, str]]) -> list[str]:
    """Ask addresses from the network of the interface's container, with the host's own Python.

    Returns:
        The status of each, or how it failed.
    """
    container = interface_of(stack).container
    pid = stack.on("interface", f"docker inspect {container} --format '{{{{.State.Pid}}}}'").strip()
    host = f"gpuchat-{stack.world['name']}-{stack.host_of('interface')}"
    command = ["docker", "exec", "--interactive", host, "nsenter", "--target", pid, "--net", "python3", "-c", ASK]
    done = subprocess.run(command, input=json.dumps(wanted), capture_output=True, text=True, check=True)
    return done.stdout.split()
