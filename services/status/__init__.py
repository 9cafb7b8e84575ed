"""What a status list says, and when it is signed anew."""
