"""The prompt languages: read, expanded, cut into chunks, and encoded."""
