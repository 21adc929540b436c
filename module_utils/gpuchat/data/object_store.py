# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The object store's bucket: how requests to it are signed, and what its answers say about it."""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlsplit

from ..core.change import Difference, Plan
from ..core.errors import Refusal, Unhealthy

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
PROBE = ".gpuchat/probe"
"""The object by which a bucket is tried; it is removed again."""
PROBE_SECONDS = 60
NONE = 404
REFUSED = 403
NOT_OFFERED = (405, 501)
"""How a store answers that knows nothing of policies: it has none, then."""


@dataclass(frozen=True)
class Keys:
    """Who asks a store; the secret half shows nowhere."""

    access: str
    secret: str = field(repr=False)
    region: str = "us-east-1"

    def signature(self, at: datetime.datetime, canonical: str) -> str:
        """Return the signature of a request in its canonical form."""
        text = "\n".join((ALGORITHM, stamp(at), self.scope(at), hashlib.sha256(canonical.encode()).hexdigest()))
        key = f"AWS4{self.secret}".encode()
        for part in (*self.scope(at).split("/"), text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key.hex()

    def scope(self, at: datetime.datetime) -> str:
        return f"{at:%Y%m%d}/{self.region}/s3/aws4_request"


def stamp(at: datetime.datetime) -> str:
    """Return a time of UTC as signatures name it."""
    return f"{at:%Y%m%dT%H%M%SZ}"


def signed(method: str, url: str, keys: Keys, at: datetime.datetime, body: bytes = b"") -> dict[str, str]:
    """Return the headers with which a request is one of the keys' owner."""
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": urlsplit(url).netloc, "x-amz-content-sha256": digest, "x-amz-date": stamp(at)}
    names = ";".join(headers)
    signature = keys.signature(at, _canonical(method, url, headers, digest))
    credential = f"Credential={keys.access}/{keys.scope(at)}"
    headers["authorization"] = f"{ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"
    return headers


def presigned(method: str, url: str, keys: Keys, at: datetime.datetime, seconds: int) -> str:
    """Return the address with which anybody may make one request, as a chat hands it to a browser."""
    parts = urlsplit(url)
    given = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{keys.access}/{keys.scope(at)}",
        "X-Amz-Date": stamp(at),
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    query = _query([*parse_qsl(parts.query, keep_blank_values=True), *given.items()])
    whole = parts._replace(query=query).geturl()
    signature = keys.signature(at, _canonical(method, whole, {"host": parts.netloc}, UNSIGNED))
    return f"{whole}&X-Amz-Signature={signature}"


def with_wrong_signature(url: str) -> str:
    """Return a presigned address whose last digit is another."""
    return url[:-1] + ("0" if url[-1] != "0" else "1")


def _canonical(method: str, url: str, headers: Mapping[str, str], digest: str) -> str:
    parts = urlsplit(url)
    lines = [f"{name}:{headers[name].strip()}" for name in sorted(headers)]
    query = _query(parse_qsl(parts.query, keep_blank_values=True))
    return "\n".join((method, parts.path or "/", query, *lines, "", ";".join(sorted(headers)), digest))


def _query(pairs: Sequence[tuple[str, str]]) -> str:
    return "&".join(sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs))


@dataclass(frozen=True)
class Found:
    """What a store says of a bucket.

    Attributes:
        bucket: the status with which it answers for the bucket itself, 0 where it does not answer.
        policy: the same for the bucket's policy, by which it could be open to all.
        said: its words, where it refuses.
    """

    bucket: int
    policy: int = NONE
    said: str = ""


EMPTY = Found(NONE)


def decide(name: str, found: Found) -> Plan:
    """Return what is to be done so that the bucket is there and private: ``create``, ``close``.

    Raises:
        Refusal: the store does not know the keys, or the bucket is somebody else's.
        Unhealthy: it answers with something else.
    """
    if found.bucket == REFUSED:
        raise Refusal(
            f"found the status 403 for the bucket {name} ({found.said or 'no words'}); wanted a store that knows "
            "these keys, and whose clock is this host's; set access_key and secret_key to those it was started with"
        )
    if found.bucket == NONE:
        return Plan(
            (Difference(f"bucket {name}", "absent\n", "present\n"),), ("create",), f"the bucket {name} is missing"
        )
    if found.bucket != 200:
        raise Unhealthy(
            f"found the status {found.bucket} for the bucket {name} ({found.said or 'no words'}); wanted 200"
        )
    if found.policy == 200:
        return Plan(
            (Difference(f"policy of the bucket {name}", "present\n", "absent\n"),),
            ("close",),
            f"the bucket {name} has a policy, by which others may read it",
        )
    if found.policy != NONE and found.policy not in NOT_OFFERED:
        raise Unhealthy(f"found the status {found.policy} for the policy of the bucket {name}; wanted 200 or 404")
    return Plan(reason=f"the bucket {name} is there, and private")


def refuse(name: str, url: str, found: Found) -> None:
    """Refuse a bucket of somebody else's store that cannot hold people's files.

    Raises:
        Refusal: the store is not reached, does not know the keys, or has no such bucket.
    """
    said = found.said or f"the status {found.bucket}"
    if not found.bucket:
        cure = (
            "an object store that this host reaches, with a certificate of an authority that is known; set "
            "gpuchat_object_store.url, and its authority_file to a private authority's certificate"
        )
    elif found.bucket == REFUSED:
        cure = (
            "keys that may list, read and write it, and a clock as this host's; set object_store_access_key and "
            "object_store_secret_key"
        )
    elif found.bucket == NONE:
        cure = "a bucket that is there; have it made by its owner, or set gpuchat_object_store.bucket"
    elif found.bucket != 200:
        cure = "the status 200; set gpuchat_object_store.region and path_style as the store has them"
    else:
        return
    raise Refusal(f"found {said} for the bucket {name} at {url}; wanted {cure}")


CORS_METHODS, CORS_HEADER = ("GET", "HEAD", "PUT"), "content-type"
"""What a browser brings files with, and takes them."""


def cors_question(origin: str, method: str) -> dict[str, str]:
    """Return the headers with which a browser asks whether a page may make a request."""
    asked = {"origin": origin, "access-control-request-method": method}
    return {**asked, "access-control-request-headers": CORS_HEADER} if method == "PUT" else asked


def cors_allows(origin: str, method: str, status: int, headers: Mapping[str, str]) -> bool:
    """Return whether a browser takes the answer to that for a yes.

    Args:
        headers: the answer's, by their names in lower case.
    """
    methods = {one.strip().upper() for one in headers.get("access-control-allow-methods", "").split(",")}
    named = {one.strip().lower() for one in headers.get("access-control-allow-headers", "").split(",")}
    is_simple = method in ("GET", "HEAD")
    return (
        200 <= status < 300
        and headers.get("access-control-allow-origin") in (origin, "*")
        and (is_simple or bool({method, "*"} & methods))
        and (is_simple or bool({CORS_HEADER, "*"} & named))
    )


def refuse_cors(name: str, refused: Sequence[tuple[str, str]]) -> None:
    """Refuse a bucket that browsers may not use from the chat's pages.

    Args:
        refused: origins, each with the method that is not allowed.

    Raises:
        Refusal: there are some.
    """
    if refused:
        origins = ", ".join(dict.fromkeys(origin for origin, _method in refused))
        methods = ", ".join(dict.fromkeys(method for _origin, method in refused))
        raise Refusal(
            f"found that the bucket {name} does not allow browsers {methods} from {origins} (CORS); wanted "
            f"{', '.join(CORS_METHODS)} and the header {CORS_HEADER} for each of the site's origins; have its owner "
            "allow that, in S3's words AllowedOrigins, AllowedMethods and AllowedHeaders"
        )


@dataclass(frozen=True)
class Tried:
    """The statuses with which a store has answered attempts at one object.

    Attributes:
        put: a presigned PUT.
        get: a presigned GET.
        same: whether it brought what was put.
        unsigned: a GET without a signature.
        forged: a GET with a wrong signature.
        forged_put: a PUT with a wrong signature.
        missing: a HEAD of an object that is not there.
        removed: the DELETE at the end.
    """

    put: int
    get: int
    same: bool
    unsigned: int
    forged: int
    forged_put: int
    missing: int
    removed: int


def faults(tried: Tried) -> list[str]:
    """Return what a chat could not do with the store."""
    words = []
    if tried.put != 200:
        words.append(f"a presigned PUT got the status {tried.put}, not 200")
    elif tried.get != 200 or not tried.same:
        got = "other bytes" if tried.get == 200 else f"the status {tried.get}"
        words.append(f"a presigned GET got {got}, not what was put")
    if tried.missing != NONE:
        words.append(f"a HEAD of a missing object got the status {tried.missing}, not 404")
    if tried.removed not in (200, 204):
        words.append(f"a DELETE got the status {tried.removed}, not 204")
    return words


def unsafe(tried: Tried) -> list[str]:
    """Return what the store lets strangers do."""
    attempts = {
        "a GET without a signature": tried.unsigned,
        "a GET with a wrong signature": tried.forged,
        "a PUT with a wrong signature": tried.forged_put,
    }
    return [f"{what} got the status {status}, not 403" for what, status in attempts.items() if not 400 <= status < 500]
