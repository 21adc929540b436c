# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the table of variables ``module_utils/gpuchat/chat/facts/open_webui.py`` from Open WebUI's own packages.

``python tools/open_webui_facts.py 0.12.4`` absorbs that release; ``--again`` reads it anew where the table has it.

pip downloads the wheel, and nothing of it is run: the names are those that its Python source asks the environment for.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FACTS = ROOT / "module_utils" / "gpuchat" / "chat" / "facts" / "open_webui.py"
PACKAGE = "open_webui/"
READS = ("os.getenv", "os.environ.get", "getenv", "environ.get")
HEADER = '''\
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Made by tools/open_webui_facts.py from the packages that RELEASES names; not to be edited by hand.
"""What Open WebUI reads of its environment, by version."""

from __future__ import annotations

# fmt: off
# Version -> the package that was read, and its SHA-256.
'''
Entries = dict[str, str]
"""The variables of a release, and the first file in which each is read."""


def version_key(text: str) -> tuple[int, ...]:
    """Return what orders versions: 0.9.6 before 0.12.4."""
    return tuple(int(part) for part in re.findall(r"\d+", text))


def download(version: str, folder: Path) -> Path:
    """Fetch a release's wheel by pip."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", "3.12", "--dest", str(folder), f"open-webui=={version}"]
    subprocess.run(command, check=True)
    return next(folder.glob("open_webui-*.whl"))


def read(package: Path) -> Entries:
    """Return what a wheel's source reads of the environment."""
    found: Entries = {}
    with zipfile.ZipFile(package) as wheel:
        for name in sorted(name for name in wheel.namelist() if name.startswith(PACKAGE) and name.endswith(".py")):
            for variable in variables(ast.parse(wheel.read(name))):
                found.setdefault(variable, name[len(PACKAGE) :])
    return dict(sorted(found.items()))


def variables(tree: ast.Module) -> Iterator[str]:
    """Return the names that a module reads, also by way of functions that it has for that."""
    readers: dict[str, int] = {}
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        parameters = [argument.arg for argument in function.args.args]
        for asked in filter(None, map(_asked, ast.walk(function))):
            if isinstance(asked, ast.Name) and asked.id in parameters:
                readers[function.name] = parameters.index(asked.id)
            elif isinstance(asked, ast.Name):
                # A loop over a dictionary whose keys are the names.
                yield from (text for node in ast.walk(function) if isinstance(node, ast.Dict) for text in _keys(node))
    for node in ast.walk(tree):
        yield from _texts(_asked(node))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in readers:
            yield from _texts(node.args[readers[node.func.id]])


def _asked(node: ast.AST) -> ast.expr | None:
    """Return what a node asks the environment for, or None for any other node."""
    if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in READS:
        return node.args[0]
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and ast.unparse(node.value) == "os.environ":
        return node.slice
    return None


def _texts(node: ast.AST | None) -> list[str]:
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _keys(node: ast.Dict) -> list[str]:
    return [text for key in node.keys for text in _texts(key)]


def known() -> tuple[dict[str, tuple[str, str]], dict[str, Entries]]:
    """Return the releases of the table, and the variables of each."""
    if not FACTS.is_file():
        return {}, {}
    found = importlib.util.spec_from_file_location("open_webui_facts_table", FACTS)
    if found is None or found.loader is None:
        raise SystemExit(f"{FACTS} cannot be read")
    table = importlib.util.module_from_spec(found)
    found.loader.exec_module(table)
    releases: dict[str, tuple[str, str]] = dict(table.RELEASES)
    entries: dict[str, Entries] = {version: {} for version in releases}
    for name, rows in table.ENVIRONMENT.items():
        for first, last, source in rows:
            for version in releases:
                if version_key(first) <= version_key(version) <= version_key(last):
                    entries[version][name] = source
    return releases, entries


def packed(entries: Mapping[str, Entries]) -> dict[str, list[tuple[str, str, str]]]:
    """Return each variable with the ranges of releases in which it is read."""
    order = sorted(entries, key=version_key)
    rows: dict[str, list[tuple[str, str, str]]] = {}
    for name in sorted({name for one in entries.values() for name in one}):
        for before, version in zip([None, *order[:-1]], order, strict=True):
            source = entries[version].get(name)
            if source is None:
                continue
            row = rows.setdefault(name, [])
            if row and row[-1][1] == before and row[-1][2] == source:
                row[-1] = (row[-1][0], version, source)
            else:
                row.append((version, version, source))
    return rows


def write(releases: Mapping[str, tuple[str, str]], entries: Mapping[str, Entries]) -> None:
    """Write the table."""
    lines = ["RELEASES: dict[str, tuple[str, str]] = {"]
    for version in sorted(releases, key=version_key):
        name, digest = releases[version]
        lines += [f"    {json.dumps(version)}: (", *(f"        {json.dumps(one)}," for one in (name, digest)), "    ),"]
    lines += ["}", "", "# Variable -> first release, last release, the file that reads it."]
    lines.append("ENVIRONMENT: dict[str, tuple[tuple[str, str, str], ...]] = {")
    for name, rows in packed(entries).items():
        row = ", ".join(f"({', '.join(map(json.dumps, one))})" for one in rows)
        lines.append(f"    {json.dumps(name)}: ({row},),")
    FACTS.parent.mkdir(exist_ok=True)
    FACTS.write_text(HEADER + "\n".join([*lines, "}"]) + "\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Absorb releases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="+", help="releases to absorb")
    parser.add_argument("--again", action="store_true", help="also those that the table has")
    parser.add_argument("--packages", type=Path, help="a folder with the wheels, in place of a download")
    options = parser.parse_args(arguments)
    releases, entries = known()
    for version in options.versions:
        if version in releases and not options.again:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            have = sorted(options.packages.glob(f"open_webui-{version}-*.whl")) if options.packages else []
            package = have[0] if have else download(version, Path(scratch))
            entries[version] = read(package)
            releases[version] = (package.name, hashlib.sha256(package.read_bytes()).hexdigest())
        print(f"{version}: {len(entries[version])} variables", flush=True)
    write(releases, entries)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
