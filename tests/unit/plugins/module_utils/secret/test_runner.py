# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import pathlib
import re
import subprocess
import tempfile

import pytest

x509 = pytest.importorskip("cryptography.x509")

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal  # noqa: E402
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret import runner  # noqa: E402
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret.plan import TOKENS  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.x509 import verification  # noqa: E402

NAMES = ("chat.example.com", "10.0.0.1", "2001:db8::1")
UTC = datetime.timezone(datetime.timedelta())
NOW = datetime.datetime.now(UTC)


def ensure(known=None, tls_names=NAMES, hosts=None, **more):
    given = {"known": known or {}, "tls_names": tls_names, "hosts": hosts or {}, "rotate": [], "retire": []}
    given |= {
        "forget": False,
        "clients": [],
        "given_api_key": None,
        "temporary": False,
        "renew": True,
        "site_names": [],
        "renew_room": True,
    }
    return runner.ensure({**given, **more})


@pytest.fixture(scope="module")
def made():
    return ensure()


def pem(known, name):
    return x509.load_pem_x509_certificate(known[name].encode())


def test_the_first_run_makes_all_secrets(made):
    names = {*TOKENS, "lobehub_jwks_key", "ca_key", "ca_certificate", "tls_key", "tls_certificate"}
    assert made["changed"] is True
    assert set(made["known"]) == names
    assert len(set(made["known"].values())) == len(names)


@pytest.mark.parametrize(("name", "length"), [("api_key", 55), ("vllm_api_key", 43), ("admin_password", 16)])
def test_a_token_is_long_enough_and_fit_for_a_header(made, name, length):
    token = made["known"][name]
    assert len(token) == length
    assert token.replace("-", "").replace("_", "").isalnum()


def test_secrets_of_the_chat_have_the_forms_that_it_decodes(made):
    assert len(base64.b64decode(made["known"]["lobehub_key_vaults_secret"], validate=True)) == 32
    (key,) = json.loads(base64.b64decode(made["known"]["lobehub_jwks_key"], validate=True))["keys"]
    assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
    numbers = {name: int.from_bytes(base64.urlsafe_b64decode(key[name] + "=="), "big") for name in "nedpq"}
    assert numbers["p"] * numbers["q"] == numbers["n"]
    assert pow(pow(7, numbers["e"], numbers["n"]), numbers["d"], numbers["n"]) == 7


def test_the_rooms_certificate_is_its_own_authority_and_for_the_sites_names():
    known = ensure(site_names=NAMES)["known"]
    certificate = pem(known, "room_certificate")
    certificate.verify_directly_issued_by(certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAMES[0]]
    assert ensure(known, site_names=NAMES)["changed"] is False


def test_the_rooms_certificate_lives_as_an_authority_does_and_its_end_is_told(monkeypatch):
    known = ensure(site_names=NAMES)["known"]
    later(monkeypatch, 3500)
    words = ensure(known, site_names=NAMES, renew_room=False)["endings"]
    assert any("rotate=room_certificate" in word for word in words)


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
    assert certificate.not_valid_before_utc < datetime.datetime.now(UTC) - datetime.timedelta(minutes=50)


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
    again = ensure(made["known"], ["chat.example.com", "www.chat.example.com"])
    assert changed_keys(made["known"], again["known"]) == CERTIFICATE
    names = pem(again["known"], "tls_certificate").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["chat.example.com", "www.chat.example.com"]


def later(monkeypatch, days):
    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.now(tz) + datetime.timedelta(days=days)

    class Clock:
        datetime, timedelta, timezone = Later, datetime.timedelta, datetime.timezone

    monkeypatch.setattr(runner, "datetime", Clock)


@pytest.mark.parametrize(("days", "told"), [(0, []), (3460, []), (3480, ["authority", "hosts authority"])])
def test_the_end_of_an_authority_is_told_half_a_year_before(two_hosts, monkeypatch, days, told):
    later(monkeypatch, days)
    words = ensure(two_hosts, hosts=HOSTS)["endings"]
    assert [one.split(" ends on ")[0] for one in words] == [f"the stack's {name}" for name in told]
    assert all("playbooks/rotate.yml with rotate=" in one for one in words)


def test_a_certificate_that_nears_its_end_is_renewed_alone(made, monkeypatch):
    later(monkeypatch, 800)
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
        ensure(known, tls_names=["another.chat.example.com"])


@pytest.mark.parametrize("name", ["tls_certificate", "ca_key", "ca_certificate"])
@pytest.mark.parametrize("text", ["-----BEGIN CERTIFICATE-----\nSECRETWORD\n-----END CERTIFICATE-----\n", "SECRETWORD"])
def test_a_damaged_entry_is_named_and_not_shown(made, name, text):
    damaged = {**made["known"], name: text}
    with pytest.raises(Refusal, match=f"found that {name} in the file") as refusal:
        ensure(damaged, tls_names=[*NAMES, "more.chat.example.com"])
    assert "SECRETWORD" not in str(refusal.value)


def test_an_owner_who_brings_a_certificate_gets_no_authority():
    assert set(ensure(tls_names=[])["known"]) == {*TOKENS, "lobehub_jwks_key"}


def server_chain(known, name, names):
    """Verify a certificate for a name that the authority was made to sign against its will."""
    authority = pem(known, "ca_certificate")
    key = serialization.load_pem_private_key(known["ca_key"].encode(), None)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - datetime.timedelta(hours=1))
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .sign(key, hashes.SHA256())
    )
    with tempfile.TemporaryDirectory() as folder:
        for file, one in (("ca.crt", authority), ("leaf.crt", leaf)):
            pathlib.Path(folder, file).write_bytes(one.public_bytes(serialization.Encoding.PEM))
        command = ["openssl", "verify", "-CAfile", "ca.crt", *name, "leaf.crt"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "general_name", "is_trusted"),
    [
        (("-verify_hostname", "chat.example.com"), "chat.example.com", True),
        (("-verify_hostname", "www.chat.example.com"), "www.chat.example.com", True),
        (("-verify_ip", "10.9.9.9"), "10.9.9.9", True),
        (("-verify_ip", "2001:db8::1"), "2001:db8::1", True),
        (("-verify_hostname", "www.bank.test"), "www.bank.test", False),
        (("-verify_ip", "1.1.1.1"), "1.1.1.1", False),
        (("-verify_ip", "2606:4700::1"), "2606:4700::1", False),
    ],
)
def test_who_imports_the_authority_trusts_it_for_this_stack_alone(made, name, general_name, is_trusted):
    done = server_chain(made["known"], name, [runner._general_name(general_name)])
    assert (done.returncode == 0) is is_trusted, done.stdout + done.stderr


def test_a_name_that_the_authority_may_not_sign_is_refused_with_what_it_may(made):
    with pytest.raises(Refusal, match="found www.example.com in gpuchat_domain or edge_extra_names.*chat.example.com"):
        ensure(made["known"], [*NAMES, "www.example.com"])


HOSTS = {"front": [], "g1": ["engine.gpuchat.internal"]}


@pytest.fixture(scope="module")
def two_hosts():
    return ensure(hosts=HOSTS)["known"]


def test_each_of_several_hosts_gets_a_certificate_from_an_authority_of_their_own(two_hosts):
    for host, served in HOSTS.items():
        certificate = pem(two_hosts, f"host_certificate {host}")
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [*served, "host.gpuchat.internal"]
        assert certificate.subject.rfc4514_string() == f"CN={host}"
        certificate.verify_directly_issued_by(pem(two_hosts, "hosts_ca_certificate"))
        store = verification.Store([pem(two_hosts, "hosts_ca_certificate")])
        verification.PolicyBuilder().store(store).time(NOW).build_client_verifier().verify(certificate, [])
    assert two_hosts["hosts_ca_certificate"] != two_hosts["ca_certificate"]


def test_a_further_host_gets_its_certificate_and_the_others_keep_theirs(two_hosts):
    again = ensure(two_hosts, hosts={**HOSTS, "g2": ["engine.gpuchat.internal"]})
    assert changed_keys(two_hosts, again["known"]) == {"host_certificate g2", "host_key g2"}
    assert ensure(again["known"], hosts=HOSTS)["changed"] is False


def test_a_host_that_serves_more_gets_a_new_certificate(two_hosts):
    again = ensure(two_hosts, hosts={**HOSTS, "front": ["interface.gpuchat.internal"]})
    assert changed_keys(two_hosts, again["known"]) == {"host_certificate front", "host_key front"}


def test_a_stack_of_one_host_gets_none(made):
    assert not [name for name in made["known"] if name.startswith("host")]


@pytest.mark.parametrize(
    ("rotated", "entries"),
    [
        ("api_key", {"api_key", "api_key_previous"}),
        ("postgresql_lobehub_password", {"postgresql_lobehub_password"}),
        ("vllm_api_key", {"vllm_api_key", "vllm_api_key_previous"}),
        ("certificate", CERTIFICATE),
        ("authority", CERTIFICATE | {"ca_key", "ca_certificate"}),
        ("hosts_authority", {"hosts_ca_key", "hosts_ca_certificate", "hosts_ca_certificate_previous"}),
        ("host_certificates", {f"host_{part} {host}" for part in ("key", "certificate") for host in HOSTS}),
    ],
)
def test_what_is_rotated_is_made_anew_and_nothing_else(two_hosts, rotated, entries):
    again = ensure(two_hosts, hosts=HOSTS, rotate=[rotated])["known"]
    assert changed_keys(two_hosts, again) == entries
    assert [again[name] for name in entries if name.endswith("_previous")] == [
        two_hosts[name[: -len("_previous")]] for name in entries if name.endswith("_previous")
    ]


def test_certificates_of_the_old_authority_of_hosts_are_trusted_until_it_is_retired(two_hosts):
    between = ensure(two_hosts, hosts=HOSTS, rotate=["hosts_authority"])["known"]
    pem(between, "host_certificate g1").verify_directly_issued_by(pem(between, "hosts_ca_certificate_previous"))
    after = ensure(between, hosts=HOSTS, rotate=["host_certificates"])["known"]
    pem(after, "host_certificate g1").verify_directly_issued_by(pem(after, "hosts_ca_certificate"))
    assert "hosts_ca_certificate_previous" not in ensure(after, hosts=HOSTS, retire=["hosts_authority"])["known"]


def test_what_is_retired_is_gone_and_the_rest_stays(made):
    rotated = ensure(made["known"], rotate=["api_key", "vllm_api_key"])["known"]
    retired = ensure(rotated, retire=["api_key"])
    assert set(rotated) - set(retired["known"]) == {"api_key_previous"}
    assert retired["changed"] is True
    assert ensure(retired["known"], retire=["api_key"])["changed"] is False


@pytest.mark.parametrize(("option", "name"), [("rotate", "tls_key"), ("retire", "object_store_secret_key")])
def test_what_cannot_be_rotated_or_retired_is_refused_with_what_can(made, option, name):
    with pytest.raises(Refusal, match=f"found {name} in {option}; wanted some of .*api_key"):
        ensure(made["known"], **{option: [name]})


def test_an_engines_own_key_stays_while_that_of_its_door_is_made_anew(made):
    assert made["known"]["vllm_engine_key"] != made["known"]["vllm_api_key"]
    again = ensure(made["known"], rotate=["vllm_api_key"])["known"]
    assert again["vllm_engine_key"] == made["known"]["vllm_engine_key"]
    with pytest.raises(Refusal, match="found vllm_engine_key, for each engine would have to start anew.*stay as it is"):
        ensure(made["known"], rotate=["vllm_engine_key"])


def test_engines_of_a_stack_with_one_key_for_both_keep_it_and_do_not_start_anew(made):
    former = {name: value for name, value in made["known"].items() if name != "vllm_engine_key"}
    assert ensure(former)["known"]["vllm_engine_key"] == former["vllm_api_key"]
    rotated = ensure(former, rotate=["vllm_api_key"])["known"]
    assert rotated["vllm_engine_key"] == rotated["vllm_api_key_previous"] == former["vllm_api_key"]
    assert rotated["vllm_api_key"] != former["vllm_api_key"]


CLIENTS = [{"name": "reports", "expires": ""}, {"name": "nightly", "expires": "2030-12-31"}]


@pytest.fixture(scope="module")
def with_clients():
    return ensure({}, clients=CLIENTS)["known"]


def test_each_client_gets_a_key_that_names_itself_and_keeps_it(with_clients):
    keys = [with_clients[name] for name in ("api_key", "api_key/reports", "api_key/nightly")]
    assert all(re.fullmatch("sk-[0-9a-f]{8}-[A-Za-z0-9_-]{43}", key) for key in keys)
    assert len({key.split("-")[1] for key in keys}) == 3
    assert ensure(with_clients, clients=CLIENTS)["changed"] is False


def test_the_key_of_a_client_that_is_no_longer_named_is_refused_at_once_and_forgotten_when_that_is_asked_for(
    with_clients,
):
    without = ensure(with_clients, clients=CLIENTS[1:])
    assert without["changed"] is False
    assert "reports" not in [one["client"] for one in without["api_keys"]]
    forgotten = ensure(with_clients, clients=CLIENTS[1:], forget=True)["known"]
    assert set(with_clients) - set(forgotten) == {"api_key/reports"}
    again = ensure(forgotten, clients=CLIENTS)["known"]
    assert changed_keys(with_clients, again) == {"api_key/reports"}


def test_a_clients_key_is_rotated_and_retired_by_its_name_and_goes_with_its_predecessor(with_clients):
    rotated = ensure(with_clients, clients=CLIENTS, rotate=["api_key/reports"])["known"]
    assert changed_keys(with_clients, rotated) == {"api_key/reports", "api_key/reports_previous"}
    retired = ensure(rotated, clients=CLIENTS, retire=["api_key/reports"])["known"]
    assert set(rotated) - set(retired) == {"api_key/reports_previous"}
    revoked = ensure(rotated, clients=CLIENTS[1:], forget=True)["known"]
    assert set(rotated) - set(revoked) == {"api_key/reports", "api_key/reports_previous"}


def test_of_keys_that_somebody_wrote_for_the_owner_one_is_told_apart_and_two_are_refused(made):
    one = {**made["known"], "api_key": "written-by-somebody"}
    assert [key["id"] for key in ensure(one)["api_keys"]] == ["none"]
    uuid = {**one, "api_key": "sk-550e8400-e29b-41d4-a716-446655440000"}
    assert [key["id"] for key in ensure(uuid)["api_keys"]] == ["none"]
    with pytest.raises(Refusal, match="found api_key and api_key_previous .*; wanted one such key at most"):
        ensure({**one, "api_key_previous": "another-by-somebody"})


def test_the_result_for_the_edge_holds_no_key(with_clients):
    rotated = ensure(with_clients, clients=CLIENTS, rotate=["api_key"])
    assert [one["client"] for one in rotated["api_keys"]].count("api_key") == 2
    text = str(rotated["api_keys"])
    assert not [key for name, key in rotated["known"].items() if name.startswith("api_key") and key in text]


def test_a_clients_key_that_somebody_wrote_is_refused_without_being_shown(with_clients):
    wrong = {**with_clients, "api_key/reports": "hunter2-hunter2-hunter2"}
    with pytest.raises(Refusal, match="api_key/reports is none of the keys that a run makes") as refused:
        ensure(wrong, clients=CLIENTS)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["vllm_api_key_previous", "api_key_previous", "api_key/reports_previous", "lobehub_jwks_key"]
)
@pytest.mark.parametrize("value", ["hunter2-hunter2|", 'hunter2-hunter2"', "hunter2-hunter2\nx", 12345678, True])
def test_what_is_no_token_by_itself_is_judged_like_one(with_clients, name, value):
    with pytest.raises(Refusal, match=f"{name} (is no text|holds other characters|is none of the keys)") as refused:
        ensure({**with_clients, name: value}, clients=CLIENTS)
    assert "hunter2" not in str(refused.value)


def test_the_certificate_before_the_first_is_nobodys_and_may_sign_nothing():
    known = ensure(tls_names=[], temporary=True)["known"]
    one = pem(known, "temporary_certificate")
    assert one.subject == one.issuer
    assert one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    key = serialization.load_pem_private_key(known["temporary_key"].encode(), None)
    assert key.public_key() == one.public_key()
    assert ensure(known, tls_names=[], temporary=True)["changed"] is False


def test_a_run_that_gives_hosts_nothing_leaves_old_certificates_and_names_them(made, monkeypatch):
    later(monkeypatch, 800)
    found = ensure(made["known"], renew=False)
    assert found["changed"] is False
    assert any("that of the site on" in word for word in found["endings"])
