"""Captures, in a window of steps, the operations that torch dispatches: what went in, what came out, whose they are."""

import base64
import ctypes
import functools
import sys
import threading
import weakref

from . import digest
from .lines import Lines
from .recording import Recording

_getframe = sys._getframe
_ident = threading.get_ident
MAXIMUM_STACK = 24
MAXIMUM_ARGUMENTS = 200
MAXIMUM_FORWARDS = 200_000
KEPT_BYTES = 4096
KEPT_IN_ALL = 30 << 20

_FORWARD, _BACKWARD, _OPTIMIZER = 0, 1, 2
_AUTOCAST, _RECOMPUTED, _COMPILED, _INNER = 1, 2, 4, 8
_WITHIN = 1 << 10  # below the backward pass; not told

# What these leave in memory is chance, until something is written there.
_UNWRITTEN = frozenset(
    (
        *("empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided"),
        *("resize_", "resize_as_", "_resize_output_", "_empty_affine_quantized"),
    )
)
# These overwrite their first argument, whatever it held.
_OVERWRITING = frozenset(
    (
        *("fill_", "zero_", "copy_", "set_", "normal_", "uniform_", "random_", "bernoulli_"),
        *("exponential_", "geometric_", "log_normal_", "cauchy_"),
    )
)
# Outputs that are workspaces: parts of them are never written.
_WORKSPACES = {"mkldnn_rnn_layer": (3,), "_cudnn_rnn": (3,), "cudnn_batch_norm": (3,), "_batch_norm_with_update": (3,)}

_FILES = (
    ("torch/nn/modules/module.py", "module"),
    ("torch/autograd/graph.py", "engine"),
    ("torch/autograd/__init__.py", "engine"),
    ("torch/utils/checkpoint.py", "checkpoint"),
    ("torch/utils/data/_utils/fetch.py", "fetch"),
    ("torch/multiprocessing/reductions.py", "arrival"),
)


class Capture:
    """The window of one process: when it opens and closes, and what is recorded in it."""

    def __init__(self, session, window):
        self._session = session
        self._first = window["first"]
        self._last = window["last"]
        self._closed = False
        self._torch = None
        self._mode = None
        self.active = False
        self.recording = None
        self.local = threading.local()
        self.lines = Lines(session, self)
        self._mute_own()

    def begin(self):
        """Opens the window at once where it begins with the process."""
        if self._first == 1:
            self.open()

    # -- the window -------------------------------------------------------------------------------------------

    def open(self):
        """Begins to record; in the thread that calls this, and in those that start from now on."""
        if self.active or self._closed:
            return
        session = self._session
        name = session.channel.file.rpartition(".")[0] + ".ops"
        self.recording = Recording(session.config["trace"], name, session.places, session.step)
        self.active = True
        if not self.lines.start():
            self.recording.lose("lines of Python: another tool traces the program")
        self._push()

    def close(self):
        """Ends recording; of a window that was never opened there is nothing to tell."""
        if not self.active:
            return
        self.active = False
        self._closed = True
        self.lines.finish()
        self._pop()
        self.recording.close(self._session.step)

    def stepped(self, number):
        """A step has ended."""
        if self.active:
            if self._last is not None and number >= self._last:
                self.close()
                return
            self.recording.add(f'["m",{number}]')
            self.lines.settle()
            self.recording.flush()
        elif number == self._first - 1:
            self.open()

    def in_worker(self):
        """A DataLoader's worker is always recorded: it makes samples ahead of the step that they are for."""
        self.open()

    def in_child(self):
        """A forked child writes a file of its own, and counts its own steps."""
        was = self.active
        self.active = False
        if self.recording is not None:
            self.recording.leave()
        if was:
            self._pop()
            self.lines.leave()
        self._closed = False
        self.local = threading.local()
        if self._mode is not None:
            self._operations.in_child()
        if self._first == 1:
            self.open()

    def _mute_own(self):
        """What the probe itself asks of torch is no operation of the program's."""
        session = self._session
        guard = session.guard

        def quiet(where, function, *args):
            local = self.local
            local.muted = getattr(local, "muted", 0) + 1
            try:
                return guard(where, function, *args)
            finally:
                local.muted -= 1

        session.guard = quiet

    # -- torch ------------------------------------------------------------------------------------------------

    def torch_ready(self, torch, watch):
        """torch has been imported, and is watched."""
        self._torch = torch
        try:
            from torch.utils import _python_dispatch as dispatch

            base = dispatch.TorchDispatchMode
            assert dispatch._get_current_dispatch_mode_stack and dispatch._push_mode and dispatch._pop_mode
        except (ImportError, AttributeError):
            if self.recording is not None:
                self.recording.lose("operations: this torch has no dispatch modes")
            return
        self._dispatch = dispatch
        self._operations = Operations(self, torch, watch)
        handle = self._operations.handle

        class Mode(base):
            """Hands every dispatched operation to the capture."""

            @classmethod
            def _should_skip_dynamo(cls):
                return False  # it is never there while something is compiled

            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                return handle(func, args, kwargs or {})

        self._mode = Mode()
        self.lines.torch_ready(torch, self._operations)
        if self.active:
            self._push()

    def _stack(self):
        return self._dispatch._get_current_dispatch_mode_stack()

    def _push(self):
        """Puts the mode below all others of this thread: a program's own ``with`` must find its own on top."""
        if self._mode is None:
            return
        stack = self._stack()
        if any(mode is self._mode for mode in stack):
            return
        self._restack([self._mode, *stack])

    def _pop(self):
        if self._mode is None:
            return False
        stack = self._stack()
        if all(mode is not self._mode for mode in stack):
            return False
        self._restack([mode for mode in stack if mode is not self._mode])
        return True

    def _restack(self, wanted):
        for mode in reversed(self._stack()):
            key = getattr(mode, "_mode_key", None)
            self._dispatch._pop_mode() if key is None else self._dispatch._pop_mode(key)
        for mode in wanted:
            self._dispatch._push_mode(mode)

    def in_thread(self):
        """A thread of the program's has started while the window is open."""
        self._push()

    def compiled(self, result, model):
        """What ``torch.compile`` gave, so that it is called as if nothing watched, and recorded as one operation."""
        if self._mode is None or model is None:
            return result
        name = getattr(model, "__qualname__", None) or type(model).__name__
        if isinstance(result, self._torch.nn.Module):
            forward = result.__dict__.get("forward")
            if forward is not None:
                result.__dict__["forward"] = self._around(forward, name)
            return result
        if not callable(result) or isinstance(result, type):
            return result
        around = self._around(result, name)
        try:
            functools.update_wrapper(around, result)
        except AttributeError:
            return result
        return around

    def _around(self, function, name):
        compiling = getattr(getattr(self._torch, "compiler", None), "is_compiling", None)

        def compiled(*args, **kwargs):
            if not self.active or (compiling is not None and compiling()):
                return function(*args, **kwargs)
            return self._apart(function, name, args, kwargs)

        return compiled

    def _apart(self, function, name, args, kwargs):
        session = self._session
        before = session.guard("compiled region", self._operations.begin, name, args, kwargs)
        followed = session.follower().pause()
        pushed = self._pop()
        try:
            result = function(*args, **kwargs)
        finally:
            if pushed and self.active:
                self._push()
            if followed:
                session.follower().resume()
        if before is not None and self.active:
            session.guard("compiled region", self._operations.end, before, result)
        return result


class _Known:
    """What is known of one operation."""

    __slots__ = (
        *("later", "name", "nothing", "overwrites", "skip_named", "unwritten", "view"),
        *("workspaces", "written", "written_named"),
    )

    def __init__(self, func):
        schema = getattr(func, "_schema", None)
        name = schema.name if schema is not None else str(func)
        overload = getattr(schema, "overload_name", "")
        self.name = name + ("." + overload if overload else "")
        plain = name.rpartition("::")[2]
        self.written = []
        self.written_named = []
        out = []
        aliased = False
        if schema is not None:
            for index, argument in enumerate(schema.arguments):
                alias = argument.alias_info
                if alias is not None and alias.is_write:
                    self.written.append(index)
                    self.written_named.append(argument.name)
                    if argument.kwarg_only:
                        out.append(argument.name)
                elif alias is not None:
                    aliased = True
        # A view computes nothing: what it shows is digested where it is used.
        self.view = aliased and not self.written
        self.unwritten = plain in _UNWRITTEN
        self.overwrites = plain in _OVERWRITING
        self.skip_named = frozenset(out)
        self.workspaces = _WORKSPACES.get(plain, ())
        # What processes exchange is there only once it was waited for.
        self.later = "c10d" in name
        self.nothing = name.startswith("profiler::")


class Operations:
    """Records dispatched operations."""

    def __init__(self, capture, torch, watch):
        self._capture = capture
        self._torch = torch
        self._watch = watch
        self._session = capture._session
        self._reader = watch._reader
        self._known = {}
        self._kinds = {}
        self._names = {}
        self._forwards = {}
        self._kept = 0
        self._unwritten = {}
        self._tensor = torch.Tensor
        self._seen = {}
        internal = torch._C
        self._task = getattr(internal, "_current_graph_task_id", None)
        self._node = getattr(internal, "_current_autograd_node", None)
        autograd = getattr(internal, "_autograd", None)
        self._sequence = getattr(autograd, "_get_sequence_nr", None)
        self._dtypes = {}
        self._follow_autocast(torch.autocast)

    def in_child(self):
        """What is known belongs to the parent's recording."""
        self._forwards = {}
        self._kept = 0

    # -- one operation ----------------------------------------------------------------------------------------

    def handle(self, func, args, kwargs):
        """Calls the operation, and records it if the window is open."""
        capture = self._capture
        local = capture.local
        if not capture.active or getattr(local, "muted", 0):
            return func(*args, **kwargs)
        before = None
        local.muted = 1
        try:
            before = self._before(func, args, kwargs, _getframe(2))
        except Exception as error:
            self._session.failed(f"capture of {func}", error)
        finally:
            local.muted = 0
        result = func(*args, **kwargs)
        if before is not None:
            local.muted = 1
            try:
                self._after(before, args, kwargs, result)
            except Exception as error:
                self._session.failed(f"capture of {func}", error)
            finally:
                local.muted = 0
        return result

    def _before(self, func, args, kwargs, frame):
        known = self._known.get(func)
        if known is None:
            known = self._known[func] = _Known(func)
        if known.nothing:
            return None
        inputs = []
        said = []
        for index, value in enumerate(args):
            if known.overwrites and index == 0:
                continue
            self._take(value, inputs, said)
        for name, value in kwargs.items():
            if name not in known.skip_named:
                self._take(value, inputs, said, name)
        pieces = () if known.view or known.unwritten else self._digests(inputs)
        where = self._where(frame)
        return None if where is None else (known, pieces, said, where)

    def _take(self, value, tensors, said, name=None):
        if isinstance(value, self._tensor):
            tensors.append(value)
            return
        if isinstance(value, (list, tuple)):
            if len(value) and all(isinstance(item, self._tensor) for item in value):
                tensors.extend(value)
                return
            text = "[" + ",".join([self._said(item, tensors) for item in value[:64]]) + "]"
        else:
            text = self._said(value, tensors)
        said.append(text if name is None else name + "=" + text)

    def _said(self, value, tensors):
        if value is None or value is True or value is False or type(value) in (int, float, str):
            return repr(value)
        if isinstance(value, self._tensor):
            tensors.append(value)
            return "tensor"
        if isinstance(value, (list, tuple)):
            return "[" + ",".join([self._said(item, tensors) for item in value[:64]]) + "]"
        torch = self._torch
        if isinstance(value, (torch.dtype, torch.device, torch.memory_format, torch.layout, complex)):
            return str(value)
        return type(value).__name__

    def _where(self, frame):
        """(stack, module, flags): the user's lines that led here, the module that runs, and in what circumstances."""
        kinds = self._kinds
        frames = []
        key = []
        flags = 0
        innermost = outermost = None
        within = False  # the backward pass, seen from inside
        while frame is not None:
            code = frame.f_code
            name = code.co_filename
            kind = kinds.get(name)
            if kind is None:
                kind = self._kind_of(frame)
            if kind == "":
                pass
            elif kind == "user":
                if len(frames) < MAXIMUM_STACK:
                    line = frame.f_lineno
                    frames.append((code, line))
                    key.append(id(code))
                    key.append(line)
            elif kind == "module":
                if code.co_name == "_call_impl":
                    if innermost is None:
                        innermost = frame
                    outermost = frame
            elif kind == "engine":
                if not within and code.co_name in ("_engine_run_backward", "backward", "grad"):
                    within = True
                    flags |= _WITHIN | (_INNER if frames else 0)
            elif kind == "checkpoint":
                if code.co_name in ("unpack_hook", "backward", "recompute_fn"):
                    flags |= _RECOMPUTED
            elif kind == "arrival":
                return None  # a tensor of another process: it comes when it comes, and is read where it is used
            elif kind == "fetch":
                self._capture.lines.sampled(frame)
            frame = frame.f_back
        stack = self._capture.recording.stack(tuple(key), frames)
        module = "" if innermost is None else self._path(innermost, outermost)
        return stack, module, flags

    def _kind_of(self, frame):
        name = frame.f_code.co_filename
        if name.startswith("<"):
            return "user" if self._session.follower().is_user(frame) else ""
        kind = next((kind for ending, kind in _FILES if name.endswith(ending)), None)
        if kind is None:
            kind = "user" if self._session.places.kind(name) == "user" else ""
        self._kinds[name] = kind
        return kind

    def _path(self, innermost, outermost):
        inner = innermost.f_locals.get("self")
        if inner is None:
            return ""
        if innermost is outermost:
            return type(inner).__name__
        outer = outermost.f_locals.get("self")
        entry = self._names.get(id(outer))
        if entry is None or entry[0]() is not outer or id(inner) not in entry[1]:
            names = {id(module): name for name, module in outer.named_modules()}
            entry = self._names[id(outer)] = (weakref.ref(outer), names)
        return entry[1].get(id(inner)) or type(inner).__name__

    def _after(self, before, args, kwargs, result):
        known, inputs, said, (stack, module, flags) = before
        outputs = []
        if not known.view:
            self._collect(result, outputs)
            written = self._written(known, args, kwargs)
            seen = {id(tensor) for tensor in outputs}
            outputs += [tensor for tensor in written if id(tensor) not in seen]
            outputs += self._around(written)
        if known.unwritten:
            for tensor in outputs:
                self._mark(tensor)
            pieces = ()
        elif known.later:
            for tensor in outputs:
                self._unmark(tensor)
            pieces = ()
        else:
            for index in known.workspaces:
                if index < len(outputs):
                    self._mark(outputs[index])
            if self._unwritten:
                for index, tensor in enumerate(outputs):
                    if index not in known.workspaces:
                        self._unmark(tensor)
            pieces = self._digests(outputs)
        self._write(known.name, stack, module, flags, said, inputs, pieces, outputs)

    def _write(self, name, stack, module, flags, said, inputs, pieces, outputs):
        recording = self._capture.recording
        task = self._task() if self._task is not None else -1
        node = forward = origin = -1
        if task != -1 or (self._task is None and flags & _WITHIN):
            phase = _BACKWARD
            node, forward, origin = self._made_by(recording)
        else:
            inside = self._watch._inside and self._watch._owner == _ident() and not self._torch.is_grad_enabled()
            phase = _OPTIMIZER if inside else _FORWARD
        module = recording.text(module)
        if (task == -1 or flags & _RECOMPUTED) and self._sequence is not None:
            self._note(stack, module)
        flags &= ~_WITHIN
        if self._autocasts():
            flags |= _AUTOCAST
        arguments = ",".join(said)
        if len(arguments) > MAXIMUM_ARGUMENTS:
            arguments = arguments[:MAXIMUM_ARGUMENTS] + "#" + digest.of_bytes(arguments.encode()).hex()
        head = (
            f'["o",{recording.thread()},{recording.us()},{recording.text(name)},{module},{stack},{phase},{flags},'
            f"{node},{forward},{origin},{recording.text(arguments)},"
        )
        value = self._value(outputs, pieces)
        both = (*inputs, *pieces)
        if all(type(piece) is str for piece in both):
            recording.add(head + _listed(inputs) + "," + _listed(pieces) + "," + value + "]")
        else:
            taken, given = (",".join(['"%s"'] * len(group)) for group in (inputs, pieces))
            recording.add(f"{head}[{taken}],[{given}],{value}]", both)

    def _autocasts(self):
        states = getattr(self._capture.local, "autocast", None)
        return bool(states) and states[-1]

    def _follow_autocast(self, kind):
        """Keeps whether autocast is on: below it, where operations arrive, torch says that it is off."""
        enter, leave = kind.__enter__, kind.__exit__
        capture = self._capture

        def __enter__(self):
            result = enter(self)
            local = capture.local
            local.autocast = (*getattr(local, "autocast", ()), bool(getattr(self, "_enabled", True)))
            return result

        def __exit__(self, *exception):
            capture.local.autocast = getattr(capture.local, "autocast", ())[:-1]
            return leave(self, *exception)

        self._session.imitate(__enter__, enter)
        self._session.imitate(__exit__, leave)
        kind.__enter__ = __enter__
        kind.__exit__ = __exit__

    # -- what made a node of autograd -------------------------------------------------------------------------

    def _note(self, stack, module):
        """Remembers that the node of autograd made last belongs to the operation under way."""
        number = self._sequence() - 1
        local = self._capture.local
        if getattr(local, "sequence", None) != number:
            # The first operation that finds it: what a custom function does inside has the same number.
            local.sequence = number
            if len(self._forwards) > MAXIMUM_FORWARDS:
                self._forwards.clear()
            known = self._forwards.setdefault(number, [])
            del known[:-3]
            known.append((_ident(), stack, module))

    def _made_by(self, recording):
        if self._node is None:
            return -1, -1, -1
        node = self._node()
        if node is None:
            return -1, -1, -1
        name = recording.text(node.name())
        found = self._forwards.get(node._sequence_nr(), ())
        mine = [entry for entry in found if entry[0] == _ident()]
        # Numbers are each thread's own: where several threads used this one, only this thread's call can be told.
        entry = mine[-1] if mine else (found[0] if len(found) == 1 else None)
        return (name, -1, -1) if entry is None else (name, entry[1], entry[2])

    # -- compiled regions -------------------------------------------------------------------------------------

    def begin(self, name, args, kwargs):
        """What goes into a compiled region."""
        inputs = []
        self._collect((args, kwargs), inputs)
        return name, self._digests(inputs), self._where(_getframe(3))

    def end(self, before, result):
        """Records a compiled region as one operation."""
        name, inputs, (stack, module, flags) = before
        outputs = []
        self._collect(result, outputs)
        pieces = self._digests(outputs)
        self._write("compiled::" + name, stack, module, flags | _COMPILED, [], inputs, pieces, outputs)

    # -- tensors ----------------------------------------------------------------------------------------------

    def _collect(self, thing, found, depth=4):
        if isinstance(thing, self._tensor):
            found.append(thing)
        elif depth and isinstance(thing, (list, tuple)):
            for item in thing:
                self._collect(item, found, depth - 1)
        elif depth and isinstance(thing, dict):
            for item in thing.values():
                self._collect(item, found, depth - 1)

    def _written(self, known, args, kwargs):
        found = []
        for index, name in zip(known.written, known.written_named):
            if name in kwargs:
                self._collect(kwargs[name], found)
            elif index < len(args):
                self._collect(args[index], found)
        return found

    def _around(self, written):
        """What a view that was written is part of, where that is not much more: it has changed with it."""
        found = []
        for tensor in written:
            base = tensor._base
            if base is None or base.numel() == tensor.numel() or base.numel() > 4 * tensor.numel() + 16_384:
                continue
            if all(base is not known for known in found):
                found.append(base)
        return found

    def _digests(self, tensors):
        found = {}
        reader = self._reader
        with reader.quiet():
            direct = reader.direct()
            for tensor in tensors:
                if id(tensor) not in found:
                    found[id(tensor)] = self.digest(tensor, direct)
        return [found[id(tensor)] for tensor in tensors]

    def digest(self, tensor, direct):
        """A tensor's digest as text; ``?`` for what was never written, ``-`` where there is nothing to read."""
        if self._unwritten and self.is_unwritten(tensor):
            return "?"
        reader = self._reader
        if direct and type(tensor) in reader._classes and tensor.is_cpu and tensor.layout is self._torch.strided:
            size = tensor.numel() * tensor.element_size()
            if not size:
                return "0" * 16
            if (tensor.is_contiguous() or _is_dense(tensor)) and not tensor.is_conj() and not tensor.is_neg():
                address = tensor.data_ptr()
                return digest.of_memory(address, size).hex() if address else "-"
        piece = reader.digest(tensor, direct)
        if piece is None:
            return "-"
        return piece.hex() if isinstance(piece, bytes) else piece

    def _mark(self, tensor):
        address = _storage(tensor)
        if address:
            # How many bytes are left to write, and which pieces were written.
            self._unwritten[address] = [tensor.numel() * tensor.element_size(), {}]

    def _unmark(self, tensor):
        address = _storage(tensor)
        entry = self._unwritten.get(address)
        if entry is None:
            return
        size = tensor.numel() * tensor.element_size()
        start = tensor.data_ptr()
        known = entry[1].get(start, 0)
        if size > known:
            entry[1][start] = size
            entry[0] -= size - known
        if entry[0] <= 0:
            del self._unwritten[address]

    def is_unwritten(self, tensor):
        """Whether a tensor lies in memory that was not written as a whole since it was taken, nor was this piece."""
        if not self._unwritten:
            return False
        entry = self._unwritten.get(_storage(tensor))
        if entry is None:
            return False
        size = tensor.numel() * tensor.element_size()
        return size > 0 and entry[1].get(tensor.data_ptr(), 0) < size

    def _value(self, outputs, pieces):
        """The bits of the first floating output as the wire has them, if it is small and in main memory."""
        if self._kept >= KEPT_IN_ALL:
            return "null"
        for tensor, piece in zip(outputs, pieces):
            if not tensor.is_floating_point():
                continue
            if type(piece) is not str or piece in "?-" or not tensor.is_cpu or not tensor.is_contiguous():
                return "null"
            size = tensor.numel() * tensor.element_size()
            if not 0 < size <= KEPT_BYTES:
                return "null"
            data = base64.b64encode(ctypes.string_at(tensor.data_ptr(), size)).decode("ascii")
            self._kept += len(data)
            dtype = self._dtypes.get(tensor.dtype)
            if dtype is None:
                dtype = self._dtypes[tensor.dtype] = str(tensor.dtype).rpartition(".")[2]
            return f'["{dtype}","{data}"]'
        return "null"


def _listed(pieces):
    return '["' + '","'.join(pieces) + '"]' if pieces else "[]"


def _storage(tensor):
    """Where the memory begins that a tensor is a part of."""
    try:
        return tensor.untyped_storage().data_ptr()
    except AttributeError:  # before torch 2.0
        base = tensor._base
        return (tensor if base is None else base).data_ptr()
    except (RuntimeError, NotImplementedError):  # of a class that has no memory of its own
        return 0


def _is_dense(tensor):
    """Whether a tensor fills its piece of memory without gaps or overlap, in whatever order of dimensions."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True
