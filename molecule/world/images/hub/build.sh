#!/bin/sh
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The world's model hub: hub.py, on Debian's Python. Its models are a volume at /srv/models, as OWNER/NAME/.
set -eu
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends python3 >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/*
install -d /srv/models /usr/local/lib/hub
install -m 644 /recipe/hub.py /recipe/hub_faults.py /recipe/hub_tree.py /usr/local/lib/hub/
