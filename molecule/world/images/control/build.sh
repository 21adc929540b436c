#!/bin/sh
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A control node with the newest ansible-core, which wants a newer Python than the machine of the tests may have.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# A C compiler makes the unit tests' stand-in of NVIDIA's library.
apt-get -qq install --no-install-recommends python3-venv git openssh-client gcc libc6-dev >/dev/null
python3 -m venv /opt/newest
/opt/newest/bin/python -m pip install --quiet --no-cache-dir --only-binary :all: --require-hashes \
    --requirement /also/core-2.21.txt
apt-get clean
rm -rf /var/lib/apt/lists/*
