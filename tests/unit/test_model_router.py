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
OTHERS = """
binmode STDIN; binmode STDOUT; local $/; my $text = <STDIN>; my @others;
my ($fault) = gpuchat_model::find(\\$text, @ARGV, \\@others);
print join "\\0", $fault, @others;
"""
AT_MOST_8 = """
binmode STDIN; binmode STDOUT; local $/; my $text = <STDIN>;
my ($fault, $name) = gpuchat_model::find(\\$text, "application/json", "/v1/completions", undef, 8);
print $fault || $name;
"""
CHOOSE = """
package Asked;
sub uri { $_[0]{uri} } sub request_body { $_[0]{body} } sub request_body_file { "" }
sub header_in { "application/json" } sub internal_redirect { $_[0]{to} = $_[1] }
sub variable {
    my ($r, $name, @value) = @_;
    return $r->{$name} = $value[0] if @value;
    return $r->{routes}{$r->{gpuchat_model}} if $name eq "gpuchat_route";
    return $r->{renamed}{$r->{gpuchat_model}} if $name eq "gpuchat_renamed";
    return $r->{$name};
}
package main;
my ($client, $body) = @ARGV;
my %listing = ($client ? (api_listing => "-$client") : ());
my %routes = map { $_ => "\\@$_" } qw(a b big), ($client ? () : "c");
my $r = bless {
    uri => "/v1/completions", body => $body, routes => \\%routes, renamed => {big => "x/Big", a => "a"}, %listing
}, "Asked";
gpuchat_model::choose($r);
print $r->{to} || "";
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


def perl(script, *words, body=b""):
    """Return what a script says that has the module."""
    command = ["perl", "-w", "-I", str(FOLDER), "-Mgpuchat_model", "-e", script, *words]
    done = subprocess.run(command, input=body, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode()


def others(body, kind="application/json", path="/v1/completions"):
    """Return why there is no model, and the further ones that a limited key is judged on."""
    fault, *names = perl(OTHERS, kind, path, body=body.encode()).split("\0")
    return fault, names


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
        ("multipart/form-data; charset=utf-8; boundary=edge", "q"),
        ("multipart/form-data; boundary=edge; charset=UTF-8", "q"),
        ("multipart/form-data; boundary=edge; charset=utf-16", ""),
        ("multipart/form-data; boundary=edge; charset=utf-8; boundary=other", ""),
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


FURTHER = [
    ('"models":["a","b"]', ["a", "b"]),
    ('"models":"a"', ["a"]),
    ('"models" : [ "a" , [ "b" ] ]', ["a", "b"]),
    ('"models":["\\u0061"]', ["a"]),
    ('"mod\\u0065ls":["a"]', ["a"]),
    ('"Models":["a"]', ["a"]),
    ('"mod\\u00adels":["a"]', ["a"]),
    ('"models\\u0000":["a"]', ["a"]),
    ('"models":["a"],"models":["b"]', ["a", "b"]),
    ('"models":null,"fallbacks":[],"x":{"models":false}', []),
    ('"fallbacks":["a",{"model":"b"}]', ["a", "b"]),
    ('"fallbacks":[{"q":["a"]}]', ["q", "a"]),
    ('"fallbacks":[{"Model":"a"}]', ["Model", "a"]),
    ('"context_window_fallbacks":[{"q":["a"]}]', ["q", "a"]),
    ('"content_policy_fallbacks":["a"],"default_fallbacks":["b"]', ["a", "b"]),
    ('"fallbackModels":["a"],"fallback_model":"b"', ["a", "b"]),
    ('"model_list":[{"model_name":"a","litellm_params":{"model":"b"}}]', ["model_name", "a", "litellm_params", "b"]),
    ('"deployment_id":"a"', ["a"]),
    ('"route":"fallback"', ["fallback"]),
    ('"prompt_id":"a","prompt_variables":{"x":"y"}', ["a"]),
    ('"mock_testing_fallbacks":true', ["true"]),
    ('"mock_testing_context_fallbacks" : true ', ["true"]),
    ('"mock_timeout":true,"timeout":1', ["true"]),
    ('"mock_delay":9', ["9"]),
    ('"mock_response":"litellm.RateLimitError"', ["litellm.RateLimitError"]),
    ('"mock_tool_calls":[{"id":"x"}]', ["id", "x"]),
    ('"mock_testing_fallbacks":false,"mock_timeout":null,"disable_fallbacks":true,"stream":true', []),
    ('"preset":"a"', ["a"]),
    ('"plugins":[{"id":"fusion"}]', ["id", "fusion"]),
    ('"plugins":[{"allowed_models":["a"]}]', ["allowed_models", "a"]),
    ('"draft_model":"a","speculative_model":"b"', ["a", "b"]),
    ('"lora_path":"a","lora":[{"id":0}],"adapter_id":"b"', ["a", "id", "b"]),
    ('"extra_body":{"models":["a"],"x":{"fallbacks":["b"]}}', ["a", "b"]),
    ('"router_settings_override":{"fallbacks":[{"q":["a"]}]}', ["q", "a"]),
    ('"providerOptions":{"gateway":{"models":["a"]}}', ["a"]),
    ('"config":{"targets":[{"override_params":{"model":"a"}}]}', ["a"]),
    ('"tools":[{"type":"x:fusion","parameters":{"analysis_models":["a"],"model":"b"}}]', ["a", "b"]),
    ('"tools":[{"type":"image_generation","model":"a"}]', ["a"]),
    ('"x":[[{"models":["a"]}],"b",{"y":"c"}],"z":["d"]', ["a"]),
    ('"x":{"models":["a"],"y":"b"},"y":{"z":"c"}', ["a"]),
    ('"models":["' + "a" * 5000 + '"]', [""]),
]
"""What stands beside the model in a body, and the further models that it names."""

SAID = [
    '"messages":[{"role":"user","content":[{"type":"text","text":"a"}],"model":"a"}]',
    '"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\\"model\\":\\"a\\"}"}}]}]',
    '"prompt":["models","a"],"input":[{"model":"a"}],"query":"models","documents":[{"models":"a"}]',
    '"metadata":{"model":"a"},"chat_template_kwargs":{"model_identity":"a"}',
    '"response_format":{"type":"json_schema","json_schema":{"name":"models","schema":{"required":["model"]}}}',
    '"tools":[{"function":{"name":"models","parameters":{"required":["model"],"properties":{"model":{"enum":["a"]}}}}}]',
    '"tools":[{"name":"models","parameters":{"properties":{"fallbacks":{"type":"array"},"models":["a"]}}}]',
    '"guided_json":{"$defs":{"Model":{"type":"string"}},"properties":{"models":{"type":"array"}}}',
    '"tool_choice":{"type":"function","function":{"name":"model"}}',
    '"provider":{"order":["a"],"allow_fallbacks":false},"modalities":["text"],"exploration":"a","explora":["a"]',
    '"stream":true,"stream_options":{"include_usage":true},"stop":["models"],"logit_bias":{"1":2},"user":"model"',
]
"""What names no model, whatever it holds."""


@pytest.mark.parametrize(("beside", "names"), FURTHER, ids=range(len(FURTHER)))
def test_further_models_are_found_wherever_a_server_looks_for_them(beside, names):
    assert others(f'{{{beside},"model":"q"}}') == others(f'{{"model":"q",{beside}}}') == ("", names)


@pytest.mark.parametrize("beside", SAID, ids=range(len(SAID)))
def test_what_is_said_or_is_to_be_written_names_no_model(beside):
    assert others(f'{{{beside},"model":"q"}}') == ("", [])


@pytest.mark.parametrize(("body", "model"), NAMED[:-1], ids=range(len(NAMED) - 1))
def test_the_model_is_the_same_where_further_ones_are_looked_for(body, model):
    assert others(body)[0] == ""


@pytest.mark.parametrize(("body", "fault"), WITHOUT, ids=range(len(WITHOUT)))
def test_a_body_without_one_model_has_none_for_a_limited_key_either(body, fault):
    if isinstance(body, str):
        assert others(body)[0] == fault


@pytest.mark.parametrize(
    "beside",
    [
        '"models":[' + '"a",' * 101 + '"a"]',
        ",".join(['"models":"a"'] * 101),
        '"x":[' + '"a",' * 100_001 + '"a"]',
        '"x":' + "[" * 100_001 + "]" * 100_001,
        '"x":{"' + "a" * 300 + '":1}',
    ],
    ids=["models", "words for models", "words", "brackets", "a long key"],
)
def test_a_limited_key_is_not_judged_without_end(beside):
    assert others(f'{{{beside},"model":"q"}}')[0] == "complex"


FIELDS = [
    (("models", "a"), ("", ["a"])),
    (("fallbacks", '["a"]'), ("", ['["a"]'])),
    (("language", "a"), ("", [])),
    (("prompt", "model"), ("", [])),
]


@pytest.mark.parametrize(("field", "found"), FIELDS)
def test_a_form_names_further_models_in_fields(field, found):
    name, value = field
    assert others(form((f'name="{name}"', value), ('name="model"', "q")), FORM, AUDIO) == found


CHOSEN = [
    ("some", '{"model":"a"}', "@a"),
    ("some", '{"model":"a","models":["a","b"]}', "@a"),
    ("some", '{"models":["b","a"],"model":"a"}', "@a"),
    ("some", '{"model":"a","models":["b","c"]}', "@model_unknown"),
    ("some", '{"model":"a","fallbacks":[{"a":["c"]}]}', "@model_unknown"),
    ("some", '{"model":"a","route":"fallback"}', "@model_unknown"),
    ("some", '{"model":"a","models":[""]}', "@model_unknown"),
    ("some", '{"model":"c","models":["a"]}', "@model_unknown"),
    ("some", '{"model":"big"}', "@big"),
    ("some", '{"model":"big","models":["big"]}', "@model_unknown"),
    ("some", '{"model":"a","models":["x/Big"]}', "@model_unknown"),
    ("some", '{"model":"a","models":["a"' + ',"a"' * 100 + "]}", None),
    ("", '{"model":"a","models":["b","c","whatever"]}', "@a"),
    ("", '{"model":"a","route":"fallback"}', "@a"),
    ("", '{"model":"c"}', "@c"),
]
"""Whose key it is, a body, and where it leads: some may use a, b and big."""


@pytest.mark.parametrize(("client", "body", "where"), CHOSEN, ids=range(len(CHOSEN)))
def test_a_limited_key_is_judged_on_all_models_that_a_body_names(client, body, where):
    assert perl(CHOOSE, client, body) == (where or "")


ANSWERS = [
    ('"n":8', ""),
    ('"n":null', ""),
    ('"n":1.0', ""),
    ('"n":-1', ""),
    ('"n":"8"', ""),
    ('"n":[500]', ""),
    ('"x":{"n":500},"m":9,"N":9', ""),
    ('"messages":[{"n":500}]', ""),
    ('"extra_body":{"top_k":5,"name":"n","x":["n"]}', ""),
    ('"prompt":"[1,2,3,4,5,6,7,8,9]"', ""),
    ('"prompt":[1,2,3,4,5,6,7,8,9]', ""),
    ('"prompt":[[1,2,3,4,5,6,7,8,9]]', ""),
    ('"prompt":[ "a" , "b","c","d","e","f","g","h" ]', ""),
    ('"prompt":["a,b,c,d,e,f,g,h,i"],"n":8', ""),
    ('"prompt":[],"n":8', ""),
    ('"prompt":["a","b"],"n":4', ""),
    ('"input":["a","b","c","d","e","f","g","h","i"]', ""),
    ('"documents":["a","b","c","d","e","f","g","h","i"]', ""),
    ('"n":9', "many"),
    ('"n":9.0', "many"),
    ('"n":1e2', "many"),
    ('"n":1E400', "many"),
    ('"n":100000000000000000000', "many"),
    ('"n":Infinity', "many"),
    ('"n":"9"', "many"),
    ('"n":" +009.0 "', "many"),
    ('"n":"1_0"', "many"),
    ('"n":"\\u0039"', "many"),
    ('"n":"' + "0" * 300 + '9"', "many"),
    ('"\\u006e":9', "many"),
    ('"n":1,"n":9', "many"),
    ('"n":9,"n":1', "many"),
    ('"n":1,"best_of":9', "many"),
    ('"n":1,"n_cmpl":9', "many"),
    ('"n":1,"extra_body":{"top_k":[1],"n":9}', "many"),
    ('"extra_body":{"x":{"y":"\\"{"},"\\u006e" : 9}', "many"),
    ('"prompt":["a","b","c","d","e","f","g","h","i"]', "many"),
    ('"prompt":[[1],[2],[3],[4],[5],[6],[7],[8],[9]]', "many"),
    ('"prompt":["a",[2],"c",[4],"e",[6],"g",[8],"i"]', "many"),
    ('"prompt":["a","b","c"],"n":3', "many"),
    ('"n":3,"prompt":["a","b","c"]', "many"),
    ('"prompt":["a","b","c","d","e"],"prompt":["f","g","h","i"]', "many"),
    ('"prompt_embeds":["a","b","c","d","e","f","g","h","i"]', "many"),
    ('"prompt":["a","b","c","d","e","f","g","h","i"', "missing"),
]
"""What stands beside the model where eight answers are allowed, and what is wrong with it."""


@pytest.mark.parametrize(("beside", "fault"), ANSWERS, ids=range(len(ANSWERS)))
@pytest.mark.parametrize("form_of", ['{"model":"q",%s}', '{%s,"model":"q"}'], ids=["before", "behind"])
def test_one_request_asks_for_no_more_answers_than_may_be(form_of, beside, fault):
    assert perl(AT_MOST_8, body=(form_of % beside).encode()) == (fault or "q")


@pytest.mark.parametrize(("beside", "fault"), ANSWERS, ids=range(len(ANSWERS)))
def test_answers_are_not_counted_where_nobody_said_how_many_may_be(beside, fault):
    assert find(f'{{"model":"q",{beside}}}')[0] == ("missing" if fault == "missing" else "")


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


@pytest.mark.parametrize(
    ("arguments", "is_named"),
    [("models=r", True), ("x=1&fallb%61cks=r", True), ("route=fallback", True), ("api-version=1&x=models", False)],
)
def test_a_limited_key_names_no_further_models_in_an_address(arguments, is_named):
    assert perl("print gpuchat_model::is_in_arguments($ARGV[0], 1) ? 1 : 0", arguments) == "01"[is_named]


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
@pytest.mark.parametrize("is_limited", [False, True], ids=["", "of a limited key"])
def test_a_large_body_costs_a_worker_little(body, path, is_limited):
    before = seconds_of_cpu()
    (others if is_limited else find)(body, FORM if path else "application/json", path)
    assert seconds_of_cpu() - before < 5  # less than two as a rule; the clock tells more of what else runs here


def seconds_of_cpu():
    """Return what the programs that were started have used of processors."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
