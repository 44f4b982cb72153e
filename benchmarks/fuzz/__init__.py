"""Fuzzing: what comes from outside, changed in every way, against the readers of it. `make fuzz` runs all targets."""
