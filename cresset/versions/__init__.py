"""What goes with what, and what this host can have of it."""
