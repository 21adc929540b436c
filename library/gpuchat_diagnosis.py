#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_diagnosis
short_description: Say why a stack does not work, the first cause first
version_added: 0.1.0
description:
  - Joins what M(gpuchat.stack.gpuchat_doctor) read on each host, hosts included that could not be reached, with what is
    wrong with the inventory. A finding that explains others stands before them and names them.
  - Writes C(doctor.json), and ends with a failure where something is wrong.
  - The action plugin of the same name gathers the input and shows the table; runs on the control node.
options:
  folder:
    description: The folder for a run's own files, in which C(doctor.json) is written.
    type: path
    required: true
  fail:
    description:
      - From which severity on it ends with a failure, V(never), V(fault) or V(warning).
      - Another word counts as V(fault), so that the findings are shown, one of which tells of it.
    type: str
    default: fault
  lock_file:
    description: The file of the images' recorded digests; read by the action plugin.
    type: path
    default: ''
  hosts:
    description: Each host with its groups, variables, and the result of its task; set by the action plugin.
    type: list
    elements: dict
    default: []
  inventory:
    description: What is wrong with the inventory, a sentence each; set by the action plugin.
    type: list
    elements: str
    default: []
  notes:
    description: What was not looked at; set by the action plugin.
    type: list
    elements: str
    default: []
  topology:
    description: Who serves what, as the preflight says it; set by the action plugin.
    type: dict
    default: {}
  lock:
    description: The images' recorded digests; set by the action plugin.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Writes no C(doctor.json).
    support: full
  diff_mode:
    description: There is never a difference on a host.
    support: full
  idempotent:
    description: The same answers give the same diagnosis.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Show what is wrong
  gpuchat.stack.gpuchat_diagnosis:
    folder: '{{ inventory_dir }}/.gpuchat'
  run_once: true
"""

RETURN = r"""
status:
  description: The worst severity, 0 nothing is wrong, 1 a warning, 2 a fault, 3 a host cannot be reached.
  type: int
  returned: always
causes:
  description: >-
    What is wrong, the first cause first, each with C(host), C(kind), C(severity), C(found), C(wanted), C(fix), C(line)
    (the words that show it), and what it C(explains).
  type: list
  elements: dict
  returned: always
notes:
  description: What was not looked at.
  type: list
  elements: str
  returned: always
file:
  description: Where all of it is written.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.doctor import diagnosis_runner

SPECIFICATION = {
    "folder": {"type": "path", "required": True},
    "fail": {"type": "str", "default": "fault"},
    "lock_file": {"type": "path", "default": ""},
    "hosts": {"type": "list", "elements": "dict", "default": []},
    "inventory": {"type": "list", "elements": "str", "default": []},
    "notes": {"type": "list", "elements": "str", "default": []},
    "topology": {"type": "dict", "default": {}},
    "lock": {"type": "dict", "default": {}},
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPECIFICATION, supports_check_mode=True)
    front.run(module, lambda: diagnosis_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
