"""Tables in text files: the dialect is found or stated, rows are read in blocks, torn rows are counted."""
