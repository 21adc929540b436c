#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_silence
short_description: Keep alerts silent while hosts are worked on
version_added: 0.1.0
description:
  - Makes silences in the Alertmanager on the loopback of the host that it runs on, for the alerts that planned work on
    hosts brings with it. Disks, certificates, backups and all else are told of as before.
  - Each silence has an end of its own, so that none outlives a run that was interrupted by more than that.
  - An Alertmanager that does not answer is a warning, for the work itself needs none.
options:
  state:
    description:
      - With V(present) nobody is told of what the work brings, for O(seconds) at most.
      - With V(ended) the silences end 90 seconds later, by when Prometheus has seen that all is back.
      - With V(absent) they are taken away at once, as after work that has failed.
    type: str
    choices: [present, ended, absent]
    default: present
  work:
    description: What is done, by which the silences are known again.
    type: str
    required: true
  hosts:
    description: The hosts that are worked on, as the inventory names them.
    type: list
    elements: str
    default: []
  alone:
    description: Whether nobody answers people meanwhile, so that errors at the edge are a part of the work.
    type: bool
    default: false
  fewer:
    description: Whether other hosts answer for these meanwhile, so that requests may queue up there.
    type: bool
    default: false
  seconds:
    description: For how long alerts are silent at most.
    type: int
    default: 3600
  port:
    description: Port of Alertmanager.
    type: int
    default: 9093
attributes:
  check_mode:
    description: Reads the silences, and predicts what would be made or taken away.
    support: full
  diff_mode:
    description: Shows whether alerts are told of.
    support: full
  idempotent:
    description: A second run changes nothing while more than half of O(seconds) is left.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Silence what the work on the host brings
  gpuchat.stack.gpuchat_silence:
    work: new memory for gpu1
    hosts: [gpu1]
    seconds: 1800
  delegate_to: monitor
"""

RETURN = r"""
warnings:
  description: Why no alert is silent, where Alertmanager does not answer.
  type: list
  elements: str
  returned: when it does not answer
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.monitoring import silence_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "ended", "absent"], "default": "present"},
            "work": {"type": "str", "required": True},
            "hosts": {"type": "list", "elements": "str", "default": []},
            "alone": {"type": "bool", "default": False},
            "fewer": {"type": "bool", "default": False},
            "seconds": {"type": "int", "default": 3600},
            "port": {"type": "int", "default": 9093},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: silence_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
