# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and moves services: systemd units and compose projects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from ..core import host
from ..core.change import Plan
from ..core.errors import NotTaken, Refusal, Unhealthy
from .service import COMPOSE, PODMAN, QUADLET, ServiceState, Step, WantedService, plan_service, program_of

LOG_LINES = 30
RELOAD_LINES = 10
HEALTH_OPTIONS: dict[str, dict[str, object]] = {
    "url": {"type": "str"},
    "status": {"type": "int", "default": 200},
    "holds": {"type": "str", "default": ""},
    "timeout": {"type": "int", "default": 60},
}
"""An entry ``health`` of a module, as an argument specification."""

RESTARTS_THAT_MEAN_FAILURE = 3
CONTAINER_REMOVAL_SECONDS = 30
COMPOSE_LABEL = "com.docker.compose.project"
NOT_BOOTED = "has not been booted with systemd"
OTHER_UNITS = (".path", ".socket", ".timer")


def record_path(name: str) -> str:
    return f"{host.STATE_DIRECTORY}/services/{name}.json"


def program_for(name: str) -> str:
    """Return the program that runs a service's container, by what started it last; empty where it is in none."""
    return program_of(str(host.read_json(record_path(name)).get("supervisor")))


def ensure(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Ensure the service that a module's parameters describe, and return the module's result.

    Raises:
        NotTaken: it runs, and has refused its new files.
        Unhealthy: it runs, or should, but does not answer as wanted.
    """
    wanted = WantedService(
        name=str(params["name"]),
        supervisor=str(params["supervisor"]),
        state=str(params["state"]),
        digest=str(params["digest"] or ""),
        reload_digest=str(params["reload_digest"] or ""),
        adopt=bool(params["adopt"]),
    )
    plan = plan_service(wanted, read(wanted, check))
    health = params.get("health")
    notes: tuple[str, ...] = ()
    if check and plan.changed and health:
        notes = (f"the health of {wanted.name}: it can be known only after the change",)
    health = health if isinstance(health, dict) else {}
    if not check:
        act(wanted, plan, str(params["compose_file"] or ""), health)
        if wanted.state == "started":
            wait_until_healthy(wanted, health)
    result = Plan(plan.differences, plan.actions, plan.reason, notes).result()
    if wanted.state != "started" or (check and plan.changed) or _holds(health):
        return result
    if not check:
        _act_one(wanted, Step("restart", wanted.supervisor), str(params["compose_file"] or ""), health)
        wait_until_healthy(wanted, health)
        if not _holds(health):
            raise Unhealthy(f"{health['url']} answers without {health['holds']}, which it was to hold after a restart")
    again = f"it answered without {health['holds']}, so it is started once more"
    return {**result, "changed": True, "msg": f"{result['msg']}; {again}" if plan.changed else again}


def read(wanted: WantedService, check: bool = False) -> ServiceState:
    """Return what is known of a service; where nothing is to be done, of a host without systemd too."""
    record = host.read_json(record_path(wanted.name))
    recorded_supervisor = record.get("supervisor")
    common = {
        "recorded_supervisor": str(recorded_supervisor) if recorded_supervisor else None,
        "recorded_digest": str(record.get("digest", "")),
        "recorded_reload_digest": str(record.get("reload_digest", "")),
    }
    if wanted.supervisor == "compose":
        containers = containers_of(wanted.name)
        running = bool(containers) and all(one["State"]["Running"] for one in containers)  # type: ignore[index]
        # Nothing is to be left of a project that shall not run, so any container counts as what starts at boot.
        enabled = wanted.state == "started" or bool(containers)
        return ServiceState(running=running, enabled=enabled, **common)  # type: ignore[arg-type]
    unit = unit_properties(wanted.name, check)
    return ServiceState(
        running=unit.get("ActiveState") in ("active", "activating", "reloading") or _has_done_its_work(unit),
        enabled=_is_enabled(wanted, unit.get("UnitFileState", "")),
        stale_definition=unit.get("NeedDaemonReload") == "yes",
        **common,  # type: ignore[arg-type]
    )


def _is_enabled(wanted: WantedService, state: str) -> bool:
    """Whether a unit starts with the host; what is made of a Quadlet file does so as long as there is the file."""
    by_file = wanted.supervisor == QUADLET and (wanted.state == "started" or state == "generated")
    return by_file or state.startswith("enabled")


def unit_of(name: str) -> str:
    """Return a unit's full name: a service's, where the name does not say of what kind it is."""
    return name if name.endswith(OTHER_UNITS) else f"{name}.service"


def unit_properties(name: str, check: bool = False) -> dict[str, str]:
    """Return what systemd says of a unit; in check mode nothing, where another program is the host's first process.

    Raises:
        Refusal: that is so, and something is to be done.
    """
    names = "ActiveState,SubState,UnitFileState,NeedDaemonReload,Result,NRestarts"
    names += ",Type,RemainAfterExit,ExecMainExitTimestampMonotonic"
    shown = host.run(["systemctl", "show", unit_of(name), f"--property={names}"])
    if NOT_BOOTED in shown.stderr and not check:
        raise Refusal(
            "found a host that systemd has not started; wanted one, for all that gpuchat runs are its units; in WSL2 "
            "put systemd=true under [boot] in /etc/wsl.conf and run `wsl --shutdown`, let a container begin with "
            "/lib/systemd/systemd, or take a host whose distribution has it"
        )
    return dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)


def _has_done_its_work(unit: Mapping[str, str]) -> bool:
    """Whether a unit that does one thing and ends (a oneshot service) has done it since the host started."""
    ends = unit.get("Type") == "oneshot" and unit.get("RemainAfterExit") == "no"
    ended_at = unit.get("ExecMainExitTimestampMonotonic", "0")
    return ends and unit.get("ActiveState") == "inactive" and unit.get("Result") == "success" and ended_at != "0"


def containers_of(project: str) -> list[dict[str, object]]:
    """Return ``docker inspect`` of a compose project's containers; empty where Docker does not answer."""
    listed = host.run(["docker", "ps", "-aq", "--filter", f"label={COMPOSE_LABEL}={project}"])
    if listed.rc != 0 or not listed.stdout.split():
        return []
    inspected = host.run(["docker", "inspect", *listed.stdout.split()])
    return json.loads(inspected.stdout or "[]")  # type: ignore[no-any-return]


def act(wanted: WantedService, plan: Plan, compose_file: str, health: Mapping[str, object] | None = None) -> None:
    for step in plan.actions:
        if isinstance(step, Step):
            _act_one(wanted, step, compose_file, health or {})


def _act_one(wanted: WantedService, step: Step, compose_file: str, health: Mapping[str, object]) -> None:
    if step.act == "record":
        digests = {"digest": wanted.digest, "reload_digest": wanted.reload_digest}
        # For who restarts it without the play that described it.
        restart = {name: value for name, value in (("compose_file", compose_file), ("health", dict(health))) if value}
        host.write_json(record_path(wanted.name), {"supervisor": wanted.supervisor, **digests, **restart})
    elif step.act == "forget":
        host.remove_file(record_path(wanted.name))
    elif step.supervisor == "compose":
        _act_compose(wanted.name, step.act, compose_file)
    else:
        _act_systemd(wanted.name, step.act, step.supervisor)


def _act_compose(project: str, act_name: str, compose_file: str) -> None:
    compose = ["docker", "compose", "--project-name", project]
    if act_name in ("stop", "stop-other"):
        host.must([*compose, "down", "--remove-orphans"])
    elif act_name == "start":
        host.must([*compose, "--file", compose_file, "up", "--detach", "--remove-orphans"])
    elif act_name in ("restart", "reload"):
        host.must([*compose, "--file", compose_file, "up", "--detach", "--force-recreate", "--remove-orphans"])


def _act_systemd(name: str, act_name: str, supervisor: str) -> None:
    unit = unit_of(name)
    if act_name in ("stop", "stop-other"):
        host.run(["systemctl", "disable", unit])
        if unit_properties(name).get("ActiveState", "inactive") != "inactive":  # an earlier run may have come this far
            host.must(["systemctl", "stop", unit])
        if supervisor == QUADLET:  # whose unit may have lost its own words for this with its file
            host.run([PODMAN, "rm", "--force", "--ignore", "--volumes", name])
        host.must(["systemctl", "daemon-reload"])
        host.run(["systemctl", "reset-failed", unit])
        host.wait_for(lambda: _container_is_there(name, supervisor), CONTAINER_REMOVAL_SECONDS)
    elif act_name == "define":
        # A daemon-reload can take GPUs from running containers: only when this unit's own file is newer.
        if unit_properties(name).get("NeedDaemonReload") != "no" or not _is_loaded(unit):
            host.must(["systemctl", "daemon-reload"])
    elif act_name == "enable":
        host.must(["systemctl", "enable", unit])
    elif act_name == "reload":
        _reload(name)
    else:
        # Its exit status is left aside: whether it came up is for wait_until_healthy, which can show the log.
        host.run(["systemctl", "reset-failed", unit])
        host.run(["systemctl", act_name, unit])


def _reload(name: str) -> None:
    """Have a unit take up its files; it stays active where it does not.

    Raises:
        NotTaken: with what it wrote itself, beside which others log on its behalf.
    """
    done = host.run(["systemctl", "reload", unit_of(name)])
    if done.rc == 0:
        return
    host.run(["journalctl", "--sync"])
    own = ["journalctl", "-u", unit_of(name), "_TRANSPORT=stdout", "-n", str(RELOAD_LINES), "--no-pager", "-o", "cat"]
    said = host.run(own).text or done.text
    raise NotTaken(f"{name} has refused its new files, and runs on with those before. Its last words:\n{said}")


def _container_is_there(name: str, supervisor: str) -> str | None:
    """Say so while the container that a unit ran under its own name is still being removed."""
    program = program_of(supervisor)
    if not program:
        return None
    shown = host.run([program, "container", "inspect", name])
    return "its container is there" if shown.rc == 0 else None


def _is_loaded(unit: str) -> bool:
    return host.run(["systemctl", "show", unit, "--property=LoadState", "--value"]).stdout.strip() == "loaded"


def wait_until_healthy(wanted: WantedService, health: Mapping[str, object]) -> None:
    """Wait for the supervisor's own word and for the health address.

    Raises:
        Unhealthy: with what is missing and the last log lines.
    """
    timeout = float(str(health.get("timeout") or 60))
    restarts_before = _restarts(wanted)

    def missing() -> str | None:
        if _restarts(wanted) - restarts_before >= RESTARTS_THAT_MEAN_FAILURE:
            raise Unhealthy(f"{wanted.name} ends again and again. Its last log lines:\n{logs(wanted)}")
        url = health.get("url")
        word = _supervisor_word(wanted, is_asked=bool(url))
        if word or not url:
            return word
        answer = host.http(str(url), timeout=5, direct=True)
        if answer.status == int(str(health.get("status") or 200)):
            return None
        return f"{url} answered {answer.status or answer.error}, wanted {health.get('status') or 200}"

    last = host.wait_for(missing, timeout)
    if last is not None:
        raise Unhealthy(
            f"{wanted.name} is not healthy after {timeout:.0f} s: {last}. Its last log lines:\n{logs(wanted)}"
        )


def _holds(health: Mapping[str, object]) -> bool:
    """Whether a service's answer has the text that is wanted in it; so it has where none is wanted."""
    wanted = str(health.get("holds") or "")
    return not wanted or wanted.encode() in host.http(str(health.get("url")), timeout=5, direct=True).body


def _supervisor_word(wanted: WantedService, is_asked: bool) -> str | None:
    """Return what is missing by the supervisor's own state, or None.

    Args:
        is_asked: whether the service itself is asked too, which Docker does for the first time after half a minute.

    Raises:
        Unhealthy: it has failed for good, so waiting is of no use.
    """
    if wanted.supervisor != COMPOSE:
        unit = unit_properties(wanted.name)
        if unit.get("ActiveState") == "failed":
            raise Unhealthy(f"{wanted.name} has failed ({unit.get('Result')}). Its last log lines:\n{logs(wanted)}")
        if unit.get("Result") == "exec-condition":
            raise Unhealthy(
                f"{wanted.name} has not run, for the condition in its unit does not hold; "
                f"look at ExecCondition in `systemctl cat {unit_of(wanted.name)}`"
            )
        state = unit.get("ActiveState", "unknown")
        return None if state == "active" or _has_done_its_work(unit) else f"the unit is {state}"
    return _containers_word(containers_of(wanted.name), is_asked)


def _restarts(wanted: WantedService) -> int:
    """Return how often the supervisor has started the service again by itself."""
    if wanted.supervisor != COMPOSE:
        return int(unit_properties(wanted.name).get("NRestarts") or 0)
    return sum(int(str(container["RestartCount"])) for container in containers_of(wanted.name))


def _containers_word(containers: Sequence[Mapping[str, object]], is_asked: bool) -> str | None:
    waits_for = ("unhealthy",) if is_asked else ("starting", "unhealthy")
    if not containers:
        return "it has no containers"
    for container in containers:
        state: dict[str, object] = container["State"]  # type: ignore[assignment]
        name = str(container["Name"]).lstrip("/")
        if not state["Running"]:
            return f"{name} is {state['Status']}"
        health = state.get("Health")
        if isinstance(health, dict) and health.get("Status") in waits_for:
            return f"{name} is {health['Status']}"
    return None


def logs(wanted: WantedService) -> str:
    """Return the last lines of a service's log, without a terminal's control codes."""
    if wanted.supervisor != COMPOSE:
        command = ["journalctl", "-u", unit_of(wanted.name), "-n", str(LOG_LINES), "--no-pager", "-o", "cat"]
    else:
        command = ["docker", "compose", "--project-name", wanted.name, "logs", "--no-color", "--no-log-prefix"]
        command += ["--tail", str(LOG_LINES)]
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", host.run(command).text)
