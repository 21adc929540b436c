#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_firewall
short_description: Ensure one nftables table that lets in whom the stack serves, and nobody else
version_added: 0.1.0
description:
  - Writes one table of its own and leaves all others alone. It closes the stack's ports to everybody but those who are
    named; ports that are none of the stack's are left to the host's other rules.
  - New rules are loaded on trial. Only when a new connection has come through, which the action plugin of the same name
    makes, are they kept for the next start of the host; else the former ones come back after O(undo_seconds).
  - Where ufw or firewalld run, the stack's ports are opened through them too; where SELinux runs, nginx may listen on
    them.
options:
  openings:
    description: Ports of the stack, each with those who may reach it.
    type: list
    elements: dict
    default: []
    suboptions:
      ports:
        description: TCP ports.
        type: list
        elements: int
        required: true
      networks:
        description: Networks that may reach them; everybody where there is none.
        type: list
        elements: str
        default: []
      address:
        description: The address of this host that is meant; each of them where it is empty.
        type: str
        default: ''
      interface:
        description: The interface by which they come; each of them where it is empty.
        type: str
        default: ''
      connections:
        description: Connections that an IPv4 address, or a /64 of IPv6, may have at a time; any number where it is 0.
        type: int
        default: 0
      unlimited:
        description: Networks among O(openings[].networks) whose addresses may have any number.
        type: list
        elements: str
        default: []
      range:
        description: First and last of further TCP ports in a row; none where it is empty.
        type: list
        elements: int
        default: []
      engines:
        description: Whether engines listen there themselves, and no nginx.
        type: bool
        default: false
  rooms:
    description:
      - Bridges whose containers reach what O(openings) name for them, and nothing else.
      - Of the host's own users root and nginx's reach them; where nginx is not there yet, those with an id below 1000.
    type: list
    elements: str
    default: []
  room_ports:
    description: TCP ports that containers of a room reach of each other.
    type: list
    elements: int
    default: []
  undo_seconds:
    description: Seconds after which the former rules come back where no new connection comes through.
    type: int
    default: 60
  confirm:
    description: Keep the rules that are on trial; set by the action plugin.
    type: bool
    default: false
  state:
    description: V(absent) takes the table away, and what was opened through ufw or firewalld.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Predicts the rules and what is opened elsewhere; they are validated where nftables is installed.
    support: full
  diff_mode:
    description: Shows the rules.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Let people in to the chat
  gpuchat.stack.gpuchat_firewall:
    openings:
      - ports: [80, 443]
        networks: [10.0.0.0/8, 'fd00::/8']
        connections: 1000
"""

RETURN = r"""
pending:
  description: Whether the rules are on trial; after the action plugin they never are.
  type: bool
  returned: always
not_predicted:
  description: What check mode could not predict, and why.
  type: list
  elements: str
  returned: where there is anything
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.system import firewall_runner

OPENING = {
    "ports": {"type": "list", "elements": "int", "required": True},
    "networks": {"type": "list", "elements": "str", "default": []},
    "address": {"type": "str", "default": ""},
    "interface": {"type": "str", "default": ""},
    "connections": {"type": "int", "default": 0},
    "unlimited": {"type": "list", "elements": "str", "default": []},
    "range": {"type": "list", "elements": "int", "default": []},
    "engines": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "openings": {"type": "list", "elements": "dict", "default": [], "options": OPENING},
            "rooms": {"type": "list", "elements": "str", "default": []},
            "room_ports": {"type": "list", "elements": "int", "default": []},
            "undo_seconds": {"type": "int", "default": 60},
            "confirm": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: firewall_runner.ensure(module.params, module.check_mode), "packet filter")


if __name__ == "__main__":
    main()
