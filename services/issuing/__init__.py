"""From a claim to the credential that it pins."""
