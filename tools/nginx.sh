#!/usr/bin/env bash
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Puts the distribution's nginx into a folder, for tests that start it: installed, it would serve the machine's port 80.
set -euo pipefail
folder=$1
[[ -x $folder/usr/sbin/nginx ]] && exit
mkdir -p "$folder"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
(cd "$scratch" && apt-get -qq -o APT::Sandbox::User=root download nginx) || {
    root=()
    [[ $(id -u) == 0 ]] || root=(sudo)
    "${root[@]}" apt-get -qq update
    (cd "$scratch" && apt-get -qq -o APT::Sandbox::User=root download nginx)
}
dpkg-deb --extract "$scratch"/nginx_*.deb "$folder"
