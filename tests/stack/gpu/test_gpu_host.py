# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GPU container host, with the stand-ins of NVIDIA's driver and toolkit, and real Docker."""

from __future__ import annotations

import json

import pytest
from running import Stack

HOSTS = "playbooks/hosts.yml"
DAEMON = "/etc/docker/daemon.json"
COUNT = "sh -c 'set -- /dev/nvidia[0-9]*; echo $#'"
PINNED = ("libnvidia-container-tools", "libnvidia-container1", "nvidia-container-toolkit")


def image(stack: Stack) -> str:
    """The trial's image, as it was pulled."""
    return stack.on("server", "docker images --digests --format '{{.Repository}}@{{.Digest}}'").split()[0]


def docker_started(stack: Stack) -> str:
    return stack.on("server", "systemctl show docker --property=ExecMainStartTimestampMonotonic --value")


def versions(stack: Stack) -> set[str]:
    shown = stack.on("server", f"dpkg-query --show --showformat '${{Version}}\\n' {' '.join(PINNED)}")
    return set(shown.split())


def test_the_driver_is_installed_and_held(stack: Stack) -> None:
    assert "nvidia-open" in stack.on("server", "apt-mark showhold")


def test_nvml_is_read_in_the_toolbox(stack: Stack) -> None:
    stack.must_play(playbook="tests/stack/gpu/look.yml")
    found = json.loads(stack.on("server", "cat /root/gpus.json"))
    assert (found["source"], found["state"], found["driver_version"]) == ("nvml", "ok", "580.95.05")
    assert [gpu["compute_capability"] for gpu in found["gpus"]] == ["8.9", "8.9"]


def test_docker_knows_the_runtime_and_does_not_use_it_by_default(stack: Stack) -> None:
    described = json.loads(stack.on("server", "docker info --format '{{json .}}'"))
    assert described["Runtimes"]["nvidia"]["path"] == "nvidia-container-runtime"
    assert described["DefaultRuntime"] == "runc"


@pytest.mark.parametrize(
    ("options", "gpus"),
    [
        ("--gpus all", "2"),
        ("--gpus device=1", "1"),
        ("--runtime nvidia", "1"),  # none: the pattern itself
        ("--device nvidia.com/gpu=all", "2"),
        ("--device nvidia.com/gpu=0", "1"),
    ],
)
def test_a_container_starts_with_the_gpus_that_it_was_given(stack: Stack, options: str, gpus: str) -> None:
    assert stack.on("server", f"docker run --rm --network none {options} {image(stack)} {COUNT}").strip() == gpus


@pytest.mark.long
def test_a_container_that_lost_its_gpus_is_restarted_and_others_are_not(stack: Stack) -> None:
    for name, options in (("loser", "--gpus all"), ("keeper", "--gpus all"), ("plain", "")):
        stack.on(
            "server", f"docker run --detach --network none --name {name} --init {options} {image(stack)} sleep 3600"
        )
    try:
        # A device that the container's cgroup does not allow: what is left after `systemctl daemon-reload`.
        pid = stack.on("server", "docker inspect --format '{{.State.Pid}}' loser").strip()
        device = "/dev/nvidia0"
        stack.on("server", f"nsenter --target {pid} --mount sh -c 'rm {device} && mknod -m 666 {device} c 195 0'")
        before = stack.on("server", "docker inspect --format '{{.State.StartedAt}}' keeper plain")
        predicted = stack.must_play("--check", "--diff", playbook=HOSTS)
        assert "container loser" in predicted
        assert "has lost its GPUs" in predicted
        assert "restart loser" in stack.must_play("-vv", playbook=HOSTS)
        assert stack.on("server", "docker exec loser sh -c ': </dev/nvidia0 && echo opened'").strip() == "opened"
        assert stack.on("server", "docker inspect --format '{{.State.StartedAt}}' keeper plain") == before
    finally:
        stack.on("server", "docker rm --force loser keeper plain")


@pytest.mark.long
def test_the_pinned_version_moves_all_four_packages_and_leaves_docker_running(stack: Stack) -> None:
    started = docker_started(stack)
    stack.must_play("-e", "nvidia_container_toolkit_version=1.19.0-1", playbook=HOSTS)
    assert versions(stack) == {"1.19.0-1"}
    stack.must_play(playbook=HOSTS)
    assert versions(stack) == {"1.20.0-1"}
    assert docker_started(stack) == started


def test_removal_gives_daemon_json_back_and_the_next_run_restores_the_runtime(stack: Stack) -> None:
    with_runtime = stack.on("server", f"cat {DAEMON}")
    stack.must_play("-e", "nvidia_container_toolkit_state=absent", playbook=HOSTS)
    without = json.loads(stack.on("server", f"cat {DAEMON}"))
    expected = json.loads(with_runtime)
    del expected["runtimes"], expected["features"]
    assert without == expected
    assert "nvidia" not in json.loads(stack.on("server", "docker info --format '{{json .Runtimes}}'"))
    assert stack.on("server", f"dpkg-query --show {PINNED[2]} 2>/dev/null; true").split()[1:] == []
    assert "changed=0" in stack.must_play("-e", "nvidia_container_toolkit_state=absent", playbook=HOSTS)
    stack.must_play(playbook=HOSTS)
    assert stack.on("server", f"cat {DAEMON}") == with_runtime


@pytest.mark.long
def test_somebody_elses_key_in_daemon_json_outlives_removal_and_return(stack: Stack) -> None:
    add = f"""python3 - <<'PYTHON'
import json
with open("{DAEMON}") as file:
    settings = json.load(file)
settings["max-concurrent-downloads"] = 2
settings.setdefault("features", {{}})["containerd-snapshotter"] = False
with open("{DAEMON}", "w") as file:
    json.dump(settings, file)
PYTHON"""
    stack.on("server", add)
    for state in ("absent", "present"):
        stack.must_play("-e", f"nvidia_container_toolkit_state={state}", playbook=HOSTS)
        settings = json.loads(stack.on("server", f"cat {DAEMON}"))
        assert settings["max-concurrent-downloads"] == 2
        assert settings["features"]["containerd-snapshotter"] is False
        assert ("nvidia" in settings.get("runtimes", {})) is (state == "present")


def test_a_gpu_that_has_fallen_off_the_bus_is_reported_with_the_hint(stack: Stack) -> None:
    answers = "/usr/share/nvidia-stand-in/answers"
    stack.on("server", f"cp {answers} /root/answers && echo 'nvmlDeviceGetHandleByIndex 1 !15' >>{answers}")
    try:
        done = stack.play(playbook=HOSTS)
    finally:
        stack.on("server", f"mv /root/answers {answers}")
    assert done.returncode != 0
    assert "wanted GPUs that answer" in done.stdout
    assert "GPU 1" in done.stdout


def test_the_host_comes_back_with_its_gpus_after_a_restart(stack: Stack) -> None:
    stack.restart("server")
    stack.on("server", "systemctl is-system-running --wait; true")
    assert "changed=0" in stack.must_play(playbook=HOSTS)
    assert stack.on("server", f"docker run --rm --network none --gpus all {image(stack)} {COUNT}").strip() == "2"
