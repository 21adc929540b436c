#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_vllm
short_description: Ensure all vLLM engines of a host as one unit of state
version_added: 0.1.0
description:
  - Pulls the images of all engines by digest and writes the files of all before anything is stopped.
  - Stops engines of earlier runs that are no longer wanted, and removes their files once the others run; their caches
    and models stay unless O(prune).
  - Starts what has changed, one engine after the other, and waits until each is healthy and gives right answers. Where
    one does not come up, its earlier files come back and it runs again as before, and so does what was to go; the task
    fails and says so.
  - Engines that share a GPU, or the CPU, wait for each other whenever they start, as after a reboot.
  - An engine has no network. It listens on a Unix socket in a folder that the door's group may enter.
  - One that stands on several hosts (C(span)) has the host's network, for its ranks alone. Its task runs on all of them
    at once; each waits until the first host says that the engine is healthy, and where one rank is gone all start anew.
options:
  engines:
    description:
      - The engines. Each has C(name), C(aliases), C(container), C(folder), C(cache), C(run), C(socket_url) and C(path),
        and may have C(version), C(image), C(environment) and C(source). The files of one whose source is C(path) are
        never removed.
      - One that stands on several hosts has C(span) too, with C(hosts), C(rank), C(addresses) and C(port).
      - The preflight derives them from C(gpuchat_models).
    type: list
    elements: dict
    required: true
  plans:
    description:
      - What was planned for each, by its name; C(args), C(env), C(devices), C(task), C(tool_call) and C(start_seconds),
        as M(gpuchat.stack.gpuchat_vllm_plan) returns them.
    type: dict
    default: {}
  metadata:
    description: What is known of each model's files, by its name, as M(gpuchat.stack.gpuchat_model) returns it.
    type: dict
    default: {}
  version:
    description: Version of vLLM, where an engine does not say another.
    type: str
    default: ''
  image:
    description: Image for GPUs, with O(version) in its tag.
    type: str
    required: true
  cpu_image:
    description: Image for hosts without GPU, with O(version) in its tag.
    type: str
    required: true
  on_gpu:
    description: Whether the host computes with NVIDIA GPUs.
    type: bool
    default: false
  environment:
    description: Environment variables of all engines; an engine's own win.
    type: dict
    default: {}
  start_seconds:
    description: Longest time to the first healthy answer; V(0) takes what the plan or the model's size says.
    type: int
    default: 0
  stop_seconds:
    description: Seconds that running answers get to finish when an engine stops.
    type: int
    default: 30
  uid:
    description: User and group id under which the containers run.
    type: int
    required: true
  door_group:
    description: Group that may use the sockets.
    type: str
    required: true
  api_key:
    description: Key that engines ask for; the variable C(gpuchat_vllm_engine_key) where it is left out.
    type: str
    default: ''
  supervisor:
    description:
      - What runs them, V(quadlet) by Podman, V(venv) by systemd without containers, and the others by Docker; those
        that ran under another are moved.
      - Under V(venv) uv makes a virtual environment of O(packages) for each version, of exactly what a lock beside
        O(lock_file) names, and the engines have an account of O(uid).
    type: str
    choices: [compose, systemd, quadlet, venv]
    default: compose
  packages:
    description: Requirements for GPUs where O(supervisor=venv), vLLM's own first, with O(version) in it.
    type: list
    elements: str
    default: []
  cpu_packages:
    description: The same for hosts without GPU.
    type: list
    elements: str
    default: []
  cpu_index_url:
    description: Package index that has them, asked before the others; empty for none.
    type: str
    default: ''
  requirements:
    description: Text of pinned, hashed requirements to install in place of what uv would resolve.
    type: str
    default: ''
  python:
    description: The Python that environments are made of; V(auto) for the first that fits.
    type: str
    default: auto
  index_url:
    description: Package index to use in place of python.org's; empty for what pip's own settings on the host say.
    type: str
    default: ''
  extra_index_urls:
    description: Package indexes that are asked before it.
    type: list
    elements: str
    default: []
  trusted_hosts:
    description: Hosts of a package index whose certificate is not to be checked.
    type: list
    elements: str
    default: []
  torch_backend:
    description:
      - Which of PyTorch's own indexes has its packages, as uv calls them (V(cpu), V(cu130), ...); V(none) for none.
      - V(auto) is V(cpu) on a host without GPU, and else none.
    type: str
    default: auto
  locks:
    description: The recorded locks by name; set by the action plugin.
    type: dict
    default: {}
  prune:
    description:
      - Remove the cache of an engine that is no longer wanted, and its model's files.
      - Only files below O(model_root) that M(gpuchat.stack.gpuchat_model) has fetched, and that no engine uses here or
        may use elsewhere, by O(used_paths).
    type: bool
    default: false
  model_root:
    description: Folder below which models' files may be removed.
    type: path
    default: /srv/models
  used_paths:
    description:
      - Models' folders that some host uses, this one or another; none of them is removed.
      - Those of all entries of the variable C(gpuchat_models) where they are left out.
    type: list
    elements: path
    default: []
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
  run_hosts:
    description:
      - Hosts that the run reaches at the same time as this one; set by the action plugin.
      - An engine that stands on several of them is not started anew where one of its hosts is missing.
    type: list
    elements: str
    default: []
  forks:
    description: How many hosts the run works on at a time; set by the action plugin.
    type: int
    default: 0
  locked_digests:
    description: The recorded digests by image; set by the action plugin.
    type: dict
    default: {}
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
  state:
    description:
      - V(resolved) only records the images' digests or the environments' locks, on the control node.
      - V(pulled) brings the images to the host, or makes the environments.
    type: str
    choices: [present, resolved, pulled]
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
  known_answer:
    description: A C(model) with its C(answer) to a C(question), which is known word for word; set by the action plugin.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Predicts pulls, files, starts and what goes; what cannot be known is named in RV(not_predicted).
    support: full
  diff_mode:
    description: Shows images' references, each file that is not secret, and the services' states.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Start two engines on one GPU
  gpuchat.stack.gpuchat_vllm:
    engines: '{{ engines }}'
    plans:
      qwen3-8b: {args: {gpu-memory-utilization: 0.6}, devices: ['0'], task: chat, tool_call: true}
      bge-m3: {args: {gpu-memory-utilization: 0.1}, devices: ['0'], task: embed}
    metadata: '{{ models_there.models }}'
    version: 0.32.0
    image: vllm/vllm-openai:v0.32.0
    cpu_image: vllm/vllm-openai-cpu:v0.32.0
    on_gpu: true
    uid: 69980
    door_group: www-data
    lock_file: '{{ inventory_dir }}/.gpuchat/lock.yml'
"""

RETURN = r"""
digests:
  description: The images' digests, by name.
  type: dict
  returned: success
locks:
  description: Locks that this run has resolved, by name.
  type: dict
  returned: where O(supervisor=venv)
started:
  description: Names of the engines that this run started, or would.
  type: list
  elements: str
  returned: when state is present
retired:
  description: Engines that are no longer wanted, each with what was kept and what was removed.
  type: list
  elements: dict
  returned: when state is present
  contains:
    name:
      description: The engine.
      type: str
      returned: always
    kept:
      description: Folders that stay, with their path and bytes.
      type: list
      elements: dict
      returned: always
    removed:
      description: Folders that this run removed, or would.
      type: list
      elements: str
      returned: always
not_predicted:
  description: What check mode could not predict, and why.
  type: list
  elements: str
  returned: where there is anything
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.docker import images_runner
from ..module_utils.gpuchat.engines import runner
from ..module_utils.gpuchat.system import environment_runner

FACTS = {"type": "dict", "default": {}}
IMAGES = {name: option for name, option in images_runner.OPTIONS.items() if name != "locked_digest"}
SPECIFICATION = {
    "engines": {"type": "list", "elements": "dict", "required": True},
    "plans": FACTS,
    "metadata": FACTS,
    "version": {"type": "str", "default": ""},
    "image": {"type": "str", "required": True},
    "cpu_image": {"type": "str", "required": True},
    "on_gpu": {"type": "bool", "default": False},
    "environment": FACTS,
    "start_seconds": {"type": "int", "default": 0},
    "stop_seconds": {"type": "int", "default": 30},
    "uid": {"type": "int", "required": True},
    "door_group": {"type": "str", "required": True},
    "api_key": {"type": "str", "default": "", "no_log": True},
    "supervisor": {"type": "str", "choices": ["compose", "systemd", "quadlet", "venv"], "default": "compose"},
    "cpu_index_url": {"type": "str", "default": "", "no_log": True},
    **environment_runner.OPTIONS,
    "prune": {"type": "bool", "default": False},
    "model_root": {"type": "path", "default": "/srv/models"},
    "known_answer": {"type": "dict", "default": {}},
    "used_paths": {"type": "list", "elements": "path", "default": []},
    **IMAGES,
    "run_hosts": {"type": "list", "elements": "str", "default": []},
    "forks": {"type": "int", "default": 0},
    "locked_digests": FACTS,
    "state": {"type": "str", "choices": ["present", "resolved", "pulled"], "default": "present"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPECIFICATION, supports_check_mode=True)
    names = {"engines": [engine.get("name") for engine in module.params["engines"]]}
    front.run(module, lambda: runner.ensure(module.params, module.check_mode), "engines", invocation=names)


if __name__ == "__main__":
    main()
