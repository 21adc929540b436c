# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers the inventory and the roles' specifications for the module of the same name."""

from __future__ import annotations

import glob
import os

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_preflight`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        roles = _specifications()
        groups = {name: list(map(str, hosts)) for name, hosts in task_vars["groups"].items()}
        known = {name for options in roles.values() for name in options}
        prefixes = tuple(f"{role}_" for role in roles) + ("gpuchat_",)
        variables, untemplated = {}, []
        for host in groups["all"]:
            variables[host] = {}
            hostvars = task_vars["hostvars"][host]
            for name in list(hostvars):
                if name in known or name.startswith(prefixes):
                    try:
                        variables[host][name] = hostvars[name]
                    except AnsibleError as error:
                        untemplated.append([host, name, str(error)])
        args = {"groups": groups, "variables": variables, "untemplated": untemplated, "roles": roles}
        return self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)


def _specifications():
    """Return each role's options, from the collection that this plugin is part of."""
    here = os.path.dirname(os.path.realpath(__file__))
    roots = [os.path.dirname(here), os.path.dirname(os.path.dirname(here))]
    root = next(path for path in roots if os.path.isdir(os.path.join(path, "roles")))
    found = {}
    for path in sorted(glob.glob(os.path.join(root, "roles", "*", "meta", "argument_specs.yml"))):
        role = os.path.basename(os.path.dirname(os.path.dirname(path)))
        with open(path, encoding="utf-8") as file:
            found[role] = next(iter(yaml.safe_load(file)["argument_specs"].values()))["options"]
    return found
