# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times the survey beside the same facts by Ansible's own modules, on the demo's host and 32 light ones.

    survey.py [--rounds N] [--keep]

The hosts are systemd in containers; the light ones run no Docker, and hold one set of 30 files that a run recorded.
Ansible asks with 32 forks and pipelining, by as few tasks as can be: facts of the host, services, packages, checksums
of the same files, and what the programs say that the survey asks too. It compares nothing; the survey does. Both are
timed as a person starts them, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import plays
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
INVENTORY = HERE / "fleet"
WORLD = ROOT / "molecule" / "world" / "world.py"
FORKS = 32
FILES = 30
GROWTH = (1, 8, 16, 32)
WATCHES = 2048
"""Each systemd watches some files, and one machine has 128 such watchers for all of them."""

WANTED_RATIO = 0.25
AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-E"]

ASKED = {
    "GPUs": "nvidia-smi -q -x",
    "Kernel log": "journalctl --dmesg --boot --no-pager --output=cat --grep='NVRM: Xid'",
    "Docker": "docker info --format json",
    "Containers": "docker ps --all --quiet | xargs --no-run-if-empty docker inspect",
    "Packet filter": "nft --json list ruleset",
    "Certificates": "for one in /etc/gpuchat/*/*.crt; do openssl x509 -noout -enddate -in $one; done",
    "Stack": "cat /etc/gpuchat/stack",
    "Clock": "date +%s; timedatectl show --property=NTPSynchronized",
    "Free inodes": "df --inodes --output=target,iavail",
}


def facts() -> list[plays.Task]:
    """Return the same facts as a play."""
    folders = ["/etc/bench", "/etc/gpuchat", "/var/lib/gpuchat/files", "/var/lib/gpuchat/services"]
    files = {"paths": folders, "recurse": True, "get_checksum": True, "checksum_algorithm": "sha256", "hidden": True}
    model = {"paths": ["/srv/models"], "recurse": True}
    tasks: list[plays.Task] = [
        {"name": "Host", "ansible.builtin.setup": {}},
        {"name": "Services", "ansible.builtin.service_facts": {}},
        # Not package_facts, for the light hosts have no python3-apt.
        {"name": "Packages", "ansible.builtin.command": "dpkg-query --show", "changed_when": False},
        {"name": "Files", "ansible.builtin.find": files},
        {"name": "Model", "ansible.builtin.find": model},
    ]
    for name, command in ASKED.items():
        shell = {"ansible.builtin.shell": command, "changed_when": False, "failed_when": False}
        tasks.append({"name": name, **shell})
    return [{"name": "Facts", "hosts": "server:light", "gather_facts": False, "become": True, "tasks": tasks}]


def timed(command: list[str], good: tuple[int, ...] = (0,)) -> tuple[float, str]:
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in good:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return time.monotonic() - started, done.stdout


def ansible(playbook: pathlib.Path | str, *words: str) -> float:
    program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
    return timed([program, str(playbook), "-i", str(INVENTORY), "--forks", str(FORKS), *words])[0]


def survey(pattern: str, count: int) -> float:
    command = [sys.executable, str(ROOT / "deploys" / "survey.py"), "-i", str(INVENTORY), "--limit", pattern, "--json"]
    seconds, text = timed(command)  # all is well, or the exit status is another
    hosts = json.loads(text)["hosts"]
    if len(hosts) != count or any(host["findings"] for host in hosts):
        raise SystemExit(f"{pattern}: found {[(host['name'], host['findings']) for host in hosts]}")
    return seconds


def compare(pattern: str, count: int, playbook: pathlib.Path, rounds: int) -> float:
    """Time both ways in turn, print a line, and return the ratio of their medians."""
    ours, theirs = [], []
    for _round in range(rounds):
        ours.append(survey(pattern, count))
        theirs.append(ansible(playbook, "--limit", pattern))
    survey_seconds, ansible_seconds = statistics.median(ours), statistics.median(theirs)
    ratio = survey_seconds / ansible_seconds
    print(
        f"  {count:3} host(s)  survey {survey_seconds:6.1f} s  Ansible's modules {ansible_seconds:6.1f} s  "
        f"ratio {ratio:.2f}",
        flush=True,
    )
    return ratio


def world(command: str) -> None:
    subprocess.run([*AS_ROOT, sys.executable, str(WORLD), command, str(INVENTORY)], check=True)


def write(path: pathlib.Path, play: list[plays.Task]) -> pathlib.Path:
    path.write_text(yaml.safe_dump(play, sort_keys=False), encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="use the hosts that are there, and leave them")
    arguments = parser.parse_args()
    print(f"load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    print(f"medians of {arguments.rounds} runs in turn, from the start of each command", flush=True)
    subprocess.run([*AS_ROOT, "sysctl", "--quiet", "--write", f"fs.inotify.max_user_instances={WATCHES}"], check=True)
    if not arguments.keep:
        world("down")
    world("up")
    try:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT) as name:
            folder = pathlib.Path(name)
            for shared in ("library", "module_utils", "action_plugins"):
                (folder / shared).symlink_to(ROOT / shared)
            ansible(ROOT / "site.yml")
            [light] = plays.play(plays.our_file_set("/etc/bench", FILES))
            ansible(write(folder / "light.yml", [{**light, "hosts": "light"}]))
            asking = write(folder / "facts.yml", facts())
            for count in GROWTH:
                compare(f"light[0:{count - 1}]", count, asking, arguments.rounds)
            ratio = compare("server:light", max(GROWTH) + 1, asking, arguments.rounds)
    finally:
        if not arguments.keep:
            world("down")
    if ratio >= WANTED_RATIO:
        raise SystemExit(f"found a ratio of {ratio:.2f} for the whole fleet; wanted less than {WANTED_RATIO}")


if __name__ == "__main__":
    main()
