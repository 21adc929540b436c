# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastChat on gpu1, which nobody of the stack has started, with a key and an API of its own."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from running import Stack, wait

FOREIGN = "foreign"
PORT = 9000
KEY = "sk-of-somebody-else"
HERE = pathlib.Path(__file__).with_name("fastchat")
WHEELS = ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "abi3", "--abi", "none")
PLATFORMS = ("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64", "--platform", "any")
"""Of the Python in vLLM's image, which has everything else that FastChat needs."""


@pytest.fixture(scope="session", autouse=True)
def foreign(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], tuple[str, str]]]:
    """Start it, so that it loads beside the first tests; return how to wait for it, and get its address and key."""
    place = tmp_path_factory.mktemp(FOREIGN)
    words = ["install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", *WHEELS, *PLATFORMS]
    listed = ["--requirement", str(HERE / "requirements.txt"), "--target", str(place)]
    subprocess.run([sys.executable, "-m", "pip", *words, *listed], check=True)
    (place / "serve.py").write_bytes((HERE / "serve.py").read_bytes())
    host = f"gpuchat-{stack.world['name']}-{stack.host_of('gpu1')}"
    address = stack.world["hosts"][stack.host_of("gpu1")]["addresses"]["back"]  # type: ignore[index]
    url = f"http://{address}:{PORT}"
    subprocess.run(["docker", "cp", "--quiet", f"{place}/.", f"{host}:/srv/{FOREIGN}"], check=True)
    serve = (
        f"docker run --detach --name {FOREIGN} --network host --entrypoint python3 --workdir /tmp"
        f" --volume /srv/models/gpuchat-demo:/model:ro --volume /srv/{FOREIGN}:/fastchat:ro"
        " --env PYTHONPATH=/fastchat --env HOME=/tmp --env LOGDIR=/tmp --env OMP_NUM_THREADS=1"
        " $(docker inspect gpuchat-vllm-gpuchat-demo --format '{{.Config.Image}}')"
        f" /fastchat/serve.py /model theirs {address} {PORT} {KEY}"
    )
    stack.on("gpu1", f"docker inspect {FOREIGN} >/dev/null 2>&1 || {serve}")

    def waited() -> tuple[str, str]:
        # Its owner lets the stack's host in; the stack's own packet filter leaves other ports to others.
        look = (
            f"import urllib.request as a; r = a.Request('{url}/v1/models', headers={{'Authorization': 'Bearer {KEY}'}})"
        )
        command = f'python3 -c "{look}; print(a.urlopen(r, timeout=5).read().decode())" || echo'

        def is_up() -> bool:
            said = stack.on("front", command).strip()
            return bool(said) and bool(json.loads(said)["data"])  # a list without any, until its worker is there

        wait(is_up, 240, "somebody else's server")
        return url, KEY

    yield waited
    stack.on("gpu1", f"docker rm --force {FOREIGN} && rm -rf /srv/{FOREIGN}")
