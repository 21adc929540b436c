# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub's faults do what they say: the tests of our own download lean on it."""

from __future__ import annotations

import http.client
import urllib.parse

import pytest
from conftest import SHARD
from hub import Access, Hub
from hub_faults import Fault, Step, parse_range, repeated, steps

WEIGHTS = "acme/demo/model-00001-of-00002.safetensors"


def get(address: str, *, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """Send one request and return the answer with as much of its body as came."""
    parts = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", headers=headers)
        answer = connection.getresponse()
        try:
            return answer, answer.read()
        except http.client.IncompleteRead as error:
            return answer, error.partial
        except ConnectionResetError:
            return answer, b""
    finally:
        connection.close()


@pytest.fixture
def content(models) -> bytes:
    return (models / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    ("fault", "asked", "status", "expected"),
    [
        (None, "", 200, slice(0, SHARD)),
        (None, "bytes=10-19", 206, slice(10, 20)),
        (None, "bytes=2999990-", 206, slice(SHARD - 10, SHARD)),
        (None, "bytes=-5", 206, slice(SHARD - 5, SHARD)),
        (None, "bytes=3000000-", 416, slice(0, 0)),
        (Fault("cut", at=4096), "", 200, slice(0, 4096)),
        (Fault("cut", at=0), "", 200, slice(0, 0)),
        (Fault("cut", at=4096), "bytes=5000-5099", 206, slice(5000, 5100)),
        (Fault("cut", at=7, relative=True), "bytes=5000-5099", 206, slice(5000, 5007)),
        (Fault("ignore_range"), "bytes=10-19", 200, slice(0, SHARD)),
        (Fault("shift", length=3), "bytes=10-19", 206, slice(13, 20)),
        (Fault("stall", at=5, seconds=0.01), "bytes=0-9", 206, slice(0, 10)),
        (Fault("slow", rate=10_000_000), "bytes=0-9", 206, slice(0, 10)),
        (Fault("wrong", "acme/other/*"), "bytes=0-9", 206, slice(0, 10)),
    ],
)
def test_a_request_gets_these_bytes(models, content, fault, asked, status, expected):
    with Hub(models, faults=[fault] if fault else []) as hub:
        answer, body = get(f"{hub.url}/plain/{WEIGHTS}", **({"Range": asked} if asked else {}))
        assert (answer.status, body) == (status, content[expected])


def test_a_short_body_agrees_with_its_length(models, content):
    with Hub(models, faults=[Fault("short", at=1000)]) as hub:
        answer, body = get(f"{hub.url}/plain/{WEIGHTS}", Range="bytes=500-1999")
    assert (answer.headers["Content-Length"], answer.headers["Content-Range"]) == ("500", f"bytes 500-1999/{SHARD}")
    assert body == content[500:1000]


def test_wrong_bytes_are_wrong_where_they_should_be(models, content):
    with Hub(models, faults=[Fault("wrong", at=100, length=3)]) as hub:
        _answer, body = get(f"{hub.url}/plain/{WEIGHTS}")
    assert [at for at in range(SHARD) if body[at] != content[at]] == [100, 101, 102]


def test_a_reset_connection_gives_less_than_promised(models):
    with Hub(models, faults=[Fault("reset", at=1_000_000)]) as hub:
        _answer, body = get(f"{hub.url}/plain/{WEIGHTS}")
    assert len(body) <= 1_000_000


def test_a_status_comes_as_often_as_asked_and_after_what_is_skipped(models):
    faults = [Fault("status", status=429, retry_after="2", skip=1, times=2)]
    with Hub(models, faults=faults) as hub:
        answers = [get(f"{hub.url}/plain/{WEIGHTS}", Range="bytes=0-0")[0] for _n in range(4)]
    assert [answer.status for answer in answers] == [206, 429, 429, 206]
    assert answers[1].headers["Retry-After"] == "2"


@pytest.mark.parametrize("stage", ["api", "resolve", "bytes"])
def test_a_fault_strikes_at_its_own_stage(models, stage):
    with Hub(models, faults=[Fault("status", stage=stage)]) as hub:
        listing, _body = get(f"{hub.url}/api/models/acme/demo/tree/main")
        redirect, _body = get(f"{hub.url}/acme/demo/resolve/main/config.json")
        plain, _body = get(f"{hub.url}/plain/{WEIGHTS}")
    statuses = {"api": listing.status, "resolve": redirect.status, "bytes": plain.status}
    assert [name for name, status in statuses.items() if status == 503] == [stage]


def signed(hub: Hub) -> str:
    answer, _body = get(f"{hub.url}/acme/demo/resolve/main/{WEIGHTS.rpartition('/')[2]}")
    return answer.headers["Location"]


@pytest.mark.parametrize("fault", [Fault("expire", requests=1, times=1), Fault("expire", at=10, times=1)])
def test_a_signed_address_expires_and_a_fresh_one_holds(models, fault):
    with Hub(models, faults=[fault]) as hub:
        first, second = signed(hub), signed(hub)
        assert [get(first, Range="bytes=0-9")[0].status for _n in range(2)] == [206, 403]
        assert [get(second, Range="bytes=0-9")[0].status for _n in range(2)] == [206, 206]


def test_the_cdn_takes_its_own_signature_only_and_no_token(models):
    with Hub(models, access=Access(tokens={"reader": ["*"]})) as hub:
        address = signed(hub)
        assert urllib.parse.urlsplit(address).hostname != urllib.parse.urlsplit(hub.url).hostname
        assert get(address.replace("00001-of", "00002-of"))[0].status == 403
        assert get(address[:-1] + ("0" if address[-1] != "0" else "1"))[0].status == 403
        assert get(address, Authorization="Bearer reader")[0].status == 400
        assert get(address)[0].status == 200


def test_text_is_compressed_for_who_accepts_it_and_then_knows_no_range(models):
    with Hub(models) as hub:
        redirect, _body = get(f"{hub.url}/acme/demo/resolve/main/README.md")
        address = hub.url + redirect.headers["Location"]
        assert (redirect.status, get(address, Range="bytes=0-1")[1]) == (307, b"# ")
        packed, _body = get(address, **{"Accept-Encoding": "gzip, deflate"})
        assert (packed.headers["Content-Encoding"], packed.headers["Content-Length"]) == ("gzip", None)


def test_files_of_modelscopes_git_know_no_range(models):
    with Hub(models) as hub:
        answer, body = get(f"{hub.url}/api/v1/models/acme/demo/repo?FilePath=config.json", Range="bytes=5-")
        assert (answer.status, body) == (200, (models / "acme/demo/config.json").read_bytes())


def test_large_files_can_come_from_another_server_of_the_tree(models):
    with Hub(models, files_url="http://files.example/models/") as hub:
        assert signed(hub) == f"http://files.example/models/{WEIGHTS}"


def test_nothing_outside_the_models_is_served(models, tmp_path):
    (tmp_path / "secret").write_text("secret")
    with Hub(models) as hub:
        for path in ("plain/acme/demo/..%2f..%2f..%2fsecret", "plain/..%2f../secret", "api/v1/models/acme/demo/repo"):
            answer, body = get(f"{hub.url}/{path}?FilePath=../../../secret&Revision=master")
            assert (answer.status, b"secret" in body and b"does not exist" not in body) == (404, False)


def test_the_log_tells_what_went_out_twice(models):
    with Hub(models) as hub:
        for asked in ("bytes=0-99", "bytes=50-149", "bytes=200-299"):
            get(f"{hub.url}/plain/{WEIGHTS}", Range=asked)
        assert (hub.log.bytes_sent(WEIGHTS), hub.log.repeated_bytes()) == (300, 50)


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ([], [Step("send", 10, 100)]),
        ([Fault("wrong", at=50, length=2)], [Step("send", 10, 50), Step("flip", 50, 52), Step("send", 52, 100)]),
        ([Fault("wrong", at=99, length=9)], [Step("send", 10, 99), Step("flip", 99, 100)]),
        (
            [Fault("cut", at=60), Fault("stall", at=20, seconds=1)],
            [Step("send", 10, 20), Step("stall", seconds=1), Step("send", 20, 60), Step("cut")],
        ),
        ([Fault("reset", at=10)], [Step("reset")]),
        ([Fault("slow"), Fault("ignore_range")], [Step("send", 10, 100)]),
    ],
)
def test_faults_make_these_steps_of_a_body(faults, expected):
    assert steps(10, 100, faults) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-", (0, 10)),
        ("bytes=3-5", (3, 6)),
        ("bytes=3-50", (3, 10)),
        ("bytes=-4", (6, 10)),
        ("bytes=-40", (0, 10)),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
    ],
)
def test_a_range_header_means_these_bytes(header, expected):
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=0-", 0), ("bytes=5-3", 10), ("bytes=-0", 10)])
def test_a_range_without_a_byte_is_refused(header, size):
    with pytest.raises(ValueError, match="bytes"):
        parse_range(header, size)


@pytest.mark.parametrize(
    ("spans", "count"), [([], 0), ([(0, 5), (5, 9)], 0), ([(0, 5), (3, 9)], 2), ([(0, 9), (2, 3), (2, 4)], 3)]
)
def test_bytes_sent_twice_are_counted(spans, count):
    assert repeated(spans) == count
