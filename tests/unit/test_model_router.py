# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which model a request names in its body, as nginx's perl module reads it, without nginx."""

from __future__ import annotations

import json
import pathlib
import resource
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "roles" / "nginx" / "files"
FIND = """
binmode STDIN; binmode STDOUT; local $/; my $text = <STDIN>;
print join "\\0", map { defined $_ ? $_ : "" } gpuchat_model::find(\\$text, @ARGV);
"""
FORM = "multipart/form-data; boundary=edge"
AUDIO = "/v1/audio/transcriptions"


def find(body, kind="application/json", path="/v1/completions"):
    """Return why there is no model, the model, and what of the body would be replaced."""
    body = body if isinstance(body, bytes) else body.encode()
    command = ["perl", "-w", "-I", str(FOLDER), "-Mgpuchat_model", "-e", FIND, kind, path]
    done = subprocess.run(command, input=body, capture_output=True, check=True)
    assert done.stderr == b""
    fault, name, start, end = (done.stdout.split(b"\0") + [b""] * 3)[:4]
    return fault.decode(), name.decode(), body[int(start) : int(end)].decode() if end else ""


def form(*fields, ending="--\r\n"):
    """Return a form with fields, each as what follows its name's word, and its value."""
    parts = (
        f"--edge\r\nContent-Disposition: form-data; {parameters}\r\n\r\n{value}\r\n" for parameters, value in fields
    )
    return "".join(parts) + "--edge" + ending


NAMED = [
    ('{"model":"q"}', "q"),
    (' \r\n\t{ "model" \n:\t"q" } \r\n', "q"),
    ('{"messages":[],"model":"q"}', "q"),
    ('{"model":"q","stream":true,"n":1,"x":null,"y":-1.5e+3,"z":false}', "q"),
    ('{"x":{"model":"inner"},"model":"q"}', "q"),
    ('{"model":"q","x":{"model":"inner"}}', "q"),
    ('{"x":[{"model":"inner"},["model",{"a":{"model":1}}]],"model":"q"}', "q"),
    ('{"x":"\\"model\\":\\"inner\\"","model":"q"}', "q"),
    ('{"x":"model","model":"q"}', "q"),
    ('{"x":"}","y":"]","z":["}]","{"],"model":"q"}', "q"),
    ('{"x":"\\\\","model":"q"}', "q"),
    ('{"x":["\\\\","\\""],"model":"q"}', "q"),
    ('{"models":"inner","my_model":"inner","model_name":"inner","model":"q"}', "q"),
    ('{"model":"q","a":-0,"b":1E9,"c":NaN,"d":-Infinity,"e":[-1.5e-3,true,false,null,NaN],"f":0.1}', "q"),
    ('{"x":"// # /* \\/* \'","model":"q"}', "q"),
    ('{"x":["// # /* \\/* \'"],"model":"q"}', "q"),
    ('{"\\u006do\\u0064el":"q"}', "q"),
    ('{"model":"org\\/Qwen3-8B"}', "org/Qwen3-8B"),
    ('{"model":"\\u0071\\u0057\\u0045\\u004e"}', "qWEN"),
    ('{"model":"a\\"b\\\\c\\td"}', 'a"b\\c\td'),
    ('{"model":"\\u00fc\\u6a21\\ud83d\\ude00"}', "ü模😀"),
    ('{"model":"ü模😀"}', "ü模😀"),
    ('{"model":"\\ud83d"}', "\ufffd"),
    ('{"model":"$engine_authorization"}', "$engine_authorization"),
    ('{"model":"q\\n"}', "q\n"),
    ('{"model":"' + "q" * 4096 + '"}', "q" * 4096),
    (json.dumps({"x": 'say "hi"\n' * 100_000, "model": "q"}), "q"),
    (json.dumps({"x": ['say "hi"\n' * 100_000, {}], "model": "q"}), "q"),
    (json.dumps({"x": [[index] * 9 for index in range(50_000)], "model": "q"}), "q"),
]
"""Bodies, and the names of the models that are read from them."""

DEEP = '{"x":' + "[" * 100_000 + "]" * 100_000 + ',"model":"q"}'

WITHOUT = [
    ("", "missing"),
    (" ", "missing"),
    ("{}", "missing"),
    ("{ }", "missing"),
    ("[]", "missing"),
    ("null", "missing"),
    ('"model"', "missing"),
    ('["model","q"]', "missing"),
    ('[{"model":"q"}]', "missing"),
    ('\ufeff{"model":"q"}', "missing"),
    ('{"model":"q"}'.encode("utf-16"), "missing"),
    (b"\0\xff\xfe", "missing"),
    ('{"model":""}', "missing"),
    ('{"model":1}', "missing"),
    ('{"model":null}', "missing"),
    ('{"model":["q"]}', "missing"),
    ('{"model":{"model":"q"}}', "missing"),
    ('{"x":{"model":"q"}}', "missing"),
    ('{"model":"q"', "missing"),
    ('{"model":"q', "missing"),
    ('{"model":"q\\', "missing"),
    ('{"model":"q","x":[', "missing"),
    ('{"model":"q","x":["', "missing"),
    ('{"model":"q","x":"' + '\\"' * 100_000, "missing"),
    ('{"model":"q",}', "missing"),
    ('{"model" "q"}', "missing"),
    ('{"model":}', "missing"),
    ("{'model':'q'}", "missing"),
    ('{"model":"q"}{"model":"r"}', "missing"),
    ('{"model":"q"} x', "missing"),
    ('{"model":"' + "q" * 4097 + '"}', "missing"),
    ("model=q", "missing"),
    ('{"model":"q","model":"r"}', "twice"),
    ('{"model":"q","model":"q"}', "twice"),
    ('{"model":"q","model":null}', "twice"),
    ('{"model":1,"x":[],"model":"q"}', "twice"),
    ('{"model":"q","\\u006d\\u006f\\u0064\\u0065\\u006c":"r"}', "twice"),
    ('{"model":"q","Model":"r"}', "spelled"),
    ('{"MODEL":"r","model":"q"}', "spelled"),
    ('{"\\u004dodel":"r","model":"q"}', "spelled"),
    ('{"model ":"r","model":"q"}', "spelled"),
    ('{"mo\\u00addel":"r","model":"q"}', "spelled"),
    ('{"model\\u0000x":"r","model":"q"}', "spelled"),
    ('{"model[]":"r","model":"q"}', "spelled"),
    ('{"model.id":"r","model":"q"}', "spelled"),
    ('{"Model":"q"}', "spelled"),
    ('{/*","model":"r",/*"*/"model":"q"}', "missing"),
    ('{"x":1/*,"model":"r"*/,"model":"q"}', "missing"),
    ('{"x":1 //\n,"model":"q"}', "missing"),
    ('{"x":[/*"*/],"model":"r",/*"*/],"model":"q"}', "missing"),
    ('{"x":[1#"\n],"model":"r","y":[#"\n1],"model":"q"}', "missing"),
    ("""{"x":['"'],"model":"r","y":['"'],"model":"q"}""", "missing"),
    ('{"x":tru,"model":"q"}', "missing"),
    ('{"x":01,"model":"q"}', "missing"),
    ('{"x":+1,"model":"q"}', "missing"),
    ('{"x":undefined,"model":"q"}', "missing"),
    ('{"x":"\\u","y":1":"","model":"r","z":"","model":"q"}', "missing"),
    ('{"x":"\\q","model":"q"}', "missing"),
    ('{"x":[' + "[]," * 600_000 + '1],"model":"q"}', "complex"),
    ('{"x":"' + "\\n" * 4_000_000 + '","model":"q"}', "complex"),
    ('{"x":[' + '"a",' * 2_000_000 + '1],"model":"q"}', "complex"),
    ("{" + '"a":1,' * 20_000 + '"model":"q"}', "complex"),
    ('{"model\\u0000' + "x" * 300 + '":"r","model":"q"}', "complex"),
    ('{"model' + "\u200b" * 100 + '":"r","model":"q"}', "complex"),
    ('{"' + "\\u0020" * 50 + 'model":"r","model":"q"}', "complex"),
]
"""Bodies that name no model, and why."""

FORMS = [
    (form(('name="model"', "q")), "", "q"),
    (form(("name=model", "q")), "", "q"),
    (form(('name="file"; filename="a.wav"', "RIFF\r\n\r\n--edg\r\0"), ('name="model"', "q")), "", "q"),
    (form(('name="model"', "org/Q"), ending="--"), "", "org/Q"),
    (form(('name="file"; filename="a; name=x.wav"', "RIFF"), ('name="model"', "q")), "", "q"),
    (form(("name=file; filename=a.wav; filename*=UTF-8''%C3%BC", "RIFF"), ('name="model"', "q")), "", "q"),
    (form(('name="model"\r\nContent-Type: text/plain; charset=utf-8', "q")), "", "q"),
    ("\r\n" + form(('name="model"', "q")), "missing", ""),
    ("--other\r\n" + form(('name="model"', "q")), "missing", ""),
    (form(('name="model"', "q")) + "\r\n" + form(('name="model"', "r")), "missing", ""),
    (
        form(('name="x"', '1\n--edge\r\nContent-Disposition: form-data; name="model"\r\n\r\nr'), ('name="model"', "q")),
        "missing",
        "",
    ),
    (form(('name="model"\r\nContent-Disposition: form-data; name="x"', "q")), "missing", ""),
    (form(('name="x"\r\nContent-Disposition: x; name="model"', "r"), ('name="model"', "q")), "missing", ""),
    (form(('name="x"\r\n name="model"', "r"), ('name="model"', "q")), "missing", ""),
    (form(('name="x"; name="model"', "r"), ('name="model"', "q")), "missing", ""),
    (form(("name*=UTF-8''model", "r"), ('name="model"', "q")), "missing", ""),
    (form(('name="x"; y="model"', "r"), ('name="model"', "q")), "missing", ""),
    (form(('name="mod\\el"', "r"), ('name="model"', "q")), "missing", ""),
    (form(("filename=x", "r"), ('name="model"', "q")), "missing", ""),
    (form(('name="model"\r\nContent-Transfer-Encoding: base64', "cQ==")), "missing", ""),
    (form(('name="x"\nX: y', "r"), ('name="model"', "q")), "missing", ""),
    (form(('name="model"', "q")).replace("form-data", "x"), "missing", ""),
    (form(('name="Model"', "r"), ('name="model"', "q")), "spelled", ""),
    (form(('name="model[]"', "r"), ('name="model"', "q")), "spelled", ""),
    (form(*[('name="x"', "1")] * 1001, ('name="model"', "q")), "complex", ""),
    (form(('name="x"', 'name="model"\r\n\r\nq')), "missing", ""),
    (form(('name="xmodel"', "q"), ('name="x"', "q")), "missing", ""),
    (form(('name="model"; filename="model"', "q")), "missing", ""),
    (form(('name="model"', "")), "missing", ""),
    (form(('name="model"', "q" * 5000)), "missing", ""),
    (form(('name="model"', "q"), ('name="model"', "r")), "twice", ""),
    (form(('name="model"', "q"), ('NAME="model"; filename="x"', "r")), "twice", ""),
    (form(('name="model"', "q"), ending=""), "missing", ""),
    (form(), "missing", ""),
    ("", "missing", ""),
    ("x" + form(('name="model"', "q")), "missing", ""),
    ('{"model":"q"}', "missing", ""),
]


@pytest.mark.parametrize(("body", "model"), NAMED, ids=range(len(NAMED)))
def test_the_model_is_what_the_body_names_at_its_top(body, model):
    fault, name, place = find(body)
    assert (fault, name) == ("", model)
    assert "\\" in place or place == model


@pytest.mark.parametrize(("body", "model"), NAMED, ids=range(len(NAMED)))
def test_pythons_reader_finds_the_same_model(body, model):
    assert json.loads(body)["model"] in (model, "\ud83d")


def test_a_body_may_be_deeper_than_python_reads():
    assert find(DEEP) == ("", "q", "q")


@pytest.mark.parametrize(("body", "fault"), WITHOUT, ids=range(len(WITHOUT)))
def test_a_body_without_one_model_is_told_why(body, fault):
    assert find(body) == (fault, "", "")


@pytest.mark.parametrize(("body", "fault", "model"), FORMS, ids=range(len(FORMS)))
def test_a_form_names_its_model_in_a_field(body, fault, model):
    assert find(body, FORM, AUDIO) == (fault, model, model)


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ('multipart/form-data; boundary="edge"', "q"),
        ("Multipart/Form-Data;Boundary=edge", "q"),
        ("multipart/form-data; charset=utf-8; boundary=edge", ""),
        ("multipart/form-data; boundary=edge; x=y", ""),
        ("multipart/form-data; boundary=edge, multipart/form-data; boundary=other", ""),
        ("multipart/form-data; boundary*=edge", ""),
        ("multipart/form-data; boundary='edge'", ""),
        ("multipart/form-data", ""),
        ("multipart/form-data; boundary=", ""),
        ("multipart/form-data; boundary=other", ""),
        ("multipart/form-data; boundary=edge; boundary=other", ""),
        ("application/json; boundary=edge", ""),
        ("", ""),
    ],
)
def test_a_form_is_known_by_its_type_and_one_boundary(kind, model):
    assert find(form(('name="model"', "q")), kind, AUDIO)[1] == model


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("", ""),
        ("Application/JSON", ""),
        ("application/json; charset=UTF-8", ""),
        ('application/json;charset="utf-8"', ""),
        ("application/json; charset=utf-7", "type"),
        ("application/json; charset=utf-8; charset=utf-7", "type"),
        ("application/json, multipart/form-data; boundary=edge", "type"),
        (FORM, "type"),
        ("application/x-www-form-urlencoded", "type"),
        ("text/plain", "type"),
    ],
)
def test_only_json_is_read_where_no_form_is_expected(kind, fault):
    assert find('{"model":"q"}', kind)[0] == fault
    assert find(form(('name="model"', "q")), kind)[0] == (fault or "missing")


@pytest.mark.parametrize(
    ("arguments", "is_named"),
    [
        ("", False),
        ("api-version=2026-01-01&beta=true", False),
        ("x=model", False),
        ("models=r&model_id=r&my-model=r", False),
        ("x=1%26model=r", False),
        ("model=r", True),
        ("model", True),
        ("x=1&model=", True),
        ("x=1;model=r", True),
        ("MODEL=r", True),
        ("%6dodel=r", True),
        ("%256Dodel=r", True),
        ("model%00x=r", True),
        ("+model=r", True),
        ("model[]=r", True),
        ("model%5B0%5D=r", True),
        ("model" + "%20" * 100 + "=r", True),
    ],
)
def test_a_model_in_an_address_is_another_that_some_readers_take(arguments, is_named):
    script = "print gpuchat_model::is_in_arguments(@ARGV) ? 1 : 0"
    command = ["perl", "-w", "-I", str(FOLDER), "-Mgpuchat_model", "-e", script, arguments]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"01"[is_named : is_named + 1]


def test_what_is_said_comes_in_a_form_alone():
    assert find('{"model":"q"}', path=AUDIO)[0] == "type"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        pytest.param(json.dumps({"model": "q", "x": ["A" * 50_000_000]}), "", id="an image"),
        pytest.param('{"x":["' + "A" * 50_000_000, "", id="half an image"),
        pytest.param('{"x":' + "[" * 10_000_000, "", id="lists without an end"),
        pytest.param('{"x":"' + '\\"' * 25_000_000 + '","model":"q"}', "", id="escapes alone"),
        pytest.param('{"x":"' + "\\n" * 2_999_900 + '","model":"q"}', "", id="as many escapes as may be"),
        pytest.param('{"x":[' + '"a",' * 12_000_000 + '1],"model":"q"}', "", id="words alone"),
        pytest.param('{"x":[' + '"a",' * 1_499_900 + '1],"model":"q"}', "", id="as many words as may be"),
        pytest.param('{"x":[' + '"",[],' * 499_000 + '1],"model":"q"}', "", id="lists and words"),
        pytest.param("{" + '"\\u0061":"\\n",' * 9_900 + '"model":"q"}', "", id="keys"),
        pytest.param(form(*[('name="x"', "1")] * 500_000), AUDIO, id="fields alone"),
    ],
)
def test_a_large_body_costs_a_worker_little(body, path):
    before = seconds_of_cpu()
    find(body, FORM if path else "application/json", path)
    assert seconds_of_cpu() - before < 5  # less than two as a rule; the clock tells more of what else runs here


def seconds_of_cpu():
    """Return what the programs that were started have used of processors."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
