"""What the planner reaches the outside by: the task queue, the solver in the same process, its own file."""
