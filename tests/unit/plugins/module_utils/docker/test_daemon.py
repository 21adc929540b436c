# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.daemon import (
    RELOADED_WHEN_GONE,
    RELOADED_WHILE_THERE,
    Found,
    Record,
    Wish,
    claims_of,
    drifted,
    parse,
    plan_daemon,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.daemon_command import Flag
from hypothesis import given
from hypothesis import strategies as st

PATH = "/etc/docker/daemon.json"
BOM = b"\xef\xbb\xbf"
NVIDIA = '"nvidia": {"args": [], "path": "nvidia-container-runtime"}'


class File:
    """A daemon.json and what is remembered of it, as a runner that never fails keeps them."""

    def __init__(self, text=None):
        self.text, self.backup, self.record = text, None, None

    def ensure(self, settings=None, owner="gpuchat", flags=(), **wish):
        found = Found(self.text, self.backup, self.record, flags)
        plan = plan_daemon(found, Wish(settings or {}, **wish), owner, PATH)
        for action in plan.actions:
            self.text = action.text
            self.backup = None if action.given_back else (self.backup if action.keep is None else action.keep)
            self.record = Record.from_json(json.loads(json.dumps(action.record.as_json(), sort_keys=True)))
        return plan

    @property
    def digests(self):
        record = self.record or Record()
        return record.digest, record.reload_digest

    @property
    def value(self):
        return parse(self.text or b"", PATH)


def wants(settings=None, **wish):
    return {"settings": settings, **wish}


ONE = wants({"debug": True})
POOLS = [{"base": "10.9.0.0/16", "size": 24}]

LOCAL = {"log-driver": "local", "log-opts": {"max-size": "50m", "max-file": "3"}}
LOGGING_PAGE = """{
  "log-driver": "json-file",
  "log-opts": {"max-size": "10m", "labels": "production_status", "env": "os"}
}
"""

# What it is about, the file before, what is asked for, the file after. Nothing: there is no file.
FILES = [
    # how a file may look
    ("no file", None, ONE, '{\n  "debug": true\n}\n'),
    ("an empty file", "", ONE, '{\n  "debug": true\n}\n'),
    ("a blank file", " \n\n", ONE, '{\n  "debug": true\n}\n'),
    ("an empty object", "{}", ONE, '{\n  "debug": true\n}'),
    ("an empty object and a line end", "{}\n", ONE, '{\n  "debug": true\n}\n'),
    ("a BOM alone", BOM, ONE, '{\n  "debug": true\n}\n'),
    ("a BOM first", BOM + b'{"ipv6": true}\n', ONE, '{\n  "ipv6": true,\n  "debug": true\n}\n'),
    ("UTF-16", '{"ipv6": true}\n'.encode("utf-16"), ONE, '{\n  "ipv6": true,\n  "debug": true\n}\n'),
    ("one line", '{"ipv6":true}\n', ONE, '{\n  "ipv6": true,\n  "debug": true\n}\n'),
    ("no line end at the end", '{\n  "ipv6": true\n}', ONE, '{\n  "ipv6": true,\n  "debug": true\n}'),
    ("four spaces", '{\n    "ipv6": true\n}\n', ONE, '{\n    "ipv6": true,\n    "debug": true\n}\n'),
    ("tabs", '{\n\t"ipv6": true\n}\n', ONE, '{\n\t"ipv6": true,\n\t"debug": true\n}\n'),
    ("CRLF", '{\r\n  "ipv6": true\r\n}\r\n', ONE, '{\r\n  "ipv6": true,\r\n  "debug": true\r\n}\r\n'),
    ("a letter beyond ASCII", '{"labels": ["ü=1"]}\n', ONE, '{\n  "labels": [\n    "ü=1"\n  ],\n  "debug": true\n}\n'),
    ("an escape", '{"bridge": "\\u00fc"}\n', ONE, '{\n  "bridge": "\\u00fc",\n  "debug": true\n}\n'),
    ("half a character", '{"bridge": "ü\\ud800"}', ONE, '{\n  "bridge": "\\u00fc\\ud800",\n  "debug": true\n}'),
    # whose keys are whose
    ("foreign keys keep their order", '{"z": 1, "a": 2, "m": 3}', ONE, {"z": 1, "a": 2, "m": 3, "debug": True}),
    ("ours keeps its place", '{"debug": false, "mtu": 1400}', ONE, {"debug": True, "mtu": 1400}),
    ("alike already", '{"debug":true}', ONE, '{"debug":true}'),
    ("a truth is no number", '{"debug": 1}', ONE, {"debug": True}),
    ("a number is no text", '{"mtu": "1400"}', wants({"mtu": 1400}), {"mtu": 1400}),
    ("nothing asked for", '{"debug":true}', wants({}), '{"debug":true}'),
    ("nothing asked for, and no file", None, wants({"data-root": None, "labels": [], "log-opts": {}}), None),
    (
        "deep merge",
        '{"log-opts": {"tag": "x"}}',
        wants({"log-opts": {"max-size": "10m"}}),
        {"log-opts": {"tag": "x", "max-size": "10m"}},
    ),
    (
        "deeper merge",
        '{"builder": {"gc": {"enabled": true}}}',
        wants({"builder": {"gc": {"defaultKeepStorage": "9GB"}}}),
        {"builder": {"gc": {"enabled": True, "defaultKeepStorage": "9GB"}}},
    ),
    (
        "a key without a value is left out",
        '{"log-opts": {"tag": "x"}}',
        wants({"log-opts": {"tag": None, "max-file": "3"}}),
        {"log-opts": {"tag": "x", "max-file": "3"}},
    ),
    ("a list is one value", '{"dns": ["1.1.1.1"]}', wants({"dns": ["9.9.9.9"]}), {"dns": ["9.9.9.9"]}),
    (
        "a list of objects",
        '{"default-address-pools": []}',
        wants({"default-address-pools": POOLS}),
        {"default-address-pools": POOLS},
    ),
    ("an object in a value's place", '{"proxies": "x"}', wants({"proxies": {"a": "b"}}), {"proxies": {"a": "b"}}),
    ("a value in an object's place", '{"group": {"a": 1}}', wants({"group": "x"}), {"group": "x"}),
    (
        "a runtime is one value",
        '{"runtimes": {"a": {"runtimeType": "x"}}}',
        wants({"runtimes": {"a": {"path": "/a"}}}),
        {"runtimes": {"a": {"path": "/a"}}},
    ),
    ("beside an empty object", '{"log-opts": {}}', wants({"log-opts": {"tag": "x"}}), {"log-opts": {"tag": "x"}}),
    # drivers and their options
    (
        "a driver that somebody chose is no default's to change",
        LOGGING_PAGE,
        wants(defaults=LOCAL),
        LOGGING_PAGE,
    ),
    ("nor are options alone", '{"log-opts": {"env": "os"}}', wants(defaults=LOCAL), '{"log-opts": {"env": "os"}}'),
    ("a default beside other keys", '{"mtu": 1400}', wants(defaults=LOCAL), {"mtu": 1400, **LOCAL}),
    (
        "a default in part named",
        "{}",
        wants({"log-opts": {"max-size": "9m"}}, defaults=LOCAL),
        {"log-driver": "local", "log-opts": {"max-size": "9m", "max-file": "3"}},
    ),
    (
        "another driver takes no default's options",
        "{}",
        wants({"log-driver": "journald"}, defaults=LOCAL),
        {"log-driver": "journald"},
    ),
    ("with another driver go its options", LOGGING_PAGE, wants(LOCAL), LOCAL),
    ("with one that needs none too", LOGGING_PAGE, wants({"log-driver": "journald"}), {"log-driver": "journald"}),
    (
        "options without a driver are the stock driver's",
        '{"log-opts": {"env": "os"}}',
        wants({"log-driver": "json-file", "log-opts": {"max-size": "9m"}}),
        {"log-opts": {"env": "os", "max-size": "9m"}, "log-driver": "json-file"},
    ),
    (
        "the same driver keeps them",
        LOGGING_PAGE,
        wants({"log-driver": "json-file", "log-opts": {"max-size": "9m"}}),
        {"log-driver": "json-file", "log-opts": {"max-size": "9m", "labels": "production_status", "env": "os"}},
    ),
    (
        "storage drivers alike",
        '{"storage-driver": "devicemapper", "storage-opts": ["dm.basesize=20G"]}',
        wants({"storage-driver": "overlay2"}),
        {"storage-driver": "overlay2"},
    ),
    # NVIDIA's runtime and its companions
    ("runtime, no file", None, wants(nvidia_runtime="present"), f'{{"runtimes": {{{NVIDIA}}}}}'),
    (
        "runtime beside another",
        '{"runtimes": {"crun": {"path": "/usr/bin/crun"}}}',
        wants(nvidia_runtime="present"),
        f'{{"runtimes": {{"crun": {{"path": "/usr/bin/crun"}}, {NVIDIA}}}}}',
    ),
    (
        "runtime instead of an older one of its name",
        '{"runtimes": {"nvidia": {"runtimeType": "io.containerd.runc.v2", "options": {}}}}',
        wants(nvidia_runtime="present"),
        f'{{"runtimes": {{{NVIDIA}}}}}',
    ),
    (
        "runtime by another name and path",
        "{}",
        wants(nvidia_runtime="present", runtime_name="gpu", runtime_path="/opt/n"),
        {"runtimes": {"gpu": {"args": [], "path": "/opt/n"}}},
    ),
    (
        "default runtime",
        '{"default-runtime": "crun"}',
        wants(nvidia_runtime="present", default_runtime=True),
        f'{{"default-runtime": "nvidia", "runtimes": {{{NVIDIA}}}}}',
    ),
    (
        "somebody's default runtime stays",
        '{"default-runtime": "nvidia"}',
        wants(nvidia_runtime="present"),
        f'{{"default-runtime": "nvidia", "runtimes": {{{NVIDIA}}}}}',
    ),
    ("CDI on", '{"features": {"buildkit": true}}', wants(cdi=True), {"features": {"buildkit": True, "cdi": True}}),
    ("CDI off", '{"features": {"cdi": true}}', wants(cdi=False), {"features": {"cdi": False}}),
    ("runtime absent", f'{{"mtu": 1400, "runtimes": {{{NVIDIA}}}}}', wants(nvidia_runtime="absent"), {"mtu": 1400}),
    (
        "runtime absent, another there",
        f'{{"runtimes": {{{NVIDIA}, "crun": {{"path": "crun"}}}}}}',
        wants(nvidia_runtime="absent"),
        {"runtimes": {"crun": {"path": "crun"}}},
    ),
    (
        "runtime absent, which was the default",
        f'{{"runtimes": {{{NVIDIA}}}, "default-runtime": "nvidia"}}',
        wants(nvidia_runtime="absent"),
        {"default-runtime": "runc"},
    ),
    ("runtime absent already", '{"mtu":1400}', wants(nvidia_runtime="absent"), '{"mtu":1400}'),
    (
        "all together",
        '{"features": {"containerd-snapshotter": true}, "log-driver": "local"}',
        wants({"live-restore": True}, nvidia_runtime="present", cdi=True),
        (
            f'{{"features": {{"containerd-snapshotter": true, "cdi": true}}, "log-driver": "local",'
            f' "live-restore": true, "runtimes": {{{NVIDIA}}}}}'
        ),
    ),
]


@pytest.mark.parametrize(("before", "wish", "after"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
def test_each_file_becomes_what_it_should_stays_so_and_comes_back(before, wish, after):
    before = before.encode() if isinstance(before, str) else before
    file = File(before)
    file.ensure(**wish)
    if isinstance(after, str) and (after.startswith(("{\n", "{\r")) or after.encode() == before):
        assert file.text == after.encode()
    elif after is None:
        assert file.text is None
    else:  # of these the values and their order are described, not each space
        value = json.loads(after) if isinstance(after, str) else after
        assert json.dumps(file.value) == json.dumps(value)
    there = file.text
    again = file.ensure(**wish)
    assert (again.changed, again.differences, file.text) == (False, (), there)
    file.ensure()
    assert (file.text, file.backup) == (before, None)


def test_the_table_is_long_enough_to_mean_something():
    assert len(FILES) >= 40
    assert len({row[0] for row in FILES}) == len(FILES)


LEFT = "; the file was left alone; fix it and run again"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            b'{\n  "debug": true,\n  "a": \n}',
            "is no valid JSON (line 4, column 1: Expecting value)",
            id="invalid JSON, with line and column",
        ),
        pytest.param(b'{"debug"', "is no valid JSON (line 1, column 9: Expecting ':' delimiter)", id="cut off"),
        pytest.param(b'{} {"a": 1}', "is no valid JSON (line 1, column 4: Extra data)", id="two objects"),
        pytest.param(
            b'{\n "a": 1, // why\n}',
            "is no valid JSON (line 2, column 10: Expecting property name enclosed in double quotes)",
            id="a comment",
        ),
        pytest.param(b'{"a": "NaN",\n "b": NaN}', "is no valid JSON (line 2, column 7: NaN is no number)", id="NaN"),
        pytest.param(b'{"a": -Infinity}', "is no valid JSON (line 1, column 7: -Infinity is no number)", id="Infinity"),
        pytest.param(
            b'{"a": ' + b"7" * 5000 + b"}",
            "is no valid JSON (line 1, column 7: a number too long to be one)",
            id="long",
        ),
        pytest.param(
            b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            "is no JSON that Docker can use (objects or lists lie too deep in one another)",
            id="deep",
        ),
        pytest.param(
            b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}",
            "is no JSON that Docker can use (objects or lists lie too deep in one another)",
            id="deeper than any",
        ),
        pytest.param(b'{"a": 1e999}', "is no valid JSON (line 1, column 7: 1e999 is no number)", id="beyond range"),
        pytest.param(
            b'{"a": "\xff"}',
            "is no valid JSON (its byte 8, 0xff, is none of a text in UTF-8)",
            id="neither UTF-8 nor UTF-16",
        ),
        pytest.param(
            '{"labels": ["raum=k\u00fcche"]}'.encode("latin-1"),
            "is no valid JSON (its byte 20, 0xfc, is none of a text in UTF-8)",
            id="Latin-1",
        ),
        pytest.param(
            b"\xff\xfe{",
            "is no valid JSON (its byte 3, 0x7b, is none of a text in UTF-16)",
            id="half a character of UTF-16",
        ),
        pytest.param(b"[]", "holds no JSON object", id="a list"),
        pytest.param(b"null", "holds no JSON object", id="null"),
        pytest.param(b'{"a": 1, "a": 1}', "holds the key a twice in one object", id="a key twice"),
        pytest.param(b'{"b": {"a": {}, "a": {}}}', "holds the key a twice in one object", id="a key twice below"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_place(text, message):
    with pytest.raises(Refusal) as refused:
        File(text).ensure({"debug": True})
    assert str(refused.value) == f"{PATH} {message}{LEFT}"


# What `nvidia-ctk runtime configure --runtime=docker` 1.20 makes of a file, read from docker.go: Config.AddRuntime,
# EnableCDI. Its options, the file, its result (keys sorted, as json.MarshalIndent has them).
NVIDIA_CTK = [
    ({}, "{}", f'{{"runtimes": {{{NVIDIA}}}}}'),
    ({}, '{"runtimes": {}}', f'{{"runtimes": {{{NVIDIA}}}}}'),
    ({}, '{"runtimes": {"nvidia": {"path": "/old", "args": ["--x"]}}}', f'{{"runtimes": {{{NVIDIA}}}}}'),
    ({}, '{"runtimes": {"a": {"path": "b"}}}', f'{{"runtimes": {{"a": {{"path": "b"}}, {NVIDIA}}}}}'),
    ({}, '{"default-runtime": "a"}', f'{{"default-runtime": "a", "runtimes": {{{NVIDIA}}}}}'),
    ({"default_runtime": True}, "{}", f'{{"default-runtime": "nvidia", "runtimes": {{{NVIDIA}}}}}'),
    (
        {"default_runtime": True},
        '{"default-runtime": "a", "mtu": 1400}',
        f'{{"default-runtime": "nvidia", "mtu": 1400, "runtimes": {{{NVIDIA}}}}}',
    ),
    ({"cdi": True}, "{}", f'{{"features": {{"cdi": true}}, "runtimes": {{{NVIDIA}}}}}'),
    ({"cdi": True}, '{"features": {"cdi": false}}', f'{{"features": {{"cdi": true}}, "runtimes": {{{NVIDIA}}}}}'),
    (
        {"runtime_name": "n", "runtime_path": "/p", "default_runtime": True, "cdi": True},
        "{}",
        '{"default-runtime": "n", "features": {"cdi": true}, "runtimes": {"n": {"args": [], "path": "/p"}}}',
    ),
]


@pytest.mark.parametrize(("wish", "before", "after"), NVIDIA_CTK)
def test_the_runtime_is_what_nvidia_ctk_would_make_it(wish, before, after):
    file = File(before.encode())
    file.ensure(nvidia_runtime="present", **wish)
    assert file.value == json.loads(after)


def test_a_driver_chosen_by_somebody_after_the_first_run_is_no_defaults_to_change_either():
    file = File(b"{}")
    file.ensure({"mtu": 1400})
    file.text = json.dumps({**file.value, "log-driver": "syslog", "log-opts": {"tag": "x"}}).encode()
    file.ensure({"mtu": 1400}, defaults=LOCAL)
    assert file.value == {"mtu": 1400, "log-driver": "syslog", "log-opts": {"tag": "x"}}


def test_options_that_came_with_another_driver_go_for_good_and_the_first_files_come_back():
    file = File(LOGGING_PAGE.encode())
    file.ensure({"log-driver": "journald"})
    assert not file.ensure({"log-driver": "journald"}).changed
    file.ensure(LOCAL)
    assert file.value == LOCAL
    assert not file.ensure(LOCAL).changed
    file.text = json.dumps({"log-driver": "syslog", "log-opts": {"tag": "x"}}).encode()
    file.ensure(LOCAL)
    assert file.value == LOCAL
    assert not file.ensure(LOCAL).changed
    file.ensure()
    assert file.value == json.loads(LOGGING_PAGE)


def test_another_owners_change_leaves_the_order_of_what_is_so_already():
    file = File(LOGGING_PAGE.encode())
    file.ensure(LOCAL)
    before = file.text
    file.ensure({"mtu": 1400}, owner="another")
    file.ensure(owner="another")
    assert file.text == before


def test_other_features_stay_which_nvidia_ctk_would_drop():
    file = File(b'{"features": {"containerd-snapshotter": true}}')
    file.ensure(nvidia_runtime="present", cdi=True)
    assert file.value["features"] == {"containerd-snapshotter": True, "cdi": True}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        pytest.param(
            [wants({"mtu": 1, "bip": "a"}), wants({"bip": "b"}, owner="other")],
            f"bip in {PATH} is wanted differently by the owners other and gpuchat; take it out of one of the two",
            id="two owners, one key",
        ),
        pytest.param(
            [wants({"log-opts": {"tag": "a"}}), wants({"log-opts": "x"}, owner="other")],
            f"log-opts in {PATH} is wanted differently by the owners other and gpuchat; take it out of one of the two",
            id="two owners, an object and a value",
        ),
        pytest.param(
            [wants(nvidia_runtime="present"), wants(nvidia_runtime="absent", owner="other")],
            f"runtimes.nvidia in {PATH} is wanted differently by the owners other and gpuchat;"
            " take it out of one of the two",
            id="two owners, present and absent",
        ),
        pytest.param(
            [wants({"runtimes": {"nvidia": {"path": "x"}}}, nvidia_runtime="present")],
            "runtimes.nvidia is wanted twice and differently, by settings and by nvidia_runtime or cdi;"
            " take it out of one of the two",
            id="one owner, twice",
        ),
        pytest.param(
            [wants(default_runtime=True)],
            "default_runtime is on, but the runtime is not wanted; set nvidia_runtime to present",
            id="a default that is not there",
        ),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(steps, message):
    file = File()
    for step in steps[:-1]:
        file.ensure(**step)
    with pytest.raises(Refusal) as refused:
        file.ensure(**steps[-1])
    assert str(refused.value) == message


def nested(depth):
    value = {}
    for _level in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("key", ["settings", "defaults"])
@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 10**4400, nested(60), nested(5000), {1: "a"}, [{"a": {True: 1}}]],
    ids=["NaN", "Infinity", "4,400 digits", "deep", "very deep", "a number as key", "a truth as key"],
)
def test_settings_that_daemon_json_cannot_hold_are_refused_with_their_key(key, value):
    with pytest.raises(
        Refusal, match=r"^found under mtu in settings what daemon.json cannot hold .*; set settings to "
    ):
        plan_daemon(Found(b"{}"), Wish(**{key: {"debug": True, "mtu": value}}), "a", PATH)


def test_two_owners_do_not_touch_each_others_keys_and_may_share_one():
    file = File(b'{"mtu": 1400}')
    file.ensure({"debug": True, "log-opts": {"tag": "a"}})
    file.ensure({"debug": True, "log-opts": {"mode": "b"}}, owner="other")
    both = {"mtu": 1400, "debug": True, "log-opts": {"tag": "a", "mode": "b"}}
    assert file.value == both
    assert not file.ensure({"debug": True, "log-opts": {"tag": "a"}}).changed
    file.ensure()
    assert file.value == {"mtu": 1400, "debug": True, "log-opts": {"mode": "b"}}
    file.ensure(owner="other")
    assert file.text == b'{"mtu": 1400}'


def test_what_somebody_else_changes_meanwhile_is_not_undone_with_ours():
    file = File(b'{"mtu":1400}')
    file.ensure({"debug": True})
    file.text = b'{"mtu": 1500, "debug": true, "ipv6": true}'
    file.ensure()
    assert file.value == {"mtu": 1500, "ipv6": True}
    assert file.backup == b'{"mtu":1400}'
    before = file.text
    file.ensure({"debug": True})
    file.ensure()
    assert file.text == before


def test_no_runtime_after_a_default_runtime_of_ours_gives_back_the_default_of_before():
    file = File(b'{"default-runtime": "crun"}')
    file.ensure(nvidia_runtime="present", default_runtime=True)
    file.ensure(nvidia_runtime="absent")
    assert file.text == b'{"default-runtime": "crun"}'


def test_a_default_runtime_that_somebody_set_meanwhile_goes_for_good():
    file = File(b"{}")
    file.ensure({"debug": True})
    file.text = f'{{"debug": true, "default-runtime": "nvidia", "runtimes": {{{NVIDIA}}}}}'.encode()
    file.ensure({"debug": True}, nvidia_runtime="absent")
    assert file.value == {"debug": True, "default-runtime": "runc"}
    assert not file.ensure({"debug": True}, nvidia_runtime="absent").changed


def test_a_lost_record_is_made_up_for_by_the_backup():
    file = File(b'{"mtu":1400}')
    file.ensure({"debug": True})
    file.record = None
    file.ensure({"debug": True})
    file.ensure()
    assert file.text == b'{"mtu":1400}'


@pytest.mark.parametrize("backup", [None, b"{damaged"], ids=["lost", "damaged"])
def test_without_the_backup_our_keys_go_all_the_same(backup):
    file = File(b'{"mtu":1400}')
    file.ensure({"debug": True})
    file.backup = backup
    file.ensure()
    assert file.value == {"mtu": 1400}


def test_a_change_is_shown_as_the_whole_file_without_credentials():
    file = File(b'{"proxies":{"http-proxy":"http://me:secret@p:3128"}}')
    plan = file.ensure({"debug": True})
    (difference,) = plan.differences
    assert difference.name == PATH
    assert difference.before == '{"proxies":{"http-proxy":"http://xxxxx@p:3128"}}'
    assert '"http-proxy": "http://xxxxx@p:3128"' in difference.after
    assert '"debug": true' in difference.after
    assert "secret" in file.text.decode()


def test_settings_that_somebody_else_wrote_alike_become_ours_without_touching_the_file():
    plan = File(b'{"debug":true}').ensure({"debug": True})
    assert (plan.changed, plan.differences) == (True, ())
    assert plan.reason == f"{PATH} holds the wanted settings; whose they are is to be recorded"


@pytest.mark.parametrize(
    ("wish", "flag", "message"),
    [
        (
            wants({"registry-mirrors": ["https://m"]}),
            Flag("registry-mirror", "https://n", "/x.conf"),
            (
                f"registry-mirrors is wanted in {PATH} by the owner gpuchat, and stands on dockerd's command line"
                " (--registry-mirror in /x.conf): Docker would not start with both; take it out of one of the two"
            ),
        ),
        (
            wants({"proxies": {"http-proxy": "http://p"}}),
            Flag("http-proxy", "http://p", "/x.conf"),
            (
                f"http-proxy is wanted in {PATH} by the owner gpuchat, and stands on dockerd's command line"
                " (--http-proxy in /x.conf): Docker would not start with both; take it out of one of the two"
            ),
        ),
        (
            wants(cdi=True),
            Flag("feature", "buildkit=true", "/x.conf"),
            (
                f"features is wanted in {PATH} by the owner gpuchat, and stands on dockerd's command line"
                " (--feature in /x.conf): Docker would not start with both; take it out of one of the two"
            ),
        ),
        (
            wants({"debug": True}),
            Flag("config-file", "/other.json", "/x.conf"),
            (
                f"Docker reads its settings from /other.json (--config-file in /x.conf), not from {PATH};"
                " set path to that file"
            ),
        ),
    ],
)
def test_what_stands_on_the_command_line_too_is_refused_with_both_places(wish, flag, message):
    with pytest.raises(Refusal) as refused:
        File().ensure(**wish, flags=(flag,))
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "flags", "where"),
    [
        (b'{"log-driver": "journald"}', (), f"in {PATH}"),
        (b"{}", (Flag("log-driver", "journald", "/x.conf"),), "on dockerd's command line, in /x.conf"),
    ],
)
def test_options_of_files_are_refused_beside_somebody_elses_log_driver_that_has_none(text, flags, where):
    wish = {"log-opts": {"max-size": "5m", "tag": "x"}}
    with pytest.raises(Refusal, match=f"found the log driver journald {where}, which takes no max-size, and Docker"):
        File(text).ensure(wish, flags=flags)
    File(text).ensure({"log-opts": {"tag": "x"}}, flags=flags)
    File(b'{"log-driver": "journald"}').ensure({**wish, "log-driver": "json-file"})


@pytest.mark.parametrize(
    ("wish", "flag"),
    [
        pytest.param(wants(nvidia_runtime="present"), Flag("add-runtime", "a=b", "/x"), id="dockerd merges runtimes"),
        pytest.param(wants({"mtu": 1400}), Flag("debug", "", "/x"), id="another key"),
        pytest.param(wants(), Flag("config-file", "/other.json", "/x"), id="nothing is wanted"),
        pytest.param(wants({"mtu": 1400}), Flag("config-file", PATH, "/x"), id="the very file"),
    ],
)
def test_what_dockerd_would_accept_beside_its_command_line_is_not_refused(wish, flag):
    File(b"{}").ensure(**wish, flags=(flag,))


# The file before, what is asked for, and whether Docker needs a restart or a reload for it.
EFFECTS = [
    pytest.param("{}", wants({"log-driver": "local"}), "restart", id="a key that only a start reads"),
    pytest.param("{}", wants({"debug": True}), "reload", id="a key that a reload reads"),
    pytest.param("{}", wants({"debug": True, "mtu": 1400}), "restart", id="one of each"),
    pytest.param("{}", wants({"registry-mirrors": ["https://m"]}), "reload", id="mirrors"),
    pytest.param("{}", wants({"live-restore": True}), "reload", id="live-restore"),
    pytest.param("{}", wants(nvidia_runtime="present", default_runtime=True), "restart", id="NVIDIA's runtime"),
    pytest.param("{}", wants(cdi=True), "restart", id="CDI"),
    pytest.param('{"features": {"buildkit": true}}', wants(cdi=False), "restart", id="CDI beside another feature"),
    pytest.param(
        f'{{"runtimes": {{{NVIDIA}}}}}', wants(nvidia_runtime="absent"), "restart", id="the last runtime goes"
    ),
    pytest.param(
        f'{{"runtimes": {{{NVIDIA}, "a": {{"path": "a"}}}}}}',
        wants(nvidia_runtime="absent"),
        "restart",
        id="one runtime of several goes",
    ),
    pytest.param('{"debug": true}', wants({"debug": True}), "nothing", id="in place already"),
    pytest.param("{}", wants({}), "nothing", id="nothing wanted"),
]


@pytest.mark.parametrize(("before", "wish", "needs"), EFFECTS)
def test_a_change_says_what_docker_needs_for_it_and_just_that_digest_changes(before, wish, needs):
    file = File(before.encode())
    file.ensure({"shutdown-timeout": 20}, owner="other")  # so that the digests are not those of the first claims
    restart, reload = file.digests
    actions = file.ensure(**wish).actions
    if needs == "nothing":
        assert not any(action.restart or action.reload for action in actions)
        assert file.digests[0] == restart
    else:
        assert (actions[0].restart, actions[0].reload) == (needs == "restart", needs == "reload")
        assert (file.digests[0] != restart) == (needs == "restart")
        assert needs == "restart" or file.digests[1] != reload


@pytest.mark.parametrize("key", sorted(RELOADED_WHILE_THERE))
def test_a_reload_sets_a_key_and_only_a_restart_takes_it_back(key):
    file = File()
    (set_it,) = file.ensure({key: "x"}).actions
    restart = file.digests[0]
    (take_it_back,) = file.ensure().actions
    assert (set_it.restart, set_it.reload, take_it_back.restart) == (False, True, True)
    assert file.digests[0] != restart


@pytest.mark.parametrize("key", sorted(RELOADED_WHEN_GONE))
def test_a_reload_sets_a_key_and_takes_it_back(key):
    file = File()
    file.ensure({key: "x"})
    restart, reload = file.digests
    (action,) = file.ensure().actions
    assert (action.restart, action.reload) == (False, True)
    assert file.digests[0] == restart
    assert file.digests[1] != reload


def test_undoing_somebody_elses_change_changes_the_digest_too():
    file = File()
    file.ensure({"mtu": 1400, "debug": True})
    restart, reload = file.digests
    file.text = b'{"mtu": 9000, "debug": true}'
    file.ensure({"mtu": 1400, "debug": True})
    assert file.digests[0] != restart
    assert file.digests[1] == reload
    restart, reload = file.digests
    file.text = b'{"mtu": 1400, "debug": false}'
    file.ensure({"mtu": 1400, "debug": True})
    assert file.digests[0] == restart
    assert file.digests[1] != reload


keys = ["mtu", "debug", "log-opts", "runtimes", "features"]
values = st.integers(0, 2) | st.booleans() | st.lists(st.integers(0, 2), max_size=2)
leaves = st.recursive(
    values, lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3), max_leaves=5
)
objects = st.dictionaries(st.sampled_from(keys), leaves, max_size=5)
wishes = st.fixed_dictionaries(
    {"settings": st.dictionaries(st.sampled_from(keys[:3]), leaves, max_size=3)},
    optional={"cdi": st.booleans(), "nvidia_runtime": st.sampled_from(["present", "absent"])},
)
styles = st.sampled_from([None, 1, 4, "\t"])


@st.composite
def texts(draw):
    """Return the bytes of some file, or None."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from([None, b"", b"\n", BOM]))
    text = json.dumps(draw(objects), indent=draw(styles)) + draw(st.sampled_from(["", "\n", "\n\n"]))
    return draw(st.sampled_from([b"", BOM])) + text.encode()


def without(value, places):
    """Return an object without what stands at some places, and without the objects that are empty then."""
    left = {}
    for key, inner in value.items():
        below = [place[1:] for place in places if place[0] == key]
        if () in below:
            continue
        rest = without(inner, below) if isinstance(inner, dict) and below else inner
        if rest or not below:
            left[key] = rest
    return left


@given(texts(), wishes)
def test_absent_after_present_gives_back_the_first_file_byte_for_byte(text, wish):
    file = File(text)
    file.ensure(**wish)
    file.ensure()
    assert (file.text, file.backup) == (text, None)


@given(texts(), st.lists(wishes, min_size=1, max_size=4))
def test_no_history_of_ours_leaves_a_trace(text, history):
    file = File(text)
    for wish in history:
        file.ensure(**wish)
    file.ensure()
    assert file.text == text


@given(texts(), wishes)
def test_applying_twice_changes_nothing(text, wish):
    file = File(text)
    file.ensure(**wish)
    there, digests = file.text, file.digests
    assert not file.ensure(**wish).changed
    assert (file.text, file.digests) == (there, digests)


@given(texts(), wishes)
def test_foreign_keys_are_unchanged_and_in_their_order(text, wish):
    file = File(text)
    before = file.value
    file.ensure(**wish)
    ours = (file.record or Record()).claims
    # Where an object stood in the way of a value of ours or the other way round, there is nothing foreign left.
    in_the_way = {
        place[:depth] for place in ours for depth in range(1, len(place)) if not is_object(before, place[:depth])
    }
    places = [*ours, *in_the_way]
    kept = without(before, places)
    after = without(file.value, places)
    assert json.dumps(after) == json.dumps(kept)


def is_object(value, place):
    for key in place:
        value = value.get(key, {}) if isinstance(value, dict) else None
    return isinstance(value, dict)


@given(texts(), wishes)
def test_what_is_wanted_is_there(text, wish):
    file = File(text)
    file.ensure(**wish)
    for place, value in claims_of(wish["settings"]).items():
        found = file.value
        for key in place:
            found = found[key]
        assert json.dumps(found) == json.dumps(value)


@given(texts(), wishes, wishes)
def test_the_order_of_two_owners_does_not_matter(text, one, other):
    results = []
    for steps in ([("one", one), ("other", other)], [("other", other), ("one", one)]):
        file = File(text)
        try:
            for owner, wish in steps:
                file.ensure(**wish, owner=owner)
        except Refusal:
            results.append(None)
            continue
        again = [file.ensure(**wish, owner=owner).changed for owner, wish in steps]
        assert again == [False, False]
        results.append((file.value, claims_only(file.record)))
        for owner, _wish in steps:
            file.ensure(owner=owner)
        assert file.text == text
    assert results[0] == results[1]


def claims_only(record):
    claims = Record(record.owners if record else {})
    return claims.digest, claims.reload_digest


@given(objects)
def test_the_digests_do_not_depend_on_the_order_of_keys(settings):
    one, other = File(), File()
    one.ensure(settings)
    other.ensure(dict(reversed(settings.items())))
    assert one.digests == other.digests


def test_keys_of_ours_that_somebody_changed_are_named():
    file = File(b'{"debug": true}')
    file.ensure({"log-driver": "local", "log-opts": {"max-size": "50m"}})
    assert drifted(file.text, file.record, PATH) == ()
    changed = file.text.replace(b'"local"', b'"journald"').replace(b"50m", b"1m")
    assert drifted(changed, file.record, PATH) == ("log-driver", "log-opts.max-size")
    assert drifted(None, file.record, PATH) == ("log-driver", "log-opts.max-size")
    assert "no valid JSON" in drifted(b"{", file.record, PATH)[0]
    assert drifted(file.text.replace(b'"debug": true', b'"debug": false'), file.record, PATH) == ()
