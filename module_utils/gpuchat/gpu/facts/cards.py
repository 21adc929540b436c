# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs by name: memory, bandwidth, arithmetic. Kept by hand.

One row per product, the first whose pattern is found in the name (case, spaces and hyphens aside) counts, so narrower
patterns stand above wider ones. Columns: pattern (regular expression over the name in lower case with one space
between words); memory in GiB as CUDA reports it (``cudaMemGetInfo``; a little less than printed on the box and than
nvidia-smi shows); memory bandwidth in GB/s; dense TFLOP/s at 16 bits, at FP8 and at FP4 (0: the hardware has no such
units; GeForce and RTX cards: with accumulation in FP32); compute capability; NVLink between cards; memory shared with
the CPU; source of bandwidth and arithmetic.

Memory: "total capacity of ... GiB" in error messages of PyTorch and "total_gpu_memory" in start-up logs of vLLM on
that card, where such a log is known (mark: m), otherwise the nominal size less the share that the family's other
cards lose.
"""

from __future__ import annotations

Row = tuple[str, float, float, float, float, float, str, bool, bool, str]

_V100 = "NVIDIA V100 data sheet"
_A100 = "NVIDIA A100 data sheet"
_H100 = "NVIDIA H100 data sheet"
_ADA = "NVIDIA Ada GPU architecture whitepaper, appendix A"
_AMPERE = "NVIDIA Ampere GA102 GPU architecture whitepaper, table 9"
_TURING = "NVIDIA Turing GPU architecture whitepaper, appendix A"
_RTX50 = "NVIDIA RTX Blackwell GPU architecture whitepaper, appendix A"

GPUS: tuple[Row, ...] = (
    # Data centre, Blackwell
    (r"\bgb300\b", 276.0, 8000, 2500, 5000, 15000, "10.3", True, False, "NVIDIA GB300 NVL72 data sheet"),
    (r"\bb300\b", 267.7, 8000, 2250, 4500, 13500, "10.3", True, False, "NVIDIA HGX B300 data sheet"),
    (r"\bgb200\b", 184.3, 8000, 2500, 5000, 10000, "10.0", True, False, "NVIDIA GB200 NVL72 data sheet"),
    (r"\bb200\b", 178.35, 7700, 2250, 4500, 9000, "10.0", True, False, "NVIDIA HGX B200 data sheet; m"),
    (r"\bb100\b", 178.35, 7700, 1800, 3500, 7000, "10.0", True, False, "NVIDIA HGX B100 data sheet"),
    # Data centre, Hopper
    (r"\bgh200\b.*\b14[14]\s?gb?\b", 139.8, 4900, 990, 1979, 0, "9.0", True, False, "NVIDIA GH200 data sheet"),
    (r"\bgh200\b", 94.5, 4000, 990, 1979, 0, "9.0", True, False, "NVIDIA GH200 data sheet; m"),
    (r"\bh200\b.*\bnvl\b", 139.8, 4800, 836, 1671, 0, "9.0", True, False, "NVIDIA H200 data sheet"),
    (r"\bh200\b", 139.81, 4800, 989, 1979, 0, "9.0", True, False, "NVIDIA H200 data sheet; m"),
    (r"\bh20\b.*\b(141\s?gb?|3e)\b", 139.8, 4800, 148, 296, 0, "9.0", True, False, "NVIDIA H20-3e product brief"),
    (r"\bh20\b", 95.1, 4000, 148, 296, 0, "9.0", True, False, "NVIDIA H20 product brief; m"),
    (r"\bh100\b.*\bnvl\b", 93.1, 3900, 836, 1671, 0, "9.0", True, False, _H100 + "; m"),
    (r"\bh100\b.*\bpcie\b", 79.18, 2000, 756, 1513, 0, "9.0", False, False, _H100 + "; m"),
    (r"\bh100\b.*\b64\s?gb?\b", 63.4, 2020, 989, 1979, 0, "9.0", True, False, _H100),
    (r"\bh100\b.*\b96\s?gb?\b", 94.5, 3350, 989, 1979, 0, "9.0", True, False, _H100),
    (r"\bh100\b", 79.15, 3350, 989, 1979, 0, "9.0", True, False, _H100 + "; m"),
    (r"\bh800\b.*\bpcie\b", 79.18, 2000, 756, 1513, 0, "9.0", False, False, "NVIDIA H800 data sheet"),
    (r"\bh800\b", 79.15, 3350, 989, 1979, 0, "9.0", True, False, "NVIDIA H800 data sheet"),
    # Data centre, Ada
    (r"\bl40s\b", 44.4, 864, 362, 733, 0, "8.9", False, False, "NVIDIA L40S data sheet; m"),
    (r"\bl40\b", 44.4, 864, 181, 362, 0, "8.9", False, False, "NVIDIA L40 data sheet; m"),
    (r"\bl20\b", 44.5, 864, 119.5, 239, 0, "8.9", False, False, "NVIDIA L20 product brief"),
    (r"\bl4\b", 22.05, 300, 121, 242, 0, "8.9", False, False, "NVIDIA L4 data sheet; m"),
    # Data centre, Ampere
    (r"\ba100x?\b.*\b40\s?gb?\b", 39.4, 1555, 312, 0, 0, "8.0", True, False, _A100 + "; m"),
    (r"\ba100\b.*\bpcie\b.*\b80", 79.25, 1935, 312, 0, 0, "8.0", True, False, _A100 + "; m"),
    (r"\ba100\b.*\b80", 79.25, 2039, 312, 0, 0, "8.0", True, False, _A100 + "; m"),
    (r"\ba100\b", 39.4, 1555, 312, 0, 0, "8.0", True, False, _A100 + "; m"),
    (r"\ba800\b.*\b40\s?gb?\b", 39.4, 1555, 312, 0, 0, "8.0", True, False, "NVIDIA A800 40GB Active data sheet"),
    (r"\ba800\b", 79.25, 2039, 312, 0, 0, "8.0", True, False, "NVIDIA A800 data sheet"),
    (r"\ba30\b", 23.5, 933, 165, 0, 0, "8.0", True, False, "NVIDIA A30 data sheet; m"),
    (r"\ba40\b", 44.4, 696, 149.7, 0, 0, "8.6", True, False, "NVIDIA A40 data sheet; m"),
    (r"\ba10g\b", 22.1, 600, 70, 0, 0, "8.6", False, False, "AWS G5 instances; NVIDIA A10 data sheet; m"),
    (r"\ba10m\b", 19.0, 500, 125, 0, 0, "8.6", False, False, "NVIDIA A10M product brief"),
    (r"\ba10\b", 22.1, 600, 125, 0, 0, "8.6", False, False, "NVIDIA A10 data sheet; m"),
    (r"\ba16\b", 14.5, 200, 18, 0, 0, "8.6", False, False, "NVIDIA A16 data sheet (one of four GPUs)"),
    (r"\ba2\b", 14.6, 200, 18, 0, 0, "8.6", False, False, "NVIDIA A2 data sheet"),
    # Data centre, older
    (r"\bt4\b", 14.65, 320, 65, 0, 0, "7.5", False, False, "NVIDIA T4 data sheet; m"),
    (r"\bv100s\b", 31.74, 1134, 130, 0, 0, "7.0", False, False, _V100),
    (r"\bv100\b.*\bpcie\b.*\b32", 31.74, 900, 112, 0, 0, "7.0", False, False, _V100 + "; m"),
    (r"\bv100\b.*\b32", 31.74, 900, 125, 0, 0, "7.0", True, False, _V100 + "; m"),
    (r"\bv100\b", 15.77, 900, 125, 0, 0, "7.0", True, False, _V100 + "; m"),
    (r"\bp100\b", 15.89, 732, 18.7, 0, 0, "6.0", False, False, "NVIDIA P100 data sheet; m"),
    (r"\bp40\b", 23.87, 346, 0.2, 0, 0, "6.1", False, False, "NVIDIA P40 data sheet; m"),
    # Workstation
    (r"\bpro 6000\b.*\bmax q\b", 94.97, 1792, 438, 877, 1755, "12.0", False, False, "NVIDIA RTX PRO 6000 data sheet"),
    (r"\bpro 6000\b", 94.97, 1792, 503, 1007, 2015, "12.0", False, False, "NVIDIA RTX PRO 6000 data sheet; m"),
    (r"\bpro 5000\b.*\b72\s?gb?\b", 71.0, 1344, 294, 588, 1177, "12.0", False, False, "NVIDIA RTX PRO 5000 data sheet"),
    (r"\bpro 5000\b", 47.3, 1344, 294, 588, 1177, "12.0", False, False, "NVIDIA RTX PRO 5000 data sheet"),
    (r"\bpro 4500\b", 31.4, 896, 219, 438, 877, "12.0", False, False, "NVIDIA RTX PRO 4500 data sheet"),
    (r"\bpro 4000\b", 23.4, 672, 187, 374, 749, "12.0", False, False, "NVIDIA RTX PRO 4000 data sheet"),
    (r"\bpro 2000\b", 15.5, 288, 68, 137, 273, "12.0", False, False, "NVIDIA RTX PRO 2000 data sheet"),
    (r"\b6000 ada\b", 47.4, 960, 364, 728, 0, "8.9", False, False, "NVIDIA RTX 6000 Ada data sheet; m"),
    (r"\b5880 ada\b", 47.4, 960, 277, 554, 0, "8.9", False, False, "NVIDIA RTX 5880 Ada data sheet"),
    (r"\b5000 ada\b", 31.5, 576, 261, 522, 0, "8.9", False, False, "NVIDIA RTX 5000 Ada data sheet"),
    (r"\b4500 ada\b", 23.5, 432, 159, 317, 0, "8.9", False, False, "NVIDIA RTX 4500 Ada data sheet"),
    (r"\b4000( sff)? ada\b", 19.55, 360, 107, 214, 0, "8.9", False, False, "NVIDIA RTX 4000 Ada data sheet; m"),
    (r"\b2000 ada\b", 15.6, 224, 48, 96, 0, "8.9", False, False, "NVIDIA RTX 2000 Ada data sheet"),
    (r"\ba6000\b", 47.5, 768, 154.8, 0, 0, "8.6", True, False, "NVIDIA RTX A6000 data sheet; m"),
    (r"\ba5500\b", 23.6, 768, 136.5, 0, 0, "8.6", True, False, "NVIDIA RTX A5500 data sheet"),
    (r"\ba5000\b", 23.6, 768, 111, 0, 0, "8.6", True, False, "NVIDIA RTX A5000 data sheet; m"),
    (r"\ba4500\b", 19.7, 640, 94.6, 0, 0, "8.6", True, False, "NVIDIA RTX A4500 data sheet"),
    (r"\ba4000\b", 15.7, 448, 76.7, 0, 0, "8.6", False, False, "NVIDIA RTX A4000 data sheet; m"),
    (r"\ba2000\b", 11.7, 288, 31.9, 0, 0, "8.6", False, False, "NVIDIA RTX A2000 data sheet"),
    (r"\bquadro rtx 8000\b", 47.5, 672, 130, 0, 0, "7.5", True, False, "NVIDIA Quadro RTX 8000 data sheet"),
    (r"\bquadro rtx 6000\b", 23.65, 672, 130, 0, 0, "7.5", True, False, "NVIDIA Quadro RTX 6000 data sheet"),
    # GeForce, Blackwell
    (r"\b5090 d v2\b", 23.4, 1344, 209.5, 419, 1676, "12.0", False, False, _RTX50),
    (r"\b5090\b.*\blaptop\b", 23.42, 896, 127, 254, 1015, "12.0", False, False, "NVIDIA GeForce RTX 5090 Laptop page"),
    (r"\b5090\b", 31.37, 1792, 209.5, 419, 1676, "12.0", False, False, _RTX50 + "; m"),
    (r"\b5080\b", 15.46, 960, 112.6, 225, 900, "12.0", False, False, _RTX50 + "; m"),
    (r"\b5070 ti\b", 15.46, 896, 87.9, 175.8, 703, "12.0", False, False, _RTX50 + "; m"),
    (r"\b5070\b", 11.5, 672, 61.7, 123.5, 494, "12.0", False, False, _RTX50),
    (r"\b5060 ti\b.*\b8\s?g", 7.6, 448, 47.4, 94.9, 380, "12.0", False, False, _RTX50),
    (r"\b5060 ti\b", 15.47, 448, 47.4, 94.9, 380, "12.0", False, False, _RTX50 + "; m"),
    (r"\b5060\b", 7.6, 448, 38.4, 76.8, 307, "12.0", False, False, _RTX50),
    # GeForce, Ada
    (
        r"\b4090\b.*\b48",
        47.37,
        1008,
        165.2,
        330.3,
        0,
        "8.9",
        False,
        False,
        _ADA + " (doubled by a third party); m",
    ),
    (r"\b4090\b.*\blaptop\b", 15.6, 576, 82.5, 165, 0, "8.9", False, False, "NVIDIA GeForce RTX 4090 Laptop page"),
    (r"\b4090\b", 23.55, 1008, 165.2, 330.3, 0, "8.9", False, False, _ADA + "; m"),
    (r"\b4080\b", 15.6, 717, 97.5, 194.9, 0, "8.9", False, False, _ADA + "; m"),
    (r"\b4070 ti super\b", 15.6, 672, 88.2, 176.4, 0, "8.9", False, False, _ADA),
    (r"\b4070 ti\b", 11.6, 504, 80.2, 160.4, 0, "8.9", False, False, _ADA),
    (r"\b4070\b.*\blaptop\b", 7.65, 256, 38, 76, 0, "8.9", False, False, "NVIDIA GeForce RTX 4070 Laptop page; m"),
    (r"\b4070\b", 11.6, 504, 58.3, 116.6, 0, "8.9", False, False, _ADA + "; m"),
    (r"\b4060 ti\b.*\b16", 15.6, 288, 44.1, 88.2, 0, "8.9", False, False, _ADA + "; m"),
    (r"\b4060 ti\b", 7.63, 288, 44.1, 88.2, 0, "8.9", False, False, _ADA),
    (r"\b4060\b", 7.63, 272, 30.3, 60.6, 0, "8.9", False, False, _ADA + "; m"),
    # GeForce, Ampere
    (r"\b3090 ti\b", 23.6, 1008, 80, 0, 0, "8.6", True, False, _AMPERE),
    (r"\b3090\b", 23.6, 936, 71, 0, 0, "8.6", True, False, _AMPERE + "; m"),
    (r"\b3080 ti\b", 11.77, 912, 68.2, 0, 0, "8.6", False, False, _AMPERE),
    (r"\b3080\b.*\b12\s?g", 11.77, 912, 61.3, 0, 0, "8.6", False, False, _AMPERE),
    (r"\b3080\b", 9.77, 760, 59.5, 0, 0, "8.6", False, False, _AMPERE + "; m"),
    (r"\b3070( ti)?\b", 7.78, 448, 40.6, 0, 0, "8.6", False, False, _AMPERE),
    (r"\b3060 ti\b", 7.78, 448, 32.4, 0, 0, "8.6", False, False, _AMPERE),
    (r"\b3060\b", 11.76, 360, 25.5, 0, 0, "8.6", False, False, _AMPERE + "; m"),
    (r"\b3050\b", 7.78, 224, 18.2, 0, 0, "8.6", False, False, _AMPERE),
    # GeForce, Turing
    (r"\btitan rtx\b", 23.65, 672, 130.5, 0, 0, "7.5", True, False, _TURING),
    (r"\b2080 ti\b.*\b22", 21.5, 616, 53.8, 0, 0, "7.5", True, False, _TURING + " (memory doubled by a third party)"),
    (r"\b2080 ti\b", 10.75, 616, 53.8, 0, 0, "7.5", True, False, _TURING + "; m"),
    (r"\b2080( super)?\b", 7.79, 448, 42.4, 0, 0, "7.5", True, False, _TURING),
    (r"\b2070( super)?\b", 7.79, 448, 31.5, 0, 0, "7.5", False, False, _TURING),
    (r"\b2060\b.*\b12", 11.77, 336, 28.7, 0, 0, "7.5", False, False, _TURING),
    (r"\b2060( super)?\b", 5.8, 336, 25.8, 0, 0, "7.5", False, False, _TURING),
    # Memory shared with the CPU
    (r"\bgb10\b|\bdgx spark\b", 119.7, 273, 125, 250, 500, "12.1", False, True, "NVIDIA DGX Spark data sheet; m"),
    (r"\bthor\b", 122.8, 273, 258, 517, 1035, "11.0", False, True, "NVIDIA Jetson AGX Thor data sheet; m"),
    (
        r"\bagx orin\b|\borin\b.*\b64",
        61.4,
        204.8,
        42.5,
        0,
        0,
        "8.7",
        False,
        True,
        "NVIDIA Jetson AGX Orin data sheet; m",
    ),
    (r"\borin\b", 15.3, 102.4, 25, 0, 0, "8.7", False, True, "NVIDIA Jetson Orin NX data sheet"),
)

# A slice's name says its memory: "MIG 3g.40gb". Slices of a card's compute, by the leading digit, out of seven.
MIG_PATTERN = r"\bmig\b.*?\b(\d)g[. ](\d+)gb\b"
MIG_SLICES = 7
# Share of a slice's nominal memory that CUDA reports ("MIG 1g.10gb": 9.5 GiB).
MIG_USABLE = 0.95
