#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_remove
short_description: Remove the stack from a host
version_added: 0.1.0
description:
  - Removes what runs have put on a host, by what they have recorded there, so a host needs no place in the inventory's
    groups any more.
  - In this order, the edge and doors, watchdog and timers, interfaces, engines, the packet filter, files, container
    networks, the toolbox, keys in Docker's C(daemon.json), packages, repositories, empty folders, records, and at last
    what the host remembers of its stack. An interrupted removal is finished by the next.
  - A file or link that stood where a run has put one comes back byte for byte, and a unit that a run masked is
    unmasked.
  - Packages that somebody else's packages need stay, Docker stays where it has other containers, and NVIDIA's container
    toolkit stays where these use GPUs. A driver and its kernel always stay.
options:
  confirm:
    description: V(yes), or nothing is removed. In check mode it is not asked for.
    type: str
    default: ''
  packages:
    description: Whether packages go that runs have installed and that were not there before.
    type: bool
    default: true
  data:
    description:
      - Whether models that runs have fetched, caches, images and what services have kept go too.
      - A model that its owner has put there stays in any case.
    type: bool
    default: false
  toolbox:
    description: The toolbox's environment.
    type: path
    default: /opt/gpuchat/toolbox
attributes:
  check_mode:
    description: Predicts the whole removal.
    support: full
  diff_mode:
    description: Shows services, files, packages and folders that go.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Remove the stack, and keep models, caches and images
  gpuchat.stack.gpuchat_remove:
    confirm: 'yes'

- name: Remove the stack with its data, and keep packages
  gpuchat.stack.gpuchat_remove:
    confirm: 'yes'
    data: true
    packages: false
"""

RETURN = r"""
removed:
  description: What was removed, or would be.
  type: list
  elements: str
  returned: success
kept:
  description: What stays, with C(name), C(reason) and C(bytes); 0 bytes where it was not measured.
  type: list
  elements: dict
  returned: success
not_predicted:
  description: What could not be predicted, and why.
  type: list
  elements: str
  returned: where there is anything
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.removal import runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "confirm": {"type": "str", "default": ""},
            "packages": {"type": "bool", "default": True},
            "data": {"type": "bool", "default": False},
            "toolbox": {"type": "path", "default": "/opt/gpuchat/toolbox"},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
