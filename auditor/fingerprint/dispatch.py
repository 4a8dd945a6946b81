"""What the numerical libraries dispatch to, and with how many threads, as they said themselves in the process."""

from __future__ import annotations

import re

from auditor.fingerprint.fact import fact
from auditor.fingerprint.inside import Inside
from auditor.records.fingerprint import Fact, Unknown

# https://oneapi-src.github.io/oneDNN/enum_dnnl_cpu_isa_t.html
ONEDNN = {
    0x1: "sse41",
    0x3: "avx",
    0x7: "avx2",
    0xF: "avx2_vnni",
    0x1F: "avx2_vnni_2",
    0x27: "avx512_core",
    0x67: "avx512_core_vnni",
    0xE7: "avx512_core_bf16",
    0x1EF: "avx512_core_fp16",
    0xFEF: "avx512_core_amx",
    0x1FEF: "avx512_core_amx_fp16",
}
# MKL_CBWR_* in mkl_types.h; the names are those that the variable MKL_CBWR takes:
# https://www.intel.com/content/www/us/en/docs/onemkl/developer-reference-c/2026-0/named-constants-for-cnr-control.html
MKL = {
    3: "COMPATIBLE",
    4: "SSE2",
    6: "SSSE3",
    7: "SSE4_1",
    8: "SSE4_2",
    9: "AVX",
    10: "AVX2",
    11: "AVX512_MIC",
    12: "AVX512",
    13: "AVX512_MIC_E1",
    14: "AVX512_E1",
}
MKL_AUTO = 2
_THREADS = {
    "openmp": re.compile(r"^\s*omp_get_max_threads\(\) : ([0-9]{1,9})$", re.MULTILINE),
    "mkl": re.compile(r"^\s*mkl_get_max_threads\(\) : ([0-9]{1,9})$", re.MULTILINE),
}
_INFO = "torch.__config__.parallel_info"


def facts(inside: Inside) -> dict[str, Fact]:
    """``dispatch:<numpy|openblas|onednn|mkl>`` and ``threads:<openmp|mkl|openblas>``.

    The first are as at the end of the process, ``threads:openmp`` and ``threads:mkl`` as at the first step.
    """
    return {**_of_libraries(inside), **_of_torch(inside)}


def parse_threads(text: str) -> dict[str, int]:
    """The thread counts in the text of ``torch.__config__.parallel_info``: of OpenMP and, where it is there, of MKL."""
    found = {name: pattern.search(text) for name, pattern in _THREADS.items()}
    return {name: int(match[1]) for name, match in found.items() if match is not None}


def onednn(number: int) -> str:
    """The name of the instruction set that oneDNN may use at most; its number where the header has none for it."""
    return ONEDNN.get(number, f"0x{number:x}")


def mkl(number: int) -> str | None:
    """The name of MKL's branch, as the variable ``MKL_CBWR`` takes it; its number where the header has none for it.

    None for ``MKL_CBWR_AUTO``, which MKL says on processors of other makers than its own, and which names no branch.
    """
    return MKL.get(number, str(number)) if number != MKL_AUTO else None


def _of_libraries(inside: Inside) -> dict[str, Fact]:
    names = ("dispatch:mkl", "dispatch:numpy", "dispatch:onednn", "dispatch:openblas", "threads:openblas")
    numerics = inside.numerics
    if numerics is None:
        return dict.fromkeys(names, Unknown(inside.absent))
    hidden = "the process has no library of it that could be asked; a copy inside another one tells nothing"
    unnamed = "MKL names no branch for this processor"
    cores = sorted({one.core for one in numerics.openblas if one.core is not None})
    threads = sorted({one.threads for one in numerics.openblas if one.threads is not None})
    branch = None if numerics.mkl is None else mkl(numerics.mkl)
    features = None if numerics.numpy is None else tuple(numerics.numpy)
    isa = None if numerics.onednn is None else onednn(numerics.onednn)
    return {
        "dispatch:mkl": fact(branch, "mkl_cbwr_get_auto_branch", unnamed if numerics.mkl == MKL_AUTO else hidden),
        "dispatch:numpy": fact(features, "numpy's __cpu_features__ beyond its baseline", "NumPy does not tell"),
        "dispatch:onednn": fact(isa, "dnnl_get_effective_cpu_isa", hidden),
        "dispatch:openblas": fact(" and ".join(cores), "openblas_get_corename", hidden),
        "threads:openblas": fact(_one(threads), "openblas_get_num_threads", hidden),
    }


def _of_torch(inside: Inside) -> dict[str, Fact]:
    if inside.torch is None:
        absent = inside.absent if inside.environment is None or not inside.process else "no torch was seen"
        return {f"threads:{name}": Unknown(absent) for name in _THREADS}
    text = inside.torch.facts.get("parallel")
    if not isinstance(text, str):
        return {f"threads:{name}": Unknown(inside.absent) for name in _THREADS}
    told = parse_threads(text)
    return {f"threads:{name}": fact(told.get(name), _INFO, "torch was built without it") for name in _THREADS}


def _one(numbers: list[int]) -> int | str | None:
    """The one number that there is; several in words."""
    if len(numbers) > 1:
        return " and ".join(map(str, numbers))
    return numbers[0] if numbers else None
