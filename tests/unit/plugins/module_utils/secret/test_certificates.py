# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import ipaddress

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret import certificates_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret.certificates import serves

x509 = pytest.importorskip("cryptography.x509")
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def name(text):
    return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, text)])


def signed(subject, key, issuer, issuer_key, names=(), begins=-DAY, ends=365 * DAY):
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW + begins).not_valid_after(NOW + ends)
    if names:
        shown = [x509.IPAddress(ipaddress.ip_address(one)) if one[0].isdigit() else x509.DNSName(one) for one in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(shown), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def pem(*certificates):
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in certificates)


def pem_key(key, password=None):
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()


KEY, CA_KEY, OTHER_KEY = (ec.generate_private_key(ec.SECP256R1()) for _number in range(3))
SERVER = signed("chat", KEY, "ca", CA_KEY, ["chat.example.com", "10.0.0.5"])
CA = signed("ca", CA_KEY, "root", OTHER_KEY)
GOOD = {
    "certificate_file": "/c.pem",
    "key_file": "/c.key",
    "certificate": pem(SERVER, CA),
    "certificate_problem": "",
    "key": pem_key(KEY),
    "key_problem": "",
}


def check(names=("chat.example.com", "10.0.0.5"), **changed):
    return certificates_runner.check({**GOOD, **changed}, names)


def test_a_pair_for_all_names_in_the_right_order_passes():
    assert check() == ([], [])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({"key_file": "", "key": ""}, "edge_certificate_key_file is not set; wanted both", id="no key"),
        pytest.param(
            {"certificate_file": "", "certificate": ""}, "edge_certificate_file is not set; wanted both", id="key alone"
        ),
        pytest.param({"certificate_problem": "cannot be read"}, "cannot be read", id="a missing file"),
        pytest.param({"certificate": "nothing"}, "/c.pem holds no certificate that can be read", id="no certificate"),
        pytest.param({"key": "nothing"}, "/c.key holds no key that can be read", id="no key in the file"),
        pytest.param({"key": pem_key(KEY, b"secret")}, "/c.key is encrypted with a passphrase", id="encrypted key"),
        pytest.param({"key": pem_key(OTHER_KEY)}, "/c.key is not the key of /c.pem", id="foreign key"),
        pytest.param(
            {"certificate": pem(CA, SERVER)},
            "does not begin with the certificate of /c.key",
            id="upside down",
        ),
        pytest.param(
            {"certificate": pem(SERVER, signed("ca", OTHER_KEY, "root", OTHER_KEY))},
            "holds CN=chat before one that did not sign it",
            id="another authority behind it",
        ),
        pytest.param({"names": ["other.example.com"]}, "wanted other.example.com too", id="another name"),
        pytest.param({"names": ["chat.example.com", "10.0.0.6"]}, "wanted 10.0.0.6 too", id="another address"),
        pytest.param(
            {"certificate": pem(signed("chat", KEY, "ca", CA_KEY, ["chat.example.com", "10.0.0.5"], -9 * DAY, -DAY))},
            "/c.pem ended on",
            id="expired",
        ),
        pytest.param(
            {"certificate": pem(signed("chat", KEY, "ca", CA_KEY, ["chat.example.com", "10.0.0.5"], DAY))},
            "/c.pem begins on",
            id="not yet valid",
        ),
        pytest.param({"certificate": pem(signed("chat", KEY, "ca", CA_KEY))}, "is for no name", id="no names at all"),
    ],
)
def test_a_certificate_that_would_not_serve_is_a_fault(changed, message):
    (fault,), _warnings = check(**changed)
    assert message in fault


def test_one_that_ends_soon_is_a_warning():
    soon = pem(signed("chat", KEY, "ca", CA_KEY, ["chat.example.com"], ends=5 * DAY))
    faults, (warning,) = check(names=["chat.example.com"], certificate=soon)
    assert (faults, "set edge_certificate_file to a new one soon" in warning) == ([], True)


@pytest.mark.parametrize(
    ("certified", "asked", "is_served"),
    [
        (["chat.example.com"], "CHAT.example.com", True),
        (["*.example.com"], "chat.example.com", True),
        (["*.example.com"], "a.chat.example.com", False),
        (["*.example.com"], "example.com", False),
        (["*.0.0.5"], "10.0.0.5", False),
        ([], "chat.example.com", False),
    ],
)
def test_a_wildcard_stands_for_one_label(certified, asked, is_served):
    assert serves(certified, asked) is is_served


def with_ways(*methods):
    places = [x509.AccessDescription(one, x509.UniformResourceIdentifier("http://ocsp.example.com")) for one in methods]
    builder = x509.CertificateBuilder().subject_name(name("chat")).issuer_name(name("ca")).public_key(KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    if places:
        builder = builder.add_extension(x509.AuthorityInformationAccess(places), critical=False)
    return pem(builder.sign(CA_KEY, hashes.SHA256()))


OCSP, ISSUERS = x509.oid.AuthorityInformationAccessOID.OCSP, x509.oid.AuthorityInformationAccessOID.CA_ISSUERS


@pytest.mark.parametrize(
    ("text", "found"),
    [(with_ways(OCSP), True), (with_ways(ISSUERS), False), (with_ways(ISSUERS, OCSP), True), (with_ways(), False)],
    ids=["a responder", "an issuer alone", "both", "neither"],
)
def test_an_answer_about_revocation_is_stapled_where_the_certificate_names_who_gives_it(text, found):
    given = {name: value for name, value in GOOD.items() if name != "key"}  # which the preflight keeps apart
    assert certificates_runner.names_responder({**given, "certificate": text}) is found


@pytest.mark.parametrize("given", [{"certificate": "", "certificate_problem": "x"}, {}])
def test_a_file_that_cannot_be_read_names_nobody(given):
    assert certificates_runner.names_responder(given) is False


@pytest.mark.parametrize(
    ("chain", "is_told"),
    [
        pytest.param(with_ways(OCSP), True, id="who signed it is missing"),
        pytest.param(with_ways(OCSP) + pem(CA), False, id="the whole chain"),
        pytest.param(with_ways(), False, id="nobody is named"),
    ],
)
def test_a_chain_without_which_nothing_can_be_stapled_is_told(chain, is_told):
    _faults, warnings = check(certificate=chain)
    assert ["so no such answer is stapled" in text for text in warnings if "soon" not in text] == [True] * is_told


ENDED = signed("old", CA_KEY, "old", CA_KEY, begins=-20 * DAY, ends=-10 * DAY)


@pytest.mark.parametrize(
    ("text", "is_past"),
    [
        pytest.param(pem(ENDED), True, id="ended"),
        pytest.param(pem(ENDED, CA), False, id="beside its successor"),
        pytest.param(pem(CA), False, id="valid"),
        pytest.param("no certificate", False, id="said elsewhere"),
    ],
)
def test_authorities_that_have_all_ended_are_told_with_the_day(text, is_past):
    found = list(certificates_runner.ended("gpuchat_ca_files", "/ca.pem", text))
    day = (NOW - 10 * DAY).strftime("%Y-%m-%d")
    word = f"the authorities of gpuchat_ca_files, /ca.pem, have ended, the last on {day}"
    assert [one.partition(", so")[0] for one in found] == [word] * is_past
