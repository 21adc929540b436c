# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual environment of pinned, hashed packages: built whole beside the old one, then put in its place by a link."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..core.change import Difference, Plan
from ..core.errors import Refusal

RECORD = "gpuchat.json"
"""File in the environment that says what it was made of; written last."""


@dataclass(frozen=True)
class Current:
    """What is at the environment's path.

    Attributes:
        occupied: something that is no link of ours is there.
        target: the folder that the link leads to; None where there is no link.
        record: what stands in that folder's ``RECORD``.
        folders: the folders beside it that builds of this environment have left, the one in use among them.
    """

    occupied: bool = False
    target: str | None = None
    record: Mapping[str, object] = field(default_factory=dict)
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Build:
    """Make a whole environment in a folder of its own and lead the link to it."""

    folder: str
    record: Mapping[str, object]


@dataclass(frozen=True)
class Remove:
    """Remove a link or a folder."""

    path: str


def pinned(requirements: str) -> tuple[str, ...]:
    """Return the requirements of a file, each ``name==version`` with its marker, if any.

    Raises:
        Refusal: one of them has no exact version or no hash, or the text names an option, another file or nothing.
    """
    lines = re.sub(r"\\\n", " ", requirements).splitlines()
    entries = [line.strip() for line in (re.sub(r"(^|\s)#.*", "", line) for line in lines) if line.strip()]
    names = []
    for entry in entries:
        name = re.sub(r"\s+", " ", re.sub(r"\s--hash=\S+", "", entry)).strip()
        if not re.match(r"[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?==[\w.!+-]+( ?;|$)", name) or "--hash=sha256:" not in entry:
            raise Refusal(
                f"found {entry[:80]!r} among the requirements; wanted name==version --hash=sha256:... and nothing "
                "else, as `pip-compile --generate-hashes` and `uv pip compile --generate-hashes` write it"
            )
        names.append(name)
    if not names:
        raise Refusal("found no requirement; wanted the text of a file of pinned, hashed requirements")
    return tuple(names)


def digest(requirements: Sequence[str], text: str, python: str, version: str) -> str:
    """Return what distinguishes environments: packages and hashes, interpreter and its version."""
    hashes = sorted(re.findall(r"--hash=(\S+)", text))
    return hashlib.sha256("\n".join([*requirements, *hashes, python, version]).encode()).hexdigest()


def plan_present(path: str, current: Current, requirements: str, python: str, version: str | None) -> Plan:
    """Decide what brings an environment into being.

    Args:
        path: the environment's path.
        current: what is there.
        requirements: text of pinned, hashed requirements.
        python: the interpreter that the environment is made of.
        version: its version, for instance ``3.13``; None where there is no such interpreter.

    Raises:
        Refusal: the requirements are not pinned, there is no such interpreter, or the path is somebody else's.
    """
    names = pinned(requirements)
    if version is None:
        raise Refusal(f"found no Python at {python}; wanted one; set python to its path")
    _refuse_what_is_not_ours(path, current)
    wanted = digest(names, requirements, python, version)
    folder = f"{path}-{wanted[:12]}"
    actions: list[Build | Remove] = []
    shown: list[Difference] = []
    if current.target != folder or current.record.get("digest") != wanted:
        record = {"digest": wanted, "python": f"{python} {version}", "requirements": list(names)}
        actions.append(Build(folder, record))
        shown.append(Difference(path, _shown(current.record), _shown(record)))
    stale = [found for found in current.folders if found != folder]
    actions += [Remove(found) for found in stale]
    shown += [Difference(found, "an environment no longer used\n", "") for found in stale]
    if not actions:
        return Plan(reason=f"{path} holds what is wanted")
    made = f"make {path} with {', '.join(names)}" if isinstance(actions[0], Build) else f"remove {', '.join(stale)}"
    return Plan(tuple(shown), tuple(actions), made)


def plan_absent(path: str, current: Current) -> Plan:
    """Decide what removes an environment.

    Raises:
        Refusal: the path is somebody else's.
    """
    _refuse_what_is_not_ours(path, current)
    gone = [*([path] if current.target is not None else []), *current.folders]
    if not gone:
        return Plan(reason=f"there is no {path}")
    difference = Difference(path, _shown(current.record), "")
    return Plan((difference,), tuple(map(Remove, gone)), f"remove {', '.join(gone)}")


def _refuse_what_is_not_ours(path: str, current: Current) -> None:
    if current.occupied:
        raise Refusal(
            f"found {path}, which gpuchat did not make; wanted a free path or gpuchat's own link there; "
            "remove it, or set path (gpuchat_toolbox) to another"
        )


def _shown(record: Mapping[str, object]) -> str:
    if not record:
        return ""
    requirements = record.get("requirements")
    names = requirements if isinstance(requirements, list) else []
    return "".join(f"{line}\n" for line in [f"# {record.get('python', '')}", *names])


KEPT = frozenset(
    "index-url extra-index-url find-links no-index trusted-host cert client-cert proxy timeout default-timeout retries"
    " keyring-provider".split()
)
"""Of the host's own settings of pip, those that say where packages come from and how that is reached. Others say what
becomes of them (user, target, prefix, ...), and an environment knows that itself."""


def kept_settings(listed: str) -> dict[str, str]:
    """Return what is kept of the host's settings, as variables, from the answer of ``pip config list``.

    A command's own settings come before the global ones, and the environment's before both.
    """
    kept: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for name, value in re.findall(rf"^{section}\.([\w-]+)=(.*)$", listed, re.MULTILINE):
            if name in KEPT:
                with contextlib.suppress(ValueError, SyntaxError):
                    kept[f"PIP_{name.replace('-', '_').upper()}"] = " ".join(str(ast.literal_eval(value)).split())
    return kept


def unreadable(said: str) -> str:
    """Return the message for settings that pip cannot read, from its words, which may repeat a line with a login."""
    plain = " ".join(re.sub(r"(?<=://)[^/@\s]+(?=@)", "****", said).split())
    return (
        f"found that pip cannot read this host's own settings ({plain}); wanted them, for they say where packages come "
        "from; mend that file, or set index_url to a package index that this host reaches"
    )


CURES = {
    r"No space left on device|Disk quota exceeded|os error 28\b": "free space on the file system of that folder",
    r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|invalid peer certificate": (
        "name the authority that signs for that index in gpuchat_ca_files"
    ),
    r"ProxyError|Tunnel connection failed|Proxy Authentication": "set gpuchat_proxy to one that lets it through",
    r"DO NOT MATCH THE HASHES|[Hh]ash mismatch": (
        "see that no mirror or proxy on the way alters files, or name an index that has PyPI's own"
    ),
}
"""What mends an installation that failed, by the words of pip or uv."""


def cure_of(said: str, otherwise: str) -> str:
    """Return what to do about a failed installation, by its words, or what mends an index that does not serve."""
    return next((cure for words, cure in CURES.items() if re.search(words, said)), otherwise)


def missing(requirements: Sequence[str], installed: str) -> tuple[str, ...]:
    """Return the requirements, but for those of some Pythons or systems alone, that an environment does not hold.

    Args:
        requirements: each ``name==version`` with its marker, if any.
        installed: the same of what is there, one a line.
    """
    there = {_normal(line) for line in installed.split()}
    plain = [re.sub(r"\[.*?\]", "", one) for one in requirements if ";" not in one]
    return tuple(one for one in plain if _normal(one) not in there)


def _normal(requirement: str) -> str:
    name, _equals, version = requirement.strip().partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


@dataclass(frozen=True)
class Interpreter:
    """What decides which wheel suits a host: its Python (``3.13``) and its machine (``x86_64``)."""

    version: str
    machine: str

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))


def wheels_for(requirements: str, wheels: Mapping[str, str], there: Interpreter) -> tuple[str, ...]:
    """Return the wheels of a folder that make an environment on a host.

    Args:
        requirements: text of pinned, hashed requirements.
        wheels: the SHA-256 of each wheel of the folder, by its file's name.
        there: the host's Python.

    Raises:
        Refusal: the folder lacks one, or holds one in other bytes than the requirements say.
    """
    chosen: list[str] = []
    lacking: list[str] = []
    entries = re.sub(r"\\\n", " ", requirements).splitlines()
    for entry in (line for line in entries if "==" in line and not line.lstrip().startswith("#")):
        hashes = set(re.findall(r"--hash=sha256:([0-9a-f]+)", entry))
        wanted, _semicolon, marker = re.sub(r"\s(--hash=\S+|#.*)", "", entry).partition(";")
        if not _applies(marker, there):
            continue
        name = re.sub(r"\[.*?\]", "", wanted).strip()
        suited = [file for file in sorted(wheels) if _suits(file, name, there)]
        sound = [file for file in suited if wheels[file] in hashes]
        chosen += sound
        if not sound:
            lacking.append(f"{name} ({suited[0]} has other bytes than its hash says)" if suited else name)
    if lacking:
        raise Refusal(
            f"found no wheel for {', '.join(lacking)} that suits Python {there.version} on {there.machine}; wanted one "
            "for each requirement, in the bytes that its hash names; fill the folder anew on a machine that reaches a "
            "package index, by `python3 tools/toolbox_wheels.py FOLDER`, and set wheels to it"
        )
    return tuple(dict.fromkeys(chosen))


def _applies(marker: str, there: Interpreter) -> bool:
    """Return whether a requirement is one for this Python; a marker of another kind is for pip to judge."""
    for bound, number in re.findall(r"python(?:_full)?_version\s*(<=|>=|<|>|==|!=)\s*['\"]([\d.]+)['\"]", marker):
        limit = tuple(int(part) for part in number.split("."))[:2]
        here = there.numbers[:2]
        holds = {
            "<": here < limit,
            "<=": here <= limit,
            ">": here > limit,
            ">=": here >= limit,
            "==": here == limit,
            "!=": here != limit,
        }
        if not holds[bound]:
            return False
    return True


def _suits(file: str, requirement: str, there: Interpreter) -> bool:
    """Return whether a wheel is one of a requirement, for this Python and machine (PEP 427, PEP 600).

    How old the host's C library may be is left to pip.
    """
    parts = file[: -len(".whl")].split("-") if file.endswith(".whl") else []
    if len(parts) not in (5, 6) or _normal(f"{parts[0]}=={parts[1]}") != _normal(requirement):
        return False
    pythons, abis, platforms = (part.split(".") for part in parts[-3:])
    major, minor = there.numbers[:2]
    own = f"cp{major}{minor}"
    stable = "abi3" in abis and any(_minor(one, major) <= minor for one in pythons)
    python = f"py{major}" in pythons or own in pythons or stable
    platform = any(
        one == "any" or (one.startswith(("manylinux", "linux_")) and one.endswith(f"_{there.machine}"))
        for one in platforms
    )
    return python and platform


def _minor(python: str, major: int) -> int:
    found = re.fullmatch(rf"cp{major}(\d+)", python)
    return int(found.group(1)) if found else 1000


def pip_environment(
    index_url: str, trusted_hosts: Sequence[str], kept: Mapping[str, str], own: Iterable[str]
) -> dict[str, str]:
    """Return pip's settings as variables of its environment, where no list of processes shows them.

    Args:
        kept: what is kept of the host's settings.
        own: the variables of pip's that the environment has; an empty one counts as none.
    """
    settings = {name: "" for name in own if name.startswith("PIP_")} | {"PIP_CONFIG_FILE": "/dev/null"}
    settings |= {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_CACHE_DIR": "1", **kept}
    if index_url:
        settings["PIP_INDEX_URL"] = index_url
    if trusted_hosts:
        settings["PIP_TRUSTED_HOST"] = " ".join(trusted_hosts)
    return settings


def credentials(index_url: str) -> tuple[str, ...]:
    """Return what of an index's address is secret, as it stands there and as it reads: password or lone token."""
    found = re.match(r"\w+://([^/?#]*)@", index_url)
    user, _colon, password = found.group(1).partition(":") if found else ("", "", "")
    secret = password or user
    read = re.sub("%([0-9A-Fa-f]{2})", lambda code: chr(int(code.group(1), 16)), secret)
    return tuple(sorted({secret, read} - {""}, key=len, reverse=True))


def shown_index(index_url: str) -> str:
    """Return words for the index in use, without its credentials."""
    return without_secrets(index_url, index_url) if index_url else "the package index of pip's own settings"


def without_secrets(text: str, index_url: str) -> str:
    """Return a text with an index's credentials made unreadable."""
    for secret in credentials(index_url):
        text = text.replace(secret, "****")
    return text
