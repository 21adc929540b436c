# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine of the machine that the world runs on, called by its own command line."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PACKAGES = ("docker.io", "iptables", "debootstrap", "debian-archive-keyring", "openssh-client", "curl")
PROGRAMS = ("dockerd", "iptables", "debootstrap", "ssh-keygen", "curl")
LABEL = "gpuchat.world"


def say(text: str) -> None:
    """Tell the person in front of the terminal what goes on."""
    print(f"world: {text}", flush=True)


def docker(*words: str, check: bool = True) -> str:
    """Run docker and return what it printed; with its words in the error when it fails."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise SystemExit(f"world: docker {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def exists(kind: str, name: str) -> bool:
    """Whether an image, container, network or volume of that name exists."""
    return subprocess.run(["docker", kind, "inspect", name], capture_output=True, check=False).returncode == 0


def inspect(kind: str, name: str) -> dict[str, object]:
    answer: list[dict[str, object]] = json.loads(docker(kind, "inspect", name))
    return answer[0]


def volume(name: str) -> str:
    """Make sure that a volume is there which `clean` finds, and return its name."""
    if not exists("volume", name):
        docker("volume", "create", "--label", f"{LABEL}=1", name)
    return name


@contextlib.contextmanager
def alone(cache: pathlib.Path, name: str) -> Iterator[None]:
    """Let one process at a time make what bears that name: images are built while other steps of the tests run."""
    folder = cache / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / name, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_installed() -> bool:
    return all(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") for name in PROGRAMS)


def is_up() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def ensure(cache: pathlib.Path) -> None:
    """Install Docker from the distribution where it is missing, and start it where it does not run."""
    with alone(cache, "engine"):
        _ensure(cache)


def _ensure(cache: pathlib.Path) -> None:
    if not is_installed():
        say(f"installing {', '.join(PACKAGES)} from the distribution")
        _must(["apt-get", "-qq", "update"])
        _must(["apt-get", "-qq", "-y", "install", "--no-install-recommends", *PACKAGES])
    if is_up():
        return
    if pathlib.Path("/run/systemd/system").is_dir():
        _must(["systemctl", "start", "docker"])
    else:
        say("starting dockerd")
        _forget_dead()
        cache.mkdir(parents=True, exist_ok=True)
        with open(cache / "dockerd.log", "ab") as log:
            daemon = subprocess.Popen(
                ["dockerd"], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        (cache / "dockerd.pid").write_text(str(daemon.pid))
    end = time.monotonic() + 60
    while not is_up():
        if time.monotonic() > end:
            raise SystemExit(f"world: Docker does not answer after 60 s; see {cache / 'dockerd.log'}")
        time.sleep(0.2)


def _forget_dead() -> None:
    """Remove the process ids of a Docker that died: where one belongs to another program by now, none would start."""
    for path, name in (("/run/docker.pid", "dockerd"), ("/run/docker/containerd/containerd.pid", "containerd")):
        file = pathlib.Path(path)
        if not file.exists():
            continue
        process = pathlib.Path("/proc") / file.read_text().strip() / "comm"
        if not process.exists() or process.read_text().strip() != name:
            file.unlink()


def _must(command: Sequence[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise SystemExit(f"world: {' '.join(command)} ended with {done.returncode}")
