"""Integer model in, C sources out."""
