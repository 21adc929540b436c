# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host computes with, by what it has and what its owner wants."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu import accelerator_runner, readings
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu.accelerator import (
    Decision,
    Found,
    Wanted,
    decide,
)

STATES = ("ok", "no_gpu", "no_driver", "mismatch", "lost", "no_permission", "out_of_reach")
BARE = Found("nvidia", "no_driver", "no driver is loaded")
MAY = Wanted(install_driver=True, reboot=True)


@pytest.mark.parametrize(
    ("found", "wanted", "installed", "accelerator", "install", "reboot"),
    [
        (Found("nvidia", "ok"), Wanted(), False, "nvidia", False, False),
        (Found("nvidia", "ok"), MAY, False, "nvidia", False, False),
        (Found("nvidia", "ok", nouveau=True, secure_boot=True), MAY, False, "nvidia", False, False),
        (Found("nvidia", "ok"), Wanted("cpu"), False, "cpu", False, False),
        (Found("cpu", "no_gpu"), Wanted(), False, "cpu", False, False),
        (Found("rocm", "no_gpu"), Wanted("cpu"), False, "cpu", False, False),
        (BARE, MAY, False, "nvidia", True, False),
        (BARE, MAY, True, "nvidia", False, True),
        (BARE, Wanted(install_driver=True), False, "nvidia", True, False),
        (BARE, Wanted("cpu"), False, "cpu", False, False),
        (Found("nvidia", "no_driver", secure_boot=True), Wanted(install_driver=True, signed_modules=True), False)
        + ("nvidia", True, False),
        (Found("nvidia", "no_driver", nouveau=True), MAY, False, "nvidia", True, False),
        (Found("nvidia", "mismatch"), Wanted(reboot=True), False, "nvidia", False, True),
    ],
)
def test_a_host_computes_with_what_works_and_says_what_is_to_be_done(
    found, wanted, installed, accelerator, install, reboot
):
    decision = decide(found, wanted, installed)
    assert (decision.accelerator, decision.install_driver, decision.reboot) == (accelerator, install, reboot)
    assert decision.reason


@pytest.mark.parametrize(
    ("found", "wanted", "installed", "words"),
    [
        (Found("rocm", "no_gpu"), Wanted(), False, "does not serve yet"),
        (Found("rocm", "no_gpu"), Wanted("nvidia"), False, "does not serve yet"),
        (Found("cpu", "no_gpu"), Wanted("nvidia"), False, "found no NVIDIA GPU"),
        (BARE, Wanted(), False, "set nvidia_driver_install to true, or set gpuchat_accelerator to cpu"),
        (BARE, Wanted(reboot=True), False, "set nvidia_driver_install to true"),
        (BARE, Wanted(install_driver=True), True, "set nvidia_driver_reboot to true"),
        (Found("nvidia", "no_driver", secure_boot=True), MAY, False, "Secure Boot is on"),
        (Found("nvidia", "no_driver", nouveau=True), Wanted(install_driver=True), False, "nouveau holds the GPU"),
        (Found("nvidia", "mismatch", "versions differ"), Wanted(), False, "versions differ; wanted a driver"),
        (Found("nvidia", "lost", "GPU 3 is lost"), MAY, False, "GPU 3 is lost; wanted GPUs that answer; restart"),
        (Found("nvidia", "no_permission", "not allowed"), MAY, False, "run as root"),
        (
            Found("nvidia", "out_of_reach", "kept for others"),
            MAY,
            False,
            "^kept for others, or set gpuchat_accelerator",
        ),
        (Found("nvidia", "out_of_reach", "kept for others"), MAY, True, "^kept for others, or set gpuchat_accelerator"),
        (Found("nvidia", "no_driver", device_ids=(0x102D,)), MAY, False, "10de:102d.*branch 470; wanted"),
        (Found("nvidia", "no_driver", device_ids=(0x1DB6, 0x2BB5)), MAY, False, "10de:1db6.*beside Blackwell's"),
        (
            Found("nvidia", "no_driver", device_ids=(0x1B38,)),
            Wanted(install_driver=True, branch="590"),
            False,
            "10de:1b38.* and branch 590; wanted 580, .*set nvidia_driver_branch to 580",
        ),
        (
            Found("nvidia", "no_driver", device_ids=(0x2330, 0x2BB5)),
            Wanted(install_driver=True, branch="535"),
            False,
            "10de:2bb5.* and branch 535; wanted 570 or newer, .*set nvidia_driver_source to nvidia",
        ),
        (
            Found("nvidia", "no_driver", device_ids=(0x2901,)),
            Wanted(install_driver=True, open_modules=False),
            False,
            "10de:2901.* and closed kernel modules; .*set nvidia_driver_open_modules to true",
        ),
        (Found("nvidia", "ok", undivided=(2,)), Wanted(), False, "GPU 2 is in MIG mode .* -i 2 -cgi PROFILE -C"),
    ],
)
def test_what_cannot_be_is_refused_with_the_hint(found, wanted, installed, words):
    with pytest.raises(Refusal, match=words):
        decide(found, wanted, installed)


def test_a_gpu_that_does_not_work_never_becomes_a_cpu_host_in_silence():
    for state, install, reboot, nouveau in itertools.product(STATES, *[(False, True)] * 3):
        found = Found("cpu" if state == "no_gpu" else "nvidia", state, nouveau=nouveau)
        try:
            decision = decide(found, Wanted("auto", install, reboot=reboot))
        except Refusal:
            continue
        assert (decision.accelerator == "cpu") == (state == "no_gpu")


def test_nothing_is_done_to_a_host_that_works():
    for install, signed, reboot in itertools.product(*[(False, True)] * 3):
        decision = decide(Found("nvidia", "ok"), Wanted("auto", install, signed, reboot))
        assert decision == Decision("nvidia", reason=decision.reason)


SEEN = {"accelerator": "nvidia", "state": "no_driver", "reason": "none", "gpus": []}
SEEN["pci_devices"] = [{"driver": None, "vendor_id": "10de", "device_id": "1db6"}]
PARAMS = {
    "accelerator": "auto",
    "install_driver": True,
    "signed_modules": [],
    "reboot": False,
    "driver_installed": False,
    "branch": "",
    "branches": {},
    "open_modules": True,
}


@pytest.fixture
def host_without_driver(monkeypatch, tmp_path):
    monkeypatch.setattr(accelerator_runner.readings_runner, "look", lambda: dict(SEEN))
    monkeypatch.setattr(accelerator_runner, "FIRMWARE", str(tmp_path))
    monkeypatch.setattr(accelerator_runner, "SECURE_BOOT", str(tmp_path / "SecureBoot"))
    return tmp_path


@pytest.mark.parametrize(("content", "on"), [(b"\6\0\0\0\1", True), (b"\6\0\0\0\0", False), (b"", None), (None, None)])
def test_secure_boot_is_read_from_the_firmware(host_without_driver, content, on):
    if content is not None:
        (host_without_driver / "SecureBoot").write_bytes(content)
    assert accelerator_runner.secure_boot() is on


def test_a_host_without_uefi_has_no_secure_boot(host_without_driver, monkeypatch):
    monkeypatch.setattr(accelerator_runner, "FIRMWARE", str(host_without_driver / "none"))
    assert accelerator_runner.secure_boot() is False


WHOLE = {"index": 0, "mig_mode": "disabled", "mig_devices": []}
UNDIVIDED = {"index": 1, "mig_mode": "enabled", "mig_devices": []}


@pytest.mark.parametrize(
    ("device", "branch"),
    [
        (0x1380, "580"),  # GTX 750 Ti, Maxwell
        (0x17FD, "580"),  # Tesla M40, Maxwell
        (0x15F8, "580"),  # Tesla P100, Pascal
        (0x1B38, "580"),  # Tesla P40, Pascal
        (0x1DB6, "580"),  # Tesla V100, Volta
        (0x1E02, ""),  # TITAN RTX, Turing
        (0x1EB8, ""),  # Tesla T4, Turing
        (0x20B5, ""),  # A100, Ampere
        (0x2330, ""),  # H100, Hopper
        (0x2BB5, ""),  # RTX PRO 6000, Blackwell
    ],
)
def test_a_gpus_generation_tells_the_last_branch_before_any_driver_does(device, branch):
    found = Found("nvidia", "no_driver", device_ids=(device,))
    assert found.last_branch == branch
    assert decide(found, Wanted(install_driver=True, reboot=True, branch="580")).install_driver


@pytest.mark.usefixtures("host_without_driver")
@pytest.mark.parametrize(
    ("gpus", "usable"),
    [
        ([WHOLE], True),
        ([UNDIVIDED], False),
        ([UNDIVIDED, WHOLE], True),
        ([{**UNDIVIDED, "mig_devices": None}], True),
        ([{**UNDIVIDED, "mig_devices": [{"index": 0}]}], True),
    ],
)
def test_gpus_in_mig_mode_that_nobody_has_divided_are_refused_where_there_is_no_other(monkeypatch, gpus, usable):
    monkeypatch.setattr(accelerator_runner.readings_runner, "look", lambda: {**SEEN, "state": "ok", "gpus": gpus})
    if usable:
        assert accelerator_runner.ensure(PARAMS, check=False)["accelerator"] == "nvidia"
        return
    with pytest.raises(Refusal, match="GPU 1 is in MIG mode and has no MIG device"):
        accelerator_runner.ensure(PARAMS, check=False)


@pytest.mark.usefixtures("host_without_driver")
@pytest.mark.parametrize("runs", [True, False])
def test_a_fabric_manager_that_runs_gets_the_time_to_set_up_the_fabric(monkeypatch, commands, runs):
    pending = {**SEEN, "state": "out_of_reach", "reason": "no fabric", "gpus": [{**WHOLE, "fault": readings.NO_FABRIC}]}
    looks = [pending, pending, {**SEEN, "state": "ok", "gpus": [WHOLE]}]
    monkeypatch.setattr(accelerator_runner.readings_runner, "look", lambda: looks.pop(0))
    monkeypatch.setattr(accelerator_runner.host.time, "sleep", lambda _seconds: None)
    commands.answer("systemctl is-active --quiet nvidia-fabricmanager", rc=0 if runs else 3)
    if runs:
        assert accelerator_runner.ensure(PARAMS, check=False)["accelerator"] == "nvidia"
        return
    with pytest.raises(Refusal, match="^no fabric, or set gpuchat_accelerator to cpu"):
        accelerator_runner.ensure(PARAMS, check=False)


@pytest.mark.usefixtures("host_without_driver")
def test_the_module_returns_the_decision_with_all_that_was_found():
    result = accelerator_runner.ensure(PARAMS, check=False)
    assert {
        key: result[key] for key in ("accelerator", "install_driver", "reboot", "state", "changed", "last_branch")
    } == {
        "last_branch": "580",
        "accelerator": "nvidia",
        "install_driver": True,
        "reboot": False,
        "state": "no_driver",
        "changed": False,
    }


@pytest.mark.usefixtures("host_without_driver")
def test_check_mode_says_that_a_driver_which_is_not_there_yet_cannot_be_asked():
    after = {**PARAMS, "driver_installed": True}
    assert accelerator_runner.ensure(after, check=True)["not_predicted"]
    with pytest.raises(Refusal, match="nvidia_driver_reboot"):
        accelerator_runner.ensure(after, check=False)


@pytest.mark.parametrize(
    ("release", "branch"), [("debian-12", "535"), ("debian-13", "550"), ("ubuntu-24.04", ""), ("debian-14", "")]
)
def test_the_branch_that_a_release_ships_is_held_against_the_gpus(release, branch, monkeypatch):
    distribution, version = release.split("-")
    seen = {**SEEN, "pci_devices": [{"driver": None, "vendor_id": "10de", "device_id": "2bb5"}]}
    monkeypatch.setattr(accelerator_runner.readings_runner, "look", lambda: seen)
    monkeypatch.setattr(accelerator_runner, "secure_boot", lambda: False)
    monkeypatch.setattr(accelerator_runner.host, "os_release", lambda: f"ID={distribution}\nVERSION_ID={version}\n")
    params = {**PARAMS, "branches": {"debian-12": "535", "debian-13": "550"}, "branch": "580"}
    if not branch:
        assert accelerator_runner.ensure(params, True)["install_driver"]
        return
    with pytest.raises(Refusal, match=f"branch {branch}; wanted 570 or newer"):
        accelerator_runner.ensure(params, True)
