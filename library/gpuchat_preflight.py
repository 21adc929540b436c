#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_preflight
short_description: Find what is wrong with the inventory before any host is asked
version_added: 0.1.0
description:
  - Checks groups, names, types and values of the stack's variables, and reports all faults in one message.
  - The action plugin of the same name gathers the input; this module decides, on the control node.
options:
  groups:
    description: Host names by group; set by the action plugin.
    type: dict
    default: {}
  variables:
    description: The user's variables by host; set by the action plugin.
    type: dict
    default: {}
  untemplated:
    description: Variables that cannot be templated, each a list of host, name and reason; set by the action plugin.
    type: list
    elements: list
    default: []
  roles:
    description: Options of each role in the form of argument_specs; set by the action plugin.
    type: dict
    default: {}
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
- name: Check the inventory
  gpuchat.stack.gpuchat_preflight:
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
faults:
  description: What must be fixed, a sentence each.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..module_utils.gpuchat.inventory.preflight import (
    NEEDED_GROUPS,
    Findings,
    Inventory,
    Specification,
    describe,
    find_faults,
)


def check_types(inventory: Inventory, specification: Specification, findings: Findings) -> None:
    """Check each host's variables against the roles' own specifications, as Ansible would when the roles run."""
    for host in inventory.hosts(*NEEDED_GROUPS):
        given = inventory.variables.get(host, {})
        for options in specification.roles.values():
            known = {name: value for name, value in given.items() if name in options}
            for text in ArgumentSpecValidator(options).validate(known).error_messages:
                findings.fault(text, host)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "groups": {"type": "dict", "default": {}},
            "variables": {"type": "dict", "default": {}, "no_log": True},
            "untemplated": {"type": "list", "elements": "list", "default": []},
            "roles": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    # The variables stay out of the journal; messages name variables, and the values of those that are no secret.
    module.no_log_values = set()
    inventory = Inventory(
        module.params["groups"], module.params["variables"], [tuple(entry) for entry in module.params["untemplated"]]
    )
    specification = Specification(module.params["roles"])
    findings = find_faults(inventory, specification)
    check_types(inventory, specification, findings)
    hosts = inventory.hosts(*NEEDED_GROUPS)
    for warning in describe(findings.warnings, hosts):
        module.warn(warning)
    faults = describe(findings.faults, hosts)
    if faults:
        count = f"{len(faults)} faults" if len(faults) > 1 else "one fault"
        text = "\n".join(f"- {fault}" for fault in faults)
        module.fail_json(msg=f"the inventory has {count}; nothing was changed:\n{text}", faults=faults, invocation={})
    module.exit_json(changed=False, faults=[], invocation={})


if __name__ == "__main__":
    main()
