# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: whether an image of vLLM, a driver, GPUs and a model's precision go together, said before any download."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..core.errors import Refusal
from . import releases
from .devices import Device
from .facts import versions
from .facts.precisions import (
    BFLOAT16,
    BLOCKS_BY_MARLIN_SINCE,
    CLASSES,
    COMPATIBILITY_SWITCH,
    CUDA,
    DOCUMENTED_FORWARD,
    FLOAT16_UNFIT,
    GPTQ_BY_MARLIN_ALONE_SINCE,
    INT8_UNFIT,
    MARLIN_24_UNTIL,
    MODELOPT_ALGORITHMS,
    PACKED_BITS_SINCE,
    PRECISIONS,
    SPARSE_REFUSED_SINCE,
    SPARSE_UNTIL,
    WEIGHTS,
    Cuda,
)

Gpus = Sequence[Device]


@dataclass(frozen=True)
class Precision:
    """The precision of a model's weights as vLLM's table of capabilities names it.

    Attributes:
        method: as config.json or --quantization says; empty for unquantized weights.
        scheme: the class within ``compressed-tensors`` and its like, or the method itself.
        in_blocks: FP8 with a scale per block.
        dtype: of the rest of the model, ``bfloat16`` for instance.
        dtype_fixed: whether the user wants that dtype, or it is what config.json says.
        model_type: of config.json.
    """

    method: str = ""
    scheme: str = ""
    in_blocks: bool = False
    dtype: str = ""
    dtype_fixed: bool = False
    model_type: str = ""


def check(
    version: str,
    gpus: Gpus,
    driver_version: str = "",
    config: Mapping[str, object] | None = None,
    dtype: str = "auto",
    quantization: str = "auto",
) -> tuple[str, ...]:
    """Check that image, driver, GPUs and model go together.

    Args:
        version: of vLLM; a tag that names another CUDA (``0.20.0-cu129``) counts.
        gpus: none for a host without GPU.
        driver_version: as nvidia-smi prints it; empty where it is not known, and is then not judged.
        config: the model's config.json; None where only image and driver are to be judged.
        dtype: as --dtype takes it.
        quantization: as --quantization takes it.

    Returns:
        What works with a catch, for the person who reads it.

    Raises:
        Refusal: what cannot work, and which of image, driver or model to change to what.
    """
    if not gpus:
        return ()
    notes: list[str] = list(dict.fromkeys(_kernels(version, gpus)))
    if driver_version:
        notes += _driver(version, gpus, driver_version)
    if config is not None:
        precision = precision_of(config, dtype, quantization)
        _check_variant(version, quantized(config), precision)
        for gpu in _unlike(gpus):
            notes += [note for note in _model(version, gpu, precision) if note not in notes]
    return tuple(notes)


def environment(version: str, gpus: Gpus, driver_version: str) -> dict[str, str]:
    """Return the environment that the image needs on these GPUs with this driver: CUDA's forward compatibility."""
    if not gpus or not driver_version:
        return {}
    needs = _cuda(version)
    if needs is None or _branch(driver_version) >= needs.floor or not _has_switch(version):
        return {}
    return {COMPATIBILITY_SWITCH: "1"}


# --- GPUs ---


def gpu_class(name: str) -> str:
    """Return what a GPU's name says: data-centre, workstation, consumer or embedded; empty for unknown names."""
    plain = " ".join(re.sub(r"[-_/]", " ", name.lower()).split())
    return next((kind for pattern, kind in CLASSES if re.search(pattern, plain)), "")


def capability_of(gpu: Device) -> int:
    """Return a GPU's compute capability times ten: 89 for 8.9; 0 where it is not known."""
    major, minor = gpu.capability
    return major * 10 + minor if gpu.compute_capability else 0


def shown(capability: int) -> str:
    """Return a capability as people write it: 8.9 for 89."""
    return f"{capability // 10}.{capability % 10}"


def _unlike(gpus: Gpus) -> list[Device]:
    """Return one GPU of each name and capability."""
    return list({(gpu.name, capability_of(gpu)): gpu for gpu in gpus}.values())


def _called(gpu: Device) -> str:
    return f"{gpu.name} (compute capability {shown(capability_of(gpu))})"


# --- The image ---


def image_cuda(version: str) -> tuple[int, int] | None:
    """Return the CUDA release of vLLM's image, or None where it is not known."""
    tagged = re.search(r"-cu(\d{2})(\d)\b", version)
    if tagged:
        return int(tagged.group(1)), int(tagged.group(2))
    text = str(releases.at(versions.IMAGE, version).get("cuda", ""))
    numbers = [int(part) for part in text.split(".") if part.isdigit()]
    return (numbers[0], numbers[1]) if len(numbers) > 1 else None


def _cuda(version: str) -> Cuda | None:
    found = image_cuda(version)
    if found is None:
        return None
    older = [release for release in CUDA if release <= found]
    return CUDA[max(older)] if older and max(older)[0] == found[0] else None


def _has_switch(version: str) -> bool:
    return bool(releases.at(versions.IMAGE, version).get("cuda_compatibility"))


def has_kernels(version: str, capability: int) -> bool:
    """Tell whether the image of a version holds code for a compute capability (times ten).

    Code for 8.0 runs on 8.6, not on 9.0; what is marked +PTX is compiled on the spot for anything newer, as long as the
    image's CUDA, and PyTorch with it, knows the GPU at all.
    """
    listed = str(releases.at(versions.IMAGE, version).get("compute", ""))
    needs = _cuda(version)
    if not capability or not listed or needs is None:
        return True
    if capability // 10 > needs.highest // 10:
        return False
    for word in listed.split():
        major, _dot, minor = word.partition("+")[0].partition(".")
        made = int(major) * 10 + int(minor)
        if made <= capability and (made // 10 == capability // 10 or word.endswith("+PTX")):
            return True
    return False


def _kernels(version: str, gpus: Gpus) -> list[str]:
    """Refuse a GPU for which the image has no code ("no kernel image is available").

    Raises:
        Refusal: with the versions that have it.
    """
    for gpu in _unlike(gpus):
        capability = capability_of(gpu)
        if has_kernels(version, capability):
            continue
        fitting = [other for other in _versions() if has_kernels(other, capability)]
        listed = str(releases.at(versions.IMAGE, version).get("compute", "")).replace("+PTX", "").split()
        start = (
            f"found {_called(gpu)}; the image of vLLM {version} holds code for {', '.join(listed)} only, "
            "and would say that no kernel image is available"
        )
        if not fitting:
            raise Refusal(f"{start}; no version from 0.8.0 on serves this GPU; use a newer one")
        newer = releases.parse_version(fitting[0]) > releases.parse_version(version)
        hint = f"{fitting[0]} or newer" if newer else f"{fitting[-1]} or older"
        raise Refusal(f"{start}; set vllm_version to {hint}{'' if newer else ', or use a newer GPU'}")
    return []


def _versions() -> list[str]:
    return sorted(versions.RELEASES, key=releases.parse_version)


# --- The driver ---


def _branch(driver_version: str) -> int:
    head = driver_version.partition(".")[0]
    if not head.isdigit():
        raise Refusal(f"found the driver version {driver_version!r}; a number such as 580.95.05 is wanted")
    return int(head)


def driver_serves(version: str, gpus: Gpus, driver_version: str) -> bool:
    """Tell whether a driver serves the image of a version on these GPUs, by compatibility or by itself."""
    needs = _cuda(version)
    return needs is None or all(_accepts(needs, gpu_class(gpu.name), _branch(driver_version)) for gpu in gpus)


def _accepts(needs: Cuda, kind: str, branch: int) -> bool:
    """Tell whether one kind of GPU may run a CUDA release with a driver branch.

    A newer branch always may. An older one may where NVIDIA's base image says so: on others than a GeForce, and of
    another major release on data-centre GPUs alone.
    """
    if branch >= needs.driver:
        return True
    if branch not in needs.accepted:
        return False
    if branch < needs.floor:
        return kind == "data-centre"
    return needs.geforce or kind in ("data-centre", "workstation")


def _driver(version: str, gpus: Gpus, driver_version: str) -> list[str]:
    """Refuse a driver that is too old for the image's CUDA.

    Raises:
        Refusal: with the driver to update to, and the newest version whose image this driver serves.
    """
    needs, cuda, branch = _cuda(version), image_cuda(version), _branch(driver_version)
    if needs is None or cuda is None or branch >= needs.driver:
        return _forced(version, branch)
    name = f"CUDA {cuda[0]}.{cuda[1]}"
    for gpu in _unlike(gpus):
        kind = gpu_class(gpu.name)
        if _accepts(needs, kind, branch):
            continue
        fitting = [
            other
            for other in _versions()
            if driver_serves(other, gpus, driver_version)
            and all(has_kernels(other, capability_of(one)) for one in gpus)
        ]
        hint = f", or set vllm_version to {fitting[-1]} or older" if fitting else ""
        why = "" if kind == "data-centre" else "; older ones serve it on data-centre GPUs alone"
        raise Refusal(
            f"found driver {driver_version} with {gpu.name}; the image of vLLM {version} is built with {name}, "
            f"which wants driver {needs.driver} or newer{why if branch in needs.accepted else ''}; "
            f"update the driver to {needs.driver} or newer{hint}"
        )
    if branch >= needs.floor:
        return [f"driver {driver_version} serves {name} by minor version compatibility; {needs.driver} is made for it"]
    switch = f"set {COMPATIBILITY_SWITCH}=1" if _has_switch(version) else "by the libraries in the image"
    rumour = (
        ""
        if branch in DOCUMENTED_FORWARD
        else "; NVIDIA's image accepts this branch, vLLM's documentation does not name it"
    )
    return [f"driver {driver_version} serves {name} by forward compatibility only ({switch}){rumour}"]


def _forced(version: str, branch: int) -> list[str]:
    """Warn of images that always load their own, older driver library."""
    forced = releases.at(versions.IMAGE, version).get("compatibility_forced")
    needs = _cuda(version)
    if not forced or needs is None or branch < needs.driver + 1:
        return []
    why = f"the image of vLLM {version} loads its own driver library before the host's"
    hint = "give the container LD_LIBRARY_PATH=/usr/local/nvidia/lib64:/usr/local/nvidia/lib"
    return [f"{why}; where CUDA then fails with error 803, {hint}"]


# --- The model ---


def quantized(config: Mapping[str, object]) -> Mapping[str, object]:
    """Return what a config.json says of how its weights are quantized, empty where they are not."""
    inner = config.get("text_config")
    parts = (config, inner if isinstance(inner, Mapping) else {})
    found = next((part[name] for name in QUANTIZED for part in parts if part.get(name)), None)
    return found if isinstance(found, Mapping) else {}


QUANTIZED = ("quantization_config", "compression_config")


def precision_of(config: Mapping[str, object], dtype: str = "auto", quantization: str = "auto") -> Precision:
    """Return the precision of a model's weights from its config.json; what the user fixes goes before it."""
    inner = config.get("text_config")
    text = inner if isinstance(inner, Mapping) else config
    said = quantized(config)
    own = str(config.get("torch_dtype") or config.get("dtype") or text.get("torch_dtype") or text.get("dtype") or "")
    fixed = dtype not in ("", "auto")
    method, scheme = method_and_scheme(said)
    if quantization not in ("", "auto") and not method:
        method = scheme = quantization
    if scheme.startswith("CompressedTensorsWNA") and not scheme.endswith("16") and any(map(text.get, EXPERTS)):
        scheme = ON_CPUS_ALONE
    return Precision(
        method=method,
        scheme=scheme,
        in_blocks=bool(said.get("weight_block_size")) and method == "fp8",
        dtype={"half": "float16", "float": "float32"}.get(dtype, dtype) if fixed else own.replace("torch.", ""),
        dtype_fixed=fixed,
        model_type=str(config.get("model_type") or ""),
    )


def multiplied_in(config: Mapping[str, object], quantization: str) -> str:
    """Return the precision in which a GPU multiplies where it has units for it, an empty text for 16 bits."""
    scheme = precision_of(config, "auto", quantization).scheme
    return "" if "A16" in scheme else WEIGHTS.get(scheme, scheme)


def method_and_scheme(said: Mapping[str, object]) -> tuple[str, str]:
    """Return the method of a ``quantization_config``, and the scheme within it as CAPABILITIES names it."""
    algorithm = str(said.get("quant_algo") or "").upper()
    method = str(said.get("quant_method") or ("modelopt" if algorithm else "")).lower().replace("_", "-")
    if method.startswith("modelopt"):
        kinds = {"NVFP4": "modelopt_fp4", "MXFP8": "modelopt_mxfp8", "MIXED_PRECISION": "modelopt_mixed"}
        name = next((kind for word, kind in kinds.items() if word in algorithm), "modelopt")
        return name, name
    if method == "compressed-tensors":
        return method, _compressed(said)
    if method.endswith("auto-round"):
        return "auto-round", "auto-round"
    name = method.replace("auto-", "").replace("-", "_")
    return name, name


def _compressed(said: Mapping[str, object]) -> str:
    """Return the class that serves a ``compressed-tensors`` model: that of its first group of layers."""
    groups = said.get("config_groups")
    first: object = next(iter(groups.values()), {}) if isinstance(groups, Mapping) else {}
    group = first if isinstance(first, Mapping) else {}
    weights, inputs = group.get("weights"), group.get("input_activations")
    kind = str(group.get("format") or said.get("format") or "")
    if not isinstance(weights, Mapping):
        named = {
            "float": "CompressedTensorsW8A8Fp8",
            "int": "CompressedTensorsW8A8Int8",
            "pack": "CompressedTensorsWNA16",
        }
        return next((name for word, name in named.items() if kind.startswith(word)), "compressed-tensors")
    bits, floating, plain = weights.get("num_bits"), weights.get("type") == "float", not isinstance(inputs, Mapping)
    if floating and bits == 4:
        if "mxfp4" in kind or weights.get("group_size") == 32:
            return "CompressedTensorsW4A4Mxfp4"
        return "CompressedTensorsW4A16Fp4" if plain else "CompressedTensorsW4A4Fp4"
    if floating:
        if "mxfp8" in kind:
            return "CompressedTensorsW8A8Mxfp8"
        return "CompressedTensorsW8A16Fp8" if plain else "CompressedTensorsW8A8Fp8"
    if bits == 8 and not plain:
        return "CompressedTensorsW8A8Int8"
    if bits == 4 and isinstance(inputs, Mapping):
        if inputs.get("type") == "float":
            return ON_HOPPER_ALONE
        by_token = inputs.get("dynamic") and inputs.get("strategy") in ("token", "group")
        if not kind.startswith("pack") or not by_token or inputs.get("symmetric") is False:
            return ON_CPUS_ALONE
        return "CompressedTensorsWNA4Int" if inputs.get("num_bits") == 4 else "CompressedTensorsWNA8Int"
    return "CompressedTensorsWNA16"


ON_HOPPER_ALONE, HOPPER = "CompressedTensorsW4A8Fp8", 90
"""4-bit weights with FP8 activations: taken on compute capability 9.0 and no other (``_is_fp8_w4a8_sm90`` of vLLM's
compressed_tensors.py, which ends with "No compressed-tensors compatible scheme was found")."""

ON_CPUS_ALONE = "CompressedTensorsW4A8Int"
"""4-bit weights with integer activations, unless they are packed: for GPUs ``choose_mp_linear_kernel`` of vllm/
model_executor/kernels/linear finds nothing, or since 0.24 Humming's kernel, which takes packed weights alone; and
experts in any format end in "only supported on CPU platforms" (fused_moe/oracle/w4a8_int8.py)."""

EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")

# What serves the same weights where a version or a GPU lacks the first: activations then stay in 16 bits, or the
# method has another name.
SIBLINGS = {
    "CompressedTensorsW8A8Fp8": "CompressedTensorsW8A16Fp8",
    "CompressedTensorsW4A4Fp4": "CompressedTensorsW4A16Fp4",
    "CompressedTensorsW4A16Fp4": "CompressedTensorsW4A4Fp4",
    "CompressedTensorsW4A4Mxfp4": "CompressedTensorsW4A16Mxfp4",
    "auto-round": "inc",
    "modelopt_fp4": "nvfp4",
}


def lowest_capability(version: str, precision: Precision) -> int:
    """Return the lowest compute capability (times ten) on which a version runs weights of a precision; 0 for any.

    Where FP8 activations want more than the GPU has, vLLM goes on with FP8 weights alone; so the lower of the two
    counts.
    """
    table = releases.at(versions.CAPABILITIES, version)
    low = min((value for name in _names(precision.scheme) if isinstance(value := table.get(name), int)), default=0)
    if precision.in_blocks and releases.parse_version(version) < BLOCKS_BY_MARLIN_SINCE:
        low = max(low, PRECISIONS["fp8"].native)
    return max(low, 0)


def _model(version: str, gpu: Device, precision: Precision) -> list[str]:
    """Refuse weights that a GPU cannot run; say how it runs the others.

    Raises:
        Refusal: with the version that can, where there is one, and the precision to choose.
    """
    capability = capability_of(gpu)
    if capability and precision.scheme == ON_CPUS_ALONE:
        raise Refusal(
            f"found 4-bit weights with integer activations and {_called(gpu)}; vLLM runs them on CPUs alone, but for "
            "packed ones without experts (format pack-quantized, since 0.26); choose the model in "
            f"{_instead(version, capability, '')} weights"
        )
    notes = _method_is_known(version, precision)
    if not capability:
        return notes
    weights, label = PRECISIONS.get(WEIGHTS.get(precision.scheme, "")), _label(precision)
    low = lowest_capability(version, precision) if precision.method else 0
    if weights is PRECISIONS["int8"] and capability >= INT8_UNFIT:
        raise Refusal(
            f"found {label} weights and {_called(gpu)}; vLLM's kernels for them end below {shown(INT8_UNFIT)}; "
            f"choose the model in {_instead(version, capability, label)} weights"
        )
    if precision.scheme == ON_HOPPER_ALONE and capability != HOPPER:
        raise Refusal(
            f"found 4-bit weights with FP8 activations and {_called(gpu)}; vLLM runs them on {shown(HOPPER)} (Hopper) "
            f"alone; choose the model in {_instead(version, capability, '')} weights"
        )
    if capability < low:
        later = [
            other
            for other in _versions()
            if _knows(other, precision)
            and 0 < lowest_capability(other, precision) <= capability
            and has_kernels(other, capability)
        ]
        newer = [v for v in later if releases.parse_version(v) > releases.parse_version(version)]
        hint = f"set vllm_version to {newer[0]} or newer, or " if newer else ""
        raise Refusal(
            f"found {label} weights and {_called(gpu)}; vLLM {version} runs them from {shown(low)} on; {hint}"
            f"choose the model in {_instead(version, capability, label)} weights"
        )
    if weights and capability < weights.native:
        notes.append(f"{gpu.name} runs {label} weights {weights.otherwise}")
    return notes + _dtype(version, gpu, precision)


def _check_variant(version: str, said: Mapping[str, object], precision: Precision) -> None:
    """Refuse a variant of a known method, which vLLM ends with when it loads the model.

    Raises:
        Refusal: with the precision to choose.
    """
    why = next(_against_variant(releases.parse_version(version), said, precision), "")
    if why:
        raise Refusal(
            f"found {why}; wanted FP8, 4-bit AWQ or GPTQ, or 16-bit weights; set the model's repo or path in "
            "gpuchat_models to a variant in one of these"
        )


def _against_variant(version: tuple[int, ...], said: Mapping[str, object], precision: Precision) -> Iterator[str]:
    bits, method = said.get("bits", said.get("w_bit")), precision.method
    if isinstance(bits, int) and method in ("awq", "awq_marlin") and bits != 4:
        yield f"AWQ weights of {bits} bits, of which vLLM reads those of 4 alone"
    if isinstance(bits, int) and method in ("gptq", "gptq_marlin"):
        is_odd = said.get("sym") is False
        if version >= GPTQ_BY_MARLIN_ALONE_SINCE and (bits not in (4, 8) or is_odd):
            kind = "asymmetric GPTQ weights" if is_odd else f"GPTQ weights of {bits} bits"
            yield f"{kind}; since 0.22 vLLM reads symmetric ones of 4 or 8 bits alone"
        if bits not in (2, 3, 4, 8):
            yield f"GPTQ weights of {bits} bits, which no vLLM reads"
    algorithm = str(said.get("quant_algo") or "").upper()
    if algorithm and method.startswith("modelopt") and algorithm not in MODELOPT_ALGORITHMS:
        yield f"weights of NVIDIA ModelOpt's {algorithm}, of which vLLM reads FP8, NVFP4 and MXFP8 alone"
    if method == "compressed-tensors":
        yield from _against_packing(version, said)


def _against_packing(version: tuple[int, ...], said: Mapping[str, object]) -> Iterator[str]:
    """Yield what speaks against the way in which compressed-tensors packs weights."""
    sparsity, groups = said.get("sparsity_config"), said.get("config_groups")
    if isinstance(sparsity, Mapping) and sparsity.get("targets"):
        last = SPARSE_REFUSED_SINCE if sparsity.get("format") == "dense" else SPARSE_UNTIL
        if version >= last:
            yield "weights that are 2:4 sparse, which vLLM reads no more since 0.19"
    if said.get("format") == "marlin-24" and version >= MARLIN_24_UNTIL:
        yield "weights packed as marlin-24, which vLLM reads no more since 0.16"
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        bits = weights.get("num_bits") if isinstance(weights, Mapping) and weights.get("type") == "int" else 4
        if bits not in (4, 8) and version < PACKED_BITS_SINCE:
            yield f"packed weights of {bits} bits, of which vLLM reads those of 4 or 8 alone before 0.26"


def _instead(version: str, capability: int, label: str) -> str:
    """Name the precisions that a GPU runs in this version, other than one."""
    offers = {"FP8": "fp8", "AWQ": "awq", "GPTQ": "gptq"}
    low = {name: lowest_capability(version, Precision(scheme, scheme)) for name, scheme in offers.items()}
    fitting = [name for name in offers if name != label and capability >= low[name]]
    return " or ".join([", ".join(fitting), "16-bit"] if fitting else ["16-bit"])


def _names(scheme: str) -> tuple[str, ...]:
    return (scheme, SIBLINGS[scheme]) if scheme in SIBLINGS else (scheme,)


def _tables(precision: Precision) -> list[tuple[releases.Table, tuple[str, ...]]]:
    """Return where a precision stands where a version knows it: its method, and its scheme where that is a class."""
    found: list[tuple[releases.Table, tuple[str, ...]]] = []
    if precision.method:
        found.append((versions.QUANTIZATIONS, _names(precision.method)))
    if precision.scheme != precision.method:
        found.append((versions.CAPABILITIES, _names(precision.scheme)))
    return found


def _knows(version: str, precision: Precision) -> bool:
    return all(set(names) & set(releases.at(table, version)) for table, names in _tables(precision))


OF_OTHER_ENGINES = {
    **dict.fromkeys(("exl2", "exl3"), "ExLlama"),
    **dict.fromkeys(("quip", "quip_sharp", "squeezellm"), "its own code"),
    **dict.fromkeys(("bitnet", "eetq", "higgs", "metal", "quanto", "sinq", "spqr", "vptq"), "Transformers alone"),
    "mlx": "MLX",
}
"""Methods of quantization that no vLLM of the tables has, by what reads them. vLLM ends with ``Unknown quantization
method`` (``_verify_quantization`` of vllm/config/model.py)."""


def _method_is_known(version: str, precision: Precision) -> list[str]:
    """Refuse a method of quantization that a version has not yet, or no more.

    Raises:
        Refusal: with the versions that know it.
    """
    if _knows(version, precision):
        return []
    fitting = [other for other in _versions() if _knows(other, precision)]
    if not fitting:
        name = precision.scheme or precision.method
        if name in OF_OTHER_ENGINES:
            raise Refusal(
                f"found {name} weights, which {OF_OTHER_ENGINES[name]} reads and vLLM does not; wanted FP8, AWQ, GPTQ "
                "or 16-bit weights; set the model's repo or path in gpuchat_models to a variant in one of these"
            )
        return [f"no version in the tables has a method of quantization called {name}; vLLM may refuse the model"]
    wanted = releases.parse_version(version)
    newer = [other for other in fitting if releases.parse_version(other) > wanted]
    history = f"{fitting[0]} added them" if newer else f"{fitting[-1]} was the last version with them"
    raise Refusal(
        f"found {_label(precision)} weights; vLLM {version} does not know them ({history}); "
        f"set vllm_version to {f'{newer[0]} or newer' if newer else f'{fitting[-1]} or older'}, "
        "or choose the model in another precision"
    )


def _label(precision: Precision) -> str:
    """Return how people call a precision."""
    weights = PRECISIONS.get(WEIGHTS.get(precision.scheme, ""))
    return weights.name if weights else precision.scheme


def _dtype(version: str, gpu: Device, precision: Precision) -> list[str]:
    """Refuse bfloat16 where it is wanted and the GPU has none; say what vLLM takes instead where it is not.

    Raises:
        Refusal: with the dtype to set.
    """
    if precision.dtype != "bfloat16" or capability_of(gpu) >= BFLOAT16:
        return []
    other = "float32" if precision.model_type in FLOAT16_UNFIT else "float16"
    if precision.dtype_fixed:
        raise Refusal(
            f"found dtype bfloat16 and {_called(gpu)}; bfloat16 runs from 8.0 on; set dtype to {other} or auto"
        )
    doubled = ", which takes twice the memory" if other == "float32" else ""
    return [f"{gpu.name} has no bfloat16; vLLM {version} serves the model in {other}{doubled}"]
