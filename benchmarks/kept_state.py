# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has left on a host: packages, settings, files, containers and services, whoever made them.

The benchmark reads it where site.yml has run, lets each tool keep it by that tool's own means, and reads it again to
see that each of them does. It knows no role and no module, only where such things lie on a host.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from dataclasses import dataclass

import yaml

DAEMON_JSON = "/etc/docker/daemon.json"
UNITS = "/etc/systemd/system"
LOOK = (pathlib.Path(__file__).resolve().parent / "look.py").read_text(encoding="utf-8")


@dataclass(frozen=True, order=True)
class Folder:
    path: str
    uid: int
    gid: int
    mode: str


@dataclass(frozen=True, order=True)
class File:
    path: str
    uid: int
    gid: int
    mode: str
    content: str = dataclasses.field(repr=False)


@dataclass(frozen=True, order=True)
class Project:
    """A compose project of one container."""

    name: str
    file: str
    container: str


@dataclass(frozen=True, order=True)
class Network:
    """A container network without a way out."""

    name: str
    subnet: str
    bridge: str

    @property
    def command(self) -> str:
        """Return what makes it where it is not there, and says so."""
        options = f"--internal --subnet {self.subnet} --opt com.docker.network.bridge.name={self.bridge}"
        return f"docker network inspect {self.name} >/dev/null 2>&1 || docker network create {options} {self.name}"


@dataclass(frozen=True)
class State:
    packages: tuple[str, ...]
    masked: tuple[str, ...]
    folders: tuple[Folder, ...]
    files: tuple[File, ...]
    networks: tuple[Network, ...]
    projects: tuple[Project, ...]
    units: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> State:
        """Take what look.py prints on a host."""
        data = json.loads(text)
        return cls(
            packages=tuple(sorted(data["packages"])),
            masked=tuple(sorted(data["masked"])),
            folders=tuple(sorted({Folder(**one) for one in data["folders"]})),
            files=tuple(sorted(File(**one) for one in data["files"])),
            networks=tuple(sorted(Network(**one) for one in data["networks"])),
            projects=tuple(sorted(Project(**one) for one in data["projects"])),
            units=tuple(sorted(data["units"])),
        )

    def without(self, bare: State) -> State:
        """Return what a run has added to a bare host."""
        ours = {
            part.name: tuple(one for one in getattr(self, part.name) if one not in getattr(bare, part.name))
            for part in dataclasses.fields(self)
        }
        return State(**ours)

    def missing(self, found: State) -> list[str]:
        """Say what of this state a host lacks; secret contents stay out of it."""
        return [
            f"{part.name}: {one!r}"
            for part in dataclasses.fields(self)
            for one in getattr(self, part.name)
            if one not in getattr(found, part.name)
        ]

    def service_of(self, file: File) -> str:
        """Return what takes a file up: a compose project, or a unit that names the file's folder."""
        if file.path == DAEMON_JSON:
            return "docker.service"
        folder = str(pathlib.PurePath(file.path).parent)
        if folder.endswith(".service.d"):  # a part of somebody else's unit, for a file of ours
            (folder,) = {str(pathlib.PurePath(path).parent) for path in re.findall(r"/etc/gpuchat/\S+", file.content)}
        for project in self.projects:
            if pathlib.PurePath(project.file).parent == pathlib.PurePath(folder):
                return project.name
        for unit in self.files:
            if str(pathlib.PurePath(unit.path).parent) == UNITS and (unit == file or f"{folder}/" in unit.content):
                return pathlib.PurePath(unit.path).name
        raise SystemExit(f"the benchmark does not know what takes up {file.path}; teach it in {__file__}")

    def files_of(self, service: str) -> tuple[File, ...]:
        return tuple(file for file in self.files if self.service_of(file) == service)

    def with_small_containers(self, image: str) -> State:
        """Return the same state with an image of a few MB that sleeps in each container's place."""

        def small(file: File) -> File:
            if file.path not in {project.file for project in self.projects}:
                return file
            data = yaml.safe_load(file.content)
            for service in data["services"].values():
                service.update(image=image, entrypoint=["sleep", "infinity"])
                service["healthcheck"].update(test=["CMD", "true"])
            return dataclasses.replace(file, content=yaml.safe_dump(data))

        return dataclasses.replace(self, files=tuple(map(small, self.files)))

    def without_service(self, unit: str) -> State:
        """Return the same state without a unit, and without the files that it takes up."""
        files = tuple(file for file in self.files if self.service_of(file) != unit)
        return dataclasses.replace(self, files=files, units=tuple(one for one in self.units if one != unit))

    def as_json(self) -> str:
        """Return the state for a tool in another environment, each file with the service that takes it up."""
        data = dataclasses.asdict(self)
        for shown, file in zip(data["files"], self.files, strict=True):
            shown["service"] = self.service_of(file)
            del shown["content"]
        for shown, network in zip(data["networks"], self.networks, strict=True):
            shown["command"] = network.command
        return json.dumps(data, indent=1)
