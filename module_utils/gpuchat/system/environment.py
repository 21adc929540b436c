# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual environment that uv makes of what a lock names: which Python, which lock, which folder, which settings.

Packages are resolved once. What comes of that, each package with its version and its hashes, is the lock, which every
host and every later run installs from.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..core.errors import Refusal
from .virtualenv import pinned

TOOL = "/opt/gpuchat/uv"
UV = f"{TOOL}/bin/uv"
ROOT = "/opt/gpuchat/vllm"
"""Holds an environment in a folder of its own for each lock, so that the one before stays beside the new one."""

CACHE = f"{ROOT}/.cache"
"""Of uv, on the file system of the environments, so that files are linked and not copied; it goes with each build."""

OLDEST, NEWEST = (3, 10), (3, 14)
"""Of Python, of all versions of vLLM together; which of them a version wants, its package tells uv."""

SYSTEM_PYTHON = "/usr/bin/python3"
CANDIDATES = (SYSTEM_PYTHON, "/usr/bin/python3.12", "/usr/bin/python3.13", "/usr/bin/python3.11")
"""Those that are looked for, in this order: a compiler finds headers of the system's own first."""

AUTO = "auto"
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*-[0-9a-f]{12}")
HEAD = "# Packages, resolved once and then kept. Made by gpuchat; keep it under version control.\n"
OPENMP = "intel-openmp=="
OPENMP_LIBRARY = "lib/libiomp5.so"


@dataclass(frozen=True)
class Source:
    """What an environment is made of.

    Attributes:
        packages: requirements, the program's own first.
        extra_indexes: package indexes that are asked before the usual one.
        torch_backend: which of PyTorch's own indexes has its packages (``cpu``, ``cu130``, ...); empty for none.
    """

    packages: tuple[str, ...]
    extra_indexes: tuple[str, ...] = ()
    torch_backend: str = ""

    @property
    def name(self) -> str:
        return " ".join(self.packages)

    def in_version(self, common: str, version: str) -> Source:
        """Return the same in another version, which its words hold.

        Raises:
            Refusal: its packages do not say the common version, so that no other can stand there.
        """
        if version in ("", common):
            return self
        if not common or not any(common in one for one in self.packages):
            raise Refusal(
                f"found the version {version} of a model, and the packages {self.name}, which do not hold the version "
                f"{common}; wanted to know the packages of that version; set vllm_packages (vllm_cpu_packages) to "
                "words with vllm_version in them, or take the version out of gpuchat_models"
            )
        packages, indexes = (
            tuple(one.replace(common, version) for one in some) for some in (self.packages, self.extra_indexes)
        )
        return Source(packages, indexes, self.torch_backend)


@dataclass(frozen=True)
class Python:
    """An interpreter on a host: its path and its version (``3.13``)."""

    path: str
    version: str

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split(".")[:2])


def chosen(wanted: str, found: Sequence[Python]) -> Python:
    """Return the interpreter that environments are made of.

    Args:
        wanted: its path, or ``auto``.
        found: those that are there, in the order in which they are preferred.

    Raises:
        Refusal: there is none that vLLM runs on.
    """
    known = ".".join(map(str, OLDEST)), ".".join(map(str, NEWEST))
    fitting = [one for one in found if OLDEST <= one.numbers <= NEWEST and wanted in (AUTO, one.path)]
    if fitting:
        return fitting[0]
    there = ", ".join(f"{one.path} ({one.version})" for one in found if wanted in (AUTO, one.path))
    place = "this host" if wanted == AUTO else wanted
    raise Refusal(
        f"found {there or f'no Python at {place}'}; wanted one of {known[0]} to {known[1]}, which vLLM runs on; "
        "install such a one, and set uv_python to its path, or gpuchat_supervisor to compose, systemd or quadlet"
    )


def lock_name(source: Source, python: str, machine: str) -> str:
    """Return the name of a lock's file: what was asked for, for which Python and which kind of machine."""
    asked = hashlib.sha256("\n".join([*source.packages, source.torch_backend]).encode()).hexdigest()[:8]
    return f"{_label(source.packages[0])}-py{python}-{machine}-{asked}.txt"


def _label(requirement: str) -> str:
    name, _equals, version = requirement.partition(";")[0].partition("==")
    words = [re.sub(r"\[.*?\]|\s.*", "", name.strip()), version.strip()]
    return "-".join(re.sub(r"[^A-Za-z0-9.+_-]", "-", word) for word in words if word)


def lock_digest(text: str) -> str:
    """Return what distinguishes a lock, whatever stands in its comments.

    Raises:
        Refusal: it names something without its exact version and its hashes.
    """
    names = pinned(text)
    hashes = sorted(re.findall(r"--hash=(\S+)", text))
    return hashlib.sha256("\n".join([*sorted(names), *hashes]).encode()).hexdigest()


def folder_of(source: Source, text: str, python: Python) -> str:
    """Return the folder of an environment, which no other lock or Python has."""
    whole = hashlib.sha256(f"{lock_digest(text)} {python.path} {python.version}".encode()).hexdigest()
    version = _label(source.packages[0]).rpartition("-")[2]
    return f"{ROOT}/{version}-{whole[:12]}"


def preloaded(folder: str, text: str) -> tuple[str, ...]:
    """Return the libraries that a program is started with: Intel's OpenMP, which vLLM's CPU build wants in front."""
    return (f"{folder}/{OPENMP_LIBRARY}",) if f"\n{OPENMP}" in f"\n{text}" else ()


def stale(folders: Iterable[str], used: Iterable[str]) -> tuple[str, ...]:
    """Return the environments that no engine uses."""
    kept = set(used)
    return tuple(sorted(path for path in folders if path not in kept))


def uv_environment(
    source: Source, index_url: str, trusted_hosts: Sequence[str], kept: Mapping[str, str], own: Iterable[str]
) -> dict[str, str]:
    """Return uv's settings as variables of its environment, where no list of processes shows a login.

    Args:
        kept: what the host's own settings of pip say of where packages come from (``virtualenv.kept_settings``), which
            uv does not read by itself.
        own: the variables that the environment has; an empty one of uv's counts as none.
    """
    own = set(own)
    settings = {name: "" for name in own if name.startswith("UV_")}
    settings |= {
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": CACHE,
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_HTTP_TIMEOUT": "300",
        "UV_SYSTEM_CERTS": "1",
        "UV_NO_PROGRESS": "1",
    }
    default = index_url or kept.get("PIP_INDEX_URL", "")
    extra = [*source.extra_indexes, *([] if index_url else kept.get("PIP_EXTRA_INDEX_URL", "").split())]
    links = "" if index_url else kept.get("PIP_FIND_LINKS", "")
    trusted = [*trusted_hosts, *kept.get("PIP_TRUSTED_HOST", "").split()]
    settings |= {"UV_DEFAULT_INDEX": default} if default else {}
    settings |= {"UV_INDEX": " ".join(extra)} if extra else {}
    settings |= {"UV_FIND_LINKS": ",".join(links.split())} if links else {}
    settings |= {"UV_INSECURE_HOST": " ".join(trusted)} if trusted else {}
    settings |= {"UV_TORCH_BACKEND": source.torch_backend} if source.torch_backend else {}
    for name, variables in WAY.items():
        if kept.get(name) and not own & {*variables, *map(str.lower, variables)}:
            settings |= dict.fromkeys(variables, kept[name])
    return settings


WAY = {
    "PIP_CERT": ("SSL_CERT_FILE",),
    "PIP_CLIENT_CERT": ("SSL_CLIENT_CERT",),
    "PIP_PROXY": ("HTTPS_PROXY", "HTTP_PROXY"),
}
"""By which variables uv knows the way that pip's settings name."""
