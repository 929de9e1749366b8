"""What a build will do and did, drawn."""
