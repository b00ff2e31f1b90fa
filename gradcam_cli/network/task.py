"""The readings of a single linear output."""

TASKS = ("auto", "binary", "regression")
"""`binary`: it is the logit of class 1; `regression`: a value; `auto`: a value, unless the model is a binary one."""
