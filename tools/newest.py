# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the newest ansible-core can change, in a container with a Python that is new enough for it.

    newest.py [COMMAND]    run the tests that touch ansible-core, with LONG=yes sanity and the collection's build also
                           (or COMMAND)

The container works on a copy of what git tracks, or would; nothing of it stays.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "molecule" / "world"))

import engine  # noqa: E402
import images  # noqa: E402

UNPACK = "mkdir /checkout && cd /checkout && tar -x && git init --quiet && git add --all && exec </dev/null && "
CHECK = """
set -eux
export PATH=/opt/newest/bin:$PATH
ansible --version | head -1
python -m pytest -p no:cacheprovider -n auto -m of_core
[ -n "$LONG" ] || exit 0
tools/sanity.sh /opt/newest newest --python default --test ansible-doc --test import --test validate-modules
tools/collection.sh build
"""


def main(command: str) -> int:
    """Run a shell's command in the container, and return its exit status."""
    engine.ensure(images.CACHE)
    image = images.ensure("control")
    words = ["--rm", "--interactive", "--network", "host", "--env", "LC_ALL=C.UTF-8"]
    words += ["--env", f"LONG={os.environ.get('LONG', '')}"]
    words += ["--cpu-shares", "256"]  # the hosts of a scenario that runs beside it go first
    for name, value in images.machine_settings().items():
        words += ["--env", f"{name}={value}"]
    for path in (engine.CA_BUNDLE, *images.pip_folders()):
        words += ["--volume", f"{path}:{path}:ro"]
    listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    names = subprocess.run(listed, check=True, capture_output=True).stdout.split(b"\0")[:-1]
    there = b"\0".join(name for name in names if (ROOT / name.decode()).is_symlink() or (ROOT / name.decode()).exists())
    pack = ["tar", "-C", str(ROOT), "-c", "--null", "--files-from", "-"]
    packed = subprocess.run(pack, input=there, check=True, capture_output=True).stdout
    inside = ["docker", "run", *words, image, "bash", "-c", UNPACK + command]
    return subprocess.run(inside, input=packed, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else CHECK))
