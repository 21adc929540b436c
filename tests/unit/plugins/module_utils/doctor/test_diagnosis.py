# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One thing is broken in a stack that was well, and the first line of what is found is that thing, with its fix."""

from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor.diagnosis import (
    WIDTH,
    as_json,
    message,
    table,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey.types import Expected

from ..survey.healthy import DAY, GIB, NOW
from .stack import CHAT, DATABASE, ENGINE, HOSTS, STORE, Stack

VLLM = "(EngineCore pid=71) ERROR "
ENDED = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"


NO_DATABASE = "Error: connect ENOENT /run/postgresql/.s.PGSQL.5432"
NO_SOCKET = "[crit] 3#3: *1 connect() to unix:/var/lib/gpuchat/vllm/m/vllm.sock failed (2: No such file or directory)"


def test_nothing_is_found_in_a_stack_in_which_all_is_well():
    diagnosis = Stack().diagnose()
    assert diagnosis.causes == ()
    assert diagnosis.severity == "ok"
    assert table(diagnosis) == "3 hosts: nothing is wrong"


def test_what_restic_says_explains_that_there_is_no_backup():
    stack = Stack()
    stack.readings["b"]["backup"] = {"failure": {"time": NOW.timestamp(), "message": "restic ended with 1"}}
    stack.checks["b"]["logs"] = {"gpuchat-backup": ["Fatal: wrong password or no key found"]}
    (cause,) = stack.diagnose().causes
    assert cause.found.kind == "log.restic.password"
    assert "backup_password" in cause.found.finding.fix
    assert [one.kind for one in cause.explains] == ["backup.none"]


def do(*steps):
    """Return a fault made of several calls, each a method of the stack with its arguments."""

    def plant(stack):
        for name, *arguments in steps:
            values = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
            getattr(stack, name)(*arguments, **values)

    return plant


def engine(*lines):
    """An engine that ended with these words, so that people get errors."""
    return do(("fail", "c", ENGINE, *lines))


def put(host, value, *place, part="readings"):
    def plant(stack):
        there = getattr(stack, part)[host]
        for key in place[:-1]:
            there = there[key]
        there[place[-1]] = value

    return plant


def both(*faults):
    def plant(stack):
        for fault in faults:
            fault(stack)

    return plant


def gpu_state(state, reason):
    return both(put("c", state, "gpu", "state"), put("c", reason, "gpu", "reason"))


def no_docker(stack):
    """Docker is down, and all that asks it says so."""
    stack.stop("c", "docker", failed=False)
    stack.readings["c"]["docker"].update(answers=False, said="Cannot connect to the Docker daemon", containers=[])
    stack.stop("c", ENGINE, failed=False)
    stack.door("a", "c", stage="done", status=503)


def docker_missing(stack):
    no_docker(stack)
    stack.readings["c"]["docker"].update(installed=False, said="")


def docker_settings(stack):
    no_docker(stack)
    stack.stop("c", "docker")
    stack.log(
        "c", "docker", "unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid character"
    )


def full(host, path="/"):
    return put(host, 0, "disks", path, "free_bytes")


def file(host, name, path, word):
    return put(host, {path: [word]}, "files", name, "drifted")


def old_driver(stack):
    stack.readings["c"]["gpu"].update(driver_version="470.57.02")
    stack.readings["c"]["gpu"]["gpus"][0]["compute_capability"] = "9.0"
    stack.fail("c", ENGINE, "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 803: system has")


def foreign(stack):
    who = {"pid": 9, "name": "python3", "memory_bytes": 40 * GIB, "by": "jupyter.service"}
    stack.readings["c"]["gpu"]["gpus"][0]["processes"] = [who]
    stack.fail("c", ENGINE, "ValueError: Free memory on device (38/80 GiB) is less than desired GPU memory utilization")


def taken(host, port, by, program="apache2"):
    def plant(stack):
        stack.checks[host]["listeners"] = [
            {"address": "0.0.0.0", "port": port, "pid": 3, "program": program, "by": by},
        ]

    return plant


def unresolved(host, name, why):
    problem = "Temporary failure in name resolution"
    return put(host, {"for": why, "address": "", "problem": problem}, "name", name, part="checks")


def without_container(host, name):
    def plant(stack):
        stack.stop(host, name)
        found = stack.readings[host]["docker"]["containers"]
        found[:] = [one for one in found if one["name"] != name]
        for gpu in stack.readings[host]["gpu"]["gpus"]:
            gpu["processes"] = []

    return plant


def model(**values):
    return lambda stack: stack.readings["c"]["models"]["/srv/models/demo"].update(values)


NEARLY_OVER = {"from": NOW.timestamp() - 88 * DAY, "until": NOW.timestamp() + 2 * DAY}


def certificate(host, days):
    until = NOW.timestamp() + days * DAY
    path = "/etc/gpuchat/door/host.crt"
    return put(host, [{"path": path, "from": until - 800 * DAY, "until": until}], "certificates")


def way(largest):
    return put("a", {"mtu": 1500, "answers": True, "largest": largest}, "path", "10.0.0.3", part="checks")


def xid(stack):
    one = {"address": "0000:3b:00", "number": 79, "words": "GPU has fallen off the bus", "count": 1}
    fix = "power the host off and on"
    stack.readings["c"]["kernel log"] = [{**one, "grave": True, "of_program": False, "fix": fix}]
    stack.fail("c", ENGINE, "CUDA error: unspecified launch failure", ENDED)


def killed(stack):
    stack.fail("c", ENGINE, VLLM + "Worker proc VllmWorker-0 died unexpectedly, shutting down executor.", ENDED)
    stack.container("c", ENGINE).update(out_of_memory=True, exit_code=137)


def database(stage, said, **more):
    return put("b", {"for": CHAT, "stage": stage, "said": said, **more}, "database", CHAT, part="checks")


def bucket(status, said):
    return put("b", {"status": status, "said": said}, "bucket", part="checks")


def silent_site(status=502):
    return put("a", {"status": status, "stage": "done", "said": ""}, "site", part="checks")


def inventory(stack):
    stack.inventory = ["gpuchat_domain is not set; wanted a name; set gpuchat_domain to it"]
    stack.hosts = {}
    stack.expected = {name: Expected(name) for name in stack.expected}


# What is broken; where, and what kind of finding comes first; words of its fix; kinds that follow from it.
PLANTED = {
    "a wrong inventory": (inventory, "", "inventory.fault", "set gpuchat_domain", ()),
    "a host that is off": (
        both(
            do(("lose", "c", "connect", "ssh: connect to host 10.0.0.3 port 22: Connection timed out")),
            do(("door", "a", "c", {"stage": "timeout"}), ("door", "b", "c", {"stage": "timeout"})),
            silent_site(),
        ),
        *("c", "host.unreachable", "start the host", ("door.filtered", "site.behind")),
    ),
    "a host whose key has changed": (
        do(("lose", "c", "connect", "Host key verification failed.")),
        *("c", "host.unreachable", "compare the host's key", ()),
    ),
    "a host that takes no key of ours": (
        do(("lose", "c", "connect", "root@10.0.0.3: Permission denied (publickey).")),
        *("c", "host.unreachable", "ansible_user", ()),
    ),
    "a host's name that no DNS knows": (
        do(("lose", "c", "connect", "ssh: Could not resolve hostname gpu1: Name or service not known")),
        *("c", "host.unreachable", "ansible_host", ()),
    ),
    "a password for sudo that is missing": (
        do(("lose", "c", "run", "Missing sudo password")),
        *("c", "host.become", "-K", ()),
    ),
    "no Python": (
        do(("lose", "c", "run", "/bin/sh: 1: /usr/bin/python3: not found")),
        *("c", "host.python", "Python 3.9", ()),
    ),
    "no Python, in the words of a newer Ansible": (
        do(("lose", "c", "run", "The module interpreter '/usr/bin/python3' was not found.")),
        *("c", "host.python", "Python 3.9", ()),
    ),
    "a variable that is not there": (
        do(("lose", "c", "run", "Error processing keyword 'become_pass': 'nowhere' is undefined")),
        *("c", "host.variable", "in the inventory", ()),
    ),
    "a mistake of ours": (
        do(("lose", "c", "run", "MODULE FAILURE: /usr/bin/python3 Traceback (most recent call last): KeyError")),
        *("c", "host.silent", "ansible c -m ping", ()),
    ),
    "a key that others may read": (
        do(("lose", "c", "connect", "@ WARNING: UNPROTECTED PRIVATE KEY FILE! @ root@10.0.0.3: Permission denied")),
        *("c", "host.unreachable", "chmod 600", ()),
    ),
    "an agent with too many keys": (
        do(("lose", "c", "connect", "Received disconnect from 10.0.0.3 port 22:2: Too many authentication failures")),
        *("c", "host.unreachable", "IdentitiesOnly", ()),
    ),
    "an sshd that takes nobody": (
        do(("lose", "c", "connect", "kex_exchange_identification: Connection closed by remote host")),
        *("c", "host.unreachable", "look at sshd on the host", ()),
    ),
    "an sshd that says nothing": (
        do(("lose", "c", "connect", "Connection timed out during banner exchange")),
        *("c", "host.unreachable", "look at sshd on the host", ()),
    ),
    "an sshd of another time": (
        do(("lose", "c", "connect", "Unable to negotiate with 10.0.0.3 port 22: no matching host key type found.")),
        *("c", "host.unreachable", "upgrade the older", ()),
    ),
    "a password without sshpass": (
        do(("lose", "c", "connect", "to use the 'ssh' connection type with passwords, you must install the sshpass")),
        *("c", "host.unreachable", "install sshpass", ()),
    ),
    "a sudo that hangs": (
        do(("lose", "c", "run", "Timeout (12s) waiting for privilege escalation prompt:")),
        *("c", "host.become", "sudo --non-interactive", ()),
    ),
    "a host without sudo": (
        do(("lose", "c", "run", "/bin/sh: 1: sudo: not found")),
        *("c", "host.become", "come as root (ansible_user)", ()),
    ),
    "a user without those rights": (
        do(("lose", "c", "run", "Sorry, user ops is not allowed to execute '/bin/sh -c x' as root on gpu1.")),
        *("c", "host.become", "sudo --non-interactive", ()),
    ),
    "a home that takes no file": (
        do(("lose", "c", "run", "Failed to create temporary directory. In some cases, you may have been able to")),
        *("c", "host.temporary", "ansible_remote_tmp", ()),
    ),
    "a home without room, by scp": (
        do(("lose", "c", "run", 'failed to transfer file to /root/.ansible/tmp/x: scp: write remote "x": Failure')),
        *("c", "host.temporary", "ansible_remote_tmp", ()),
    ),
    "a home without room, by the last of Ansible's ways": (
        do(("lose", "c", "run", "failed to transfer file to /x: dd: error writing '/x': No space left on device")),
        *("c", "disk.full", "remote temporary folder", ()),
    ),
    "a host without memory": (
        do(("lose", "c", "run", "OSError: [Errno 12] Cannot allocate memory")),
        *("c", "host.memory", "give it more", ()),
    ),
    "a Python that is too old": (
        do(("lose", "c", "run", "Error: ansible-core requires a minimum of Python 3.9 or newer; requires Python 3.9")),
        *("c", "host.python", "Python 3.9", ()),
    ),
    "a host too full to be asked": (
        do(("lose", "c", "run", "OSError: [Errno 28] No space left on device")),
        *("c", "disk.full", "free the file system", ()),
    ),
    "a host of another stack": (
        both(put("c", "ffff", "stack", "ca_certificate"), do(("door", "a", "c", {"stage": "certificate"}))),
        *("c", "stack.other", "gpuchat_adopt_secrets", ("door.certificate",)),
    ),
    "a clock that is behind": (
        do(
            ("clock", "c", -900.0), ("door", "a", "c", {"stage": "certificate", "said": "certificate is not yet valid"})
        ),
        *("c", "clock.off", "chrony", ("door.certificate",)),
    ),
    "a full disk": (
        both(full("c"), full("c", "/var/log"), engine("OSError: [Errno 28] No space left on device")),
        *("c", "disk.full", "docker image prune", ("log.docker.disk_full", "service.failed")),
    ),
    "no inodes left": (
        both(put("c", 10, "disks", "/", "free_inodes"), put("c", 10, "disks", "/var/log", "free_inodes")),
        *("c", "disk.inodes", "many small files", ()),
    ),
    "a GPU that fell off the bus": (xid, "c", "gpu.xid", "power the host off", ("service.failed",)),
    "a driver that is not loaded": (
        both(gpu_state("no_driver", "an NVIDIA GPU without a working driver"), engine("Failed to infer device type")),
        *("c", "gpu.no_driver", "nvidia-smi", ("log.vllm.no_device", "service.failed")),
    ),
    "no GPU": (
        both(gpu_state("no_gpu", ""), engine("Failed to infer device type")),
        *("c", "gpu.none", "lspci", ("log.vllm.no_device",)),
    ),
    "memory errors of a GPU": (
        lambda stack: stack.readings["c"]["gpu"]["gpus"][0].update(ecc_errors={"corrected": 0, "uncorrected": 4}),
        *("c", "gpu.ecc", "have the GPU replaced", ()),
    ),
    "somebody else on the GPU": (foreign, "c", "gpu.foreign", "stop it", ("log.vllm.memory_taken",)),
    "a driver too old for the image": (
        old_driver,
        *("c", "version.driver", "driver", ("log.vllm.driver", "service.failed")),
    ),
    "an engine that the kernel killed": (killed, "c", "memory.out", "more memory", ("log.vllm.worker_died",)),
    "a registry whose name does not resolve": (
        both(
            unresolved("c", "registry.example.com", f"registry of {ENGINE}"),
            without_container("c", ENGINE),
        ),
        *("c", "name.registry", "gpuchat_registry_map", ("container.missing",)),
    ),
    "a hub whose name does not resolve": (
        both(unresolved("c", "huggingface.co", f"hub of {ENGINE}"), model(missing=["model.safetensors"])),
        *("c", "name.hub", "mirror", ("model.incomplete",)),
    ),
    "an endpoint whose name does not resolve": (
        both(
            unresolved("a", "studio.lan", "endpoint lmstudio"),
            put("a", "name", *"endpoint lmstudio stage".split(), part="checks"),
        ),
        *("a", "name.endpoint", "gpuchat_endpoints", ()),
    ),
    "a resolver that says nothing": (
        put("a", {"name studio.lan": "no answer within 20 s"}, "unanswered", part="checks"),
        *("a", "name.silence", "resolv.conf", ()),
    ),
    "a domain that a directory cannot find": (
        unresolved("a", "chat.example.com", "site"),
        *("a", "name.site", "DNS", ()),
    ),
    "no route to a host": (
        do(("door", "a", "c", {"stage": "route", "said": "[Errno 113] No route to host"})),
        *("a", "route.none", "ip route get 10.0.0.3", ()),
    ),
    "a way that swallows large packets": (
        both(way(1400), do(("door", "a", "c", {"stage": "handshake"}))),
        *("a", "mtu.small", "1400", ("door.handshake",)),
    ),
    "a way that lets no TLS through, whatever its size": (
        do(("door", "a", "c", {"stage": "handshake"})),
        *("a", "door.handshake", "ping -M do", ()),
    ),
    "no Docker": (docker_missing, "c", "docker.missing", "site.yml", ("service.stopped",)),
    "a stopped Docker": (
        no_docker,
        "c",
        "service.stopped",
        "journalctl -u docker",
        ("docker.silent", "service.stopped"),
    ),
    "a Docker whose settings are broken": (
        docker_settings,
        *("c", "log.docker.daemon_settings", "daemon.json", ("service.failed", "docker.silent")),
    ),
    "a Docker that hangs": (
        both(
            put("c", {"docker": "no answer within 20 s"}, "unanswered"),
            put("c", "no answer", "docker", "said"),
            put("c", False, "docker", "answers"),
        ),
        *("c", "docker.silent", "journalctl -u docker", ("part.silent",)),
    ),
    "a certificate's file removed": (
        both(
            file("c", "door", "/etc/gpuchat/door/host.crt", "missing"),
            do(
                ("fail", "c", "gpuchat-door", 'nginx: [emerg] cannot load certificate "/etc/gpuchat/door/host.crt"'),
                ("door", "a", "c", {"stage": "refused"}),
            ),
        ),
        *("c", "file.missing", "site.yml", ("log.nginx.certificate", "service.failed", "door.refused")),
    ),
    "another web server on the edge's port": (
        both(
            taken("a", 443, "apache2.service"),
            do(
                (
                    "fail",
                    "a",
                    "gpuchat-edge",
                    "nginx: [emerg] bind() to 0.0.0.0:443 failed (98: Address already in use)",
                )
            ),
            put("a", {"status": 0, "stage": "tls", "said": "wrong version"}, "site", part="checks"),
        ),
        *("a", "port.taken", "stop it", ("log.nginx.port_taken", "service.failed", "site.silent")),
    ),
    "a container on the door's port": (
        taken("c", 8000, "docker.service", "docker-proxy"),
        *("c", "port.taken", "move it elsewhere", ()),
    ),
    "an address of the door's that is gone": (
        both(
            do(
                (
                    "fail",
                    "c",
                    "gpuchat-door",
                    "nginx: [emerg] bind() to 10.0.0.3:8000 failed (99: Cannot assign address)",
                )
            ),
            do(("door", "a", "c", {"stage": "route", "said": "No route to host"})),
        ),
        *("c", "log.nginx.address_missing", "gpuchat_private_address", ("service.failed",)),
    ),
    "no model": (
        both(model(there=False), engine("RuntimeError: Cannot find any model weights with `/model`", ENDED)),
        *("c", "model.missing", "site.yml", ("log.vllm.no_weights", "service.failed")),
    ),
    "a file of the model removed": (
        both(model(missing=["model-00002.safetensors"]), engine("Cannot find any model weights with `/model`")),
        *("c", "model.incomplete", "fetches these again", ("log.vllm.no_weights",)),
    ),
    "a file of the model changed": (
        model(changed=["config.json"]),
        *("c", "model.changed", "fetches these again", ()),
    ),
    "a host's certificate at its end": (
        both(certificate("c", -2), do(("door", "a", "c", {"stage": "certificate", "said": "certificate has expired"}))),
        *("c", "certificate.over", "renew.yml", ("door.certificate",)),
    ),
    "a directory that does not reach the edge": (
        both(
            put("a", [{"path": "/etc/gpuchat/edge/acme.pem", **NEARLY_OVER}], "certificates"),
            lambda stack: stack.log(
                "a", "gpuchat-acme", "Detail: 203.0.113.7: Fetching http://x/: Timeout during connect"
            ),
        ),
        *("a", "log.acme.way", "edge_http_port", ("certificate.soon",)),
    ),
    "a directory's certificate that was not renewed": (
        put("a", [{"path": "/etc/gpuchat/edge/acme.pem", **NEARLY_OVER}], "certificates"),
        *("a", "certificate.soon", "journalctl -u gpuchat-acme", ()),
    ),
    "a driver that Secure Boot does not trust": (
        both(
            gpu_state("no_driver", "an NVIDIA GPU without a working driver"),
            put(
                "c", ["nvidia: loading", "Loading of module with unavailable key is rejected"], "kernel", part="checks"
            ),
            engine("Failed to infer device type"),
        ),
        *("c", "log.driver.signature", "mokutil", ("gpu.no_driver", "log.vllm.no_device", "service.failed")),
    ),
    "a packet filter changed by hand": (
        both(put("c", {"loaded": True, "same": False}, "packet filter"), do(("door", "a", "c", {"stage": "timeout"}))),
        *("c", "filter.changed", "gpuchat-firewall", ("door.filtered",)),
    ),
    "no packet filter": (
        put("c", {"loaded": False, "same": False}, "packet filter"),
        *("c", "filter.missing", "gpuchat-firewall", ()),
    ),
    "a firewall between the hosts": (
        do(("door", "a", "c", {"stage": "timeout"})),
        *("a", "door.filtered", "firewalls between", ()),
    ),
    "weights that leave nothing for conversations": (
        engine(VLLM + "ValueError: No available memory for the cache blocks. Try increasing", ENDED),
        *("c", "log.vllm.no_cache", "more GPUs", ("service.failed",)),
    ),
    "a context that is too long": (
        engine(VLLM + "ValueError: To serve at least one request with the models's max seq len (131072)", ENDED),
        *("c", "log.vllm.context_too_long", "lower context", ("service.failed",)),
    ),
    "a flag of another version": (
        engine("vllm serve: error: unrecognized arguments: --disable-log-requests"),
        *("c", "log.vllm.unknown_flag", "args", ("service.failed",)),
    ),
    "a number of GPUs that does not divide": (
        engine("ValueError: Total number of attention heads (28) must be divisible by tensor parallel size (8)."),
        *("c", "log.vllm.heads", "gpus in gpuchat_models", ()),
    ),
    "a core that ended without a word": (
        engine("INFO starting", ENDED),
        *("c", "log.vllm.core_ended", "first traceback", ("service.failed",)),
    ),
    "a Docker without GPUs": (
        engine('could not select device driver "nvidia" with capabilities: [[gpu]]'),
        *("c", "log.docker.no_gpu_driver", "nvidia_container_toolkit", ("service.failed",)),
    ),
    "an engine that hangs": (
        put("c", {"healthy": False, "said": "timed out", "models": []}, "engines", ENGINE),
        *("c", "engine.silent", f"docker logs {ENGINE}", ()),
    ),
    "a container that is unhealthy": (
        lambda stack: stack.container("b", CHAT).update(health="unhealthy"),
        *("b", "container.unhealthy", f"docker logs {CHAT}", ()),
    ),
    "an engine that lost its GPUs": (
        put("c", {"ok": False, "said": "Failed to initialize NVML: Unknown Error"}, "gpus", ENGINE, part="checks"),
        *("c", "gpu.container", "deploys/restart.py", ()),
    ),
    "a GPU that hangs": (
        put("c", {f"gpus {ENGINE}": "no answer within 20 s"}, "unanswered", part="checks"),
        *("c", "gpu.container", "deploys/restart.py", ()),
    ),
    "a driver upgraded without a restart": (
        put(
            "c",
            {"ok": False, "said": "Failed to initialize NVML: Driver/library version mismatch"},
            "gpus",
            ENGINE,
            part="checks",
        ),
        *("c", "gpu.container", "restart the host", ()),
    ),
    "a stopped door": (
        do(
            ("stop", "c", "gpuchat-door"),
            ("door", "a", "c", {"stage": "refused"}),
            ("door", "b", "c", {"stage": "refused"}),
        ),
        *("c", "service.failed", "journalctl -u gpuchat-door", ("door.refused",)),
    ),
    "a stopped door that has once found no engine": (
        do(
            ("log", "c", "gpuchat-door", NO_SOCKET),
            ("stop", "c", "gpuchat-door"),
            ("door", "a", "c", {"stage": "refused"}),
            ("door", "b", "c", {"stage": "refused"}),
        ),
        *("c", "service.failed", "journalctl -u gpuchat-door", ("door.refused",)),
    ),
    "an interface without its settings": (
        both(
            do(("fail", "b", CHAT, "Error: `KEY_VAULTS_SECRET` is not set"), ("door", "a", "b", {"status": 502})),
            silent_site(),
        ),
        *("b", "log.lobehub.environment", "lobehub_environment", ("service.failed", "door.behind", "site.behind")),
    ),
    "a database that stopped": (
        both(
            do(
                ("stop", "b", DATABASE),
                ("fail", "b", CHAT, NO_DATABASE, "Error during DB migration:"),
                ("door", "a", "b", {"status": 502}),
            ),
            silent_site(),
        ),
        *("b", "service.failed", f"journalctl -u {DATABASE}"),
        ("log.chat.no_database", "container.unhealthy", "door.behind", "site.behind"),
    ),
    "a database whose disk is full": (
        do(
            ("fail", "b", DATABASE, 'PANIC:  could not write to file "pg_wal/xlogtemp.71": No space left on device'),
            ("fail", "b", CHAT, NO_DATABASE),
            ("door", "a", "b", {"status": 502}),
        ),
        *("b", "log.postgresql.database_disk", "/var/lib/gpuchat/postgresql"),
        ("service.failed", "log.chat.no_database", "door.behind"),
    ),
    "a database of another version": (
        do(
            ("fail", "b", DATABASE, "FATAL:  database files are incompatible with server"),
            ("fail", "b", CHAT, NO_DATABASE),
        ),
        *("b", "log.postgresql.database_version", "playbooks/upgrade_postgresql.yml", ("log.chat.no_database",)),
    ),
    "a migration that failed": (
        do(("fail", "b", CHAT, "Database migrate failed. Please check your database is valid", "error: column exists")),
        *("b", "log.lobehub.migration", "lobehub_version", ("service.failed",)),
    ),
    "an interface that knows no place for files": (
        do(("fail", "b", CHAT, "Error: S3 environment variables are not set completely, please check your env")),
        *("b", "log.lobehub.object_store", "lobehub_environment", ("service.failed",)),
    ),
    "an object store that stopped": (
        do(("stop", "b", STORE)),
        *("b", "service.failed", f"docker logs {STORE}", ()),
    ),
    "an interface that stopped": (
        both(do(("stop", "b", CHAT), ("door", "a", "b", {"status": 502})), silent_site()),
        *("b", "service.failed", "site.yml", ("door.behind", "site.behind")),
    ),
    "an edge changed by hand": (
        both(
            file("a", "edge", "/etc/gpuchat/edge/site.conf", "content"),
            do(("stop", "a", "gpuchat-edge")),
            put("a", {"status": 0, "stage": "refused", "said": "refused"}, "site", part="checks"),
        ),
        *("a", "file.content", "put what shall stay into the inventory", ("service.failed", "site.silent")),
    ),
    "an edge that nginx does not understand": (
        do(
            (
                "fail",
                "a",
                "gpuchat-edge",
                'nginx: [emerg] unknown directive "proxi_pass" in /etc/gpuchat/edge/site.conf',
            )
        ),
        *("a", "log.nginx.directive", "--tags door,edge", ("service.failed",)),
    ),
    "a host that the door does not know": (
        do(("door", "a", "c", {"status": 403})),
        *("a", "door.closed", "--tags door --limit c", ()),
    ),
    "a certificate of another authority": (
        do(("door", "a", "c", {"status": 400})),
        *("a", "door.stranger", "renew.yml", ()),
    ),
    "certificates of its own that are damaged": (
        do(("door", "a", "c", {"stage": "own", "said": "/etc/gpuchat/edge/host.crt: NO_START_LINE"})),
        *("a", "door.own", "renew.yml", ()),
    ),
    "a program that speaks no TLS in place of a door": (
        do(("door", "a", "c", {"stage": "tls", "said": "WRONG_VERSION_NUMBER"})),
        *("a", "door.tls", "who listens there", ()),
    ),
    "an endpoint that is off": (
        put(
            "a",
            {"place": "studio.lan:1234", "stage": "timeout", "said": "timed out"},
            *"endpoint lmstudio".split(),
            part="checks",
        ),
        *("a", "endpoint.silent", "start that machine", ()),
    ),
    "a host on which nothing was set up": (
        both(
            lambda stack: stack.readings["c"].update(services={}, files={}, stack={}, engines={}, containers={}),
            do(("door", "a", "c", {"stage": "refused"})),
        ),
        *("c", "host.bare", "run site.yml with --limit c", ("door.refused",)),
    ),
    "an edge whose port nobody serves": (
        put("a", {"status": 0, "stage": "refused", "said": "Connection refused"}, "site", part="checks"),
        *("a", "site.silent", "journalctl -u gpuchat-edge", ()),
    ),
    "a service that never came up": (
        lambda stack: stack.readings["a"]["services"].pop("gpuchat-edge"),
        *("a", "service.absent", "site.yml", ()),
    ),
    "a container of another image": (
        lambda stack: stack.container("c", ENGINE).update(image="other:1"),
        *("c", "image.running", "remove that container", ()),
    ),
    "an image removed with its container": (
        both(without_container("b", STORE), put("b", {STORE: False}, "image", part="checks")),
        *("b", "image.missing", "which pulls it", ("container.missing",)),
    ),
    "a container removed": (
        both(without_container("b", STORE), put("b", {STORE: True}, "image", part="checks")),
        *("b", "container.missing", "site.yml", ()),
    ),
    "a container paused": (
        lambda stack: stack.container("b", CHAT).update(status="paused"),
        *("b", "container.paused", f"docker unpause {CHAT}", ()),
    ),
    "a container without its network": (
        both(lambda stack: stack.container("b", CHAT).update(lacks_network="gpuchat-room"), silent_site()),
        *("b", "container.network", "docker rm --force", ("site.behind",)),
    ),
    "a service masked": (
        both(
            no_docker,
            lambda stack: stack.service("c", "docker", masked=True),
        ),
        *("c", "service.masked", "systemctl unmask docker", ("docker.silent",)),
    ),
    "a drop-in that a unit does not start with": (
        both(
            do(("stop", "a", "gpuchat-edge")),
            lambda stack: stack.service("a", "gpuchat-edge", drop_ins=["/etc/x.conf"]),
        ),
        *("a", "service.failed", "look at /etc/x.conf, which no run has made", ()),
    ),
    "somebody's firewall before the edge": (
        both(
            put("a", [{"port": 443, "table": "inet mine", "words": "a rule (drop)"}], "filters", part="checks"),
            put("a", {"status": 0, "stage": "timeout", "said": "timed out"}, "site", part="checks"),
        ),
        *("a", "filter.other", "nft list table inet mine", ("site.silent",)),
    ),
    "somebody's firewall before a door": (
        both(
            put("c", [{"port": 9443, "table": "ip filter", "words": "a rule (drop)"}], "filters", part="checks"),
            do(("door", "a", "c", {"stage": "timeout"})),
        ),
        *("c", "filter.other", "ufw, firewalld", ("door.filtered",)),
    ),
    "a password that the database does not know": (
        both(
            database("refused", 'FATAL:  password authentication failed for user "lobehub"'),
            do(("fail", "b", CHAT, 'error: password authentication failed for user "lobehub"')),
            silent_site(),
        ),
        *("b", "database.password", "run site.yml", ("log.postgresql.password", "site.behind")),
    ),
    "a refusal that nobody knows": (
        database("refused", "FATAL:  something new"),
        *("b", "database.refuses", "--tags postgresql", ()),
    ),
    "a database that runs and says nothing": (
        database("silent", "no answer (exit status 2)"),
        *("b", "database.silent", f"systemctl restart {DATABASE}", ()),
    ),
    "a database that says nothing, and why by its log": (
        both(
            database("silent", "no socket"),
            do(("log", "b", DATABASE, 'LOG:  unrecognized configuration parameter "x"')),
        ),
        *("b", "log.postgresql.settings", "--tags postgresql", ("database.silent",)),
    ),
    "a database without pgvector": (
        database("done", "", extensions=["plpgsql"]),
        *("b", "database.extension", "last backup", ()),
    ),
    "a bucket that is gone": (bucket(404, "NoSuchBucket"), "b", "bucket.missing", "playbooks/restore.yml", ()),
    "a store with another key": (bucket(403, "SignatureDoesNotMatch"), "b", "bucket.key", "both get the same", ()),
    "a store that says nothing": (bucket(0, "timed out"), "b", "bucket.silent", f"docker logs {STORE}", ()),
    "a store that fails": (bucket(500, "InternalError"), "b", "bucket.fails", f"docker logs {STORE}", ()),
    "another program in the store's place": (
        both(lambda stack: stack.container("b", STORE).update(image="other:1"), bucket(0, "No route to host")),
        *("b", "image.running", "remove that container", ("bucket.silent",)),
    ),
    "an engine that hangs and says that it is well": (
        put("c", {"works": False, "said": "no token, and no step, within 10 s"}, "engine", ENGINE, part="checks"),
        *("c", "engine.hung", "deploys/restart.py", ()),
    ),
    "an older package than planned": (
        put("c", "1.0.0-1", "packages", "nvidia-container-toolkit"),
        *("c", "version.planned", "site.yml", ()),
    ),
    "a certificate near its end": (certificate("a", 5), "a", "certificate.soon", "renew.yml", ()),
    "a service that restarts again and again": (
        both(
            lambda stack: stack.container("c", ENGINE).update(restarts=9, seconds_up=4.0),
            do(("log", "c", ENGINE, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", ENDED)),
        ),
        *("c", "log.vllm.out_of_memory", "nvidia-smi", ("service.restarts",)),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_first_line_is_the_cause_with_its_fix(name):
    plant, host, kind, fix, follow = PLANTED[name]
    stack = Stack()
    plant(stack)
    diagnosis = stack.diagnose()
    first = diagnosis.causes[0]
    assert (first.found.host, first.found.kind) == (host, kind)
    assert fix in f"{first.found.finding.text} {first.found.finding.fix}"
    assert set(follow) <= {one.kind for one in first.explains}


@pytest.mark.parametrize("name", PLANTED)
def test_one_fault_is_one_cause(name):
    plant, *_rest = PLANTED[name]
    stack = Stack()
    plant(stack)
    assert len(stack.diagnose().causes) == 1


def test_an_engine_that_hangs_stands_before_the_watchdog_that_does_not_run():
    stack = Stack()
    put("c", {"works": False, "said": "no token within 10 s"}, "engine", ENGINE, part="checks")(stack)
    stack.stop("c", "gpuchat-watchdog", failed=False)
    assert [one.found.kind for one in stack.diagnose().causes] == ["engine.hung", "service.stopped"]


def test_more_than_forty_faults_were_planted():
    assert len(PLANTED) >= 40


def test_faults_stand_before_warnings_and_a_cause_before_what_is_seen_of_it():
    stack = Stack()
    file("a", "edge", "/etc/gpuchat/edge/site.conf", "mode")(stack)
    no_docker(stack)
    model(changed=["config.json"])(stack)
    kinds = [(cause.found.host, cause.found.kind) for cause in stack.diagnose().causes]
    assert kinds == [("c", "model.changed"), ("c", "service.stopped"), ("a", "file.mode")]


def test_an_edge_that_says_nothing_is_no_consequence_of_another_host():
    stack = Stack()
    stack.lose("c", "connect", "Connection timed out")
    put("a", {"status": 0, "stage": "refused", "said": "Connection refused"}, "site", part="checks")(stack)
    kinds = [(cause.found.host, cause.found.kind) for cause in stack.diagnose().causes]
    assert kinds == [("c", "host.unreachable"), ("a", "site.silent")]


def test_two_engines_are_not_taken_for_one_another():
    stack = Stack()
    other = "gpuchat-vllm-demo-2"
    for part in ("services", "engines"):
        stack.readings["c"][part][other] = {**stack.readings["c"][part][ENGINE]}
    engines = {**stack.expected["c"].engines, other: {"name": "demo-2", "path": "/srv/models/demo-2"}}
    object.__setattr__(stack.expected["c"], "engines", engines)
    stack.fail("c", ENGINE, "ValueError: No available memory for the cache blocks.")
    stack.stop("c", other)
    found = [(cause.found.kind, cause.found.subject) for cause in stack.diagnose().causes]
    assert found == [("log.vllm.no_cache", ENGINE), ("service.failed", other)]


def test_a_service_whose_words_nobody_knows_is_told_with_the_last_of_them():
    stack = Stack()
    stack.fail("c", ENGINE, "INFO begins", "SomeError: of a kind that is new", "INFO ends")
    first = stack.diagnose().causes[0].found
    assert (first.kind, first.line) == ("service.failed", "SomeError: of a kind that is new")
    assert "it says:     SomeError: of a kind that is new" in table(stack.diagnose())


def test_what_could_not_be_looked_at_is_noted():
    stack = Stack()
    stack.checks["c"]["unanswered"] = {"logs": "no answer within 20 s"}
    assert stack.diagnose().notes == ("c: logs not looked at, for it gave no answer within 20 s",)
    assert "note: c: logs not looked at" in table(stack.diagnose())


def test_an_answer_that_is_no_reading_spoils_no_other_hosts():
    stack = Stack()
    stack.readings["c"]["services"] = {"gpuchat-door": {}}
    stack.stop("a", "gpuchat-edge")
    found = [(cause.found.host, cause.found.kind) for cause in stack.diagnose().causes]
    assert found == [("c", "host.silent"), ("a", "service.failed")]


def test_hosts_of_a_wrong_inventory_are_still_looked_at_by_what_runs_left_on_them():
    stack = Stack()
    inventory(stack)
    stack.stop("a", "gpuchat-edge")
    kinds = [cause.found.kind for cause in stack.diagnose().causes]
    assert kinds[:2] == ["inventory.fault", "service.failed"]


@pytest.mark.parametrize("name", PLANTED)
def test_the_table_fits_a_terminal_and_names_cause_and_fix(name):
    plant, host, _kind, _fix, _follow = PLANTED[name]
    stack = Stack()
    plant(stack)
    diagnosis = stack.diagnose()
    lines = table(diagnosis).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[0].startswith(f"  1  {diagnosis.causes[0].found.finding.severity:<11}  {host or 'inventory'}: ")


def test_the_failure_names_the_worst_and_what_to_do():
    stack = Stack()
    no_docker(stack)
    said = message(stack.diagnose())
    assert said.startswith("3 hosts: 1 cause; c: found docker stopped; wanted it running; see `journalctl -u docker`")


def test_programs_read_the_same_as_people():
    stack = Stack()
    no_docker(stack)
    read = json.loads(as_json(stack.diagnose(), NOW))
    assert (read["at"], read["status"], read["hosts"]) == ("2026-11-28T12:00:00Z", 2, ["a", "b", "c"])
    (cause,) = read["causes"]
    assert (cause["host"], cause["kind"], cause["subject"]) == ("c", "service.stopped", "docker")
    assert {one["kind"] for one in cause["explains"]} >= {"docker.silent", "service.stopped"}


def test_the_stack_of_these_tests_is_the_topologys():
    assert [door["kind"] for door in HOSTS["b"]["doors"]] == ["engine", "files", "interface"]
