# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the world's images from Debian, PyPI and npm packages, each once for each state of its recipe.

A recipe is a folder under images/: image.json (name, base, Dockerfile instructions, and files of the project that it
needs also) and build.sh, which runs as root in a container of the base; what it leaves there is the image. Where Docker
Hub answers, an image that upstream publishes is pulled instead.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

import engine
from engine import docker, say

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache"
DEBIAN_MIRROR = os.environ.get("WORLD_DEBIAN_MIRROR", "http://deb.debian.org/debian")
CACHE_VOLUME = "gpuchat-world-cache"


@dataclass(frozen=True)
class Recipe:
    """One image that the world builds."""

    folder: pathlib.Path
    name: str
    base: str
    changes: tuple[str, ...]
    also: tuple[pathlib.Path, ...]

    @classmethod
    def read(cls, name: str) -> Recipe:
        folder = HERE / "images" / name
        data = json.loads((folder / "image.json").read_text(encoding="utf-8"))
        also = tuple(ROOT / path for path in data.get("also", ()))
        return cls(folder, data["name"], data["base"], tuple(data["changes"]), also)

    @property
    def upstream(self) -> str:
        """The name under which upstream publishes the image, or empty for one of the world's own."""
        return self.name if "/" in self.name else ""

    def tag(self) -> str:
        """The local name, which holds a digest over all that the image is made from."""
        digest = content_hash(self.folder, base_tag(self.base), *map(file_hash, self.also))
        return f"gpuchat-world/{self.folder.name}:{digest}"


def content_hash(folder: pathlib.Path, *more: str) -> str:
    """Return a digest over a folder's files and some further texts."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    digest.update("\0".join(more).encode())
    return digest.hexdigest()[:12]


def file_hash(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def base_tag(base: str) -> str:
    return f"gpuchat-world/{base}" if base.startswith("debian:") else Recipe.read(base).tag()


def ensure(name: str) -> str:
    """Make sure that a recipe's image is there, and return its local name."""
    recipe = Recipe.read(name)
    tag = recipe.tag()
    with engine.alone(CACHE, name):
        if not engine.exists("image", tag):
            _make(recipe, tag)
    return tag


def _make(recipe: Recipe, tag: str) -> None:
    started = time.monotonic()
    if recipe.upstream and hub_answers():
        say(f"pulling {recipe.upstream}")
        docker("pull", "--quiet", recipe.upstream)
        docker("tag", recipe.upstream, tag)
    else:
        base = ensure_debian(recipe.base) if recipe.base.startswith("debian:") else ensure(recipe.base)
        _build(recipe, base, tag)
    say(f"image {recipe.folder.name} is ready after {time.monotonic() - started:.0f} s")


def hub_answers() -> bool:
    try:
        with socket.create_connection(("registry-1.docker.io", 443), timeout=3):
            return True
    except OSError:
        return False


def ensure_debian(base: str) -> str:
    """Make sure that a minimal Debian's image is there, and return its local name."""
    tag = base_tag(base)
    suite = base.partition(":")[2]
    with engine.alone(CACHE, f"debian-{suite}"):
        if not engine.exists("image", tag):
            _make_debian(suite, tag)
    return tag


def _make_debian(suite: str, tag: str) -> None:
    say(f"building a minimal Debian ({suite})")
    with tempfile.TemporaryDirectory(prefix="gpuchat-world-") as folder:
        root = f"{folder}/root"
        command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, root, DEBIAN_MIRROR]
        _must(command)
        with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as packed:
            _must(["docker", "import", "--change", f"LABEL {engine.LABEL}=1", "-", tag], stdin=packed.stdout)


def _build(recipe: Recipe, base: str, tag: str) -> None:
    log = CACHE / "logs" / f"{recipe.folder.name}.log"
    say(f"building {recipe.name} from packages (log: {log.relative_to(CACHE.parent)})")
    container = f"gpuchat-world-build-{recipe.folder.name}"
    scratch = f"{container}-scratch"
    docker("rm", "--force", container, check=False)
    docker("volume", "rm", "--force", scratch)  # a build that was ended has left its own
    mounts = [
        f"{recipe.folder}:/recipe:ro",
        f"{engine.volume(CACHE_VOLUME)}:/cache",
        f"{engine.volume(scratch)}:/build",
    ]
    mounts += [f"{path}:/also/{path.name}:ro" for path in recipe.also]
    mounts += [f"{path}:{path}:ro" for path in (engine.CA_BUNDLE, *pip_folders())]
    docker(
        *("run", "--detach", "--name", container, "--network", "host", "--user", "0"),
        *(word for mount in mounts for word in ("--volume", mount)),
        *(base, "sleep", "infinity"),
    )
    # By exec, so that the machine's settings do not become part of the image.
    settings = [word for name, value in machine_settings().items() for word in ("--env", f"{name}={value}")]
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as file:
        _must(["docker", "exec", *settings, container, "/bin/sh", "/recipe/build.sh"], stdout=file, stderr=file)
    docker("stop", "--time", "0", container)
    changes = [f"LABEL {engine.LABEL}=1", *recipe.changes]
    docker("commit", *(word for change in changes for word in ("--change", change)), container, tag)
    docker("rm", container)
    docker("volume", "rm", scratch)


def machine_settings() -> dict[str, str]:
    """Return what the machine itself uses: its certificate authorities, proxies and pip settings."""
    settings = {
        name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.lower().endswith("_proxy")
    }
    settings.update(_pip_settings())
    for name in ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"):
        settings[name] = engine.CA_BUNDLE
    return settings


def _pip_settings() -> dict[str, str]:
    """Return the package indexes of the machine's pip configuration, as environment variables."""
    shown = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    found: dict[str, str] = {}
    for line in shown.splitlines():
        name, _equals, value = line.partition("=")
        option = name.rpartition(".")[2]
        if option in ("index-url", "extra-index-url", "find-links", "trusted-host"):
            found[f"PIP_{option.upper().replace('-', '_')}"] = value.strip("'\"").replace("\\n", " ")
    return found


def pip_folders() -> list[str]:
    """Return the local folders that the machine's pip settings name; an index's files lie beside its `simple`."""
    words = " ".join(_pip_settings().values()).replace("file://", "").split()
    folders = {word for word in words if word.startswith("/") and os.path.isdir(word)}
    return sorted({os.path.dirname(folder) if folder.endswith("/simple") else folder for folder in folders})


def _must(command: Sequence[str], **how: object) -> None:
    done = subprocess.run(command, check=False, **{"stdout": subprocess.DEVNULL, **how})  # type: ignore[call-overload]
    if done.returncode != 0:
        raise SystemExit(f"world: {' '.join(command)} ended with {done.returncode}")
