"""Starts the probe in a new interpreter: handshake, import hooks, forks, exit."""

import atexit
import json
import os
import sys

from . import facts
from .session import Session

_session = None
_exit = os._exit


def start():
    """Sends the handshake, watches the outside world, and waits for the random streams' modules to be imported."""
    global _session
    if _session is not None or facts.is_helper():
        return
    with open(os.environ["_AUDITOR_PROBE"], encoding="utf-8") as file:
        config = json.load(file)
    _session = Session(config)
    atexit.register(_session.end, "exit")
    if config.get("interventions"):
        _session.guard("interventions", _intervene, _session)
    sys.meta_path.insert(0, _Finder(_session))
    os.register_at_fork(before=_session.before_fork, after_in_child=_in_child)
    _session.guard("watch", _begin_watching, _session)
    if config.get("draws"):
        _session.guard("draws", _follow_draws, _session)
    if config.get("capture"):
        _session.guard("capture", _capture, _session, config["capture"])


def _in_child():
    _session.guard("fork", _session.in_child)


def _intervene(session):
    from .interventions import Interventions

    session.interventions = Interventions(session)
    session.interventions.begin()
    _HOOKS.update(session.interventions.hooks())


def _follow_draws(session):
    from .draws import Draws

    session.watch_streams()
    session.draws = Draws(session)
    session.draws.watch()


def _capture(session, window):
    from .capture import Capture

    session.capture = Capture(session, window)
    session.capture.begin()


def _exit_watched(status):
    """Closes the trace first: multiprocessing's children, and programs in a hurry, end this way."""
    _session.end("os._exit")
    _exit(status)


def _begin_watching(session):
    """Watches the interpreter's own doors, which stand open to programs of the standard library alone.

    No module is imported for it that the interpreter has not: a user's file may be named like one.
    """
    global _exit
    _exit = os._exit
    os._exit = _exit_watched
    session.watch()
    if "random" in sys.modules:
        session.watch_streams()


def _random(session, module):
    if hasattr(module, "_inst"):  # not somebody's own module of that name
        session.watch_streams()


def _numpy_random(session, module):
    session.watch_streams()
    if session.interventions is not None:
        session.interventions.numpy_random(module)
    session.streams.watch_numpy(module)


def _torch(session, module):
    if not hasattr(module, "Tensor"):
        return  # somebody's own module of that name
    session.watch_streams()
    if session.interventions is not None:
        session.interventions.torch(module)
    from .steps import TorchWatch

    session.torch_watch = TorchWatch(session, module)


_HOOKS = {"random": _random, "numpy.random": _numpy_random, "torch": _torch}


class _Finder:
    """Runs a hook right after one of the modules in ``_HOOKS`` was executed; finds nothing itself.

    Where the user's lines are followed, it lets that rest while a library is imported.
    """

    def __init__(self, session):
        self._session = session
        self._pending = dict(_HOOKS)
        if "random" in sys.modules:
            del self._pending["random"]  # watched already

    def find_spec(self, name, path=None, target=None):
        session = self._session
        if session.streams is not None:
            session.guard_value("import", None, session.streams.at_import, sys._getframe(1))
        if session.interventions is not None:
            session.interventions.before_import(name)
        hook = self._pending.get(name)
        if hook is None and not session.is_following():
            return None
        spec = None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return spec
        loader = spec.loader
        if hook is None and (isinstance(loader, type) or not self._is_library(spec)):
            return spec
        execute = loader.exec_module

        def exec_module(module):
            # The instance's attribute hid the class's method: the loader is as it was from here on.
            del loader.exec_module
            # Of what a library does while it is imported no line is the user's.
            resting = session.is_following() and session.follower().pause()
            try:
                execute(module)
            finally:
                if resting:
                    session.follower().resume()
            if hook is None:
                return
            self._pending.pop(name, None)
            session.guard("import of " + name, hook, session, module)
            if not (self._pending or session.draws or session.capture) and self in sys.meta_path:
                sys.meta_path.remove(self)

        try:
            loader.exec_module = exec_module
        except AttributeError as error:
            if hook is not None:
                session.fault("import of " + name, error)
        return spec

    def _is_library(self, spec):
        return bool(spec.has_location and spec.origin) and self._session.places.kind(spec.origin) != "user"
