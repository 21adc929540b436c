#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_files
short_description: Ensure a unit's complete file set and its service as one change
version_added: 0.1.0
description:
  - Writes all files of one unit (a service's configuration, its compose file or unit file, its secrets) together.
  - Compares the whole set, validates the new set in a staging folder, renames file by file, records a manifest last.
    If the validation fails, nothing on the host has changed.
  - Removes files that an earlier run of the same unit put there and that are no longer in the set.
  - An action plugin of the same name renders C(template) entries on the control node,
    as M(ansible.builtin.template) does.
options:
  name:
    description: Name of the unit; its manifest is kept under C(/var/lib/gpuchat/files/).
    type: str
    required: true
  files:
    description: The complete set.
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
  validate:
    description:
      - A command that must succeed on the staged set before anything is replaced.
      - C({staged}) stands for the folder under which the whole set lies by its absolute paths.
    type: list
    elements: str
  validate_requires:
    description:
      - Further programs, or files by their paths, that the validation needs; on a host that lacks one, check mode says
        so and goes on.
    type: list
    elements: str
    default: []
  service:
    description: The unit or compose project that reads the set; it is started, and takes up each change of the set.
    type: dict
    suboptions:
      name:
        description: Name of the unit or project.
        type: str
        required: true
      supervisor:
        description: What runs it.
        type: str
        choices: [compose, systemd]
        default: systemd
      compose_file:
        description: The project's file, where Compose runs it.
        type: path
      on_change:
        description: How it takes up a change of the set since its last start.
        type: str
        choices: [restart, reload]
        default: restart
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
              - Text that the answer must hold. A service that answers without it is started once more, as one that
                takes a setting up at its second start.
            type: str
            default: ''
          timeout:
            description: Seconds to wait.
            type: int
            default: 60
  partial:
    description: >-
      O(files) are a part of a set that is there; the rest stays as it is, and the whole is validated. For certificates,
      which are renewed without whatever else a run would change.
    type: bool
    default: false
  state:
    description: V(absent) stops the service and removes everything that the manifest lists.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Predicts the whole change; the validation runs too where its program is installed.
    support: full
  diff_mode:
    description: Shows each file's content, but for secret ones; of a program, the digest of its files.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Start the edge
  gpuchat.stack.gpuchat_files:
    name: edge
    validate: [nginx, -t, -c, '{staged}/etc/gpuchat/edge/nginx.conf']
    files:
      - dest: /etc/gpuchat/edge
        folder: true
      - dest: /etc/gpuchat/edge/nginx.conf
        template: nginx.conf.j2
      - dest: /etc/gpuchat/edge/keys.conf
        template: keys.conf.j2
        secret: true
    service:
      name: gpuchat-edge
      on_change: reload
"""

RETURN = r"""
digest:
  description: One digest over the set, which M(gpuchat.stack.gpuchat_service) compares.
  type: str
  returned: when state is present
changed_files:
  description: Paths written or removed.
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
from ..module_utils.gpuchat.system import files_runner, unit_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "dict", "default": [], "options": files_runner.OPTIONS},
            "validate": {"type": "list", "elements": "str"},
            "validate_requires": {"type": "list", "elements": "str", "default": []},
            "service": {"type": "dict", "options": unit_runner.SERVICE_OPTIONS},
            "partial": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    invocation = {"name": module.params["name"], "files": [file["dest"] for file in module.params["files"]]}
    subject = f"file set {module.params['name']}"
    front.run(module, lambda: unit_runner.ensure(module.params, module.check_mode), subject, invocation=invocation)


if __name__ == "__main__":
    main()
