"""What credstream promises on the wire: topics, records, identifiers, catalogues, errors. Imports nothing of ours."""
