"""Follows DataLoaders: how they were made, what they yield, and what randomness their workers begin and end with."""

import inspect
import sys

from .moved import ByIdentity
from .streams import held_by
from .tensors import tensors_in

MAXIMUM_RECORDS = 64


class Loaders:
    """Watches ``torch.utils.data.DataLoader``."""

    def __init__(self, session, torch, watch):
        self._session = session
        self._torch = torch
        self._watch = watch
        self._made = 0
        self._numbers = ByIdentity()
        self._worker = None

    def patch(self):
        """Patches the DataLoader, its iterators and the loop that its workers run."""
        data = self._torch.utils.data
        dataloader = sys.modules["torch.utils.data.dataloader"]
        worker = sys.modules["torch.utils.data._utils.worker"]
        self._patch_constructor(data.DataLoader)
        self._patch_iterators(dataloader)
        self._patch_worker_loop(worker)

    def _patch_constructor(self, loader_class):
        original = loader_class.__init__
        loaders = self

        def __init__(self, *args, **kwargs):
            original(self, *args, **kwargs)
            loaders._session.guard("DataLoader", loaders._note, self, sys._getframe(1))

        self._session.imitate(__init__, original)
        loader_class.__init__ = __init__

    def _note(self, loader, frame):
        index = self._made
        self._made += 1
        self._numbers.set(loader, index)
        if index >= MAXIMUM_RECORDS:
            return
        sampler = getattr(loader, "sampler", None)
        self._session.send(
            "loader",
            {
                "index": index,
                "workers": int(loader.num_workers),
                "batch_size": loader.batch_size if isinstance(loader.batch_size, int) else None,
                "sampler": type(sampler).__name__,
                "generator": loader.generator is not None,
                "worker_init_fn": loader.worker_init_fn is not None,
                "persistent": bool(getattr(loader, "persistent_workers", False)),
                "place": self._session.places.find(frame)[0],
            },
        )

    def _patch_iterators(self, dataloader):
        base = dataloader._BaseDataLoaderIter
        original_init = base.__init__
        original_next = base.__next__
        loaders = self
        numbers = ByIdentity()
        watch = self._watch
        grad_enabled = self._torch.is_grad_enabled

        def __init__(self, loader, *args, **kwargs):
            number = loaders._numbers.get(loader)
            numbers.set(self, number)
            loaders._session.loader_now = number
            original_init(self, loader, *args, **kwargs)

        def __next__(self):
            data = original_next(self)
            if watch.window and watch._capturing and grad_enabled():
                watch._session.guard("batch", loaders._take, numbers.get(self), data)
            return data

        self._session.imitate(__init__, original_init)
        self._session.imitate(__next__, original_next)
        base.__init__ = __init__
        base.__next__ = __next__

    def _take(self, number, data):
        found = tensors_in(data, self._torch, [])
        if found:
            self._watch.take_batch("loader %s" % ("?" if number is None else number), found)

    def _patch_worker_loop(self, worker):
        original = worker._worker_loop
        signature = inspect.signature(original)
        loaders = self

        def _worker_loop(*args, **kwargs):
            bound = signature.bind(*args, **kwargs).arguments
            dataset = bound.get("dataset")
            number = bound.get("worker_id", 0)
            total = bound.get("num_workers", 0)
            session = loaders._session
            loaders._worker = (session.loader_now, number)
            session.guard("worker", session.tell_role)
            session.streams.telling = False
            if session.capture is not None:
                session.guard("capture", session.capture.in_worker)
            bound["init_fn"] = loaders._after(bound.get("init_fn"), dataset, number, total)
            try:
                return original(**bound)
            finally:
                session.guard("worker", loaders._tell, "end", dataset, number, total)

        self._session.imitate(_worker_loop, original)
        worker._worker_loop = _worker_loop

    def _after(self, init_fn, dataset, number, total):
        """The program's ``worker_init_fn`` (or none), and then the state that the worker starts with: torch has seeded
        it by then."""

        def initialised(worker_id):
            self._session.streams.telling = True
            if init_fn is not None:
                init_fn(worker_id)
            if self._session.interventions is not None:
                self._session.interventions.in_worker(dataset, number)
            self._session.guard("worker", self._tell, "start", dataset, number, total)

        return initialised

    def _tell(self, at, dataset, number, total):
        session = self._session
        session.send(
            "worker",
            {
                "at": at,
                "loader": -1 if session.loader_now is None else session.loader_now,
                "worker": number,
                "workers": total,
                "streams": session.streams.states(),
                "held": held_by(dataset),
            },
        )

    def role(self):
        """The worker's number and its loader's, where this process is a worker."""
        found = {}
        if self._worker is not None:
            found["loader"], found["worker"] = self._worker
        return found
