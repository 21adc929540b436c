#!/bin/sh
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A host of somebody who is not allowed in: the bare server, with curl.
set -eu
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends curl >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/*
