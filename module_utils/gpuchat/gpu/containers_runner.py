# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the GPUs from inside containers, and restarts those that lost them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..core import host
from ..core.change import Plan
from ..system.service import QUADLET
from .containers import COUNT, LOST, PROBE, Container, Restart, check_count, containers_with_gpus, plan_restarts

BY_DOCKER = ("docker", "run", "--rm", "--gpus", "all")
BY_PODMAN = ("podman", "run", "--rm", "--device", "nvidia.com/gpu=all")
TRIAL_SECONDS = 900  # the image may have to be pulled


def ensure(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Restart the containers that lost their GPUs, see that a new one gets all, and return the module's result.

    Raises:
        Refusal: a new container does not see the GPUs of the host.
        CommandFailed: Docker could not restart a container.
    """
    by_podman = params.get("supervisor") == QUADLET
    given = () if by_podman else _given_gpus(str(params["runtime"]))
    plan = plan_restarts([one for one in given if _has_lost(one)])
    notes: tuple[str, ...] = ()
    if check:
        notes = ("whether a new container sees the GPUs: check mode starts none",)
    else:
        for action in plan.actions:
            if isinstance(action, Restart):
                host.must(["docker", "restart", action.container.id])
        image = str(params["image"])
        tried = host.run(
            [*(BY_PODMAN if by_podman else BY_DOCKER), "--network", "none", "--read-only", "--entrypoint", "/bin/sh"]
            + [image, "-c", COUNT],
            timeout=TRIAL_SECONDS,
        )
        check_count(tried.rc, tried.stdout if tried.rc == 0 else tried.text, int(str(params["gpus"])), image)
    return Plan(plan.differences, plan.actions, plan.reason, notes).result()


def _given_gpus(runtime: str) -> tuple[Container, ...]:
    """Return the running containers with GPUs; none where Docker does not answer, as on a bare host."""
    listed = host.run(["docker", "ps", "--quiet", "--no-trunc"])
    if listed.rc != 0 or not listed.stdout.split():
        return ()
    inspected = host.run(["docker", "inspect", *listed.stdout.split()])
    return containers_with_gpus(json.loads(inspected.stdout or "[]"), runtime)


def _has_lost(container: Container) -> bool:
    return host.run(["docker", "exec", container.id, "/bin/sh", "-c", PROBE], timeout=60).rc == LOST
