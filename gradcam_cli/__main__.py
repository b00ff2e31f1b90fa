"""Start the command: `gradcam` and `python -m gradcam_cli`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command line; SIGTERM ends it with status 143."""
    from gradcam_cli.commands import gradcam

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    gradcam.main()


if __name__ == "__main__":
    main()
