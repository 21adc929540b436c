# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the settings of what people chat with."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import settings

SSO = {"issuer": "https://id.example.com", "client_id": "chat"}


@pytest.mark.parametrize(
    ("given", "kind", "wrong"),
    [
        ({"gpuchat_domain": "chat.example.com"}, "lobehub", ""),
        ({"gpuchat_domain": "10.0.0.5"}, "lobehub", "gpuchat_domain is 10.0.0.5; wanted a name"),
        ({"gpuchat_domain": "fd00::5"}, "lobehub", "gpuchat_domain is fd00::5; wanted a name"),
        ({"gpuchat_domain": "10.0.0.5"}, "open_webui", ""),
        ({"gpuchat_domain": "chat"}, "lobehub", "gpuchat_admin_email is admin@chat, which LobeHub's page takes for no"),
        ({"gpuchat_domain": "chat", "gpuchat_admin_email": "ada@example.com"}, "lobehub", ""),
        ({"gpuchat_domain": "chat.example.com", "gpuchat_admin_email": "a@b"}, "lobehub", "set gpuchat_admin_email"),
        ({}, "lobehub", ""),
        ({"gpuchat_domain": "10.0.0.5"}, "none", ""),
        ({"postgresql_settings": {"max_connections": 200}}, "lobehub", ""),
        ({"postgresql_settings": {"Port": 5433}}, "lobehub", "take Port out of postgresql_settings"),
        ({"postgresql_settings": {"listen_addresses": "*"}}, "open_webui", "holds listen_addresses, which the role"),
        ({"gpuchat_mcp_servers": [{"name": "wiki"}]}, "lobehub", "LobeHub takes no tool server"),
        ({"gpuchat_mcp_servers": [{"name": "wiki"}]}, "open_webui", ""),
        ({"gpuchat_sso": SSO, "gpuchat_signup": "open"}, "lobehub", "set gpuchat_signup to closed"),
        ({"gpuchat_sso": SSO, "gpuchat_signup": "open"}, "open_webui", ""),
        ({"gpuchat_sso": SSO, "gpuchat_signup": "closed"}, "lobehub", ""),
        ({"gpuchat_sso": SSO, "gpuchat_signup_emails": ["example.com"]}, "lobehub", ""),
        ({"gpuchat_sso": {}, "gpuchat_signup": "open"}, "lobehub", ""),
    ],
)
def test_lobehub_wants_names_by_which_it_finds_itself_and_lets_people_in(given, kind, wrong):
    version = {"lobehub": "2.2.19", "open_webui": "0.12.4"}.get(kind, "")
    found = settings.faults(kind, version, given, {}, {})
    assert (len(found), wrong in "".join(found)) == (bool(wrong), True)
