# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import grp
import json
import os
import pwd
import stat
import sys

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import files_runner

ME = {"owner": str(os.getuid()), "group": str(os.getgid())}
pytestmark = pytest.mark.usefixtures("state_directory")


def entry(dest, content=None, **more):
    """Return one entry of ``files`` as the module's argument spec and action plugin leave it."""
    usual = {
        "content": None,
        "secret_content": None,
        "folder": False,
        "mode": None,
        "secret": False,
        "keep": False,
        "program": None,
    }
    return {**usual, **ME, "dest": str(dest), "content": content, **more}


def secret(dest, content, **more):
    return entry(dest, secret_content=content, secret=True, **more)


def params(*files, validate=None, requires=(), state="present"):
    return {"name": "unit", "files": files, "validate": validate, "validate_requires": list(requires), "state": state}


def python(code):
    """Return a validation that runs Python code with the staged folder as its argument."""
    return [sys.executable, "-c", f"import pathlib, sys; root = sys.argv[1]; {code}", "{staged}"]


def manifest():
    return host.read_json(files_runner.manifest_path("unit"))


def mode_of(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_a_set_is_written_with_the_usual_modes_and_recorded(tmp_path):
    conf = tmp_path / "conf"
    result = files_runner.ensure(
        params(
            entry(conf, folder=True),
            entry(conf / "a", "one\n"),
            secret(conf / "key", "hunter2"),
            entry(conf / "run", "#!\n", mode="0755"),
        ),
        check=False,
    )
    assert result["changed"] is True
    assert [oct(int(mode_of(conf / name), 8)) for name in (".", "a", "key", "run")] == [
        "0o755",
        "0o644",
        "0o600",
        "0o755",
    ]
    assert (conf / "a").read_text() == "one\n"
    assert (conf / "key").read_text() == "hunter2"
    assert result["changed_files"] == [str(conf), str(conf / "a"), str(conf / "key"), str(conf / "run")]
    assert result["digest"] == manifest()["digest"]
    assert mode_of(tmp_path / "state" / "files" / "unit.json") == "0o600"


def test_a_second_run_changes_nothing(tmp_path):
    wanted = params(entry(tmp_path / "a", "one\n"))
    first = files_runner.ensure(wanted, check=False)
    written = (tmp_path / "a").stat()
    second = files_runner.ensure(wanted, check=False)
    assert (second["changed"], second["diff"], second["changed_files"]) == (False, [], [])
    assert second["digest"] == first["digest"]
    assert (tmp_path / "a").stat() == written


def test_a_host_tells_the_names_of_the_sets_that_it_has(tmp_path):
    assert files_runner.names() == []
    files_runner.ensure(params(entry(tmp_path / "a", "one\n")), check=False)
    assert files_runner.names() == ["unit"]
    files_runner.ensure(params(state="absent"), check=False)
    assert files_runner.names() == []


def test_check_mode_predicts_the_same_change_and_writes_nothing(tmp_path):
    wanted = params(entry(tmp_path / "conf", folder=True), entry(tmp_path / "conf" / "a", "one\n"))
    predicted = files_runner.ensure(wanted, check=True)
    assert list(tmp_path.iterdir()) == []
    assert predicted == files_runner.ensure(wanted, check=False)


def test_a_file_that_left_the_set_is_removed_and_a_neighbour_stays(tmp_path):
    conf = tmp_path / "conf"
    files_runner.ensure(params(entry(conf, folder=True), entry(conf / "a", "1"), entry(conf / "b", "2")), check=False)
    (conf / "theirs").write_text("not ours")
    result = files_runner.ensure(params(entry(conf, folder=True), entry(conf / "a", "1")), check=False)
    assert result["changed_files"] == [str(conf / "b")]
    assert sorted(path.name for path in conf.iterdir()) == ["a", "theirs"]


@pytest.mark.parametrize("theirs", [False, True], ids=["an empty folder goes", "a folder with somebody's file stays"])
def test_absent_removes_what_the_manifest_lists(tmp_path, theirs):
    conf = tmp_path / "conf"
    files_runner.ensure(params(entry(conf, folder=True), entry(conf / "a", "1")), check=False)
    if theirs:
        (conf / "theirs").write_text("not ours")
    result = files_runner.ensure(params(state="absent"), check=False)
    assert result["changed"] is True
    assert [path.name for path in conf.iterdir()] == ["theirs"] if theirs else not conf.exists()
    assert manifest() == {}
    assert files_runner.ensure(params(state="absent"), check=False)["changed"] is False


@pytest.mark.parametrize("check", [True, False], ids=["check", "run"])
def test_a_set_that_fails_its_validation_leaves_the_old_files_untouched(tmp_path, check):
    good = [entry(tmp_path / "a", "good\n"), entry(tmp_path / "b", "good\n")]
    files_runner.ensure(params(*good), check=False)
    before = manifest()
    bad = params(
        entry(tmp_path / "a", "bad\n"),
        entry(tmp_path / "b", "better\n"),
        validate=python(f"sys.exit('line 1 is bad in ' + root + {str(tmp_path / 'a')!r})"),
    )
    with pytest.raises(Refusal) as refused:
        files_runner.ensure(bad, check=check)
    message = str(refused.value)
    assert message.startswith("the new files are not valid, so the old ones were left in place. ")
    assert message.endswith(f" said:\nline 1 is bad in {tmp_path / 'a'}")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["good\n", "good\n"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "state"]
    assert manifest() == before


def test_the_validation_sees_the_whole_staged_set_and_not_the_running_one(tmp_path):
    files_runner.ensure(params(entry(tmp_path / "a", "old"), entry(tmp_path / "b", "same")), check=False)
    code = f"sys.exit([pathlib.Path(root + '{tmp_path}/' + n).read_text() for n in 'ab'] != ['new', 'same'])"
    files_runner.ensure(
        params(entry(tmp_path / "a", "new"), entry(tmp_path / "b", "same"), validate=python(code)), check=False
    )
    assert (tmp_path / "a").read_text() == "new"


def test_a_set_that_only_loses_a_file_is_validated_too(tmp_path):
    both = [entry(tmp_path / "main", "include part"), entry(tmp_path / "part", "1")]
    files_runner.ensure(params(*both), check=False)
    needs_part = python(f"sys.exit(not pathlib.Path(root + '{tmp_path}/part').exists() and 'no part')")
    with pytest.raises(Refusal, match="no part"):
        files_runner.ensure(params(both[0], validate=needs_part), check=False)
    assert (tmp_path / "part").exists()


def test_an_unchanged_set_is_not_validated_again(tmp_path):
    wanted = entry(tmp_path / "a", "1")
    files_runner.ensure(params(wanted), check=False)
    files_runner.ensure(params(wanted, validate=["/bin/false"]), check=False)


def test_a_secret_that_the_validation_repeats_is_masked(tmp_path):
    repeats = python(f"sys.exit('unknown directive ' + pathlib.Path(root + '{tmp_path}/key').read_text().split()[1])")
    with pytest.raises(Refusal) as refused:
        files_runner.ensure(params(secret(tmp_path / "key", "key hunter2hunter2;\n"), validate=repeats), check=False)
    assert "unknown directive" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("validate", "requires", "missing"),
    [
        (["no-such-program", "-t"], [], "no-such-program"),
        (["/bin/true"], ["no-such-daemon"], "no-such-daemon"),
        (["/bin/true"], ["/etc/passwd", "/no/such/module.so"], "/no/such/module.so"),
    ],
    ids=["the program itself", "another one", "a file"],
)
def test_a_validation_whose_program_is_missing_is_not_predicted_in_check_mode_and_refused_in_a_run(
    tmp_path, validate, requires, missing
):
    wanted = params(entry(tmp_path / "a", "1"), validate=validate, requires=requires)
    described = files_runner.ensure(wanted, check=True)["not_predicted"]
    assert described == [f"the validation by {validate[0]}: {missing} is not installed yet"]
    with pytest.raises(Refusal) as refused:
        files_runner.ensure(wanted, check=False)
    hint = "is not installed, and the set must be validated with it; install it before this task"
    assert str(refused.value) == f"{missing} {hint}"
    assert not (tmp_path / "a").exists()


def test_a_run_that_dies_between_two_renames_is_finished_by_the_next(tmp_path, monkeypatch):
    files_runner.ensure(params(*(entry(tmp_path / name, "old") for name in "abc")), check=False)
    before = manifest()
    renamed = []
    commit = host.Staged.commit

    def dying(staged):
        if len(renamed) == 1:
            raise KeyboardInterrupt
        renamed.append(staged.destination)
        commit(staged)

    wanted = params(*(entry(tmp_path / name, "new") for name in "abc"))
    with monkeypatch.context() as patch:
        patch.setattr(host.Staged, "commit", dying)
        with pytest.raises(KeyboardInterrupt):
            files_runner.ensure(wanted, check=False)
    assert [(tmp_path / name).read_text() for name in "abc"] == ["new", "old", "old"]
    assert manifest() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "state"]

    result = files_runner.ensure(wanted, check=False)
    assert result["changed_files"] == [str(tmp_path / name) for name in "bc"]
    assert [(tmp_path / name).read_text() for name in "abc"] == ["new", "new", "new"]
    assert manifest()["digest"] == result["digest"]


def test_a_file_that_cannot_be_replaced_leaves_the_whole_set_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "b").write_text("theirs")
    (tmp_path / "b").chmod(0o640)
    replace = os.replace

    def refusing(source, destination):
        if destination == str(tmp_path / "z"):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source, None, destination)
        replace(source, destination)

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(PermissionError):
        files_runner.ensure(params(*(entry(tmp_path / name, "new") for name in ("a", "b", "link", "z"))), check=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "link", "state"]
    assert ((tmp_path / "b").read_text(), mode_of(tmp_path / "b")) == ("theirs", "0o640")
    assert os.readlink(tmp_path / "link") == "elsewhere"


def test_the_manifest_is_written_after_every_rename_and_removal(tmp_path, monkeypatch):
    files_runner.ensure(params(entry(tmp_path / "gone", "1")), check=False)
    seen = []
    write_json = host.write_json

    def watching(path, value, mode=0o600):
        if path == files_runner.manifest_path("unit"):
            seen.append(sorted(one.name for one in tmp_path.iterdir()))
        write_json(path, value, mode)

    monkeypatch.setattr(host, "write_json", watching)
    files_runner.ensure(params(entry(tmp_path / "a", "1"), entry(tmp_path / "b", "2")), check=False)
    assert seen == [["a", "b", "state"]]


@pytest.mark.parametrize("there", ["file", "folder"])
def test_a_folder_in_a_files_place_and_the_reverse_are_refused(tmp_path, there):
    dest = tmp_path / "x"
    dest.mkdir() if there == "folder" else dest.write_text("theirs")
    wanted = entry(dest, "1") if there == "folder" else entry(dest, folder=True)
    with pytest.raises(Refusal, match=f"^found a {there} at {dest}; wanted a "):
        files_runner.ensure(params(wanted), check=False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param({"content": "1", "mode": "rw"}, "/a has the mode 'rw'; wanted octal digits", id="mode in letters"),
        pytest.param(
            {"content": "1", "mode": "0849"}, "/a has the mode '0849'; wanted octal digits", id="mode with 8 and 9"
        ),
        pytest.param(
            {"content": "1", "mode": "416"}, "/a has the mode '416'; wanted octal digits", id="0640 without quotes"
        ),
        pytest.param({}, "/a has neither content nor folder; set one of them", id="neither"),
        pytest.param({"content": "1", "folder": True}, "/a has both content and folder; set one of them", id="both"),
        pytest.param(
            {"content": "1", "owner": "no-such-account"},
            "owner 'no-such-account' is not known on this host; make the account first or set owner to a number",
            id="owner",
        ),
        pytest.param(
            {"content": "1", "group": "no-such-group"},
            "group 'no-such-group' is not known on this host; make the account first or set group to a number",
            id="group",
        ),
    ],
)
def test_a_wrong_entry_is_refused_with_its_hint(wrong, message):
    with pytest.raises(Refusal) as refused:
        files_runner.ensure(params(entry("/a", **wrong)), check=True)
    assert str(refused.value).startswith(message)


def test_owners_may_be_given_by_name(tmp_path):
    names = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}
    files_runner.ensure(params(entry(tmp_path / "a", "1", **names)), check=False)
    assert files_runner.ensure(params(entry(tmp_path / "a", "1")), check=False)["changed"] is False


def test_no_secret_stands_in_the_result_or_the_manifest(tmp_path):
    result = files_runner.ensure(
        params(secret(tmp_path / "key", "hunter2"), entry(tmp_path / "a", "plain text")), check=False
    )
    assert "hunter2" not in json.dumps([result, manifest()])
    assert "plain text" in json.dumps(result["diff"])


def test_a_file_to_be_kept_is_somebody_elses_once_it_is_there(tmp_path):
    kept = tmp_path / "kept"
    wanted = params(entry(kept, "first\n", keep=True))
    assert files_runner.ensure(wanted, check=False)["changed"] is True
    kept.write_text("of somebody else\n")
    digest = manifest()["digest"]
    assert files_runner.ensure(params(entry(kept, "second\n", keep=True)), check=False)["changed"] is False
    assert (kept.read_text(), manifest()["digest"]) == ("of somebody else\n", digest)
    kept.chmod(0o640)
    assert files_runner.ensure(wanted, check=False)["changed"] is True
    assert (kept.read_text(), mode_of(kept)) == ("of somebody else\n", "0o644")


def test_a_validation_sees_what_is_kept(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("of somebody else\n")
    code = python(f"sys.exit('first' in pathlib.Path(root + {str(kept)!r}).read_text())")
    wanted = params(entry(kept, "first\n", keep=True), entry(tmp_path / "b", "b"), validate=code)
    assert files_runner.ensure(wanted, check=False)["changed"] is True


def test_a_part_of_a_set_is_written_and_the_rest_stays_and_both_are_validated(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    files_runner.ensure(params(entry(a, "one\n"), entry(b, "two\n")), check=False)
    text = f"pathlib.Path(root + {str(b)!r}).read_text()"
    part = {**params(entry(a, "new\n"), validate=python(f"sys.exit({text} != 'two\\n')")), "partial": True}
    result = files_runner.ensure(part, check=False)
    assert (result["changed"], a.read_text(), b.read_text()) == (True, "new\n", "two\n")
    assert files_runner.ensure(part, check=False)["changed"] is False
    whole = files_runner.ensure(params(entry(a, "new\n"), entry(b, "two\n")), check=False)
    assert (whole["changed"], whole["digest"]) == (False, result["digest"])


def test_a_part_of_a_set_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Refusal, match="wanted those of a whole run; run site.yml first"):
        files_runner.ensure({**params(entry(tmp_path / "a", "one\n")), "partial": True}, check=False)


def gone():
    return files_runner.ensure(params(state="absent"), check=False)


def test_a_file_that_was_there_before_comes_back_byte_for_byte_with_its_mode(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"\xfftheirs\r\n")
    theirs.chmod(0o640)
    for text in ("one\n", "two\n"):
        files_runner.ensure(params(entry(theirs, text)), check=False)
    predicted = files_runner.ensure(params(state="absent"), check=True)
    assert predicted["diff"][0]["after"] == "file of 9 bytes, which was there before\n"
    result = gone()
    assert result["diff"] == predicted["diff"]
    assert theirs.read_bytes() == b"\xfftheirs\r\n"
    assert mode_of(theirs) == "0o640"
    assert gone()["changed"] is False
    assert files_runner.former() == {}


def test_a_link_that_was_there_before_comes_back_as_one(tmp_path):
    link = tmp_path / "x.service"
    link.symlink_to("/dev/null")
    files_runner.ensure(params(entry(link, "[Unit]\n")), check=False)
    assert link.read_text() == "[Unit]\n"
    gone()
    assert os.readlink(link) == "/dev/null"


def test_what_stood_before_is_kept_before_the_first_byte_is_written(tmp_path, monkeypatch):
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs\n")

    def dies(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(host.Staged, "commit", lambda staged: os.replace(staged.temporary, staged.destination))
        patched.setattr(files_runner, "_record", dies)
        with pytest.raises(OSError, match="No space"):
            files_runner.ensure(params(entry(theirs, "ours\n")), check=False)
    assert theirs.read_text() == "ours\n"
    files_runner.ensure(params(entry(theirs, "ours\n")), check=False)
    gone()
    assert theirs.read_text() == "theirs\n"


def test_a_folder_that_was_there_before_stays_although_it_is_empty(tmp_path):
    (tmp_path / "theirs").mkdir(mode=0o700)
    wanted = params(entry(tmp_path / "theirs", folder=True), entry(tmp_path / "ours", folder=True))
    files_runner.ensure(wanted, check=False)
    gone()
    assert (tmp_path / "theirs").is_dir()
    assert not (tmp_path / "ours").exists()


def test_a_folder_that_the_way_to_a_file_needs_is_known_as_ours(tmp_path):
    files_runner.ensure(params(entry(tmp_path / "a" / "b" / "c", "1")), check=False)
    before = files_runner.former()
    assert {path: one.there for path, one in before.items()} == {
        str(tmp_path / "a"): False,
        str(tmp_path / "a" / "b"): False,
        str(tmp_path / "a" / "b" / "c"): False,
    }


def test_a_file_that_an_earlier_release_wrote_is_not_taken_for_somebody_elses(tmp_path):
    ours = tmp_path / "ours"
    files_runner.ensure(params(entry(ours, "one\n")), check=False)
    os.unlink(files_runner.former_path())
    files_runner.ensure(params(entry(ours, "two\n")), check=False)
    gone()
    assert not ours.exists()


def linked(path, target, monkeypatch):
    """Make a link that is neither root's nor ours."""
    path.symlink_to(target)
    if os.getuid() == 0:
        os.lchown(path, 12345, 12345)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)


@pytest.mark.parametrize("check", [True, False])
def test_a_link_of_somebody_else_where_a_folder_is_wanted_is_refused(tmp_path, monkeypatch, check):
    secret = tmp_path / "etc"
    secret.mkdir(mode=0o700)
    linked(tmp_path / "x", secret, monkeypatch)
    with pytest.raises(Refusal, match="found a link at .*/x that belongs to the user .*; wanted a folder"):
        files_runner.ensure(params(entry(tmp_path / "x", folder=True, mode="0777")), check)
    assert mode_of(secret) == "0o700"


def test_a_link_that_comes_while_a_folder_is_made_is_not_followed(tmp_path, monkeypatch):
    secret = tmp_path / "etc"
    secret.mkdir(mode=0o700)

    def makedirs(path, exist_ok):
        os.symlink(secret, path)

    monkeypatch.setattr(files_runner.os, "makedirs", makedirs)
    with pytest.raises(OSError, match="x"):
        files_runner._make_folder(files_runner.files.WantedFile(str(tmp_path / "x"), None, 0o777))
    assert mode_of(secret) == "0o700"


def test_a_folder_that_was_moved_by_a_link_of_ours_is_taken_where_it_is(tmp_path):
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "x").symlink_to(tmp_path / "disk")
    files_runner.ensure(params(entry(tmp_path / "x", folder=True, mode="0750")), check=False)
    assert (mode_of(tmp_path / "disk"), (tmp_path / "x").is_symlink()) == ("0o750", True)


def test_a_link_of_somebody_else_where_a_file_is_wanted_gives_way_to_it(tmp_path, monkeypatch):
    (tmp_path / "key").write_text("hunter2")
    linked(tmp_path / "x", tmp_path / "key", monkeypatch)
    result = files_runner.ensure(params(entry(tmp_path / "x", "one")), check=False)
    assert "hunter2" not in str(result)
    assert ((tmp_path / "x").read_text(), (tmp_path / "key").read_text()) == ("one", "hunter2")
