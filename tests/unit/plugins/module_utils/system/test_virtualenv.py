# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system.virtualenv import (
    Build,
    Current,
    Interpreter,
    Remove,
    credentials,
    kept_settings,
    missing,
    pinned,
    pip_environment,
    plan_absent,
    plan_present,
    wheels_for,
    without_secrets,
)
from hypothesis import given
from hypothesis import strategies as st

PATH = "/opt/x/toolbox"
HASH = "--hash=sha256:" + "ab" * 32
ONE = f"requests==2.32.5 {HASH}\n"


def planned(current=None, requirements=ONE, python="/usr/bin/python3", version="3.11"):
    return plan_present(PATH, current or Current(), requirements, python, version)


def made(plan):
    """Return what is there after a plan."""
    build = plan.actions[0]
    return Current(target=build.folder, record=build.record, folders=(build.folder,))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (ONE, ("requests==2.32.5",)),
        (f"requests==2.32.5 \\\n    {HASH} \\\n    {HASH}\n    # via -r x.in\n", ("requests==2.32.5",)),
        (
            f"# made by a tool\n\na==1 ; python_full_version < '3.10' {HASH}\nb[c,d]==1.0+cpu {HASH}",
            ("a==1 ; python_full_version < '3.10'", "b[c,d]==1.0+cpu"),
        ),
    ],
)
def test_pinned_and_hashed_requirements_are_read(text, names):
    assert pinned(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "requests\n",
        "requests==2.32.5\n",
        f"requests>=2.32.5 {HASH}\n",
        f"requests==2.* {HASH}\n",
        f"-r other.txt\n{ONE}",
        f"--index-url https://x\n{ONE}",
        "requests==2.32.5 --hash=md5:00\n",
        f"./folder {HASH}\n",
        f"x @ https://h/x.whl {HASH}\n",
    ],
)
def test_what_is_not_pinned_and_hashed_is_refused(text):
    with pytest.raises(Refusal, match="^found .* among the requirements; wanted name==version --hash=sha256:"):
        pinned(text)


@pytest.mark.parametrize("text", ["", "\n# nothing\n"])
def test_a_text_without_requirements_is_refused(text):
    with pytest.raises(Refusal, match="^found no requirement; wanted the text of a file"):
        pinned(text)


def test_the_first_run_builds_beside_the_path_and_the_next_does_nothing():
    plan = planned()
    (build,) = plan.actions
    assert isinstance(build, Build)
    assert build.folder.startswith(f"{PATH}-")
    assert (plan.differences[0].before, plan.differences[0].after) == (
        "",
        "# /usr/bin/python3 3.11\nrequests==2.32.5\n",
    )
    assert not planned(made(plan)).changed


@pytest.mark.parametrize(
    "change",
    [
        {"requirements": ONE.replace("2.32.5", "2.34.2")},
        {"requirements": ONE.replace("ab", "cd")},
        {"python": "/usr/bin/python3.13"},
        {"version": "3.13"},
    ],
)
def test_other_packages_hashes_or_interpreters_make_it_anew_and_remove_the_old_one(change):
    first = planned()
    build, remove = planned(made(first), **change).actions
    assert build.folder != first.actions[0].folder
    assert remove == Remove(first.actions[0].folder)


@given(st.lists(st.sampled_from(["# a comment", "", "   "]), max_size=4))
def test_comments_and_blank_lines_change_nothing(noise):
    assert not planned(made(planned()), "\n".join([*noise, ONE, *noise])).changed


@pytest.mark.parametrize(
    "damage",
    [{"record": {}}, {"record": {"digest": "0"}}, {"target": f"{PATH}-0123456789ab"}, {"target": None}],
)
def test_an_environment_that_is_not_whole_is_built_anew(damage):
    there = {"target": made(planned()).target, "record": made(planned()).record, **damage}
    assert [type(action) for action in planned(Current(**there)).actions] == [Build]


def test_what_a_run_that_died_has_left_is_removed():
    there = made(planned())
    left = f"{PATH}-0123456789ab"
    plan = planned(Current(target=there.target, record=there.record, folders=(left, *there.folders)))
    assert plan.actions == (Remove(left),)
    assert plan.reason == f"remove {left}"


@pytest.mark.parametrize("decide", [planned, lambda current: plan_absent(PATH, current)])
def test_a_path_that_is_somebody_elses_is_left_alone(decide):
    with pytest.raises(Refusal, match=f"^found {PATH}, which gpuchat did not make; .*set path \\(gpuchat_toolbox\\)"):
        decide(Current(occupied=True))


def test_a_missing_interpreter_is_reported():
    with pytest.raises(Refusal, match="^found no Python at /usr/bin/python3; wanted one; set python to its path$"):
        planned(version=None)


def test_an_environment_is_removed_with_its_link_and_folders():
    there = made(planned())
    assert plan_absent(PATH, there).actions == (Remove(PATH), Remove(there.target))
    assert not plan_absent(PATH, Current()).changed


def test_pip_is_reported_in_its_environment_and_only_what_was_set():
    assert "PIP_INDEX_URL" not in pip_environment("", [], {}, ())
    described = pip_environment("http://u:p@i/simple", ["a", "b:80"], {"PIP_INDEX_URL": "http://theirs"}, ())
    assert (described["PIP_INDEX_URL"], described["PIP_TRUSTED_HOST"]) == ("http://u:p@i/simple", "a b:80")


LISTED = """:env:.cert='/etc/ca.pem'
:env:.user='1'
global.cert='/etc/other.pem'
global.constraint='/etc/constraints.txt'
global.extra-index-url='http://a/simple\\nhttp://b/simple'
global.index-url='http://global/simple'
install.index-url='http://install/simple'
install.prefix='/opt'
install.target='/srv/lib'
install.user='true'
"""


def test_of_the_hosts_settings_those_of_the_index_and_the_way_to_it_are_kept():
    kept = kept_settings(LISTED)
    assert kept == {
        "PIP_CERT": "/etc/ca.pem",
        "PIP_EXTRA_INDEX_URL": "http://a/simple http://b/simple",
        "PIP_INDEX_URL": "http://install/simple",
    }
    environment = pip_environment("", [], kept, ["PATH", "PIP_USER", "PIP_CERT"])
    assert (environment["PIP_USER"], environment["PIP_CERT"], environment["PIP_CONFIG_FILE"]) == (
        "",
        "/etc/ca.pem",
        "/dev/null",
    )
    assert "PATH" not in environment


def test_what_was_installed_is_held_against_what_was_wanted():
    wanted = ("nvidia-ml-py==13.0", "requests==2.34.2 ; python_version >= '3.10'", "a[x]==1")
    assert missing(wanted, "nvidia_ml.py==13.0\nA==1\npip==25\n") == ()
    assert missing(wanted, "nvidia-ml-py==12.0\n") == ("nvidia-ml-py==13.0", "a==1")


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://pypi.example.com/simple", ()),
        ("", ()),
        ("https://user:geheim@i/simple", ("geheim",)),
        ("https://token@i/simple", ("token",)),
        ("https://user:a%40b@i/simple", ("a%40b", "a@b")),
        ("https://user:@i/simple", ("user",)),
        ("https://i/simple?x=a@b", ()),
    ],
)
def test_an_indexs_credentials_are_known(url, secret):
    assert credentials(url) == secret
    described = without_secrets(f"{url} and {' '.join(secret)}", url)
    assert not [one for one in secret if one in described]


ROLE = pathlib.Path(__file__).parents[5] / "roles/toolbox/files/requirements.txt"
SUM = "ab" * 32


@pytest.mark.parametrize(
    ("version", "machine", "wheel"),
    [
        ("3.11", "x86_64", "a_b-1.0-py3-none-any.whl"),
        ("3.11", "x86_64", "A.b-1.0-py2.py3-none-any.whl"),
        ("3.11", "x86_64", "a_b-1.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"),
        ("3.13", "x86_64", "a_b-1.0-cp39-abi3-manylinux_2_28_x86_64.whl"),
        ("3.9", "aarch64", "a_b-1.0-7-cp39-cp39-linux_aarch64.whl"),
    ],
)
def test_a_wheel_suits_a_python_and_a_machine_by_its_name(version, machine, wheel):
    assert wheels_for(f"a-b[c]==1.0 {HASH}\n", {wheel: SUM}, Interpreter(version, machine)) == (wheel,)


@pytest.mark.parametrize(
    "wheel",
    [
        "a_b-1.1-py3-none-any.whl",
        "a-1.0-py3-none-any.whl",
        "a_b-1.0-py2-none-any.whl",
        "a_b-1.0-cp311-cp311-manylinux2014_x86_64.whl",
        "a_b-1.0-cp313-cp313-manylinux2014_aarch64.whl",
        "a_b-1.0-cp313-cp313-musllinux_1_2_x86_64.whl",
        "a_b-1.0-cp313-cp313-win_amd64.whl",
        "a_b-1.0-cp314-abi3-manylinux2014_x86_64.whl",
        "a_b-1.0.tar.gz",
        "a_b.whl",
    ],
)
def test_a_wheel_of_another_version_python_or_machine_does_not(wheel):
    with pytest.raises(Refusal, match=r"found no wheel for a-b==1\.0 that suits Python 3\.13 on x86_64; wanted one"):
        wheels_for(f"a-b==1.0 {HASH}\n", {wheel: SUM}, Interpreter("3.13", "x86_64"))


def test_a_wheel_in_other_bytes_than_its_hash_says_is_named():
    wheel = "a-1-py3-none-any.whl"
    with pytest.raises(Refusal, match=rf"a==1 \({re.escape(wheel)} has other bytes than its hash says\)"):
        wheels_for(f"a==1 {HASH}\n", {wheel: "cd" * 32}, Interpreter("3.13", "x86_64"))


def test_all_that_lack_are_named_at_once_and_those_of_other_pythons_are_not():
    text = f"a==1 ; python_full_version < '3.10' {HASH}\nb==2 ; python_full_version >= '3.10' {HASH}\nc==3 {HASH}\n"
    for version, named in {"3.9": "a==1, c==3", "3.10": "b==2, c==3"}.items():
        with pytest.raises(Refusal, match=f"found no wheel for {named} that"):
            wheels_for(text, {}, Interpreter(version, "x86_64"))


@pytest.mark.parametrize("version", ["3.9", "3.12", "3.14"])
def test_the_toolboxs_own_requirements_are_told_apart_by_python(version):
    with pytest.raises(Refusal) as caught:
        wheels_for(ROLE.read_text(), {}, Interpreter(version, "aarch64"))
    told = str(caught.value)
    assert ("requests==2.32.5" in told) is (version == "3.9")
    assert told.count("requests==") == told.count("urllib3==") == told.count("nvidia-ml-py==") == 1
