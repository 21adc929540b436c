# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers what each host answered for the module of the same name, and shows its table."""

from __future__ import annotations

import glob
import importlib.util
import os
import pathlib

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "control_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
control_runner = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(control_runner)

GROUPS = ("gpu", "chat", "edge", "monitoring")
VARIABLES = (
    *("gpuchat_accelerator", "gpuchat_supervisor", "firewall_state", "vllm_version", "vllm_image", "vllm_cpu_image"),
    *("gpuchat_interface", "lobehub_version", "lobehub_image", "open_webui_version", "open_webui_image"),
    *("object_store_version", "object_store_image", "watchdog_enabled", "docker_version", "docker_source"),
    *("nvidia_container_toolkit_version", "nvidia_driver_install", "nvidia_driver_branch", "backup_max_age_hours"),
    *("gpuchat_database", "gpuchat_object_store", "gpuchat_sso"),
)
"""What says what a host should be, and holds no secret; survey/expectations.py has the same list."""


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_diagnosis`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        preflight = task_vars.get("__gpuchat_preflight") or {}
        secrets = _read_secrets(task_vars)
        known = preflight.get("topology") is not None
        args["topology"] = preflight.get("topology") or {}
        args["inventory"] = _inventory_faults(preflight, secrets)
        args["lock"], problem = _recorded(args.get("lock_file"))
        args["inventory"] += [problem] if problem else []
        groups = task_vars["groups"]
        hosts = list(dict.fromkeys(host for group in GROUPS for host in groups.get(group, [])))
        asked = [host for host in hosts if host in task_vars.get("ansible_play_hosts_all", hosts)]
        left = [host for host in hosts if host not in asked]
        args["notes"] = [f"not looked at, for --limit leaves it out: {', '.join(left)}"] if left else []
        defaults = _defaults() if known else {}
        args["hosts"] = [
            {
                "name": host,
                "groups": [group for group in GROUPS if host in groups.get(group, [])],
                "variables": _given(task_vars["hostvars"][host], defaults),
                "result": task_vars["hostvars"][host].get("__doctor") or {},
                "fingerprints": _fingerprints(secrets, (preflight.get("given_secrets") or {}).get(host) or ()),
            }
            for host in asked
        ]
        result = control_runner.run(self, args)
        table = result.pop("table", None)
        if table:
            self._display.display(f"\n{table}\n")
        return result


def _read_secrets(task_vars):
    """Return the result of the task that read the secrets, which one host ran for all."""
    for host in task_vars.get("ansible_play_hosts_all", ()):
        found = task_vars["hostvars"][host].get("__gpuchat_secrets") or {}
        if found and not found.get("skipped"):
            return found
    return {}


def _inventory_faults(preflight, secrets):
    """Return what is wrong with the inventory, and with the file of secrets, a sentence each."""
    found = list(preflight.get("faults") or [])
    if preflight.get("failed") and not found:
        found.append(preflight.get("msg"))
    elif preflight.get("topology") is None and not found:
        found.append(preflight.get("msg") or "the inventory could not be checked; Ansible's own words stand above")
    if secrets.get("msg") and "fingerprints" not in secrets:
        found.append(secrets["msg"])
    return found


def _recorded(path):
    """Return the digests that a lock file records, and why it cannot be read."""
    if not path or not os.path.exists(path):
        return {}, ""
    try:
        with open(path, encoding="utf-8") as file:
            found = (yaml.safe_load(file) or {}).get("images") or {}
        return {str(name): str(digest) for name, digest in found.items()}, ""
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        why = str(error).splitlines()[0]
        return {}, f"{path} cannot be read ({why}); wanted images with their digests; put it back from a copy"


def _fingerprints(secrets, given):
    """Return the digests by which a host of this stack knows it: present and former ones, by secret."""
    present, former = secrets.get("fingerprints") or {}, secrets.get("former_fingerprints") or {}
    return {name: [digest, *(former.get(name) or [])] for name, digest in present.items() if name not in given}


def _defaults():
    """Return the roles' defaults, as they are written, from the collection that this plugin is part of."""
    here = os.path.dirname(os.path.realpath(__file__))
    roots = [os.path.dirname(here), os.path.dirname(os.path.dirname(here))]
    root = next(path for path in roots if os.path.isdir(os.path.join(path, "roles")))
    found = {}
    for path in sorted(glob.glob(os.path.join(root, "roles", "*", "defaults", "main.yml"))):
        with open(path, encoding="utf-8") as file:
            found.update({name: value for name, value in (yaml.safe_load(file) or {}).items() if name in VARIABLES})
    return found


def _given(hostvars, defaults):
    """Return a host's variables among those that have a default, templated where they can be."""
    found = {}
    for name, default in defaults.items():
        found[name] = default
        if name in hostvars:
            try:
                found[name] = hostvars[name]
            except AnsibleError:  # the preflight says so
                continue
    return found
