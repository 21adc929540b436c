# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what lies on the control node: the collection's roles, and what former runs recorded beside the inventory."""

from __future__ import annotations

import importlib
import json
import pathlib
import re
from collections.abc import Collection
from typing import Any

BESIDE = pathlib.Path(__file__).resolve().parents[3]
"""Where the collection's folder `roles` is, in a checkout; once it is installed, one folder further up."""

LISTED = "endpoints.json"


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
            nodes += [(value, name or (str(key.value) if key.value in options else "")) for key, value in one.value]
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
            if name.value in options:
                return name.value, name.start_mark.line + 1
    return None


def _pairs(node: Any) -> list[tuple[Any, Any]]:
    return list(node.value) if node is not None and node.id == "mapping" else []


def _yaml() -> Any:
    """Return the library, by its name: this file lies beside modules, which must not import it."""
    return importlib.import_module("yaml")
