"""What names and values say: pure functions without a data source."""
