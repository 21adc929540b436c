# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a host's state as metrics into a file that node_exporter shows: once, for a timer starts it again and again.

It reads and changes nothing else, takes a bounded time, and leaves the file whole or as it was.
"""

from __future__ import annotations

import datetime
import glob
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..core import host
from ..engines.engines import described
from ..gpu import figures_runner
from ..gpu.figures import Figures
from ..survey import expectations, findings, reading_runner
from ..survey.types import ENGINES, Answer, Expected
from ..system import files, files_runner
from . import state, textfile

SECONDS = 20.0
"""How long the survey's reading may take, and the GPUs beside it."""

DESCRIBED = (".service", ".container", "/compose.yml")
"""How the names of files end that say what an engine runs with."""

GPUS, READING = "gpus", "reading"


def main(words: Sequence[str]) -> int:
    """Write the file that a configuration names."""
    known = host.read_json(words[0])
    with_toolbox(str(known.get("toolbox") or ""))
    path, now = str(known["file"]), datetime.datetime.now(datetime.timezone.utc)
    host.write_atomically(path, text(known, now).encode(), 0o644, 0, 0)
    return 0


def with_toolbox(folder: str) -> None:
    """Have Python find the toolbox's libraries too, where there is one of this very version of Python."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    sys.path += glob.glob(f"{folder}/lib/{version}/site-packages") if folder else []


def text(known: Mapping[str, Any], now: datetime.datetime) -> str:
    """Return the metrics.

    Args:
        known: what the role has written.
        now: the present time.
    """
    seconds = float(known.get("seconds") or SECONDS)
    parts = {
        READING: lambda: reading_runner.read({"seconds": seconds, "models": ()}),
        GPUS: lambda: [vars(one) for one in figures_runner.read()],
    }
    answers, _problems = reading_runner.together(parts, seconds + 5)
    reading = answers[READING]
    gpus = [Figures(**one) for one in answers[GPUS]] if GPUS in answers else None
    surveyed = findings.examine(expected(known), Answer("done", reading), now)
    return textfile.exposition(state.families(reading, gpus, places(), surveyed.findings, time.time()))


def expected(known: Mapping[str, Any]) -> Expected:
    """Return what this host should be, as far as the role has written that."""
    words = (str(known["host"]), known.get("groups", ()), known.get("given", {}), known.get("engines", ()))
    return replace(expectations.expect(*words), monitored=True)


def places() -> set[str]:
    """Return what the engines of this host take memory of."""
    found: set[str] = set()
    for name, manifest in files_runner.manifests().items():
        for path in files.owned_paths(manifest) if name.startswith(ENGINES) else ():
            if path.endswith(DESCRIBED):
                words = pathlib.Path(path).read_text("utf-8", errors="replace") if pathlib.Path(path).exists() else ""
                found |= set(described(name, words).places) if words else set()
    return found
