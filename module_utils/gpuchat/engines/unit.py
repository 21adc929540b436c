# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine without a container: its program from a virtual environment, in a hardened unit of systemd's.

It is described as the container would be, and runs on the host's own paths; what the container would not see, the unit
hides or makes read-only.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from ..core.errors import Refusal
from ..docker.container import HEAD, NOTED, STOP_MARGIN_SECONDS, environment_path, noted, unit_path
from .engines import ADAPTERS

USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOMES = ("/home/", "/root/", "/run/user/")
PRELOAD = "LD_PRELOAD"

DEVICES = (
    *("nvidia", "nvidiactl", "nvidia-frontend", "nvidia-uvm", "nvidia-caps", "nvidia-nvlink", "nvidia-nvswitch"),
    *("nvidia-caps-imex-channels", "nvidia-modeset"),
)
"""Groups of devices as NVIDIA's drivers have named them in /proc/devices over the years; one that is not there is
nothing."""

CLOSED = """\
NoNewPrivileges=true
CapabilityBoundingSet=
AmbientCapabilities=
PrivateNetwork=true
PrivateTmp=true
PrivateIPC=true
TemporaryFileSystem=/dev/shm:rw,nosuid,nodev,mode=1777,size={shm}
ProtectSystem=strict
ProtectProc=invisible
ProtectHostname=true
ProtectKernelTunables=true
ProtectKernelModules=true
ProtectKernelLogs=true
ProtectControlGroups=true
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=true
KeyringMode=private
RemoveIPC=true
SystemCallArchitectures=native
SystemCallFilter=@system-service pidfd_getfd
SystemCallErrorNumber=EPERM
"""
"""No MemoryDenyWriteExecute: kernels are compiled into memory. NUMA's system calls are in @system-service. A network of
its own has a loopback, over which the engine's own processes talk."""


def on_host(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a container's description with the host's paths in place of the container's.

    Raises:
        Refusal: it stands on several hosts.
    """
    if given["network"]["name"] != "none":
        raise Refusal(
            f"found {given['name']} on several hosts, and gpuchat_supervisor venv; wanted it in containers, which the "
            "ranks of an engine are; set gpuchat_supervisor to compose, systemd or quadlet for these hosts"
        )
    places = places_of(given)
    files = [
        {**file, "content": _moved(str(file["content"]), places)} if _is_config(file) else dict(file)
        for file in given["files"]
    ]
    return {
        **given,
        "entrypoint": [*given["entrypoint"][:-1], _moved(given["entrypoint"][-1], places)],
        "environment": {name: _moved(str(value), places) for name, value in given["environment"].items()},
        "files": files,
    }


def _is_config(file: Mapping[str, Any]) -> bool:
    return str(file["dest"]).endswith("/config.yaml")


def places_of(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the host's paths by the container's."""
    mounts = [str(volume).split(":") for volume in given["volumes"]]
    return {mount[1]: mount[0] for mount in mounts}


def _moved(text: str, places: Mapping[str, str]) -> str:
    """Return a text with paths of the container's as the host has them: whole ones, and what lies below."""
    for inside in sorted(places, key=len, reverse=True):
        outside = places[inside]
        text = re.sub(rf"(?<![\w./-]){re.escape(inside)}(?![\w.-])", lambda _match, path=outside: path, text)  # type: ignore[misc]
    return text


def files_of(given: Mapping[str, Any], environment: str, preload: tuple[str, ...]) -> list[Mapping[str, object]]:
    """Return an engine's files with its unit; where its environment may hold secrets, only root reads that.

    Args:
        given: its description, with the host's paths.
        environment: the folder of its virtual environment.
        preload: libraries that its program is started with.
    """
    variables = variables_of(given, environment, preload)
    secret = bool(given.get("secret_environment"))
    files: list[Mapping[str, object]] = [{"dest": given["folder"], "folder": True}, *given["files"]]
    if secret:
        text = environment_file(variables)
        files.append({"dest": environment_path(given["folder"]), "secret_content": text, "secret": True})
    unit = {"dest": unit_path(given["name"]), "content": unit_of(given, environment, {} if secret else variables)}
    return [*files, unit]


def variables_of(given: Mapping[str, Any], environment: str, preload: tuple[str, ...]) -> dict[str, str]:
    """Return the environment of an engine's program; what the inventory says comes first."""
    gpus = str(given["gpus"])
    variables = {"PATH": f"{environment}/bin:{USUAL_PATH}", "VIRTUAL_ENV": environment, "LANG": "C.UTF-8"}
    if gpus:
        variables["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # as nvidia-smi counts
        variables |= {"CUDA_VISIBLE_DEVICES": gpus} if gpus != "all" else {}
    variables |= {PRELOAD: ":".join(preload)} if preload else {}
    return {**variables, **given["environment"]}


def environment_file(variables: Mapping[str, str]) -> str:
    """Return variables as systemd reads them from a file (systemd.exec(5), EnvironmentFile).

    Raises:
        Refusal: a value has several lines.
    """
    lines = []
    for name, value in variables.items():
        if "\n" in value or "\r" in value:
            raise Refusal(
                f"found a line break in the variable {name}; wanted a value of one line, for systemd's units read it "
                "from a file; set environment anew, or gpuchat_supervisor to compose"
            )
        quoted = re.sub(r'(["\\`$])', r"\\\1", value)
        lines.append(f'{name}="{quoted}"\n')
    return HEAD + "".join(lines)


def unit_of(given: Mapping[str, Any], environment: str, variables: Mapping[str, str]) -> str:
    """Return an engine's unit (systemd.exec(5), systemd.resource-control(5); systemd 247 and newer).

    Args:
        given: its description, with the host's paths.
        environment: the folder of its virtual environment.
        variables: those that everybody may read; without any, they are in the file beside it.
    """
    places, gpus = places_of(given), str(given["gpus"])
    adapters = {posixpath.basename(one): path for one, path in places.items() if one.startswith(f"{ADAPTERS}/")}
    models = [places["/model"], *adapters.values()]
    uid = str(given["user"]).partition(":")[0]
    writable = [str(path) for path in (places["/cache"], places["/run/vllm"])]
    lines = [f"Environment={_quoted(f'{name}={value}')}" for name, value in variables.items()]
    lines += [] if variables else [f"EnvironmentFile={_path(environment_path(given['folder']))}"]
    # Where somebody keeps a model in their home, that model alone is seen of it.
    at_home = [_path(model) for model in models if f"{posixpath.normpath(model)}/".startswith(HOMES)]
    closed = [CLOSED.format(shm=given["shm_size"]).strip()]
    closed += ["ProtectHome=tmpfs", f"BindReadOnlyPaths={' '.join(at_home)}"] if at_home else ["ProtectHome=true"]
    closed += [f"ReadWritePaths={' '.join(map(_path, writable))}"]
    before, wants = [], ""
    if gpus:
        # ProtectClock would bring a list of devices of its own; the driver's own are in this one.
        closed += ["DevicePolicy=closed", *(f"DeviceAllow=char-{name} rw" for name in DEVICES)]
        # The rules know only devices of drivers that are loaded by then; the program itself may not load any.
        wants = "Wants=modprobe@nvidia_uvm.service\nAfter=modprobe@nvidia_uvm.service nvidia-persistenced.service\n"
        before = ["ExecStartPre=-+/usr/bin/nvidia-modprobe -c 0 -u"]
    else:
        closed += ["PrivateDevices=true", "ProtectClock=true"]
    notes = {
        "Environment": environment,
        "Model": places["/model"],
        **({"Adapters": ":".join(f"{name}={path}" for name, path in adapters.items())} if adapters else {}),
        "Cache": places["/cache"],
        "Run": places["/run/vllm"],
        "Key": places["/run/secrets/vllm_api_key"],
        "Gpus": gpus,
    }
    newline = "\n"
    return f"""{HEAD}[Unit]
Description={given["name"]}
{wants}RequiresMountsFor={" ".join(map(_path, (*models, environment)))}
StartLimitIntervalSec=0

[Service]
Type=exec
User={uid}
UMask=0007
WorkingDirectory={_path(places["/cache"])}
{newline.join(lines)}
{newline.join([*before, f"ExecStart={' '.join(map(_word, given['entrypoint']))}"])}
Restart=always
RestartSec=2
TimeoutStartSec=300
TimeoutStopSec={given["stop_seconds"] + STOP_MARGIN_SECONDS}
# The server alone is told to end: its own processes would go at once, and the answers under way with them.
KillMode=mixed
SuccessExitStatus=143
LimitMEMLOCK=infinity
LimitNOFILE=65536
TasksMax=infinity
{newline.join(closed)}

[Install]
WantedBy=multi-user.target

{NOTED}
{noted(notes)}"""


def _quoted(text: str) -> str:
    """Quote what systemd reads without variables of its own."""
    return json.dumps(text, ensure_ascii=False).replace("%", "%%")


def _word(text: str) -> str:
    """Quote a word of a command, in which systemd reads ``%`` and ``$`` itself."""
    return _quoted(text).replace("$", "$$")


def _path(path: str) -> str:
    """Return a path as a unit's settings take it.

    Raises:
        Refusal: it holds what these read as something else.
    """
    if re.search(r"[\s:\"'\\]", path):
        raise Refusal(
            f"found the path {path!r}; wanted one without blanks, colons and quotes, for systemd's units take it; move "
            "it, or set gpuchat_supervisor to compose"
        )
    return path.replace("%", "%%")
