# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real nginx with the stack's own templates hands on to an engine, a door and somebody else's server.

The model is named by a header here, for nginx's Perl, which reads it in the body, is a package of its own.
"""

from __future__ import annotations

import pathlib
import socket
import tempfile

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.edge import paths

from .real_nginx import TYPES, Behind, free_port, start, stop
from .test_model_routes import rendered

KINDS = ("engine", "door", "endpoint", "elsewhere")
PREFIX = {"elsewhere": "/api/v1"}
"""Of a server whose API stands somewhere else than at /v1."""
CONFIGURATION = """
user root;
events {{}}
http {{
  {types}
  access_log off;
  proxy_http_version 1.1;
  limit_conn_zone $gpuchat_engine zone=engines:1m;
  map "" $engine_authorization {{ default "Bearer engine"; }}
  map "" $endpoint_key_theirs {{ default "Bearer theirs"; }}
  map "" $was_sent {{ default 1; }}
  {routes}
  server {{
    listen 127.0.0.1:{port};
    set $gpuchat_site door_1;
    {models}
    {errors}
    location = /v1/chat/completions {{
      set $gpuchat_model $http_x_model;
      error_page 418 = $gpuchat_route;
      return 418;
    }}
    location / {{ return 404; }}
  }}
}}
"""


class Door:
    """A running door with a route of each kind, all of which lead to one server that writes down what it is asked."""

    def __init__(self, folder):
        self.folder, self.port, self.server = folder, free_port(), Behind()
        place = {"servers": [f"127.0.0.1:{self.server.server_port}"]}
        site = [
            {
                "kind": "endpoint" if kind == "elsewhere" else kind,
                "names": [kind],
                "upstream": place,
                "path": PREFIX.get(kind, "/v1"),
                "endpoint": "theirs",
                "virtual_host": "llm.example.com",
            }
            for kind in KINDS
        ]
        described = paths.describe()["errors"]
        text = CONFIGURATION.format(
            types=TYPES.removesuffix("#"),
            port=self.port,
            routes="\n".join(line for line in rendered("routes.j2", site).splitlines() if "perl_" not in line),
            models=rendered("models.j2", site),
            errors="\n".join(f"location @error_{status} {{ return {status}; }}" for status in described),
        )
        folder.joinpath("nginx.conf").write_text(text, encoding="utf-8")
        start(folder)

    def ask(self, path, model, *headers):
        """Return the status of a request that is sent as it stands here, and what has reached the server."""
        self.server.asked.clear()
        told = ("Host: chat.example.com", "Connection: close", "Content-Length: 2", f"X-Model: {model}", *headers)
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall("\r\n".join([f"POST {path} HTTP/1.1", *told, "", "{}"]).encode())
            with connection.makefile("rb") as answer:
                return int(answer.readline().split()[1]), list(self.server.asked)

    def stop(self):
        stop(self.folder, self.server)


@pytest.fixture(scope="module")
def door():
    with tempfile.TemporaryDirectory(prefix="ways-") as name:
        running = Door(pathlib.Path(name))
        yield running
        running.stop()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/metrics/../v1/chat/completions",
        "/metrics/%2e%2e/v1/chat/completions",
        "/metrics/..%2fv1/chat/completions",
        "/v1/models/load/../../chat/completions",
        "//v1//chat/completions",
        "/./v1/chat/completions",
        "/%761/chat/completions",
        "/v1%2fchat%2fcompletions",
        "http://other.example.com/metrics/../v1/chat/completions",
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_whoever_answers_is_asked_at_the_path_that_was_looked_at(door, kind, path):
    """An engine shows its metrics at whatever begins with /metrics."""
    status, (asked,) = door.ask(f"{path}?a=%2e%2e&b=c", kind)
    assert (status, asked.path) == (200, f"{PREFIX.get(kind, '/v1')}/chat/completions?a=%2e%2e&b=c")


SECRET = "sk-0123abcd-" + "k" * 43
SECOND = {
    "the stack's key, in the place where other APIs have theirs": f"X-Api-Key: {SECRET}",
    "the stack's key, in Azure's place": f"api-key: {SECRET}",
    "the stack's key, for a proxy": f"Proxy-Authorization: Bearer {SECRET}",
    "a gateway's orders": 'x-portkey-config: {"override_params":{"model":"another"}}',
    "a gateway's labels": "x-litellm-tags: another",
    "an address": "X-Forwarded-For: 10.9.9.9",
    "an address in the newer form": "Forwarded: for=10.9.9.9",
    "another path": "X-Original-URL: /v1/files",
    "another method": "X-HTTP-Method-Override: DELETE",
    "a cookie": "Cookie: token=somebodys",
    "a header that another names": "Connection: Authorization",
}


@pytest.mark.parametrize("kind", ["endpoint", "elsewhere"])
@pytest.mark.parametrize("header", SECOND.values(), ids=SECOND)
def test_somebody_elses_server_gets_no_header_of_who_asks_but_the_form_of_the_question(door, kind, header):
    form = {"Content-Type": "application/json", "Accept": "text/event-stream", "User-Agent": "OpenAI/Python 2"}
    shown = [f"{name}: {value}" for name, value in form.items()]
    status, (asked,) = door.ask("/v1/chat/completions", kind, f"Authorization: Bearer {SECRET}", header, *shown)
    own = {"Host": "llm.example.com", "Authorization": "Bearer theirs", "Content-Length": "2"}
    assert (status, asked.body, dict(asked.headers)) == (200, b"{}", {**own, **form})
