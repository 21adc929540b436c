# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey of the running stack: nothing is found on it, and whatever is planted is."""

from __future__ import annotations

import contextlib
import datetime
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from running import ROOT, Stack

EDGE = "/etc/gpuchat/edge"
STATE = "/var/lib/gpuchat"
MODEL = "/srv/models/gpuchat-demo"
CACHE = "/var/cache/gpuchat"
LIST_OF_FILES = (ROOT / "molecule" / "world" / "list-of-files.sh").read_text()
REMOVE = "docker rm --force gpuchat-object-store"
COMPOSE = "docker compose --project-name gpuchat-object-store --file /etc/gpuchat/object-store/compose.yml"
OTHER_CONTAINER = (
    f"other=$(docker images --quiet | head -n 1) && {REMOVE} && docker run --detach --name gpuchat-object-store "
    "--label com.docker.compose.project=gpuchat-object-store --network none --entrypoint /bin/sh $other -c 'sleep 1000'"
)


@dataclass(frozen=True)
class Plant:
    """Something wrong on the demo's host: how it comes and goes, and the finding that it is to be."""

    kind: str
    named: str
    come: str
    go: str


def ending_certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chat.demo.test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(days=80))
    made = builder.not_valid_after(now + datetime.timedelta(days=10)).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


PLANTS = (
    Plant("file.content", f"{EDGE}/headers.conf", f"echo '# by hand' >>{EDGE}/headers.conf", ""),
    Plant("file.missing", f"{EDGE}/api.conf", f"rm {EDGE}/api.conf", ""),
    Plant("file.mode", f"{EDGE}/chat.conf", f"chmod 0666 {EDGE}/chat.conf", ""),
    Plant("file.owner", f"{EDGE}/site.conf", f"chown 7 {EDGE}/site.conf", ""),
    Plant("certificate.soon", f"{EDGE}/tls.crt", f"printf %s '{ending_certificate()}' >{EDGE}/tls.crt", ""),
    Plant("service.stopped", "gpuchat-door", "systemctl stop gpuchat-door", "systemctl start gpuchat-door"),
    Plant("service.disabled", "gpuchat-edge", "systemctl disable gpuchat-edge", "systemctl enable gpuchat-edge"),
    Plant(
        "service.stale",
        "gpuchat-vllm-gpuchat-demo",
        f'sed -i \'s/"digest": "..../&0000/\' {STATE}/services/gpuchat-vllm-gpuchat-demo.json',
        "",
    ),
    Plant("image.running", "gpuchat-object-store", OTHER_CONTAINER, f"{REMOVE}; {COMPOSE} up --detach"),
    Plant("stack.other", "ca_certificate", "sed -i 's/^ca_certificate .*/ca_certificate ffff/' /etc/gpuchat/stack", ""),
    Plant(
        "filter.changed",
        "packet filter",
        "nft add rule inet gpuchat input tcp dport 9 accept",
        "systemctl reload gpuchat-firewall",
    ),
    Plant("model.changed", "config.json", f"touch {MODEL}/config.json", ""),
    Plant(
        "docker.settings",
        "live-restore",
        'sed -i \'s/"live-restore": true/"live-restore": false/\' /etc/docker/daemon.json',
        "",
    ),
    Plant(
        "disk.full",
        CACHE,
        f"mount -t tmpfs -o size=1m tmpfs {CACHE} && install -d -o 69980 -g 69980 -m 0750 {CACHE}/vllm",
        f"umount {CACHE}",
    ),
)
KEEPERS = (f"{STATE}/postgresql", f"{STATE}/object-store")
"""Where others write all the time."""

KEPT = f"{EDGE} {STATE}/services {STATE}/files /etc/gpuchat/stack /etc/docker/daemon.json {MODEL}"


def survey(stack: Stack, *words: str) -> tuple[int, dict[str, dict[str, object]]]:
    """Return the exit status, and what was said of each host."""
    command = [sys.executable, str(ROOT / "deploys" / "survey.py"), "-i", str(stack.inventory), "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 2, 3), done.stderr
    assert not done.stderr, done.stderr
    return done.returncode, {host["name"]: host for host in json.loads(done.stdout)["hosts"]}


def findings(host: dict[str, object]) -> list[tuple[str, str]]:
    return [(one["kind"], one["found"]) for one in host["findings"]]  # type: ignore[attr-defined]


@contextlib.contextmanager
def planted(stack: Stack) -> Iterator[None]:
    """Plant everything; afterwards put back each file with its owner, mode and time, and each service.

    Of tar's formats, posix keeps fractions of a second.
    """
    stack.on("server", f"tar --create --format posix --file /root/kept.tar --absolute-names {KEPT}")
    lock_file = stack.inventory / ".gpuchat" / "lock.yml"
    images = lock_file.read_text()
    try:
        for plant in PLANTS:
            stack.on("server", plant.come)
        lock_file.write_text(images.replace("sha256:", "sha256:0000"))
        yield
    finally:
        lock_file.write_text(images)
        stack.on("server", "tar --extract --file /root/kept.tar --absolute-names --preserve-permissions")
        for plant in PLANTS:
            stack.on("server", plant.go or "true")
        stack.on("server", "rm /root/kept.tar")


def test_nothing_is_found_on_the_running_stack_and_nothing_is_changed(stack: Stack) -> None:
    stack.wait_for_answer()
    before = stack.on("server", LIST_OF_FILES)
    status, hosts = survey(stack)
    assert {name: findings(host) for name, host in hosts.items()} == {"server": [], "probe": []}
    assert status == 0
    after = stack.on("server", LIST_OF_FILES)
    running = ("/var/lib/docker", "/var/lib/containerd", "/var/cache/gpuchat", "/dev", *KEEPERS)
    assert [line for line in after.splitlines() if line not in before and not line.startswith(running)] == []
    reading = hosts["server"]["reading"]
    assert reading["engines"]["gpuchat-vllm-gpuchat-demo"]["models"] == [stack.model]
    assert reading["models"][MODEL]["commit"]  # type: ignore[index]
    text = json.dumps(hosts)
    secrets = {name: one for name, one in stack.secrets.items() if one and "certificate" not in name}
    assert [name for name, secret in secrets.items() if secret in text] == []


def test_each_thing_that_is_planted_is_found_and_nothing_is_left_when_it_is_gone(stack: Stack) -> None:
    with planted(stack):
        status, hosts = survey(stack)
        found = findings(hosts["server"])
        missing = [
            plant for plant in PLANTS if not any(kind == plant.kind and plant.named in text for kind, text in found)
        ]
        assert missing == [], found
        known = {plant.kind for plant in PLANTS} | {"image.planned", "model.stale"}
        assert [one for one in found if one[0] not in known] == []
        assert len([kind for kind, _text in found if kind == "image.planned"]) == 3
        assert (status, findings(hosts["probe"])) == (2, [])
    stack.wait_for_answer()
    status, hosts = survey(stack)
    assert (status, findings(hosts["server"])) == (0, [])


def test_a_docker_that_hangs_costs_its_own_answers_alone(stack: Stack) -> None:
    path = "/usr/local/bin/docker"
    stack.on("server", f"printf '#!/bin/sh\\nexec sleep 600\\n' >{path} && chmod 755 {path}")
    try:
        status, hosts = survey(stack, "--timeout", "30")
    finally:
        stack.on("server", f"rm {path}")
    assert status == 2
    found = findings(hosts["server"])
    assert {kind for kind, _text in found} == {"part.silent"}
    assert any(text.startswith("docker: no answer") for _kind, text in found)
    assert hosts["server"]["reading"]["services"]["gpuchat-edge"]["running"]  # type: ignore[index]
