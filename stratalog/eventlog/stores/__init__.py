"""Places that keep a log: each implements the `LogStore` protocol and nothing more."""
