# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret.plan import (
    KEPT,
    RENEW_BEFORE,
    SIGNING_KEY,
    TOKENS,
    Certificate,
    Make,
    plan_secrets,
    renewals,
    unknown_rotation,
    wrong_token,
)

UTC = datetime.timezone(datetime.timedelta())
NOW = datetime.datetime(2030, 1, 1, tzinfo=UTC)
DAY = datetime.timedelta(days=1)
MADE_ALONE = (*TOKENS, SIGNING_KEY)
ALL_TOKENS = dict.fromkeys(MADE_ALONE, "x")
AUTHORITY = {"ca_key": "x", "ca_certificate": "x", "tls_key": "x"}


def certificate(*names, left=RENEW_BEFORE):
    return Certificate(frozenset(names), NOW + left)


@pytest.mark.parametrize(
    ("known", "tls_names", "there", "made"),
    [
        pytest.param({}, ["a"], None, [*MADE_ALONE, "authority", "certificate"], id="first run"),
        pytest.param({}, [], None, [*MADE_ALONE], id="first run, the owner provides a certificate"),
        pytest.param({**ALL_TOKENS, **AUTHORITY}, ["a"], certificate("a"), [], id="all is there"),
        pytest.param({**ALL_TOKENS, "api_key": ""}, [], None, ["api_key"], id="an empty secret is none"),
        pytest.param(
            {"api_key": "mine"},
            [],
            None,
            [name for name in MADE_ALONE if name != "api_key"],
            id="what the user set stays",
        ),
        pytest.param({**ALL_TOKENS, **AUTHORITY}, ["a"], None, ["certificate"], id="no certificate yet"),
        pytest.param({**ALL_TOKENS, **AUTHORITY}, ["a", "b"], certificate("a"), ["certificate"], id="a further name"),
        pytest.param({**ALL_TOKENS, **AUTHORITY}, ["a"], certificate("a", "b"), ["certificate"], id="a name less"),
        pytest.param(
            {**ALL_TOKENS, **AUTHORITY},
            ["b", "a", "a"],
            certificate("a", "b"),
            [],
            id="the same names in another order",
        ),
        pytest.param(
            {**ALL_TOKENS, **AUTHORITY},
            ["a"],
            certificate("a", left=RENEW_BEFORE - DAY),
            ["certificate"],
            id="it nears its end",
        ),
        pytest.param(
            {**ALL_TOKENS, **AUTHORITY}, ["a"], certificate("a", left=-DAY), ["certificate"], id="it has ended"
        ),
        pytest.param(
            {**ALL_TOKENS, **AUTHORITY}, [], certificate("a", left=-DAY), [], id="it has ended, and nobody uses it"
        ),
        pytest.param(
            {**ALL_TOKENS, "ca_certificate": "x", "tls_key": "x"},
            ["a"],
            certificate("a"),
            [],
            id="the authority's key is kept elsewhere, and nothing is to be signed",
        ),
        pytest.param(
            {**ALL_TOKENS, **AUTHORITY, "tls_key": ""},
            ["a"],
            certificate("a"),
            ["certificate"],
            id="half of the pair is missing",
        ),
    ],
)
def test_only_what_is_missing_or_no_longer_serves_is_made(known, tls_names, there, made):
    plan = plan_secrets(known, tls_names=tls_names, certificate=there, now=NOW)
    assert plan.actions == tuple(map(Make, made))
    assert plan.reason == (f"to make: {', '.join(made)}" if made else "all secrets are there")


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("a" * 16, ""),
        ("q-._~+/=" * 2, ""),
        ("it's ours, all of it", "holds other characters than"),
        ("a'; touch F; :' and so on", "holds other characters than"),
        ("two words of some length", "holds other characters than"),
        ("1234", "has 4 characters; wanted 16 or more"),
        (83, "is no text, for YAML reads it as something else"),
        (True, "is no text, for YAML reads it as something else"),
    ],
)
def test_a_token_that_somebody_wrote_is_judged_without_being_shown(value, wrong):
    said = wrong_token("api_key", value)
    assert said.startswith(f"api_key {wrong}") if wrong else said == ""
    assert str(value) not in said or value in (True, 83)


def test_a_diff_names_what_is_made_and_no_value():
    plan = plan_secrets({**ALL_TOKENS, "api_key": ""}, tls_names=[], certificate=None, now=NOW)
    (difference,) = plan.differences
    assert (difference.name, difference.before, difference.after) == ("secret api_key", "", "(made)\n")


@pytest.mark.parametrize(
    ("known", "temporary", "made"),
    [
        pytest.param(ALL_TOKENS, False, [], id="no directory"),
        pytest.param(ALL_TOKENS, True, ["temporary"], id="a directory"),
        pytest.param({**ALL_TOKENS, "temporary_key": "x", "temporary_certificate": "x"}, True, [], id="it is there"),
        pytest.param({**ALL_TOKENS, "temporary_certificate": "x"}, True, ["temporary"], id="without its key"),
    ],
)
def test_an_edge_that_asks_a_directory_starts_with_a_certificate_of_nobodys(known, temporary, made):
    plan = plan_secrets(known, tls_names=[], certificate=None, now=NOW, temporary=temporary)
    assert plan.actions == tuple(map(Make, made))


def test_a_run_that_gives_hosts_nothing_renews_nothing_for_its_age_alone():
    def made(there, **more):
        return plan_secrets({**ALL_TOKENS, **AUTHORITY}, tls_names=["a"], certificate=there, now=NOW, **more).actions

    old = certificate("a", left=RENEW_BEFORE - DAY)
    assert made(old) == (Make("certificate"),)
    assert made(old, renew=False) == ()
    assert made(certificate("b"), renew=False) == (Make("certificate"),)


@pytest.mark.parametrize(
    ("there", "names", "rotate", "made"),
    [
        pytest.param(None, [], [], [], id="nothing asks for the site in a room"),
        pytest.param(None, ["a"], [], ["room_certificate"], id="it is missing"),
        pytest.param(certificate("a"), ["a"], [], [], id="it is there"),
        pytest.param(certificate("a"), ["a", "b"], [], ["room_certificate"], id="a further name"),
        pytest.param(certificate("a"), ["a"], ["room_certificate"], ["room_certificate"], id="it is rotated"),
    ],
)
def test_the_door_in_the_chats_room_has_a_certificate_for_the_sites_names(there, names, rotate, made):
    plan = plan_secrets(
        ALL_TOKENS, tls_names=[], certificate=None, now=NOW, site_names=names, room_certificate=there, rotate=rotate
    )
    assert plan.actions == tuple(map(Make, made))


@pytest.mark.parametrize("there", [certificate("a", left=RENEW_BEFORE - DAY), certificate("a")])
def test_a_run_that_gives_the_chats_server_nothing_leaves_the_rooms_certificate_alone(there):
    def made(one, **more):
        known = {"tls_names": [], "certificate": None, "now": NOW, "site_names": ["b"]}
        return plan_secrets(ALL_TOKENS, **known, room_certificate=one, **more).actions

    assert made(there) == (Make("room_certificate"),)
    assert made(there, renew_room=False) == ()
    assert made(None, renew_room=False) == (Make("room_certificate"),)


@pytest.mark.parametrize("name", KEPT)
def test_what_would_take_something_from_people_is_never_made_anew(name):
    assert unknown_rotation([name], []).startswith(f"found {name}, for {KEPT[name]}; wanted it to stay as it is")


def test_certificates_to_be_renewed_are_named_the_first_to_end_first():
    left = {"h2": NOW + 9 * DAY, "the site": NOW + RENEW_BEFORE, "h1": NOW + 3 * DAY}
    (warning,) = renewals(left, NOW)
    assert warning.startswith("certificates of the stack's own authorities end: that of h1 on ")
    assert "that of h2 on " in warning
    assert "the site" not in warning
    assert "playbooks/renew.yml" in warning
    assert renewals({"the site": NOW + RENEW_BEFORE}, NOW) == []
