"""From a claim to the Open Badges 3.0 credential that it pins."""
