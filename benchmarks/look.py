# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a host and prints what kept_state.py reads."""

import json
import os
import subprocess
import sys
import time


def lines(*command):
    """Return what a program prints; nothing where it is not installed, as on a bare host."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    except FileNotFoundError:
        return []


def one(path):
    found = os.lstat(path)
    return {"path": path, "uid": found.st_uid, "gid": found.st_gid, "mode": f"{found.st_mode & 0o7777:04o}"}


def runs(container):
    state = container["State"]
    return state["Running"] and (state.get("Health") or {}).get("Status", "healthy") == "healthy"


def containers_of_projects():
    ids = lines("docker", "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project")
    return json.loads("\n".join(lines("docker", "inspect", *ids))) if ids else []


folders, files, masked = [], [], []
for root in ("/etc/docker", "/etc/gpuchat", "/etc/systemd/system"):
    for folder, _names, names in os.walk(root):
        if root == "/etc/gpuchat" or folder.endswith(".service.d"):
            folders.append(one(folder))
        for path in (os.path.join(folder, name) for name in names if not name.endswith(".before-gpuchat")):
            if not os.path.islink(path):
                with open(path, encoding="utf-8") as file:
                    files.append({**one(path), "content": file.read()})
            elif os.readlink(path) == "/dev/null":
                masked.append(os.path.basename(path))

# Docker asks for health at intervals: what serves already may still be starting by its word.
containers, tries = containers_of_projects(), 60
while tries and any((one["State"].get("Health") or {}).get("Status") == "starting" for one in containers):
    time.sleep(2)
    containers, tries = containers_of_projects(), tries - 1
mounts = [mount["Source"] for container in containers for mount in container["Mounts"] if mount["Type"] == "bind"]
folders += [one(path) for path in mounts if os.path.isdir(path)]
projects = [
    {
        "name": container["Config"]["Labels"]["com.docker.compose.project"],
        "file": container["Config"]["Labels"]["com.docker.compose.project.config_files"],
        "container": container["Name"].lstrip("/"),
    }
    for container in containers
    if runs(container)
]

ids = lines("docker", "network", "ls", "--quiet", "--filter", "type=custom")
networks = [
    {
        "name": network["Name"],
        "subnet": network["IPAM"]["Config"][0]["Subnet"],
        "bridge": network["Options"]["com.docker.network.bridge.name"],
    }
    for network in (json.loads("\n".join(lines("docker", "network", "inspect", *ids))) if ids else [])
    if network["Internal"]
]

kinds = ("--type=service", "--plain", "--no-legend")
active = {line.split()[0] for line in lines("systemctl", "list-units", "--state=active", *kinds)}
enabled = {line.split()[0] for line in lines("systemctl", "list-unit-files", "--state=enabled", *kinds)}

found = {"packages": lines("apt-mark", "showmanual"), "masked": masked, "folders": folders, "files": files}
json.dump({**found, "networks": networks, "projects": projects, "units": sorted(active & enabled)}, sys.stdout)
