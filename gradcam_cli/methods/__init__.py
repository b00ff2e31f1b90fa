"""The mathematics: functions of arrays next to their equations, and one table of all methods."""
