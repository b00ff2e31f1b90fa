"""The configuration of a run: one dataclass field for each setting.

The command-line options, the JSON record, the metadata of saved maps, the report's table of settings and the command
that recomputes a map are all derived from the fields of `RunSettings`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from gradcam_cli.errors import UsageError
from gradcam_cli.images.axes import parse_axes, parse_window
from gradcam_cli.images.bands import parse_rgb
from gradcam_cli.images.fit import FIT_MODES
from gradcam_cli.methods.maps import INTERPOLATIONS
from gradcam_cli.models.contrast_selection import NEAREST_COUNT
from gradcam_cli.models.truth import TruthSource
from gradcam_cli.network.precision import PRECISIONS
from gradcam_cli.network.target import parse_target

SCORES = ("logit", "probability", "output")


@dataclass(frozen=True)
class Setting:
    """Metadata of a setting. Its option is `--` with the field's name, its JSON key is the field's name.

    Attributes:
        help: the option's help text.
        group: the heading of the option in `--help`.
        choices: the allowed values; without choices, a setting is a flag, a positive integer, or a positive number if
            its default is a float.
        metavar: how the values of a setting are written that is a text, and `check` raises UsageError for a wrong one.
        check: checks such a text.
        affects_map: whether the setting changes a map's values; then it is saved with the map and used to recompute it.
        must_match: whether `gradcam compare` requires it to be equal in both runs.
        multiple: whether the value is a list of texts, and the option is repeatable.
    """

    help: str
    group: str = "Explanation"
    choices: Sequence[str] = ()
    metavar: str = ""
    check: Callable[[str], Any] | None = None
    affects_map: bool = True
    must_match: bool = False
    multiple: bool = False


def _setting(default: Any, *args: Any, **kwargs: Any) -> Any:
    return field(default=default, metadata={"setting": Setting(*args, **kwargs)})


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The settings that all maps of a run share; see the help texts of the fields."""

    target: str = _setting(
        "class",
        "What is explained: class, the score of a class; segment, its pixels (segment:all, segment:X,Y of the model "
        "input); detection, its best anchor (detection:BOXES draws its box); similarity:FILE, the likeness to an "
        "image. @NAME selects an output: class@NAME.",
        metavar="TARGET",
        check=parse_target,
        must_match=True,
    )
    score: str = _setting(
        "logit",
        "Score to differentiate: y_c before the last activation, the class probability, or the plain model output.",
        choices=SCORES,
        must_match=True,
    )
    max_value: int | None = _setting(
        None, "Value of white in 16-bit and float images. [default: 65535; for float 1 or 255]", "Input"
    )
    rgb: str | None = _setting(
        None,
        "Read all bands of TIFF files and .npy arrays, and show these as red, green and blue: 3,2,1; or one in gray.",
        "Input",
        metavar="BANDS",
        check=parse_rgb,
    )
    axes: str | None = _setting(
        None,
        "Order of the axes of arrays and NIfTI files, of T (time), D, H, W and C (channels): CHW. [default: that of "
        "the model input; WHD for NIfTI]",
        "Input",
        metavar="AXES",
        check=parse_axes,
    )
    window: str | None = _setting(
        None,
        "Window of the values of a volume, as 40,400 for soft tissue: they are clipped to it and scaled to 0..255. "
        "[default: the values as they are stored]",
        "Input",
        metavar="CENTER,WIDTH",
        check=parse_window,
    )
    fit: str = _setting(
        "auto",
        "Squash the input to the model input, crop its center, pad it with bars, or slide windows of the model's size "
        "over it. auto: windows for signals and volumes, squash for images and films.",
        choices=FIT_MODES,
    )
    interpolation: str = _setting("linear", "Interpolation of the upsampled map.", choices=tuple(INTERPOLATIONS))
    counterfactual: bool = _setting(
        False,
        "Negate the gradients: highlight the regions that lower the class score (Selvaraju et al. 2017, 3.3).",
        must_match=True,
    )
    against: Sequence[str] = _setting(
        (),
        "Contrast with this class: explain y_c - gamma y_d (Finer-CAM); repeatable, then y_d is their mean. An index, "
        f"a name, a pattern, nearest (the {NEAREST_COUNT} classes with the nearest scores) or nearestN.",
        metavar="CLASS|nearest",
        must_match=True,
        multiple=True,
    )
    gamma: float = _setting(0.6, "Weight of the classes of --against.", metavar="X", must_match=True)
    aug_smooth: bool = _setting(
        False, "Average six maps: of the image at three brightness levels, mirrored and not mirrored."
    )
    max_channels: int | None = _setting(None, "scorecam: use only the N channels with the largest standard deviation.")
    precision: str = _setting(
        "float32",
        "Precision of the network; auto: bfloat16 where the hardware supports it.",
        "Speed",
        choices=PRECISIONS,
    )
    batch_size: int | None = _setting(
        None, "Images per batch. [default: from model size and free memory]", "Speed", affects_map=False
    )

    def values(self) -> dict[str, Any]:
        """Return the values of all settings, by name."""
        return {name: _plain(getattr(self, name)) for name in SETTINGS}

    def map_settings(self) -> dict[str, Any]:
        """Return the values of the settings that affect a map, by name."""
        return {name: value for name, value in self.values().items() if name in MAP_SETTINGS}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: a list for a tuple."""
    return list(value) if isinstance(value, tuple) else value


def check_settings(settings: RunSettings) -> None:
    """Check the values of all settings.

    Raises:
        UsageError: a value is not one of the choices, or of another type.
    """
    for name, setting in SETTINGS.items():
        value, default = getattr(settings, name), DEFAULTS[name]
        if setting.choices:
            check_choice(name, value, setting.choices)
        elif setting.multiple:
            if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
                raise UsageError(f"{name}: expected a list of texts, got {value!r}")
        elif isinstance(default, float):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise UsageError(f"{name}: expected a positive number, got {value!r}")
        elif setting.check and isinstance(value, str):
            setting.check(value)
        elif isinstance(default, bool):
            check_choice(name, value, (True, False))
        elif value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise UsageError(f"{name}: expected a positive integer or None, got {value!r}")


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise UsageError if a value is not one of the choices."""
    if not isinstance(value, type(choices[0])) or value not in choices:
        raise UsageError(f"{name}: expected one of {', '.join(map(str, choices))}, got {value!r}")


SETTINGS: dict[str, Setting] = {entry.name: entry.metadata["setting"] for entry in fields(RunSettings)}
DEFAULTS: dict[str, Any] = RunSettings().values()
MAP_SETTINGS = tuple(name for name, setting in SETTINGS.items() if setting.affects_map)
MATCHING_SETTINGS = tuple(name for name, setting in SETTINGS.items() if setting.must_match)


@dataclass(frozen=True, kw_only=True)
class ExplainConfig(RunSettings):
    """Which maps a run computes, and with which settings.

    Attributes:
        layers: paths, or `auto`.
        classes: indices, names, patterns such as `*_cat`, `top`, `topN`, and `truth` with true classes.
        methods: names in `methods.registry.LAYER_METHODS`.
        top_k: number of predictions to list.
        truth: the true classes of the images, or None.
        only: compute maps only of the images whose prediction is `right` or `wrong`; None for all.
    """

    layers: Sequence[str] = ("auto",)
    classes: Sequence[str | int] = ("top",)
    methods: Sequence[str] = ("gradcam",)
    top_k: int = 5
    truth: TruthSource | None = None
    only: str | None = None


@dataclass(frozen=True)
class ModelConfig:
    """A model and how to load it: the arguments of `load_model`."""

    model: str
    weights: str = "imagenet"
    labels: str | None = None
    preprocess: str | None = None
    input_size: tuple[int, ...] | None = None
    allow_unsafe: bool = False
    packages: Sequence[str] = ()
    offline: bool = False
    task: str = "auto"
    other_inputs: str | None = None
