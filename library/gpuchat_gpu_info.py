#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_gpu_info
short_description: Say what accelerators a host has, and in what state they are
version_added: 0.1.0
description:
  - Reads through NVML, NVIDIA's management library, in the toolbox's Python that the role C(toolbox) made.
  - Without the toolbox it falls back to C(nvidia-smi), and without any driver to the PCI ids in sysfs; it says so.
  - A missing or broken driver is no failure of the module but a state in its result.
  - What a driver, a GPU or a fallback cannot say is null.
options:
  toolbox:
    description: Folder of the toolbox, a virtual environment with the library C(pynvml).
    type: path
    default: /opt/gpuchat/toolbox
attributes:
  check_mode:
    description: Reads only, so it does the same.
    support: full
  diff_mode:
    description: Changes nothing, so the difference is empty.
    support: full
  idempotent:
    description: Changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Look at the GPUs
  gpuchat.stack.gpuchat_gpu_info:
  register: found

- name: Stop where they cannot be used
  ansible.builtin.fail:
    msg: '{{ found.reason }}'
  when: found.accelerator == 'nvidia' and found.state != 'ok'
"""

RETURN = r"""
state:
  description:
    - V(ok), every GPU that the driver lists can be used.
    - V(no_gpu), the host has no NVIDIA GPU; V(no_driver), it has one, and no driver that works.
    - V(mismatch), the loaded kernel module and NVIDIA's library are of two versions.
    - V(out_of_reach), its GPUs are kept for virtual machines, CUDA starts nothing on them (their compute mode, or an
      NVSwitch fabric that nobody set up), it is a Jetson or a WSL2 whose GPU does not answer, or it has another maker's
      accelerators alone.
    - V(lost), a GPU has left the bus or needs a reset.
    - V(no_permission), the driver refuses the user that the module runs as.
    - V(failed), NVIDIA's driver answers with an error of another kind.
  type: str
  returned: success
reason:
  description: Why the state is what it is, and what to do about it.
  type: str
  returned: success
accelerator:
  description: V(nvidia), V(rocm) where there are only AMD GPUs with their compute driver, or V(cpu).
  type: str
  returned: success
source:
  description: Where the GPUs were read from, V(nvml), V(nvidia-smi), V(sysfs) (addresses only) or V(none).
  type: str
  returned: success
driver_version:
  description: Version of NVIDIA's driver.
  type: str
  returned: success
cuda_version:
  description: The highest version of CUDA that the driver serves without a compatibility package.
  type: str
  returned: success
gpus:
  description: The NVIDIA GPUs, in the driver's order.
  type: list
  elements: dict
  returned: success
  contains:
    index:
      description: The driver's index, as containers and C(nvidia-smi) use it.
      type: int
    pci_address:
      description: PCI address as sysfs writes it.
      type: str
    uuid:
      description: Identifier that stays the same over restarts.
      type: str
    name:
      description: Product name.
      type: str
    memory_bytes:
      description: All memory, in bytes.
      type: int
    memory_free_bytes:
      description: Memory that is free now, in bytes.
      type: int
    memory_is_shared:
      description: Whether the GPU uses the host's memory; the two figures are the host's then.
      type: bool
    compute_capability:
      description: CUDA's number for what the GPU can do, for instance V(9.0).
      type: str
    architecture:
      description: NVIDIA's name for the GPU's family, for instance V(Hopper).
      type: str
    mig_mode:
      description: V(enabled) or V(disabled); null where the GPU cannot be divided.
      type: str
    mig_devices:
      description:
        - The parts of a GPU in MIG mode, each with C(index), C(uuid), C(name), C(memory_bytes), C(memory_free_bytes),
          C(gpu_instance_id) and C(compute_instance_id).
        - Null where C(nvidia-smi) was asked and the mode is on.
      type: list
      elements: dict
    pcie:
      description: >-
        Generation (C(gen)) and lanes (C(width)) of the PCIe link as it is now, lower while the GPU is idle, and the
        most that GPU and slot can do together (C(max_gen), C(max_width)).
      type: dict
    nvlink_peers:
      description: Other GPUs reached over NVLink, each with its C(index) and the number of C(links).
      type: list
      elements: dict
    ecc_errors:
      description: Memory errors since the driver was loaded, C(corrected) and C(uncorrected); null without ECC.
      type: dict
    temperature_c:
      description: Temperature of the GPU's die, in degrees Celsius.
      type: int
    processes:
      description: Processes that compute on the GPU, each with C(pid), C(name) and C(memory_bytes).
      type: list
      elements: dict
    fault:
      description: Why the GPU cannot be used, or why CUDA starts nothing on it; null for a sound one.
      type: str
topology:
  description:
    - What lies between each two GPUs, as C(link), the best way between them, and C(pcie_path), one of V(same_board),
      V(pcie_switch), V(pcie_switches), V(host_bridge), V(numa_node) and V(sockets).
    - C(link) is V(nvlink) where there is NVLink; C(nvlinks) is the number of links, and C(gpus) the two indexes.
    - Null where C(nvidia-smi) or sysfs was read.
  type: list
  elements: dict
  returned: success
pci_devices:
  description: >-
    NVIDIA's and AMD's display devices on PCI, each with C(address), C(vendor_id), C(device_id) and the C(driver) of the
    kernel that is bound to it, for instance V(nouveau).
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.gpu import readings_runner
from ..module_utils.gpuchat.system import toolbox_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={"toolbox": {"type": "path", "default": toolbox_runner.TOOLBOX}},
        supports_check_mode=True,
    )
    toolbox_runner.respawn_for("pynvml", module.params["toolbox"])
    front.run(module, readings_runner.look)


if __name__ == "__main__":
    main()
