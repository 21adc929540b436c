# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what each host of an inventory is, runs and lacks, without a play, and without changing anything.

Hosts are compared with what the last run left on them, with what the inventory says now, and with each other. Each
finding says what was found, what was wanted, and what to do.

Exit status: 0 all is well, 1 a warning, 2 a fault, 3 a host cannot be reached; the highest counts.
"""

from __future__ import annotations

import argparse
import datetime
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import fleet
import yaml
from gpuchat.inventory.models import read
from gpuchat.secret.membership import fingerprints, former_fingerprints
from gpuchat.secret.plan import previous
from gpuchat.survey import expectations
from gpuchat.survey.findings import examine, usual_fingerprints
from gpuchat.survey.page import page
from gpuchat.survey.table import Survey, as_json, table
from gpuchat.survey.types import Answer, Expected, Surveyed

ROLES = fleet.ROOT / "roles"
VARIABLES = ("gpuchat_models", "gpuchat_folder", "gpuchat_lock_file", "gpuchat_secrets_file", *expectations.VARIABLES)
SECONDS = 60
STRANGE = "found an answer that is no reading; wanted what this survey's program says; look at the host's Python"


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    fleet.arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--html", default="", metavar="FILE", help="write a page for the browser too")
    parser.add_argument(
        "--timeout",
        type=int,
        default=SECONDS,
        metavar="SECONDS",
        help=f"for each host ({SECONDS}); none waits for another",
    )
    options = parser.parse_args(words)
    members = fleet.chosen(options, VARIABLES)
    began = time.monotonic()
    answers = ask(members, options.timeout)
    notes, expected = compare_with(members, answers, folder_of(options.inventory), bool(options.limit))
    now = datetime.datetime.now(datetime.UTC)
    hosts = tuple(looked_at(one, answers[one.name], now) for one in expected)
    survey = Survey(hosts, now, notes, time.monotonic() - began)
    if options.html:
        pathlib.Path(options.html).write_text(page(survey), encoding="utf-8")
    print(as_json(survey) if options.json else table(survey, shutil.get_terminal_size().columns), end="")
    print("" if options.json else "\n", end="", flush=True)
    return survey.status


def ask(members: Sequence[fleet.Member], timeout: int) -> dict[str, Answer]:
    """Read all hosts at once; on a terminal, say how far that is."""
    program = fleet.zipapp("survey.reading_runner:read")
    waiting = [one.name for one in members]
    answers = {}
    _progress(waiting, len(members))
    given = {one.name: {"seconds": timeout / 3, "models": _model_paths(one)} for one in members}
    for outcome in fleet.run(members, program, lambda member: given[member.name], timeout=timeout):
        answers[outcome.name] = answer_of(outcome, time.time())
        waiting.remove(outcome.name)
        _progress(waiting, len(members))
    return answers


def answer_of(outcome: fleet.Outcome, heard: float) -> Answer:
    reading = outcome.value if outcome.stage == "done" else {}
    try:
        ahead = clock_ahead(float(reading["clock"]), outcome.seconds, heard) if reading else 0.0
    except (KeyError, TypeError, ValueError):
        return Answer("run", {}, STRANGE, outcome.seconds, 0.0)
    return Answer(outcome.stage, reading, outcome.problem, outcome.seconds, ahead)


def looked_at(expected: Expected, answer: Answer, now: datetime.datetime) -> Surveyed:
    """Return a host with all that is wrong with it; one whose answer is no reading spoils no other's."""
    try:
        return examine(expected, answer, now)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return examine(expected, Answer("run", {}, STRANGE, answer.seconds, 0.0), now)


def clock_ahead(clock: float, seconds: float, heard: float) -> float:
    """Return by how much a host's clock is surely before this one's; the reading is of some time while it was asked."""
    return min(0.0, clock - (heard - seconds)) or max(0.0, clock - heard)


def _progress(waiting: Sequence[str], total: int) -> None:
    if not sys.stderr.isatty():
        return
    width = shutil.get_terminal_size().columns - 1
    text = f"{total - len(waiting)} of {total} hosts" + (f", waiting for {', '.join(waiting)}" if waiting else "")
    print("\r\033[K" + (text[:width] if waiting else ""), end="", file=sys.stderr, flush=True)


def _model_paths(member: fleet.Member) -> list[str]:
    return [str(one["path"]) for one in _engines(member)]


def _engines(member: fleet.Member) -> list[dict[str, object]]:
    """Return what the inventory says of the engines of a host; of a list that cannot be read, nothing."""
    groups = {group: [member.name] for group in member.groups}
    try:
        return [one.engine("auto", "auto") for one in read(member.variables.get("gpuchat_models"), groups) if one.hosts]
    except (KeyError, TypeError):
        return []


# What the control node knows.


def folder_of(inventories: Sequence[str]) -> pathlib.Path:
    """Return the folder of a run's own files, beside the first inventory, as the preflight has it."""
    paths = [pathlib.Path(one).absolute() for one in inventories if os.path.exists(one)]
    beside = next((one if one.is_dir() else one.parent for one in paths), fleet.ROOT)
    return beside / ".gpuchat"


def compare_with(
    members: Sequence[fleet.Member], answers: Mapping[str, Answer], folder: pathlib.Path, limited: bool = False
) -> tuple[tuple[str, ...], list[Expected]]:
    """Return what every host should be, and notes on what cannot be compared."""
    first = members[0].variables if members else {}
    own = pathlib.Path(str(first.get("gpuchat_folder") or folder))
    lock_file = pathlib.Path(str(first.get("gpuchat_lock_file") or own / "lock.yml"))
    secrets_file = pathlib.Path(str(first.get("gpuchat_secrets_file") or own / "secrets.yml"))
    images = _mapping(lock_file).get("images")
    lock = {str(name): str(one) for name, one in images.items()} if isinstance(images, dict) else {}
    known = {str(name): str(value) for name, value in _mapping(secrets_file).items()}
    notes = []
    if any(one.reading.get("containers") for one in answers.values()) and not lock:
        notes.append(f"{lock_file} records no image, so images are not compared with it")
    digests: dict[str, tuple[str, ...]] = {}
    if known:
        former = former_fingerprints(known, known, previous(""))
        digests = {name: (one, *former.get(name, ())) for name, one in fingerprints(known).items()}
    elif any(one.reading.get("stack") for one in answers.values()):
        notes.append(f"{secrets_file} cannot be read in plain, so hosts are compared with most others of the stack")
        digests = usual_fingerprints([one.reading for one in answers.values()])
    # Of an inventory that is seen in part, nobody knows whether a host of the rest asks for metrics.
    monitored = any("monitoring" in one.groups for one in members) or (None if limited else False)
    expected = [replace(expect(one), lock=lock, fingerprints=digests, monitored=monitored) for one in members]
    return tuple(notes), expected


def _mapping(path: pathlib.Path) -> Mapping[str, object]:
    """Return a file of names with their values; what is not there, or encrypted, is empty."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def expect(member: fleet.Member) -> Expected:
    """Return what a host should be by its inventory and the roles' defaults."""
    given = {**defaults(), **member.variables}
    return expectations.expect(member.name, member.groups, given, _engines(member))


def defaults() -> dict[str, object]:
    """Return the roles' defaults of the variables above, as they are written."""
    found: dict[str, object] = {}
    for path in sorted(ROLES.glob("*/defaults/main.yml")):
        found.update({name: value for name, value in _mapping(path).items() if name in VARIABLES})
    return found


if __name__ == "__main__":
    fleet.command(main)
