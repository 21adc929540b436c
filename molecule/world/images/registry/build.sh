#!/bin/sh
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# An image registry: Debian's docker-registry (the distribution project's).
set -eu
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends docker-registry >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/*
# Debian's own asks for a password; this one holds nothing that is not public.
install -m 644 /recipe/config.yml /etc/docker/registry/config.yml
