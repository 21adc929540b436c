# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every file that runs on a managed node."""

from __future__ import annotations

import ast
import pathlib
import sys

import pytest
from ansible_collections.gpuchat.stack.plugins import module_utils, modules

SHARED = sorted(pathlib.Path(module_utils.__path__[0]).rglob("*.py"))
LIBRARY = sorted(pathlib.Path(modules.__path__[0]).glob("*.py"))
FILES = [path for path in [*SHARED, *LIBRARY] if path.read_text(encoding="utf-8").strip()]
DECIDING = [path for path in SHARED if not path.stem.endswith("_runner") and path.stem != "host"]
ACTING = {
    "asyncio",
    "ctypes",
    "fcntl",
    "ftplib",
    "glob",
    "grp",
    "http",
    "io",
    "multiprocessing",
    "os",
    "pathlib",
    "pwd",
    "random",
    "secrets",
    "select",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib",
}
MAY_IMPORT = {
    "gpus_runner": {"pynvml"},
    "model_hub_runner": {"requests", "urllib3"},
    "secret_runner": {"cryptography"},  # on the control node, where ansible-core brings it
    "toolbox_runner": {"ansible"},
}
"""What runners may import beyond the standard library; those on a managed node find it in the toolbox."""


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 9))


def imported(path):
    """Return the first words of what a file imports; its own package's modules begin with a dot."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield from (f".{node.module or alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("path", SHARED, ids=lambda path: path.stem)
def test_shared_code_needs_the_standard_library_alone(path):
    foreign = {name for name in imported(path) if not name.startswith(".") and name not in sys.stdlib_module_names}
    assert foreign <= MAY_IMPORT.get(path.stem, set())


@pytest.mark.parametrize("path", DECIDING, ids=lambda path: path.stem)
def test_a_deciding_module_touches_nothing(path):
    names = set(imported(path))
    assert names & ACTING == set()
    assert not [name for name in names if name.endswith("_runner")]
    called = {
        node.func.id
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called & {"open", "print", "input", "eval", "exec"} == set()
    clock = {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)} & {
        "now",
        "utcnow",
        "today",
    }
    assert clock == set()


@pytest.mark.parametrize("path", DECIDING, ids=lambda path: path.stem)
def test_a_deciding_module_takes_no_more_of_the_host_than_its_values(path):
    taken = {
        alias.name
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.level and node.module == "host"
        for alias in node.names
    }
    assert taken <= {"FileState"}
    assert ".host" not in {name for name in imported(path) if not taken}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_annotations_are_never_evaluated_so_that_python_3_9_reads_them(path):
    futures = [node for node in tree_of(path).body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert [alias.name for node in futures for alias in node.names] == ["annotations"]


class WithoutAnnotations(ast.NodeTransformer):
    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_FunctionDef(self, node):
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node):
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


NEWER = {"slots", "kw_only"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_newer_than_python_3_9_is_run(path):
    tree = WithoutAnnotations().visit(tree_of(path))
    unions = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.BitOr)
        and any(
            (isinstance(side, ast.Constant) and side.value is None)
            or getattr(side, "id", "") in ("str", "int", "bytes", "dict")
            for side in (node.left, node.right)
        )
    ]
    newer = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)} & NEWER
    newer |= {type(node).__name__ for node in ast.walk(tree)} & {"Match", "TryStar", "TypeAlias"}
    assert (unions, newer) == ([], set())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_names_its_licence(path):
    head = path.read_text(encoding="utf-8")[:400]
    assert "SPDX-License-Identifier: GPL-3.0-or-later" in head
    assert "GNU General Public License v3.0-or-later" in head


@pytest.mark.parametrize("path", SHARED, ids=lambda path: path.stem)
def test_an_own_module_is_reached_by_a_relative_import(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1
        elif isinstance(node, ast.ImportFrom):
            assert "gpuchat" not in node.module
