# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers were given GPUs, which lost them, and what a trial container must see."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu import (
    containers_runner,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu.containers import (
    COUNT,
    LOST,
    check_count,
    containers_with_gpus,
)

PARAMS = {"image": "docker.io/library/debian:trixie-slim", "gpus": 2, "runtime": "nvidia"}


def inspected(requests=None, runtime="runc", environment=()):
    return {
        "Id": "c0ffee",
        "Name": "/engine",
        "Config": {"Env": list(environment)},
        "HostConfig": {"DeviceRequests": requests, "Runtime": runtime},
    }


@pytest.mark.parametrize(
    ("container", "given"),
    [
        (inspected(), False),
        (inspected([{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]]}]), True),
        (inspected([{"Driver": "nvidia", "Count": 0, "DeviceIDs": ["1"], "Capabilities": [["gpu"]]}]), True),
        (inspected([{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}]), True),
        (inspected([{"Driver": "cdi", "DeviceIDs": ["vendor.example/net=0"]}]), False),
        (inspected([{"Driver": "", "Capabilities": [["tpu"]]}]), False),
        (inspected(runtime="nvidia"), False),
        (inspected(runtime="nvidia", environment=["NVIDIA_VISIBLE_DEVICES=all"]), True),
        (inspected(runtime="nvidia", environment=["NVIDIA_VISIBLE_DEVICES=void"]), False),
        (inspected(runtime="runc", environment=["NVIDIA_VISIBLE_DEVICES=all"]), False),
        ({"Id": "half"}, False),
    ],
)
def test_a_container_was_given_gpus_by_request_by_cdi_or_by_runtime(container, given):
    assert bool(containers_with_gpus([container], "nvidia")) is given


@pytest.fixture
def one_with_gpus(commands):
    commands.answer("docker ps", stdout="c0ffee\n")
    commands.answer("docker inspect", stdout=json.dumps([inspected([{"Driver": "nvidia", "Capabilities": [["gpu"]]}])]))
    commands.answer("docker run", stdout="2\n")
    return commands


def test_a_container_that_lost_its_gpus_is_restarted(one_with_gpus):
    one_with_gpus.answer("docker exec", rc=LOST)
    result = containers_runner.ensure(PARAMS, check=False)
    assert result["changed"]
    assert one_with_gpus.that("restart") == ["docker restart c0ffee"]
    assert [(one["before"], one["after"]) for one in result["diff"]] == [("has lost its GPUs\n", "restarted\n")]


@pytest.mark.parametrize("status", [0, 1, 126, 127])
def test_a_container_that_can_open_them_or_cannot_be_looked_into_is_left_alone(one_with_gpus, status):
    one_with_gpus.answer("docker exec", rc=status)
    assert not containers_runner.ensure(PARAMS, check=False)["changed"]
    assert one_with_gpus.that("restart") == []


def test_check_mode_predicts_the_restart_and_starts_nothing(one_with_gpus):
    one_with_gpus.answer("docker exec", rc=LOST)
    result = containers_runner.ensure(PARAMS, check=True)
    assert result["changed"]
    assert result["not_predicted"]
    assert one_with_gpus.that("restart", "run") == []


def test_a_host_without_docker_is_no_error_in_check_mode(commands):
    commands.answer("docker", rc=127, stderr="docker: not found")
    assert not containers_runner.ensure(PARAMS, check=True)["changed"]


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (0, "1\n", "sees 1 GPUs; the host has 2"),
        (0, "", "sees 0 GPUs; the host has 2"),
        (LOST, "", "may not open them"),
        (125, 'could not select device driver "" with capabilities: [[gpu]]', "could not select device driver"),
    ],
)
def test_a_trial_that_does_not_see_all_gpus_is_refused(status, said, words):
    with pytest.raises(Refusal, match=words.replace("[", r"\[")):
        check_count(status, said, 2, "image")


def test_a_trial_that_sees_them_all_is_accepted():
    check_count(0, "2\n", 2, "image")


@pytest.mark.parametrize(
    ("devices", "status", "said"),
    [
        (["nvidiactl", "nvidia0"], 0, "1\n"),
        (["nvidiactl", "nvidia0", "nvidia1", "nvidia10"], 0, "3\n"),
        (["nvidiactl"], LOST, ""),
        (["nvidia0"], LOST, ""),
        ([], LOST, ""),
    ],
)
def test_the_probe_counts_the_devices_that_it_can_open(tmp_path, devices, status, said):
    for name in devices:
        os.symlink("/dev/null", tmp_path / name)
    done = subprocess.run(
        ["sh", "-c", COUNT.replace("/dev/nvidia", f"{tmp_path}/nvidia")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (status, said)


@pytest.mark.parametrize(
    ("said", "cause", "cure"),
    [
        (
            "nvidia-container-cli: initialization error: nvml error: driver not loaded",
            "is not loaded",
            "modprobe nvidia",
        ),
        (
            "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9, please update your driver",
            "wants a newer driver",
            "nvidia_container_toolkit_trial_image",
        ),
        ("unknown or invalid runtime name: nvidia", "NVIDIA's runtime", "systemctl restart docker"),
        ('exec: "nvidia-container-runtime": executable file not found in $PATH', "NVIDIA's runtime", "restart docker"),
        (
            'failed to stat CDI host device "/dev/nvidia-uvm": no such file or directory',
            "names devices that are not there",
            "nvidia-modprobe -u -c=0",
        ),
        ("write /var/lib/docker/tmp/x: no space left on device", "disk of Docker is full", "docker system df"),
        (
            "nvidia-container-cli: ldcache error: open failed: /sbin/ldconfig.real: no such file or directory",
            "ldconfig",
            "nvidia-ctk config --in-place --set=nvidia-container-cli.ldconfig",
        ),
        ("net/http: TLS handshake timeout", "cannot be pulled", "gpuchat_registry_map"),
        (
            "lookup registry-1.docker.io on 127.0.0.53:53: server misbehaving",
            "cannot be pulled",
            "gpuchat_registry_map",
        ),
        ("request canceled (Client.Timeout exceeded while awaiting headers)", "cannot be pulled", "trial_image"),
        ("denied: requested access to the resource is denied", "cannot be pulled", "trial_image"),
        ("http: server gave HTTP response to HTTPS client", "cannot be pulled", "gpuchat_insecure_registries"),
        ("permission denied while trying to connect to the Docker daemon socket", "may not speak to Docker", "become"),
        (
            'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]]',
            "Docker has not found NVIDIA's container toolkit",
            "systemctl restart docker",
        ),
        (
            "docker: Error response from daemon: failed to discover GPU vendor from CDI: no known GPU vendor found",
            "Docker finds no GPU in the CDI specification",
            "systemctl restart nvidia-cdi-refresh",
        ),
        (
            "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all",
            "Docker finds no GPU in the CDI specification",
            "nvidia-ctk cdi list",
        ),
        (
            "Unable to find image 'x' locally\ndocker: Error response from daemon: pull access denied for x",
            "its image cannot be pulled",
            "set nvidia_container_toolkit_trial_image",
        ),
        (
            'docker: Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host',
            "its image cannot be pulled",
            "gpuchat_registry_map",
        ),
        (
            "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct",
            "Docker does not run",
            "systemctl status docker",
        ),
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "Docker does not run",
            "systemctl status docker",
        ),
        (
            'runc create failed: unable to start container process: exec: "/bin/sh": stat /bin/sh: no such file',
            "its image has no shell",
            "set nvidia_container_toolkit_trial_image",
        ),
        (
            "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown",
            "of two versions",
            "restart the host",
        ),
        (
            "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open",
            "the driver's libraries are not on the host",
            "install the whole driver",
        ),
        (
            "nvidia-container-cli: mount error: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted",
            "devices cannot be given by cgroups here",
            "set nvidia_container_toolkit_cdi to false",
        ),
        (
            "nvidia-container-cli: initialization error: nvml error: insufficient permissions: unknown",
            "may not use the GPUs' devices",
            "ls -l /dev/nvidia*",
        ),
        ("nvidia-container-cli: device error: 7: unknown device: unknown", "a GPU that is not there", "nvidia-smi -L"),
        (
            'error gathering device information while adding custom device "/dev/nvidia-modeset": no such file',
            "devices that are not there",
            "nvidia-modprobe -u -c=0",
        ),
        (
            'Get "https://registry-1.docker.io/v2/": Proxy Authentication Required',
            "a proxy wants a name and a password",
            "gpuchat_proxy",
        ),
        *(
            (said, "cannot be pulled, for its registry is not reached", "gpuchat_registry_map")
            for said in (
                'Get "https://registry-1.docker.io/v2/": context deadline exceeded',
                "received unexpected HTTP status: 503 Service Unavailable",
                "read tcp 10.0.0.5:51544->3.94.224.37:443: read: connection reset by peer",
                "unexpected EOF",
            )
        ),
        (
            "failed to set up container networking: driver failed programming external connectivity: iptables failed",
            "cannot set up a container's network",
            "systemctl restart docker",
        ),
        *(
            (said, "names files of a driver or toolkit that was here before", "systemctl restart nvidia-cdi-refresh")
            for said in (
                "error running createContainer hook #0: fork/exec /usr/bin/nvidia-ctk: no such file or directory",
                'error mounting "/usr/lib/firmware/nvidia/580.82/gsp.bin" to rootfs at "/x": no such file or directory',
                "crun: cannot stat `/usr/lib/x86_64-linux-gnu/libEGL_nvidia.so.580.82.07`: No such file or directory",
            )
        ),
        (
            "nvidia-container-cli: mount error: stat failed: /dev/nvidia-modeset: no such file or directory: unknown",
            "devices that are not there",
            "nvidia-modprobe -u -c=0",
        ),
        (
            "invoking the NVIDIA Container Runtime Hook directly (e.g. specifying the docker --gpus flag)",
            "a mode in which Docker's --gpus does not work",
            "--set=nvidia-container-runtime.mode=auto",
        ),
        (
            "error: insufficient privileges to read device list from NVIDIA_VISIBLE_DEVICES envvar",
            "forbid that a container asks for GPUs by its environment",
            "accept-nvidia-visible-devices-envvar-when-unprivileged=true",
        ),
        ("nvidia-container-cli: detection error: nvml error: gpu is lost", "a GPU does not answer", "dmesg"),
        ("nvidia-container-cli: initialization error: driver rpc error: timed out", "a GPU does not answer", "dmesg"),
        (
            "nvidia-container-cli: initialization error: WSL environment detected but no adapters were found",
            "Windows lends no GPU to this WSL2",
            "wsl --shutdown",
        ),
        (
            'error getting credentials - err: exec: "docker-credential-desktop": executable file not found in $PATH',
            "a program for logins that is not here",
            "/root/.docker/config.json",
        ),
        (
            "unable to apply apparmor profile: apparmor failed to apply profile: write /proc/self/attr/exec: no such",
            "does not let Docker confine its containers",
            "in an LXC container allow nesting",
        ),
        (
            "error loading seccomp filter into kernel: error loading seccomp filter: operation not supported",
            "does not let Docker confine its containers",
            "systemctl restart apparmor",
        ),
        ("cgroups: cgroup mountpoint does not exist: unknown.", "not those that Docker", "cgroup v2"),
        ('Get "https://registry-1.docker.io/v2/": EOF', "its registry is not reached", "gpuchat_registry_map"),
        (
            "unexpected status from HEAD request to https://mirror/v2/library/debian/manifests/x: 502 Bad Gateway",
            "its registry is not reached",
            "gpuchat_registry_map",
        ),
        (
            "unexpected status from HEAD request to https://mirror/v2/library/debian/manifests/x: 403 Forbidden",
            "its image cannot be pulled (",
            "gpuchat_registry_map",
        ),
        ("error creating overlay mount to /x: invalid argument", "cannot be unpacked", "docker_data_root"),
        (
            "mount error: file creation failed: /x/merged/usr/lib/libnvidia-ml.so.1: file exists: unknown",
            "holds files of a driver already",
            "nvidia_container_toolkit_trial_image",
        ),
        ("no end after 900 s", "has not ended in time", "nvidia-smi"),
        ("exec /bin/sh: operation not permitted", "no shell that runs here", "trial_image"),
        ("something new", "of a cause that is not known", "journalctl -u docker"),
    ],
)
def test_each_failure_of_the_trial_container_has_its_own_cause_and_cure(one_with_gpus, said, cause, cure):
    one_with_gpus.answer("docker run", rc=125, stderr=said)
    with pytest.raises(Refusal) as refused:
        containers_runner.ensure(PARAMS, check=False)
    assert cause in str(refused.value)
    assert cure in str(refused.value)
    assert said in str(refused.value)
