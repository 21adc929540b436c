#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_container_gpus
short_description: See that containers see the host's GPUs, and restart those that lost them
version_added: 0.1.0
description:
  - Running containers that were given GPUs and can no longer open them are restarted. C(systemctl daemon-reload) does
    that to containers whose devices Docker's cgroup driver does not know of.
  - Then a trial container must see as many GPUs as the host has.
options:
  image:
    description: Image of the trial container; it needs C(/bin/sh), nothing of NVIDIA's.
    type: str
    required: true
  gpus:
    description: How many GPUs the host has.
    type: int
    required: true
  runtime:
    description: Name of NVIDIA's runtime in Docker's settings.
    type: str
    default: nvidia
  supervisor:
    description:
      - What runs the host's containers.
      - Under V(quadlet) the trial is Podman's, by CDI, and no container is restarted.
    type: str
    choices: [compose, systemd, quadlet]
    default: compose
attributes:
  check_mode:
    description: Predicts the restarts; the trial is named in RV(not_predicted).
    support: full
  diff_mode:
    description: Shows which containers have lost their GPUs.
    support: full
  idempotent:
    description: A second run restarts nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: See that a container sees both GPUs
  gpuchat.stack.gpuchat_container_gpus:
    image: docker.io/library/debian:trixie-slim
    gpus: 2
"""

RETURN = r"""
not_predicted:
  description: What check mode could not predict, and why.
  type: list
  elements: str
  returned: in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.docker import images_runner
from ..module_utils.gpuchat.gpu import containers_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "gpus": {"type": "int", "required": True},
            "runtime": {"type": "str", "default": "nvidia"},
            "supervisor": images_runner.SUPERVISOR,
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: containers_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
