# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret import acme

UTC = datetime.UTC
NOW = datetime.datetime(2030, 1, 31, 12, tzinfo=UTC)
DAY = datetime.timedelta(days=1)
DIRECTORY = "https://acme.example.com/directory"
HELD = acme.Held(frozenset({"a.example.com"}), NOW - 10 * DAY, NOW + 80 * DAY, DIRECTORY, "http")


def plan(held=HELD, names=("a.example.com",), directory=DIRECTORY, challenge="http", is_served=True):
    return acme.plan(held, names=names, directory=directory, challenge=challenge, is_served=is_served, now=NOW)


def held(begin, end):
    return acme.Held(HELD.names, NOW + begin * DAY, NOW + end * DAY, DIRECTORY, "http")


def test_a_certificate_that_serves_changes_nothing():
    assert (plan().changed, plan().differences) == (False, ())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        pytest.param({"held": None}, "there is no certificate yet", id="none yet"),
        pytest.param({"names": ("a.example.com", "b.example.com")}, "the certificate is for a.example.com", id="names"),
        pytest.param({"directory": "https://b"}, f"the certificate comes from {DIRECTORY}", id="directory"),
        pytest.param({"challenge": "dns"}, "the names were shown to be ours by http", id="challenge"),
        pytest.param({"held": held(-61, 29)}, "the certificate ends on 2030-03-01", id="a third is left"),
        pytest.param({"held": held(-4, 2)}, "the certificate ends on 2030-02-02", id="half of a short life is over"),
        pytest.param({"held": held(-90, -1)}, "the certificate ends on 2030-01-30", id="ended"),
    ],
)
def test_a_directory_is_asked_where_something_differs_or_the_end_is_near(changed, reason):
    found = plan(**changed)
    assert found.reason == reason
    assert found.actions == (acme.Ask(), acme.Install())
    assert "end: a new one" in found.differences[0].after


@pytest.mark.parametrize("one", [held(-59, 31), held(-2, 4)])
def test_a_directory_is_not_asked_while_there_is_time(one):
    assert plan(held=one).actions == ()


def test_a_certificate_that_is_there_and_not_served_is_served_and_nobody_is_asked():
    assert plan(is_served=False).actions == (acme.Install(),)


def test_names_in_another_order_are_the_same_names():
    both = acme.Held(frozenset({"b", "a"}), HELD.not_before, HELD.not_after, DIRECTORY, "http")
    assert plan(held=both, names=("b", "a")).actions == ()


@pytest.mark.parametrize(
    ("days", "setting"), [(90, ""), (60, ""), (45, "21600 minutes"), (6, "4320 minutes"), (47, "22560 minutes")]
)
def test_older_versions_of_certbot_are_told_when_to_renew_what_lives_for_less_than_two_months(days, setting):
    assert acme.renew_before_expiry(held(0, days)) == setting


OPENSSL = """notBefore=Jan 21 12:00:00 2030 GMT
notAfter=Apr  1 09:30:00 2030 GMT
X509v3 Subject Alternative Name: critical
    DNS:a.example.com, DNS:b.example.com
"""
RENEWAL = """# renew_before_expiry = 30 days
version = 4.0.0
[renewalparams]
server = https://acme.example.com/directory
authenticator = webroot
webroot_path = /srv/webroot,
[[webroot_map]]
a.example.com = /srv/webroot
"""


def test_what_is_there_is_read_from_openssl_and_certbot():
    assert acme.read(OPENSSL, RENEWAL) == acme.Held(
        frozenset({"a.example.com", "b.example.com"}),
        datetime.datetime(2030, 1, 21, 12, tzinfo=UTC),
        datetime.datetime(2030, 4, 1, 9, 30, tzinfo=UTC),
        DIRECTORY,
        "http",
    )


@pytest.mark.parametrize(
    ("described", "renewal", "way"),
    [
        pytest.param(OPENSSL, RENEWAL.replace("webroot", "manual"), "dns", id="by a hook"),
        pytest.param(OPENSSL, "", "", id="no record"),
    ],
)
def test_the_challenge_is_known_by_who_answers_it(described, renewal, way):
    assert acme.read(described, renewal).challenge == way


@pytest.mark.parametrize("described", ["", "Could not read certificate", "notBefore=soon\nnotAfter=late GMT\n"])
def test_what_is_no_certificate_is_none(described):
    assert acme.read(described, RENEWAL) is None


def test_a_setting_is_put_at_the_head_once_and_taken_away():
    changed = acme.with_setting(RENEWAL, "renew_before_expiry", "60 minutes")
    assert changed == "renew_before_expiry = 60 minutes\n" + RENEWAL
    assert acme.with_setting(changed, "renew_before_expiry", "9 minutes").count("\nrenew_before_expiry") == 0
    assert acme.with_setting(changed, "renew_before_expiry", "") == RENEWAL


REFUSED = """Saving debug log to /var/lib/gpuchat/acme/log/letsencrypt.log
Requesting a certificate for a.example.com and b.example.com

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Domain: b.example.com
  Type:   unauthorized
  Detail: Expected "x.y" (got "404")

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.

Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org.
"""
HOOK = """Hook '--manual-auth-hook' for a.example.com ran with output:
 the token is hunter2
Hook '--manual-auth-hook' for a.example.com ran with error output:
 hunter2 refused
An unexpected error occurred:
The server is in maintenance
"""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(REFUSED, 'b.example.com: unauthorized: Expected "x.y" (got "404")', id="a challenge"),
        pytest.param(
            HOOK, "An unexpected error occurred: The server is in maintenance", id="a hook's output stays out"
        ),
        pytest.param(
            "Another instance of Certbot is already running.\n",
            "Another instance of Certbot is already running.",
            id="one line",
        ),
        pytest.param("", "certbot said nothing", id="nothing"),
    ],
)
def test_a_refusal_says_what_the_directory_said(said, reason):
    assert acme.refusal(said) == reason


@pytest.mark.parametrize(("challenge", "option"), [("http", "set challenge to dns"), ("dns", "set dns_hook")])
def test_the_message_says_what_was_found_what_was_wanted_and_what_to_set(challenge, option):
    message = acme.message(REFUSED, ["a", "b"], DIRECTORY, challenge, "/log")
    assert message.startswith(f"found that {DIRECTORY} gives no certificate for a, b (b.example.com: unauthorized")
    assert "what was served before still is; wanted that" in message
    assert option in message
    assert message.endswith("/log")


def test_a_refusal_that_is_not_of_a_challenge_has_no_hint_of_one():
    message = acme.message("An unexpected error occurred:\nAccount not found.", ["a"], DIRECTORY, "http", "/log")
    assert "wanted a directory that answers" in message
    assert "set directory, or authority_file" in message
    assert "challenge/" not in message
