# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.edge import limits
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.api_clients import (
    ApiClient,
    ended,
    faults,
    read,
)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], ""),
        ([{"name": "a"}, {"name": "nightly-2", "rate": 5, "streams": "3", "expires": "2030-12-31"}], ""),
        ([{"name": "My Reports"}], "[0].name is 'My Reports'; wanted up to 32 small letters and digits, with"),
        ([{"name": "My Reports"}], "set gpuchat_api_keys[0].name to my-reports"),
        ([{"name": "a_previous"}], "set gpuchat_api_keys[0].name to a-previous"),
        ([{"name": "a" * 33}], "wanted up to 32"),
        ([{"name": "-"}], "to reports"),
        ([{"name": "default"}], "[0].name is default, which is a word of nginx's own; wanted another"),
        ([{"name": "include"}], "[0].name is include, which is a word of nginx's own; wanted another"),
        ([{"name": "hostnames"}], "set gpuchat_api_keys[0].name to such as hostnames-1"),
        ([{"name": "volatile"}], "set gpuchat_api_keys[0].name to such as volatile-1"),
        ([{"name": "a"}, {"name": "a"}], "names a twice; wanted each client once"),
        ([{"name": "a", "rate": 0}], "[0].rate is 0; wanted a whole number from 1 to 1000000"),
        ([{"name": "a", "streams": 70000}], "[0].streams is 70000; wanted a whole number from 1 to 65535"),
        ([{"name": "a", "answers": 0}], "[0].answers is 0; wanted a whole number from 1 to 100000"),
        ([{"name": "a", "expires": "31.12.2030"}], "[0].expires is '31.12.2030'; wanted the last day of the key, as"),
        ([{"name": "a", "expires": "2030-02-30"}], "[0].expires is '2030-02-30'; wanted"),
        ([{"name": "a", "expires": "20301231"}], "[0].expires is '20301231'; wanted"),
        ("reports", ""),
    ],
)
def test_what_is_wrong_with_a_client_is_said_with_what_to_set(given, wanted):
    found = "; ".join(faults(given))
    assert (wanted in found) if wanted else found == ""


@pytest.mark.parametrize(
    ("expires", "is_past"),
    [("2026-11-29", True), ("2026-11-30", False), ("2026-12-01", False), (None, False), ("31.12.2020", False)],
)
def test_a_client_whose_last_day_is_past_is_named_with_that_day_and_is_no_fault(expires, is_past):
    given = [{"name": "reports", **({"expires": expires} if expires else {})}]
    found = list(ended(given, datetime.date(2026, 11, 30)))
    word = f"gpuchat_api_keys[0].expires of reports is {expires}, which is past, so the edge refuses its key"
    assert [one.partition(";")[0] for one in found] == ([word] if is_past else [])
    assert not is_past or list(faults(given)) == []


def test_a_client_without_limits_of_its_own_has_the_apis():
    found = read([{"name": "a"}, {"name": "b", "rate": "2", "answers": 4, "expires": "2030-12-31"}], 10, 40, 128)
    assert found == (ApiClient("a", 10, 40, 128), ApiClient("b", 2, 40, 4, "2030-12-31"))


def test_each_limit_stands_once_with_those_who_have_it():
    clients = [ApiClient("a", 10, 4, 128), ApiClient("b", 2, 4, 128), ApiClient("c", 10, 8, 1)]
    assert limits.api(clients) == {
        "rate": [{"number": 2, "clients": ["b"]}, {"number": 10, "clients": ["a", "c"]}],
        "streams": [{"number": 4, "clients": ["a", "b"]}, {"number": 8, "clients": ["c"]}],
        "answers": [{"number": 1, "clients": ["c"]}, {"number": 128, "clients": ["a", "b"]}],
    }
