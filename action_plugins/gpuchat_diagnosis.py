# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers what each host answered for the module of the same name, and shows its table."""

from __future__ import annotations

import importlib.util
import pathlib

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "control_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
control_runner = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(control_runner)
control_files = control_runner.shared("module_utils.gpuchat.core.control_files_runner")

GROUPS = ("gpu", "chat", "edge", "monitoring")


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
        args["lock"], problem = control_files.recorded_digests(args.get("lock_file"))
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


def _fingerprints(secrets, given):
    """Return the digests by which a host of this stack knows it: present and former ones, by secret."""
    present, former = secrets.get("fingerprints") or {}, secrets.get("former_fingerprints") or {}
    return {name: [digest, *(former.get(name) or [])] for name, digest in present.items() if name not in given}


def _defaults():
    """Return the roles' defaults, as they are written, of what says what a host should be; none holds a secret."""
    wanted = control_runner.shared("module_utils.gpuchat.survey.expectations").VARIABLES
    found = [said or {} for said in control_files.of_roles("defaults/main.yml").values()]
    return {name: value for one in found for name, value in one.items() if name in wanted}


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
