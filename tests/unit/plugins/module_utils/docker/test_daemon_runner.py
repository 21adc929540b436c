# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import json
import os
import pathlib
import signal
import stat

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal, Unhealthy
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker import daemon_former_runner, daemon_runner

DEFAULTS = {
    "settings": {},
    "defaults": {},
    "owner": "gpuchat",
    "nvidia_runtime": None,
    "runtime_name": "nvidia",
    "runtime_path": "nvidia-container-runtime",
    "default_runtime": False,
    "cdi": None,
    "state": "present",
    "service": "",
}


@pytest.fixture
def path(tmp_path, state_directory, commands, monkeypatch):
    monkeypatch.setattr(host, "program", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("XDG_STATE_HOME", str(state_directory))
    monkeypatch.setattr(daemon_runner, "USER_UNITS", ())
    return tmp_path / "etc" / "docker" / "daemon.json"


@pytest.fixture
def theirs(path):
    """Return a function that writes somebody else's file."""

    def write(text, mode=0o644):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        path.chmod(mode)

    return write


def ensure(path, settings=None, check=False, **more):
    return daemon_runner.ensure({**DEFAULTS, "path": str(path), "settings": settings or {}, **more}, check)


def backup(path):
    return path.with_name("daemon.json.before-gpuchat")


def test_the_first_settings_make_the_file_and_a_second_run_changes_nothing(path):
    settings = {"registry-mirrors": ["https://m"], "insecure-registries": [], "data-root": None}
    first = ensure(path, settings)
    assert json.loads(path.read_text()) == {"registry-mirrors": ["https://m"]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    second = ensure(path, settings)
    assert (first["changed"], second["changed"]) == (True, False)
    assert (first["restart_required"], first["reload_required"]) == (False, True)
    assert (second["restart_required"], second["reload_required"]) == (False, False)
    assert [first[name] for name in ("digest", "reload_digest")] == [
        second[name] for name in ("digest", "reload_digest")
    ]
    assert not backup(path).exists()
    assert ensure(path, state="absent")["changed"]
    assert not path.exists()
    assert not ensure(path, state="absent")["changed"]


def test_a_docker_program_that_speaks_to_another_host_is_refused_before_a_file_changes(path, commands):
    commands.answer("docker context inspect", "tcp://10.0.0.9:2376\n")
    with pytest.raises(Refusal, match="docker speaks to tcp://10.0.0.9:2376 for this user"):
        ensure(path, {"a": 1}, service="docker")
    assert not path.exists()
    ensure(path, {"a": 1})  # whose service is nobody's here


@pytest.mark.parametrize("rc", [0, 1, 127], ids=["this host's", "a podman of that name", "none yet"])
def test_a_docker_program_that_speaks_to_this_host_or_says_nothing_is_taken(path, commands, rc):
    commands.answer("docker context inspect", "unix:///var/run/docker.sock\n" if rc == 0 else "no such command", rc)
    assert "warnings" not in ensure(path, {"a": 1}, check=True, service="docker")


def test_a_proxy_that_new_containers_would_be_told_of_is_warned_of(path, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"proxies": {"default": {"httpProxy": "http://proxy:3128"}}}))
    (warning,) = ensure(path, {"a": 1}, check=True, service="docker")["warnings"]
    assert f"take proxies out of {tmp_path}/config.json" in warning


def test_users_that_are_others_on_the_host_than_in_containers_are_warned_of(path, theirs):
    theirs('{"userns-remap": "default"}')
    (warning,) = ensure(path, {"a": 1}, check=True, service="docker")["warnings"]
    assert f"found userns-remap default in {path} or on dockerd's command line" in warning
    assert "warnings" not in ensure(path, {"a": 1}, check=True)


def test_somebody_elses_file_keeps_its_keys_and_mode_is_saved_once_and_comes_back(path, theirs):
    theirs('{"debug":true}', 0o640)
    ensure(path, {"a": 1})
    ensure(path, {"a": 2})
    assert json.loads(path.read_text()) == {"debug": True, "a": 2}
    assert backup(path).read_text() == '{"debug":true}'
    assert [stat.S_IMODE(one.stat().st_mode) for one in (path, backup(path))] == [0o640, 0o640]
    ensure(path, {"a": 2}, state="absent")
    assert path.read_text() == '{"debug":true}'
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not backup(path).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away")
def test_the_files_owner_stays(path, theirs):
    theirs("{}")
    os.chown(path, 12, 34)
    ensure(path, {"a": 1})
    assert (path.stat().st_uid, path.stat().st_gid) == (12, 34)


def test_a_link_stays_a_link(path, theirs, tmp_path):
    theirs('{"debug": true}')
    real = path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(real)
    ensure(path, {"a": 1})
    assert path.is_symlink()
    assert json.loads(real.read_text()) == {"debug": True, "a": 1}


def test_a_file_that_holds_what_is_wanted_is_not_written_again(path, theirs):
    theirs('{"a":1}')
    there = path.stat()
    assert ensure(path, {"a": 1})["changed"]
    assert path.stat() == there


def test_check_mode_predicts_the_change_and_the_digests_and_writes_nothing(path, theirs, tmp_path):
    theirs('{"debug": true}')
    before = sorted(tmp_path.rglob("*"))
    for wish in ({"settings": {"a": 1}}, {"nvidia_runtime": "present", "cdi": True}, {"state": "absent"}):
        predicted = ensure(path, check=True, **wish)
        assert sorted(tmp_path.rglob("*")) == before
        assert predicted == ensure(path, **wish)
        before = sorted(tmp_path.rglob("*"))


def test_nothing_of_ours_in_the_file_is_reported(path, theirs):
    theirs('{"debug": true}')
    assert ensure(path)["untouched"]
    assert not ensure(path, {"a": 1})["untouched"]
    assert not ensure(path)["untouched"]
    assert ensure(path)["untouched"]


def test_each_file_has_its_own_record_and_each_owner_its_own_keys(path, theirs, tmp_path):
    theirs('{"debug": true}')
    other = tmp_path / "other" / "docker" / "daemon.json"
    ensure(path, {"a": 1})
    ensure(other, {"a": 2})
    ensure(path, nvidia_runtime="present", owner="toolkit")
    ensure(path)
    assert json.loads(path.read_text()) == {
        "debug": True,
        "runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}},
    }
    ensure(path, owner="toolkit", state="absent")
    assert path.read_text() == '{"debug": true}'
    assert json.loads(other.read_text()) == {"a": 2}


@pytest.mark.parametrize("kept", [{}, {"owners": [], "missing": 1, "unseen": [0, 0]}, {"owners": {"x": 1}}, 3])
def test_a_record_that_is_damaged_counts_as_none(path, theirs, kept):
    theirs('{"debug": true}')
    host.write_json(daemon_former_runner.record_file(), {str(path): kept})
    assert ensure(path, {"a": 1})["changed"]
    ensure(path, state="absent")
    assert path.read_text() == '{"debug": true}'


@pytest.mark.parametrize("user", [0, 1000])
def test_what_is_remembered_is_the_users_own(user, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("XDG_STATE_HOME", "/home/alice/state")
    wanted = "/var/lib/gpuchat" if user == 0 else "/home/alice/state/gpuchat"
    assert daemon_former_runner.record_file() == f"{wanted}/docker-daemon.json"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/alice")
    wanted = "/var/lib/gpuchat" if user == 0 else "/home/alice/.local/state/gpuchat"
    assert daemon_former_runner.record_file() == f"{wanted}/docker-daemon.json"


def test_what_dockerd_refuses_is_reported_and_the_file_left_alone(path, theirs, commands, tmp_path):
    theirs('{"debug": true}')
    said = "the following directives don't match any configuration option: a"
    commands.answer("/usr/bin/dockerd --validate", rc=1, stderr=said)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Refusal) as refused:
        ensure(path, {"a": 1})
    assert (
        str(refused.value) == f"dockerd does not accept the new daemon.json, so the old one was left in place:\n{said}"
    )
    assert path.read_text() == '{"debug": true}'
    assert sorted(tmp_path.rglob("*")) == before


def test_dockerd_validates_the_very_text_before_it_is_written(path, commands, monkeypatch):
    seen = []

    def validated(command, **_):
        seen.append((pathlib.Path(command[-1]).read_text(), path.exists()))
        return host.Output(0, "", "configuration OK")

    monkeypatch.setattr(host, "run", validated)
    ensure(path, {"a": 1})
    assert seen == [(path.read_text(), False)]


def test_giving_the_file_back_needs_no_consent_of_dockerd(path, theirs, commands, monkeypatch):
    theirs('{"theirs": true}')
    ensure(path, {"a": 1})
    commands.answer("/usr/bin/dockerd --validate", rc=1, stderr="no such option: theirs")
    ensure(path, state="absent")
    assert path.read_text() == '{"theirs": true}'


def test_an_old_dockerd_that_cannot_validate_is_reported(path, commands):
    commands.answer("/usr/bin/dockerd", rc=125, stderr="unknown flag: --validate")
    assert ensure(path, {"a": 1})["not_predicted"] == ["this dockerd is older than 23 and cannot validate its settings"]


def test_without_dockerd_check_mode_says_what_it_cannot_predict_and_a_run_is_refused(path, monkeypatch):
    monkeypatch.setattr(host, "program", lambda name: None)
    described = ensure(path, {"a": 1}, check=True)["not_predicted"]
    assert described == ["dockerd is not installed yet, so the new daemon.json was not validated with it"]
    with pytest.raises(Refusal, match="^dockerd is not installed; install Docker before its settings$"):
        ensure(path, {"a": 1})


def test_without_dockerd_what_is_ours_can_be_removed(path, theirs, monkeypatch):
    theirs('{"debug": true}')
    ensure(path, {"a": 1})
    path.write_text('{"debug": false, "a": 1}')
    monkeypatch.setattr(host, "program", lambda name: None)
    ensure(path, state="absent")
    assert json.loads(path.read_text()) == {"debug": False}


@pytest.mark.parametrize("text", ['{"a": }', "[]", '{"a": 1, "a": 2}', '{"a": NaN}'])
def test_a_file_that_is_no_json_is_left_alone(path, theirs, text, tmp_path):
    theirs(text)
    before = sorted(tmp_path.rglob("*"))
    for state in ("present", "absent"):
        with pytest.raises(Refusal):
            ensure(path, {"b": 1}, state=state)
    assert path.read_text() == text
    assert sorted(tmp_path.rglob("*")) == before


def test_what_cannot_be_written_is_refused_with_a_way_out(path, tmp_path):
    (tmp_path / "etc").write_text("no folder")
    with pytest.raises(Refusal, match=f"^{path} cannot be read or written: .*; free the path; or set path to the"):
        ensure(path, {"a": 1})
    with pytest.raises(Refusal, match=f"^{tmp_path} is a folder; set path to a file$"):
        ensure(tmp_path, {"a": 1})


@pytest.mark.parametrize(
    ("error", "way_out"),
    [
        (errno.EPERM, "`lsattr -d .*/daemon.json .*/docker` .* `chattr -i -a"),
        (errno.EBUSY, "unmount what is mounted at it"),
        (errno.ENOSPC, "free space"),
    ],
)
def test_a_file_that_cannot_be_replaced_is_named_with_its_cause_and_nothing_is_left_beside_it(
    path, theirs, commands, monkeypatch, error, way_out
):
    theirs("{}")

    def replace(source, destination):
        if destination == str(path):
            raise OSError(error, os.strerror(error), source, None, destination)
        rename(source, destination)

    rename = os.rename
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(Refusal, match=f"{path} cannot be read or written: .*{way_out}"):
            ensure(path, {"a": 1}, service="docker")
    assert [one.name for one in path.parent.iterdir()] == ["daemon.json"]
    theirs('{"debug": true}')  # what its owner makes of it meanwhile is what comes back, now and at the end
    docker = Docker(path, commands, refuses=["local"])
    with pytest.raises(Unhealthy, match="daemon.json is as it was before"):
        ensure(path, {"log-driver": "local"}, service="docker")
    assert (path.read_text(), docker.active) == ('{"debug": true}', True)
    ensure(path, {"a": 1})
    ensure(path, state="absent")
    assert path.read_text() == '{"debug": true}'


def test_a_failed_write_leaves_what_earlier_runs_have_recorded(path, theirs, monkeypatch):
    theirs('{"theirs": 0}')
    ensure(path, {"a": 1})

    write = host.write_atomically

    def refuse():
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(
            host, "write_atomically", lambda real, *more: refuse() if real == str(path) else write(real, *more)
        )
        with pytest.raises(Refusal, match="mount its file system for writing"):
            ensure(path, {"b": 2})
    assert json.loads(path.read_text()) == {"theirs": 0, "a": 1}
    assert not ensure(path, {"a": 1})["changed"]
    ensure(path, state="absent")
    assert path.read_text() == '{"theirs": 0}'


@pytest.mark.parametrize("linked", [True, False])
def test_what_is_no_regular_file_is_refused_and_never_replaced(path, tmp_path, linked):
    path.parent.mkdir(parents=True)
    pipe = tmp_path / "pipe" if linked else path
    os.mkfifo(pipe)
    if linked:
        path.symlink_to(pipe)
    for check in (True, False):
        with pytest.raises(Refusal, match=f"^{path} is no regular file.*; set path to a file, or remove it"):
            ensure(path, {"a": 1}, check=check)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    ("first", "second"),
    [({}, {"a": 1}), ({"a": 1}, {"a": 2}), ({"a": 1, "b": 2}, {"b": 2}), ({"a": {"b": 1}}, {"a": 1}), ({"a": 1}, {})],
    ids=["add", "change", "remove", "another shape", "nothing more"],
)
@pytest.mark.parametrize("dies_at", ["backup", "begun", "file", "record"])
@pytest.mark.parametrize("text", ['{"theirs": 0}', None], ids=["somebody's file", "no file"])
def test_a_run_that_dies_between_two_renames_is_finished_by_the_next(
    path, theirs, monkeypatch, text, first, second, dies_at
):
    if text is not None:
        theirs(text)
    ensure(path, first)
    whole = path.read_bytes() if path.exists() else None
    there = {"theirs": 0} if text else {}
    renamed = []
    replace = os.replace

    def dying(source, destination):
        name = "file" if destination == str(path) else "backup" if destination == str(backup(path)) else "record"
        renamed.append(name)
        if name == dies_at or (dies_at == "begun" and name == "record") or renamed.count("record") == 2:
            raise KeyboardInterrupt
        replace(source, destination)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            ensure(path, second)
    now = path.read_bytes() if path.exists() else None
    assert now == whole or json.loads(now or b"{}") == {**there, **second}
    healed = ensure(path, second)
    assert json.loads(path.read_text() if path.exists() else "{}") == {**there, **second}
    again = ensure(path, second)
    assert not again["changed"]
    assert (again["digest"], again["reload_digest"]) == (healed["digest"], healed["reload_digest"])
    ensure(path, state="absent")
    assert (path.read_text() if path.exists() else None) == text


def test_a_run_that_is_killed_before_the_rename_leaves_the_whole_file_and_the_next_heals(path, theirs, monkeypatch):
    theirs('{"theirs": 0}')
    replace = os.replace

    def killed(source, destination):
        if destination == str(path):
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, destination)

    child = os.fork()
    if child == 0:
        try:
            os.replace = killed
            ensure(path, {"a": 1})
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert path.read_text() == '{"theirs": 0}'
    assert ensure(path, {"a": 1})["changed"]
    assert json.loads(path.read_text()) == {"theirs": 0, "a": 1}
    ensure(path, state="absent")
    assert path.read_text() == '{"theirs": 0}'


def units(folder, **texts):
    """Write unit files: docker_service for docker.service, another name for a drop-in."""
    for name, text in texts.items():
        file = folder / ("docker.service" if name == "docker_service" else f"docker.service.d/{name}.conf")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def start(words):
    return f"[Service]\nExecStart=\nExecStart=/usr/bin/dockerd {words}\n"


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """Two of systemd's folders for units, the first before the second."""
    folders = [tmp_path / "etc-units", tmp_path / "lib-units"]
    monkeypatch.setattr(daemon_runner, "SYSTEM_UNITS", tuple(map(str, folders)))
    monkeypatch.setattr(daemon_runner, "USER_UNITS", ())
    return folders


def names(path):
    return sorted((flag.name, flag.place) for flag in daemon_runner.flags_for(str(path)))


def test_without_a_unit_nothing_stands_on_the_command_line(systemd, path):
    assert names(daemon_runner.DAEMON_JSON) == []
    assert names(path) == []


def test_units_drop_ins_and_environment_files_are_found_as_systemd_finds_them(systemd, tmp_path):
    etc, lib = systemd
    units(lib, docker_service=start("--debug"), a=start("--ipv6"), b=start("--mtu 1"))
    assert names(daemon_runner.DAEMON_JSON) == [("mtu", f"{lib}/docker.service.d/b.conf")]
    units(etc, b="[Service]\n")
    assert names(daemon_runner.DAEMON_JSON) == [("ipv6", f"{lib}/docker.service.d/a.conf")]
    environment = tmp_path / "default"
    environment.write_text("OPTS=--init\n")
    units(etc, b=f"[Service]\nEnvironmentFile=-{environment}\nEnvironmentFile=-/missing\nExecStart=\n")
    units(etc, c=start("$OPTS"), docker_service=start("--never"))
    assert names(daemon_runner.DAEMON_JSON) == [("init", str(environment))]


def test_another_file_belongs_to_the_unit_that_names_it_or_to_the_users_unit_beside_it(systemd, path):
    _etc, lib = systemd
    units(lib, docker_service=start("--debug"))
    assert names(path) == []
    units(path.parents[1] / "systemd" / "user", docker_service=start("--ipv6"))
    assert [name for name, _place in names(path)] == ["ipv6"]
    units(path.parents[1] / "systemd" / "user", docker_service=start("--ipv6 --config-file /elsewhere"))
    assert names(path) == []
    units(lib, docker_service=start(f"--debug --config-file {path}"))
    assert [name for name, _place in names(path)] == ["config-file", "debug"]


def test_a_key_on_the_command_line_is_refused_and_nothing_is_done(systemd, path, tmp_path):
    units(path.parents[1] / "systemd" / "user", docker_service=start("--registry-mirror https://n"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Refusal, match=r"--registry-mirror in .*/systemd/user/docker.service\)"):
        ensure(path, {"registry-mirrors": ["https://m"]})
    assert sorted(tmp_path.rglob("*")) == before
    assert ensure(path, {"debug": True})["changed"]


ACTIVE = "ActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\nResult=success\nNRestarts=0\n"


def verbs(commands):
    return [line.split()[1] for line in commands.that("start", "restart", "reload", "enable")]


RELOADED = "journalctl --unit docker --output cat"


def test_dockerd_takes_up_what_it_has_to_by_a_restart_or_a_reload(path, commands):
    commands.answer("systemctl show", ACTIVE)
    commands.answer(RELOADED, "Got signal to reload configuration\nReloaded configuration: {}\n")
    assert ensure(path, {"log-driver": "local"}, service="docker")["changed"]
    assert verbs(commands) == ["restart"]
    commands.made.clear()
    assert ensure(path, {"log-driver": "local", "labels": ["a=b"]}, service="docker")["changed"]
    assert verbs(commands) == ["reload"]
    commands.made.clear()
    assert not ensure(path, {"log-driver": "local", "labels": ["a=b"]}, service="docker")["changed"]
    assert verbs(commands) == []


def test_a_docker_that_runs_already_is_adopted_where_nothing_is_set(path, commands):
    commands.answer("systemctl show", ACTIVE)
    assert ensure(path, service="docker")["changed"]  # it is recorded
    assert verbs(commands) == []


def test_in_check_mode_the_restart_is_predicted_with_the_keys(path, commands):
    commands.answer("systemctl show", ACTIVE)
    predicted = ensure(path, {"log-driver": "local"}, check=True, service="docker")
    assert [one["before_header"] for one in predicted["diff"]] == [str(path), "service docker"]
    assert verbs(commands) == []


class Docker:
    """A dockerd that runs containers, and refuses some words in its file: at its start, or at a reload."""

    SAID = 'failed to start daemon: unknown log opt "labels" for local log driver'
    RELOAD_SAID = "Error reconfiguring the daemon: no such runtime"

    def __init__(self, path, commands, containers=(), refuses=()):
        self.path, self.commands, self.refuses = path, commands, refuses
        self.active, self.running, self.exist = True, list(containers), list(containers)
        commands.answer("systemctl show", self.show)
        commands.answer("systemctl restart", self.restart)
        commands.answer("systemctl reload", self.reload)
        commands.answer("docker ps", lambda: "".join(f"{name}\n" for name in self.running))
        commands.answer("docker start", self.start)
        commands.answer("journalctl -u", lambda: self.SAID)
        commands.answer("journalctl --unit docker --output cat", lambda: self.reloaded)

    def show(self):
        return f"ActiveState={'active' if self.active else 'failed'}\nUnitFileState=enabled\nNeedDaemonReload=no\n"

    def takes(self):
        return not any(word in self.path.read_text() for word in self.refuses) if self.path.exists() else True

    def restart(self):
        self.active, self.running = self.takes(), [name for name in self.running if name.startswith("always")]
        return ""

    def reload(self):
        self.reloaded = "Reloaded configuration: {}" if self.takes() else self.RELOAD_SAID
        return ""

    def start(self):
        self.running.append(self.commands.made[-1].split()[-1])
        return ""


FORMERS = {
    "somebody's file": ('{"log-opts": {"labels": "a"}}', {"log-driver": "local", "log-opts": {"mode": "x"}}),
    "no file": (None, {"log-driver": "local", "log-opts": {"mode": "x"}}),
}


@pytest.mark.parametrize(("text", "settings"), FORMERS.values(), ids=FORMERS)
def test_a_docker_that_does_not_come_up_with_its_new_file_gets_the_former_one_and_its_containers_back(
    path, theirs, commands, state_directory, text, settings
):
    if text:
        theirs(text, 0o640)
    docker = Docker(path, commands, ["always-db", "web"], refuses=["mode"])
    before = sorted(state_directory.rglob("*")) if state_directory.exists() else []
    with pytest.raises(Unhealthy, match=r"takes? its new settings: failed to start daemon: unknown log opt .labels"):
        ensure(path, settings, service="docker")
    assert (path.read_text() if text else path.exists()) == (text or False)
    assert not text or stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not backup(path).exists()
    assert docker.active
    assert sorted(docker.running) == ["always-db", "web"]
    docker.refuses = []
    assert ensure(path, {"mtu": 1400}, service="docker")["changed"]
    assert json.loads(path.read_text())["mtu"] == 1400
    assert not ensure(path, {"mtu": 1400}, service="docker")["changed"]
    assert len(before) <= len(sorted(state_directory.rglob("*")))


def test_what_ran_before_a_good_restart_runs_after_it(path, commands):
    docker = Docker(path, commands, ["always-db", "web"])
    ensure(path, {"log-driver": "local"}, service="docker")
    assert sorted(docker.running) == ["always-db", "web"]


def test_a_reload_that_docker_refuses_is_taken_back_too(path, theirs, commands):
    theirs('{"debug": true}')
    docker = Docker(path, commands, refuses=["nvidia"])
    ensure(path, {"mtu": 1400}, service="docker")
    before = path.read_text()
    with pytest.raises(Unhealthy, match="Error reconfiguring the daemon: no such runtime"):
        ensure(path, {"mtu": 1400, "default-runtime": "nvidia"}, service="docker")
    assert path.read_text() == before
    assert docker.reloaded.startswith("Reloaded")


def test_a_run_that_dies_before_docker_came_up_leaves_the_next_the_file_it_ran_with(
    path, theirs, commands, monkeypatch
):
    theirs('{"debug": true}')
    docker = Docker(path, commands, refuses=["local"])

    def killed(*_given):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(daemon_runner, "_taken_up", killed)
        with pytest.raises(KeyboardInterrupt):
            ensure(path, {"log-driver": "local"}, service="docker")
    docker.active = False
    with pytest.raises(Unhealthy, match="runs with it again"):
        ensure(path, {"log-driver": "local"}, service="docker")
    assert path.read_text() == '{"debug": true}'
    assert docker.active


INFO = {"DockerRootDir": "/var/lib/docker", "Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "extfs"]]}


@pytest.mark.parametrize(
    ("containers", "settings", "named"),
    [
        ("db\nweb\n", {"data-root": "/data/docker"}, "data-root /data/docker instead of /var/lib/docker"),
        ("db\n", {"storage-driver": "btrfs"}, "storage-driver btrfs instead of overlay2"),
        ("db\n", {"features": {"containerd-snapshotter": True}}, "containerd-snapshotter True instead of False"),
        ("db\n", {"data-root": "/var/lib/docker"}, ""),
        ("db\n", {"features": {"containerd-snapshotter": False}}, ""),
        ("", {"data-root": "/data/docker"}, ""),
        ("vllm\n", {"data-root": "/data/docker"}, ""),
    ],
)
def test_docker_is_not_led_away_from_containers_that_are_not_ours(
    path, commands, state_directory, containers, settings, named
):
    commands.answer("systemctl show", ACTIVE)
    commands.answer("docker info", json.dumps(INFO))
    commands.answer("docker ps --all", containers)
    host.write_json(f"{state_directory}/services/vllm.json", {"supervisor": "compose"})
    if not named:
        assert ensure(path, settings, service="docker")["changed"]
        return
    with pytest.raises(Refusal, match=named):
        ensure(path, settings, service="docker")
    assert not path.exists()


@pytest.mark.parametrize("root", ["", "data"])
def test_live_restore_is_no_default_on_a_node_of_a_swarm_and_refused_as_a_setting(path, theirs, tmp_path, root):
    theirs(json.dumps({"data-root": str(tmp_path / "data")}))
    (tmp_path / "data" / "swarm").mkdir(parents=True)
    (tmp_path / "data" / "swarm" / "docker-state.json").write_text("{}")
    ensure(path, defaults={"live-restore": True, "log-driver": "local"})
    assert json.loads(path.read_text()) == {"data-root": str(tmp_path / "data"), "log-driver": "local"}
    with pytest.raises(Refusal, match="live-restore is on in the settings, and this host is a node of a swarm"):
        ensure(path, {"live-restore": True})


@pytest.mark.parametrize("flag", ["--data-root=", "--data-root ", "-g ", "--graph "])
def test_a_swarm_is_seen_below_the_root_that_stands_on_dockerds_command_line(systemd, path, tmp_path, flag):
    root = tmp_path / "elsewhere"
    (root / "swarm").mkdir(parents=True)
    (root / "swarm" / "docker-state.json").write_text("{}")
    units(systemd[1], docker_service=start(f"-H fd:// --config-file {path} {flag}{root}"))
    ensure(path, defaults={"live-restore": True, "log-driver": "local"})
    assert json.loads(path.read_text()) == {"log-driver": "local"}


PENDING = {
    "a root that Docker has not started with yet": (
        {"data-root": "/data/docker"},
        INFO,
        "data-root /data/docker instead of /var/lib/docker",
    ),
    "images with containerd, from the next start on": (
        {"features": {"containerd-snapshotter": True}},
        INFO,
        "containerd-snapshotter True instead of False",
    ),
    "a root of its own for a user's name space": (
        {"data-root": "/data/docker", "userns-remap": "default"},
        {**INFO, "DockerRootDir": "/data/docker/165536.165536"},
        "",
    ),
    "the root that Docker runs with": ({"data-root": "/data/docker/"}, {**INFO, "DockerRootDir": "/data/docker"}, ""),
}


@pytest.mark.parametrize(("file", "info", "named"), PENDING.values(), ids=PENDING)
def test_a_restart_takes_up_nothing_of_theirs_that_would_leave_their_containers_behind(
    path, theirs, commands, file, info, named
):
    theirs(json.dumps(file))
    commands.answer("systemctl show", ACTIVE)
    commands.answer("docker info", json.dumps(info))
    commands.answer("docker ps --all", "db\n")
    if not named:
        assert ensure(path, {"mtu": 1400}, service="docker")["changed"]
        return
    with pytest.raises(Refusal, match=named):
        ensure(path, {"mtu": 1400}, service="docker")
    assert json.loads(path.read_text()) == file
    assert ensure(path, {"debug": True}, service="docker")["changed"]


def test_a_link_to_the_root_is_the_root(path, commands, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "docker").symlink_to(tmp_path / "disk")
    commands.answer("systemctl show", ACTIVE)
    commands.answer("docker info", json.dumps({**INFO, "DockerRootDir": str(tmp_path / "disk")}))
    commands.answer("docker ps --all", "db\n")
    assert ensure(path, {"data-root": str(tmp_path / "docker")}, service="docker")["changed"]


@pytest.mark.parametrize("key", ["insecure-registries", "registry-mirrors"])
def test_the_registries_that_somebody_elses_containers_come_from_stay_beside_ours(path, theirs, key):
    theirs(json.dumps({key: ["theirs:5000", "both:5000"]}))
    assert ensure(path, {key: ["ours:5000", "both:5000"]})["changed"]
    assert json.loads(path.read_text())[key] == ["ours:5000", "both:5000", "theirs:5000"]
    assert not ensure(path, {key: ["ours:5000", "both:5000"]})["changed"]
    ensure(path, {key: ["next:5000"]})
    assert json.loads(path.read_text())[key] == ["next:5000", "theirs:5000", "both:5000"]
    path.write_text(json.dumps({key: ["next:5000", "both:5000"]}))
    ensure(path, {key: ["next:5000"]})
    assert json.loads(path.read_text())[key] == ["next:5000", "both:5000"]
    ensure(path, state="absent")
    assert json.loads(path.read_text())[key] == ["theirs:5000", "both:5000"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a link to somebody else")
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_file_behind_somebody_elses_link_is_refused_and_keeps_its_settings(path, theirs, tmp_path, state):
    theirs('{"data-root": "/big"}')
    real = path.rename(tmp_path / "of-alice.json")
    path.symlink_to(real)
    os.lchown(path, 12345, 12345)
    with pytest.raises(Refusal, match="leads over a link of another user.*; set path"):
        ensure(path, {"debug": True}, state=state)
    assert real.read_text() == '{"data-root": "/big"}'
