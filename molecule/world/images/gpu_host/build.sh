#!/bin/sh
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A bare server with the STAND-IN of two NVIDIA GPUs on its PCI bus: nothing more than what sysfs would show of them.
set -eu
for address in 0000:01:00.0 0000:02:00.0; do
    folder=/usr/local/share/pci-stand-in/$address
    mkdir -p "$folder"
    echo 0x10de >"$folder/vendor"
    echo 0x26b9 >"$folder/device"
    echo 0x030200 >"$folder/class"
done
install -m 644 /recipe/pci-stand-in.service /etc/systemd/system/
systemctl enable pci-stand-in.service
