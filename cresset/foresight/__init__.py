"""What a build will do: what counts, what is on record, and what is said before and after."""
