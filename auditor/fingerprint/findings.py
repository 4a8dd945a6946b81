"""What an environment itself shows to endanger results: libraries shadowed by others, runtimes that are there twice."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.fingerprint import cuda
from auditor.records.audit import Finding
from auditor.records.fingerprint import Fingerprint, Known

_NAMES = {"cublas": "cuBLAS", "cudart": "the CUDA runtime", "cudnn": "cuDNN", "nccl": "NCCL"}
_INSTALLED = re.compile(r"(?:site|dist)-packages/")

# https://gcc.gnu.org/onlinedocs/libgomp/ and https://openmp.llvm.org/: Intel's runtime is built from LLVM's.
_OPENMP = (("libiomp", "Intel's"), ("libomp", "LLVM's"), ("libgomp", "GNU's"))
# MKL is several files that work together, and a distribution's libblas is a part of the BLAS that lies beside it.
_BLAS = (("libmkl_", "MKL"), ("libopenblas", "OpenBLAS"), ("libscipy_openblas", "OpenBLAS"), ("libblis", "BLIS"))


def findings(fingerprint: Fingerprint) -> tuple[Finding, ...]:
    """What the fingerprint of a process shows, gravest first. It rests on the libraries that were mapped."""
    found = (*_shadowed(fingerprint), *_openmp(fingerprint), *_blas(fingerprint))
    return tuple(sorted(found, key=lambda finding: (finding.severity != "warning", finding.rule, finding.message)))


def _shadowed(fingerprint: Fingerprint) -> Iterator[Finding]:
    """Parts of the CUDA stack of which another release was loaded than is installed as a package."""
    for part, name in _NAMES.items():
        installed = _versions(fingerprint, cuda.INSTALLED[cuda.PARTS[part]])
        files = _tuple(fingerprint, "cuda", f"loaded:{part}")
        if not installed or not files:
            continue
        loaded = fingerprint.layers.get("cuda", {}).get(f"loaded-version:{part}")
        outside = [path for path in files if not _INSTALLED.match(path)]
        shown = " and ".join(installed)
        if isinstance(loaded, Known):
            if not any(same_release(version, str(loaded.value)) for version in installed):
                yield Finding(
                    "shadowed-library",
                    f"installed metadata says {name} {shown}, but the process mapped {loaded.value} "
                    f"({(outside or files)[0]}): another copy was found first, by LD_LIBRARY_PATH for one",
                    "warning",
                    None,
                )
        elif outside:
            yield Finding(
                "shadowed-library",
                f"installed metadata says {name} {shown}, but the process mapped {outside[0]}, of an unknown version",
                "note",
                None,
            )


def same_release(installed: str, loaded: str) -> bool:
    """Whether two versions agree in the numbers that both have: ``9.1.0.70`` and ``9.1.0`` do."""
    one, other = (re.findall(r"[0-9]+", version.partition("+")[0]) for version in (installed, loaded))
    shared = min(len(one), len(other))
    return shared > 0 and [n.lstrip("0") for n in one[:shared]] == [n.lstrip("0") for n in other[:shared]]


def _openmp(fingerprint: Fingerprint) -> Iterator[Finding]:
    files = _tuple(fingerprint, "libraries", "loaded:openmp")
    if len(files) < 2:
        return
    makers = {maker for path in files for prefix, maker in _OPENMP if _name(path).startswith(prefix)}
    several = len(makers) > 1
    consequence = (
        "runtimes of different makers in one process can crash it or change its results"
        if several
        else "each has its own threads, and what sets their number in one (torch.set_num_threads) does not in another"
    )
    yield Finding(
        "duplicate-openmp-runtimes",
        f"the process mapped {len(files)} OpenMP runtimes ({', '.join(files)}): {consequence}",
        "warning" if several else "note",
        None,
    )


def _blas(fingerprint: Fingerprint) -> Iterator[Finding]:
    runtimes: dict[tuple[str, str], list[str]] = {}
    for path in _tuple(fingerprint, "libraries", "loaded:blas"):
        maker = next((maker for prefix, maker in _BLAS if _name(path).startswith(prefix)), "")
        runtimes.setdefault((path.rpartition("/")[0], maker), []).append(path)
    # A file that is no maker's own is the interface of what lies beside it.
    makers = {directory for directory, maker in runtimes if maker}
    counted = [paths for (directory, maker), paths in runtimes.items() if maker or directory not in makers]
    separate = [path for paths in counted for path in (paths[:1] if _name(paths[0]).startswith("libmkl_") else paths)]
    if len(separate) > 1:
        yield Finding(
            "duplicate-blas-runtimes",
            f"the process mapped {len(separate)} BLAS libraries ({', '.join(sorted(separate))}): packages often bring "
            "their own, and each chooses its kernels and its threads by itself",
            "note",
            None,
        )


def _versions(fingerprint: Fingerprint, pattern: str) -> list[str]:
    facts = fingerprint.layers.get("libraries", {})
    names = [name for name in sorted(facts) if re.fullmatch(pattern, name)]
    return [str(fact.value) for name in names if isinstance(fact := facts[name], Known)]


def _tuple(fingerprint: Fingerprint, layer: str, name: str) -> tuple[str, ...]:
    fact = fingerprint.layers.get(layer, {}).get(name)
    return fact.value if isinstance(fact, Known) and isinstance(fact.value, tuple) else ()


def _name(path: str) -> str:
    return path.rpartition("/")[2]
