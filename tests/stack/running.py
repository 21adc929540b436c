# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running stack, as its operator and its users reach it."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "artifacts"
GROUPS = {"engine": "gpu", "interface": "chat", "edge": "edge"}
"""The group of the inventory that has a part of the stack."""


@dataclass(frozen=True)
class Stack:
    """One finished stack and the inventory that made it."""

    inventory: pathlib.Path
    world: dict[str, object]
    variables: dict[str, object]

    @property
    def supervisor(self) -> str:
        path = self.inventory / "group_vars" / "all" / "supervisor.yml"
        return yaml.safe_load(path.read_text())["gpuchat_supervisor"] if path.exists() else "compose"

    @property
    def secrets(self) -> dict[str, str]:
        return yaml.safe_load((self.inventory / ".gpuchat" / "secrets.yml").read_text())

    @property
    def model(self) -> str:
        """The model that people meet first."""
        return str(self.variables["gpuchat_models"][0]["name"])  # type: ignore[index]

    @property
    def interface(self) -> str:
        """What people chat with."""
        return str(self.variables.get("gpuchat_interface", "lobehub"))

    @property
    def admin_email(self) -> str:
        return str(self.variables.get("gpuchat_admin_email", f"admin@{self.domain}"))

    @property
    def domain(self) -> str:
        return str(self.variables["gpuchat_domain"])

    @property
    def address(self) -> str:
        return str(self.variables["verify_address"])

    @property
    def hosts(self) -> list[str]:
        """Every host of the stack, each once."""
        return list(dict.fromkeys(self.host_of(part) for part in GROUPS))

    def host_of(self, part: str) -> str:
        """Return the host of a part of the stack; any other word is a host of the world."""
        if part not in GROUPS:
            return part
        groups = yaml.safe_load((self.inventory / "hosts.yml").read_text())["all"]["children"]
        return str(next(iter(groups[GROUPS[part]]["hosts"])))

    def on(self, part: str, script: str, check: bool = True) -> str:
        """Run a shell script on the host of a part of the stack, or on another of the world; return what it printed."""
        container = f"gpuchat-{self.world['name']}-{self.host_of(part)}"
        done = subprocess.run(
            ["docker", "exec", container, "sh", "-c", script], capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def sql(self, database: str, statement: str) -> list[str]:
        """Ask a database of the stack as its own administrator; return the rows, their columns joined by ``|``."""
        socket = "/var/lib/gpuchat/postgresql/socket"
        command = f"cd / && runuser -u postgres -- psql -h {socket} -d {database} -XAtqc {shlex.quote(statement)}"
        return self.on("interface", command).splitlines()

    def restart(self, *hosts: str) -> None:
        """Restart hosts of the world, as a power button would have it."""
        names = [f"gpuchat-{self.world['name']}-{host}" for host in hosts]
        subprocess.run(["docker", "restart", *names], check=True, capture_output=True)

    def play(
        self, *words: str, playbook: str = "site.yml", record: pathlib.Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook as the operator would; a callback may record each task and its arguments."""
        command, environment = self._playbook(words, playbook, record)
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)

    def start_play(self, log: pathlib.Path, *words: str, playbook: str = "site.yml") -> subprocess.Popen[bytes]:
        """Start a playbook, in a process group of its own as in a terminal of its own; a file takes what it prints."""
        command, environment = self._playbook(words, playbook, None)
        with log.open("wb") as out:
            return subprocess.Popen(
                command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )

    def _playbook(
        self, words: Sequence[str], playbook: str, record: pathlib.Path | None
    ) -> tuple[list[str], dict[str, str]]:
        program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
        environment = {key: value for key, value in os.environ.items() if key != "ANSIBLE_CONFIG"}
        environment |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "GPUCHAT_TASK_RECORD": str(record or "")}
        if record:
            environment |= {"ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "molecule" / "world" / "callback_plugins")}
            environment |= {"ANSIBLE_CALLBACKS_ENABLED": "task_record"}
        return [program, playbook, "-i", str(self.inventory), *words], environment

    def must_play(self, *words: str, playbook: str = "site.yml", record: pathlib.Path | None = None) -> str:
        done = self.play(*words, playbook=playbook, record=record)
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        return done.stdout

    def curl(self, path: str, *words: str, key: bool = True) -> tuple[int, str]:
        """Ask the edge; return the HTTP status (0: no answer) and the body."""
        command = ["curl", "-sS", "--max-time", "20", "--resolve", f"{self.domain}:443:{self.address}"]
        command += ["--cacert", str(self.inventory / ".gpuchat" / "ca.crt"), "--write-out", "\n%{http_code}"]
        header = f"Authorization: Bearer {self.secrets['api_key']}\n" if key else ""
        command += ["--header", "@-"] if key else []
        done = subprocess.run(
            [*command, *words, f"https://{self.domain}{path}"],
            input=header,
            capture_output=True,
            text=True,
            check=False,
        )
        body, _newline, status = done.stdout.rpartition("\n")
        return int(status or 0), body

    def ask(self, question: str = "hello", model: str = "") -> tuple[int, str]:
        """Ask a model through the edge, the first where none is named; return the HTTP status and the answer's text.

        Of an error the body is returned in its place.
        """
        data = json.dumps({"model": model or self.model, "messages": [{"role": "user", "content": question}]})
        status, body = self.curl("/v1/chat/completions", "--header", "Content-Type: application/json", "--data", data)
        return status, json.loads(body)["choices"][0]["message"]["content"] if status == 200 else body

    def wait_for_answer(self, timeout: float = 180) -> None:
        wait(lambda: self.ask()[0] == 200, timeout, "the model's answer through the edge")

    def records(self) -> list[dict[str, object]]:
        """Return what each task did in Molecule's own runs, in their order."""
        path = pathlib.Path(os.environ["GPUCHAT_TASK_RECORD"])
        return [json.loads(line) for line in path.read_text().splitlines()]


def wait(condition: Callable[[], bool], timeout: float, what: str) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"waited {timeout:.0f} s for {what}"
        time.sleep(0.3)


def streamed(text: str) -> str:
    """Return what a stream has said; it is whole where it has its end."""
    assert text.rstrip().endswith("data: [DONE]"), text[-300:]
    parts = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    return "".join(part["choices"][0]["delta"].get("content") or "" for part in parts if part["choices"])
