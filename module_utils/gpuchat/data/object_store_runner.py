# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the object store's bucket, and tries by itself what it lets whom do."""

from __future__ import annotations

import datetime
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from ..core import host
from ..core.change import Plan
from ..core.errors import Unhealthy
from . import object_store
from .object_store import Found, Keys, Tried

UNREADY = (0, 500, 502, 503, 504)
CODE = re.compile(r"<Code>([^<]{1,80})</Code>")


@dataclass(frozen=True)
class Bucket:
    """A bucket, and who asks for it."""

    url: str
    name: str
    keys: Keys
    path_style: bool = True
    authority: str = field(default="", repr=False)

    def address(self, path: str = "") -> str:
        url = self.url.rstrip("/")
        if self.path_style:
            return f"{url}/{quote(self.name)}{'/' + quote(path) if path else ''}"
        scheme, _colon, place = url.partition("://")
        return f"{scheme}://{self.name}.{place}/{quote(path)}"

    def http(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> host.Response:
        """Make a request, past any proxy."""
        kind = {"content-type": "application/octet-stream"} if body is not None else {}
        return host.http(url, method, {**kind, **headers}, body, direct=True, authority=self.authority)

    def ask(self, method: str, query: str = "", path: str = "", body: bytes = b"") -> host.Response:
        """Make a request in the name of the keys' owner."""
        url = self.address(path) + (f"?{query}" if query else "")
        headers = object_store.signed(method, url, self.keys, _now(), body)
        return self.http(method, url, headers, body if method == "PUT" else None)

    def presigned(self, method: str, path: str) -> str:
        return object_store.presigned(method, self.address(path), self.keys, _now(), object_store.PROBE_SECONDS)


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Make sure that a bucket is there, is private and answers as a chat needs it; return the module's result.

    Args:
        params: the module's options.
        check: whether to predict only.
    """
    keys = Keys(params["access_key"], params["secret_key"], params["region"])
    bucket = Bucket(params["url"], params["name"], keys, bool(params["path_style"]), str(params["authority"] or ""))
    if params["state"] == "verified":
        return _verified(bucket, params["origins"], params["on_unsafe"], check)
    found, waited = _look(bucket), ""
    if not check and found.bucket in UNREADY:
        waited = host.wait_for(lambda: _missing(bucket), params["timeout"], 1) or ""
        found = _look(bucket)
    if found.bucket in UNREADY:
        if check:
            # As of one that is empty, for so is a new one.
            notes = (f"whether {bucket.name} is there: nothing answers at {bucket.url}",)
            return {**replace(object_store.decide(bucket.name, object_store.EMPTY), notes=notes).result(), "unsafe": []}
        raise Unhealthy(
            f"found {waited or found.said} at {bucket.url} after {params['timeout']} s; wanted an object store that "
            "answers; look at `docker logs gpuchat-object-store`, or set timeout to more"
        )
    if check and found.bucket == object_store.REFUSED:
        notes = (f"whether {bucket.name} is as wanted: its store does not know these keys before it starts with them",)
        return {**Plan(notes=notes).result(), "unsafe": []}
    plan = object_store.decide(bucket.name, found)
    if check:
        notes = ("what the bucket lets whom do: check mode puts nothing",)
        return {**replace(plan, notes=notes).result(), "unsafe": []}
    for action in plan.actions:
        _act(bucket, str(action))
    return {**plan.result(), **_judged(bucket, params["on_unsafe"])}


def _verified(bucket: Bucket, origins: Sequence[str], on_unsafe: str, check: bool) -> dict[str, object]:
    """Look at a bucket of somebody else's, and try it with one object."""
    found = _look(bucket)
    object_store.refuse(bucket.name, bucket.url, found)
    asked = [(origin, method) for origin in origins for method in object_store.CORS_METHODS]
    object_store.refuse_cors(bucket.name, [one for one in asked if not _allows(bucket, *one)])
    notes = ("what the bucket lets whom do: check mode puts nothing",) if check else ()
    result = {**Plan(notes=notes, reason=f"the bucket {bucket.name} is there").result(), "unsafe": []}
    if not check:
        result.update(_judged(bucket, on_unsafe))
    if found.policy == 200:
        words = f"the bucket {bucket.name} has a policy, by which others may read it"
        result["warnings"] = [*result.get("warnings", ()), words]  # type: ignore[misc]
    return result


def _allows(bucket: Bucket, origin: str, method: str) -> bool:
    url = bucket.address(object_store.PROBE)
    answer = bucket.http("OPTIONS", url, object_store.cors_question(origin, method))
    return object_store.cors_allows(origin, method, answer.status, answer.headers)


def _missing(bucket: Bucket) -> str | None:
    found = _look(bucket)
    return (found.said or f"the status {found.bucket}") if found.bucket in UNREADY else None


def _look(bucket: Bucket) -> Found:
    answer = bucket.ask("GET", "location")  # a HEAD's refusal has no words
    if answer.status != 200:
        return Found(answer.status, said=_words(answer))
    return Found(answer.status, bucket.ask("GET", "policy").status)


def _act(bucket: Bucket, action: str) -> None:
    answer = bucket.ask("PUT") if action == "create" else bucket.ask("DELETE", "policy")
    if not 200 <= answer.status < 300:
        raise Unhealthy(
            f"found {_words(answer) or answer.status} when the bucket {bucket.name} was to be "
            f"{'made' if action == 'create' else 'closed'}; wanted that done; see `docker logs gpuchat-object-store`"
        )


def _judged(bucket: Bucket, on_unsafe: str) -> dict[str, object]:
    tried = _try(bucket)
    faults, unsafe = object_store.faults(tried), object_store.unsafe(tried)
    if faults:
        raise Unhealthy(f"found that {'; '.join(faults)}, in the bucket {bucket.name}; wanted files that come and go")
    if not unsafe:
        return {"unsafe": []}
    words = f"{'; '.join(unsafe)}, in the bucket {bucket.name}"
    if on_unsafe == "fail":
        raise Unhealthy(
            f"found that {words}; wanted a store that refuses whoever has no signature; set on_unsafe to warn where "
            "something in front of it does so",
            unsafe=unsafe,
        )
    return {"unsafe": unsafe, "warnings": [f"{words}: whoever reaches the store can read and change all files"]}


def _try(bucket: Bucket) -> Tried:
    path = f"{object_store.PROBE}-{secrets.token_hex(8)}"
    body = secrets.token_bytes(64)
    try:
        put = bucket.http("PUT", bucket.presigned("PUT", path), {}, body)
        got = bucket.http("GET", bucket.presigned("GET", path), {})
        unsigned = bucket.http("GET", bucket.address(path), {})
        forged = bucket.http("GET", object_store.with_wrong_signature(bucket.presigned("GET", path)), {})
        forged_put = bucket.http("PUT", object_store.with_wrong_signature(bucket.presigned("PUT", path)), {}, b"forged")
    finally:
        removed = bucket.ask("DELETE", path=path)
    missing = bucket.ask("HEAD", path=path)
    return Tried(
        *(put.status, got.status, got.body == body, unsigned.status, forged.status, forged_put.status),
        *(missing.status, removed.status),
    )


def _words(answer: host.Response) -> str:
    code = CODE.search(answer.body.decode(errors="replace"))
    return code[1] if code else answer.error


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
