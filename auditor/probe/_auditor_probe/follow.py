"""Follows the user's own lines as they are executed, in every thread; gives way to another tool that does the same."""

import sys
import threading

_ident = threading.get_ident


class Followed:
    """What one thread is doing: the user's frames that are running in it, outermost first."""

    __slots__ = ("name", "number", "stack", "state")

    def __init__(self, number, name):
        self.number = number
        self.name = name
        self.stack = []
        self.state = None  # for the follower


class Running:
    """One running frame of the user's: the line under way, and whatever the follower keeps of its beginning."""

    __slots__ = ("began", "code", "frame", "line")

    def __init__(self, frame):
        self.frame = frame
        self.code = frame.f_code
        self.line = None
        self.began = 0


class Follower:
    """A trace function (``sys.settrace``) that asks only the user's own frames for their lines.

    Subclasses say what happens: ``called`` when a frame begins, ``done`` when the line of a frame has ended (with the
    frame's next line, or with what it returns).
    """

    def __init__(self, session):
        self._session = session
        self._kinds = {}
        self.threads = {}
        self.active = False
        self._count = 0
        # One object each: a bound method is made anew with every look at it.
        self._function = self._enter
        self._local = self._within

    # -- beginning and end ------------------------------------------------------------------------------------

    def start(self):
        """Begins to follow this thread and those that start from now on; False where another tool traces already."""
        if self.active:
            return True
        if sys.gettrace() is not None:
            return False
        self.active = True
        threading.settrace(self._function)
        self._adopt(sys._getframe(1))
        sys.settrace(self._function)
        return True

    def stop(self):
        """Stops; a trace function that the program set meanwhile stays."""
        self.active = False
        if threading._trace_hook is self._function:
            threading.settrace(None)
        if sys.gettrace() is self._function:
            sys.settrace(None)
        self.threads = {}

    def pause(self):
        """Stops following this thread for a while; False where it is not followed."""
        if sys.gettrace() is not self._function:
            return False
        sys.settrace(None)
        return True

    def resume(self):
        """Goes on where :meth:`pause` stopped."""
        if self.active and sys.gettrace() is None:
            sys.settrace(self._function)

    def _adopt(self, frame):
        """Takes up the frames that run already: those of the user are asked for their lines from here on."""
        thread = self.thread()
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

    def thread(self):
        """This thread's state."""
        ident = _ident()
        known = threading._active.get(ident)
        name = "" if known is None else known.name
        found = self.threads.get(ident)
        # The number of a thread that has ended may be another's by now.
        if found is None or found.name != name:
            found = self.threads[ident] = Followed(self._count, name)
            self._count += 1
        return found

    def forked(self):
        """In a forked child only the thread that forked goes on."""
        mine = self.threads.get(_ident())
        self.threads = {} if mine is None else {_ident(): mine}

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

    # -- the trace functions ----------------------------------------------------------------------------------

    def _enter(self, frame, event, arg):
        name = frame.f_code.co_filename
        kind = self._kinds.get(name)
        if kind is None:
            kind = self.is_user(frame)
        if not kind:
            return None
        if not self.active:
            sys.settrace(None)  # in a thread that started while it was followed
            return None
        try:
            thread = self.threads.get(_ident())
            if thread is None or not thread.stack:
                thread = self.thread()
            running = Running(frame)
            self.called(thread, running)
            thread.stack.append(running)
        except Exception as error:
            self._session.failed("following lines", error)
        return self._local

    def _within(self, frame, event, arg):
        if not self.active:
            return None
        try:
            thread = self.threads.get(_ident())
            if thread is None:
                thread = self.thread()
            stack = thread.stack
            while stack and stack[-1].frame is not frame:
                # A frame that went without our seeing it: tracing was off for a while.
                if all(running.frame is not frame for running in stack):
                    stack.append(Running(frame))
                    break
                stack.pop()
            if not stack:
                stack.append(Running(frame))
            running = stack[-1]
            if event == "line":
                self.done(thread, running, False, None)
                running.line = frame.f_lineno
                self.begins(thread, running)
            elif event == "return":
                self.done(thread, running, True, arg)
                stack.pop()
        except Exception as error:
            self._session.failed("following lines", error)
        return self._local

    # -- for subclasses ---------------------------------------------------------------------------------------

    def called(self, thread, running):
        """A frame of the user's begins; the one that called it, if any, is still on top of ``thread.stack``."""

    def begins(self, thread, running):
        """A line begins."""

    def done(self, thread, running, returns, value):
        """The line ``running.line`` has ended; with ``returns`` its frame ends or yields ``value``."""
