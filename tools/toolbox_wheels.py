# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a folder with the toolbox's wheels, for hosts that reach no package index (`toolbox_wheels`).

tools/toolbox_wheels.py FOLDER [--python 3.13 ...] [--machine x86_64 ...]

Run it on a machine with pip that reaches an index. Without more, it fetches for each Python and machine that a host may
have: a few MiB. pip's own `--python-version` leaves markers to the Python that runs it, so they are resolved here.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

REQUIREMENTS = pathlib.Path(__file__).resolve().parents[1] / "roles" / "toolbox" / "files" / "requirements.txt"
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")
PLATFORMS = ("manylinux2014", "manylinux_2_17")


def requirements_of(text: str, python: str) -> str:
    """Return the requirements of one Python, without markers."""
    here = tuple(map(int, python.split(".")))
    kept = []
    for entry in re.sub(r"\\\n", " ", text).splitlines():
        if "==" not in entry or entry.lstrip().startswith("#"):
            continue
        found = re.search(r";\s*python_full_version\s*(<|>=)\s*'([\d.]+)'", entry)
        if found:
            older = here < tuple(map(int, found[2].split(".")))
            if older != (found[1] == "<"):
                continue
        kept.append(entry.replace(found[0], " ") if found else entry)
    return "\n".join(kept) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--python", nargs="+", default=PYTHONS, choices=PYTHONS)
    parser.add_argument("--machine", nargs="+", default=MACHINES, choices=MACHINES)
    given = parser.parse_args()
    text = REQUIREMENTS.read_text(encoding="utf-8")
    given.folder.mkdir(parents=True, exist_ok=True)
    for python in given.python:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
            listed.write(requirements_of(text, python))
            listed.flush()
            for machine in given.machine:
                command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"]
                command += ["--only-binary", ":all:", "--python-version", python, "--dest", str(given.folder)]
                for tag in PLATFORMS:
                    command += ["--platform", f"{tag}_{machine}"]
                ended = subprocess.run([*command, "--requirement", listed.name], check=False)
                if ended.returncode != 0:
                    print(f"pip could not fetch the wheels for Python {python} on {machine}", file=sys.stderr)
                    return 1
    wheels = sorted(given.folder.glob("*.whl"))
    size = sum(one.stat().st_size for one in wheels) / 2**20
    print(f"{given.folder} holds {len(wheels)} wheels, {size:.1f} MiB; carry it to the control node, and set")
    print(f"toolbox_wheels: {given.folder.resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
