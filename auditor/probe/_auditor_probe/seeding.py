"""Interventions in the random streams: seeded at the start, fixed seeds for entropy, seeding calls that are pinned."""

import ctypes
import gc
import random
import struct
import sys
from inspect import signature

from .callables import Changed, stand_in
from .streams import generators_in
from .training import change_arguments

SEED = 1729
_RANDOM = random.Random.seed.__code__.co_filename
_class_seed = random.Random.seed


def given(args, kwargs):
    """The seed that a seeding call was given; None for none."""
    return args[0] if args else next(iter(kwargs.values()), None)


def with_seed(seed, args, kwargs):
    """The arguments of a seeding call with another seed."""
    if args or not kwargs:
        return (seed, *args[1:]), kwargs
    name = next(iter(kwargs))
    return (), dict(kwargs, **{name: seed})


def replace_method(kind, name, method):
    """Puts another method into a class of a C module, whose attributes cannot be set; returns what it replaces.

    The class stays what it is for ``isinstance``, pickle and whoever imported it before. Raises LookupError where this
    interpreter does not allow it.
    """
    attributes = gc.get_referents(kind.__dict__)
    if sys.implementation.name != "cpython" or not attributes or type(attributes[0]) is not dict:
        raise LookupError(f"{kind.__name__}.{name} cannot be replaced in this interpreter")
    original = attributes[0][name]
    attributes[0][name] = method
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))
    return original


class PythonStream:
    """``seed-python``: Python's stream, and instances of ``random.Random`` that would take entropy."""

    def __init__(self, work):
        self._work = work
        self._count = 0

    def begin(self):
        began = self._work.began("python")
        if began:
            position, *words = struct.unpack("=625I", bytes.fromhex(began[0]))
            random.setstate((3, (*words, position), None))
            self._work.tell("seed-python", "begun as in another run")
        else:
            self._seed("seeded at the start")
        stream = self
        work = self._work

        def seed(self, a=None, *args, **kwargs):
            if a is None:
                a = work.session.guard("seed-python", stream._for_instance)
            return _class_seed(self, a, *args, **kwargs)

        work.session.imitate(seed, _class_seed)
        random.Random.seed = seed

        def make(original):
            def seed(*args, **kwargs):
                if given(args, kwargs) is None:
                    work.tell("seed-python", "a fixed seed for random.seed()")
                    args, kwargs = with_seed(stream._next(), args, kwargs)
                return original(*args, **kwargs)

            return seed

        stand_in(random, "seed", make, Changed)

    def in_child(self):
        # Python has seeded the stream from entropy in the child just now.
        self._seed("seeded at the fork")

    def _seed(self, how):
        _class_seed(random._inst, self._work.number(64, "python", SEED))
        self._work.tell("seed-python", how)

    def _next(self):
        self._count += 1
        return self._work.number(64, "python", SEED, self._count)

    def _for_instance(self):
        frame = self._work.caller()
        while frame is not None and frame.f_code.co_filename == _RANDOM:
            frame = frame.f_back
        # What the standard library makes for itself (the names of temporary files) stays as it is.
        if self._work.kind(frame) not in ("user", "library"):
            return None
        return self._next()


class NumpyStream:
    """``seed-numpy``: NumPy's global stream."""

    def __init__(self, work):
        self._work = work
        self._count = 0

    def numpy_random(self, module):
        work = self._work
        began = work.began("numpy")
        if began:
            *words, position = struct.unpack("=625I", bytes.fromhex(began[0]))
            module.set_state(("MT19937", words, position))
            work.tell("seed-numpy", "begun as in another run")
        else:
            module.seed(work.number(32, "numpy", SEED))
            work.tell("seed-numpy", "seeded when NumPy was imported")

        def make(original):
            def seed(*args, **kwargs):
                if given(args, kwargs) is None:
                    self._count += 1
                    args, kwargs = with_seed(work.number(32, "numpy", SEED, self._count), args, kwargs)
                return original(*args, **kwargs)

            return seed

        stand_in(module, "seed", make, Changed)


class TorchStream:
    """``seed-torch``: torch's streams, on the processor and on accelerators."""

    def __init__(self, work):
        self._work = work
        self._count = 0

    def torch(self, torch):
        began = self._work.began("torch")
        torch.manual_seed(int(began[0]) if began else self._work.number(63, "torch", SEED))
        self._work.tell("seed-torch", "begun as in another run" if began else "seeded when torch was imported")
        self._fix(torch, "seed", torch.manual_seed)
        self._fix(torch.random, "seed", torch.manual_seed)
        self._fix(torch.cuda, "seed", torch.cuda.manual_seed)
        self._fix(torch.cuda, "seed_all", torch.cuda.manual_seed_all)
        if sys.implementation.name == "cpython":
            stream = self

            def seed(self):
                """Seeds the generator, and gives the seed."""
                number = stream._next()
                self.manual_seed(number)
                return number

            replace_method(torch._C.Generator, "seed", seed)

    def _next(self):
        self._count += 1
        return self._work.number(63, "torch", SEED, self._count)

    def _fix(self, module, name, by):
        original = getattr(module, name, None)
        if original is None:
            return

        def replacement():
            number = self._next()
            by(number)
            return number

        replacement.__name__ = name
        replacement.__doc__ = original.__doc__
        setattr(module, name, replacement)


class Generators:
    """``seed-generators``: the entropy that NumPy draws where a generator is made without a seed."""

    def __init__(self, work):
        self._work = work
        self._count = 0
        self._inside = 0

    def numpy_random(self, module):
        work = self._work

        def make_seed(original):
            # numpy.random.seed() draws its entropy in the same way, and is another factor's.
            def seed(*args, **kwargs):
                self._inside += 1
                try:
                    return original(*args, **kwargs)
                finally:
                    self._inside -= 1

            return seed

        def make_randbits(original):
            def randbits(bits):
                self._count += 1
                if self._inside:
                    return original(bits)
                work.session.guard("seed-generators", self._tell, work.caller())
                began = work.began("numpy-generator")[self._count - 1 : self._count]
                return int(began[0], 16) if began else work.number(bits, "generator", SEED, self._count)

            return randbits

        stand_in(module, "seed", make_seed, Changed)
        stand_in(sys.modules["numpy.random.bit_generator"], "randbits", make_randbits, Changed)

    def _tell(self, frame):
        if self._work.session.streams.unseeded(frame) and not self._work.session.places.at_library_import(frame):
            self._work.tell("seed-generators", "a fixed seed for a generator made without")


class Pins:
    """``pin-seeds``: seeding calls at named lines get the seeds of another run."""

    def __init__(self, work):
        self._work = work
        self._pins = {(stream, file, line): value for stream, file, line, value in work.session.config["pins"]}
        self._streams = {stream for stream, _file, _line in self._pins}

    def begin(self):
        if "python" in self._streams:
            stand_in(random, "seed", self._maker("python"), Changed)

    def numpy_random(self, module):
        if "numpy" in self._streams:
            stand_in(module, "seed", self._maker("numpy"), Changed)
        if "numpy-generator" in self._streams:
            stand_in(module, "default_rng", self._maker("numpy-generator"), Changed)
            module.RandomState = self._random_state(module.RandomState)

    def torch(self, torch):
        for module, name, stream in (
            (torch, "manual_seed", "torch"),
            (torch.random, "manual_seed", "torch"),
            (torch.cuda, "manual_seed", "torch-cuda"),
            (torch.cuda, "manual_seed_all", "torch-cuda"),
        ):
            if stream in self._streams:
                original = getattr(module, name)
                setattr(module, name, self._like(self._maker(stream)(original), original))

    def _like(self, function, original):
        function.__name__ = original.__name__
        function.__doc__ = original.__doc__
        # torch looks for what takes part in a compiled graph by these.
        function.__module__ = original.__module__
        function.__signature__ = signature(original)
        return function

    def _maker(self, stream):
        def make(original):
            def seed(*args, **kwargs):
                pinned = self._work.session.guard("pin-seeds", self._pinned, stream, given(args, kwargs))
                if pinned is not None:
                    args, kwargs = with_seed(pinned, args, kwargs)
                return original(*args, **kwargs)

            return seed

        return make

    def _pinned(self, stream, seed):
        place = self._work.session.places.find(self._work.caller())[0]
        if place is None or (stream, place["file"], place["line"]) not in self._pins:
            return None
        value = self._pins[stream, place["file"], place["line"]]
        self._work.tell("pin-seeds", "seeded as in another run")
        if stream == "python" and isinstance(seed, str):
            return value
        try:
            return int(value)
        except ValueError:
            pass
        if stream != "python":
            return self._work.number(32, value)  # it was no number: all that counts is that it is the same one
        try:
            return float(value)
        except ValueError:
            return value

    def _random_state(self, original):
        pins = self

        class Meta(type):
            def __instancecheck__(cls, instance):
                return isinstance(instance, original) if cls is RandomState else type.__instancecheck__(cls, instance)

            def __subclasscheck__(cls, subclass):
                return issubclass(subclass, original) if cls is RandomState else type.__subclasscheck__(cls, subclass)

        class RandomState(original, metaclass=Meta):
            def __new__(cls, *args, **kwargs):
                if cls is not RandomState:  # a class of the program's own
                    return original.__new__(cls, *args, **kwargs)
                return pins._maker("numpy-generator")(original)(*args, **kwargs)

        for name in ("__doc__", "__module__", "__qualname__"):
            setattr(RandomState, name, getattr(original, name))
        return RandomState


class Workers:
    """``seed-workers``: what DataLoader workers draw from, each by its number."""

    def __init__(self, work):
        self._work = work

    def torch(self, torch):
        loader = torch.utils.data.DataLoader
        parameters = signature(loader.__init__)

        def changed(args, kwargs):
            bound = parameters.bind(*args, **kwargs)
            if bound.arguments.get("num_workers") and bound.arguments.get("generator") is None:
                generator = bound.arguments["generator"] = torch.Generator()
                generator.manual_seed(SEED)
                self._work.tell("seed-workers", "a generator for a DataLoader made without")
            return bound.args, bound.kwargs

        change_arguments(self._work, "seed-workers", loader, changed)

    def in_worker(self, dataset, number):
        # In all processes alike: that a worker is forked from another place does not matter.
        _class_seed(random._inst, f"{SEED} {number}")
        mtrand = sys.modules.get("numpy.random.mtrand")
        if mtrand is not None:
            mtrand._rand.seed(SEED + number)
        for path, generator in generators_in(dataset):
            _reseed(generator, f"{SEED} {number} {path}")
        self._work.tell("seed-workers", "a worker's streams and its dataset's generators")


def _reseed(generator, text):
    """Seeds a generator of any kind by a text, in place."""
    if isinstance(generator, random.Random):
        generator.seed(text)
        return
    number = random.Random(text).getrandbits(32)
    if hasattr(generator, "bit_generator"):
        inner = generator.bit_generator
        inner.state = type(inner)(number).state
    elif hasattr(generator, "manual_seed"):
        generator.manual_seed(number)
    else:
        generator.seed(number)
