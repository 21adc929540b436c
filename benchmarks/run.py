# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times the stack's runs, and the same file set by one gpuchat_files task and by stock template tasks.

Both ways run in turn in the same call, over one host and over four; what counts is the ratio, not the seconds.
"""

from __future__ import annotations

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
INVENTORY = HERE / "inventory"
WORLD = ROOT / "molecule" / "world" / "world.py"
FILES = 30
ROUNDS = 3
AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-E"]


def world(command: str) -> None:
    subprocess.run([*AS_ROOT, sys.executable, str(WORLD), command, str(INVENTORY)], check=True)


def seconds(playbook: pathlib.Path, *words: str) -> float:
    """Run a playbook, which has to succeed, and return its wall time (seconds)."""
    command = [
        str(pathlib.Path(sys.executable).parent / "ansible-playbook"),
        str(playbook),
        "-i",
        str(INVENTORY),
        *words,
    ]
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return time.monotonic() - started


def files_playbook(tasks: list[dict[str, object]], hosts: str) -> list[dict[str, object]]:
    return [{"name": "Files", "hosts": hosts, "gather_facts": False, "tasks": tasks}]


def by_module() -> list[dict[str, object]]:
    template = str(HERE / "templates" / "unit.conf.j2")
    files: list[dict[str, object]] = [{"dest": "/etc/bench", "folder": True}]
    files += [{"dest": f"/etc/bench/{n}.conf", "template": template, "vars": {"number": n}} for n in range(FILES)]
    return [{"name": "One set", "gpuchat_files": {"name": "bench", "files": files}}]


def by_stock() -> list[dict[str, object]]:
    template = str(HERE / "templates" / "unit.conf.j2")
    tasks: list[dict[str, object]] = [
        {"name": "Folder", "ansible.builtin.file": {"path": "/etc/bench-stock", "state": "directory", "mode": "0755"}}
    ]
    for number in range(FILES):
        options = {"src": template, "dest": f"/etc/bench-stock/{number}.conf", "mode": "0644"}
        tasks.append({"name": f"File {number}", "ansible.builtin.template": options, "vars": {"number": number}})
    return tasks


def compare(folder: pathlib.Path, hosts: str, count: int) -> None:
    """Time both ways in turn and print medians and ratios, for new files and for files that are there already."""
    ways: dict[str, Callable[[], list[dict[str, object]]]] = {"gpuchat_files": by_module, "template": by_stock}
    times: dict[tuple[str, str], list[float]] = {}
    wipe = folder / "wipe.yml"
    clear = [
        {
            "name": "Wipe",
            "ansible.builtin.shell": "rm -rf /etc/bench /etc/bench-stock /var/lib/gpuchat/files/bench.json",
        }
    ]
    wipe.write_text(yaml.safe_dump(files_playbook(clear, hosts)))  # type: ignore[arg-type]
    for _round in range(ROUNDS):
        seconds(wipe)
        for when in ("new", "unchanged"):
            for name, tasks in ways.items():
                playbook = folder / f"{name}-{count}.yml"
                playbook.write_text(yaml.safe_dump(files_playbook(tasks(), hosts)))
                times.setdefault((when, name), []).append(seconds(playbook))
    for when in ("new", "unchanged"):
        ours, theirs = (statistics.median(times[(when, name)]) for name in ways)
        print(
            f"  {FILES} files, {count} host(s), {when:<9}  {ours:6.1f} s  {theirs:6.1f} s  {theirs / ours:5.1f} x",
            flush=True,
        )


def main() -> None:
    world("down")
    world("up")
    try:
        print(
            "the whole stack, one host (the first run pulls images from the world's registry and starts all services):"
        )
        for name, words in {
            "check on the bare host": ("--check",),
            "first run": (),
            "run that changes nothing": (),
        }.items():
            print(f"  {name:<26} {seconds(ROOT / 'site.yml', *words):6.1f} s", flush=True)
        print(f"  {'check that changes nothing':<26} {seconds(ROOT / 'site.yml', '--check'):6.1f} s", flush=True)
        print(f"\na file set: gpuchat_files, stock template tasks, ratio (medians of {ROUNDS}, in turn)")
        with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT) as folder:
            for name in ("library", "module_utils", "action_plugins"):
                (pathlib.Path(folder) / name).symlink_to(ROOT / name)
            compare(pathlib.Path(folder), "server", 1)
            compare(pathlib.Path(folder), "files", 4)
    finally:
        world("down")


if __name__ == "__main__":
    main()
