"""Tells which of the user's lines draw from which random stream: the streams' states are compared after each line."""

import ctypes
import random
import sys

from .follow import Watcher
from .streams import address_of_python

MAXIMUM_PLACES = 64  # told of each stream
ENOUGH_PLACES = 8  # of each stream: then nothing is followed any more
_MERSENNE_WORDS = 624
_python = random._inst


class Draws(Watcher):
    """Follows the user's lines; a stream that has moved while a line ran was drawn from by it."""

    def __init__(self, session):
        self._session = session
        self._watched = {}  # stream: what gives its state, cheap to compare
        self._states = {}
        self._seeded = {}
        self._told = {}
        self._importing = {}
        self._fresh = False  # just forked
        self._generators = []
        self._torch_known = None
        self._numpy_known = None

    # -- what is watched --------------------------------------------------------------------------------------

    def watch(self):
        """Begins; the streams' own watch must have begun."""
        streams = self._session.streams
        self._listen(streams, "seeded", lambda stream, value, *more: self._was_seeded(stream, value is not None))
        self._listen(streams, "_generator", self._generator_made)
        self._listen(streams, "watch_numpy", lambda module: self._find())
        self._set_again(random, "setstate")
        address = address_of_python()
        if address is None:
            self._watched["python"] = random.getstate
        else:
            self._watched["python"] = _twister(address, address + 4, lambda: _python.gauss_next)
        self._renew()
        if not self._session.follower().add(self):
            what = "which lines draw from the random streams: another tool traces the program"
            self._session.send("unseen", {"what": what, "step": self._session.step})

    def _listen(self, thing, name, then):
        """Calls ``then`` after each call of a method of the probe's own."""
        original = getattr(thing, name)

        def listened(*args, **kwargs):
            result = original(*args, **kwargs)
            then(*args, **kwargs)
            return result

        setattr(thing, name, listened)

    def _set_again(self, module, name):
        """Setting a stream's state is not drawing from it."""
        original = getattr(module, name, None)
        if original is None:
            return
        draws = self

        def set_state(*args, **kwargs):
            result = original(*args, **kwargs)
            draws._session.guard(name, draws._renew)
            return result

        self._session.imitate(set_state, original)
        setattr(module, name, set_state)

    def _was_seeded(self, stream, given):
        for name in ("torch", "torch-cuda") if stream == "torch" else (stream,):
            self._seeded[name] = given
            if name in self._watched:
                self._states[name] = self._watched[name]()

    def _generator_made(self, generator, args, kwargs, seeded, frame):
        streams = self._session.streams
        if all(generator is not known for known in streams._generators):
            return
        if all(generator is not known for known, _state, _seeded in self._generators):
            self._generators.append((generator, _of_generator(generator), seeded))
            self._states["numpy-generator"] = self._of_generators()
            self._watched["numpy-generator"] = self._of_generators

    def _of_generators(self):
        return [state() for _generator, state, _seeded in self._generators]

    def _find(self):
        """Watches streams that have come to be since the last look."""
        module = sys.modules.get("numpy.random.mtrand")
        state = getattr(module, "_rand", None)
        if state is not None:
            generator = getattr(state, "_bit_generator", None)
            if generator is not self._numpy_known:
                if self._numpy_known is None:
                    self._set_again(sys.modules["numpy.random"], "set_state")
                self._numpy_known = generator
                if type(generator).__name__ == "MT19937":
                    address = generator.ctypes.state_address
                    self._watch("numpy", _twister(address + 4 * _MERSENNE_WORDS, address))
                else:
                    self._watch("numpy", lambda: repr(generator.state))
        if self._session.torch_watch is None:
            return  # torch is not there, or not whole yet
        torch = sys.modules["torch"]
        if self._torch_known is None:
            self._torch_known = torch
            self._set_again(torch, "set_rng_state")
            self._set_again(torch.random, "set_rng_state")
            self._set_again(torch.cuda, "set_rng_state")
            address = _address_of_torch(torch.default_generator)
            if address is None:
                self._watch("torch", lambda: torch.default_generator.get_state().numpy().tobytes())
            else:
                # What is left of the twister's words lies three words before them, the next one's place just before.
                self._watch("torch", _twister(address - 12, address))
        if "torch-cuda" not in self._watched and getattr(torch.cuda, "_initialized", False):
            self._watch("torch-cuda", lambda: [_offset(generator) for generator in torch.cuda.default_generators])

    def _watch(self, stream, state):
        self._watched[stream] = state
        self._states[stream] = state()

    def _renew(self):
        for stream, state in self._watched.items():
            self._states[stream] = state()

    # -- lines ------------------------------------------------------------------------------------------------

    def called(self, thread, running):
        """What has moved since the caller's line began is the caller's."""
        if thread.stack:
            self._compare(thread.stack[-1])
        else:
            self._compare(None)

    def done(self, thread, running, returns, value):
        """What has moved since this line began, or went on, is its own."""
        self._compare(running)

    def _compare(self, running):
        states = self._states
        if self._fresh:
            self._fresh = False
            self._renew()
        for stream, state in list(self._watched.items()):
            now = state()
            if now != states[stream]:
                before = states[stream]
                states[stream] = now
                if running is not None and running.line is not None and not self._imports(running):
                    self._tell(stream, running, before, now)
        self._find()

    def _imports(self, running):
        """Whether the line imports: what libraries draw while they are imported is not the program's."""
        code = running.code
        lines = self._importing.get(id(code))
        if lines is None:
            # Kept with its code, so that no other code takes its address.
            lines = self._importing[id(code)] = (code, _imports_of(code))
        return running.line in lines[1]

    def _tell(self, stream, running, before, now):
        told = self._told.setdefault(stream, set())
        key = (running.code.co_filename, running.line)
        if key in told or len(told) >= MAXIMUM_PLACES:
            return
        told.add(key)
        seeded = self._seeded.get(stream, False)
        if stream == "numpy-generator":
            # Of several generators those that moved; a new one has no state before.
            moved = [flag for (_g, _s, flag), a, b in zip(self._generators, before, now) if a != b]
            seeded = all(moved)
        place = self._session.places.place_at(running.code, running.line)
        fields = {"stream": stream, "place": place, "seeded": bool(seeded), "step": self._session.step}
        self._session.send("draw", fields)
        if all(len(self._told.get(known, ())) >= ENOUGH_PLACES for known in self._watched):
            self._session.follower().remove(self)

    def in_child(self):
        """A forked child tells what it draws itself."""
        self._told = {}
        # Python seeds its stream from entropy in a forked child, before or after this.
        self._seeded["python"] = False
        self._fresh = True


def _twister(position, words, further=None):
    """The state of a Mersenne Twister in memory, in short: where it stands, and its first word.

    All of its words are made anew together, so that the first stands for all.
    """
    first = ctypes.c_uint32.from_address(position)
    second = ctypes.c_uint32.from_address(words)
    if further is None:
        return lambda: (first.value, second.value)
    return lambda: (first.value, second.value, further())


def _address_of_torch(generator):
    """Where torch's CPU generator has the words of its twister, by a look at what is there; None where not found."""
    if sys.implementation.name != "cpython":
        return None
    state = generator.get_state()
    raw = ctypes.string_at(state.data_ptr(), state.numel())
    if len(raw) < 24 + 8 * _MERSENNE_WORDS:
        return None
    # The public state: seed, left, seeded, next, and each word in 64 bits.
    words = b"".join([raw[24 + 8 * i : 28 + 8 * i] for i in range(_MERSENNE_WORDS)])
    left, following = raw[8:12], raw[16:20]
    # Behind the object's head, a pointer to the implementation, whose words lie behind a few fields of its base.
    pointer = ctypes.c_void_p.from_address(id(generator) + object.__basicsize__).value
    if not pointer:
        return None
    for offset in range(32, 256, 4):
        address = pointer + offset
        if ctypes.string_at(address, 64) == words[:64] and ctypes.string_at(address, len(words)) == words:
            if ctypes.string_at(address - 12, 4) == left and ctypes.string_at(address - 4, 4) == following:
                return address
            return None
    return None


def _of_generator(generator):
    """What gives the state of a ``numpy.random.Generator``, read in place where its kind is known."""
    bits = generator.bit_generator
    if type(bits).__name__ in ("PCG64", "PCG64DXSM"):
        address = ctypes.c_void_p.from_address(bits.ctypes.state_address).value
        if address:
            whole = int(bits.state["state"]["state"])
            raw = ctypes.string_at(address, 16)
            halves = (int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little"))
            if whole in (halves[0] | halves[1] << 64, halves[1] | halves[0] << 64):
                return lambda: ctypes.string_at(address, 16)
    return lambda: repr(bits.state)


def _offset(generator):
    if hasattr(generator, "get_offset"):
        return generator.get_offset()
    return bytes(generator.get_state().numpy()[-8:])


def _imports_of(code):
    import dis

    found = set()
    line = code.co_firstlineno
    for instruction in dis.get_instructions(code):
        line = line_of(instruction) or line
        if instruction.opname == "IMPORT_NAME":
            found.add(line)
    return found


def line_of(instruction):
    """The line of an instruction, or None where it begins none: told otherwise since Python 3.13."""
    if hasattr(instruction, "line_number"):
        return instruction.line_number
    return instruction.starts_line
