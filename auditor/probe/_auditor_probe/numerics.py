"""What the numerical libraries of this process say of themselves at its end: the kernels that they choose, threads.

Asked are only libraries that are mapped already, by functions without arguments that their headers document, and never
anything that would set, load or start something. ``OpenBLAS``: https://github.com/OpenMathLib/OpenBLAS (cblas.h).
"""

import os
import sys

_OPENBLAS_FILES = ("libopenblas", "libscipy_openblas")
_MKL_FILES = ("libmkl_rt.", "libmkl_intel_lp64.", "libmkl_intel_ilp64.")
_ONEDNN_FILES = ("libdnnl.",)
# The symbols carry a prefix in SciPy's builds, and a suffix where integers have 64 bits.
_OPENBLAS = [(prefix, suffix) for prefix in ("", "scipy_") for suffix in ("", "64_", "_64")]
MAXIMUM = 8


def described(objects):
    """The fields of the line: NumPy's features in use, and for each library what it answers; None where it does not.

    ``objects`` are the paths of the mapped shared objects.
    """
    found = {"numpy": _numpy(), "openblas": [], "mkl": None, "onednn": None}
    ctypes = sys.modules.get("ctypes")
    if not hasattr(ctypes, "PyDLL") or not hasattr(os, "RTLD_NOLOAD"):
        return found
    # MKL's dispatching library loads the others when it is first called: where it was not, it is not called here.
    called = any(os.path.basename(path).startswith("libmkl_core.") for path in objects)
    for path in objects:
        name = os.path.basename(path)
        if name.startswith(_OPENBLAS_FILES) and len(found["openblas"]) < MAXIMUM:
            library = _loaded(ctypes, path)
            core, threads = _openblas(ctypes, library)
            found["openblas"].append({"file": name, "core": core, "threads": threads})
        elif name.startswith(_MKL_FILES) and called and found["mkl"] is None:
            # int mkl_cbwr_get_auto_branch(void), in mkl_service.h
            found["mkl"] = _call(_loaded(ctypes, path), "MKL_CBWR_Get_Auto_Branch", ctypes.c_int)
        elif name.startswith(_ONEDNN_FILES):
            # dnnl_cpu_isa_t dnnl_get_effective_cpu_isa(void), in dnnl.h
            found["onednn"] = _call(_loaded(ctypes, path), "dnnl_get_effective_cpu_isa", ctypes.c_int)
    return found


def _numpy():
    """The CPU features beyond its baseline that NumPy found and may use, by its own names; None without NumPy."""
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        module = sys.modules.get(name)
        features = getattr(module, "__cpu_features__", None)
        dispatched = getattr(module, "__cpu_dispatch__", None)
        if isinstance(features, dict) and isinstance(dispatched, list):
            return [feature for feature in dispatched if features.get(feature)]
    return None


def _loaded(ctypes, path):
    """The library at ``path`` where it is loaded already, else None; calling it keeps the interpreter's lock."""
    try:
        return ctypes.PyDLL(path, mode=os.RTLD_NOLOAD)
    except OSError:
        return None


def _openblas(ctypes, library):
    for prefix, suffix in _OPENBLAS:
        # char *openblas_get_corename(void); int openblas_get_num_threads(void)
        core = _call(library, prefix + "openblas_get_corename" + suffix, ctypes.c_char_p)
        if core is not None:
            threads = _call(library, prefix + "openblas_get_num_threads" + suffix, ctypes.c_int)
            return core.decode("ascii", "replace")[:40], threads
    return None, None


def _call(library, name, kind):
    function = getattr(library, name, None)
    if function is None:
        return None
    function.argtypes = ()
    function.restype = kind
    return function()
