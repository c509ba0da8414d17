"""The page itself: who may see it, and how it is drawn."""
