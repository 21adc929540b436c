# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vLLM engines of a host: what each runs with, which of them must wait for each other, and which are to go."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import Refusal
from ..docker.container import HEAD, gpus_of, read_back
from ..docker.images import in_version
from ..system.environment import Source
from ..system.service import VENV
from . import ranks

NAME = "gpuchat-vllm"
CONTAINER = re.compile(rf"{NAME}(-[a-z0-9][a-z0-9-]*)?")
"""Names of engines on a host; the bare one is that of the only engine, before there could be several."""

HOST_SET = f"{NAME}.host"
"""The set of the folders that all engines share; no engine can have this name."""

FOLDERS = "/etc/gpuchat/vllm"
CACHES = "/var/cache/gpuchat/vllm"
RUNS = "/var/lib/gpuchat/vllm"
STARTS = f"{RUNS}/.start"
"""Holds a file for each device; whoever starts on it has it locked. An engine sees those of its own devices alone."""

THEIRS = "not-fetched"
"""A file beside an engine's own that says, when the inventory no longer does, whose its model's files are; with an
adapter's name at its end it says so of that."""

RANKS = "ranks.py"
"""A file beside an engine's own that keeps its ranks together, where it stands on several hosts."""

ADAPTERS = "/adapters"
"""Where an engine sees LoRA adapters, each in a folder of its name; the plan's options lead there."""

SOCKET = "/run/vllm/vllm.sock"
USUAL_START_SECONDS = 600
COMPATIBILITY = "VLLM_ENABLE_CUDA_COMPATIBILITY"
"""Has vLLM's image use libraries that it holds for older drivers; a virtual environment has none."""

TORCH_BACKENDS = {("auto", True): "", ("auto", False): "cpu", ("none", True): "", ("none", False): ""}
"""Words for PyTorch's own index, each with whether there are GPUs: for these PyPI's packages are the ones."""

CPU = "cpu"
ALL = "all"

ENVIRONMENT = {
    "HOME": "/cache",
    "USER": "vllm",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TORCHINDUCTOR_CACHE_DIR": "/cache/torchinductor",
    "TRITON_CACHE_DIR": "/cache/triton",
    # The engine's own processes talk over ports without any check of who is there: on the loopback only.
    "VLLM_HOST_IP": "127.0.0.1",
    "GLOO_SOCKET_IFNAME": "lo",
    "NCCL_SOCKET_IFNAME": "lo",
}

PYTHON = "/etc/vllm/python"
"""Where an engine on a CPU sees what its Python is to do first."""

TILES = '''\
# Made by gpuchat; changes are lost in the next run.
"""Asks the kernel for Intel's matrix tiles (AMX), for each process that begins.

vLLM's attention uses them where the CPU has them, and leaves the asking to oneDNN, which does so for the first prompt
of several tokens: an engine whose first prompt is of one token ends with an illegal instruction (0.32.0, CPUs since
Sapphire Rapids). A CPU without them says no, and nothing is lost.
"""
import ctypes
import os

if os.uname().machine == "x86_64":
    ctypes.CDLL(None).syscall(158, 0x1023, 18)  # arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
'''

HEALTH = (
    "python3",
    "-c",
    (
        f"import socket; one = socket.socket(socket.AF_UNIX); one.settimeout(5); one.connect('{SOCKET}'); "
        r"one.sendall(b'GET /health HTTP/1.0\r\n\r\n'); exit(b' 200 ' not in one.recv(64))"
    ),
)

# A socket of an engine that was killed would be in the way. The key is read from a file here, so that it stands neither
# in arguments nor in `docker inspect` nor in vLLM's log.
START = f"""\
rm -f {SOCKET} && umask 007
VLLM_API_KEY="$(cat /run/secrets/vllm_api_key)" exec {{}}vllm serve --config /etc/vllm/config.yaml
"""

IN_TURN = '''\
# Made by gpuchat; changes are lost in the next run.
"""Starts an engine when no other starts on its devices: start.py SOCKET SECONDS LOCK... -- COMMAND...

Each measures what memory is free while it starts, and so takes what another is about to need, as after a reboot, when
all of them start. The locks are let go when the engine answers, when it is gone, or when the seconds are over.
"""
import fcntl
import os
import socket
import sys
import time

at = sys.argv.index("--")
path, seconds, *names = sys.argv[1:at]
command = sys.argv[at + 1 :]


def answers():
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(5)
            one.connect(path)
            one.sendall(b"GET /health HTTP/1.0\\r\\n\\r\\n")
            return b" 200 " in one.recv(64)
    except OSError:
        return False


def lives(process):
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


locks = [open(name) for name in sorted(names)]  # in one order, so that no two wait for each other
for one in locks:
    fcntl.flock(one, fcntl.LOCK_EX)
engine = os.getpid()
if os.fork() == 0:
    if os.fork() == 0:  # of the container's first process, so that the engine has no child that it does not know
        end = time.monotonic() + float(seconds)
        while lives(engine) and not answers() and time.monotonic() < end:
            time.sleep(1)
    os._exit(0)
os.wait()
os.execvp(command[0], command)  # which closes the engine's own hold of the locks
'''


@dataclass(frozen=True)
class Engine:
    """One engine, as it is to run.

    Attributes:
        names: under which it serves its model, its own first.
        args: vLLM's configuration, by long names without dashes.
        secret_environment: whether its environment has more than what is ours, such as somebody's token.
        theirs: whether its model's folder is the owner's own, and nothing that was fetched.
        devices: GPUs by index or UUID, ``all``, or none for the CPU.
        commit: of the model's files and its adapters'; another one is a new start.
        tool_call: whether it is to call tools.
        planned: whether it is known with what it runs; not where the GPUs are yet unknown.
        rank: the host's part of it, where it stands on several; None where the host has all of it.
    """

    name: str
    names: tuple[str, ...]
    container: str
    folder: str
    cache: str
    run: str
    socket_url: str
    path: str
    image: str
    args: Mapping[str, object]
    environment: Mapping[str, str]
    secret_environment: bool
    theirs: bool
    devices: tuple[str, ...]
    start_seconds: int
    commit: str
    task: str
    tool_call: bool
    planned: bool
    rank: ranks.Rank | None = None
    adapters: Mapping[str, str] = field(default_factory=dict)
    """Folders of LoRA adapters, by their names."""

    their_adapters: tuple[str, ...] = ()
    """Names of those whose folders are the owner's own."""

    @property
    def folders(self) -> tuple[str, ...]:
        """Return what it reads of models."""
        return (self.path, *self.adapters.values())

    @property
    def serves(self) -> bool:
        """Whether it can be asked here."""
        return self.rank is None or self.rank.leads

    @property
    def places(self) -> tuple[str, ...]:
        """Return what it takes memory of."""
        return self.devices or (CPU,)


def joined(params: Mapping[str, Any], interfaces: Mapping[str, str] | None = None) -> tuple[Engine, ...]:
    """Return the engines of a host, from what the inventory, the plan and the model's files say of each.

    Args:
        interfaces: the host's, by the addresses that they hold; only for engines that stand on several hosts.
    """
    return tuple(_engine(given, params, interfaces or {}) for given in params["engines"])


def _engine(given: Mapping[str, Any], params: Mapping[str, Any], interfaces: Mapping[str, str]) -> Engine:
    name = str(given["name"])
    plan, metadata = params["plans"].get(name) or {}, params["metadata"].get(name) or {}
    others = {**params["environment"], **(given.get("environment") or {})}
    lent = given.get("adapters") or ()
    adapters = {str(one["name"]): str(one["path"]) for one in lent}
    rank = ranks.read(given.get("span"), interfaces)
    usual = ENVIRONMENT if params["on_gpu"] else {**ENVIRONMENT, "PYTHONPATH": PYTHON}
    environment = {**usual, **(rank.environment() if rank else {}), **(plan.get("env") or {}), **others}
    seconds = params["start_seconds"] or plan.get("start_seconds") or metadata.get("start_seconds")
    if params.get("supervisor") == VENV and COMPATIBILITY in environment:
        raise Refusal(
            f"found a driver for {name} that is older than vLLM's CUDA wants, and gpuchat_supervisor venv; wanted a "
            "newer driver, for only vLLM's image has what helps an older one; upgrade the driver, or set "
            "gpuchat_supervisor to compose, systemd or quadlet"
        )
    return Engine(
        name=name,
        names=(name, *map(str, given.get("aliases") or ())),
        container=str(given["container"]),
        folder=str(given["folder"]),
        cache=str(given["cache"]),
        run=str(given["run"]),
        socket_url=str(given["socket_url"]),
        path=str(given["path"]),
        image=image_of(given, params),
        args=plan.get("args") or {},
        environment={key: str(value) for key, value in environment.items()},
        secret_environment=bool(others),
        theirs=given.get("source") == "path",
        devices=_devices(plan.get("devices") or (), rank.rank if rank else 0) if params["on_gpu"] else (),
        start_seconds=int(seconds or USUAL_START_SECONDS),
        commit="+".join(str((params["metadata"].get(one) or {}).get("commit") or "") for one in (name, *adapters)),
        task=str(plan.get("task") or "chat"),
        tool_call=bool(plan.get("tool_call")),
        planned=name in params["plans"],
        rank=rank,
        adapters=adapters,
        their_adapters=tuple(str(one["name"]) for one in lent if one.get("source") == "path"),
    )


def _devices(planned: Sequence[Any], rank: int) -> tuple[str, ...]:
    """Return an engine's GPUs: the plan has them by node, and this host is the first but for one that spans several."""
    own = planned[rank] if planned and isinstance(planned[0], (list, tuple)) else planned
    return tuple(map(str, own))


def source_of(given: Mapping[str, Any], params: Mapping[str, Any]) -> Source:
    """Return of what an engine's virtual environment is made, in its version.

    Raises:
        Refusal: the packages do not say their version, so that no other can stand there.
    """
    on_gpu, backend = bool(params["on_gpu"]), str(params["torch_backend"])
    indexes = [
        *params["extra_index_urls"],
        *([params["cpu_index_url"]] if params["cpu_index_url"] and not on_gpu else []),
    ]
    packages = params["packages"] if on_gpu else params["cpu_packages"]
    source = Source(tuple(packages), tuple(indexes), TORCH_BACKENDS.get((backend, on_gpu), backend))
    return source.in_version(str(params["version"]), str(given.get("version") or ""))


def image_of(given: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """Return an engine's image: its own, or the host's in its version; without a container the name of its packages.

    Raises:
        Refusal: the host's image does not say its version, so that no other can stand there.
    """
    if params.get("supervisor") == VENV:
        return source_of(given, params).name
    if given.get("image"):
        return str(given["image"])
    usual = str(params["image"] if params["on_gpu"] else params["cpu_image"])
    version, common = str(given.get("version") or ""), str(params["version"])
    image = in_version(usual, common, version)
    if not image:
        raise Refusal(
            f"found the version {version} of the model {given['name']}, and the image {usual}, whose tag does not hold "
            f"the version {common}; wanted to know the image of that version; give the model an image of its own in "
            "gpuchat_models"
        )
    return image


def locks(engines: Sequence[Engine]) -> dict[str, tuple[str, ...]]:
    """Return the devices that each engine has locked while it starts, by its name; ``all`` are everybody's.

    One that is alone on its device has it locked too, so that nothing of it changes when another one comes or goes.
    """
    everything = sorted({place for engine in engines for place in engine.places} - {CPU})
    takes = {one.name: everything if ALL in one.places else list(one.places) for one in engines}
    return {name: tuple(its) for name, its in takes.items()}


def shares_with(engine: Engine, others: Iterable[Engine], locked: Mapping[str, Sequence[str]]) -> bool:
    """Whether an engine holds memory of a device on which one of the others is to start."""
    return any(one.name != engine.name and set(locked[one.name]) & set(locked[engine.name]) for one in others)


def config(engine: Engine) -> str:
    """Return vLLM's configuration file: one key a line, whose value is JSON, which is YAML."""
    always = {"model": "/model", "served-model-name": list(engine.names), "uds": SOCKET}
    given = {**always, **engine.args, **(engine.rank.args() if engine.rank else {})}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in given.items()]
    return HEAD + "".join(sorted(lines))


def lock_file(device: str) -> str:
    """Return the name of a device's file."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", device)


def common_files(locked: Mapping[str, Sequence[str]], params: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return the folders in which those of the engines lie, and a file for each device of theirs, to be locked."""
    uid = str(params["uid"])
    owned = {"owner": uid, "group": uid}
    devices = sorted({lock_file(device) for its in locked.values() for device in its})
    files: list[dict[str, object]] = [
        {"dest": f"{STARTS}/{device}", "content": "", "mode": "0600", **owned} for device in devices
    ]
    return [
        {"dest": posixpath.dirname(FOLDERS), "folder": True},
        {"dest": FOLDERS, "folder": True},
        {"dest": CACHES, "folder": True},
        # The door's user goes through it, to the folders with sockets that are for its group alone.
        {"dest": RUNS, "folder": True},
        # It is root's, who reads what lies there: no engine is to put anything into it.
        {"dest": STARTS, "folder": True},
        *files,
    ]


def container(engine: Engine, devices: Sequence[str], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return an engine as the one unit that `container_runner` ensures.

    Args:
        devices: those that it has locked while it starts.
        params: what all engines of the host have in common.
    """
    uid = str(params["uid"])
    locks = list(dict.fromkeys(map(lock_file, devices)))
    names = " ".join(f"/run/starts/{lock}" for lock in locks)
    first = f"python3 /etc/vllm/start.py {SOCKET} {engine.start_seconds} {names} -- "
    rank = engine.rank
    if rank:
        mark = ranks.mark(rank.hosts, engine.image, engine.commit, dict(engine.args))
        first += rank.command(mark, SOCKET)
    return {
        "name": engine.container,
        "state": "present",
        "supervisor": params["supervisor"],
        "folder": engine.folder,
        "user": f"{uid}:{uid}",
        # It has no network: whoever wants it comes through the door, by a socket that the door's group may write to.
        # But for one whose ranks on other hosts come to its own by ports of their choice.
        "network": {"name": "host" if rank else "none"},
        "entrypoint": ["/bin/sh", "-c", START.format(first)],
        "command": [],
        "environment": engine.environment,
        "secret_environment": engine.secret_environment,
        "volumes": [
            f"{engine.path}:/model:ro",
            *(f"{path}:{ADAPTERS}/{name}:ro" for name, path in engine.adapters.items()),
            f"{engine.folder}/config.yaml:/etc/vllm/config.yaml:ro",
            f"{engine.folder}/api_key:/run/secrets/vllm_api_key:ro",
            f"{engine.cache}:/cache",
            f"{engine.run}:/run/vllm",
            f"{engine.folder}/start.py:/etc/vllm/start.py:ro",
            *([f"{engine.folder}/{RANKS}:/etc/vllm/ranks.py:ro"] if rank else []),
            *([f"{engine.folder}/python:{PYTHON}:ro"] if not params["on_gpu"] else []),
            *(f"{STARTS}/{lock}:/run/starts/{lock}:ro" for lock in locks),
        ],
        "files": [
            {"dest": engine.cache, "folder": True, "owner": uid, "group": uid, "mode": "0750"},
            {"dest": engine.run, "folder": True, "owner": uid, "group": str(params["door_group"]), "mode": "2750"},
            {"dest": f"{engine.folder}/config.yaml", "content": config(engine)},
            {
                "dest": f"{engine.folder}/api_key",
                "secret_content": f"{params['api_key']}\n",
                "secret": True,
                "owner": uid,
                "mode": "0400",
            },
            {"dest": f"{engine.folder}/start.py", "content": IN_TURN},
            *([{"dest": f"{engine.folder}/{RANKS}", "content": ranks.PROGRAM}] if rank else []),
            *(_first_of_python(engine.folder) if not params["on_gpu"] else []),
            *([{"dest": f"{engine.folder}/{THEIRS}", "content": ""}] if engine.theirs else []),
            *({"dest": f"{engine.folder}/{THEIRS}-{name}", "content": ""} for name in engine.their_adapters),
        ],
        "tmpfs": ["/tmp:exec"],  # compiled kernels are loaded from there
        "shm_size": "16g",
        "gpus": ",".join(engine.devices),
        "health_command": list(HEALTH),
        "start_seconds": engine.start_seconds,
        "stop_seconds": params["stop_seconds"],
        "digest": engine.commit,
        "health": {"url": f"{engine.socket_url}/health", "status": 200, "timeout": engine.start_seconds},
    }


def _first_of_python(folder: str) -> list[dict[str, object]]:
    return [
        {"dest": f"{folder}/python", "folder": True},
        {"dest": f"{folder}/python/sitecustomize.py", "content": TILES},
    ]


@dataclass(frozen=True)
class Retired:
    """An engine of an earlier run that the inventory names no more.

    Attributes:
        slug: its part of its paths; empty for the only engine of a host, before there could be several.
        models: the folders of its model and of its adapters, as far as they are known.
        theirs: those that are the owner's own.
        places: what it takes memory of, as far as that is known.
    """

    container: str
    slug: str
    cache: str
    run: str
    models: tuple[str, ...]
    theirs: tuple[str, ...] = ()
    places: tuple[str, ...] = (ALL,)

    @property
    def name(self) -> str:
        return self.slug or self.container


def retired(names: Iterable[str], engines: Sequence[Engine]) -> list[str]:
    """Return the names of engines that are on the host and not among the wanted ones."""
    wanted = {engine.container for engine in engines}
    return sorted({name for name in names if CONTAINER.fullmatch(name)} - wanted)


def described(name: str, text: str, owned: Sequence[str] = ()) -> Retired:
    """Return an engine by its name and the text of its project, unit or Quadlet file, empty where that is gone.

    Args:
        owned: the paths of its files, some of which say by their names what is the owner's own.
    """
    slug = name[len(NAME) + 1 :]
    folders = read_back(text).folders
    usual = {"/cache": f"{CACHES}/{slug}".rstrip("/"), "/run/vllm": f"{RUNS}/{slug}".rstrip("/")}
    found = {**usual, **folders}
    marks = {"/model": f"/{THEIRS}"}
    marks |= {
        inside: f"/{THEIRS}-{posixpath.basename(inside)}" for inside in found if inside.startswith(f"{ADAPTERS}/")
    }
    models = tuple(found[inside] for inside in marks if inside in found)
    theirs = tuple(found[inside] for inside, mark in marks.items() if inside in found and _ends_in(owned, mark))
    return Retired(name, slug, found["/cache"], found["/run/vllm"], models, theirs, _places(text))


def _ends_in(paths: Iterable[str], ending: str) -> bool:
    return any(path.endswith(ending) for path in paths)


def _places(text: str) -> tuple[str, ...]:
    """Return of which devices a project, a unit or a Quadlet takes memory; ``all`` where it does not say."""
    project, unit = re.search(r'"device_ids": (\[[^]]*\])', text), re.search(r'--gpus "\\"device=([^"\\]+)\\""', text)
    if project:
        return tuple(map(str, json.loads(project[1])))
    if unit:
        return tuple(unit[1].split(","))
    if gpus_of(text):
        return gpus_of(text)
    return (CPU,) if text and not read_back(text).gpus else (ALL,)


def share(some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether two engines may take memory of the same device."""
    one, other = set(some), set(others)
    return bool(one & other or (ALL in one and other - {CPU}) or (ALL in other and one - {CPU}))


def may_go(path: str, root: str, used: Iterable[str]) -> bool:
    """Whether a folder of a retired engine may be removed: below a folder of ours, and of no engine that stays."""
    place, top = posixpath.normpath(path), posixpath.normpath(root)
    if not path or not place.startswith(f"{top}/"):
        return False
    others = [posixpath.normpath(other) for other in used]
    return not any(place == one or one.startswith(f"{place}/") or place.startswith(f"{one}/") for one in others)
