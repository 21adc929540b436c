# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack of three hosts in which all is well: the edge a, the chat b, the GPU host c, and somebody else's server."""

from __future__ import annotations

import copy
from dataclasses import replace

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor import questions
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor.diagnosis import diagnose
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor.types import Examined
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.doors import describe
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey.types import Answer

from ..inventory.layouts import topology
from ..survey.healthy import EXPECTED, NOW, READING

ENGINE, CHAT = "gpuchat-vllm-demo", "gpuchat-lobehub"
DATABASE, STORE = "gpuchat-postgresql", "gpuchat-object-store"
GROUPS = {"a": ("edge",), "b": ("chat",), "c": ("gpu",)}
SERVICES = {
    "a": ("gpuchat-edge", "gpuchat-firewall"),
    "b": ("docker", CHAT, DATABASE, STORE, "gpuchat-door", "gpuchat-firewall"),
    "c": ("docker", ENGINE, "gpuchat-door", "gpuchat-firewall", "gpuchat-watchdog"),
}
FILES = {
    "a": ("edge", "firewall"),
    "b": (CHAT, STORE, "postgresql", "door", "firewall"),
    "c": (ENGINE, "door", "firewall"),
}
ENDPOINT = {"name": "lmstudio", "url": "http://studio.lan:1234/v1", "models": ["llama"]}
HOSTS = describe(topology("c", "b", "a", models={"demo": "c"}, endpoints=[ENDPOINT]))["hosts"]


class Stack:
    """Readings and checks by host, to be spoiled by a test."""

    def __init__(self, hosts=HOSTS):
        self.hosts = hosts
        self.readings = {name: _reading(name) for name in GROUPS}
        self.checks = {name: _checks(name, hosts) for name in GROUPS}
        self.answers = {name: Answer("done", self.readings[name], seconds=1.5) for name in GROUPS}
        self.expected = {name: _expected(name) for name in GROUPS}
        self.inventory = []

    def diagnose(self):
        examined = [
            Examined(self.expected[name], self.answers[name], self.checks[name], self.hosts.get(name) or {})
            for name in GROUPS
        ]
        return diagnose(examined, self.inventory, NOW)

    # What can be spoiled.

    def service(self, host, name, **values):
        self.readings[host]["services"][name].update(values)

    def stop(self, host, name, failed=True):
        """Let a service be down, and its container with it."""
        state = {"state": "failed", "result": "exit-code"} if failed else {"state": "inactive"}
        self.service(host, name, running=False, **state)
        if name == ENGINE:
            self.readings[host]["engines"][name] = {"healthy": False, "said": "refused", "models": []}
        if self.container(host, name):
            self.container(host, name).update(status="exited", health="unhealthy")

    def container(self, host, name):
        found = self.readings[host]["docker"]["containers"]
        return next((one for one in found if one["name"] == name), None)

    def log(self, host, name, *lines):
        self.checks[host].setdefault("logs", {})[name] = list(lines)

    def fail(self, host, name, *lines):
        self.stop(host, name)
        self.log(host, name, *lines)

    def door(self, host, peer, **values):
        """Let the door of a host answer otherwise to another host that asks it."""
        (found,) = [one for one in self.checks[host]["door"].values() if one["host"] == peer]
        found.update(values)

    def lose(self, host, stage, problem):
        self.answers[host] = Answer(stage, {}, problem)

    def clock(self, host, ahead):
        self.answers[host] = replace(self.answers[host], clock_ahead=ahead)


def _reading(name):
    found = copy.deepcopy(READING)
    found["services"] = {one: found["services"][one] for one in SERVICES[name]}
    found["files"] = {one: found["files"][one] for one in FILES[name]}
    own = [one for one in SERVICES[name] if one in found["containers"]]
    found["containers"] = {one: found["containers"][one] for one in own}
    found["docker"]["containers"] = [one for one in found["docker"]["containers"] if one["name"] in own]
    if name == "a":
        found["docker"] = {"installed": False, "answers": False, "said": "", "containers": []}
    if name != "c":
        found.update(engines={}, models={}, gpu={**found["gpu"], "state": "no_gpu", "gpus": []})
        del found["disks"]["/srv/models/demo"]
    return found


def _expected(name):
    engines = EXPECTED.engines if name == "c" else {}
    return replace(EXPECTED, name=name, groups=GROUPS[name], engines=engines)


def _checks(name, hosts):
    here = hosts[name]
    targets = questions.targets(name, hosts)
    found = {
        "name": {},
        "door": {str(n): {**vars(one), "stage": "done", "status": 200, "said": ""} for n, one in enumerate(targets)},
        "path": {one.address: {"mtu": 1500, "answers": True, "largest": 1500} for one in targets},
        "endpoint": {
            one: {"place": place, "stage": "done", "said": ""} for one, place in questions.endpoints(here).items()
        },
        "listeners": [
            {"address": address or "0.0.0.0", "port": port, "pid": 7, "program": "nginx", "by": f"{service}.service"}
            for address, port, service in questions.ports(here)
        ],
        "database": {CHAT: {"for": CHAT, "stage": "done", "said": "", "extensions": ["vector"]}} if name == "b" else {},
        "engine": {ENGINE: {"works": True, "said": ""}} if name == "c" else {},
        "filters": [],
        "gpus": {ENGINE: {"ok": True, "said": "GPU 0: NVIDIA H100"}} if name == "c" else {},
        "unanswered": {},
    }
    return {**found, "site": {"status": 200, "stage": "done", "said": ""}} if name == "a" else found
