# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens when something breaks, and that the next run or the service itself puts it right."""

from __future__ import annotations

import json

from running import Stack, wait

EDGE = "/etc/gpuchat/edge"
RECORD = "/var/lib/gpuchat"


def digests(stack: Stack) -> tuple[str, str]:
    """Return the digests of the edge's files: of the set on disk, and of the set that it runs with."""
    on_disk = json.loads(stack.on("server", f"cat {RECORD}/files/edge.json"))["digest"]
    running = json.loads(stack.on("server", f"cat {RECORD}/services/gpuchat-edge.json"))["reload_digest"]
    return on_disk, running


def immutable(path: str, on: bool) -> str:
    """Return the command that sets or clears a file's immutable flag, as chattr does (ioctl_iflags(2))."""
    ioctl = f"fcntl.ioctl(open('{path}'), 0x40086602, struct.pack('l', {0x10 if on else 0}))"
    return f'python3 -c "import fcntl, struct; {ioctl}"'


def test_nothing_but_ssh_and_the_edge_listens_beyond_the_loopback(stack: Stack) -> None:
    listeners = [line.split()[3] for line in stack.on("server", "ss -ltnH").splitlines()]
    beyond = {one.rpartition(":")[2] for one in listeners if not one.startswith(("127.", "[::1]"))}
    assert {int(port) for port in beyond} == {22, 80, 443}


def test_an_invalid_template_leaves_the_running_edge_alone_and_names_file_and_line(stack: Stack) -> None:
    before = stack.on("server", f"cat {EDGE}/nginx.conf")
    done = stack.play("-e", "edge_body_limit=99999999999g")  # of the right form, and more than nginx can count
    assert done.returncode != 0
    line = next(number for number, text in enumerate(before.splitlines(), 1) if "client_max_body_size" in text)
    assert f'"client_max_body_size" directive invalid value in {EDGE}/nginx.conf:{line}' in done.stdout + done.stderr
    assert stack.on("server", f"cat {EDGE}/nginx.conf") == before
    assert stack.ask()[0] == 200


def test_a_run_that_dies_between_two_files_of_a_set_is_finished_by_the_next(healed: Stack) -> None:
    changes = ("-e", "edge_body_limit=51m", "-e", "edge_api_burst=41")
    healed.on("server", immutable(f"{EDGE}/api.conf", True))
    try:
        assert healed.play(*changes).returncode != 0
    finally:
        healed.on("server", immutable(f"{EDGE}/api.conf", False))
    assert "51m" in healed.on("server", f"cat {EDGE}/nginx.conf")
    assert "burst=41" not in healed.on("server", f"cat {EDGE}/api.conf")
    assert healed.ask()[0] == 200
    assert "changed: [server]" in healed.must_play(*changes)
    assert "burst=41" in healed.on("server", f"cat {EDGE}/api.conf")
    on_disk, running = digests(healed)
    assert on_disk == running


def test_a_run_that_dies_between_files_and_restart_is_finished_by_the_next(healed: Stack) -> None:
    record = f"{RECORD}/services/gpuchat-edge.json"
    healed.on("server", f"cp -p {record} /root/record")
    healed.must_play("-e", "edge_api_burst=42")
    healed.on("server", f"mv /root/record {record}")  # as if the run had ended after the files
    on_disk, running = digests(healed)
    assert on_disk != running
    assert "the files of gpuchat-edge have changed since it started" in healed.must_play(
        "-e", "edge_api_burst=42", "-v"
    )
    assert digests(healed) == (on_disk, on_disk)


def test_a_killed_engine_comes_back_by_itself_and_the_edge_says_so_meanwhile(stack: Stack) -> None:
    stack.on("server", "pkill -KILL -f '[v]llm serve'")
    seen: list[tuple[int, str]] = []
    wait(lambda: seen.append(stack.curl("/v1/models")) is None and seen[-1][0] in (502, 503), 30, "the edge's word")
    assert json.loads(seen[-1][1])["error"]["type"] == "server_error"
    stack.wait_for_answer()


def test_the_stack_answers_again_after_docker_was_restarted(stack: Stack) -> None:
    stack.on("server", "systemctl restart docker")
    stack.wait_for_answer()
    wait(lambda: stack.curl("/chat", key=False)[0] in (200, 302), 60, "the chat's page")


def test_the_stack_answers_again_after_the_host_was_restarted(stack: Stack) -> None:
    stack.restart("server")
    stack.wait_for_answer(300)
    wait(lambda: stack.curl("/chat", key=False)[0] in (200, 302), 60, "the chat's page")
    assert "changed=0" in stack.must_play()
