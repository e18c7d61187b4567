"""The commands as functions on run folders: each reads a run, does one step, and writes the results into the run."""
