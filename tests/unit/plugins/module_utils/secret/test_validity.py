# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret.validity import Validity, first_in
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BEGIN = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(begin, end, name="a.test"):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(KEY.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize("years", [0, 1, 30, 200])  # from 2050 on, dates have another form
@pytest.mark.parametrize("name", ["a.test", "a" * 55 + ".test"])
def test_it_is_the_validity_that_the_library_reads(years, name):
    end = BEGIN.replace(year=BEGIN.year + years, month=12)
    text = certificate(BEGIN, end, name)
    read = x509.load_pem_x509_certificate(text.encode())
    assert first_in(text) == Validity(read.not_valid_before_utc, read.not_valid_after_utc) == Validity(BEGIN, end)


def test_the_first_certificate_counts_whatever_stands_before_it():
    first, second = (certificate(BEGIN, BEGIN.replace(year=year)) for year in (2027, 2028))
    key = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    assert first_in(key + first + second).not_after.year == 2027


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_has_no_validity(text):
    assert first_in(text) is None
