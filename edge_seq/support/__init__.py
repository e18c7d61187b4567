"""What every part uses: errors, files, names, tables, text of figures."""
