"""Other forms of a credential: badge images, baked files, certificates, transcripts. They say what the signed credential says."""
