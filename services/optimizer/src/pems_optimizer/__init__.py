"""What to do: the planner decides when to plan, Celery workers solve."""
