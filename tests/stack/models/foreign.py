# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of somebody else's on gpu1, which nobody of the stack has started, each with a key and an API of its own.

They run on the Python of vLLM's image, which has most of what they need. A server's folder says what else it needs
(requirements.txt), and starts it: serve.py MODEL NAME HOST PORT KEY.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

from running import ROOT, Stack, wait

sys.path.insert(0, str(ROOT / "molecule" / "world"))

import engine
import images

KEY = "sk-of-somebody-else"
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
PINNED = ["--no-deps", "--require-hashes", "--requirement"]
WHEELS = ["--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp"]
WHEELS += [word for abi in ("cp311", "abi3", "none") for word in ("--abi", abi)]
WHEELS += [word for one in ("manylinux2014", "manylinux_2_17") for word in ("--platform", f"{one}_x86_64")]
WHEELS += ["--platform", "any"]


def install(requirements: pathlib.Path, place: pathlib.Path) -> None:
    subprocess.run([*PIP, "install", *WHEELS, "--target", str(place), *PINNED, str(requirements)], check=True)


def built(recipe: pathlib.Path) -> pathlib.Path:
    """Return a wheel that PyPI has as source alone: made where it is to run, once for each state of its recipe."""
    image = images.ensure("vllm")
    kept = images.CACHE / "wheels" / images.content_hash(recipe, image)
    kept.parent.mkdir(parents=True, exist_ok=True)
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            backend, source, made = (pathlib.Path(scratch) / name for name in ("backend", "source", "made"))
            made.mkdir()
            install(recipe / "backend.txt", backend)
            # pip asks a source what it needs, by its backend.
            words = ["--no-build-isolation", "--no-binary", ":all:", "--dest", str(source)]
            command = [*PIP, "download", *words, *PINNED, str(recipe / "source.txt")]
            subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(backend)})
            run = ["--rm", "--network", "none", "--env", f"PYTHONPATH={backend}", "--entrypoint", "sh"]
            run += ["--volume", f"{scratch}:{scratch}", "--volume", f"{recipe}:/recipe:ro", image]
            engine.docker("run", *run, "/recipe/build.sh", str(next(source.iterdir())), str(made))
            made.rename(kept)
    return next(kept.iterdir())


def filled(server: pathlib.Path, place: pathlib.Path) -> None:
    """Fill a folder with a server's packages and programs."""
    install(server / "requirements.txt", place)
    if (server / "wheel").exists():
        wheel = built(server / "wheel")
        subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", str(place), str(wheel)], check=True)
    for program in server.glob("*.py"):
        shutil.copy(program, place)


def lent(stack: Stack, server: pathlib.Path, port: int) -> Iterator[Callable[[], tuple[str, str]]]:
    """Start the server of a folder, with a model of its name; yield how to wait for it, and get its address and key."""
    name = f"foreign-{server.name}"
    host = f"gpuchat-{stack.world['name']}-{stack.host_of('gpu1')}"
    address = stack.world["hosts"][stack.host_of("gpu1")]["addresses"]["back"]  # type: ignore[index]
    url = f"http://{address}:{port}"
    with tempfile.TemporaryDirectory() as place:
        filled(server, pathlib.Path(place))
        subprocess.run(["docker", "cp", "--quiet", f"{place}/.", f"{host}:/srv/{name}"], check=True)
    serve = (
        f"docker run --detach --name {name} --network host --entrypoint python3 --workdir /tmp"
        f" --volume /srv/models/gpuchat-demo:/model:ro --volume /srv/{name}:/server:ro"
        " --env PYTHONPATH=/server --env HOME=/tmp --env LOGDIR=/tmp --env OMP_NUM_THREADS=1"
        " $(docker inspect gpuchat-vllm-gpuchat-demo --format '{{.Config.Image}}')"
        f" /server/serve.py /model {server.name} {address} {port} {KEY}"
    )
    stack.on("gpu1", f"docker inspect {name} >/dev/null 2>&1 || {serve}")

    def waited() -> tuple[str, str]:
        # Its owner lets the stack's host in; the stack's own packet filter leaves other ports to others.
        look = (
            f"import urllib.request as a; r = a.Request('{url}/v1/models', headers={{'Authorization': 'Bearer {KEY}'}})"
        )
        command = f'python3 -c "{look}; print(a.urlopen(r, timeout=5).read().decode())" || echo'

        def is_up() -> bool:
            said = stack.on("front", command).strip()
            return bool(said) and bool(json.loads(said)["data"])  # a list without any, until its worker is there

        wait(is_up, 240, f"somebody else's {server.name}")
        return url, KEY

    yield waited
    stack.on("gpu1", f"docker rm --force {name} && rm -rf /srv/{name}")
