"""Recording, running and watching a stream of samples."""
