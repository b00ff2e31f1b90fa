"""Metrics of maps: functions of arrays."""
