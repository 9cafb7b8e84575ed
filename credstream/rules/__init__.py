"""Catalogues as programme staff write them: reading the YAML, and publishing what it says."""
