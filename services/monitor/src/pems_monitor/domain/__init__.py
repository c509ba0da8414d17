"""What the page shows, as pure data: no web framework, no IO, no clock."""
