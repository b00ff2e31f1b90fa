"""Paths and replacement of values in nested dictionaries and lists."""


def nodes(value, path=()):
    """Yield the paths of all values in a document."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from nodes(inner, (*path, key))


def replaced(value, path, new):
    """Return a copy of a document with another value at a path."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy
