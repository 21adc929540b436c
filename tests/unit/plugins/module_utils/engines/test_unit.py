# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine without a container: on the host's paths, in a unit that closes what a container would."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.container import read_back
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines import engines, unit

from . import test_engines

ENVIRONMENT = "/opt/gpuchat/vllm/0.32.0-0123456789ab"
VENV = {
    "supervisor": "venv",
    "packages": ["vllm==0.32.0"],
    "cpu_packages": ["vllm==0.32.0+cpu"],
    "cpu_index_url": "https://wheels.example.com/0.32.0/cpu",
    "extra_index_urls": [],
    "torch_backend": "auto",
}


def given(plan=None, on_gpu=True, environment=None, **more):
    """Return an engine as it is on the host."""
    plan = {"devices": ["0"], "args": {"gpu-memory-utilization": 0.9}, **(plan or {})}
    params = test_engines.params(
        test_engines.inventory("m", environment=environment or {}, **more), plans={"m": plan}, on_gpu=on_gpu, **VENV
    )
    (engine,) = engines.joined(params)
    return unit.on_host(engines.container(engine, engines.locks([engine])["m"], params))


def files(one, preload=()):
    return {str(file["dest"]): file for file in unit.files_of(one, ENVIRONMENT, preload)}


def text_of(one, preload=()):
    return str(files(one, preload)["/etc/systemd/system/gpuchat-vllm-m.service"]["content"])


def lines_of(one, preload=()):
    return text_of(one, preload).splitlines()


def test_its_configuration_and_its_command_name_the_hosts_paths():
    one = given({"args": {"lora-modules": ["a=/model/adapters/a"], "download-dir": "/models/other"}})
    config = yaml.safe_load(files(one)["/etc/gpuchat/vllm/m/config.yaml"]["content"])
    assert config["model"] == "/srv/models/m"
    assert config["uds"] == "/var/lib/gpuchat/vllm/m/vllm.sock"
    assert config["lora-modules"] == ["a=/srv/models/m/adapters/a"]
    assert config["download-dir"] == "/models/other", "a path that only begins alike is another"
    script = one["entrypoint"][-1]
    assert "cat /etc/gpuchat/vllm/m/api_key" in script
    assert "--config /etc/gpuchat/vllm/m/config.yaml" in script
    assert "/var/lib/gpuchat/vllm/.start/0 -- " in script
    assert "/run/vllm" not in script
    assert one["environment"]["HOME"] == "/var/cache/gpuchat/vllm/m"
    assert one["environment"]["TRITON_CACHE_DIR"] == "/var/cache/gpuchat/vllm/m/triton"


def test_the_key_stands_in_no_unit():
    one = given(environment={"HF_TOKEN": "t0ken"})
    there = files(one)
    assert "k3y" not in text_of(one)
    assert "t0ken" not in text_of(one)
    secret = there["/etc/gpuchat/vllm/m/environment"]
    assert secret["secret"] is True
    assert 'HF_TOKEN="t0ken"\n' in str(secret["secret_content"])
    assert "EnvironmentFile=/etc/gpuchat/vllm/m/environment" in lines_of(one)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("plain", 'A="plain"'),
        ('a "b" $c `d` \\e 50%', 'A="a \\"b\\" \\$c \\`d\\` \\\\e 50%"'),
    ],
)
def test_an_environment_file_is_quoted_as_systemd_reads_it(value, line):
    assert line in unit.environment_file({"A": value}).splitlines()


def test_a_line_break_in_a_variable_is_refused():
    with pytest.raises(Refusal, match="found a line break in the variable A"):
        unit.environment_file({"A": "one\ntwo"})


def test_a_units_own_words_are_doubled_where_systemd_reads_signs():
    lines = lines_of(given())
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    assert "$$(cat " in start
    assert not re.search(r"(?<!\$)\$(?!\$)", start)


def test_it_sees_its_gpus_alone_and_no_other_devices():
    lines = lines_of(given({"devices": ["GPU-1", "GPU-2"]}))
    assert 'Environment="CUDA_VISIBLE_DEVICES=GPU-1,GPU-2"' in lines
    assert 'Environment="CUDA_DEVICE_ORDER=PCI_BUS_ID"' in lines
    assert {"DevicePolicy=closed", "DeviceAllow=char-nvidia-uvm rw", "DeviceAllow=char-nvidiactl rw"} <= set(lines)
    # ProtectClock alone would have a list of devices without GPUs, PrivateDevices a /dev without them.
    assert not {"PrivateDevices=true", "ProtectClock=true"} & set(lines)
    assert "Wants=modprobe@nvidia_uvm.service" in lines


def test_without_gpus_it_sees_no_devices_at_all():
    lines = lines_of(given({"devices": []}, on_gpu=False), (f"{ENVIRONMENT}/lib/libiomp5.so",))
    assert {"PrivateDevices=true", "ProtectClock=true"} <= set(lines)
    assert not [line for line in lines if "nvidia" in line or "CUDA" in line]
    assert f'Environment="LD_PRELOAD={ENVIRONMENT}/lib/libiomp5.so"' in lines


@pytest.mark.parametrize(
    "line",
    [
        "NoNewPrivileges=true",
        "PrivateNetwork=true",
        "ProtectSystem=strict",
        "ProtectHome=true",
        "CapabilityBoundingSet=",
        "User=69980",
        "KillMode=mixed",
        "Restart=always",
        "ReadWritePaths=/var/cache/gpuchat/vllm/m /var/lib/gpuchat/vllm/m",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "TimeoutStopSec=45",
    ],
)
def test_its_unit_closes_what_a_container_would(line):
    assert line in lines_of(given())


def test_kernels_are_compiled_into_memory_so_that_stays_open():
    assert "MemoryDenyWriteExecute" not in text_of(given())


def test_of_a_home_the_model_alone_is_seen():
    lines = lines_of(given(path="/home/kim/models/m"))
    assert {"ProtectHome=tmpfs", "BindReadOnlyPaths=/home/kim/models/m"} <= set(lines)
    assert "ProtectHome=true" not in lines


def test_a_path_that_a_unit_would_read_otherwise_is_refused():
    with pytest.raises(Refusal, match="wanted one without blanks"):
        text_of(given(path="/srv/my models/m"))


def test_what_was_written_can_be_read_back():
    found = read_back(text_of(given({"devices": ["GPU-1"]})))
    assert found.image == ENVIRONMENT
    assert found.gpus
    assert found.folders == {
        "/model": "/srv/models/m",
        "/cache": "/var/cache/gpuchat/vllm/m",
        "/run/vllm": "/var/lib/gpuchat/vllm/m",
        "/run/secrets/vllm_api_key": "/etc/gpuchat/vllm/m/api_key",
    }
    assert engines.described("gpuchat-vllm-m", text_of(given({"devices": ["GPU-1"]}))).places == ("GPU-1",)
    assert engines.described("gpuchat-vllm-m", text_of(given({"devices": []}, on_gpu=False))).places == ("cpu",)


def test_another_environment_is_another_file_and_so_a_new_start():
    one = given()
    assert unit.unit_of(one, "/opt/a", {"A": "b"}) != unit.unit_of(one, "/opt/b", {"A": "b"})


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="wants systemd-analyze")
def test_systemd_itself_finds_no_fault(tmp_path):
    path = tmp_path / "gpuchat-vllm-m.service"
    path.write_text(text_of(given()))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    assert "Unknown" not in done.stderr, done.stderr


def test_an_engine_that_a_driver_is_too_old_for_is_refused():
    with pytest.raises(Refusal, match="only vLLM's image has what helps an older one"):
        given({"env": {"VLLM_ENABLE_CUDA_COMPATIBILITY": "1"}})


@pytest.mark.parametrize(
    ("on_gpu", "backend", "packages", "indexes", "chosen"),
    [
        (True, "auto", ("vllm==0.32.0",), (), ""),
        (True, "cu129", ("vllm==0.32.0",), (), "cu129"),
        (True, "none", ("vllm==0.32.0",), (), ""),
        (False, "auto", ("vllm==0.32.0+cpu",), ("https://wheels.example.com/0.32.0/cpu",), "cpu"),
        (False, "none", ("vllm==0.32.0+cpu",), ("https://wheels.example.com/0.32.0/cpu",), ""),
    ],
)
def test_packages_and_indexes_follow_what_the_host_computes_with(on_gpu, backend, packages, indexes, chosen):
    params = test_engines.params(on_gpu=on_gpu, **{**VENV, "torch_backend": backend})
    source = engines.source_of(test_engines.inventory("m"), params)
    assert (source.packages, source.extra_indexes, source.torch_backend) == (packages, indexes, chosen)
    assert engines.image_of(test_engines.inventory("m"), params) == packages[0]


def test_a_model_of_another_version_has_an_environment_of_its_own():
    params = test_engines.params(**VENV)
    assert engines.image_of(test_engines.inventory("m", version="0.31.0"), params) == "vllm==0.31.0"


def test_its_adapters_are_read_where_they_are_on_the_host_and_known_afterwards():
    lent = [{"name": "sql", "path": "/srv/models/sql"}, {"name": "law", "path": "/home/me/law"}]
    one = given({"args": {"lora-modules": ["sql=/adapters/sql", "law=/adapters/law"]}}, adapters=lent)
    config = yaml.safe_load(files(one)["/etc/gpuchat/vllm/m/config.yaml"]["content"])
    assert config["lora-modules"] == ["sql=/srv/models/sql", "law=/home/me/law"]
    assert "BindReadOnlyPaths=/home/me/law" in lines_of(one)
    assert "RequiresMountsFor=/srv/models/m /srv/models/sql /home/me/law " in text_of(one)
    found = engines.described("gpuchat-vllm-m", text_of(one), ["/etc/gpuchat/vllm/m/not-fetched-law"])
    assert set(found.models) == {"/srv/models/m", "/home/me/law", "/srv/models/sql"}
    assert found.theirs == ("/home/me/law",)
