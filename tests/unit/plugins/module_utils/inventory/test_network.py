# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a proxy or a company's authorities is told before any host is asked."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import network

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "proxy",
    [
        None,
        {},
        {"http": "http://proxy:3128"},
        {"https": "https://(secret)@proxy.example.com:3129/", "no_proxy": [".example.com", "10.0.0.0/8", "::1", "*.a"]},
        {"http": "http://[fd00::1]:3128"},
    ],
)
def test_a_proxy_is_right(proxy: object) -> None:
    assert network.proxy_faults(proxy) == []


@pytest.mark.parametrize(
    ("proxy", "word"),
    [
        ({"http": "proxy.example.com:3128"}, "wanted http:// or https://"),
        ({"http": "socks5://proxy:1080"}, "wanted http:// or https://"),
        ({"https": "http://proxy"}, "a host and a port"),
        ({"https": "http://proxy:port"}, "a host and a port"),
        ({"https": "http://10.1:3128"}, "a host and a port"),
        ({"https": "http://-:3128"}, "a host and a port"),
        ({"https": "http://pr\u00f6xy:3128"}, "a host and a port"),
        ({"http": "http://proxy:3128", "no_proxy": ["10.0.0.0/99"]}, "no_proxy"),
        ({"https": "http://proxy:3128/path"}, "a host and a port"),
        ({"http": "http://(not plain)@proxy:3128"}, "%40"),
        ({"http": "http://proxy:3128", "no_proxy": ["http://intern"]}, "no_proxy"),
        ({"no_proxy": ["intern"]}, "no proxy"),
    ],
)
def test_what_is_wrong_with_a_proxy(proxy: object, word: str) -> None:
    faults = network.proxy_faults(proxy)
    assert len(faults) == 1
    assert word in faults[0]
    assert "set gpuchat_proxy" in faults[0]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (f"{CERTIFICATE}{KEY}", "private key"),
        ("", "no certificate"),
        (CERTIFICATE.replace("MIIB", "M!IB"), "damaged"),
        (CERTIFICATE.replace("MIIB", "AAAA"), "damaged"),
        (CERTIFICATE.replace("MIIB", "MIIé"), "damaged"),
    ],
)
def test_what_is_wrong_with_an_authority(text: str, word: str) -> None:
    (fault,) = network.authority_faults("/etc/company.crt", text)
    assert word in fault
    assert "/etc/company.crt" in fault
    assert network.authority_faults("/etc/company.crt", CERTIFICATE) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "holds no certificate"),
        (CERTIFICATE[:40], "holds no certificate"),
        (CERTIFICATE + KEY, "holds a private key"),
        (CERTIFICATE.replace("MIIBAAAA", "xx"), "holds a damaged certificate"),
    ],
)
def test_what_is_wrong_with_a_file_of_authorities_is_told_with_its_variable(text: str, word: str) -> None:
    (fault,) = network.pem_faults("edge_client_authority_file", text)
    assert fault.startswith(f"edge_client_authority_file names a file that {word}")
    assert fault.endswith("; set edge_client_authority_file to such a file")
