# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the table of which variables of the inventory the roles hand to which option of a module.

Messages of modules name options; the table lets them name what stands in the inventory beside it.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "module_utils" / "gpuchat" / "core" / "facts" / "variables.py"
HEADER = '''\
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Made by tools/inventory_variables.py from the roles; not to be edited by hand.
"""Which variables of the inventory the roles hand to an option: module -> option -> variables."""

from __future__ import annotations

# fmt: off
VARIABLES: dict[str, dict[str, tuple[str, ...]]] = '''
MOST = 3
"""An option that more variables than this flow into is no single variable's."""
WORD = re.compile(r"(?<![\w.'\"])[a-z_]\w*(?:\.[a-z]\w*)?")
HANDED = re.compile(r'setdefault\("(\w+)", self\._templar\.template\(task_vars\["(\w+)"\]\)\)')
ALONE = re.compile(r"\{\{\s*(\w+)(?:\s+if .* else omit)?\s*\}\}")


def read(path: pathlib.Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None


def public_variables() -> set[str]:
    """Return all public variables, with the suboptions of dictionaries as dotted names."""
    found = set()
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in read(path)["argument_specs"].values():
            for name, option in entry["options"].items():
                found |= {name, *(f"{name}.{below}" for below in option.get("options", {}))}
    return found


def tasks_of(role: pathlib.Path) -> Iterator[Mapping[str, Any]]:
    for path in sorted(role.glob("tasks/*.yml")):
        yield from read(path) or []


def leaves(name: str, value: Any, own: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each text below an option with its dotted name; a variable of the role's own stands for its value."""
    if isinstance(value, str):
        alone = ALONE.fullmatch(value.strip())
        if alone and isinstance(own.get(alone[1]), (dict, list)):
            yield from leaves(name, own[alone[1]], own)
        else:
            yield name, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(f"{name}.{key}", below, own)
    elif isinstance(value, list):
        for below in value:
            yield from leaves(name, below, own)


def reached(text: str, own: Mapping[str, Any], public: set[str], seen: frozenset[str] = frozenset()) -> set[str]:
    """Return the public variables that a template uses, through the role's own ones."""
    found: set[str] = set()
    for expression in re.findall(r"\{\{(.*?)\}\}|\{%(.*?)%\}", text, re.DOTALL):
        for word in WORD.findall(" ".join(expression)):
            first = word.partition(".")[0]
            if word in public or first in public:
                found.add(word if word in public else first)
            elif first in own and first not in seen:
                for _name, below in leaves("", own[first], own):
                    found |= reached(below, own, public, seen | {first})
    return found


def by_plugins() -> Iterator[tuple[str, str, str]]:
    """Yield module, option and variable where an action plugin hands it over, and no task's arguments show it."""
    for path in sorted((ROOT / "action_plugins").glob("*.py")):
        source = path.read_text(encoding="utf-8")
        for one in [path, *(path.with_name(f"{name}.py") for name in re.findall(r'_sibling\("(\w+)"\)', source))]:
            for option, variable in HANDED.findall(one.read_text(encoding="utf-8")):
                yield path.stem, option, variable


def table() -> dict[str, dict[str, tuple[str, ...]]]:
    public = public_variables()
    found: dict[str, dict[str, set[str]]] = {}
    for role in sorted((ROOT / "roles").iterdir()):
        own = read(role / "vars" / "main.yml") or {}
        for task in tasks_of(role):
            for module, options in task.items():
                if not module.startswith("gpuchat_") or not isinstance(options, dict):
                    continue
                for option, value in options.items():
                    for name, text in leaves(option, value, own):
                        variables = reached(text, own, public)
                        if 0 < len(variables) <= MOST:
                            found.setdefault(module, {}).setdefault(name, set()).update(variables)
    for module, option, variable in by_plugins():
        found.setdefault(module, {}).setdefault(option, set()).add(variable)
    return {
        module: {name: tuple(sorted(variables)) for name, variables in sorted(options.items())}
        for module, options in sorted(found.items())
    }


def text() -> str:
    lines = ["{"]
    for module, options in table().items():
        lines.append(f'    "{module}": {{')
        for name, names in options.items():
            lines += [f'        "{name}": (', *(f"            {json.dumps(one)}," for one in names), "        ),"]
        lines.append("    },")
    return HEADER + "\n".join([*lines, "}"]) + "\n"


if __name__ == "__main__":
    TABLE.write_text(text(), encoding="utf-8")
