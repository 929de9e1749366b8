"""How a build is shown while it runs, and what is kept of it."""
