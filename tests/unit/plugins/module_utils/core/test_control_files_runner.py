# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read on the control node of roles, and of what former runs recorded."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import control_files_runner


def test_a_role_is_read_wherever_the_collection_lies():
    assert "docker_version" in control_files_runner.of_roles("defaults/main.yml")["docker"]
    assert "stack" in control_files_runner.of_roles("meta/argument_specs.yml")


@pytest.mark.parametrize(
    ("text", "images", "is_told"),
    [
        ("images: {vllm:1: 'sha256:5a'}", {"vllm:1": "sha256:5a"}, False),
        ("images:", {}, False),
        ("", {}, False),
        (None, {}, False),
        ("[", {}, True),
        ("word", {}, True),
        ("images: [a]", {}, True),
    ],
    ids=["as it is", "no images", "empty", "none there", "no YAML", "a text", "a list"],
)
def test_a_lock_file_that_cannot_be_read_holds_nothing_and_is_told(tmp_path, text, images, is_told):
    path = tmp_path / "lock.yml"
    if text is not None:
        path.write_text(text)
    found, problem = control_files_runner.recorded_digests(str(path))
    assert found == images
    assert bool(problem) == is_told
    assert not is_told or problem.endswith("; wanted images with their digests; put it back from a copy")


@pytest.mark.parametrize(
    ("text", "models"),
    [('{"lm": ["a", "b"]}', {"lm": ["a", "b"]}), ("{", {}), ("[]", {}), ('{"lm": 5}', {}), (None, {})],
    ids=["as it is", "no JSON", "a list", "a number", "none there"],
)
def test_models_of_somebody_elses_servers_are_known_where_they_were_kept(tmp_path, text, models):
    if text is not None:
        (tmp_path / control_files_runner.LISTED).write_text(text)
    assert control_files_runner.listed_models(str(tmp_path)) == models


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1\nb: 2", None),
        ("a: 1\nb: 2\na: 3", ("a", 1, 3)),
        ("all:\n  vars: {x: 1}\n  hosts:\n    one: {y: 1,\n     y: 2}", ("y", 4, 5)),
        ("- a: 1\n- a: 1", None),
        ("- a: 1\n  a: 1", ("a", 1, 2)),
        ("x: &x {a: 1}\ny: &y {b: 1}\nz:\n  <<: *x\n  <<: *y", None),
        ("a: &a\n  b: *a\n  c: [*a]", None),
        ("", None),
        ("word", None),
    ],
)
def test_a_name_that_a_mapping_has_twice_is_found_with_its_lines(text, found):
    assert control_files_runner.named_twice(yaml.compose(text, Loader=yaml.SafeLoader)) == found
