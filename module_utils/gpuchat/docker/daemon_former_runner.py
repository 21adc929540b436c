# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what Docker ran with before a change of its daemon.json, and puts that back where Docker does not come up."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ..core import host
from ..core.errors import Failure
from ..system import service_runner
from ..system.service import WantedService

RECORD = "docker-daemon.json"
KEPT = "docker-daemon-former.json"
SWARM_TASK = "com.docker.swarm.task.id"


def record_file(name: str = RECORD) -> str:
    """Return where records are kept: root's with all others, another user's in that user's own state folder."""
    if os.geteuid() == 0:
        return os.path.join(host.STATE_DIRECTORY, name)
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "gpuchat", name)


def backup_of(path: str) -> str:
    return f"{path}.before-gpuchat"


@dataclass(frozen=True)
class Former:
    """A daemon.json and what is recorded of it, as they were when Docker ran with it.

    Attributes:
        service: the unit that runs its dockerd.
        active: whether it ran.
        text: the file's bytes in base64, None where there was none.
        mode, uid, gid: the file's.
        record: what is remembered of the file.
        start: what is remembered of the unit's last start.
        has_backup: whether the file as it was before the first owner came lies beside it.
        containers: names of those that ran.
    """

    path: str
    service: str
    active: bool
    text: str | None
    mode: int
    uid: int
    gid: int
    record: Mapping[str, object] | None
    start: Mapping[str, object] | None
    has_backup: bool
    containers: tuple[str, ...]

    @property
    def content(self) -> bytes | None:
        return None if self.text is None else base64.b64decode(self.text)

    def keep(self) -> None:
        """Keep it on the disk until Docker has come up with the new file, for a run may die in between."""
        kept = record_file(KEPT)
        host.write_json(kept, {**host.read_json(kept), self.path: asdict(self)})

    def forget(self) -> None:
        kept = host.read_json(record_file(KEPT))
        if kept.pop(self.path, None) is not None:
            host.write_json(record_file(KEPT), kept)

    def put_back(self) -> str:
        """Put file, records and containers back, and return what became of them in words."""
        real = os.path.realpath(self.path)
        if self.content is None:
            host.remove_file(real)
        else:
            host.write_atomically(real, self.content, self.mode, self.uid, self.gid)
        if not self.has_backup:
            host.remove_file(backup_of(self.path))
        records = {key: one for key, one in host.read_json(record_file()).items() if key != self.path}
        host.write_json(record_file(), {**records, **({self.path: self.record} if self.record else {})})
        if self.start:
            host.write_json(service_runner.record_path(self.service), self.start)
        else:
            host.remove_file(service_runner.record_path(self.service))
        file = f"{self.path} is as it was before"
        if not self.active:
            self.forget()
            return f"{file}, and Docker is stopped, as it was"
        unit = service_runner.unit_of(self.service)
        running = service_runner.unit_properties(self.service).get("ActiveState") == "active"
        host.run(["systemctl", "reset-failed", unit])
        host.run(["systemctl", "reload" if running else "restart", unit])
        try:
            service_runner.wait_until_healthy(WantedService(self.service, "systemd", "started"), {})
        except Failure as error:
            return f"{file}, and Docker does not come up with it either: {error}"
        left = self.start_containers()
        self.forget()
        return f"{file}, and Docker runs with it again, " + (
            f"but for {', '.join(left)}" if left else "its containers too"
        )

    def start_containers(self) -> tuple[str, ...]:
        """Start what ran before and has no restart policy that would start it; return what does not start."""
        stopped = [name for name in self.containers if name not in running_containers()]
        there = [name for name in stopped if host.run(["docker", "container", "inspect", name]).rc == 0]
        return tuple(name for name in there if host.run(["docker", "start", name]).rc != 0)


def former(path: str, service: str, is_changing: bool) -> Former | None:
    """Return what is there, where it is to change, or what was there when an earlier run died on its way from it."""
    kept = host.read_json(record_file(KEPT)).get(path)
    if isinstance(kept, dict) and kept["service"] == service:
        return Former(**{**kept, "containers": tuple(kept["containers"])})
    if not is_changing:
        return None
    there = host.file_state(path)
    content = there.content if there else None
    record = host.read_json(record_file()).get(path)
    active = service_runner.unit_properties(service).get("ActiveState") == "active"
    return Former(
        path=path,
        service=service,
        active=active,
        text=None if content is None else base64.b64encode(content).decode(),
        mode=there.mode if there else 0o644,
        uid=there.uid if there else -1,
        gid=there.gid if there else -1,
        record=record if isinstance(record, dict) else None,
        start=host.read_json(service_runner.record_path(service)) or None,
        has_backup=os.path.exists(backup_of(path)),
        containers=running_containers() if active else (),
    )


def is_kept(path: str) -> bool:
    """Tell whether an earlier run died on its way from what Docker ran with."""
    return path in host.read_json(record_file(KEPT))


def running_containers() -> tuple[str, ...]:
    """Return the names of what runs, but for a swarm's tasks, which the swarm starts and ends."""
    listed = host.run(["docker", "ps", "--format", f'{{{{.Names}}}} {{{{.Label "{SWARM_TASK}"}}}}'])
    rows = [line.split() for line in listed.stdout.splitlines()] if listed.rc == 0 else []
    return tuple(row[0] for row in rows if len(row) == 1)
