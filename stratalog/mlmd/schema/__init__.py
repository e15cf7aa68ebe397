"""The protocol's messages: their text, and the descriptor set that is made of it."""
