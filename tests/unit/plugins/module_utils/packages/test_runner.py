# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import types

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import CommandFailed, Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages import (
    apt_runner,
    dnf_runner,
    runner,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages.openpgp import (
    armored,
    dearmored,
    fingerprints,
)

KEY = b"""-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawAhVhYJKwYBBAHaRw8BAQdA88MreX4rHAvny+7L9zIBunaUaM0X0opmVHUU
C4nILcC0D2dwdWNoYXQgZWQyNTUxOYiQBBMWCAA4FiEESxD55gynkwGjAF/rnnyd
ei2/irkFAmsAIVYCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQnnydei2/
irn7mAEA55jGUhfGiHEUKzBXomDU4ldSmfcrMiCwEKwpKEbFx9ABAIP/zmm6hujZ
EnNqLOnuGPwiQ57IG9iQeUHF0689nZAD
=voPu
-----END PGP PUBLIC KEY BLOCK-----
"""
FINGERPRINT = "4B10F9E60CA79301A3005FEB9E7C9D7A2DBF8AB9"
KEYRING = "/etc/apt/keyrings/gpuchat-x.gpg"
SOURCES = "/etc/apt/sources.list.d/gpuchat-x.sources"
STATUS = "/var/lib/dpkg/status"
RELEASE = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'
ROCKY = 'ID="rocky"\nVERSION_ID="9.6"\nID_LIKE="rhel centos fedora"\n'
RPM_KEY = "/etc/pki/rpm-gpg/gpuchat-x"
REPO = "/etc/yum.repos.d/gpuchat-x.repo"
LISTED = apt_runner._listed
LOCKS = "/etc/dnf/plugins/versionlock.list"


class Host:
    """A host whose files are a dictionary."""

    def __init__(self, release, **files):
        self.files = {"/etc/os-release": release.encode(), **files}

    def state(self, path, read=True):
        content = self.files.get(path)
        return None if content is None else host.FileState(content, 0o644, 0, 0)

    def install(self, *packages):
        paragraphs = [
            f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n" for name, version in packages
        ]
        self.files[STATUS] = "\n".join(paragraphs).encode()


@pytest.fixture
def on(monkeypatch, state_directory):
    """Let what is read and staged be a host's own files."""
    monkeypatch.setattr(runner.files_runner, "_record", lambda *_: None)
    monkeypatch.setattr(host, "program", lambda name: None)
    kernel = types.SimpleNamespace(machine="x86_64", release="6.12.0-55.9.1.el10_0.x86_64")
    monkeypatch.setattr(os, "uname", lambda: kernel)
    monkeypatch.setattr(apt_runner, "_listed", lambda own: [])

    def take_place(one):
        monkeypatch.setattr(host, "file_state", one.state)
        monkeypatch.setattr(host, "read_json", lambda path: json.loads(one.files.get(path, "{}")))
        monkeypatch.setattr(host, "stage", lambda path, content, *_: Staged(one, path, content))
        return one

    return take_place


class Staged:
    def __init__(self, one, path, content):
        self.one, self.destination, self.content = one, path, content

    def commit(self):
        self.one.files[self.destination] = self.content


@pytest.fixture
def debian(on, commands):
    commands.answer("apt-cache madison x", "x | 1:2.0-1 | there\nx | 1.4-1 | there\n")
    return on(Host(RELEASE, **{STATUS: b""}))


class Rpm:
    """Rpm's database, as its queries tell it."""

    def __init__(self, commands):
        self.there = {}
        commands.answer("rpm --query", self.described)

    def described(self):
        return "".join(f"{name}\t{version}\t100\n" for name, version in self.there.items())


@pytest.fixture
def rpm(commands):
    commands.answer("dnf -y --setopt=install_weak_deps=False -q", "x\npython3-dnf-plugin-versionlock\n")
    return Rpm(commands)


@pytest.fixture
def rocky(on, rpm):
    return on(Host(ROCKY))


def params(names=("x",), **more):
    usual = {
        "name": "x",
        "packages": {"default": list(names)},
        "refused_releases": {},
        "refused_packages": {},
        "refused_paths": {},
        "refused_commands": {},
        "kernel_modules": {},
        "hints": {},
        "required_commands": [],
        "apt_repository": None,
        "dnf_repository": None,
        "conflicts": {},
        "masked_units": [],
        "spares_running_units": False,
        "space": None,
        "hold": False,
        "state": "present",
    }
    return {**usual, **more}


def repository(server, **more):
    return {
        "url": "https://example.com/{id}",
        "suite": "{codename}",
        "components": ["stable"],
        "key_url": f"http://{server.place}/{{id}}/gpg",
        "key_fingerprint": FINGERPRINT,
        **more,
    }


def test_a_host_with_its_packages_is_left_alone(debian, commands):
    debian.install(("x", "1"))
    assert runner.ensure(params(), check=False) == {
        "changed": False,
        "diff": [],
        "msg": "all packages are as wanted",
    }
    assert commands.made == []


def test_a_command_that_somebody_else_has_to_bring_is_tried_first(debian, commands):
    debian.install(("x", "1"))
    required = [{"command": ["docker", "compose", "version"], "hint": "install it"}]
    wanted = params(required_commands=required)
    assert not runner.ensure(wanted, check=False)["changed"]
    commands.answer("docker compose version", rc=1, stderr="docker: 'compose' is not a docker command.\nSee --help")
    with pytest.raises(Refusal, match="`docker compose version` does not work .*not a docker command.*; install it"):
        runner.ensure(wanted, check=True)


def test_packages_and_their_repository_are_predicted_on_a_bare_host_and_then_installed(debian, commands, server):
    server.routes["GET", "/debian/gpg"] = lambda asked: asked.say(200, KEY)
    wanted = params(["x=1.*"], apt_repository=repository(server), hold=True)
    predicted = runner.ensure(wanted, check=True)
    assert (commands.made, set(debian.files)) == ([], {STATUS, "/etc/os-release"})
    assert predicted == runner.ensure(wanted, check=False)
    assert predicted["msg"] == f"repository {KEYRING}, {SOURCES}; install x=1.*; hold x"
    assert debian.files[KEYRING] == dearmored(KEY)
    assert debian.files[SOURCES].decode() == (
        "# Made by gpuchat.\nTypes: deb\nURIs: https://example.com/debian\nSuites: trixie\n"
        f"Components: stable\nSigned-By: {KEYRING}\n"
    )
    assert [line.split()[-2:] for line in commands.made] == [
        ["Dpkg::Options::=--force-confold", "update"],
        ["madison", "x"],
        ["--allow-change-held-packages", "x=1.4-1"],
        ["hold", "x"],
    ]


def test_a_key_that_is_there_is_not_fetched_again(debian, server):
    debian.install(("x", "1"))
    debian.files[KEYRING] = dearmored(KEY)
    runner.ensure(params(apt_repository=repository(server)), check=False)
    assert server.asked == []


def test_a_repository_that_somebody_else_lists_is_not_listed_twice(debian, server, tmp_path, monkeypatch):
    monkeypatch.setattr(apt_runner, "SOURCES", str(tmp_path))
    monkeypatch.setattr(apt_runner, "_listed", LISTED)
    debian.install(("x", "1"))
    (tmp_path / "x.list.save").write_text("deb https://example.com/debian trixie stable\n")
    assert runner.ensure(params(apt_repository=repository(server, key_url=None)), check=True)["changed"] is True
    (tmp_path / "k.gpg").write_bytes(KEY)
    text = f"deb [signed-by={tmp_path}/k.gpg] https://example.com/debian trixie stable\n"
    (tmp_path / "x.list").write_text(text)
    assert runner.ensure(params(apt_repository=repository(server)), check=False)["changed"] is False
    assert server.asked == []


def listed(tmp_path, monkeypatch, text):
    monkeypatch.setattr(apt_runner, "SOURCES", str(tmp_path))
    monkeypatch.setattr(apt_runner, "TRUSTED", str(tmp_path / "trusted"))
    monkeypatch.setattr(apt_runner, "_listed", LISTED)
    (tmp_path / "x.list").write_text(text)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("deb https://example.com/debian bookworm stable\n", "x.list, .* for bookworm; wanted trixie stable"),
        ("deb [signed-by=/none/k.gpg] https://example.com/debian trixie stable\n", "x.list, .*a key in /none/k.gpg"),
        (
            "deb [signed-by={folder}/html.gpg] https://example.com/debian trixie stable\n",
            "x.list, .*/html.gpg, which holds no key",
        ),
        (
            "deb [signed-by={folder}/roots.gpg] https://example.com/debian trixie stable\n",
            "x.list, .*/roots.gpg, which apt's own user may not read; .*chmod a\\+r .*/roots.gpg",
        ),
    ],
)
def test_a_list_that_cannot_serve_is_named_before_an_installation_and_left_alone_after_one(
    debian, server, commands, tmp_path, monkeypatch, check, text, words
):
    (tmp_path / "html.gpg").write_text("<html>captive portal</html>")
    (tmp_path / "roots.gpg").write_bytes(KEY)
    (tmp_path / "roots.gpg").chmod(0o600)
    listed(tmp_path, monkeypatch, text.replace("{folder}", str(tmp_path)))
    with pytest.raises(Refusal, match=words):
        runner.ensure(params(apt_repository=repository(server)), check=check)
    assert (server.asked, commands.made) == ([], [])
    debian.install(("x", "1"))
    assert runner.ensure(params(apt_repository=repository(server)), check=check)["changed"] is False


def test_a_list_that_names_no_key_and_whose_key_apt_does_not_trust_gets_ours_beside_it(
    debian, server, tmp_path, monkeypatch
):
    server.routes["GET", "/debian/gpg"] = lambda asked: asked.say(200, KEY)
    listed(tmp_path, monkeypatch, "deb https://example.com/debian trixie stable\n")
    debian.install(("x", "1"))
    assert runner.ensure(params(apt_repository=repository(server)), check=True)["changed"] is True
    (tmp_path / "trusted.gpg.d").mkdir()
    (tmp_path / "trusted.gpg.d" / "x.asc").write_bytes(KEY)
    assert runner.ensure(params(apt_repository=repository(server)), check=True)["changed"] is False


def test_a_key_that_stands_in_the_list_itself_is_no_path(debian, server, commands, tmp_path, monkeypatch):
    key = "".join(f"\n {line or '.'}" for line in KEY.decode().replace("\nC4nI", "\n/4nI").splitlines())
    stanza = f"Types: deb\nURIs: https://example.com/debian\nSuites: trixie\nComponents: stable\nSigned-By:{key}\n"
    listed(tmp_path, monkeypatch, "")
    (tmp_path / "x.sources").write_text(stanza)
    result = runner.ensure(params(apt_repository=repository(server)), check=True)
    assert [one["before_header"] for one in result["diff"]] == ["package x"]


def test_a_damaged_keyring_on_the_host_is_fetched_anew(debian, server):
    server.routes["GET", "/debian/gpg"] = lambda asked: asked.say(200, KEY)
    debian.files[KEYRING] = b"<html>captive portal</html>"
    runner.ensure(params(apt_repository=repository(server)), check=False)
    assert fingerprints(debian.files[KEYRING]) == (FINGERPRINT,)


@pytest.mark.parametrize(
    ("status", "body", "fingerprint", "message"),
    [
        pytest.param(
            404,
            b"",
            FINGERPRINT,
            "/debian/gpg answered 404; wanted the repository's key; set key_url to an address that this host reaches",
            id="no key there",
        ),
        pytest.param(
            200, b"<html>", FINGERPRINT, "found b'<html>'... where an OpenPGP public key was wanted", id="a web page"
        ),
        pytest.param(
            200,
            KEY,
            "0" * 40,
            f"has the fingerprint {FINGERPRINT}; wanted {'0' * 40}; set key_fingerprint",
            id="another key",
        ),
    ],
)
def test_a_wrong_key_is_refused_before_anything_is_written(
    debian, commands, server, status, body, fingerprint, message
):
    server.routes["GET", "/debian/gpg"] = lambda asked: asked.say(status, body)
    with pytest.raises(Refusal) as refused:
        runner.ensure(params(apt_repository=repository(server, key_fingerprint=fingerprint)), check=False)
    assert message in str(refused.value)
    assert (commands.made, set(debian.files)) == ([], {STATUS, "/etc/os-release"})


def test_where_no_repository_is_the_hint_is_of_the_repository_and_not_of_its_key(debian, server):
    there = f"http://{server.place}/{{id}}{{version}}"
    wanted = repository(server, url=there, key_url=f"{there}/3bf863cc.pub")
    with pytest.raises(Refusal, match=r"/debian13/3bf863cc.pub answered 404; wanted the repository's key; set x_url$"):
        runner.ensure(
            params(apt_repository=wanted, hints={"key": "set x_key_url", "repository": "set x_url"}), check=True
        )


def test_a_host_without_dpkg_is_refused(debian):
    del debian.files[STATUS]
    with pytest.raises(Refusal) as refused:
        runner.ensure(params(), check=True)
    assert str(refused.value) == "found no /var/lib/dpkg/status; wanted a host with dpkg and apt (Debian, Ubuntu)"


def test_a_host_with_neither_apt_nor_dnf_is_refused(on, commands):
    on(Host("ID=arch\n"))
    with pytest.raises(Refusal, match="found arch  in /etc/os-release, and neither apt-get nor dnf; wanted"):
        runner.ensure(params(), check=True)


@pytest.mark.parametrize(
    ("release", "program", "words"),
    [
        ('ID="openEuler"\nVERSION_ID="24.03"\n', "dnf", "all packages are as wanted"),
        ('ID="kylin"\nVERSION_ID="V10"\n', "dnf", "all packages are as wanted"),
        ('ID="arch"\n', None, "no package is wanted"),
    ],
)
def test_where_no_package_is_wanted_any_host_serves(on, commands, monkeypatch, release, program, words):
    on(Host(release))
    monkeypatch.setattr(host, "program", lambda name: f"/usr/bin/{name}" if name == program else None)
    assert runner.ensure(params(()), check=False)["msg"] == words


def test_a_package_manager_is_looked_for_where_the_release_names_no_relative(on, rpm, commands, monkeypatch):
    on(Host('ID="openEuler"\nVERSION_ID="24.03"\n'))
    monkeypatch.setattr(host, "program", lambda name: "/usr/bin/dnf" if name == "dnf" else None)
    assert runner.ensure(params(), check=True)["msg"] == "install x"
    with pytest.raises(Refusal, match=r"found openEuler 24.03; wanted one of debian; install it yourself$"):
        runner.ensure(params(packages={"debian": ["x"]}, hints={"release": "install it yourself"}), check=True)


LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 24 (apt-get)\n"


@pytest.mark.parametrize("verb", ["update", "install"])
def test_each_lock_of_apts_is_waited_for(debian, commands, monkeypatch, verb):
    waited = []
    monkeypatch.setattr(apt_runner.time, "sleep", waited.append)
    command = f"{' '.join(apt_runner.APT_GET)} {verb}"

    def held():
        if len(waited) == 3:
            commands.answer(command)
        return ""

    commands.answer(command, held, rc=100, stderr=LOCKED)
    assert runner.ensure(params(), check=False)["changed"]
    assert waited == [5, 5, 5, 5]


DPKG_LOCKED = (
    "dpkg: error: dpkg frontend lock was locked by another process with pid 24\n"
    "Note: removing the lock file is always wrong, can damage the locked area\n"
)


@pytest.mark.parametrize(("verb", "state", "wanted"), [("hold", "install", True), ("unhold", "hold", False)])
def test_dpkgs_lock_is_waited_for_where_apt_does_not_do_so(debian, commands, monkeypatch, verb, state, wanted):
    debian.files[STATUS] = f"Package: x\nStatus: {state} ok installed\nVersion: 1\n".encode()
    monkeypatch.setattr(runner, "_own_holds", lambda name: ("x",))
    monkeypatch.setattr(apt_runner.time, "sleep", lambda seconds: commands.answer(f"apt-mark {verb}"))
    commands.answer(f"apt-mark {verb}", rc=100, stderr=f"{DPKG_LOCKED}E: Executing dpkg failed. Are you root?\n")
    runner.ensure(params(hold=wanted), check=False)
    assert commands.made == [f"apt-mark {verb} x"] * 2


def test_what_apt_fails_for_once_it_has_the_lock_is_no_held_lock(debian, commands, monkeypatch):
    monkeypatch.setattr(apt_runner, "LOCK_SECONDS", 0)
    said = "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 24 (apt)...\n"
    broken = "E: Unable to correct problems, you have held broken packages.\n"
    commands.answer(f"{' '.join(apt_runner.APT_GET)} install", said, rc=100, stderr=broken)
    with pytest.raises(CommandFailed, match=r"(?s)ended with status 100.*held broken packages"):
        runner.ensure(params(), check=False)


def test_who_holds_a_lock_for_too_long_is_told(debian, commands, monkeypatch):
    monkeypatch.setattr(apt_runner, "LOCK_SECONDS", 0)
    commands.answer(f"{' '.join(apt_runner.APT_GET)} update", rc=100, stderr=LOCKED)
    with pytest.raises(host.CommandFailed, match=r"(?s)held apt's lock .*It is held by process 24 \(apt-get\)"):
        runner.ensure(params(), check=False)


UNREACHED = """Err:1 http://mirror.example.com/x trixie InRelease
W: Failed to fetch http://mirror.example.com/x/dists/trixie/InRelease  Unable to connect to mirror.example.com:80:
W: Some index files failed to download. They have been ignored, or old ones used instead.
"""


@pytest.mark.parametrize("name", ["x", "x=3.*"])
def test_a_repository_that_is_not_reached_is_told_with_the_variable_that_names_another(debian, commands, name):
    commands.answer(f"{' '.join(apt_runner.APT_GET)} update", UNREACHED)
    commands.answer("apt-cache", rc=100)
    commands.answer("apt-cache madison x", "")
    hints = {"version": "set x_version", "repository": "set x_repository_url"}
    with pytest.raises(Refusal) as refused:
        runner.ensure(params([name], hints=hints), check=False)
    told = str(refused.value)
    assert "set x_repository_url. apt-get update said:\nW: Failed to fetch http://mirror.example.com" in told
    assert ("set x_version" in told) == ("=" in name)
    assert "index files" not in told


@pytest.mark.parametrize("on_host", ["debian", "rocky"])
def test_a_program_that_no_package_owns_is_refused(request, commands, monkeypatch, tmp_path, on_host):
    one = request.getfixturevalue(on_host)
    asked = "dpkg --search" if on_host == "debian" else "rpm -qf"
    (tmp_path / "dockerd").touch()
    (tmp_path / "link").symlink_to(tmp_path / "dockerd")
    monkeypatch.setattr(host, "program", lambda name: str(tmp_path / "link") if name == "dockerd" else None)
    refused = params(refused_commands={"dockerd": "wanted a package; set x_source to present"})
    commands.answer(f"{asked} {tmp_path}/dockerd", rc=1)
    with pytest.raises(Refusal, match=r"found .*/link, which no package owns: wanted a package; set x_source"):
        runner.ensure(refused, check=True)
    assert one.files.keys() <= {"/etc/os-release", STATUS}
    commands.answer(f"{asked} {tmp_path}/dockerd", "docker-ce")
    assert runner.ensure(refused, check=True)["changed"]
    monkeypatch.setattr(host, "program", lambda name: None)
    assert runner.ensure(refused, check=True)["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_what_somebody_installed_without_a_package_is_refused(debian, commands, tmp_path, check):
    (tmp_path / "current").symlink_to("none")
    with pytest.raises(Refusal, match=f"found {tmp_path}/current: a Docker from snap"):
        runner.ensure(params(refused_paths={f"{tmp_path}/current": "a Docker from snap"}), check=check)
    assert commands.made == []


MODULES = "/lib/modules/6.12.0-55.9.1.el10_0.x86_64/modules"
EXTRA = {"rhel-9": {"xt_addrtype": "kernel{variant}-modules-extra={kernel}"}}


@pytest.mark.parametrize(
    ("files", "act"),
    [
        ({".dep": b"kernel/net/netfilter/xt_mark.ko.xz:\n"}, "install kernel-modules-extra=6.12.0-55.9.1.el10_0"),
        ({".dep": b"extra/xt_addrtype.ko.xz: kernel/net/netfilter/x_tables.ko.xz\n"}, ""),
        ({".dep": b"kernel/a.ko:\n", ".builtin": b"kernel/net/netfilter/xt_addrtype.ko\n"}, ""),
        ({}, ""),
    ],
    ids=["missing", "there", "built in", "a container"],
)
def test_a_module_that_the_running_kernel_lacks_comes_with_its_package_and_is_not_held(rocky, rpm, files, act):
    rpm.there = {"x": "1-1", "python3-dnf-plugin-versionlock": "1-1"}
    rocky.files |= {f"{MODULES}{name}": text for name, text in files.items()}
    rocky.files[LOCKS] = b"x-0:1-1.*\n"
    result = runner.ensure(params(kernel_modules=EXTRA, hold=True), check=True)
    assert result["msg"] == (act or "all packages are as wanted")


def test_a_newer_kernel_that_the_next_restart_brings_gets_the_module_too(rocky, rpm, monkeypatch, tmp_path):
    names = ["5.14.0-1.el9.x86_64", "6.12.0-55.9.1.el10_0.x86_64", "6.12.0-124.8.1.el10_1.x86_64", "gone.x86_64"]
    for name in names:
        (tmp_path / name).mkdir()
        rocky.files[f"{tmp_path}/{name}/modules.dep"] = b"kernel/net/netfilter/xt_mark.ko.xz:\n"
    del rocky.files[f"{tmp_path}/gone.x86_64/modules.dep"]
    rpm.there = {"x": "1-1"}
    monkeypatch.setattr(runner, "KERNELS", str(tmp_path))
    package = "kernel-modules-extra=6.12.0"
    result = runner.ensure(params(kernel_modules=EXTRA), check=True)
    assert result["msg"] == f"install {package}-55.9.1.el10_0, {package}-124.8.1.el10_1"


def test_in_check_mode_a_key_that_is_not_reached_is_reported(debian, commands):
    wanted = {"url": "https://example.com", "suite": "/", "key_url": "http://127.0.0.1:1/key", "key_fingerprint": "A"}
    predicted = runner.ensure(params(apt_repository=wanted), check=True)
    (described,) = predicted["not_predicted"]
    assert described.startswith("the key at http://127.0.0.1:1/key: it is not reached (")
    assert predicted["msg"] == f"repository {KEYRING}, {SOURCES}; install x"
    assert "the key with the fingerprint A, from http://127.0.0.1:1/key" in predicted["diff"][0]["after"]
    with pytest.raises(Refusal, match="set key_url to an address that this host reaches"):
        runner.ensure(params(apt_repository=wanted), check=False)


def test_a_version_that_is_not_there_is_refused_before_anything_goes(debian, commands):
    debian.install(("old", "1"))
    with pytest.raises(Refusal, match=r"found x in the versions 1:2.0-1, 1.4-1; wanted 3\.\*"):
        runner.ensure(params(["x=3.*"], conflicts={"debian": ["old"]}), check=False)
    assert not [line for line in commands.made if line.startswith("apt-get -q -y") and "update" not in line]


def test_what_conflicts_is_removed_by_release(debian, commands):
    debian.install(("old", "1"), ("other", "1"))
    commands.answer("apt-get -q --simulate remove", "Remv old [1]\n")
    wanted = params(conflicts={"debian-13": ["old", "absent"], "debian": ["other"]})
    assert runner.ensure(wanted, check=False)["msg"] == "remove old; install x"
    assert [line.split()[-1] for line in commands.made] == ["old", "update", "x", "x", "old", "x"]


@pytest.mark.parametrize("check", [True, False])
def test_a_removal_that_takes_others_along_is_refused(debian, commands, check):
    debian.install(("old", "1"))
    commands.answer("apt-get -q --simulate remove old", "Remv cri-o [1]\nRemv old [1]\n")
    with pytest.raises(Refusal, match="removing old would take cri-o along"):
        runner.ensure(params(conflicts={"debian": ["old"]}), check=check)
    assert commands.made == ["apt-get -q --simulate remove old"]


def test_a_hold_of_ours_is_released_and_one_of_the_administrators_stays(debian, commands):
    debian.files[STATUS] = b"Package: x\nStatus: hold ok installed\nVersion: 1\n"
    assert runner.ensure(params(), check=False)["changed"] is False
    debian.install(("x", "1"))
    assert runner.ensure(params(hold=True), check=False)["msg"] == "hold x"
    debian.files[STATUS] = b"Package: x\nStatus: hold ok installed\nVersion: 1\n"
    assert runner.ensure(params(hold=True), check=False)["changed"] is False
    assert runner.ensure(params(), check=False)["msg"] == "unhold x"
    assert runner.ensure(params(), check=False)["changed"] is False
    assert commands.made == ["apt-mark hold x", "apt-mark unhold x"]


def dnf_repository(server, **more):
    return {
        "url": "https://example.com/{id}/{version_major}/{arch}",
        "signed": "packages",
        "key_url": f"http://{server.place}/gpg",
        "key_fingerprint": FINGERPRINT,
        **more,
    }


def test_a_rocky_host_is_predicted_and_then_brought_to_a_pinned_and_held_version(rocky, rpm, commands, server):
    server.routes["GET", "/gpg"] = lambda asked: asked.say(200, dearmored(KEY))
    rpm.there = {"old": "1-1"}
    wanted = params(
        packages={"rhel": ["x=*:1.*-*"]}, conflicts={"rhel": ["old"]}, dnf_repository=dnf_repository(server), hold=True
    )
    predicted = runner.ensure(wanted, check=True)
    assert set(rocky.files) == {"/etc/os-release"}
    assert commands.made[1:] == ["rpm --erase --test old"]
    commands.made.clear()
    assert predicted == runner.ensure(wanted, check=False)
    assert predicted["msg"] == (
        f"repository {RPM_KEY}, {REPO}; remove old; install x=*:1.*-*, python3-dnf-plugin-versionlock; hold x"
    )
    assert rocky.files[RPM_KEY] == armored(dearmored(KEY))
    assert "baseurl=https://example.com/rocky/9/x86_64\n" in rocky.files[REPO].decode()
    dnf = "dnf -y --setopt=install_weak_deps=False"
    both = "x-1.*-* python3-dnf-plugin-versionlock"
    assert [line for line in commands.made if line.startswith("dnf")] == [
        f"{dnf} -q --refresh --disableplugin=versionlock repoquery --qf %{{name}} {both}",
        f"{dnf} --noautoremove remove old",
        f"{dnf} --setopt=*.skip_if_unavailable=1 --disableplugin=versionlock install {both}",
        f"{dnf} versionlock delete x",
        f"{dnf} versionlock add x",
    ]


def test_a_rocky_host_that_has_what_is_wanted_is_left_alone(rocky, rpm, commands, server):
    rpm.there = {"x": "3:1.4-1.el9", "python3-dnf-plugin-versionlock": "4.3.0-1.el9"}
    rocky.files[LOCKS] = b"x-3:1.4-1.el9.*\n"
    rocky.files[RPM_KEY] = KEY
    wanted = params(packages={"rhel": ["x=*:1.*-*"]}, dnf_repository=dnf_repository(server), hold=True)
    rocky.files[REPO] = (
        b"# Made by gpuchat.\n[gpuchat-x]\nname=gpuchat-x\nbaseurl=https://example.com/rocky/9/x86_64\nenabled=1\n"
        b"gpgcheck=1\nrepo_gpgcheck=0\ngpgkey=file:///etc/pki/rpm-gpg/gpuchat-x\n"
    )
    assert runner.ensure(wanted, check=False) == {
        "changed": False,
        "diff": [],
        "msg": "all packages are as wanted",
    }
    assert (len(commands.made), server.asked) == (1, [])


def test_on_a_rocky_host_the_absence_takes_locks_and_packages(rocky, rpm, commands):
    rpm.there = {"x": "1.4-1.el9", "y": "1-1"}
    rocky.files[LOCKS] = b"x-0:1.4-1.el9.*\n"
    wanted = params(packages={"rhel": ["x"]}, state="absent")
    assert runner.ensure(wanted, check=False)["msg"] == "unhold x; remove x"
    assert [line.split()[2:] for line in commands.made if line.startswith("dnf")] == [
        ["--setopt=install_weak_deps=False", "versionlock", "delete", "x"],
        ["--setopt=install_weak_deps=False", "--noautoremove", "remove", "x"],
    ]


def test_on_a_rocky_host_a_removal_that_others_stand_against_is_refused(rocky, rpm, commands):
    rpm.there = {"runc": "4:1.2.5-1.el9"}
    needed = "error: Failed dependencies:\n\trunc is needed by (installed) cri-o-1.30.4-2.el9.x86_64\n"
    commands.answer("rpm --erase --test runc", rc=1, stderr=needed)
    with pytest.raises(Refusal, match="removing runc would take cri-o along"):
        runner.ensure(params(conflicts={"rhel": ["runc"]}), check=True)


def test_a_version_that_no_repository_of_dnfs_has_is_refused_with_what_dnf_said(rocky, commands):
    commands.answer("dnf -y --setopt=install_weak_deps=False -q", stderr="Error: bad signature of x\n")
    with pytest.raises(Refusal) as refused:
        runner.ensure(params(["x=3.*"]), check=False)
    assert str(refused.value) == (
        "found no x=3.* in this host's repositories; wanted to install it; set packages to a version that "
        "the repository has; look at this host's network and its list of repositories (/etc/apt, /etc/yum.repos.d). "
        "dnf said:\n"
        "Error: bad signature of x"
    )
    assert not [line for line in commands.made if " install " in line]


def test_a_repository_that_is_not_reached_does_not_stop_an_installation_from_others(rocky, rpm, commands):
    dnf = "dnf -y --setopt=install_weak_deps=False -q"
    said = "Error: Failed to download metadata for repo 'epel'"
    commands.answers.clear()
    commands.answer(f"{dnf} --refresh", rc=1, stderr=f"{said}\n")
    commands.answer(f"{dnf} --setopt=*.skip_if_unavailable=1", "x\n")
    assert runner.ensure(params(), check=False)["changed"]
    commands.answer(f"{dnf} --setopt=*.skip_if_unavailable=1", "")
    with pytest.raises(Refusal, match=f"found no y .*dnf said:\n{said}"):
        runner.ensure(params(["y"]), check=False)


def test_a_host_whose_rpm_cannot_be_read_is_refused(rocky, commands):
    commands.answer("rpm --query", rc=127, stderr="rpm: not found")
    with pytest.raises(Refusal, match=r"found no state of rpm \(rpm: not found\); wanted a host with rpm and dnf"):
        runner.ensure(params(), check=True)


def test_units_are_masked_before_the_packages_that_would_start_them(debian, commands):
    commands.answer("systemctl is-active", "inactive\n", rc=3)
    runner.ensure(params(masked_units=["gpuchat-test-x.service"]), check=False)
    assert [line.split()[-2:] for line in commands.made if "is-active" not in line] == [
        ["Dpkg::Options::=--force-confold", "update"],
        ["show", "x"],
        ["policy", "x"],
        ["mask", "gpuchat-test-x.service"],
        ["--allow-change-held-packages", "x"],
    ]


def test_a_unit_that_runs_and_is_in_nobodys_way_stays_as_it_is(debian, commands):
    commands.answer("systemctl is-active gpuchat-test-x.service", "active\n")
    runner.ensure(params(masked_units=["gpuchat-test-x.service"], spares_running_units=True), check=False)
    assert commands.that("mask") == []
    assert commands.that("x")


def test_a_unit_that_already_serves_something_is_refused(debian, commands):
    commands.answer("systemctl is-active gpuchat-test-x.service", "active\n")
    with pytest.raises(Refusal) as refused:
        runner.ensure(params(masked_units=["gpuchat-test-x.service"]), check=False)
    assert str(refused.value) == (
        "gpuchat-test-x.service already runs on this host and is not gpuchat's; wanted its ports for gpuchat's own "
        "service; move its sites to another host and run `systemctl disable --now gpuchat-test-x.service`"
    )


def test_a_masked_unit_is_known_by_its_link(tmp_path, monkeypatch, debian, commands):
    (tmp_path / "u.service").symlink_to("/dev/null")
    debian.install(("x", "1"))
    monkeypatch.setattr(runner, "SYSTEMD_UNITS", str(tmp_path))
    assert runner.ensure(params(masked_units=["u.service"]), check=False)["changed"] is False
    assert commands.made == []


BROKEN = {
    "the disk that the host was installed from": (
        "deb cdrom:[Debian GNU/Linux 13.1.0 _Trixie_ - NETINST]/ trixie main\n",
        "E: The repository 'cdrom://[Debian GNU/Linux 13.1.0 _Trixie_ - NETINST] trixie Release' has no Release file.",
    ),
    "a list whose key is gone": (
        "deb http://ppa.example.com/u noble main\n",
        "E: The repository 'http://ppa.example.com/u noble InRelease' is not signed.",
    ),
}


@pytest.mark.parametrize(("listing", "said"), BROKEN.values(), ids=BROKEN)
def test_somebody_elses_broken_list_does_not_stop_an_installation_that_does_not_need_it_and_is_named_where_it_does(
    debian, commands, tmp_path, monkeypatch, listing, said
):
    listed(tmp_path, monkeypatch, listing)
    monkeypatch.setattr(apt_runner, "SOURCES_LIST", str(tmp_path / "sources.list"))
    commands.answer(f"{' '.join(apt_runner.APT_GET)} update", rc=100, stderr=f"{said}\n")
    assert runner.ensure(params(), check=False)["changed"]
    commands.answer("apt-cache", rc=100)
    with pytest.raises(Refusal, match=r"found no y .*apt-get update said:\nE: The repository .*x.list"):
        runner.ensure(params(["y"]), check=False)


NOT_FETCHED = {
    "debian": "E: Failed to fetch http://m.example.com/x_2.0-1_amd64.deb  404  Not Found [IP: 192.0.2.1 80]",
    "rocky": "Error: Error downloading packages:\n  Cannot download Packages/x.rpm: All mirrors were tried",
}


@pytest.mark.parametrize(("on_host", "said"), NOT_FETCHED.items())
def test_a_package_that_cannot_be_fetched_is_told_with_the_variable_that_names_another_repository(
    request, commands, on_host, said
):
    request.getfixturevalue(on_host)
    tool = " ".join(apt_runner.APT_GET if on_host == "debian" else [*dnf_runner.DNF, "--setopt=*.skip"])
    more = "" if on_host == "debian" else "_if_unavailable=1 --disableplugin=versionlock"
    commands.answers = {f"{tool}{more} install": (1, "", f"{said}\n"), **commands.answers}
    with pytest.raises(CommandFailed) as failed:
        runner.ensure(params(hints={"repository": "set x_repository_url"}), check=False)
    told = str(failed.value)
    assert told.startswith(
        "found that packages cannot be fetched; wanted them from their repository; set x_repository_url"
    )
    assert said in told


def test_a_package_that_cannot_be_fetched_by_old_lists_is_told_with_what_keeps_them_from_being_new(debian, commands):
    expired = "E: Release file for http://m.example.com/dists/trixie/InRelease is expired (invalid since 9d 2h)."
    tool = " ".join(apt_runner.APT_GET)
    more = {f"{tool} install": (100, "", f"{NOT_FETCHED['debian']}\n"), f"{tool} update": (100, "", f"{expired}\n")}
    commands.answers = {**more, **commands.answers}
    with pytest.raises(CommandFailed) as failed:
        runner.ensure(params(), check=False)
    assert f"404  Not Found [IP: 192.0.2.1 80]\napt-get update said:\n{expired}" in str(failed.value)


def test_a_package_that_a_pin_keeps_away_is_told_with_the_pin(debian, commands):
    commands.answer(
        "apt-cache policy x", "x:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n     1.0 -1\n"
    )
    with pytest.raises(Refusal, match="a pin by which apt may take x from nowhere.*take that pin out of"):
        runner.ensure(params(), check=False)
    assert not commands.that("install")


def test_a_package_that_dnf_is_told_to_leave_out_is_no_missing_one(rocky, rpm, commands):
    dnf = "dnf -y --setopt=install_weak_deps=False -q"
    commands.answers.pop(dnf)
    commands.answer(f"{dnf} --disableexcludes=all", "x\n")
    with pytest.raises(Refusal, match="dnf is told to leave out x; .*take it out of exclude and excludepkgs"):
        runner.ensure(params(), check=False)
    with pytest.raises(Refusal, match="found no y in this host's repositories"):
        runner.ensure(params(["y"]), check=False)


@pytest.mark.parametrize("check", [True, False])
def test_a_host_whose_packages_come_with_its_image_is_refused_only_where_some_lack(
    rocky, rpm, commands, tmp_path, monkeypatch, check
):
    monkeypatch.setattr(runner, "IMAGE_BASED", str(tmp_path))
    with pytest.raises(Refusal, match="packages come with its image .*, without x; .*add them to the image"):
        runner.ensure(params(), check)
    rpm.there = {"x": "1-1"}
    assert not runner.ensure(params(), check)["changed"]


def test_a_host_without_any_repository_of_dnfs_is_told_what_to_look_at(rocky, commands):
    commands.answers.clear()
    said = 'Error: There are no enabled repositories in "/etc/yum.repos.d", "/etc/yum/repos.d".'
    commands.answer("dnf", rc=1, stderr=f"{said}\n")
    commands.answer("rpm --query")
    with pytest.raises(
        Refusal, match=r"found no x in this host's repositories; .*; look at it\. dnf said:\nError: There"
    ):
        runner.ensure(params(hints={"repository": "look at it"}), check=False)


def test_what_apt_says_is_reported_when_it_fails(debian, commands):
    command = " ".join(apt_runner.APT_GET)
    commands.answer(f"{command} install", rc=100, stderr="E: Unable to locate package x\n")
    with pytest.raises(host.CommandFailed, match="(?s)ended with status 100:\nE: Unable to locate package x"):
        runner.ensure(params(), check=False)


def test_a_disk_too_small_for_what_comes_is_refused_before_an_installation(debian, commands, tmp_path):
    space = {"paths": [str(tmp_path / "images")], "minimum_gib": 10**6, "hint": ""}
    with pytest.raises(Refusal, match="wanted 1000000 GiB"):
        runner.ensure(params(space=space), check=False)
    assert commands.made == []


def test_a_disk_that_is_large_enough_is_no_word(debian, commands, tmp_path):
    debian.install(("x", "1"))
    space = {"paths": [str(tmp_path / "images")], "minimum_gib": 0, "hint": ""}
    assert runner.ensure(params(space=space), check=False)["msg"] == "all packages are as wanted"


RECORD = "/packages/x.json"


def record(one):
    return next(json.loads(text) for path, text in one.files.items() if path.endswith(RECORD))


def test_what_came_with_an_installation_is_kept_and_what_was_there_is_not(debian, commands):
    debian.install(("there", "1"))
    debian.files["/etc/group"] = b"root:x:0:\n"

    def installs():
        debian.install(("there", "1"), ("x", "1"), ("comes-along", "2"))
        debian.files["/etc/group"] += b"x:x:101:\n"
        return ""

    commands.answer(" ".join(apt_runner.APT_GET) + " install", installs)
    runner.ensure(params(["there", "x"]), check=False)
    assert record(debian) == {"installed": ["comes-along", "x"], "asked": ["x"], "groups": ["x"]}


def test_what_is_named_is_kept_before_it_is_installed_for_a_run_may_die_in_between(debian, commands):
    commands.answer(" ".join(apt_runner.APT_GET) + " install", "broken", rc=100)
    with pytest.raises(CommandFailed):
        runner.ensure(params(), check=False)
    assert record(debian) == {"installed": ["x"], "asked": ["x"]}


def test_somebody_elses_package_that_made_way_is_kept_with_its_version(debian, commands):
    debian.install(("old", "3"), ("x", "1"))
    commands.answer("apt-get -q --simulate remove", "Remv old [3]\n")
    runner.ensure(params(conflicts={"default": ["old"]}), check=False)
    assert record(debian) == {"made_way": ["old=3"]}


def test_a_unit_that_a_run_masks_is_kept(debian, commands, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SYSTEMD_UNITS", str(tmp_path))
    debian.install(("x", "1"))
    runner.ensure(params(masked_units=["x.service"]), check=False)
    assert record(debian) == {"masked": ["x.service"]}
