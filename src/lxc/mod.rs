//! liblxc and the system calls that the standard library lacks: the only unsafe code.
