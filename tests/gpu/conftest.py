# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is here needs a machine with an NVIDIA GPU: `GPUCHAT_REAL_GPU=1 python -m pytest tests/gpu`, as root."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("GPUCHAT_REAL_GPU") == "1" else ["test_*.py"]
