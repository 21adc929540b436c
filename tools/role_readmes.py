# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes each role's README.md and docs/variables.md from the roles: `python tools/role_readmes.py`."""

from __future__ import annotations

import importlib
import json
import pathlib
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROLES = ROOT / "roles"
INDEX = ROOT / "docs" / "variables.md"
PHASES = ("preflight", "install", "configure", "run")
INDEX_HEAD = """\
# Variables and tags

Each variable of a role that you may set, by name; the role's README says more. Those of playbooks stand below.

| Variable | Role | Type | Default | Meaning |
| --- | --- | --- | --- | --- |
"""
PLAYBOOKS_HEAD = """
## Variables of playbooks

| Variable | Playbook | Type | Default | Meaning |
| --- | --- | --- | --- | --- |
"""
TAGS_HEAD = """
## Tags

`site.yml` gives each role its own name as a tag, and each phase of a role has one: `--tags edge` runs the role edge,
`--tags edge_configure` one phase of it. What checks the inventory, finds the secrets or detects something always runs.

| Tag | Tasks |
| --- | --- |
"""
FOOT = "\nMade from the roles by `tools/role_readmes.py`.\n"


def readme(role: str, specification: dict[str, Any]) -> str:
    """Return the text of a role's README."""
    lines = [f"# {role}", "", f"{specification['short_description']}.", ""]
    given = specification.get("description", [])
    described = [_marked(line) for line in ([given] if isinstance(given, str) else given)]
    lines += [*described, ""] if described else []
    lines += [alone(role), ""] if role != "stack" else []
    lines += ["| Variable | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    lines += [_row(name, option) for name, option in specification["options"].items()]
    return "\n".join([*lines, "", "Made from `meta/argument_specs.yml` by `tools/role_readmes.py`.", ""])


def alone(role: str) -> str:
    """Say what a role needs in a play of somebody's own, as the preflight sees it."""
    preflight = inventory_part("preflight")
    variables = [f"`{name}`" for name, roles in preflight.REQUIRED.items() if role in roles]
    groups = [f"`{group}`" for group, roles in preflight.GROUPS_OF.items() if role in roles]
    hosts = [f"hosts in the group{'s' if len(groups) > 1 else ''} {' and '.join(groups)}"] if groups else []
    *some, last = [*variables, *hosts] or [""]
    needs = f"{', '.join(some)}, and {last}" if some else last
    return f"Alone, as `gpuchat.stack.{role}` in a play of your own, it needs {needs or 'no variable and no group'}."


def inventory_part(name: str) -> Any:
    """Return a file of the folder that knows inventories, from the checkout."""
    sys.path.insert(0, str(ROOT / "module_utils"))
    return importlib.import_module(f"gpuchat.inventory.{name}")


def _marked(text: str) -> str:
    """Put Ansible's marks of code, values and options as Markdown's."""
    return re.sub(r"[CVO]\(([^)]*)\)", r"`\1`", text)


def _row(name: str, option: dict[str, Any]) -> str:
    text = _marked(option["description"]) + _choices(option)
    for part, inner in option.get("options", {}).items():
        text += f" `{part}`: {_marked(inner['description'])}{_choices(inner)}"
    return f"| `{name}` | {_kind(option)} | {_default(option)} | {text} |"


def _kind(option: Mapping[str, Any]) -> str:
    return f"{option['type']} of {option['elements']}" if "elements" in option else str(option["type"])


def _default(option: Mapping[str, Any]) -> str:
    if "default" not in option:
        return "(wanted)" if option.get("required") else ""
    default = f"`{json.dumps(option['default'])}`"
    return default if len(default) <= 60 else "see defaults"


def _choices(option: Mapping[str, Any]) -> str:
    return f" One of {', '.join(option['choices'])}." if "choices" in option else ""


def index() -> str:
    """Return the page of all roles' variables and tags."""
    options = sorted(
        (name, role, option)
        for role, specification in specifications().items()
        for name, option in _with_parts(specification["options"])
    )
    rows = [
        f"| `{name}` | [{role}](../roles/{role}/README.md) "
        f"| {_kind(option)} | {_default(option)} | {_meaning(option)} |"
        for name, role, option in options
    ]
    playbooks = inventory_part("playbooks")
    tags = [
        f"| `{role}_{phase}` | {'; '.join(tasks)} |"
        for role in specifications()
        for phase in PHASES
        if (tasks := tasks_of(ROLES / role, f"{role}_{phase}"))
    ]
    of_playbooks = [
        f"| `{name}` | `{playbooks.playbook_of(name)}.yml` "
        f"| {_kind(option)} | {_default(option)} | {_meaning(option)} |"
        for name, option in sorted(playbooks.OPTIONS.items())
    ]
    tables = INDEX_HEAD + "\n".join(rows) + "\n" + PLAYBOOKS_HEAD + "\n".join(of_playbooks) + "\n"
    return tables + TAGS_HEAD + "\n".join(tags) + "\n" + FOOT


def _with_parts(options: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, option in options.items():
        yield name, option
        yield from ((f"{name}.{part}", inner) for part, inner in _with_parts(option.get("options", {})))


def _meaning(option: Mapping[str, Any]) -> str:
    """Return a description's first sentence."""
    return re.split(r"(?<=\.) (?=[A-Z])", _marked(option["description"]), maxsplit=1)[0]


def tasks_of(role: pathlib.Path, tag: str) -> list[str]:
    """Return the names of a role's tasks that a tag chooses, each once, in their order."""
    tagged = (task for path in sorted(role.glob("tasks/*.yml")) for task in yaml.safe_load(path.read_text()))
    return list(dict.fromkeys(task["name"] for task in tagged if tag in task.get("tags", [])))


def specifications() -> dict[str, Any]:
    """Return each role's argument specification by the role's name."""
    return {
        path.parents[1].name: next(iter(yaml.safe_load(path.read_text())["argument_specs"].values()))
        for path in sorted(ROLES.glob("*/meta/argument_specs.yml"))
    }


def pages() -> dict[pathlib.Path, str]:
    """Return what is made of the roles, by its path."""
    found = {
        ROLES / role / "README.md": readme(role, specification) for role, specification in specifications().items()
    }
    return {**found, INDEX: index()}


if __name__ == "__main__":
    for target, text in pages().items():
        target.write_text(text)
