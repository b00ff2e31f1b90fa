"""Entry point of `gradcam` and `python -m gradcam_cli`."""

from __future__ import annotations

import os


def main() -> None:
    """Run the command line; SIGTERM exits with status 143."""
    # NumPy's matrix products are small here. Its idle threads would spin on the cores that the network needs and
    # take a quarter of the run time. NumPy reads this variable when it is first imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from gradcam_cli.cli import gradcam
    from gradcam_cli.cli.signals import install_signal_handlers

    install_signal_handlers()
    gradcam.main()


if __name__ == "__main__":
    main()
