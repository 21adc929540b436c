#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_image
short_description: Resolve an image's tag once, record its digest, and pull by digest
version_added: 0.1.0
description:
  - Asks the configured registry for the tag's digest, and keeps it in a lock file beside the inventory.
  - Later runs use the recorded digest, and report when the tag has moved.
options:
  name:
    description: Image with its tag; V(latest) is refused.
    type: str
    required: true
  registry_map:
    description: Registry to use in place of the one in the name, by its name.
    type: dict
    default: {}
  registry_mirrors:
    description: Addresses of mirrors of Docker Hub.
    type: list
    elements: str
    default: []
  insecure_registries:
    description: Registries that speak plain HTTP.
    type: list
    elements: str
    default: []
  registry_logins:
    description:
      - Logins of registries, by the registry that an image comes from once the map was applied.
      - The variable C(gpuchat_registry_logins) where they are left out, so that no callback records them.
    type: list
    elements: dict
    default: []
    suboptions:
      registry:
        description: The registry, such as V(harbor.example.com) or V(docker.io).
        type: str
        required: true
      username:
        description: Name of the person or robot.
        type: str
        required: true
      password:
        description: Password or token. It is kept on no host.
        type: str
        required: true
  lock_file:
    description: File on the control node that records digests.
    type: path
    required: true
  locked_digest:
    description: The recorded digest; set by the action plugin.
    type: str
  archives:
    description: Images that archives on the control node hold; set by the action plugin from C(gpuchat_image_archives).
    type: list
    elements: dict
    default: []
  archive_paths:
    description: Where such an archive is on the host; set by the action plugin.
    type: dict
    default: {}
  timeout:
    description: Seconds that a pull may take.
    type: int
    default: 7200
  supervisor:
    description: Whose image store it is put into, Podman's for V(quadlet) and else Docker's.
    type: str
    choices: [compose, systemd, quadlet]
    default: compose
  state:
    description:
      - V(present) pulls the image.
      - V(resolved) only sees that this host can get it, before anything is fetched; an image whose digest is recorded
        is not asked for again.
    type: str
    choices: [present, resolved]
    default: present
  way_out:
    description:
      - The way out of the host by C(gpuchat_proxy) and C(gpuchat_ca_files); set by the action plugin. It counts for
        this module and what it starts.
    type: dict
    default: {}
  way_out_logins:
    description: Logins of the proxies in it; set by the action plugin.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Resolves the digest and predicts the pull.
    support: full
  diff_mode:
    description: Shows the reference that would be pulled.
    support: full
  idempotent:
    description: A second run pulls nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Pull the engine's image
  gpuchat.stack.gpuchat_image:
    name: vllm/vllm-openai:v0.32.0
    lock_file: '{{ inventory_dir }}/.gpuchat/lock.yml'
"""

RETURN = r"""
reference:
  description: The name by which the image is run, with its digest.
  type: str
  returned: success
digest:
  description: The image's digest.
  type: str
  returned: success
moved_to:
  description: The tag's present digest where it is no longer the recorded one, else empty.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.docker import images_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            **images_runner.OPTIONS,
            "supervisor": images_runner.SUPERVISOR,
            "state": {"type": "str", "choices": ["present", "resolved"], "default": "present"},
        },
        supports_check_mode=True,
    )
    if module.params["state"] == "resolved":
        front.run(module, lambda: images_runner.look_up(module.params))
    front.run(module, lambda: images_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
