"""Follows training in torch: losses at ``backward``, gradients and parameters at each optimizer step, batches between."""

import threading
import weakref

from . import digest
from .loaders import Loaders
from .tensors import Reader, block, parts, shape_of_parts, tensors_in

_ident = threading.get_ident
MAXIMUM_BATCHES = 16
MAXIMUM_LOSS_VALUES = 4
MAXIMUM_ROOTS = 64
MAXIMUM_GRAPH = 200_000
# Values are kept beside the trace while they are small, so that a difference can be told in numbers.
KEEP_STEP = 1 << 19
KEEP_ONCE = 1 << 24
KEEP_TOTAL = 1 << 25


class Moved:
    """The parameters that one optimizer moves (or, by hand, the leaves of the graph), and what is known of them."""

    def __init__(self, index, kind, optimizer):
        self.index = index
        self.kind = kind
        self.reference = weakref.ref(optimizer) if optimizer is not None else None
        self.leaves = None
        self.count = -1
        self.group = 1
        self.width = 4
        self.bytes = 0
        self.gradient_names = []
        self.parameter_names = []
        self.headers = {}
        self.pieces = []  # weak references to the parameters, for when the optimizer is discarded
        self.finished = False

    def tensors(self):
        """The parameters in the optimizer's order; empty once it is gone."""
        if self.kind == "by-hand":
            found = [leaf() for leaf in self.leaves or ()]
            return [] if any(t is None for t in found) else found
        optimizer = self.reference()
        if optimizer is None:
            found = [piece() for piece in self.pieces]
            return [] if any(t is None for t in found) else found
        return [p for group in optimizer.param_groups for p in group["params"]]


class TorchWatch:
    """Everything that is watched in torch, in one process."""

    def __init__(self, session, torch):
        self._session = session
        self._torch = torch
        self._reader = Reader(torch)
        self._moved = {}
        self._order = []
        self._made = weakref.WeakKeyDictionary()
        self._roots = []
        self._inside = False
        # One thread's steps are followed. What others do meanwhile has no place in its order; the parameters that they
        # move are digested at the end.
        self._owner = None
        self._any_made = False
        self._indices = 0
        self._compiled = False
        self._handles = None
        self._kept = 0
        self._by_hand = None
        self._pending = None
        self._deferred = []
        self._described = False
        self._rank = None
        compiler = getattr(torch, "compiler", None)
        self._compiling = getattr(compiler, "is_compiling", None)
        self._grad_enabled = torch.is_grad_enabled
        self.window = session.digests_step(1)
        self._clear()
        self.loaders = Loaders(session, torch, self)
        self._patch()
        session.streams.watch_torch(torch)
        self._set_hooks()

    # -- patches ----------------------------------------------------------------------------------------------

    def _patch(self):
        torch = self._torch
        session = self._session
        self._patch_optimizers(torch.optim.Optimizer)
        self._patch_backward(torch.autograd)
        for name in ("parameters", "named_parameters"):
            self._patch_naming(torch.nn.Module, name)
        compile_ = getattr(torch, "compile", None)
        if compile_ is not None:

            def compile(*args, **kwargs):
                # Hooks on modules would break or re-trigger a compiled graph: from here on none are set.
                self._compiled = True
                session.guard("compile", self._set_hooks)
                return compile_(*args, **kwargs)

            session.imitate(compile, compile_)
            torch.compile = compile
        self.loaders.patch()

    def _patch_optimizers(self, base):
        original = base.__init__
        watch = self

        def __init__(self, *args, **kwargs):
            original(self, *args, **kwargs)
            watch._session.guard("optimizer", watch._made_one, self)

        self._session.imitate(__init__, original)
        base.__init__ = __init__

    def _made_one(self, optimizer):
        self._made[optimizer] = self._next_index()
        self._any_made = True
        kind = type(optimizer)
        step = kind.step
        if getattr(step, "_auditor_step", False):
            return
        watch = self
        compiling = self._compiling

        def watched(self, *args, **kwargs):
            if compiling is not None and compiling():
                return step(self, *args, **kwargs)
            return watch._around_step(step, self, args, kwargs)

        self._session.imitate(watched, step)
        watched._auditor_step = True
        kind.step = watched

    def _next_index(self):
        self._indices += 1
        return self._indices - 1

    def _index_of(self, optimizer):
        index = self._made.get(optimizer)
        if index is None:  # unpickled, so never constructed
            index = self._made[optimizer] = self._next_index()
        return index

    def _patch_backward(self, autograd):
        original = autograd.backward
        original_grad = autograd.grad
        watch = self
        compiling = self._compiling

        def backward(tensors, *args, **kwargs):
            if compiling is not None and compiling():
                return original(tensors, *args, **kwargs)
            return watch._around_backward(original, tensors, args, kwargs)

        def grad(outputs, inputs, *args, **kwargs):
            if watch._any_made or (compiling is not None and compiling()):
                return original_grad(outputs, inputs, *args, **kwargs)
            return watch._around_grad(original_grad, outputs, inputs, args, kwargs)

        self._session.imitate(backward, original)
        self._session.imitate(grad, original_grad)
        autograd.backward = backward
        autograd.grad = grad

    def _patch_naming(self, module_class, name):
        original = getattr(module_class, name)
        watch = self

        def named(self, *args, **kwargs):
            if len(watch._roots) < MAXIMUM_ROOTS:
                watch._note_root(self)
            return original(self, *args, **kwargs)

        self._session.imitate(named, original)
        setattr(module_class, name, named)

    def _note_root(self, module):
        for known in self._roots:
            if known() is module:
                return
        self._roots.append(weakref.ref(module))

    # -- hooks while a step is digested ------------------------------------------------------------------------

    def _set_hooks(self):
        wanted = self.window and not self._compiled
        if wanted == (self._handles is not None):
            return
        if wanted:
            modules = self._torch.nn.modules.module
            self._handles = (
                modules.register_module_forward_pre_hook(self._before_forward),
                modules.register_module_forward_hook(self._after_forward),
            )
        else:
            for handle in self._handles:
                handle.remove()
            self._handles = None

    def _before_forward(self, module, inputs):
        if self._root is None and inputs and self._capturing and self._grad_enabled() and self.follows_this_thread():
            self._session.guard("batch", self._take_inputs, module, inputs)

    def _after_forward(self, module, inputs, output):
        if self._root is module:
            self._root = None

    def _take_inputs(self, module, inputs):
        if isinstance(module, self._torch.jit.ScriptModule):
            return
        found = tensors_in(inputs, self._torch, [])
        if found:
            self._root = module
            self.take_batch(type(module).__name__, found)

    def take_batch(self, source, found):
        """Adds the digests of what goes into the model to the batch of the step that is under way."""
        if len(self._batch) >= MAXIMUM_BATCHES:
            self._capturing = False
            return
        pieces = []
        direct = self._reader.direct()
        with self._reader.quiet():
            for tensor in found:
                if isinstance(tensor, self._torch.Tensor):
                    piece = self._reader.digest(tensor, direct)
                    if piece is None:
                        return
                else:
                    piece = digest.of_bytes(tensor.tobytes())
                pieces.append(piece)
        self._batch.append((source, pieces))

    def _clear(self):
        self._batch = []
        self._losses = []
        self._loss_values = []
        self._gradients = None
        self._kept_gradients = None
        self._root = None
        self._capturing = True

    # -- threads ----------------------------------------------------------------------------------------------

    def _claim(self):
        """Whether the calling thread is the one whose steps are followed; the first to train is, while it lives."""
        ident = _ident()
        if ident == self._owner:
            return True
        if self._owner is None or self._owner not in threading._active:
            self._owner = ident
            return True
        return False

    def follows_this_thread(self):
        """Whether what the calling thread feeds the model belongs to the steps that are followed."""
        owner = self._owner
        return _ident() == (threading.main_thread().ident if owner is None else owner)

    # -- backward ---------------------------------------------------------------------------------------------

    def _around_backward(self, original, tensors, args, kwargs):
        session = self._session
        if not self._claim():
            return original(tensors, *args, **kwargs)
        session.backwards += 1
        by_hand = not self._any_made
        if by_hand:
            session.guard("step by hand", self._before_hand, tensors)
        if self.window:
            session.guard("loss", self._take_loss, tensors)
            self._capturing = False
        result = original(tensors, *args, **kwargs)
        if self.window:
            self._capturing = True
            self._root = None
        if by_hand:
            session.guard("step by hand", self._after_hand, None)
        return result

    def _take_loss(self, tensors):
        if isinstance(tensors, self._torch.Tensor):
            tensors = (tensors,)
        direct = self._reader.direct()
        with self._reader.quiet():
            for tensor in tensors:
                piece = self._reader.digest(tensor, direct)
                if piece is None:
                    continue
                self._losses.append(piece)
                if len(self._loss_values) < MAXIMUM_LOSS_VALUES:
                    value = self._reader.scalar(tensor)
                    if value is not None:
                        self._loss_values.append(value)

    # -- steps by hand ----------------------------------------------------------------------------------------

    def _around_grad(self, original, outputs, inputs, args, kwargs):
        session = self._session
        if not self._claim():
            return original(outputs, inputs, *args, **kwargs)
        session.backwards += 1
        leaves = (inputs,) if isinstance(inputs, self._torch.Tensor) else tuple(inputs)
        session.guard("step by hand", self._before_hand, outputs, leaves)
        if self.window:
            session.guard("loss", self._take_loss, outputs)
        result = original(outputs, inputs, *args, **kwargs)
        session.guard("step by hand", self._after_hand, result)
        return result

    def _before_hand(self, tensors, leaves=None):
        session = self._session
        # The parameters that the step before led to are complete only now that the next one begins.
        self._complete_pending()
        session.step += 1
        if not self.window:
            return
        if leaves is None:
            leaves = self._leaves_of(tensors)
        moved = self._by_hand
        if moved is None:
            moved = self._by_hand = Moved(self._next_index(), "by-hand", None)
            self._order.append(moved)
        moved.leaves = [weakref.ref(leaf) for leaf in leaves]
        self._introduce(moved, list(leaves))

    def _leaves_of(self, tensors):
        if isinstance(tensors, self._torch.Tensor):
            tensors = (tensors,)
        found = []
        seen = set()
        stack = [t.grad_fn for t in tensors if t.grad_fn is not None]
        while stack and len(seen) < MAXIMUM_GRAPH:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            variable = getattr(node, "variable", None)
            if variable is not None and variable.is_leaf:
                found.append(variable)
            stack.extend(following for following, _ in reversed(node.next_functions) if following is not None)
        return found

    def _after_hand(self, gradients):
        if self.window and self._by_hand is not None:
            tensors = self._by_hand.tensors()
            with self._reader.quiet():
                if gradients is None:
                    gradients = [t.grad for t in tensors]
                self._gradients = self._reader.digests(list(gradients))
            self._pending = (self._session.step, list(self._batch), self._losses, self._loss_values, self._gradients)
        self._finish_step()

    def _complete_pending(self):
        if self._pending is None:
            return
        number, batch, losses, values, gradients = self._pending
        self._pending = None
        moved = self._by_hand
        tensors = moved.tensors()
        with self._reader.quiet():
            after = self._reader.digests(tensors) if tensors else None
        self._emit(moved, number, batch, losses, values, gradients, after, None)

    # -- optimizer steps --------------------------------------------------------------------------------------

    def _around_step(self, step, optimizer, args, kwargs):
        session = self._session
        if not self._claim():
            session.guard("parameters", self._moved_by, optimizer)
            return step(optimizer, *args, **kwargs)
        if self._inside:  # an optimizer inside another: one step
            return step(optimizer, *args, **kwargs)
        self._inside = True
        session.step += 1
        window = self.window
        try:
            if window:
                closure = args[0] if args else kwargs.get("closure")
                if closure is None:
                    session.guard("gradients", self._take_gradients, optimizer)
                else:
                    session.guard("parameters", self._moved_by, optimizer)
                    watched = self._watch_closure(optimizer, closure)
                    if args:
                        args = (watched,) + args[1:]
                    else:
                        kwargs = dict(kwargs, closure=watched)
            result = step(optimizer, *args, **kwargs)
            if window:
                session.guard("parameters", self._take_parameters, optimizer)
        finally:
            self._inside = False
        self._finish_step()
        return result

    def _watch_closure(self, optimizer, closure):
        def watched():
            result = closure()
            self._session.guard("gradients", self._take_gradients, optimizer)
            return result

        return watched

    def _moved_by(self, optimizer):
        moved = self._moved.get(id(optimizer))
        if moved is None or moved.reference() is not optimizer:
            moved = Moved(self._index_of(optimizer), type(optimizer).__name__, optimizer)
            self._moved[id(optimizer)] = moved
            self._order.append(moved)
            finalizer = weakref.finalize(optimizer, self._discarded, moved)
            finalizer.atexit = False
        tensors = moved.tensors()
        if len(tensors) != moved.count:
            self._introduce(moved, tensors)
        return moved, tensors

    def _introduce(self, moved, tensors):
        """Sends the names and the initial values of what is about to be moved for the first time."""
        if len(tensors) == moved.count:
            return
        self._note_rank()
        first = moved.count < 0
        if not self._described:
            self._described = True
            self._describe("step")
        moved.count = len(tensors)
        moved.group, moved.width = shape_of_parts(len(tensors))
        moved.pieces = [weakref.ref(t) for t in tensors]
        moved.gradient_names = ["g:%d" % i for i in range(len(tensors))]
        moved.parameter_names = ["p:%d" % i for i in range(len(tensors))]
        names = self._names()
        plain = [names.get(id(t), "%s %d" % ("leaf" if moved.kind == "by-hand" else "parameter", i)) for i, t in enumerate(tensors)]
        moved.bytes = sum(t.numel() * t.element_size() for t in tensors)
        session = self._session
        session.send(
            "optimizer",
            {
                "index": moved.index,
                "kind": moved.kind,
                "names": plain,
                "shapes": [list(t.shape) for t in tensors],
                "dtypes": [str(t.dtype).rpartition(".")[2] for t in tensors],
                "groups": moved.group,
                "width": moved.width,
            },
        )
        if first:
            with self._reader.quiet():
                pieces = self._reader.digests(tensors)
                kept = self._keep_parameters(moved, tensors)
            if pieces is not None:
                self._send_digest("init", {"optimizer": moved.index, "kept": kept}, moved, pieces)

    def _names(self):
        names = {}
        for reference in self._roots:
            module = reference()
            if module is None:
                continue
            for name, parameter in self._torch.nn.Module.named_parameters.__wrapped__(module):
                names.setdefault(id(parameter), name)
        return names

    def _take_gradients(self, optimizer):
        moved, tensors = self._moved_by(optimizer)
        with self._reader.quiet():
            gradients = [t.grad for t in tensors]
            self._gradients = self._reader.digests(gradients)
            self._kept_gradients = None
            if self._may_keep(moved, self._session.step):
                named = [(name, g) for name, g in zip(moved.gradient_names, gradients) if g is not None]
                self._kept_gradients = block(named, self._reader, moved.headers)

    def _may_keep(self, moved, number):
        limit = KEEP_ONCE if number == 1 else KEEP_STEP
        return moved.bytes * 2 <= limit and self._kept + moved.bytes * 2 <= KEEP_TOTAL

    def _take_parameters(self, optimizer):
        moved, tensors = self._moved_by(optimizer)
        kept = None
        with self._reader.quiet():
            after = self._reader.digests(tensors)
            if self._kept_gradients is not None:
                values = block(list(zip(moved.parameter_names, tensors)), self._reader, moved.headers)
                if values is not None:
                    kept = self._keep_blocks([self._kept_gradients, values])
        self._kept_gradients = None
        self._emit(
            moved, self._session.step, self._batch, self._losses, self._loss_values, self._gradients, after, kept
        )

    def _keep_parameters(self, moved, tensors):
        """Keeps initial or final values; returns where, or None if they are too large."""
        if moved.bytes > KEEP_ONCE or self._kept + moved.bytes > KEEP_TOTAL + 2 * KEEP_ONCE:
            return None
        values = block(list(zip(moved.parameter_names, tensors)), self._reader, moved.headers)
        return None if values is None else self._keep_blocks([values])

    def _keep_blocks(self, blocks):
        places = self._session.channel.keep(blocks)
        if places is not None:
            self._kept += sum(size for _buffers, size in blocks)
        return places

    def _finish_step(self):
        session = self._session
        number = session.step
        limit = session.config.get("steps")
        if limit is not None and number >= limit:
            session.guard("end", self._complete_pending)
            session.stop("steps")
        following = session.digests_step(number + 1)
        if self.window:
            self._clear()
        if following is not self.window:
            self.window = following
            session.guard("hooks", self._set_hooks)

    # -- sending ----------------------------------------------------------------------------------------------

    def _emit(self, moved, number, batch, losses, values, gradients, after, kept):
        session = self._session
        session.digested += 1
        fields = {
            "n": number,
            "optimizer": moved.index,
            "streams": session.streams.states(),
            "ns": session.channel.elapsed(),
            "kept": kept,
        }
        waiting = [p for _source, pieces in batch for p in pieces] + losses + (gradients or []) + (after or [])
        self._when_known(waiting, lambda known: self._send_step(moved, fields, batch, losses, values, gradients, after, known))

    def _send_step(self, moved, fields, batch, losses, values, gradients, after, known):
        if batch:
            taken = [digest.combine([known(p) for p in pieces]) for _source, pieces in batch]
            fields["batch"] = {
                "count": len(batch),
                "digest": digest.combine(taken).hex(),
                "sources": [source for source, _pieces in batch],
                "parts": parts(taken, 1, 4),
            }
        else:
            fields["batch"] = None
        if losses:
            found = [known(p) for p in losses]
            fields["loss"] = {"count": len(found), "digest": digest.combine(found).hex(), "values": values}
        else:
            fields["loss"] = None
        for link, pieces in (("gradients", gradients), ("parameters", after)):
            if pieces is None:
                fields[link] = None
                fields[link + "_parts"] = ""
            else:
                found = [known(p) for p in pieces]
                fields[link] = digest.combine(found).hex()
                fields[link + "_parts"] = parts(found, moved.group, moved.width)
        self._session.send("step", fields)

    def _send_digest(self, kind, fields, moved, pieces):
        def send(known):
            found = [known(p) for p in pieces]
            fields["digest"] = digest.combine(found).hex()
            fields["parts"] = parts(found, moved.group, moved.width)
            self._session.send(kind, fields)

        self._when_known(pieces, send)

    def _when_known(self, pieces, send):
        """Calls ``send`` at once if all digests are here, else when the accelerator has delivered them: no waiting."""
        remote = [p for p in pieces if not isinstance(p, bytes)]
        if not remote and not self._deferred:
            send(_itself)
            return
        if not remote:
            self._deferred.append((None, None, None, send))
        else:
            torch = self._torch
            device = remote[0].device
            packed = torch.stack([p.to(device) for p in remote])
            event = None
            if device.type == "cuda":
                host = torch.empty(packed.shape, dtype=torch.int64, pin_memory=True)
                host.copy_(packed, non_blocking=True)
                event = torch.cuda.Event()
                event.record()
            else:
                host = packed.cpu()
            self._deferred.append((remote, host, event, send))
        self._drain(False)

    def _drain(self, wait):
        while self._deferred:
            remote, host, event, send = self._deferred[0]
            if event is not None and not event.query():
                if not wait:
                    return
                event.synchronize()
            self._deferred.pop(0)
            if remote is None:
                send(_itself)
                continue
            values = {id(p): (int(v) & (1 << 64) - 1).to_bytes(8, "little") for p, v in zip(remote, host.tolist())}
            send(lambda piece, values=values: piece if isinstance(piece, bytes) else values[id(piece)])

    # -- facts ------------------------------------------------------------------------------------------------

    def _describe(self, at):
        for kind, fields in facts_of(self._torch, at):
            self._session.send(kind, fields)

    def role(self):
        """What torch knows of this process's place among others."""
        found = self.loaders.role()
        self._note_rank()
        if self._rank is not None:
            found["rank"], found["world"] = self._rank
        return found

    def _note_rank(self):
        """Remembers the rank, which a program may give up before it ends."""
        distributed = self._torch.distributed
        if self._rank is None and distributed.is_available() and distributed.is_initialized():
            self._rank = (distributed.get_rank(), distributed.get_world_size())

    # -- the end ----------------------------------------------------------------------------------------------

    def _discarded(self, moved):
        self._session.guard("final", self._final, moved, "collected")

    def _final(self, moved, at):
        if moved.finished:
            return
        moved.finished = True
        tensors = moved.tensors()
        if not tensors:
            return
        with self._reader.quiet():
            pieces = self._reader.digests(tensors)
            kept = self._keep_parameters(moved, tensors)
        if pieces is not None:
            self._send_digest("final", {"optimizer": moved.index, "at": at, "kept": kept}, moved, pieces)

    def end(self):
        """Sends what is still owed: the last step by hand, final parameters, digests on accelerators, the switches."""
        self._complete_pending()
        for moved in sorted(self._order, key=lambda m: m.index):
            self._final(moved, "exit")
        self._drain(True)
        if self._described or self._session.kind == "exec":
            self._describe("exit")

    def in_child(self):
        """A forked child begins anew: what its parent moved is not its own until it moves it."""
        self._moved = {}
        self._order = []
        self._by_hand = None
        self._pending = None
        self._deferred = []
        self._described = False
        self._inside = False
        self._owner = None
        self._rank = None
        self._kept = 0
        self.window = self._session.digests_step(1)
        self._clear()
        self._set_hooks()


def _itself(piece):
    return piece


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
                        "capability": "sm_%d%d" % (properties.major, properties.minor),
                        "multiprocessors": properties.multi_processor_count,
                        "memory": properties.total_memory,
                    },
                )
            )
    return found


def _plain(read):
    # Newer versions refuse the old names where the new ones were used.
    try:
        return read()
    except RuntimeError as error:
        return "unreadable: %s" % str(error)[:80]
