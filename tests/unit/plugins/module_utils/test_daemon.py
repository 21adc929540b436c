# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.daemon import (
    Replace,
    digest,
    merged,
    parse,
    plan_daemon,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.plan import Refusal
from hypothesis import given
from hypothesis import strategies as st

PATH = "/etc/docker/daemon.json"
BOM = b"\xef\xbb\xbf"
NVIDIA = {"runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(b"", {}, id="empty"),
        pytest.param(b" \n", {}, id="blank"),
        pytest.param(BOM, {}, id="a BOM alone"),
        pytest.param(BOM + b"\n", {}, id="a BOM and a blank line"),
        pytest.param(BOM + b'{"debug": true}', {"debug": True}, id="a BOM first"),
        pytest.param('{"a": "ü"}'.encode(), {"a": "ü"}, id="UTF-8"),
    ],
)
def test_a_file_is_read_however_it_was_saved(text, value):
    assert parse(text, PATH) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            b'{\n  "debug": true,\n  "a": \n}',
            f"{PATH} is no valid JSON (line 4, column 1: Expecting value)",
            id="invalid JSON, with line and column",
        ),
        pytest.param(b'{"debug"', f"{PATH} is no valid JSON (line 1, column 9: Expecting ':' delimiter)", id="cut off"),
        pytest.param(
            b"\xff\xfe{\x00}\x00",
            f"{PATH} is no valid JSON ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte)",
            id="UTF-16",
        ),
        pytest.param(b"[]", f"{PATH} holds no JSON object", id="a list"),
        pytest.param(b"null", f"{PATH} holds no JSON object", id="null"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_left_alone(text, message):
    with pytest.raises(Refusal) as refused:
        parse(text, PATH)
    assert str(refused.value) == f"{message}; the file was left alone; mend it and run again"


@pytest.mark.parametrize(
    ("current", "settings", "owned", "result"),
    [
        pytest.param({}, {"a": 1}, {}, {"a": 1}, id="first setting"),
        pytest.param(NVIDIA, {"a": 1}, {}, {**NVIDIA, "a": 1}, id="another role's key stays"),
        pytest.param({"a": 2}, {"a": 1}, {}, {"a": 1}, id="ours wins"),
        pytest.param({"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 2}, {"a": 1}, id="ours that is no longer wanted goes"),
        pytest.param({"b": 2}, {}, {}, {"b": 2}, id="theirs that we never wanted stays"),
        pytest.param(
            {"log-opts": {"tag": "x"}},
            {"log-opts": {"max-size": "10m"}},
            {},
            {"log-opts": {"tag": "x", "max-size": "10m"}},
            id="nested: both live in one object",
        ),
        pytest.param(
            {"log-opts": {"tag": "x", "max-size": "10m"}},
            {},
            {"log-opts": {"max-size": "10m"}},
            {"log-opts": {"tag": "x"}},
            id="nested: only ours goes",
        ),
        pytest.param(
            {"log-opts": {"max-size": "10m"}},
            {},
            {"log-opts": {"max-size": "10m"}},
            {},
            id="nested: an object of ours goes",
        ),
        pytest.param({"m": ["theirs"]}, {"m": ["ours"]}, {}, {"m": ["ours"]}, id="a list is a value, not merged"),
        pytest.param({"a": {"b": 1}}, {"a": 1}, {}, {"a": 1}, id="an object becomes a value"),
        pytest.param({"a": 1}, {"a": {"b": 1}}, {}, {"a": {"b": 1}}, id="a value becomes an object"),
    ],
)
def test_settings_are_merged(current, settings, owned, result):
    assert merged(current, settings, owned) == (result, settings)


values = st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)


def objects(names):
    """Return a strategy for objects, nested once, without empty inner objects."""
    inner = st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=3)
    return st.dictionaries(st.sampled_from([*names, "shared"]), values | inner, max_size=4).map(
        lambda value: {k: v for k, v in value.items() if k != "shared" or isinstance(v, dict)}
    )


theirs, ours = objects(["t1", "t2", "t3"]), objects(["o1", "o2", "o3"])
anything = objects(["o1", "o2", "t1"])


def within(part, whole):
    return all(
        within(value, whole[key]) if isinstance(value, dict) else whole[key] == value for key, value in part.items()
    )


@given(theirs, ours)
def test_foreign_keys_are_unchanged(current, settings):
    assert within(current, merged(current, settings, {})[0])


@given(theirs, ours)
def test_removing_what_we_added_gives_back_the_first_object(current, settings):
    there, owned = merged(current, settings, {})
    assert merged(there, {}, owned) == (current, {})


@given(theirs, ours, ours)
def test_an_older_set_of_ours_leaves_no_trace(current, old, new):
    there, owned = merged(current, old, {})
    assert merged(there, new, owned) == merged(current, new, {})


@given(anything, anything, anything)
def test_applying_twice_changes_nothing(current, settings, owned):
    there, now_owned = merged(current, settings, owned)
    assert merged(there, settings, now_owned) == (there, now_owned)


@given(anything, anything, anything)
def test_what_we_want_is_there_afterwards(current, settings, owned):
    assert within(settings, merged(current, settings, owned)[0])


@pytest.mark.parametrize(
    ("text", "settings", "owned", "before", "after"),
    [
        pytest.param(None, {"a": 1}, {}, "", '{\n  "a": 1\n}\n', id="no file yet"),
        pytest.param(b'{"b":2}', {"a": 1}, {}, '{"b":2}', '{\n  "b": 2,\n  "a": 1\n}\n', id="another's file"),
        pytest.param(b'{"a":1,"b":2}', {}, {"a": 1}, '{"a":1,"b":2}', '{\n  "b": 2\n}\n', id="ours goes"),
    ],
)
def test_a_change_is_shown_as_the_whole_file(text, settings, owned, before, after):
    plan = plan_daemon(text, settings, owned, PATH)
    assert plan.actions == (Replace(after, settings),)
    (difference,) = plan.differences
    assert (difference.name, difference.before, difference.after) == (PATH, before, after)


@pytest.mark.parametrize(
    ("text", "settings", "owned"),
    [
        pytest.param(b'{"a":1}', {"a": 1}, {"a": 1}, id="in place, in whatever form"),
        pytest.param(BOM + b'{"a":1, "b": 2}', {"a": 1}, {"a": 1}, id="in place beside others, after a BOM"),
        pytest.param(None, {}, {}, id="no file, and nothing wanted"),
    ],
)
def test_wanted_settings_are_left_alone(text, settings, owned):
    plan = plan_daemon(text, settings, owned, PATH)
    assert (plan.actions, plan.differences, plan.reason) == ((), (), f"{PATH} holds the wanted settings")


def test_settings_that_somebody_else_wrote_alike_become_ours_without_touching_the_file():
    plan = plan_daemon(b'{"a":1}', {"a": 1}, {}, PATH)
    assert (plan.actions, plan.differences) == ((Replace('{"a":1}', {"a": 1}),), ())


@given(anything)
def test_the_digest_does_not_depend_on_the_order_of_keys(settings):
    backwards = json.loads(json.dumps(dict(reversed(settings.items()))))
    assert digest(backwards) == digest(settings)
