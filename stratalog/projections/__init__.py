"""What the events add up to: State for point reads and rules, Tables for questions. Knows nothing of questions."""
