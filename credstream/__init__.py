"""The face: command line, gateway, local broker and supervisor."""
