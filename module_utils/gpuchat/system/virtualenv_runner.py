# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds virtual environments with Python's own venv and pip."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from ..core import host
from ..core.change import Plan
from ..core.errors import Refusal
from .virtualenv import (
    RECORD,
    Build,
    Current,
    Interpreter,
    Remove,
    cure_of,
    kept_settings,
    missing,
    pinned,
    pip_environment,
    plan_absent,
    plan_present,
    shown_index,
    unreadable,
    wheels_for,
    without_secrets,
)

ABILITIES = "import sys; print('%d.%d' % sys.version_info[:2]); import ensurepip, venv"
INSTALLED = "import importlib.metadata as m; [print(d.metadata['Name'] + '==' + d.version) for d in m.distributions()]"
ANEW = "fill their folder anew by `python3 tools/toolbox_wheels.py FOLDER`, and set wheels to it"
INDEX = "set index_url to a package index that this host reaches, and trusted_hosts where it speaks plain HTTP"
SAID_LINES = 15
"""Lines of a failed pip that a message holds."""


def ensure(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Ensure a virtual environment, and return the module's result.

    Raises:
        Refusal: the input cannot be served, or venv or pip failed; the old environment is left as it was.
    """
    path, index_url = str(params["path"]).rstrip("/"), str(params["index_url"])
    current = look(path)
    if params["state"] == "absent":
        plan = plan_absent(path, current)
        notes: tuple[str, ...] = ()
    else:
        python = str(params["python"])
        version, complete = _abilities(python)
        plan = plan_present(path, current, str(params["requirements"]), python, version)
        wheels = _wheels(plan, version, params)
        if params["state"] == "prepared":
            return Plan(reason="what the environment is made of can be had").result()
        notes = _notes(plan, complete, wheels is not None) if check else ()
        if wheels and not check and not params.get("wheels_at"):
            raise Refusal(f"found {', '.join(wheels)} not on this host yet; wanted them", wanted_wheels=list(wheels))
    if not check:
        for action in plan.actions:
            if isinstance(action, Build):
                trusted: Sequence[str] = params["trusted_hosts"]  # type: ignore[assignment]
                _build(path, action, str(params["python"]), params, index_url, trusted)
            elif isinstance(action, Remove):
                host.remove_tree(action.path)
    return Plan(plan.differences, plan.actions, plan.reason, notes).result()


def look(path: str) -> Current:
    """Read what is at an environment's path, and which folders of it stand beside."""
    target = os.path.join(os.path.dirname(path), os.readlink(path)) if os.path.islink(path) else None
    ours = re.compile(re.escape(os.path.basename(path)) + "-[0-9a-f]{12}")
    parent = os.path.dirname(path)
    return Current(
        occupied=os.path.lexists(path) and (target is None or not ours.fullmatch(os.path.basename(target))),
        target=target,
        record=host.read_json(f"{path}/{RECORD}"),
        folders=tuple(f"{parent}/{name}" for name in host.names_in(parent) if ours.fullmatch(name)),
    )


def _abilities(python: str) -> tuple[str | None, bool]:
    """Return an interpreter's version, None where there is none, and whether it can make an environment with pip."""
    output = host.run([python, "-I", "-c", ABILITIES], timeout=60)
    version = output.stdout.strip()
    return (version if re.fullmatch(r"\d+\.\d+", version) else None), output.rc == 0


def _wheels(plan: Plan, version: str | None, params: Mapping[str, object]) -> tuple[str, ...] | None:
    """Return the wheels that an environment is to be made of; None where they come from an index, or none is made.

    Raises:
        Refusal: the folder of wheels lacks one.
    """
    held: Mapping[str, str] | None = params.get("wheel_sums")  # type: ignore[assignment]
    if held is None or version is None or not any(isinstance(action, Build) for action in plan.actions):
        return None
    return wheels_for(str(params["requirements"]), held, Interpreter(version, os.uname().machine))


def _notes(plan: Plan, complete: bool, offline: bool) -> tuple[str, ...]:
    if not any(isinstance(action, Build) for action in plan.actions):
        return ()
    pip = "this Python cannot make environments yet (Debian's package for that is python3-venv)"
    if offline:
        return () if complete else (pip,)
    return (f"whether the package index has the packages: check mode fetches nothing{'' if complete else f'; {pip}'}",)


def _build(
    path: str, build: Build, python: str, params: Mapping[str, object], index_url: str, trusted_hosts: Sequence[str]
) -> None:
    folder, requirements = build.folder, str(params["requirements"])
    host.remove_tree(folder)  # what a run that died has left
    listed = f"{folder}/requirements.txt"
    python_there = f"{folder}/bin/python"
    pip = [python_there, "-I", "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
    offline = str(params.get("wheels_at") or "")
    pip += ["--no-index", "--find-links", offline] if offline else []
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        made = host.run([python, "-I", "-m", "venv", folder])
        if made.rc != 0:
            raise Refusal(
                f"{python} cannot make a virtual environment; wanted one that can (Debian's package for that is "
                f"python3-venv); {_left_alone(path)}; it said:\n{made.text}"
            )
        host.write_atomically(listed, requirements.encode(), 0o644)
        kept = {} if offline else own_settings(python_there, index_url)
        environment = pip_environment(index_url, trusted_hosts, kept, os.environ)
        done = host.run([*pip, "--requirement", listed], 1800, environment)
        if done.rc != 0:
            said = done.text
            for address in (index_url, *" ".join(kept.values()).split()):
                said = without_secrets(said, address)
            said = "\n".join(said.splitlines()[-SAID_LINES:])
            source, cure = ("the wheels", ANEW) if offline else (shown_index(index_url), INDEX)
            raise Refusal(
                f"pip could not install what {path} wants from {source}; {_left_alone(path)}; "
                f"{cure_of(said, cure)}; pip said:\n{said}"
            )
        lacking = missing(pinned(requirements), host.run([python_there, "-I", "-c", INSTALLED], 60).stdout)
        if lacking:
            raise Refusal(
                f"found that {path} lacks {', '.join(lacking)}, although pip ended well; wanted them there; "
                f"{_left_alone(path)}; look at `{python} -m pip config debug` for what sends packages elsewhere"
            )
        host.write_json(f"{folder}/{RECORD}", build.record, 0o644)
    except BaseException:
        host.remove_tree(folder)
        raise
    _lead(path, folder)


def own_settings(python: str, index_url: str) -> dict[str, str]:
    """Return what is kept of the host's own settings of pip, as variables.

    Raises:
        Refusal: pip cannot read them, and no index is named that would do without.
    """
    listed = host.run([python, "-I", "-m", "pip", "config", "list"], 60)
    if listed.rc != 0 and not index_url:
        raise Refusal(unreadable(listed.text))
    return kept_settings(listed.stdout)


def _left_alone(path: str) -> str:
    return "the old environment is left as it was" if os.path.exists(path) else "nothing is left of the try"


def _lead(path: str, folder: str) -> None:
    """Lead the link to a folder, so that a reader sees the old environment or the new one."""
    temporary = f"{path}.new"
    host.remove_file(temporary)
    os.symlink(os.path.basename(folder), temporary)
    os.replace(temporary, path)
