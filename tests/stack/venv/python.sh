#!/bin/sh
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Brings Debian 12's Python 3.11 to a Debian 13 of a world, for PyTorch's CPU build can be had for no other there. Runs as root
# on that host.
set -eu
export DEBIAN_FRONTEND=noninteractive
list=/etc/apt/sources.list.d/bookworm.list
echo 'deb http://deb.debian.org/debian bookworm main' >"$list"
apt-get -qq update
apt-get -qq install --no-install-recommends python3.11 libpython3.11-dev >/dev/null
rm "$list"
apt-get -qq update
