# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times this collection beside stock Ansible tasks and pyinfra, each keeping the same state by its own means.

    run.py [--rounds N] [files] [stack] [small]

files   30 files from one template, on one host and on four
stack   the whole stack on one host: site.yml makes it, and what it leaves there (packages, settings, files, containers,
        services) is kept by the peers from then on, for none of them makes the chat's database; site.yml also plans,
        fetches and checks the model, keeps the database and verifies the site
small   the same state without that database and with containers that only sleep, on one host and on four, where this
        collection's modules keep no more than the peers do; it needs what stack has read

Before runs that change nothing are timed, each way has made the state, has changed nothing in a second run, and has
noticed and repaired a changed file, a stopped service and a removed container. The ways then run in turn. What counts
is the ratio, not the seconds, and of a busy machine not even that.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import plays
import yaml
from kept_state import LOOK, UNITS, State

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
INVENTORY = HERE / "inventory"
WORLD = ROOT / "molecule" / "world" / "world.py"
PYINFRA = ROOT / ".venv" / "bin" / "pyinfra"
GROUP = "files"
SERVER = "server"
FILES = 30
PARTS = ("files", "stack", "small")
DATABASE = "gpuchat-postgresql.service"
SMALL_IMAGE = "registry.world:5000/library/debian:trixie-slim"
AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-E"]


@dataclass(frozen=True)
class Run:
    """One run of a tool: its wall time and how much it says that it changed."""

    seconds: float
    changed: int


Ways = dict[str, Callable[[], Run]]


@dataclass(frozen=True)
class Hosts:
    """Some hosts of the world, by address."""

    addresses: dict[str, str]

    def ssh(self, command: str, given: bytes = b"") -> dict[str, bytes]:
        """Run a shell command on each, which has to succeed."""
        answers = {}
        for name, address in self.addresses.items():
            options = ["UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR"]
            words = ["ssh", "-i", str(key()), *(word for one in options for word in ("-o", one)), f"root@{address}"]
            done = subprocess.run([*words, command], input=given, capture_output=True, check=False)
            if done.returncode != 0:
                raise SystemExit(f"{name}: {command}\n{done.stderr.decode()}")
            answers[name] = done.stdout
        return answers

    def states(self) -> dict[str, State]:
        found = self.ssh("python3 -", LOOK.encode())
        return {name: State.read(text.decode()) for name, text in found.items()}


def key() -> pathlib.Path:
    return INVENTORY / ".ssh" / "id_ed25519"


def hosts() -> dict[str, str]:
    """Return the addresses of the benchmark's hosts."""
    command = [str(pathlib.Path(sys.executable).parent / "ansible-inventory"), "-i", str(INVENTORY), "--list"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {name: told["_meta"]["hostvars"][name]["ansible_host"] for name in told[GROUP]["hosts"]}


def world(command: str) -> None:
    subprocess.run([*AS_ROOT, sys.executable, str(WORLD), command, str(INVENTORY)], check=True)


def make_bare(names: list[str]) -> None:
    """Give the world these hosts anew."""
    called = f"gpuchat-{json.loads((INVENTORY / '.world.json').read_text(encoding='utf-8'))['name']}"
    for name in names:
        for words in (["rm", "--force", "--volumes"], ["volume", "rm", "--force"]):
            thing = f"{called}-{name}" + ("-docker" if "volume" in words else "")
            subprocess.run([*AS_ROOT, "docker", *words, thing], check=False, capture_output=True)
    world("up")


def ansible(playbook: pathlib.Path, *words: str) -> Run:
    """Run a playbook, which has to succeed."""
    program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
    done, seconds = _timed([program, str(playbook), "-i", str(INVENTORY), *words], ROOT)
    recap = done.stdout.rpartition("PLAY RECAP")[2]
    return Run(seconds, sum(int(number) for number in re.findall(r"changed=(\d+)", recap)))


def pyinfra(deploy: str, folder: pathlib.Path) -> Run:
    """Run a deploy, which has to succeed, without the round of questions that a person would be asked."""
    words = [str(PYINFRA), "--json", "--yes", str(HERE / "pyinfra" / "inventory.py"), str(HERE / "pyinfra" / deploy)]
    done, seconds = _timed(words, folder, BENCH_RUN=str(folder))
    results = json.loads(done.stdout)["results"]
    return Run(seconds, results["totals"]["success"])


def _timed(command: list[str], cwd: pathlib.Path, **more: str) -> tuple[subprocess.CompletedProcess[str], float]:
    started = time.monotonic()
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **more}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done, time.monotonic() - started


def unchanged(name: str, run: Run) -> Run:
    if run.changed:
        raise SystemExit(f"{name}: a run on hosts that are as they should be says that it changed {run.changed} things")
    return run


def repaired(name: str, run: Run) -> None:
    if not run.changed:
        raise SystemExit(f"{name}: a run on hosts that are not as they should be says that it changed nothing")


def in_turn(ways: Ways, rounds: int) -> dict[str, float]:
    """Return the median of each way's runs that change nothing (seconds)."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _round in range(rounds):
        for name, way in ways.items():
            times[name].append(unchanged(name, way()).seconds)
    return {name: statistics.median(found) for name, found in times.items()}


def tell(what: str, count: int, when: str, times: Mapping[str, float]) -> None:
    """Print one line: seconds, and our time over each peer's."""
    ours, *_peers = times.values()
    parts = [f"{name} {seconds:7.1f} s" for name, seconds in times.items()]
    parts += [f"{next(iter(times))}/{name} {ours / seconds:5.2f}" for name, seconds in list(times.items())[1:]]
    print(f"  {what}, {count} host(s), {when:<9}  {'  '.join(parts)}", flush=True)


def write_play(folder: pathlib.Path, name: str, tasks: list[plays.Task]) -> pathlib.Path:
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump(plays.play(tasks), sort_keys=False), encoding="utf-8")
    return path


def write_run(folder: pathlib.Path, some: Hosts, /, **more: object) -> None:
    """Write what the pyinfra deploys read."""
    folder.mkdir(exist_ok=True)
    data = {"hosts": some.addresses, "key": str(key()), **more}
    (folder / "run.json").write_text(json.dumps(data), encoding="utf-8")


def compare_files(folder: pathlib.Path, some: Hosts, rounds: int) -> None:
    count, limit = len(some.addresses), ("--limit", ",".join(some.addresses))
    where = {name: f"/etc/bench-{name}" for name in ("ours", "stock", "pyinfra")}
    here = folder / f"files-{count}"
    write_run(here, some, folder=where["pyinfra"], template=plays.TEMPLATE, files=FILES)
    our = write_play(folder, f"files-ours-{count}", plays.our_file_set(where["ours"], FILES))
    stock = write_play(folder, f"files-stock-{count}", plays.stock_file_set(where["stock"], FILES))
    ways: Ways = {
        "ours": lambda: ansible(our, *limit),
        "stock": lambda: ansible(stock, *limit),
        "pyinfra": lambda: pyinfra("file_set.py", here),
    }
    first: dict[str, list[float]] = {name: [] for name in ways}
    for _round in range(rounds):
        some.ssh(f"rm -rf {' '.join(where.values())} /var/lib/gpuchat/files/bench.json")
        for name, way in ways.items():
            first[name].append(way().seconds)
    for name, way in ways.items():
        changed = f"{where[name]}/7.conf"
        digest = f"sha256sum {changed}"
        before = some.ssh(digest)
        some.ssh(f"echo '# changed by hand' >>{changed}")
        repaired(name, way())
        if some.ssh(digest) != before:
            raise SystemExit(f"{name}: {changed} is not as it was")
    tell(f"{FILES} files", count, "first", {name: statistics.median(found) for name, found in first.items()})
    tell(f"{FILES} files", count, "unchanged", in_turn(ways, rounds))


def expect(name: str, wanted: State, some: Hosts) -> None:
    """See that hosts are as they should be."""
    for host, found in some.states().items():
        missing = wanted.missing(found)
        if missing:
            raise SystemExit(f"{name}: {host} lacks\n  " + "\n  ".join(missing))


def hurt(wanted: State, some: Hosts) -> None:
    """Change a file, stop a service and remove a container, as one does by mistake."""
    units = [file for file in wanted.files if str(pathlib.PurePath(file.path).parent) == UNITS]
    unit = pathlib.PurePath(units[0].path).name
    changed = next(file for file in wanted.files_of(unit) if file not in units)
    some.ssh(
        f"echo '# changed by hand' >>{changed.path} && systemctl stop {unit}"
        f" && docker rm --force {wanted.projects[0].container}"
    )
    for host, found in some.states().items():
        if len(wanted.missing(found)) < 3:
            raise SystemExit(f"{host} is unhurt, so nothing would be proved")


def prove(name: str, way: Callable[[], Run], wanted: State, some: Hosts) -> None:
    """See that a way has made the state, leaves it alone, and puts it right."""
    expect(name, wanted, some)
    unchanged(name, way())
    hurt(wanted, some)
    repaired(name, way())
    expect(name, wanted, some)
    unchanged(name, way())
    print(f"    {name}: a second run changes nothing; what was changed by hand is put right", flush=True)


def write_peers(folder: pathlib.Path, wanted: State, some: Hosts) -> Ways:
    """Write what the peers need to keep a state, and return how to run each."""
    write_run(folder, some)
    (folder / "state.json").write_text(wanted.as_json(), encoding="utf-8")
    for file in wanted.files:
        source = folder / "files" / file.path.lstrip("/")
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(file.content, encoding="utf-8")
    stock = write_play(folder.parent, f"{folder.name}-stock", plays.stock_stack(wanted, folder / "files"))
    return {
        "stock": lambda: ansible(stock, "--limit", ",".join(some.addresses)),
        "pyinfra": lambda: pyinfra("stack.py", folder),
    }


def first_runs(ways: Ways, wanted: State, some: Hosts) -> dict[str, float]:
    """Let each way make the state on bare hosts once (seconds), and prove it there."""
    first = {}
    for name, way in ways.items():
        make_bare(list(some.addresses))
        first[name] = way().seconds
        prove(name, way, wanted, some)
    return first


def compare_stack(folder: pathlib.Path, some: Hosts, rounds: int) -> State:
    """Time site.yml and the peers on one host, and return what site.yml has left there."""
    site = ROOT / "site.yml"
    make_bare(list(some.addresses))
    bare = some.states()[SERVER]
    print(f"  check on the bare host: {ansible(site, '--check').seconds:.1f} s", flush=True)
    first = {"ours": ansible(site).seconds}
    wanted = some.states()[SERVER].without(bare)
    told = [f"{len(getattr(wanted, part))} {part}" for part in ("packages", "files", "projects", "units")]
    print(f"  site.yml has left there: {', '.join(told)}", flush=True)
    tell("the stack", 1, "first", first)
    prove("ours", lambda: ansible(site), wanted, some)
    peers = write_peers(folder / "stack", wanted, some)
    for name, way in peers.items():
        way()  # it takes over what is there
        prove(name, way, wanted, some)
    ansible(site)  # what the peers changed by hand is its own again
    ways: Ways = {"ours": lambda: ansible(site), **peers}
    tell("the stack", 1, "unchanged", in_turn(ways, rounds))
    print(f"  check that changes nothing: {ansible(site, '--check').seconds:.1f} s", flush=True)
    return wanted


def compare_small(folder: pathlib.Path, wanted: State, some: Hosts, rounds: int) -> None:
    count = len(some.addresses)
    here = folder / f"small-{count}"
    peers = write_peers(here, wanted, some)
    our = write_play(folder, f"small-ours-{count}", plays.our_stack(wanted, here / "files"))
    ours = lambda: ansible(our, "--limit", ",".join(some.addresses))  # noqa: E731
    ways: Ways = {"ours": ours, **peers}
    tell("small containers", count, "first", first_runs(ways, wanted, some))
    ours()  # it has yet to make its own records on these hosts
    tell("small containers", count, "unchanged", in_turn(ways, rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all where none is named")
    arguments = parser.parse_args()
    parts = set(arguments.parts or PARTS)
    if parts - set(PARTS):
        parser.error(f"found the part {', '.join(sorted(parts - set(PARTS)))}; wanted {', '.join(PARTS)}")
    print(f"load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    print(f"medians of {arguments.rounds} runs in turn; first runs of stacks once; ratios below 1: ours is faster")
    world("down")
    world("up")
    every = hosts()
    one, all_four = Hosts({SERVER: every[SERVER]}), Hosts(every)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT) as name:
            folder = pathlib.Path(name)
            for shared in ("library", "module_utils", "action_plugins"):
                (folder / shared).symlink_to(ROOT / shared)
            if "files" in parts:
                print(f"\n{FILES} files: gpuchat_files, template tasks, files.template", flush=True)
                for some in (one, all_four):
                    compare_files(folder, some, arguments.rounds)
            if {"stack", "small"} & parts:
                print("\nthe stack, vLLM and all: site.yml, and what it leaves kept by the peers", flush=True)
                wanted = compare_stack(folder, one, arguments.rounds)
            if "small" in parts:
                print("\nthe same state, with containers that sleep: modules of ours, and the peers", flush=True)
                small = wanted.with_small_containers(SMALL_IMAGE).without_service(DATABASE)
                for some in (one, all_four):
                    compare_small(folder, small, some, arguments.rounds)
    finally:
        world("down")


if __name__ == "__main__":
    main()
