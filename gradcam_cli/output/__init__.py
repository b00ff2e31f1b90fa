"""File names of results, and figures."""
