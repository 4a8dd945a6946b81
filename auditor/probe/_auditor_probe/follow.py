"""Follows the user's own lines as they are executed, in every thread; gives way to another tool that does the same."""

import sys
import threading

_ident = threading.get_ident


class Followed:
    """What one thread is doing: the user's frames that are running in it, outermost first."""

    __slots__ = ("name", "number", "stack")

    def __init__(self, name):
        self.name = name
        self.stack = []
        self.number = None  # the thread's in a recording


class Running:
    """One running frame of the user's: the line under way, and how much had been recorded when it began."""

    __slots__ = ("began", "code", "frame", "line")

    def __init__(self, frame):
        self.frame = frame
        self.code = frame.f_code
        self.line = None
        self.began = 0


class Watcher:
    """What is told of the user's lines."""

    def called(self, thread, running):
        """A frame of the user's begins; the one that called it, if any, is still on top of ``thread.stack``."""

    def begins(self, thread, running):
        """The line ``running.line`` begins."""

    def done(self, thread, running, returns, value):
        """The line ``running.line`` has ended; with ``returns`` its frame ends or yields ``value``."""


class Follower:
    """A trace function (``sys.settrace``) that asks only the user's own frames for their lines."""

    def __init__(self, session):
        self._session = session
        self._kinds = {}
        self._threads = {}
        self._watchers = ()
        # One object each: a bound method is made anew with every look at it.
        self._function = self._enter
        self._local = self._within

    # -- beginning and end ------------------------------------------------------------------------------------

    def add(self, watcher):
        """Tells ``watcher`` of this thread, and of those that start from now on; False where another tool traces."""
        if not self._watchers:
            if sys.gettrace() is not None:
                return False
            threading.settrace(self._function)
            self._watchers = (watcher,)
            self._adopt(sys._getframe(1))
            sys.settrace(self._function)
        elif watcher not in self._watchers:
            self._watchers += (watcher,)
        return True

    def remove(self, watcher):
        """Tells ``watcher`` no more; a trace function that the program set meanwhile stays."""
        self._watchers = tuple([known for known in self._watchers if known is not watcher])
        if self._watchers:
            return
        if threading._trace_hook is self._function:
            threading.settrace(None)
        if sys.gettrace() is self._function:
            sys.settrace(None)
        self._threads = {}

    def is_following(self):
        """Whether this thread is followed just now."""
        return sys.gettrace() is self._function

    def pause(self):
        """Stops following this thread for a while; False where it is not followed."""
        if not self.is_following():
            return False
        sys.settrace(None)
        return True

    def resume(self):
        """Goes on where :meth:`pause` stopped."""
        if self._watchers and sys.gettrace() is None:
            sys.settrace(self._function)

    def in_child(self):
        """In a forked child only the thread that forked goes on."""
        mine = self._threads.get(_ident())
        self._threads = {} if mine is None else {_ident(): mine}

    def renumber(self):
        """Forgets the numbers that threads have in a recording: another begins."""
        for thread in list(self._threads.values()):
            thread.number = None

    def is_user(self, frame):
        """Whether a frame runs the user's own code, by the file that holds it."""
        name = frame.f_code.co_filename
        if name in ("<string>", "<stdin>"):
            # The program itself, or what a library has made of a text.
            return self._session.label == "-c" and frame.f_globals.get("__name__") == "__main__"
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = self._session.places.kind(name) == "user"
        return kind

    def _adopt(self, frame):
        """Takes up the frames that run already: those of the user are asked for their lines from here on."""
        thread = self._thread()
        frames = []
        while frame is not None:
            if self.is_user(frame):
                frames.append(frame)
            frame = frame.f_back
        for found in reversed(frames):
            running = Running(found)
            running.line = found.f_lineno
            thread.stack.append(running)
            found.f_trace = self._local

    def _thread(self):
        ident = _ident()
        known = threading._active.get(ident)
        name = "" if known is None else known.name
        found = self._threads.get(ident)
        # The number of a thread that has ended may be another's by now.
        if found is None or found.name != name:
            found = self._threads[ident] = Followed(name)
        return found

    # -- the trace functions ----------------------------------------------------------------------------------

    def _enter(self, frame, event, arg):
        kind = self._kinds.get(frame.f_code.co_filename)
        if kind is None:
            kind = self.is_user(frame)
        if not kind:
            return None
        watchers = self._watchers
        if not watchers:
            sys.settrace(None)  # in a thread that started while it was followed
            return None
        try:
            thread = self._threads.get(_ident())
            if thread is None or not thread.stack:
                thread = self._thread()
            running = Running(frame)
            for watcher in watchers:
                watcher.called(thread, running)
            thread.stack.append(running)
        except Exception as error:
            self._session.failed("following lines", error)
        return self._local

    def _within(self, frame, event, arg):
        watchers = self._watchers
        if not watchers:
            return None
        try:
            thread = self._threads.get(_ident())
            if thread is None:
                thread = self._thread()
            stack = thread.stack
            if not stack or stack[-1].frame is not frame:
                # Frames came or went without our seeing it: tracing was off for a while.
                while stack and any(running.frame is frame for running in stack) and stack[-1].frame is not frame:
                    stack.pop()
                if not stack or stack[-1].frame is not frame:
                    stack.append(Running(frame))
            running = stack[-1]
            if event == "line":
                for watcher in watchers:
                    watcher.done(thread, running, False, None)
                running.line = frame.f_lineno
                for watcher in watchers:
                    watcher.begins(thread, running)
            elif event == "return":
                for watcher in watchers:
                    watcher.done(thread, running, True, arg)
                stack.pop()
        except Exception as error:
            self._session.failed("following lines", error)
        return self._local
