# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a host once, for the survey: what it is, what it runs, and what became of what runs left there.

Nothing is changed. Each thing is asked in a process of its own, all at once and for a limited time, so that a command
or a file system that hangs costs its own answer and no other. No secret is part of an answer.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import json
import os
import pathlib
import platform
import re
import selectors
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ..core import front, host, web_runner
from ..core.errors import Refusal
from ..data import backup
from ..docker import daemon_former_runner, daemon_runner, folders_runner
from ..docker.container import Written, compose_path, quadlet_path, read_back, unit_path
from ..docker.daemon import Record
from ..docker.daemon import drifted as drifted_keys
from ..engines import leave_runner
from ..engines.engines import ADAPTERS
from ..gpu import health, readings, readings_runner, smi
from ..model.files import intact
from ..model.store_runner import Store
from ..secret import membership
from ..secret.validity import first_in
from ..system import files, firewall, firewall_runner, service_runner
from ..system.release import Release
from ..system.service import COMPOSE, DOCKER, PODMAN, QUADLET, Step, WantedService, plan_service

LOADED_EARLY = (web_runner,)
"""What a part would load when it asks; by then its process has closed the file that all of this comes from."""

BACKUP_SET = "backup"
"""The files of a host that makes backups; without a target for them there are none."""

SECONDS = 20
"""How long one thing may take; nvidia-smi without its persistence mode, and Docker with many containers, are slow."""

SYSTEM_PROGRAMS = ":/usr/local/sbin:/usr/sbin:/sbin"
"""Added to the PATH, which may lack them where a user's own shell was asked."""

STACK = "/etc/gpuchat/stack"
CONTAINER_MARK = "/run/systemd/container"
UNITS = "/etc/systemd/system"
OURS = "gpuchat-"
PACKAGES = ("docker.io", "docker-ce", "nvidia-container-toolkit", "nftables", "nginx")
ENGINE_SOCKET, ENGINE_KEY, ENGINE_MODEL = "/run/vllm", "/run/secrets/vllm_api_key", "/model"
"""Where the engine's container sees its socket's folder, its key, and its model."""

LOG_OF_KERNEL = (
    ("journalctl", "--dmesg", "--boot", "--no-pager", "--output=cat", "--grep=Xid .PCI", "--lines=200"),
    ("dmesg",),
)
TIME_ERROR = 5
"""What adjtimex(2) says of a clock that nothing keeps right."""


def read(given: Mapping[str, Any]) -> dict[str, object]:
    """Return all that can be read of this host within `seconds`; `models` are folders in which models should lie."""
    seconds = float(given.get("seconds") or SECONDS)
    sets = {name: host.read_json(files_path) for name, files_path in _records("files").items()}
    services = {name: host.read_json(path) for name, path in _records("services").items()}
    containers = _written_by(services, sets)
    parts: dict[str, Callable[[], object]] = {
        "host": _host,
        "packages": _packages,
        "gpu": _gpu,
        "kernel log": _kernel_log,
        "docker": _docker,
        "files": lambda: {name: _file_set(manifest) for name, manifest in sets.items()},
        "daemon.json": _daemon,
        "certificates": lambda: _certificates(sets),
        "stack": _stack,
        "out of rotation since": leave_runner.since,
    }
    if BACKUP_SET in sets:
        parts["backup"] = lambda: host.read_json(backup.STATUS)
    if "firewall" in sets:
        parts["packet filter"] = _packet_filter
    if any(record.get("supervisor") == QUADLET for record in services.values()):
        parts["podman"] = lambda: {"containers": _containers(PODMAN)}
    for name, record in services.items():
        parts[f"service {name}"] = partial(_service, name, record, sets)
    models = {
        path
        for one in containers.values()
        for place, path in one.folders.items()
        if place == ENGINE_MODEL or place.startswith(f"{ADAPTERS}/")
    }
    for path in sorted({*models, *given.get("models", ())}):
        parts[f"model {path}"] = partial(_model, path)
    for name, container in containers.items():
        if ENGINE_SOCKET in container.folders:
            parts[f"engine {name}"] = partial(_engine, container)
    places = {"/", "/var/log", "/var/cache/gpuchat", host.STATE_DIRECTORY, *models, *_docker_folders(), *_mounts()}
    for path in sorted(places):
        parts[f"disk {path}"] = partial(_disk, path)
    answers, problems = together(parts, seconds)
    grouped: dict[str, dict[str, object]] = {"service": {}, "model": {}, "engine": {}, "disk": {}}
    for name in list(answers):
        kind, _space, subject = name.partition(" ")
        if kind in grouped:
            grouped[kind][subject] = answers.pop(name)
    return {
        **answers,
        "services": grouped["service"],
        "models": grouped["model"],
        "engines": grouped["engine"],
        "disks": grouped["disk"],
        "containers": {name: {"image": one.image, "gpus": one.gpus} for name, one in containers.items()},
        "unanswered": problems,
        "clock": time.time(),
    }


# Many things at once, each in a process of its own.


def together(parts: Mapping[str, Callable[[], object]], seconds: float) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what each part returned, and why the others did not; one that takes too long is left behind."""
    waiting: dict[int, tuple[str, int, list[bytes]]] = {}
    with selectors.DefaultSelector() as selector:
        for name, work in parts.items():
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                _answer(work, writing)
            os.close(writing)
            with contextlib.suppress(OSError):  # the child does the same; whoever is first
                os.setpgid(pid, pid)
            waiting[reading] = (name, pid, [])
            selector.register(reading, selectors.EVENT_READ)
        texts: dict[str, bytes] = {}
        end = time.monotonic() + seconds
        while waiting and time.monotonic() < end:
            for key, _events in selector.select(max(0.0, end - time.monotonic())):
                name, pid, pieces = waiting[key.fd]
                piece = os.read(key.fd, 1 << 16)
                pieces.append(piece)
                if not piece:
                    texts[name] = b"".join(pieces)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    del waiting[key.fd]
                    _forget(pid)
    problems = {}
    for reading, (name, pid, _pieces) in waiting.items():
        problems[name] = f"no answer within {seconds:g} s"
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        os.close(reading)
        _forget(pid)
    answers: dict[str, Any] = {}
    for name in (one for one in parts if one in texts):
        kind, value = json.loads(texts[name] or b'["problem", "it ended without a word"]')
        (answers if kind == "value" else problems)[name] = value
    return answers, problems


def _forget(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # one that hangs in the kernel cannot be waited for


def _answer(work: Callable[[], object], writing: int) -> None:
    """Do a part's work in its own process, which keeps nothing of the survey's open, and end that process."""
    try:
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.environ["PATH"] = os.environ.get("PATH", "") + SYSTEM_PROGRAMS
        os.closerange(3, writing)
        os.closerange(writing + 1, 4096)
        try:
            text = json.dumps(["value", work()])
        except Exception as error:  # noqa: BLE001
            text = json.dumps(["problem", front.describe(error)[0]])
        with os.fdopen(writing, "wb") as file:
            file.write(text.encode())
    finally:
        os._exit(0)


# What runs left here.


def _records(kind: str) -> dict[str, str]:
    """Return the paths of records by the name of what they are about."""
    folder = f"{host.STATE_DIRECTORY}/{kind}"
    with contextlib.suppress(OSError):
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
        return {name[: -len(".json")]: f"{folder}/{name}" for name in names}
    return {}


def written() -> dict[str, Written]:
    """Return what the files of all containers of ours say, by their names."""
    sets = {name: host.read_json(path) for name, path in _records("files").items()}
    return _written_by(_records("services"), sets)


def _written_by(names: Iterable[str], sets: Mapping[str, Mapping[str, object]]) -> dict[str, Written]:
    return {name: one for name in names for one in [_written(name, sets.get(name, {}))] if one}


def _written(name: str, manifest: Mapping[str, object]) -> Written | None:
    """Return what the files of a container of ours say; None for a service that is none."""
    for path in files.owned_paths(manifest):
        if path in (unit_path(name), quadlet_path(name)) or path.endswith(compose_path("")):
            found = read_back(host.file_text(path))
            return found if found.image else None
    return None


def _file_set(manifest: Mapping[str, object]) -> dict[str, object]:
    current = {path: host.file_state(path) for path in files.owned_paths(manifest)}
    drifted = {path: list(words) for path, words in files.drifted(manifest, current).items()}
    return {"digest": str(manifest.get("digest", "")), "files": len(current), "drifted": drifted}


def _service(name: str, record: Mapping[str, object], sets: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Return how a service is, and what the next run would do with it if nothing else changed."""
    supervisor, digest = str(record.get("supervisor") or "systemd"), str(record.get("digest") or "")
    reload_digest = str(record.get("reload_digest") or "")
    commit = digest.partition(" ")[2]
    present = _digest_of_files(name, sets)
    if name == "docker":
        kept = host.read_json(f"{host.STATE_DIRECTORY}/{daemon_former_runner.RECORD}").get(daemon_runner.DAEMON_JSON)
        daemon = Record.from_json(kept) if isinstance(kept, dict) else None
        digest, reload_digest = (daemon.digest, daemon.reload_digest) if daemon else (digest, reload_digest)
    elif present and reload_digest:
        reload_digest = present
    elif present:
        digest = f"{present} {commit}".strip()
    wanted = WantedService(name, supervisor, "started", digest, reload_digest)
    current = service_runner.read(wanted)
    plan = plan_service(wanted, current)
    unit = _unit(name) if supervisor != COMPOSE else {}
    return {
        "supervisor": supervisor,
        "running": current.running,
        "enabled": current.enabled,
        "steps": [step.act for step in plan.actions if isinstance(step, Step)],
        "state": unit.get("ActiveState", ""),
        "masked": unit.get("LoadState") == "masked",
        "drop_ins": [path for path in unit.get("DropInPaths", "").split() if path.startswith(f"{UNITS}/{OURS}")],
        "result": unit.get("Result", ""),
        "restarts": int(unit.get("NRestarts") or 0),
        "seconds_up": time.monotonic() - int(unit.get("ActiveEnterTimestampMonotonic") or 0) / 1e6,
        "commit": commit,
    }


def _unit(name: str) -> dict[str, str]:
    wanted = "--property=LoadState,DropInPaths,ActiveState,Result,NRestarts,ActiveEnterTimestampMonotonic"
    shown = host.run(["systemctl", "show", service_runner.unit_of(name), wanted])
    return dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)


def _digest_of_files(name: str, sets: Mapping[str, Mapping[str, object]]) -> str:
    """Return the digest of the files that a service reads: of the set that holds its unit, or bears its name."""
    unit = f"{UNITS}/{service_runner.unit_of(name)}"
    for called, manifest in sets.items():
        if called == name or unit in files.owned_paths(manifest):
            return str(manifest.get("digest", ""))
    return ""


def _daemon() -> dict[str, object]:
    kept = host.read_json(f"{host.STATE_DIRECTORY}/{daemon_former_runner.RECORD}")
    found: dict[str, object] = {}
    for path, record in kept.items():
        state = host.file_state(path)
        if isinstance(record, dict):
            found[path] = list(drifted_keys(state.content if state else None, Record.from_json(record), path))
    return found


def _stack() -> dict[str, str]:
    return membership.read(host.file_text(STACK))


def _certificates(sets: Mapping[str, Mapping[str, object]]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for path in sorted({path for manifest in sets.values() for path in files.owned_paths(manifest)}):
        if path.endswith((".crt", ".pem")):
            validity = first_in(host.file_text(path))
            if validity:
                dates = {"from": validity.not_before.timestamp(), "until": validity.not_after.timestamp()}
                found.append({"path": path, **dates})
    return found


def _packet_filter() -> dict[str, object]:
    """Return whether the table is loaded, and whether it is the one of its file as this nft itself understands that.

    The file is loaded in a network of its own, which is gone when the command ends.
    """
    text = host.file_text(firewall_runner.RULES)
    listing = ["nft", "--json", "list", "table", "inet", firewall.TABLE]
    loaded = host.run(listing)
    if loaded.rc != 0:
        return {"loaded": False, "same": False}
    alone = ["unshare", "--net", "sh", "-c", 'nft -f "$0" && exec "$@"', firewall_runner.RULES, *listing]
    wanted = host.run(alone)
    found = _json(loaded.stdout)
    tables = [one["table"] for one in (found.get("nftables") or ()) if isinstance(one, dict) and "table" in one]
    same = firewall.loaded_digest({"nftables": [{"table": one} for one in tables]}) == firewall.digest_of(text)
    if wanted.rc == 0:
        same = same and firewall.in_essence(found) == firewall.in_essence(_json(wanted.stdout))
    return {"loaded": True, "same": same}


def _json(text: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        value = json.loads(text)
        return value if isinstance(value, dict) else {}
    return {}


# What the host is.


def _host() -> dict[str, object]:
    text = host.os_release()
    release = Release.parse(text)
    total, free = readings.host_memory(host.file_text("/proc/meminfo"))
    return {
        "release": f"{release.id} {release.version}".strip(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "seconds_up": float((host.file_text("/proc/uptime").split() or ["0"])[0]),
        "memory_bytes": total,
        "memory_free_bytes": free,
        "synchronised": _is_synchronised(),
    }


def _is_synchronised() -> bool | None:
    """Whether the clock is kept right; None in a container, which has its machine's clock."""
    if os.path.exists(CONTAINER_MARK):
        return None
    try:
        return bool(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)) != TIME_ERROR)
    except (OSError, AttributeError):
        return None


def _packages() -> dict[str, str]:
    """Return the versions of what is installed of the packages that an inventory can pin."""
    if host.program("dpkg-query"):
        command = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package} ${Version}\n", *PACKAGES]
    elif host.program("rpm"):
        command = ["rpm", "--query", "--queryformat", "installed %{NAME} %{VERSION}-%{RELEASE}\n", *PACKAGES]
    else:
        return {}
    rows = [line.split() for line in host.run(command).stdout.splitlines()]
    return {row[1]: row[2] for row in rows if len(row) == 3 and row[0] == "installed"}


def _gpu() -> dict[str, object]:
    found = readings.report(readings_runner.read_smi(), readings_runner.surroundings())
    kept = ("state", "reason", "accelerator", "driver_version", "cuda_version", "gpus")
    result: dict[str, Any] = {name: found[name] for name in kept}
    for gpu in result["gpus"]:
        for process in gpu["processes"] or ():
            process["by"] = owner(process["pid"])
    result["held_back"] = _held_back() if any(gpu["uuid"] for gpu in result["gpus"]) else {}
    return result


def owner(pid: int) -> str:
    """Return whose a process is, by its control group: a container's id or a unit."""
    path = (host.file_text(f"/proc/{pid}/cgroup").strip().splitlines() or [""])[-1]
    above, _slash, last = path.rpartition("/")
    if last.startswith("libpod-payload-"):  # of a Quadlet's unit, which has its name
        last = above.rpartition("/")[2]
    return last.replace("docker-", "").replace(".scope", "") if "docker-" in last else last


def _held_back() -> Mapping[str, tuple[str, ...]]:
    program = host.program("nvidia-smi") or "nvidia-smi"
    for field in health.THROTTLING_FIELDS:
        output = host.run([program, f"--query-gpu=uuid,{field}", "--format=csv,noheader,nounits"])
        if not smi.unknown_smi_field(output.text):
            return health.throttling(output.stdout)
    return {}


def _kernel_log() -> list[dict[str, object]]:
    """Return what NVIDIA's driver complained of since the host started."""
    if not any(one.vendor_id == readings.NVIDIA for one in readings_runner.surroundings().devices):
        return []
    for command in LOG_OF_KERNEL:
        output = host.run(command)
        if output.rc == 0 or output.text.startswith("-- No entries"):
            found = health.xids(output.stdout)
            return [
                {
                    **vars(one),
                    "grave": one.is_grave,
                    "of_program": one.is_of_program,
                    "of_switch": one.is_of_switch,
                    "fix": one.fix,
                }
                for one in found
            ]
    return []


# Docker.


def _docker_folders() -> Sequence[str]:
    roots = {"/var/lib/docker", "/var/lib/containerd"}
    with contextlib.suppress(OSError, Refusal):  # a file that cannot be read is told where Docker is looked at
        roots.update(folders_runner.folders_told())
    return sorted(path for path in roots if os.path.isdir(path))


def _docker() -> dict[str, object]:
    if host.program("docker") is None:
        return {"installed": False}
    output = host.run(["docker", "info", "--format", "{{json .}}"])
    info = _json(output.stdout)
    if output.rc != 0 or not info.get("ServerVersion"):
        return {"installed": True, "answers": False, "said": output.stderr.strip()[-300:]}
    return {
        "installed": True,
        "answers": True,
        "version": info["ServerVersion"],
        "root": info.get("DockerRootDir", ""),
        "runtimes": sorted(info.get("Runtimes") or {}),
        "default_runtime": info.get("DefaultRuntime", ""),
        "containers": _containers(DOCKER),
    }


def _containers(program: str) -> list[dict[str, object]]:
    listed = host.run([program, "ps", "--all", "--quiet", "--no-trunc", "--filter", f"name={OURS}"]).stdout.split()
    inspected = json.loads(host.run([program, "inspect", *listed]).stdout or "[]") if listed else []
    return sorted(map(_container, inspected), key=lambda one: str(one["name"]))


def _container(inspected: Mapping[str, Any]) -> dict[str, object]:
    """Return of a container what is no secret: its environment is left out."""
    state = inspected["State"]
    return {
        "id": inspected["Id"],
        "name": inspected["Name"].lstrip("/"),
        "image": inspected["Config"]["Image"],
        "status": state["Status"],
        "health": (state.get("Health") or {}).get("Status", ""),
        "restarts": inspected.get("RestartCount", 0),
        "seconds_up": _seconds_since(str(state.get("StartedAt") or "")),
        "exit_code": state.get("ExitCode", 0),
        "out_of_memory": bool(state.get("OOMKilled")),
        "error": str(state.get("Error") or ""),
        "lacks_network": _lacks_network(inspected),
    }


def _lacks_network(inspected: Mapping[str, Any]) -> str:
    """Return the network that a container was made for and that somebody has taken from it; empty where it has it."""
    mode = str((inspected.get("HostConfig") or {}).get("NetworkMode") or "")
    there = (inspected.get("NetworkSettings") or {}).get("Networks")
    is_own = not mode or mode in ("host", "none", "default", "bridge", "private", "pasta", "slirp4netns") or ":" in mode
    names = {word for name, one in (there or {}).items() for word in (name, (one or {}).get("NetworkID"))}
    return "" if is_own or there is None or mode in names else mode  # compose names it by either, as its version goes


def _seconds_since(moment: str) -> float:
    """Return how long a moment is over, which has more digits than Python 3.9 reads; Docker gives it in UTC."""
    offset = re.search(r"[+-]\d\d:\d\d$", moment)
    try:
        began = datetime.datetime.fromisoformat(moment[:19] + (offset[0] if offset else "+00:00"))
    except ValueError:
        return 0.0
    return time.time() - began.timestamp()


# Models and disks.


def _model(path: str) -> dict[str, object]:
    """Return a model's record, and what is no longer as recorded, by size and time alone."""
    store = Store(path)
    if not os.path.isdir(store.dest):
        return {"there": False}
    manifest, there = store.manifest(), store.files()
    waiting = sum(one.stat().st_size for one in os.scandir(store.parts)) if os.path.isdir(store.parts) else 0
    found: dict[str, object] = {"there": True, "files": len(there), "bytes": sum(one.size for one in there.values())}
    found["waiting_bytes"] = waiting
    if manifest is None:
        return {**found, "commit": ""}
    whole = intact(manifest, there)
    return {
        **found,
        "commit": manifest.commit,
        **{name: str(manifest.wanted[name]) for name in ("source", "repo", "revision")},
        "missing": sorted(file.path for file in manifest.files if file.path not in there),
        "changed": sorted(file.path for file in manifest.files if file.path in there and file.path not in whole),
    }


def _engine(container: Written) -> dict[str, object]:
    """Return whether an engine answers, and what it says that it serves; its key goes nowhere but to its own socket."""
    health_answer = ask_engine(container, "/health")
    served = ask_engine(container, "/v1/models").json()
    models = served.get("data") if isinstance(served, dict) else None
    names = [str(one.get("id")) for one in models if isinstance(one, dict)] if isinstance(models, list) else []
    return {"healthy": health_answer.status == 200, "said": health_answer.error, "models": names}


def ask_engine(container: Written, path: str, body: bytes | None = None, timeout: float = 5) -> host.Response:
    """Ask an engine at its own socket, by its own key; with a body by POST."""
    socket = f"{container.folders[ENGINE_SOCKET]}/vllm.sock".replace("/", "%2F")
    key = host.file_text(container.folders.get(ENGINE_KEY, "")).strip() if ENGINE_KEY in container.folders else ""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if body is None:
        return host.http(f"unix://{socket}{path}", headers=headers, timeout=timeout, direct=True)
    headers["Content-Type"] = "application/json"
    return host.http(f"unix://{socket}{path}", "POST", headers, body, timeout, direct=True)


def _mounts() -> list[str]:
    """Return where file systems of their own hold what the stack keeps (proc(5); a blank is an octal number)."""
    above = (f"{host.STATE_DIRECTORY}/", "/var/cache/gpuchat/")
    rows = (line.split() for line in host.file_text("/proc/self/mounts").splitlines())
    found = [re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), row[1]) for row in rows if len(row) > 1]
    return [path for path in found if path.startswith(above)]


def _disk(path: str) -> dict[str, object]:
    """Return what is free where a path is, or would be."""
    there = pathlib.Path(path)
    while not there.exists():
        there = there.parent
    system = os.statvfs(there)
    return {
        "device": os.stat(there).st_dev,
        "bytes": system.f_blocks * system.f_frsize,
        "free_bytes": system.f_bavail * system.f_frsize,
        "inodes": system.f_files,
        "free_inodes": system.f_favail,
    }
