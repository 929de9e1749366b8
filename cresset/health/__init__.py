"""What is wrong with this host, engine and configuration, and what to do about it."""
