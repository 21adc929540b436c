# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of ``vllm serve`` that each version takes, their kinds and their defaults."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..core import names
from ..core.errors import Refusal
from ..core.units import GIB
from .facts import flags as vllm_flags
from .facts import limits, successors, versions
from .releases import at, known_since, parse_version, quantizations, reasoning_parsers, release, span, tool_parsers

SIZE = re.compile(r"\d+(\.\d+)?[kKmMgGtT]|\d+")


@dataclass(frozen=True)
class Flag:
    """One argument of ``vllm serve``.

    Attributes:
        name: without the dashes.
        kind: ``bool`` (with a ``no-`` form), ``switch`` (without one), ``bool value``, ``int``, ``float``, ``str``,
            ``size`` (32k counts as well), ``size or auto``, ``json``, ``json or str``, and before each of these
            ``list of`` or ``optional``.
        default: as the parser has it; an object's class stands in angle brackets.
        choices: the values that are taken; ``open`` says that others are taken too.
        aliases: its other long names.
        deprecated: whether vLLM's own help says so.
    """

    name: str
    kind: str
    default: object = None
    choices: tuple[object, ...] = ()
    open: bool = False
    aliases: tuple[str, ...] = ()
    deprecated: bool = False


@dataclass(frozen=True)
class Defaults:
    """What vLLM takes for what nobody sets, when it serves the OpenAI API.

    Attributes:
        gpu_memory_utilization: part of each GPU's memory.
        max_num_batched_tokens: before vLLM lowers it to max_num_seqs times max_model_len, or raises it to max_model_len
            where chunked prefill is off.
        max_num_seqs: before vLLM lowers it to max_num_batched_tokens.
    """

    gpu_memory_utilization: float
    max_num_batched_tokens: int
    max_num_seqs: int


@functools.cache
def known_flags(version: str) -> Mapping[str, Flag]:
    """Return the arguments of ``vllm serve`` by their first name, without the dashes."""
    flags = {}
    for name, row in at(vllm_flags.FLAGS, version).items():
        kind, default, choices, more, aliases, deprecated = (*row, *(None,) * 6)[:6]  # type: ignore[misc]
        flags[name] = Flag(
            name, str(kind), default, tuple(choices or ()), bool(more), tuple(aliases or ()), bool(deprecated)
        )
    return MappingProxyType(flags)


@functools.cache
def _by_any_name(version: str) -> Mapping[str, tuple[Flag, bool]]:
    """Return flag and meaning by each name: its own, aliases, and those that say no."""
    found: dict[str, tuple[Flag, bool]] = {}
    for flag in known_flags(version).values():
        for name in (flag.name, *flag.aliases):
            # --disable-x as another name of --enable-x (0.33.0 on) says no.
            same = not (flag.kind == "bool" and {name[:7], flag.name[:7]} == {"enable-", "disable"})
            found.setdefault(name, (flag, same))
            if flag.kind == "bool":
                found.setdefault(f"no-{name}", (flag, not same))
    return MappingProxyType(found)


def spelled(name: str) -> str:
    """Return an argument's name as vLLM's parser sees it: without dashes before it, dashes for underscores.

    What follows a dot is a key of its mapping, and stays as it is.
    """
    head, dot, tail = name.partition(".")
    return head.lstrip("-").replace("_", "-") + dot + tail


def named(args: Mapping[str, object], version: str) -> dict[str, object]:
    """Return arguments by one name each and in one form, so that a plan reads in them what vLLM will.

    Another name and a ``no-`` form become the argument's own name, a mapping that is written as JSON or by dots the
    mapping. Of what is given twice the last counts, as for vLLM. What is wrong stays as it is, for ``check_args``.
    """
    found = _by_any_name(version)
    forms: dict[str, object] = {}
    for given, value in args.items():
        name, _dot, path = spelled(str(given)).partition(".")
        flag, same = found.get(name, (None, True))
        is_mapping = flag is not None and flag.kind in MAPPINGS
        if flag is None or (path and (not is_mapping or value is None)):
            forms[spelled(str(given))] = value
        elif path:
            forms[flag.name] = _with_key(forms.get(flag.name), path, value)
        elif is_mapping:
            data = json.loads(value) if isinstance(value, str) and _is_json(value) else value
            forms[flag.name] = data if isinstance(data, Mapping) else value
        elif same:
            forms[flag.name] = _as_texts(value) if flag.kind == "list of str" else value
        elif value is None or isinstance(value, bool):
            forms[flag.name] = None if value is None else not value
        else:
            forms[name] = value
    return forms


def _as_texts(value: object) -> object:
    """Return a list of texts in which mappings are JSON, as adapters may be given (``lora-modules``)."""
    listed = [value] if isinstance(value, Mapping) else value
    if not isinstance(listed, (list, tuple)):
        return value
    return [json.dumps(item) if isinstance(item, Mapping) else item for item in listed]


MAPPINGS = ("json", "json or str")


def _with_key(data: object, path: str, value: object) -> dict[str, object]:
    """Return a mapping with a key set that is reached by dots; one that ends with ``+`` adds to a list.

    Source: parse_args of FlexibleArgumentParser in vllm/utils/argparse_utils.py.
    """
    found = dict(data) if isinstance(data, Mapping) else {}
    key, dot, rest = path.partition(".")
    if dot:
        found[key] = _with_key(found.get(key), rest, value)
    elif key.endswith("+"):
        before = found.get(key[:-1])
        found[key[:-1]] = [*(before if isinstance(before, list) else []), *str(value).split(",")]
    else:
        found[key] = json.loads(value) if isinstance(value, str) and _is_json(value) else value
    return found


def _unknown(name: str, version: str, option: str) -> Refusal:
    """Return the refusal of an argument that a version does not know."""
    start = f"found {name} in {option}; vLLM {version} does not know it"
    flag = name.partition(".")[0]
    history = known_since(vllm_flags.FLAGS, flag, release(version).version)
    if history:
        heir = successors.SUCCESSORS.get(flag)
        hint = f"; {heir[0]}" if heir else ""
        if not heir and "came with" in history:
            hint = f"; remove it or set vllm_version to {span(vllm_flags.FLAGS, flag)[0]} or newer"
        elif not heir:
            hint = "; remove it"
        return Refusal(f"{start} ({history}){hint}")
    if successors.SHORT.get(flag) in known_flags(version):
        return Refusal(f"{start}; give {successors.SHORT[flag]}, its long name, instead")
    return Refusal(f"{start}{names.did_you_mean(flag, _by_any_name(version)) or '; remove it'}")


def _scalar_fits(kind: str, value: object) -> bool:
    """Tell whether a single value is of a kind; what YAML reads as a number or a text may stand for either."""
    if isinstance(value, bool):
        return kind in ("bool", "switch", "bool value")
    if kind == "int":
        return isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"-?\d+", value) is not None)
    if kind == "float":
        return isinstance(value, (int, float, str)) and _is_number(value)
    if kind in ("size", "size or auto"):
        automatic = kind == "size or auto" and value in ("auto", -1, "-1")
        return automatic or (isinstance(value, (int, str)) and SIZE.fullmatch(str(value)) is not None)
    if kind == "json":
        return isinstance(value, (dict, list, tuple, int)) or (isinstance(value, str) and _is_json(value))
    if kind == "json or str":
        return isinstance(value, (dict, str))
    return kind == "str" and isinstance(value, (str, int, float))


def _is_number(text: float | str) -> bool:
    try:
        return math.isfinite(float(text))
    except (ValueError, OverflowError):
        return False


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


LEVELS = "compilation-config"
"""Of those that are JSON the one that may be a number too, a level."""


def _wanted_as_json(flag: Flag, value: object) -> str:
    """Return what JSON of another kind than a flag's is to be; '' where it is right.

    Its parser takes any, and the engine, which starts after it, a mapping alone, or for the server's lists a list.
    """
    data = json.loads(value) if isinstance(value, str) else value
    if isinstance(flag.default, (list, tuple)):
        return "" if isinstance(data, (list, tuple)) else "a list"
    is_right = isinstance(data, Mapping) or (flag.name == LEVELS and isinstance(data, int))
    is_known = flag.default is not None  # else it may be a list
    return "" if is_right or (isinstance(data, (list, tuple)) and not is_known) else WANTED["json"]


def _wanted_within(flag: Flag, kind: str, value: object) -> str:
    """Return which numbers a flag takes where a value is too small or too large; '' where it is right."""
    limit = limits.LIMITS.get(flag.name)
    if limit is None or isinstance(value, bool) or not _is_number(str(value)):
        return ""
    number, most = float(str(value)), math.inf if limit.most is None else limit.most
    is_least = number > limit.least if limit.above else number >= limit.least
    if is_least and (number < most if limit.below else number <= most):
        return ""
    least = f"above {limit.least}" if limit.above else f"from {limit.least}"
    upper = "" if limit.most is None else f" and {'below' if limit.below else 'up to'} {limit.most}"
    return f"{WANTED[kind].partition(',')[0]} {least}{upper}"


WANTED = {
    "bool": "true or false",
    "switch": "true or false",
    "bool value": "true or false",
    "int": "a whole number",
    "float": "a number",
    "size": "a whole number, or one like 32k",
    "size or auto": "a whole number, one like 32k, or auto",
    "json": "a mapping",
    "json or str": "a mapping or a text",
    "str": "a text",
}


def _value_fits(flag: Flag, value: object, path: str, version: str) -> None:
    """Refuse a value of the wrong kind, or none of the choices."""
    several = flag.kind.startswith("list of ")
    kind = flag.kind.replace("list of ", "").replace("optional ", "")
    values = list(value) if several and isinstance(value, (list, tuple)) else [value]
    optional = flag.kind.startswith("optional ") and isinstance(value, bool)
    if not optional and not all(_scalar_fits(kind, item) for item in values):
        wanted = f"a list, each of it {WANTED[kind]}," if several else WANTED[kind]
        raise Refusal(f"found {value!r} as {path}; vLLM {version} wants {wanted} there")
    for item in values:
        wanted = _wanted_within(flag, kind, item)
        if wanted:
            raise Refusal(f"found {item!r} as {path}; vLLM {version} wants {wanted} there")
    wanted = _wanted_as_json(flag, value) if kind == "json" and not several else ""
    if wanted:
        raise Refusal(f"found {value!r} as {path}; vLLM {version} wants {wanted} there")
    if flag.choices and not flag.open:
        for item in values:
            if item not in flag.choices and str(item) not in [str(choice) for choice in flag.choices]:
                known = ", ".join(str(choice) for choice in flag.choices)
                guess = names.did_you_mean(str(item), [str(choice) for choice in flag.choices])
                raise Refusal(f"found {item} as {path}; vLLM {version} knows {known}{guess}")


def check_args(args: Mapping[str, object], version: str, option: str) -> tuple[str, ...]:
    """Check arguments of ``vllm serve`` as ``--config`` takes them: names as keys, with dashes or underscores.

    Args:
        args: name to value; a name may reach into a mapping by dots, and a ``no-`` form counts.
        version: of vLLM.
        option: where the user set them, for the message.

    Returns:
        Warnings: deprecated arguments, a version that the tables do not have.

    Raises:
        Refusal: an argument that the version does not know, with the nearest that it knows or the version that had
            it; a value of the wrong kind or none of the choices; a parser that is not registered.
    """
    warnings = [release(version).warning] if release(version).warning else []
    found = _by_any_name(version)
    plugins = {spelled(name) for name in args}
    for given, value in args.items():
        name = spelled(given)
        path = f"{option}.{given}"
        if name.partition(".")[0] not in found:
            raise _unknown(name, version, option)
        flag, _same = found[name.partition(".")[0]]
        if "." in name:
            if flag.kind not in MAPPINGS:
                raise Refusal(f"found {given} in {option}; {flag.name} is no mapping in vLLM {version}")
            continue
        if value is None:
            raise Refusal(
                f"found no value for {path}; vLLM {version} wants {_wanted(flag)} there; remove it to leave it"
            )
        _value_fits(flag, value, path, version)
        _parser_is_registered(flag, value, path, version, plugins)
        if flag.deprecated:
            warnings.append(f"{path} is deprecated in vLLM {version}")
        if flag.name == "load-format" and not flag.choices:
            _loader_is_known(str(value), path, version)
        known = {"quantization": quantizations(version), "load-format": LOADERS}.get(flag.name, (str(value),))
        if str(value) not in known:
            history = known_since(versions.QUANTIZATIONS, str(value), release(version).version)
            since = f" ({history})" if history else ""
            warnings.append(f"{path} is {value}, which vLLM {version} does not know without a plugin{since}")
    return tuple(warnings)


LOADERS = (
    *("auto", "bitsandbytes", "dummy", "fastsafetensors", "gguf", "hf", "instanttensor", "mistral", "npcache", "pt"),
    *("runai_streamer", "runai_streamer_sharded", "safetensors", "sharded_state", "tensorizer"),
)
"""What vLLM loads weights by where its parser takes any word, from 0.10.1 on (vllm/model_executor/model_loader)."""


def _loader_is_known(value: str, path: str, version: str) -> None:
    """Refuse a format of weights by which the engine would end: a mistyped one, and GGUF, whose files are not read.

    Others a plugin may bring.
    """
    guess = "" if value in LOADERS else names.did_you_mean(value, LOADERS)
    if value == "gguf" and "gguf" not in quantizations(version):
        last = span(versions.QUANTIZATIONS, "gguf")[1]
        raise Refusal(
            f"found gguf as {path}; vLLM {version} does not load such weights ({last} was the last version that does); "
            "remove it, and set the model's repo or path to safetensors"
        )
    if guess:
        raise Refusal(f"found {value} as {path}; vLLM {version} has no such loader{guess}")


def _wanted(flag: Flag) -> str:
    kind = flag.kind.replace("optional ", "")
    return "a list" if kind.startswith("list of ") else WANTED[kind]


PARSERS = {"tool-call-parser": "tool-parser-plugin", "reasoning-parser": "reasoning-parser-plugin"}


def _parser_is_registered(flag: Flag, value: object, path: str, version: str, given: set[str]) -> None:
    """Refuse a parser that the version does not have, unless a plugin may bring it."""
    if flag.name not in PARSERS or PARSERS[flag.name] in given or value == "":
        return
    tools = flag.name == "tool-call-parser"
    known = tool_parsers(version) if tools else reasoning_parsers(version)
    if value in known:
        return
    table = versions.TOOL_PARSERS if tools else versions.REASONING_PARSERS
    history = known_since(table, str(value), release(version).version)
    start = f"found {value} as {path}; vLLM {version} has no such parser"
    if "came with" in history:
        raise Refusal(f"{start} ({history}); set vllm_version to {span(table, str(value))[0]} or newer")
    heir = successors.PARSERS.get(str(value), "")
    guess = f"; its name is {heir} now" if heir else names.did_you_mean(str(value), known)
    guess = guess or f"; it has {', '.join(known)}"
    raise Refusal(f"{start}{f' ({history})' if history else ''}{guess}")


def config_file(args: Mapping[str, object], version: str) -> dict[str, object]:
    """Return arguments in the form in which every version's ``--config`` reads them alike.

    Older readers drop a false (it is said by the ``no-`` form here, or left out where false is the default), and write
    a mapping as Python rather than JSON (it is a JSON text here). Names get dashes; the order is kept.

    Raises:
        Refusal: a list of several values where the version's reader takes none (before 0.10.2).
    """
    found = _by_any_name(version)
    forms: dict[str, object] = {}
    for given, value in args.items():
        name = spelled(given)
        entry = found.get(name)
        if isinstance(value, Mapping) or (entry is not None and entry[0].kind == "json" and not isinstance(value, str)):
            forms[name] = json.dumps(value)
        elif value is False and entry is not None:
            flag, same = entry
            if flag.kind == "bool value":
                forms[name] = "false"
            elif not same:
                forms[flag.name] = True
            elif flag.kind == "bool" and flag.default is not False:
                forms[f"no-{flag.name}"] = True
        elif isinstance(value, (list, tuple)) and parse_version(version) < LISTS_IN_CONFIG:
            if len(value) > 1:
                raise Refusal(
                    f"found several values for {given}; a configuration file of vLLM {version} takes one; "
                    f"set one or set vllm_version to {'.'.join(map(str, LISTS_IN_CONFIG))} or newer"
                )
            if value:
                forms[name] = value[0]
        else:
            forms[name] = list(value) if isinstance(value, tuple) else value
    return forms


LISTS_IN_CONFIG = (0, 10, 2)  # FlexibleArgumentParser.load_config_file; read in each source distribution


def defaults_for(version: str, gpu_memory_bytes: int, gpu_name: str = "") -> Defaults:
    """Return what a version takes by default on a GPU.

    Args:
        version: of vLLM.
        gpu_memory_bytes: of one GPU, as CUDA reports it.
        gpu_name: as NVML reports it; an A100, for one, gets smaller batches than its memory would give.
    """
    flags, name = known_flags(version), gpu_name.lower()
    for gib, only, without, tokens, sequences in at(versions.DEFAULTS, version)["batch"]:  # type: ignore[attr-defined]
        if only and not any(word in name for word in only):
            continue
        if gpu_memory_bytes >= gib * GIB and not any(word in name for word in without):
            return Defaults(float(str(flags["gpu-memory-utilization"].default)), tokens, sequences)
    raise Refusal(f"found no defaults of vLLM {version} for {gpu_memory_bytes} bytes; make the tables anew")


V1_BELOW_8_0_SINCE = (0, 10, 2)
"""Before, the V1 engine wanted compute capability 8.0 (``_is_v1_supported_oracle`` in vllm/engine/arg_utils.py)."""


def engine(version: str, compute_capability: str) -> str:
    """Return the engine that serves by default on a GPU: v0 or v1."""
    engines = str(at(versions.DEFAULTS, version)["engines"])
    old = parse_version(version) < V1_BELOW_8_0_SINCE and compute_capability.startswith(("5.", "6.", "7."))
    return "v0" if old and "v0" in engines else "v1"
