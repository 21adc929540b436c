# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An issuer of a company's accounts: serve.py ADDRESS PORT CERTIFICATE KEY EMAIL NAME."""

from __future__ import annotations

import sys

from oidc_provider_mock import User, app  # type: ignore[import-not-found]

address, port, certificate, key, email, name = sys.argv[1:]
person = User(sub=email, claims={"email": email, "email_verified": True, "name": name})
app(user_claims=[person]).run(address, int(port), ssl_context=(certificate, key), debug=False, use_reloader=False)
