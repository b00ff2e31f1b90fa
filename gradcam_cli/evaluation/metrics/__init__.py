"""Measures of maps; they know arrays only."""
