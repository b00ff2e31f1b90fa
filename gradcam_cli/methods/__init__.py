"""The explanation methods: functions of arrays with their equations, and a registry of all methods."""
