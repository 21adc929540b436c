#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_service
short_description: Keep a systemd unit or a compose project in its wanted state, healthy
version_added: 0.1.0
description:
  - Starts a service, and restarts it only when its own files have changed since it started.
    The digest of its file set is recorded at each start, so no handler is needed, and an interrupted run is put right
    by the next.
  - Waits for the supervisor's own word and for a health address, and fails with the last log lines.
  - Moves a service from one supervisor to the other, leaving nothing of the old one behind.
options:
  name:
    description: >-
      Name of the unit (without C(.service), but with C(.path), C(.socket) or C(.timer)) or of the compose project.
    type: str
    required: true
  supervisor:
    description: What runs the service.
    type: str
    choices: [compose, systemd]
    default: systemd
  compose_file:
    description: Path of the compose file where O(supervisor=compose).
    type: path
  digest:
    description:
      - Digest of the files that the service runs with, as M(gpuchat.stack.gpuchat_files) returned it.
    type: str
  reload_digest:
    description: Digest of the files that the service takes up by a reload, without a restart.
    type: str
  adopt:
    description: One that somebody else has started counts as started with the present files, and is not restarted.
    type: bool
    default: false
  health:
    description: When the service counts as up.
    type: dict
    suboptions:
      url:
        description: An address on the host that must answer.
        type: str
      status:
        description: The HTTP status wanted.
        type: int
        default: 200
      holds:
        description:
          - Text that the answer must hold. A service that answers without it is started once more, as one that takes a
            setting up at its second start.
        type: str
        default: ''
      timeout:
        description: Seconds to wait.
        type: int
        default: 60
  state:
    description: V(stopped) also keeps it from starting at boot; V(absent) also forgets it.
    type: str
    choices: [started, stopped, absent]
    default: started
attributes:
  check_mode:
    description: Predicts starts and restarts; health after a change cannot be and is named in RV(not_predicted).
    support: full
  diff_mode:
    description: Shows state, supervisor and digest before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Run the model server
  gpuchat.stack.gpuchat_service:
    name: gpuchat-vllm
    supervisor: compose
    compose_file: /etc/gpuchat/vllm/compose.yml
    digest: '{{ files.digest }}'
    health:
      url: http://127.0.0.1:8000/health
      timeout: 600
"""

RETURN = r"""
not_predicted:
  description: What check mode could not predict, and why.
  type: list
  elements: str
  returned: where there is anything
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.system import service_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "supervisor": {"type": "str", "choices": ["compose", "systemd"], "default": "systemd"},
            "compose_file": {"type": "path"},
            "digest": {"type": "str"},
            "reload_digest": {"type": "str"},
            "adopt": {"type": "bool", "default": False},
            "health": {"type": "dict", "options": service_runner.HEALTH_OPTIONS},
            "state": {"type": "str", "choices": ["started", "stopped", "absent"], "default": "started"},
        },
        required_if=[("supervisor", "compose", ["compose_file"])],
        supports_check_mode=True,
    )
    subject = f"service {module.params['name']}"
    front.run(module, lambda: service_runner.ensure(module.params, module.check_mode), subject)


if __name__ == "__main__":
    main()
