"""What daemon and clients agree on: names, encodings and the meaning of each method."""
