#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_doctor
short_description: Read what may be wrong on a host
version_added: 0.1.0
description:
  - Reads what a host is and runs, as the survey does, and asks further questions where something is not well, as for
    the last lines of logs, whether names resolve, and whether the doors of other hosts answer by TLS.
  - Changes nothing. M(gpuchat.stack.gpuchat_diagnosis) says what follows from the answers of all hosts.
  - The action plugin of the same name notes when the host was asked, by which its clock is judged.
options:
  name:
    description: The host's name in the inventory.
    type: str
    required: true
  hosts:
    description: Each host's part in the stack, as the preflight says it; empty where the inventory has faults.
    type: dict
    default: {}
  seconds:
    description: How long one question may take; none waits for another.
    type: int
    default: 20
attributes:
  check_mode:
    description: Reads only.
    support: full
  diff_mode:
    description: There is never a difference.
    support: full
  idempotent:
    description: Reads only.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Detect what is wrong on the host
  gpuchat.stack.gpuchat_doctor:
    name: '{{ inventory_hostname }}'
  become: true
  register: examined
"""

RETURN = r"""
reading:
  description: What the host is and runs, in the form of the survey's C(--json).
  type: dict
  returned: success
checks:
  description: The answers to further questions, by their kinds.
  type: dict
  returned: success
asked:
  description: When the host was asked, by the control node's clock, in seconds since 1970.
  type: float
  returned: success
heard:
  description: When it had answered.
  type: float
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.doctor import runner

SPECIFICATION = {
    "name": {"type": "str", "required": True},
    "hosts": {"type": "dict", "default": {}},
    "seconds": {"type": "int", "default": 20},
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPECIFICATION, supports_check_mode=True)
    front.run(module, lambda: runner.read(module.params), invocation={})


if __name__ == "__main__":
    main()
