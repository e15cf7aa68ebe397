"""The peer: ml-metadata on SQLite, in an interpreter of its own."""
