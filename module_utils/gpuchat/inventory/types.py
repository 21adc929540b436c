# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a value is of the type that its specification wants, stricter than Ansible: what roles get needs no guess.

Ansible would make a list of ``a,b``, a text of ``[a]`` and a mapping of ``a=b``, but only while it checks: the roles
would get the value as it was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from ..core.names import did_you_mean

WORDS = {
    "str": "a text",
    "path": "a path",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping of names to values",
}
OF_ENGINES = frozenset(
    "attention-backend chat-template cpu-offload-gb data-parallel-size dtype enable-lora enable-prefix-caching "
    "enforce-eager gpu-memory-utilization hf-overrides kv-cache-dtype limit-mm-per-prompt load-format lora-modules "
    "max-model-len max-num-batched-tokens max-num-seqs pipeline-parallel-size quantization reasoning-parser seed "
    "speculative-config tensor-parallel-size tokenizer tool-call-parser trust-remote-code".split()
)
"""Options of vLLM that people write beside what a model has of its own, or as variables."""

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "acme": ("letsencrypt", "lets-encrypt", "let's encrypt", "certbot"),
    "compose": ("docker", "docker-compose"),
    "quadlet": ("podman",),
    "venv": ("uv", "pip", "virtualenv"),
    "nvidia": ("gpu", "cuda", "rtx"),
    "huggingface": ("hf", "hub", "hugging-face", "hugging_face"),
    "modelscope": ("ms",),
    "path": ("local", "folder", "dir", "disk"),
    "lobehub": ("lobechat", "lobe", "lobe-chat"),
    "open_webui": ("openwebui", "owui", "webui"),
    "chat": ("generate", "completion", "llm"),
    "transcribe": ("whisper", "asr"),
    "provided": ("own", "file", "custom"),
    "none": ("off", "http", "no"),
    "open": ("yes", "true", "on"),
    "absent": ("disabled", "off", "no", "false", "stopped", "removed"),
    "present": ("enabled", "on", "yes", "true", "started", "installed", "latest"),
    "mail": ("email", "e-mail", "smtp"),
}
"""What people write who mean a choice, by that."""

TOKENS = ("token", "hf_token", "api_key", "key")
PARTS: Mapping[str, tuple[str, ...]] = {
    "url": ("base_url", "api_base", "endpoint", "address", "uri"),
    "key": ("bearer", "secret", *TOKENS),
    "http": ("http_proxy", "proxy"),
    "https": ("https_proxy",),
    "no_proxy": ("no", "noproxy", "exclude"),
}
"""What others call a part of a server or of a proxy's settings, by what it is called here."""

SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}
HOURS = {"h": 1, "d": 24, "day": 24, "days": 24, "w": 168, "week": 168, "weeks": 168}

SAYS_NO = ("none", "closed", "never", "absent")
"""Choices that somebody may have meant who wrote a word that YAML takes for false."""

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
SHOWN = 100
"""Characters of a value that a message shows."""

LONGEST = 4096
"""Characters of a text; a path has no more on Linux."""

NUMBER, LINES, UNREAD = "(number)", "(several lines)", "(encrypted)"
"""What stands for a secret that cannot be one as it is written."""

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that no screen shows, and those that turn the order of the others round."""


LOGIN = re.compile(r"//(?!\(secret\)@)[^/@\s'\"]*@")
"""What an address shows of a login."""

SECRET = re.compile(r"(?i)((?:pass\w*|secret|token|api[_-]?key)['\"]?\s*[:=]\s*['\"]?)[^\s'\",&}]+")
"""A secret where none belongs, by what it is called."""


def _hidden(text: str) -> str:
    return SECRET.sub(r"\1(secret)", LOGIN.sub("//(secret)@", text))


def show(value: object) -> str:
    """Return a value as a message shows it."""
    text = _hidden(repr(value))
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def shown(value: object) -> str:
    """Return a value without quotes, but where it is none that a line can hold."""
    return value if isinstance(value, str) and value.isprintable() and len(value) <= SHOWN else show(value)


def written(value: object) -> str:
    """Return a value as somebody would write it in an inventory, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {written(one)}' for key, one in value.items())}}}"
    text = str(value)
    if text and (not isinstance(value, str) or not ODD_IN_YAML.search(text)):
        return text
    return "'" + text.replace("'", "''") + "'"


ODD_IN_YAML = re.compile(r"^[&*!%@`|>#\"'\[\]{},?:]|^-( |$)|: |:$| #|^\s|\s$")
"""What a plain text of YAML cannot begin with, hold or end with."""


def faults(name: str, option: Mapping[str, object], value: object, example: object = None) -> Iterator[str]:
    """Say what is wrong with a value's type, choice or parts, as sentences.

    Args:
        name: the variable's, dotted below it.
        option: its specification, in the form of Ansible's argument_specs.
        example: a good value, for the sentence.
    """
    kind = str(option.get("type", "str"))
    if value is None:
        default = written(option["default"]) if "default" in option else written(example) if example else "a value"
        yield f"{name} is empty; wanted {_wanted(option)}; set {name} to {default}, or take the line away"
    elif kind == "raw":
        return
    elif not _is(kind, value):
        yield f"{name} is {show(value)}; wanted {_wanted(option)}; set {name} to {_right(name, option, value, example)}"
    elif option.get("choices") and value not in sequence(option["choices"]):
        choices = [str(choice) for choice in sequence(option["choices"])]
        word = str(value).lower().replace(" ", "")
        meant = next((one for one in choices if word in (one, *SYNONYMS.get(one, ()))), "")
        cure = f"{meant}" if meant else f"one of them{did_you_mean(str(value), choices)}"
        yield f"{name} is {show(value)}; wanted one of {', '.join(choices)}; set {name} to {cure}"
    elif kind in ("str", "path"):
        yield from _text(name, kind, str(value))
    elif kind == "list":
        part = {"type": option.get("elements", "raw"), "options": option.get("options")}
        for number, one in enumerate(sequence(value)):
            yield from faults(f"{name}[{number}]", part, one, next(iter(sequence(example)), None))
    elif kind == "dict" and isinstance(option.get("options"), Mapping) and isinstance(value, Mapping):
        yield from _parts(name, option["options"], value)  # type: ignore[arg-type]
    elif kind == "dict" and isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or not key.strip() or UNSEEN.search(key):
                right = "names with their values, each name a text"
                yield f"{name} holds the name {show(key)}; wanted a text; set {name} to {right}"


def _text(name: str, kind: str, text: str) -> Iterator[str]:
    """Say what no text of an inventory is meant to hold."""
    found = UNSEEN.search(text) or (re.search(r"[\t\n]", text) if kind == "path" else None)
    if found:
        one = f"U+{ord(found.group()):04X}"
        yield f"{name} is {show(text)}, which holds {one}, a character that is not shown; set {name} without it"
    elif len(text) > LONGEST:
        count = f"{len(text):,} characters"
        yield f"{name} is {show(text)}, of {count}; wanted no more than {LONGEST:,}; set {name} to a shorter one"


def _parts(name: str, options: Mapping[str, Mapping[str, object]], value: Mapping[str, object]) -> Iterator[str]:
    for part, one in value.items():
        if part in options and options[part].get("required") and isinstance(one, str) and not one.strip():
            yield f"{name}.{part} is empty; wanted {_wanted(options[part])}; set {name}.{part}"
        elif part in options:
            yield from faults(f"{name}.{part}", options[part], one)
        else:
            known, flag = ", ".join(options), str(part).replace("_", "-")
            is_engines = "args" in options and flag in OF_ENGINES
            guess = f"; put it into {name}.args, as {flag}" if is_engines else _meant_part(str(part), options)
            cure = guess or f"; take it out of {name}"
            yield f"{name} holds {shown(part)}; wanted no other names than {known}{cure}"
    for part, option in options.items():
        if option.get("required") and part not in value:
            yield f"{name}.{part} is not set; wanted {_wanted(option)}; set {name}.{part}"


def _meant_part(part: str, options: Mapping[str, object]) -> str:
    """Return where a part belongs that somebody named as others do, as a hint; empty where nothing tells."""
    own = next((one for one, words in PARTS.items() if one in options and part.lower() in words), "")
    if not own and "repo" in options and part.lower() in TOKENS:
        return "; set model_token in its place"
    return f"; did you mean {own}?" if own else did_you_mean(part, options)


def _wanted(option: Mapping[str, object]) -> str:
    kind = str(option.get("type", "str"))
    if option.get("choices"):
        return f"one of {', '.join(map(str, sequence(option['choices'])))}"
    if kind == "list" and option.get("elements", "raw") != "raw":
        return f"a list, each of it {WORDS[str(option['elements'])]}"
    return WORDS.get(kind, "a value")


def _is(kind: str, value: object) -> bool:
    if kind in ("str", "path"):
        return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    if kind == "bool":
        return isinstance(value, bool) or str(value).lower() in (*TRUE, *FALSE)
    if kind == "int":
        return not isinstance(value, bool) and bool(re.fullmatch(r"-?[0-9]{1,18}", str(value)))
    if kind == "float":
        return not isinstance(value, bool) and bool(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", str(value)))
    return isinstance(value, (list, tuple)) if kind == "list" else isinstance(value, Mapping)


def _right(name: str, option: Mapping[str, object], value: object, example: object) -> str:
    """Return what somebody probably meant, or an example where that is no line that a message can show."""
    meant = _hidden(_meant(name, option, value, example))
    return meant if meant.isprintable() and len(meant) <= 5 * SHOWN else _meant(name, option, (), example)


def _meant(name: str, option: Mapping[str, object], value: object, example: object) -> str:
    kind = str(option.get("type", "str"))
    read = _read(value) if isinstance(value, str) else None
    if kind == "dict" and isinstance(read, Mapping):
        return f"{written(read)}; in -e as -e '{json.dumps({name: read})}'"
    if kind == "dict" and _as_options(value):
        return written(_as_options(value))
    if kind == "list" and isinstance(read, list):
        return f"{written(read)}; in -e as -e '{json.dumps({name: read})}'"
    if kind == "list" and isinstance(value, (str, int)) and str(value).strip() and option.get("elements") != "dict":
        text = str(value).strip("[] ")
        pieces = [piece.strip(" '\"") for piece in text.split("," if "," in text else None) if piece.strip()]
        # Who writes brackets and gets a text has an inventory of INI, where each text of a list is in quotes.
        return json.dumps(pieces) if str(value).startswith("[") else written(pieces)
    if kind in ("str", "path") and isinstance(value, (list, tuple)) and len(value) == 1 and not option.get("choices"):
        return written(value[0])
    if kind in ("str", "path") and isinstance(value, (bool, float)):
        choices = [str(one) for one in sequence(option.get("choices"))]
        meant = [one for one in choices if (one in SAYS_NO) is (value is False)] or choices
        word = example or next(iter(meant), "a word")
        # Of 0.30 YAML has left 0.3.
        quoted = f"it in quotes, as '{written(value)}' or with the 0 that it had at its end"
        if isinstance(value, float):
            return str(int(value)) if value.is_integer() and str(example).isdecimal() else quoted
        return str(word) if str(word).isdecimal() else f"'{word}'"
    if kind == "int" and isinstance(value, str) and _number_in(name, value):
        return str(_number_in(name, value))
    if example is not None:
        return written(example)
    if option.get("choices"):
        return str(sequence(option["choices"])[0])
    default, parts = option.get("default"), option.get("options")
    needed = [part for part, one in parts.items() if one.get("required")] if isinstance(parts, Mapping) else []
    word = value if isinstance(value, str) and value.strip() else "a word"
    samples = {"list": [], "dict": dict.fromkeys(needed, word), "int": 1, "float": 1.0, "bool": True, "path": "/srv/x"}
    samples["str"] = "a word"
    return written(default if default not in (None, "") else samples.get(kind, "a value"))


def _as_options(value: object) -> dict[str, object]:
    """Return what somebody wrote as a list of names with values, or as a command line has them, as one mapping."""
    given = [value] if isinstance(value, str) else sequence(value)
    if given and all(isinstance(one, Mapping) for one in given):
        return {str(name): part for one in given if isinstance(one, Mapping) for name, part in one.items()}
    words = " ".join(map(str, given)).split()
    found: dict[str, object] = {}
    last = ""
    for word in words:
        name, equals, rest = word.partition("=")
        if word.startswith("--") or equals:
            found[name.lstrip("-")] = rest if equals else True
        elif found and found[last] is True:
            found[last] = word
        else:
            return {}
        last = name.lstrip("-")
    return found


def _number_in(name: str, text: str) -> int:
    """Return the number that somebody wrote with a unit or with signs between its digits; 0 where there is none."""
    found = re.fullmatch(r"\s*([0-9]{1,3}(?:[ ,_][0-9]{3})+|[0-9]{1,12})\s*([A-Za-z]{0,7})(/s|/m|/min)?\s*", text)
    if not found:
        return 0
    number, unit = int(re.sub("[ ,_]", "", found[1])), found[2].lower()
    if name.endswith(("_seconds", "timeout")):
        return number * SECONDS.get(unit, 1)
    if name.endswith("_hours"):
        return number * HOURS.get(unit, 1)
    if found[3] in ("/m", "/min"):
        return max(number // 60, 1)
    return number * (1024 if unit in ("k", "kib") or (unit in ("t", "tb", "tib") and name.endswith("_gib")) else 1)


def _read(text: str) -> object:
    """Return what a text holds that was meant as data, or None."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def sequence(value: object) -> list[object]:
    """Return a list as one, and nothing of what is none."""
    return list(value) if isinstance(value, (list, tuple)) else []


def is_true(value: object) -> bool:
    """Return a sound switch as it is meant."""
    return str(value).lower() in TRUE


def convert(option: Mapping[str, object], value: object) -> object:
    """Return a value that has no fault as its type."""
    kind = option.get("type", "str")
    if kind == "int":
        return int(str(value))
    if kind == "bool":
        return is_true(value)
    return str(value) if kind in ("str", "path") else value
