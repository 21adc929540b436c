# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat import host, packages_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.openpgp import dearmored, fingerprints
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.plan import Refusal

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


class Host:
    """A Debian host whose files are a dictionary."""

    def __init__(self):
        self.files = {STATUS: b"", "/etc/os-release": RELEASE.encode()}

    def state(self, path, read=True):
        content = self.files.get(path)
        return None if content is None else host.FileState(content, 0o644, 0, 0)

    def install(self, *packages):
        paragraphs = [
            f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n" for name, version in packages
        ]
        self.files[STATUS] = "\n".join(paragraphs).encode()


@pytest.fixture
def debian(monkeypatch, state_directory, commands):
    one = Host()
    monkeypatch.setattr(host, "file_state", one.state)

    class Staged:
        def __init__(self, path, content, *_):
            self.path, self.content = path, content

        def commit(self):
            one.files[self.path] = self.content

    monkeypatch.setattr(host, "stage", Staged)
    monkeypatch.setattr(packages_runner.fileset_runner, "_record", lambda *_: None)
    return one


def params(packages=("x",), **more):
    usual = {
        "name": "x",
        "packages": {"default": list(packages)},
        "refused_releases": {},
        "refused_packages": {},
        "repository": None,
        "conflicts": [],
        "masked_units": [],
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
    assert packages_runner.bring(params(), check=False) == {
        "changed": False,
        "diff": [],
        "msg": "all packages are as wanted",
    }
    assert commands.made == []


def test_packages_and_their_repository_are_foretold_on_a_bare_host_and_then_installed(debian, commands, server):
    server.routes["GET", "/debian/gpg"] = lambda asked: asked.say(200, KEY)
    wanted = params(["x=1.*"], repository=repository(server), hold=True)
    foretold = packages_runner.bring(wanted, check=True)
    assert (commands.made, set(debian.files)) == ([], {STATUS, "/etc/os-release"})
    assert foretold == packages_runner.bring(wanted, check=False)
    assert foretold["msg"] == f"repository {KEYRING}, {SOURCES}; install x=1.*; hold x"
    assert debian.files[KEYRING] == dearmored(KEY)
    assert debian.files[SOURCES].decode() == (
        "# Made by gpuchat.\nTypes: deb\nURIs: https://example.com/debian\nSuites: trixie\n"
        f"Components: stable\nSigned-By: {KEYRING}\n"
    )
    assert [line.split()[-2:] for line in commands.made] == [
        ["Dpkg::Options::=--force-confold", "update"],
        ["--allow-change-held-packages", "x=1.*"],
        ["hold", "x"],
    ]


def test_a_key_that_is_there_is_not_fetched_again(debian, server):
    debian.install(("x", "1"))
    debian.files[KEYRING] = dearmored(KEY)
    packages_runner.bring(params(repository=repository(server)), check=False)
    assert server.asked == []


def test_a_damaged_keyring_on_the_host_is_fetched_anew(debian, server):
    server.routes["GET", "/debian/gpg"] = lambda asked: asked.say(200, KEY)
    debian.files[KEYRING] = b"<html>captive portal</html>"
    packages_runner.bring(params(repository=repository(server)), check=False)
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
        packages_runner.bring(params(repository=repository(server, key_fingerprint=fingerprint)), check=False)
    assert message in str(refused.value)
    assert (commands.made, set(debian.files)) == ([], {STATUS, "/etc/os-release"})


def test_a_host_without_dpkg_is_refused(debian):
    del debian.files[STATUS]
    with pytest.raises(Refusal) as refused:
        packages_runner.bring(params(), check=True)
    assert str(refused.value) == "found no /var/lib/dpkg/status; wanted a host with dpkg and apt (Debian, Ubuntu)"


def test_units_are_masked_before_the_packages_that_would_start_them(debian, commands):
    commands.answer("systemctl is-active", "inactive\n", rc=3)
    packages_runner.bring(params(masked_units=["gpuchat-test-x.service"]), check=False)
    assert [line.split()[:2] for line in commands.made if "is-active" not in line] == [
        ["systemctl", "mask"],
        ["apt-get", "-q"],
        ["apt-get", "-q"],
    ]


def test_a_unit_that_already_serves_something_is_refused(debian, commands):
    commands.answer("systemctl is-active gpuchat-test-x.service", "active\n")
    with pytest.raises(Refusal) as refused:
        packages_runner.bring(params(masked_units=["gpuchat-test-x.service"]), check=False)
    assert str(refused.value) == (
        "gpuchat-test-x.service already runs on this host and is not gpuchat's; wanted its ports for gpuchat's own "
        "service; move its sites to another host and run `systemctl disable --now gpuchat-test-x.service`"
    )


def test_a_masked_unit_is_known_by_its_link(tmp_path, monkeypatch, debian, commands):
    (tmp_path / "u.service").symlink_to("/dev/null")
    debian.install(("x", "1"))
    monkeypatch.setattr(packages_runner, "SYSTEMD_UNITS", str(tmp_path))
    assert packages_runner.bring(params(masked_units=["u.service"]), check=False)["changed"] is False
    assert commands.made == []


def test_what_apt_says_is_told_when_it_fails(debian, commands):
    command = " ".join(packages_runner.APT_GET)
    commands.answer(f"{command} install", rc=100, stderr="E: Unable to locate package x\n")
    with pytest.raises(host.CommandFailed, match="(?s)ended with status 100:\nE: Unable to locate package x"):
        packages_runner.bring(params(), check=False)
