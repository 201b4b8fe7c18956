//! SFTP packets. They are read and not obeyed: who runs this would not like to have its files renamed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| aio::for_tests::read_sftp(bytes));
