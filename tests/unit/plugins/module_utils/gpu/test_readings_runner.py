# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real pynvml against a stand-in for NVIDIA's library that is compiled here, and a stand-in nvidia-smi."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from ansible_collections.gpuchat.stack.plugins import modules
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu import readings, readings_runner

FIXTURES = pathlib.Path(__file__).parent / "recorded"
PACKAGE = pathlib.Path(readings_runner.__file__).parents[2]
LOOK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from gpuchat.gpu import readings_runner
assert readings_runner.pynvml
readings_runner.PCI_FOLDER, readings_runner.KFD, readings_runner.MODULE_VERSION, readings_runner.MEMORY = (
    f"{sys.argv[2]}/{name}" for name in ("pci", "kfd", "version", "meminfo")
)
readings_runner.host.program = lambda name: None
print(json.dumps(readings_runner.look()))
"""
MODULE_VERSION = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (dvs-builder@U22)  Tue Mar 5 2024\n"
    "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
)
H100 = {
    "nvmlDeviceGetName": "NVIDIA H100 80GB HBM3",
    "nvmlDeviceGetMemoryInfo": f"{80 * GIB} {79 * GIB}",
    "nvmlDeviceGetCudaComputeCapability": "9 0",
    "nvmlDeviceGetArchitecture": "9",
    "nvmlDeviceGetMigMode": "0 0",
    "nvmlDeviceGetCurrPcieLinkGeneration": "1",
    "nvmlDeviceGetCurrPcieLinkWidth": "16",
    "nvmlDeviceGetMaxPcieLinkGeneration": "5",
    "nvmlDeviceGetMaxPcieLinkWidth": "16",
    "nvmlDeviceGetTotalEccErrors": "3 0",
    "nvmlDeviceGetTemperature": "41",
}


def address(index):
    return f"0000:{0x18 + index:02x}:00.0"


def machine(count=1, kind=None, **changes):
    """Return the answers of a machine with GPUs of one kind (H100), by function and whom it is asked about."""
    kind = kind or H100
    answers = {
        ("nvmlSystemGetDriverVersion", "-"): "550.54.15",
        ("nvmlSystemGetNVMLVersion", "-"): "12.550.54.15",
        ("nvmlSystemGetCudaDriverVersion", "-"): "12020",
        ("nvmlSystemGetCudaDriverVersion_v2", "-"): "12040",
        ("nvmlDeviceGetCount_v2", "-"): count,
    }
    for index in range(count):
        answers |= {(function, str(index)): described for function, described in kind.items()}
        answers["nvmlDeviceGetPciInfo", str(index)] = f"00000000:{0x18 + index:02X}:00.0"
        answers["nvmlDeviceGetUUID", str(index)] = f"GPU-0000000{index}"
    return answers


@pytest.fixture(scope="session")
def libraries(tmp_path_factory):
    """Compile the stand-in once as a present driver's library, and once without what older ones lack."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.fail(
            "found no C compiler; wanted one for the stand-in of NVIDIA's library: apt-get install gcc libc6-dev"
        )
    folder = tmp_path_factory.mktemp("nvml")
    for name, words in {"present": [], "old": ["-DOLD"]}.items():
        (folder / name).mkdir()
        target = str(folder / name / "libnvidia-ml.so.1")
        command = [compiler, "-shared", "-fPIC", "-Wall", "-Werror", *words, "-o", target, str(FIXTURES / "nvml.c")]
        subprocess.run(command, check=True)
    (folder / "none").mkdir()
    return folder


@pytest.fixture
def machine_folder(tmp_path):
    """Return a folder that holds what a host without accelerators shows."""
    (tmp_path / "pci").mkdir()
    (tmp_path / "meminfo").write_text("MemTotal:       131072000 kB\nMemFree:  1 kB\nMemAvailable:   65536000 kB\n")
    return tmp_path


@pytest.fixture
def plug(machine_folder):
    """Return a function that puts a device on PCI."""

    def put(where, vendor="0x10de", device="0x2330", kind="0x030200", driver="nvidia"):
        folder = machine_folder / "pci" / where
        folder.mkdir()
        for name, text in {"vendor": vendor, "device": device, "class": kind}.items():
            (folder / name).write_text(f"{text}\n")
        if driver:
            (machine_folder / "drivers" / driver).mkdir(parents=True, exist_ok=True)
            (folder / "driver").symlink_to(machine_folder / "drivers" / driver)

    return put


@pytest.fixture
def look(libraries, machine_folder):
    """Return a function that runs the runner for real, in a Python of its own, against a library and its answers."""

    def run(answers, library="present"):
        path = machine_folder / "answers"
        path.write_text("".join(f"{name} {whom} {described}\n" for (name, whom), described in answers.items()))
        environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries / library), "NVML_ANSWERS": str(path)}
        command = [sys.executable, "-c", LOOK, str(PACKAGE), str(machine_folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_one_gpu_is_reported_with_every_field(look, plug):
    plug(address(0))
    answers = machine()
    answers["nvmlDeviceGetComputeRunningProcesses", "0"] = f"4711 {GIB} 4712 {2 * GIB}"
    answers["nvmlSystemGetProcessName", "4711"] = "VLLM::EngineCore"
    described = look(answers)
    assert described["gpus"] == [
        {
            "index": 0,
            "pci_address": "0000:18:00.0",
            "uuid": "GPU-00000000",
            "name": "NVIDIA H100 80GB HBM3",
            "memory_bytes": 80 * GIB,
            "memory_free_bytes": 79 * GIB,
            "memory_is_shared": False,
            "compute_capability": "9.0",
            "architecture": "Hopper",
            "mig_mode": "disabled",
            "mig_devices": [],
            "pcie": {"gen": 1, "width": 16, "max_gen": 5, "max_width": 16},
            "nvlink_peers": [],
            "ecc_errors": {"corrected": 3, "uncorrected": 0},
            "temperature_c": 41,
            "processes": [
                {"pid": 4711, "name": "VLLM::EngineCore", "memory_bytes": GIB},
                {"pid": 4712, "name": None, "memory_bytes": 2 * GIB},
            ],
            "fault": None,
        }
    ]
    assert {name: described[name] for name in described if name != "gpus"} == {
        "changed": False,
        "diff": [],
        "msg": "ok: 1 x NVIDIA H100 80GB HBM3",
        "state": "ok",
        "reason": "1 x NVIDIA H100 80GB HBM3",
        "accelerator": "nvidia",
        "source": "nvml",
        "driver_version": "550.54.15",
        "cuda_version": "12.4",
        "topology": [],
        "pci_devices": [{"address": "0000:18:00.0", "vendor_id": "10de", "device_id": "2330", "driver": "nvidia"}],
    }


def test_eight_gpus_on_nvswitches_are_each_others_peers(look):
    answers = machine(8)
    for index in range(8):
        for link in range(18):
            answers["nvmlDeviceGetNvLinkState", f"{index}.{link}"] = 1
            answers["nvmlDeviceGetNvLinkRemoteDeviceType", f"{index}.{link}"] = 2
        for other in range(index + 1, 8):
            answers["nvmlDeviceGetTopologyCommonAncestor", f"{index}.{other}"] = 40 if index // 4 == other // 4 else 50
    described = look(answers)
    assert described["reason"] == "8 x NVIDIA H100 80GB HBM3"
    for gpu in described["gpus"]:
        assert gpu["nvlink_peers"] == [{"index": index, "links": 18} for index in range(8) if index != gpu["index"]]
    assert len(described["topology"]) == 28
    assert described["topology"][0] == {"gpus": [0, 1], "link": "nvlink", "pcie_path": "numa_node", "nvlinks": 18}
    assert described["topology"][-4] == {"gpus": [4, 7], "link": "nvlink", "pcie_path": "numa_node", "nvlinks": 18}
    assert {"gpus": [0, 7], "link": "nvlink", "pcie_path": "sockets", "nvlinks": 18} in described["topology"]


def test_bridged_pairs_are_reported_apart_from_those_that_only_share_a_switch_or_a_socket(look):
    answers = machine(4)
    for one, other in ((0, 1), (1, 0)):
        for link in (2, 3):  # links 0 and 1 are not there on this kind of card
            answers["nvmlDeviceGetNvLinkState", f"{one}.{link}"] = 1
            answers["nvmlDeviceGetNvLinkRemoteDeviceType", f"{one}.{link}"] = 0
            answers["nvmlDeviceGetNvLinkRemotePciInfo", f"{one}.{link}"] = f"00000000:{0x18 + other:02X}:00.0"
    answers["nvmlDeviceGetNvLinkState", "0.4"] = 0
    for (one, other), level in {(0, 1): 30, (2, 3): 10, (0, 2): 50}.items():
        answers["nvmlDeviceGetTopologyCommonAncestor", f"{one}.{other}"] = level
    described = look(answers)
    assert [gpu["nvlink_peers"] for gpu in described["gpus"]] == [
        [{"index": 1, "links": 2}],
        [{"index": 0, "links": 2}],
        [],
        [],
    ]
    links = {tuple(pair["gpus"]): (pair["link"], pair["nvlinks"]) for pair in described["topology"]}
    assert links[0, 1] == ("nvlink", 2)
    assert links[2, 3] == ("pcie_switch", 0)
    assert links[0, 2] == ("sockets", 0)
    assert links[1, 3] == (None, 0)


def test_the_parts_of_a_gpu_in_mig_mode_are_reported(look):
    answers = machine()
    answers["nvmlDeviceGetMigMode", "0"] = "1 1"
    answers["nvmlDeviceGetMaxMigDeviceCount", "0"] = 7
    for part, (instance, size) in {0: (1, 40), 2: (5, 20)}.items():
        answers["nvmlDeviceGetUUID", f"0.{part}"] = f"MIG-{part}"
        answers["nvmlDeviceGetName", f"0.{part}"] = f"NVIDIA H100 80GB HBM3 MIG {size // 10}g.{size}gb"
        answers["nvmlDeviceGetMemoryInfo", f"0.{part}"] = f"{size * GIB} {GIB}"
        answers["nvmlDeviceGetGpuInstanceId", f"0.{part}"] = instance
        answers["nvmlDeviceGetComputeInstanceId", f"0.{part}"] = 0
    gpu = look(answers)["gpus"][0]
    assert gpu["mig_mode"] == "enabled"
    assert [part["uuid"] for part in gpu["mig_devices"]] == ["MIG-0", "MIG-2"]
    assert gpu["mig_devices"][1] == {
        "index": 2,
        "uuid": "MIG-2",
        "name": "NVIDIA H100 80GB HBM3 MIG 2g.20gb",
        "memory_bytes": 20 * GIB,
        "memory_free_bytes": GIB,
        "gpu_instance_id": 5,
        "compute_instance_id": 0,
    }


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ("nvmlDeviceGetHandleByIndex", 15, "GPU is lost"),
        ("nvmlDeviceGetHandleByIndex", 999, "Unknown Error"),
        ("nvmlDeviceGetTemperature", 15, "GPU is lost"),
        ("nvmlDeviceGetMemoryInfo", 15, "GPU is lost"),
        ("nvmlDeviceGetMemoryInfo", 999, "Unknown Error"),
        ("nvmlDeviceGetNvLinkState", 15, "GPU is lost"),
        ("nvmlDeviceGetUUID", 16, "GPU requires restart"),
    ],
)
def test_a_lost_gpu_is_named_with_its_address_and_the_hint_and_the_others_are_reported(look, plug, asked, code, words):
    for index in range(3):
        plug(address(index))
    answers = machine(3)
    answers[asked, "1.0" if "NvLink" in asked else "1"] = f"!{code}"
    if asked.endswith("HandleByIndex"):
        del answers["nvmlDeviceGetPciInfo", "1"]
    described = look(answers)
    assert described["state"] == "lost"
    assert described["reason"].startswith(f"GPU 1 at 0000:19:00.0: {words}; a GPU has left the bus or needs a reset:")
    assert [gpu["uuid"] for gpu in described["gpus"]] == ["GPU-00000000", None, "GPU-00000002"]
    assert [gpu["fault"] for gpu in described["gpus"]] == [None, words, None]


def test_a_gpu_that_the_driver_holds_and_does_not_list_is_lost(look, plug):
    plug(address(0))
    described = look(machine(0))
    assert (described["state"], described["accelerator"], described["source"]) == ("lost", "nvidia", "sysfs")
    assert described["reason"].startswith("the driver is bound to 0000:18:00.0 (10de:2330) and serves none; ")


def test_gpus_that_the_driver_leaves_out_are_named_beside_those_it_serves(look, plug):
    plug(address(0))
    plug(address(1), driver="vfio-pci")
    described = look(machine(1))
    assert described["state"] == "ok"
    assert described["reason"] == "1 x NVIDIA H100 80GB HBM3; the driver does not serve 0000:19:00.0 (10de:2330)"


@pytest.mark.parametrize(
    ("asked", "whom"), [("nvmlInit", "-"), ("nvmlDeviceGetCount_v2", "-"), ("nvmlDeviceGetHandleByIndex", "0")]
)
def test_a_user_who_may_not_ask_is_reported_to_become_root(look, asked, whom):
    described = look({**machine(), (asked, whom): "!4"})
    assert (described["state"], described["gpus"]) == ("no_permission", [])
    assert described["reason"] == "the driver refuses this user (Insufficient Permissions); run as root (become: true)"


def test_a_value_that_this_user_may_not_see_is_null_and_the_rest_is_reported(look):
    described = look({**machine(), ("nvmlDeviceGetMemoryInfo", "0"): "!4", ("nvmlDeviceGetNvLinkState", "0.0"): "!4"})
    gpu = described["gpus"][0]
    assert (described["state"], gpu["memory_bytes"], gpu["memory_is_shared"]) == ("ok", None, False)
    assert (gpu["nvlink_peers"], gpu["temperature_c"]) == (None, 41)


def test_a_driver_that_was_upgraded_under_its_module_is_a_mismatch_with_both_versions(look, plug, machine_folder):
    plug(address(0))
    (machine_folder / "version").write_text(MODULE_VERSION.format("535.161.07"))
    described = look({**machine(), ("nvmlInit", "-"): "!18"})
    assert (described["state"], described["source"], described["driver_version"]) == ("mismatch", "sysfs", "535.161.07")
    assert described["reason"] == (
        "the loaded kernel module is 535.161.07, NVIDIA's library 550.54.15: the driver was upgraded under a running "
        "kernel module; reboot the host"
    )
    assert [gpu["pci_address"] for gpu in described["gpus"]] == ["0000:18:00.0"]


def test_an_old_driver_tells_all_but_what_it_does_not_know(look):
    answers = machine(2)
    answers["nvmlDeviceGetComputeRunningProcesses", "0"] = f"4711 {GIB}"
    answers["nvmlDeviceGetNvLinkState", "0.0"] = answers["nvmlDeviceGetNvLinkState", "1.0"] = 1
    answers["nvmlDeviceGetNvLinkRemotePciInfo", "0.0"] = "00000000:19:00.0"
    answers["nvmlDeviceGetNvLinkRemotePciInfo", "1.0"] = "00000000:18:00.0"
    described = look(answers, "old")
    gpu = described["gpus"][0]
    assert (described["state"], described["cuda_version"]) == ("ok", "12.2")
    assert (gpu["mig_mode"], gpu["mig_devices"]) == (None, [])
    assert (gpu["architecture"], gpu["temperature_c"]) == ("Hopper", 41)
    assert gpu["processes"] == [{"pid": 4711, "name": None, "memory_bytes": GIB}]
    assert gpu["nvlink_peers"] == [{"index": 1, "links": 1}]


def test_a_gpu_that_shares_the_hosts_memory_is_reported_with_the_hosts_figures(look):
    answers = machine(1)
    answers["nvmlDeviceGetMemoryInfo", "0"] = "!3"
    gpu = look(answers)["gpus"][0]
    assert gpu["memory_is_shared"]
    assert (gpu["memory_bytes"], gpu["memory_free_bytes"]) == (131072000 * 1024, 65536000 * 1024)


@pytest.mark.parametrize("library", ["none", "present"])
def test_without_a_gpu_the_host_is_a_cpu_host(look, library):
    described = look({("nvmlInit", "-"): "!9"}, library)
    assert (described["state"], described["accelerator"], described["source"]) == ("no_gpu", "cpu", "none")
    assert (described["gpus"], described["topology"]) == ([], None)
    assert described["reason"] == "the host has no NVIDIA GPU"


def test_a_gpu_without_a_driver_is_reported_by_its_address(look, plug):
    plug(address(0), driver="nouveau")
    plug("0000:18:00.1", kind="0x040300", driver="snd_hda_intel")
    described = look({}, "none")
    assert (described["state"], described["accelerator"], described["source"]) == ("no_driver", "nvidia", "sysfs")
    assert described["reason"] == (
        "found 0000:18:00.0 (10de:2330), bound to the kernel driver nouveau, but no working NVIDIA driver "
        "(NVML Shared Library Not Found); install the driver"
    )
    assert [(gpu["pci_address"], gpu["index"], gpu["memory_bytes"]) for gpu in described["gpus"]] == [
        (address(0), None, None)
    ]


def test_an_unknown_error_of_the_driver_is_a_state_too(look):
    described = look({**machine(), ("nvmlInit", "-"): "!999"})
    assert described["state"] == "failed"
    assert described["reason"] == (
        "NVIDIA's driver answers with an error: Unknown Error; look for NVRM in the kernel's log (dmesg)"
    )


SMI = FIXTURES / "smi"


@pytest.fixture
def smi(commands, monkeypatch, machine_folder):
    """Stand in for a host whose Python has no pynvml, and return its commands."""
    monkeypatch.delattr(readings_runner, "pynvml", raising=False)
    monkeypatch.setattr(host, "program", lambda name: f"/usr/bin/{name}")
    for name, path in {"PCI_FOLDER": "pci", "KFD": "kfd", "MODULE_VERSION": "version", "MEMORY": "meminfo"}.items():
        monkeypatch.setattr(readings_runner, name, str(machine_folder / path))
    return commands


def test_without_pynvml_nvidia_smi_is_asked_and_that_is_said(smi):
    smi.answer("/usr/bin/nvidia-smi --query-gpu=index", (SMI / "two.csv").read_text())
    smi.answer("/usr/bin/nvidia-smi --query-compute-apps=", (SMI / "processes.csv").read_text())
    smi.answer("/usr/bin/nvidia-smi -q -x", "<nvidia_smi_log>\n\t<cuda_version>12.2</cuda_version>\n</nvidia_smi_log>")
    described = readings_runner.look()
    assert described["msg"] == (
        "ok: 2 x NVIDIA A100-SXM4-80GB; read by nvidia-smi, which says nothing of links and topology, "
        "for no Python with pynvml that fits was found; the role toolbox brings one"
    )
    assert (described["source"], described["driver_version"], described["cuda_version"]) == (
        "nvidia-smi",
        "535.86.10",
        "12.2",
    )
    assert (described["topology"], described["gpus"][0]["nvlink_peers"]) == (None, None)
    assert [process["pid"] for process in described["gpus"][1]["processes"]] == [1834, 1835]


MIG_ROW = "0, 00000000:18:00.0, GPU-a, NVIDIA A100-SXM4-80GB, 535.86.10, 81920, 81000, 8.0, Enabled" + ", [N/A]" * 7
MIG_PART = """
    <mig_device>
      <index>0</index><gpu_instance_id>2</gpu_instance_id><compute_instance_id>0</compute_instance_id>
      <fb_memory_usage><total>40192 MiB</total><used>37 MiB</used><free>40155 MiB</free></fb_memory_usage>
    </mig_device>
"""
MIG_LOST = "<mig_device><index>N/A</index><gpu_instance_id>N/A</gpu_instance_id></mig_device>"


@pytest.mark.parametrize("parts", [MIG_PART, "\n\t\tNone\n", MIG_LOST], ids=["one part", "none", "one of a lost GPU"])
def test_nvidia_smis_two_other_answers_tell_the_parts_of_a_gpu_in_mig_mode(smi, parts):
    described = f'<gpu id="00000000:18:00.0"><mig_devices>{parts}</mig_devices><uuid>GPU-a</uuid></gpu>'
    smi.answer("/usr/bin/nvidia-smi --query-gpu=index", MIG_ROW)
    smi.answer("/usr/bin/nvidia-smi -q -x", f"<?xml version='1.0' ?>\n<nvidia_smi_log>{described}</nvidia_smi_log>")
    smi.answer(
        "/usr/bin/nvidia-smi -L",
        "GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-a)\n  MIG 3g.40gb     Device  0: (UUID: MIG-b)\n",
    )
    (gpu,) = readings_runner.look()["gpus"]
    named = {"uuid": "MIG-b", "name": "NVIDIA A100-SXM4-80GB MIG 3g.40gb", "memory_bytes": 40192 * 1024**2}
    unknown = {
        "memory_bytes": None,
        "memory_free_bytes": None,
        "index": 0,
        "gpu_instance_id": 0,
        "compute_instance_id": 0,
    }
    sizes = {"memory_free_bytes": 40155 * 1024**2, "index": 0, "gpu_instance_id": 2, "compute_instance_id": 0}
    assert gpu["mig_devices"] == {MIG_PART: [{**named, **sizes}], MIG_LOST: [{**named, **unknown}]}.get(parts, [])


def test_where_nvidia_smi_names_the_librarys_version_both_are_told(smi, plug, machine_folder):
    plug(address(0))
    (machine_folder / "version").write_text(MODULE_VERSION.format("535.129.03"))
    said = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.161"
    smi.answer("/usr/bin/nvidia-smi", said, rc=18)
    assert readings_runner.look()["reason"].startswith(
        "the loaded kernel module is 535.129.03, NVIDIA's library 535.161: the driver was upgraded"
    )


@pytest.mark.parametrize(
    ("drivers", "state"),
    [
        (["vfio-pci", "vfio-pci"], "out_of_reach"),
        (["nvgrace-gpu-vfio-pci"], "out_of_reach"),
        (["pciback"], "out_of_reach"),
        (["vfio-pci", None], "no_driver"),
        (["vfio-pci", "nouveau"], "no_driver"),
    ],
)
@pytest.mark.parametrize("library", ["none", "present"])
def test_gpus_that_are_kept_for_virtual_machines_want_no_driver(look, plug, drivers, state, library):
    for index, driver in enumerate(drivers):
        plug(address(index), driver=driver)
    described = look(machine(0), library)
    assert (described["state"], described["accelerator"]) == (state, "nvidia")
    assert ("which the kernel driver" in described["reason"]) == (state == "out_of_reach")


@pytest.mark.parametrize(("modes", "state"), [({"0": "3", "1": "4"}, "out_of_reach"), ({"0": "3", "1": "0"}, "ok")])
def test_gpus_that_a_hypervisors_driver_shares_among_virtual_machines_are_none_of_this_hosts(look, plug, modes, state):
    for index in range(2):
        plug(address(index))
    answers = {("nvmlDeviceGetVirtualizationMode", whom): mode for whom, mode in modes.items()}
    described = look({**machine(2), **answers})
    assert (described["state"], described["accelerator"]) == (state, "nvidia")
    assert state == "ok" or "whose driver is that of a hypervisor" in described["reason"]


PROHIBITED, FABRIC = readings.NO_COMPUTING, readings.NO_FABRIC


@pytest.mark.parametrize(
    ("function", "values", "state", "words"),
    [
        ("nvmlDeviceGetComputeMode", ("2", "2"), "out_of_reach", PROHIBITED),
        ("nvmlDeviceGetComputeMode", ("0", "2"), "ok", f"CUDA starts nothing on GPU 1, for {PROHIBITED}"),
        ("nvmlDeviceGetComputeMode", ("3", "0"), "ok", "2 x"),
        ("nvmlDeviceGetGpuFabricInfo", ("2", "1"), "out_of_reach", FABRIC),
        ("nvmlDeviceGetGpuFabricInfo", ("3", "3"), "ok", "2 x"),
        ("nvmlDeviceGetGpuFabricInfo", ("0", "0"), "ok", "2 x"),
    ],
)
def test_gpus_on_which_cuda_starts_nothing_are_told_with_the_cause(look, plug, function, values, state, words):
    for index in range(2):
        plug(address(index))
    answers = {(function, str(index)): value for index, value in enumerate(values)}
    described = look({**machine(2), **answers})
    assert (described["state"], described["accelerator"]) == (state, "nvidia")
    assert words in described["reason"]
    barred = {"nvmlDeviceGetComputeMode": ("2",), "nvmlDeviceGetGpuFabricInfo": ("1", "2")}[function]
    assert [bool(gpu["fault"]) for gpu in described["gpus"]] == [value in barred for value in values]


@pytest.mark.parametrize(
    ("said", "state", "words"),
    [
        ("<compute_mode>Prohibited</compute_mode>", "out_of_reach", PROHIBITED),
        ("<compute_mode>Exclusive_Process</compute_mode>", "ok", "1 x"),
        ("<fabric><state>In Progress</state><status>N/A</status></fabric>", "out_of_reach", FABRIC),
        ("<fabric><state>Completed</state><status>Success</status></fabric>", "ok", "1 x"),
        ("<fabric><state>N/A</state><status>N/A</status></fabric>", "ok", "1 x"),
    ],
)
def test_nvidia_smi_tells_of_gpus_on_which_cuda_starts_nothing_too(smi, plug, said, state, words):
    smi.answer("/usr/bin/nvidia-smi --query-gpu=index", MIG_ROW.replace("Enabled", "Disabled"))
    smi.answer("/usr/bin/nvidia-smi -q -x", f"<nvidia_smi_log><gpu>{said}<uuid>GPU-a</uuid></gpu></nvidia_smi_log>")
    plug(address(0))
    described = readings_runner.look()
    assert (described["state"], words in described["reason"]) == (state, True)


def test_an_older_pynvml_than_ours_knows_nothing_of_a_fabric_and_is_read_all_the_same(look, plug, monkeypatch):
    for name in ("c_nvmlGpuFabricInfoV_t", "c_nvmlGpuFabricInfo_t"):
        monkeypatch.delattr(readings_runner.pynvml, name, raising=False)
    plug(address(0))
    assert look(machine(1))["state"] == "ok"


def test_nvidia_smi_tells_of_a_hypervisors_driver_too(smi, plug):
    smi.answer("/usr/bin/nvidia-smi --query-gpu=index", MIG_ROW.replace("Enabled", "Disabled"))
    mode = "<gpu_virtualization_mode><virtualization_mode>Host VGPU</virtualization_mode></gpu_virtualization_mode>"
    smi.answer("/usr/bin/nvidia-smi -q -x", f"<nvidia_smi_log><gpu>{mode}<uuid>GPU-a</uuid></gpu></nvidia_smi_log>")
    plug(address(0))
    assert readings_runner.look()["state"] == "out_of_reach"


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        (None, 0, "found neither NVIDIA's library nor nvidia-smi"),
        ("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.161", 18, "535.161"),
    ],
)
def test_in_a_container_the_driver_is_the_hosts_and_neither_installed_nor_mended_by_a_restart(
    smi, plug, machine_folder, monkeypatch, said, status, words
):
    plug(address(0))
    (machine_folder / "version").write_text(MODULE_VERSION.format("535.129.03"))
    monkeypatch.setattr(readings_runner, "CONTAINER", str(machine_folder / "version"))
    monkeypatch.setattr(host, "program", lambda name: f"/usr/bin/{name}" if said else None)
    smi.answer("/usr/bin/nvidia-smi", said or "", rc=status)
    described = readings_runner.look()
    assert (described["state"], described["accelerator"]) == ("out_of_reach", "nvidia")
    assert "535.129.03" in described["reason"]
    assert words in described["reason"]
    (machine_folder / "version").write_text("")  # no driver is loaded outside: whoever runs this kernel may install one
    assert readings_runner.look()["state"] == ("mismatch" if said else "no_driver")


def test_an_older_nvidia_smi_does_not_name_the_librarys_version_but_its_file_does(
    smi, plug, machine_folder, monkeypatch
):
    plug(address(0))
    (machine_folder / "version").write_text(MODULE_VERSION.format("470.182.03"))
    (machine_folder / "libnvidia-ml.so.1").symlink_to("libnvidia-ml.so.470.199.02")
    (machine_folder / "libnvidia-ml.so.470.199.02").touch()
    monkeypatch.setattr(
        readings_runner, "LIBRARIES", (f"{machine_folder}/*/none", f"{machine_folder}/libnvidia-ml.so.1")
    )
    smi.answer("/usr/bin/nvidia-smi", "Failed to initialize NVML: Driver/library version mismatch", rc=255)
    assert readings_runner.look()["reason"].startswith(
        "the loaded kernel module is 470.182.03, NVIDIA's library 470.199.02: the driver was upgraded"
    )


JETSON = "nvidia,p3768-0000+p3767-0000-super\0nvidia,p3767-0000\0nvidia,tegra234\0"


@pytest.mark.parametrize(
    ("compatible", "dxg", "words"),
    [
        (JETSON, False, "the device tree says nvidia,tegra234"),
        ("nvidia,jetson-nano\0nvidia,tegra210\0", False, "the device tree says nvidia,tegra210"),
        ("", True, "found /dev/dxg"),
        ("raspberrypi,5-model-b\0brcm,bcm2712\0", False, "the host has no NVIDIA GPU"),
    ],
)
def test_a_gpu_that_is_not_on_pci_and_does_not_answer_makes_no_cpu_host(
    smi, machine_folder, monkeypatch, compatible, dxg, words
):
    monkeypatch.setattr(host, "program", lambda name: None)
    for name, there in (("COMPATIBLE", compatible), ("DXG", dxg)):
        monkeypatch.setattr(readings_runner, name, str(machine_folder / name))
        if there:
            (machine_folder / name).write_text(compatible)
    described = readings_runner.look()
    assert words in described["reason"]
    assert (described["accelerator"] == "cpu") == (words == "the host has no NVIDIA GPU")


def test_wsls_nvidia_smi_is_found_outside_the_path(smi, machine_folder, monkeypatch):
    program = machine_folder / "nvidia-smi"
    program.touch()
    monkeypatch.setattr(host, "program", lambda name: None)
    monkeypatch.setattr(readings_runner, "WSL_SMI", str(program))
    smi.answer(f"{program} --query-gpu=index", (SMI / "two.csv").read_text())
    assert readings_runner.look()["state"] == "ok"


def test_an_older_nvidia_smi_is_asked_again_without_the_fields_that_it_refuses(smi):
    def answer():
        fields = smi.made[-1].split()[1].partition("=")[2].split(",")
        refused = next((name for name in fields if name in ("compute_cap", "mig.mode.current")), None)
        row = {"index": "0", "name": "Tesla T4", "driver_version": "440.33.01", "memory.total": "15109"}
        if refused:
            return f'Field "{refused}" is not a valid field to query.\n\n'
        return ", ".join(row.get(name, "[N/A]") for name in fields) + "\n"

    smi.answer("/usr/bin/nvidia-smi --query-gpu=", answer)
    described = readings_runner.look()
    assert (described["state"], described["gpus"][0]["memory_bytes"]) == ("ok", 15109 * 1024**2)
    assert described["gpus"][0]["compute_capability"] is None
    assert len(smi.that("--format=csv,noheader,nounits")) == 4


@pytest.mark.parametrize(
    ("status", "words", "state"),
    [
        (9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "no_driver"),
        (18, "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.161", "mismatch"),
        (15, "Unable to determine the device handle for GPU 0000:02:00.0: GPU is lost.  Reboot the\n system", "lost"),
        (255, "Unable to determine the device handle for GPU0000:02:00.0: Unknown Error", "lost"),
        (4, "Failed to initialize NVML: Insufficient Permissions", "no_permission"),
        (6, "No devices were found", "lost"),
        (0, "No devices were found", "lost"),
        (124, "no end after 60 s", "failed"),
    ],
)
def test_what_nvidia_smi_ends_with_is_a_state(smi, plug, status, words, state):
    plug(address(0))
    smi.answer("/usr/bin/nvidia-smi", words, rc=status)
    described = readings_runner.look()
    assert described["state"] == state
    assert "Traceback" not in described["msg"]


def test_without_pynvml_and_nvidia_smi_sysfs_is_left(smi, plug, monkeypatch):
    monkeypatch.setattr(host, "program", lambda name: None)
    plug(address(0), driver=None)
    described = readings_runner.look()
    assert (described["state"], described["source"]) == ("no_driver", "sysfs")
    assert "(found neither NVIDIA's library nor nvidia-smi)" in described["reason"]


@pytest.mark.parametrize(
    ("kind", "kfd", "accelerator"),
    [
        ("0x030000", True, "rocm"),
        ("0x038000", True, "rocm"),
        ("0x120000", True, "rocm"),
        ("0x030000", False, "cpu"),
        ("0x040300", True, "cpu"),
    ],
)
def test_amds_cards_count_where_their_compute_driver_runs(
    smi, plug, machine_folder, monkeypatch, kind, kfd, accelerator
):
    monkeypatch.setattr(host, "program", lambda name: None)
    plug("0000:03:00.0", vendor="0x1002", device="0x74a1", kind=kind, driver="amdgpu")
    if kfd:
        (machine_folder / "kfd").touch()
    assert readings_runner.look()["accelerator"] == accelerator


def bare_python(folder):
    """Make a Python without any library, and return it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


@pytest.mark.parametrize("toolbox", [True, False], ids=["with the toolbox", "without"])
def test_the_whole_module_goes_on_in_the_toolboxs_python_where_there_is_one(libraries, tmp_path, toolbox):
    """Run by Ansible itself: how a module respawns is its affair, and differs between its versions."""
    python = bare_python(tmp_path / "host")
    if toolbox:
        bare_python(tmp_path / "toolbox")
        (packages,) = (tmp_path / "toolbox" / "lib").glob("python*/site-packages")
        shutil.copy(importlib.util.find_spec("pynvml").origin, packages)
    (tmp_path / "ansible.cfg").touch()
    answers = tmp_path / "answers"
    answers.write_text("".join(f"{name} {whom} {described}\n" for (name, whom), described in machine().items()))
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
        "ANSIBLE_LIBRARY": str(pathlib.Path(modules.__path__[0])),
        "ANSIBLE_MODULE_UTILS": str(PACKAGE),
        "LD_LIBRARY_PATH": str(libraries / "present"),
        "NVML_ANSWERS": str(answers),
    }
    command = [sys.executable, "-m", "ansible", "adhoc", "localhost", "-i", "localhost,", "-c", "local"]
    command += ["-e", f"ansible_python_interpreter={python}", "-m", "gpuchat_gpu_info"]
    command += ["-a", f"toolbox={tmp_path / 'toolbox'}", "--check"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    described = json.loads(done.stdout.partition(" => ")[2])
    assert described["source"] == ("nvml" if toolbox else "none")
    assert [gpu["name"] for gpu in described["gpus"]] == ["NVIDIA H100 80GB HBM3"] * toolbox


def test_another_makers_accelerator_is_seen_on_pci(tmp_path, monkeypatch):
    device = tmp_path / "0000:19:00.0"
    device.mkdir()
    for name, text in {"vendor": "0x1da3\n", "device": "0x1020\n", "class": "0x120000\n"}.items():
        (device / name).write_text(text)
    monkeypatch.setattr(readings_runner, "PCI_FOLDER", str(tmp_path))
    assert readings_runner.surroundings().others == ("Intel Gaudi at 0000:19:00.0",)
