#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_accelerator
short_description: Decide what a host computes with, and what its driver needs first
version_added: 0.1.0
description:
  - Looks at the host as M(gpuchat.stack.gpuchat_gpu_info) does, and compares it with what its owner wants.
  - Refuses a host whose GPUs cannot be used, with the fix; it never takes the CPU in place of a GPU that is broken.
options:
  accelerator:
    description: What the host is to compute with; V(auto) takes NVIDIA's GPUs where there are some, else the CPU.
    type: str
    choices: [auto, nvidia, cpu]
    default: auto
  install_driver:
    description: The driver may be installed where none works.
    type: bool
    default: false
  signed_modules:
    description: >-
      Distributions, by their C(ID) in C(/etc/os-release), whose driver packages bring kernel modules that Secure Boot
      lets in.
    type: list
    elements: str
    default: []
  reboot:
    description: The host may be restarted where the driver needs it.
    type: bool
    default: false
  branch:
    description: Branch of the driver that would be installed, to be held against the GPUs; empty where they decide.
    type: str
    default: ''
  branches:
    description: The same by release, where a distribution ships one branch alone; it comes before O(branch).
    type: dict
    default: {}
  open_modules:
    description: The driver would be installed with the open kernel modules, the only ones for Blackwell and newer.
    type: bool
    default: true
  driver_installed:
    description: The driver was installed just now.
    type: bool
    default: false
  toolbox:
    description: Folder of the toolbox, a virtual environment with the library C(pynvml).
    type: path
    default: /opt/gpuchat/toolbox
attributes:
  check_mode:
    description: Reads only; a driver that is not installed yet is named in RV(not_predicted).
    support: full
  diff_mode:
    description: Changes nothing, so the difference is empty.
    support: full
  idempotent:
    description: Changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Decide what the host computes with
  gpuchat.stack.gpuchat_accelerator:
    accelerator: auto
  register: found
"""

RETURN = r"""
accelerator:
  description: V(nvidia) or V(cpu).
  type: str
  returned: success
install_driver:
  description: Whether the driver is to be installed.
  type: bool
  returned: success
reboot:
  description: Whether the host is to be restarted.
  type: bool
  returned: success
last_branch:
  description: >-
    The last branch of NVIDIA's driver that serves the host's GPUs, and with closed kernel modules alone; empty for GPUs
    that the newest serves with open ones.
  type: str
  returned: success
gpus:
  description: What M(gpuchat.stack.gpuchat_gpu_info) returns under this name; its other results are returned too.
  type: list
  elements: dict
  returned: success
not_predicted:
  description: What check mode could not predict, and why.
  type: list
  elements: str
  returned: where there is anything
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.gpu import accelerator_runner
from ..module_utils.gpuchat.system import toolbox_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "accelerator": {"type": "str", "choices": ["auto", "nvidia", "cpu"], "default": "auto"},
            "install_driver": {"type": "bool", "default": False},
            "signed_modules": {"type": "list", "elements": "str", "default": []},
            "reboot": {"type": "bool", "default": False},
            "branch": {"type": "str", "default": ""},
            "branches": {"type": "dict", "default": {}},
            "open_modules": {"type": "bool", "default": True},
            "driver_installed": {"type": "bool", "default": False},
            "toolbox": {"type": "path", "default": toolbox_runner.TOOLBOX},
        },
        supports_check_mode=True,
    )
    toolbox_runner.respawn_for("pynvml", module.params["toolbox"])
    front.run(module, lambda: accelerator_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
