"""The straight line from images to explanations and JSON."""
