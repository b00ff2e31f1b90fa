"""Shell completion of files, layers, classes and color maps, without TensorFlow.

The layers and classes are those of the model on the line: of a catalog model, or of a `.keras` file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from gradcam_cli.errors import GradcamError
from gradcam_cli.models.catalog import find_spec
from gradcam_cli.models.labels import labels_file, normalize_name, read_labels, spec_labels
from gradcam_cli.models.layer_names import layer_names, read_config, stored_class_names

VARIABLE = "_GRADCAM_COMPLETE"
"""The environment variable by which a shell requests completions."""
DEFAULT_MODEL = "vgg19"


class BashWithFiles(BashComplete):
    """The function for bash: files are added to other completions, and readline quotes names with spaces."""

    source_template = """\
%(complete_func)s() {
    local kind value
    local -a files
    COMPREPLY=()
    compopt -o filenames 2>/dev/null
    while IFS=, read -r kind value; do
        files=()
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            file) mapfile -t files < <(compgen -f -- "$value") ;;
            dir) mapfile -t files < <(compgen -d -- "$value") ;;
        esac
        COMPREPLY+=("${files[@]}")
    done < <(
        IFS=$'\\n'
        COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete "$1" 2>/dev/null
    )
}
complete -o nosort -F %(complete_func)s %(prog_name)s %(prog_name)s-cli
"""


def use_own_bash_function() -> None:
    """Let click print the function for bash above in the place of its own."""
    add_completion_class(BashWithFiles, "bash")


def complete_files(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of files."""
    return [CompletionItem(incomplete, type="file")]


def complete_layers(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the paths of the layers, from their beginning or from that of their last part, and `auto`."""
    try:
        names = layer_names(_model(ctx))
    except (GradcamError, OSError, ValueError, RecursionError):
        names = []
    known = ["auto", *names]
    ends = [name for name in known if name.rpartition("/")[2].startswith(incomplete)]
    return _items([name for name in known if name.startswith(incomplete)] or ends)


def complete_classes(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of the classes, in either case, and `top`."""
    try:
        names = class_names(_model(ctx), ctx.params.get("labels"))
    except (GradcamError, OSError, ValueError, RecursionError):
        names = []
    start = normalize_name(incomplete)
    return _items(name for name in ("top", *names) if normalize_name(name).startswith(start))


def complete_colormaps(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of matplotlib's color maps."""
    import matplotlib

    return _items(name for name in matplotlib.colormaps if name.startswith(incomplete))


def class_names(model: str, labels: str | None) -> list[str]:
    """Return the class names of a model: those of `--labels`, of the file beside it, stored in it, or of its catalog.

    Raises:
        GradcamError: a file is damaged.
    """
    if file := labels_file(labels, model):
        return list(read_labels(file).names)
    if spec := find_spec(model):
        return list(spec_labels(spec).names)
    return stored_class_names(read_config(Path(model))) if Path(model).is_file() else []


def _model(ctx: click.Context) -> str:
    return str(ctx.params.get("model") or DEFAULT_MODEL)


def _items(names: Iterable[Any]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if "\n" not in name]
