//! What steps do: observe, act, look again. They never print and never see the command line.
