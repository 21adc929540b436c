# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small MCP server of the owner's, which wants a key; it runs in Open WebUI's image, for that has the package mcp.

Prints a line of JSON for each request: the names of its headers, and whether it has the key.
"""

import json
import os

import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("weather")


@server.tool(structured_output=False)
def weather(city: str) -> str:
    """The weather in a city now."""
    # Twice, for Open WebUI writes an object anew with other blanks, and the demo's model was taught these words.
    return json.dumps(json.dumps({"sky": "sunny", "celsius": 21} if city == "Paris" else {"sky": "unknown"}))


inner = server.streamable_http_app(host="0.0.0.0")


async def guarded(scope, receive, send):
    if scope["type"] != "http":
        return await inner(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    known = headers.get("authorization") == f"Bearer {os.environ['KEY']}" and headers.get("x-team") == "molecule"
    print(json.dumps({"headers": sorted(headers), "known": known, "path": scope["path"]}), flush=True)
    if known:
        return await inner(scope, receive, send)
    await send({"type": "http.response.start", "status": 401, "headers": []})
    return await send({"type": "http.response.body", "body": b""})


uvicorn.run(guarded, host="0.0.0.0", port=int(os.environ["PORT"]), log_level="warning")
