# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' text format (exposition format 0.0.4), as programs of ours write what they have counted and measured."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"

Labels = tuple[tuple[str, str], ...]
"""Pairs of name and value."""


@dataclass(frozen=True)
class Sample:
    """A value; ``labels`` are pairs of name and value, and ``suffix`` is what a histogram's parts are called."""

    value: float
    labels: Labels = ()
    suffix: str = ""


@dataclass(frozen=True)
class Family:
    """All samples of one name.

    Attributes:
        kind: gauge, counter or histogram.
    """

    name: str
    help: str
    samples: tuple[Sample, ...]
    kind: str = GAUGE


@dataclass(frozen=True)
class Distribution:
    """How often a value was up to each bound, not cumulative, with one more for what is above all; and the sum."""

    counts: tuple[int, ...]
    sum: float


def family(name: str, words: str, values: Mapping[Labels, float], kind: str = GAUGE) -> Family:
    """Return a family by its values, each under its labels."""
    return Family(name, words, tuple(Sample(value, labels) for labels, value in values.items()), kind)


def single(name: str, words: str, value: float | None, kind: str = GAUGE) -> Family:
    """Return a family of one sample without labels, or of none where the value is not known."""
    return Family(name, words, () if value is None else (Sample(value),), kind)


def histogram(
    name: str,
    words: str,
    bounds: Sequence[float],
    found: Mapping[Labels, Distribution],
) -> Family:
    """Return a histogram with cumulative buckets, as Prometheus takes it."""
    samples: list[Sample] = []
    for labels, one in found.items():
        total = 0
        for bound, count in zip((*bounds, math.inf), one.counts):
            total += count
            samples.append(Sample(total, (*labels, ("le", _number(bound))), "_bucket"))
        samples += [Sample(one.sum, labels, "_sum"), Sample(total, labels, "_count")]
    return Family(name, words, tuple(samples), HISTOGRAM)


def exposition(families: Iterable[Family]) -> str:
    """Return the text; a family without samples is left out.

    Raises:
        ValueError: a name is none of Prometheus', or one sample stands twice.
    """
    return "".join(line + "\n" for one in families if one.samples for line in _lines(one))


def _lines(one: Family) -> Iterator[str]:
    if not NAME.fullmatch(one.name):
        raise ValueError(f"found the metric's name {one.name!r}; wanted letters, digits and _")
    yield f"# HELP {one.name} {_escaped(one.help)}"
    yield f"# TYPE {one.name} {one.kind}"
    seen: set[str] = set()
    for sample in one.samples:
        start = f"{one.name}{sample.suffix}{_labels(sample.labels)}"
        if start in seen:
            raise ValueError(f"found {start} twice; wanted each sample once")
        seen.add(start)
        yield f"{start} {_number(sample.value)}"


def _labels(pairs: Sequence[tuple[str, str]]) -> str:
    wrong = [name for name, _value in pairs if not LABEL.fullmatch(name)]
    if wrong:
        raise ValueError(f"found the label's name {wrong[0]!r}; wanted letters, digits and _")
    quoted = [f'{name}="{_quoted(value)}"' for name, value in pairs]
    return f"{{{','.join(quoted)}}}" if quoted else ""


def _quoted(value: str) -> str:
    """Return a label's value as it stands between quotes; what UTF-8 cannot say is replaced."""
    return _escaped(value).replace('"', '\\"').encode(errors="replace").decode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
