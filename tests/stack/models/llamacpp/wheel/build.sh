#!/bin/sh
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes llama-cpp-python's wheel of its source, for any x86_64 with AVX2: build.sh SOURCE.tar.gz OUT, with the packages
# of backend.txt in PYTHONPATH.
set -eu
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
tar --extract --file "$1" --directory "$source" --strip-components 1
# Without images, and without what llama.cpp's own programs share, which nothing here uses: half of the time.
echo 'set(LLAMA_BUILD_COMMON OFF)' >"$source/less.cmake"
CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DLLAVA_BUILD=OFF"
export CMAKE_ARGS="$CMAKE_ARGS -DCMAKE_PROJECT_llama_cpp_INCLUDE=$source/less.cmake"
cd "$source"
python3 -c 'import sys, scikit_build_core.build as build; build.build_wheel(sys.argv[1])' "$2"
