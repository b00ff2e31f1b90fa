"""Execution engines: where inputs are read, explained and written."""
