"""Cresset assembles, explains and runs container builds for deep learning."""
