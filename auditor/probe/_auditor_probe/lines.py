"""Records what each of the user's lines bound or changed, as far as that is plain data: numbers, text, arrays."""

import dis
import struct
import sys
import weakref

from . import digest
from .draws import line_of
from .follow import Watcher

EACH = 200  # occurrences of a line in one step that are told one by one
ENOUGH = 20_000  # occurrences of a line in one step after which it is not looked at any more
MAXIMUM_ITEMS = 64
MAXIMUM_ARRAY = 4 << 20
MAXIMUM_DEPTH = 4
_MISSING = object()
_CONTAINERS = (list, dict, set, bytearray)
_EMPTY = frozenset(("empty", "empty_like", "new_empty", "empty_strided", "ndarray"))
_blake2b = digest._blake2b


class _Plan:
    """What is looked at after one line: paths of names, the ones that it binds first."""

    __slots__ = ("bound", "hides", "iterates", "loads", "number", "paths", "spot")

    def __init__(self):
        self.bound = []
        self.loads = []
        self.hides = False  # makes an array whose contents are chance
        self.iterates = False
        self.paths = None
        self.number = None  # of what is looked at, once it was told
        self.spot = None


class Lines(Watcher):
    """Follows the user's lines in a capture's window."""

    def __init__(self, session, capture):
        self._session = session
        self._capture = capture
        self._plans = {}
        self._calls = {}
        self._counts = {}
        self._rests = {}
        self._sample = {}
        self._torch = None
        self._operations = None
        self._hidden = {}
        self._user_classes = {}
        self._tensors = {}

    def torch_ready(self, torch, operations):
        """torch is there: from now on tensors can be read."""
        self._torch = torch
        self._operations = operations

    def start(self):
        """Begins; False where another tool traces the program."""
        follower = self._session.follower()
        follower.renumber()
        return follower.add(self)

    def finish(self):
        """Ends following."""
        self.stop()
        self.settle()

    def stop(self):
        """Looks at no more lines."""
        self._session.follower().remove(self)

    def leave(self):
        """In a forked child: what was under way is the parent's."""
        self.stop()
        torch, operations = self._torch, self._operations
        self.__init__(self._session, self._capture)
        self.torch_ready(torch, operations)

    def settle(self):
        """Tells what was only counted, and begins to count anew."""
        recording = self._capture.recording
        rests, self._rests = self._rests, {}
        self._counts = {}
        for (thread, number), (count, chain) in rests.items():
            recording.add(f'["r",{thread},{number},{count},"{chain.hex()}"]')

    # -- following --------------------------------------------------------------------------------------------

    def called(self, thread, running):
        if thread.number is None:
            thread.number = self._capture.recording.thread()
            self._capture.in_thread()
        self._find_sample(running.frame.f_back)
        code = running.code
        entry = self._calls.get(id(code))
        if entry is None:
            count = code.co_argcount + code.co_kwonlyargcount
            count += bool(code.co_flags & 4) + bool(code.co_flags & 8)
            plan = _Plan()
            plan.bound = [(name,) for name in code.co_varnames[:count]]
            plan.spot = code.co_firstlineno
            entry = self._calls[id(code)] = (code, plan)
        if entry[1].bound:
            self._look(thread, running, entry[1], "call", 0, _MISSING)

    def begins(self, thread, running):
        running.began = self._capture.recording.count

    def done(self, thread, running, returns, value):
        line = running.line
        if line is None:
            return
        if thread.number is None:
            thread.number = self._capture.recording.thread()
        plan = self._plan(running.code, line)
        span = self._capture.recording.count - running.began
        self._look(thread, running, plan, "line", span, value if returns else _MISSING)

    def _plan(self, code, line):
        entry = self._plans.get(id(code))
        if entry is None:
            entry = self._plans[id(code)] = (code, plans_of(code))
        plan = entry[1].get(line)
        if plan is None:
            plan = entry[1][line] = _Plan()
        return plan

    def _look(self, thread, running, plan, kind, span, returned):
        recording = self._capture.recording
        if recording.full:
            self.stop()
            return
        key = (thread.number, id(running.code), running.line if kind == "line" else -1)
        count = self._counts.get(key, 0) + 1
        self._counts[key] = count
        if count > ENOUGH:
            recording.lose(f"lines that ran more than {ENOUGH} times in one step, after that")
            return
        local = self._capture.local
        muted = getattr(local, "muted", 0)
        local.muted = muted + 1
        try:
            values = self._values(running.frame, plan, returned)
        finally:
            local.muted = muted
        if plan.number is None:
            names = [".".join(path) for path in plan.bound]
            names += [".".join(path) for path in plan.loads if path not in plan.bound] + ["return"]
            spot = recording.spot(running.code, running.line if kind == "line" else plan.spot)
            loads = [".".join(path) for path in plan.loads]
            plan.number = recording.watched(spot, "loop" if plan.iterates else kind, names, loads)
        if all(type(value) is str for value in values):
            if count > EACH:
                rest = self._rests.get((thread.number, plan.number), (0, b""))
                chain = digest.of_bytes(rest[1] + "\n".join(values).encode())
                self._rests[thread.number, plan.number] = (rest[0] + 1, chain)
                return
            listed = '","'.join(values)
            recording.add(f'["l",{thread.number},{recording.us()},{plan.number},{span},["{listed}"]]')
        elif count <= EACH:
            head = f'["l",{thread.number},{recording.us()},{plan.number},{span},['
            recording.add(head + ",".join(['"%s"'] * len(values)) + "]]", values)

    # -- samples ----------------------------------------------------------------------------------------------

    def _find_sample(self, frame):
        """Looks for the DataLoader's fetching among what called a function of the user's."""
        for _ in range(6):
            if frame is None or self._session.follower().is_user(frame):
                return
            if frame.f_code.co_filename.endswith("fetch.py") and "idx" in frame.f_locals:
                self.sampled(frame)
                return
            frame = frame.f_back

    def sampled(self, frame):
        """A dataset is asked for a sample by this frame of the DataLoader's."""
        index = frame.f_locals.get("idx", _MISSING)
        if index is _MISSING:
            return
        recording = self._capture.recording
        number = recording.thread()
        try:
            index = index.__index__()
        except AttributeError:
            index = -1
        if self._sample.get(number, _MISSING) != index:
            self._sample[number] = index
            recording.add(f'["i",{number},{index}]')
            if self._session.torch_watch is not None and self._session.torch_watch.loaders.role():
                # A worker counts by sample, and may be ended at any time.
                self.settle()
                recording.flush()

    # -- values -----------------------------------------------------------------------------------------------

    def _values(self, frame, plan, returned):
        names = frame.f_locals
        spaces = (names, frame.f_globals)
        values = []
        for path in plan.bound:
            value = _at(spaces, path)
            if plan.hides:
                self._hide(value)
            values.append(self._short(value))
        for path in plan.loads:
            if path not in plan.bound:
                value = _container(spaces, path)
                values.append("" if value is _MISSING else self._short(value))
        values.append("" if returned is _MISSING else self._short(returned))
        return values

    def _short(self, value):
        kind = type(value)
        if value is _MISSING:
            return ""
        if value is None:
            return "n"
        if kind is bool:
            return "b1" if value else "b0"
        if kind is int and -(1 << 63) <= value < 1 << 63:
            return f"i{value}"
        if kind is float:
            return "f" + value.hex()
        if self._torch is not None and isinstance(value, self._torch.Tensor):
            return self._of_tensor(value)
        found = self._digest(value, MAXIMUM_DEPTH)
        return "" if found is None else "d" + found.hex()

    def _digest(self, value, depth):
        """8 bytes for plain data, None for anything else."""
        kind = type(value)
        if value is None or kind is bool or kind is int or kind is complex:
            return _blake2b(repr(value).encode(), digest_size=8).digest()
        if kind is float:
            return _blake2b(struct.pack("<d", value), digest_size=8).digest()
        if kind is str:
            return _blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8, key=b"s").digest()
        if kind is bytes or kind is bytearray:
            return _blake2b(value, digest_size=8, key=b"b").digest()
        if depth == 0:
            return None
        if kind is list or kind is tuple or (isinstance(value, tuple) and hasattr(kind, "_fields")):
            return self._of_sequence(value, depth)
        if kind is dict or (isinstance(value, dict) and kind.__module__ == "collections"):
            items = list(value.items())
            half = MAXIMUM_ITEMS // 2
            chosen = items if len(items) <= MAXIMUM_ITEMS else items[:half] + items[-half:]
            pieces = [b"%d" % len(items)]
            for key, item in chosen:
                pieces.append(self._inner(key, depth) + self._inner(item, depth))
            return digest.of_bytes(b"".join(pieces))
        if kind is set or kind is frozenset:
            if len(value) > 4096:
                return None
            # Its order shows only where it is iterated.
            return digest.of_bytes(b"set" + b"".join(sorted([self._inner(item, depth) for item in list(value)])))
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, getattr(numpy, "generic", ())):
            return digest.of_bytes(value.tobytes()) if value.dtype.kind in "biufc" else None
        if numpy is not None and isinstance(value, getattr(numpy, "ndarray", ())):
            return self._of_array(value)
        if self._torch is not None and isinstance(value, self._torch.Tensor):
            if value.requires_grad:
                return None  # it changes with each step, and operations tell how
            text = self._of_tensor(value)
            return digest.of_bytes(text.encode()) if isinstance(text, str) and text else None
        if self._is_users(kind):
            return self._of_object(value, kind, depth)
        return None

    def _inner(self, value, depth):
        found = self._digest(value, depth - 1)
        return found if found is not None else b"\0opaque\0"

    def _of_sequence(self, value, depth):
        half = MAXIMUM_ITEMS // 2
        chosen = value if len(value) <= MAXIMUM_ITEMS else list(value[:half]) + list(value[-half:])
        return digest.of_bytes(b"%d" % len(value) + b"".join([self._inner(item, depth) for item in chosen]))

    def _of_array(self, array):
        if array.dtype.kind not in "biufc" or array.nbytes > MAXIMUM_ARRAY or self._is_hidden(array):
            return None
        if array.flags.c_contiguous:
            return digest.of_memory(array.ctypes.data, array.nbytes)
        return digest.of_bytes(array.tobytes())

    def _of_tensor(self, tensor):
        """A tensor's digest as an operation's record has it; empty for what is not looked at."""
        operations = self._operations
        if not tensor.is_cpu or tensor.layout is not self._torch.strided or self._is_hidden(tensor):
            return ""
        reader = operations._reader
        if type(tensor) not in reader._classes or not reader.direct():
            return ""
        if tensor.numel() * tensor.element_size() > MAXIMUM_ARRAY:
            return ""
        with reader.quiet():
            found = operations.digest(tensor, True)
        return "t" + found if isinstance(found, str) and found not in ("?", "-") else ""

    def _of_object(self, value, kind, depth):
        """An object of the user's own class, by the plain data among its attributes: none of its code is run."""
        attributes = getattr(value, "__dict__", None)
        if type(attributes) is not dict or depth < 2:
            return None
        pieces = [kind.__qualname__.encode()]
        for name in sorted(attributes)[:MAXIMUM_ITEMS]:
            item = attributes[name]
            if type(item) in (int, float, str, bool, bytes, tuple, type(None)):
                pieces.append(name.encode("utf-8", "replace") + self._inner(item, min(depth, 2)))
        return digest.of_bytes(b"\0".join(pieces))

    def _is_users(self, kind):
        known = self._user_classes.get(kind)
        if known is None:
            module = sys.modules.get(kind.__module__)
            file = getattr(module, "__file__", None)
            plain = "__getattribute__" not in kind.__dict__ and not issubclass(kind, type)
            known = plain and file is not None and self._session.places.kind(file) == "user"
            self._user_classes[kind] = known
        return known

    # -- memory that was never written ------------------------------------------------------------------------

    def _hide(self, value):
        """What a line made without writing to it holds chance."""
        numpy = sys.modules.get("numpy")
        is_array = numpy is not None and isinstance(value, getattr(numpy, "ndarray", ()))
        if is_array or (self._torch is not None and isinstance(value, self._torch.Tensor)):
            self._hidden[id(value)] = weakref.ref(value)

    def _is_hidden(self, value):
        if not self._hidden:
            return False
        for _ in range(8):
            reference = self._hidden.get(id(value))
            if reference is not None and reference() is value:
                return True
            value = getattr(value, "base", None) if hasattr(value, "base") else getattr(value, "_base", None)
            if value is None:
                return False
        return False


def _at(spaces, path):
    value = _root(spaces, path[0])
    for name in path[1:]:
        attributes = getattr(value, "__dict__", None) if value is not _MISSING else None
        if type(attributes) is not dict or name not in attributes:
            return _MISSING
        value = attributes[name]
    return value


def _root(spaces, name):
    for space in spaces:
        value = space.get(name, _MISSING)
        if value is not _MISSING:
            return value
    return _MISSING


def _container(spaces, path):
    """What a line reads under this path and may have changed: the first container, array or tensor on its way."""
    value = _root(spaces, path[0])
    for name in (*path[1:], None):
        kind = type(value)
        if kind in _CONTAINERS or (kind.__module__ in ("numpy", "torch") and hasattr(value, "dtype")):
            return value
        attributes = getattr(value, "__dict__", None) if name is not None and value is not _MISSING else None
        if type(attributes) is not dict or name not in attributes:
            return _MISSING
        value = attributes[name]
    return _MISSING


def plans_of(code):
    """What each line of a piece of code binds and reads, by its instructions."""
    plans = {}
    line = code.co_firstlineno
    chain = None

    def commit():
        if chain is not None and tuple(chain) not in plan.loads:
            plan.loads.append(tuple(chain))

    def bind(path):
        if path not in plan.bound:
            plan.bound.append(path)

    plan = plans.setdefault(line, _Plan())
    spans = {}
    for instruction in dis.get_instructions(code):
        found = line_of(instruction)
        name = instruction.opname
        if found is not None and found != line:
            commit()
            chain = None
            line = found
            plan = plans.setdefault(line, _Plan())
        value = instruction.argval
        if name.startswith("CALL"):
            # A call over several lines: what its arguments are read from may change while it runs (Python 3.11 on).
            last = getattr(getattr(instruction, "positions", None), "end_lineno", None)
            if last is not None and last > line:
                spans[line] = max(last, spans.get(line, 0))
        if name in ("LOAD_ATTR", "LOAD_METHOD"):
            if value in _EMPTY:
                plan.hides = True
            method = name == "LOAD_METHOD" or (sys.version_info >= (3, 12) and instruction.arg & 1)
            if chain is not None:
                if not method:
                    chain.append(value)
                    continue
                commit()
            chain = None
            continue
        if name == "STORE_ATTR":
            if chain is not None:
                bind((*chain, value))
                commit()
            chain = None
            continue
        if name in ("CACHE", "EXTENDED_ARG", "NOP"):
            continue
        if name == "FOR_ITER":
            plan.iterates = True
        commit()
        chain = None
        names = value if isinstance(value, tuple) else (value,)
        if name.startswith("LOAD_") and name.partition("_")[2].split("_")[0] in ("FAST", "NAME", "GLOBAL", "DEREF"):
            for each in names:
                commit()
                chain = [each]
                if each in _EMPTY:
                    plan.hides = True
        elif name.startswith("STORE_FAST"):
            if "LOAD" in name and len(names) == 2:
                bind((names[0],))
                chain = [names[1]]
            else:
                for each in names:
                    bind((each,))
        elif name in ("STORE_NAME", "STORE_GLOBAL", "STORE_DEREF"):
            bind((value,))
    commit()
    for first, last in spans.items():
        for further in range(first + 1, last + 1):
            for path in plans[further].loads if further in plans else ():
                if path not in plans[first].loads:
                    plans[first].loads.append(path)
    return plans
