"""Output: destination, file names, figures, numbers in tables."""
