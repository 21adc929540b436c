# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of LobeHub 2 may be asked from outside.

Read in the source of 2.1.26, the only version that is published as source on npm. Later versions have further pages
and paths, of which those that their own pages load are listed as far as they are known.
"""

from __future__ import annotations

from ..inventory.topology import BUCKET
from .ways import NO_SIGN_UP, OPEN, STRIPPED, Arguments, ClosedPage, Header, Room, Way, words

FILES = BUCKET
"""The bucket, and so the first word of the files' addresses."""

PROVIDER = "vllm"
SSO = "generic-oidc"
"""What it calls a company's sign-in that is none of those it knows by name (``AUTH_SSO_PROVIDERS``)."""

NOBODY = "NxI="
"""LobeHub's form of the empty object, for a request for a model, or one about the pieces of a file, must have such a
header. Before 2.1.48 LobeHub takes whoever the header names for its user where a model is asked (CVE-2026-39411): so it
names nobody, and the provider is the environment's. Later versions take the user from the session. What is asked and
answered is stored by other requests, by the session."""

READ_VERSION = (2, 1, 26)
"""The version whose pages were read."""

PAGES = (
    "agent",
    "chat",
    "group",
    "login",
    "me",
    "memory",
    "onboarding",
    "page",
    "profile",
    "reset-password",
    "resource",
    "settings",
    "signin",
    "auth-error",
)
NEW_ACCOUNT_PAGES = ("signup", "verify-email")

STATIC = ("_next/static", "avatars", "icons", "images", "og", "screenshots", "videos")
NEW_STATIC = ("_spa[a-z-]*",)
"""Where later versions keep what their pages load."""
STATIC_FILES = (
    r"apple-touch-icon\.png",
    r"favicon[A-Za-z0-9-]*\.(ico|png|svg)",
    r"manifest\.(webmanifest|json)",
    r"not-compatible\.html",
    r"robots\.txt",
    r"sw\.js",
    r"swe-worker-[A-Za-z0-9]+\.js",
)

OPEN_PROCEDURES = (r"config\.getGlobalConfig",)
"""What the page for signing in asks for itself."""

ROUTERS = (
    "agent",
    "aiChat",
    "aiModel",
    "chunk",
    "config",
    "document",
    "exporter",
    "file",
    "group",
    "home",
    "importer",
    "knowledgeBase",
    "message",
    "notebook",
    "search",
    "session",
    "sessionGroup",
    "thread",
    "topic",
    "upload",
    "usage",
    "user",
    "userMemories",
    "userMemory",
)
"""Procedures of these are open but for those refused below. The rest sends requests where a person wants (``market``,
``klavis``, ``comfyui``, ``generationTopic``), makes keys (``apiKey``), shows talks to strangers (``share``), or is not
for people."""

READ_PROCEDURES = (
    r"aiAgent\.createClientGroupAgentTaskThread",
    r"aiAgent\.createClientTaskThread",
    r"aiAgent\.getSubAgentTaskStatus",
    r"aiAgent\.updateClientTaskThreadStatus",
    r"aiProvider\.getAiProviderById",
    r"aiProvider\.getAiProviderList",
    r"aiProvider\.getAiProviderRuntimeState",
    r"market\.getAssistantList",
    r"market\.getPluginList",
    r"plugin\.getPlugins",
    r"plugin\.removeAllPlugins",
    r"plugin\.removePlugin",
)
"""Of routers whose writing is refused: a provider's address gets the server's key, the server asks a plugin's,
and all else of the market sends what it is given. The two lists of the market come from one fixed address, and the page
asks for them in one batch with what it needs. All else of ``aiAgent`` lets the server act by itself, with tools that a
request or an imported plugin names: among these are programs, which the server starts as itself."""

REFUSED_PROCEDURES = (
    r"agent\.checkByMarketIdentifier",
    r"chunk\.semanticSearch",
    r"topic\.enableSharing",
    r"topic\.updateShareVisibility",
    r"userMemories\.reEmbedMemories",
    r"userMemory\.requestMemoryFromChatTopic",
)
"""Among these is a search in the pieces of everybody's files, for it looks at nobody's name where no file is named."""

SESSION_COOKIES = (r"__Secure-better-auth\.session_token", r"better-auth\.session_token")
COOKIES = (
    *(
        f"{prefix}{name}"
        for prefix in ("", "__Secure-")
        for name in (
            r"better-auth\.session_data",
            r"better-auth\.session_data\.0",
            r"better-auth\.session_data\.1",
            r"better-auth\.dont_remember",
            r"better-auth\.state",
        )
    ),
    "LOBE_LOCALE",
    "LOBE_THEME_APPEARANCE",
    "LOBE_THEME_NEUTRAL_COLOR",
    "LOBE_THEME_PRIMARY_COLOR",
)
"""``session_data`` holds the session for ten minutes, after signing out too. Without it LobeHub says 401 and not 500
while its database is away, so that everybody would be asked to sign in again."""

SIGN_IN_PAGES = "(login|reset-password|signin|signup|verify-email)"
SENDS_AT_ONCE = rf"(?is)^/(?!{SIGN_IN_PAGES}).*[?&](message|[^=&]*[%+][^=&]*)(=|&|$)"
"""``message`` is sent as it is by whoever follows the link, on an agent's page or a group's, to which others lead; a
name in another spelling may be it."""

LEADS_ON = rf"(?is)^/{SIGN_IN_PAGES}.*[?].*(message|%25|%[46][1-9a-f]|%[57][0-9a])"
"""The page for signing in goes on to a link that it was given, without asking the edge: such a one is dropped, and so
is one with letters in a spelling that no browser makes."""

SIGNED_OUT = {"json": {"message": "UNAUTHORIZED", "code": -32001, "data": {"code": "UNAUTHORIZED", "httpStatus": 401}}}
"""As LobeHub's own page wants it, which then leads to the page for signing in."""

CLOSED_EXAMPLES = (
    "_next/image?url=%2Fwebapi%2Fproxy&w=64&q=75",
    "_next/data/x/agent.json",
    "api/agent",
    "api/agent/run",
    "api/auth/admin/create-user",
    "api/auth/email-otp/send-verification-otp",
    "api/auth/resolve-username",
    "api/auth/sign-in/magic-link",
    "api/desktop/latest",
    "api/dev/memory-user-memory/benchmark-locomo",
    "api/webhooks/memory-extraction",
    "api/workflows/memory-user-memory/pipelines/chat-topic/process-users",
    "community",
    "image",
    "market/agent/own",
    "oidc/token",
    "share/t/x",
    "trpc/async/file.parseFileToChunks",
    "trpc/mobile/topic.getTopics",
    "trpc/tools/mcp.listTools",
    "trpc/tools/market.callCodeInterpreterTool",
    "trpc/tools/search.crawlPages",
    "trpc/lambda/aiAgent.createOperation",
    "trpc/lambda/aiAgent.execAgent",
    "trpc/lambda/aiAgent.execGroupAgent",
    "trpc/lambda/aiAgent.getPendingInterventions",
    "trpc/lambda/aiAgent.processHumanIntervention",
    "trpc/lambda/aiAgent.startExecution",
    "trpc/lambda/user.getUserState,aiAgent.startExecution",
    "trpc/lambda/aiProvider.updateAiProviderConfig",
    "trpc/lambda/aiProvider.createAiProvider",
    "trpc/lambda/apiKey.createApiKey",
    "trpc/lambda/chunk.semanticSearch",
    "trpc/lambda/comfyui.createImage",
    "trpc/lambda/generationTopic.updateTopicCover",
    "trpc/lambda/klavis.createServerInstance",
    "trpc/lambda/market.getMcpList",
    "trpc/lambda/market.agent.publishAgent",
    "trpc/lambda/plugin.createPlugin",
    "trpc/lambda/share.getSharedTopic",
    "trpc/lambda/user.getUserState,aiProvider.updateAiProviderConfig",
    "trpc/lambda/user.getUserState%2CaiProvider.updateAiProviderConfig",
    "trpc/lambda/config.getGlobalConfig,market.getMcpList",
    "trpc/lambda/%61iProvider.updateAiProviderConfig",
    "webapi/chat/openai",
    "webapi/chat/vllm/x",
    "webapi/create-image/comfyui",
    "webapi/models/ollama",
    "webapi/models/vllm/pull",
    "webapi/plugin/gateway",
    "webapi/proxy",
    "webapi/revalidate",
    "webapi/stt/openai",
    "webapi/trace",
    "webapi/tts/edge",
    "WebAPI/proxy",
    "%77ebapi/proxy",
    "agent/..%2fwebapi/proxy",
    "agent/x?message=hello",
    "agent/x?%6dessage=hello",
    "group/x?y=1&message=hello",
)
GUARDED_EXAMPLES = (
    ("GET", "trpc/lambda/user.getUserState"),
    ("GET", "trpc/lambda/config.getGlobalConfig,user.getUserState"),
    ("POST", "trpc/lambda/aiChat.sendMessageInServer"),
    ("POST", "webapi/chat/vllm"),
    ("GET", "webapi/models/vllm"),
    ("GET", "webapi/user/avatar/x/y.png"),
    ("GET", "f/x"),
    ("GET", f"{FILES}/x?X-Amz-Signature={'0' * 64}"),
    ("POST", "api/auth/change-password"),
)


def room(version: str, signup: str, sso: bool = False) -> Room:
    """Return what the edge hands on to LobeHub, which sends no mail and calls no tool server.

    Args:
        version: such as ``2.1.48``.
        signup: ``open`` where people make accounts by themselves.
        sso: whether people come in by their company's own sign-in (OpenID Connect).
    """
    is_open = signup == OPEN
    numbers = _numbers(version)
    return Room(
        kind="lobehub",
        version=version,
        ways=(
            Way(_any(f"({words(_static(numbers))}/.+|{words(STATIC_FILES)})"), is_static=True),
            Way(
                _any(f"({words(PAGES + (NEW_ACCOUNT_PAGES if is_open else ()))}(/.*)?)?"),
                is_page=True,
            ),
            Way(_any(r"api/(version|auth/get-session)")),
            Way(_any(rf"trpc/lambda/{words(OPEN_PROCEDURES)}")),
            Way(_any(f"api/auth/{words(_sign_in(is_open))}"), "POST", signs_in=True),
            Way(_any("api/auth/sign-out"), "POST"),
            *(_by_company() if sso else []),
            Way(_any("api/auth/(change-password)"), "POST", session=True, signs_in=True),
            Way(_any("api/auth/update-user"), "POST", session=True),
            Way(_any("api/auth/list-accounts"), session=True),
            *([Way(_any("api/auth/(unlink-account|oauth2/link)"), "POST", session=True)] if sso else []),
            Way(_any(f"webapi/chat/{PROVIDER}"), "POST", session=True, asks_model=True),
            Way(_any(f"webapi/models/{PROVIDER}"), session=True),
            Way(_any("webapi/user/avatar/[^/]+/[^/]+"), session=True, is_sandboxed=True),
            Way(_any("f/[A-Za-z0-9_-]+"), session=True),
            Way(_batch("lambda", _procedures()), "GET|POST", session=True),
            Way(_any(f"{FILES}/.+"), "GET|HEAD|PUT", session=True, is_file=True, is_sandboxed=True),
        ),
        session_path="/trpc/lambda/user.getUserRegistrationDuration",
        sign_in="/signin",
        session_cookies=SESSION_COOKIES,
        cookies=COOKIES,
        headers=(
            Header(
                "X-lobe-chat-auth",
                NOBODY,
                rf"^/(webapi/(chat|models)/{PROVIDER}$|trpc/lambda/([A-Za-z.]+,)*chunk\.)",
            ),
        ),
        stripped=(*STRIPPED, "Oidc-Auth", "X-oauth-authorized", "lobe-auth-dev-backend-api"),
        arguments=(Arguments(SENDS_AT_ONCE), Arguments(LEADS_ON, "/signin")),
        closed_pages=() if is_open else (ClosedPage("^/(signup|verify-email)(/.*)?$", NO_SIGN_UP),),
        signed_out=SIGNED_OUT,
        closed_examples=(*CLOSED_EXAMPLES, *(() if is_open else ("signup", "api/auth/sign-up/email"))),
        guarded_examples=GUARDED_EXAMPLES,
    )


def _any(pattern: str) -> str:
    return f"^/{pattern}$"


def _static(numbers: tuple[int, ...]) -> tuple[str, ...]:
    return (*STATIC, *(NEW_STATIC if numbers > READ_VERSION else ()))


def _sign_in(is_open: bool) -> tuple[str, ...]:
    return ("check-user", "reset-password", "sign-in/email", *(("sign-up/email",) if is_open else ()))


def _by_company() -> list[Way]:
    """Return how people go to their company's sign-in, and come back.

    LobeHub names the address of better-auth's known services to every issuer. The other, for services of one's own
    (``oauth2/callback``), would write whatever an issuer says of a person into their row, their role too.
    """
    return [
        Way(_any("api/auth/sign-in/oauth2"), "POST", by_company=True),
        Way(_any(f"api/auth/callback/{SSO}"), by_company=True),
    ]


def _procedures() -> str:
    whole = (rf"{words(ROUTERS)}\.[A-Za-z0-9]+", *READ_PROCEDURES)
    return rf"(?!{words(REFUSED_PROCEDURES)}(,|$)){words(whole)}"


def _batch(router: str, procedure: str) -> str:
    """Return the pattern of a path that names one procedure or several, each of which must be open."""
    return f"^/trpc/{router}/{procedure}(,{procedure})*$"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(one) for one in version.split("-", maxsplit=1)[0].split(".") if one.isdigit())
