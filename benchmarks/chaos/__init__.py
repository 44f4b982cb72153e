"""Faults, injected into real processes on purpose, and what became of them."""
