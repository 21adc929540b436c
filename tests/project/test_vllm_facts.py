# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tool that makes the tables of vLLM reads a package as vLLM means it, and writes what it has read."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest
import vllm_facts
from hypothesis import given
from hypothesis import strategies as st

VERSIONS = ["0.8.0", "0.8.5", "0.8.5.post1", "0.10.1", "0.10.1.1", "0.10.2", "0.32.0"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab \"',\\é", max_size=8),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=8,
)
TABLES = st.fixed_dictionaries(
    {version: st.dictionaries(st.sampled_from("abcd"), st.integers(0, 1), max_size=4) for version in VERSIONS}
)


@given(TABLES)
def test_a_table_packed_by_ranges_of_versions_loses_nothing(tables):
    assert vllm_facts.unpacked(vllm_facts.packed(tables), VERSIONS[::-1]) == tables


@given(st.dictionaries(st.text("abc", max_size=3), st.lists(VALUES, max_size=12).map(tuple), max_size=4))
def test_a_written_table_reads_back_and_stays_in_the_margin(table):
    text = vllm_facts._literal(table)
    assert ast.literal_eval(text) == table
    assert all(len(line) <= vllm_facts.WIDTH for line in text.splitlines())


def test_versions_are_ordered_as_they_were_released():
    assert sorted([*VERSIONS[3:], *VERSIONS[:3]], key=vllm_facts.version_key) == VERSIONS


@pytest.fixture
def sources(tmp_path):
    """Return a tree in which files can be written by their path."""

    class Sources:
        root = tmp_path

        def write(self, path, text):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")

    return Sources()


def test_parsers_are_found_by_decorator_and_in_the_table_of_lazy_ones(sources):
    sources.write("vllm/tool_parsers/one.py", '@Manager.register_module("a")\nclass A: ...\n')
    sources.write("vllm/tool_parsers/two.py", '@Manager.register_module(["b", "c"])\nclass B: ...\n')
    sources.write("vllm/tool_parsers/__init__.py", '_TOOL_PARSERS_TO_REGISTER = {"d": ("file", "Class")}\n')
    sources.write("vllm/tool_parsers/abstract.py", '"""Say @Manager.register_module("never")."""\n')
    assert list(vllm_facts.tool_parsers(sources.root)) == ["a", "b", "c", "d"]


def test_the_batches_of_each_tier_are_read(sources):
    sources.write(
        "vllm/engine/arg_utils.py",
        """
def defaults(self):
    if device_memory >= 160 * GiB_bytes:
        default_max_num_batched_tokens = {UsageContext.LLM_CLASS: 1, UsageContext.OPENAI_API_SERVER: 16384}
        default_max_num_seqs = {UsageContext.OPENAI_API_SERVER: 1024}
    elif device_memory >= 70 * GiB_bytes and "a100" not in device_name and not is_gb10:
        default_max_num_batched_tokens = {UsageContext.OPENAI_API_SERVER: 8192}
        default_max_num_seqs = {UsageContext.OPENAI_API_SERVER: 512}
    else:
        default_max_num_batched_tokens = {UsageContext.OPENAI_API_SERVER: 2048}
        default_max_num_seqs = 256
""",
    )
    assert vllm_facts.batch_tiers(sources.root) == [
        [160, [], [], 16384, 1024],
        [70, [], ["a100", "gb10"], 8192, 512],
        [0, [], [], 2048, 256],
    ]


def test_a_capability_may_be_inherited(sources):
    folder = "vllm/model_executor/layers/quantization"
    sources.write(f"{folder}/base.py", "class Base:\n    def get_min_capability(cls): return 75\n")
    sources.write(f"{folder}/some.py", "class SomeConfig(Base): ...\n")
    sources.write(f"{folder}/__init__.py", 'methods = {"some": SomeConfig, "other": OtherConfig}\n')
    assert vllm_facts.capabilities(sources.root) == {"some": 75}


def test_an_image_is_read_from_its_dockerfile(sources):
    sources.write(
        "docker/Dockerfile",
        "ARG CUDA_VERSION=13.0.3\nARG torch_cuda_arch_list='7.5 8.0+PTX'\n"
        'ENTRYPOINT ["./sagemaker-entrypoint.sh"]\nENTRYPOINT ["vllm", "serve"]\n',
    )
    sources.write("requirements/cuda.txt", "torch==2.13.0\n")
    assert vllm_facts.image(sources.root) == {
        "cuda": "13.0.3",
        "compute": "7.5 8.0+PTX",
        "entrypoint": "vllm serve",
        "cuda_compatibility": False,
        "compatibility_forced": False,
        "torch": "2.13.0",
        "ray": False,
    }


def test_a_wheel_takes_what_both_neighbours_say_of_the_image():
    images = {"0.14.1": {"cuda": "12.9.1", "ray": True}, "0.15.1": {}, "0.16.0": {"cuda": "12.9.1", "ray": False}}
    vllm_facts.fill_from_neighbours(images, {"0.15.1"})
    assert images["0.15.1"] == {"cuda": "12.9.1"}


PARSER = """
import argparse
from dataclasses import dataclass, fields
from typing import Literal, Optional, Union

import torch
from pydantic import Field
from vllm.elsewhere import Unknown, decorator
from vllm.platforms import current_platform

Kind = Literal["a", "b"]


def optional_type(kind):
    def convert(text):
        return None if text == "None" else kind(text)
    return convert


@decorator(mode="after")
@dataclass
class Config(Unknown):
    kind: Kind = "a"
    share: float = Field(default=0.5, gt=0)
    dtype: Union[str, torch.dtype] = "auto"


class FlexibleArgumentParser(argparse.ArgumentParser):
    pass


class ServeSubcommand:
    def subparser_init(self, subparsers):
        parser = subparsers.add_parser("serve")
        types = {field.name: field.default for field in fields(Config)}
        parser.add_argument("model_tag", nargs="?")
        parser.add_argument("--kind", choices=list(Kind.__args__), default=types["kind"])
        parser.add_argument("--share", "--part", "-s", type=float, default=types["share"].default)
        parser.add_argument("--on", action=argparse.BooleanOptionalAction, default=None, help="Deprecated: no more.")
        parser.add_argument("--names", nargs="+", type=optional_type(str))
        parser.add_argument("--object", type=optional_type(int), default=torch.thing)
        if current_platform.is_cuda():
            parser.add_argument("--cuda", action="store_true")
        if current_platform.is_rocm():
            parser.add_argument("--rocm", action="store_true")
        return parser
"""


def test_the_parser_is_built_of_the_sources_alone_with_stubs_for_the_rest(sources):
    sources.write("vllm/entrypoints/cli/serve.py", PARSER)
    assert vllm_facts.parser_flags(sources.root) == {
        "kind": ("str", "a", ("a", "b")),
        "share": ("float", 0.5, (), False, ("part",)),
        "on": ("bool", None, (), False, (), True),
        "names": ("list of str",),
        "object": ("int",),
        "cuda": ("switch", False),
    }


def test_a_parser_that_cannot_be_built_ends_with_its_error(sources):
    sources.write("vllm/entrypoints/cli/serve.py", "raise RuntimeError('no such thing')\n")
    with pytest.raises(SystemExit, match="no such thing"):
        vllm_facts.parser_flags(sources.root)


def test_the_tables_are_written_as_they_are_read():
    sources, tables = vllm_facts.known()
    for name, (file, _doc) in vllm_facts.TABLES.items():
        text = (vllm_facts.FACTS / f"{file}.py").read_text(encoding="utf-8")
        table = vllm_facts._literal(vllm_facts.packed(tables[name]))
        assert f"{name}: dict[str, tuple[tuple[str, str, object], ...]] = {table}\n" in text
    assert list(sources) == sorted(sources, key=vllm_facts.version_key)


def test_only_what_counts_is_compared_with_a_real_parser():
    suggestion, choice = ("str", None, ("a",), True), ("str", None, ("a",))
    assert vllm_facts.compared("x", suggestion) == vllm_facts.compared("x", ("str",))
    assert vllm_facts.compared("x", choice) != vllm_facts.compared("x", ("str",))
    assert vllm_facts.compared("x", None) is None


def test_the_parser_tool_prints_json(sources):
    sources.write("vllm/entrypoints/cli/serve.py", PARSER)
    tool = vllm_facts.ROOT / "tools" / "vllm_parser.py"
    done = subprocess.run([sys.executable, str(tool), str(sources.root)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["share"]["options"] == ["--share", "--part", "-s"]
