"""Where the work on many inputs is done: in this process, or by the workers of a Ray cluster."""
