//! The command line: one file for each command, arguments and `run`, no logic.
