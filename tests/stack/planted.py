# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that are planted in a running stack, each with the first finding that the doctor is to have, and its fix.

They are those of a stack of one host with LobeHub (molecule/default), and of one whose edge and engines are two hosts
(molecule/split). Each is put right by its own undoing.

Most of them were seen to be named first on such a host. Not yet: too little room for Ansible itself, the engine's
socket, flags, memory and core, and those of the database's settings and folders, the object store, LobeHub, backups and
endpoints; what these expect is not yet known to hold.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import shlex
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from running import Stack, wait

DOCTOR = "playbooks/doctor.yml"
EDGE, DOOR, LOBEHUB = "/etc/gpuchat/edge", "/etc/gpuchat/door", "/etc/gpuchat/lobehub"
STATE, MODEL, CACHE = "/var/lib/gpuchat", "/srv/models/gpuchat-demo", "/var/cache/gpuchat"
POSTGRESQL = "/etc/gpuchat/postgresql"
ENGINE, ENGINE_FOLDER = "gpuchat-vllm-gpuchat-demo", "/etc/gpuchat/vllm/gpuchat-demo"
ENGINE_SETTINGS = f"{ENGINE_FOLDER}/config.yaml"
FRESH = ("-e", "ansible_ssh_args=-oControlMaster=no")
"""Each connection by ssh is a new one."""

BACKED_UP = ("-e", "backup_target=/srv/backup")
WELL_SECONDS = 240


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: a sentence.
        kind: of the first finding.
        found: words of what it has found.
        fix: words of what it says to do.
        plant: a shell script that breaks something on the host.
        undo: one that puts that right.
        host: where it is planted, and where the finding is, unless ``at`` names another host.
        words: of the playbook's command line; those of a stack with a backup have one made before.
        until: a script that succeeds once what was planted shows.
    """

    name: str
    kind: str
    found: str
    fix: str
    plant: str = "true"
    undo: str = "true"
    host: str = "server"
    at: str | None = None
    words: tuple[str, ...] = ()
    until: str = ""


def certificate(from_days: float, until_days: float, name: str = "chat.molecule.test") -> tuple[str, str]:
    """Return a certificate of an authority of its own, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now + datetime.timedelta(days=from_days))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    made = builder.not_valid_after(now + datetime.timedelta(days=until_days)).sign(key, hashes.SHA256())
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), text.decode()


def kept(*paths: str) -> str:
    """Return what keeps files as they are."""
    return " && ".join(f"cp -p {path} /root/kept{path.replace('/', '_')}" for path in paths)


def back(*paths: str) -> str:
    return " && ".join(f"mv /root/kept{path.replace('/', '_')} {path}" for path in paths)


def again(*units: str) -> str:
    """Return what starts units anew that may have failed."""
    names = " ".join(units)
    return f"systemctl stop {names}; systemctl reset-failed {names} 2>/dev/null; systemctl start {names}"


def written(path: str, text: str) -> str:
    """Return what writes a file in place, so that its owner and mode stay."""
    return f"printf %s {shlex.quote(text)} > {path}"


def compose(name: str, words: str = "up --detach") -> str:
    folder = f"/etc/gpuchat/{name.removeprefix('gpuchat-')}"
    return f"docker compose --project-name {name} --file {folder}/compose.yml {words} >/dev/null 2>&1"


def small(path: str, options: str = "size=4m", fill: str = "dd if=/dev/zero of=$there/full bs=64k 2>/dev/null") -> str:
    """Return what lays a small file system over a folder, and fills it."""
    return f"there={path}; mkdir -p $there && mount -t tmpfs -o {options} full $there && {{ {fill}; true; }}"


def psql(sql: str, database: str = "postgres") -> str:
    socket = f"{STATE}/postgresql/socket"
    return f"cd / && runuser -u postgres -- psql -h {socket} -d {database} -XAtqc {shlex.quote(sql)}"


def stand_in(said: str, status: int = 0) -> str:
    """Return what puts a program there that says what an nvidia-smi once said."""
    program = f"#!/bin/sh\ncat <<'END'\n{said}\nEND\nexit {status}\n"
    return f"printf %s {shlex.quote(program)} > /usr/local/bin/nvidia-smi && chmod +x /usr/local/bin/nvidia-smi"


OVER, OVERS_KEY = certificate(-90, -1)
SOON, SOONS_KEY = certificate(-80, 10)
OTHER, OTHERS_KEY = certificate(-1, 800)
NO_STAND_IN = "rm -f /usr/local/bin/nvidia-smi"
SHIFTED = "/usr/lib/python3/dist-packages/usercustomize.py"
"""A host's clock is that of its machine, which no test sets: the doctor's Python there is told another."""

NEW_LOBEHUB = f"docker rm --force gpuchat-lobehub >/dev/null; {compose('gpuchat-lobehub')}"
"""With a log of its own, which holds nothing of the fault before."""


def lobehub(name: str, value: str) -> str:
    """Return what gives LobeHub another setting among its secrets, and starts it anew."""
    program = (
        "import json, sys; path, name, value = sys.argv[1:]; found = json.load(open(path)); "
        "found.pop(name, None); found.update({name: value} if value else {}); json.dump(found, open(path, 'w'))"
    )
    path = f"{LOBEHUB}/secrets.json"
    return f"{kept(path)} && python3 -c {shlex.quote(program)} {path} {name} {shlex.quote(value)} && {NEW_LOBEHUB}"


LOBEHUB_BACK = f"{back(f'{LOBEHUB}/secrets.json')} && {NEW_LOBEHUB}"
LOBEHUB_SAID = "docker logs --tail 400 gpuchat-lobehub 2>&1 | grep -q {}"

ONE_HOST = (
    # The way into the host.
    Fault(
        "sshd stopped",
        *("host.unreachable", "Connection refused", "start sshd"),
        *("systemctl stop ssh.socket ssh.service 2>/dev/null; ! systemctl is-active -q ssh", "systemctl start ssh"),
        words=FRESH,
    ),
    Fault(
        "ssh's key taken away",
        *("host.unreachable", "Permission denied", "give ssh a key"),
        *("mv /root/.ssh/authorized_keys /root/kept_keys", "mv /root/kept_keys /root/.ssh/authorized_keys"),
        words=FRESH,
    ),
    Fault(
        "the host's address wrong in the inventory",
        *("host.unreachable", "no way into it", "ansible_host"),
        words=("-e", '{"ansible_host": "192.0.2.1", "ansible_timeout": 3}', *FRESH),
    ),
    Fault(
        "Python removed",
        *("host.python", "python", "Python 3.9"),
        *("mv /usr/bin/python3 /usr/bin/python3.away", "mv /usr/bin/python3.away /usr/bin/python3"),
    ),
    Fault(
        "no room for Ansible itself",
        *("disk.full", "No space left on device", "remote temporary folder"),
        *(small("/root/.ansible", "size=64k"), "umount /root/.ansible"),
        words=("-e", "ansible_pipelining=false"),  # without which modules go through a pipe alone
    ),
    # The host itself.
    Fault(
        "a clock ten minutes ahead",
        *("clock.off", "ahead of the control node's", "chrony"),
        *(written(SHIFTED, "import time as t\n_now = t.time\nt.time = lambda: _now() + 600\n"), f"rm {SHIFTED}"),
    ),
    Fault(
        "the disk of downloads full",
        *("disk.full", CACHE, "docker image prune"),
        *(small(CACHE), f"umount {CACHE}"),
    ),
    Fault(
        "no inodes left for logs",
        *("disk.inodes", "/var/log", "many small files"),
        *(
            small("/var/log", "size=64g,nr_inodes=1000", "i=0; while touch $there/$i 2>/dev/null; do i=$((i+1)); done"),
            "umount /var/log",
        ),
    ),
    Fault(
        "a driver that was upgraded beneath the engines",
        *("gpu.mismatch", "the driver was upgraded", "reboot the host"),
        *(
            stand_in("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.95", 18),
            NO_STAND_IN,
        ),
    ),
    Fault(
        "a GPU fallen off the bus",
        *("gpu.lost", "lost", "nvidia-smi"),
        *(
            stand_in(
                "Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost.  Reboot the system to recover "
                "this GPU",
                15,
            ),
            NO_STAND_IN,
        ),
    ),
    # The edge.
    Fault(
        "the edge stopped",
        *("service.stopped", "gpuchat-edge stopped", "journalctl -u gpuchat-edge"),
        *("systemctl stop gpuchat-edge", "systemctl start gpuchat-edge"),
    ),
    Fault(
        "the edge stopped by a signal",
        *("site.silent", "does not answer", "systemctl restart gpuchat-edge"),
        *("systemctl kill -s STOP gpuchat-edge", "systemctl kill -s CONT gpuchat-edge"),
    ),
    Fault(
        "somebody else on the edge's port",
        *("port.taken", "squatter.service", "stop it"),
        "systemctl stop gpuchat-edge && systemd-run --unit squatter --collect python3 -m http.server 443 && sleep 1 && "
        "! systemctl start gpuchat-edge",
        f"systemctl stop squatter; {again('gpuchat-edge')}",
    ),
    Fault(
        "a word that nginx does not know",
        *("log.nginx.directive", "nginx does not understand", "--tags door,edge"),
        f"{kept(f'{EDGE}/site.conf')} && echo 'proxi_pass x;' >>{EDGE}/site.conf && ! systemctl restart gpuchat-edge",
        f"{back(f'{EDGE}/site.conf')}; {again('gpuchat-edge')}",
    ),
    Fault(
        "a file of the edge's removed",
        *("file.missing", f"{EDGE}/api.conf removed", "site.yml"),
        f"{kept(f'{EDGE}/api.conf')} && rm {EDGE}/api.conf && ! systemctl restart gpuchat-edge",
        f"{back(f'{EDGE}/api.conf')}; {again('gpuchat-edge')}",
    ),
    Fault(
        "a file of the edge's changed by hand",
        *("file.content", f"{EDGE}/headers.conf changed by hand", "put what shall stay into the inventory"),
        *(f"{kept(f'{EDGE}/headers.conf')} && echo '# mine' >>{EDGE}/headers.conf", back(f"{EDGE}/headers.conf")),
    ),
    Fault(
        "the site's key for everybody to read",
        *("file.mode", f"{EDGE}/tls.key given another mode", "site.yml"),
        *(f"{kept(f'{EDGE}/tls.key')} && chmod 0644 {EDGE}/tls.key", back(f"{EDGE}/tls.key")),
    ),
    Fault(
        "another key beside the site's certificate",
        *("log.nginx.certificate", "not of one pair", "playbooks/renew.yml"),
        f"{kept(f'{EDGE}/tls.key')} && {written(f'{EDGE}/tls.key', OTHERS_KEY)} && ! systemctl restart gpuchat-edge",
        f"{back(f'{EDGE}/tls.key')}; {again('gpuchat-edge')}",
    ),
    Fault(
        "the site's certificate over",
        *("certificate.over", f"{EDGE}/tls.crt, which ended", "playbooks/renew.yml"),
        f"{kept(f'{EDGE}/tls.crt', f'{EDGE}/tls.key')} && {written(f'{EDGE}/tls.crt', OVER)} && "
        f"{written(f'{EDGE}/tls.key', OVERS_KEY)} && systemctl restart gpuchat-edge",
        f"{back(f'{EDGE}/tls.crt', f'{EDGE}/tls.key')}; {again('gpuchat-edge')}",
    ),
    Fault(
        "the site's certificate soon over",
        *("certificate.soon", f"{EDGE}/tls.crt, which ends", "edge_certificate_file"),
        f"{kept(f'{EDGE}/tls.crt', f'{EDGE}/tls.key')} && {written(f'{EDGE}/tls.crt', SOON)} && "
        f"{written(f'{EDGE}/tls.key', SOONS_KEY)} && systemctl restart gpuchat-edge",
        f"{back(f'{EDGE}/tls.crt', f'{EDGE}/tls.key')}; {again('gpuchat-edge')}",
    ),
    Fault(
        "the edge's unit with a drop-in that it does not start with",
        *("service.failed", "override.conf beside its unit", "which no run has made"),
        "mkdir -p /etc/systemd/system/gpuchat-edge.service.d && "
        "printf '[Service]\\nExecStartPre=/bin/false\\nRestart=no\\n' "
        ">/etc/systemd/system/gpuchat-edge.service.d/override.conf && "
        "systemctl daemon-reload && ! systemctl restart gpuchat-edge",
        f"rm -r /etc/systemd/system/gpuchat-edge.service.d; systemctl daemon-reload; {again('gpuchat-edge')}",
    ),
    Fault(
        "the edge disabled",
        *("service.disabled", "gpuchat-edge disabled", "site.yml"),
        *("systemctl disable gpuchat-edge", "systemctl enable gpuchat-edge"),
    ),
    # The packet filter.
    Fault(
        "the stack's packet filter deleted",
        *("filter.missing", "no packet filter loaded", "systemctl restart gpuchat-firewall"),
        *("nft delete table inet gpuchat", "systemctl restart gpuchat-firewall"),
    ),
    Fault(
        "a rule in the stack's packet filter",
        *("filter.changed", "changed by hand", "systemctl restart gpuchat-firewall"),
        *("nft add rule inet gpuchat input tcp dport 9 accept", "systemctl restart gpuchat-firewall"),
    ),
    Fault(
        "the edge's port closed by somebody's rule",
        *("filter.other", "port 443 of gpuchat-edge closed by the table inet mine", "nft list table inet mine"),
        "nft add table inet mine && nft 'add chain inet mine input { type filter hook input priority 0; }' && "
        "nft add rule inet mine input tcp dport 443 drop",
        "nft delete table inet mine",
    ),
    Fault(
        "a firewall that lets in ssh alone",
        *("filter.other", "which lets in what it names", "ufw, firewalld"),
        "nft add table ip mine && nft 'add chain ip mine input { type filter hook input priority 0; policy drop; }' && "
        "nft add rule ip mine input iif lo accept && nft add rule ip mine input ct state established accept && "
        "nft add rule ip mine input tcp dport 22 accept && nft add rule ip mine input ip saddr 172.16.0.0/12 accept",
        "nft delete table ip mine",
    ),
    # Docker.
    Fault(
        "Docker stopped",
        *("service.stopped", "docker stopped", "journalctl -u docker"),
        *("systemctl stop docker.socket docker.service", "systemctl start docker"),
    ),
    Fault(
        "Docker masked",
        *("service.masked", "docker masked by hand", "systemctl unmask docker"),
        "systemctl stop docker.socket docker.service && systemctl mask docker.service",
        "systemctl unmask docker.service && systemctl start docker",
    ),
    Fault(
        "a daemon.json that dockerd cannot read",
        *("log.docker.daemon_settings", "daemon.json that dockerd cannot read", "correct /etc/docker/daemon.json"),
        f"{kept('/etc/docker/daemon.json')} && echo '{{' >/etc/docker/daemon.json && ! systemctl restart docker",
        f"{back('/etc/docker/daemon.json')}; {again('docker')}",
    ),
    Fault(
        "a setting of Docker's changed",
        *("docker.settings", "changed by hand: live-restore", "docker_settings"),
        f'{kept("/etc/docker/daemon.json")} && sed -i \'s/"live-restore": true/"live-restore": false/\' '
        f"/etc/docker/daemon.json",
        back("/etc/docker/daemon.json"),
    ),
    Fault(
        "a container removed",
        *("container.missing", "no container gpuchat-object-store", "site.yml"),
        *("docker rm -f gpuchat-object-store", compose("gpuchat-object-store")),
    ),
    Fault(
        "a container and its image removed",
        *("image.missing", "no image for gpuchat-object-store", "which pulls it"),
        "image=$(docker inspect gpuchat-object-store --format '{{.Config.Image}}') && docker save $image -o "
        "/root/image.tar && "
        "echo $image >/root/image.name && docker rm -f gpuchat-object-store && docker rmi -f $image",
        f"docker pull -q $(cat /root/image.name); rm /root/image.*; {compose('gpuchat-object-store')}",
    ),
    Fault(
        "a container of another image",
        *("image.running", "gpuchat-object-store running", "remove that container"),
        "image=$(docker inspect gpuchat-lobehub --format '{{.Config.Image}}') && docker rm -f gpuchat-object-store && "
        "docker run --detach --name gpuchat-object-store --label com.docker.compose.project=gpuchat-object-store "
        "--network none --entrypoint /bin/node $image -e 'setTimeout(() => 0, 1e6)'",
        f"docker rm -f gpuchat-object-store; {compose('gpuchat-object-store')}",
    ),
    Fault(
        "a registry's name that does not resolve, and a container gone",
        *("name.registry", "registry.world", "gpuchat_registry_map"),
        "cp /etc/resolv.conf /root/kept_resolv && cp /etc/hosts /root/kept_hosts && echo nameserver 127.0.0.9 "
        ">/etc/resolv.conf && "
        "grep -v registry.world /root/kept_hosts >/etc/hosts; docker rm -f gpuchat-object-store",
        f"cat /root/kept_resolv >/etc/resolv.conf; cat /root/kept_hosts >/etc/hosts; {compose('gpuchat-object-store')}",
    ),
    Fault(
        "the interface paused",
        *("container.paused", "gpuchat-lobehub paused", "docker unpause gpuchat-lobehub"),
        *("docker pause gpuchat-lobehub", "docker unpause gpuchat-lobehub"),
    ),
    Fault(
        "the interface without its network",
        *("container.network", "gpuchat-lobehub taken off its network", "which makes it anew"),
        "docker network inspect gpuchat-room >/dev/null && docker network disconnect -f gpuchat-room gpuchat-lobehub",
        f"docker rm -f gpuchat-lobehub; {compose('gpuchat-lobehub')}",
    ),
    # The engine and its model.
    Fault(
        "the engine stopped",
        *("service.stopped", f"{ENGINE} stopped", "site.yml"),
        *(f"docker stop {ENGINE}", f"docker start {ENGINE}"),
    ),
    Fault(
        "the engine's core stopped by a signal, while its server says that it is healthy",
        *("engine.hung", f"{ENGINE} healthy by its own word, and not working", "deploys/restart.py"),
        f"systemctl stop gpuchat-watchdog && kill -STOP $(docker top {ENGINE} -eo pid,args | awk '/EngineCore/ "
        f"{{print $1}}')",
        f"kill -CONT $(docker top {ENGINE} -eo pid,args | awk '/EngineCore/ {{print $1}}'); systemctl start "
        f"gpuchat-watchdog",
        at="server",
    ),
    Fault(
        "the engine's server stopped by a signal",
        *("engine.silent", f"{ENGINE} running and not answering", "docker logs"),
        f"kill -STOP $(docker top {ENGINE} -eo pid,args | tail -n +3 | awk '{{print $1}}')",
        f"kill -CONT $(docker top {ENGINE} -eo pid,args | tail -n +3 | awk '{{print $1}}')",
    ),
    Fault(
        "the engine's socket removed",
        *("engine.silent", f"{ENGINE} running and not answering", "restart"),
        f"mv $(find {STATE} /run -name vllm.sock | head -1) /root/vllm.sock",
        f"docker restart {ENGINE}",
    ),
    Fault(
        "a flag that vLLM does not know",
        *("log.vllm.unknown_flag", "a flag that this version of vLLM does not have", "remove it from args"),
        f"{kept(ENGINE_SETTINGS)} && echo 'no-such-flag: 1' >>{ENGINE_SETTINGS} && docker restart {ENGINE}",
        f"{back(ENGINE_SETTINGS)} && docker restart {ENGINE}",
        until=f"[ $(docker inspect {ENGINE} --format '{{{{.RestartCount}}}}') -ge 3 ]",
    ),
    Fault(
        "the engine ended by the kernel for want of memory",
        *("memory.out", f"{ENGINE} ended by the kernel", "dmesg"),
        f"docker update --memory 150m --memory-swap 150m {ENGINE}; docker restart {ENGINE}",
        f"docker rm --force {ENGINE}; "
        f"docker compose --project-name {ENGINE} --file {ENGINE_FOLDER}/compose.yml up --detach",
        until=f"docker inspect {ENGINE} --format '{{{{.State.OOMKilled}}}} {{{{.RestartCount}}}}' | grep -qE "
        f"'true|[1-9]$'",
    ),
    Fault(
        "a model's file removed",
        *("model.incomplete", f"{MODEL} lacks", "fetches these again"),
        *(f"mv {MODEL}/config.json /root/kept_config", f"mv /root/kept_config {MODEL}/config.json"),
    ),
    Fault(
        "a model's weights cut short",
        *("model.changed", f"{MODEL} has, not as downloaded", "fetches these again"),
        f"cd {MODEL} && cp -p model.safetensors /root/kept_weights && truncate -s -10 model.safetensors",
        f"mv /root/kept_weights {MODEL}/model.safetensors",
    ),
    Fault(
        "a model's folder moved away",
        *("model.missing", f"no model at {MODEL}", "site.yml"),
        *(f"mv {MODEL} {MODEL}.away", f"mv {MODEL}.away {MODEL}"),
    ),
    # What the interface needs.
    Fault(
        "PostgreSQL stopped",
        *("service.stopped", "gpuchat-postgresql stopped", "journalctl -u gpuchat-postgresql"),
        *("systemctl stop gpuchat-postgresql", "systemctl start gpuchat-postgresql"),
    ),
    Fault(
        "another password in the database",
        *("database.password", "a password that the database does not know", "run site.yml"),
        "secret=$("
        + psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'lobehub'")
        + ') && echo "$secret" >/root/secret && '
        + psql("ALTER ROLE lobehub PASSWORD 'another'"),
        f"cd / && echo \"ALTER ROLE lobehub PASSWORD '$(cat /root/secret)'\" | runuser -u postgres -- psql -h "
        f"{STATE}/postgresql/socket "
        "-d postgres -Xq; rm /root/secret",
    ),
    Fault(
        "no connection left in the database",
        *("database.clients", "more connections than the database allows", "max_connections"),
        psql("ALTER ROLE lobehub CONNECTION LIMIT 0"),
        psql("ALTER ROLE lobehub CONNECTION LIMIT -1"),
    ),
    Fault(
        "the database renamed",
        *("database.database_missing", "without the interface's database or role", "playbooks/restore.yml"),
        "docker stop gpuchat-lobehub >/dev/null && " + psql("ALTER DATABASE lobehub RENAME TO away"),
        psql("ALTER DATABASE away RENAME TO lobehub") + " && docker start gpuchat-lobehub >/dev/null",
    ),
    Fault(
        "a database without pgvector",
        *("database.extension", "without the extension vector", "--tags postgresql"),
        "docker stop gpuchat-lobehub >/dev/null && "
        + psql("ALTER DATABASE lobehub RENAME TO away")
        + " && "
        + psql("CREATE DATABASE lobehub OWNER lobehub"),
        psql("DROP DATABASE lobehub")
        + " && "
        + psql("ALTER DATABASE away RENAME TO lobehub")
        + " && docker start gpuchat-lobehub >/dev/null",
    ),
    Fault(
        "a setting that PostgreSQL does not know",
        *("log.postgresql.settings", "a setting that PostgreSQL does not know", "--tags postgresql"),
        f"{kept(f'{POSTGRESQL}/postgresql.conf')} && echo 'shared_bufers = 1' >>{POSTGRESQL}/postgresql.conf && "
        "! systemctl restart gpuchat-postgresql",
        f"{back(f'{POSTGRESQL}/postgresql.conf')}; {again('gpuchat-postgresql')}",
    ),
    Fault(
        "the database's folder for everybody to read",
        *("log.postgresql.database_folder", "whose owner or mode was changed", "which gives them back"),
        f"chmod 0755 {STATE}/postgresql/1*/ && ! systemctl restart gpuchat-postgresql",
        f"chmod 0700 {STATE}/postgresql/1*/; {again('gpuchat-postgresql')}",
    ),
    Fault(
        "the database's folder moved away",
        *("log.postgresql.database_gone", "a PostgreSQL without its data", "mount or move it back"),
        f"systemctl stop gpuchat-postgresql && for one in {STATE}/postgresql/1*; do mv $one $one.away; done && "
        "! systemctl start gpuchat-postgresql",
        f"for one in {STATE}/postgresql/1*.away; do mv $one ${{one%.away}}; done; {again('gpuchat-postgresql')}",
    ),
    Fault(
        "nobody let into the database",
        *("database.not_let_in", "lets nobody in", "pg_hba.conf"),
        f"{kept(f'{POSTGRESQL}/pg_hba.conf')} && sed -i '/sameuser/d' {POSTGRESQL}/pg_hba.conf && systemctl "
        f"reload gpuchat-postgresql",
        f"{back(f'{POSTGRESQL}/pg_hba.conf')}; systemctl reload gpuchat-postgresql",
    ),
    Fault(
        "the database's disk full",
        *("disk.full", f"{STATE}/postgresql", "mount a larger file system"),
        f"systemctl stop gpuchat-postgresql && cd {STATE}/postgresql && data=$(ls -d 1*) && mv $data /root/data "
        f"&& mkdir $data && "
        "mount -t tmpfs -o size=$(($(du -sm /root/data | cut -f1) + 16))m,mode=0700 full $data && cp -a "
        "/root/data/. $data/ && "
        "chown postgres:postgres $data && systemctl start gpuchat-postgresql && dd if=/dev/zero of=$data/full "
        "bs=64k 2>/dev/null; true",
        f"systemctl stop gpuchat-postgresql; cd {STATE}/postgresql && data=$(ls -d 1*) && umount $data && rmdir "
        f"$data && "
        f"mv /root/data $data; {again('gpuchat-postgresql')}",
    ),
    Fault(
        "the object store stopped",
        *("service.stopped", "gpuchat-object-store stopped", "site.yml"),
        *("docker stop gpuchat-object-store", "docker start gpuchat-object-store"),
    ),
    Fault(
        "the bucket gone",
        *("bucket.missing", "an object store without LobeHub's bucket", "playbooks/restore.yml"),
        f"docker stop gpuchat-object-store >/dev/null; mkdir /root/bucket && cp -a {STATE}/object-store/. "
        f"/root/bucket/ && "
        f"find {STATE}/object-store -mindepth 1 -delete && docker start gpuchat-object-store && sleep 3",
        f"docker stop gpuchat-object-store >/dev/null; find {STATE}/object-store -mindepth 1 -delete; "
        f"cp -a /root/bucket/. {STATE}/object-store/ && rm -r /root/bucket; docker start gpuchat-object-store",
    ),
    Fault(
        "another key in the object store",
        *("bucket.key", "does not take LobeHub's key", "both get the same"),
        f"{kept('/etc/gpuchat/object-store/secret-key')} && printf another >/etc/gpuchat/object-store/secret-key && "
        "docker restart gpuchat-object-store && sleep 3",
        "cat /root/kept_etc_gpuchat_object-store_secret-key >/etc/gpuchat/object-store/secret-key; docker "
        "restart gpuchat-object-store",
    ),
    # The interface.
    Fault(
        "LobeHub stopped",
        *("service.stopped", "gpuchat-lobehub stopped", "docker logs gpuchat-lobehub"),
        *("docker stop gpuchat-lobehub", "docker start gpuchat-lobehub"),
    ),
    Fault(
        "LobeHub without a secret",
        *("log.lobehub.environment", "a LobeHub without a setting", "--tags lobehub"),
        *(lobehub("KEY_VAULTS_SECRET", ""), LOBEHUB_BACK),
        until=LOBEHUB_SAID.format("KEY_VAULTS_SECRET"),
    ),
    Fault(
        "a way to sign in that LobeHub does not know",
        *("log.lobehub.sign_in", "a way to sign in that is unknown", "AUTH_SSO_PROVIDERS"),
        *(lobehub("AUTH_SSO_PROVIDERS", "nobody"), LOBEHUB_BACK),
        until=LOBEHUB_SAID.format("Better-Auth"),
    ),
    Fault(
        "LobeHub with the variables of LobeChat",
        *("log.lobehub.former_variables", "variables of LobeChat 1", "lobehub_environment"),
        *(lobehub("NEXT_AUTH_SECRET", "x"), LOBEHUB_BACK),
        until=LOBEHUB_SAID.format("deprecated"),
    ),
    # Doors and watchdog.
    Fault(
        "the door stopped",
        *("service.stopped", "gpuchat-door stopped", "journalctl -u gpuchat-door"),
        *("systemctl stop gpuchat-door", "systemctl start gpuchat-door"),
    ),
    Fault(
        "the watchdog stopped",
        *("service.stopped", "gpuchat-watchdog stopped", "site.yml"),
        *("systemctl stop gpuchat-watchdog", "systemctl start gpuchat-watchdog"),
    ),
    Fault(
        "the host out of rotation",
        *("host.drained", "out of rotation since", "--back"),
        *(f"touch {DOOR}/drained", f"rm {DOOR}/drained"),
    ),
    # What runs left there.
    Fault(
        "another stack's host",
        *("stack.other", "a host of another stack", "gpuchat_adopt_secrets"),
        f"{kept('/etc/gpuchat/stack')} && sed -i 's/^ca_certificate .*/ca_certificate ffff/' /etc/gpuchat/stack",
        back("/etc/gpuchat/stack"),
    ),
    Fault(
        "a service's record gone",
        *("service.absent", "no gpuchat-door", "site.yml"),
        *(
            kept(f"{STATE}/services/gpuchat-door.json") + f" && rm {STATE}/services/gpuchat-door.json",
            back(f"{STATE}/services/gpuchat-door.json"),
        ),
    ),
    Fault(
        "a record of files damaged",
        *("record.damaged", "a damaged record of edge", "site.yml"),
        *(
            kept(f"{STATE}/files/edge.json") + f" && echo '{{' >{STATE}/files/edge.json",
            back(f"{STATE}/files/edge.json"),
        ),
    ),
    Fault(
        "files that are newer than what runs",
        *("service.stale", f"{ENGINE} not restarted since its files changed", "site.yml"),
        f'{kept(f"{STATE}/services/{ENGINE}.json")} && sed -i \'s/"digest": "..../&0000/\' '
        f"{STATE}/services/{ENGINE}.json",
        back(f"{STATE}/services/{ENGINE}.json"),
    ),
    # Backups.
    Fault(
        "the newest backup ten days old",
        *("backup.old", "a backup 240 hours old", "gpuchat-backup.timer"),
        f'{kept(f"{STATE}/backup/status.json")} && python3 -c "import json, time; path = '
        f"'{STATE}/backup/status.json'; one = json.load(open(path)); "
        "one['success']['time'] = time.time() - 864000; one.pop('failure', None); json.dump(one, open(path, 'w'))\"",
        back(f"{STATE}/backup/status.json"),
        words=BACKED_UP,
    ),
    Fault(
        "the backup's timer disabled",
        *("service.stopped", "gpuchat-backup.timer stopped", "site.yml"),
        *("systemctl disable --now gpuchat-backup.timer", "systemctl enable --now gpuchat-backup.timer"),
        words=BACKED_UP,
    ),
    Fault(
        "a drill that failed",
        *("backup.drill", "the last drill failed", "playbooks/backup.yml"),
        f'{kept(f"{STATE}/backup/status.json")} && python3 -c "import json; path = '
        f"'{STATE}/backup/status.json'; one = json.load(open(path)); "
        "one['drill'] = {'good': False, 'time': 1, 'message': 'it is damaged'}; json.dump(one, open(path, 'w'))\"",
        back(f"{STATE}/backup/status.json"),
        words=BACKED_UP,
    ),
    # The inventory.
    Fault(
        "a wrong inventory",
        *("inventory.fault", "gpuchat_supervisor", "gpuchat_supervisor"),
        words=("-e", "gpuchat_supervisor=systemb"),
        at="",
    ),
    Fault(
        "another vLLM in the inventory than the one that runs",
        *("image.planned", "vllm-openai-cpu", "site.yml"),
        words=("-e", "vllm_version=0.31.0"),
    ),
    Fault(
        "a model in the inventory that no run has brought",
        *("model.missing", "no model at /srv/models/another", "site.yml"),
        words=(
            "-e",
            json.dumps(
                {
                    "gpuchat_models": [
                        {
                            "name": name,
                            "source": "huggingface",
                            "repo": "gpuchat/gpuchat-demo",
                            "endpoints": ["http://hub.world"],
                        }
                        for name in ("gpuchat-demo", "another")
                    ]
                }
            ),
        ),
    ),
    Fault(
        "a version of Docker that is pinned, and another there",
        *("version.planned", "docker", "site.yml"),
        words=("-e", "docker_version=99.1"),
    ),
    Fault(
        "an endpoint that nobody answers at",
        *("endpoint.silent", "no connection to studio", "start that server"),
        words=(
            "-e",
            json.dumps(
                {"gpuchat_endpoints": [{"name": "studio", "url": "http://127.0.0.1:9/v1", "models": ["llama"]}]}
            ),
        ),
    ),
    Fault(
        "an endpoint whose name does not resolve",
        *("name.endpoint", "studio.molecule.invalid", "gpuchat_endpoints"),
        words=(
            "-e",
            json.dumps(
                {
                    "gpuchat_endpoints": [
                        {"name": "studio", "url": "http://studio.molecule.invalid/v1", "models": ["llama"]}
                    ]
                }
            ),
        ),
    ),
)

TWO_HOSTS = (
    Fault(
        "the GPU host's sshd stopped",
        *("host.unreachable", "Connection refused", "start sshd"),
        *("systemctl stop ssh.socket ssh.service 2>/dev/null; ! systemctl is-active -q ssh", "systemctl start ssh"),
        words=FRESH,
        host="gpu1",
    ),
    Fault(
        "the GPU host's clock an hour behind",
        *("clock.off", "behind the control node's", "chrony"),
        *(written(SHIFTED, "import time as t\n_now = t.time\nt.time = lambda: _now() - 3600\n"), f"rm {SHIFTED}"),
        host="gpu1",
    ),
    Fault(
        "the GPU host's door stopped",
        *("service.stopped", "gpuchat-door stopped", "journalctl -u gpuchat-door"),
        *("systemctl stop gpuchat-door", "systemctl start gpuchat-door"),
        host="gpu1",
    ),
    Fault(
        "somebody else at the door's port",
        *("port.taken", "squatter.service", "stop it"),
        "systemctl stop gpuchat-door && systemd-run --unit squatter --collect python3 -m http.server "
        f"$(sed -n 's/.*listen [^ ]*:\\([0-9]*\\) ssl.*/\\1/p' {DOOR}/*.conf | head -1) && sleep 1 && "
        "! timeout 20 systemctl start gpuchat-door",
        f"systemctl stop squatter; {again('gpuchat-door')}",
        host="gpu1",
    ),
    Fault(
        "somebody's rule that drops what the edge asks the door",
        *("filter.other", "gpuchat-door closed by the table inet mine", "nft list table inet mine"),
        "nft add table inet mine && nft 'add chain inet mine input { type filter hook input priority 0; }' && "
        "nft add rule inet mine input iifname != lo tcp dport 1024-65535 drop",
        "nft delete table inet mine",
        host="gpu1",
    ),
    Fault(
        "somebody's rule that drops one host alone",
        *("door.filtered", "something on the way drops it", "nft list table inet gpuchat"),
        "nft add table inet mine && nft 'add chain inet mine input { type filter hook input priority 0; }' && "
        "nft add rule inet mine input ip saddr FRONT tcp dport 1024-65535 drop",
        "nft delete table inet mine",
        host="gpu1",
        at="front",
    ),
    Fault(
        "no route between the hosts",
        *("route.none", "no way to", "ip route get"),
        *("ip route add unreachable BACK", "ip route delete unreachable BACK"),
        host="front",
    ),
    Fault(
        "a way that swallows large packets",
        *("mtu.small", "lost on the way to", "set the MTU"),
        "nft add table netdev mine 2>/dev/null; nft add table inet mine && "
        "nft 'add chain inet mine input { type filter hook prerouting priority -350; }' && "
        "nft add rule inet mine input ip saddr FRONT meta length '>' 1300 drop",
        "nft delete table inet mine; nft delete table netdev mine 2>/dev/null; true",
        host="gpu1",
        at="front",
    ),
    Fault(
        "an interface with a small MTU at one end alone",
        *("mtu.small", "lost on the way to", "set the MTU"),
        "ip link set dev $(ip -o -4 address show | awk '/BACK/ {print $2}') mtu 1000",
        "ip link set dev $(ip -o -4 address show | awk '/BACK/ {print $2}') mtu 1500",
        host="gpu1",
        at="front",
    ),
    Fault(
        "the GPU host without its address",
        *("log.nginx.address_missing", "an address of the stack's that this host does not have", "ip -brief address"),
        "ip address del BACK/24 dev $(ip -o -4 address show | awk '/BACK/ {print $2}' | tee /root/device) && "
        "! timeout 20 systemctl restart gpuchat-door",
        f"ip address add BACK/24 dev $(cat /root/device); {again('gpuchat-door')}",
        host="gpu1",
    ),
    Fault(
        "the door's certificate over",
        *("certificate.over", f"{DOOR}/host.crt, which ended", "playbooks/renew.yml"),
        f"{kept(f'{DOOR}/host.crt', f'{DOOR}/host.key')} && {written(f'{DOOR}/host.crt', OVER)} && "
        f"{written(f'{DOOR}/host.key', OVERS_KEY)} && systemctl restart gpuchat-door",
        f"{back(f'{DOOR}/host.crt', f'{DOOR}/host.key')}; {again('gpuchat-door')}",
        host="gpu1",
    ),
    Fault(
        "a door of another authority",
        *("door.certificate", "with a certificate that does not hold", "playbooks/renew.yml"),
        f"{kept(f'{DOOR}/host.crt', f'{DOOR}/host.key')} && {written(f'{DOOR}/host.crt', OTHER)} && "
        f"{written(f'{DOOR}/host.key', OTHERS_KEY)} && systemctl restart gpuchat-door",
        f"{back(f'{DOOR}/host.crt', f'{DOOR}/host.key')}; {again('gpuchat-door')}",
        host="gpu1",
        at="front",
    ),
    Fault(
        "a door that trusts another authority",
        *("door.stranger", "does not take this host's certificate", "both certified by one authority"),
        f"{kept(f'{DOOR}/hosts.crt')} && {written(f'{DOOR}/hosts.crt', OTHER)} && systemctl restart gpuchat-door",
        f"{back(f'{DOOR}/hosts.crt')}; {again('gpuchat-door')}",
        host="gpu1",
        at="front",
    ),
    Fault(
        "the engine stopped behind its door",
        *("service.stopped", "gpuchat-vllm-gpuchat-demo stopped", "journalctl -u"),
        *(f"systemctl stop {ENGINE}", f"systemctl start {ENGINE}"),
        host="gpu1",
    ),
    Fault(
        "the interface stopped, on a host of its own",
        *("service.stopped", "gpuchat-open-webui stopped", "journalctl -u gpuchat-open-webui"),
        *("systemctl stop gpuchat-open-webui", "systemctl start gpuchat-open-webui"),
        host="front",
    ),
    Fault(
        "the interface's unit with another image",
        *("image.running", "gpuchat-open-webui running", "remove that container"),
        "sed -i.kept 's/@sha256:..../@sha256:0000/' /etc/systemd/system/gpuchat-open-webui.service",
        "mv /etc/systemd/system/gpuchat-open-webui.service.kept /etc/systemd/system/gpuchat-open-webui.service",
        host="front",
    ),
)


def faults_of(hosts: Collection[str]) -> tuple[Fault, ...]:
    """Return the faults that a world's hosts can have."""
    return TWO_HOSTS if "gpu1" in hosts else ONE_HOST


def of(name: str) -> Fault:
    """Return a fault by its name."""
    return next(one for one in (*ONE_HOST, *TWO_HOSTS) if one.name == name)


def diagnosis(stack: Stack) -> list[dict[str, str]]:
    found = json.loads((stack.inventory / ".gpuchat" / "doctor.json").read_text())
    return list(found["causes"])


def well(stack: Stack) -> bool:
    """Whether every unit and container of the stack's hosts runs, and is healthy."""
    containers = "docker ps --all --filter name=gpuchat- --format '{{.Names}} {{.Status}}' | grep -v '(healthy)'"
    script = "systemctl --quiet is-active gpuchat-door && ! systemctl --quiet is-failed 'gpuchat-*' && "
    script += f"{{ ! command -v docker || ! {containers}; }}"
    hosts = [name for name, one in stack.world["hosts"].items() if one["image"] != "probe"]  # type: ignore[attr-defined]
    return all(_succeeds(stack, host, script) for host in hosts)


def _succeeds(stack: Stack, host: str, script: str) -> bool:
    return "yes" in stack.on(host, f"( {script} ) >/dev/null 2>&1 && echo yes", check=False)


@contextlib.contextmanager
def planted(stack: Stack, fault: Fault) -> Iterator[str]:
    """Plant a fault, ask the doctor, put it right; yield what the doctor printed."""
    try:
        stack.on(fault.host, _here(stack, fault.plant))
        if fault.until:
            wait(lambda: _succeeds(stack, fault.host, fault.until), 120, f"{fault.name} to show")
        yield stack.play(*fault.words, playbook=DOCTOR).stdout
    finally:
        stack.on(fault.host, _here(stack, fault.undo))


def _here(stack: Stack, script: str) -> str:
    """Put the addresses in their places by which two hosts ask each other."""
    hosts = stack.world["hosts"]
    for word, name in (("FRONT", "front"), ("BACK", "gpu1")):
        script = script.replace(word, str(hosts[name]["addresses"]["back"])) if name in hosts else script  # type: ignore[index,operator]
    return script


def check_first(stack: Stack, fault: Fault) -> None:
    """Plant a fault, and see that it is the first that the doctor names, with its fix."""
    with planted(stack, fault) as said:
        assert diagnosis(stack), said
        first = diagnosis(stack)[0]
        wanted = (fault.host if fault.at is None else fault.at, fault.kind)
        assert (first["host"], first["kind"]) == wanted, said
        assert fault.found in first["found"], said
        assert fault.fix in f"{first['found']} {first['fix']}", said


def check_well(stack: Stack, *words: str) -> None:
    """Wait until all runs again, and see that the doctor finds nothing."""
    end = time.monotonic() + WELL_SECONDS
    wait(lambda: well(stack), WELL_SECONDS, "all to run again")
    said = stack.play(*words, playbook=DOCTOR).stdout
    while diagnosis(stack) and time.monotonic() < end:  # an engine that starts is a warning
        said = stack.play(*words, playbook=DOCTOR).stdout
    assert diagnosis(stack) == [], said
    assert not set(re.findall(r"changed=(\d+)", said)) - {"0"}
