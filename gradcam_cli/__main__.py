"""Start the command: `gradcam` and `python -m gradcam_cli`."""

from __future__ import annotations

import os


def main() -> None:
    """Run the command line; SIGTERM ends it with status 143."""
    # NumPy's products are small here: threads of its own for them would wait, spinning, where the
    # network computes, which took a quarter of all time. NumPy reads this when it is first imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from gradcam_cli.cli import gradcam
    from gradcam_cli.cli.signals import install_signal_handlers

    install_signal_handlers()
    gradcam.main()


if __name__ == "__main__":
    main()
