# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of an Ansible inventory, reached by pyinfra: read them, run one program on all of them at once.

Ansible reads the inventory itself, so that its templates, vaults, settings and precedence hold. Then a process of its
own (``fleet_worker.py``) connects and runs the program, which is handed over in memory: nothing is installed on a host,
and no file of it is left there.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import getopt
import importlib.util
import io
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = ROOT / "module_utils"
sys.path.insert(0, str(SHARED))

from gpuchat.core import sources_runner  # noqa: E402
from gpuchat.core.errors import Refusal  # noqa: E402

PLUGINS = pathlib.Path(__file__).resolve().parent / "ansible_plugins"
WORKER = pathlib.Path(__file__).resolve().parent / "fleet_worker.py"
FORKS = 8


@dataclass(frozen=True)
class Member:
    """One host of the inventory.

    Attributes:
        data: what pyinfra's host data need (``ssh_hostname``, ``ssh_port``, ``_sudo`` ...); may hold secrets.
        variables: the templated values of the variables that were asked for.
        local: it is this machine (``ansible_connection: local``).
        become: the words before a command that needs root; empty where the inventory says no.
        python: the interpreter that the inventory names; empty where it is to be found.
        ssh_config: the text of the ssh_config(5) that holds for this host alone.
        private_key: the text of its private key, where the inventory holds it itself.
    """

    name: str
    groups: tuple[str, ...]
    data: Mapping[str, object] = field(repr=False)
    variables: Mapping[str, object] = field(repr=False)
    local: bool
    become: tuple[str, ...] = ()
    python: str = ""
    ssh_config: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Outcome:
    """What came of one host.

    Attributes:
        stage: how far it came: connect, python, run or done.
        value: the program's answer, where it is done.
        problem: why it is not, in plain words.
    """

    name: str
    stage: str
    value: Any
    problem: str
    seconds: float


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which hosts, as Ansible's own programs spell them."""
    parser.add_argument(
        "-i", "--inventory", action="append", default=[], metavar="PATH", help="an Ansible inventory; may be repeated"
    )
    parser.add_argument("-l", "--limit", default="", metavar="PATTERN", help="only these hosts or groups")
    for name in ("--vault-id", "--vault-password-file"):
        parser.add_argument(name, action="append", default=[], metavar="ID" if name == "--vault-id" else "FILE")
    parser.add_argument("-J", "--ask-vault-pass", action="store_true", help="ask for the vault's password")
    parser.add_argument("-k", "--ask-pass", action="store_true", help="ask for the password of ssh")
    parser.add_argument("-K", "--ask-become-pass", action="store_true", help="ask for the password of sudo")


def chosen(options: argparse.Namespace, variables: Sequence[str] = ()) -> tuple[Member, ...]:
    """Read the hosts that a command's options name."""
    words = [f"--vault-id={one}" for one in options.vault_id]
    words += [f"--vault-password-file={one}" for one in options.vault_password_file]
    words += [f"--{name}" for name in ("ask-vault-pass", "ask-pass", "ask-become-pass") if _is_set(options, name)]
    return read(options.inventory, limit=options.limit, vault=words, variables=variables)


def _is_set(options: argparse.Namespace, name: str) -> bool:
    return bool(getattr(options, name.replace("-", "_")))


def command(main: Callable[[Sequence[str]], int]) -> None:
    """Run a command; what it refuses is told in its own words, with exit status 2."""
    try:
        sys.exit(main(sys.argv[1:]))
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


# Reading the inventory


def read(
    inventories: Sequence[str], *, limit: str = "", vault: Sequence[str] = (), variables: Sequence[str] = ()
) -> tuple[Member, ...]:
    """Return the hosts as Ansible itself sees them, in the inventory's order; nothing is connected to.

    Args:
        inventories: paths, or texts such as ``host,``; none means the one that ansible.cfg names.
        limit: a pattern, as of ``--limit``.
        vault: options of Ansible that unlock secrets, such as ``--vault-password-file=FILE``.
        variables: whose values each host is to bring along; those that a host lacks are left out.

    Raises:
        Refusal: Ansible cannot read it, or a host is to be reached in a way that is not supported here.
    """
    for one in inventories:
        if "," not in one and not pathlib.Path(one).exists():
            raise Refusal(f"found no inventory at {one}; wanted an Ansible inventory; name it with -i")
    with tempfile.TemporaryDirectory(prefix="gpuchat-fleet-") as folder:
        pathlib.Path(folder, "variables.json").write_text(json.dumps(list(variables)), encoding="utf-8")
        if importlib.util.find_spec("ansible") is None:
            raise Refusal(f"found no Ansible for {sys.executable}; wanted requirements/run.txt; run .venv/bin/python")
        asked = [sys.executable, "-m", "ansible", "adhoc", "all", "--module-name", "gpuchat_member", "--become"]
        asked += ["--playbook-dir", str(ROOT), "--forks", str(FORKS)]  # vars beside site.yml hold too
        asked += [word for one in inventories for word in ("--inventory", one)]
        asked += [f"--limit={limit}"] if limit else []
        done = subprocess.run(
            [*asked, *vault], env=_environment(folder), stdout=subprocess.PIPE, text=True, check=False
        )
        found = sorted(pathlib.Path(folder).glob("[0-9]*.json"), key=lambda path: int(path.stem))
        if done.returncode != 0 or not found:
            said = re.sub(r"^\S+ \| SUCCESS => \{\n.*?^\}\n", "", done.stdout, flags=re.MULTILINE | re.DOTALL)
            raise Refusal(f"Ansible cannot say how to reach the hosts: {said.strip() or 'its words stand above'}")
        return tuple(member_of(json.loads(path.read_text(encoding="utf-8"))) for path in found)


def _environment(folder: str) -> dict[str, str]:
    """Return this process' environment, so that Ansible's settings hold, but for what would only print."""
    return {
        **os.environ,
        "GPUCHAT_FLEET_FOLDER": folder,
        "ANSIBLE_ACTION_PLUGINS": str(PLUGINS),
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
        "ANSIBLE_STRATEGY": "linear",
        "ANSIBLE_STDOUT_CALLBACK": "minimal",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "false",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_VERBOSITY": "0",
    }


SETTINGS = {
    "ssh_args": "ansible_ssh_args (ANSIBLE_SSH_ARGS, or ssh_args in ansible.cfg)",
    "ssh_common_args": "ansible_ssh_common_args",
    "ssh_extra_args": "ansible_ssh_extra_args",
}
# ssh's own options with a value after a letter (ssh(1)), and those that name a setting of ssh_config(5).
LETTERS = "1246ab:c:e:fgi:kl:m:no:p:qstvxACD:E:F:I:J:KL:MNO:P:Q:R:S:TVw:W:XYyB:G"
KEYWORD_OF = {"-J": "proxyjump", "-i": "identityfile", "-p": "port", "-l": "user", "-S": "controlpath"}
HONOURED = {
    *("certificatefile", "connecttimeout", "forwardagent", "identitiesonly", "identityagent", "identityfile", "port"),
    *("proxycommand", "proxyjump", "serveraliveinterval", "stricthostkeychecking", "user", "userknownhostsfile"),
}
# They say how fast, how loud or how often, not to whom or as whom.
WITHOUT_EFFECT = {
    *("addkeystoagent", "batchmode", "checkhostip", "clearallforwardings", "compression", "connectionattempts"),
    *("controlmaster", "controlpath", "controlpersist", "exitonforwardfailure", "forwardx11", "forwardx11trusted"),
    *("gssapiauthentication", "gssapidelegatecredentials", "hashknownhosts", "hostbasedauthentication"),
    *("kbdinteractiveauthentication", "loglevel", "numberofpasswordprompts", "passwordauthentication"),
    *("preferredauthentications", "pubkeyauthentication", "requesttty", "serveralivecountmax", "tcpkeepalive"),
    *("updatehostkeys", "verifyhostkeydns", "visualhostkey"),
}
LETTERS_WITHOUT_EFFECT = {"-C", "-q", "-v", "-T", "-t", "-x", "-X", "-Y", "-n", "-k", "-K", "-M", "-1", "-2"}


def member_of(found: Mapping[str, Any]) -> Member:
    """Return a host from what Ansible's plugins resolved (``ansible_plugins/gpuchat_member.py``).

    Raises:
        Refusal: it is to be reached in a way that cannot be honoured here.
    """
    name, options = str(found["name"]), found["options"]
    become, sudo = _become(name, found["become"])
    python = str(found["python"])
    common = {
        "name": name,
        "groups": tuple(found["groups"]),
        "variables": found["variables"],
        "become": become,
        "python": "" if python.startswith("auto") else python,
    }
    if found["connection"] == "local":
        return Member(data=sudo, local=True, **common)
    if found["connection"] != "ssh":
        raise Refusal(f"{name}: found ansible_connection {found['connection']}; wanted ssh or local; set one of these")
    for option in ("ssh_executable", "pkcs11_provider"):
        if options.get(option) not in (None, "", "ssh", "/usr/bin/ssh"):
            raise Refusal(
                f"{name}: found {options[option]} in ansible_{'ssh_' * (option[0] == 'p')}{option}, which only "
                "OpenSSH's own program can honour; wanted none; leave it unset for this host"
            )
    settings, file = _ssh_settings(name, options)
    data = {**_connection(name, options, settings), **sudo}
    host = str(data["ssh_hostname"])
    config = _ssh_config(name, host, settings, file)
    return Member(
        data=data, local=False, ssh_config=config, private_key=str(options.get("private_key") or ""), **common
    )


def _become(name: str, become: Mapping[str, Any] | None) -> tuple[tuple[str, ...], dict[str, object]]:
    """Return the words before a command that needs root, and pyinfra's names for them."""
    if become is None:
        return (), {"_sudo": False}
    if str(become["become_method"]).rpartition(".")[2] != "sudo":
        raise Refusal(
            f"{name}: found ansible_become_method {become['become_method']}; wanted sudo, the one supported here; "
            "set it, or ansible_become: false where the user is root"
        )
    if become.get("sudo_chdir"):
        raise Refusal(f"{name}: found ansible_sudo_chdir, which is not supported here; leave it unset for this host")
    user, password = str(become.get("become_user") or "root"), become.get("become_pass")
    words = shlex.split(str(become.get("become_exe") or "sudo"))
    flags = shlex.split(str(become.get("become_flags") or ""))
    data: dict[str, object] = {"_sudo": True, "_sudo_user": user}
    if password:
        if "\n" in str(password):
            raise Refusal(f"{name}: found a line break in ansible_become_password; wanted one line; set it anew")
        flags = [_without_n(flag) for flag in flags if flag not in ("-n", "--non-interactive")]
        flags += ["-k", "-S", "-p", ""]  # asks once, by standard input, whatever an earlier run has left
        data["_sudo_password"] = str(password)
    elif not {"-n", "--non-interactive"} & set(flags):
        flags += ["-n"]
    return (*words, *flags, "-u", user), data


def _without_n(flag: str) -> str:
    return flag if flag.startswith("--") or not flag.startswith("-") else "-" + flag[1:].replace("n", "")


def _ssh_settings(name: str, options: Mapping[str, Any]) -> tuple[dict[str, str], str | None]:
    """Return the settings of ssh that hold, and the configuration file that is named instead of the user's.

    As with ssh the first one holds, in the order in which Ansible names them on ssh's command line.
    """
    settings, file = _parsed(name, options, "ssh_args")
    own = {
        "stricthostkeychecking": "no" if options.get("host_key_checking") is False else None,
        "port": options.get("port"),
        "identityfile": options.get("private_key_file"),
        "user": options.get("remote_user"),
        "connecttimeout": options.get("timeout"),
    }
    for keyword, value in own.items():
        if value not in (None, ""):
            settings.setdefault(keyword, str(value))
    for option in ("ssh_common_args", "ssh_extra_args"):
        more, other = _parsed(name, options, option)
        keys = {one["identityfile"] for one in (settings, more) if "identityfile" in one}
        if len(keys) > 1:
            raise Refusal(
                f"{name}: found a second private key ({more['identityfile']}) in {SETTINGS[option]}; wanted one; "
                "name it in ansible_ssh_private_key_file alone"
            )
        settings = {**more, **settings}
        file = file or other
    return settings, file


def _parsed(name: str, options: Mapping[str, Any], option: str) -> tuple[dict[str, str], str | None]:
    """Return the settings that an option of ssh's own words names, and the configuration file."""
    where = SETTINGS[option]

    def refuse(word: str) -> Refusal:
        return Refusal(
            f"{name}: found {word} in {where}, which cannot be honoured here; wanted what names the host, the user, "
            "the key or the way there; set that in ~/.ssh/config, or leave it out"
        )

    try:
        words = shlex.split(str(options.get(option) or ""))
        pairs, rest = getopt.getopt(words, LETTERS)
    except (ValueError, getopt.GetoptError) as error:
        raise Refusal(f"{name}: found {error} in {where}; wanted options as of ssh(1); set it anew") from error
    if rest:
        raise refuse(rest[0])
    settings: dict[str, str] = {}
    file = None
    for letter, value in pairs:
        if letter == "-F":
            file = value
        elif letter in ("-A", "-a"):
            settings.setdefault("forwardagent", "yes" if letter == "-A" else "no")
        elif letter == "-o":
            keyword, _sign, given = value.partition("=") if "=" in value.split()[0] else value.partition(" ")
            keyword = keyword.strip().lower()
            if keyword in HONOURED:
                settings.setdefault(keyword, given.strip().strip('"'))
            elif keyword not in WITHOUT_EFFECT:
                raise refuse(f"-o {value}")
        elif letter in KEYWORD_OF:
            settings.setdefault(KEYWORD_OF[letter], value)
        elif letter not in LETTERS_WITHOUT_EFFECT:
            raise refuse(letter)
    return settings, file


def _connection(name: str, options: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, object]:
    """Return pyinfra's names and types for how a host is reached."""
    data: dict[str, object] = {"ssh_hostname": str(options["host"])}
    if not _is_word(data["ssh_hostname"]):
        raise Refusal(f"{name}: found {data['ssh_hostname']!r} in ansible_host; wanted a name or an address; set it")
    try:
        if "port" in settings:
            data["ssh_port"] = int(settings["port"])
        limits = {
            f"{kind}timeout": float(settings["connecttimeout"])
            for kind in ("", "banner_", "auth_")
            if int(settings.get("connecttimeout") or 0) > 0
        }
        retries = int(options.get("reconnection_retries") or 0)
    except ValueError as error:
        raise Refusal(f"{name}: found {error} in ansible_port, ansible_timeout or ansible_ssh_retries") from error
    alone = settings.get("identitiesonly", "no").lower() == "yes" or bool(options.get("private_key"))
    data["ssh_paramiko_connect_kwargs"] = {**limits, "allow_agent": not alone}
    if "user" in settings:
        data["ssh_user"] = settings["user"]
    if options.get("password"):
        data["ssh_password"] = str(options["password"])
    key = settings.get("identityfile", "")
    if key and "%" not in key:  # ssh's own placeholders are for the configuration's reader
        data["ssh_key"] = str(pathlib.Path(key).expanduser().absolute())
    if options.get("private_key_passphrase"):
        data["ssh_key_password"] = str(options["private_key_passphrase"])
    if retries:
        data["ssh_connect_retries"] = retries
    checking = settings.get("stricthostkeychecking", "").lower()
    if checking in ("no", "off"):
        # A changed key is let pass then too, as by ssh.
        data |= {"ssh_strict_host_key_checking": "no", "ssh_known_hosts_file": os.devnull}
    elif checking:
        data["ssh_strict_host_key_checking"] = "yes" if checking == "ask" else checking
    return data


def _is_word(value: object) -> bool:
    return bool(str(value)) and not any(sign.isspace() or sign in "*?!" for sign in str(value))


def _ssh_config(name: str, host: str, settings: Mapping[str, str], file: str | None) -> str:
    """Return an ssh_config(5) for one host, in which the first value holds: its own, the user's, the machine's."""
    if any("\n" in value for value in settings.values()):
        raise Refusal(f"{name}: found a line break in a setting of ssh; wanted one line; set it anew")
    own = [f"  {keyword} {value}" for keyword, value in settings.items() if keyword != "connecttimeout"]
    files = [file] if file else ["~/.ssh/config", "/etc/ssh/ssh_config"]
    if file == "none":
        files = []
    known = "~/.ssh/known_hosts ~/.ssh/known_hosts2 /etc/ssh/ssh_known_hosts"
    lines = [f"Host {host}", *own]
    for one in files:
        lines += ["Host *", f"  Include {pathlib.Path(one).expanduser().absolute()}"]
    return "\n".join([*lines, "Host *", f"  UserKnownHostsFile {known}", "  StrictHostKeyChecking yes", ""])


# Running a program


def run(
    members: Sequence[Member],
    program: bytes,
    given: Callable[[Member], object],
    *,
    timeout: int,
    sudo: bool = True,
) -> Iterator[Outcome]:
    """Run a program on all hosts at once, and yield what comes of each as it comes.

    Args:
        program: a zipapp that reads JSON from standard input and prints JSON; the host's Python runs it in memory.
        given: returns what it reads, for each host.
        timeout: seconds after which a host is given up, from the attempt to connect on; it holds nobody up.
        sudo: run it as root, where the inventory does not say otherwise.

    Raises:
        Refusal: pyinfra is not installed.
    """
    if importlib.util.find_spec("pyinfra") is None:
        raise Refusal(f"found no pyinfra for {sys.executable}; wanted requirements/run.txt; run .venv/bin/python")
    with tempfile.TemporaryDirectory(prefix="gpuchat-fleet-") as folder, tempfile.TemporaryFile("w+") as said:
        order = {
            "folder": folder,
            "timeout": timeout,
            "program": base64.b64encode(program).decode(),
            "members": [
                {**asdict(one), "given": given(one), "become": one.become if sudo else (), "variables": {}}
                for one in members
            ],
        }
        # In a session of its own: it can ask nobody, and nothing of it is left afterwards.
        worker = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,
        )
        waiting = [one.name for one in members]
        try:
            assert worker.stdin is not None
            assert worker.stdout is not None
            with contextlib.suppress(BrokenPipeError), worker.stdin:
                json.dump(order, worker.stdin)
            for line in worker.stdout:
                outcome = Outcome(**json.loads(line))
                waiting.remove(outcome.name)
                yield outcome
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        said.seek(0)
        last = said.read().strip().rpartition("\n")[2]
        for name in waiting:
            yield Outcome(name, "connect", None, f"the process that connects has ended: {last}", 0.0)


# The program


def zipapp(main: str) -> bytes:
    """Return shared code as one file that Python runs: it hands the JSON that it reads to a function of ours.

    Args:
        main: the function, as ``survey.reading_runner:read``; it takes the decoded JSON and returns what JSON can say.
    """
    module, _colon, function = main.partition(":")
    names = sources_runner.needed([module, "core.front"])
    files = {f"{one}/__init__.py": b"" for one in sources_runner.packages(names)}
    files |= {f"gpuchat/{name.replace('.', '/')}.py": sources_runner.path(name).read_bytes() for name in names}
    files["__main__.py"] = MAIN.format(module=module, function=function).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


MAIN = """\
import json, sys
from gpuchat.core import front
from gpuchat.{module} import {function} as work

try:
    answer = json.dumps(work(json.load(sys.stdin)))
except Exception as error:
    sys.exit(front.describe(error)[0])
print(answer)
"""
