# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the tables flags, architectures and versions of ``module_utils/gpuchat/vllm/facts/`` from vLLM's own packages.

``python tools/vllm_facts.py`` absorbs every release since 0.8.0 that PyPI has and the tables lack;
``python tools/vllm_facts.py 0.34.0`` absorbs that one; ``--again`` reads those anew that are known already.
``python tools/vllm_facts.py --check``, run by the Python of a vLLM, compares its parser with the table.

Nothing of a package is built: pip downloads it, and what is needed of it is read as text, but for the modules that make
the parser (see ``vllm_parser.py``). A release without a source distribution is read from its wheel, which lacks what
is said about the image; that is then taken from its neighbours where they agree.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FACTS = ROOT / "module_utils" / "gpuchat" / "vllm" / "facts"
OLDEST = (0, 8)
WIDTH = 118
HEADER = """\
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Made by tools/vllm_facts.py from the packages that RELEASES names in versions.py; not to be edited by hand.
"""

# What a table is for, and the file in which it stands. Each is key -> ((first version, last version, value), ...).
TABLES = {
    "FLAGS": (
        "flags",
        "Arguments of ``vllm serve``: kind, default, choices, whether other values pass too, other names, deprecated.",
    ),
    "ARCHITECTURES": ("architectures", "Model architectures in the registry, and what they are for."),
    "TOOL_PARSERS": ("versions", "Values of --tool-call-parser."),
    "REASONING_PARSERS": ("versions", "Values of --reasoning-parser."),
    "TEMPLATES": ("versions", "Chat templates among the examples in the image."),
    "METRICS": (
        "versions",
        "Prometheus metrics of the V1 engine, without the ``vllm:`` before them, and their type.",
    ),
    "QUANTIZATIONS": ("versions", "Values of --quantization, plugins aside."),
    "CAPABILITIES": (
        "versions",
        "Lowest compute capability (times ten) by method of quantization, or by class of a scheme within one.",
    ),
    "IMAGE": ("versions", "What the Dockerfile and the requirements say."),
    "DEFAULTS": ("versions", "What no argument's own default says."),
}
DOCS = {
    "flags": "What ``vllm serve`` takes, by version.",
    "architectures": "Which model architectures vLLM knows, by version.",
    "versions": "Releases of vLLM, and what changed between them.",
}
Table = dict[str, Any]


def version_key(text: str) -> tuple[int, ...]:
    """Return what orders versions: 0.10.1 before 0.10.1.1, 0.8.5 before 0.8.5.post1."""
    return tuple(int(part) for part in re.findall(r"\d+", text))


# --- The package ---


def _stub_backend(folder: Path) -> None:
    """Write a build backend that only hands on a package's own metadata, so that pip need not build to download."""
    (folder / "setuptools").mkdir()
    (folder / "setuptools" / "__init__.py").touch()
    (folder / "setuptools" / "build_meta.py").write_text(
        "import os, shutil\n"
        "def get_requires_for_build_wheel(config_settings=None):\n"
        "    return []\n"
        "def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):\n"
        "    os.makedirs(os.path.join(metadata_directory, 'vllm.dist-info'))\n"
        "    shutil.copy('PKG-INFO', os.path.join(metadata_directory, 'vllm.dist-info', 'METADATA'))\n"
        "    return 'vllm.dist-info'\n"
    )


def download(version: str, folder: Path) -> Path:
    """Fetch a release by pip: its source distribution, else its wheel."""
    with tempfile.TemporaryDirectory() as backend:
        _stub_backend(Path(backend))
        common = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "--dest", str(folder)]
        source = ["--no-binary", "vllm", "--no-build-isolation", "--ignore-requires-python"]
        wheel = ["--only-binary", ":all:"]
        for system in ("manylinux_2_31_x86_64", "manylinux_2_35_x86_64", "manylinux_2_28_x86_64", "manylinux1_x86_64"):
            wheel += ["--platform", system]
        errors = ""
        for way in (source, wheel):
            done = subprocess.run(
                [*common, *way, f"vllm=={version}"],
                env={**os.environ, "PYTHONPATH": backend},
                capture_output=True,
                text=True,
                check=False,
            )
            found = sorted(folder.glob(f"vllm-{version}[.-]*"))
            if done.returncode == 0 and found:
                return found[0]
            errors += done.stderr
    raise SystemExit(f"pip did not get vllm {version}:\n{errors}")


def releases() -> list[str]:
    """Return the releases that the index has, oldest first."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "index", "versions", "vllm"], capture_output=True, text=True, check=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("Available versions:"))
    found = [version.strip() for version in line.partition(":")[2].split(",")]
    return sorted((version for version in found if version_key(version) >= OLDEST), key=version_key)


def unpack(package: Path, folder: Path) -> Path:
    """Unpack what is read of a package, and return the folder that holds ``vllm/``."""
    wanted = re.compile(
        r"(vllm/.*\.py|examples/tool_chat_[^/]*\.jinja|docker/Dockerfile|requirements/cuda\.txt|Dockerfile)"
    )
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            wheel.extractall(folder, [name for name in wheel.namelist() if wanted.fullmatch(name)])
        return folder
    with tarfile.open(package) as source:
        for member in source:
            if wanted.fullmatch(member.name.partition("/")[2]):
                source.extract(member, folder, filter="data")
    return next(folder.glob("vllm-*"))


# --- What is read of it ---


def trees(*places: Path) -> Iterator[ast.Module]:
    """Parse Python files: those named, and all within the folders named."""
    for place in places:
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place] if place.is_file() else []:
            yield ast.parse(file.read_text(encoding="utf-8"))


def texts(node: ast.AST | None) -> list[str]:
    """Return the text, or the texts of a list, that a node is."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.List | ast.Tuple):
        return [text for item in node.elts for text in texts(item)]
    return []


def registered(places: Sequence[Path]) -> list[str]:
    """Return the names by which parsers are registered: by a decorator, or in a table of lazy ones."""
    names: set[str] = set()
    for tree in trees(*places):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in ("register_module", "register_lazy_module"):
                    named = [keyword.value for keyword in node.keywords if keyword.arg == "name"]
                    names.update(text for value in [*node.args[:1], *named] for text in texts(value))
            elif assigned_name(node).endswith("_PARSERS_TO_REGISTER"):
                names.update(dictionary(getattr(node, "value", None)))
    return sorted(names)


def dictionary(node: ast.AST | None) -> dict[str, ast.expr]:
    """Return the entries of a dictionary whose keys are texts; empty for any other node."""
    if not isinstance(node, ast.Dict):
        return {}
    return {text: value for key, value in zip(node.keys, node.values, strict=True) for text in texts(key)}


def assigned_name(node: ast.AST) -> str:
    """Return the name that a statement gives a value to, or an empty text."""
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return target.id if isinstance(target, ast.Name) else ""


KINDS = {
    "_TEXT_GENERATION_MODELS": "text",
    "_MULTIMODAL_MODELS": "multimodal",
    "_SPECULATIVE_DECODING_MODELS": "draft",
    "_TRANSFORMERS_SUPPORTED_MODELS": "text",
    "_TRANSFORMERS_BACKEND_MODELS": "transformers",
    "_TRANSFORMERS_MODELS": "transformers",
}


def architectures(sources: Path) -> Table:
    """Return each architecture of the model registry with its kind; all that do not generate are ``pooling``."""
    found: dict[str, str] = {}
    for tree in trees(sources / "vllm/model_executor/models/registry.py"):
        for node in tree.body:
            table = assigned_name(node)
            if re.fullmatch(r"_(?!PREVIOUSLY|OOT|VLLM)[A-Z_]*MODELS", table):
                for name in dictionary(getattr(node, "value", None)):
                    if found.get(name, "pooling") == "pooling":
                        found[name] = KINDS.get(table, "pooling")
    return found


def metrics(sources: Path) -> Table:
    """Return the V1 engine's metrics with their type."""
    found: dict[str, str] = {}
    for tree in trees(sources / "vllm/v1"):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            kind = re.search(r"counter|gauge|histogram", name, re.IGNORECASE)
            values = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "name")]
            for text in (text for value in values for text in texts(value)):
                if re.fullmatch(r"vllm:[a-z0-9_]+", text):
                    found[text[5:]] = kind.group(0).lower() if kind else found.get(text[5:], "gauge")
    return found


def _returned(body: Iterable[ast.stmt]) -> object:
    """Return the constant that a method gives, or None."""
    for node in body:
        if isinstance(node, ast.Return) and node.value is not None:
            try:
                return ast.literal_eval(node.value)
            except ValueError:
                return None
    return None


class Classes:
    """The classes of some files, and what their methods give."""

    def __init__(self, folder: Path) -> None:
        self.bases: dict[str, list[str]] = {}
        self.methods: dict[str, dict[str, object]] = {}
        for tree in trees(folder):
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    functions = [item for item in node.body if isinstance(item, ast.FunctionDef)]
                    self.bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]
                    self.methods[node.name] = {item.name: _returned(item.body) for item in functions}

    def gives(self, name: str, method: str) -> object:
        """Return the constant that a class's method gives, its own or an inherited one; None without one."""
        own = self.methods.get(name, {}).get(method)
        inherited = (self.gives(base, method) for base in self.bases.get(name, []))
        return own if own is not None else next((value for value in inherited if value is not None), None)


def capabilities(sources: Path) -> Table:
    """Return the lowest compute capability by method of quantization (and by class of a scheme)."""
    folder = sources / "vllm/model_executor/layers/quantization"
    classes = Classes(folder)
    named = {name: name for name in classes.bases if SCHEME.match(name)}
    for tree in trees(folder / "__init__.py"):
        for node in ast.walk(tree):
            named.update({key: value.id for key, value in dictionary(node).items() if isinstance(value, ast.Name)})
    found = {name: classes.gives(owner, "get_min_capability") for name, owner in named.items()}
    return {name: value for name, value in found.items() if isinstance(value, int)}


SCHEME = re.compile(r"CompressedTensors[W0-9]|QuarkW|QuarkOCP|QuarkNV")


def quantizations(sources: Path) -> Table:
    """Return the methods that --quantization takes."""
    for tree in trees(sources / "vllm/model_executor/layers/quantization/__init__.py"):
        for node in tree.body:
            if assigned_name(node) in ("QuantizationMethods", "QUANTIZATION_METHODS"):
                value = getattr(node, "value", None)
                found = texts(value.slice if isinstance(value, ast.Subscript) else value)
                if found:
                    return dict.fromkeys(found)
    raise SystemExit("no methods of quantization were found")


def image(sources: Path) -> Table:
    """Return what the published image is built of; empty where the package does not say."""
    found: Table = {}
    dockerfile = sources / "docker" / "Dockerfile"
    if not dockerfile.exists():
        dockerfile = sources / "Dockerfile"
    if dockerfile.exists():
        text = dockerfile.read_text(encoding="utf-8")
        for key, pattern in (
            ("cuda", r"^ARG CUDA_VERSION=([\d.]+)"),
            ("compute", r"^ARG torch_cuda_arch_list='([^']+)'"),
            ("python", r"^ARG PYTHON_VERSION=([\d.]+)"),
        ):
            match = re.search(pattern, text, re.MULTILINE)
            if match:
                found[key] = match.group(1)
        entry = re.findall(r"^ENTRYPOINT \[(.*)\]", text, re.MULTILINE)
        serving = [line.replace('"', "").replace(",", "") for line in entry if "vllm" in line and ".sh" not in line]
        if serving:
            found["entrypoint"] = serving[-1]
        found["cuda_compatibility"] = "VLLM_ENABLE_CUDA_COMPATIBILITY" in text
        found["compatibility_forced"] = "ld.so.conf.d/cuda-compat.conf" in text
    requirements = sources / "requirements" / "cuda.txt"
    if requirements.exists():
        text = requirements.read_text(encoding="utf-8")
        torch = re.search(r"^torch\s*==\s*([\d.]+)", text, re.MULTILINE)
        if torch:
            found["torch"] = torch.group(1)
        found["ray"] = bool(re.search(r"^ray\b", text, re.MULTILINE))
    return found


def _number(node: ast.AST | None) -> int | None:
    """Return the whole number that a node is, as products of numbers may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    return None


def _served(node: ast.AST) -> int | None:
    """Return what a default is for the server: the number, or the entry for it in a table by usage."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Attribute) and key.attr == "OPENAI_API_SERVER":
                return _number(value)
    return _number(node)


def batch_tiers(sources: Path) -> list[list[Any]]:
    """Return the defaults by GPU, the first that fits counts.

    Each is the memory in GiB from which it counts, the GPUs for which alone it does, the GPUs for which it does not,
    max_num_batched_tokens, and max_num_seqs.
    """
    tiers: list[list[Any]] = []

    def assigned(body: list[ast.stmt]) -> dict[str, int | None]:
        return {
            node.targets[0].id: _served(node.value)
            for node in body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }

    def collect(node: ast.If) -> None:
        test = ast.unparse(node.test)
        memory = re.search(r"device_memory >= (\d+) \* GiB_bytes", test)
        only = re.findall(r"'(\w+)' in device_name", test)
        if not memory and not only:
            return
        without = re.findall(r"'(\w+)' not in device_name", test) + (["gb10"] if "is_gb10" in test else [])
        batch = "default_max_num_batched_tokens", "default_max_num_seqs"
        tiers.append([int(memory.group(1)) if memory else 0, only, without, *map(assigned(node.body).get, batch)])
        if len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
            collect(node.orelse[0])
        else:
            tiers.append([0, [], [], *map(assigned(node.orelse).get, batch)])

    everywhere: dict[str, int | None] = {}  # 0.8.0 to 0.8.4 have one number of sequences for all
    for tree in trees(sources / "vllm/engine/arg_utils.py"):
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and not tiers:
                collect(node)
            elif isinstance(node, ast.FunctionDef):
                everywhere.update({name: value for name, value in assigned(node.body).items() if value})
    for tier in tiers:
        tier[4] = tier[4] or everywhere["default_max_num_seqs"]
    return tiers


def environment_default(sources: Path, name: str) -> object:
    """Return the default of one of vLLM's environment variables, or None where it is not known."""
    for tree in trees(sources / "vllm/envs.py"):
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
                return ast.literal_eval(node.value) if node.value is not None else None
    return None


def engines(sources: Path) -> str:
    """Return which engines a version has: V0 and V1, or V1 alone."""
    text = (sources / "vllm/engine/llm_engine.py").read_text(encoding="utf-8")
    return "v1" if "vllm.v1.engine.llm_engine" in text and len(text) < 2000 else "v0 v1"


def flag_specification(flag: dict[str, Any]) -> tuple[Any, ...]:
    """Return a flag as the table has it; see TABLES."""
    kind = re.sub(r" \(.*\)$", "", flag["type"])
    if kind != flag["type"] and flag["dest"].endswith("_config"):
        kind = "json or str"  # made by a function of the configuration's own
    names = [option[2:] for option in flag["options"] if option.startswith("--")]
    if flag["action"] == "_StoreTrueAction":
        kind = "switch"
    elif flag["action"] == "StoreBoolean":
        kind = "bool value"
    elif flag["action"].endswith("AppendAction") or flag["nargs"] == "+":
        kind = f"list of {kind}"
    elif flag["nargs"] == "?":
        kind = f"optional {kind}"
    choices = [choice for choice in flag["choices"] or flag["suggested"] or () if choice is not None]
    full = [
        kind,
        flag["default"],
        tuple(sorted(choices, key=lambda choice: (isinstance(choice, str), choice))),
        bool(choices) and not flag["choices"],
        tuple(name for name in names[1:] if not name.startswith("no-")),
        flag["deprecated"],
    ]
    while len(full) > 1 and full[-1] in (None, (), False) and (len(full) > 2 or full[-1] is None):
        full.pop()
    return tuple(full)


def parser_flags(sources: Path | None) -> Table:
    """Return the arguments of ``vllm serve``, of sources or of the installed vLLM."""
    command = [sys.executable, str(Path(__file__).with_name("vllm_parser.py")), *([str(sources)] if sources else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the parser could not be built:\n{done.stderr[-3000:]}")
    flags = json.loads(done.stdout[done.stdout.index("{\n") :])
    return {name: flag_specification(flag) for name, flag in flags.items()}


def tool_parsers(sources: Path) -> Table:
    """Return the tool parsers."""
    return dict.fromkeys(registered([sources / "vllm/entrypoints/openai/tool_parsers", sources / "vllm/tool_parsers"]))


def reasoning_parsers(sources: Path) -> Table:
    """Return the reasoning parsers."""
    return dict.fromkeys(
        registered([sources / "vllm/entrypoints/openai/reasoning_parsers", sources / "vllm/reasoning"])
    )


READERS: dict[str, Callable[[Path], Table]] = {
    "FLAGS": parser_flags,
    "ARCHITECTURES": architectures,
    "TOOL_PARSERS": tool_parsers,
    "REASONING_PARSERS": reasoning_parsers,
    "TEMPLATES": lambda sources: dict.fromkeys(file.name for file in sources.glob("examples/tool_chat_*.jinja")),
    "METRICS": metrics,
    "QUANTIZATIONS": quantizations,
    "CAPABILITIES": capabilities,
    "IMAGE": image,
    "DEFAULTS": lambda sources: {
        "batch": batch_tiers(sources),
        "engines": engines(sources),
        "estimate_cuda_graphs": environment_default(sources, "VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS"),
    },
}


def read(package: Path) -> dict[str, Table]:
    """Read one package into all tables."""
    with tempfile.TemporaryDirectory() as folder:
        sources = unpack(package, Path(folder))
        return {table: reader(sources) for table, reader in READERS.items()}


# --- The tables ---


def frozen(value: Any) -> Any:
    """Return a value as the tables have it: tuples for lists."""
    return tuple(frozen(item) for item in value) if isinstance(value, list | tuple) else value


def packed(by_version: dict[str, Table]) -> Table:
    """Turn version -> key -> value into key -> ((first, last, value), ...); the newest version's last is empty."""
    versions = sorted(by_version, key=version_key)
    rows: dict[str, list[list[Any]]] = {}
    for position, version in enumerate(versions):
        for key, value in by_version[version].items():
            had = rows.setdefault(key, [])
            if had and had[-1][1] == position - 1 and had[-1][2] == frozen(value):
                had[-1][1] = position
            else:
                had.append([position, position, frozen(value)])
    newest = len(versions) - 1
    return {
        key: tuple(
            (versions[first], "" if last == newest else versions[last], value) for first, last, value in rows[key]
        )
        for key in sorted(rows)
    }


def unpacked(table: Table, versions: Sequence[str]) -> dict[str, Table]:
    """Undo ``packed``."""
    order = sorted(versions, key=version_key)
    found: dict[str, Table] = {version: {} for version in order}
    for key, rows in table.items():
        for first, last, value in rows:
            for version in order[order.index(first) : order.index(last) + 1 if last else None]:
                found[version][key] = value
    return found


def known() -> tuple[dict[str, tuple[str, str]], dict[str, dict[str, Table]]]:
    """Return the releases in the tables, and table -> version -> key -> value."""
    modules: dict[str, dict[str, Any]] = {}
    for name in DOCS:
        file = FACTS / f"{name}.py"
        modules[name] = {}
        if file.exists():
            exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), modules[name])
    sources: dict[str, tuple[str, str]] = modules["versions"].get("RELEASES", {})
    return sources, {
        table: unpacked(modules[file].get(table, {}), list(sources)) for table, (file, _doc) in TABLES.items()
    }


def write(sources: dict[str, tuple[str, str]], tables: dict[str, dict[str, Table]]) -> None:
    """Write the generated modules."""
    for file, doc in DOCS.items():
        parts = [HEADER, f'"""{doc}"""\n\nfrom __future__ import annotations\n\n# fmt: off\n']
        if file == "versions":
            ordered = {version: sources[version] for version in sorted(sources, key=version_key)}
            parts.append("# Version -> the package that was read, and its SHA-256.\n")
            parts.append(f"RELEASES: dict[str, tuple[str, str]] = {_literal(ordered)}\n")
        for table, (where, about) in TABLES.items():
            if where == file:
                parts.append(f"\n# {about}\n{table}: dict[str, tuple[tuple[str, str, object], ...]] = ")
                parts.append(f"{_literal(packed(tables[table]))}\n")
        (FACTS / f"{file}.py").write_text("".join(parts).rstrip() + "\n", encoding="utf-8")


def python(value: Any) -> str:
    """Return a value as a Python literal, with double quotes."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(python, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(python, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{python(key)}: {python(item)}" for key, item in value.items()) + "}"
    return repr(value)


def _literal(value: Table) -> str:
    """Return a table as Python: a key a line, a row a line where a key's rows are long."""
    lines: list[str] = []
    for key, item in value.items():
        whole = f"    {python(key)}: {python(item)},"
        if len(whole) <= WIDTH:
            lines.append(whole)
            continue
        lines.append(f"    {python(key)}: (")
        for row in item:
            lines += _wrapped(f"{python(row)},")
        lines.append("    ),")
    return "\n".join(["{", *lines, "}"])


NAMES = re.compile(r'\((?:"(?:[^"\\]|\\.)*"(?:, |,|(?=\))))+\)')


def _wrapped(text: str) -> list[str]:
    """Break a row that is too long inside its longest tuple of texts, as a hanging indent."""
    if len(text) + 8 <= WIDTH:
        return [" " * 8 + text]
    longest = max(NAMES.finditer(text), key=lambda found: len(found[0]))
    lines = [" " * 8 + text[: longest.start() + 1], " " * 12]
    for word in re.findall(r'"(?:[^"\\]|\\.)*"', longest[0]):
        if len(lines[-1]) + len(word) + 1 > WIDTH:
            lines[-1] = lines[-1].rstrip()
            lines.append(" " * 12)
        lines[-1] += f"{word}, "
    lines[-1] = lines[-1].rstrip()
    return [*lines, " " * 8 + text[longest.end() - 1 :]]


def fill_from_neighbours(entries: dict[str, Table], wheels: set[str]) -> None:
    """Give a release that was read from a wheel what both of its neighbours have in common."""
    order = sorted(entries, key=version_key)
    whole = [version for version in order if version not in wheels]
    for version in wheels:
        before = [other for other in whole if version_key(other) < version_key(version)]
        after = [other for other in whole if version_key(other) > version_key(version)]
        if before and after:
            older, newer = entries[before[-1]], entries[after[0]]
            entries[version] = {key: value for key, value in older.items() if newer.get(key, ...) == value}


BY_PLATFORM = {"mm-processor-device"}  # its choices name the platform's own device


def compared(name: str, flag: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """Return what counts of a flag: choices that are mere suggestions do not, nor do those that a platform makes."""
    if flag is None:
        return None
    rest: list[Any] = [None, (), False, (), False]
    kind, default, choices, more, aliases, deprecated = [*flag, *rest[len(flag) - 1 :]]
    return kind, default, () if more or name in BY_PLATFORM else choices, aliases, deprecated


def check() -> int:
    """Compare the installed vLLM's parser with the table; 0 when they agree."""
    version = metadata.version("vllm").partition("+")[0]
    _sources, tables = known()
    table = tables["FLAGS"].get(version)
    if table is None:
        raise SystemExit(f"the tables do not have vllm {version}: run tools/vllm_facts.py {version}")
    real = {name: frozen(value) for name, value in parser_flags(None).items()}
    wrong = []
    for name in sorted({*table, *real}):
        ours, theirs = (compared(name, flags.get(name)) for flags in (table, real))
        if ours != theirs:
            wrong.append(f"{name}\n  table:  {ours}\n  parser: {theirs}")
    print("\n".join([*wrong, f"vllm {version}: {len(real)} flags, {len(wrong)} differ"]))
    return 1 if wrong else 0


def main(arguments: Sequence[str]) -> int:
    """Absorb releases, or check the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", help="releases to absorb; none: all that the tables lack")
    parser.add_argument("--again", action="store_true", help="also those that the tables have")
    parser.add_argument("--packages", type=Path, help="a folder in which packages are kept between runs")
    parser.add_argument("--check", action="store_true", help="compare the table with the installed vLLM's parser")
    options = parser.parse_args(arguments)
    if options.check:
        return check()
    sources, tables = known()
    wanted = options.versions or releases()
    for version in sorted(wanted, key=version_key):
        if version in sources and not options.again:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            folder = options.packages or Path(scratch)
            have = sorted(folder.glob(f"vllm-{version}[.-]*")) if options.packages else []
            exact = [file for file in have if re.match(rf"vllm-{re.escape(version)}(-|\.tar)", file.name)]
            package = exact[0] if exact else download(version, folder)
            for table, entries in read(package).items():
                tables[table][version] = entries
            sources[version] = (package.name, hashlib.sha256(package.read_bytes()).hexdigest())
        print(f"{version}: {len(tables['FLAGS'][version])} flags", flush=True)
    wheels = {version for version, (name, _digest) in sources.items() if name.endswith(".whl")}
    for table in ("IMAGE", "TEMPLATES"):
        fill_from_neighbours(tables[table], wheels)
    write(sources, tables)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
