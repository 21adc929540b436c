#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_space
short_description: Refuse a host whose disks are too small for what is to come
version_added: 0.1.0
description:
  - Looks at the file system of each path; of one that is not there yet, at its nearest folder that is.
  - A path that already holds something is left alone, so that a host which is in use is not refused when it fills.
options:
  paths:
    description: Where something is to be put.
    type: list
    elements: path
    required: true
  minimum_gib:
    description: What must be free on the file system of each path, in GiB.
    type: int
    required: true
  hint:
    description: What the refusal asks the operator to do; empty for a general word.
    type: str
    default: ''
attributes:
  check_mode:
    description: Looks as it does in a run.
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
- name: Check the disk under Docker's images
  gpuchat.stack.gpuchat_space:
    paths: [/var/lib/docker, /var/lib/containerd]
    minimum_gib: 40
"""

RETURN = r"""
msg:
  description: What is free under each path, in one line.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.system import space_runner


def main() -> None:
    module = AnsibleModule(argument_spec=space_runner.OPTIONS, supports_check_mode=True)
    front.run(module, lambda: space_runner.ensure(module.params))


if __name__ == "__main__":
    main()
