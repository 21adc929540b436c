# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving the services from one supervisor to the other."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from running import ROOT, Stack, wait

LEFT_BY_SYSTEMD = (
    "cd /etc/systemd/system && ls gpuchat-vllm-gpuchat-demo.service gpuchat-open-webui.service 2>/dev/null"
)
CONTAINERS = {"engine": "gpuchat-vllm-gpuchat-demo", "interface": "gpuchat-open-webui"}
ENGINE = CONTAINERS["engine"]
PODMAN_HOST = json.dumps({"gpuchat_supervisor": "{{ 'quadlet' if inventory_hostname in groups.gpu else 'compose' }}"})
VENV = ROOT / "tests" / "stack" / "venv"
VENV_HOST = json.dumps(
    {
        "gpuchat_supervisor": "{{ 'venv' if inventory_hostname in groups.gpu else 'compose' }}",
        "uv_index_url": "http://wheels.world/simple",
        "uv_trusted_hosts": ["wheels.world"],
        "uv_torch_backend": "none",
        "uv_python": "/usr/bin/python3.11",
        "vllm_cpu_index_url": "",
    }
)
WITHIN_SECONDS = 90
"""A minute, and what a busy machine of two cores makes of it."""

PROJECTS = "docker ps --filter label=com.docker.compose.project --format '{{.Names}}' | sort"


def test_units_are_confined_by_their_containers_and_edge_and_door_by_their_units(stack: Stack) -> None:
    wanted = "'{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.Config.User}}'"
    for part, name in CONTAINERS.items():
        assert stack.on(part, f"docker inspect {name} --format {wanted}").startswith("true [ALL] 6998")
    for part, unit in (("edge", "gpuchat-edge"), ("engine", "gpuchat-door")):
        said = stack.on(part, f"systemd-analyze security {unit}.service --no-pager | tail -1")
        assert float(re.findall(rf"{unit}.service: ([0-9.]+)", said)[0]) < 4.0, said


@pytest.mark.long
def test_a_move_to_compose_leaves_nothing_of_the_units_behind(stack: Stack) -> None:
    stack.must_play("-e", "gpuchat_supervisor=compose")
    for part, name in CONTAINERS.items():
        assert stack.on(part, PROJECTS).split() == [name]
        assert stack.on(part, LEFT_BY_SYSTEMD, check=False) == ""
        assert stack.on(part, f"systemctl list-units --all --plain --no-legend '{name}*'") == ""


@pytest.mark.long
def test_a_move_to_podman_leaves_nothing_of_the_project_behind(stack: Stack) -> None:
    stack.must_play("-e", PODMAN_HOST)  # and the verification has had an answer from there
    assert stack.on("engine", "docker ps --all --format '{{.Names}}'").strip() == ""
    assert stack.on("engine", "ls /etc/gpuchat/*/compose.yml", check=False) == ""
    assert stack.on("engine", "podman ps --format '{{.Names}}' 2>/dev/null").split() == [ENGINE]
    wanted = "'{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.NetworkMode}} {{.Config.User}} {{.EffectiveCaps}}'"
    assert stack.on("engine", f"podman inspect {ENGINE} --format {wanted} 2>/dev/null").startswith("true none 6998")
    assert "changed=0" in stack.must_play("-e", PODMAN_HOST, "--tags", "docker,podman,vllm,watchdog")


@pytest.mark.long
def test_the_watchdog_starts_a_hung_engine_of_podman_anew(stack: Stack) -> None:
    def container() -> str:
        return stack.on("engine", f"podman inspect {ENGINE} --format '{{{{.Id}}}}' 2>/dev/null", check=False).strip()

    before = container()
    stack.on("engine", "kill -STOP $(pgrep -f '[V]LLM::EngineCore')")
    wait(lambda: container() not in {"", before}, WITHIN_SECONDS, "the watchdog")
    stack.wait_for_answer()


@pytest.fixture
def wheels(stack: Stack) -> None:
    """Serve what a virtual environment is made of, and bring the Python for it to the engine's host."""
    subprocess.run([sys.executable, VENV / "wheels.py", str(stack.world["name"])], check=True)
    stack.on("engine", (VENV / "python.sh").read_text())


@pytest.mark.long
@pytest.mark.usefixtures("wheels")
def test_a_move_to_a_virtual_environment_leaves_no_container_behind(stack: Stack) -> None:
    stack.must_play("-e", VENV_HOST)  # and the verification has had an answer from there
    assert stack.on("engine", "ls /etc/containers/systemd/*.container", check=False) == ""
    assert stack.on("engine", "podman ps --all --quiet 2>/dev/null").strip() == ""
    wanted = ("User=6998", "PrivateNetwork=yes", "ProtectSystem=strict", "NoNewPrivileges=yes", "ActiveState=active")
    names = ",".join(one.partition("=")[0] for one in wanted)
    shown = stack.on("engine", f"systemctl show {ENGINE} -p {names}")
    assert [one for one in wanted if one not in shown] == []
    assert "changed=0" in stack.must_play("-e", VENV_HOST, "--tags", "docker,podman,uv,vllm,watchdog")


@pytest.mark.long
def test_the_watchdog_starts_a_hung_engine_of_a_virtual_environment_anew(stack: Stack) -> None:
    def process() -> str:
        return stack.on("engine", f"systemctl show {ENGINE} -p MainPID --value").strip()

    before = process()
    stack.on("engine", "kill -STOP $(pgrep -f '[V]LLM::EngineCore')")
    wait(lambda: process() not in {"0", before}, WITHIN_SECONDS, "the watchdog")
    stack.wait_for_answer()


@pytest.mark.long
def test_a_move_back_leaves_nothing_of_the_projects_behind(stack: Stack) -> None:
    stack.must_play()
    assert stack.on("engine", "ls /etc/containers/systemd/*.container", check=False) == ""
    assert stack.on("engine", "podman ps --all --quiet 2>/dev/null").strip() == ""
    for part, name in CONTAINERS.items():
        assert stack.on(part, PROJECTS) == ""
        assert stack.on(part, "ls /etc/gpuchat/*/compose.yml", check=False) == ""
        assert stack.on(part, f"systemctl is-active {name}").strip() == "active"
    assert "changed=0" in stack.must_play()
