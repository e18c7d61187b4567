"""Run programs and boards in emulators."""
