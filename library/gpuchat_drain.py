#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_drain
short_description: Say which models of a host leave rotation, and wait until their engines have answered
version_added: 0.1.0
description:
  - Says which models other hosts serve while engines of this one start anew, and which nobody serves meanwhile.
  - Says whether the host was taken out of rotation by hand.
  - Waits, once the door takes no further requests for them, until nobody is connected to their engines.
  - Waits, once the door takes requests again, until all who ask it know that.
  - The playbook C(upgrade.yml) uses it. It changes nothing; the door is the role's.
options:
  state:
    description:
      - V(detected) says whether C(deploys/drain.py) has taken the host out of rotation, where it then stays.
      - V(chosen) says which models leave rotation.
      - V(drained) waits for the answers under way.
      - V(returned) waits until all other hosts ask this one again.
    type: str
    choices: [detected, chosen, drained, returned]
    required: true
  models:
    description: The models of all hosts, each with C(name) and C(hosts), for V(chosen).
    type: list
    elements: dict
    default: []
  host:
    description: The host whose engines start anew, for V(detected) and V(chosen).
    type: str
    default: ''
  away:
    description: Hosts that are out of rotation, for V(chosen), on which nobody is to count.
    type: list
    elements: str
    default: []
  together:
    description: All hosts that start anew at once, for V(chosen) of models that span them; no other serves these.
    type: list
    elements: str
    default: []
  names:
    description:
      - The models whose engines are about to start anew, for V(chosen).
      - Those that have left rotation, for V(drained) and V(returned).
    type: list
    elements: str
    default: []
  engines:
    description: The host's engines, each with C(name), C(container) and C(socket), for V(drained).
    type: list
    elements: dict
    default: []
  seconds:
    description: The longest time to wait for answers, for V(drained).
    type: int
    default: 120
attributes:
  check_mode:
    description: Waits for nothing.
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
- name: Detect which models other hosts serve meanwhile
  gpuchat.stack.gpuchat_drain:
    state: chosen
    models:
      - {name: qwen3-8b, hosts: [gpu1, gpu2]}
      - {name: bge-m3, hosts: [gpu1]}
    host: gpu1
    names: [qwen3-8b, bge-m3]
  register: rotation

- name: Verify that answers under way have ended
  gpuchat.stack.gpuchat_drain:
    state: drained
    names: '{{ rotation.drained }}'
    engines: '{{ engines }}'
    seconds: 300
"""

RETURN = r"""
away:
  description: The host where it is out of rotation, else nothing.
  type: list
  elements: str
  returned: when state is detected
drained:
  description: Models that leave rotation, for other hosts serve them.
  type: list
  elements: str
  returned: when state is chosen
alone:
  description: Models that nobody serves while they start anew.
  type: list
  elements: str
  returned: when state is chosen
open:
  description: How many requests were open at the end, by model.
  type: dict
  returned: when state is drained
seconds:
  description: How long it has waited.
  type: float
  returned: when state is drained or returned
"""

import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.engines import drain_runner, leave, leave_runner
from ..module_utils.gpuchat.inventory import rotation

UNCHANGED = {"changed": False, "diff": []}


def work(params: Mapping[str, Any], check: bool) -> Mapping[str, object]:
    if params["state"] == "detected":
        return detect(params["host"])
    if params["state"] == "chosen":
        chosen = rotation.choose(params["models"], params["host"], params["names"], params["away"], params["together"])
        lists = {"drained": list(chosen.drained), "alone": list(chosen.alone)}
        return {**UNCHANGED, **lists, "msg": chosen.reason}
    if params["state"] == "drained":
        return drain_runner.wait(params["engines"], params["names"], params["seconds"], check)
    seconds = rotation.RETURN_SECONDS if params["names"] and not check else 0
    time.sleep(seconds)
    return {**UNCHANGED, "seconds": float(seconds), "msg": "all hosts ask this one again"}


def detect(name: str) -> Mapping[str, object]:
    since = leave_runner.since()
    if since is None:
        return {**UNCHANGED, "away": [], "msg": "in rotation"}
    word = f"{name} is out of rotation since {leave.moment(since)}, and stays so until deploys/drain.py {name} --back"
    return {**UNCHANGED, "away": [name], "msg": word, "warnings": [word]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["detected", "chosen", "drained", "returned"], "required": True},
            "models": {"type": "list", "elements": "dict", "default": []},
            "host": {"type": "str", "default": ""},
            "away": {"type": "list", "elements": "str", "default": []},
            "together": {"type": "list", "elements": "str", "default": []},
            "names": {"type": "list", "elements": "str", "default": []},
            "engines": {"type": "list", "elements": "dict", "default": []},
            "seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: work(module.params, module.check_mode))


if __name__ == "__main__":
    main()
