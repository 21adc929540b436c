# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts one service of the stack on chosen hosts, one host after the other, and waits until it is healthy.

All hosts are looked at first; nothing is touched where one cannot be reached. The first host on which the service does
not come back ends the run. What runs of site.yml recorded stays as it is, so that the next one changes nothing.

Exit status: 0 all came back, 2 one did not or there is no such service, 3 a host cannot be reached.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import fleet
from gpuchat.core.names import plain

LOOK_SECONDS = 60
STOP_SECONDS = 600
"""How long a service may take to stop, beside the time in which it has to be healthy."""


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("service", help="its name on the hosts, such as gpuchat-vllm-MODEL")
    fleet.arguments(parser)
    parser.add_argument("--timeout", type=int, default=0, metavar="SECONDS", help="for each host to become healthy")
    parser.add_argument("--dry-run", action="store_true", help="say what would be restarted")
    options = parser.parse_args(words)
    members = fleet.chosen(options)
    program = fleet.zipapp("system.restart_runner:run")

    def ask(some: Sequence[fleet.Member], act: bool, timeout: int) -> dict[str, fleet.Outcome]:
        given = {"name": options.service, "act": act, "timeout": options.timeout}
        return {one.name: one for one in fleet.run(some, program, lambda _member: given, timeout=timeout)}

    looked = ask(members, False, LOOK_SECONDS)
    lost = [one for one in looked.values() if one.stage != "done"]
    if lost:
        print("\n".join(f"{one.name}: {plain(one.problem)}" for one in lost))
        print("Nothing was restarted.")
        return 3
    having = [one for one in members if "supervisor" in looked[one.name].value]
    if not having:
        known = sorted({name for one in looked.values() for name in one.value["known"]})
        print(f"No host has the service {options.service}; they have: {plain(', '.join(known)) or 'none'}")
        return 2
    having.sort(key=lambda one: bool(looked[one.name].value["running"]))  # one that is down already comes first
    for number, member in enumerate(having):
        found = looked[member.name].value
        state = "running" if found["running"] else "stopped"
        how = plain(f"{options.service} ({state}, {found['supervisor']}; healthy {_wanted(found['health'])})")
        if options.dry_run:
            print(f"{member.name}: would restart {how}")
            continue
        print(f"{member.name}: restarting {how}", flush=True)
        wait = int(found["health"]["timeout"]) + STOP_SECONDS
        outcome = ask([member], True, wait)[member.name]
        if outcome.stage != "done":
            print(f"{member.name}: {options.service} did not come back: {plain(outcome.problem)}")
            print(f"Not touched: {', '.join(one.name for one in having[number + 1 :]) or 'none'}")
            return 2
        print(f"{member.name}: healthy after {outcome.seconds:.0f} s", flush=True)
    return 0


def _wanted(health: dict[str, object]) -> str:
    how = f"when {health['url']} answers" if health.get("url") else "by its supervisor's word"
    return f"{how}, within {health['timeout']} s"


if __name__ == "__main__":
    fleet.command(main)
