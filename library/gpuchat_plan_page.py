#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_plan_page
short_description: Show plans of vLLM as a table and as a page
version_added: 0.1.0
description:
  - Writes C(plan.html), which needs no other file, and C(plan.json).
  - The action plugin of the same name shows the table.
options:
  plans:
    description: The plans of each host.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: Name of the host.
        type: str
        required: true
      models:
        description: What M(gpuchat.stack.gpuchat_vllm_plan) returned as C(models).
        type: list
        elements: dict
        default: []
      gpus:
        description: What it returned as C(gpus); with several models, a bar for each shows the parts of all.
        type: list
        elements: dict
        default: []
      refusal:
        description: Why nothing could be planned, where O(plans[].models) is empty.
        type: str
        default: ''
  fail:
    description: What ends with a failure after both files are written, nothing, a refusal, or what does not fit too.
    type: str
    choices: [never, refused, unfit]
    default: never
  folder:
    description: Where both files are written.
    type: path
    required: true
attributes:
  check_mode:
    description: Shows the table and predicts the files.
    support: full
  diff_mode:
    description: Shows both files before and after.
    support: full
  idempotent:
    description: The same plans give the same files.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Show the plans
  gpuchat.stack.gpuchat_plan_page:
    plans:
      - {host: gpu1, models: '{{ planned.models }}', gpus: '{{ planned.gpus }}'}
    folder: '{{ inventory_dir }}/.gpuchat'
  delegate_to: localhost
"""

RETURN = r"""
table:
  description: All plans as a text of at most 100 columns.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.report import plan_page_runner

PLAN = {
    "host": {"type": "str", "required": True},
    "models": {"type": "list", "elements": "dict", "default": []},
    "gpus": {"type": "list", "elements": "dict", "default": []},
    "refusal": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "plans": {"type": "list", "elements": "dict", "required": True, "options": PLAN},
            "fail": {"type": "str", "choices": ["never", "refused", "unfit"], "default": "never"},
            "folder": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: plan_page_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
