# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.names import did_you_mean, nearest
from hypothesis import given
from hypothesis import strategies as st

KNOWN = ("gpuchat_domain", "gpuchat_model", "gpuchat_supervisor", "edge_http_port", "edge_https_port")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param("gpuchat_domian", "gpuchat_domain", id="two letters swapped"),
        pytest.param("gpuchat_superviser", "gpuchat_supervisor", id="one letter wrong"),
        pytest.param("edge_https", "edge_https_port", id="a part left out"),
        pytest.param("wholly_other", None, id="nothing near"),
        pytest.param("", None, id="no name at all"),
    ],
)
def test_the_nearest_known_name_is_found(name, meant):
    assert nearest(name, KNOWN) == meant


@given(st.sampled_from(KNOWN), st.permutations(KNOWN))
def test_a_known_name_is_nearest_to_itself_in_whatever_order_names_come(name, known):
    assert nearest(name, known) == name


@pytest.mark.parametrize(
    ("name", "tail"), [("gpuchat_modle", "; did you mean gpuchat_model?"), ("xyz", "")], ids=["near", "far"]
)
def test_the_tail_of_a_message_offers_the_nearest_name(name, tail):
    assert did_you_mean(name, KNOWN) == tail
