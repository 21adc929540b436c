#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_docker_daemon
short_description: Own chosen keys of Docker's daemon.json and nothing else
version_added: 0.1.0
description:
  - Merges settings into C(/etc/docker/daemon.json), remembers which keys it set, and removes those no longer wanted.
  - Everybody else's keys stay as they are.
  - The result is validated with C(dockerd --validate) before the file is replaced.
options:
  settings:
    description: Keys that gpuchat owns; those without a value are left out.
    type: dict
    default: {}
  path:
    description: The file.
    type: path
    default: /etc/docker/daemon.json
attributes:
  check_mode:
    description: Foretells the whole change.
    support: full
  diff_mode:
    description: Shows the file before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Use a mirror of Docker Hub
  gpuchat.stack.gpuchat_docker_daemon:
    settings:
      registry-mirrors: ['https://mirror.example.com']
"""

RETURN = r"""
digest:
  description: Digest of gpuchat's own settings in the file, for M(gpuchat.stack.gpuchat_service).
  type: str
  returned: success
untouched:
  description: Whether the file holds nothing of gpuchat's, so that a running Docker needs no restart for it.
  type: bool
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat import daemon_runner
from ..module_utils.gpuchat.plan import Refusal


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "default": {}},
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
        },
        supports_check_mode=True,
    )
    try:
        result = daemon_runner.bring(module.params, module.check_mode)
    except Refusal as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
