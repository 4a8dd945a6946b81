"""What a trial changes in a run, factor by factor, without touching the program's code; told in the trace."""

import os
import sys

from . import callables
from .hashing import blake2b
from .seeding import Generators, NumpyStream, Pins, PythonStream, TorchStream, Workers
from .training import Deterministic, InProcess, OneThread, SinglePrecision
from .turns import Turns
from .world import Clock, Listings, Pid, SystemEntropy

# Files of the probe that are no caller themselves: stand-ins, and what is called by them.
_BETWEEN = ("callables.py", "entropy.py", "streams.py", "loaders.py", "interventions.py", "seeding.py", "training.py")
_BETWEEN += ("session.py", "turns.py", "world.py")
_NO_RANDOMIZE = 0x0040000  # ADDR_NO_RANDOMIZE of personality(2)


class _HashSeed:
    """``PYTHONHASHSEED``, which whoever starts the process sets."""

    def __init__(self, work):
        self._work = work

    def begin(self):
        self._work.tell("fix-hash-seed", "PYTHONHASHSEED=" + os.environ.get("PYTHONHASHSEED", ""))

    in_child = begin


class _Addresses:
    """Where memory lies, which whoever starts the process settles: here it is only asked whether it was."""

    def __init__(self, work):
        self._work = work

    def begin(self):
        try:
            with open("/proc/self/personality", encoding="ascii") as file:
                personality = int(file.read(), 16)
        except OSError:  # not Linux, or hidden: nothing is claimed
            return
        if personality & _NO_RANDOMIZE:
            self._work.tell("fix-addresses", "the kernel does not randomise addresses")

    in_child = begin


_MAKERS = {
    "seed-python": PythonStream,
    "seed-numpy": NumpyStream,
    "seed-torch": TorchStream,
    "seed-generators": Generators,
    "pin-seeds": Pins,
    "fix-entropy": SystemEntropy,
    "freeze-clock": Clock,
    "fix-pid": Pid,
    "fix-hash-seed": _HashSeed,
    "fix-addresses": _Addresses,
    "sort-listings": Listings,
    "one-thread": OneThread,
    "serial-threads": Turns,
    "seed-workers": Workers,
    "load-in-process": InProcess,
    "deterministic-algorithms": Deterministic,
    "no-tf32": SinglePrecision,
}


class Interventions:
    """The factors that this process is to have changed.

    Each is an object with any of these methods: ``begin()`` at the start of the process, ``before_import(name)``,
    ``numpy_random(module)`` and ``torch(module)`` right after these were imported and before anything else is watched
    in them, ``in_child()`` in a forked child, ``in_worker(dataset, number)`` in a DataLoader's worker after the
    program's own ``worker_init_fn``, and ``hooks()``, functions by the names of the modules after whose import they are
    called.
    """

    def __init__(self, session):
        self.session = session
        self.salt = os.environ.get("RANK", "")  # tells apart processes that are begun alike
        self._told = set()
        wanted = session.config["interventions"]
        self.factors = {name: _MAKERS[name](self) for name in sorted(wanted) if wanted[name]}
        here = os.path.dirname(callables.StandIn.__call__.__code__.co_filename)
        self._between = frozenset(os.path.join(here, name) for name in _BETWEEN)

    # -- what the factors need ---------------------------------------------------------------------------------

    def tell(self, factor, how):
        """Says in the trace that a factor took effect in this process, once."""
        if factor not in self._told:
            self._told.add(factor)
            self.session.send("perturbed", {"factor": factor, "how": how})

    def number(self, bits, *key):
        """A fixed number for a key, another one in each forked child."""
        text = "|".join(map(str, (self.salt, *key)))
        return int.from_bytes(blake2b(text.encode(), digest_size=64).digest(), "big") >> (512 - bits)

    def began(self, stream):
        """What a stream began with in the run that this one is to repeat, in order; empty in forked children."""
        if self.session.kind != "exec":
            return []
        return [value for name, value in self.session.config.get("began", ()) if name == stream]

    def caller(self):
        """The frame that called a stand-in."""
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename in self._between:
            frame = frame.f_back
        return frame

    def kind(self, frame):
        """Whose code a frame runs: ``user``, ``library``, ``stdlib`` or ``own`` (the probe's, or nobody's)."""
        return "own" if frame is None else self.session.places.kind(frame.f_code.co_filename)

    def program_calls(self, frame):
        """Whether the user's code or a library calls, not counting what a library does while it is imported."""
        kind = self.kind(frame)
        return kind == "user" or (kind == "library" and not self.session.places.at_library_import(frame))

    # -- when ---------------------------------------------------------------------------------------------------

    def _each(self, method, *args):
        for name, factor in self.factors.items():
            function = getattr(factor, method, None)
            if function is not None:
                self.session.guard(f"{name}: {method}", function, *args)

    def begin(self):
        """At the start of the process, before any code of the program."""
        self._each("begin")

    def hooks(self):
        """By module name, functions to call right after it was imported; those that are there already are called."""
        wanted = {}
        for name, factor in self.factors.items():
            for module, function in getattr(factor, "hooks", dict)().items():
                wanted.setdefault(module, []).append((name, function))
        for module in [module for module in wanted if module in sys.modules]:
            self._imported(wanted.pop(module), sys.modules[module])
        return {
            module: lambda session, loaded, functions=functions: self._imported(functions, loaded)
            for module, functions in wanted.items()
        }

    def _imported(self, functions, module):
        for name, function in functions:
            self.session.guard(f"{name}: import", function, module)

    def before_import(self, name):
        """When a module is looked for."""
        self._each("before_import", name)

    def numpy_random(self, module):
        """When ``numpy.random`` was imported."""
        self._each("numpy_random", module)

    def torch(self, module):
        """When torch was imported."""
        self._each("torch", module)

    def in_child(self, child):
        """In a forked child, which is its parent's ``child``-th."""
        self.salt = f"{self.salt}/{child}"
        self._told = set()
        self._each("in_child")

    def in_worker(self, dataset, number):
        """In a DataLoader's worker, when it was initialised."""
        self._each("in_worker", dataset, number)
