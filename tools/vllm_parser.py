# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints, as JSON, what the parser of ``vllm serve`` accepts: of unpacked sources, or of the vLLM installed here.

``python tools/vllm_parser.py SOURCES`` builds the real parser out of the sources alone: vLLM's own modules about
arguments and configuration run as they are, everything else that they import (torch, transformers, the kernels) is a
stub that takes any use. ``python tools/vllm_parser.py`` without an argument asks the installed vLLM, so that the
first way can be judged by the second.

``python tools/vllm_parser.py SOURCES FOLDER`` has that parser read each ``*.yaml`` of a folder as vLLM reads a file of
arguments, and prints by file what it says against it: nothing where it takes it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import enum
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import json
import re
import sys
import types
import typing
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# vLLM's modules that say what an argument is; whatever else they import is stubbed.
REAL = re.compile(
    r"vllm(\.(config(\..*)?|engine(\.arg_utils)?|version|envs|utils(\.(__init__|argparse_utils|mem_constants))?"
    r"|entrypoints(\.(openai|common|cli|launchers|launchers\.utils|launchers\.utils\.constants|constants))?"
    r"|entrypoints\.(openai|common|launchers)\.cli_args|entrypoints\.cli\.(types|serve)"
    r"|logging_utils(\.configuration)?"
    r"|renderers(\.(params|reasoning_effort))?|entrypoints\.chat_utils|renderers\.chat_utils"
    r"|model_executor(\.(layers|model_loader))?|model_executor\.layers\.quantization"
    r"|model_executor\.layers\.quantization\.__init__"
    r"|v1(\.(attention(\.backends(\.registry)?)?|sample))?|attention(\.backends(\.registry)?)?"
    r"|tool_parsers(\.tool_strict_level)?|entrypoints\.anthropic|entrypoints\.anthropic\.protocol))?"
)


class Stub:
    """Takes the place of anything: it can be called, subscripted, subclassed and asked for attributes."""

    def __init__(self, name: str = "stub") -> None:
        self.__dict__["_name"] = name
        self.__dict__["__name__"] = self.__dict__["__qualname__"] = name.rpartition(".")[2]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        made = Stub(f"{self._name}.{name}")
        self.__dict__[name] = made
        return made

    def __call__(self, *args: Any, **_named: Any) -> Any:
        # As a decorator it leaves what it decorates.
        if len(args) == 1 and isinstance(args[0], type | types.FunctionType | classmethod | staticmethod):
            return args[0]
        return Stub(f"{self._name}()")

    def __mro_entries__(self, _bases: object) -> tuple[type, ...]:
        return ()

    def __instancecheck__(self, _one: object) -> bool:
        return False

    __subclasscheck__ = __instancecheck__

    def __getitem__(self, _key: object) -> Stub:
        return self

    def __setitem__(self, _key: object, _value: object) -> None:
        pass

    def __or__(self, other: Any) -> Any:
        return typing.Union[self, other]  # noqa: UP007

    def __ror__(self, other: Any) -> Any:
        return typing.Union[other, self]  # noqa: UP007

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, _item: object) -> bool:
        return False

    def __bool__(self) -> bool:
        return False

    def __int__(self) -> int:
        return 0

    __index__ = __int__

    def __float__(self) -> float:
        return 0.0

    def _smaller(self, _other: object) -> bool:
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _smaller

    def _same(self, *_others: object) -> Any:
        return self

    __add__ = __radd__ = __sub__ = __mul__ = __rmul__ = __truediv__ = __floordiv__ = __and__ = __enter__ = _same

    def __exit__(self, *_others: object) -> None:
        pass

    def __repr__(self) -> str:
        return f"<{self._name}>"


class StubModule(types.ModuleType):
    """A module that has every attribute."""

    __all__: typing.ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__") and name != "__version__":
            raise AttributeError(name)
        made: Any = "999" if name == "__version__" else Stub(f"{self.__name__}.{name}")
        setattr(self, name, made)
        return made


class FieldInfo:
    """Pydantic's description of a field, as far as vLLM reads it."""

    def __init__(self, default: Any = ..., *, default_factory: Any = None, **_named: Any) -> None:
        self.default = default
        self.default_factory = default_factory
        self.init = self.repr = self.kw_only = None


class SkipValidation:
    """Pydantic's marker; the type inside it counts."""

    def __class_getitem__(cls, item: Any) -> Any:
        return item


_dataclass = dataclasses.dataclass


def plain_dataclass(cls: Any = None, /, **named: Any) -> Any:
    """Make a dataclass, without the checks of values that vLLM does after it was filled."""
    kept = {name: value for name, value in named.items() if name in ("frozen", "kw_only", "slots", "eq", "order")}

    def wrap(one: Any) -> Any:
        if "__post_init__" in one.__dict__:
            one.__post_init__ = lambda *_args, **_named: None
        return _dataclass(**kept)(one)

    return wrap if cls is None else wrap(cls)


def third_party(name: str) -> types.ModuleType:
    """Return what an import outside of the standard library gets."""
    module = StubModule(name)
    module.__path__ = []
    if name == "regex":
        module.__dict__.update(re.__dict__)
    elif name == "typing_extensions":
        module.__dict__.update({key: value for key, value in typing.__dict__.items() if not key.startswith("__")})
        # Newer than this Python's own.
        module.__dict__.setdefault("TypedDict", typing.TypedDict)
    elif name.startswith("pydantic"):
        module.__dict__.update(
            dataclass=plain_dataclass,
            Field=FieldInfo,
            FieldInfo=FieldInfo,
            SkipValidation=SkipValidation,
            BaseModel=type("BaseModel", (), {}),
            ConfigDict=dict,
            TypeAdapter=lambda *_types: Stub("adapter"),
        )
    elif name == "vllm.platforms":
        platform = Stub("current_platform")
        answers = {"is_cuda": True, "is_cuda_alike": True}
        for question in ("cuda", "cuda_alike", "rocm", "cpu", "tpu", "xpu", "hpu", "neuron", "out_of_tree"):
            platform.__dict__[f"is_{question}"] = lambda question=question: answers.get(f"is_{question}", False)
        platform.__dict__.update(device_type="cuda", device_name="cuda", supported_quantization=[])
        module.__dict__["current_platform"] = platform
        module.__dict__["CpuArchEnum"] = enum.Enum("CpuArchEnum", "X86 ARM POWERPC S390X RISCV OTHER UNKNOWN")
    return module


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds vLLM's modules about arguments in its sources, and stubs for all others."""

    def __init__(self, sources: Path) -> None:
        self.sources = sources

    def _file(self, name: str) -> Path | None:
        place = self.sources.joinpath(*name.split("."))
        return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top == "yaml":  # by which a parser reads its file of arguments
            return None
        file = self._file(name) if REAL.fullmatch(name) else None
        if file is None:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        if name in PACKAGES_ONLY:
            spec = importlib.machinery.ModuleSpec(name, self, is_package=True)
            spec.submodule_search_locations = [str(file.parent)]
            return spec
        return importlib.util.spec_from_file_location(name, file)

    def create_module(self, spec: Any) -> types.ModuleType:
        return third_party(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


# Packages whose own code says nothing about arguments, but some of whose modules do.
PACKAGES_ONLY = {
    "vllm", "vllm.engine", "vllm.entrypoints", "vllm.entrypoints.openai", "vllm.entrypoints.common",
    "vllm.entrypoints.cli", "vllm.entrypoints.launchers", "vllm.entrypoints.launchers.utils", "vllm.model_executor",
    "vllm.model_executor.layers", "vllm.v1", "vllm.v1.attention", "vllm.v1.attention.backends", "vllm.v1.sample",
    "vllm.attention", "vllm.attention.backends", "vllm.logging_utils", "vllm.tool_parsers",
    "vllm.entrypoints.anthropic",
}  # fmt: skip


def type_name(value: Any) -> str:
    """Return the name of what turns a text into an argument's value."""
    if value is None:
        return "str"
    for cell in getattr(value, "__closure__", None) or ():
        inner = cell.cell_contents
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            return "json"
        if callable(inner):
            return type_name(inner)
    name = getattr(value, "__name__", str(value))
    if name in ("loads", "parse_dataclass", "union_dict_and_str", "nullable_kvs"):
        return {"loads": "json", "parse_dataclass": "json", "nullable_kvs": "str"}.get(name, "json or str")
    return {"human_readable_int": "size", "human_readable_int_or_auto": "size or auto"}.get(
        name, name if name in ("int", "float", "str", "bool") else f"str ({name})"
    )


def plain(value: Any) -> Any:
    """Return a value as JSON can say it; objects become their class's name in angle brackets."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, Stub):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return f"<{type(value).__name__}>"


def described(action: argparse.Action, options: list[str]) -> dict[str, Any]:
    """Return one argument of a parser; ``options`` are all of its names, also those that no help shows."""
    kind = type(action).__name__
    boolean = kind in ("BooleanOptionalAction", "_StoreTrueAction", "_StoreFalseAction") or (
        "Boolean" in kind or ("StoreTrue" in kind) or isinstance(action, argparse.BooleanOptionalAction)
    )
    text = " ".join((action.help or "").split()) if isinstance(action.help, str) else ""
    return {
        "options": options,
        "dest": action.dest,
        "type": "bool" if boolean else "dict" if kind == "dict" else type_name(action.type),
        "action": kind,
        "nargs": plain(action.nargs),
        "choices": plain(list(action.choices)) if action.choices is not None else None,
        "suggested": plain(list(action.metavar)) if isinstance(action.metavar, list | tuple) else None,
        "default": None if action.default is argparse.SUPPRESS else plain(action.default),
        "deprecated": bool(re.search(r"deprecated", text, re.IGNORECASE)) or bool(getattr(action, "deprecated", False)),
    }


def parser_of_vllm() -> argparse.ArgumentParser:
    """Return the parser of ``vllm serve``, built by vLLM's own functions."""
    warnings.simplefilter("ignore")
    sys.argv = ["vllm", "serve"]
    serve = importlib.import_module("vllm.entrypoints.cli.serve")
    parent = serve.FlexibleArgumentParser()
    subparsers = parent.add_subparsers(required=False, dest="subparser")
    parser: argparse.ArgumentParser = serve.ServeSubcommand().subparser_init(subparsers)
    return parser


def dump() -> dict[str, Any]:
    """Return every argument of ``vllm serve`` by its first long option, without the dashes."""
    flags: dict[str, Any] = {}
    parser = parser_of_vllm()
    names: dict[int, list[str]] = {}
    for option, action in parser._option_string_actions.items():
        names.setdefault(id(action), []).append(option)
    for action in parser._actions:
        options = names.get(id(action), [])
        long = [option[2:] for option in options if option.startswith("--")]
        if long and action.dest != "help":
            flags[long[0]] = described(action, options)
            flags[long[0]]["deprecated"] |= action in getattr(parser, "_deprecated", ())
    return flags


def choose_the_widest() -> None:
    """Let a type with two lists of choices take the longer one: 0.8.5 to 0.10.0 take either, by the order of a set."""
    module = importlib.import_module("vllm.engine.arg_utils")
    if hasattr(module, "get_type"):
        module.get_type = lambda hints, kind: max(  # type: ignore[attr-defined]
            (hint for hint in hints if module.is_type(hint, kind)),
            key=lambda hint: len(typing.get_args(hint)),
            default=None,
        )


def judged(folder: Path) -> dict[str, str]:
    """Return what the parser says against each file of arguments in a folder."""
    parser = parser_of_vllm()
    said = {}
    for file in sorted(folder.glob("*.yaml")):
        words = io.StringIO()
        with contextlib.redirect_stderr(words):
            try:
                parser.parse_args(["serve", "--config", str(file)])
            except SystemExit:
                words.write("refused")
            except (ValueError, TypeError) as error:
                words.write(str(error))
        said[file.name] = words.getvalue()
    return said


def main(arguments: Sequence[str]) -> int:
    """Print the arguments of one vLLM, or what it says against some files of them."""
    if arguments:
        dataclasses.dataclass = plain_dataclass
        sys.meta_path.insert(0, Finder(Path(arguments[0])))
        choose_the_widest()
    json.dump(judged(Path(arguments[1])) if arguments[1:] else dump(), sys.stdout, indent=1, sort_keys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
