"""Makes the repository root importable (pytest puts the parent of this package on the path), for :mod:`tests.zoo`."""
