# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets plain pytest import the collection from a checkout of any name; under ansible-test its own finder does.

Marks as `of_core` the tests that are run again on older and newer versions of ansible-core.
"""

from __future__ import annotations

import collections
import functools
import pathlib
import re
import sys
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def _folder(in_checkout: str, in_collection: str) -> str:
    checkout = ROOT / in_checkout
    return str(checkout if checkout.is_dir() else ROOT / in_collection)


def _register() -> None:
    if any(type(finder).__name__ == "_AnsibleCollectionFinder" for finder in sys.meta_path):
        return
    folders = {
        "ansible_collections": [],
        "ansible_collections.gpuchat": [],
        "ansible_collections.gpuchat.stack": [str(ROOT)],
        "ansible_collections.gpuchat.stack.plugins": [str(ROOT / "plugins")],
        "ansible_collections.gpuchat.stack.plugins.modules": [_folder("library", "plugins/modules")],
        "ansible_collections.gpuchat.stack.plugins.module_utils": [_folder("module_utils", "plugins/module_utils")],
    }
    for name, path in folders.items():
        package = types.ModuleType(name)
        package.__path__ = path
        sys.modules[name] = package
        parent, _dot, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, package)


_register()

# Imports Ansible, stands in for a piece of it, reads a module's main, or runs one of Ansible's programs (as fleet.read
# does). All other tests are of code that imports the standard library alone, as test_source.py sees to, or of what runs
# beside Ansible: no ansible-core can change it.
TOUCHES_CORE = re.compile(
    r"^ *(?:from|import) ansible[. ]|AnsibleModule|plugins\.modules import|\"-m\", \"ansible\"|\"ansible-playbook\""
    r"|fleet\.read\(",
    re.MULTILINE,
)

ROWS_OF_CORE = {"test_gpuchat_preflight.py": 12, "test_roles_alone.py": 3}
"""Of a table in such a file, so many rows are of the core: they ask the same of it, and differ in words of ours."""

TESTS_OF_CORE = {
    "test_wrong_inventories.py": re.compile("not_there|with_a_tab|merely_warns|in_the_middle|vault_id"),
    "test_doctor_playbook.py": re.compile("cannot_be_reached"),
}
"""Of such a file, these tests are of the core: each is a run of a playbook, and the others differ in words of ours."""


@functools.cache
def _touches_core(path: pathlib.Path) -> bool:
    return bool(TOUCHES_CORE.search(path.read_text(encoding="utf-8")))


def pytest_ignore_collect(collection_path: pathlib.Path, config: pytest.Config) -> bool | None:
    """Where tests of the core alone are asked for, no other file is read: collecting takes longer than most tests."""
    of_core = config.getoption("markexpr") == "of_core"
    return True if of_core and collection_path.suffix == ".py" and not _touches_core(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rows: collections.Counter[tuple[pathlib.Path, str]] = collections.Counter()
    for item in items:
        test = (item.path, item.name.partition("[")[0])
        rows[test] += 1
        named = TESTS_OF_CORE.get(item.path.name)
        if (
            _touches_core(item.path)
            and rows[test] <= ROWS_OF_CORE.get(item.path.name, len(items))
            and (not named or named.search(item.name))
        ):
            item.add_marker("of_core")
