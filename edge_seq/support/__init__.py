"""Helpers that every part uses: errors, files, names, tables, formatted figures, drawing."""
