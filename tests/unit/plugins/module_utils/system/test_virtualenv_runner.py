# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import io
import os
import pathlib
import sys
import zipfile

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import virtualenv_runner

SECRET = "geheim"
HASH = "--hash=sha256:" + "ab" * 32


class Python:
    """Stands in for ``host.run``: an interpreter with venv and pip that leave what the real ones would."""

    def __init__(self):
        self.version, self.complete, self.pip, self.dies = "3.11", True, host.Output(0, "", ""), None
        self.commands, self.environments, self.holds = [], [], True
        self.settings = host.Output(0, "", "")

    def __call__(self, command, timeout=600, environment=None):
        self.commands.append(command)
        self.environments.append(environment)
        if self.dies and self.dies in command:
            raise KeyboardInterrupt
        if virtualenv_runner.INSTALLED in command:
            listed = pathlib.Path(command[0]).parents[1] / "requirements.txt"
            return host.Output(0, listed.read_text() if self.holds else "", "")
        if "config" in command:
            return self.settings
        if "-c" in command:
            return host.Output(0 if self.complete else 1, f"{self.version}\n", "")
        if "venv" in command:
            (pathlib.Path(command[-1]) / "bin").mkdir(parents=True)
            (pathlib.Path(command[-1]) / "bin" / "python").touch()
            return host.Output(0 if self.complete else 1, "ensurepip is not available", "")
        return self.pip


@pytest.fixture
def python(monkeypatch):
    stand_in = Python()
    monkeypatch.setattr(host, "run", stand_in)
    if os.getuid() != 0:
        monkeypatch.setattr(os, "fchown", lambda *_: None)
    return stand_in


@pytest.fixture
def path(tmp_path):
    return tmp_path / "opt" / "toolbox"


def ensure(path, requirements=f"a==1 {HASH}\n", check=False, **others):
    params = {"index_url": "", "trusted_hosts": [], "python": "/usr/bin/python3", "state": "present", **others}
    return virtualenv_runner.ensure({"path": str(path), "requirements": requirements, **params}, check)


def folders(path):
    return sorted(found.name for found in path.parent.iterdir()) if path.parent.exists() else []


def test_an_environment_is_made_once_and_an_unchanged_run_asks_nobody(path, python):
    first = ensure(path)
    assert first["changed"]
    assert path.is_symlink()
    asked = len(python.commands)
    assert not ensure(path)["changed"]
    assert [command[1] for command in python.commands[asked:]] == ["-I"]
    assert folders(path) == ["toolbox", os.readlink(path)]


def test_check_mode_predicts_and_writes_nothing(path, python):
    predicted = ensure(path, check=True)
    assert not path.parent.exists()
    described = predicted.pop("not_predicted")
    assert described == ["whether the package index has the packages: check mode fetches nothing"]
    assert predicted == ensure(path)
    assert "not_predicted" not in ensure(path, check=True)


def test_check_mode_predicts_on_a_host_whose_python_cannot_make_environments_yet(path, python):
    python.complete = False
    predicted = ensure(path, check=True)
    assert predicted["changed"]
    assert predicted["not_predicted"][0].endswith("(Debian's package for that is python3-venv)")
    with pytest.raises(
        Refusal, match="^/usr/bin/python3 cannot make a virtual environment; .*nothing is left of the try"
    ):
        ensure(path)
    assert folders(path) == []


def test_a_change_switches_the_link_and_removes_the_old_folder(path, python):
    ensure(path)
    before = os.readlink(path)
    ensure(path, f"a==2 {HASH}\n")
    assert os.readlink(path) != before
    assert folders(path) == ["toolbox", os.readlink(path)]


def test_a_failed_pip_leaves_the_old_environment_and_tells_what_it_said_and_what_to_set(path, python):
    ensure(path)
    there = folders(path)
    python.pip = host.Output(1, "", "\n".join(f"line {number}" for number in range(40)) + f"\nno way to {SECRET}")
    with pytest.raises(Refusal) as refused:
        ensure(path, f"a==2 {HASH}\n", index_url=f"https://user:{SECRET}@pypi.example.com/simple")
    described = str(refused.value)
    assert described.startswith(
        f"pip could not install what {path} wants from https://user:****@pypi.example.com/simple; "
        "the old environment is left as it was; set index_url to "
    )
    assert described.endswith("line 39\nno way to ****")
    assert "line 25\n" not in described
    assert folders(path) == there
    assert not ensure(path)["changed"]


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "free space on"),
        (
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify",
            "gpuchat_ca_files",
        ),
        ("ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407", "set gpuchat_proxy"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "alters files"),
        ("ERROR: No matching distribution found for a==2", "set index_url to a package index"),
    ],
)
def test_a_failed_pip_has_the_cure_of_its_words(path, python, said, cure):
    python.pip = host.Output(1, "", said)
    with pytest.raises(Refusal) as refused:
        ensure(path)
    assert cure in str(refused.value)
    assert ("set index_url" in str(refused.value)) == ("No matching" in said)


def test_an_indexs_credentials_stand_in_no_command(path, python):
    url = f"https://user:{SECRET}@pypi.example.com/simple"
    result = ensure(path, index_url=url, trusted_hosts=["pypi.example.com"])
    assert not [command for command in python.commands if SECRET in " ".join(command)]
    assert python.environments[-2]["PIP_INDEX_URL"] == url
    assert {"--require-hashes", "--only-binary", ":all:"} < set(python.commands[-2])
    assert python.environments[-2]["PIP_TRUSTED_HOST"] == "pypi.example.com"
    assert SECRET not in str(result)
    assert not [found for found in path.rglob("*") if found.is_file() and SECRET in found.read_text()]


UNREADABLE = (
    "Configuration file could not be loaded.\nFile contains no section headers.\nfile: '/etc/pip.conf', line: 1\n"
    f"'index-url = https://user:{SECRET}@pypi.example.com/simple\\n'\n"
)


def test_settings_of_the_hosts_pip_that_it_cannot_read_are_not_passed_over(path, python):
    python.settings = host.Output(2, "", UNREADABLE)
    with pytest.raises(
        Refusal, match=r"cannot read .*'/etc/pip.conf', line: 1 .*mend that file, or set index_url"
    ) as refused:
        ensure(path)
    assert SECRET not in str(refused.value)
    assert (folders(path), python.commands[-1][-2:]) == ([], ["config", "list"])
    assert ensure(path, index_url="https://pypi.example.com/simple")["changed"]


def test_a_password_in_the_hosts_own_settings_is_masked_in_what_pip_says(path, python):
    python.settings = host.Output(0, f"global.proxy='http://user:{SECRET}@proxy:3128'\n", "")
    python.pip = host.Output(1, "", f"ProxyError: http://user:{SECRET}@proxy:3128")
    with pytest.raises(Refusal, match=r"ProxyError: http://user:\*\*\*\*@proxy"):
        ensure(path)


def test_an_environment_that_lacks_what_pip_was_to_install_is_none(path, python):
    python.holds = False
    with pytest.raises(Refusal, match="lacks a==1, although pip ended well"):
        ensure(path)
    assert folders(path) == []


@pytest.mark.parametrize("dies", ["venv", "pip"])
def test_a_run_that_dies_leaves_the_old_environment_and_the_next_one_finishes(path, python, dies):
    ensure(path)
    before = os.readlink(path)
    python.dies = dies
    with pytest.raises(KeyboardInterrupt):
        ensure(path, f"a==2 {HASH}\n")
    assert os.readlink(path) == before
    python.dies = None
    assert ensure(path, f"a==2 {HASH}\n")["changed"]
    assert folders(path) == ["toolbox", os.readlink(path)]


@pytest.mark.parametrize("dies", ["symlink", "replace"])
def test_a_run_that_dies_while_the_link_is_led_is_finished_by_the_next(path, python, monkeypatch, dies):
    ensure(path)
    real = getattr(os, dies)

    def dying(source, destination):
        if os.path.basename(destination) in ("toolbox", "toolbox.new"):
            raise KeyboardInterrupt
        real(source, destination)

    with monkeypatch.context() as patch:
        patch.setattr(os, dies, dying)
        with pytest.raises(KeyboardInterrupt):
            ensure(path, f"a==2 {HASH}\n")
    ensure(path, f"a==2 {HASH}\n")
    assert folders(path) == ["toolbox", os.readlink(path)]
    assert not ensure(path, f"a==2 {HASH}\n")["changed"]


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_something_of_somebody_elses_at_the_path_is_left_alone(path, python, what):
    path.parent.mkdir()
    {"folder": path.mkdir, "file": path.touch, "link": lambda: path.symlink_to("/usr")}[what]()
    for state in ("present", "absent"):
        with pytest.raises(Refusal, match="which gpuchat did not make"):
            ensure(path, state=state)
    assert folders(path) == ["toolbox"]


def test_an_environment_is_removed_and_a_second_run_changes_nothing(path, python):
    ensure(path)
    (path.parent / "toolbox-of-somebody").mkdir()
    assert ensure(path, state="absent", check=True)["changed"]
    assert len(folders(path)) == 3
    assert ensure(path, state="absent", requirements="")["changed"]
    assert folders(path) == ["toolbox-of-somebody"]
    assert not ensure(path, state="absent")["changed"]


def wheel(version):
    """Return the bytes of a package ``example`` that says its version."""
    info = f"example-{version}.dist-info"
    files = {
        "example.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: example\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_the_real_venv_and_pip_install_from_an_index_what_has_the_right_hash(path, server, monkeypatch, tmp_path):
    theirs = tmp_path / "pip.conf"
    theirs.write_text(f"[install]\nuser = true\n[global]\ntarget = {tmp_path}/elsewhere\nconstraint = /none\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(theirs))
    monkeypatch.setenv("PIP_PREFIX", str(tmp_path / "prefix"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    content = wheel("1.0")
    name = "example-1.0-py3-none-any.whl"
    page = f'<!DOCTYPE html><html><body><a href="/files/{name}">{name}</a></body></html>'.encode()
    server.routes["GET", "/simple/example/"] = lambda handler: handler.say(200, page, Content_Type="text/html")
    server.routes["GET", f"/files/{name}"] = lambda handler: handler.say(200, content)
    options = {"python": sys.executable, "index_url": f"http://user:{SECRET}@{server.place}/simple"}

    with pytest.raises(Refusal, match="DO NOT MATCH THE HASHES") as refused:
        ensure(path, f"example==1.0 {HASH}\n", **options)
    assert SECRET not in str(refused.value)
    assert folders(path) == []

    wanted = f"example==1.0 --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"
    assert ensure(path, wanted, **options)["changed"]
    asked = len(server.asked)
    assert host.run([f"{path}/bin/python", "-c", "import example; print(example.version)"]).stdout == "1.0\n"
    assert not ensure(path, wanted, **options)["changed"]
    assert len(server.asked) == asked


def test_what_a_host_puts_into_pythons_path_for_others_is_no_part_of_the_environment(
    path, server, monkeypatch, tmp_path
):
    theirs = tmp_path / "theirs"
    (theirs / "example-1.0.dist-info").mkdir(parents=True)
    (theirs / "example-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    (theirs / "example-1.0.dist-info" / "RECORD").touch()
    (theirs / "venv.py").write_text("raise SystemExit('another than the one that is meant')")
    monkeypatch.setenv("PYTHONPATH", str(theirs))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    content, name = wheel("1.0"), "example-1.0-py3-none-any.whl"
    page = f'<!DOCTYPE html><html><body><a href="/files/{name}">{name}</a></body></html>'.encode()
    server.routes["GET", "/simple/example/"] = lambda handler: handler.say(200, page, Content_Type="text/html")
    server.routes["GET", f"/files/{name}"] = lambda handler: handler.say(200, content)
    wanted = f"example==1.0 --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"
    options = {"python": sys.executable, "index_url": f"http://{server.place}/simple"}
    assert ensure(path, wanted, **options)["changed"]
    assert list(path.glob("lib/python*/site-packages/example.py"))


WHEEL = "a-1-py3-none-any.whl"
SUM = "ab" * 32


def test_a_host_without_its_wheels_asks_for_those_that_it_wants_and_changes_nothing(path, python):
    with pytest.raises(Refusal) as caught:
        ensure(path, wheel_sums={WHEEL: SUM, "b-1-py3-none-any.whl": SUM})
    assert caught.value.result == {"wanted_wheels": [WHEEL]}
    assert folders(path) == []


def test_an_environment_of_wheels_asks_no_index_and_not_for_the_hosts_settings_of_one(path, python, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://pypi.example.com/simple")
    assert ensure(path, wheel_sums={WHEEL: SUM}, wheels_at="/tmp/w")["changed"] is True
    (number,) = [number for number, one in enumerate(python.commands) if "install" in one]
    assert " --no-index --find-links /tmp/w " in " ".join(python.commands[number])
    assert "--require-hashes" in python.commands[number]
    assert not python.environments[number].get("PIP_INDEX_URL")
    assert [one for one in python.commands if "config" in one] == []
    assert ensure(path, wheel_sums={WHEEL: SUM})["changed"] is False


@pytest.mark.parametrize("state", ["present", "prepared"])
@pytest.mark.parametrize("check", [True, False])
def test_a_wheel_that_a_folder_lacks_is_told_before_anything_changes(path, python, state, check):
    with pytest.raises(Refusal, match=r"found no wheel for a==1 that suits Python 3\.11 on \w+; wanted"):
        ensure(path, check=check, state=state, wheel_sums={"a-2-py3-none-any.whl": SUM})
    assert folders(path) == []


def test_a_folder_that_has_all_is_enough_to_go_on_and_nothing_is_left_to_an_index(path, python):
    assert ensure(path, state="prepared", wheel_sums={WHEEL: SUM})["changed"] is False
    predicted = ensure(path, check=True, wheel_sums={WHEEL: SUM})
    assert (predicted["changed"], predicted.get("not_predicted", [])) == (True, [])
    assert folders(path) == []


def test_a_pip_that_fails_over_wheels_says_how_to_fill_their_folder(path, python):
    python.pip = host.Output(1, "", "no matching distribution")
    with pytest.raises(Refusal, match=r"toolbox_wheels\.py FOLDER`, and set wheels to it; pip said:\nno matching"):
        ensure(path, wheel_sums={WHEEL: SUM}, wheels_at="/tmp/w")
