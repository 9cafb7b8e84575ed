"""Other forms of a credential: badge images, baked files, certificates, transcripts. What they say stands in the signed credential."""
