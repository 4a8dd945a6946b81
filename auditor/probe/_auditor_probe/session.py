"""The state of the probe in one process: its channel, its budget, and what keeps its faults from the user's code."""

import json
import os
import sys
import time

from . import facts, objects, sources
from .channel import Channel, Places
from .gaps import Gaps
from .reads import Reads

_perf = time.perf_counter_ns
_spent = time.thread_time_ns
_exit = os._exit

# What the probe may spend on digests: a start, so that short programs are seen whole, and a share of the time that
# passes. Counted in the thread's processor time: on a busy machine a short program is seen as whole as on an idle one.
ALLOWANCE_NS = 40_000_000
SHARE = 0.002
MAXIMUM_FAULTS = 20


class Session:
    """One audited process."""

    def __init__(self, config, kind="exec", parent=None, child=None):
        self.config = config
        self.kind = kind
        # A forked child was started by the same command; to ask again would copy pages that it shares with its parent.
        self.label = facts.label() if kind == "exec" else self.label
        self.channel = Channel(config["trace"], config.get("tensors"))
        self.send = self.channel.send
        self.step = 0
        self.backwards = 0
        self.digested = 0
        self.spent = 0
        self.prepared = 0  # of what was spent, before training began
        self.forks = 0
        self.ended = False
        self._faults = 0
        self._described = False
        self.send("hello", facts.hello(kind, self.label, parent, child))
        if kind == "exec":
            self.loader_now = None  # the number of the DataLoader whose workers are being started
            self.places = Places(config["project"])
            self.streams = None
            self.entropy = None
            self.torch_watch = None
            self.reads = None
            self.draws = None
            self._follower = None
            self.interventions = None
            self.capture = None
            self._planned = _read_plan(config.get("plan"), self.label)
            if config.get("audit_started_ns"):
                began = config.get("run_started_ns") or 0
                self.reads = Reads(config["project"], began)
                Gaps(self, config["audit_started_ns"], began, self.reads).watch()
        elif self.reads is not None:
            self.reads.forget()

    # -- guard ------------------------------------------------------------------------------------------------

    def guard(self, where, function, *args):
        """Calls ``function``, on the probe's account; its exception becomes a fault in the trace. Returns its value."""
        began = _spent()
        try:
            return function(*args)
        except Exception as error:
            if _from_signal(error):
                raise
            self.fault(where, error)
            return None
        finally:
            self.spent += _spent() - began

    def guard_value(self, where, default, function, *args):
        """Like :meth:`guard`, but gives ``default`` where the probe fails."""
        try:
            return function(*args)
        except Exception as error:
            self.failed(where, error)
            return default

    def failed(self, where, error):
        """Records the exception that is being handled as the probe's own failure; the program's own goes on."""
        if _from_signal(error):
            raise error
        self.fault(where, error)

    def fault(self, where, error):
        """Records a failure of the probe itself."""
        self._faults += 1
        if self._faults <= MAXIMUM_FAULTS:
            text = f"{type(error).__name__}: {str(error)[:300]}"
            self.send("fault", {"where": where, "error": text, "step": self.step})
        if os.environ.get("_AUDITOR_PROBE_DEBUG"):
            import traceback

            traceback.print_exc()

    def imitate(self, replacement, original):
        """Makes a Python function look like the one that it replaces."""
        from functools import update_wrapper

        update_wrapper(replacement, original)
        replacement._auditor = True
        # TorchScript knows its built-in functions by identity.
        builtins = sys.modules.get("torch.jit._builtins")
        for function, name in list(getattr(builtins, "_builtin_ops", ())):
            if function is original:
                builtins._builtin_ops.append((replacement, name))
                if builtins._builtin_table is not None:
                    builtins._builtin_table[id(replacement)] = name

    # -- budget -----------------------------------------------------------------------------------------------

    def digests_step(self, n):
        """Whether step ``n`` is digested: as the first run did, or else while the budget lasts."""
        if self._planned is not None:
            return n in self._planned
        return n <= 2 or self.spent - self.prepared < ALLOWANCE_NS + SHARE * (_perf() - self.channel.began)

    # -- watching ---------------------------------------------------------------------------------------------

    def watch(self):
        """Begins to watch reads of the outside world."""
        from .entropy import Entropy

        sorted_ = self.interventions is not None and "sort-listings" in self.interventions.factors
        self.entropy = Entropy(self, self.config.get("directory_order") and not sorted_)
        self.entropy.watch()

    def watch_streams(self):
        """Begins to watch the random streams, if it has not begun; Python's ``random`` is there by now."""
        if self.streams is not None:
            return
        from .streams import Streams

        self.streams = Streams(self)
        self.streams.watch_python()
        # Registered after what random registered itself: it seeds its stream from the system's entropy in each fork.
        os.register_at_fork(after_in_child=self.streams.in_child)
        self.entropy.watch_random()
        self.describe()

    def follower(self):
        """What follows the user's lines; made when it is asked for."""
        if self._follower is None:
            from .follow import Follower

            self._follower = Follower(self)
        return self._follower

    def is_following(self):
        """Whether the user's lines are followed in this thread just now."""
        return self._follower is not None and self._follower.is_following()

    # -- life -------------------------------------------------------------------------------------------------

    def describe(self):
        """Sends the facts about this interpreter, once."""
        if not self._described:
            self._described = True
            self.send("environment", dict(facts.environment(), ns=self.channel.elapsed()))

    def end(self, why):
        """Closes the trace; only the first call counts."""
        if self.ended:
            return
        self.ended = True
        if self.capture is not None:
            self.guard("capture", self.capture.close)
        self.guard("environment", self.describe)
        if self.torch_watch is not None:
            self.guard("end of torch", self.torch_watch.end)
        self.guard("role", self.tell_role)
        self.guard("streams", self._streams)
        self.guard("libraries", self._libraries)
        if self.kind == "exec":
            self.guard("sources", lambda: self.send("sources", sources.imported(self.places)))
        self.send(
            "end",
            {
                "why": why,
                "steps": self.step,
                "backwards": self.backwards,
                "digested": self.digested,
                "probe_ns": self.spent,
                "ns": self.channel.elapsed(),
            },
        )

    def tell_role(self):
        """Sends this process's place among others, as far as it is known by now."""
        role = {"rank": None, "world": None, "worker": None, "loader": None, "process": None}
        multiprocessing = sys.modules.get("multiprocessing.process")
        if multiprocessing is not None:
            name = multiprocessing.current_process().name
            role["process"] = None if name == "MainProcess" else name
        if self.torch_watch is not None:
            role.update(self.torch_watch.role())
        self.send("role", role)

    def _streams(self):
        if self.streams is None:
            return
        states = self.streams.states()
        drawn = self.streams.drawn(states)
        self.send("streams", {"states": states, "drawn": drawn, "began": self.streams.began(drawn)})

    def _libraries(self):
        """Sends what was read and mapped; a forked child has its parent's libraries."""
        libraries, others = objects.mapped() if self.kind == "exec" else ([], [])
        if self.reads is not None:
            # What a library mapped without the interpreter's doing was read too. Told before anything is read here.
            self.reads.note_mapped(others)
            self.send("data", self.reads.told())
        if self.kind == "exec":
            builds = objects.builds(libraries)
            self.send("libraries", {"mapped": [objects.shown(path) for path in libraries], "builds": builds})
            if "numpy" in sys.modules or "torch" in sys.modules:
                self.guard("numerics", self._numerics, libraries)

    def _numerics(self, libraries):
        from . import numerics

        self.send("numerics", numerics.described(libraries))

    def stop(self, why):
        """Ends the whole process on purpose, as if the program had ended well."""
        children = sys.modules.get("multiprocessing.process")
        if children is not None:
            for child in children.active_children():
                child.terminate()
        self.end(why)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        _exit(0)

    # -- forks ------------------------------------------------------------------------------------------------

    def before_fork(self):
        """Numbers the children, in the parent."""
        self.forks += 1

    def in_child(self):
        """Begins a trace of its own in a forked child."""
        parent = self.channel.file
        child = self.forks
        self.channel.release()
        Session.__init__(self, self.config, "fork", parent, child)
        self._described = True
        if self.torch_watch is not None:
            self.torch_watch.in_child()
        if self.interventions is not None:
            self.interventions.in_child(child)
        if self._follower is not None:
            self._follower.in_child()
        if self.draws is not None:
            self.draws.in_child()
        if self.capture is not None:
            self.capture.in_child()
        # Told at once: a pool ends its workers as soon as it needs them no more.
        name = _name_of_child(sys._getframe(1))
        if name is not None:
            self.send("role", {"rank": None, "world": None, "worker": None, "loader": None, "process": name})


def _name_of_child(frame):
    """What multiprocessing will call this forked child, by the frame that forked it; None where something else did."""
    for _ in range(6):
        if frame is None:
            return None
        if frame.f_code.co_name == "_launch" and "process_obj" in frame.f_locals:
            name = getattr(frame.f_locals["process_obj"], "name", None)
            return name if isinstance(name, str) else None
        frame = frame.f_back
    return None


def _from_signal(error):
    """Whether this is the program's own exception, raised by a signal handler that ran while the probe did."""
    module = sys.modules.get("signal")
    if module is None:
        return False
    handlers = [module.getsignal(number) for number in module.valid_signals()]
    codes = {getattr(getattr(h, "__func__", h), "__code__", None) for h in handlers} - {None}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        trace = trace.tb_next
    return False


def _read_plan(path, label):
    if not path:
        return None
    with open(path, encoding="utf-8") as file:
        planned = json.load(file)["labels"].get(label)
    return None if planned is None else frozenset(planned)
