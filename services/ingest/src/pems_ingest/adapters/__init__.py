"""Where ingest meets the outside: files, sockets, HTTP."""
