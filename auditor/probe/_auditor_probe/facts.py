"""Facts about the interpreter as seen from inside it: names, versions, allow-listed variables, mapped libraries."""

import os
import sys
import time

PROTOCOL = 1
_listdir = os.listdir  # before anything is watched

_EXACT = frozenset(
    [
        "PYTHONHASHSEED",
        "PYTHONOPTIMIZE",
        "PYTHONMALLOC",
        "OMP_NUM_THREADS",
        "OMP_DYNAMIC",
        "OMP_SCHEDULE",
        "OMP_PROC_BIND",
        "OMP_PLACES",
        "OMP_WAIT_POLICY",
        "GLIBC_TUNABLES",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "MALLOC_ARENA_MAX",
        "ATEN_CPU_CAPABILITY",
        "TZ",
        "LANG",
        "LC_ALL",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "XLA_FLAGS",
        "JAX_PLATFORMS",
        "JAX_ENABLE_X64",
        "TF_DETERMINISTIC_OPS",
        "TF_CUDNN_DETERMINISTIC",
        "TOKENIZERS_PARALLELISM",
        "NPY_DISABLE_CPU_FEATURES",
        "RANK",
        "LOCAL_RANK",
        "WORLD_SIZE",
    ]
)
_PREFIXES = [
    "MKL_",
    "OPENBLAS_",
    "BLIS_",
    "GOTO_",
    "DNNL_",
    "ONEDNN_",
    "CUBLAS_",
    "CUDNN_",
    "CUDA_",
    "NCCL_",
    "NVIDIA_TF32",
    "TORCH_",
    "PYTORCH_",
    "KMP_",
    "GOMP_",
    "TF32",
]
# Names of the allowed families that may nevertheless carry something private.
_NEVER = ("KEY", "TOKEN", "SECRET", "PASS", "PWD", "CRED", "AUTH")


def variables():
    """The allow-listed, determinism-related environment variables; never anything else."""
    found = {}
    for name in sorted(os.environ):
        allowed = name in _EXACT or name.startswith(tuple(_PREFIXES))
        if allowed and not any(word in name.upper() for word in _NEVER):
            found[name] = os.environ[name][:1000]
    return found


def arguments():
    """The interpreter's original command line; empty where it cannot be had."""
    original = getattr(sys, "orig_argv", None)
    if original:
        return list(original)
    try:
        with open("/proc/self/cmdline", "rb") as file:
            return [os.fsdecode(part) for part in file.read().split(b"\0")[:-1]]
    except OSError:
        return []


def is_helper():
    """Whether this interpreter only serves multiprocessing (it tracks resources and runs nothing of the user's)."""
    command = " ".join(arguments()[:8])
    return "multiprocessing.resource_tracker" in command or "multiprocessing.semaphore_tracker" in command


_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


def label():
    """What is run, without its arguments: the script's base name, ``-m module``, ``-c``, or ``interactive``."""
    rest = iter(arguments()[1:])
    for argument in rest:
        if argument == "-m":
            return "-m " + next(rest, "")
        if argument.startswith("-m") and not argument.startswith("--"):
            return "-m " + argument[2:]
        if argument.startswith("-c"):
            return "-c"
        if argument.endswith("--multiprocessing-fork"):
            return "spawn"
        if argument in _WITH_VALUE:
            next(rest, "")
        elif argument == "-" or not argument.startswith("-"):
            return os.path.basename(argument)
        elif not argument.startswith("--") and argument[1:].rstrip("c") != argument[1:]:
            return "-c"
    return "interactive"


def hello(kind, name, parent, child):
    """The fields of the handshake."""
    if kind == "exec" and name == "-c" and any(a == "--multiprocessing-fork" for a in arguments()):
        name = "spawn"
    return {
        "protocol": PROTOCOL,
        "kind": kind,
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "label": name,
        "python": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "hash_seed": os.environ.get("PYTHONHASHSEED"),
        "rank": os.environ.get("RANK"),
        "local_rank": os.environ.get("LOCAL_RANK"),
        "parent": parent,
        "child": child,
        "ns": time.time_ns(),
    }


def environment():
    """The fields of the environment line, less its time."""
    import platform

    flags = {
        name: int(getattr(sys.flags, name)) for name in ("optimize", "hash_randomization", "dev_mode", "utf8_mode")
    }
    return {
        "executable": sys.executable or "",
        "python": sys.version.replace("\n", " "),
        "implementation": sys.implementation.name,
        "compiler": platform.python_compiler(),
        "variables": variables(),
        "flags": flags,
        "distributions": distributions(),
        "libc": _libc(),
    }


def _libc():
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return ""


def distributions():
    """Installed distributions (name: version), read from the names of their metadata folders: quick, and enough."""
    found = {}
    for entry in sys.path:
        try:
            names = _listdir(entry or os.curdir)
        except OSError:
            continue
        for name in names:
            stem, _, suffix = name.rpartition(".")
            if suffix in ("dist-info", "egg-info") and "-" in stem:
                parts = stem.split("-")
                found.setdefault(parts[0].lower().replace("_", "-"), parts[1])
    return dict(sorted(found.items()))


def mapped_libraries():
    """Real paths of the shared objects mapped into this process, sorted; empty where the system does not say."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines()
    except OSError:
        return []
    found = set()
    for line in lines:
        slash = line.find("/")
        if slash >= 0:
            path = line[slash:].rstrip("\n")
            if ".so" in os.path.basename(path):
                found.add(path)
    return sorted(path.encode("utf-8", "backslashreplace").decode("ascii", "backslashreplace") for path in found)
