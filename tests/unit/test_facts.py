# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of facts are whole, and agree with each other."""

from __future__ import annotations

import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm import flags as vllm_flags
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm import releases
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.facts import (
    architectures,
    families,
    flags,
    precisions,
    successors,
    versions,
)

TESTED = "0.32.0"  # the version that the test world serves
TABLES = {
    "flags": flags.FLAGS,
    "architectures": architectures.ARCHITECTURES,
    **{
        name.lower(): getattr(versions, name)
        for name in (
            "TOOL_PARSERS", "REASONING_PARSERS", "TEMPLATES", "METRICS", "QUANTIZATIONS", "CAPABILITIES", "IMAGE",
            "DEFAULTS",
        )
    },
}  # fmt: skip
VERSIONS = list(versions.RELEASES)
PARSERS = {"tools": versions.TOOL_PARSERS, "reasoning": versions.REASONING_PARSERS}


def test_releases_stand_in_order_each_with_its_package_and_digest():
    assert sorted(VERSIONS, key=vllm_flags.parse_version) == VERSIONS
    for version, (package, digest) in versions.RELEASES.items():
        assert package.startswith(f"vllm-{version}")
        assert re.fullmatch("[0-9a-f]{64}", digest)


def test_the_tables_reach_from_0_8_over_every_minor_version():
    minors = sorted({releases.parse_version(version)[1] for version in VERSIONS})
    assert minors[0] == 8
    assert minors == list(range(8, minors[-1] + 1))
    assert len(minors) >= 12
    assert TESTED in VERSIONS


@pytest.mark.parametrize("name", TABLES)
def test_the_rows_of_a_key_follow_each_other_without_overlap(name):
    for key, rows in TABLES[name].items():
        position = -1
        for first, last, _value in rows:
            start = VERSIONS.index(first)
            assert start > position, key
            position = VERSIONS.index(last) if last else len(VERSIONS) - 1
            assert position >= start, key


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_in_every_table(name, version):
    assert releases.at(TABLES[name], version)


def test_flags_are_of_a_known_kind():
    for version in VERSIONS:
        for flag in vllm_flags.known_flags(version).values():
            kind = flag.kind.replace("list of ", "").replace("optional ", "")
            assert kind in vllm_flags.WANTED, flag


@pytest.mark.parametrize(
    ("name", "kind", "default"),
    [
        ("max-model-len", "size or auto", None),
        ("gpu-memory-utilization", "float", 0.92),
        ("tensor-parallel-size", "int", 1),
        ("enable-prefix-caching", "bool", None),
        ("headless", "switch", False),
        ("served-model-name", "list of str", None),
        ("speculative-config", "json", None),
        ("hf-overrides", "json or str", {}),
        ("enable-auto-tool-choice", "bool", False),
        ("port", "int", 8000),
    ],
)
def test_the_flags_of_the_tested_version_are_as_its_parser_has_them(name, kind, default):
    flag = vllm_flags.known_flags(TESTED)[name]
    assert (flag.kind, flag.default) == (kind, default)


def test_the_tested_version_is_whole():
    assert len(vllm_flags.known_flags(TESTED)) > 300
    assert len(releases.architectures(TESTED)) > 300
    assert {"hermes", "openai", "qwen3_coder"} <= set(releases.tool_parsers(TESTED))
    assert {"qwen3", "deepseek_r1", "openai_gptoss"} <= set(releases.reasoning_parsers(TESTED))
    assert {"num_requests_running", "kv_cache_usage_perc"} <= set(releases.at(versions.METRICS, TESTED))
    assert releases.at(versions.IMAGE, TESTED)["cuda"].startswith("13.0")
    assert releases.at(versions.IMAGE, TESTED)["entrypoint"] == "vllm serve"


def test_a_name_counts_for_one_flag_only():
    for version in VERSIONS:
        found = [name for flag in vllm_flags.known_flags(version).values() for name in (flag.name, *flag.aliases)]
        assert len(found) == len(set(found)), version


def test_a_flag_that_is_gone_is_gone_from_the_newest_version():
    gone = {name for name, rows in flags.FLAGS.items() if rows[-1][1]}
    assert set(successors.SUCCESSORS) <= gone
    assert all(text and source for text, source in successors.SUCCESSORS.values())


def test_a_successor_is_known_to_the_newest_version():
    newest = vllm_flags.known_flags(VERSIONS[-1])
    for advice, _source in successors.SUCCESSORS.values():
        for name in re.findall(r"\b[a-z]+(?:-[a-z]+)+\b", advice):
            assert name in newest, advice
    assert set(successors.SHORT.values()) <= set(newest)
    assert set(successors.PARSERS.values()) <= {
        *releases.tool_parsers(VERSIONS[-1]),
        *releases.reasoning_parsers(VERSIONS[-1]),
    }


@pytest.mark.parametrize("row", families.FAMILIES, ids=lambda row: row.name)
def test_a_family_names_parsers_templates_and_arguments_that_some_version_has(row):
    assert set(row.tools) <= set(versions.TOOL_PARSERS)
    assert set(row.reasoning) <= set(versions.REASONING_PARSERS)
    assert not row.template or row.template in versions.TEMPLATES
    assert set(row.args or {}) <= set(flags.FLAGS)
    assert row.source
    assert row.kind or row.repo or (row.own and row.is_told_by_template)
    re.compile(row.own)
    re.compile(row.kind)
    re.compile(row.repo)


@pytest.mark.parametrize("row", [row for row in families.FAMILIES if row.kind], ids=lambda row: row.name)
def test_a_familys_architecture_is_one_that_vllm_knows(row):
    known = architectures.ARCHITECTURES
    assert any(re.fullmatch(row.kind, name) for name in known) or row.kind == "kimi_k2"


@pytest.mark.parametrize("kind", PARSERS)
def test_every_parser_of_the_newest_version_has_a_family_or_a_reason(kind):
    reasons = {
        "tools": {"musespark1x", "qwen3_json"},
        "reasoning": {"musespark1x", "minimax_m2_append_think", "minicpmv"},
    }
    used = {name for row in families.FAMILIES for name in getattr(row, kind)}
    there = set(releases.at(PARSERS[kind], VERSIONS[-1]))
    assert there - used - reasons[kind] == set()


def test_a_precision_is_that_of_a_method_or_scheme_in_the_tables():
    assert set(precisions.WEIGHTS) <= set(versions.CAPABILITIES)
    assert set(precisions.WEIGHTS.values()) == set(precisions.PRECISIONS)
    assert all(row.source for row in precisions.PRECISIONS.values())


def test_the_cuda_of_every_image_is_in_the_table_of_drivers():
    for version in VERSIONS:
        major, minor = releases.at(versions.IMAGE, version)["cuda"].split(".")[:2]
        assert (int(major), int(minor)) in precisions.CUDA, version
