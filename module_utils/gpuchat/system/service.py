# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service in its wanted state: when it is started, restarted, moved to another supervisor, or left alone."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.change import Difference, Plan

COMPOSE, SYSTEMD, QUADLET, VENV = "compose", "systemd", "quadlet", "venv"
PODMAN, DOCKER = "podman", "docker"


def program_of(supervisor: str) -> str:
    """Return the program that runs the containers of a supervisor; empty where it runs none."""
    return {QUADLET: PODMAN, VENV: ""}.get(supervisor, DOCKER)


@dataclass(frozen=True)
class WantedService:
    """What a service should be.

    Attributes:
        digest: digest of the files it should run with; empty where it has none of ours.
        reload_digest: digest of the files that it takes up by a reload, without a restart.
        adopt: one that runs already and was started by somebody else counts as started with the present files.
    """

    name: str
    supervisor: str
    state: str
    digest: str = ""
    reload_digest: str = ""
    adopt: bool = False


@dataclass(frozen=True)
class ServiceState:
    """What a service is.

    Attributes:
        recorded_supervisor: what started it last, as recorded; None where nothing is recorded.
        recorded_digest: digest of the files it was started with.
        recorded_reload_digest: digest of the files that it took up by its last start or reload.
        stale_definition: systemd holds an older unit file than the one on disk.
    """

    running: bool = False
    enabled: bool = False
    recorded_supervisor: str | None = None
    recorded_digest: str = ""
    recorded_reload_digest: str = ""
    stale_definition: bool = False


@dataclass(frozen=True)
class Step:
    """One act of the runner: stop-other, define, enable, start, restart, reload, stop, record or forget."""

    act: str
    supervisor: str


def plan_service(wanted: WantedService, current: ServiceState) -> Plan:
    """Decide what brings a service into its wanted state.

    A service is restarted only when the digest recorded at its last start differs from the wanted one; so a
    run that was interrupted between writing the files and the restart is put right by the next.
    """
    steps: list[Step] = []
    moved = current.recorded_supervisor not in (None, wanted.supervisor)
    if moved:
        steps.append(Step("stop-other", str(current.recorded_supervisor)))
    if wanted.state == "started":
        steps += _started(wanted, current, moved)
    else:
        if current.running or current.enabled:
            steps.append(Step("stop", wanted.supervisor))
        if steps or (wanted.state == "absent" and current.recorded_supervisor is not None):
            steps.append(Step("forget", wanted.supervisor))
    before, after = _described(wanted, current), _described_wanted(wanted)
    differences = (Difference(f"service {wanted.name}", before, after),) if steps else ()
    return Plan(differences, tuple(steps), _reason(wanted, current, steps, moved))


def _started(wanted: WantedService, current: ServiceState, moved: bool) -> list[Step]:
    recorded = current.recorded_supervisor is not None
    running = current.running and not moved
    adopted = wanted.adopt and running and not recorded
    same_start = adopted or (recorded and current.recorded_digest == wanted.digest)
    same_files = same_start and (adopted or current.recorded_reload_digest == wanted.reload_digest)
    if running and same_files and current.enabled and recorded:
        return []
    steps = [Step("define", wanted.supervisor)] if current.stale_definition or not same_files else []
    if not current.enabled:
        steps.append(Step("enable", wanted.supervisor))
    if not running:
        steps.append(Step("start", wanted.supervisor))
    elif not same_files:
        by_reload = same_start and not current.stale_definition
        steps.append(Step("reload" if by_reload else "restart", wanted.supervisor))
    steps.append(Step("record", wanted.supervisor))
    return steps


def _described(wanted: WantedService, current: ServiceState) -> str:
    supervisor = current.recorded_supervisor or wanted.supervisor
    state = "running" if current.running else "stopped"
    return f"{state} by {supervisor}, files {_short(current.recorded_digest, current.recorded_reload_digest)}\n"


def _described_wanted(wanted: WantedService) -> str:
    if wanted.state != "started":
        return f"{wanted.state}\n"
    return f"running by {wanted.supervisor}, files {_short(wanted.digest, wanted.reload_digest)}\n"


def _short(*digests: str) -> str:
    return " ".join(digest[:12] for digest in digests if digest) or "not recorded"


def _reason(wanted: WantedService, current: ServiceState, steps: list[Step], moved: bool) -> str:
    if not steps:
        return f"{wanted.name} is {wanted.state} already, with its present files"
    if wanted.state != "started":
        return f"{wanted.name} is to be {wanted.state}"
    if moved:
        return f"{wanted.name} moves from {current.recorded_supervisor} to {wanted.supervisor}"
    acts = {step.act for step in steps}
    if "start" in acts:
        return f"{wanted.name} is not running"
    if acts & {"restart", "reload"}:
        return f"the files of {wanted.name} have changed since it started"
    return (
        f"{wanted.name} is not enabled at boot" if "enable" in acts else f"{wanted.name} runs already, and is recorded"
    )
