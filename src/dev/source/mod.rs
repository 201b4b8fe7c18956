//! Where swapped code comes from: the user's checkout, what project stands in it, and clones that
//! `aio` makes. Knows nothing of containers, and never writes into a work tree of the user's.
