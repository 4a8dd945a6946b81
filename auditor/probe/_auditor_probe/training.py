"""Interventions in torch's switches, threads and DataLoaders."""

import os
import sys
from inspect import signature

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def hold(torch, names, said):
    """Lets functions of torch's C module that set a switch do nothing from here on but call ``said()``.

    Whatever in torch sets the switch does it by them. Returns the functions themselves by name.
    """

    def held(*args, **kwargs):
        said()

    originals = {name: getattr(torch._C, name) for name in names if hasattr(torch._C, name)}
    for name in originals:
        setattr(torch._C, name, held)
    for switch in vars(type(torch.backends.cudnn)).values():
        if any(getattr(switch, "setter", None) is original for original in originals.values()):
            switch.setter = held
    return originals


class OneThread:
    """``one-thread``: one thread for torch; for other libraries by the environment, which the process begins with."""

    def __init__(self, work):
        self._work = work
        self._set = {name: os.environ.get(name) for name in _VARIABLES}

    def begin(self):
        if "1" in self._set.values():
            self._work.tell("one-thread", "one thread by the environment")

    in_child = begin

    def before_import(self, name):
        # Libraries read them when they are loaded, and a program may have set them since.
        if name in ("numpy", "torch"):
            for variable, value in self._set.items():
                if value is not None:
                    os.environ[variable] = value

    def torch(self, torch):
        torch.set_num_threads(1)
        try:
            torch.set_num_interop_threads(1)
        except RuntimeError:
            pass  # it can be set once only, and the environment has set it
        self._work.tell("one-thread", "one thread for torch")
        for name in ("set_num_threads", "set_num_interop_threads"):
            setattr(torch, name, _ignored)


def _ignored(number):
    """Takes a number of threads and leaves it at one."""


class Deterministic:
    """``deterministic-algorithms``: torch's deterministic algorithms, cuDNN deterministic and without benchmark.

    An operation without a deterministic implementation only warns: the runs then still differ and say so, whereas an
    exception about some other operation would end the trial before it said anything.
    """

    def __init__(self, work):
        self._work = work

    def torch(self, torch):
        names = ("_set_deterministic_algorithms", "_set_cudnn_deterministic", "_set_cudnn_benchmark")
        # The functions behind the public ones: those import a compiler.
        functions = hold(torch, names, lambda: None)
        functions[names[0]](True, warn_only=True)
        functions[names[1]](True)
        functions[names[2]](False)
        self._work.tell("deterministic-algorithms", "deterministic algorithms, warnings only; cuDNN without benchmark")

    def hooks(self):
        return {"torch._inductor.config": lambda module: setattr(module, "deterministic", True)}

    def in_child(self):
        torch = sys.modules.get("torch")
        if torch is not None:
            self._work.tell("deterministic-algorithms", "inherited")


class SinglePrecision:
    """``no-tf32``: products of 32-bit numbers are computed with all their bits."""

    def __init__(self, work):
        self._work = work

    def torch(self, torch):
        names = ("_set_float32_matmul_precision", "_set_cublas_allow_tf32", "_set_cudnn_allow_tf32")
        # The last one sets the same by newer names.
        more = ("_set_fp32_precision_setter",)
        functions = hold(torch, names + more, lambda: self._work.tell("no-tf32", "the program's setting was not taken"))
        functions[names[0]]("highest")
        functions[names[1]](False)
        functions[names[2]](False)
        if torch.version.cuda or getattr(torch.version, "hip", None):
            self._work.tell("no-tf32", "TF32 off")


class InProcess:
    """``load-in-process``: DataLoaders load in the process that asks them."""

    def __init__(self, work):
        self._work = work

    def torch(self, torch):
        loader = torch.utils.data.DataLoader
        original = loader.__init__
        parameters = signature(original)

        def changed(args, kwargs):
            bound = parameters.bind(*args, **kwargs)
            if bound.arguments.get("num_workers"):
                self._work.tell("load-in-process", "num_workers=0")
                for name in (
                    "num_workers",
                    "prefetch_factor",
                    "persistent_workers",
                    "multiprocessing_context",
                    "timeout",
                    "worker_init_fn",
                ):
                    bound.arguments.pop(name, None)
            return bound.args, bound.kwargs

        change_arguments(self._work, "load-in-process", loader, changed)


def change_arguments(work, factor, kind, changed):
    """Lets ``kind`` be made with the arguments that ``changed(args, kwargs)`` gives."""
    original = kind.__init__

    def __init__(self, *args, **kwargs):
        args, kwargs = work.session.guard_value(factor, ((self, *args), kwargs), changed, (self, *args), kwargs)
        original(*args, **kwargs)

    # What torch and others look at: the parameters are the same.
    __init__.__signature__ = signature(original)
    __init__.__doc__ = original.__doc__
    __init__.__wrapped__ = original
    kind.__init__ = __init__
