# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers and the host's GPUs: which containers were given some, which have lost them, and what that means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.change import Difference, Plan
from ..core.errors import Refusal

CDI_KIND = "nvidia.com/gpu"
LOST = 42
"""Exit status by which the probe says that a GPU cannot be opened; others mean that it could not look."""

PROBE = f"""
for device in /dev/nvidiactl /dev/nvidia[0-9]*; do
    {{ true <"$device"; }} 2>/dev/null || exit {LOST}
done
"""
"""Opens each GPU's device, as a driver call would: a container whose cgroup was reset still sees the file."""

COUNT = PROBE + "set -- /dev/nvidia[0-9]*; echo $#"
"""The probe, then the number of GPUs."""


@dataclass(frozen=True)
class Container:
    """A running container that was given GPUs."""

    id: str
    name: str


@dataclass(frozen=True)
class Restart:
    """Restart a container, so that it gets its GPUs anew."""

    container: Container


def containers_with_gpus(inspected: Sequence[Mapping[str, object]], runtime: str) -> tuple[Container, ...]:
    """Return the containers that were given GPUs.

    Args:
        inspected: what ``docker inspect`` says of the running containers.
        runtime: name of NVIDIA's runtime.
    """
    found = []
    for one in inspected:
        host_config = one.get("HostConfig")
        config = one.get("Config")
        if not isinstance(host_config, Mapping) or not isinstance(config, Mapping):
            continue
        requests = host_config.get("DeviceRequests") or ()
        by_request = any(_asks_for_gpus(request) for request in requests)
        environment = dict(str(word).partition("=")[::2] for word in config.get("Env") or ())
        visible = environment.get("NVIDIA_VISIBLE_DEVICES", "void")
        by_runtime = host_config.get("Runtime") == runtime and visible not in ("", "void", "none")
        if by_request or by_runtime:
            found.append(Container(str(one["Id"]), str(one.get("Name", "")).lstrip("/")))
    return tuple(found)


def _asks_for_gpus(request: object) -> bool:
    if not isinstance(request, Mapping):
        return False
    if request.get("Driver") == "cdi":
        return any(str(name).startswith(CDI_KIND) for name in request.get("DeviceIDs") or ())
    kinds = {str(kind) for group in request.get("Capabilities") or () for kind in group}
    return request.get("Driver") == "nvidia" or "gpu" in kinds


def plan_restarts(lost: Sequence[Container]) -> Plan:
    """Decide what becomes of containers that lost their GPUs, as ``systemctl daemon-reload`` can do to them."""
    differences = tuple(
        Difference(f"container {container.name}", "has lost its GPUs\n", "restarted\n") for container in lost
    )
    names = ", ".join(container.name for container in lost)
    reason = f"restart {names}, which lost their GPUs" if lost else "no container has lost its GPUs"
    return Plan(differences, tuple(map(Restart, lost)), reason)


IMAGE = "set nvidia_container_toolkit_trial_image to an image with a shell, in a registry that this host reaches"
CAUSES = (
    (
        r"permission denied while trying to connect to the Docker",
        "this user may not speak to Docker",
        "run as root (become: true)",
    ),
    (
        r"unknown or invalid runtime name|nvidia-container-runtime\S* executable file not found",
        "Docker does not know NVIDIA's runtime, or finds no program for it",
        "see that nvidia-container-runtime is there, run `systemctl restart docker`, and run again",
    ),
    (
        r"no space left on device|disk quota exceeded",
        "the disk of Docker is full",
        "free some: look at `docker system df`",
    ),
    (
        r"driver not loaded|couldn't communicate with the NVIDIA driver",
        "the driver's kernel module is not loaded",
        "look at `dkms status` and `modprobe nvidia`, and run again",
    ),
    (
        r"unsatisfied condition",
        "its image wants a newer driver or another GPU than this host has",
        f"{IMAGE}, or install a newer driver",
    ),
    (
        r"nvml error: insufficient permissions",
        "it may not use the GPUs' devices",
        "look at `ls -l /dev/nvidia*`, and see that this machine was given the GPUs where it is a virtual one",
    ),
    (
        r"device error: \S+ unknown device",
        "it asks for a GPU that is not there",
        "look at `nvidia-smi -L`: a GPU may have fallen off the bus",
    ),
    (
        (
            r"failed to stat CDI host device|error gathering device information while adding custom device"
            r"|stat failed: /dev/nvidia"
        ),
        "the CDI specification or a request names devices that are not there",
        "run `nvidia-modprobe -u -c=0` and `systemctl restart nvidia-cdi-refresh`, and run again",
    ),
    (
        (
            r"(?:nvidia-ctk|nvidia-cdi-hook)\S*: no such file"
            r"|(?:error mounting|cannot stat|open|lstat) \S?/usr/\S*.*[Nn]o such file"
        ),
        "the CDI specification names files of a driver or toolkit that was here before",
        "run `systemctl restart nvidia-cdi-refresh`, remove what else describes GPUs in /etc/cdi, and run again",
    ),
    (
        r"invoking the NVIDIA Container Runtime Hook directly",
        "the toolkit's settings name a mode in which Docker's --gpus does not work",
        "run `nvidia-ctk config --in-place --set=nvidia-container-runtime.mode=auto`, and run again",
    ),
    (
        r"insufficient privileges to read device list",
        "the toolkit's settings forbid that a container asks for GPUs by its environment",
        "run `nvidia-ctk config --in-place --set=accept-nvidia-visible-devices-envvar-when-unprivileged=true`",
    ),
    (
        r"nvml error: gpu is lost|detection error: nvml error|driver rpc error|driver error: timed out",
        "a GPU does not answer",
        "look for NVRM and Xid with `dmesg`, and restart the host",
    ),
    (
        r"no adapters were found|WSL environment detected",
        "Windows lends no GPU to this WSL2",
        "see that `/usr/lib/wsl/lib/nvidia-smi` works; install NVIDIA's driver in Windows, run `wsl --shutdown` there",
    ),
    (
        r"error getting credentials|docker-credential-",
        "its image cannot be pulled, for root's Docker configuration names a program for logins that is not here",
        "take credsStore and credHelpers out of /root/.docker/config.json, and run again",
    ),
    (
        r"apparmor|seccomp|cannot set up namespace|setting rlimits?",
        "the kernel, or a container around this host, does not let Docker confine its containers",
        "run `systemctl restart apparmor`, and in an LXC container allow nesting",
    ),
    (
        r"cgroup mountpoint does not exist|no cgroup (?:mount|filesystem)|cgroup subsystem devices not found",
        "the host's control groups are not those that Docker or the toolkit knows",
        "start the host with cgroup v2, as its release does, and upgrade Docker and the toolkit",
    ),
    (
        r"ldcache error|ldconfig",
        "the toolkit's settings name the ldconfig of another distribution",
        "run `nvidia-ctk config --in-place --set=nvidia-container-cli.ldconfig=@/sbin/ldconfig`, and run again",
    ),
    (
        r"HTTP response to HTTPS client",
        "its image cannot be pulled, for its registry speaks plain HTTP",
        "set gpuchat_insecure_registries to name that registry",
    ),
    (
        r"could not select device driver",
        "Docker has not found NVIDIA's container toolkit",
        "see that nvidia-container-runtime-hook is there, run `systemctl restart docker`, and run again",
    ),
    (
        r"no known GPU vendor found|failed to discover GPU vendor|unresolvable CDI devices|CDI device injection failed",
        "Docker finds no GPU in the CDI specification",
        "look at `nvidia-ctk cdi list`, run `systemctl restart nvidia-cdi-refresh`, and run again",
    ),
    (
        r"Cannot connect to the Docker daemon|Is the docker daemon running|failed to connect to the docker API",
        "Docker does not run",
        "look at `systemctl status docker`, and run again",
    ),
    (
        (
            r"access denied|resource is denied|manifest unknown|no matching manifest|toomanyrequests|unauthorized"
            r"|unexpected status from \w+ request to \S+: 40[13]"
        ),
        "its image cannot be pulled",
        f"{IMAGE}, or map its registry by gpuchat_registry_map",
    ),
    (
        r"Proxy Authentication Required",
        "its image cannot be pulled, for a proxy wants a name and a password",
        "set gpuchat_proxy to addresses that hold them",
    ),
    (
        r"failed to set up container networking|iptables failed",
        "Docker cannot set up a container's network: its rules of the packet filter may have been flushed",
        "run `systemctl restart docker`, and run again",
    ),
    (
        (
            r"dial tcp|x509|TLS handshake|Client\.Timeout|i/o timeout|no such host|server misbehaving|unexpected EOF"
            r"|unexpected HTTP status: 5|connection reset by peer|context deadline exceeded"
            r"|unexpected status (?:from \w+ request|code)|(?:Get|Head) \S*https?://\S+: EOF"
        ),
        "its image cannot be pulled, for its registry is not reached",
        f"{IMAGE}, or map its registry by gpuchat_registry_map",
    ),
    (
        r"failed to (?:register|extract) layer|error creating overlay mount|failed to mount /var/lib/containerd",
        "its image cannot be unpacked on the file system of Docker's images",
        "look at `docker info` (Storage Driver), and set docker_data_root to a folder on a disk of this host's own",
    ),
    (r"file creation failed: \S+: file exists", "its image holds files of a driver already", IMAGE),
    (
        r"no end after \d",
        "it has not ended in time: its image came too slowly, or a GPU does not answer",
        f"look at `nvidia-smi` on the host; else {IMAGE}",
    ),
    (
        r'exec: "/bin/sh"|exec format error|exec /bin/sh: ',
        "its image has no shell that runs here",
        IMAGE,
    ),
    (
        r"[Vv]ersion mismatch",
        "the loaded kernel module and the driver's libraries are of two versions",
        "restart the host: the driver was upgraded under a running kernel module",
    ),
    (
        r"libnvidia-ml\.so|libcuda\.so|load library failed",
        "the driver's libraries are not on the host",
        "install the whole driver, with its libraries, and look at `nvidia-smi` on the host",
    ),
    (
        r"bpf_prog_query|device filters attached to the cgroup|cgroup",
        "devices cannot be given by cgroups here, as in a container (LXC)",
        "set nvidia_container_toolkit_cdi to false, and no-cgroups = true in the toolkit's config.toml",
    ),
)
"""What a container with GPUs fails for: what Docker, libnvidia-container or runc say of it, what that means, and what
to do. Docker looks for the toolkit's hook when it starts."""


def cause_of(said: str) -> tuple[str, str]:
    """Return what a failed container's words mean, and what to do."""
    for pattern, cause, cure in CAUSES:
        if re.search(pattern, said):
            return cause, cure
    return "of a cause that is not known", "look at `nvidia-smi` and at `journalctl -u docker` on the host"


def check_count(status: int, said: str, wanted: int, image: str) -> None:
    """Refuse a container that does not see as many GPUs as the host has.

    Args:
        status: exit status of the trial container.
        said: what it printed, with what Docker said.
        wanted: number of GPUs of the host.

    Raises:
        Refusal: it did not start, or saw another number.
    """
    if status == LOST:
        raise Refusal(
            f"a container of {image} was given {wanted} GPUs and may not open them; wanted devices that it may use; "
            "look at `nvidia-ctk cdi list` and at the driver's log with `dmesg`"
        )
    if status != 0:
        cause, cure = cause_of(said)
        raise Refusal(
            f"no container with GPUs starts on this host, although it has {wanted}: {cause} ({said.strip()}); wanted "
            f"one of {image} that counts them; {cure}"
        )
    number = said.rsplit(maxsplit=1)[-1] if said.split() else "0"
    if number != str(wanted):
        raise Refusal(
            f"a container of {image} sees {number} GPUs; the host has {wanted}; "
            "run `nvidia-smi -L` on the host: a GPU may have fallen off the bus since the driver was loaded"
        )
