# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vLLM on gpu1 that nobody of the stack has started, with a key and an API of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from running import Stack, wait

FOREIGN = "foreign"
URL = "http://172.31.80.11:9000"
KEY = "sk-of-somebody-else"


@pytest.fixture(scope="session", autouse=True)
def foreign(stack: Stack) -> Iterator[Callable[[], tuple[str, str]]]:
    """Start it, so that it loads beside the first tests; return how to wait for it, and get its address and key."""
    serve = (
        f"docker run --detach --name {FOREIGN} --network host --shm-size 1g --entrypoint vllm"
        " --volume /srv/models/gpuchat-demo:/model:ro --env HOME=/tmp --env OMP_NUM_THREADS=1"
        " --env VLLM_CPU_OMP_THREADS_BIND=nobind --env VLLM_CPU_KVCACHE_SPACE=1 --env VLLM_HOST_IP=127.0.0.1"
        " --env GLOO_SOCKET_IFNAME=lo"
        " $(docker inspect gpuchat-vllm-gpuchat-demo --format '{{.Config.Image}}')"
        f" serve /model --served-model-name theirs --host 172.31.80.11 --port 9000 --api-key {KEY}"
        " --enforce-eager --max-model-len 2048 --max-num-seqs 2"
    )
    stack.on("gpu1", f"docker inspect {FOREIGN} >/dev/null 2>&1 || {serve}")

    def waited() -> tuple[str, str]:
        # Its owner lets the stack's host in; the stack's own packet filter leaves other ports to others.
        look = f"python3 -c 'import urllib.request as ask; ask.urlopen(\"{URL}/health\", timeout=5)' && echo up || true"
        wait(lambda: "up" in stack.on("front", look), 240, "somebody else's server")
        return f"{URL}/v1", KEY

    yield waited
    stack.on("gpu1", f"docker rm --force {FOREIGN}")
