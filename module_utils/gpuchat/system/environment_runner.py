# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolves packages into a lock, and makes environments of locks, by uv."""

from __future__ import annotations

import os
import pwd
import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..core import host
from ..core.change import Difference, Plan
from ..core.errors import Refusal
from .environment import (
    AUTO,
    CACHE,
    CANDIDATES,
    FOLDER,
    HEAD,
    ROOT,
    TOOL,
    UV,
    Python,
    Source,
    chosen,
    folder_of,
    lock_digest,
    lock_name,
    preloaded,
    stale,
    uv_environment,
)
from .virtualenv import RECORD, credentials, cure_of, pinned, shown_index
from .virtualenv_runner import ensure as ensure_virtualenv
from .virtualenv_runner import look, own_settings

OPTIONS: dict[str, dict[str, object]] = {
    "packages": {"type": "list", "elements": "str", "default": []},
    "cpu_packages": {"type": "list", "elements": "str", "default": []},
    "python": {"type": "str", "default": AUTO},
    "index_url": {"type": "str", "default": "", "no_log": True},
    "extra_index_urls": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "trusted_hosts": {"type": "list", "elements": "str", "default": []},
    "torch_backend": {"type": "str", "default": AUTO},
    "requirements": {"type": "str", "default": "", "no_log": False},
    "locks": {"type": "dict", "default": {}, "no_log": False},
}
"""Options of a module that makes environments, as an argument specification."""

INDEXES = (
    "set uv_index_url to a package index that this host reaches, uv_extra_index_urls to where vLLM's own builds are, "
    "or vllm_version to one that the index has"
)
SAID_LINES = 15
RESOLVE_SECONDS, INSTALL_SECONDS = 1800.0, 3600.0
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"

Params = Mapping[str, Any]


def python_here(wanted: str) -> Python:
    """Return the interpreter that this host's environments are made of.

    Raises:
        Refusal: there is none that fits.
    """
    found = []
    for path in CANDIDATES if wanted == AUTO else (wanted,):
        version = host.run([path, "-I", "-c", VERSION], 60).stdout.strip()
        if re.fullmatch(r"\d+\.\d+", version):
            found.append(Python(path, version))
    return chosen(wanted, found)


def look_up(source: Source, params: Params, check: bool) -> dict[str, Any]:
    """Return an environment's lock: the inventory's own, the recorded one, or what uv resolves now.

    ``lock`` is empty where it is not known yet, in check mode on a host without uv; ``resolved`` says that it is new.

    Raises:
        Refusal: there is no Python that fits, or the packages cannot be resolved.
    """
    python = _python(params, check)
    if python is None:
        return {"lock": "", "name": "", "python": None, "resolved": False}
    name = lock_name(source, python.version, os.uname().machine)
    given = str(params["requirements"] or params["locks"].get(name) or "")
    if given:
        lock_digest(given)
        return {"lock": given, "name": name, "python": python, "resolved": False}
    if check and not os.path.exists(UV):
        return {"lock": "", "name": name, "python": python, "resolved": False}
    return {"lock": _resolved(source, python, params), "name": name, "python": python, "resolved": True}


def _python(params: Params, check: bool) -> Python | None:
    """Return this host's interpreter; None where the packages of the role uv, which may bring it, are yet to come."""
    try:
        return python_here(str(params["python"]))
    except Refusal:
        if check and not os.path.exists(UV):
            return None
        raise


def ensure(source: Source, params: Params, check: bool) -> dict[str, Any]:
    """Ensure the environment of a source, and return its result, with its folder as ``reference``.

    It is made whole in a folder of its own; the record that says so is written last.

    Raises:
        Refusal: the packages cannot be resolved or installed; what ran before runs on.
    """
    known = look_up(source, params, check)
    lock, python = known["lock"], known["python"]
    if not lock:
        note = f"which packages {source.name} comes with: uv is not on this host yet"
        difference = Difference(f"{ROOT}/{source.name}", "", f"{source.name}\n")
        result = Plan((difference,), (source.name,), f"{source.name} is not on this host", (note,)).result()
        return {**result, "reference": f"{ROOT}/unknown", "digest": "", "preload": (), **_told(known)}
    folder = folder_of(source, lock, python)
    digest = lock_digest(lock)
    told = {"reference": folder, "digest": digest, "preload": preloaded(folder, lock), **_told(known)}
    if host.read_json(f"{folder}/{RECORD}").get("digest") == digest:
        return {**Plan(reason=f"{source.name} is in {folder}").result(), **told}
    difference = Difference(folder, "", "".join(f"{name}\n" for name in pinned(lock)))
    if not check:
        _build(folder, lock, source, python, params)
    return {**Plan((difference,), (folder,), f"install {source.name} in {folder}").result(), **told}


def _told(known: Mapping[str, Any]) -> dict[str, Any]:
    return {"new_locks": {known["name"]: known["lock"]} if known["resolved"] else {}}


def _settings(source: Source, params: Params) -> dict[str, str]:
    index_url = str(params["index_url"])
    kept = own_settings(f"{os.path.dirname(UV)}/python", index_url)
    return uv_environment(source, index_url, params["trusted_hosts"], kept, os.environ)


def _resolved(source: Source, python: Python, params: Params) -> str:
    """Return a new lock."""
    with tempfile.TemporaryDirectory(prefix="gpuchat-") as folder:
        wanted, lock = os.path.join(folder, "wanted.in"), os.path.join(folder, "lock.txt")
        host.write_atomically(wanted, "".join(f"{one}\n" for one in source.packages).encode(), 0o600)
        command = [UV, "pip", "compile", "--quiet", "--python", python.path, "--generate-hashes", "--no-header"]
        command += ["--no-annotate", "--output-file", lock, wanted]
        os.makedirs(ROOT, exist_ok=True)
        done = host.run(command, RESOLVE_SECONDS, _settings(source, params))
        if done.rc != 0:
            raise Refusal(
                f"uv found no versions that go together for {source.name} on Python {python.version}, from "
                f"{_places(source, params)}; wanted such; {cure_of(done.text, INDEXES)}; uv "
                f"said:\n{_said(done, params)}"
            )
        with open(lock, encoding="utf-8") as file:
            text = HEAD + file.read()
    lock_digest(text)
    return text


def _build(folder: str, lock: str, source: Source, python: Python, params: Params) -> None:
    settings = _settings(source, params)
    listed = f"{folder}/requirements.txt"
    host.remove_tree(folder)  # what a run that died has left
    try:
        os.makedirs(ROOT, exist_ok=True)
        host.must([UV, "venv", "--quiet", "--no-project", "--python", python.path, folder], 120, settings)
        host.write_atomically(listed, lock.encode(), 0o644)
        command = [UV, "pip", "sync", "--quiet", "--python", f"{folder}/bin/python", "--require-hashes"]
        done = host.run([*command, "--compile-bytecode", listed], INSTALL_SECONDS, settings)
        if done.rc != 0:
            raise Refusal(
                f"uv could not install {source.name} from {_places(source, params)}; wanted what its lock names; "
                f"what ran before runs on; {cure_of(done.text, INDEXES)}; uv said:\n{_said(done, params)}"
            )
        program = f"{folder}/bin/vllm"
        if not os.path.exists(program):
            raise Refusal(
                f"found no {program} in what {source.name} brings; wanted vLLM; set vllm_packages "
                "(vllm_cpu_packages, vllm_requirements) to words with it"
            )
        record = {"digest": lock_digest(lock), "python": f"{python.path} {python.version}", "packages": source.name}
        host.write_json(f"{folder}/{RECORD}", record, 0o644)
    except BaseException:
        host.remove_tree(folder)
        raise
    host.remove_tree(CACHE)


def _places(source: Source, params: Params) -> str:
    shown = [shown_index(url) for url in source.extra_indexes] + [shown_index(str(params["index_url"]))]
    return ", ".join([*shown, *([f"PyTorch's index {source.torch_backend}"] if source.torch_backend else [])])


def _said(done: host.Output, params: Params) -> str:
    """Return the last lines of what uv said, without the logins of indexes."""
    text = done.text
    for url in (str(params["index_url"]), *params["extra_index_urls"]):
        for secret in credentials(url):
            text = text.replace(secret, "****")
    return "\n".join(text.splitlines()[-SAID_LINES:])


# What is there, and what goes.


def folders() -> tuple[str, ...]:
    """Return the environments on this host, those that a run has left unfinished among them."""
    if not os.path.isdir(ROOT) or os.path.islink(ROOT):
        return ()
    return tuple(f"{ROOT}/{name}" for name in sorted(os.listdir(ROOT)) if FOLDER.fullmatch(name))


def unused(used: Collection[str]) -> tuple[str, ...]:
    return stale(folders(), used)


def all_there() -> tuple[str, ...]:
    """Return all folders of environments on this host, with that of uv itself."""
    tool = look(TOOL)
    is_ours = not tool.occupied and bool(tool.target or tool.folders)
    return (*([ROOT] if os.path.isdir(ROOT) and not os.path.islink(ROOT) else []), *([TOOL] if is_ours else []))


def remove_all() -> None:
    remove(folders())
    ensure_virtualenv({"path": TOOL, "state": "absent", "index_url": ""}, False)


def remove(paths: Sequence[str]) -> None:
    """Remove environments, and with the last of them the folder that holds them."""
    for path in paths:
        host.remove_tree(path)
    if not folders():
        host.remove_tree(CACHE)
        if os.path.isdir(ROOT) and not os.path.islink(ROOT) and not os.listdir(ROOT):
            os.rmdir(ROOT)


# The account.


ACCOUNT = "gpuchat-vllm"


def account_there(uid: int) -> str:
    """Return the name of the account with a number, or nothing."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def ensure_account(uid: int, check: bool) -> dict[str, object]:
    """Ensure an account of a number, which systemd wants a unit's user to have.

    Raises:
        Refusal: our name has another number.
    """
    there = account_there(uid)
    if there:
        return Plan(reason=f"{there} has the number {uid}").result()
    try:
        other = pwd.getpwnam(ACCOUNT).pw_uid
    except KeyError:
        other = None
    if other is not None:
        raise Refusal(
            f"found the account {ACCOUNT} with the number {other}; wanted {uid}; set vllm_uid to {other}, or remove "
            "that account where nobody uses it"
        )
    if not check:
        command = ["useradd", "--system", "--uid", str(uid), "--user-group", "--no-create-home", "--home-dir"]
        host.must([*command, "/nonexistent", "--shell", "/usr/sbin/nologin", ACCOUNT], 60)
    return Plan((Difference(f"account {ACCOUNT}", "", f"{uid}\n"),), (ACCOUNT,), f"add the account {ACCOUNT}").result()


def account_is_ours() -> bool:
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        return False
    return True


def remove_account() -> bool:
    """Remove our account, and say whether there was one."""
    if not account_is_ours():
        return False
    host.must(["userdel", ACCOUNT], 60)
    return True
