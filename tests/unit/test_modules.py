# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape that each module has."""

from __future__ import annotations

import ast
import importlib
import inspect
import pathlib

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins import modules

PACKAGE = "ansible_collections.gpuchat.stack.plugins.modules"
FILES = sorted(pathlib.Path(modules.__path__[0]).glob("*.py"))
NAMES = [path.stem for path in FILES if path.stem != "__init__"]
SET_BY_DOCS = ("type", "elements", "required", "default", "choices")


class Built(Exception):
    """Ends a module's main as soon as it has said what arguments it takes."""


@pytest.fixture
def built(monkeypatch):
    """Return what a module hands to ``AnsibleModule``."""

    def build(name):
        module = importlib.import_module(f"{PACKAGE}.{name}")
        taken = {}

        def stand_in(**options):
            taken.update(options)
            raise Built

        monkeypatch.setattr(module, "AnsibleModule", stand_in)
        with pytest.raises(Built):
            module.main()
        return taken

    return build


def docs(name):
    module = importlib.import_module(f"{PACKAGE}.{name}")
    return yaml.safe_load(module.DOCUMENTATION)


def as_documented(options, inner):
    """Return what a specification and its documentation must agree in, suboptions among them."""
    described = {}
    for name, option in (options or {}).items():
        described[name] = {
            key: option[key]
            for key in SET_BY_DOCS
            if option.get(key) not in (None, False) or key == "default"
            if key in option
        }
        described[name].pop("required", None) if not option.get("required") else None
        if option.get(inner):
            described[name]["options"] = as_documented(option[inner], inner)
    return described


@pytest.mark.parametrize("name", NAMES)
def test_a_module_is_documented_as_it_is_specified(name, built):
    documented = as_documented(docs(name)["options"], "suboptions")
    assert as_documented(built(name)["argument_spec"], "options") == documented


@pytest.mark.parametrize("name", NAMES)
def test_a_module_supports_check_mode(name, built):
    assert built(name)["supports_check_mode"] is True


@pytest.mark.parametrize("name", NAMES)
def test_a_module_tells_its_attributes(name):
    attributes = docs(name)["attributes"]
    assert list(attributes) == ["check_mode", "diff_mode", "idempotent"]
    assert all(attribute["support"] == "full" and attribute["description"] for attribute in attributes.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_module_describes_itself_and_each_option(name):
    described = docs(name)

    def is_described(options):
        return all(one.get("description") and is_described(one.get("suboptions") or {}) for one in options.values())

    assert described["module"] == name
    assert described["short_description"]
    assert not described["short_description"].endswith(".")
    assert described["version_added"]
    assert is_described(described["options"])


@pytest.mark.parametrize("name", NAMES)
def test_a_modules_examples_use_it_with_options_that_it_has(name, built):
    module = importlib.import_module(f"{PACKAGE}.{name}")
    known = set(built(name)["argument_spec"])
    examples = yaml.safe_load(module.EXAMPLES)
    used = [task[f"gpuchat.stack.{name}"] or {} for task in examples if f"gpuchat.stack.{name}" in task]
    assert used
    assert all(task["name"] for task in examples)
    assert {option for options in used for option in options} <= known


@pytest.mark.parametrize("name", NAMES)
def test_a_module_describes_what_it_returns(name):
    module = importlib.import_module(f"{PACKAGE}.{name}")
    returned = yaml.safe_load(module.RETURN)
    assert returned
    assert all(value["description"] and value["type"] and value["returned"] for value in returned.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_modules_main_has_at_most_40_lines(name):
    module = importlib.import_module(f"{PACKAGE}.{name}")
    assert len(inspect.getsource(module.main).splitlines()) <= 40


SECRET_WORDS = ("key", "secret", "password", "token")


@pytest.mark.parametrize("name", NAMES)
def test_an_option_whose_name_sounds_like_a_secret_says_whether_it_is_one(name, built):
    def undecided(options):
        for option, spec in options.items():
            if spec["type"] == "str" and any(word in option for word in SECRET_WORDS) and "no_log" not in spec:
                yield option
            yield from undecided(spec.get("options") or {})

    assert list(undecided(built(name)["argument_spec"])) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_module_reaches_shared_code_by_relative_imports_alone(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    absolute = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0}
    assert not [name for name in absolute if "gpuchat" in name]
