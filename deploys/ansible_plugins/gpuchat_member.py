# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes down how Ansible would reach a host, as Ansible's own plugins resolved it, without connecting.

The folder is the control node's alone (``fleet.read`` makes and removes it): what stands there may be secret, and
nothing of it is in the task's result, which callbacks and logs see.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib

from ansible import constants
from ansible.plugins.action import ActionBase

try:  # ansible-core 2.19 and later template only what is marked as trusted
    from ansible.template import trust_as_template
except ImportError:
    trust_as_template = str

CONNECTION = (
    "host port remote_user password private_key_file private_key private_key_passphrase host_key_checking timeout "
    "reconnection_retries ssh_args ssh_common_args ssh_extra_args ssh_executable pkcs11_provider"
).split()
BECOME = "become_user become_pass become_exe become_flags sudo_chdir".split()


class ActionModule(ActionBase):
    """Run on the control node for each host."""

    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        folder = pathlib.Path(os.environ["GPUCHAT_FLEET_FOLDER"])
        variables = json.loads((folder / "variables.json").read_text(encoding="utf-8"))
        order = list(task_vars["ansible_play_hosts_all"]).index(task_vars["inventory_hostname"])
        become = self._connection.become
        python = task_vars.get("ansible_python_interpreter") or constants.config.get_config_value("INTERPRETER_PYTHON")
        member = {
            "name": task_vars["inventory_hostname"],
            "groups": list(task_vars["group_names"]),
            "connection": self._connection.transport,
            "options": options_of(self._connection, CONNECTION),
            "become": {"become_method": become.name, **options_of(become, BECOME)} if become else None,
            "python": str(self._templar.template(python)),
            "variables": {name: self.value(name) for name in variables if name in task_vars},
        }
        text = json.dumps(member, default=str)
        with open(os.open(folder / f"{order}.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        return {"changed": False}

    def value(self, name):
        """Return a variable, templated and decrypted; Ansible's own filter knows each of its kinds of text."""
        text = self._templar.template(trust_as_template(f"{{{{ lookup('vars', '{name}') | to_json }}}}"))
        return json.loads(text) if isinstance(text, str) else text


def options_of(plugin, names):
    """Return the options that a plugin of this version of ansible-core has."""
    found = {}
    for name in names:
        with contextlib.suppress(KeyError):
            found[name] = plugin.get_option(name)
    return found
