"""Start the command: `gradcam` and `python -m gradcam_cli`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; SIGTERM ends it with status 143."""
    from gradcam_cli.commands import gradcam
    from gradcam_cli.interrupts import heed_interrupts

    heed_interrupts()
    gradcam.main()


if __name__ == "__main__":
    main()
