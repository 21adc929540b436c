# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import CommandFailed, Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret import acme_runner

DIRECTORY = "https://acme.example.com/directory"
NOW = datetime.datetime.now(datetime.UTC)
RENEWAL = f"version = 4.0.0\n[renewalparams]\nserver = {DIRECTORY}\nauthenticator = webroot\n"


class Place:
    """A host with certbot, whose directory gives certificates for some days."""

    def __init__(self, folder, commands):
        self.folder, self.commands, self.days, self.refuses = folder, commands, 90, ""
        self.lineage = folder / "certbot/live/gpuchat"
        self.renewal = folder / "certbot/renewal/gpuchat.conf"
        self.served = folder / "acme.pem"
        commands.answer("openssl x509", self._described)
        commands.answer("/usr/bin/certbot", self._certbot)
        commands.answer("/install", self._install)

    def params(self, **more):
        usual = {"certificate_name": "gpuchat", "names": ["a.example.com"], "directory": DIRECTORY, "challenge": "http"}
        places = {"configuration": "/certbot.ini", "install": "/install", "state_folder": str(self.folder)}
        return {**usual, **places, "served": str(self.served), "authority_file": "", "dns_hook": "", **more}

    def ensure(self, check=False, **more):
        self.commands.made.clear()
        return acme_runner.ensure(self.params(**more), check)

    def _described(self):
        end = NOW + datetime.timedelta(days=self.days)
        dates = [f"{word}={when:%b %d %H:%M:%S %Y} GMT" for word, when in (("notBefore", NOW), ("notAfter", end))]
        return "\n".join([*dates, "X509v3 Subject Alternative Name:", "    DNS:a.example.com", ""])

    def _certbot(self):
        if not self.refuses:
            self.lineage.mkdir(parents=True, exist_ok=True)
            self.renewal.parent.mkdir(exist_ok=True)
            self.renewal.write_text(RENEWAL)
            (self.lineage / "privkey.pem").write_text("KEY\n")
            (self.lineage / "fullchain.pem").write_text("CHAIN\n")
        return ""

    def _install(self):
        self.served.write_text("KEY\nCHAIN\n")
        return ""


@pytest.fixture
def place(tmp_path, commands, monkeypatch):
    monkeypatch.setattr(host, "program", lambda name: f"/usr/bin/{name}")
    return Place(tmp_path, commands)


def test_the_first_run_asks_and_serves_and_the_second_does_nothing(place):
    assert place.ensure()["changed"] is True
    (asked,) = place.commands.that("certonly")
    assert asked == (
        "/usr/bin/certbot certonly --config /certbot.ini --cert-name gpuchat --force-renewal --domains a.example.com"
    )
    assert place.served.read_text() == "KEY\nCHAIN\n"
    assert place.ensure()["changed"] is False
    assert place.commands.that("certonly", "/install") == []


def test_check_mode_predicts_it_and_asks_nobody(place):
    result = place.ensure(check=True)
    assert (result["changed"], place.commands.made) == (True, [])
    assert "directory: https://acme.example.com/directory" in result["diff"][0]["after"]


def test_what_a_timer_has_renewed_and_nobody_serves_is_served_without_asking(place):
    place.ensure()
    (place.lineage / "fullchain.pem").write_text("NEW\n")
    assert place.ensure()["changed"] is True
    assert (place.commands.that("certonly"), place.commands.that("/install")) == ([], ["/install"])


@pytest.mark.parametrize(("days", "head"), [(90, "version"), (6, "renew_before_expiry = 4320 minutes\nversion")])
def test_certbot_is_told_when_to_renew_what_lives_for_days(place, days, head):
    place.days = days
    place.ensure()
    assert place.renewal.read_text().startswith(head)


def test_a_refusal_is_told_and_what_was_served_stays(place):
    place.served.write_text("BEFORE\n")
    place.commands.answer("/usr/bin/certbot", rc=1, stderr="The server is in maintenance")
    with pytest.raises(CommandFailed, match="The server is in maintenance.*what was served before still is"):
        place.ensure()
    assert place.served.read_text() == "BEFORE\n"


def test_a_certificate_that_nginx_does_not_take_is_told(place):
    place.commands.answer("/install", rc=1, stderr="nginx does not take the new certificate")
    with pytest.raises(CommandFailed, match="nginx does not take the new certificate"):
        place.ensure()


def test_without_certbot_the_package_is_named(place, monkeypatch):
    monkeypatch.setattr(host, "program", lambda name: None if name == "certbot" else name)
    with pytest.raises(Refusal, match="found no certbot"):
        place.ensure()


def test_a_private_directory_is_known_by_its_own_authority(place, monkeypatch):
    seen = {}
    fake = host.run
    monkeypatch.setattr(host, "run", lambda command, *more, **named: seen.update({command[0]: more}) or fake(command))
    place.ensure(authority_file="/ca.crt")
    assert seen["/usr/bin/certbot"] == (300, {"REQUESTS_CA_BUNDLE": "/ca.crt"})
