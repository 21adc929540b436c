# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way out that an inventory names, as modules and programs get it."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import network, network_runner

LOGIN = "http://name:s3cret%40word@proxy.example.com:3128"
PLAIN = "http://proxy.example.com:3128"
FIRST = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n"
SECOND = "-----BEGIN CERTIFICATE-----\nMIICAAAA\n-----END CERTIFICATE-----\n"


def test_who_names_neither_gives_no_module_an_option() -> None:
    assert network.options({}, ["10.0.0.5"], []) == {}
    assert network.options({"no_proxy": ["a"]}, ["10.0.0.5"], []) == {}
    assert network.environment({}, {}) == {}


def test_a_login_is_apart_from_its_address() -> None:
    found = network.options({"http": LOGIN, "https": PLAIN}, ["server", ""], [])
    assert found["way_out_logins"] == {"http": "name:s3cret%40word"}
    assert "s3cret" not in str(found["way_out"])


def test_programs_get_both_ways_of_writing_and_never_the_proxy_for_the_stack_itself() -> None:
    found = network.options({"http": LOGIN, "no_proxy": [".example.com", "server"]}, ["server", "10.0.0.5"], [])
    variables = network.environment(found["way_out"], found["way_out_logins"])  # type: ignore[arg-type]
    assert variables["http_proxy"] == variables["HTTP_PROXY"] == LOGIN
    assert "https_proxy" not in variables
    assert variables["no_proxy"] == "localhost,127.0.0.1,::1,.example.com,server,10.0.0.5"
    without = network.environment(found["way_out"], {}, own=False)  # type: ignore[arg-type]
    assert without["NO_PROXY"] == "localhost,127.0.0.1,::1,.example.com,server"
    assert without["http_proxy"] == PLAIN


def test_authorities_are_told_apart_whatever_stands_around_them() -> None:
    found = network.options({}, ["server"], [f"# ours\n{FIRST}", FIRST.replace("\n", "\r\n") + SECOND])
    assert found == {"way_out": {"authorities": FIRST + SECOND}}
    assert network.holds(f"others\n{SECOND}{FIRST}", FIRST + SECOND)
    assert not network.holds(FIRST, FIRST + SECOND)


def test_a_module_trusts_them_before_the_system_does(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "all.crt"  # type: ignore[operator]
    store.write_text(SECOND)
    monkeypatch.setattr(network_runner, "BUNDLES", (str(store),))
    monkeypatch.setattr(network_runner.os, "environ", {})
    network_runner.adopt({"way_out": {"authorities": FIRST}})
    given = network_runner.os.environ["SSL_CERT_FILE"]
    assert given != str(store)
    with open(given, encoding="utf-8") as file:
        assert network.holds(file.read(), FIRST + SECOND)
    network_runner.forget()
    assert not pathlib.Path(given).exists()
    store.write_text(FIRST + SECOND)
    network_runner.adopt({"way_out": {"authorities": FIRST}})
    assert network_runner.os.environ["REQUESTS_CA_BUNDLE"] == str(store)


def test_without_the_options_the_hosts_own_settings_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_runner.os, "environ", {"http_proxy": "http://own:1"})
    network_runner.adopt({})
    network_runner.adopt({"way_out": {}, "way_out_logins": {}})
    assert network_runner.os.environ == {"http_proxy": "http://own:1"}
