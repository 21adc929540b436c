#!/bin/sh
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The packages that a host fetches in a closed network: an apt repository with the STAND-IN of NVIDIA's container toolkit
# and driver (neither is to be had here, and there is no GPU), and a Python package index with the toolbox's wheels.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --no-install-recommends nginx-light dpkg-dev apt-utils gnupg gcc libc6-dev python3-pip >/dev/null
install -m 644 /recipe/nginx.conf /etc/nginx/packages.conf
architecture=$(dpkg --print-architecture)

# package NAME VERSION DEPENDS: pack the tree in /build/tree, and begin a new one.
package() {
    mkdir -p /build/tree/DEBIAN "$pool"
    printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: gpuchat contributors <gpuchat@example.com>\nDescription: STAND-IN of %s for hosts without GPU\n%s' \
        "$1" "$2" "$architecture" "$1" "${3:+Depends: $3
}" >/build/tree/DEBIAN/control
    dpkg-deb --root-owner-group --build /build/tree "$pool/$1_$2_$architecture.deb" >/dev/null
    rm -rf /build/tree
}

# program PATH: put a script of that name into the tree.
program() {
    mkdir -p "/build/tree$(dirname "$1")"
    install -m 755 "/recipe/stand-in/$(basename "$1")" "/build/tree$1"
}

pool=/srv/packages/nvidia-toolkit/stable/deb/$architecture
for version in 1.19.0-1 1.20.0-1; do
    package libnvidia-container1 $version
    package libnvidia-container-tools $version "libnvidia-container1 (>= $version)"
    program /usr/bin/nvidia-container-runtime
    program /usr/bin/nvidia-ctk
    mkdir -p /build/tree/usr/lib/systemd/system
    cp /recipe/stand-in/nvidia-cdi-refresh.* /build/tree/usr/lib/systemd/system/
    package nvidia-container-toolkit-base $version
    program /usr/bin/nvidia-container-runtime-hook
    install -D -m 644 /recipe/stand-in/hook.py /build/tree/usr/share/nvidia-container-toolkit/hook.py
    package nvidia-container-toolkit $version "nvidia-container-toolkit-base (= $version), libnvidia-container-tools (>= $version)"
done

pool=/srv/packages/nvidia-driver/debian13
libraries=/build/tree/usr/lib/$(uname -m)-linux-gnu
mkdir -p "$libraries" /build/tree/usr/lib/systemd/system
install -D -m 644 /recipe/stand-in/answers /build/tree/usr/share/nvidia-stand-in/answers
sed 's|getenv("NVML_ANSWERS")|"/usr/share/nvidia-stand-in/answers"|' /also/nvml.c |
    gcc -shared -fPIC -O1 -Wl,-soname,libnvidia-ml.so.1 -x c -o "$libraries/libnvidia-ml.so.1" -
program /usr/bin/nvidia-smi
cp /recipe/stand-in/nvidia-devices.service /build/tree/usr/lib/systemd/system/
mkdir -p /build/tree/DEBIAN
install -m 755 /recipe/stand-in/postinst /build/tree/DEBIAN/postinst
package nvidia-open 580.95.05-1

# Signed by a key of this image's own; its fingerprint is given out by world.py.
export GNUPGHOME=/build/gnupg
mkdir -m 700 "$GNUPGHOME"
gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-gen-key 'gpuchat world <gpuchat@example.com>' rsa3072 sign 0
gpg --batch --quiet --armor --export >/srv/packages/key.asc
gpg --batch --with-colons --list-keys | awk -F: '$1 == "fpr" { print $10; exit }' >/srv/packages/fingerprint
for folder in /srv/packages/nvidia-toolkit/stable/deb/$architecture /srv/packages/nvidia-driver/debian13; do
    cd "$folder"
    apt-ftparchive packages . >Packages
    apt-ftparchive release . >/build/Release
    gpg --batch --quiet --clearsign --output InRelease /build/Release
done

# A package index in the simple form: a folder for each project.
cd /build
pip download --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
    --requirement /also/requirements.txt --dest wheels
for wheel in wheels/*.whl; do
    project=$(basename "$wheel" | cut -d- -f1 | tr 'A-Z_' 'a-z-')
    mkdir -p "/srv/packages/pypi/simple/$project"
    cp "$wheel" "/srv/packages/pypi/simple/$project/"
done

apt-get -qq purge gcc libc6-dev dpkg-dev apt-utils gnupg python3-pip >/dev/null
apt-get -qq autoremove --purge >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/*
