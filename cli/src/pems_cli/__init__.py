"""The command line: checks, tests, embedded servers and the supervisor of native runs."""
