#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_endpoint_models
short_description: Read which models somebody else's servers list
version_added: 0.1.0
description:
  - Asks each server of C(gpuchat_endpoints) for which the inventory names no models, from the host of the task, which
    is one that hands requests on to it.
  - Of one that does not answer, the models are those of the last run. That never ends a run.
  - The action plugin of the same name gives the keys, and keeps what was read on the control node.
options:
  servers:
    description: The servers, each with C(name), C(url), C(timeout) and, where it has a private one, C(authority).
    type: list
    elements: dict
    required: true
  folder:
    description: The folder for a run's own files, in which the lists are kept.
    type: path
    required: true
  before:
    description: What the last run has read, by server; set by the action plugin.
    type: dict
    default: {}
  server_keys:
    description: Their keys by server; set by the action plugin.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Reads all the same, and keeps nothing.
    support: full
  diff_mode:
    description: There is never a difference on a host.
    support: full
  idempotent:
    description: It changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Detect the models of somebody else's servers
  gpuchat.stack.gpuchat_endpoint_models:
    servers:
      - {name: workstation, url: 'http://10.0.0.9:1234/v1', timeout: 30}
    folder: '{{ playbook_dir }}/.gpuchat'
  delegate_to: edge1
  run_once: true
  register: endpoint_models
"""

RETURN = r"""
listed:
  description: The names of the models by server; none where they were never read.
  type: dict
  returned: success
unread:
  description: Why some could not be read in this run, a sentence each.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.inventory import endpoint_models_runner

SPECIFICATION = {
    "servers": {"type": "list", "elements": "dict", "required": True},
    "folder": {"type": "path", "required": True},
    "before": {"type": "dict", "default": {}},
    "server_keys": {"type": "dict", "default": {}, "no_log": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPECIFICATION, supports_check_mode=True)
    # A server that wants none is given a word as its key, such as local: in the result it would hide names of models.
    # So nothing is masked there, and the options, which hold the keys, are no part of it.
    module.no_log_values = set()
    front.run(module, lambda: endpoint_models_runner.ensure(module.params), invocation={})


if __name__ == "__main__":
    main()
