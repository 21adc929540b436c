#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_container
short_description: Ensure a container as one unit of state - image, network, files, service and health
version_added: 0.1.0
description:
  - Resolves the image's tag once and pulls it by digest, as M(gpuchat.stack.gpuchat_image) does.
  - Writes the container's files and its compose project or systemd unit as one validated set, as
    M(gpuchat.stack.gpuchat_files) does.
  - Starts it, restarts it where its files have changed since its last start, and waits until it is healthy, as
    M(gpuchat.stack.gpuchat_service) does.
  - The container has a read-only root, no capabilities, no new privileges, and the host's network unless O(network)
    says otherwise.
options:
  name:
    description: Name of the container, its compose project or its unit.
    type: str
    required: true
  image:
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
    description:
      - What runs it, V(quadlet) by Podman and the others by Docker; one that ran under another is moved.
      - Under V(quadlet) it can have no network of its own.
    type: str
    choices: [compose, systemd, quadlet]
    default: compose
  folder:
    description: Folder on the host for its files.
    type: path
    required: true
  files:
    description: The container's further files.
    type: list
    elements: dict
    default: []
    suboptions:
      dest:
        description: Absolute path on the host.
        type: path
        required: true
      template:
        description: A template of the role, rendered on the control node.
        type: str
      vars:
        description: More variables for this template alone.
        type: dict
      program:
        description: >-
          A program of the collection's shared code, by its module; O(files[].dest) becomes a folder that Python runs,
          with all that the module imports.
        type: str
      copies:
        description: >-
          Files of the control node, as they lie there: what ansible-vault has encrypted stays so. O(files[].dest)
          becomes the folder that holds them, which O(files[].mode) is for.
        type: list
        elements: path
      content:
        description: The text itself.
        type: str
      secret_content:
        description: The text itself where O(files[].secret) is true; set by the action plugin.
        type: str
      folder:
        description: The entry is a folder.
        type: bool
        default: false
      owner:
        description: Owner, by name or number.
        type: str
        default: '0'
      group:
        description: Group, by name or number.
        type: str
        default: '0'
      mode:
        description: Mode in octal digits; unless set, C(0644), C(0755) for folders, C(0600) for secret files.
        type: str
      secret:
        description: Keep the content out of diffs and logs.
        type: bool
        default: false
      keep:
        description: The content is for a file that is missing; what somebody else makes of it stays as it is.
        type: bool
        default: false
  user:
    description: User and group that it runs as, as numbers, C(1000:1000).
    type: str
    required: true
  entrypoint:
    description: Program and arguments in place of the image's own.
    type: list
    elements: str
    default: []
  command:
    description: Arguments of the entrypoint.
    type: list
    elements: str
    default: []
  environment:
    description: Environment variables; they can be read by C(docker inspect), so secrets belong in O(files).
    type: dict
    default: {}
  volumes:
    description: What is mounted, as Docker takes it.
    type: list
    elements: str
    default: []
  tmpfs:
    description: Folders in memory.
    type: list
    elements: str
    default: [/tmp]
  shm_size:
    description: Size of C(/dev/shm).
    type: str
    default: ''
  network:
    description:
      - The network that it is attached to; the host's where it is left out.
      - V(none) is no network at all. Any other is made without a way out, so that its containers reach each other and
        the host's address in it.
    type: dict
    suboptions:
      name:
        description: Name of the network.
        type: str
        required: true
      subnet:
        description: Its IPv4 network, for one of that kind.
        type: str
      bridge:
        description: Name of the host's interface in it, at most 15 characters.
        type: str
      address:
        description: The container's address in it.
        type: str
  extra_hosts:
    description: Addresses of names that the container resolves so whatever a name server says, by name.
    type: dict
    default: {}
  gpus:
    description: NVIDIA GPUs that it gets, V(all), or indices or UUIDs by comma; empty for none.
    type: str
    default: ''
  health_command:
    description: Command in the container that succeeds when it is healthy.
    type: list
    elements: str
    default: []
  start_seconds:
    description: Longest time until it is healthy, for Docker's own check.
    type: int
    default: 60
  stop_seconds:
    description: Longest time until it has ended.
    type: int
    default: 10
  digest:
    description: A word on what else it runs with, such as a model's commit; another word is a new start.
    type: str
    default: ''
  health:
    description: What must answer before the task succeeds.
    type: dict
    suboptions:
      url:
        description: Address that must answer.
        type: str
      status:
        description: Status with which it must answer.
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
  replaces:
    description:
      - Names of containers of this module that ran in its place before, as one that had its address.
      - Each is stopped and its files are removed before this one starts; the data that it has kept stay.
    type: list
    elements: str
    default: []
  state:
    description: V(absent) stops it and removes its files; the image stays.
    type: str
    choices: [present, absent]
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
    description: Predicts pull, files and start; health after a change cannot be and is named in RV(not_predicted).
    support: full
  diff_mode:
    description: Shows the image's reference, each file that is not secret, and the service's state.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Start the model server
  gpuchat.stack.gpuchat_container:
    name: gpuchat-vllm
    image: vllm/vllm-openai:v0.32.0
    lock_file: '{{ inventory_dir }}/.gpuchat/lock.yml'
    folder: /etc/gpuchat/vllm
    user: 69980:69980
    entrypoint: [vllm, serve, --config, /etc/vllm/config.yaml]
    volumes: ['/etc/gpuchat/vllm/config.yaml:/etc/vllm/config.yaml:ro']
    files:
      - dest: /etc/gpuchat/vllm/config.yaml
        template: config.yaml.j2
    gpus: all
    health:
      url: http://127.0.0.1:8000/health
      timeout: 600
"""

RETURN = r"""
reference:
  description: The name by which the image is run, with its digest.
  type: str
  returned: when state is present
digest:
  description: The image's digest.
  type: str
  returned: when state is present
moved_to:
  description: The tag's present digest where it is no longer the recorded one, else empty.
  type: str
  returned: when state is present
started:
  description: Whether this run started it, or would.
  type: bool
  returned: when state is present
not_predicted:
  description: What check mode could not predict, and why.
  type: list
  elements: str
  returned: where there is anything
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.docker import container_runner, images_runner, network_runner
from ..module_utils.gpuchat.system import files_runner, service_runner

WORDS = {"type": "list", "elements": "str", "default": []}
SPECIFICATION = {
    "name": {"type": "str", "required": True},
    "image": {"type": "str", "required": True},
    **images_runner.OPTIONS,
    "supervisor": images_runner.SUPERVISOR,
    "folder": {"type": "path", "required": True},
    "files": {"type": "list", "elements": "dict", "default": [], "options": files_runner.OPTIONS},
    "user": {"type": "str", "required": True},
    "entrypoint": WORDS,
    "command": WORDS,
    "environment": {"type": "dict", "default": {}},
    "volumes": WORDS,
    "tmpfs": {**WORDS, "default": ["/tmp"]},
    "shm_size": {"type": "str", "default": ""},
    "network": {"type": "dict", "options": network_runner.OPTIONS},
    "extra_hosts": {"type": "dict", "default": {}},
    "gpus": {"type": "str", "default": ""},
    "health_command": WORDS,
    "start_seconds": {"type": "int", "default": 60},
    "stop_seconds": {"type": "int", "default": 10},
    "digest": {"type": "str", "default": ""},
    "health": {"type": "dict", "options": service_runner.HEALTH_OPTIONS},
    "replaces": WORDS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPECIFICATION, supports_check_mode=True)
    invocation = {"name": module.params["name"], "image": module.params["image"]}
    subject = f"container {module.params['name']}"
    front.run(module, lambda: container_runner.ensure(module.params, module.check_mode), subject, invocation=invocation)


if __name__ == "__main__":
    main()
