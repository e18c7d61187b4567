"""Record, classify and watch a stream of samples."""
