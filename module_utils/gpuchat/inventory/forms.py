# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form and the range that each variable's value must have beyond its type."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from . import schedule
from .types import show, written

HOST_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.IGNORECASE)


def is_address(text: str) -> bool:
    """Whether a text is an IP address, without a zone: that is one host's own, and Python takes any text for one."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_network(text: str, strict: bool = True) -> bool:
    """Whether a text is a network or an address, without a zone.

    Args:
        strict: it holds no bits of a host's.
    """
    try:
        ipaddress.ip_network(text, strict=strict)
    except ValueError:
        return False
    return "%" not in text


def is_port(text: str) -> bool:
    return bool(re.fullmatch("[0-9]{1,5}", text)) and 1 <= int(text) <= 65535


def is_host_name(text: str) -> bool:
    """Whether a text is a host name (RFC 1123) or an IP address."""
    if is_address(text):
        return True
    labels = text.split(".")
    return len(text) <= 253 and all(map(HOST_LABEL.fullmatch, labels)) and not labels[-1].isdigit()


def is_site_name(text: str) -> bool:
    """Whether people can open the chat at a name or an address, which one host alone has."""
    if not is_address(text):
        return is_host_name(text)
    address = ipaddress.ip_address(text)
    return not (address.is_unspecified or address.is_multicast or text == "255.255.255.255")


def is_place(text: str) -> bool:
    """Whether a text is a registry's name, with its port where it has one."""
    name, colon, port = text.rpartition(":") if ":" in text else (text, "", "")
    return is_host_name(name) and (not colon or is_port(port))


HUB = "docker.io"
HUBS = frozenset({"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com", "docker.com"})
"""What Docker Hub is called elsewhere."""


def as_images_say(text: str) -> str:
    """Return a registry's name as those of images have it, for they are compared letter by letter."""
    return HUB if text.lower() in HUBS else text.lower()


def is_registry(text: str) -> bool:
    """Whether a text is a registry's name as those of images have it, with its port where it has one."""
    return is_place(text) and text == as_images_say(text)


def is_server(text: str) -> bool:
    """Whether a text names a server that can be asked; a name that a network gives its own hosts may hold _."""
    if is_address(text):
        return not ipaddress.ip_address(text).is_unspecified
    return is_host_name(text.replace("_", "-"))


AT_SERVER = re.compile(
    r"[a-z]+://([^/?#@\s]*@)?(\[(?P<six>[^\]/]*)\]|(?P<host>[^/:?#@\s\[\]]+))(:(?P<port>[^/?#]*))?([/?#].*)?"
)


def is_at_server(url: str) -> bool:
    """Whether an address leads to a server that can be asked: nginx does not start with another, nor with no port."""
    found = AT_SERVER.fullmatch(url)
    if not found or (found["port"] is not None and not is_port(found["port"])):
        return False
    return is_server(found["host"]) if found["host"] else ":" in found["six"] and is_server(found["six"])


def _matches(pattern: str) -> Callable[[str], bool]:
    return lambda text: bool(re.fullmatch(pattern, text))


@dataclass(frozen=True)
class Form:
    """What a text must look like.

    Attributes:
        meant: returns what somebody probably meant by a wrong one, or an empty string.
        may_be_empty: an empty text leaves it to the stack.
    """

    is_right: Callable[[str], bool]
    wanted: str
    example: str
    meant: Callable[[str], str] = lambda _text: ""
    may_be_empty: bool = False


def _thousands(text: str) -> str:
    found = re.fullmatch(r"([0-9]+)(?:\.0)?[ _]?[kK](?:i?[bB]|)", text.strip())
    plain = re.sub(r"\s*(tokens?|users?|people)$", "", text).replace(",", "").replace("_", "").replace(" ", "")
    return str(int(found.group(1)) * 1024) if found else plain if re.fullmatch("0*[1-9][0-9]{0,17}", plain) else ""


def _without_v(text: str) -> str:
    return text[1:] if re.fullmatch(r"[vV][0-9].*", text) else ""


def _three_numbers(text: str) -> str:
    """Return a version of three numbers, by which images are tagged, for one with fewer or with a pattern."""
    found = re.fullmatch(r"[vV]?([0-9]+\.[0-9]+)(\.[x*])?", text)
    return f"{found[1]}.0" if found else _without_v(text)


def _with_scheme(text: str) -> str:
    return f"https://{text}" if text and "://" not in text and is_place(text.partition("/")[0]) else ""


def _without_scheme(text: str) -> str:
    bare = re.sub(r"^[A-Za-z]+://", "", text).rstrip("/")
    return bare if bare != text else ""


QUOTES = " '\"\u00a0\u2018\u2019\u201c\u201d\u201e"
"""What a text that was copied out of a document may have around it."""


def _in_letters_of_dns(text: str) -> str:
    """Return a name with letters of other alphabets as DNS has it (punycode); one that differs by standard as it is."""
    if (
        text.isascii()
        or not all(one.isalnum() or one in "-." for one in text)
        or set(text.lower()) & set("\u00df\u03c2")
    ):
        return text
    try:
        return text.lower().encode("idna").decode()
    except UnicodeError:
        return text


def _host_alone(text: str) -> str:
    text = re.sub(r"[^/:@\s]+", lambda part: _in_letters_of_dns(part[0]), text.strip(QUOTES))
    return _without_address(text) or (text if is_site_name(text) else "")


def _without_address(text: str) -> str:
    found = re.match(r"([A-Za-z]+://)?(\[(?P<six>[0-9A-Fa-f:]+)\]|(?P<name>[^/:]+?)\.?([/:]|$))", text)
    bare = (found["six"] or found["name"]) if found else ""
    return bare if bare != text and is_site_name(bare) else ""


def _is_room(text: str) -> bool:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return False
    return "/" in text and network.is_private and 16 <= network.prefixlen <= 29


URL = Form(
    lambda text: bool(re.fullmatch(r"https?://[^\s/]+(/\S*)?", text)) and is_at_server(text),
    "an address that begins with http:// or https://",
    "https://mirror.example.com",
    _with_scheme,
)
URL_OR_NONE = Form(URL.is_right, URL.wanted, URL.example, URL.meant, may_be_empty=True)


def _bare(text: str) -> str:
    """Return an address without a login and what follows its path."""
    bare = re.sub(r"//[^/]*@", "//", re.split("[?#]", text)[0])
    return bare if URL.is_right(bare) else _with_scheme(text)


PLACE = Form(
    is_registry,
    "a registry as host:port, in small letters and without http://",
    "registry.example.com:5000",
    lambda text: _without_scheme(text) or (as_images_say(text) if is_place(text) else ""),
)
MIRROR = Form(
    lambda text: URL.is_right(text) and not re.search("[@?#]", text),
    "an address that begins with http:// or https://, without a login, ? and #, for Docker does not start with such",
    URL.example,
    _bare,
)
HOST = Form(
    is_site_name, "a host name such as chat.example.com, without https:// or a path", "chat.example.com", _host_alone
)
ADDRESS = Form(is_address, "an IP address", "10.0.0.5", may_be_empty=True)
TOKENS = Form(_matches(r"auto|0*[1-9][0-9]{0,17}"), "auto or a whole number of tokens from 1", "8192", _thousands)
USERS = Form(_matches(r"auto|0*[1-9][0-9]{0,17}"), "auto or a whole number from 1", "10", _thousands)
VERSION = Form(
    _matches(r"(?!.*x$)[0-9]+(\.[0-9]+){2,}[A-Za-z0-9.+_-]*"),
    "a version such as 0.32.0, of three numbers and without a v",
    "0.32.0",
    _three_numbers,
)
_is_numbered = _matches(r"[0-9]+(\.[0-9]+)+[A-Za-z0-9.+_-]*")
PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
REFERENCE = re.compile(
    rf"((?P<registry>[A-Za-z0-9.-]+(\.[A-Za-z0-9-]+|:[0-9]+)|localhost)/)?{PART}(/{PART})*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
"""As the OCI distribution specification has it: a name of small letters, a tag, a digest."""


def _is_image(text: str) -> bool:
    """Whether a text is an image with a tag that stays: its digest is found out, and kept, by the run."""
    found = REFERENCE.fullmatch(text)
    tag = text.rpartition("/")[2].partition(":")[2]
    stays = "@" not in text and tag not in ("", "latest")
    return found is not None and stays and (not found["registry"] or is_place(found["registry"]))


def _small(text: str) -> str:
    """Return an image with the letters that its name may have, and without a digest."""
    bare = (_without_scheme(text) or text).partition("@")[0]
    name, colon, tag = bare.rpartition(":")
    right = f"{name.lower()}:{tag}" if colon and "/" not in tag else bare.lower()
    return right if right != text and _is_image(right) else ""


IMAGE = Form(
    _is_image,
    "an image such as docker.io/library/debian:13, in small letters, without https://, with a tag that stays and "
    "without a digest, which the run finds out by itself",
    "docker.io/library/debian:13",
    _small,
)


def _is_ours_to_name(text: str) -> bool:
    """Whether a path is one that a stack may fill and remove: no folder of the system's, and no way out of it."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    is_systems = len(parts) < 2 and (not parts or text.startswith("~") or parts[0] in SYSTEM_FOLDERS)
    return text[:1] in ("/", "~") and ".." not in parts and not is_systems


SYSTEM_FOLDERS = frozenset("bin boot dev etc home lib lib64 proc root run sbin sys tmp usr var".split())
ABSOLUTE = Form(
    _is_ours_to_name,
    "a path that begins with /, without .., and is no folder of the system's",
    "/srv/models/qwen3-8b",
)
SMALLEST = 1024
"""Bytes of the smallest size that somebody means: a number without a unit is one of bytes."""


def _is_size(text: str) -> bool:
    found = re.fullmatch(r"0{0,8}([1-9][0-9]{0,8})([kKmMgG]?)", text)
    return found is not None and (bool(found[2]) or int(found[1]) >= SMALLEST)


def _meant_size(text: str) -> str:
    """Return a size as it is written here: of 100 MB, 1.5G or 2T, or of a number alone, by which people mean MB."""
    found = re.fullmatch(r"\s*([0-9]{1,6})(?:\.([0-9]))?\s*([kmgt]?)(i?b|bytes?)?\s*", text.lower())
    if not found:
        return ""
    unit = found[3] or "m"
    number = int(found[1])
    if found[2] or unit == "t":
        number, unit = int(float(f"{found[1]}.{found[2] or 0}") * 1024), {"t": "g", "g": "m", "m": "k"}.get(unit, "")
    return f"{number}{unit}" if _is_size(f"{number}{unit}") else ""


SIZE = Form(_is_size, "a size with its unit (k, m or g), such as 50m", "50m", _meant_size)
UNITS = ("w", "d", "h", "m", "s", "ms")
_is_time = _matches(r"(?=.*[1-9])(?!.*[0-9]{10})([0-9]+|(?=.)" + "".join(f"([0-9]+{unit})?" for unit in UNITS) + ")")
TIME = Form(
    _is_time,
    "a time above 0 in one word, the longest unit first, such as 30m or 1h30m",
    "30m",
    lambda text: text.replace(" ", "") if _is_time(text.replace(" ", "")) else "",
)
"""As nginx takes it (ngx_parse_time)."""

BYTES: Mapping[str, float] = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
SECONDS: Mapping[str, float] = {"": 1, "w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}


def amount(text: str, units: Mapping[str, float]) -> float:
    """Return a sound size in bytes, or a sound time in seconds."""
    return sum(int(number) * units[unit.lower()] for number, unit in re.findall("([0-9]+)([A-Za-z]*)", text))


def _of_clock(text: str) -> str:
    """Return the time that YAML 1.1 read as a number of base 60."""
    number = int(text) if re.fullmatch("[1-9][0-9]{1,4}", text) else 0
    if 24 * 60 <= number < 24 * 60 * 60:
        return f"'{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}'"
    return f"'{number // 60:02}:{number % 60:02}'" if 60 <= number < 24 * 60 else ""


BUCKET_OF_S3 = re.compile(r"s3:(https?://|//)?(?P<server>[^/\s@]*[^/\s@:])/+[^/\s]\S*")


def _is_backup_target(text: str) -> bool:
    if text.startswith("s3:"):
        found = BUCKET_OF_S3.fullmatch(text)
        # restic takes what follows s3:// for a server or a region, where others have the bucket.
        is_server = found is not None and bool(re.search("[.:]|^[a-z]{2}(-[a-z]+)+-[0-9]$", found["server"]))
        return found is not None and (is_server or not text.startswith("s3://"))
    if re.fullmatch(r"(sftp|rest|rclone):(?!\S*//[^/\s]*:[^/\s]*@)\S+", text):
        return True
    is_inside = any(f"{text}/".startswith(f"{one}/") for one in ("/etc/gpuchat", "/var/lib/gpuchat"))
    return bool(re.fullmatch(r"/\S+", text)) and _is_ours_to_name(text) and not is_inside


def _is_kept_time(text: str) -> bool:
    """Whether a text is a time of Prometheus's, which counts it in nanoseconds, up to a hundred years."""
    found = re.fullmatch("([1-9][0-9]{0,5})([hdwy])", text)
    return found is not None and int(found[1]) <= {"h": 876_000, "d": 36_500, "w": 5_200, "y": 100}[found[2]]


MODEL_PATH = Form(
    lambda text: text.startswith("/") and ":" not in text and _is_ours_to_name(text),
    "a path that begins with /, without .. and :, and is no folder of the system's",
    "/srv/models/qwen3-8b",
    lambda text: text.replace(":", "-") if text.startswith("/") and _is_ours_to_name(text) else "",
)
"""A colon would end it where a container is lent it."""


def _is_rate(text: str) -> bool:
    """Whether a text is a rate as the download reads it (``model/plan.py``)."""
    found = re.fullmatch(r"\s*([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([kKMG]?)(i?B)?(/s)?\s*", text)
    return found is not None and float(found[1]) * (1000 if found[2] else 1) >= SLOWEST


SLOWEST = 1000
"""Bytes a second of the slowest rate that somebody means (``model/plan.py``)."""

RATE = Form(
    _is_rate,
    "a rate in bytes per second with its unit (K, M or G), such as 50M",
    "50M",
    lambda text: next((one for one in (text.upper(), f"{text}M") if _is_rate(one)), ""),
    may_be_empty=True,
)
FINGERPRINT = Form(
    _matches(r"([0-9A-Fa-f]{2} ?){16,32}"),
    "a fingerprint of 40 hexadecimal digits",
    "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
    may_be_empty=True,
)
WORD = Form(_matches(r"[A-Za-z0-9][A-Za-z0-9._-]*"), "one word", "hermes", may_be_empty=True)
VERSION_PATTERN = Form(
    _matches(r"[0-9][0-9A-Za-z.:+~*-]*"),
    "a version such as 29.1.3 or 29.1.*, without a v",
    "29.1.3",
    _without_v,
    may_be_empty=True,
)
EMAIL = Form(_matches(r"[^\s@,]+@[^\s@,]+"), "an address of electronic mail", "admin@example.com")
FLAGS = Form(
    _matches(r"\s*([+-][a-z_]+\s*(,\s*[+-][a-z_]+\s*)*)?"),
    "flags such as -market,+changelog",
    "-market",
    may_be_empty=True,
)


def _repo_alone(text: str) -> str:
    """Return the model's name out of the address of its page, or out of what other programs call it."""
    hub = r"(https?://([^/@\s]*@)?)?([\w-]+(\.[\w-]+)+/)(models/)?"
    found = re.fullmatch(rf"({hub})?(?P<repo>[A-Za-z0-9][\w.-]*/[\w.-]+?)(\.git)?/*([/@:?#].*)?", text)
    return found["repo"] if found else ""


LINUX_USER = Form(_matches(r"[a-z_][a-z0-9_.-]*\$?"), "the name of a user", "alice", may_be_empty=True)
TEXT = Form(lambda text: bool(text.strip()), "a text", "hello")
PLAIN_NAME = Form(
    _matches(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}"), "a name of up to 200 letters, digits and . _ : / -", "qwen3-8b"
)
REPO = Form(
    _matches(r"[A-Za-z0-9][\w.-]*/[\w.-]+"),
    "the model's name on its hub, as OWNER/NAME",
    "Qwen/Qwen3-8B",
    _repo_alone,
)
ASKED_URL = Form(
    lambda text: (
        bool(re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/?=&%+:@,-]*)?", text))
        and is_at_server(text)
    ),
    "an address that begins with https://, with a name and a port that there can be, and holds letters, digits and "
    ". _ ~ / ? = & % + : @ , - alone",
    "https://auth.example.com/api/verify",
    _with_scheme,
    may_be_empty=True,
)
"""It stands in nginx's configuration."""

SUITE = Form(_matches(r"\S+"), "a suite of the repository, such as /", "/")

PACKAGE = Form(_matches(r"[A-Za-z0-9@][^\s]*"), "the name of a package, in one word", "nvidia-driver-cuda")
REQUIREMENT = Form(_matches(r"[A-Za-z0-9/.]([^\n]*\S)?"), "packages as pip knows them, and no options", "vllm==0.32.0")

OF_FILES: Mapping[str, Form] = {
    "path": MODEL_PATH,
    "revision": Form(
        _matches(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/+-]*"), "a branch, a tag or a commit", "main", may_be_empty=True
    ),
    "include": Form(_matches(r"\S([^\t\n]*\S)?"), "a pattern of one line", "*.safetensors"),
    "exclude": Form(_matches(r"\S([^\t\n]*\S)?"), "a pattern of one line", "*.bin"),
    "endpoints": URL,
}
"""Of a model, and of an adapter."""

FORMS: Mapping[str, Form] = {
    "gpuchat_domain": HOST,
    "gpuchat_models.name": PLAIN_NAME,
    "gpuchat_models.aliases": PLAIN_NAME,
    "gpuchat_models.adapters.name": Form(
        _matches(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"), "a name of up to 100 letters, digits and . _ -", "sql"
    ),
    **{f"gpuchat_models.{part}": form for part, form in OF_FILES.items()},
    **{f"gpuchat_models.adapters.{part}": form for part, form in OF_FILES.items()},
    "gpuchat_models.users": USERS,
    "gpuchat_models.context": TOKENS,
    "gpuchat_models.version": Form(VERSION.is_right, VERSION.wanted, VERSION.example, VERSION.meant, may_be_empty=True),
    "gpuchat_models.image": Form(IMAGE.is_right, IMAGE.wanted, IMAGE.example, IMAGE.meant, may_be_empty=True),
    "gpuchat_users": USERS,
    "gpuchat_context": TOKENS,
    "gpuchat_toolbox": ABSOLUTE,
    "gpuchat_registry_mirrors": MIRROR,
    "gpuchat_insecure_registries": PLACE,
    "gpuchat_folder": Form(ABSOLUTE.is_right, ABSOLUTE.wanted, "/srv/gpuchat", may_be_empty=True),
    "gpuchat_room_network": Form(
        _is_room, "a private IPv4 network of 8 addresses or more that nobody else uses", "172.16.255.248/29"
    ),
    "gpuchat_secrets_file": ABSOLUTE,
    "gpuchat_authority_file": ABSOLUTE,
    "gpuchat_lock_file": ABSOLUTE,
    "gpuchat_report_file": ABSOLUTE,
    "docker_version": VERSION_PATTERN,
    "docker_repository_url": URL,
    "docker_repository_key_url": URL_OR_NONE,
    "docker_repository_key_fingerprint": FINGERPRINT,
    "docker_data_root": Form(ABSOLUTE.is_right, ABSOLUTE.wanted, "/srv/docker", may_be_empty=True),
    "docker_log_max_size": SIZE,
    "edge_extra_names": HOST,
    "edge_forward_auth": ASKED_URL,
    "edge_forward_auth_signin": ASKED_URL,
    "edge_forward_auth_headers": Form(
        _matches(r"[A-Za-z][A-Za-z0-9-]{0,63}"), "names of headers, of letters, digits and -", "Remote-User"
    ),
    "edge_api_origins": Form(
        _matches(r"\*|[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"),
        "a page's origin, which is its scheme, name and port in small letters without a path, or *",
        "https://app.example.com",
        lambda text: "/".join(text.lower().split("/")[:3]) if "://" in text else "",
    ),
    "edge_acme_directory": Form(
        lambda text: text.startswith("https://") and URL.is_right(text),
        "an address that begins with https://",
        "https://acme-v02.api.letsencrypt.org/directory",
        _with_scheme,
    ),
    "edge_acme_email": Form(EMAIL.is_right, EMAIL.wanted, EMAIL.example, may_be_empty=True),
    "edge_acme_eab_kid": Form(
        _matches(r"[A-Za-z0-9._~+/=:-]+"), "the key's id, as the directory's owner gave it", "kid-1", may_be_empty=True
    ),
    "door_body_limit": SIZE,
    "door_stream_timeout": TIME,
    "edge_body_limit": SIZE,
    "edge_stream_timeout": TIME,
    "account_email": EMAIL,
    "account_name": Form(_matches(r"\S([^\t\n]{0,126}\S)?"), "a name of one line", "Kim", may_be_empty=True),
    "gpuchat_admin_email": EMAIL,
    "history_email": EMAIL,
    "backup_target": Form(
        # What it holds stands in the journal and in diffs.
        _is_backup_target,
        "a path that begins with / and is no folder of the system's or the stack's, or one of restic's repositories "
        "sftp:USER@HOST:/PATH, s3:URL/BUCKET, rest:URL and rclone:REMOTE:PATH, without a password, which belongs into "
        "backup_secret_environment",
        "/srv/backup",
        may_be_empty=True,
    ),
    "backup_at": Form(
        lambda text: schedule.read(text) is not None,
        "a time in quotes, or what OnCalendar of systemd takes, such as Sun 03:00, on a day that there is",
        "'03:00'",
        _of_clock,
    ),
    "postgresql_packages": PACKAGE,
    "postgresql_major": Form(_matches(r"auto|[1-9][0-9]"), "auto, or a number such as 17", "17"),
    "object_store_version": Form(
        _matches(r"[0-9][0-9A-Za-z.+-]*"), "a version such as 1.0.0-rc.3, without a v", "1.0.0-rc.3", _without_v
    ),
    "gpuchat_signup_emails": Form(
        _matches(r"([^\s@,*]+@)?[^\s@,*]+\.[^\s@,*]+"),
        "an address of electronic mail or its domain, without *",
        "example.com",
        lambda text: text.lstrip("*@.") if re.fullmatch(r"[*@.]+[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", text) else "",
    ),
    "lobehub_version": Form(_is_numbered, "a version such as 2.2.19, without a v", "2.2.19", _without_v),
    "lobehub_image": IMAGE,
    "lobehub_feature_flags": FLAGS,
    "open_webui_version": Form(_is_numbered, "a version such as 0.12.4, without a v", "0.12.4", _without_v),
    "open_webui_image": IMAGE,
    "object_store_image": IMAGE,
    "model_token_for": URL_OR_NONE,
    "model_rate_limit": RATE,
    "monitoring_retention_time": Form(_is_kept_time, "hours, days, weeks or years, 100 years at most, as 30d", "30d"),
    "monitoring_retention_size": Form(_matches(r"[1-9][0-9]{0,5}(MB|GB|TB)"), "MB, GB or TB, as 10GB", "10GB"),
    "nvidia_driver_branch": Form(_matches(r"[0-9]{3,4}"), "a branch such as 580", "580"),
    "nvidia_driver_kernel": WORD,
    "nvidia_driver_packages": PACKAGE,
    "nvidia_driver_repository_url": URL,
    "nvidia_driver_repository_key_url": URL_OR_NONE,
    "nvidia_driver_repository_key_fingerprint": FINGERPRINT,
    "nvidia_container_toolkit_version": Form(
        _matches(r"[0-9][0-9A-Za-z.+~*-]*"), "a version such as 1.20.0-1, without a v", "1.20.0-1", _without_v
    ),
    "nvidia_container_toolkit_repository_url": URL,
    "nvidia_container_toolkit_repository_suite": SUITE,
    "nvidia_container_toolkit_repository_key_url": URL,
    "nvidia_container_toolkit_repository_key_fingerprint": FINGERPRINT,
    "nvidia_container_toolkit_rootless_user": LINUX_USER,
    "nvidia_container_toolkit_trial_image": IMAGE,
    "toolbox_python": Form(ABSOLUTE.is_right, ABSOLUTE.wanted, "/usr/bin/python3", ABSOLUTE.meant),
    "toolbox_trusted_hosts": Form(is_place, "a host, without http://", "packages.example.com", _without_scheme),
    "uv_trusted_hosts": Form(is_place, "a host, without http://", "packages.example.com", _without_scheme),
    "uv_python": Form(
        lambda text: text == "auto" or _is_ours_to_name(text), "auto, or the path of a Python", "/usr/bin/python3.12"
    ),
    "uv_torch_backend": Form(_matches(r"[a-z]+[0-9.]*"), "auto, none, or a word of uv's such as cu129", "cu129"),
    "vllm_cpu_index_url": URL_OR_NONE,
    "verify_address": ADDRESS,
    "verify_outside_address": ADDRESS,
    "verify_question": TEXT,
    "vllm_version": VERSION,
    "vllm_image": IMAGE,
    "vllm_cpu_image": IMAGE,
    "vllm_packages": REQUIREMENT,
    "vllm_cpu_packages": REQUIREMENT,
    "vllm_tool_call_parser": WORD,
    "vllm_reasoning_parser": WORD,
}

PORT = (1, 65535)
RANGES: Mapping[str, tuple[int, int]] = {
    "gpuchat_vllm_port": PORT,
    "gpuchat_metrics_port": PORT,
    "gpuchat_span_port": (1, 65534),  # the next one is its too
    "gpuchat_interface_port": PORT,
    "docker_minimum_free_gib": (0, 1_000_000),
    "podman_minimum_free_gib": (0, 1_000_000),
    "uv_minimum_free_gib": (0, 1_000_000),
    "docker_log_max_files": (1, 1000),
    "edge_http_port": PORT,
    "edge_https_port": PORT,
    "door_requests": (1, 65_535),
    "edge_api_rate": (1, 1_000_000),
    "edge_api_burst": (0, 1_000_000),
    "edge_api_connections": (1, 65_535),  # limit_conn takes no more
    "edge_api_answers": (1, 100_000),
    "backup_max_age_hours": (1, 100_000),
    "exporters_state_seconds": (5, 3600),
    "firewall_undo_seconds": (5, 3600),
    "upgrade_drain_seconds": (0, 86_400),
    "upgrade_silence_seconds": (0, 86_400),
    "watchdog_busy_seconds": (1, 86_400),
    "watchdog_probe_seconds": (1, 3600),
    "watchdog_restarts_per_hour": (0, 1000),
    "watchdog_window_seconds": (1, 3600),
    "load_users": (1, 500),
    "load_seconds": (1, 3600),
    "load_prompt_tokens": (1, 1_000_000),
    "load_answer_tokens": (1, 1_000_000),
    "lobehub_uid": (1, 2**31 - 1),
    "model_workers": (1, 1024),
    "monitoring_scrape_seconds": (5, 300),
    "monitoring_prometheus_port": PORT,
    "monitoring_alertmanager_port": PORT,
    "monitoring_relay_port": PORT,
    "object_store_uid": (1, 2**31 - 1),
    "open_webui_uid": (1, 2**31 - 1),
    "model_connections_per_file": (1, 1024),
    "verify_open_ports": PORT,
    "vllm_max_model_len": (0, 10**9),
    "vllm_cpu_kv_cache_gib": (1, 100_000),
    "vllm_uid": (1, 2**31 - 1),
    "vllm_start_seconds": (0, 86_400),
    "vllm_stop_seconds": (0, 86_400),
}


def faults(name: str, value: object) -> Iterator[str]:
    """Say what is wrong with a value of the right type; of a list, with each of its elements."""
    plain = re.sub(r"\[[0-9]+\]", "", name)
    if isinstance(value, Mapping):
        yield from _faults_of_names(name, plain, value)
    elif isinstance(value, (list, tuple)) and any(isinstance(one, Mapping) for one in value):
        for place, one in enumerate(value):
            yield from faults(f"{name}[{place}]", one) if isinstance(one, Mapping) else ()
    elif name in RANGES:
        low, high = RANGES[name]
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if not low <= int(str(number)) <= high:
                what = "a port" if RANGES[name] is PORT else "a whole number"
                yield f"{_holds(name, value, number)}; wanted {what} from {low} to {high}; set {name} to one"
    elif plain in FORMS:
        form = FORMS[plain]
        for text in map(str, value) if isinstance(value, (list, tuple)) else [str(value)]:
            if not (text == "" and form.may_be_empty and text == value) and not form.is_right(text):
                meant = form.meant(text) if text.isprintable() else ""
                right = written([meant or form.example]) if isinstance(value, (list, tuple)) else meant or form.example
                yield f"{_holds(name, value, text)}; wanted {form.wanted}; set {name} to {right}"


def _faults_of_names(name: str, plain: str, value: Mapping[object, object]) -> Iterator[str]:
    for part, one in value.items():
        yield from faults(f"{name}.{part}", one)
    if name == "gpuchat_registry_map":
        yield from _registry_map(value)
    elif plain.endswith("environment"):
        yield from environment_faults(name, value)
    elif name == "backup_keep":
        yield from _kept(value)
    elif name == "postgresql_settings":
        yield from _settings(name, value)


def _holds(name: str, value: object, one: object) -> str:
    return f"{name} holds {show(one)}" if isinstance(value, (list, tuple)) else f"{name} is {show(one)}"


def environment_faults(name: str, value: Mapping[object, object]) -> Iterator[str]:
    """Say what is wrong with an environment: names that no process takes, and values that are no texts."""
    for key, one in value.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", str(key)):
            yield (
                f"{name} holds the name {show(key)}; wanted letters, digits and _, no digit first; set {name} to names "
                "with their values, such as {OMP_NUM_THREADS: '8'}"
            )
        elif one is None or isinstance(one, (Mapping, list, tuple)):
            yield f"{name}.{key} is no text; wanted one; set {name}.{key} to a text in quotes"


KEPT = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


def _kept(value: Mapping[object, object]) -> Iterator[str]:
    for key, one in value.items():
        if key not in KEPT or not re.fullmatch(r"[0-9]{1,6}", str(one)) or isinstance(one, bool):
            yield (
                f"backup_keep holds {show(key)}: {show(one)}; wanted how many of {', '.join(KEPT)} are kept, as whole "
                "numbers; set backup_keep to {daily: 7, weekly: 5, monthly: 12}"
            )
    if not any(str(one).strip("0") for one in value.values()):
        yield f"backup_keep is {show(dict(value))}, which keeps nothing; set backup_keep to {{daily: 7}} or more"


def _settings(name: str, value: Mapping[object, object]) -> Iterator[str]:
    for key, one in value.items():
        is_one = isinstance(one, (str, int, float)) and "\n" not in str(one)
        if not re.fullmatch(r"[a-z_][a-z0-9_.]*", str(key)) or not is_one:
            yield (
                f"{name} holds {show(key)}: {show(one)}; wanted names of settings, each with one value; set {name} to "
                "such as {max_connections: 200}"
            )


IN_IMAGES = re.compile(r"[.:]|^localhost$")
"""What tells a registry from the owner of an image at Docker Hub."""

REGISTRIES = (HUB, "ghcr.io", "quay.io", "nvcr.io", "gcr.io", "registry.k8s.io")


def _registry_map(value: Mapping[object, object]) -> Iterator[str]:
    for registry, instead in value.items():
        key, target = str(registry), str(instead)
        if not is_registry(key) or not IN_IMAGES.search(key):
            named = as_images_say((_without_scheme(key) or key).partition("/")[0])
            named = next((one for one in REGISTRIES if one.startswith(f"{named}.")), named)
            right = named if is_registry(named) and IN_IMAGES.search(named) else HUB
            yield (
                f"gpuchat_registry_map holds {show(key)}; wanted the name of a registry as images have it, in small "
                "letters, without http:// or a path; set gpuchat_registry_map to "
                f"{{{right}: {_without_scheme(target) or target}}}"
            )
        if (
            not isinstance(instead, str)
            or not is_place(target.partition("/")[0])
            or not re.fullmatch(rf"({PART}(/{PART})*/?)?", target.partition("/")[2])
        ):
            right = (_without_scheme(target) or target).lower() if isinstance(instead, str) else ""
            right = right if is_place(right.partition("/")[0]) else "registry.example.com/hub"
            more = ", and name it in gpuchat_insecure_registries too" if target.startswith("http://") else ""
            yield (
                f"gpuchat_registry_map holds {show(instead)} for {key}; wanted a registry's name, with a folder where "
                f"it has one, in small letters, without http://; set gpuchat_registry_map to {{{key}: {right}}}{more}"
            )
