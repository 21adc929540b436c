# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.host import FileState
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system.files import (
    Record,
    Remove,
    WantedFile,
    Write,
    drifted,
    manifest_of,
    owned_paths,
    plan_files,
)
from hypothesis import given
from hypothesis import strategies as st

A = WantedFile("/etc/x/a", b"one\n", 0o644)
KEY = WantedFile("/etc/x/key", b"hunter2\n", 0o600, secret=True)
FOLDER = WantedFile("/etc/x", None, 0o755)


def state_of(file, **changes):
    values = {"content": file.content, "mode": file.mode, "uid": file.uid, "gid": file.gid, **changes}
    return FileState(**values)


def states_of(*files):
    return {file.path: state_of(file) for file in files}


@pytest.mark.parametrize(
    ("wanted", "current", "manifest", "actions", "reason"),
    [
        pytest.param(
            (FOLDER, A),
            {},
            {},
            (Write(FOLDER), Write(A), Record(manifest_of((FOLDER, A)))),
            "2 to write, 0 to remove",
            id="bare host: folder and file are written, the manifest last",
        ),
        pytest.param((A,), states_of(A), manifest_of((A,)), (), "all files are in place", id="nothing differs"),
        pytest.param(
            (A,),
            states_of(A),
            {},
            (Record(manifest_of((A,))),),
            "files are in place; their manifest is updated",
            id="a run died before the manifest",
        ),
        pytest.param(
            (A,),
            {A.path: state_of(A, mode=0o600)},
            manifest_of((A,)),
            (Write(A),),
            "1 to write, 0 to remove",
            id="mode alone differs",
        ),
        pytest.param(
            (A,),
            {A.path: state_of(A, gid=7)},
            manifest_of((A,)),
            (Write(A),),
            "1 to write, 0 to remove",
            id="group alone differs",
        ),
        pytest.param(
            (A,),
            states_of(A, KEY),
            manifest_of((A, KEY)),
            (Remove(KEY.path), Record(manifest_of((A,)))),
            "0 to write, 1 to remove",
            id="a file left the set",
        ),
        pytest.param(
            (A,),
            states_of(A),
            manifest_of((A, KEY)),
            (Record(manifest_of((A,))),),
            "files are in place; their manifest is updated",
            id="a file left the set and is gone already",
        ),
        pytest.param(
            (A,),
            states_of(A, KEY),
            manifest_of((A,)),
            (),
            "all files are in place",
            id="a neighbour that is not ours stays",
        ),
        pytest.param(
            (),
            states_of(FOLDER, A),
            manifest_of((FOLDER, A)),
            (Remove(A.path), Remove(FOLDER.path), Record(None)),
            "0 to write, 2 to remove",
            id="absent: the file, then its folder, then the manifest",
        ),
        pytest.param((), {}, {}, (), "all files are in place", id="absent and never there"),
    ],
)
def test_a_set_is_compared_with_the_host(wanted, current, manifest, actions, reason):
    plan = plan_files(wanted, current, manifest)
    assert (plan.actions, plan.reason) == (actions, reason)


@pytest.mark.parametrize(
    ("wanted", "current", "message"),
    [
        pytest.param(
            (WantedFile("etc/a", b"", 0o644),),
            {},
            "found the path 'etc/a'; wanted an absolute path; set dest to one that starts with /",
            id="relative path",
        ),
        pytest.param((A, A), {}, "/etc/x/a stands twice in the file set; keep one of the two in files", id="twice"),
        pytest.param(
            (A,),
            {A.path: FileState(None, 0o755, 0, 0)},
            "found a folder at /etc/x/a; wanted a file; move it away or set another dest",
            id="folder in a file's place",
        ),
        pytest.param(
            (FOLDER,),
            {FOLDER.path: FileState(b"", 0o644, 0, 0)},
            "found a file at /etc/x; wanted a folder; move it away or set another dest",
            id="file in a folder's place",
        ),
    ],
)
def test_an_impossible_set_is_refused(wanted, current, message):
    with pytest.raises(Refusal) as refused:
        plan_files(wanted, current, {})
    assert str(refused.value) == message


def test_a_path_that_climbs_out_of_its_folder_is_refused():
    with pytest.raises(Refusal, match=r"/etc/x/\.\./\.\./boot/a"):
        plan_files((WantedFile("/etc/x/../../boot/a", b"", 0o644),), {}, {})


@pytest.mark.parametrize(
    ("wanted", "current", "before", "after"),
    [
        pytest.param(A, None, "", "# mode 0644, owner 0:0\none\n", id="new"),
        pytest.param(
            A,
            state_of(A, content=b"nil\n", uid=3),
            "# mode 0644, owner 3:0\nnil\n",
            "# mode 0644, owner 0:0\none\n",
            id="content and owner",
        ),
        pytest.param(FOLDER, None, "", "# mode 0755, owner 0:0\n", id="folder"),
        pytest.param(KEY, None, "", "# mode 0600, owner 0:0\n(secret content)\n", id="new secret"),
        pytest.param(
            KEY,
            state_of(KEY, content=b"old"),
            "# mode 0600, owner 0:0\n(secret content)\n",
            "# mode 0600, owner 0:0\n(secret content, changed)\n",
            id="changed secret",
        ),
        pytest.param(
            WantedFile("/b", b"\xff\x00", 0o644),
            None,
            "",
            f"# mode 0644, owner 0:0\n(binary, sha256 {hashlib.sha256(bytes([255, 0])).hexdigest()})\n",
            id="binary",
        ),
    ],
)
def test_a_diff_shows_mode_owner_and_content_but_no_secret(wanted, current, before, after):
    (difference,) = plan_files((wanted,), {wanted.path: current}, {}).differences
    assert (difference.name, difference.before, difference.after) == (wanted.path, before, after)


def test_a_secret_is_masked_while_its_neighbours_stay_visible():
    shown = json.dumps(plan_files((A, KEY), {}, {}).result())
    assert "hunter2" not in shown
    assert r"# mode 0644, owner 0:0\none\n" in shown


def program(*texts):
    """Return the files of a program whose modules have these texts."""
    found = [WantedFile(f"/opt/p/{number}.py", text, 0o644, program="a.main") for number, text in enumerate(texts)]
    return (WantedFile("/opt/p", None, 0o755, program="a.main"), *found)


def shown(text):
    return re.sub("[0-9a-f]{64}", "DIGEST", text)


def test_a_program_is_one_line_of_a_diff_and_the_files_beside_it_are_told_as_ever():
    first, second = plan_files((*program(b"one\n", b"two\n"), A), {}, {}).differences
    assert (first.name, first.before) == ("/opt/p", "")
    assert shown(first.after) == "program a.main, files: 2, sha256 DIGEST\n"
    assert second.name == A.path


def test_a_changed_program_is_its_digest_before_and_after():
    old, new = program(b"one\n", b"gone\n"), program(b"two\n")
    plan = plan_files(new, states_of(*old), manifest_of(old))
    (difference,) = plan.differences
    assert [one for one in plan.actions if isinstance(one, (Write, Remove))] == [Write(new[1]), Remove("/opt/p/1.py")]
    assert shown(difference.before) == "program a.main, files: 2, sha256 DIGEST\n"
    assert shown(difference.after) == "program a.main, files: 1, sha256 DIGEST\n"
    assert plan_files(new, states_of(*new), manifest_of(new)).differences == ()
    assert plan_files(new, {}, {}).differences[0].after == difference.after


def test_a_program_whose_file_only_lost_its_mode_differs_too():
    files = program(b"one\n")
    current = {**states_of(*files), files[1].path: state_of(files[1], mode=0o600)}
    (difference,) = plan_files(files, current, manifest_of(files)).differences
    assert difference.before != difference.after


def test_a_removed_file_is_shown_by_its_size_alone():
    (difference,) = plan_files((), states_of(KEY), manifest_of((KEY,))).differences
    assert (difference.before, difference.after) == ("file of 8 bytes\n", "")


def test_what_the_set_owns_is_listed_deepest_first():
    files = (FOLDER, A, WantedFile("/etc/x/y", None, 0o755), WantedFile("/etc/x/y/z", b"", 0o644))
    assert owned_paths(manifest_of(files)) == ("/etc/x/y/z", "/etc/x/a", "/etc/x/y", "/etc/x")


@pytest.mark.parametrize("damaged", [{}, {"files": None}, {"files": []}], ids=str)
def test_a_damaged_manifest_owns_nothing(damaged):
    assert owned_paths(damaged) == ()


file_sets = st.lists(
    st.builds(
        WantedFile,
        path=st.sampled_from([f"/{one}/{two}" for one in "ab" for two in "cde"]),
        content=st.binary(max_size=8),
        mode=st.sampled_from([0o600, 0o644]),
        uid=st.integers(0, 2),
        gid=st.integers(0, 2),
        secret=st.booleans(),
    ),
    unique_by=lambda file: file.path,
    max_size=6,
)


def after(plan, current, manifest):
    """Perform a plan on a host that is a dictionary."""
    there, record = dict(current), manifest
    for action in plan.actions:
        if isinstance(action, Write):
            there[action.file.path] = state_of(action.file)
        elif isinstance(action, Remove):
            there[action.path] = None
        else:
            record = action.manifest or {}
    return there, record


@given(file_sets, file_sets)
def test_a_plan_leaves_nothing_to_plan_and_nothing_of_the_old_set(old, new):
    there, record = after(plan_files(old, {}, {}), {}, {})
    there, record = after(plan_files(new, there, record), there, record)
    assert plan_files(new, there, record).actions == ()
    assert {path for path, state in there.items() if state} == {file.path for file in new}


@given(file_sets, file_sets, st.data())
def test_a_run_that_died_anywhere_is_finished_by_the_next(old, new, data):
    there, record = after(plan_files(old, {}, {}), {}, {})
    plan = plan_files(new, there, record)
    done = data.draw(st.integers(0, len(plan.actions)))
    there, record = after(type(plan)(actions=plan.actions[:done]), there, record)
    there, record = after(plan_files(new, there, record), there, record)
    assert {path for path, state in there.items() if state} == {file.path for file in new}
    assert record == (manifest_of(new) if new else {})


@given(file_sets, st.randoms())
def test_the_digest_does_not_depend_on_the_order_of_files(files, random):
    shuffled = random.sample(files, len(files))
    assert manifest_of(files)["digest"] == manifest_of(shuffled)["digest"]


@given(file_sets.filter(bool))
def test_the_digest_changes_with_any_content(files):
    first, *rest = files
    other = WantedFile(first.path, (first.content or b"") + b"!", first.mode, first.uid, first.gid, first.secret)
    assert manifest_of(files)["digest"] != manifest_of([other, *rest])["digest"]


def test_a_set_as_it_was_recorded_has_not_drifted():
    assert drifted(manifest_of((FOLDER, A, KEY)), states_of(FOLDER, A, KEY)) == {}
    assert drifted({}, {}) == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"content": b"two\n"}, ("content",)),
        ({"mode": 0o666}, ("mode",)),
        ({"uid": 7}, ("owner",)),
        ({"gid": 7, "content": b"", "mode": 0o600}, ("content", "mode", "owner")),
        ({"content": None}, ("content",)),
    ],
)
def test_what_became_of_a_file_since_it_was_recorded_is_told_by_its_path(changes, words):
    assert drifted(manifest_of((FOLDER, A)), {**states_of(FOLDER), A.path: state_of(A, **changes)}) == {A.path: words}


def test_a_recorded_file_that_is_gone_is_missing():
    assert drifted(manifest_of((FOLDER, A)), {**states_of(FOLDER), A.path: None}) == {A.path: ("missing",)}


def test_what_somebody_else_makes_of_a_kept_file_is_no_drift():
    kept = WantedFile("/etc/x/acme.pem", b"first", 0o600, keep=True)
    assert drifted(manifest_of((kept,)), {kept.path: state_of(kept, content=b"renewed")}) == {}
