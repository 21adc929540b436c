# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages the collection with real plugins/ folders where the checkout has links.

    stage.py BUILD    make BUILD/ansible_collections/gpuchat/stack anew, and print its path

ansible-test, mypy and the release build work on this copy: ansible-test silently checks nothing behind a link.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
REAL_FOLDERS = {
    "library": "plugins/modules",
    "module_utils": "plugins/module_utils",
    "action_plugins": "plugins/action",
    "callback_plugins": "plugins/callback",
}


def stage(build: pathlib.Path) -> pathlib.Path:
    """Copy what git tracks, or would, into a collections tree under a folder."""
    staged = build / "ansible_collections" / "gpuchat" / "stack"
    shutil.rmtree(staged, ignore_errors=True)
    for name in _git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")[:-1]:
        source = ROOT / name
        if source.is_dir() or not source.exists():  # a link to a folder, or a file removed since it was added
            continue
        top, _slash, rest = name.partition("/")
        target = staged / (f"{REAL_FOLDERS[top]}/{rest}" if top in REAL_FOLDERS else name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    _git(staged, "init", "--quiet")  # ansible-test sees only what git knows
    _git(staged, "add", "--all")
    return staged


def _git(folder: pathlib.Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(stage(pathlib.Path(sys.argv[1]).resolve()))
