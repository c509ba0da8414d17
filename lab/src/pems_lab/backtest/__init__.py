"""What PEMS would have saved on a history of one's own."""
