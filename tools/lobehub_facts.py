# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the tables of ``module_utils/gpuchat/chat/facts/lobehub.py`` from LobeHub's own source.

``python tools/lobehub_facts.py`` reads the npm package, which it downloads; with ``FOLDER`` behind it, that folder of
the unpacked source. npm has one version alone: what could be read of newer ones, file by file, was written down in
``lobehub_read.json``, and is told apart in the tables.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FACTS = ROOT / "module_utils" / "gpuchat" / "chat" / "facts" / "lobehub.py"
READ = Path(__file__).with_name("lobehub_read.json")
PACKAGE = "@lobehub/lobehub"
VERSION = "2.1.26"
PLACES = ("src", "packages", "scripts/_shared", "scripts/serverLauncher", "scripts/migrateServerDB")
LEFT_OUT = re.compile(r"(\.(test|spec)\.|/__tests__/|/__mocks__/|/electron-|/desktop/|\.d\.ts$)")
NAME = re.compile(r"process\.env(?:\?)?(?:\.([A-Z][A-Z0-9_]+)|\[\s*['\"]([A-Z][A-Z0-9_]+)['\"]\s*\])")
IMAGE = re.compile(r"\b([A-Z][A-Z0-9_]+)=\"")
MODEL_PROVIDER = re.compile(r"= '([a-z0-9]+)'")
NODE = (
    "DEBUG", "HOSTNAME", "HTTP_PROXY", "HTTPS_PROXY", "KEEP_ALIVE_TIMEOUT", "LANG", "LC_ALL", "NEXT_TELEMETRY_DISABLED",
    "NODE_ENV", "NODE_EXTRA_CA_CERTS", "NODE_OPTIONS", "NODE_TLS_REJECT_UNAUTHORIZED", "NO_PROXY", "PORT",
    "SSL_CERT_FILE", "TZ",
)  # fmt: skip
HEADER = '''\
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Made by tools/lobehub_facts.py from what RELEASES names; not to be edited by hand.
"""What LobeHub reads of its environment, by version."""

from __future__ import annotations

# fmt: off
'''


TABLES = {
    "RELEASES": (
        "dict[str, dict[str, object]]",
        "Version -> what was read of it, all or single files; whether it ran.",
    ),
    "ENVIRONMENT": (
        "dict[str, tuple[tuple[str, str, str], ...]]",
        "Variable -> first release, last release, a file that reads it. What no file of a newer one denies goes on.",
    ),
    "REFUSED": ("dict[str, str]", "Variable with which it does not start -> what it reads in its place."),
    "SWITCHES": ("tuple[str, ...]", "Providers of models that are on unless this is 0."),
    "FLAGS": ("tuple[str, ...]", "Feature flags."),
    "PLAIN_SEARCH": ("dict[str, dict[str, str]]", "Release -> what makes search need no extension from it on."),
    "SKIPPED_MIGRATIONS": (
        "dict[str, tuple[str, ...]]",
        "Release -> migrations that, from it on, need an extension and do nothing else.",
    ),
    "EXAMPLES": (
        "dict[str, str]",
        "SHA-256 of a secret that upstream has published (of a JWKS, of its key's n) -> its variable.",
    ),
}
WIDTH = 118


def download(folder: Path) -> Path:
    """Fetch and unpack the npm package by npm."""
    command = ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}", "--pack-destination", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    with tarfile.open(next(folder.glob("*.tgz"))) as package:
        package.extractall(folder, filter="data")
    return folder / "package"


def sources(root: Path) -> Iterator[Path]:
    """Yield the files that the server's image is built from."""
    for place in PLACES:
        for path in sorted((root / place).rglob("*")):
            if path.suffix in {".ts", ".tsx", ".js", ".cjs", ".mjs"} and not LEFT_OUT.search(f"/{path}"):
                yield path


def environment(root: Path) -> dict[str, str]:
    """Return the names that the source reads, each with the first file that does."""
    found: dict[str, str] = {}
    for path in sources(root):
        for match in NAME.finditer(path.read_text(encoding="utf-8", errors="replace")):
            found.setdefault(match[1] or match[2], str(path.relative_to(root)))
    providers = MODEL_PROVIDER.findall((root / "packages/model-bank/src/const/modelProvider.ts").read_text("utf-8"))
    for provider in providers:  # their names are put together there
        found.setdefault(f"{provider.upper()}_MODEL_LIST", "src/server/globalConfig/genServerAiProviderConfig.ts")
        found.setdefault(f"{provider.upper()}_PROXY_URL", "src/server/modules/ModelRuntime/index.ts")
    return {
        **dict.fromkeys(IMAGE.findall((root / "Dockerfile").read_text("utf-8")), "Dockerfile"),
        **dict.fromkeys(NODE, "Node.js"),
        **found,
    }


def refused(root: Path) -> dict[str, str]:
    """Return the names with which it does not start, and what it reads in their place; ``*`` stands for any end."""
    text = (root / "scripts/_shared/checkDeprecatedAuth.js").read_text("utf-8")
    found: dict[str, str] = {}
    blocks = re.split(r"\n  \{\n", text.partition("const DEPRECATED_CHECKS = [")[2].partition("\n];")[0])
    for block in blocks:
        if "severity: 'warning'" in block or "APP_URL" in block.partition("message")[0].replace(
            "NEXT_PUBLIC_APP_URL", ""
        ):
            continue
        instead = dict(re.findall(r"([A-Z][A-Z0-9_]+): '([^']+)'", block))
        instead.update(re.findall(r"'([A-Z][A-Z0-9_]+) → Please use ([A-Z0-9_]+) instead'", block))
        for start in re.findall(r"startsWith\('([A-Z_]+)'\)", block):
            found[f"{start}*"] = ""
        getter = block.partition("getVars")[2].partition("message:")[0]
        for name in re.findall(r"'([A-Z][A-Z0-9_]{4,})'", getter):
            if not any(name == start.rstrip("*") for start in found):
                told = instead.get(name, "")
                found[name] = told if re.fullmatch("[A-Z0-9_]+", told) else ""
    return found


def switches(root: Path) -> tuple[str, ...]:
    """Return the providers that are on although nobody gave them a key; ``0`` turns each off."""
    return tuple(
        sorted(re.findall(r"process\.env\.(ENABLED_\w+) !== '0'", (root / "src/envs/llm.ts").read_text("utf-8")))
    )


def flags(root: Path) -> tuple[str, ...]:
    """Return the feature flags."""
    text = (root / "src/config/featureFlags/schema.ts").read_text("utf-8")
    return tuple(re.findall(r"^  (\w+): FeatureFlagValue\.optional", text, re.MULTILINE))


def examples(root: Path) -> dict[str, str]:
    """Return the SHA-256 of the secrets that upstream has published, and what each is for."""
    found: dict[str, str] = {}
    pattern = re.compile(r"(KEY_VAULTS_SECRET|AUTH_SECRET)=['\"]?([A-Za-z0-9+/=_-]{16,})")
    keys = re.compile(r"JWKS_KEY=.{0,4000}?\"n\":\"([\w-]{100,})")
    places = [path for place in ("docs", "docker-compose", "e2e") for path in sorted((root / place).rglob("*"))]
    for path in [*places, *sorted(root.glob("README*"))]:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for name, value in pattern.findall(text):
            found[_digest(value)] = name
        for value in keys.findall(text):
            found[_digest(value)] = "JWKS_KEY"
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def tables(root: Path, readings: Mapping[str, Any]) -> str:
    """Return the module."""
    version = json.loads((root / "package.json").read_text("utf-8"))["version"]
    known = environment(root)
    releases = {version: {"source": f"npm {PACKAGE}", "read": ("all",), "ran": version == VERSION}}
    names = {name: ((version, "", file),) for name, file in known.items()}
    searches: dict[str, dict[str, str]] = {version: {}}
    skipped: dict[str, tuple[str, ...]] = {version: ()}
    for newer, reading in readings.items():
        releases[newer] = {"source": reading["about"], "read": tuple(reading["read"]), "ran": False}
        for file, read in reading["read"].items():
            for name in read:
                names.setdefault(name, ((newer, "", file),))
        searches[newer], skipped[newer] = reading["plain_search"], tuple(reading["skipped_migrations"])
    ordered = dict(sorted(names.items()))
    values = (
        releases, ordered, refused(root), switches(root), flags(root), searches, skipped, examples(root),
    )  # fmt: skip
    text = HEADER
    for (name, (kind, about)), value in zip(TABLES.items(), values, strict=True):
        text += f"# {about}\n{name}: {kind} = {literal(value)}\n\n"
    return text.rstrip() + "\n"


def literal(value: Any, indent: int = 0, taken: int = 60) -> str:
    """Return a value as Python, on one line where it fits."""
    plain = _plain(value)
    if len(plain) + indent + taken <= WIDTH or not isinstance(value, (dict, tuple)):
        return plain
    margin = " " * (indent + 4)
    if isinstance(value, dict):
        lines = [f"{json.dumps(key)}: {literal(one, indent + 4, len(key) + 6)}" for key, one in value.items()]
        opened, closed = "{}"
    else:
        lines = [literal(one, indent + 4, 2) for one in value]
        opened, closed = "()"
    return opened + "\n" + "".join(f"{margin}{line},\n" for line in lines) + " " * indent + closed


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_plain(key)}: {_plain(one)}" for key, one in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_plain, value)) + ("," if len(value) == 1 else "") + ")"
    return repr(value) if isinstance(value, bool) else json.dumps(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="the unpacked source, instead of a download")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as temporary:
        root = folder or download(Path(temporary))
        FACTS.write_text(tables(root, json.loads(READ.read_text("utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
