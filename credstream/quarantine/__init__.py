"""Records that were set aside: what they are, what would become of them now, and giving them to their topic again."""
