"""Recordings: readers, checks, audit, splits by group, windows, and the car-state simulator."""
