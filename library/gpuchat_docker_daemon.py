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
    Where the file had another value before, that one comes back.
  - Everybody else's keys stay as they are, and so do the order of keys, the file's indentation, mode and owner.
  - The result is validated with C(dockerd --validate) before the file is replaced.
    A dockerd older than 23 cannot do that, which RV(not_predicted) then says.
  - A key that also stands on dockerd's command line (in C(docker.service), a drop-in or an environment file of it) is
    refused, because Docker would not start.
  - The file as it was before is kept beside it as C(daemon.json.before-gpuchat).
    Once nothing is wanted any more, it is put back byte for byte, unless somebody else has changed the rest meanwhile;
    a file that did not exist is removed again.
options:
  settings:
    description:
      - Keys that the owner sets, merged deeply; those without a value are left out.
      - A list is one value, and so is a runtime's definition; but C(insecure-registries) and C(registry-mirrors) stand
        before those that somebody else has in the file.
      - With a logging or storage driver other than the file's own go that one's options; they come back with it.
    type: dict
    default: {}
  defaults:
    description:
      - Further keys, each set only where nobody else has set it, in the file or on dockerd's command line.
        A driver and its options count as one; C(live-restore) is left out on a node of a swarm, where Docker would not
        start with it.
    type: dict
    default: {}
  owner:
    description:
      - Whose keys these are.
        Several owners do not touch each other's keys; two that want one key differently are refused.
    type: str
    default: gpuchat
  nvidia_runtime:
    description:
      - V(present) registers NVIDIA's runtime as C(nvidia-ctk runtime configure) does, V(absent) keeps it out of the
        file even where somebody else has put it.
      - If omitted, the runtime is none of the owner's, and one that it registered before goes.
    type: str
    choices: [present, absent]
  runtime_name:
    description: Name of NVIDIA's runtime.
    type: str
    default: nvidia
  runtime_path:
    description: NVIDIA's runtime, a path or a name that Docker finds.
    type: str
    default: nvidia-container-runtime
  default_runtime:
    description: Containers that name no runtime get NVIDIA's; needs O(nvidia_runtime=present).
    type: bool
    default: false
  cdi:
    description: The value of Docker's feature C(cdi); other features stay. If omitted, it is none of the owner's.
    type: bool
  service:
    description:
      - The unit that runs dockerd, such as V(docker); it is enabled and started, and restarted or reloaded where it has
        something to take up. One that runs already with nothing of gpuchat's is left alone.
      - Where Docker does not come up with the new file, or does not take it at a reload, it gets the former one again,
        containers that ran before are started, and the task fails with what dockerd said. A change by which Docker
        would start without somebody else's containers (C(data-root), for instance) is refused.
      - Without it, see M(gpuchat.stack.gpuchat_service) and what this module returns.
    type: str
    default: ''
  path:
    description:
      - The file; for rootless Docker C(~/.config/docker/daemon.json) of its user, as whom the module is to run.
      - What is remembered of it is kept in C(/var/lib/gpuchat) where root runs the module, else in
        C($XDG_STATE_HOME/gpuchat) (C(~/.local/state/gpuchat)).
    type: path
    default: /etc/docker/daemon.json
  state:
    description: V(absent) removes everything that the owner set.
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
    description: Predicts the whole change.
    support: full
  diff_mode:
    description: Shows the file before and after, without the credentials of addresses in it.
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
    service: docker

- name: Register NVIDIA's runtime and switch CDI on
  gpuchat.stack.gpuchat_docker_daemon:
    owner: nvidia_container_toolkit
    nvidia_runtime: present
    cdi: true
  register: daemon

- name: Restart or reload Docker where it has something to take up
  gpuchat.stack.gpuchat_service:
    name: docker
    digest: '{{ daemon.digest }}'
    reload_digest: '{{ daemon.reload_digest }}'
    adopt: '{{ daemon.untouched }}'
"""

RETURN = r"""
digest:
  description:
    - Digest of what all owners set and Docker takes up only by a restart, for M(gpuchat.stack.gpuchat_service).
      It changes with each change of the file that needs a restart, and with no other.
  type: str
  returned: success
reload_digest:
  description: The same of what Docker takes up by a reload (SIGHUP).
  type: str
  returned: success
restart_required:
  description: Whether this run's change needs a restart of Docker.
  type: bool
  returned: success
reload_required:
  description: Whether a reload is enough for this run's change.
  type: bool
  returned: success
untouched:
  description: Whether the file holds nothing of gpuchat's, so that a running Docker needs no restart for it.
  type: bool
  returned: success
not_predicted:
  description: What could not be predicted or checked, and why.
  type: list
  elements: str
  returned: where there is anything
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front, network_runner
from ..module_utils.gpuchat.docker import daemon_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "default": {}},
            "defaults": {"type": "dict", "default": {}},
            "owner": {"type": "str", "default": "gpuchat"},
            "nvidia_runtime": {"type": "str", "choices": ["present", "absent"]},
            "runtime_name": {"type": "str", "default": "nvidia"},
            "runtime_path": {"type": "str", "default": "nvidia-container-runtime"},
            "default_runtime": {"type": "bool", "default": False},
            "cdi": {"type": "bool"},
            "service": {"type": "str", "default": ""},
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **network_runner.OPTIONS,
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: daemon_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
