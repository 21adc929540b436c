# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds which files of the shared code a program needs, so that it runs on a host without the rest.

An action plugin reads this file by its path, for a checkout has no name by which it could import it.
"""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator, Sequence

SHARED = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = "gpuchat"


def path(name: str) -> pathlib.Path:
    """Return the file of a module such as ``gpu.smi``."""
    return SHARED / (name.replace(".", "/") + ".py")


def needed(names: Sequence[str]) -> list[str]:
    """Return files of the shared code and all that they import of it."""
    found: dict[str, None] = {}
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found[name] = None
            left += _imported(name)
    return sorted(found)


def _imported(name: str) -> Iterator[str]:
    package = name.split(".")[:-1]
    for node in ast.walk(ast.parse(path(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            words = [one for one in base if one]
            for candidate in (words, *([*words, alias.name] for alias in node.names)):
                if candidate and path(".".join(candidate)).is_file():
                    yield ".".join(candidate)


def packages(names: Sequence[str]) -> list[str]:
    """Return the folders of modules below a program's own, each of which needs an ``__init__.py``."""
    found = {PACKAGE, *(f"{PACKAGE}/{name.rpartition('.')[0].replace('.', '/')}" for name in names)}
    return sorted(found | {str(one) for two in found for one in pathlib.PurePath(two).parents if str(one) != "."})


MAIN = """\
# Made by gpuchat; changes are lost in the next run.
import sys

from {package}.{module} import main

sys.exit(main(sys.argv[1:]))
"""


def program(folder: str, module: str) -> list[dict[str, object]]:
    """Return the files of a folder that Python runs, as entries of a file set; each says whose part it is.

    Args:
        folder: on the host.
        module: such as ``monitoring.state_runner``; its function ``main`` takes the words of the command line, and
            returns the exit status.
    """
    names = needed([module])
    inner = [f"{folder}/{one}" for one in packages(names)]
    texts = {f"{folder}/__main__.py": MAIN.format(package=PACKAGE, module=module)}
    texts.update({f"{one}/__init__.py": "" for one in inner})
    texts.update(
        {f"{folder}/{PACKAGE}/{one.replace('.', '/')}.py": path(one).read_text(encoding="utf-8") for one in names}
    )
    found: list[dict[str, object]] = [{"dest": one, "folder": True} for one in (folder, *inner)]
    found += [{"dest": one, "content": texts[one]} for one in sorted(texts)]
    return [{**one, "program": module} for one in found]
