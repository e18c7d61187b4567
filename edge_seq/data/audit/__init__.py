"""Audit of a data set: facts of each recording, then checks over all of them for faults that would spoil a training."""
