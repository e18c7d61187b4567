"""The Python interface behind ``import edge_seq``: a dozen functions and the classes that they return."""
