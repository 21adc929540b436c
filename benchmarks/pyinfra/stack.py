# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's packages, settings, files, containers and services, kept by pyinfra; run.py says which."""

import json
import os
import pathlib

from pyinfra import host
from pyinfra.api import FactBase, operation
from pyinfra.facts.docker import DockerContainer
from pyinfra.operations import apt, files, server, systemd
from pyinfra.operations.util import any_changed

FOLDER = pathlib.Path(os.environ["BENCH_RUN"])
state = json.loads((FOLDER / "state.json").read_text(encoding="utf-8"))


class Owner(FactBase):
    """Owner and group by number: a container's users have no names on the host, and pyinfra compares names."""

    def command(self, path):
        return f"stat --format %u:%g {path} 2>/dev/null || true"

    def process(self, output):
        return next(iter(output), "")


@operation()
def owned(path, owner):
    if host.get_fact(Owner, path=path) == owner:
        host.noop(f"{path} is owned by {owner}")
    else:
        yield f"chown {owner} {path}"


@operation()
def project_runs(file, container):
    found = host.get_fact(DockerContainer, object_id=container)
    status = found[0]["State"] if found else {}
    if status.get("Running") and (status.get("Health") or {}).get("Status", "healthy") == "healthy":
        host.noop(f"{container} runs and is healthy")
    else:
        yield f"docker compose --file {file} up --detach --wait"


class Networks(FactBase):
    """Names of Docker's networks."""

    def command(self):
        return "docker network ls --format '{{.Name}}' 2>/dev/null || true"

    def process(self, output):
        return list(output)


@operation()
def network_is_there(network, command):
    if network in host.get_fact(Networks):
        host.noop(f"the network {network} is there")
    else:
        yield command


def placed(entry, operation_of, **how):
    """Place a file or folder; return all that can have changed it."""
    root = entry["uid"] == entry["gid"] == 0
    if root:
        how.update(user="root", group="root")
    done = [operation_of(name=entry["path"], mode=entry["mode"].lstrip("0"), **how)]
    if not root:
        owner = f"{entry['uid']}:{entry['gid']}"
        done.append(owned(name=f"Owner of {entry['path']}", path=entry["path"], owner=owner))
    return done


def service_files(service):
    """Place the files that a service takes up; return all that can have changed them."""
    return [
        change
        for entry in state["files"]
        if entry["service"] == service
        for change in placed(
            entry,
            files.template,
            src=str(FOLDER / "files" / entry["path"].lstrip("/")),
            dest=entry["path"],
        )
    ]


for unit in state["masked"]:
    files.link(name=f"Mask {unit}", path=f"/etc/systemd/system/{unit}", target="/dev/null")
apt.packages(name="Packages", packages=state["packages"], update=True, cache_time=86400, no_recommends=True)
for folder in state["folders"]:
    placed(folder, files.directory, path=folder["path"])

projects = {project["name"]: project for project in state["projects"]}
with_files = dict.fromkeys(entry["service"] for entry in state["files"])
for service in sorted(with_files, key=lambda name: name != "docker.service"):
    changes = service_files(service)
    if service in projects:
        file, container = projects[service]["file"], projects[service]["container"]
        server.shell(
            name=f"Recreate {service}",
            commands=[f"docker compose --file {file} up --detach --wait --force-recreate"],
            _if=any_changed(*changes),
        )
        project_runs(name=f"Run {service}", file=file, container=container)
    else:
        systemd.service(
            name=f"Restart {service}", service=service, restarted=True, daemon_reload=True, _if=any_changed(*changes)
        )
        systemd.service(name=f"Run {service}", service=service, running=True, enabled=True)
    for network in state["networks"] if service == "docker.service" else ():
        network_is_there(name=f"Network {network['name']}", network=network["name"], command=network["command"])
for unit in state["units"]:
    if unit not in with_files:
        systemd.service(name=f"Run {unit}", service=unit, running=True, enabled=True)
