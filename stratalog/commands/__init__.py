"""Decisions: pure functions from the state and a wish to events, or to an error with a code."""
