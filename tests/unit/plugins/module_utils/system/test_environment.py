# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments that uv makes of a lock: which Python, which lock, which folder, which settings."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import environment
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system.environment import Python, Source

HASH = "--hash=sha256:" + "a" * 64
LOCK = f"# kept\nvllm==0.32.0 \\\n    {HASH}\ntorch==2.13.0 \\\n    {HASH}\n"
USUAL = Source(("vllm==0.32.0",))


@pytest.mark.parametrize(
    ("found", "path"),
    [
        pytest.param(["3.13", "3.12"], "/usr/bin/a", id="the systems own where it fits"),
        pytest.param(["3.9", "3.12"], "/usr/bin/b", id="another where the systems own is too old"),
        pytest.param(["3.15", "3.11"], "/usr/bin/b", id="another where the systems own is too new"),
        pytest.param(["3.10"], "/usr/bin/a", id="the oldest that some vLLM takes"),
    ],
)
def test_the_first_python_that_fits_is_taken(found, path):
    there = [Python(f"/usr/bin/{letter}", version) for letter, version in zip("ab", found, strict=False)]
    assert environment.chosen("auto", there).path == path


def test_a_python_of_the_inventorys_is_taken_and_no_other():
    there = [Python("/opt/python/bin/python3", "3.12")]
    assert environment.chosen("/opt/python/bin/python3", there) == there[0]
    with pytest.raises(Refusal, match=r"found no Python at /opt/other; .* set uv_python"):
        environment.chosen("/opt/other", there)


def test_a_host_without_a_python_that_fits_is_told_what_is_there():
    with pytest.raises(Refusal, match=r"found /usr/bin/python3 \(3.9\); wanted one of 3.10 to 3.14") as refusal:
        environment.chosen("auto", [Python("/usr/bin/python3", "3.9")])
    assert "gpuchat_supervisor to compose, systemd or quadlet" in str(refusal.value)


def test_a_models_own_version_stands_in_packages_and_indexes():
    usual = Source(("vllm==0.32.0+cpu",), ("https://wheels.example.com/0.32.0/cpu",), "cpu")
    assert usual.in_version("0.32.0", "0.31.0") == Source(
        ("vllm==0.31.0+cpu",), ("https://wheels.example.com/0.31.0/cpu",), "cpu"
    )
    assert usual.in_version("0.32.0", "") == usual
    with pytest.raises(Refusal, match="set vllm_packages"):
        Source(("vllm",)).in_version("0.32.0", "0.31.0")


def test_a_lock_is_for_what_was_asked_one_python_and_one_kind_of_machine():
    name = environment.lock_name(USUAL, "3.13", "x86_64")
    assert name.startswith("vllm-0.32.0-py3.13-x86_64-")
    assert name.endswith(".txt")
    others = [
        environment.lock_name(USUAL, "3.12", "x86_64"),
        environment.lock_name(USUAL, "3.13", "aarch64"),
        environment.lock_name(Source(("vllm==0.32.0", "flashinfer-jit-cache")), "3.13", "x86_64"),
        environment.lock_name(Source(("vllm==0.32.0",), (), "cu129"), "3.13", "x86_64"),
    ]
    assert len({name, *others}) == 5
    mirrored = Source(("vllm==0.32.0",), ("https://mirror.example.com/simple",))
    assert environment.lock_name(mirrored, "3.13", "x86_64") == name, "another mirror asks for nothing else"


@pytest.mark.parametrize("package", ["vllm[audio]==0.32.0", "vllm @ https://example.com/vllm.whl", "vllm==0.32.0+cpu"])
def test_a_locks_name_is_one_that_a_file_can_bear(package):
    name = environment.lock_name(Source((package,)), "3.13", "x86_64")
    assert name.startswith("vllm")
    assert "/" not in name
    assert " " not in name


def test_a_folder_follows_the_lock_and_the_python():
    python = Python("/usr/bin/python3", "3.13")
    folder = environment.folder_of(USUAL, LOCK, python)
    assert folder.startswith("/opt/gpuchat/vllm/0.32.0-")
    assert environment.FOLDER.fullmatch(folder.rpartition("/")[2])
    assert environment.folder_of(USUAL, LOCK.replace("# kept", "# said otherwise"), python) == folder
    assert environment.folder_of(USUAL, LOCK.replace("2.13.0", "2.14.0"), python) != folder
    assert environment.folder_of(USUAL, LOCK, Python("/usr/bin/python3.12", "3.12")) != folder


@pytest.mark.parametrize("text", ["vllm==0.32.0\n", "vllm>=0.32 " + HASH, "--index-url https://x\n", ""])
def test_a_lock_without_hashes_and_exact_versions_is_refused(text):
    with pytest.raises(Refusal, match="wanted"):
        environment.lock_digest(text)


def test_intels_openmp_is_loaded_first_where_the_lock_has_it():
    assert environment.preloaded("/e", LOCK) == ()
    assert environment.preloaded("/e", f"{LOCK}intel-openmp==2024.2.1 {HASH}\n") == ("/e/lib/libiomp5.so",)


def test_uv_is_told_by_variables_where_packages_are():
    source = Source(("vllm==0.32.0+cpu",), ("https://wheels.example.com/cpu",), "cpu")
    told = environment.uv_environment(source, "https://u:p@index.example.com/simple", ["index.example.com"], {}, [])
    assert told["UV_DEFAULT_INDEX"] == "https://u:p@index.example.com/simple"
    assert told["UV_INDEX"] == "https://wheels.example.com/cpu"
    assert (told["UV_INSECURE_HOST"], told["UV_TORCH_BACKEND"]) == ("index.example.com", "cpu")
    assert (told["UV_NO_CONFIG"], told["UV_PYTHON_DOWNLOADS"]) == ("1", "never")


def test_pips_own_settings_on_the_host_count_until_the_inventory_names_an_index():
    kept = {"PIP_INDEX_URL": "https://pypi.example.com", "PIP_EXTRA_INDEX_URL": "https://b", "PIP_FIND_LINKS": "/w /v"}
    told = environment.uv_environment(USUAL, "", [], kept, ["UV_INDEX", "PATH"])
    assert (told["UV_DEFAULT_INDEX"], told["UV_INDEX"], told["UV_FIND_LINKS"]) == (
        "https://pypi.example.com",
        "https://b",
        "/w,/v",
    )
    own = environment.uv_environment(USUAL, "https://own", [], kept, ["UV_INDEX", "PATH"])
    assert (own["UV_DEFAULT_INDEX"], own["UV_INDEX"]) == ("https://own", "")
    assert "UV_FIND_LINKS" not in own
    assert "PATH" not in own


@pytest.mark.parametrize(
    ("own", "told"),
    [
        (["PATH"], {"SSL_CERT_FILE": "/ca.pem", "HTTPS_PROXY": "http://p:1", "HTTP_PROXY": "http://p:1"}),
        (["https_proxy", "SSL_CERT_FILE"], {}),
    ],
)
def test_certificate_and_proxy_of_the_hosts_pip_lead_uv_too_where_nothing_else_does(own, told):
    kept = {"PIP_CERT": "/ca.pem", "PIP_PROXY": "http://p:1"}
    given = environment.uv_environment(USUAL, "", [], kept, own)
    assert {name: value for name, value in given.items() if not name.startswith("UV_")} == told


def test_what_no_engine_uses_is_stale():
    assert environment.stale(["/e/b", "/e/a", "/e/c"], ["/e/c"]) == ("/e/a", "/e/b")
