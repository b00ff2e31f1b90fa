"""Output files: destination, file names, figures."""
