# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of Open WebUI may be asked from outside, read in the source of 0.12.4.

What only administrators do there goes by the stack's playbooks: an administrator's session can run code on the server.
"""

from __future__ import annotations

from .ways import NO_SIGN_UP, OPEN, STRIPPED, Arguments, ClosedPage, Room, Way, words

SSO = "oidc"
"""What it calls a company's sign-in."""

ID = "[^/]+"
READ_WRITE = "GET|HEAD|POST"
ALL = "GET|HEAD|POST|PUT|PATCH|DELETE"

STATIC = ("_app", "assets", "audio", "pyodide", "sql\\.js", "static", "wasm")
STATIC_FILES = (
    r"favicon\.png",
    r"image-placeholder\.png",
    r"manifest\.json",
    r"marker-[a-z0-9-]+\.png",
    r"opensearch\.xml",
    r"robots\.txt",
    r"user\.png",
)
PAGES = ("auth", "c", "error", "folders", "home", "notes", "playground", "s", "workspace")

READ = (
    "api/models",
    f"api/tasks/chat/{ID}",
    "api/usage",
    "api/v1/auths/admin/details",
    "api/v1/configs/(banners|models/defaults)",
    "api/v1/(functions|tools|skills|groups)/?",
    "api/v1/skills/list",
    "api/v1/models/(list|tags|model|model/profile/image)",
    "api/v1/search",
    "api/v1/tasks/config",
    "api/v1/users/(search|groups|permissions)",
    f"api/v1/users/{ID}/(info|active|profile/image)",
    "cache/.+",
)
TOOLS_OF_A_SERVER = "api/v1/tools/id/server:mcp:[a-z0-9-]+/specs"
"""What tools one of the owner's servers has, as it is asked anew for whoever looks."""

WRITTEN = (
    "api/chat/completed",
    f"api/tasks/chat/{ID}/stop",
    f"api/v1/evaluations/feedback(/{ID})?",
    "api/v1/retrieval/(process/(file|files/batch|text)|query/(doc|collection))",
)
MODEL = (
    "api/chat/completions",
    "api/v1/audio/(transcriptions|speech)",
    "api/v1/tasks/(title|follow_up|tags|queries|emoji|auto|moa)/completions",
)
OWN = (
    r"api/v1/chats(?!/(stats/export|all/db|list/user|config)(/|$))(/.*)?",
    r"api/v1/folders(/.*)?",
    r"api/v1/files(?!/all$|/[^/]+/content/html$)(/.*)?",
    r"api/v1/knowledge(?!/(external|metadata)(/|$)|/reindex$|/[^/]+/export$)(/.*)?",
    r"api/v1/prompts(/.*)?",
    r"api/v1/memories(?!/reindex$)(/.*)?",
    r"api/v1/notes(/.*)?",
)
"""What belongs to the person who asks, as its server sees to it."""

ACTS_AT_ONCE = rf"(?is)^/({words(PAGES)}(/.*)?)?[?](.*[?&])?(q|call|load-url|youtube|[^=&]*[%+][^=&]*)(=|&|$)"
"""``q`` is sent as it is by whoever follows the link, ``load-url`` has the server fetch an address."""

LEADS_ON = r"(?is)^/auth/?[?](.*&)?redirect=[^&]*([?]|%3f|%25)"
"""The page for signing in goes on to a link without asking the edge: one with arguments is dropped."""

CLOSED_EXAMPLES = (
    "api/embeddings",
    "api/events",
    "api/message",
    "api/models/base",
    "api/tasks",
    "api/v1/analytics",
    "api/v1/apps",
    "api/v1/audio/config",
    "api/v1/auths/add",
    "api/v1/auths/admin/config",
    "api/v1/auths/api_key",
    "api/v1/auths/ldap",
    "api/v1/automations",
    "api/v1/channels/webhooks/x/y",
    "api/v1/chat/completions",
    "api/v1/chats/all/db",
    "api/v1/chats/list/user/x",
    "api/v1/configs/export",
    "api/v1/files/all",
    "api/v1/functions/create",
    "api/v1/functions/id/x",
    "api/v1/images/config",
    "api/v1/knowledge/external/connections",
    "api/v1/messages",
    "api/v1/models",
    "api/v1/notifications/targets",
    "api/v1/pipelines/upload",
    "api/v1/retrieval/config",
    "api/v1/retrieval/process/url",
    "api/v1/retrieval/process/web",
    "api/v1/retrieval/process/web/search",
    "api/v1/retrieval/process/youtube",
    "api/v1/retrieval/reset/db",
    "api/v1/scim/v2/Users",
    "api/v1/skills/load/url",
    "api/v1/terminals/x",
    "api/v1/tools/create",
    "api/v1/tools/load/url",
    "api/v1/users/",
    "api/v1/users/all",
    "api/v1/utils/code/execute",
    "api/v1/utils/db/download",
    "docs",
    "oauth/clients/x/authorize",
    "ollama/api/tags",
    "openai/config",
    "openapi.json",
    "API/v1/utils/db/download",
    "api/v1/utils%2fdb/download",
    "api/v1/chats/..%2futils/db/download",
    "api/v1/chats/%2e%2e/utils/db/download",
    "?q=hello",
    "?%71=hello",
    "c/x?models=m&q=hello",
    "?load-url=http://x/",
)
GUARDED_EXAMPLES = (
    ("GET", "api/models"),
    ("POST", "api/chat/completions"),
    ("GET", "api/v1/chats/"),
    ("POST", "api/v1/files/"),
    ("GET", "api/v1/users/user/settings"),
    ("GET", "api/v1/configs/banners"),
    ("POST", "api/v1/auths/update/password"),
)
SSO_COOKIES = ("owui-session", "oauth_id_token", "oauth_session_id")


def room(version: str, signup: str, sso: bool = False, tools: bool = False) -> Room:
    """Return what the edge hands on to Open WebUI.

    Args:
        version: such as ``0.12.4``.
        signup: ``open`` where people make accounts by themselves.
        sso: whether people come in by their company's own sign-in (OpenID Connect).
        tools: whether the owner named tool servers (MCP).
    """
    is_open = signup == OPEN
    return Room(
        kind="open_webui",
        version=version,
        ways=(
            Way(_any(f"({words(STATIC)}/.+|{words(STATIC_FILES)})"), is_static=True),
            Way(_any(f"({words(PAGES)}(/.*)?)?"), is_page=True),
            Way(_any("api/(config|version|changelog)")),
            Way(_any("api/v1/auths/")),
            Way(_any(f"api/v1/auths/{words(('signin', *(('signup',) if is_open else ())))}"), "POST", signs_in=True),
            Way(_any("api/v1/auths/signout"), "GET|POST"),
            *([Way(_any(f"oauth/{SSO}/(login|callback)"), by_company=True)] if sso else []),
            # The page opens it before somebody signs in, and shows no answer until it is open. Whoever has opened it is
            # told nothing before a message holds a session's token: each of its handlers asks for that.
            Way(_any(r"ws/socket\.io/"), "GET", is_socket=True),
            Way(_any("api/v1/auths/update/password"), "POST", session=True, signs_in=True),
            Way(_any("api/v1/auths/update/(profile|timezone)"), "POST", session=True),
            Way(_any("api/v1/users/user/(settings|info|status|variables)(/update)?"), READ_WRITE, session=True),
            Way(_any(words((*READ, *((TOOLS_OF_A_SERVER,) if tools else ())))), session=True),
            Way(_any(words(MODEL)), "POST", session=True, asks_model=True),
            Way(_any("api/v1/audio/(models|voices)"), session=True),
            Way(_any(words(WRITTEN)), READ_WRITE, session=True),
            Way(_any(words(OWN)), ALL, session=True),
        ),
        session_path="/api/v1/configs/banners",
        sign_in="/auth",
        session_cookies=("token",),
        cookies=SSO_COOKIES if sso else (),
        stripped=(*STRIPPED, "X-OpenWebUI-User-Id", "X-OpenWebUI-User-Email", "X-OpenWebUI-User-Role"),
        arguments=(Arguments(ACTS_AT_ONCE), Arguments(LEADS_ON, "/auth")),
        closed_pages=() if is_open else (ClosedPage("^/signup$", NO_SIGN_UP),),
        signed_out={"detail": "401 Unauthorized"},
        closed_examples=(*CLOSED_EXAMPLES, *(() if is_open else ("api/v1/auths/signup",))),
        guarded_examples=GUARDED_EXAMPLES,
        uses_authorization=True,
    )


def _any(pattern: str) -> str:
    return f"^/{pattern}$"
