"""Time and memory: stages in a race with other ways to do the same work, and what a run will need."""
