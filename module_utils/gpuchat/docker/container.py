# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container, described once, and written as a compose project, as a systemd unit, or as a Quadlet file of Podman's.

All run it alike: with a read-only root, no capabilities, and no new privileges.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..core.errors import Refusal
from .network import ON_HOST, Network

HEAD = "# Made by gpuchat; changes are lost in the next run.\n"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
STOP_MARGIN_SECONDS = 15
"""How much longer systemd waits than Docker or Podman does."""

QUADLETS = "/etc/containers/systemd"
CDI_GPU = "nvidia.com/gpu="

NOTED = "[X-Gpuchat]"
"""A section of a unit without a container that systemd leaves aside (systemd.unit(5)): where what it uses lies."""

NOTES = {"Model": "/model", "Cache": "/cache", "Run": "/run/vllm", "Key": "/run/secrets/vllm_api_key"}
"""Its keys for paths, each with the place where a container would have the same."""


@dataclass(frozen=True)
class Container:
    """What runs.

    Attributes:
        image: its reference by digest.
        user: user and group, as numbers (``69980:69980``).
        entrypoint: replaces the image's where it is not empty.
        volumes: as Docker takes them (``/host:/container:ro``).
        tmpfs: folders in memory, with their options.
        shm_size: size of /dev/shm (``16g``), or empty.
        network: the one that it is attached to.
        extra_hosts: addresses of names that its resolver would not find, or find elsewhere, by name.
        environment_file: where its environment lies, instead of in a unit, whose words everybody may read.
        gpus: ``all``, GPUs by comma, or empty for none.
        health_command: succeeds in the container when it is healthy.
        start_seconds: how long it may take to become healthy.
        stop_seconds: how long it may take to end.
    """

    name: str
    image: str
    user: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ("/tmp",)
    shm_size: str = ""
    network: Network = ON_HOST
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    environment_file: str = ""
    gpus: str = ""
    health_command: tuple[str, ...] = ()
    start_seconds: int = 60
    stop_seconds: int = 10

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise Refusal(
                f"found the name {self.name!r}; wanted lower-case letters, digits, - and _; set name to such a one"
            )
        wrong = [name for name in self.environment if not name or "=" in name or "\0" in name]
        if wrong:
            raise Refusal(
                f"found the variable {wrong[0]!r} in environment; wanted a name without =; set environment anew"
            )
        odd = [f"{name}: {address}" for name, address in self.extra_hosts.items() if not _is_host(name, address)]
        if odd:
            raise Refusal(
                f"found {odd[0]!r} in extra_hosts; wanted a host's name and its address; set extra_hosts anew"
            )


def _is_host(name: str, address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return HOST.fullmatch(name) is not None


def compose_path(folder: str) -> str:
    return f"{folder}/compose.yml"


def unit_path(name: str) -> str:
    return f"/etc/systemd/system/{name}.service"


def quadlet_path(name: str) -> str:
    return f"{QUADLETS}/{name}.container"


def compose_project(container: Container) -> str:
    """Return the container as a compose project of its own name (compose-spec, which reads JSON values too)."""
    service: dict[str, object] = {
        "container_name": container.name,
        "image": container.image,
        "restart": "always",
        **_compose_network(container.network),
        "user": container.user,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "init": True,
        "stop_grace_period": f"{container.stop_seconds}s",
        "logging": {"driver": "json-file", "options": {"max-size": "50m", "max-file": "3"}},
    }
    if container.entrypoint:
        service["entrypoint"] = list(container.entrypoint)
    if container.command:
        service["command"] = list(container.command)
    service["environment"] = dict(container.environment)
    service["volumes"] = list(container.volumes)
    service["tmpfs"] = list(container.tmpfs)
    if container.extra_hosts:
        service["extra_hosts"] = [f"{name}:{address}" for name, address in container.extra_hosts.items()]
    if container.shm_size:
        service["shm_size"] = container.shm_size
    if container.gpus:
        wanted = {"count": "all"} if container.gpus == "all" else {"device_ids": container.gpus.split(",")}
        device = {"driver": "nvidia", **wanted, "capabilities": ["gpu"]}
        service["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    if container.health_command:
        service["healthcheck"] = {
            "test": ["CMD", *container.health_command],
            "interval": "30s",
            "timeout": "10s",
            "retries": 3,
            "start_period": f"{container.start_seconds}s",
        }
    lines = [f"name: {_compose(container.name)}", "services:", f"  {container.name}:"]
    for key, value in service.items():
        if isinstance(value, dict) and key == "environment" and value:
            lines += [f"    {key}:", *(f"      {_compose(name)}: {_compose(word)}" for name, word in value.items())]
        else:
            lines.append(f"    {key}: {_compose(value)}")
    if container.network.is_ours:
        name = _compose(container.network.name)
        lines += ["networks:", f"  {name}: {_compose({'name': container.network.name, 'external': True})}"]
    return HEAD + "\n".join(lines) + "\n"


def _compose_network(network: Network) -> dict[str, object]:
    if network.is_ours:
        return {"networks": {network.name: {"ipv4_address": network.address}}}
    return {"network_mode": network.name}


def _compose(value: object) -> str:
    """Return a value as JSON; ``$`` is doubled, for Compose would put a variable in its place."""
    return json.dumps(value, ensure_ascii=False).replace("$", "$$")


def systemd_unit(container: Container) -> str:
    """Return the container as a systemd unit that runs ``docker run`` (systemd.service(5))."""
    docker = "/usr/bin/docker"
    words = [f"ExecStart={docker} run --rm --name {container.name}", "--log-driver none"]
    words += [f"--network {_systemd(container.network.name)}"]
    words += [f"--ip {container.network.address}"] if container.network.is_ours else []
    words += [f"--add-host {_systemd(f'{name}:{address}')}" for name, address in container.extra_hosts.items()]
    words += [f"--user {_systemd(container.user)}", "--read-only", "--cap-drop ALL"]
    words += ["--security-opt no-new-privileges:true", "--init"]
    if container.environment_file:
        words.append(f"--env-file {_systemd(container.environment_file)}")
    else:
        words += [f"--env {_systemd(f'{name}={value}')}" for name, value in container.environment.items()]
    words += [f"--volume {_systemd(volume)}" for volume in container.volumes]
    words += [f"--tmpfs {_systemd(folder)}" for folder in container.tmpfs]
    words += [f"--shm-size {_systemd(container.shm_size)}"] if container.shm_size else []
    if container.gpus:
        words.append(f"--gpus {_systemd('all' if container.gpus == 'all' else _devices(container.gpus))}")
    words += [f"--entrypoint {_systemd(container.entrypoint[0])}"] if container.entrypoint else []
    words.append(" ".join(map(_systemd, (container.image, *container.entrypoint[1:], *container.command))))
    start = " \\\n  ".join(words)
    return f"""{HEAD}[Unit]
Description={container.name}
Requires=docker.service
After=docker.service network-online.target
Wants=network-online.target
PartOf=docker.service
StartLimitIntervalSec=0

[Service]
Type=exec
Restart=always
RestartSec=2
TimeoutStartSec=300
TimeoutStopSec={container.stop_seconds + STOP_MARGIN_SECONDS}
ExecStartPre=-{docker} rm --force {container.name}
{start}
ExecStop={docker} stop --time {container.stop_seconds} {container.name}

[Install]
WantedBy=multi-user.target
"""


def quadlet(container: Container) -> str:
    """Return the container as a file of which Podman's generator makes a systemd unit (podman-systemd.unit(5), 5.0).

    Its unit has ``KillMode=mixed``, and starts with the host by ``[Install]`` alone. Nothing is pulled when it starts.

    Raises:
        Refusal: it is attached to a network of ours, which is Docker's.
    """
    if container.network.is_ours:
        raise Refusal(
            f"found the network {container.network.name} of {container.name}; wanted none of its own under Podman; set "
            "gpuchat_supervisor to compose or systemd"
        )
    user, _colon, group = container.user.partition(":")
    lines = [f"Image={_raw(container.image)}", "Pull=never", f"ContainerName={container.name}"]
    lines += [f"Network={container.network.name}", f"User={user}", *([f"Group={group}"] if group else [])]
    lines += [f"AddHost={name}:{address}" for name, address in container.extra_hosts.items()]
    # Its own folders in memory stay on (ReadOnlyTmpfs): without them, /dev/shm is read-only too.
    lines += ["ReadOnly=true", "DropCapability=all", "NoNewPrivileges=true", "RunInit=true"]
    # As under Docker: what is lent by the host has no label of its own, and no number of threads is too many.
    lines += ["SecurityLabelDisable=true", "PidsLimit=-1", "LogDriver=passthrough"]
    if container.environment_file:
        lines.append(f"EnvironmentFile={_systemd(container.environment_file)}")
    else:
        lines += [f"Environment={_systemd(f'{name}={value}')}" for name, value in container.environment.items()]
    lines += [f"Volume={_raw(volume)}" for volume in container.volumes]
    lines += [f"Tmpfs={_raw(folder)}" for folder in container.tmpfs]
    lines += [f"ShmSize={container.shm_size}"] if container.shm_size else []
    if container.gpus:
        lines += [f"AddDevice={CDI_GPU}{gpu}" for gpu in container.gpus.split(",")]
    lines += [f"Entrypoint={_raw(container.entrypoint[0])}"] if container.entrypoint else []
    words = [*container.entrypoint[1:], *container.command]
    lines += [f"Exec={' '.join(map(_systemd, words))}"] if words else []
    lines.append(f"StopTimeout={container.stop_seconds}")
    start = "\n".join(lines)
    return f"""{HEAD}[Unit]
Description={container.name}
# Where there are GPUs, NVIDIA's toolkit describes them after each start of the host.
After=nvidia-cdi-refresh.service
StartLimitIntervalSec=0

[Container]
{start}

[Service]
Restart=always
RestartSec=2
TimeoutStartSec=300
TimeoutStopSec={container.stop_seconds + STOP_MARGIN_SECONDS}
# One that ends by the signal that stops it has not failed.
SuccessExitStatus=143

[Install]
WantedBy=multi-user.target
"""


def _raw(text: str) -> str:
    """Write a value that Podman's generator takes as it is; systemd reads what comes of it."""
    if not text.isprintable() or text != text.strip():
        raise Refusal(
            f"found {text!r} in a container's settings; wanted no line breaks or blanks around it; set it anew"
        )
    return text.replace("%", "%%").replace("$", "$$")


def environment_path(folder: str) -> str:
    return f"{folder}/environment"


def environment_lines(container: Container) -> str:
    """Return the environment as ``--env-file`` of Docker and Podman reads it: each line is taken as it is.

    Raises:
        Refusal: a value has several lines.
    """
    for name, value in container.environment.items():
        if "\n" in value or "\r" in value:
            raise Refusal(
                f"found a line break in the variable {name}; wanted a value of one line, for systemd's units read it "
                "from a file; set environment anew, or gpuchat_supervisor to compose"
            )
    return HEAD + "".join(f"{name}={value}\n" for name, value in container.environment.items())


def _devices(gpus: str) -> str:
    """Return ``--gpus``' own form for several: a field of a CSV record, so quoted."""
    return f'"device={gpus}"'


def _systemd(text: str) -> str:
    """Quote a word; systemd reads ``%`` and ``$`` itself, so both are doubled."""
    return json.dumps(text, ensure_ascii=False).replace("%", "%%").replace("$", "$$")


@dataclass(frozen=True)
class Written:
    """What a compose project, a unit or a Quadlet file of ours says, as far as it is looked at afterwards.

    Attributes:
        image: by digest; of an engine without a container, the folder of its virtual environment.
    """

    image: str
    gpus: bool
    folders: Mapping[str, str]
    """What the host lends, by where the container sees it."""


def read_back(text: str) -> Written:
    """Read what was written here: the words of a project or a unit are JSON texts, those of a Quadlet file are not."""
    if f"\n{NOTED}\n" in text:
        notes = dict(re.findall(r"(?m)^([A-Z][a-z]+)=(.*)$", text.partition(f"\n{NOTED}\n")[2]))
        places = {inside: _undoubled(notes[name]) for name, inside in NOTES.items() if name in notes}
        adapters = re.findall("([^:=]+)=([^:]+)", _undoubled(notes.get("Adapters", "")))
        places |= {f"/adapters/{name}": path for name, path in adapters}
        return Written(_undoubled(notes.get("Environment", "")), bool(notes.get("Gpus")), places)
    if "\n[Container]\n" in text:
        words = [_undoubled(word) for word in re.findall(r"(?m)^(?:Image|Volume)=(.*)$", text)]
    else:
        words = [_plain(word) for word in re.findall(r'"(?:\\.|[^"\\])*"', text)]
    mounts = [word.split(":") for word in words if re.fullmatch(r"/[^:\n]*:/[^:\n]*(:ro)?", word)]
    return Written(
        image=next((word for word in words if re.fullmatch(r"(\S+@)?sha256:[0-9a-f]{64}", word)), ""),
        gpus="--gpus " in text or '"driver": "nvidia"' in text or f"\nAddDevice={CDI_GPU}" in text,
        folders={mount[1]: mount[0] for mount in mounts},
    )


def noted(notes: Mapping[str, str]) -> str:
    """Return the lines of that section."""
    return "".join(f"{name}={_raw(value)}\n" for name, value in notes.items())


def gpus_of(text: str) -> tuple[str, ...]:
    """Return the GPUs that a Quadlet file, or a unit without a container, names."""
    found = re.search(r"(?m)^Gpus=(.+)$", text.partition(f"\n{NOTED}\n")[2])
    if found:
        return tuple(found[1].split(","))
    return tuple(re.findall(rf"(?m)^AddDevice={re.escape(CDI_GPU)}(.*)$", text))


def _plain(word: str) -> str:
    return _undoubled(str(json.loads(word)))


def _undoubled(text: str) -> str:
    return text.replace("$$", "$").replace("%%", "%")
