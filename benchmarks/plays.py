# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same work as plays: by this collection's modules, and by stock modules as a careful engineer would use them."""

from __future__ import annotations

import json
import pathlib

from kept_state import DAEMON_JSON, File, Folder, State

Task = dict[str, object]

TEMPLATE = str(pathlib.Path(__file__).resolve().parent / "templates" / "unit.conf.j2")


def play(tasks: list[Task]) -> list[Task]:
    return [{"name": "Benchmark", "hosts": "all", "gather_facts": False, "tasks": tasks}]


def our_file_set(folder: str, count: int) -> list[Task]:
    files: list[Task] = [{"dest": folder, "folder": True}]
    files += [{"dest": f"{folder}/{n}.conf", "template": TEMPLATE, "vars": {"number": n}} for n in range(count)]
    return [{"name": "One set", "gpuchat_files": {"name": "bench", "files": files}}]


def stock_file_set(folder: str, count: int) -> list[Task]:
    made = {"path": folder, "state": "directory", "mode": "0755"}
    tasks: list[Task] = [{"name": "Folder", "ansible.builtin.file": made}]
    for number in range(count):
        options = {"src": TEMPLATE, "dest": f"{folder}/{number}.conf", "mode": "0644"}
        tasks.append({"name": f"File {number}", "ansible.builtin.template": options, "vars": {"number": number}})
    return tasks


def services(state: State) -> list[str]:
    """Return what takes up files, Docker first."""
    return sorted({state.service_of(file) for file in state.files}, key=lambda name: (name != "docker.service", name))


def our_stack(state: State, sources: pathlib.Path) -> list[Task]:
    """Keep a state by this collection's modules; `sources` holds the files' text under their paths."""
    packages = {"name": "bench", "packages": {"default": list(state.packages)}, "masked_units": list(state.masked)}
    tasks: list[Task] = [{"name": "Packages", "gpuchat_packages": packages}]
    for service in services(state):
        files = state.files_of(service)
        if service == "docker.service":
            settings = json.loads(next(file.content for file in files if file.path == DAEMON_JSON))
            tasks.append({"name": "Docker", "gpuchat_docker_daemon": {"settings": settings, "service": "docker"}})
            tasks += _networks(state)
        else:
            entries = [_entry(folder) for folder in state.folders if _belongs(folder, files)]
            entries += [{**_entry(file), "template": f"{sources}{file.path}"} for file in files]
            kept = {"name": f"bench-{service}", "files": entries, "service": _our_service(state, service)}
            tasks.append({"name": f"Files and service of {service}", "gpuchat_files": kept})
    return tasks


def _networks(state: State) -> list[Task]:
    """Make each container network by Docker's own command: stock modules have none for it."""
    made: Task = {"register": "made", "changed_when": "made.stdout != ''"}
    return [
        {"name": f"Network {network.name}", "ansible.builtin.shell": network.command, **made}
        for network in state.networks
    ]


def _our_service(state: State, service: str) -> Task:
    unit: Task = {"name": service.removesuffix(".service")}
    files = {project.name: project.file for project in state.projects}
    return {**unit, "supervisor": "compose", "compose_file": files[service]} if service in files else unit


def _entry(one: File | Folder) -> Task:
    entry: Task = {"dest": one.path, "owner": str(one.uid), "group": str(one.gid), "mode": one.mode}
    return {**entry, "folder": True} if isinstance(one, Folder) else entry


def _belongs(folder: Folder, files: tuple[File, ...]) -> bool:
    return any(file.path.startswith(f"{folder.path}/") or f"{folder.path}:" in file.content for file in files)


def stock_stack(state: State, sources: pathlib.Path) -> list[Task]:
    """Keep a state by stock modules: loops where a loop will do, one restart for what has changed."""
    tasks: list[Task] = [
        {
            "name": "Units that must never run",
            "ansible.builtin.file": {
                "path": "/etc/systemd/system/{{ item }}",
                "src": "/dev/null",
                "state": "link",
                "force": True,
                "follow": False,
            },
            "loop": list(state.masked),
        },
        {
            "name": "Packages",
            "ansible.builtin.apt": {
                "name": list(state.packages),
                "update_cache": True,
                "cache_valid_time": 86400,
                "install_recommends": False,
            },
        },
        {
            "name": "Folders",
            "ansible.builtin.file": {"path": "{{ item.path }}", "state": "directory", **_stock_rights()},
            "loop": [_stock_item(folder) for folder in state.folders],
        },
    ]
    for service in services(state):
        copied = {"src": f"{sources}{{{{ item.path }}}}", "dest": "{{ item.path }}", **_stock_rights()}
        items = [_stock_item(file) for file in state.files_of(service)]
        place: Task = {"name": f"Files of {service}", "ansible.builtin.template": copied, "loop": items}
        tasks += [{**place, "register": "kept"}, {"name": f"Run {service}", **_stock_service(state, service)}]
        tasks += _networks(state) if service == "docker.service" else []
    others = sorted(set(state.units) - set(services(state)))
    started = {"name": "{{ item }}", "state": "started", "enabled": True}
    tasks.append({"name": "Other services", "ansible.builtin.systemd_service": started, "loop": others})
    return tasks


def _stock_service(state: State, service: str) -> Task:
    files = {project.name: project.file for project in state.projects}
    if service not in files:
        wanted = "{{ 'restarted' if kept.changed else 'started' }}"
        unit = {"name": service, "state": wanted, "enabled": True, "daemon_reload": "{{ kept.changed }}"}
        return {"ansible.builtin.systemd_service": unit}
    command = f"docker compose --file {files[service]} up --detach --wait"
    return {
        "ansible.builtin.command": f"{command}{{{{ ' --force-recreate' if kept.changed else '' }}}}",
        "register": "composed",
        "changed_when": "composed.stderr is search('Created|Recreated|Started|Pulled')",
    }


def _stock_rights() -> Task:
    return {name: f"{{{{ item.{name} }}}}" for name in ("owner", "group", "mode")}


def _stock_item(one: File | Folder) -> Task:
    return {"path": one.path, "owner": str(one.uid), "group": str(one.gid), "mode": one.mode}
