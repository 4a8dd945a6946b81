"""Facts about a torch: its build, its switches, its devices."""

import os


def facts_of(torch, at):
    """The (kind, fields) pairs that describe this torch and its devices."""
    backends = torch.backends
    cuda = torch.cuda
    facts_ = {
        "debug": bool(torch.version.debug),
        "cuda": torch.version.cuda,
        "hip": getattr(torch.version, "hip", None),
        "git": getattr(torch.version, "git_version", None),
        "mkl": bool(backends.mkl.is_available()),
        "mkldnn": bool(backends.mkldnn.is_available()),
        "openmp": bool(backends.openmp.is_available()),
        "cpu_capability": backends.cpu.get_cpu_capability() if hasattr(backends, "cpu") else None,
        "cudnn": backends.cudnn.version() if backends.cudnn.is_available() else None,
        "nccl": _nccl(torch),
        "cuda_initialized": bool(cuda.is_initialized()),
        # Programs often set it themselves, before their first product and long after they began.
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        "parallel": _text(torch, "parallel_info"),
        # The last lines list the compiler's flags and every setting of the build, which the revision stands for.
        "config": _text(torch, "show").partition("  - Build settings")[0],
    }
    switches = {
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "deterministic_warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn_enabled": backends.cudnn.enabled,
        "cudnn_benchmark": backends.cudnn.benchmark,
        "cudnn_deterministic": backends.cudnn.deterministic,
        "cudnn_allow_tf32": _plain(lambda: backends.cudnn.allow_tf32),
        "matmul_allow_tf32": _plain(lambda: backends.cuda.matmul.allow_tf32),
        "float32_matmul_precision": _plain(torch.get_float32_matmul_precision),
        "default_dtype": str(torch.get_default_dtype()).rpartition(".")[2],
    }
    found = [("torch", {"at": at, "version": str(torch.__version__), "facts": facts_, "switches": switches})]
    if at == "step" and cuda.is_initialized():
        for index in range(cuda.device_count()):
            properties = cuda.get_device_properties(index)
            found.append(
                (
                    "gpu",
                    {
                        "index": index,
                        "name": properties.name,
                        "capability": f"sm_{properties.major}{properties.minor}",
                        "multiprocessors": properties.multi_processor_count,
                        "memory": properties.total_memory,
                    },
                )
            )
    return found


def _nccl(torch):
    """The version of the NCCL library in use, or None where torch was built without."""
    if not torch.version.cuda or not torch.distributed.is_available() or not torch.distributed.is_nccl_available():
        return None
    version = torch.cuda.nccl.version()
    return ".".join(map(str, version)) if isinstance(version, tuple) else str(version)


def _text(torch, name):
    function = getattr(torch.__config__, name, None)
    return function()[:4000] if function is not None else ""


def _plain(read):
    # Newer versions refuse the old names where the new ones were used.
    try:
        return read()
    except RuntimeError as error:
        return f"unreadable: {str(error)[:80]}"
