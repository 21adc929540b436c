# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.edge.paths import (
    BELOW_CLOSED,
    CLOSED,
    OPEN,
    describe,
)


def test_what_is_not_handed_on_is_closed():
    first_words = {path.strip("/").partition("/")[0] for path in (*OPEN, *BELOW_CLOSED)}
    assert first_words <= set(CLOSED)


def test_no_path_is_both_open_and_an_example_of_a_closed_one():
    assert not {path.strip("/") for path in OPEN} & {*CLOSED, *BELOW_CLOSED}


def test_errors_stand_in_openais_form_and_what_passes_has_a_time_to_ask_again():
    told = describe()
    for status, text in [*told["errors"].items(), ("401", told["sign_in_again"])]:
        assert json.loads(text)["error"]["code"] == int(status)
    for early in told["early"].values():
        assert json.loads(early["text"])["error"]["code"] == early["status"]
    assert {"429", "502", "503", "504"} == set(told["retry_after"])


def test_each_open_path_is_the_listing_or_leads_to_a_model():
    told = describe()
    assert told["open"] == [told["listing"], *told["routed"]]


def test_an_unknown_model_is_said_as_openai_says_it():
    said = describe()["routing_errors"]["unknown"]
    error = json.loads(said["text"])["error"]
    assert (said["status"], error["code"], error["param"]) == (404, "model_not_found", "model")


def test_each_fault_of_a_model_has_words_of_its_own():
    said = describe()["routing_errors"]
    assert set(said) == {"missing", "twice", "unknown", "compressed", "type", "spelled", "addressed", "refused", "many"}
    assert len({json.loads(one["text"])["error"]["message"] for one in said.values()}) == len(said)


def test_what_nginx_says_by_itself_stands_in_single_quotes_in_its_configuration():
    told = describe()
    of_models = [said["text"] for said in (*told["routing_errors"].values(), *told["early"].values())]
    for text in (*told["errors"].values(), *of_models, told["sign_in_again"], told["waiting"]):
        assert not {"'", "$", "\\"} & set(text)


def test_people_wait_on_a_page_that_asks_again_in_their_language():
    assert 'http-equiv="refresh"' in describe()["waiting"]
    assert "自动重试" in describe()["waiting"]
