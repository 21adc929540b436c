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


@pytest.mark.parametrize("text", ["? [a, b]\n: 1\n", "vars:\n  ? {a: 1}\n  : 010\n"])
def test_a_key_that_is_no_text_is_no_variable_of_ours(text):
    node = yaml.compose(text)
    assert control_files_runner.octal(node, {"a"}) is None
    assert control_files_runner.below_vars(node, {"a"}) is None
    assert control_files_runner.named_twice(node) is None


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("all.yml", b"a: {{ b }}\n", "in line 1, column 5 (found unhashable key); a value that begins with {{ wants"),
        ("all.yml", b"a: b: c\n", "(mapping values are not allowed here); a text with a colon and a space in it wants"),
        ("all/x.yaml", b"a:\n\tb: 1\n", "in line 2, column 1 (found character '\\t' that cannot start any token); it"),
        ("gpu", b"a: [b\n", "in line 2, column 1 (expected ',' or ']', but got '<stream end>'); fix that line"),
        ("all.yml", b"a: !secret b\n", "in line 1, column 4 (Ansible has no tag !secret); fix that line"),
        ("all.json", b'{\n\t"a": 1\n}', None),
        ("all.yml", b"$ANSIBLE_VAULT;1.1;AES256\n3435\n", None),
        ("all.yml", b"a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3435\nb: !unsafe '{{'\n", None),
        ("all.yml~", b"a: {{ b }}\n", None),
        (".all.yml", b"a: {{ b }}\n", None),
        ("all.yml", b"", None),
    ],
)
def test_a_file_of_variables_that_is_no_yaml_is_named_with_the_line(tmp_path, name, content, told):
    for kind in ("group_vars", "host_vars"):
        path = tmp_path / kind / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    found = list(control_files_runner.unread(tmp_path))
    assert len(found) == (2 if told else 0), found
    for kind, said in zip(("group_vars", "host_vars") if told else (), found, strict=True):
        assert said.startswith(f"the file of variables {tmp_path / kind / name} is no YAML ")
        assert told in said
