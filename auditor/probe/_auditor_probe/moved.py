"""The parameters that training moves: which they are, what they are called, how they began and ended."""

import gc
import weakref

from . import digest
from .tensors import block, parts, shape_of_parts

MAXIMUM_ROOTS = 64
# Values are kept beside the trace while they are small, so that a difference can be told in numbers (bytes).
KEEP_STEP = 1 << 18
KEEP_ONCE = 1 << 24
KEEP_TOTAL = 1 << 25
# Buffers are held until their optimizer is gone while they are small: their module is often gone first (bytes).
HOLD_BUFFERS = 1 << 22
# Larger models are not read each time that Python collects garbage (bytes).
READ_AT_COLLECTION = 1 << 26


class Moved:
    """What one optimizer's training moves: its parameters, then the buffers of the modules that they belong to.

    For steps by hand: the leaves of the graph.
    """

    def __init__(self, index, kind, optimizer):
        self.index = index
        self.kind = kind
        self.optimizer = weakref.ref(optimizer) if optimizer is not None else _nothing
        self.count = -1
        self.parameters = 0  # how many of the tensors are parameters: they come first
        self.roots = ()  # weak references to the modules
        self.group = 1
        self.width = 4
        self.bytes = 0
        self.gradient_names = ()
        self.parameter_names = ()
        self.headers = {}
        self.members = ()  # weak references to the parameters, for when the optimizer is gone, or there is none
        # The dictionaries in which the modules keep their buffers: they outlive the modules, and hold a buffer that was
        # replaced as well as one that was updated.
        self.buffers = ()
        # Steps by hand: the leaves, held until the next backward, since a function that returns may drop them after its
        # last update; and their digests before it. Leaves that did not change were replaced, not updated.
        self.held = ()
        self.before = None
        self.stepped = 0
        self.superseded = False
        self.final = None  # (at, digests and values, steps by then)

    def tensors(self):
        """The parameters in the optimizer's order, and the buffers; empty once any of them is gone."""
        optimizer = self.optimizer()
        if optimizer is not None:
            found = [p for group in optimizer.param_groups for p in group["params"]]
            self.parameters = len(found)
            return found + self._buffers()
        found = [member() for member in self.members] + self._buffers()
        return found if len(found) == self.count and all(t is not None for t in found) else []

    def _buffers(self):
        roots = [reference() for reference in self.roots]
        if all(root is not None for root in roots):
            buffers = [buffer for root in roots for buffer in root.buffers()]
        else:
            buffers = [buffer for own in self.buffers for buffer in own.values() if buffer is not None]
        return list({id(buffer): buffer for buffer in buffers}.values())


def _nothing():
    return None


def _size(tensors):
    return sum(t.numel() * t.element_size() for t in tensors)


class ByIdentity:
    """Numbers of objects that need not be hashable, forgotten with them."""

    def __init__(self):
        self._numbers = {}

    def get(self, thing):
        """The number of ``thing``, or None."""
        return self._numbers.get(id(thing))

    def set(self, thing, number):
        """Remembers the number of ``thing`` for as long as it lives."""
        self._numbers[id(thing)] = number
        weakref.finalize(thing, self._numbers.pop, id(thing), None).atexit = False


class Movements:
    """Everything that is moved in one process."""

    def __init__(self, session, torch, reader, outbox):
        self._session = session
        self._torch = torch
        self._reader = reader
        self._outbox = outbox
        self._indices = ByIdentity()
        self._made = 0
        self._roots = []
        self._root_of = {}
        self.forget()
        gc.callbacks.append(self._before_collection)

    def forget(self):
        """Begins anew, in a forked child: what its parent moved is not its own until it moves it."""
        self._known = {}
        self._order = []
        self._kept = 0

    # -- who moves what ---------------------------------------------------------------------------------------

    def number(self, optimizer=None):
        """The optimizer's index, counted in the order in which they were made; a new one for what has no optimizer."""
        index = self._indices.get(optimizer) if optimizer is not None else None
        if index is None:
            index = self._made
            self._made += 1
            if optimizer is not None:
                self._indices.set(optimizer, index)
        return index

    def of(self, optimizer):
        """What this optimizer moves, introduced in the trace if it is new; and its parameters."""
        moved = self._known.get(id(optimizer))
        if moved is None or moved.optimizer() is not optimizer:
            moved = Moved(self.number(optimizer), type(optimizer).__name__, optimizer)
            self._known[id(optimizer)] = moved
            if self._order:
                self._read_final(self._order[-1], "replaced")
            self._order.append(moved)
            moved.roots = self._roots_of(moved.tensors())
            weakref.finalize(optimizer, self._discarded, moved).atexit = False
        tensors = moved.tensors()
        if len(tensors) != moved.count:
            self._introduce(moved, tensors)
        return moved, tensors

    def stepped(self, optimizer):
        """Counts the beginning or the end of a step of this optimizer; False where it was never introduced."""
        moved = self._known.get(id(optimizer))
        if moved is None or moved.optimizer() is not optimizer:
            return False
        moved.stepped += 1
        return True

    def by_hand(self, moved, leaves):
        """What a program moves itself: ``moved`` of the step before, or None, brought up to date."""
        if moved is None:
            moved = Moved(self.number(), "by-hand", None)
            self._order.append(moved)
        if len(leaves) != moved.count:
            self._introduce(moved, leaves)
        moved.members = [weakref.ref(leaf) for leaf in leaves]
        moved.held = leaves
        with self._reader.quiet():
            moved.before = self._reader.digests(leaves)
        moved.parameters = len(leaves)
        moved.stepped += 1
        return moved

    def after_hand(self, moved, leaves):
        """The digests of what a step by hand led to, or None; ``leaves`` are those of the next backward, if any."""
        with self._reader.quiet():
            after = self._reader.digests(moved.held)
            if after != moved.before:
                return after
            # An update that makes new tensors: they are the leaves of the next backward.
            return self._reader.digests(leaves) if leaves and len(leaves) == moved.count else None

    def note_root(self, module):
        """Remembers a module whose parameters the program asked for: it gives them their names."""
        # Called with every parameters(): a known module must cost one look-up.
        known = self._root_of.get(id(module))
        if (known is None or known() is not module) and len(self._roots) < MAXIMUM_ROOTS:
            known = self._root_of[id(module)] = weakref.ref(module)
            self._roots.append(known)

    def _roots_of(self, parameters):
        """The first module that holds all of these parameters; where none does, all that hold any."""
        addresses = {id(p) for p in parameters}
        some = []
        for reference in self._roots:
            root = reference()
            if root is None:
                continue
            own = {id(p) for _name, p in self._torch.nn.Module.named_parameters.__wrapped__(root)}
            if addresses <= own:
                return (reference,)
            if addresses & own:
                some.append(reference)
        return tuple(some)

    def _names(self, moved):
        names = {}
        # The module that holds them all first: an LSTM asks for its own parameters before the model it is part of does.
        for reference in (*moved.roots, *self._roots):
            module = reference()
            if module is not None:
                for name, parameter in self._torch.nn.Module.named_parameters.__wrapped__(module):
                    names.setdefault(id(parameter), name)
                for name, buffer in module.named_buffers():
                    names.setdefault(id(buffer), name)
        return names

    def _introduce(self, moved, tensors):
        """Sends the names and the initial values of what is about to be moved for the first time."""
        first = moved.count < 0
        moved.count = len(tensors)
        moved.group, moved.width = shape_of_parts(len(tensors))
        moved.members = [weakref.ref(t) for t in (tensors if moved.kind == "by-hand" else tensors[: moved.parameters])]
        moved.gradient_names = [f"g:{i}" for i in range(len(tensors))]
        moved.parameter_names = [f"p:{i}" for i in range(len(tensors))]
        moved.bytes = _size(tensors)
        moved.buffers = ()
        if moved.kind != "by-hand" and _size(tensors[moved.parameters :]) <= HOLD_BUFFERS:
            roots = [root for root in (reference() for reference in moved.roots) if root is not None]
            moved.buffers = [module._buffers for root in roots for module in root.modules()]
        self._supersede(moved, tensors)
        names = self._names(moved)
        unnamed = "leaf" if moved.kind == "by-hand" else "parameter"
        self._session.send(
            "optimizer",
            {
                "index": moved.index,
                "kind": moved.kind,
                "names": [names.get(id(t), f"{unnamed} {i}") for i, t in enumerate(tensors)],
                "shapes": [list(t.shape) for t in tensors],
                "dtypes": [str(t.dtype).rpartition(".")[2] for t in tensors],
                "groups": moved.group,
                "width": moved.width,
            },
        )
        if first:
            self._send("init", {}, moved, self._whole(moved, tensors))

    def _supersede(self, moved, tensors):
        """Marks optimizers whose parameters another now moves: when they are collected is the garbage collector's
        choice, and the parameters' end is told with those of their successor."""
        addresses = {id(t) for t in tensors}
        for older in self._order:
            if older is moved or older.superseded or not older.members:
                continue
            moving = older.tensors()
            older.superseded = bool(moving) and all(id(t) in addresses for t in moving)

    # -- how it ends ------------------------------------------------------------------------------------------

    def _discarded(self, moved):
        # A forked child may discard what its parent moved.
        if moved in self._order:
            self._session.guard("final", self._read_final, moved, "collected")
        moved.buffers = ()

    def _before_collection(self, phase, info):
        # Where a model and its optimizer are one cycle, the collector clears every reference to them before anything
        # else can look: what has stepped since it was last read is read before a full collection.
        if phase == "start" and info.get("generation") == 2 and self._order:
            moved = self._order[-1]
            unread = moved.final is None or moved.final[2] != moved.stepped
            if unread and moved.bytes <= READ_AT_COLLECTION:
                self._session.guard("final", self._read_final, moved, "collected", False)

    def _read_final(self, moved, at, keep=True):
        if not moved.superseded:
            tensors = moved.tensors()
            if moved.kind == "by-hand" and self.after_hand(moved, ()) is None:
                return
            if tensors:
                moved.final = (at, self._whole(moved, tensors, keep), moved.stepped)

    def end(self):
        """Sends the final digests of everything moved."""
        for moved in sorted(self._order, key=lambda m: m.index):
            self._read_final(moved, "exit")
            if moved.superseded:
                continue
            if moved.final is None or moved.final[2] != moved.stepped:
                what = f"the final parameters of optimizer {moved.index} ({moved.kind})"
                self._session.send("unseen", {"what": what, "step": self._session.step})
                continue
            at, found, _steps = moved.final
            self._send("final", {"at": at}, moved, found)

    def _whole(self, moved, tensors, keep=True):
        """(digests, where the values were kept or None) of all parameters."""
        with self._reader.quiet():
            pieces = self._reader.digests(tensors)
            kept = None
            if keep and moved.bytes <= KEEP_ONCE and self._kept + moved.bytes <= KEEP_TOTAL + 2 * KEEP_ONCE:
                values = block(list(zip(moved.parameter_names, tensors)), self._reader, moved.headers)
                kept = None if values is None else self._keep([values])
        return pieces, kept

    def _send(self, kind, fields, moved, found):
        pieces, kept = found

        def send(known):
            here = [known(p) for p in pieces]
            digests = {"digest": digest.combine(here).hex(), "parts": parts(here, moved.group, moved.width)}
            self._session.send(kind, dict(fields, optimizer=moved.index, kept=kept, **digests))

        self._outbox.post(pieces, send)

    # -- values -----------------------------------------------------------------------------------------------

    def copy_gradients(self, moved, gradients, number):
        """A block of the gradients' values if this step's are to be kept, else None."""
        limit = KEEP_ONCE if number == 1 else KEEP_STEP
        if moved.bytes * 2 > limit or self._kept + moved.bytes * 2 > KEEP_TOTAL:
            return None
        named = [(name, g) for name, g in zip(moved.gradient_names, gradients) if g is not None]
        return block(named, self._reader, moved.headers)

    def keep_step(self, moved, gradients, tensors):
        """Keeps a step's values (``gradients`` a block from :meth:`copy_gradients`); returns where, or None."""
        values = block(list(zip(moved.parameter_names, tensors)), self._reader, moved.headers)
        return None if values is None else self._keep([gradients, values])

    def _keep(self, blocks):
        places = self._session.channel.keep(blocks)
        if places is not None:
            self._kept += sum(size for _buffers, size in blocks)
        return places
