# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The models that the stack's own engines serve, and on which hosts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..core.names import did_you_mean
from . import forms
from .types import is_true, sequence, show

VARIABLE = "gpuchat_models"
GROUP = "gpu"
REPO_NEEDED = ("huggingface", "modelscope")
MODELS_FOLDER = "/srv/models"
GPU = re.compile(r"[0-9]{1,4}|(GPU|MIG)-[0-9A-Za-z/-]+")
LORA_MODULES = "lora-modules"
LONGEST_SLUG = 40
"""Characters: a container's name, and a socket's path of at most 107, hold it."""

CONTAINER = "gpuchat-vllm-"
CONFIGURATION = "/etc/gpuchat/vllm"
CACHES = "/var/cache/gpuchat/vllm"
SOCKETS = "/var/lib/gpuchat/vllm"
WATCHDOG = "/run/gpuchat-watchdog"

SHARED = (
    *("/home", "/media", "/mnt", "/opt", "/srv", "/tmp", "/usr/lib", "/usr/local", "/usr/share"),
    *("/var/cache", "/var/lib", "/var/log", "/var/opt", "/var/tmp"),
)
"""Folders of a system that hold what is others'."""

FILES: Mapping[str, object] = {
    "source": "path",
    "repo": "",
    "revision": "",
    "endpoints": (),
    "include": (),
    "exclude": (),
}
"""What says where files come from, and which."""

DEFAULTS: Mapping[str, object] = {
    **FILES,
    "gpus": "auto",
    "task": "auto",
    "version": "",
    "image": "",
    "args": {},
    "environment": {},
}


@dataclass(frozen=True)
class Span:
    """A host's part of an engine that stands on several.

    Attributes:
        hosts: all of them, by rank; the first leads and serves.
        rank: the host's own.
        addresses: at which they reach each other, by rank.
        port: at which the first one's processes gather the others' (vLLM's ``master-port``); at the next one the ranks
            see whether all of them are there.
    """

    hosts: tuple[str, ...]
    rank: int
    addresses: tuple[str, ...]
    port: int

    def as_dict(self) -> dict[str, object]:
        return {
            "hosts": list(self.hosts),
            "rank": self.rank,
            "addresses": list(self.addresses),
            "port": self.port,
        }


@dataclass(frozen=True)
class Model:
    """One entry of the inventory's list.

    Attributes:
        name: the first name under which it is served.
        aliases: further ones.
        adapters: names of LoRA adapters, which its engine serves beside it.
        hosts: each serves the whole of it, in the inventory's order; all of them one engine where it spans them.
        task: what it does, or ``auto`` where its checkpoint tells.
        given: the entry as it was written.
        spans: whether one engine stands on all of its hosts, of which the first serves.
    """

    name: str
    hosts: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    task: str = "auto"
    given: Mapping[str, object] = field(default_factory=dict)
    spans: bool = False

    @property
    def serving(self) -> tuple[str, ...]:
        """The hosts that can be asked for it."""
        return self.hosts[:1] if self.spans else self.hosts

    @property
    def slug(self) -> str:
        return slug(self.name)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name by which people ask its engine, its own first."""
        return (self.name, *self.aliases, *self.adapters)

    @property
    def socket(self) -> str:
        """Where its engine listens, on each of its hosts."""
        return f"{SOCKETS}/{self.slug}/vllm.sock"

    @property
    def silent_mark(self) -> str:
        """The file that is there while the watchdog finds its engine silent; none where no other host serves it."""
        return f"{WATCHDOG}/{self.slug}.silent" if len(self.serving) > 1 else ""

    def downloads(self) -> list[dict[str, object]]:
        """Return what its hosts fetch for it and for its adapters, as the module ``gpuchat_model`` takes that."""
        usual = {"name": self.name, "path": f"{MODELS_FOLDER}/{self.name}", **FILES}
        own = {part: self.given.get(part, value) for part, value in usual.items()}
        return [
            {part: list(value) if isinstance(value, tuple) else value for part, value in one.items()}
            for one in ({**own, "adapter": False}, *({**one, "adapter": True} for one in _lent(self.given)))
        ]

    def engine(self, users: object, context: object, span: Span | None = None) -> dict[str, object]:
        """Return all that roles have to know of its engine, with the host's own numbers where the entry has none.

        ``own`` are the names that the entry itself gives, and ``serves`` is whether it can be asked.

        Args:
            span: the host's part of it, where it stands on several.
        """
        given = {key: value for key, value in self.given.items() if key not in ("hosts", "span")}
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in DEFAULTS.items()}
        return {
            **plain,
            "path": f"{MODELS_FOLDER}/{self.name}",
            "users": users,
            "context": context,
            **given,
            "own": sorted(given),
            "aliases": list(self.aliases),
            "adapters": list(_lent(self.given)),
            "slug": self.slug,
            "container": CONTAINER + self.slug,
            "folder": f"{CONFIGURATION}/{self.slug}",
            "cache": f"{CACHES}/{self.slug}",
            "run": f"{SOCKETS}/{self.slug}",
            "socket": self.socket,
            "socket_url": "unix://" + self.socket.replace("/", "%2F"),
            "silent_mark": self.silent_mark,
            "serves": span is None or span.rank == 0,
            "span": span.as_dict() if span else {},
        }


def slug(name: str) -> str:
    """Return a model's name as containers, units and folders can bear it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_SLUG].strip("-")


def read(given: object, groups: Mapping[str, Sequence[str]], args: object = None) -> tuple[Model, ...]:
    """Read a sound list.

    Args:
        groups: hosts by group of the inventory.
        args: options of all engines, ``vllm_args``.
    """
    return tuple(
        Model(
            str(one["name"]),
            _hosts(one, groups),
            tuple(map(str, sequence(one.get("aliases")))),
            _adapters(one, args),
            str(one.get("task", "auto")),
            one,
            is_true(one.get("span")),
        )
        for one in sequence(given)
        if isinstance(one, Mapping)
    )


def _adapters(entry: Mapping[str, object], of_all: object) -> tuple[str, ...]:
    """Return the adapters of an entry, whose own options go before those of all engines."""
    own = entry.get("args")
    has_own = isinstance(own, Mapping) and any(_option(key) == LORA_MODULES for key in own)
    return (*(str(one["name"]) for one in _lent(entry)), *adapters(own if has_own else of_all))


def _lent(entry: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Yield the LoRA adapters that are fetched for an entry: from where its model comes, unless they say else."""
    models_own = entry.get("source", FILES["source"])
    for one in sequence(entry.get("adapters")):
        if isinstance(one, Mapping) and one.get("name"):
            source = one.get("source") or (models_own if one.get("repo") else FILES["source"])
            usual = {**FILES, "endpoints": entry.get("endpoints") or () if source == models_own else ()}
            yield {**usual, "path": f"{MODELS_FOLDER}/{one['name']}", **one, "source": source}


def adapters(args: object) -> tuple[str, ...]:
    """Return the names of LoRA adapters in options of vLLM, whose ``lora-modules`` are NAME=PATH or JSON."""
    options = {_option(key): value for key, value in args.items()} if isinstance(args, Mapping) else {}
    given = options.get(LORA_MODULES) or ()
    return tuple(filter(None, map(_adapter, given if isinstance(given, (list, tuple)) else [given])))


def adapter_faults(variable: str, args: object) -> Iterator[str]:
    """Say which LoRA adapters in options of vLLM have no name, or one by which nobody could ask.

    Args:
        variable: that holds the options.
    """
    options = {_option(key): (key, value) for key, value in args.items()} if isinstance(args, Mapping) else {}
    key, given = options.get(LORA_MODULES, ("", ()))
    for one in given if isinstance(given, (list, tuple)) else [given]:
        name = _adapter(one)
        is_written = isinstance(one, Mapping) or str(one).lstrip().startswith("{")
        has_path = bool(one.get("path")) if isinstance(one, Mapping) else is_written or bool(str(one).partition("=")[2])
        if one not in (None, "") and not (has_path and forms.PLAIN_NAME.is_right(name)):
            yield (
                f"{variable} holds {show(one)} in its {key}; wanted NAME=PATH, with "
                f"{forms.PLAIN_NAME.wanted}; set {variable}.{key} to such as [sql=/model/loras/sql]"
            )


def _option(key: object) -> str:
    return str(key).lstrip("-").replace("_", "-")


def _adapter(given: object) -> str:
    if isinstance(given, str) and given.lstrip().startswith("{"):
        try:
            given = json.loads(given)
        except ValueError:
            return ""
    return str(given.get("name", "")) if isinstance(given, Mapping) else str(given).partition("=")[0].strip()


def _hosts(entry: Mapping[str, object], groups: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    serving = tuple(dict.fromkeys(groups.get(GROUP, ())))
    if entry.get("hosts") is None:
        return serving
    named = {host for word in _words(entry["hosts"]) for host in (groups.get(word) or (word,))}
    return tuple(host for host in serving if host in named)


def faults(given: object, groups: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Say what is wrong with the list beyond its types and forms."""
    slugs: dict[str, str] = {}
    folders: dict[str, str] = {}
    entries: dict[str, Mapping[str, object]] = {}
    for number, entry in enumerate(sequence(given)):
        if not isinstance(entry, Mapping) or not entry.get("name"):
            continue
        variable, name = f"{VARIABLE}[{number}]", str(entry["name"])
        if slugs.get(slug(name), name) != name:
            yield (
                f"{VARIABLE} names {slugs[slug(name)]} and {name}, whose containers would have one name; wanted names "
                f"that differ in letters and digits; set another {variable}.name"
            )
        slugs[slug(name)] = name
        yield from _path_faults(variable, entry, folders, entries)
        yield from _source_faults(variable, entry)
        yield from _lent_faults(variable, entry, folders, entries)
        yield from _host_faults(variable, entry, groups)
        yield from _gpu_faults(variable, entry.get("gpus", "auto"))
    yield from _span_faults(given, groups)


FROM = ("source", "repo", "revision", "include", "exclude")
"""What says what a folder is to hold."""

IDLE_PARTS = ("endpoints", *FROM[1:])
"""What says so to no purpose beside a folder that is there, which is taken as it is."""


def _path_faults(
    variable: str, entry: Mapping[str, object], folders: dict[str, str], entries: dict[str, Mapping[str, object]]
) -> Iterator[str]:
    """Find a folder that leads elsewhere, or lies in that of another model, which takes its place as a whole."""
    path = str(entry.get("path") or f"{MODELS_FOLDER}/{entry['name']}").rstrip("/")
    if ":" in path and not entry.get("path"):
        yield (
            f"{variable} has the folder {path}, by its name; wanted one without a colon, which would end it where a "
            f"container is lent it; set {variable}.path to {path.replace(':', '-')}"
        )
    if {"", ".", ".."} & set(path.strip("/").split("/")):
        yield (
            f"{variable} has the folder {path}; wanted one without empty parts, . and ..; set {variable}.name or "
            f"{variable}.path to such a one"
        )
    for other, its in folders.items():
        if path != other and (f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")):
            yield (
                f"{variable} has the folder {path} and {its} the folder {other}; wanted folders apart, for each is "
                f"exchanged as a whole; set {variable}.path to another"
            )
    known = entries.get(path, entry)
    if [known.get(part) for part in FROM] != [entry.get(part) for part in FROM]:
        yield (
            f"{variable} and {folders[path]} have the folder {path} and are not of one source; wanted folders apart, "
            f"for each run would exchange one for the other; set {variable}.path to another"
        )
    folders.setdefault(path, variable)
    entries.setdefault(path, entry)


def folder_faults(variable: str, entry: Mapping[str, object], others: Mapping[str, str]) -> Iterator[str]:
    """Find a folder that a download would exchange together with what is no model's.

    Args:
        variable: of the entry.
        others: further folders of the host, each by the variable that names it.
    """
    path = str(entry.get("path") or f"{MODELS_FOLDER}/{entry.get('name')}").rstrip("/")
    known = [*others.items(), *(("what is others'", folder) for folder in SHARED)]
    held = [(name, folder.rstrip("/")) for name, folder in known if f"{folder.rstrip('/')}/".startswith(f"{path}/")]
    if held and entry.get("source", "path") != "path" and forms.MODEL_PATH.is_right(path):  # else that is said
        (name, folder), right = held[0], f"{MODELS_FOLDER}/{slug(str(entry['name']))}"
        yield (
            f"{variable} has the folder {path}, which holds {name} ({folder}); wanted a folder for the model alone, "
            f"for a download exchanges it as a whole; set {variable}.path to such as {right}"
        )


def _source_faults(variable: str, entry: Mapping[str, object]) -> Iterator[str]:
    source, repo = str(entry.get("source", "path")), entry.get("repo")
    if source in REPO_NEEDED and not repo:
        yield (
            f"{variable}.source is {source} and {variable}.repo is not set; wanted the model's name there; set "
            f"{variable}.repo, for instance to {forms.REPO.example}"
        )
    elif source in REPO_NEEDED and not forms.REPO.is_right(str(repo)):
        right = forms.REPO.meant(str(repo)) or forms.REPO.example
        yield f"{variable}.repo is {show(repo)}; wanted {forms.REPO.wanted}; set {variable}.repo to {right}"
    if source == "http" and not entry.get("endpoints"):
        yield (
            f"{variable}.source is http and {variable}.endpoints is not set; wanted the address of a server; set "
            f"{variable}.endpoints to a list of one or more"
        )
    idle = [part for part in IDLE_PARTS if source == "path" and entry.get(part)]
    if idle:
        found = f"{source}, for which nothing reads that" if entry.get("source") else "not set"
        away = " or ".join(f"{variable}.{part}" for part in idle)
        yield (
            f"{variable}.{idle[0]} is {show(entry[idle[0]])} and {variable}.source is {found}; wanted to know where "
            f"that is; set {variable}.source to huggingface or modelscope, or take {away} away"
        )


def _lent_faults(
    variable: str, entry: Mapping[str, object], folders: dict[str, str], entries: dict[str, Mapping[str, object]]
) -> Iterator[str]:
    """Find adapters that cannot be fetched, and options that would leave them unserved."""
    lent = list(_lent(entry))
    for number, one in enumerate(lent):
        yield from _path_faults(f"{variable}.adapters[{number}]", one, folders, entries)
        yield from _source_faults(f"{variable}.adapters[{number}]", one)
    args = entry.get("args")
    given = args.items() if isinstance(args, Mapping) else ()
    off = [key for key, value in given if _option(key) == "enable-lora" and not is_true(value)]
    if lent and off:
        yield (
            f"{variable}.args.{off[0]} is false and {variable}.adapters names {lent[0]['name']}; wanted an engine that "
            f"takes adapters; take {variable}.args.{off[0]} away"
        )


def _host_faults(variable: str, entry: Mapping[str, object], groups: Mapping[str, Sequence[str]]) -> Iterator[str]:
    serving = set(groups.get(GROUP, ()))
    if entry.get("hosts") is not None and not _words(entry["hosts"]):
        yield (
            f"{variable}.hosts is empty; wanted hosts of the group {GROUP}; set {variable}.hosts to some, or take the "
            "model away"
        )
    for word in _words(entry.get("hosts")):
        hosts = groups.get(word) or ((word,) if word in groups.get("all", ()) else ())
        if not hosts:
            yield (
                f"{variable}.hosts names {word}, which is no group or host of the inventory; wanted hosts of the group "
                f"{GROUP}; set {variable}.hosts to some{did_you_mean(word, [*groups, *groups.get('all', ())])}"
            )
        elif not serving.issuperset(hosts):
            others = ", ".join(host for host in hosts if host not in serving)
            yield (
                f"{variable}.hosts names {word}, and {others} is not in the group {GROUP}; wanted hosts of that group; "
                f"add it there, or set {variable}.hosts to others"
            )


def _span_faults(given: object, groups: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Find a model that is to span one host alone, and one whose hosts serve something else too.

    Its ranks wait for each other while they start, each with its host's memory; another engine that waits for that
    memory on one host, and holds it on the other, would stop both.
    """
    named = [
        (number, entry)
        for number, entry in enumerate(sequence(given))
        if isinstance(entry, Mapping) and entry.get("name")
    ]
    for number, entry in named:
        if not is_true(entry.get("span")):
            continue
        variable, hosts = f"{VARIABLE}[{number}]", _hosts(entry, groups)
        if len(hosts) < 2:
            yield (
                f"{variable}.span is true and {', '.join(hosts) or 'no host'} serves it; wanted two hosts or more; set "
                f"{variable}.hosts to them, or take {variable}.span away"
            )
        for other, one in named:
            both = [host for host in hosts if other != number and host in _hosts(one, groups)]
            if both and not (other < number and is_true(one.get("span"))):  # two that span are said once
                yield (
                    f"{variable} spans {', '.join(hosts)}, and {VARIABLE}[{other}] ({one['name']}) is served by "
                    f"{', '.join(both)} too; wanted nothing else on hosts that a model spans; set the hosts of either "
                    "to others"
                )


def _gpu_faults(variable: str, value: object) -> Iterator[str]:
    names = [str(one).strip() for one in value] if isinstance(value, (list, tuple)) else []
    is_count = (
        isinstance(value, (int, str))
        and not isinstance(value, bool)
        and bool(re.fullmatch("[1-9][0-9]{0,3}", str(value)))
    )
    if names and len(set(names)) < len(names):
        yield (
            f"{variable}.gpus is {show(value)}, which names one twice; wanted each GPU once; set {variable}.gpus to "
            f"[{', '.join(dict.fromkeys(names))}]"
        )
        return
    if value in ("auto", "all") or is_count or (names and all(map(GPU.fullmatch, names))):
        return
    yield (
        f"{variable}.gpus is {show(value)}; wanted auto, all, how many, or a list of GPUs by index or UUID; set "
        f"{variable}.gpus to auto, 2 or [0, 1]"
    )


def _words(value: object) -> list[str]:
    return list(map(str, sequence(value)))
