# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm import compatibility
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.devices import Device
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.facts import versions
from hypothesis import assume, given
from hypothesis import strategies as st


def gpu_called(name, capability):
    return Device(name, 24 * GIB, capability)


RTX4090 = gpu_called("NVIDIA GeForce RTX 4090", "8.9")
RTX5090 = gpu_called("NVIDIA GeForce RTX 5090", "12.0")
A100 = gpu_called("NVIDIA A100-SXM4-80GB", "8.0")
A6000 = gpu_called("NVIDIA RTX A6000", "8.6")
H100 = gpu_called("NVIDIA H100 80GB HBM3", "9.0")
B200 = gpu_called("NVIDIA B200", "10.0")
B300 = gpu_called("NVIDIA B300 SXM6 AC", "10.3")
T4 = gpu_called("Tesla T4", "7.5")
V100 = gpu_called("Tesla V100-SXM2-32GB", "7.0")
P100 = gpu_called("Tesla P100-PCIE-16GB", "6.0")
UNKNOWN = gpu_called("NVIDIA Something", "")

BF16 = {"torch_dtype": "bfloat16", "model_type": "llama"}
GEMMA = {"torch_dtype": "bfloat16", "model_type": "gemma3"}
FP8 = {"torch_dtype": "float16", "quantization_config": {"quant_method": "fp8"}}
BLOCKS = {"torch_dtype": "float16", "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}
MXFP4 = {"quantization_config": {"quant_method": "mxfp4"}}
AWQ = {"quantization_config": {"quant_method": "awq", "bits": 4}}
GPTQ = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
BNB = {"quantization_config": {"quant_method": "bitsandbytes"}}
GGUF = {"quantization_config": {"quant_method": "gguf"}}
NVFP4 = {"quantization_config": {"quant_algo": "NVFP4"}}
AUTO_ROUND = {"quantization_config": {"quant_method": "auto-round", "bits": 4}}
STRANGE = {"quantization_config": {"quant_method": "strange"}}


def compressed(bits, kind, inputs=True, **group):
    weights = {"num_bits": bits, "type": kind}
    activations = {"num_bits": bits, "type": kind} if inputs else None
    groups = {"group_0": {"weights": weights, "input_activations": activations, **group}}
    return {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": groups}}


def w4a8_int(kind, **inputs):
    told = {"num_bits": 8, "type": "int", "dynamic": True, "symmetric": True, "strategy": "token", **inputs}
    group = {"weights": {"num_bits": 4, "type": "int", "group_size": 128}, "input_activations": told, "format": kind}
    return {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}}


def refusal(*args, **named):
    with pytest.raises(Refusal) as refused:
        compatibility.check(*args, **named)
    return str(refused.value)


NO_IMAGE = "and would say that no kernel image is available"


@pytest.mark.parametrize(
    ("version", "gpu", "driver", "message"),
    [
        (
            "0.32.0",
            RTX4090,
            "535.183.01",
            (
                "found driver 535.183.01 with NVIDIA GeForce RTX 4090; the image of vLLM 0.32.0 is "
                "built with CUDA 13.0, "
                "which wants driver 580 or newer; older ones serve it on data-centre GPUs alone; update "
                "the driver to 580 "
                "or newer, or set vllm_version to 0.8.5.post1 or older"
            ),
        ),
        (
            "v0.32.0",
            RTX4090,
            "575.57.08",
            (
                "found driver 575.57.08 with NVIDIA GeForce RTX 4090; the image of vLLM v0.32.0 is "
                "built with CUDA 13.0, "
                "which wants driver 580 or newer; update the driver to 580 or newer, or set "
                "vllm_version to 0.19.1 or older"
            ),
        ),
        (
            "0.32.0",
            RTX5090,
            "570.133.20",
            (
                "found driver 570.133.20 with NVIDIA GeForce RTX 5090; the image of vLLM 0.32.0 is "
                "built with CUDA 13.0, "
                "which wants driver 580 or newer; older ones serve it on data-centre GPUs alone; update "
                "the driver to 580 "
                "or newer, or set vllm_version to 0.11.0 or older"
            ),
        ),
        (
            "0.32.0",
            A6000,
            "550.144.03",
            (
                "found driver 550.144.03 with NVIDIA RTX A6000; the image of vLLM 0.32.0 is built with "
                "CUDA 13.0, which "
                "wants driver 580 or newer; older ones serve it on data-centre GPUs alone; update the driver to 580 or "
                "newer, or set vllm_version to 0.19.1 or older"
            ),
        ),
        (
            "0.10.2",
            RTX4090,
            "550.90.07",
            (
                "found driver 550.90.07 with NVIDIA GeForce RTX 4090; the image of vLLM 0.10.2 is built "
                "with CUDA 12.8, "
                "which wants driver 570 or newer; older ones serve it on data-centre GPUs alone; update "
                "the driver to 570 "
                "or newer, or set vllm_version to 0.8.5.post1 or older"
            ),
        ),
        (
            "0.32.0",
            A100,
            "560.35.05",
            (
                "found driver 560.35.05 with NVIDIA A100-SXM4-80GB; the image of vLLM 0.32.0 is built with CUDA 13.0, "
                "which wants driver 580 or newer; update the driver to 580 or newer, or set "
                "vllm_version to 0.19.1 or older"
            ),
        ),
        (
            "0.32.0",
            H100,
            "450.80.02",
            (
                "found driver 450.80.02 with NVIDIA H100 80GB HBM3; the image of vLLM 0.32.0 is built with CUDA 13.0, "
                "which wants driver 580 or newer; update the driver to 580 or newer"
            ),
        ),
        ("0.32.0", A100, "new", "found the driver version 'new'; a number such as 580.95.05 is wanted"),
        (
            "0.32.0",
            V100,
            "580.95.05",
            (
                "found Tesla V100-SXM2-32GB (compute capability 7.0); the image of vLLM 0.32.0 holds "
                "code for 7.5, 8.0, "
                f"8.6, 8.9, 9.0, 10.0, 11.0, 12.0 only, {NO_IMAGE}; set vllm_version to 0.19.1 or "
                f"older, or use a newer GPU"
            ),
        ),
        (
            "0.8.5",
            RTX5090,
            "580.95.05",
            (
                "found NVIDIA GeForce RTX 5090 (compute capability 12.0); the image of vLLM 0.8.5 holds "
                "code for 7.0, 7.5, "
                f"8.0, 8.6, 8.9, 9.0 only, {NO_IMAGE}; set vllm_version to 0.9.0 or newer"
            ),
        ),
        (
            "0.32.0",
            P100,
            "580.95.05",
            (
                "found Tesla P100-PCIE-16GB (compute capability 6.0); the image of vLLM 0.32.0 holds "
                "code for 7.5, 8.0, "
                f"8.6, 8.9, 9.0, 10.0, 11.0, 12.0 only, {NO_IMAGE}; no version from 0.8.0 on serves "
                f"this GPU; use a newer "
                "one"
            ),
        ),
    ],
)
def test_an_image_that_driver_or_gpu_cannot_run_is_refused_with_the_hint(version, gpu, driver, message):
    assert refusal(version, [gpu], driver) == message


@pytest.mark.parametrize(
    ("version", "gpu", "driver", "notes"),
    [
        ("0.32.0", RTX4090, "580.95.05", ()),
        ("0.32.0", RTX4090, "590.44.01", ()),
        ("0.32.0", RTX4090, "", ()),
        ("0.32.0", UNKNOWN, "580.95.05", ()),
        ("0.32.0", B300, "580.95.05", ()),
        ("0.20.0-cu129", RTX4090, "575.57.08", ()),
        ("0.10.2", V100, "570.133.20", ()),
        (
            "0.32.0",
            A100,
            "535.183.01",
            (
                (
                    "driver 535.183.01 serves CUDA 13.0 by forward compatibility only (set "
                    "VLLM_ENABLE_CUDA_COMPATIBILITY=1)"
                ),
            ),
        ),
        (
            "0.32.0",
            H100,
            "550.144.03",
            (
                (
                    "driver 550.144.03 serves CUDA 13.0 by forward compatibility only (set "
                    "VLLM_ENABLE_CUDA_COMPATIBILITY=1); NVIDIA's image accepts this branch, vLLM's "
                    "documentation does not "
                    "name it"
                ),
            ),
        ),
        (
            "0.10.2",
            A100,
            "550.144.03",
            ("driver 550.144.03 serves CUDA 12.8 by minor version compatibility; 570 is made for it",),
        ),
        (
            "0.8.5",
            RTX4090,
            "535.183.01",
            ("driver 535.183.01 serves CUDA 12.4 by minor version compatibility; 550 is made for it",),
        ),
        (
            "0.16.0",
            RTX4090,
            "580.95.05",
            (
                (
                    "the image of vLLM 0.16.0 loads its own driver library before the host's; where "
                    "CUDA then fails with "
                    "error 803, give the container LD_LIBRARY_PATH=/usr/local/nvidia/lib64:/usr/local/nvidia/lib"
                ),
            ),
        ),
    ],
)
def test_an_image_that_runs_passes_and_says_by_what(version, gpu, driver, notes):
    assert compatibility.check(version, [gpu], driver) == notes


MARLIN = "by Marlin: the weights stay packed in memory, the arithmetic is 16-bit"


@pytest.mark.parametrize(
    ("version", "gpu", "config", "message"),
    [
        (
            "0.12.0",
            T4,
            FP8,
            (
                "found FP8 weights and Tesla T4 (compute capability 7.5); vLLM 0.12.0 runs them from 8.0 on; set "
                "vllm_version to 0.14.0 or newer, or choose the model in AWQ, GPTQ or 16-bit weights"
            ),
        ),
        (
            "0.8.5",
            A100,
            BLOCKS,
            (
                "found FP8 weights and NVIDIA A100-SXM4-80GB (compute capability 8.0); vLLM 0.8.5 runs "
                "them from 8.9 on; "
                "set vllm_version to 0.9.0 or newer, or choose the model in AWQ, GPTQ or 16-bit weights"
            ),
        ),
        (
            "0.32.0",
            T4,
            MXFP4,
            (
                "found MXFP4 weights and Tesla T4 (compute capability 7.5); vLLM 0.32.0 runs them from "
                "8.0 on; choose the "
                "model in FP8, AWQ, GPTQ or 16-bit weights"
            ),
        ),
        (
            "0.10.1",
            V100,
            AWQ,
            (
                "found awq weights and Tesla V100-SXM2-32GB (compute capability 7.0); vLLM 0.10.1 runs "
                "them from 7.5 on; "
                "choose the model in GPTQ or 16-bit weights"
            ),
        ),
        (
            "0.10.1",
            V100,
            compressed(8, "int"),
            (
                "found INT8 weights and Tesla V100-SXM2-32GB (compute capability 7.0); vLLM 0.10.1 runs "
                "them from 7.5 on; "
                "choose the model in GPTQ or 16-bit weights"
            ),
        ),
        (
            "0.32.0",
            B200,
            compressed(8, "int"),
            (
                "found INT8 weights and NVIDIA B200 (compute capability 10.0); vLLM's kernels for them end below 10.0; "
                "choose the model in FP8, AWQ, GPTQ or 16-bit weights"
            ),
        ),
        (
            "0.9.2",
            A100,
            MXFP4,
            (
                "found MXFP4 weights; vLLM 0.9.2 does not know them (0.10.1 added them); set "
                "vllm_version to 0.10.1 or "
                "newer, or choose the model in another precision"
            ),
        ),
        (
            "0.32.0",
            H100,
            BNB,
            (
                "found bitsandbytes weights; vLLM 0.32.0 does not know them (0.27.1 was the last "
                "version with them); set "
                "vllm_version to 0.27.1 or older, or choose the model in another precision"
            ),
        ),
        (
            "0.32.0",
            H100,
            GGUF,
            (
                "found gguf weights; vLLM 0.32.0 does not know them (0.23.0 was the last version with them); set "
                "vllm_version to 0.23.0 or older, or choose the model in another precision"
            ),
        ),
        (
            "0.8.5",
            H100,
            compressed(4, "float"),
            (
                "found NVFP4 weights; vLLM 0.8.5 does not know them (0.9.0 added them); set vllm_version to 0.9.0 or "
                "newer, or choose the model in another precision"
            ),
        ),
    ],
)
def test_weights_that_the_gpu_or_the_version_cannot_run_are_refused_with_the_hint(version, gpu, config, message):
    assert refusal(version, [gpu], "580.95.05", config) == message


@pytest.mark.parametrize(
    ("version", "gpu", "config", "notes"),
    [
        ("0.32.0", A100, BF16, ()),
        ("0.32.0", H100, FP8, ()),
        ("0.32.0", RTX4090, BLOCKS, ()),
        ("0.32.0", B200, NVFP4, ()),
        ("0.32.0", A100, AWQ, ()),
        ("0.32.0", T4, GPTQ, ()),
        ("0.32.0", A100, AUTO_ROUND, ()),
        ("0.9.2", A100, AUTO_ROUND, ()),
        ("0.32.0", A100, compressed(4, "int", inputs=False), ()),
        ("0.32.0", A100, FP8, (f"NVIDIA A100-SXM4-80GB runs FP8 weights {MARLIN}",)),
        ("0.32.0", T4, FP8, (f"Tesla T4 runs FP8 weights {MARLIN}",)),
        ("0.9.0", A100, BLOCKS, (f"NVIDIA A100-SXM4-80GB runs FP8 weights {MARLIN}",)),
        ("0.12.0", A100, compressed(8, "float"), (f"NVIDIA A100-SXM4-80GB runs FP8 weights {MARLIN}",)),
        ("0.10.2", H100, compressed(4, "float"), (f"NVIDIA H100 80GB HBM3 runs NVFP4 weights {MARLIN}",)),
        (
            "0.32.0",
            A100,
            MXFP4,
            (f"NVIDIA A100-SXM4-80GB runs MXFP4 weights {MARLIN} (Triton's kernels on Hopper)",),
        ),
        ("0.32.0", T4, BF16, ("Tesla T4 has no bfloat16; vLLM 0.32.0 serves the model in float16",)),
        (
            "0.32.0",
            T4,
            GEMMA,
            ("Tesla T4 has no bfloat16; vLLM 0.32.0 serves the model in float32, which takes twice the memory",),
        ),
        (
            "0.32.0",
            H100,
            STRANGE,
            ("no version in the tables has a method of quantization called strange; vLLM may refuse the model",),
        ),
        ("0.32.0", UNKNOWN, MXFP4, ()),
    ],
)
def test_weights_that_run_pass_and_say_how(version, gpu, config, notes):
    assert compatibility.check(version, [gpu], "580.95.05", config) == notes


@pytest.mark.parametrize(
    "method", ["exl2", "exl3", "eetq", "bitnet", "vptq", "higgs", "spqr", "quanto", "quip", "EXL3"]
)
def test_methods_that_other_engines_have_and_no_vllm_are_refused(method):
    config = {"quantization_config": {"quant_method": method, "bits": 4}}
    word = refusal("0.33.0", [H100], "580.95.05", config)
    assert word.startswith(f"found {method.lower()} weights, which ")
    assert "set the model's repo or path in gpuchat_models" in word


def test_bfloat16_that_is_asked_for_is_refused_where_the_gpu_has_none():
    assert refusal("0.32.0", [T4], "580.95.05", BF16, dtype="bfloat16") == (
        "found dtype bfloat16 and Tesla T4 (compute capability 7.5); bfloat16 runs from 8.0 on; set "
        "dtype to float16 or "
        "auto"
    )


def test_quantization_that_the_user_wants_counts_where_the_model_has_none():
    assert compatibility.check("0.32.0", [A100], "580.95.05", BF16, quantization="fp8") == (
        f"NVIDIA A100-SXM4-80GB runs FP8 weights {MARLIN}",
    )


def test_the_weakest_gpu_decides():
    assert refusal("0.32.0", [A100, T4], "580.95.05", MXFP4).startswith("found MXFP4 weights and Tesla T4")


def test_a_host_without_gpus_passes():
    assert compatibility.check("0.32.0", [], "", MXFP4) == ()


@pytest.mark.parametrize(
    ("version", "gpu", "driver", "environment"),
    [
        ("0.32.0", A100, "535.183.01", {"VLLM_ENABLE_CUDA_COMPATIBILITY": "1"}),
        ("0.32.0", A100, "580.95.05", {}),
        ("0.10.2", A100, "535.183.01", {}),
        ("0.32.0", A100, "", {}),
    ],
)
def test_the_image_gets_its_compatibility_libraries_where_it_needs_them(version, gpu, driver, environment):
    assert compatibility.environment(version, [gpu], driver) == environment


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NVIDIA A100-SXM4-80GB", "data-centre"),
        ("NVIDIA A100 80GB PCIe", "data-centre"),
        ("NVIDIA A10", "data-centre"),
        ("NVIDIA A10G", "data-centre"),
        ("NVIDIA A30", "data-centre"),
        ("NVIDIA A40", "data-centre"),
        ("NVIDIA L4", "data-centre"),
        ("NVIDIA L40S", "data-centre"),
        ("NVIDIA H100 80GB HBM3", "data-centre"),
        ("NVIDIA H200", "data-centre"),
        ("NVIDIA H20", "data-centre"),
        ("NVIDIA GH200 480GB", "data-centre"),
        ("NVIDIA B200", "data-centre"),
        ("NVIDIA B300 SXM6 AC", "data-centre"),
        ("NVIDIA GB200", "data-centre"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "data-centre"),
        ("Tesla T4", "data-centre"),
        ("Tesla V100-SXM2-32GB", "data-centre"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "workstation"),
        ("NVIDIA RTX A6000", "workstation"),
        ("NVIDIA RTX 6000 Ada Generation", "workstation"),
        ("Quadro RTX 8000", "workstation"),
        ("NVIDIA T400 4GB", "workstation"),
        ("NVIDIA GeForce RTX 3090", "consumer"),
        ("NVIDIA TITAN RTX", "consumer"),
        ("NVIDIA GB10", "embedded"),
        ("AMD Instinct MI300X", ""),
    ],
)
def test_a_name_tells_the_class_of_a_gpu(name, kind):
    assert compatibility.gpu_class(name) == kind


@pytest.mark.parametrize(
    ("config", "scheme"),
    [
        (compressed(8, "float"), "CompressedTensorsW8A8Fp8"),
        (compressed(8, "float", inputs=False), "CompressedTensorsW8A16Fp8"),
        (compressed(8, "int"), "CompressedTensorsW8A8Int8"),
        (compressed(4, "int"), "CompressedTensorsW4A8Int"),
        (w4a8_int("int-quantized"), "CompressedTensorsW4A8Int"),
        (w4a8_int("pack-quantized"), "CompressedTensorsWNA8Int"),
        (w4a8_int("pack-quantized", num_bits=4), "CompressedTensorsWNA4Int"),
        (w4a8_int("pack-quantized", strategy="tensor"), "CompressedTensorsW4A8Int"),
        (w4a8_int("pack-quantized", dynamic=False), "CompressedTensorsW4A8Int"),
        (w4a8_int("pack-quantized", symmetric=False), "CompressedTensorsW4A8Int"),
        ({**w4a8_int("pack-quantized"), "num_experts": 128}, "CompressedTensorsW4A8Int"),
        (compressed(4, "int", inputs=False), "CompressedTensorsWNA16"),
        (compressed(8, "int", inputs=False), "CompressedTensorsWNA16"),
        (compressed(4, "float"), "CompressedTensorsW4A4Fp4"),
        (compressed(4, "float", inputs=False), "CompressedTensorsW4A16Fp4"),
        (compressed(4, "float", format="mxfp4-pack-quantized"), "CompressedTensorsW4A4Mxfp4"),
        (compressed(8, "float", format="mxfp8-quantized"), "CompressedTensorsW8A8Mxfp8"),
        ({"quantization_config": {"quant_method": "compressed-tensors", "format": "float-quantized"}},
         "CompressedTensorsW8A8Fp8"),
        ({"quantization_config": {"quant_method": "modelopt", "quant_algo": "FP8"}}, "modelopt"),
        ({"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}}, "modelopt_fp4"),
        ({"quantization_config": {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}}, "modelopt_mixed"),
        ({"text_config": {"quantization_config": {"quant_method": "awq"}}}, "awq"),
        ({"quantization_config": {"quant_method": "intel/auto-round"}}, "auto-round"),
        ({}, ""),
    ],
)  # fmt: skip
def test_a_quantization_config_names_the_scheme_that_serves_it(config, scheme):
    assert compatibility.precision_of(config).scheme == scheme


GPUS = st.sampled_from([RTX4090, RTX5090, A100, A6000, H100, B200, T4, V100])


@given(st.sampled_from(list(versions.RELEASES)), GPUS, st.integers(450, 600), st.integers(0, 30))
def test_a_newer_driver_made_for_the_image_never_serves_less(version, gpu, driver, more):
    assume(driver >= compatibility._cuda(version).driver)
    assert compatibility.driver_serves(version, [gpu], f"{driver}.10")
    assert compatibility.driver_serves(version, [gpu], f"{driver + more}.10")


@given(st.sampled_from(list(versions.RELEASES)), GPUS, st.integers(450, 600))
def test_a_version_that_a_refusal_offers_is_not_refused_itself(version, gpu, driver):
    try:
        compatibility.check(version, [gpu], f"{driver}.10")
    except Refusal as refused:
        _before, found, offer = str(refused).partition("set vllm_version to ")
        if found:
            compatibility.check(offer.partition(" ")[0], [gpu], "")
            assert compatibility.has_kernels(offer.partition(" ")[0], compatibility.capability_of(gpu))


W4A8 = {
    "quantization_config": {
        "quant_method": "compressed-tensors",
        "config_groups": {
            "group_0": {
                "weights": {"num_bits": 4, "type": "int", "group_size": 128},
                "input_activations": {"num_bits": 8, "type": "float"},
            }
        },
    }
}


@pytest.mark.parametrize("gpu", [A100, RTX4090, B200, RTX5090, T4])
def test_four_bits_with_activations_in_fp8_run_on_hopper_alone(gpu):
    with pytest.raises(
        Refusal, match=r"4-bit weights with FP8 activations.*on 9.0 \(Hopper\) alone; choose the model in"
    ):
        compatibility.check("0.32.0", [gpu], config=W4A8)


def test_four_bits_with_activations_in_fp8_run_on_hopper_since_0_10_2():
    compatibility.check("0.32.0", [H100], config=W4A8)
    with pytest.raises(Refusal, match="0.10.2 added them"):
        compatibility.check("0.10.0", [H100], config=W4A8)


@pytest.mark.parametrize("version", ["0.10.0", "0.11.0", "0.32.0"])
@pytest.mark.parametrize("gpu", [A100, H100, B200, RTX4090])
def test_four_bits_with_integer_activations_run_on_no_gpu(version, gpu):
    with pytest.raises(Refusal, match="with integer activations.*on CPUs alone.*choose the model in .* 16-bit weights"):
        compatibility.check(version, [gpu], config=w4a8_int("int-quantized"))
    assert compatibility.check(version, [], config=w4a8_int("int-quantized")) == ()


def test_four_bits_with_integer_activations_that_are_packed_run_on_gpus_since_0_26():
    packed = w4a8_int("pack-quantized")
    assert compatibility.check("0.32.0", [A100], config=packed) == ()
    with pytest.raises(
        Refusal, match="found packed integer weights; vLLM 0.25.0 does not know them.*0.26.0 added them"
    ):
        compatibility.check("0.25.0", [A100], config=packed)
    with pytest.raises(Refusal, match="on CPUs alone"):
        compatibility.check("0.32.0", [A100], config={**packed, "num_experts": 128})


def said(**quantization):
    return {"quantization_config": quantization}


PACKED = {"quant_method": "compressed-tensors", "format": "pack-quantized"}
SPARSE = {"format": "sparse-24-bitmask", "targets": ["Linear"]}
DENSE = {"format": "dense", "targets": ["Linear"]}


def packed(bits):
    return said(**PACKED, config_groups={"group_0": {"weights": {"num_bits": bits, "type": "int"}}})


@pytest.mark.parametrize(
    ("version", "config", "words"),
    [
        pytest.param("0.33.0", said(quant_method="gptq", bits=3), "GPTQ weights of 3 bits; since 0.22", id="3 bits"),
        pytest.param("0.33.0", said(quant_method="gptq", bits=4, sym=False), "asymmetric GPTQ", id="asymmetric"),
        pytest.param("0.20.0", said(quant_method="gptq", bits=3, sym=False), "", id="before, they are read"),
        pytest.param("0.20.0", said(quant_method="gptq", bits=5), "5 bits, which no vLLM reads", id="never read"),
        pytest.param("0.33.0", said(quant_method="gptq", bits=8, sym=True), "", id="8 bits"),
        pytest.param("0.33.0", said(quant_method="awq", w_bit=8), "AWQ weights of 8 bits", id="AWQ of 8 bits"),
        pytest.param("0.33.0", said(quant_method="awq", bits=4), "", id="AWQ of 4 bits"),
        pytest.param("0.33.0", said(quant_method="modelopt", quant_algo="W4A8_AWQ"), "ModelOpt's W4A8_AWQ", id="W4A8"),
        pytest.param("0.33.0", said(quant_algo="INT8_SQ"), "NVIDIA ModelOpt's INT8_SQ", id="SmoothQuant by ModelOpt"),
        pytest.param("0.33.0", said(quant_algo="W4A16_NVFP4"), "", id="NVFP4 in 16-bit arithmetic"),
        pytest.param("0.33.0", said(quant_algo="fp8_pb_wo"), "", id="in small letters"),
        pytest.param("0.33.0", said(**PACKED, sparsity_config=SPARSE), "that are 2:4 sparse", id="2:4 sparse"),
        pytest.param("0.18.0", said(**PACKED, sparsity_config=SPARSE), "", id="2:4 sparse, before"),
        pytest.param("0.33.0", said(**PACKED, sparsity_config=DENSE), "that are 2:4 sparse", id="sparse, packed dense"),
        pytest.param("0.20.0", said(**PACKED, sparsity_config=DENSE), "", id="packed dense, before"),
        pytest.param("0.16.0", said(**{**PACKED, "format": "marlin-24"}), "packed as marlin-24", id="marlin-24"),
        pytest.param("0.24.0", packed(3), "packed weights of 3 bits, of which", id="3 bits, packed"),
        pytest.param("0.28.0", packed(3), "", id="3 bits, packed, since"),
        pytest.param("0.24.0", packed(8), "", id="8 bits, packed"),
    ],
)
def test_variants_of_a_known_method_that_no_kernel_serves_are_refused(version, config, words):
    if words:
        assert words in refusal(version, [RTX4090], config=config)
    else:
        compatibility.check(version, [RTX4090], config=config)
