"""What staff do about learners: requests signed by one of them, sent, and answered by competency."""
