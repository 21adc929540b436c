#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_verify
short_description: Prove with curl that people get answers and others get nothing
version_added: 0.1.0
description:
  - Asks the finished site from one vantage point, judges each answer, and joins rows made elsewhere.
  - The action plugin of the same name asks from the control node, and with O(outside) at the same time from the host
    that the task is for; it shows the table, and the task fails on any failed row.
options:
  site:
    description: The site as its owner wants it.
    type: dict
    required: true
    suboptions:
      domain:
        description: Name of the site.
        type: str
        required: true
      address:
        description: IP address of the edge, where no DNS knows the name yet.
        type: str
        default: ''
      models:
        description: What is served, each with C(name), C(task) and C(tool_calls); the first that chats is asked most.
        type: list
        elements: dict
        required: true
      interface:
        description: What people chat with here; V(none) where programs alone use the models.
        type: str
        choices: [lobehub, open_webui, none]
        default: lobehub
      http_port:
        description: Port of plain HTTP.
        type: int
        default: 80
      https_port:
        description: Port of HTTPS.
        type: int
        default: 443
      question:
        description: What the model is asked.
        type: str
        default: hello
      answer:
        description: The exact answer wanted; empty for any.
        type: str
        default: ''
      long_question:
        description: A question with a long answer, for the stream; O(site.question) where empty.
        type: str
        default: ''
      rate:
        description: Requests a second that the edge allows one address.
        type: int
        default: 10
      burst:
        description: Further requests that the edge lets through at once.
        type: int
        default: 40
      open_ports:
        description: TCP ports that may be reachable from outside.
        type: list
        elements: int
        default: [22, 80, 443]
      behind:
        description: Hosts of the stack without an edge, each with the address at which the control node reaches it.
        type: dict
        default: {}
      closed_paths:
        description: Paths of the engine that nobody may reach.
        type: list
        elements: str
        default: [metrics, health]
      closed_chat_paths:
        description: Paths of the chat's own server that nobody may reach, as they are sent.
        type: list
        elements: str
        default: []
      guarded_chat_paths:
        description:
          - Paths of the chat's own server that those alone reach who are signed in, each with C(method) and C(path).
        type: list
        elements: dict
        default: []
      signup_open:
        description: Whether everybody makes themselves an account.
        type: bool
        default: false
      admin_email:
        description: The e-mail address by which the administrator signs in; empty to sign nobody in.
        type: str
        default: ''
      plain:
        description: Whether people are served by plain HTTP alone.
        type: bool
        default: false
      asks_certificate:
        description: Whether people show a certificate before they see the chat.
        type: bool
        default: false
      asks_password:
        description: Whether people give a password before they see the chat.
        type: bool
        default: false
      asks_signin:
        description: Whether people sign in with a server of the owner's before they see the chat; nobody does here.
        type: bool
        default: false
      open_to_directory:
        description: Whether everybody reaches the port of plain HTTP, for an ACME directory's one path.
        type: bool
        default: false
  outside:
    description:
      - What is different of O(site) for the task's host, which is outside the allowed networks; nothing is asked from
        there where it is left out or empty.
    type: dict
    default: {}
  vantage:
    description:
      - Where it asks, as seen from the allowed networks; V(none) asks nothing and joins O(rows).
      - Set by the action plugin.
    type: str
    choices: [inside, outside, none]
    default: inside
  authority:
    description: The private authority's certificate (PEM); empty for a public one.
    type: str
    default: ''
  api_key:
    description: The key of the model API; the variable C(gpuchat_api_key) where it is left out inside.
    type: str
  admin_password:
    description:
      - The administrator's password; the variable C(gpuchat_admin_password) where it is left out inside and
        O(site.admin_email) is given.
    type: str
  rows:
    description: Rows made at another vantage point; set by the action plugin.
    type: list
    elements: dict
    default: []
  final:
    description: Join all rows, write the report and fail on a failed row; set by the action plugin.
    type: bool
    default: false
  report_file:
    description:
      - Where the JSON report is written, with O(final=true).
      - Beside it, with C(.html) and C(.xml) in place of C(.json), a page that needs nothing else and JUnit's XML.
    type: path
  topology:
    description: For the page, who serves what, as M(gpuchat.stack.gpuchat_preflight) returned it.
    type: dict
    default: {}
  lock_file:
    description: For the page, the file that records images' digests; read by the action plugin.
    type: path
  addresses:
    description: For the page, the address of each host; set by the action plugin.
    type: dict
    default: {}
  plans:
    description:
      - For the page, this run's plans of each host, with C(host), and C(models) and C(gpus) as
        M(gpuchat.stack.gpuchat_vllm_plan) returned them; set by the action plugin.
    type: list
    elements: dict
    default: []
  images:
    description: For the page, the digest of each image; set by the action plugin.
    type: dict
    default: {}
  versions:
    description: For the page, the version of what made the run; set by the action plugin.
    type: dict
    default: {}
  changes:
    description:
      - For the page, what the callback C(gpuchat.stack.gpuchat_changes) has noted of this run.
      - Set by the action plugin.
    type: list
    elements: dict
    default: []
  folder:
    description: For the page, the folder in which M(gpuchat.stack.gpuchat_load) keeps its figures.
    type: path
attributes:
  check_mode:
    description: Asks nothing, and says so in RV(not_predicted).
    support: full
  diff_mode:
    description: There is never a difference.
    support: full
  idempotent:
    description: Reads only, but for the reports.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Verify the site
  gpuchat.stack.gpuchat_verify:
    site:
      domain: chat.example.com
      models: [{name: qwen3-8b, task: chat, tool_calls: true}]
    outside:
      address: 203.0.113.10
  delegate_to: probe
"""

RETURN = r"""
rows:
  description: One entry per check, with status, detail, command, cause and fix.
  type: list
  elements: dict
  returned: success
table:
  description: The rows as a table.
  type: str
  returned: where O(final=true)
reports:
  description: The paths of the reports that were written.
  type: list
  elements: str
  returned: where O(final=true) and O(report_file) is given
advice:
  description: What is to be done before a row fails.
  type: list
  elements: str
  returned: where O(final=true)
not_predicted:
  description: What check mode cannot predict.
  type: list
  elements: str
  returned: in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.report import run_page_runner
from ..module_utils.gpuchat.verify import site_runner

SITE = {
    "domain": {"type": "str", "required": True},
    "address": {"type": "str", "default": ""},
    "models": {"type": "list", "elements": "dict", "required": True},
    "interface": {"type": "str", "choices": ["lobehub", "open_webui", "none"], "default": "lobehub"},
    "http_port": {"type": "int", "default": 80},
    "https_port": {"type": "int", "default": 443},
    "question": {"type": "str", "default": "hello"},
    "answer": {"type": "str", "default": ""},
    "long_question": {"type": "str", "default": ""},
    "rate": {"type": "int", "default": 10},
    "burst": {"type": "int", "default": 40},
    "open_ports": {"type": "list", "elements": "int", "default": [22, 80, 443]},
    "behind": {"type": "dict", "default": {}},
    "closed_paths": {"type": "list", "elements": "str", "default": ["metrics", "health"]},
    "closed_chat_paths": {"type": "list", "elements": "str", "default": []},
    "guarded_chat_paths": {"type": "list", "elements": "dict", "default": []},
    "signup_open": {"type": "bool", "default": False},
    "admin_email": {"type": "str", "default": ""},
    "plain": {"type": "bool", "default": False},
    "asks_certificate": {"type": "bool", "default": False},
    "asks_password": {"type": "bool", "default": False},
    "asks_signin": {"type": "bool", "default": False},
    "open_to_directory": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "dict", "required": True, "options": SITE},
            "outside": {"type": "dict", "default": {}},
            "vantage": {"type": "str", "choices": ["inside", "outside", "none"], "default": "inside"},
            "authority": {"type": "str", "default": ""},
            "api_key": {"type": "str", "no_log": True},
            "admin_password": {"type": "str", "no_log": True},
            "rows": {"type": "list", "elements": "dict", "default": []},
            "final": {"type": "bool", "default": False},
            "report_file": {"type": "path"},
            "topology": {"type": "dict", "default": {}},
            "lock_file": {"type": "path"},
            "addresses": {"type": "dict", "default": {}},
            "plans": {"type": "list", "elements": "dict", "default": []},
            "images": {"type": "dict", "default": {}},
            "versions": {"type": "dict", "default": {}},
            "changes": {"type": "list", "elements": "dict", "default": []},
            "folder": {"type": "path"},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: site_runner.ensure(module.params, module.check_mode, run_page_runner.write))


if __name__ == "__main__":
    main()
