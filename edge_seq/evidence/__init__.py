"""Evidence for a release of a firmware: signatures, a list of components, claims with the files that support them."""
