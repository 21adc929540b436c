# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Model servers that somebody else runs, which the stack hands on under names of its own."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from . import forms
from .types import NUMBER, show

VARIABLE = "gpuchat_endpoints"
NAME = re.compile(r"[a-z0-9](-?[a-z0-9]){0,31}")
URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?(?P<path>/[A-Za-z0-9._~/-]*)?"
)
TASKS = ("chat", "embed", "rerank", "transcribe")
PORTS = {"http": 80, "https": 443}
PLAIN_KEY = re.compile(r"[A-Za-z0-9._~+/=-]*")
TIMEOUTS = (1, 3600)
USUAL_PREFIX = "/v1"
"""Where servers have their API, for an address that says no path."""
MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
LONGEST_MODEL = 200
MOST_MODELS = 200
"""How many names a server may list: each is a line of the configuration of every host that asks."""
BY_NAME = (
    ("embed", re.compile(r"embed", re.IGNORECASE)),
    ("rerank", re.compile(r"rerank", re.IGNORECASE)),
    ("transcribe", re.compile(r"whisper", re.IGNORECASE)),
)
"""What a model does by its name, of which alone a list of models tells; all others chat."""
ASKED_PATHS = (
    *("/chat/completions", "/completions", "/embeddings", "/models", "/responses", "/messages", "/rerank", "/score"),
    *("/audio/transcriptions", "/audio/translations"),
)
"""What people put behind the address of an API by mistake."""
OLLAMAS_OWN = re.compile(r"/api(/(chat|generate|embed|embeddings|tags))?/*")
"""Where Ollama's own API is, which speaks otherwise, at the port that Ollama has."""
OLLAMA_PORT = "11434"
IN_CONTAINERS = frozenset({"host.docker.internal", "gateway.docker.internal", "host.containers.internal"})
"""Names that a container has for its host, and that the host itself, where nginx asks, does not know."""


@dataclass(frozen=True)
class Endpoint:
    """One server with an API in OpenAI's manner.

    Attributes:
        prefix: its path that stands for ``/v1``.
        renamed: the names of its models, by those under which the stack serves them.
        tasks: what each of these does.
        timeout: seconds between two parts of an answer.
        authority_file: on the control node, of the authority that signed its certificate; empty for a public one.
        live: whether the inventory names no models, and those that it lists are read before each run.
        abilities: what the inventory says that each of its models can do.
    """

    name: str
    url: str
    renamed: Mapping[str, str]
    tasks: Mapping[str, str]
    timeout: int
    authority_file: str = ""
    live: bool = False
    abilities: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        return self._part("scheme")

    @property
    def host(self) -> str:
        return self._part("host").strip("[]")

    @property
    def place(self) -> str:
        """The server as nginx takes it, with its port."""
        return f"{self._part('host')}:{self._part('port') or PORTS[self.scheme]}"

    @property
    def virtual_host(self) -> str:
        """The server as a request names it: with its port where the address has one."""
        port = self._part("port")
        return self._part("host") + (f":{port}" if port else "")

    @property
    def prefix(self) -> str:
        return self._part("path").rstrip("/") or USUAL_PREFIX

    @property
    def base(self) -> str:
        """The address that ``/models`` follows."""
        return f"{self.scheme}://{self.virtual_host}{self.prefix}"

    def _part(self, name: str) -> str:
        found = URL.fullmatch(self.url)
        return (found[name] or "") if found else ""


def read(given: object, adopted: Mapping[str, Sequence[str]] | None = None) -> tuple[Endpoint, ...]:
    """Read a sound list.

    Args:
        adopted: the models of those servers for which the inventory names none.
    """
    found = []
    for one in given if isinstance(given, (list, tuple)) else ():
        name = str(one["name"])
        listed = [{"name": model, "task": task_by_name(model)} for model in (adopted or {}).get(name, ())]
        models = listed if is_live(one) else [_model(model) for model in one["models"]]
        found.append(
            Endpoint(
                name,
                str(one["url"]),
                {str(model["name"]): str(model.get("upstream") or model["name"]) for model in models},
                {str(model["name"]): str(model.get("task") or "chat") for model in models},
                int(str(one.get("timeout", 30))),
                str(one.get("authority_file") or ""),
                is_live(one),
                abilities={str(model["name"]): _abilities(model) for model in models},
            )
        )
    return tuple(found)


def is_live(one: Mapping[str, object]) -> bool:
    """Whether a server's models are those that it lists itself."""
    return one.get("models") is None


def task_by_name(model: str) -> str:
    """Return what a model does, as far as its name tells."""
    return next((task for task, pattern in BY_NAME if pattern.search(model)), "chat")


def adopt(
    given: object, listed: Mapping[str, Sequence[str]], taken: Iterable[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Choose which models are handed on of those that servers list, and say which are not, and why.

    What somebody else's server says never takes a name from the stack's own models, nor from another server before it,
    and never ends a run: whoever runs that server could end all of them.

    Args:
        given: a sound list.
        listed: names of models as servers list them, by server.
        taken: names that the inventory gives to models.
    """
    known, adopted, warnings = set(taken), {}, []
    for one in (each for each in given if is_live(each)) if isinstance(given, (list, tuple)) else ():
        server = str(one["name"])
        names = list(dict.fromkeys(map(str, listed.get(server, ()))))
        odd = [name for name in names if not MODEL.fullmatch(name) or len(name) > LONGEST_MODEL]
        sound = [name for name in names if name not in odd]
        twice = [name for name in sound if name in known]
        free = [name for name in sound if name not in known]
        adopted[server] = tuple(free[:MOST_MODELS])
        known |= set(adopted[server])
        if odd:
            warnings.append(
                f"{server} lists {_few(odd)}; wanted up to {LONGEST_MODEL} letters, digits and . _ : / @ + - in a "
                f"name; that is left out; name its models in {VARIABLE}, with upstream as it calls them"
            )
        if twice:
            warnings.append(
                f"{server} lists {_few(twice)}, by which another model of the stack is asked for; wanted a name of its "
                f"own; that is left out; name its models in {VARIABLE}, this one by another name with upstream"
            )
        if len(free) > MOST_MODELS:
            warnings.append(
                f"{server} lists {len(free)} models; wanted {MOST_MODELS} at most; the others are left out; name in "
                f"{VARIABLE} those that are wanted"
            )
    return adopted, warnings


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(show(name[:60]) for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _model(given: object) -> Mapping[str, object]:
    return given if isinstance(given, Mapping) else {"name": str(given)}


ABILITIES = ("context", "tools", "vision")
"""What an interface is told of a model beside its name: tokens of a conversation, whether it calls tools, and sees."""


def _abilities(model: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {key: bool(model[key]) for key in ("tools", "vision") if key in model}
    return {**found, "context": int(str(model["context"]))} if model.get("context") else found


def _ability_faults(where: str, model: Mapping[str, object]) -> Iterator[str]:
    for key in ("tools", "vision"):
        if not isinstance(model.get(key, False), bool):
            yield f"{where}.{key} is {show(model[key])}; wanted true or false; set it to one"
    context = model.get("context", 1)
    if isinstance(context, bool) or not re.fullmatch(r"[1-9][0-9]{0,8}", str(context)):
        yield f"{where}.context is {show(context)}; wanted tokens as a whole number; set it to such as 32768"


def faults(given: object, site_names: Collection[str] = ()) -> Iterator[str]:
    """Say what is wrong with the list beyond its types.

    Args:
        site_names: at which people open the chat.
    """
    seen: set[str] = set()
    for number, one in enumerate(given if isinstance(given, (list, tuple)) else ()):
        if not isinstance(one, Mapping):
            continue
        variable, name, url = f"{VARIABLE}[{number}]", str(one.get("name", "")), str(one.get("url", ""))
        if name and not NAME.fullmatch(name):
            right = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32].strip("-") or "workstation"
            yield (
                f"{variable}.name is {show(name)}; wanted up to 32 small letters and digits, with single hyphens "
                f"between them; set {variable}.name to {right}"
            )
        elif name in seen:
            yield f"{VARIABLE} names {name} twice; wanted each server once; set another name, or take one away"
        seen.add(name)
        if url:
            yield from _url_faults(variable, url)
        yield from place_faults(variable, url, site_names)
        yield from key_faults(variable, one.get("key"))
        timeout = str(one.get("timeout", 30))
        if re.fullmatch("-?[0-9]+", timeout) and not TIMEOUTS[0] <= int(timeout) <= TIMEOUTS[1]:
            yield (
                f"{variable}.timeout is {timeout}; wanted a whole number of seconds from {TIMEOUTS[0]} to "
                f"{TIMEOUTS[1]}; set {variable}.timeout to one"
            )
        authority = one.get("authority_file")
        if isinstance(authority, str) and authority and url.startswith("http://"):
            yield (
                f"{variable}.authority_file names a file, and {variable}.url begins with http://; wanted https:// "
                f"for a certificate; set {variable}.url, or take {variable}.authority_file away"
            )
        yield from _model_faults(variable, one.get("models"))


def key_faults(variable: str, key: object) -> Iterator[str]:
    """Say what is wrong with the key that a server is shown, as the preflight knows it, which is not the key."""
    if key == NUMBER:
        yield (
            f"{variable}.key is a number, whose digits YAML may have changed; wanted a text; set {variable}.key to it "
            "in quotes"
        )
    elif isinstance(key, str) and not PLAIN_KEY.fullmatch(key):
        yield (
            f"{variable}.key holds other characters than letters, digits and . _ ~ + / = -; wanted the server's key; "
            f"set {variable}.key to it"
        )


def is_url(text: str) -> bool:
    """Whether a text is the address of a server that nginx can ask."""
    found = URL.fullmatch(text)
    path = (found["path"] or "") if found else ""
    return (
        found is not None and forms.is_at_server(text) and "//" not in path and not {".", ".."} & set(path.split("/"))
    )


def place_faults(variable: str, url: str, site_names: Collection[str]) -> Iterator[str]:
    """Find an address at which no server of somebody else's is met.

    Args:
        site_names: at which people open the chat.
    """
    found = URL.fullmatch(url)
    written = found["host"].strip("[]") if found else ""
    if written.lower() in [name.lower() for name in site_names]:
        yield (
            f"{variable}.url has the name of the site, {written}; wanted somebody else's server, for the stack would "
            f"ask itself without end; set {variable}.url to another, or take it away"
        )
    elif written.lower() in IN_CONTAINERS:
        yield (
            f"{variable}.url is {show(url)}, a name that containers alone know; wanted one that the host knows, from "
            f"which it is asked; set {variable}.url to {url.replace(written, '127.0.0.1')} for a server on that host"
        )


def _url_faults(variable: str, url: str) -> Iterator[str]:
    path, found = next((path for path in ASKED_PATHS if url.rstrip("/").endswith(path)), ""), URL.fullmatch(url)
    if found and found["port"] == OLLAMA_PORT and OLLAMAS_OWN.fullmatch(found["path"] or ""):
        right = url[: found.start("path")] + USUAL_PREFIX
        yield (
            f"{variable}.url is {show(url)}, Ollama's own API; wanted that in OpenAI's manner; set {variable}.url to "
            f"{right}"
        )
    elif path:
        right = url.rstrip("/")[: -len(path)]
        yield f"{variable}.url is {show(url)}; wanted the address that {path} follows; set {variable}.url to {right}"
    elif not is_url(url):
        right = f"http://{url}" if "://" not in url and is_url(f"http://{url}") else "http://10.0.0.9:1234/v1"
        yield (
            f"{variable}.url is {show(url)}; wanted an address such as http://10.0.0.9:1234/v1, with a "
            f"port that there can be, and without a name, a password or a question mark in it; set {variable}.url to "
            f"{right}"
        )
    elif re.match(r"https://(\[|[0-9.]+(:|/|$))", url):
        yield (
            f"{variable}.url is {show(url)}; wanted a name in place of the address, for nginx verifies no certificate "
            f"of an address; set {variable}.url to one that begins with a name of that server, or with http://"
        )


def _model_faults(variable: str, models: object) -> Iterator[str]:
    if isinstance(models, (list, tuple)) and not models:
        yield (
            f"{variable}.models is empty; wanted the models that it serves; set {variable}.models to their names, or "
            "take it away for all that the server lists"
        )
    seen: set[str] = set()
    for number, given in enumerate(models if isinstance(models, (list, tuple)) else ()):
        model = _model(given)
        name = str(model.get("name") or "")
        if name in seen:
            yield (
                f"{variable}.models names {show(name)} twice; wanted each name once, for people ask by it; set "
                "another, or take one away"
            )
        seen |= {name} - {""}
        where = f"{variable}.models[{number}]"
        known = ("name", "upstream", "task", *ABILITIES)
        unknown = sorted(set(map(str, model)) - set(known))
        if unknown:
            yield f"{where} holds {unknown[0]}; wanted no other names than {', '.join(known)}"
        yield from _ability_faults(where, model)
        for part in ("name", "upstream"):
            text = str(model.get(part) or ("" if part == "name" else "x"))
            odd = given if not isinstance(given, Mapping) else model.get(part)
            if isinstance(odd, (bool, float)):
                yield (
                    f"{where}.{part} is {show(odd)}, as YAML has read it; wanted a text; set it in quotes, as the "
                    "server calls the model"
                )
                break
            if not MODEL.fullmatch(text):
                yield f"{where}.{part} is {show(text)}; wanted letters, digits and . _ : / @ + -; set it to those"
        if str(model.get("task", "chat")) not in TASKS:
            yield f"{where}.task is {show(model['task'])}; wanted chat, embed, rerank or transcribe; set it to one"


def names(given: object) -> Sequence[str]:
    """Return the names of all models that a sound list names."""
    return [name for one in read(given) for name in one.renamed]
