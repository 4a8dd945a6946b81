"""Stand-ins for functions of C modules: called like them, and never bound as methods when stored in a class."""


class StandIn:
    """Calls ``function``; looks like ``original`` (a built-in, which a class body may hold without binding it)."""

    def __init__(self, function, original, module):
        self._function = function
        self._original = original
        self.__name__ = getattr(original, "__name__", "")
        self.__qualname__ = self.__name__
        self.__module__ = module
        self.__doc__ = getattr(original, "__doc__", None)
        self.__wrapped__ = original

    def __call__(self, *args, **kwargs):
        return self._function(*args, **kwargs)

    def __reduce__(self):
        return self.__name__  # pickled by name, as the original is

    def __repr__(self):
        return repr(self._original)

    def __eq__(self, other):
        return self is other or other is self._original

    def __hash__(self):
        return hash(self._original)


class Changed(StandIn):
    """A stand-in that changes what it stands for; one that only watches is put around it."""


def stand_in(module, name, make, kind=StandIn):
    """Replaces ``module.name`` by a stand-in around ``make(original)``; returns the original.

    What is watched already is left as it is.
    """
    original = getattr(module, name, None)
    if original is None or (kind is StandIn and type(original) is StandIn):
        return None
    setattr(module, name, kind(make(original), original, getattr(module, "__name__", "")))
    return original
