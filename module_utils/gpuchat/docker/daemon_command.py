# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of dockerd's settings stand on its command line, by the unit files that start it.

dockerd does not start when a key stands both in daemon.json and on its command line, so what stands there must be
known before the file is written. Names are those of moby 20.10 to 29 (installFlags and installConfigFlags in its
command package, findConfigurationConflicts in daemon/config/config.go).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

# Flags whose key in daemon.json has another name.
KEYS = {
    "authorization-plugin": ("authorization-plugins",),
    "cdi-spec-dir": ("cdi-spec-dirs",),
    "cluster-store-opt": ("cluster-store-opts",),
    "default-address-pool": ("default-address-pools",),
    "default-network-opt": ("default-network-opts",),
    "default-ulimit": ("default-ulimits",),
    "dns-opt": ("dns-opts",),
    "exec-opt": ("exec-opts",),
    "feature": ("features",),
    "graph": ("graph", "data-root"),
    "host": ("hosts",),
    "host-gateway-ip": ("host-gateway-ip", "host-gateway-ips"),
    "insecure-registry": ("insecure-registries",),
    "label": ("labels",),
    "log-opt": ("log-opts",),
    "node-generic-resource": ("node-generic-resources",),
    "registry-mirror": ("registry-mirrors",),
    "storage-opt": ("storage-opts",),
    "add-runtime": (),  # dockerd merges these with the file's runtimes
}
SHORT = {
    "D": "debug",
    "G": "group",
    "H": "host",
    "b": "bridge",
    "g": "graph",
    "l": "log-level",
    "p": "pidfile",
    "r": "restart",
    "s": "storage-driver",
    "v": "version",
}
SHORT_WITHOUT_VALUE = frozenset("Drv")
# Objects of daemon.json whose members are no keys of their own (flatOptions).
FLAT = frozenset(
    "builder cluster-store-opts default-network-opts default-ulimits features log-opts nri-opts runtimes".split()
)

SHELLS_COMMAND = re.compile(r"(^|[\s;&/])dockerd\s+-")  # one word of systemd's, which a shell takes apart


@dataclass(frozen=True)
class TextFile:
    """A unit file, a drop-in or an environment file."""

    path: str
    text: str


@dataclass(frozen=True)
class Flag:
    """One flag of dockerd's command line, with its long name, and the file that it stands in."""

    name: str
    value: str
    place: str

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of daemon.json that must not stand beside the flag."""
        return KEYS.get(self.name, (self.name,))


def key_of(place: Sequence[str]) -> str:
    """Return the key by which dockerd knows a place in daemon.json: the inner one, where the outer one is a group."""
    return place[0] if len(place) == 1 or place[0] in FLAT else place[1]


def environment_files(units: Sequence[TextFile]) -> list[str]:
    """Return the paths of the environment files that a unit names, in their order."""
    return [words.lstrip("-") for words, _place in _directive(units, "EnvironmentFile")]


def flags(units: Sequence[TextFile], environments: Sequence[TextFile]) -> tuple[Flag, ...]:
    """Return the flags of the command that a unit starts.

    Args:
        units: the unit file and its drop-ins, in systemd's order.
        environments: those of its environment files that could be read, in their order.
    """
    variables = dict(_variables(units, environments))
    found: list[Flag] = []
    for line, place in _directive(units, "ExecStart"):
        words = [word for one in _split(line) for word in _expanded(one, place, variables)]
        by_shell = next((text for text, _place in words if SHELLS_COMMAND.search(text)), "")
        if by_shell:
            words = [word for one in _split(by_shell) for word in _expanded(one, place, variables)]
        found += _parsed(words[1:])
    return tuple(found)


def settings(flags: Iterable[Flag]) -> dict[str, object]:
    """Return what the flags that say where images and data are would be in daemon.json."""
    found: dict[str, object] = {}
    features: dict[str, bool] = {}
    for flag in flags:
        if "data-root" in flag.keys:
            found["data-root"] = flag.value
        elif flag.name == "feature":
            name, equals, value = flag.value.partition("=")
            features[name] = not equals or value.lower() in ("1", "t", "true")
    return {**found, **({"features": features} if features else {})}


def _directive(units: Sequence[TextFile], name: str) -> list[tuple[str, str]]:
    """Return a directive's values in the section Service, each with its file; an empty one drops those before it."""
    values: list[tuple[str, str]] = []
    for unit in units:
        section = ""
        for line in _lines(unit.text):
            key, equals, value = (part.strip() for part in line.partition("="))
            if line.startswith("["):
                section = line
            elif section == "[Service]" and key == name and equals:
                values = [*values, (value, unit.path)] if value else []
    return values


def _lines(text: str) -> Iterator[str]:
    """Yield the logical lines of a unit or environment file: without comments, continued ones joined."""
    begun = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith(("#", ";")) or not (line or begun):
            continue
        if line.endswith("\\"):
            begun += line[:-1] + " "
        else:
            yield begun + line
            begun = ""
    if begun:
        yield begun


def _variables(units: Sequence[TextFile], environments: Sequence[TextFile]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each variable of a unit's environment with its value and its file, the one that counts last."""
    for line, place in _directive(units, "Environment"):
        for word in _split(line):
            name, _equals, value = word.partition("=")
            yield name, (value, place)
    for file in environments:
        for line in _lines(file.text):
            name, _equals, value = line.partition("=")
            yield (
                name.strip(),
                (" ".join(_split(value)) if value.strip()[:1] in ('"', "'") else value.strip(), file.path),
            )


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quote that is never closed
        return line.split()


def _expanded(word: str, place: str, variables: Mapping[str, tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Yield a word with its variables' values as systemd has it: one that stands alone becomes several words."""
    alone = re.fullmatch(r"\$(\w+)|\$\{(\w+)\}", word)
    if alone:
        value, place = variables.get(alone[1] or alone[2], ("", place))
        return [(part, place) for part in (_split(value) if alone[1] else [value])]
    value = re.sub(r"\$\{(\w+)\}", lambda name: variables.get(name[1], ("", ""))[0], word)
    return [(value.replace("$$", "$"), place)]


def _parsed(words: Sequence[tuple[str, str]]) -> Iterator[Flag]:
    """Yield the flags among a command's words, as pflag reads them."""
    for index, (word, place) in enumerate(words):
        following = words[index + 1][0] if index + 1 < len(words) else ""
        if word == "--":
            return
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            yield Flag(name, value if equals else following, place)
        elif word.startswith("-"):
            for at, letter in enumerate(word[1:], 2):
                yield Flag(SHORT.get(letter, letter), word[at:].lstrip("=") or following, place)
                if letter not in SHORT_WITHOUT_VALUE:
                    break
