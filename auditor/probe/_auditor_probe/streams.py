"""The five random streams: what state each is in, who seeded it, and whether it was drawn from since."""

import ctypes
import opcode
import random
import struct
import sys

from . import digest
from .callables import stand_in

_python = random._inst
_string_at = ctypes.string_at
_SEEDABLE = frozenset(("default_rng", "SeedSequence", "MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"))
MAXIMUM_BASELINES = 64
MAXIMUM_RECORDS = 256
MAXIMUM_GENERATORS = 16
MAXIMUM_SEEDS = 64
_MERSENNE = 625 * 4  # bytes of a Mersenne Twister: its position and 624 words of 32 bits


class Streams:
    """Reads the states of the random streams without drawing, and records seeding calls and generators."""

    def __init__(self, session):
        self._session = session
        self._mersenne = None  # (bit generator, address of its state)
        self._python_address = address_of_python()
        # Looked at in every import: a view that is made once.
        self._python_position = self._python_address and ctypes.c_int.from_address(self._python_address)
        self._last = {}  # what each stream's state was when it was last digested, and the digest
        self._baseline = {}
        self._baselines_taken = {}
        self._always_drawn = set()
        self._python_seen = None
        self._records = 0
        self._generators = []
        self._cuda_drawn = False
        self._unseeded = 0
        self._seeded = set()
        self._made = 0
        self._began = {}  # what each stream began with, until it is seeded before it is drawn from
        self._drawn_seeds = []  # the seeds that NumPy drew from the system
        self._makes_unseeded = False  # whether the program makes generators without a seed
        self.telling = True  # of seeding; not while torch seeds a DataLoader's worker, as it does each one

    # -- states ------------------------------------------------------------------------------------------------

    def states(self):
        """Digest (hex) of every stream's state, by name; a stream that does not exist here is absent."""
        found = {"python": self._of_python()}
        numpy_state = self._of_numpy()
        if numpy_state is not None:
            found["numpy"] = numpy_state
        if self._generators:
            found["numpy-generator"] = self._of_generators()
        torch = sys.modules.get("torch")
        if torch is not None and hasattr(torch, "default_generator"):
            found["torch"] = self._of_torch(torch)
            cuda = getattr(torch, "cuda", None)
            if cuda is not None and cuda.is_initialized():
                # The state of a CUDA generator (seed and offset) lives on the host: reading it waits for nothing.
                states = [bytes(g.get_state().numpy()) for g in cuda.default_generators]
                # A state is a seed and an offset (eight bytes each): every draw moves the offset, seeding sets it to 0.
                self._cuda_drawn = any(any(state[-8:]) for state in states)
                found["torch-cuda"] = digest.of_bytes(b"".join(states)).hex()
        return found

    def _digest(self, stream, state):
        # Between most steps most streams stand still: comparing is much quicker than digesting.
        last = self._last.get(stream)
        if last is None or last[0] != state:
            last = self._last[stream] = (state, digest.of_bytes(state).hex())
        return last[1]

    def _words_of_python(self):
        # Read in place, because the public state is a tuple of 625 new integers.
        if self._python_address is not None:
            return _string_at(self._python_address, _MERSENNE)
        return _packed(_python.getstate()[1])

    def _of_python(self):
        state = self._words_of_python()
        gauss = _python.gauss_next
        return self._digest("python", state if gauss is None else state + repr(gauss).encode())

    def _of_numpy(self):
        module = sys.modules.get("numpy.random.mtrand")
        state = getattr(module, "_rand", None)
        if state is None:
            return None
        generator = state._bit_generator
        if self._mersenne is None or self._mersenne[0] is not generator:
            if type(generator).__name__ != "MT19937":
                return digest.of_bytes(repr(generator.state).encode()).hex()
            self._mersenne = (generator, generator.ctypes.state_address)
        return self._digest("numpy", self._words_of_numpy())

    def _words_of_numpy(self):
        # uint32 key[624]; int pos: read in place, because building the public state takes tens of microseconds.
        return _string_at(self._mersenne[1], _MERSENNE)

    def _of_generators(self):
        return digest.of_bytes("".join(repr(g.bit_generator.state) for g in self._generators).encode()).hex()

    def _of_torch(self, torch):
        state = torch.default_generator.get_state()
        return self._digest("torch", _string_at(state.data_ptr(), state.numel()))

    # -- since when -------------------------------------------------------------------------------------------

    def baseline(self, stream):
        """Remembers the state of ``stream`` as that from which drawing is counted."""
        taken = self._baselines_taken.get(stream, 0)
        if taken >= MAXIMUM_BASELINES:
            # Seeded over and over (in a dataset's __getitem__, say): no longer worth its cost.
            self._always_drawn.add(stream)
            return
        self._baselines_taken[stream] = taken + 1
        if stream == "python":
            self._always_drawn.discard(stream)
            if self._python_address is not None:
                self._python_seen = self._python_position.value
        state = self._one(stream)
        if state is not None:
            self._baseline[stream] = state

    def _one(self, stream):
        if stream == "python":
            return self._of_python()
        if stream == "numpy":
            return self._of_numpy()
        torch = sys.modules.get("torch")
        # Of a CUDA generator the state itself tells whether it was drawn from.
        return self._of_torch(torch) if stream == "torch" and hasattr(torch, "default_generator") else None

    def at_import(self, frame):
        """At the beginning of each import: whether Python's stream was drawn from by a library that is being imported.

        Such draws (rich makes names by them, and scikit-learn imports rich) are not the program's.
        """
        if self._python_address is None:
            return
        position = self._python_position.value
        if position == self._python_seen:
            return
        self._python_seen = position
        places = self._session.places
        while frame is not None and (
            frame.f_code.co_filename.startswith("<frozen importlib") or places.kind(frame.f_code.co_filename) == "own"
        ):
            frame = frame.f_back
        if frame is None or not places.at_library_import(frame):
            self._always_drawn.add("python")
        elif "python" not in self._always_drawn:
            self._baseline["python"] = self._of_python()

    def drawn(self, states):
        """Whether each stream was drawn from since it was last seeded, or first seen."""
        result = {}
        for stream, state in states.items():
            if stream == "numpy-generator" or stream in self._always_drawn:
                result[stream] = True
            elif stream == "torch-cuda":
                result[stream] = self._cuda_drawn
            else:
                result[stream] = self._baseline.get(stream) != state if stream in self._baseline else False
        return result

    def began(self, drawn):
        """What each stream that was drawn from without having been seeded began with: texts, by stream.

        Of Python's and NumPy's stream it is the state (hex), of torch's the seed, of Generators made without a seed
        the seeds that NumPy drew for them, in order. A forked child has what its parent began with.
        """
        if self._session.kind != "exec":
            return {}
        found = {stream: [_text(state)] for stream, state in self._began.items() if drawn.get(stream)}
        if self._makes_unseeded:
            found["numpy-generator"] = [format(seed, "x") for seed in self._drawn_seeds]
        return found

    def _keep(self, stream, read):
        began = read()
        if began is not None:
            self._began[stream] = began

    # -- who seeded ------------------------------------------------------------------------------------------

    def seeded(self, stream, value, frame, drawn):
        """Records one seeding call and takes a new baseline; ``drawn`` is what ``drawn_before`` said."""
        session = self._session
        if self.telling and self._records < MAXIMUM_RECORDS:
            self._records += 1
            place, caller = session.places.find(frame)
            session.send(
                "seed",
                {
                    "stream": stream,
                    "value": value,
                    "place": place,
                    "caller": caller,
                    "step": session.step,
                    "drawn": drawn,
                },
            )
        self.baseline(stream)

    def drawn_before(self, stream):
        """Whether a stream that is about to be seeded for the first time was drawn from by then; else None."""
        if stream in self._seeded or stream not in self._baseline:
            return None
        self._seeded.add(stream)
        drawn = stream in self._always_drawn or self._one(stream) != self._baseline[stream]
        if not drawn:
            self._began.pop(stream, None)
        return drawn

    def watch_python(self):
        """Records calls of ``random.seed``."""

        def make(original):
            def seed(*args, **kwargs):
                drawn = self._session.guard("random.seed", self.drawn_before, "python")
                result = original(*args, **kwargs)
                value = _value(args, kwargs)
                self._session.guard("random.seed", self.seeded, "python", value, sys._getframe(1), drawn)
                return result

            return seed

        self.baseline("python")
        self._session.guard("python", self._keep, "python", self._words_of_python)
        stand_in(random, "seed", make)

    def in_child(self):
        """In a forked child: drawing is counted from the new state that Python's stream was given."""
        self._seeded.discard("python")
        self._session.guard("fork", self.baseline, "python")

    def watch_numpy(self, numpy_random):
        """Records calls of ``numpy.random.seed``, generators made, and seeds that NumPy draws from the system."""

        def make_seed(original):
            def seed(*args, **kwargs):
                drawn = self._session.guard("numpy.random.seed", self.drawn_before, "numpy")
                result = original(*args, **kwargs)
                value = _value(args, kwargs)
                self._session.guard("numpy.random.seed", self.seeded, "numpy", value, sys._getframe(1), drawn)
                return result

            return seed

        def make_default_rng(original):
            def default_rng(*args, **kwargs):
                before = self._unseeded
                generator = original(*args, **kwargs)
                self._session.guard(
                    "default_rng", self._generator, generator, args, kwargs, before == self._unseeded, sys._getframe(1)
                )
                return generator

            return default_rng

        def make_randbits(original):
            def randbits(*args, **kwargs):
                self._unseeded += 1
                self._session.guard("randbits", self._drew_entropy, sys._getframe(1))
                self._session.entropy.muted += 1
                try:
                    seed = original(*args, **kwargs)
                finally:
                    self._session.entropy.muted -= 1
                if len(self._drawn_seeds) < MAXIMUM_SEEDS:
                    self._drawn_seeds.append(seed)
                return seed

            return randbits

        self.baseline("numpy")
        self._session.guard("numpy", self._keep, "numpy", lambda: self._mersenne and self._words_of_numpy())
        stand_in(numpy_random, "seed", make_seed)
        stand_in(numpy_random, "default_rng", make_default_rng)
        internal = sys.modules.get("numpy.random.bit_generator")
        if internal is not None:
            stand_in(internal, "randbits", make_randbits)

    def _drew_entropy(self, frame):
        while frame is not None and self._session.places.kind(frame.f_code.co_filename) == "own":
            frame = frame.f_back
        if self.unseeded(frame) and not self._session.places.at_library_import(frame):
            self._makes_unseeded = True
            self._session.entropy.note("numpy-entropy", frame)

    def unseeded(self, frame):
        """Whether entropy that a frame draws is for a generator, rather than for a state that is then overwritten."""
        names = frame.f_code.co_names if frame is not None else ()
        # RandomState(seed) draws entropy too.
        return _called_with_nothing(frame) if "RandomState" in names else not _SEEDABLE.isdisjoint(names)

    def _generator(self, generator, args, kwargs, seeded, frame):
        if self._session.places.at_library_import(frame):
            return  # SciPy, for one, makes generators for its documentation's sake
        index = self._made
        self._made += 1
        # Held strongly, since these objects cannot be referenced weakly; they are small, and few are kept.
        if len(self._generators) < MAXIMUM_GENERATORS and generator not in self._generators:
            self._generators.append(generator)
        if index >= MAXIMUM_RECORDS:
            return
        source = args[0] if args else kwargs.get("seed")
        session = self._session
        session.send(
            "generator",
            {
                "index": index,
                "kind": type(generator).__name__,
                "seeded": seeded,
                "source": type(source).__name__ if source is not None else "entropy",
                "value": _value(args, kwargs) if _is_integer(source) else None,
                "place": session.places.find(frame)[0],
                "step": session.step,
            },
        )

    def watch_torch(self, torch):
        """Records seeding calls of torch's CPU and CUDA streams."""
        self.baseline("torch")
        self._session.guard("torch", self._keep, "torch", lambda: torch.default_generator.initial_seed())
        for module, name, stream in (
            (torch, "manual_seed", "torch"),
            (torch.random, "manual_seed", "torch"),
            (torch, "seed", "torch"),
            (torch.random, "seed", "torch"),
            (torch.cuda, "manual_seed", "torch-cuda"),
            (torch.cuda, "manual_seed_all", "torch-cuda"),
        ):
            self._wrap(module, name, stream)

    def _wrap(self, module, name, stream):
        original = getattr(module, name, None)
        if original is None or hasattr(original, "_auditor"):
            return

        def replacement(*args, **kwargs):
            drawn = self._session.guard(name, self.drawn_before, stream)
            result = original(*args, **kwargs)
            value = _value(args, kwargs)  # None for torch.seed, which draws its own
            self._session.guard(name, self.seeded, stream, value, sys._getframe(1), drawn)
            return result

        self._session.imitate(replacement, original)
        setattr(module, name, replacement)


def address_of_python():
    """Where the state of Python's own generator lies, by a look at what is there; None where that is not known.

    Its position and its words follow the object's head in CPython (``RandomObject`` in ``Modules/_randommodule.c``).
    """
    if sys.implementation.name != "cpython":
        return None
    size = type(_python).__base__.__basicsize__ - object.__basicsize__
    address = id(_python) + object.__basicsize__
    if size < _MERSENNE or _string_at(address, _MERSENNE) != _packed(_python.getstate()[1]):
        return None
    return address


def _called_with_nothing(frame):
    """Whether what a frame calls just now is called without arguments, by its instruction; only CPython's are known."""
    code, at = frame.f_code.co_code, frame.f_lasti
    while at > 0 and opcode.opname[code[at]] == "CACHE":
        at -= 2
    return opcode.opname[code[at]] in ("CALL", "CALL_FUNCTION", "CALL_METHOD") and code[at + 1] == 0


def _packed(internal):
    """The position and the words of a Mersenne Twister's public state, as they lie in memory."""
    return struct.pack("=625I", internal[-1], *internal[:-1])


def _text(state):
    return state.hex() if isinstance(state, bytes) else str(state)


def _value(args, kwargs):
    value = args[0] if args else next(iter(kwargs.values()), None)
    if value is None:
        return None
    if _is_integer(value):
        return str(int(value))
    return str(value)[:40] if isinstance(value, (float, str)) else type(value).__name__


def _is_integer(value):
    kind = type(value)
    # NumPy's integers are no integers to Python.
    return isinstance(value, int) or (kind.__module__ == "numpy" and kind.__name__.startswith(("int", "uint")))


def held_by(thing):
    """State digests (hex) of the random generators that an object holds in its attributes, by attribute path."""
    return {path: digest.of_bytes(_state_of(generator)).hex() for path, generator in generators_in(thing)}


def generators_in(thing):
    """The random generators that an object holds in its attributes, at most 16, with their attribute paths."""
    return _generators_in(thing, [], "", 3)


def _generators_in(thing, found, prefix, depth):
    attributes = getattr(thing, "__dict__", None)
    if not isinstance(attributes, dict) or depth == 0 or len(found) >= MAXIMUM_GENERATORS:
        return found
    for name in list(attributes)[:64]:
        value = attributes[name]
        if _is_generator(value):
            found.append((prefix + name, value))
        elif isinstance(value, (list, tuple)):
            for i, item in enumerate(value[:16]):
                if _is_generator(item):
                    found.append((f"{prefix}{name}[{i}]", item))
                elif type(item).__module__ not in ("builtins", "numpy", "torch"):
                    _generators_in(item, found, f"{prefix}{name}[{i}].", depth - 1)
        elif hasattr(value, "__dict__") and not isinstance(value, type) and type(value).__module__ != "torch":
            _generators_in(value, found, prefix + name + ".", depth - 1)
    return found


def _is_generator(value):
    if isinstance(value, random.Random):
        return not isinstance(value, random.SystemRandom)  # which has no state
    module = type(value).__module__ or ""
    if module.startswith("numpy.random"):
        return hasattr(value, "bit_generator") or type(value).__name__ == "RandomState"
    return module == "torch._C" and type(value).__name__ == "Generator" and hasattr(value, "get_state")


def _state_of(generator):
    """The state (bytes) of one of the kinds of ``_is_generator``."""
    if isinstance(generator, random.Random):
        internal = generator.getstate()
        # auditor: allow[salted-hash] integers only, whose hash is not salted
        return b"%d %s" % (hash(internal[1]) & 0xFFFFFFFFFFFFFFFF, repr(internal[2]).encode())
    if hasattr(generator, "get_state") and hasattr(generator, "manual_seed"):
        return bytes(generator.get_state().numpy())
    inner = getattr(generator, "bit_generator", None) or generator._bit_generator
    if type(inner).__name__ == "MT19937":
        return _string_at(inner.ctypes.state_address, _MERSENNE)
    return repr(inner.state).encode()
