#!/bin/sh
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A bare server: a minimal Debian with systemd, python3, sshd and sudo, and nothing else.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --no-install-recommends systemd systemd-sysv dbus python3 iproute2 openssh-server sudo procps >/dev/null
install -m 644 /recipe/world-mounts.service /etc/systemd/system/
systemctl enable world-mounts.service ssh.service
systemctl disable ssh.socket 2>/dev/null || true
# Each host makes its own host keys when it starts; see world.py.
rm -f /etc/ssh/ssh_host_*
printf 'PasswordAuthentication no\nPermitRootLogin prohibit-password\n' >/etc/ssh/sshd_config.d/world.conf
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc /usr/share/man
mkdir -p /var/cache/apt/archives/partial
