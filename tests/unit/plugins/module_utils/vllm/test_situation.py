# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.config import read_model
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.situation import as_loaded

from .models import LLAMA_8B


@pytest.mark.parametrize(
    ("dtype", "capability", "loaded"),
    [(None, "8.0", "bfloat16"), (None, "7.5", "float16"), ("float", "8.0", "float32")],
)
def test_a_dtype_is_loaded_as_wished_or_as_the_gpu_can(dtype, capability, loaded):
    assert as_loaded(read_model(LLAMA_8B), dtype, capability).dtype == loaded
