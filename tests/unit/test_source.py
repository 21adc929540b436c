# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every file that runs on a managed node."""

from __future__ import annotations

import ast
import functools
import pathlib
import sys

import pytest
from ansible_collections.gpuchat.stack.plugins import module_utils, modules

SHARED = sorted(pathlib.Path(module_utils.__path__[0]).rglob("*.py"))
LIBRARY = sorted(pathlib.Path(modules.__path__[0]).glob("*.py"))
FILES = [path for path in [*SHARED, *LIBRARY] if path.read_text(encoding="utf-8").strip()]
UTILS = pathlib.Path(module_utils.__path__[0]) / "gpuchat"


def place(path):
    """Return a file's place below the package, as core/host; a module's is its name."""
    return str(path.relative_to(UTILS).with_suffix("")) if UTILS in path.parents else path.stem


MAY_TAKE = {"./core/host"}  # its values: see below
FRAMES = {"core/front": {"./core/network_runner"}}  # what a module's frame does before the module's own work


def acts(name):
    """Whether a module touches a host, by its dotted or slashed name."""
    words = name.replace(".", "/")
    return words.endswith(("_runner", "/runner")) or words in ("runner", "core/host", "host")


DECIDING = [path for path in SHARED if not acts(place(path))]
every_shared_file = pytest.mark.parametrize("path", SHARED, ids=place)
every_deciding_file = pytest.mark.parametrize("path", DECIDING, ids=place)
every_file = pytest.mark.parametrize("path", FILES, ids=place)
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
PURE = {"urllib.parse"}
"""Parts of such a package that touch nothing."""

MAY_IMPORT = {
    "core/control_runner": {"ansible"},  # on the control node
    "gpu/figures_runner": {"pynvml"},
    "gpu/readings_runner": {"pynvml"},
    "model/hub_runner": {"requests", "urllib3"},
    "secret/certificates_runner": {"cryptography"},
    "secret/runner": {"cryptography"},  # on the control node, where ansible-core brings it
    "system/toolbox_runner": {"ansible"},
}
"""What runners may import beyond the standard library; those on a managed node find it in the toolbox."""


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 9))


tree_of = functools.cache(parsed)


def imported(path):
    """Return what a file imports: first words of absolute names, and places such as core/host of the package's own."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield from taken_from(path, node)
        elif isinstance(node, ast.ImportFrom) and node.module not in PURE:
            yield node.module.partition(".")[0]


def taken_from(path, node):
    """Return the files that a relative import reaches, each as its place below the package."""
    folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
    names = [folder.with_suffix(".py")] if node.module else []
    for file in [*names, *(folder / f"{alias.name}.py" for alias in node.names)]:
        if file.exists():
            yield "./" + place(file)


@every_shared_file
def test_shared_code_needs_the_standard_library_alone(path):
    foreign = {name for name in imported(path) if not name.startswith("./") and name not in sys.stdlib_module_names}
    assert foreign <= MAY_IMPORT.get(place(path), set())


@every_deciding_file
def test_a_deciding_module_touches_nothing(path):
    names = set(imported(path))
    assert names & ACTING == set()
    allowed = MAY_TAKE | FRAMES.get(place(path), set())
    assert not [name for name in names - allowed if name.startswith("./") and acts(name[2:])]
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


@every_deciding_file
def test_a_deciding_module_takes_no_more_of_the_host_than_its_values(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.level and "./core/host" in set(taken_from(path, node)):
            assert node.module in ("host", "core.host")
            assert {alias.name for alias in node.names} <= {"FileState"}


ARROWS = {
    "core": set(),
    "system": {"core"},
    "packages": {"core", "system"},
    "docker": {"core", "system"},
    "gpu": {"core", "system"},
    "checkpoint": {"core"},
    "model": {"core", "system"},
    "vllm": {"core", "gpu", "checkpoint"},
    "inventory": {"core"},
    "secret": {"core"},
    "chat": {"core", "inventory", "data"},
    "data": {"core", "system", "docker"},
    "edge": {"core", "inventory"},
    "verify": {"core"},
    "load": {"core"},
    "report": {"core"},
    "engines": {"core", "system", "docker", "model", "verify"},
    "survey": {"core", "system", "docker", "gpu", "model", "secret", "data", "engines"},
    "doctor": {"core", "system", "docker", "model", "vllm", "data", "survey"},
    "removal": {"core", "system", "packages", "docker", "model"},
    "monitoring": {"core", "system", "docker", "gpu", "vllm", "inventory", "engines", "survey"},
}
"""What the files of a folder may import beside those of their own (CONTRIBUTING.md shows the same table)."""


@every_shared_file
def test_an_import_goes_down_only(path):
    if path.name == "__init__.py":
        assert not path.read_text(encoding="utf-8").strip()
        return
    folder = place(path).partition("/")[0]
    taken = {name[2:].partition("/")[0] for name in imported(path) if name.startswith("./")}
    assert taken - {folder} <= ARROWS[folder]


def test_the_table_of_imports_names_the_folders_that_there_are():
    assert set(ARROWS) == {path.name for path in UTILS.iterdir() if path.is_dir() and path.name != "__pycache__"}


def test_every_file_lies_in_a_folder():
    assert [path.name for path in UTILS.glob("*.py")] == ["__init__.py"]


@every_file
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


@every_file
def test_nothing_newer_than_python_3_9_is_run(path):
    tree = WithoutAnnotations().visit(parsed(path))
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


@every_file
def test_a_file_names_its_licence(path):
    head = path.read_text(encoding="utf-8")[:400]
    assert "SPDX-License-Identifier: GPL-3.0-or-later" in head
    assert "GNU General Public License v3.0-or-later" in head


@every_shared_file
def test_an_own_module_is_reached_by_a_relative_import(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert list(taken_from(path, node)), ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            assert "gpuchat" not in node.module
