# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connects to hosts by pyinfra and runs a program on them: ``fleet.run``'s other half, in a process of its own.

gevent has to change Python's sockets and threads before anything else is imported, which no library should do to its
caller. Standard input brings one order; each host's outcome is a line of JSON on standard output.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import base64  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import pathlib  # noqa: E402
import resource  # noqa: E402
import shlex  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import zlib  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from gevent.pool import Pool  # noqa: E402
from pyinfra.api import Config, Inventory, State, StringCommand  # noqa: E402
from pyinfra.api.exceptions import PyinfraError  # noqa: E402
from pyinfra.api.host import Host  # noqa: E402
from pyinfra.connectors.local import LocalConnector  # noqa: E402
from pyinfra.connectors.sshuserclient.client import get_ssh_config  # noqa: E402

AT_ONCE = 100
FILES_PER_HOST = 6
LARGEST_ANSWER = 256 * 1024 * 1024  # bytes; what is longer is no JSON
PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(14, 8, -1)))
NEW_ENOUGH = "import sys; sys.exit(sys.version_info < (3, 9))"
NAMES_NEW_ENOUGH = "*/python3.9|*/python3.1[0-9]"

# All that stands on the host's command line: it reads the rest from standard input. Lines before the mark are a
# password that sudo did not ask for.
BOOT = (
    "import base64,sys;i=sys.stdin.buffer;next(l for l in i if l==b'gpuchat\\n');exec(base64.b64decode(i.readline()))"
)
LOADER = """
import io, json, os, runpy, signal, zlib
signal.alarm(int(i.readline()))
program, given = (zlib.decompress(base64.b64decode(i.readline())) for _ in range(2))
out = os.dup(1)
os.dup2(2, 1)
file = os.memfd_create("gpuchat")
os.write(file, program)
sys.stdin, sys.stdout, sys.argv = io.StringIO(given.decode()), io.StringIO(), ["gpuchat"]
answer = {}
try:
    runpy.run_path("/proc/self/fd/%d" % file, run_name="__main__")
except SystemExit as end:
    if end.code not in (None, 0):
        answer["problem"] = str(end.code)
except BaseException as error:
    answer["problem"] = "%s: %s" % (type(error).__name__, error)
if not answer:
    answer["value"] = sys.stdout.getvalue()
text = base64.b64encode(zlib.compress(json.dumps(answer).encode()))
lines = [b"gpuchat:begin", *(text[at : at + 4000] for at in range(0, len(text), 4000)), b"gpuchat:end", b""]
with os.fdopen(out, "wb") as file:
    file.write(b"\\n".join(lines))
"""


def main() -> None:
    """Read the order, and print each host's outcome as it comes."""
    order = json.load(sys.stdin)
    outcomes = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no outcome
    logging.getLogger("pyinfra").addHandler(logging.NullHandler())
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    members = {one["name"]: one for one in order["members"]}
    state = state_of(order["members"], pathlib.Path(order["folder"]))
    program = packed(base64.b64decode(order["program"]))
    _soft, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    pool = Pool(max(1, min(AT_ONCE, (files - 50) // FILES_PER_HOST)))

    def one(host: Host) -> None:
        line = json.dumps(outcome(host, members[host.name], program, order["timeout"]))
        print(line, file=outcomes, flush=True)

    for host in state.inventory:
        pool.spawn(one, host)
    pool.join()


def state_of(members: list[dict[str, Any]], folder: pathlib.Path) -> State:
    """Return pyinfra's state with the hosts as its own connectors reach them."""
    groups: dict[str, list[str]] = {}
    names = []
    for number, one in enumerate(members):
        data = dict(one["data"])
        if one["ssh_config"]:
            data["ssh_config_file"] = _kept(folder / f"{number}.config", one["ssh_config"])
        if one["private_key"]:
            data["ssh_key"] = _kept(folder / f"{number}.key", one["private_key"].rstrip("\n") + "\n")
        names.append((one["name"], data))
        for group in one["groups"]:
            groups.setdefault(group, []).append(one["name"])
    inventory = Inventory((names, {}), **{name: (hosts, {}) for name, hosts in groups.items()})
    for one in members:
        if one["local"]:  # pyinfra's own @local can be one host only
            inventory.get_host(one["name"]).connector_cls = LocalConnector
    return State(inventory, Config(PARALLEL=len(names)))


def _kept(path: pathlib.Path, text: str) -> str:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return str(path)


def packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def outcome(host: Host, member: dict[str, Any], program: str, timeout: int) -> dict[str, Any]:
    """Connect, find a Python, run the program; whatever happens, say how far it came."""
    began = time.monotonic()
    stage, value, problem = "connect", None, ""
    try:
        with gevent.Timeout(timeout):
            connect(host)
            stage = "run"
            stage, value, problem = run(host, member, program, timeout)
    except gevent.Timeout:
        problem = f"no end after {timeout} s"
        problem = f"{problem} ({'no connection yet' if stage == 'connect' else 'the program was at work'})"
    except Exception as error:  # noqa: BLE001
        problem = words(error, member)
    if not member["local"] and host.connector.client is not None:
        gevent.spawn(host.connector.client.close)
    seconds = round(time.monotonic() - began, 3)
    return {"name": host.name, "stage": stage, "value": value, "problem": problem, "seconds": seconds}


def connect(host: Host) -> None:
    """Connect as ssh would: by the key that is named or the agent's, and only to a host that is known."""
    data = getattr(host.connector, "data", {})
    if "ssh_config_file" in data and "ssh_strict_host_key_checking" not in host.data.dict():
        config = get_ssh_config(data["ssh_config_file"])
        checking = config.lookup(data["ssh_hostname"]).get("stricthostkeychecking", "yes")
        data["ssh_strict_host_key_checking"] = "yes" if checking == "ask" else checking  # there is nobody to ask
    try:
        host.connect(show_errors=False, raise_exceptions=True)
    except PyinfraError as error:
        if "is encrypted" not in str(error) or not os.environ.get("SSH_AUTH_SOCK"):
            raise
        data["ssh_key"] = None  # the agent may hold it unlocked
        host.connect(show_errors=False, raise_exceptions=True)


def script(member: dict[str, Any]) -> str:
    """Return what the host's shell runs: it finds a Python, becomes root, and always ends well.

    It reads what is left of its input, so that whoever writes it is heard out.
    """
    pythons = " ".join(map(shlex.quote, dict.fromkeys([one for one in (member["python"],) if one] + list(PYTHONS))))
    become = " ".join(map(shlex.quote, member["become"]))
    user = shlex.quote(member["become"][-1]) if become else ""
    change = f'[ "$(id -un)" = {user} ] || set -- {become} "$@"; ' if become else ""
    return (
        f'export LC_ALL=C; p=; for c in {pythons}; do p=$(command -v "$c") || continue; '
        f'case "$(readlink -f "$p")" in {NAMES_NEW_ENOUGH}) break ;; esac; '  # by its name, for a start costs time
        f'"$p" -c {shlex.quote(NEW_ENOUGH)} 2>/dev/null && break; p=; done; if [ -n "$p" ]; then '
        f'set -- "$p" -I -B -c {shlex.quote(BOOT)}; {change}"$@"; s=$?; echo; echo "gpuchat:status=$s"; '
        "else echo gpuchat:python; fi; cat >/dev/null"
    )


def run(host: Host, member: dict[str, Any], program: str, timeout: int) -> tuple[str, Any, str]:
    """Run the program, and return the stage it came to, its answer, and the problem."""
    given = packed(json.dumps(member["given"]).encode())
    password = member["data"].get("_sudo_password") if member["become"] else None
    lines = [password] if password else []
    lines += ["gpuchat", base64.b64encode(LOADER.encode()).decode(), str(timeout), program, given]
    _well, output = host.run_shell_command(StringCommand(script(member)), _stdin=lines)
    printed = output.stdout_lines
    if "gpuchat:begin" in printed and "gpuchat:end" in printed:
        text = "".join(printed[printed.index("gpuchat:begin") + 1 : printed.index("gpuchat:end")])
        answer = json.loads(zlib.decompressobj().decompress(base64.b64decode(text), LARGEST_ANSWER))
        if "problem" in answer:
            return "run", None, answer["problem"]
        return "done", json.loads(answer["value"]), ""
    if "gpuchat:python" in printed:
        return "python", None, "found no Python 3.9 or later; wanted one, as Ansible does; install python3"
    said = " ".join(line.strip() for line in output.stderr_lines[-5:] if line.strip()) or "it said nothing"
    if member["become"] and "sudo" in said:
        user = member["become"][-1]
        return "run", None, f"cannot become {user}: {said}; set ansible_become_password, or allow it without one"
    status = next((line.partition("=")[2] for line in printed if line.startswith("gpuchat:status=")), "unknown")
    return "run", None, f"the program did not answer (status {status}): {said}"


def words(error: Exception, member: dict[str, Any]) -> str:
    """Return a failed connection in plain words."""
    data, text = member["data"], str(error)
    address = f"{data.get('ssh_hostname', 'this machine')} port {data.get('ssh_port', 22)}"
    user = data.get("ssh_user") or "this user's name"
    low = text.lower()
    if isinstance(error, RecursionError):
        return f"the jump host of {address} is to be reached through itself; set ansible_ssh_common_args"
    if "authentication error" in low or "no authentication methods" in low:
        return f"{address} refuses the key or password of {user}; set ansible_user or ansible_ssh_private_key_file"
    if "banner" in low:
        return f"{address} accepts connections and says nothing, or does not speak ssh"
    if "unable to connect" in low:
        return f"{address} refuses connections; set ansible_host and ansible_port, or start its ssh server"
    if "timed out" in low or "timeout" in low:
        return f"no answer from {address}"
    if "no host key" in low:
        unknown = text.partition("key for ")[2].partition(" ")[0] or address  # it may be a jump host
        return f"the host key of {unknown} is not known; connect by ssh once to accept it, or add it to known_hosts"
    if "host key" in low:
        return f"{address} shows another host key than known_hosts has; remove that if the host was installed anew"
    if "resolve" in low:
        return f"the name {data.get('ssh_hostname')} cannot be resolved; set ansible_host"
    if "private key" in low:
        return f"{text}; set ansible_ssh_private_key_file"
    return f"{address}: {text or type(error).__name__}" if isinstance(error, PyinfraError) else f"{address}: {error!r}"


if __name__ == "__main__":
    main()
    os._exit(0)  # what still hangs is left behind
