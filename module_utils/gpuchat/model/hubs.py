# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the hubs are asked, and what their answers mean: addresses, listings, errors, who may see a token.

Sources: huggingface_hub 2.4 (hf_api, utils/_http, utils/_pagination), modelscope_hub 0.5 (_legacy_api, _download).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import Refusal
from ..system.masking import mask
from .files import LARGEST_GIT_BLOB, MANIFEST, ModelFile, parse_manifest, printable
from .weights import QUANTIZATION

OFFICIAL = {"huggingface": "https://huggingface.co", "modelscope": "https://www.modelscope.cn"}
DEFAULT_REVISION = {"huggingface": "main", "modelscope": "master", "git": "HEAD"}
COMMIT = re.compile(r"[0-9a-f]{40}")
MALFORMED = (AttributeError, KeyError, OverflowError, TypeError, ValueError)
"""What reading an entry raises that is not as the hubs write it."""

LINKS = {"120000": "a link", "40960": "a link", "160000": "a submodule", "57344": "a submodule"}
"""Git's modes of what is no file, octal and decimal."""

LOGINS = (407, 511)
"""With which a proxy or a captive portal asks for a login."""

KINDS = {"commit": "a submodule", "symlink": "a link"}

MODELSCOPE_CUT = 3000
"""ModelScope cuts a listing here without a word; then it is walked folder by folder."""

MODELSCOPE_WALK = 5000
"""Most requests for one listing."""

PLACE = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?(?=[/?#]|$)", re.IGNORECASE | re.ASCII)
"""Nothing may follow host and port but a path: what stands before an @ is no host, however much it looks like one."""

HUB_REPO = re.compile(r"(?!\.{1,2}(/|$))[\w.-]+(/(?!\.{1,2}$)[\w.-]+)?")
CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)", re.ASCII)
BEFORE = re.compile(
    r"^(?:(?:https?://(?:[^/@\s]*@)?)?(?:[\w-]+\.)+[a-z]{2,}/(?:models/)?"
    r"|(?:hf|huggingface|modelscope|ms):(?://)?|git@[\w.-]+:)",
    re.ASCII,
)
WITHIN = re.compile(
    r"(?P<name>[\w.-]+/[\w.-]+?)(?:\.git)?"
    r"(?:[@:](?P<revision>[\w./-]+)|/(?:tree|blob|raw|resolve|commit)/(?P<shown>[\w.-]+).*"
    r"|/(?:(?:summary|files|tree|discussions)\b.*)?|[?#].*)?",
    re.ASCII,
)
"""What people take for a repository's name: a folder of a client's cache; an address or another program's scheme before
the name; a revision, a quantization or a page behind it."""

OTHER_KINDS = ("datasets", "spaces", "models", "library")
"""What stands before the name of what is no model, in addresses, and is nobody's name."""

SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")


def quote(text: str, safe: str = "") -> str:
    """Return a text for use in an address, every byte but the unreserved ones (RFC 3986) and `safe` encoded."""
    kept = SAFE | frozenset(safe.encode())
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in text.encode())


def origin(url: str) -> str:
    """Return an address's scheme, host and port: what a token is for.

    Raises:
        Refusal: no address of a web server.
    """
    match = PLACE.match(url)
    if match is None:
        shown = url.partition("?")[0]  # what follows may be a signature
        raise Refusal(f"found the address {shown!r}; wanted one such as https://hub.example.com; set endpoints")
    scheme, host = match[1].lower(), match[2].lower()
    return f"{scheme}://{host}:{int(match[3] or {'http': 80, 'https': 443}[scheme])}"


def endpoints(source: str, given: Sequence[str]) -> tuple[str, ...]:
    """Return the endpoints to try, in their order, without a slash at the end.

    Raises:
        Refusal: there is none, or one is no address, or holds a password.
    """
    tried = [url.rstrip("/") for url in given] or [OFFICIAL[name] for name in OFFICIAL if name == source]
    if not tried:
        raise Refusal(f"found no endpoint for the source {source}; wanted a web server's address; set endpoints")
    for url in tried:
        place = PLACE.match(url)
        if place is None or int(place[3] or 0) > 65535 or re.search(r"[?#\s]", url):
            raise Refusal(
                "found an endpoint that is no plain address; wanted one such as https://hub.example.com, without user, "
                "password or query; set endpoints and token"
            )
    return tuple(tried)


@dataclass(frozen=True)
class Hub:
    """A source at one endpoint.

    Attributes:
        source: huggingface, modelscope or http.
        endpoint: its address, without a slash at the end.
        repo: the model's name there, or its folder.
        revision: as the task names it.
    """

    source: str
    endpoint: str
    repo: str
    revision: str

    def check(self) -> Hub:
        """Refuse a name that is none.

        Raises:
            Refusal: the repository or the revision is missing or odd.
        """
        is_none = self.repo.startswith("models--") or self.repo.endswith(".git") or not HUB_REPO.fullmatch(self.repo)
        if self.source in OFFICIAL and is_none:
            hint, found = meant(self.repo), mask(self.repo, ())
            raise Refusal(f"found the repository {found!r}; wanted owner/name as the hub writes it; set repo{hint}")
        if self.source == "http" and {"..", "."} & set(self.repo.split("/")):
            raise Refusal(f"found the folder {self.repo!r}; wanted one below the endpoint; set repo")
        return self

    @property
    def base(self) -> str:
        """Return a plain tree's own address."""
        return "/".join(part for part in (self.endpoint, quote(self.repo.strip("/"), "/")) if part)

    def siblings_url(self, commit: str) -> str:
        """Return the address of a model's own description at Hugging Face, with its files and their sizes."""
        return f"{self.endpoint}/api/models/{quote(self.repo, '/')}/revision/{commit}?blobs=true"

    def commit_url(self) -> str:
        """Return the address that says what the revision is (ModelScope and plain trees: the listing itself)."""
        if self.source == "huggingface":
            return f"{self.endpoint}/api/models/{quote(self.repo, '/')}/revision/{quote(self.revision)}"
        return self.listing_url(self.revision)

    def listing_url(self, commit: str, root: str = "", recursive: bool = True) -> str:
        """Return the address of a listing; `root` and `recursive` are ModelScope's."""
        if self.source == "huggingface":
            return f"{self.endpoint}/api/models/{quote(self.repo, '/')}/tree/{commit}?recursive=true&expand=false"
        if self.source == "modelscope":
            below = f"&Root={quote(root)}" if root else ""
            return (
                f"{self.endpoint}/api/v1/models/{quote(self.repo, '/')}/repo/files"
                f"?Revision={quote(commit)}&Recursive={recursive}{below}"
            )
        return f"{self.base}/{MANIFEST}"

    def file_url(self, commit: str, path: str) -> str:
        """Return a file's address.

        ModelScope is asked for the revision that the task names: whether it takes every commit that its own listing
        names is not documented, and the hash proves the bytes either way.
        """
        if self.source == "huggingface":
            return f"{self.endpoint}/{quote(self.repo, '/')}/resolve/{commit}/{quote(path, '/')}"
        if self.source == "modelscope":
            return (
                f"{self.endpoint}/api/v1/models/{quote(self.repo, '/')}/repo"
                f"?Revision={quote(self.revision)}&FilePath={quote(path)}"
            )
        return f"{self.base}/{quote(path, '/')}"


def meant(repo: str) -> str:
    """Return what to set ``repo`` to where the name is within what was given, for a message; else an empty text."""
    bare = repo.strip()
    if bare.startswith(("/", "~", "./", "../")):
        return ", or source to path for a folder of the host"
    cached = CACHED.fullmatch(bare)
    if cached:
        return f" to {cached[1]}/{cached[2]}"
    found = WITHIN.fullmatch(BEFORE.sub("", bare))
    if found is None:
        return f" to {bare}" if HUB_REPO.fullmatch(bare) and repo != bare else ""
    name, revision = found["name"], found["revision"] or found["shown"] or ""
    if not HUB_REPO.fullmatch(name) or name.partition("/")[0] in OTHER_KINDS:
        return ""
    if QUANTIZATION.fullmatch(revision):
        return f" to {name}, and include to ['*{revision}*.gguf', '*.json']"
    is_usual = revision in ("", *DEFAULT_REVISION.values())
    return f" to {name}" + ("" if is_usual else f", and revision to {revision}")


def credentials(source: str, token: str) -> dict[str, str]:
    """Return the headers that show a token; ModelScope's older paths read a cookie, its newer ones a header."""
    if not token:
        return {}
    if any(ord(letter) <= 32 or ord(letter) > 126 or letter in ";," for letter in token):
        raise Refusal("found a token with blanks or odd letters in it; wanted it as the hub gave it; set token")
    headers = {"Authorization": f"Bearer {token}"}
    if source == "modelscope":
        headers["Cookie"] = f"m_session_id={token}"
    return headers


def token_origin(source: str, token_for: str) -> str:
    """Return the origin that a token is for: the one the task names, else the source's official one, else none."""
    place = token_for or OFFICIAL.get(source, "")
    return origin(place) if place else ""


def next_page(link: str) -> str | None:
    """Return the next page's address from a ``Link`` header (RFC 8288), None at the end."""
    for target, parameters in re.findall(r'<([^>]*)>((?:\s*;\s*\w+\s*=\s*(?:"[^"]*"|[^",;\s]*))*)', link):
        if re.search(r';\s*rel\s*=\s*("[^"]*\bnext\b|next\b)', parameters):
            return str(target)
    return None


def _data(body: bytes, place: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(f"{place} answered with something else than data; wanted a hub; set endpoints") from None


def read_commit(body: bytes, place: str) -> str:
    """Return the commit from Hugging Face's answer about a revision.

    Raises:
        Refusal: there is none in it.
    """
    value = _data(body, place)
    commit = str(value.get("sha", "")) if isinstance(value, dict) else ""
    if not COMMIT.fullmatch(commit):
        raise Refusal(f"{place} named no commit; wanted a hub that speaks as huggingface.co does; set endpoints")
    return commit


def read_huggingface_page(body: bytes, place: str) -> list[ModelFile]:
    """Return the files of one page of a tree.

    Raises:
        Refusal: no such page, or an entry that is neither file nor folder.
    """
    value = _data(body, place)
    if not isinstance(value, list):
        raise Refusal(f"{place} gave no list of files; wanted a hub that speaks as huggingface.co does; set endpoints")
    found, entry = [], None
    try:
        for entry in value:
            found += [_huggingface_file(entry)] if entry["type"] != "directory" else []
    except MALFORMED:
        raise _odd_entry(place, entry) from None
    return found


def read_siblings(body: bytes, place: str) -> list[ModelFile]:
    """Return the files of a model's own description, for mirrors that have no listing of a tree.

    Raises:
        Refusal: it names none, or says no sizes.
    """
    value = _data(body, place)
    siblings = value.get("siblings") if isinstance(value, dict) else None
    entries = siblings if isinstance(siblings, list) else [siblings] if siblings else []
    if not entries or any(isinstance(entry, dict) and "size" not in entry for entry in entries):
        raise Refusal(
            f"{place} has no listing with sizes, neither as a tree nor as siblings with blobs; wanted a mirror "
            "that gives one as huggingface.co does; set endpoints to another"
        )
    found, entry = [], None
    try:
        for entry in entries:
            names = {"type": "file", "path": entry["rfilename"], "oid": entry.get("blobId") or ""}
            found.append(_huggingface_file({**entry, **names}))
    except MALFORMED:
        raise _odd_entry(place, entry) from None
    return found


def _huggingface_file(entry: Mapping[str, Any]) -> ModelFile:
    if entry["type"] != "file":
        return ModelFile(_path(entry["path"]), 0, kind=KINDS.get(entry["type"], f"a {entry['type']}"))
    lfs = entry.get("lfs") or {}
    sha256 = _sha256(lfs.get("oid") or lfs.get("sha256"))
    size = _size(lfs.get("size") or entry["size"])
    git_sha1 = "" if sha256 or size > LARGEST_GIT_BLOB else str(entry.get("oid", ""))  # else it is a pointer's
    return ModelFile(_path(entry["path"]), size, sha256, git_sha1)


def _path(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _size(value: Any) -> int:
    size = int(value)
    if size < 0:
        raise ValueError
    return size


def _sha256(value: object) -> str:
    """Return a SHA-256 in the form in which files are compared; some mirrors write its kind before it."""
    text = str(value or "").strip().lower()
    found = SHA256.fullmatch(text)
    if text and not found:
        raise ValueError
    return found[1] if found else ""


def _odd_entry(place: str, entry: object) -> Refusal:
    shown = printable(repr(entry)[:SHOWN])
    return Refusal(
        f"{place} lists {shown}, which cannot be read; wanted each file with its path and size; set endpoints to "
        "another"
    )


SHOWN = 120
"""Characters of an odd entry that a message shows."""


@dataclass(frozen=True)
class ModelScopePage:
    """One of ModelScope's listings."""

    files: tuple[ModelFile, ...]
    folders: tuple[str, ...]
    commit: str

    @property
    def cut(self) -> bool:
        return len(self.files) + len(self.folders) >= MODELSCOPE_CUT


def read_modelscope_page(body: bytes, place: str) -> ModelScopePage:
    """Return the entries of a listing.

    Raises:
        Refusal: no such listing, or an error that came with a good status.
    """
    value = _data(body, place)
    data = value.get("Data") if isinstance(value, dict) else None
    if not isinstance(data, dict) or value.get("Success") is False:  # type: ignore[attr-defined]
        word = value.get("Message", "") if isinstance(value, dict) else ""
        raise Refusal(f"{place} gave no list of files: {word or 'no word why'}; set repo, revision and endpoints")
    if "Files" in data and data["Files"] is None:  # with status 200: what this hub says to a name that it does not know
        raise Refusal(f"{place} knows no such revision; wanted a branch, a tag or a commit of it; set revision")
    files, folders, revisions = [], [], set()
    listed = data.get("Files") or []
    entry = None
    try:
        for entry in listed if isinstance(listed, list) else [listed]:
            revisions.add(str(entry.get("Revision") or ""))
            if entry.get("Type") == "tree":
                folders.append(_path(entry["Path"]))
            elif str(entry.get("Mode")) in LINKS or entry.get("Type") not in ("blob", None):
                kind = LINKS.get(str(entry.get("Mode"))) or f"a {entry.get('Type')}"
                files.append(ModelFile(_path(entry["Path"]), 0, kind=kind))
            else:
                files.append(ModelFile(_path(entry["Path"]), _size(entry["Size"]), _sha256(entry.get("Sha256"))))
        entry = data.get("LatestCommitter")
        return ModelScopePage(tuple(files), tuple(folders), _modelscope_commit(entry, revisions))
    except MALFORMED:
        raise _odd_entry(place, entry) from None


def _modelscope_commit(latest: Any, revisions: Iterable[str]) -> str:
    """Return the commit of a listing: the hub may say its beginning alone, and each file the commit that changed it."""
    values = latest or {}
    short = str(values.get("ShortId") or "")
    whole = [one for one in sorted(revisions) if short and COMMIT.fullmatch(one) and one.startswith(short)]
    return str(values.get("Id") or "") or (whole[0] if whole else short)


def read_tree(body: bytes, hub: Hub) -> tuple[str, tuple[ModelFile, ...]]:
    """Return the commit and the files of a plain tree, from the manifest that lies in it.

    Raises:
        Refusal: it is no manifest, or is about another revision than the wanted one.
    """
    manifest = parse_manifest(body)
    if manifest is None:
        raise Refusal(
            f"{hub.base} holds no {MANIFEST} that can be read; wanted a tree made with the state export; set endpoints "
            "and repo"
        )
    return check_revision(
        manifest.commit, str(manifest.wanted.get("revision", "")), hub.revision, hub.base
    ), manifest.files


def check_revision(commit: str, named: str, revision: str, place: str) -> str:
    """Return a tree's commit, if it is the wanted one.

    Raises:
        Refusal: another revision is wanted.
    """
    if revision and revision not in (commit, named):
        raise Refusal(
            f"{place} holds the commit {commit} ({named or 'no name'}); wanted {revision}; set revision or bring the "
            "tree up to date"
        )
    return commit


@dataclass(frozen=True)
class Reply:
    """What a hub's answer says apart from its body.

    Attributes:
        status: of the answer, 0 for none.
        headers: with names in lower case.
        error: why there is no answer, or what is wrong with a good one.
        url: the address that gave it, at the end of the redirects.
    """

    status: int
    headers: Mapping[str, str]
    error: str = ""
    url: str = ""

    @property
    def is_good(self) -> bool:
        return self.status == 200 and not self.error

    @property
    def word(self) -> str:
        """Return it for people."""
        text = self.headers.get("x-error-message") or self.error
        return f"{self.status or 'no answer'}{f' ({text})' if text else ''}"


PAGE = "a web page, as a login or a proxy gives it"
WEB_PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*|<!--(?s:.{0,2000}?)-->\s*)*<(!doctype\s+html|html|head|script|meta|title)\b",
    re.IGNORECASE,
)
PROXY = "(gpuchat_proxy, or its https_proxy and no_proxy)"
CURES = {
    "SOCKS": f"give this host an HTTP proxy that lets it through {PROXY}",
    "gaierror|resolve (host|proxy)": f"let this host resolve the name, or give it a proxy {PROXY}",
    "has expired|not yet valid": "have the certificate there renewed, or correct this host's clock",
    "mismatch|not valid for|subject name matches": "call that host by a name which its certificate holds",
    "CA_BUNDLE": "let that variable of this host name a file that holds the authority, or unset it",
    "certificate": "where a proxy or a CA of your own signs, name its certificate in gpuchat_ca_files",
    "WRONG_VERSION": "begin its address with http://, for what listens there speaks no TLS",
    "proxy": f"give this host a proxy that lets it through {PROXY}",
}
"""What mends a failed connection, by what its words hold; the first that fits."""


ANOTHER = "or set repo to another model"
NOT_ACCEPTED = "the token's owner has not accepted its licence"
GATES = {
    "fine-grained token": (
        "the token is of the kind that has to be given this right",
        "allow it to read public gated repositories in its settings at the hub, or set token to one that may",
    ),
    "awaiting a review": ("its owners have not answered the token's owner yet", f"wait for them, {ANOTHER}"),
    "been rejected": ("its owners have refused the token's owner", f"set token to somebody else's, {ANOTHER}"),
}
"""Why a gated model is not given to a token that was shown, and what to do, by the hub's words (prov-gigapath#92)."""

DISABLED = "Access to this resource is disabled"
"""What Hugging Face says of what it has closed (huggingface_hub, utils/_http)."""


def is_page(body: bytes) -> bool:
    """Whether an answer is a web page, as a captive portal, a login or a proxy's refusal gives it in place of data."""
    return WEB_PAGE.match(body) is not None


def connection_hint(error: str) -> str:
    """Return what to set where a connection failed in a way that the host's own settings can mend, else ''."""
    return next((cure for words, cure in CURES.items() if re.search(words, error, re.IGNORECASE)), "")


def hint(reply: Reply, hub: Hub, token: str, token_sent: bool) -> str:
    """Return the sentence that says what an answer other than 200 means and what to set."""
    code = reply.headers.get("x-error-code", "")
    there = other_origin(reply.url, hub.endpoint)
    who = f"{hub.endpoint}{there and f' (which redirects to {there})'}"
    cure = connection_hint("proxy" if reply.status in LOGINS else reply.error)
    also = f", or {cure}" if cure else ""
    at = f"{who} answered {reply.word} for {hub.repo or hub.endpoint}"
    if there and not code and _host(there) != _host(hub.endpoint):
        failed = at if reply.status else f"{who} gives nothing of {hub.repo or hub.endpoint} ({reply.error})"
        return f"{failed}; wanted the content from there; {reach_too(there)}{also}"
    if code == "GatedRepo" and token_sent:
        page = f"open {hub.endpoint}/{hub.repo} in a browser as that person and accept it"
        why, cure = next((one for words, one in GATES.items() if words in reply.word), (NOT_ACCEPTED, page))
        return f"{at}: the model is gated and {why}; {cure}"
    if DISABLED in reply.word:
        return f"{at}: the hub itself has closed it; set repo to another model, or endpoints to another hub"
    if reply.error == PAGE and reply.status in (401, 403) and not code:
        return (
            f"{at}; wanted the hub's own word; let this host reach it (a firewall may forbid it), or set endpoints to "
            f"another{also}"
        )
    if code == "GatedRepo" or reply.status in (401, 403):
        if token and not token_sent:
            return (
                f"{at}; a token is set, but not for this endpoint, and was not sent there; wanted a word that it may "
                "be: set token_for to this endpoint"
            )
        if token_sent:
            return f"{at} although a token was shown; wanted one that may read the model; set token, and check repo"
        gated = ", and accept the model's licence in a browser" if code == "GatedRepo" else ""
        return (
            f"{at}: it does not exist under this name (letter case counts), or is private or gated; wanted one that "
            f"may be read; set repo as the hub's page spells it, or set token to one that may read it{gated}"
        )
    if code == "RevisionNotFound":
        return f"{at}: it has no revision {hub.revision}; set revision"
    if reply.status == 404:
        return f"{at}: it does not exist there; set repo, revision and endpoints"
    if reply.status == 0:
        return f"{who} cannot be reached ({reply.error}); wanted a hub; set endpoints to one, or to a mirror{also}"
    if reply.status in (410, 451):
        return (
            f"{at}: it is gone, or held back for legal reasons; set repo to another model, or endpoints to another hub"
        )
    more = ", set token, with which hubs allow more" if reply.status == 429 and not token else ""
    return f"{at}; wanted a hub that answers; try again later{more}, or set endpoints to another{also}"


def other_origin(url: str, asked: str) -> str:
    """Return the origin of an address where it is another than that of the one that was asked, else ''."""
    return origin(url) if url and origin(url) != origin(asked) else ""


def _host(url: str) -> str:
    return origin(url).rpartition(":")[0].partition("//")[2]


def reach_too(place: str) -> str:
    """Return what to do where a hub keeps its content at a place that gives none."""
    return f"let this host reach {place} too (a firewall or a proxy may forbid it), or set endpoints to another"


def no_endpoint(words: Iterable[str]) -> Refusal:
    """Return the refusal that holds what each endpoint said."""
    return Refusal("; ".join(dict.fromkeys(words)))
