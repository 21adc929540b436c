# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes each role's README.md from its argument_specs: `python tools/role_readmes.py`."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import yaml

ROLES = pathlib.Path(__file__).resolve().parents[1] / "roles"


def readme(role: str, specification: dict[str, Any]) -> str:
    """Return the text of a role's README."""
    lines = [f"# {role}", "", f"{specification['short_description']}.", ""]
    described = [_marked(line) for line in specification.get("description", [])]
    lines += [*described, ""] if described else []
    lines += ["| Variable | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    lines += [_row(name, option) for name, option in specification["options"].items()]
    return "\n".join([*lines, "", "Made from `meta/argument_specs.yml` by `tools/role_readmes.py`.", ""])


def _marked(text: str) -> str:
    """Put Ansible's marks of code, values and options as Markdown's."""
    return re.sub(r"[CVO]\(([^)]*)\)", r"`\1`", text)


def _row(name: str, option: dict[str, Any]) -> str:
    kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
    default = "(wanted)" if option.get("required") else f"`{json.dumps(option['default'])}`"
    if len(default) > 60:
        default = "see defaults"
    text = _marked(option["description"]) + _choices(option)
    for part, inner in option.get("options", {}).items():
        text += f" `{part}`: {_marked(inner['description'])}{_choices(inner)}"
    return f"| `{name}` | {kind} | {default} | {text} |"


def _choices(option: dict[str, Any]) -> str:
    return f" One of {', '.join(option['choices'])}." if "choices" in option else ""


def readmes() -> dict[pathlib.Path, str]:
    """Return each role's README by its path."""
    found = {}
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        role = path.parents[1]
        found[role / "README.md"] = readme(
            role.name, next(iter(yaml.safe_load(path.read_text())["argument_specs"].values()))
        )
    return found


if __name__ == "__main__":
    for target, text in readmes().items():
        target.write_text(text)
