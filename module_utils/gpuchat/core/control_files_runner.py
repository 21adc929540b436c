# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what lies on the control node: the collection's roles, and what former runs recorded beside the inventory."""

from __future__ import annotations

import codecs
import functools
import importlib
import json
import pathlib
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

BESIDE = pathlib.Path(__file__).resolve().parents[3]
"""Where the collection's folder `roles` is, in a checkout; once it is installed, one folder further up."""

LISTED = "endpoints.json"
ENCRYPTED = b"$ANSIBLE_VAULT;"
OF_VARIABLES = ("", ".yml", ".yaml", ".json")
"""How the names of files that Ansible reads as variables end."""
IN_PLAIN_WORDS = {
    "'\\t'": "it holds a tab there, and YAML wants spaces",
    "unhashable key": "a value that begins with {{ wants quotes around it",
    "mapping values are not allowed": "a text with a colon and a space in it wants quotes around it",
}
"""What people mean by what YAML's reader stumbles over, by its words."""


def of_roles(place: str) -> dict[str, Any]:
    """Return what a YAML file of each role says, by role; the place is within a role, such as ``defaults/main.yml``."""
    root = next(one for one in (BESIDE, BESIDE.parent) if (one / "roles").is_dir())
    paths = {path: root / "roles" / path.name / place for path in sorted((root / "roles").iterdir())}
    return {
        role.name: _yaml().safe_load(path.read_text(encoding="utf-8")) for role, path in paths.items() if path.is_file()
    }


def recorded_digests(lock_file: str) -> tuple[dict[str, str], str]:
    """Return the images' digests that a lock file records, and why it cannot be read; neither where there is none."""
    if not lock_file or not pathlib.Path(lock_file).exists():
        return {}, ""
    yaml = _yaml()
    try:
        images = (yaml.safe_load(pathlib.Path(lock_file).read_text(encoding="utf-8")) or {}).get("images") or {}
        return {str(name): str(digest) for name, digest in images.items()}, ""
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        why = str(error).splitlines()[0]
        return {}, f"{lock_file} cannot be read ({why}); wanted images with their digests; put it back from a copy"


def listed_models(folder: str) -> dict[str, list[str]]:
    """Return the models of somebody else's servers as the last run read them, by server; none where nothing is kept."""
    try:
        found = json.loads((pathlib.Path(folder) / LISTED).read_text(encoding="utf-8"))
        return {str(name): [str(one) for one in models] for name, models in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def loaded(raw: bytes) -> Any:
    """Return what a file of Ansible's says, in JSON or in YAML, what Ansible has tags for as plain data.

    Raises:
        ValueError: it is neither: where, why, and what to do.
    """
    try:
        return json.loads(raw)  # as Ansible does, for YAML refuses a tab between JSON's parts
    except ValueError:
        return _read(raw, _yaml().load)


def composed(raw: bytes) -> Any:
    """Return a file of Ansible's as YAML's nodes.

    Raises:
        ValueError: it is no YAML: where, why, and what to do.
    """
    return _read(raw, _yaml().compose)


def unread(folder: pathlib.Path) -> Iterator[str]:
    """Say which files of variables in an inventory's folder are no YAML, at which Ansible ends without their names."""
    for path in sorted((*folder.glob("group_vars/**/*"), *folder.glob("host_vars/**/*"))):
        if path.suffix not in OF_VARIABLES or path.name.startswith(".") or not path.is_file():
            continue
        try:
            raw = path.read_bytes()
            if not raw.startswith(ENCRYPTED):
                loaded(raw)
        except OSError as error:
            yield f"the file of variables {path} cannot be read ({error.strerror}); let this account read it"
        except ValueError as error:
            yield f"the file of variables {path} {error}"


def _read(raw: bytes, how: Callable[..., Any]) -> Any:
    yaml = _yaml()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("is a text in UTF-16, as some editors and shells of Windows write it; write it anew in UTF-8")
    try:
        return how(raw, Loader=_loader())
    except yaml.reader.ReaderError as error:
        place, one = error.position + 1, error.character
        what = f"its byte {place}, 0x{one:02x}, is none of a text in {str(error.encoding).upper()}"
        if error.encoding == "unicode":
            what = f"its character {place}, U+{one:04X}, is none that YAML knows"
        raise ValueError(f"is no YAML ({what}); write it anew as a text in UTF-8") from error
    except yaml.YAMLError as error:
        mark, what = error.problem_mark, str(error.problem)
        plain = "".join(f"; {said}" for words, said in IN_PLAIN_WORDS.items() if words in what)
        place = f"line {mark.line + 1}, column {mark.column + 1}"
        raise ValueError(f"is no YAML in {place} ({what}){plain}; fix that line") from error


@functools.cache
def _loader() -> Any:
    """Return the class that reads what Ansible has tags for as plain data."""
    yaml = _yaml()

    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        def construct_object(self, node: Any, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep)
            except yaml.YAMLError:
                raise
            except ValueError as error:  # of Python's, as of the 30th of February
                what = f"it reads {node.value} as a date or a number, and there is none such"
                raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from error

    def tagged(_loader: Any, suffix: str, node: Any) -> None:
        if suffix not in ("vault", "vault-encrypted", "unsafe"):
            what = f"Ansible has no tag !{suffix}"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)

    Loader.add_multi_constructor("!", tagged)
    return Loader


def named_twice(node: Any) -> tuple[str, int, int] | None:
    """Return a name that a mapping of a composed YAML text has twice, of which readers take the last, and its lines."""
    nodes, seen = [node], set()
    while nodes:
        one = nodes.pop()
        if one in seen:  # an alias, which may lead back to what holds it
            continue
        seen.add(one)
        kind, parts = (one.id, one.value) if one else ("", ())
        lines: dict[str, int] = {}
        for key, value in parts if kind == "mapping" else ():
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines and name != "<<":
                return name, lines[name], line
            lines[name] = line
            nodes.append(value)
        nodes += parts if kind == "sequence" else []
    return None


OCTAL = re.compile("[-+]?0[0-7_]*[0-7]")


def octal(node: Any, options: Collection[str]) -> tuple[str, int] | None:
    """Return a variable of ours that a composed YAML text gives a number in base 8, and the line of that number."""
    nodes, seen = [(node, "")], set()
    while nodes:
        one, name = nodes.pop()
        if one is None or one in seen:
            continue
        seen.add(one)
        if one.id == "mapping":
            named = [(str(key.value), value) for key, value in one.value]
            nodes += [(value, name or (said if said in options else "")) for said, value in named]
        elif one.id == "sequence":
            nodes += [(part, name) for part in one.value]
        elif name and one.tag.endswith(":int") and OCTAL.fullmatch(one.value):
            return name, one.start_mark.line + 1
    return None


def below_vars(node: Any, options: Collection[str]) -> tuple[str, int] | None:
    """Return a variable of ours that a composed file of variables has below vars, or a group's, and its line."""
    pairs = _pairs(node)
    for key, value in [*pairs, *(pair for _key, inner in pairs for pair in _pairs(inner))]:
        for name, _value in _pairs(value) if key.value == "vars" else ():
            if str(name.value) in options:  # a key may be a list
                return name.value, name.start_mark.line + 1
    return None


def _pairs(node: Any) -> list[tuple[Any, Any]]:
    return list(node.value) if node is not None and node.id == "mapping" else []


def _yaml() -> Any:
    """Return the library, by its name: this file lies beside modules, which must not import it."""
    return importlib.import_module("yaml")
