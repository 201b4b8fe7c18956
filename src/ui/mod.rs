//! What a user sees: listeners of the event stream, tables, prompts.
