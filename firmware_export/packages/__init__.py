"""Packages of an exported model for build systems, one file each: rendered C in, files of the package out."""
