# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes hosts with model servers out of rotation for as long as somebody works on them, and puts them back.

A host that leaves gets no further request and answers those under way to their end. It stays out of rotation, through
runs of site.yml and restarts of the host, until --back. All hosts are looked at first: where nobody else answers for a
model, nothing is done without --force.

Where there is a host of the group monitoring, nobody is told of alerts that the work brings, for some hours at most;
--back ends that, and so does a host that could not leave.

Exit status: 0 done, 1 requests were still open at the end of the time, 2 refused, or an engine does not answer, 3 a
host cannot be reached.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence

import fleet
from gpuchat.core.errors import Refusal
from gpuchat.core.names import did_you_mean, plain
from gpuchat.engines.leave import Standing, left_alone, moment
from gpuchat.inventory.rotation import RETURN_SECONDS
from gpuchat.monitoring import silence

LOOK_SECONDS = 60
MONITORING, PORT, USUAL_PORT = "monitoring", "monitoring_alertmanager_port", 9093
SILENT_HOURS = 4.0
SECONDS = 600


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("host", nargs="+", help="its name in the inventory")
    fleet.arguments(parser)
    parser.add_argument("--back", action="store_true", help="put them back, when their engines answer")
    parser.add_argument("--force", action="store_true", help="also where nobody else, or no engine, answers")
    parser.add_argument(
        "--seconds", type=int, default=SECONDS, help=f"for open requests to end, or engines to answer ({SECONDS})"
    )
    parser.add_argument(
        "--silence",
        type=float,
        default=SILENT_HOURS,
        metavar="HOURS",
        help=f"of alerts ({SILENT_HOURS:g}); 0: none",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    options = parser.parse_args(words)
    members = fleet.chosen(options, [PORT])
    names = list(dict.fromkeys(options.host))
    known = [one.name for one in members]
    for name in names:
        if name not in known:
            raise Refusal(
                f"found no host {name} in the inventory; wanted one of {', '.join(known)}{did_you_mean(name, known)}"
            )
    looked = ask(members, "look", LOOK_SECONDS)
    lost = [one for one in looked.values() if one.stage != "done"]
    if lost:
        print("\n".join(f"{one.name}: {plain(one.problem)}" for one in lost))
    if any(one.name in names for one in lost):
        print("Nothing was done.")
        return 3
    standing = {name: Standing.read(one.value) for name, one in looked.items() if one.stage == "done"}
    without = [name for name in names if not standing[name].engines]
    if without:
        print(f"{', '.join(without)}: no model server to take out of rotation. Nothing was done.")
        return 2
    chosen = [one for one in members if one.name in names]
    watching = [one for one in members if MONITORING in one.groups][:1]
    return back(chosen, standing, options, watching) if options.back else out(chosen, standing, options, watching)


def ask(members: Sequence[fleet.Member], act: str, seconds: int) -> dict[str, fleet.Outcome]:
    """Do one step on hosts, all at once; the program has some time beside the seconds that it waits."""
    program = fleet.zipapp("engines.leave_runner:run")
    given = {"act": act, "seconds": 0 if act == "look" else seconds}
    return {one.name: one for one in fleet.run(members, program, lambda _one: given, timeout=seconds + LOOK_SECONDS)}


def tell(watching: Sequence[fleet.Member], state: str, names: Sequence[str], hours: float = 0.0) -> None:
    """Silence what work on hosts brings, at the monitoring host, or end that; where it is not reached, say so."""
    program = fleet.zipapp("monitoring.silence_runner:run")
    for name in names if watching else ():
        given = {"state": state, "work": f"work on {name}", "hosts": [name], "seconds": hours * 3600}
        for one in fleet.run(
            watching,
            program,
            lambda member, given=given: {**given, "port": member.variables.get(PORT) or USUAL_PORT},  # type: ignore[misc]
            timeout=LOOK_SECONDS,
        ):
            words = one.problem if one.stage != "done" else "; ".join(one.value.get("warnings") or ())
            if words:
                print(f"{one.name}: {plain(words)}")


def out(
    members: Sequence[fleet.Member],
    standing: Mapping[str, Standing],
    options: argparse.Namespace,
    watching: Sequence[fleet.Member] = (),
) -> int:
    """Take hosts out of rotation, and wait until they have answered."""
    names = [one.name for one in members]
    alone = left_alone(names, standing)
    for name, only in alone.items():
        print(f"{name}: nobody else answers for {plain(', '.join(only))}")
    if alone and not options.force:
        print("Nothing was done; --force does it all the same, and requests for these are refused until --back.")
        return 2
    if options.dry_run:
        for name in names:
            engines = plain(", ".join(standing[name].engines))
            print(f"{name}: would leave rotation with {engines}{_already(standing[name])}")
        return 0
    if options.silence > 0:
        tell(watching, silence.PRESENT, names, options.silence)
    if not _did(ask(members, "close", LOOK_SECONDS)):
        tell(watching, silence.ABSENT, names)
        return 2
    for name in names:
        print(f"{name}: takes no more requests{_already(standing[name])}", flush=True)
    waited = ask(members, "wait", options.seconds)
    if not _did(waited):
        return 2
    still_open = False
    for name in names:
        found = waited[name].value
        requests = ", ".join(f"{count} to {plain(engine)}" for engine, count in found["open"].items() if count)
        still_open = still_open or bool(requests)
        state = f"still open are {requests}; the same command waits on" if requests else "no request is open"
        print(f"{name}: out of rotation; {state} ({found['seconds']:.0f} s)")
    return 1 if still_open else 0


def back(
    members: Sequence[fleet.Member],
    standing: Mapping[str, Standing],
    options: argparse.Namespace,
    watching: Sequence[fleet.Member] = (),
) -> int:
    """Put hosts back when their engines answer."""
    away = [one for one in members if standing[one.name].since is not None]
    for one in members:
        if one not in away:
            print(f"{one.name}: in rotation")
        elif options.dry_run:
            print(f"{one.name}: would be put back{_already(standing[one.name])}")
    if not away or options.dry_run:
        return 0
    done = _did(ask(away, "open", 0 if options.force else options.seconds))
    if done:
        time.sleep(RETURN_SECONDS)  # in which all who ask it see that
        print("\n".join(f"{one.name}: back in rotation" for one in away))
        tell(watching, silence.ENDED, [one.name for one in away])
    return 0 if done else 2


def _did(outcomes: Mapping[str, fleet.Outcome]) -> bool:
    """Tell of each host where a step was not done, and return whether all did it."""
    failed = [one for one in outcomes.values() if one.stage != "done"]
    for one in failed:
        print(f"{one.name}: {plain(one.problem)}")
    return not failed


def _already(one: Standing) -> str:
    return "" if one.since is None else f" (since {moment(one.since)})"


if __name__ == "__main__":
    fleet.command(main)
