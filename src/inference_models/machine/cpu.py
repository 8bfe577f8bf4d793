"""The processor's instruction sets, from the operating system."""

from __future__ import annotations

import ctypes
import re
import sys
from typing import TYPE_CHECKING

from inference_models.machine.hardware import ROOT
from inference_models.machine.system_files import read_text, sysctl

if TYPE_CHECKING:
    from pathlib import Path

FLAGS = frozenset(
    {
        *("amx_bf16", "amx_complex", "amx_fp16", "amx_int8", "amx_tile", "asimd", "asimddp", "asimdhp"),
        *("avx", "avx2", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx512bw", "avx512dq", "avx512f", "avx512vl"),
        *("avx_ne_convert", "avx_vnni", "avx_vnni_int8", "bf16", "f16c", "fma", "i8mm", "neon", "sme", "sme2"),
        *("sse4_1", "sse4_2", "ssse3", "sve", "sve2", "svebf16", "svei8mm"),
    }
)
"""The instruction sets that runtimes ask for or have kernels of their own for, as Linux spells them."""
_LINUX = re.compile(r"^(?:flags|Features)\s*:\s*(.*)$", re.MULTILINE)
_ONE_PROCESSOR = 1 << 13
"""Characters of /proc/cpuinfo that hold the first processor; machines with hundreds take long to list all."""
_APPLE_ARM = {
    "FEAT_BF16": "bf16",
    "FEAT_DotProd": "asimddp",
    "FEAT_FP16": "asimdhp",
    "FEAT_I8MM": "i8mm",
    "FEAT_SME": "sme",
    "FEAT_SME2": "sme2",
}
_APPLE_INTEL = {
    "avx1.0": "avx",
    "avx512bf16": "avx512_bf16",
    "avx512vnni": "avx512_vnni",
    "sse4.1": "sse4_1",
    "sse4.2": "sse4_2",
}
_WINDOWS = {36: "ssse3", 37: "sse4_1", 38: "sse4_2", 39: "avx", 40: "avx2", 41: "avx512f", 43: "asimddp"}
"""Numbers of `IsProcessorFeaturePresent`."""


def cpu_flags(root: Path = ROOT) -> frozenset[str]:
    """Those of `FLAGS` that this processor has."""
    if sys.platform == "darwin":
        return _apple_flags()
    if sys.platform == "win32":
        present = ctypes.CDLL("kernel32").IsProcessorFeaturePresent
        return frozenset(name for number, name in _WINDOWS.items() if present(number))
    return linux_flags(read_text(root / "proc/cpuinfo", limit=_ONE_PROCESSOR))


def linux_flags(text: str) -> frozenset[str]:
    """Those of `FLAGS` in the text of /proc/cpuinfo."""
    found = _LINUX.search(text)
    return FLAGS & set(found[1].lower().split()) if found else frozenset()


def apple_intel_flags(text: str) -> frozenset[str]:
    """Those of `FLAGS` in what `sysctl machdep.cpu.features machdep.cpu.leaf7_features` prints."""
    return FLAGS & {_APPLE_INTEL.get(name, name) for name in text.lower().split()}


def _apple_flags() -> frozenset[str]:
    if sysctl("hw.optional.arm64"):
        named = {flag for name, flag in _APPLE_ARM.items() if any(sysctl(f"hw.optional.arm.{name}"))}
        return frozenset({"asimd", "neon", *named})
    texts = (sysctl(f"machdep.cpu.{name}").rstrip(b"\0") for name in ("features", "leaf7_features"))
    return apple_intel_flags(b" ".join(texts).decode("ascii", "replace"))
