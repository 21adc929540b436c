# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system.masking import MASK, mask, secrets_of

PUBLIC = ["listen 443;\nproxy_set_header Authorization $engine_authorization;\nserver_name chat.example.test;\n"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("abcdef-the-key\n", {"abcdef-the-key"}, id="a file that is one key"),
        pytest.param("ACCESS_CODE='letmein,otherword'\n", {"letmein,otherword", "letmein", "otherword"}, id="a list"),
        pytest.param(
            'map "" $a {\n default "Bearer abc-12345";\n}\n', {"Bearer abc-12345", "abc-12345"}, id="a header"
        ),
        pytest.param("eab-hmac-key = zzzYYY111\n", {"zzzYYY111"}, id="a setting"),
        pytest.param(
            "anna:$6$salt$0123456789abcdef\n",
            {"anna:$6$salt$0123456789abcdef", "$6$salt$0123456789abcdef"},
            id="a hash",
        ),
        pytest.param(
            "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n",
            {"MIGHAgEAMBMGByqGSM49"},
            id="PEM",
        ),
        pytest.param("# made by somebody_or_1234567\nshort=abc\npath=/etc/tls.key\n", set(), id="no secrets"),
        pytest.param('name "chat.example.test"\nother = Authorization\n', set(), id="words that everybody may read"),
    ],
)
def test_what_stands_where_a_secret_stands_is_one(text, values):
    assert values <= set(secrets_of([text], PUBLIC))
    assert bool(values) == bool(secrets_of([text], PUBLIC))


def test_the_longest_is_masked_first_and_also_as_it_stands_in_a_url():
    values = secrets_of(["KEY='abcdef'\n", "KEY='abcdef/ghijk+1'\n"], [])
    assert values == ("abcdef%2Fghijk%2B1", "abcdef/ghijk+1", "abcdef")
    assert mask("a abcdef/ghijk+1 b ?k=abcdef%2Fghijk%2B1 abcdefx", values) == f"a {MASK} b ?k={MASK} {MASK}x"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("Authorization: Bearer abcdefgh", f"Authorization: Bearer {MASK}", id="header"),
        pytest.param("key sk-12345678-abc is", f"key {MASK} is", id="key"),
        pytest.param("postgresql://gpuchat:geheim@db:5432/x", f"postgresql://gpuchat:{MASK}@db:5432/x", id="address"),
        pytest.param("password=geheim, x", f"password={MASK}, x", id="assigned"),
        pytest.param('{"api_key": "geheim", "a": 1}', f'{{"api_key": {MASK}, "a": 1}}', id="JSON"),
        pytest.param("a\n-----BEGIN RSA PRIVATE KEY-----\nxyz\n", f"a\n{MASK}", id="a key that is cut off"),
        pytest.param("batched_tokens=2048 at 10 tokens/s", "batched_tokens=2048 at 10 tokens/s", id="tokens"),
        pytest.param("GET /v1/models 200 from 10.0.0.1", "GET /v1/models 200 from 10.0.0.1", id="a plain line"),
    ],
)
def test_a_secret_is_told_by_its_form_too(text, masked):
    assert mask(text, ()) == masked
