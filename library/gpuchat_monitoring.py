#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_monitoring
short_description: Say what Prometheus, Alertmanager and the relay to robots are given
version_added: 0.1.0
description:
  - Makes of what the inventory says the programs' configurations, the rules of the alerts and the dashboards.
  - Handles no secret; in the configurations stands the file of each.
options:
  stack:
    description: What is monitored, and how its owner wants to be told.
    type: dict
    required: true
  secrets:
    description: By what they are for, the name of the variable that holds the secrets.
    type: dict
    default: {receiver: monitoring_receiver_secrets, remote: monitoring_remote_write_secrets}
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: There is never a difference.
    support: full
  idempotent:
    description: Changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Detect what is asked, and who is told
  gpuchat.stack.gpuchat_monitoring:
    stack:
      host: front
      targets: [{job: node, host: front, place: '127.0.0.1:9400', path: /metrics/node}]
      receivers: [{name: team, kind: feishu}]
  register: monitoring
"""

RETURN = r"""
units:
  description: >-
    For C(prometheus), C(alertmanager) and, where a robot is named, C(relay), its C(files) as
    M(gpuchat.stack.gpuchat_files) has them, its C(arguments), and the names of its C(secrets).
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.monitoring import stack, units

SECRETS = {"receiver": "monitoring_receiver_secrets", "remote": "monitoring_remote_write_secrets"}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "dict", "required": True},
            "secrets": {"type": "dict", "default": SECRETS, "no_log": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    front.run(module, lambda: {"changed": False, "units": units.build(stack.read(params["stack"]), params["secrets"])})


if __name__ == "__main__":
    main()
