# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret.api_keys import (
    compose,
    describe,
    end_of,
    id_of,
    wrong_key,
)

REPORTS = compose("0a1b2c3d", "r" * 43)
NIGHTLY = compose("ffffffff", "n" * 43)
OWNERS = compose("00000000", "o" * 43)


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        (REPORTS, "0a1b2c3d"),
        ("a-key-of-somebody-elses", "none"),
        ("sk-0A1B2C3D-" + "r" * 43, "none"),
        (REPORTS + "x", "none"),
        ("", "none"),
    ],
)
def test_a_key_that_a_run_made_names_itself(key, wanted):
    assert id_of(key) == wanted


@pytest.mark.parametrize(
    ("known", "ends", "owners", "wanted"),
    [
        pytest.param({"api_key": OWNERS}, {}, "", [("api_key", "00000000", 0)], id="the owner's alone"),
        pytest.param(
            {"api_key": OWNERS, "api_key_previous": "an-older-one-of-yours"},
            {},
            "",
            [("api_key", "00000000", 0), ("api_key", "none", 0)],
            id="its predecessor is valid too",
        ),
        pytest.param(
            {"api_key": OWNERS, "api_key_previous": "x" * 16},
            {},
            "given-by-a-variable",
            [("api_key", "none", 0)],
            id="a variable stands in place of both",
        ),
        pytest.param(
            {"api_key": OWNERS, "api_key/reports": REPORTS, "api_key/reports_previous": NIGHTLY},
            {"reports": "2030-12-31"},
            "",
            [("api_key", "00000000", 0), ("reports", "0a1b2c3d", 1924992000), ("reports", "ffffffff", 1924992000)],
            id="a client's two end with their day",
        ),
        pytest.param(
            {"api_key": OWNERS, "api_key/reports": REPORTS}, {}, "", [("api_key", "00000000", 0)], id="one not named"
        ),
    ],
)
def test_the_edge_knows_each_valid_key_by_its_id_and_whose_it_is(known, ends, owners, wanted):
    assert [(one["client"], one["id"], one["end"]) for one in describe(known, ends, owners)] == wanted


def test_the_digest_is_what_nginx_compares():
    # printf 'abc' | openssl md5 -binary | openssl base64 | tr +/ -_ | tr -d =
    assert describe({"api_key": "abc"}, {})[0]["digest"] == "kAFQmDzST7DWlj99KOF_cg"


def test_nginx_gets_the_end_behind_the_digest_where_there_is_one():
    known = {"api_key": "abc", "api_key/reports": "abc"}
    assert [one["link"] for one in describe(known, {})] == ["kAFQmDzST7DWlj99KOF_cg"]
    known["api_key/reports"] = REPORTS
    (_owners, one) = describe(known, {"reports": "2030-12-31"})
    assert one["link"] == f"{one['digest']},1924992000"


@pytest.mark.parametrize(("day", "wanted"), [("", 0), ("1970-01-01", 86400), ("2030-12-31", 1924992000)])
def test_a_key_is_valid_to_the_end_of_its_last_day(day, wanted):
    assert end_of(day) == wanted


@pytest.mark.parametrize(("value", "is_right"), [(REPORTS, True), ("x" * 50, False), (12, False), (None, False)])
def test_a_clients_key_is_one_that_a_run_made(value, is_right):
    assert (wrong_key("api_key/x", value) == "") is is_right
