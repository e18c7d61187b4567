"""Recordings: readers, checks, group splits, windows, and the car-state simulator."""
