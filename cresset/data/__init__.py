"""The facts that the program reads."""
