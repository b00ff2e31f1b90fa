"""Walking the tree of click commands."""

import click


def commands(group, path=()):
    """Yield (path, command) of every command below a group."""
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
