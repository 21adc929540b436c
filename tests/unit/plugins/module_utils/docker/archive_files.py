# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of images of a few bytes, in the layouts that Docker and Podman write."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

LAYERS = (b"the files of one layer", b"the files of another")


def sha(content):
    return hashlib.sha256(content).hexdigest()


def config(layers=LAYERS, architecture="amd64"):
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha(one)}" for one in layers]}
    return json.dumps({"architecture": architecture, "os": "linux", "rootfs": rootfs}).encode()


def before_25(name, layers=LAYERS, architecture="amd64"):
    """Return the files of an archive as Docker before 25 writes it; the second layer is a link as repeated ones are."""
    text = config(layers, architecture)
    files = {f"{sha(text)}.json": text}
    paths = []
    for number, one in enumerate(layers):
        paths.append(f"layer{number}/layer.tar")
        files[f"real{number}/layer.tar" if number else paths[-1]] = one
        if number:
            files[paths[-1]] = f"../real{number}/layer.tar"
    files["manifest.json"] = json.dumps(
        [{"Config": f"{sha(text)}.json", "RepoTags": [name] if name else None, "Layers": paths}]
    ).encode()
    return files


def in_oci_layout(name, layers=LAYERS, architecture="amd64", packed=False):
    """Return the files of an archive as Docker from 25 on writes it; its containerd store leaves layers packed."""
    text = config(layers, architecture)
    stored = [b"packed " + one if packed else one for one in layers]
    blobs = [text, *stored]
    manifest = json.dumps(
        {"config": {"digest": f"sha256:{sha(text)}"}, "layers": [{"digest": f"sha256:{sha(one)}"} for one in stored]}
    ).encode()
    index = json.dumps({"manifests": [{"digest": f"sha256:{sha(manifest)}"}]}).encode()
    files = {f"blobs/sha256/{sha(one)}": one for one in (*blobs, manifest, index)}
    files["index.json"] = json.dumps({"manifests": [{"digest": f"sha256:{sha(index)}"}]}).encode()
    paths = [f"blobs/sha256/{sha(one)}" for one in stored]
    listed = [{"Config": f"blobs/sha256/{sha(text)}", "RepoTags": [name] if name else None, "Layers": paths}]
    files["manifest.json"] = json.dumps(listed).encode()
    return files


def manifests_of(files):
    """Return the digests of the manifest and of the index of `in_oci_layout`."""
    index = json.loads(files["index.json"])["manifests"][0]["digest"]
    (manifest,) = json.loads(files[f"blobs/sha256/{index[7:]}"])["manifests"]
    return (manifest["digest"], index)


def write(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path
