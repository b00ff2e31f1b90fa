"""Packages that some kinds of output files require."""

from __future__ import annotations

from importlib.util import find_spec

from gradcam_cli.errors import UsageError
from gradcam_cli.output.destination import Destination

MP4 = ("MP4 files", "av", "film")
NIFTI = ("NIfTI files", "nibabel", "nifti")
"""What requires a package, the package, and the extra of gradcam-cli that installs it."""


def require_package(what: str, package: str, extra: str) -> None:
    """Check that a package is installed.

    Raises:
        UsageError: it is not.
    """
    if find_spec(package) is None:
        raise UsageError(f"{what} require the package {package}", f"pip install 'gradcam-cli[{extra}]'")


def require_packages(destination: Destination) -> None:
    """Check that the packages are installed that the files of a run require.

    Raises:
        UsageError: one is not.
    """
    if "film" in destination.artifact_kinds and destination.image_format == "mp4":
        require_package(*MP4)
    if "nifti" in destination.artifact_kinds:
        require_package(*NIFTI)
