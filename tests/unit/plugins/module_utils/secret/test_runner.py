# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import ipaddress

import pytest

x509 = pytest.importorskip("cryptography.x509")

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal  # noqa: E402
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret import runner  # noqa: E402
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret.plan import TOKENS  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.x509 import verification  # noqa: E402

NAMES = ("chat.example.com", "10.0.0.1", "2001:db8::1")
UTC = datetime.timezone(datetime.timedelta())
NOW = datetime.datetime.now(UTC)


def ensure(known=None, tls_names=NAMES):
    return runner.ensure({"known": known or {}, "tls_names": tls_names})


@pytest.fixture(scope="module")
def made():
    return ensure()


def pem(known, name):
    return x509.load_pem_x509_certificate(known[name].encode())


def test_the_first_run_makes_all_secrets(made):
    names = {*TOKENS, "ca_key", "ca_certificate", "tls_key", "tls_certificate"}
    assert made["changed"] is True
    assert set(made["known"]) == names
    assert len(set(made["known"].values())) == len(names)


@pytest.mark.parametrize(("name", "length"), [("api_key", 43), ("vllm_api_key", 43), ("lobechat_access_code", 16)])
def test_a_token_is_long_enough_and_fit_for_a_header(made, name, length):
    token = made["known"][name]
    assert len(token) == length
    assert token.replace("-", "").replace("_", "").isalnum()


def test_no_value_stands_in_the_diff(made):
    assert not [value for value in made["known"].values() if value in str(made["diff"])]


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_imported_the_authority_trusts_the_certificate_under_each_name(made, name):
    store = verification.Store([pem(made["known"], "ca_certificate")])
    try:
        subject = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        subject = x509.DNSName(name)
    verifier = verification.PolicyBuilder().store(store).time(NOW).build_server_verifier(subject)
    chain = verifier.verify(pem(made["known"], "tls_certificate"), [])
    assert [one.subject for one in chain] == [
        pem(made["known"], "tls_certificate").subject,
        pem(made["known"], "ca_certificate").subject,
    ]


def test_the_certificate_is_not_trusted_under_another_name(made):
    store = verification.Store([pem(made["known"], "ca_certificate")])
    verifier = (
        verification.PolicyBuilder().store(store).time(NOW).build_server_verifier(x509.DNSName("other.example.com"))
    )
    with pytest.raises(verification.VerificationError):
        verifier.verify(pem(made["known"], "tls_certificate"), [])


def test_only_the_authority_may_sign(made):
    for name, may_sign in (("ca_certificate", True), ("tls_certificate", False)):
        constraints = pem(made["known"], name).extensions.get_extension_for_class(x509.BasicConstraints)
        assert (constraints.critical, constraints.value.ca) == (True, may_sign)


@pytest.mark.parametrize(("key", "certificate"), [("ca_key", "ca_certificate"), ("tls_key", "tls_certificate")])
def test_key_and_certificate_belong_together(made, key, certificate):
    private = serialization.load_pem_private_key(made["known"][key].encode(), None)
    assert private.public_key() == pem(made["known"], certificate).public_key()


def test_the_certificate_lives_no_longer_than_browsers_accept(made):
    certificate = pem(made["known"], "tls_certificate")
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert life <= datetime.timedelta(days=825)  # https://support.apple.com/HT210176
    assert certificate.not_valid_before_utc < NOW - datetime.timedelta(minutes=50)


def test_nothing_is_made_again(made):
    again = ensure(made["known"])
    assert (again["changed"], again["diff"], again["known"]) == (False, [], made["known"])


@pytest.mark.parametrize("name", ["2001:DB8:0::1", "2001:0db8::0001"])
def test_an_address_written_in_another_form_is_the_same_name(made, name):
    assert ensure(made["known"], [*NAMES[:2], name])["changed"] is False


CERTIFICATE = {"tls_key", "tls_certificate"}


def changed_keys(before, after):
    return {name for name in after if after[name] != before.get(name)}


def test_other_names_renew_the_certificate_alone(made):
    again = ensure(made["known"], ["chat.example.com", "www.example.com"])
    assert changed_keys(made["known"], again["known"]) == CERTIFICATE
    names = pem(again["known"], "tls_certificate").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["chat.example.com", "www.example.com"]


def test_a_certificate_that_nears_its_end_is_renewed_alone(made, monkeypatch):
    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.now(tz) + datetime.timedelta(days=800)

    class Clock:
        datetime, timedelta, timezone = Later, datetime.timedelta, datetime.timezone

    monkeypatch.setattr(runner, "datetime", Clock)
    again = ensure(made["known"])
    assert changed_keys(made["known"], again["known"]) == CERTIFICATE
    assert pem(again["known"], "tls_certificate").not_valid_after_utc > NOW + datetime.timedelta(days=1500)


def test_a_lost_authority_is_made_anew_with_its_certificate(made):
    known = {name: value for name, value in made["known"].items() if name not in ("ca_key", "ca_certificate")}
    assert changed_keys(made["known"], ensure(known)["known"]) == CERTIFICATE | {"ca_key", "ca_certificate"}


def test_an_authority_whose_key_is_kept_elsewhere_is_not_made_anew(made):
    known = {name: value for name, value in made["known"].items() if name != "ca_key"}
    assert ensure(known)["known"] == known
    with pytest.raises(Refusal, match="found no ca_key beside ca_certificate"):
        ensure(known, tls_names=["another.example.com"])


def test_an_owner_who_brings_a_certificate_gets_no_authority():
    assert set(ensure(tls_names=[])["known"]) == set(TOKENS)
