"""Tables in text files: the dialect is found or stated, then rows are read in blocks; rows that are torn are counted."""
