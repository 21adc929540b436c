# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test world: systemd hosts in containers, networks, and the servers that a run fetches from.

world.py up FOLDER      make what FOLDER/.world.json describes, for the inventory in FOLDER
world.py build          make what all worlds share: images, models, and the servers that have them
world.py tell FOLDER    say where the chat of that inventory is, and its password
world.py down FOLDER    remove it again
world.py clean          remove everything that any world made
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass

import engine
import images
import yaml
from engine import docker, say

REGISTRY = "gpuchat-world-registry"
PACKAGES = "gpuchat-world-packages"
HUB = "gpuchat-world-hub"
SERVERS = {"registry.world": REGISTRY, "packages.world": PACKAGES, "hub.world": HUB}
MADE = f"{engine.LABEL}.made"
OWN_IMAGES = ("host", "gpu_host", "probe", "packages", "registry", "hub", "control")
SERVED_IMAGES = ("vllm", "open_webui", "object_store", "lobehub")
SMALL_IMAGE = ("debian:trixie", "docker.io/library/debian:trixie-slim")

# What systemd, Docker inside, and a firewall need; --privileged is not to be had on every machine.
CAPABILITIES = (
    *("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_CHROOT", "DAC_READ_SEARCH", "NET_RAW", "MKNOD", "AUDIT_CONTROL"),
    *("SYSLOG", "SYS_NICE", "LINUX_IMMUTABLE", "IPC_LOCK", "SYS_TIME"),
)


@dataclass(frozen=True)
class Host:
    """A host of a world: its image and its address in each network that it is in."""

    name: str
    image: str
    addresses: dict[str, str]


@dataclass(frozen=True)
class World:
    """What a .world.json says; `serves` names the images that its hosts pull, all where it says nothing."""

    folder: pathlib.Path
    name: str
    networks: dict[str, str]
    hosts: tuple[Host, ...]
    serves: tuple[str, ...]

    @classmethod
    def read(cls, folder: pathlib.Path) -> World:
        data = json.loads((folder / ".world.json").read_text(encoding="utf-8"))
        hosts = tuple(Host(name, one["image"], one["addresses"]) for name, one in data["hosts"].items())
        return cls(folder, data["name"], data["networks"], hosts, tuple(data.get("serves", SERVED_IMAGES)))

    @property
    def keys(self) -> pathlib.Path:
        """Folder of the key by which Ansible reaches the hosts."""
        return self.folder / ".ssh"

    def called(self, part: str) -> str:
        return f"gpuchat-{self.name}-{part}"


def up(world: World) -> None:
    """Make everything that the world needs and that is not there yet."""
    _ensure_shared(world.serves)
    for network, subnet in world.networks.items():
        if not engine.exists("network", world.called(network)):
            label = ("--label", f"{engine.LABEL}={world.name}")
            six = ("--ipv6",) if ":" in subnet else ()
            docker("network", "create", *label, *six, "--subnet", subnet, world.called(network))
    connected = docker("network", "inspect", world.called("inside"))
    for alias, server in SERVERS.items():
        if f'"{server}"' not in connected:
            docker("network", "connect", "--alias", alias, world.called("inside"), server)
    _ensure_key(world)
    (world.keys / "packages_fingerprint").write_text(docker("exec", PACKAGES, "cat", "/srv/packages/fingerprint"))
    for host in world.hosts:
        _ensure_host(world, host)
    for host in world.hosts:
        _await_host(world, host)


def build() -> None:
    """Make what all worlds share: first what is soon made and what every world needs, last what takes longest."""
    engine.ensure(images.CACHE)
    for name in OWN_IMAGES:
        images.ensure(name)
    _ensure_shared(SERVED_IMAGES)


def _ensure_shared(serves: Sequence[str]) -> None:
    engine.ensure(images.CACHE)
    _ensure_registry()
    _ensure_server(PACKAGES, "packages")
    _serve(images.ensure_debian(SMALL_IMAGE[0]), SMALL_IMAGE[1])
    _ensure_server(HUB, "hub", "--volume", f"{_ensure_models()}:/srv/models/gpuchat:ro")
    for name in serves:
        _serve(images.ensure(name), images.Recipe.read(name).upstream)


def down(world: World) -> None:
    """Remove a world's hosts and networks; images, servers and model stay for the next one."""
    if not engine.is_installed():
        return
    engine.ensure(images.CACHE)  # a Docker that stands still would come back with yesterday's hosts
    for host in world.hosts:
        docker("rm", "--force", "--volumes", world.called(host.name), check=False)
        docker("volume", "rm", "--force", world.called(f"{host.name}-docker"), check=False)
    for network in world.networks:
        for server in SERVERS.values():
            docker("network", "disconnect", "--force", world.called(network), server, check=False)
        docker("network", "rm", world.called(network), check=False)
    shutil.rmtree(world.keys, ignore_errors=True)


def tell(world: World) -> None:
    """Tell a person what `make demo` has made."""
    hosts = yaml.safe_load((world.folder / "hosts.yml").read_text(encoding="utf-8"))["all"]["vars"]
    secrets = yaml.safe_load((world.folder / ".gpuchat" / "secrets.yml").read_text(encoding="utf-8"))
    address = hosts["verify_address"]
    print(
        f"""
Your private chat is up.

  open         https://{address}/   (or https://{hosts["gpuchat_domain"]}/, with {address} for it in your hosts file)
  authority    import {os.path.relpath(world.folder)}/.gpuchat/ca.crt into the browser, or accept its warning
  sign in as   admin@{hosts["gpuchat_domain"]}
  password     {secrets["admin_password"]}
  say          hello

  again        .venv/bin/ansible-playbook site.yml -i inventory
  prove        .venv/bin/ansible-playbook playbooks/verify.yml -i inventory
  remove       make clean
"""
    )


def clean() -> None:
    """Remove everything that worlds made, and end the Docker that they started."""
    if engine.is_up():
        label = f"label={engine.LABEL}"
        for kind, listing, removal in (
            ("container", ("ps", "--all", "--quiet"), ("rm", "--force", "--volumes")),
            ("network", ("network", "ls", "--quiet"), ("network", "rm")),
            ("volume", ("volume", "ls", "--quiet"), ("volume", "rm")),
        ):
            found = docker(*listing, "--filter", label).split()
            if found:
                say(f"removing {len(found)} of kind {kind}")
                docker(*removal, *found)
        _remove_images(label)
    pid_file = images.CACHE / "dockerd.pid"
    pid = int(pid_file.read_text()) if pid_file.exists() else 0
    if pid and _is_dockerd(pid):
        say("ending dockerd")
        os.kill(pid, signal.SIGTERM)
        while _is_dockerd(pid) and _state(pid) != "Z":
            time.sleep(0.2)
    shutil.rmtree(images.CACHE, ignore_errors=True)


def _remove_images(label: str) -> None:
    """Remove the world's images: an image goes only after those that were made from it."""
    left = -1
    while True:
        # Those that were pulled bear no label.
        filters = (label, "reference=gpuchat-world/*")
        found = {one for text in filters for one in docker("images", "--all", "--quiet", "--filter", text).split()}
        if len(found) == left:
            raise SystemExit(f"world: {left} images could not be removed: {' '.join(sorted(found))}")
        if not found:
            return
        say(f"removing {len(found)} images")
        left = len(found)
        docker("rmi", "--force", *sorted(found), check=False)


def _is_dockerd(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd"
    except FileNotFoundError:
        return False


def _state(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _ensure_server(name: str, recipe: str, *words: str) -> None:
    """Run a server that all worlds share, anew where its image or its settings are other ones by now."""
    with engine.alone(images.CACHE, name):
        _run_server(name, images.ensure(recipe), words)


def _run_server(name: str, image: str, words: Sequence[str]) -> None:
    made = hashlib.sha256("\0".join((image, *words)).encode()).hexdigest()[:12]
    if engine.exists("container", name):
        if engine.inspect("container", name)["Config"]["Labels"].get(MADE) == made:  # type: ignore[index]
            docker("start", name)
            return
        docker("rm", "--force", name)
    labels = ("--label", f"{engine.LABEL}=1", "--label", f"{MADE}={made}")
    docker("run", "--detach", "--name", name, *labels, "--restart", "unless-stopped", *words, image)


def _ensure_registry() -> None:
    data = engine.volume(f"{REGISTRY}-data")
    _ensure_server(REGISTRY, "registry", "--publish", "127.0.0.1::5000", "--volume", f"{data}:/var/lib/docker-registry")
    end = time.monotonic() + 30
    while not _answers(f"http://{_registry_address()}/v2/"):
        if time.monotonic() > end:
            raise SystemExit(f"world: the registry does not answer; see docker logs {REGISTRY}")
        time.sleep(0.2)


def _registry_address() -> str:
    return "127.0.0.1:" + docker("port", REGISTRY, "5000/tcp").splitlines()[0].rpartition(":")[2]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _serve(tag: str, upstream: str) -> None:
    """Put an image into the registry under the name that upstream gives it."""
    with engine.alone(images.CACHE, REGISTRY):
        _push(tag, upstream)


def _push(tag: str, upstream: str) -> None:
    image_id = str(engine.inspect("image", tag)["Id"])
    path = upstream.partition("/")[2]
    record = images.CACHE / "served" / path.partition(":")[0].rpartition("/")[2]
    registry_made = str(engine.inspect("volume", f"{REGISTRY}-data")["CreatedAt"])
    if record.exists() and record.read_text() == image_id + registry_made:
        return
    target = f"{_registry_address()}/{path}"
    say(f"putting {path} into the world's registry")
    started = time.monotonic()
    docker("tag", tag, target)
    docker("push", "--quiet", target)
    docker("rmi", target)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(image_id + registry_made)
    say(f"{path} is served after {time.monotonic() - started:.0f} s")


def _ensure_models() -> str:
    """Train the demo's model where it is not there yet; return the volume with it and the one for vectors."""
    recipe = images.HERE / "demo_model"
    tag = images.ensure("vllm")
    volume = f"gpuchat-world-model-{images.content_hash(recipe, tag)}"
    with engine.alone(images.CACHE, "models"):
        if not engine.exists("volume", volume):
            _train(recipe, tag, volume)
    return volume


def _train(recipe: pathlib.Path, tag: str, volume: str) -> None:
    say("training the demo's model (about a minute and a half)")
    started = time.monotonic()
    making = engine.volume(f"{volume}-making")
    words = ["--rm", "--volume", f"{recipe}:/recipe:ro", "--entrypoint", "python", "--env", "HOME=/tmp"]
    words += ["--volume", f"{making}:/out", tag, "/recipe/train.py"]
    out = ["--out", "/out/gpuchat-demo", "--vectors", "/out/gpuchat-vectors"]
    out += ["--adapter", "/out/gpuchat-sailor"]
    done = subprocess.run(["docker", "run", *words, *out], check=False)
    if done.returncode != 0:
        docker("volume", "rm", making)
        raise SystemExit("world: the demo's model could not be trained")
    engine.volume(volume)
    copy = ["--volume", f"{making}:/from:ro", "--volume", f"{volume}:/to", "--entrypoint", "/bin/sh", tag]
    docker("run", "--rm", *copy, "-c", "cp -R /from/. /to && chmod -R a+rX /to")
    docker("volume", "rm", making)
    say(f"the model is ready after {time.monotonic() - started:.0f} s")


def _ensure_key(world: World) -> None:
    key = world.keys / "id_ed25519"
    if not key.exists():
        world.keys.mkdir(mode=0o700, exist_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "gpuchat-world", "-f", str(key)], check=True
        )
        for path in (world.keys, key, key.with_suffix(".pub")):  # Ansible runs as the person who called sudo
            os.chown(path, int(os.environ.get("SUDO_UID", "-1")), int(os.environ.get("SUDO_GID", "-1")))


def _ensure_host(world: World, host: Host) -> None:
    name = world.called(host.name)
    if engine.exists("container", name):
        docker("start", name)
        return
    say(f"starting {host.name}")
    networks = list(host.addresses.items())
    words = [
        "--detach",
        "--name",
        name,
        "--hostname",
        host.name,
        "--stop-signal",
        "SIGRTMIN+3",
        "--label",
        f"{engine.LABEL}={world.name}",
    ]
    words += [word for capability in CAPABILITIES for word in ("--cap-add", capability)]
    words += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
    words += ["--device-cgroup-rule", "a *:* rwm", "--cgroupns", "private", "--env", "container=docker"]
    words += ["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"]
    words += ["--volume", f"{engine.volume(world.called(host.name + '-docker'))}:/var/lib/docker"]
    words += ["--volume", "/var/lib/containers"]  # Podman's; it goes with the host
    words += ["--network", world.called(networks[0][0]), *_at(networks[0][1])]
    docker("run", *words, images.ensure(host.image))
    for network, address in networks[1:]:
        docker("network", "connect", *_at(address), world.called(network), name)
    public_key = (world.keys / "id_ed25519.pub").read_text()
    prepare = (
        "ssh-keygen -A >/dev/null && mkdir -p -m 700 /root/.ssh && cat >/root/.ssh/authorized_keys"
        " && systemctl restart ssh"
    )
    end = time.monotonic() + 30
    while True:
        done = subprocess.run(
            ["docker", "exec", "--interactive", name, "sh", "-c", prepare],
            input=public_key,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            return
        if time.monotonic() > end:
            raise SystemExit(f"world: {name} does not start: {done.stderr}")
        time.sleep(0.2)


def _at(address: str) -> tuple[str, str]:
    return ("--ip6" if ":" in address else "--ip", address)


def _await_host(world: World, host: Host) -> None:
    state = docker("exec", world.called(host.name), "systemctl", "is-system-running", "--wait", check=False)
    if state != "running":
        failed = docker("exec", world.called(host.name), "systemctl", "--failed", "--no-legend", "--plain", check=False)
        raise SystemExit(f"world: {host.name} is {state}: {failed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("up", "down", "tell"):
        commands.add_parser(command).add_argument("folder", type=pathlib.Path)
    commands.add_parser("build")
    commands.add_parser("clean")
    arguments = parser.parse_args()
    if arguments.command == "tell":
        tell(World.read(arguments.folder.resolve()))
        return
    if os.geteuid() != 0:
        raise SystemExit("world: needs root, for Docker and debootstrap; run it with sudo")
    if arguments.command == "clean":
        clean()
    elif arguments.command == "build":
        build()
    else:
        {"up": up, "down": down}[arguments.command](World.read(arguments.folder.resolve()))


if __name__ == "__main__":
    main()
