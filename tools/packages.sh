#!/usr/bin/env bash
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs what the tests need of Debian or Ubuntu; Docker and the images are the test world's own affair.
set -euo pipefail

# git stages the collection, shellcheck is one of the sanity tests, Chromium with certutil and fonts opens the chat,
# gcc makes the stand-in of NVIDIA's library, testssl.sh looks at the edge.
packages=(ca-certificates chromium curl fonts-liberation fonts-noto-cjk fonts-noto-color-emoji git libnss3-tools)
packages+=(gcc libc6-dev openssh-client shellcheck testssl.sh)
if ! dpkg --status "${packages[@]}" &>/dev/null; then
    echo "installing ${packages[*]}"
    root=()
    [[ $(id -u) == 0 ]] || root=(sudo)
    "${root[@]}" apt-get -qq update
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "${packages[@]}"
fi
