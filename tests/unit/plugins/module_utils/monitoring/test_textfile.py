# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' text format, as it takes it."""

from __future__ import annotations

import math

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import textfile
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring.textfile import (
    Distribution,
    Family,
    Sample,
)


def test_a_family_has_its_help_its_type_and_its_samples():
    one = textfile.family("x_total", "What\nit is \\", {(("a", "1"),): 2.0, (("a", "2"),): 0.5}, textfile.COUNTER)
    assert textfile.exposition([one]) == (
        '# HELP x_total What\\nit is \\\\\n# TYPE x_total counter\nx_total{a="1"} 2\nx_total{a="2"} 0.5\n'
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ('a "quoted" word', 'a \\"quoted\\" word'),
        ("back\\slash", "back\\\\slash"),
        ('\\"', '\\\\\\"'),
        ("two\nlines", "two\\nlines"),
        ('"} 1\nforged{x="', '\\"} 1\\nforged{x=\\"'),
        ("名字", "名字"),
        ("half \ud800 a sign", "half ? a sign"),
        ("", ""),
    ],
)
def test_no_value_of_a_label_ends_its_quotes_or_its_line(value, written):
    text = textfile.exposition([Family("x", "y", (Sample(1, (("a", value),)),))])
    assert text.splitlines()[2:] == [f'x{{a="{written}"}} 1']


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0"), (1.0, "1"), (0.1, "0.1"), (1795960303.8699033, "1795960303.8699033"), (2**40, str(2**40))]
    + [(math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN"), (1e300, "1e+300")],
)
def test_numbers_are_written_as_prometheus_reads_them(value, written):
    assert textfile.exposition([textfile.single("x", "y", value)]).endswith(f"\nx {written}\n")


def test_what_is_not_known_is_left_out():
    assert textfile.exposition([textfile.single("x", "y", None), textfile.family("z", "y", {})]) == ""


def test_a_histogram_is_cumulative_and_ends_with_all():
    found = {(("kind", "chat"),): Distribution((1, 0, 2), 7.5)}
    assert textfile.exposition([textfile.histogram("x", "y", (0.5, 1), found)]).splitlines()[2:] == [
        'x_bucket{kind="chat",le="0.5"} 1',
        'x_bucket{kind="chat",le="1"} 1',
        'x_bucket{kind="chat",le="+Inf"} 3',
        'x_sum{kind="chat"} 7.5',
        'x_count{kind="chat"} 3',
    ]


@pytest.mark.parametrize(
    "one",
    [
        Family("1x", "y", (Sample(1),)),
        Family("x", "y", (Sample(1, (("a-b", "c"),)),)),
        Family("x", "y", (Sample(1, (("a", "b"),)), Sample(2, (("a", "b"),)))),
    ],
    ids=["a name", "a label", "twice"],
)
def test_what_prometheus_would_refuse_is_not_written(one):
    with pytest.raises(ValueError, match="wanted"):
        textfile.exposition([one])
