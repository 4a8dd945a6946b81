"""Follows training in torch: what goes into the model, the loss, and what each step does to the parameters."""

import threading

from . import digest
from .loaders import Loaders
from .moved import Movements
from .outbox import Outbox
from .tensors import Reader, parts, scalar_text, tensors_in
from .torch_facts import facts_of

_ident = threading.get_ident
MAXIMUM_BATCHES = 16
MAXIMUM_LOSS_VALUES = 4
MAXIMUM_GRAPH = 200_000


class TorchWatch:
    """Everything that is watched in torch, in one process."""

    def __init__(self, session, torch):
        self._session = session
        self._torch = torch
        self._reader = Reader(torch)
        self._outbox = Outbox(torch)
        self.movements = Movements(session, torch, self._reader, self._outbox)
        self._inside = False
        # One thread's steps are followed. What others do meanwhile has no place in its order; the parameters that they
        # move are digested at the end.
        self._owner = None
        self._early = {}
        self._unordered = False
        self._any_made = False
        self._since_step = 0  # backward calls
        self._most_per_step = 1
        self._compiled = False
        self._modules = torch.nn.modules.module
        self._before = self._after = None  # handles of the hooks
        self._by_hand = None
        self._pending = None
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
        if session.capture is not None:
            session.guard("capture", session.capture.torch_ready, torch, self)

    # -- patches ----------------------------------------------------------------------------------------------

    def _patch(self):
        torch = self._torch
        session = self._session
        self._patch_optimizers(torch.optim.Optimizer)
        self._patch_backward(torch.autograd)
        # parameters() asks named_parameters() in its turn.
        self._patch_naming(torch.nn.Module, "named_parameters")
        compile_ = getattr(torch, "compile", None)
        if compile_ is not None:

            def compile(*args, **kwargs):
                # Hooks on modules would break or re-trigger a compiled graph: from here on none are set.
                self._compiled = True
                session.guard("compile", self._set_hooks)
                result = compile_(*args, **kwargs)
                if session.capture is not None:
                    model = args[0] if args else kwargs.get("model")
                    result = session.guard_value("compile", result, session.capture.compiled, result, model)
                return result

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
        self.movements.number(optimizer)
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
            watch.movements.note_root(self)
            return original(self, *args, **kwargs)

        self._session.imitate(named, original)
        setattr(module_class, name, named)

    # -- hooks while a step is digested ------------------------------------------------------------------------

    def _set_hooks(self):
        wanted = self.window and not self._compiled
        if wanted == (self._before is not None):
            return
        if wanted:
            self._before = self._modules.register_module_forward_pre_hook(self._before_forward)
        else:
            self._before.remove()
            self._before = None

    def _before_forward(self, module, inputs):
        # Called for every module, in a long rollout without gradients too: this question first.
        if not self._grad_enabled() or not inputs or not self._capturing or _ident() in self._inside_of:
            return
        self._session.guard("batch", self._take_inputs, module, inputs)
        if self._after is None and self._inside_of:
            self._after = self._modules.register_module_forward_hook(self._after_forward)

    def _after_forward(self, module, inputs, output):
        if self._inside_of.get(_ident()) is module:
            del self._inside_of[_ident()]
        if not self._inside_of and self._after is not None:
            self._after.remove()
            self._after = None

    def _take_inputs(self, module, inputs):
        if isinstance(module, self._torch.jit.ScriptModule):
            return
        found = tensors_in(inputs, self._torch, [])
        if found:
            self._inside_of[_ident()] = module
            self.take_batch(type(module).__name__, found)

    def take_batch(self, source, found):
        """Adds the digests of what goes into the model to the batch of the step that is under way."""
        if self._owner is None:
            # Which thread trains is not known yet: each one's inputs are set aside until one of them does.
            batch = self._early.setdefault(_ident(), [])
        elif self._owner == _ident():
            batch = self._batch
        else:
            return
        if len(batch) >= MAXIMUM_BATCHES:
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
        batch.append((source, pieces))

    def _clear(self):
        self._batch = []
        self._losses = []
        self._loss_values = []
        self._gradients = None
        self._kept_gradients = None
        self._moving = None  # what the step that is under way moves, and its tensors
        self._inside_of = {}
        self._capturing = True

    # -- threads ----------------------------------------------------------------------------------------------

    def _claim(self):
        """Whether the calling thread is the one whose steps are followed; the first to train is, while it lives."""
        ident = _ident()
        if ident == self._owner:
            return True
        if self._owner is None or self._owner not in threading._active:
            if self._owner is None:
                self._session.prepared = self._session.spent
            self._batch = self._early.pop(ident, []) if self._owner is None else []
            self._early = {}
            self._owner = ident
            return True
        return False

    def _several_threads(self):
        if not self._unordered:
            self._unordered = True
            self._session.send("unordered", {"threads": threading.active_count()})

    # -- backward ---------------------------------------------------------------------------------------------

    def _around_backward(self, original, tensors, args, kwargs):
        session = self._session
        if not self._claim():
            return original(tensors, *args, **kwargs)
        session.backwards += 1
        self._since_step += 1
        by_hand = not self._any_made
        if by_hand:
            session.guard("step by hand", self._before_hand, tensors)
        if self.window:
            session.guard("loss", self._take_loss, tensors)
            self._capturing = False
        result = original(tensors, *args, **kwargs)
        if self.window:
            self._capturing = True
            self._inside_of = {}
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
        if leaves is None and (self.window or self._pending is not None):
            leaves = self._leaves_of(tensors)
        # The parameters that the step before led to are complete only now that the next one begins.
        self._complete_pending(leaves)
        session.step += 1
        if not self.window:
            return
        self._describe_once()
        self._by_hand = self.movements.by_hand(self._by_hand, list(leaves))

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

    def _complete_pending(self, leaves=()):
        if self._pending is None:
            return
        number, batch, losses, values, gradients = self._pending
        self._pending = None
        moved = self._by_hand
        after = self.movements.after_hand(moved, leaves)
        self._emit(moved, number, batch, losses, values, gradients, after, None)

    def _emit_leftover(self):
        """Losses after the last step: the rest of an accumulation, or training by hand beside an optimizer."""
        if not self._any_made:
            return
        if self._losses:
            losses, values = self._losses, self._loss_values
            self._emit(None, self._session.step + 1, self._batch, losses, values, None, None, None)
        elif self._since_step > 8 * self._most_per_step:
            what = f"what {self._since_step} backward calls led to, which no optimizer's step followed,"
            self._session.send("unseen", {"what": what, "step": self._session.step})

    # -- optimizer steps --------------------------------------------------------------------------------------

    def _around_step(self, step, optimizer, args, kwargs):
        session = self._session
        if not self.movements.stepped(optimizer):
            session.guard("parameters", self._introduce, optimizer)
            self.movements.stepped(optimizer)
        if not self._claim():
            session.guard("threads", self._several_threads)
            try:
                return step(optimizer, *args, **kwargs)
            finally:
                self.movements.stepped(optimizer)
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
                    watched = self._watch_closure(optimizer, closure)
                    if args:
                        args = (watched, *args[1:])
                    else:
                        kwargs = dict(kwargs, closure=watched)
            result = step(optimizer, *args, **kwargs)
            if window:
                session.guard("parameters", self._take_parameters, optimizer)
        finally:
            self._inside = False
            self.movements.stepped(optimizer)
        self._finish_step()
        return result

    def _introduce(self, optimizer):
        self._describe_once()
        self.movements.of(optimizer)

    def _watch_closure(self, optimizer, closure):
        def watched():
            result = closure()
            self._session.guard("gradients", self._take_gradients, optimizer)
            return result

        return watched

    def _take_gradients(self, optimizer):
        moved, tensors = self._moving = self.movements.of(optimizer)
        with self._reader.quiet():
            gradients = [t.grad for t in tensors[: moved.parameters]]
            self._gradients = self._reader.digests(gradients)
            self._kept_gradients = self.movements.copy_gradients(moved, gradients, self._session.step)

    def _take_parameters(self, optimizer):
        moved, tensors = self._moving or self.movements.of(optimizer)
        self._moving = None
        kept = None
        with self._reader.quiet():
            after = self._reader.digests(tensors)
            if self._kept_gradients is not None:
                kept = self.movements.keep_step(moved, self._kept_gradients, tensors)
        self._kept_gradients = None
        self._emit(
            moved, self._session.step, self._batch, self._losses, self._loss_values, self._gradients, after, kept
        )

    def _finish_step(self):
        session = self._session
        number = session.step
        if session.capture is not None:
            session.guard("capture", session.capture.stepped, number)
        limit = session.config.get("steps")
        if limit is not None and number >= limit:
            session.guard("end", self._complete_pending)
            session.stop("steps")
        self._most_per_step = max(self._most_per_step, self._since_step)
        self._since_step = 0
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
            "optimizer": -1 if moved is None else moved.index,
            "streams": session.streams.states(),
            "ns": session.channel.elapsed(),
            "kept": kept,
        }
        waiting = [p for _source, pieces in batch for p in pieces] + losses + (gradients or []) + (after or [])
        waiting += [v for v in values if not isinstance(v, str)]
        self._outbox.post(
            waiting, lambda known: self._send_step(moved, fields, batch, losses, values, gradients, after, known)
        )

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
            shown = [v if isinstance(v, str) else scalar_text(known(v)) for v in values]
            fields["loss"] = {"count": len(found), "digest": digest.combine(found).hex(), "values": shown}
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

    # -- facts ------------------------------------------------------------------------------------------------

    def _describe_once(self):
        """Sends what torch is like at the first step."""
        self._note_rank()
        if not self._described:
            self._described = True
            self._session.tell_role()
            self._describe("step")

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

    def end(self):
        """Sends what is still owed: the last step by hand, final parameters, digests on accelerators, the switches."""
        self._complete_pending()
        self._emit_leftover()
        self.movements.end()
        self._outbox.drain(True)
        if self._reader.unreadable:
            what = f"tensors that have no memory of their own ({', '.join(sorted(self._reader.unreadable))})"
            self._session.send("unseen", {"what": what, "step": self._session.step})
        if self._described or self._session.kind == "exec":
            self._describe("exit")

    def in_child(self):
        """A forked child begins anew."""
        self.movements.forget()
        self._outbox.in_child()
        self._by_hand = None
        self._pending = None
        self._described = False
        self._inside = False
        self._owner = None
        self._early = {}
        self._rank = None
        self.window = self._session.digests_step(1)
        self._clear()
        self._set_hooks()
