# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the site's certificate comes from, and what contradicts that."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.tls import (
    challenge,
    faults,
    is_private,
    source,
    warnings,
)

FILE = {"edge_certificate_file": "/chat.pem"}
ACME = {"edge_tls": "acme", "edge_acme_agree_tos": True}
DNS = {**ACME, "edge_acme_challenge": "dns", "edge_acme_dns_hook": "/hook"}
KEY = "edge_acme_eab_hmac_key"


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        pytest.param({}, "selfsigned", id="nothing is set"),
        pytest.param({"edge_tls": "auto"}, "selfsigned", id="auto without a file"),
        pytest.param({"edge_tls": "auto", **FILE}, "provided", id="auto with a file"),
        pytest.param({"edge_tls": "none"}, "none", id="none"),
        pytest.param({"edge_tls": "acme"}, "acme", id="acme"),
    ],
)
def test_the_certificate_comes_from_what_is_set_else_from_a_file_else_from_the_stack(settings, chosen):
    assert source(settings) == chosen


@pytest.mark.parametrize(
    ("settings", "way"),
    [
        pytest.param({}, "", id="nobody asks"),
        pytest.param({"edge_acme_challenge": "dns"}, "", id="nobody asks, though a way is set"),
        pytest.param(ACME, "http", id="the default"),
        pytest.param(DNS, "dns", id="dns"),
    ],
)
def test_names_are_shown_to_be_ours_only_to_a_directory(settings, way):
    assert challenge(settings) == way


@pytest.mark.parametrize(
    ("network", "private"),
    [
        ("10.0.0.0/8", True),
        ("192.168.1.0/24", True),
        ("172.16.0.0/12", True),
        ("172.0.0.0/8", False),
        ("127.0.0.1/32", True),
        ("169.254.0.0/16", True),
        ("100.64.0.0/10", False),
        ("8.8.8.0/24", False),
        ("0.0.0.0/0", False),
        ("fd00:1::/64", True),
        ("fe80::/10", True),
        ("::1/128", True),
        ("2001:db8::/32", False),
        ("::/0", False),
        ("office", False),
    ],
)
def test_a_network_is_private_where_all_of_it_is(network, private):
    assert is_private(network) is private


NAMES, HOME = ("chat.example.com",), ("192.168.1.0/24", "fd00::/8")


def found(settings, names=NAMES, networks=HOME, secrets=(), edges=1):
    return list(faults(settings, names, networks, secrets, edges))


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(({},), id="nothing"),
        pytest.param((FILE,), id="a file"),
        pytest.param(({"edge_tls": "provided", **FILE},), id="a file, said so"),
        pytest.param(({"edge_tls": "selfsigned"}, ("10.0.0.5",), ("0.0.0.0/0",)), id="own authority"),
        pytest.param(({"edge_tls": "none"}, ("10.0.0.5",)), id="plain HTTP at home"),
        pytest.param((ACME,), id="a directory"),
        pytest.param((ACME, NAMES, ("0.0.0.0/0",)), id="a directory for everybody"),
        pytest.param((DNS, NAMES, HOME, (), 2), id="two edges and a hook"),
        pytest.param(({**ACME, "edge_acme_eab_kid": "k"}, NAMES, HOME, (KEY,)), id="a key that joins the account"),
    ],
)
def test_what_fits_together_has_no_fault(case):
    assert found(*case) == []


@pytest.mark.parametrize(
    ("case", "words"),
    [
        pytest.param(
            ({"edge_tls": "provided"},),
            ["edge_tls is provided and edge_certificate_file is not set", "set edge_certificate_file"],
            id="provided by nobody",
        ),
        pytest.param(
            ({**ACME, **FILE},),
            [
                "edge_tls is acme and edge_certificate_file is /chat.pem",
                "wanted one source",
                "set edge_tls to provided",
            ],
            id="two sources",
        ),
        pytest.param(
            ({"edge_tls": "none"}, NAMES, ("192.168.1.0/24", "203.0.113.0/24", "::/0")),
            ["gpuchat_allowed_networks holds 203.0.113.0/24, ::/0", "wanted private networks alone", "set edge_tls to"],
            id="plain HTTP over the internet",
        ),
        pytest.param(
            ({"edge_tls": "acme"},),
            ["edge_acme_agree_tos is not true", "wanted that you agree", "set edge_acme_agree_tos to true"],
            id="terms",
        ),
        pytest.param(
            (ACME, ("chat.example.com", "10.0.0.5", "fd00::1")),
            ["names hold 10.0.0.5, fd00::1", "wanted host names", "set gpuchat_domain and edge_extra_names"],
            id="addresses",
        ),
        pytest.param(
            ({**ACME, "edge_acme_challenge": "dns"},),
            ["edge_acme_dns_hook is not set", "wanted the program", "set edge_acme_dns_hook"],
            id="no hook",
        ),
        pytest.param(
            ({**DNS, "edge_acme_challenge": "http"},),
            ["edge_acme_dns_hook is set, and edge_acme_challenge is http", "set edge_acme_challenge to dns"],
            id="a hook for nothing",
        ),
        pytest.param(
            (ACME, NAMES, HOME, (), 2),
            ["the group edge has 2 hosts", "wanted one", "set edge_acme_challenge to dns"],
            id="two edges",
        ),
        pytest.param(
            ({**ACME, "edge_acme_eab_kid": "k"},),
            [f"edge_acme_eab_kid is set, and {KEY} is not", "wanted both", f"set {KEY}"],
            id="an id without a key",
        ),
        pytest.param(
            (ACME, NAMES, HOME, (KEY,)),
            [f"{KEY} is set, and edge_acme_eab_kid is not", "set edge_acme_eab_kid"],
            id="a key without an id",
        ),
    ],
)
def test_what_contradicts_itself_is_told_with_what_to_set(case, words):
    (fault,) = found(*case)
    assert [word for word in words if word not in fault] == []


PUBLIC = {**ACME, "edge_acme_directory": "https://acme-v02.api.letsencrypt.org/directory"}


@pytest.mark.parametrize(
    ("name", "is_told"),
    [
        *((name, True) for name in ("chat", "chat.local", "chat.LAN", "gpu.home.arpa", "chat.internal")),
        *((name, False) for name in ("chat.example.com", "local.example.com", "chat.home.example.org")),
    ],
)
def test_a_public_directory_is_asked_for_no_name_that_nobody_owns(name, is_told):
    word = f"edge_tls is acme and the chat's names hold {name}; wanted names below a domain of yours"
    assert [one.partition(", for")[0] for one in found(PUBLIC, (name,))] == [word] * is_told
    assert found({**PUBLIC, "edge_acme_directory": "https://ca.lan/acme/directory"}, (name,)) == []


@pytest.mark.parametrize(
    ("settings", "port", "begin"),
    [
        pytest.param({"edge_tls": "none"}, 80, "edge_tls is none: everybody on the way", id="plain HTTP"),
        pytest.param(ACME, 8080, "edge_acme_challenge is http and edge_http_port is 8080; a directory asks", id="port"),
    ],
)
def test_what_may_surprise_is_told_beforehand(settings, port, begin):
    (word,) = warnings(settings, port)
    assert word.startswith(begin)


@pytest.mark.parametrize("settings", [{}, FILE, ACME, DNS])
def test_the_usual_surprises_nobody(settings):
    assert list(warnings(settings, 80)) == []
