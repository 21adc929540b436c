# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small ssh server, so that connecting is tried for real on a machine without sshd.

    ssh_server.py FOLDER    serve on a free port of the loopback, write it to FOLDER/port, end with standard input

FOLDER/host_key is its key. FOLDER/users.json says who may enter: {"USER": {"key": "ssh-ed25519 ...", "password": ""}}.
A command runs as this process, with FOLDER/bin first in its PATH; FOLDER/log has a line for each that came in.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading

import paramiko


class Door(paramiko.ServerInterface):
    """Decides who enters, and what is done for them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.users = json.loads((folder / "users.json").read_text())
        self.user = ""

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._enter(username, "key", f"{key.get_name()} {key.get_base64()}")

    def check_auth_password(self, username: str, password: str) -> int:
        return self._enter(username, "password", password)

    def _enter(self, user: str, kind: str, shown: str) -> int:
        wanted = self.users.get(user, {}).get(kind, "")
        if not wanted or not hmac.compare_digest(wanted.encode(), shown.encode()):
            return paramiko.AUTH_FAILED
        self.user = user
        self.note(f"{user} by {kind}")
        return paramiko.AUTH_SUCCESSFUL

    def note(self, line: str) -> None:
        with (self.folder / "log").open("a") as log:
            log.write(line + "\n")

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_UNKNOWN_CHANNEL_TYPE

    def check_channel_direct_tcpip_request(self, chanid: int, origin: object, destination: tuple[str, int]) -> int:
        self.note(f"on to {destination[1]}")
        threading.Thread(target=self._hand_on, args=(chanid, destination), daemon=True).start()
        return paramiko.OPEN_SUCCEEDED

    def _hand_on(self, chanid: int, destination: tuple[str, int]) -> None:
        while (channel := self.transport._channels.get(chanid)) is None:
            pass
        other = socket.create_connection(destination)
        threading.Thread(target=pump, args=(channel.recv, other.sendall, other.close), daemon=True).start()
        pump(other.recv, channel.sendall, channel.close)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.note(f"runs {command.decode()}")
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        if (self.folder / "bare").exists():
            path = str(self.folder / "bin")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        program = subprocess.Popen(
            ["/bin/sh", "-c", command], env={"PATH": path, "USER": self.user}, bufsize=0, **pipes
        )
        threading.Thread(
            target=pump, args=(channel.recv, program.stdin.write, program.stdin.close), daemon=True
        ).start()
        errors = threading.Thread(target=pump, args=(program.stderr.read, channel.sendall_stderr, None), daemon=True)
        errors.start()
        pump(program.stdout.read, channel.sendall, None)
        errors.join()
        channel.send_exit_status(program.wait())
        channel.close()


def pump(read, write, end) -> None:
    """Hand on what comes until the end, in whichever form the end is told."""
    with contextlib.suppress(OSError, ValueError):
        while data := read(65536):
            write(data)
    if end:
        with contextlib.suppress(OSError):
            end()


def serve(client: socket.socket, folder: pathlib.Path, key: paramiko.PKey) -> None:
    transport = paramiko.Transport(client)
    transport.add_server_key(key)
    door = Door(folder)
    door.transport = transport
    try:
        transport.start_server(server=door)
    except (paramiko.SSHException, EOFError):
        transport.close()


def main(folder: pathlib.Path) -> None:
    key = paramiko.Ed25519Key(filename=str(folder / "host_key"))
    listener = socket.create_server(("127.0.0.1", 0))
    (folder / "port.new").write_text(str(listener.getsockname()[1]))
    (folder / "port.new").rename(folder / "port")

    def accept() -> None:
        while True:
            serve(listener.accept()[0], folder, key)

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
