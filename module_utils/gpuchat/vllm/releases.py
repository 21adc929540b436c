# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions of vLLM, and what each knows: parsers, methods of quantization, architectures, names of metrics.

The tables are generated (``tools/vllm_facts.py``); a version that is newer than them is judged by the newest in them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..core import names
from ..core.errors import Refusal
from .facts import architectures as vllm_architectures
from .facts import versions

Table = Mapping[str, tuple[tuple[str, str, object], ...]]

OLDEST = (0, 8, 0)


@dataclass(frozen=True)
class Release:
    """The version by whose table a wanted version is judged; ``warning`` says so where they differ."""

    version: str
    warning: str = ""


def parse_version(text: str) -> tuple[int, ...]:
    """Return a version or an image's tag as numbers: ``v0.10.1.1-cu129`` becomes (0, 10, 1, 1).

    Raises:
        Refusal: it names no version, as ``latest`` does.
    """
    match = re.fullmatch(r"v?(\d+(?:\.\d+)+)(?:\.?post(\d+))?(?:[-+.a-z].*)?", text.strip())
    if match is None:
        raise Refusal(
            f"found {text!r} where a version of vLLM such as 0.32.0 is wanted; set vllm_version to a released version"
        )
    numbers = [int(part) for part in match.group(1).split(".")]
    numbers += [0] * (3 - len(numbers)) + ([int(match.group(2))] if match.group(2) else [])
    return tuple(numbers)


def behaves_like(version: str) -> tuple[int, ...]:
    """Return the release whose rules a version follows: a build from source on the way to X is what came before X.

    Raises:
        Refusal: it names no version.
    """
    number = parse_version(version)
    if "dev" in version and number[2] > 0:
        return (*number[:2], number[2] - 1)
    return number


@functools.cache
def _releases() -> tuple[tuple[tuple[int, ...], str], ...]:
    return tuple(sorted((parse_version(version), version) for version in versions.RELEASES))


@functools.cache
def release(version: str) -> Release:
    """Return the release in the tables that is this version, or the nearest older one.

    Raises:
        Refusal: no version, or one older than 0.8.
    """
    wanted = parse_version(version)
    if wanted < OLDEST:
        raise Refusal(f"found vLLM {version}; versions from 0.8.0 on are served; set vllm_version to one of them")
    numbers, found = max(entry for entry in _releases() if entry[0] <= wanted)
    if numbers == wanted:
        return Release(found)
    newest = _releases()[-1][1]
    return Release(
        found, f"vLLM {version} is not in the tables, whose newest is {newest}; it was judged as if it were {found}"
    )


def at(table: Table, version: str) -> dict[str, object]:
    """Return what a table says for a version: key to value."""
    wanted = parse_version(release(version).version)
    return {
        key: value
        for key, rows in table.items()
        for first, last, value in rows
        if _number(first) <= wanted and (not last or wanted <= _number(last))
    }


@functools.cache
def _number(version: str) -> tuple[int, ...]:
    return parse_version(version)


def span(table: Table, key: str) -> tuple[str, str]:
    """Return the first and the last version that have a key; the last is empty where the newest has it."""
    rows = table[key]
    return rows[0][0], rows[-1][1]


def known_since(table: Table, key: str, version: str) -> str:
    """Say when a key was there, for a message about a version that lacks it; empty when no version has it."""
    if key not in table:
        return ""
    first, last = span(table, key)
    if parse_version(version) < _number(first):
        return f"it came with {first}"
    return f"{last} was the last version with it" if last else f"it is known since {first}"


@functools.cache
def tool_parsers(version: str) -> tuple[str, ...]:
    """Return the values of --tool-call-parser that a version knows."""
    return tuple(at(versions.TOOL_PARSERS, version))


@functools.cache
def reasoning_parsers(version: str) -> tuple[str, ...]:
    """Return the values of --reasoning-parser that a version knows."""
    return tuple(at(versions.REASONING_PARSERS, version))


@functools.cache
def quantizations(version: str) -> tuple[str, ...]:
    """Return the methods of quantization that a version knows without plugins."""
    return tuple(at(versions.QUANTIZATIONS, version))


@functools.cache
def architectures(version: str) -> Mapping[str, str]:
    """Return the model architectures that a version knows, and what each is for.

    That is ``text``, ``multimodal``, ``pooling``, ``draft`` (for speculative decoding) or ``transformers``.
    """
    return MappingProxyType({name: str(kind) for name, kind in at(vllm_architectures.ARCHITECTURES, version).items()})


RENAMED_METRICS = {
    # The name of today -> what it was called before.
    "kv_cache_usage_perc": "gpu_cache_usage_perc",
    "prefix_cache_queries": "gpu_prefix_cache_queries",
    "prefix_cache_hits": "gpu_prefix_cache_hits",
    "inter_token_latency_seconds": "time_per_output_token_seconds",
}


def metric(name: str, version: str) -> str:
    """Return a metric's name as a version's ``/metrics`` shows it.

    Args:
        name: as the newest version calls it, without ``vllm:`` and without the ``_total`` of counters.
        version: of vLLM.

    Raises:
        Refusal: the version has no such metric under any name.
    """
    kinds = at(versions.METRICS, version)
    for candidate in (name, f"{name}_total", RENAMED_METRICS.get(name, name)):
        if candidate in kinds:
            total = kinds[candidate] == "counter" and not candidate.endswith("_total")
            return f"vllm:{candidate}{'_total' if total else ''}"
    history = known_since(versions.METRICS, name, release(version).version)
    raise Refusal(
        f"found no metric {name} in vLLM {version}{f' ({history})' if history else names.did_you_mean(name, kinds)}"
    )
